#include "worker/extract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/json.h"
#include "common/message.h"

#define ARENA_BYTES_MAX (512u << 20)
#define OUT_BYTES_MAX (64u << 20)

struct extracted {
    struct arena arena;
    struct buffer out;
    size_t pairs;
    enum outcome outcome;
};

static void
extract(struct extracted *extracted, struct slice body, const char *url, const char *type)
{
    arena_init(&extracted->arena, ARENA_BYTES_MAX);
    buffer_init(&extracted->out, OUT_BYTES_MAX);
    struct extract_input input = {.body = body,
                                  .url = slice_string(url),
                                  .content_type = slice_string(type),
                                  .has_links = true};
    extracted->outcome =
        extract_document(&extracted->arena, &input, &extracted->out, &extracted->pairs);
}

static void
extracted_release(struct extracted *extracted)
{
    arena_release(&extracted->arena);
    buffer_release(&extracted->out);
}

/* The value of a pair, as bytes of msgpack; empty when it is absent. */
static struct slice
pair(const struct extracted *extracted, const char *name)
{
    struct reader reader;
    struct slice found = {0};
    reader_init(&reader, buffer_slice(&extracted->out));
    for (size_t i = 0; i < extracted->pairs; i++) {
        bool is_it = slice_equal(read_string(&reader), slice_string(name));
        struct slice value = read_raw(&reader);
        if (is_it) {
            cr_expect_null(found.data, "%s is there twice", name);
            found = value;
        }
    }
    cr_assert_eq(reader_finish(&reader), OK, "the pairs are as many as counted");
    return found;
}

/* The same as a copied C string; "" when absent. */
static char *
text_of(struct extracted *extracted, const char *name)
{
    struct slice value = pair(extracted, name);
    if (value.size == 0) {
        return arena_copy(&extracted->arena, "", 0);
    }
    struct reader reader;
    reader_init(&reader, value);
    struct slice text = read_string(&reader);
    cr_assert_eq(reader_finish(&reader), OK, "%s is a string", name);
    return arena_copy(&extracted->arena, text.data, text.size);
}

static void
expect_text(struct extracted *extracted, const char *name, const char *expected)
{
    char *text = text_of(extracted, name);
    cr_expect_str_eq(text, expected, "%s is\n%s\nnot\n%s", name, text, expected);
}

static bool
file_read(const char *path, struct buffer *out)
{
    buffer_init(out, OUT_BYTES_MAX);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    char part[4096];
    size_t size;
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        buffer_append(out, part, size);
    }
    fclose(file);
    cr_assert_eq(buffer_error(out), OK);
    return true;
}

static void
extract_string(struct extracted *extracted, const char *html)
{
    extract(extracted, slice_string(html), "https://example.org/a/b", "text/html; charset=utf-8");
    cr_assert_eq(extracted->outcome, OUTCOME_OK);
}

/* ---- the seed ---------------------------------------------------------------------------- */

static const char *
seed_read(const char *name, struct buffer *out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/seed/%s", SHARED_DATA, name);
    if (!file_read(path, out)) {
        cr_skip_test("no shared data here");
    }
    return buffer_text(out);
}

/* The seed's expected paragraphs as a reader at the first of them. */
static size_t
paragraphs_read(struct buffer *json, struct buffer *message, struct reader *reader)
{
    size_t offset = 0;
    seed_read("defector.expected.json", json);
    buffer_init(message, OUT_BYTES_MAX);
    cr_assert_eq(json_to_message(message, buffer_slice(json), &offset), OK);
    reader_init(reader, buffer_slice(message));
    size_t pairs = read_map(reader);
    for (size_t i = 0; i < pairs; i++) {
        if (slice_equal(read_string(reader), slice_string("paragraphs"))) {
            return read_array(reader);
        }
        read_skip(reader);
    }
    cr_assert_fail("no paragraphs");
    return 0;
}

