/* URLs from other people: the web platform's cases, naughty strings, and random ones. */
#include "common/url.h"

#include <criterion/criterion.h>

#include "tests/unit/url_checks.h"
#include "tests/unit/vectors.h"

#define BASE "http://example.org/foo/bar"

/* Where we differ from the URL Standard on purpose. A case is named by its input and base. */
struct difference {
    const char *input;
    const char *base;
    const char *ours; /* NULL: refused */
    const char *reason;
};

static const char port_zero[] = "nothing listens on port 0";
static const char backslash[] = "a backslash in the authority is read as two hosts by two parsers";
static const char empty_userinfo[] =
    "an @ in the authority is refused, though nothing stands before";
static const char percent[] = "a percent sign in the authority hides the host";
static const char upper_hex[] = "RFC 3986, 6.2.2.1: hex digits of escapes in upper case";
static const char unreserved[] = "RFC 3986, 6.2.2.2: unreserved characters are not escaped";
static const char local_file[] = "a page of the network may not name local files";

static const struct difference differences[] = {
    {"http://f:0/c", BASE, NULL, port_zero},
    {"http://f:00000000000000/c", BASE, NULL, port_zero},
    {"\\\\x\\hello", BASE, NULL, backslash},
    {"http:\\\\foo.com\\", BASE, NULL, backslash},
    {"http:\\\\a\\b:c\\d@foo.com\\", BASE, NULL, backslash},
    {"/a%2fc", BASE, "http://example.org/a%2Fc", upper_hex},
    {"/a/%2f/c", BASE, "http://example.org/a/%2F/c", upper_hex},
    {"http://example.com/%3A%3a%3C%3c", NULL, "http://example.com/%3A%3A%3C%3C", upper_hex},
    {"http://example.com/foo/%2e%2", NULL, "http://example.com/foo/.%2", unreserved},
    {"http://example.com/foo%41%7a", NULL, "http://example.com/fooAz", unreserved},
    {"http:@www.example.com", NULL, NULL, empty_userinfo},
    {"http://@www.example.com", NULL, NULL, empty_userinfo},
    {"http://:@www.example.com", NULL, NULL, empty_userinfo},
    {"http://@pple.com", NULL, NULL, empty_userinfo},
    {"file:...", "http://www.example.com/test", NULL, local_file},
    {"file:a", "http://www.example.com/test", NULL, local_file},
    {"file:.", "http://www.example.com/test", NULL, local_file},
    {"http://%30%78%63%30%2e%30%32%35%30.01", "http://other.com/", NULL, percent},
    {"https://%e2%98%83", NULL, NULL, percent},
    {"https://a%C2%ADb/", NULL, NULL, percent},
};

/* Hosts that libidn2 judges otherwise than the standard; a newer libidn2 may come to agree. */
static const struct {
    const char *input;
    const char *reason;
} host_differences[] = {
    {"a†--", "libidn2 checks hyphens in names that are not ASCII; none can be registered"},
    {"-†", "libidn2 checks hyphens in names that are not ASCII; none can be registered"},
    {"x01234567890123456789012345678901234567890123456789012345678901†",
     "label over 63 bytes: DNS has no such name"},
    {"look\u180eout.net", "ignored since Unicode 15.1; libidn2 2.3.3 has older tables"},
    {"look\u206bout.net", "ignored since Unicode 15.1; libidn2 2.3.3 has older tables"},
    {"\u04c0.com", "mapped since Unicode 15.1; libidn2 2.3.3 has older tables"},
    {"\U0002f868.com", "mapped since Unicode 15.1; libidn2 2.3.3 has older tables"},
    {"\u2183.com", "mapped since Unicode 15.1; libidn2 2.3.3 has older tables"},
};

