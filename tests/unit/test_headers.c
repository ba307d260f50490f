#include <criterion/criterion.h>
#include <string.h>

#include "common/json.h"
#include "common/message.h"
#include "worker/headers.h"
#include "worker/http_date.h"

#define BYTES_MAX 4096

/* Lines divided by \n, each kept with its line end; the verdict of the first that is not good. */
static enum headers_verdict
feed(struct headers *headers, const char *text, size_t size)
{
    const char *reason = NULL;

    while (size > 0) {
        const char *line_end = memchr(text, '\n', size);
        size_t line = line_end == NULL ? size : (size_t)(line_end - text) + 1;
        enum headers_verdict verdict = headers_add(headers, slice_of(text, line), &reason);
        if (verdict != HEADERS_GOOD) {
            cr_assert_not_null(reason);
            return verdict;
        }
        text += line;
        size -= line;
    }
    return HEADERS_GOOD;
}

static bool
value_is(const struct headers *headers, const char *name, const char *value)
{
    return slice_equal(headers_get(headers, name), slice_string(value));
}

Test(headers, names_are_lower_case_and_values_trimmed)
{
    struct headers headers;
    const char text[] = "HTTP/1.1 200 OK\r\nContent-Type:  text/html \t\r\nX-A:\r\n\r\n";

    headers_init(&headers, BYTES_MAX);
    cr_assert_eq(feed(&headers, text, sizeof text - 1), HEADERS_GOOD);
    cr_expect(value_is(&headers, "content-type", "text/html"));
    cr_expect(value_is(&headers, "x-a", ""));
    cr_expect_null(headers_get(&headers, "x-b").data);
    cr_expect_eq(headers.status, 200);
    cr_expect(headers.is_whole);
    cr_expect_eq(headers.bytes, sizeof text - 1);
    headers_release(&headers);
}

Test(headers, verdicts)
{
#define ROW(text, verdict)             \
    {                                  \
        text, sizeof text - 1, verdict \
    }
    static const struct {
        const char *text;
        size_t size;
        enum headers_verdict verdict;
    } rows[] = {
        ROW("HTTP/1.1 200 OK\r\nA: b\r\n", HEADERS_GOOD),
        ROW("HTTP/1.1 200 OK\nA: b\n\n", HEADERS_GOOD),
        ROW("HTTP/2 200 \r\na: b\r\n\r\n", HEADERS_GOOD),
        ROW("HTTP/1.1 200 OK\r\nno colon\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\n: no name\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\nA: b\rc\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\nA: b\0c\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\n\tA: b\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-length: 5\r\n", HEADERS_GOOD),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-length: 6\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length : 6\r\n", HEADERS_GOOD),
        ROW("HTTP/1.1 302 Go\r\nLocation: /a\r\nlocation: /a\r\n", HEADERS_GOOD),
        ROW("HTTP/1.1 302 Go\r\nLocation: /a\r\nlocation: /b\r\n", HEADERS_BAD),
        ROW("HTTP/1.1 302 Go\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n", HEADERS_GOOD),
    };
#undef ROW

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct headers headers;
        headers_init(&headers, BYTES_MAX);
        cr_expect_eq(feed(&headers, rows[i].text, rows[i].size), rows[i].verdict, "%s",
                     rows[i].text);
        headers_release(&headers);
    }
}

Test(headers, interim_answers_are_forgotten_and_trailers_dropped)
{
    struct headers headers;
    const char text[] = "HTTP/1.1 103 Early Hints\r\nLocation: /x\r\nA: 1\r\n\r\n"
                        "HTTP/1.1 200 OK\r\nLocation: /y\r\nB: 2\r\n\r\nA: 3\r\nno colon\r\n";

    headers_init(&headers, BYTES_MAX);
    cr_assert_eq(feed(&headers, text, sizeof text - 1), HEADERS_GOOD);
    cr_expect(value_is(&headers, "location", "/y"));
    cr_expect_null(headers_get(&headers, "a").data);
    cr_expect_eq(headers.count, 2);
    headers_release(&headers);
}