static const char seed_title[] =
    "Defector: Former top official of North Korea’s intelligence system "
    "on drugs, weapons and fear";

Test(extract, the_seed_page_gives_exactly_its_paragraphs)
{
    struct buffer page;
    struct buffer json;
    struct buffer message;
    struct buffer expected;
    struct reader reader;
    struct extracted extracted;
    seed_read("defector.html", &page);
    extract(&extracted, buffer_slice(&page), "http://127.0.0.1:8080/defector.html", "text/html");
    cr_assert_eq(extracted.outcome, OUTCOME_OK);
    buffer_init(&expected, OUT_BYTES_MAX);
    size_t count = paragraphs_read(&json, &message, &reader);
    cr_assert_gt(count, 80u);
    for (size_t i = 0; i < count; i++) {
        struct slice paragraph = read_string(&reader);
        buffer_append_string(&expected, i == 0 ? "" : "\n\n");
        buffer_append(&expected, paragraph.data, paragraph.size);
    }
    expect_text(&extracted, "text", buffer_text(&expected));
    expect_text(&extracted, "title", seed_title);
    expect_text(&extracted, "published", "2021-10-11T05:32:01Z");
    expect_text(&extracted, "modified", "2021-10-11T05:32:01Z");
    expect_text(&extracted, "language", "en");
    expect_text(&extracted, "canonical", "https://news.example/world-asia-58838834");
    expect_text(&extracted, "site_name", "Example News");
    expect_text(
        &extracted, "description",
        "It took Kim Kuk-song 30 years to rise to the top of North Korea’s powerful spy agency.");
    expect_text(&extracted, "content_type", "text/html");
    expect_text(&extracted, "charset", "utf-8");
    expect_text(&extracted, "extractor", "thresh-html/1");
    extracted_release(&extracted);
    buffer_release(&page);
    buffer_release(&json);
    buffer_release(&message);
    buffer_release(&expected);
}

struct link_case {
    const char *url;
    const char *text;
};

static const struct link_case seed_links[] = {
    {"https://news.example/home", "Home"},
    {"https://news.example/news", "News"},
    {"https://news.example/sport", "Sport"},
    {"https://news.example/weather", "Weather"},
    {"https://news.example/iplayer", "iPlayer"},
    {"https://news.example/sounds", "Sounds"},
    {"https://news.example/news/world", "World"},
    {"https://news.example/news/africa", "Africa"},
    {"https://news.example/news/asia", "Asia"},
    {"https://news.example/news/australia", "Australia"},
    {"https://news.example/news/europe", "Europe"},
    {"https://news.example/news/latin-america", "Latin America"},
    {"https://news.example/news/middle-east", "Middle East"},
    {"https://news.example/news/us-&-canada", "US & Canada"},
    {"https://social.example/share", "Share this on one network"},
    {"https://news.example/faqs/sharing", "About sharing"},
    {"https://news.example/topics/nk", "North Korea"},
    {"https://news.example/topics/kju", "Kim Jong-un"},
    {"https://news.example/topics/sk", "South Korea"},
    {"https://news.example/world-asia-1",
     "North Korea: What missiles does it have? 29 September 2021"},
    {"https://news.example/world-asia-2",
     "The lives of North Korea’s women soldiers 21 November 2017"},
    {"https://news.example/story-0", "Storm closes roads across the north"},
    {"https://news.example/story-1", "Markets rise on trade hopes"},
    {"https://news.example/story-2", "Minister answers questions on budget"},
    {"https://news.example/story-3", "Team named for final match"},
    {"https://news.example/terms", "Terms of Use"},
    {"https://news.example/privacy", "Privacy Policy"},
    {"https://news.example/contact", "Contact"},
};

