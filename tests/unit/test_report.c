#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "tests/unit/attempt_checks.h"
#include "worker/report.h"

struct fixture {
    struct arena arena;
    struct lease lease;
    struct attempt attempt;
    struct report report;
    struct buffer message;
    struct buffer text;
};

static void
begin(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    arena_init(&fixture->arena, 1 << 20);
    fixture->lease.fence = 77;
    snprintf(fixture->lease.task, sizeof fixture->lease.task, "%s", "0123abcd000000000f");
    fixture->lease.attempt = 2;
    fixture->lease.url = slice_string("http://a.example/");
    attempt_init(&fixture->attempt, &fixture->lease, &fixture->arena, 5);
    fixture->report = (struct report){.attempt = &fixture->attempt,
                                      .worker = "w1",
                                      .since_request_ms = -1,
                                      .timing = {-1, -1, -1, -1, -1, -1}};
    buffer_init(&fixture->message, 1 << 20);
    buffer_init(&fixture->text, 1 << 20);
}

static void
end(struct fixture *fixture)
{
    buffer_release(&fixture->message);
    buffer_release(&fixture->text);
    arena_release(&fixture->arena);
}

static const char *
result(struct fixture *fixture)
{
    buffer_clear(&fixture->message);
    buffer_clear(&fixture->text);
    report_write_result(&fixture->report, &fixture->message);
    cr_assert_eq(message_scan(buffer_slice(&fixture->message)), OK);
    cr_assert_eq(json_from_message(&fixture->text, buffer_slice(&fixture->message)), OK);
    return buffer_text(&fixture->text);
}

/* The row as the outbox writes it. */
static const char *
row(struct fixture *fixture)
{
    struct buffer pairs;
    size_t count = 0;

    buffer_init(&pairs, 1 << 16);
    report_write_row(&fixture->report, &pairs, &count);
    buffer_clear(&fixture->message);
    buffer_clear(&fixture->text);
    write_map(&fixture->message, count);
    buffer_append(&fixture->message, pairs.data, pairs.size);
    buffer_release(&pairs);
    cr_assert_eq(json_from_message(&fixture->text, buffer_slice(&fixture->message)), OK);
    return buffer_text(&fixture->text);
}

Test(report, a_page_has_all_that_is_known)
{
    struct fixture fixture;
    struct buffer pairs;
    struct buffer headers;
    struct buffer meta;

    begin(&fixture);
    buffer_init(&pairs, 1000);
    buffer_init(&headers, 1000);
    buffer_init(&meta, 1000);
    write_string(&pairs, "content_type");
    write_string(&pairs, "text/html");
    write_string(&pairs, "language");
    write_string(&pairs, "en");
    write_string(&pairs, "text");
    write_string(&pairs, "Hello");
    write_map(&headers, 1);
    write_string(&headers, "server");
    write_string(&headers, "x");
    write_map(&meta, 1);
    write_string(&meta, "from");
    write_uint(&meta, 3);
    fixture.lease.meta = buffer_slice(&meta);
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 301, "/b", 0), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 301, "/c", 0), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 200, NULL, 9), ATTEMPT_EXTRACT);
    cr_assert_eq(attempt_extracted(&fixture.attempt, OUTCOME_OK, ""), ATTEMPT_REPORT);
    fixture.report.headers = buffer_slice(&headers);
    fixture.report.content_type = slice_string("TEXT/plain; charset=x");
    fixture.report.fetched_at = 1000;
    fixture.report.bytes_received = 900;
    fixture.report.bytes_decoded = 1800;
    fixture.report.is_truncated = true;
    fixture.report.timing = (struct report_timing){0.5, 1, -1, 2, 3.6, 0.25};
    fixture.report.pairs = buffer_slice(&pairs);
    fixture.report.pair_count = 3;
    cr_expect(report_has_result(&fixture.report));
    cr_expect_str_eq(
        result(&fixture),
        "{\"version\":1,\"task\":\"0123abcd000000000f\",\"url\":\"http://a.example/\","
        "\"final_url\":\"http://a.example/c\",\"redirects\":[\"http://a.example/b\"],"
        "\"attempt\":2,\"worker\":\"w1\",\"outcome\":\"ok\",\"http_status\":200,"
        "\"headers\":{\"server\":\"x\"},\"fetched_at\":1000,\"bytes_received\":900,"
        "\"bytes_decoded\":1800,\"truncated\":true,\"timing\":{\"dns_ms\":0.5,\"connect_ms\":1,"
        "\"first_byte_ms\":2,\"total_ms\":3.6,\"extract_ms\":0.25},\"meta\":{\"from\":3},"
        "\"content_type\":\"text/html\",\"language\":\"en\",\"text\":\"Hello\"}");
    cr_expect_str_eq(row(&fixture),
                     "{\"fence\":77,\"task\":\"0123abcd000000000f\",\"outcome\":\"ok\","
                     "\"http_status\":200,\"bytes\":900,\"fetch_ms\":4,\"extract_us\":250,"
                     "\"content_type\":\"text/html\",\"language\":\"en\",\"text_bytes\":5}");
    buffer_release(&pairs);
    buffer_release(&headers);
    buffer_release(&meta);
    end(&fixture);
}

