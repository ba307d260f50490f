/*
 * By-lines and headlines out of what pages write, and pages of lists: what stays of them.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "common/message.h"
#include "worker/extract.h"
#include "worker/extract_metadata.h"

#define ARENA_BYTES_MAX (16u << 20)
#define OUT_BYTES_MAX (4u << 20)

struct names_case {
    const char *line;
    const char *names; /* joined by "; " */
};

Test(extract_loose, a_byline_gives_names_alone)
{
    static const struct names_case cases[] = {
        {"By Jane Doe", "Jane Doe"},
        {"ByJane Doe", "Jane Doe"},
        {"Posted by: Jane Doe", "Jane Doe"},
        {"lena_k 12 Jan 2024", "lena_k"},
        {"Emily Temple December 25, 2025", "Emily Temple"},
        {"Haley Hoekstra • March 12, 2025", "Haley Hoekstra"},
        {"16WhiteColly 350 posts", "16WhiteColly"},
        {"Sat, 20 Dec 2025 - 06:36", ""},
        {"18:36", ""},
        {"3i Global", "3i Global"},
        {"Theresa May", "Theresa May"},
        {"A. Roe, B. Poe and C. Moe", "A. Roe; B. Poe; C. Moe"},
        {"Shelby Loos, DVM", "Shelby Loos, DVM"},
        {"Jane Doe, PhD, John Roe", "Jane Doe, PhD; John Roe"},
        {"Written by", ""},
        {"Admin", ""},
        {"jane@example.org", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        struct metadata metadata;
        arena_init(&arena, ARENA_BYTES_MAX);
        metadata_init(&metadata, &arena);
        metadata_take_authors(&metadata, TRUST_MARKUP, slice_string(cases[i].line));
        struct buffer names;
        buffer_init(&names, OUT_BYTES_MAX);
        for (size_t j = 0; j < metadata.author_count; j++) {
            buffer_append_string(&names, j == 0 ? "" : "; ");
            buffer_append(&names, metadata.authors[j].data, metadata.authors[j].size);
        }
        cr_expect_str_eq(buffer_text(&names), cases[i].names, "%s: %s", cases[i].line,
                         buffer_text(&names));
        buffer_release(&names);
        arena_release(&arena);
    }
}

/* One text of a page's result, "" when it is absent. */
static void
value_of(const char *html, const char *name, struct buffer *ret_value)
{
    struct arena arena;
    struct buffer out;
    size_t pairs = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_init(&out, OUT_BYTES_MAX);
    buffer_init(ret_value, OUT_BYTES_MAX);
    struct extract_input input = {.body = slice_string(html),
                                  .url = slice_string("https://example.org/a/b"),
                                  .content_type = slice_string("text/html; charset=utf-8")};
    cr_assert_eq(extract_document(&arena, &input, &out, &pairs), OUTCOME_OK);
    struct reader reader;
    reader_init(&reader, buffer_slice(&out));
    for (size_t i = 0; i < pairs; i++) {
        if (slice_equal(read_string(&reader), slice_string(name))) {
            struct slice value = read_string(&reader);
            buffer_append(ret_value, value.data, value.size);
        } else {
            read_skip(&reader);
        }
    }
    cr_assert_eq(reader_finish(&reader), OK);
    buffer_release(&out);
    arena_release(&arena);
}

struct title_case {
    const char *html;
    const char *title;
};

Test(extract_loose, the_headline_is_without_the_site_and_as_the_heading_has_it)
{
    static const struct title_case cases[] = {
        {"<title>Hiking boots | Outdoor Shop</title>", "Hiking boots"},
        {"<title>How we build a bridge - Valley Record</title>", "How we build a bridge"},
        {"<title>A - B</title>", "A - B"},
        {"<title>Queues - what they are and what they cost you</title>",
         "Queues - what they are and what they cost you"},
        {"<meta property=og:title content='9 food myths'><h1>9 common food myths</h1>",
         "9 common food myths"},
        {"<meta property=og:title content='Bread of the valley'><h1>Welcome to our new site</h1>",
         "Bread of the valley"},
        {"<meta property=og:site_name content=Valley><title>Bread, milk and cheese - Valley</title>"
         "<h1>Valley</h1>",
         "Bread, milk and cheese"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer title;
        value_of(cases[i].html, "title", &title);
        cr_expect_str_eq(buffer_text(&title), cases[i].title, "%s: %s", cases[i].html,
                         buffer_text(&title));
        buffer_release(&title);
    }
}

#define CARD(name, price)                                                                        \
    "<li class=card><div class='teaser related'><a href=/x>" name "</a><span>" price "</span></" \
    "div>"

struct kept_case {
    const char *html;
    const char *text; /* is in the output, or is not */
    bool is_kept;
};

Test(extract_loose, most_of_a_page_is_no_furniture_whatever_its_name)
{
    static const struct kept_case cases[] = {
        {"<nav>Shop Help</nav><h1>Stoves</h1><form class=search-form><ul>" CARD("Red stove", "$10")
             CARD("Blue stove", "$20") CARD("Iron stove", "$30")
                 CARD("Tin stove", "$40") "</ul></form><footer>Imprint</footer>",
         "Iron stove", true},
        {"<nav>Shop Help</nav><h1>Stoves</h1><ul>" CARD("Red stove", "$10")
             CARD("Blue stove", "$20") CARD("Iron stove", "$30") "</ul><footer>Imprint</footer>",
         "Blue stove", true},
        {"<nav>Shop Help</nav><h1>Stoves</h1><ul>" CARD("Red stove", "$10")
             CARD("Blue stove", "$20") CARD("Iron stove", "$30") "</ul><footer>Imprint</footer>",
         "Imprint", false},
        {"<h1>Questions</h1><p>We answer what is asked most often here, one by one.</p>"
         "<h2>May I?</h2><div class=accordion-panel style='display:none'>You may, when it is the "
         "first time that you do.</div>",
         "You may, when", true},
        {"<h1>Questions</h1><p>We answer what is asked most often here, one by one.</p>"
         "<div class=box style='display:none'>Nobody is to see this text.</div>",
         "Nobody", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer text;
        value_of(cases[i].html, "text", &text);
        cr_expect_eq(strstr(buffer_text(&text), cases[i].text) != NULL, cases[i].is_kept,
                     "case %zu: %s", i, buffer_text(&text));
        buffer_release(&text);
    }
}