static void
expect_links(const struct extracted *extracted, const struct link_case *cases, size_t count)
{
    struct reader reader;
    reader_init(&reader, pair(extracted, "links"));
    size_t links = read_array(&reader);
    cr_expect_eq(links, count, "%zu links, not %zu", links, count);
    for (size_t i = 0; i < links && i < count; i++) {
        size_t pairs = read_map(&reader);
        for (size_t j = 0; j < pairs; j++) {
            struct slice name = read_string(&reader);
            struct slice value = read_string(&reader);
            const char *expected = slice_equal(name, slice_string("url"))    ? cases[i].url
                                   : slice_equal(name, slice_string("text")) ? cases[i].text
                                                                             : NULL;
            if (expected != NULL) {
                cr_expect(slice_equal(value, slice_string(expected)), "link %zu: %.*s, not %s", i,
                          (int)value.size, (const char *)value.data, expected);
            }
        }
    }
}

Test(extract, the_seed_page_gives_every_outlink_with_its_words)
{
    struct buffer page;
    struct extracted extracted;
    seed_read("defector.html", &page);
    extract(&extracted, buffer_slice(&page), "https://news.example/world-asia-58838834",
            "text/html");
    expect_links(&extracted, seed_links, sizeof seed_links / sizeof seed_links[0]);
    extracted_release(&extracted);
    buffer_release(&page);
}

/* Every expected paragraph in its order, and no line that is a credit or a label only. */
Test(extract, the_seed_text_keeps_its_paragraphs_and_loses_its_credits)
{
    struct buffer text;
    struct buffer json;
    struct buffer message;
    struct reader reader;
    struct extracted extracted;
    seed_read("defector.txt", &text);
    extract(&extracted, buffer_slice(&text), "name:defector", "text/plain; charset=utf-8");
    cr_assert_eq(extracted.outcome, OUTCOME_OK);
    expect_text(&extracted, "title", seed_title);
    expect_text(&extracted, "language", "en");
    expect_text(&extracted, "content_type", "text/plain");
    const char *at = text_of(&extracted, "text");
    static const char *const gone[] = {"\n\nImage source", "\n\nImage credit",
                                       "annotated with text", "\n\nREUTERS", "Defector: Former"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        cr_expect_null(strstr(at, gone[i]), "%s", gone[i]);
    }
    size_t count = paragraphs_read(&json, &message, &reader);
    for (size_t i = 0; i < count; i++) {
        struct slice paragraph = read_string(&reader);
        const char *found = memmem(at, strlen(at), paragraph.data, paragraph.size);
        cr_assert_not_null(found, "paragraph %zu: %.*s", i, (int)paragraph.size,
                           (const char *)paragraph.data);
        at = found + paragraph.size;
        cr_expect(*at == '\0' || strncmp(at, "\n\n", 2) == 0);
    }
    extracted_release(&extracted);
    buffer_release(&text);
    buffer_release(&json);
    buffer_release(&message);
}

/* ---- our own pages ----------------------------------------------------------------------- */

static void
fixture_open(struct extracted *extracted, struct buffer *page, const char *name, const char *type)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/extract/%s", FIXTURES, name);
    cr_assert(file_read(path, page), "%s", path);
    extract(extracted, buffer_slice(page), "https://valley.example/2023/03/x", type);
    cr_assert_eq(extracted->outcome, OUTCOME_OK);
}

static void
expect_fixture(struct extracted *extracted, const char *name)
{
    char path[4096];
    struct buffer expected;
    snprintf(path, sizeof path, "%s/extract/%s.expected", FIXTURES, name);
    cr_assert(file_read(path, &expected), "%s", path);
    while (expected.size > 0 && expected.data[expected.size - 1] == '\n') {
        expected.size--;
    }
    expect_text(extracted, "text", buffer_text(&expected));
    buffer_release(&expected);
}