Test(headers, bytes_and_lines_are_bounded)
{
    struct headers headers;
    const char *reason = NULL;
    enum headers_verdict verdict = HEADERS_GOOD;
    size_t lines = 0;

    headers_init(&headers, 1 << 20);
    for (; verdict == HEADERS_GOOD; lines++) {
        verdict = headers_add(&headers, slice_string("a: b\r\n"), &reason);
    }
    cr_expect_eq(verdict, HEADERS_TOO_LARGE);
    cr_expect_eq(lines, HEADERS_LINES_MAX + 1);
    headers_release(&headers);

    /* Interim answers count too: endless 1xx must end. */
    headers_init(&headers, BYTES_MAX);
    size_t bytes = 0;
    do {
        verdict = headers_add(&headers, slice_string("HTTP/1.1 100 Continue, please\r\n"), &reason);
        bytes += 31;
    } while (verdict == HEADERS_GOOD && bytes < 1 << 20);
    cr_expect_eq(verdict, HEADERS_TOO_LARGE);
    cr_expect_lt(bytes, 2 * BYTES_MAX + 64);
    headers_release(&headers);
}

Test(headers, the_map_joins_repeated_names_and_repairs_text)
{
    struct headers headers;
    struct buffer map;
    struct buffer text;
    const char lines[] =
        "HTTP/1.1 200 OK\r\nA: 1\r\nB: caf\xe9\r\nA: 2\r\nC: \xc3\xa9\r\na:3\r\n\r\n";

    headers_init(&headers, BYTES_MAX);
    buffer_init(&map, BYTES_MAX);
    buffer_init(&text, BYTES_MAX);
    cr_assert_eq(feed(&headers, lines, sizeof lines - 1), HEADERS_GOOD);
    headers_write(&headers, &map);
    cr_assert_eq(json_from_message(&text, buffer_slice(&map)), OK);
    cr_expect_str_eq(buffer_text(&text),
                     "{\"a\":\"1, 2, 3\",\"b\":\"caf\xc3\xa9\",\"c\":\"\xc3\xa9\"}");
    buffer_release(&text);
    buffer_release(&map);
    headers_release(&headers);
}

#define NOW_AT INT64_C(784111777000) /* 1994-11-06 08:49:37, the example of RFC 9110 */

Test(http_date, all_three_forms_are_read)
{
    static const struct {
        const char *text;
        int64_t at; /* -1: not a date */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", NOW_AT},
        {"Sunday, 06-Nov-94 08:49:37 GMT", NOW_AT},
        {"Sun Nov  6 08:49:37 1994", NOW_AT},
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 12:00:00 GMT", INT64_C(1709208000000)},
        {"Tue, 19 Jan 2038 03:14:08 GMT", INT64_C(2147483648000)},
        {"Friday, 31-Dec-99 23:59:59 GMT", INT64_C(946684799000)},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 32 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nvo 1994 08:49:37 GMT", -1},
        {"Sun", -1},
        {"", -1},
        {"Sun, ", -1},
        {"1994-11-06T08:49:37Z", -1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t at = -1;
        bool is_date = http_date_parse(slice_string(rows[i].text), NOW_AT, &at);
        cr_expect_eq(is_date, rows[i].at >= 0, "%s", rows[i].text);
        cr_expect_eq(at, rows[i].at, "%s gives %lld", rows[i].text, (long long)at);
    }
}

Test(http_date, retry_after_in_both_forms_and_capped)
{
    static const struct {
        const char *value;
        int64_t wait_ms;
    } rows[] = {
        {"120", 120000},
        {"0", 0},
        {"", 0},
        {"-5", 0},
        {"12x", 0},
        {"soon", 0},
        {"99999999999999999999", RETRY_AFTER_MAX_MS},
        {"9999999999", RETRY_AFTER_MAX_MS},
        {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
        {"Sun, 06 Nov 1994 08:48:37 GMT", 0},
        {"Sun, 06 Nov 2094 08:48:37 GMT", RETRY_AFTER_MAX_MS},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cr_expect_eq(retry_after_ms(slice_string(rows[i].value), NOW_AT), rows[i].wait_ms, "%s",
                     rows[i].value);
    }
}