static const struct difference *
difference_of(const char *input, const char *base)
{
    for (size_t i = 0; i < COUNT_OF(differences); i++) {
        const struct difference *row = &differences[i];
        bool is_same_base =
            base == NULL || row->base == NULL ? base == row->base : strcmp(base, row->base) == 0;
        if (is_same_base && strcmp(input, row->input) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool
starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool
has_member(const cJSON *row, const char *name)
{
    const char *text = vector_text(row, name);
    return text != NULL && text[0] != '\0';
}

/* The rules of refusal that need no table: foreign schemes, userinfo, files on other machines. */
static bool
is_refused_by_rule(const cJSON *row)
{
    const char *href = vector_text(row, "href");
    const char *base = vector_text(row, "base");
    if (href == NULL || has_member(row, "username") || has_member(row, "password")) {
        return true;
    }
    if (starts_with(href, "file:")) {
        /* With such a base ours refuses the base, and a reference has none to lean on. */
        bool base_has_host = base != NULL && starts_with(base, "file://") && base[7] != '/';
        bool is_relative = !starts_with(vector_text(row, "input"), "file:");
        return has_member(row, "host") || (base_has_host && is_relative);
    }
    return !starts_with(href, "http:") && !starts_with(href, "https:");
}

static void
check_standard_case(const cJSON *row, size_t *differing_count)
{
    static char copy[VECTOR_TEXT_BYTES_MAX];
    const char *input = vector_text(row, "input");
    const char *base = vector_text(row, "base");
    const struct difference *difference = difference_of(input, base);
    char want[URL_BYTES_MAX + 1] = "";
    bool is_refused = is_refused_by_rule(row);
    if (difference != NULL) {
        *differing_count += 1;
        is_refused = difference->ours == NULL;
        snprintf(want, sizeof want, "%s", is_refused ? "" : difference->ours);
    } else if (!is_refused) {
        const char *href = vector_text(row, "href");
        snprintf(want, sizeof want, "%.*s", (int)strcspn(href, "#"), href);
    }
    struct url url;
    url_reason reason = NULL;
    enum error error = parse_against(base, vector_slice(input, copy), &url, &reason);
    if (is_refused) {
        /* "file:C:/" needs no base, though the case has one that ours refuses. */
        bool needs_no_base = error == OK && base != NULL && starts_with(base, "file://host") &&
                             starts_with(input, "file:") && url.scheme == URL_FILE;
        cr_assert(error == ERROR_INVALID || needs_no_base, "%s accepted: %s", input, url.text);
        cr_assert(error == OK || reason != NULL);
        return;
    }
    cr_assert_eq(error, OK, "%s refused: %s", input, reason);
    cr_assert_str_eq(url.text, want, "%s gives %s, not %s", input, url.text, want);
    check_canonical(&url);
}

Test(url, web_platform_cases_come_out_as_in_browsers)
{
    cJSON *document = vectors_load(SHARED_DATA "/vectors/url/urltestdata-part.json");
    if (document == NULL) {
        cr_skip_test("no shared data");
    }
    const cJSON *row;
    size_t count = 0;
    size_t differing_count = 0;
    cJSON_ArrayForEach(row, document)
    {
        check_standard_case(row, &differing_count);
        count++;
    }
    cr_assert_eq(count, 669);
    cr_assert_eq(differing_count, COUNT_OF(differences), "a row of the table is used by no case");
    cJSON_Delete(document);
}

static void
check_host_case(const char *input, const char *output)
{
    char text[1024];
    char want[1024];
    struct url url;
    url_reason reason = NULL;
    bool may_differ = false;
    for (size_t i = 0; i < COUNT_OF(host_differences); i++) {
        may_differ = may_differ || strcmp(input, host_differences[i].input) == 0;
    }
    snprintf(text, sizeof text, "http://%s/x", input);
    enum error error = url_parse(text_slice(text), &url, &reason);
    if (output == NULL || strlen(output) > URL_HOST_BYTES_MAX) {
        cr_assert_eq(error, ERROR_INVALID, "%s accepted as %s", input, url.text);
        return;
    }
    if (may_differ && error == ERROR_INVALID) {
        return;
    }
    cr_assert_eq(error, OK, "%s refused: %s", input, reason);
    snprintf(want, sizeof want, "http://%s/x", output);
    cr_assert_str_eq(url.text, want);
    check_canonical(&url);
}

Test(url, hosts_become_ascii_as_in_browsers)
{
    cJSON *document = vectors_load(SHARED_DATA "/vectors/url/toascii.json");
    if (document == NULL) {
        cr_skip_test("no shared data");
    }
    const cJSON *row;
    size_t count = 0;
    cJSON_ArrayForEach(row, document)
    {
        if (cJSON_IsObject(row)) {
            check_host_case(vector_text(row, "input"), vector_text(row, "output"));
            count++;
        }
    }
    cr_assert_gt(count, 80);
    cJSON_Delete(document);
}

static void
check_if_accepted(const char *base, struct slice input)
{
    struct url url;
    url_reason reason = NULL;
    if (parse_against(base, input, &url, &reason) == OK) {
        check_canonical(&url);
    } else {
        cr_assert_not_null(reason);
    }
}

Test(url, naughty_strings_are_refused_or_made_canonical)
{
    cJSON *document = vectors_load(SHARED_DATA "/vectors/strings/blns.json");
    if (document == NULL) {
        cr_skip_test("no shared data");
    }
    static const char *const frames[] = {
        "%s",           "http://%s/", "http://a/%s", "https://a/?%s",
        "http://a:%s/", "file:///%s", "file:%s",     "http://%s.example/x"};
    const cJSON *row;
    static char text[VECTOR_TEXT_BYTES_MAX];
    cJSON_ArrayForEach(row, document)
    {
        for (size_t i = 0; i < COUNT_OF(frames); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(text, sizeof text, frames[i], cJSON_GetStringValue(row));
#pragma GCC diagnostic pop
            check_if_accepted(NULL, text_slice(text));
            check_if_accepted(BASE, text_slice(text));
            check_if_accepted("file:///C:/a/b", text_slice(text));
        }
    }
    cJSON_Delete(document);
}

/* Pieces that matter to the parser, put together at random. */
Test(url, random_urls_parse_again_to_themselves)
{
    static const char *const pieces[] = {
        "http:", "https:", "file:", "//",   "/",   "\\",    "?",         "#",      ".",   "..",
        "%2e",   "%2E",    "%",     "%4",   "%41", "%34",   "%25",       "%7e",    "%7E", "%2F",
        "%zz",   "a",      "C:",    "C|",   "%43", ":",     "80",        ":443",   "@",   "[::1]",
        "[",     "]",      "0x7f",  "127",  "1",   "é",     "ß",         "\u3002", "\t",  "\xff",
        "^`{}",  "|'\"<>", " ",     "xn--", "com", "é.com", "localhost", "+",      "&x=", "~"};
    static const char *const bases[] = {NULL, BASE, "https://h/?q", "file:///C:/a/b",
                                        "file:///x/y?z"};
    uint64_t state = 42; /* the seed: the same URLs in every run */
    size_t accepted_count = 0;
    for (size_t round = 0; round < 200000; round++) {
        char text[256];
        size_t size = 0;
        size_t piece_count = 1 + (size_t)(state >> 40) % 12;
        for (size_t i = 0; i < piece_count; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const char *piece = pieces[(size_t)(state >> 33) % COUNT_OF(pieces)];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        struct url url;
        url_reason reason = NULL;
        const char *base = bases[round % COUNT_OF(bases)];
        if (parse_against(base, slice_of(text, size), &url, &reason) == OK) {
            check_canonical(&url);
            accepted_count++;
        }
    }
    cr_assert_gt(accepted_count, 50000);
}