Test(extract, an_article_comes_without_its_furniture)
{
    struct buffer page;
    struct extracted extracted;
    fixture_open(&extracted, &page, "article.html", "text/html; charset=utf-8");
    expect_fixture(&extracted, "article");
    expect_text(&extracted, "title", "River town rebuilds its bridge by hand");
    expect_text(&extracted, "published", "2023-03-04T23:30:00-05:00");
    expect_text(&extracted, "section", "Local");
    expect_text(&extracted, "site_name", "The Valley Record");
    expect_text(&extracted, "canonical", "https://valley.example/2023/03/bridge");
    struct reader reader;
    reader_init(&reader, pair(&extracted, "authors"));
    cr_assert_eq(read_array(&reader), 2u);
    cr_expect(slice_equal(read_string(&reader), slice_string("Mara Lindqvist")));
    cr_expect(slice_equal(read_string(&reader), slice_string("Tom Okafor")));
    reader_init(&reader, pair(&extracted, "nofollow"));
    cr_expect(read_bool(&reader));
    cr_expect_eq(pair(&extracted, "noindex").size, 0u);
    reader_init(&reader, pair(&extracted, "headings"));
    cr_expect_eq(read_array(&reader), 1u);
    static const struct link_case links[] = {
        {"https://valley.example/", "The Valley Record"},
        {"https://valley.example/news", "News"},
        {"https://valley.example/sport", "Sport"},
        {"https://valley.example/weather", "Weather"},
        {"https://valley.example/staff/mara", "Mara Lindqvist"},
        {"https://social.example/share?u=1", "Share"},
        {"https://valley.example/people/halvorsen?a=1&b=2", "Ida Halvorsen"},
        {"https://valley.example/2023/01/flood", "Flood cuts off three towns"},
        {"https://valley.example/2023/02/aid", "State aid is delayed again"},
        {"https://valley.example/tag/flood", "flood"},
        {"https://valley.example/tag/bridge", "bridge"},
        {"https://valley.example/a", "Mayor resigns over parking fees"},
        {"https://valley.example/b", "School wins the national chess title"},
        {"https://partner.example/", "Partner"},
    };
    expect_links(&extracted, links, sizeof links / sizeof links[0]);
    extracted_release(&extracted);
    buffer_release(&page);
}

Test(extract, documentation_keeps_its_code_and_tables)
{
    struct buffer page;
    struct extracted extracted;
    fixture_open(&extracted, &page, "documentation.html", "");
    expect_fixture(&extracted, "documentation");
    expect_text(&extracted, "title", "Queues");
    extracted_release(&extracted);
    buffer_release(&page);
}

Test(extract, a_thread_keeps_all_its_posts)
{
    struct buffer page;
    struct extracted extracted;
    fixture_open(&extracted, &page, "forum.html", "text/html");
    expect_fixture(&extracted, "forum");
    expect_text(&extracted, "title", "Pump will not prime");
    expect_text(&extracted, "published", "2020-06-01T09:15:00+02:00");
    expect_text(&extracted, "site_name", "Well Owners Forum");
    extracted_release(&extracted);
    buffer_release(&page);
}

Test(extract, a_product_page_keeps_name_price_and_description)
{
    struct buffer page;
    struct extracted extracted;
    fixture_open(&extracted, &page, "product.html", "text/html");
    expect_fixture(&extracted, "product");
    expect_text(&extracted, "title", "Gusspfanne 28 cm");
    expect_text(&extracted, "language", "de");
    expect_text(&extracted, "image", "https://img.hofladen.example/pfanne.jpg");
    extracted_release(&extracted);
    buffer_release(&page);
}

Test(extract, plain_text_has_its_first_line_as_title)
{
    struct buffer page;
    struct extracted extracted;
    fixture_open(&extracted, &page, "notes.txt", "text/plain");
    expect_fixture(&extracted, "notes");
    expect_text(&extracted, "title", "Notes from the east orchard");
    expect_text(&extracted, "extractor", "thresh-text/1");
    extracted_release(&extracted);
    buffer_release(&page);
}