Test(report, the_chain_over_hosts_begins_with_the_first_url)
{
    struct fixture fixture;

    begin(&fixture);
    fixture.lease.redirects[0] = slice_string("http://first.example/");
    fixture.lease.redirects[1] = slice_string("http://second.example/");
    fixture.lease.redirect_count = 2;
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 301, "/b", 0), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 404, NULL, 3), ATTEMPT_REPORT);
    cr_expect_str_eq(
        result(&fixture),
        "{\"version\":1,\"task\":\"0123abcd000000000f\",\"url\":\"http://first.example/\","
        "\"final_url\":\"http://a.example/b\",\"redirects\":[\"http://second.example/\","
        "\"http://a.example/\"],\"attempt\":2,\"worker\":\"w1\","
        "\"outcome\":\"http_client_error\",\"http_status\":404,\"timing\":{}}");
    end(&fixture);
}

Test(report, a_move_has_a_location_and_no_result)
{
    struct fixture fixture;

    begin(&fixture);
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 302, "http://b.example/", 0), ATTEMPT_REPORT);
    cr_expect_not(report_has_result(&fixture.report));
    cr_expect_str_eq(row(&fixture),
                     "{\"fence\":77,\"task\":\"0123abcd000000000f\",\"outcome\":\"moved\","
                     "\"http_status\":302,\"location\":\"http://b.example/\"}");
    end(&fixture);
}

Test(report, a_retry_says_when_and_why)
{
    struct fixture fixture;

    begin(&fixture);
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    attempt_end(&fixture.attempt, OUTCOME_RATE_LIMITED, "slow down");
    fixture.report.retry_after_ms = 5000;
    cr_expect(report_has_result(&fixture.report), "it may be the last attempt");
    cr_expect_str_eq(row(&fixture), "{\"fence\":77,\"task\":\"0123abcd000000000f\","
                                    "\"outcome\":\"rate_limited\",\"retry_after_ms\":5000,"
                                    "\"reason\":\"slow down\"}");
    end(&fixture);
}

Test(report, a_claimed_type_counts_where_nothing_was_extracted)
{
    static const struct {
        const char *header;
        const char *type; /* NULL: none */
    } rows[] = {
        {"Text/HTML; charset=utf-8", "text/html"},
        {"application/pdf", "application/pdf"},
        {"", NULL},
        {"nonsense", NULL},
        {"; a/b", NULL},
        {"text/\xe9", "text/"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        char expected[64];
        begin(&fixture);
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        cr_assert_eq(attempt_answered(&fixture.attempt, 404, NULL, 3), ATTEMPT_REPORT);
        fixture.report.content_type = slice_string(rows[i].header);
        const char *text = row(&fixture);
        snprintf(expected, sizeof expected, "\"content_type\":\"%s\"",
                 rows[i].type == NULL ? "" : rows[i].type);
        cr_expect_eq(strstr(text, expected) != NULL, rows[i].type != NULL, "%s in %s", expected,
                     text);
        cr_expect_eq(strstr(text, "content_type") != NULL, rows[i].type != NULL, "%s", text);
        end(&fixture);
    }
}

Test(report, raw_bytes_ride_along_when_kept)
{
    struct fixture fixture;

    begin(&fixture);
    fixture.lease.has_body = true;
    fixture.lease.url = slice_string("name:x");
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_EXTRACT);
    cr_assert_eq(attempt_extracted(&fixture.attempt, OUTCOME_OK, NULL), ATTEMPT_REPORT);
    fixture.report.raw = slice_string("abc");
    cr_expect(strstr(result(&fixture), "\"raw\":\"YWJj\"") != NULL);
    cr_expect(strstr(result(&fixture), "\"final_url\":\"name:x\"") != NULL);
    end(&fixture);
}

Test(report, says_how_long_ago_the_last_request_began)
{
    struct fixture fixture;
    begin(&fixture);
    attempt_end(&fixture.attempt, OUTCOME_TIMED_OUT, "");
    cr_assert_null(strstr(row(&fixture), "since_request_ms"));
    fixture.report.since_request_ms = 0;
    cr_assert_not_null(strstr(row(&fixture), "\"since_request_ms\":0"));
    fixture.report.since_request_ms = 1250;
    cr_assert_not_null(strstr(row(&fixture), "\"since_request_ms\":1250"));
    end(&fixture);
}
