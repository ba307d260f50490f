/*
 * The small readers that extraction is made of: types, dates, credits, class names.
 */
#include <string.h>

#include <criterion/criterion.h>

#include "worker/extract_metadata.h"
#include "worker/extract_page.h"
#include "worker/extract_result.h"

struct type_case {
    const char *header;
    const char *body;
    size_t size; /* 0: of the string */
    const char *type;
};

Test(extract_values, the_type_is_the_header_s_or_sniffed)
{
    static const struct type_case cases[] = {
        {"Text/HTML; charset=x", "plain", 0, "text/html"},
        {"text/plain", "<html>", 0, "text/plain"},
        {"text/plain", "%PDF-1.4\n\1\2", 0, "application/pdf"},
        {"application/pdf", "<html>", 0, "application/pdf"},
        {"", " \n<!DOCTYPE html><p>", 0, "text/html"},
        {"", "<p>a", 0, "text/html"},
        {"", "<pa", 0, "text/plain"},
        {"", "<!-- x --><b>", 0, "text/html"},
        {"", "<?xml version='1.0'?><rss>", 0, "text/xml"},
        {"", "<?xml version='1.0'?><html>", 0, "application/xhtml+xml"},
        {"application/octet-stream", "<body>", 0, "text/html"},
        {"bogus", "words", 0, "text/plain"},
        {"", "%PDF-1.7", 0, "application/pdf"},
        {"", "\x89PNG\r\n\x1A\n", 0, "image/png"},
        {"", "\xFF\xD8\xFF\xE0", 0, "image/jpeg"},
        {"", "PK\3\4", 0, "application/zip"},
        {"", "a\0b", 3, "application/octet-stream"},
        {"",
         "\xFF\xFE"
         "a\0",
         4, "text/plain"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char type[CONTENT_TYPE_BYTES];
        size_t size = cases[i].size == 0 ? strlen(cases[i].body) : cases[i].size;
        content_type_find(slice_string(cases[i].header), slice_of(cases[i].body, size), type);
        cr_expect_str_eq(type, cases[i].type, "case %zu: %s, not %s", i, type, cases[i].type);
    }
}

struct date_case {
    const char *text;
    const char *language;
    const char *date; /* NULL: none */
};

Test(extract_values, dates_are_read_in_the_forms_that_pages_use)
{
    static const struct date_case cases[] = {
        {"2021-10-11T05:32:01.000Z", "en", "2021-10-11T05:32:01Z"},
        {"2021-10-11T05:32:01+02:00", "en", "2021-10-11T05:32:01+02:00"},
        {"2021-01-01T00:30:00+0100", "en", "2021-01-01T00:30:00+01:00"},
        {"2020-02-28T23:30:00-05:00", "en", "2020-02-28T23:30:00-05:00"},
        {"2021-10-11 05:32 UTC", "en", "2021-10-11T05:32:00Z"},
        {"2021-10-11T05:32:01", "en", "2021-10-11"},
        {"2021-10-11", "", "2021-10-11"},
        {"20211011", "", "2021-10-11"},
        {"2021/10/1", "", "2021-10-01"},
        {"1633930321", "", "2021-10-11T05:32:01Z"},
        {"1633930321000", "", "2021-10-11T05:32:01Z"},
        {"Mon, 11 Oct 2021 05:32:01 GMT", "en", "2021-10-11T05:32:01Z"},
        {"Published October 11, 2021 at 5:32 pm", "en", "2021-10-11"},
        {"11th of October, 2021", "en", "2021-10-11"},
        {"11. Oktober 2021", "de", "2021-10-11"},
        {"11 de octubre de 2021", "es", "2021-10-11"},
        {"11 октября 2021", "ru", "2021-10-11"},
        {"11.10.2021", "de", "2021-10-11"},
        {"10/11/2021", "en-US", "2021-10-11"},
        {"10/11/2021", "en-GB", "2021-11-10"},
        {"25/12/2021", "en-US", "2021-12-25"},
        {"2021-13-40", "", NULL},
        {"2021-02-30", "", NULL},
        {"2020-02-29", "", "2020-02-29"},
        {"2021-02-29", "", NULL},
        {"1821-10-11", "", NULL},
        {"call 555-0199 or 12", "", NULL},
        {"", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char date[DATE_TEXT_BYTES] = "";
        bool is_found =
            date_find(slice_string(cases[i].text), slice_string(cases[i].language), date);
        cr_expect_str_eq(date, cases[i].date == NULL ? "" : cases[i].date, "%s: %s", cases[i].text,
                         date);
        cr_expect_eq(is_found, cases[i].date != NULL, "%s", cases[i].text);
    }
}

struct credit_case {
    const char *line;
    bool is_credit;
};

Test(extract_values, only_lines_that_are_no_more_than_a_label_are_credits)
{
    static const struct credit_case cases[] = {
        {"Image source, REUTERS", true},
        {"Image credit, GETTY IMAGES", true},
        {"Image annotated with text.", true},
        {"Video annotated with text.", true},
        {"Photo: H. Berg", true},
        {"Photo by Ann Lee", true},
        {"Фото: Пресс-служба", true},
        {"Images of the flood went round the world.", false},
        {"Video games are sold out again.", false},
        {"Photographers waited outside.", false},
        {"Image source code is what the lawyers asked the company for in the second week of the "
         "trial.",
         false},
        {"A caption may stay.", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(phrase_is_credit(slice_string(cases[i].line)), cases[i].is_credit, "%s",
                     cases[i].line);
    }
}

struct class_case {
    const char *names;
    uint32_t has;
    uint32_t has_not;
};

Test(extract_values, class_names_are_split_at_marks_and_capitals)
{
    static const struct class_case cases[] = {
        {"articleBody", TOKEN_STRONG, 0},
        {"article__body", TOKEN_STRONG, 0},
        {"x ARTICLE-BODY", 0, TOKEN_NAV},
        {"article body", TOKEN_WEAK, TOKEN_STRONG},
        {"main-menu", TOKEN_NAV, 0},
        {"socialShare", TOKEN_SHARE, 0},
        {"elementor-widget", 0, TOKEN_SIDE},
        {"right-sidebar", TOKEN_SIDE, 0},
        {"has-sidebar", 0, TOKEN_SIDE},
        {"header", TOKEN_HEAD, TOKEN_AD},
        {"download", 0, TOKEN_AD},
        {"", 0, UINT32_MAX},
        {"a-very-long-name-without-any-meaning-at-all-in-it-and-another-"
         "averyveryveryveryveryverylongword",
         0, TOKEN_STRONG},
    };
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct token_table *table = token_table_create(&arena);
    cr_assert_not_null(table);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t classes = token_classes(table, slice_string(cases[i].names));
        cr_expect_eq(classes & cases[i].has, cases[i].has, "%s", cases[i].names);
        cr_expect_eq(classes & cases[i].has_not, 0u, "%s", cases[i].names);
    }
    arena_release(&arena);
}