/* ---- rules ------------------------------------------------------------------------------- */

Test(extract, links_are_resolved_and_only_the_web_s_are_kept)
{
    struct extracted extracted;
    extract_string(&extracted,
                   "<base href='/dir/'><a href=' x y '>one\n two</a><a href=mailto:a@b.c>mail</a>"
                   "<a href='#top'>top</a><a href=''>self</a><a name=n>none</a>"
                   "<a href='//other.example/p'><img alt='a &lt;picture&gt;'></a>"
                   "<map><area href=/area alt=region></map><a href='ftp://f.example/'>f</a>"
                   "<a href='https://w.example/?q=1&amp;r=2' rel='nofollow ugc'>w<br>x</a>"
                   "<a href='HTTP://w.example:80/a/../b'>norm</a>");
    static const struct link_case links[] = {
        {"https://example.org/dir/x%20y", "one two"},
        {"https://other.example/p", "a <picture>"},
        {"https://example.org/area", "region"},
        {"https://w.example/?q=1&r=2", "w x"},
        {"http://w.example/b", "norm"},
    };
    expect_links(&extracted, links, sizeof links / sizeof links[0]);
    extracted_release(&extracted);
}

Test(extract, without_has_links_no_links_are_written)
{
    struct extracted extracted = {0};
    arena_init(&extracted.arena, ARENA_BYTES_MAX);
    buffer_init(&extracted.out, OUT_BYTES_MAX);
    struct extract_input input = {.body = slice_string("<p>words <a href=https://a.example>x</a>"),
                                  .content_type = slice_string("text/html")};
    cr_expect_eq(extract_document(&extracted.arena, &input, &extracted.out, &extracted.pairs),
                 OUTCOME_OK);
    cr_expect_eq(pair(&extracted, "links").size, 0u);
    cr_expect_neq(pair(&extracted, "text").size, 0u);
    extracted_release(&extracted);
}

Test(extract, an_unknown_type_is_unsupported_and_named)
{
    struct extracted extracted;
    extract(&extracted, slice_string("%PDF-1.4"), "https://example.org/a.pdf", "application/pdf");
    cr_expect_eq(extracted.outcome, OUTCOME_UNSUPPORTED);
    cr_expect_eq(extracted.pairs, 1u);
    expect_text(&extracted, "content_type", "application/pdf");
    extracted_release(&extracted);
}

Test(extract, an_empty_body_is_empty)
{
    struct extracted extracted;
    extract(&extracted, slice_of("", 0), "https://example.org/", "text/html");
    cr_expect_eq(extracted.outcome, OUTCOME_EMPTY);
    cr_expect_eq(extracted.pairs, 0u);
    extracted_release(&extracted);
}

/* Whatever the arena or the buffer lacks, the result is whole or not there at all. */
Test(extract, without_memory_nothing_is_written)
{
    static const char html[] =
        "<title>t</title><p>Some words of a text that is there, all of them in one "
        "block.<a href=https://a.example/>x</a>";
    struct extract_input input = {
        .body = slice_string(html), .content_type = slice_string("text/html"), .has_links = true};
    bool has_failed = false;
    bool has_worked = false;
    for (size_t limit = 0; limit < (4u << 20); limit += limit < 4096 ? 64 : 65536) {
        struct arena arena;
        struct buffer out;
        size_t pairs = 0;
        arena_init(&arena, limit);
        buffer_init(&out, OUT_BYTES_MAX);
        buffer_append_string(&out, "x");
        enum outcome outcome = extract_document(&arena, &input, &out, &pairs);
        has_failed = has_failed || outcome == OUTCOME_CHILD_MEMORY;
        has_worked = has_worked || outcome == OUTCOME_OK;
        cr_expect(outcome == OUTCOME_OK || (out.size == 1 && pairs == 0), "arena of %zu", limit);
        arena_release(&arena);
        buffer_release(&out);
    }
    for (size_t limit = 1; limit < 600; limit++) {
        struct arena arena;
        struct buffer out;
        size_t pairs = 0;
        arena_init(&arena, ARENA_BYTES_MAX);
        buffer_init(&out, limit);
        buffer_append_string(&out, "x");
        enum outcome outcome = extract_document(&arena, &input, &out, &pairs);
        cr_expect(outcome == OUTCOME_OK || (out.size == 1 && pairs == 0), "buffer of %zu", limit);
        cr_expect_eq(buffer_error(&out), OK);
        arena_release(&arena);
        buffer_release(&out);
    }
    cr_expect(has_failed && has_worked);
}

Test(extract, the_same_input_gives_the_same_bytes)
{
    struct extracted first;
    struct extracted second;
    static const char html[] =
        "<title>a</title><p>One of two, and no more than two. <a href=/x>x</a>";
    extract_string(&first, html);
    extract_string(&second, html);
    cr_expect(slice_equal(buffer_slice(&first.out), buffer_slice(&second.out)));
    extracted_release(&first);
    extracted_release(&second);
}

struct field_case {
    const char *html;
    const char *name;
    const char *value;
};

Test(extract, metadata_comes_from_the_place_most_trusted)
{
    static const struct field_case cases[] = {
        {"<title>Long headline of a page | Site</title>", "title", "Long headline of a page"},
        {"<title>A - B</title>", "title", "A - B"},
        {"<title>x</title><meta property=og:title content='An &amp; B'>", "title", "An & B"},
        {"<h1>Head</h1><title>Other</title>", "title", "Head"},
        {"<meta name=description content=' a  b '>", "description", "a b"},
        {"<meta name=date content=2020-01-02><meta property=article:published_time "
         "content=2020-01-03>",
         "published", "2020-01-03"},
        {"<time datetime=2019-05-06>x</time>", "published", "2019-05-06"},
        {"<script "
         "type=application/ld+json>{\"@type\":[\"NewsArticle\"],\"datePublished\":\"2018-07-08\"",
         "published", "2018-07-08"},
        {"<script "
         "type=application/ld+json>{\"@type\":\"Person\",\"headline\":\"no\"}</script><h1>yes</h1>",
         "title", "yes"},
        {"<script type=application/ld+json>[{\"headline\":\"\\u00e9\\ud83d\\ude00\\n x\",\"@type\":"
         "\"Article\"}]</script>",
         "title", "\xC3\xA9\xF0\x9F\x98\x80 x"},
        {"<script "
         "type=application/ld+json>[[[[{\"@type\":\"Article\",\"headline\":\"deep\"}]]]]</script>",
         "title", "deep"},
        {"<svg><script type=application/ld+json><g>x</g></script></svg><h1>drawn</h1>", "title",
         "drawn"},
        {"<html lang=fr><p>1 2 3", "language", "fr"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct extracted extracted;
        extract_string(&extracted, cases[i].html);
        char *value = text_of(&extracted, cases[i].name);
        cr_expect_str_eq(value, cases[i].value, "%s: %s", cases[i].html, value);
        extracted_release(&extracted);
    }
}

Test(extract, inline_elements_do_not_part_words_and_blocks_do)
{
    struct extracted extracted;
    extract_string(
        &extracted,
        "<body><div><p><b>T</b>he long first sentence of this text<br>goes on over a break, and "
        "<i>on</i><span>ward</span> to its end&shy;ing&nbsp;here.</p>tail of words that has no "
        "element of its own, but is one of the paragraphs.<p>Last of them, and it is long enough "
        "to be believed as well.</div>");
    expect_text(
        &extracted, "text",
        "The long first sentence of this text goes on over a break, and onward to its ending "
        "here.\n\ntail of words that has no element of its own, but is one of the "
        "paragraphs.\n\nLast of them, and it is long enough to be believed as well.");
    extracted_release(&extracted);
}
