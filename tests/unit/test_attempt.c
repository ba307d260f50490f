#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/attempt_checks.h"

#define REDIRECTS_MAX 5

struct fixture {
    struct arena arena;
    struct lease lease;
    struct attempt attempt;
};

static void
begin(struct fixture *fixture, const char *url)
{
    memset(fixture, 0, sizeof *fixture);
    arena_init(&fixture->arena, 1 << 20);
    fixture->lease.fence = 7;
    fixture->lease.url = slice_string(url);
    attempt_init(&fixture->attempt, &fixture->lease, &fixture->arena, REDIRECTS_MAX);
}

static void
end(struct fixture *fixture)
{
    arena_release(&fixture->arena);
}

static bool
target_is(const struct fixture *fixture, const char *url)
{
    return slice_equal(attempt_url(&fixture->attempt), slice_string(url));
}

Test(attempt, a_page_is_fetched_extracted_and_reported)
{
    struct fixture fixture;

    begin(&fixture, "http://a.example/x");
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert(target_is(&fixture, "http://a.example/x"));
    cr_assert_eq(attempt_answered(&fixture.attempt, 200, NULL, 10), ATTEMPT_EXTRACT);
    cr_assert_eq(fixture.attempt.state, ATTEMPT_EXTRACTING);
    cr_assert_eq(attempt_extracted(&fixture.attempt, OUTCOME_UNSUPPORTED, "a picture"),
                 ATTEMPT_REPORT);
    cr_assert_eq(fixture.attempt.state, ATTEMPT_ENDED);
    cr_assert_eq(fixture.attempt.outcome, OUTCOME_UNSUPPORTED);
    cr_assert_str_eq(fixture.attempt.reason, "a picture");
    cr_assert_eq(fixture.attempt.status, 200);
    end(&fixture);
}

Test(attempt, a_document_skips_the_fetch)
{
    struct fixture fixture;

    begin(&fixture, "name:notes");
    fixture.lease.has_body = true;
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_EXTRACT);
    cr_assert(target_is(&fixture, "name:notes"));
    end(&fixture);
}

Test(attempt, what_cannot_be_fetched_ends_as_bad_url)
{
    static const char *const urls[] = {
        "ftp://a.example/", "file:///etc/passwd",     "name:x",
        "http://",          "http://user@a.example/", "http://a.example:0/"};

    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fixture fixture;
        begin(&fixture, urls[i]);
        cr_expect_eq(attempt_begin(&fixture.attempt), ATTEMPT_REPORT, "%s", urls[i]);
        cr_expect_eq(fixture.attempt.outcome, OUTCOME_BAD_URL, "%s", urls[i]);
        end(&fixture);
    }
}

Test(attempt, statuses_map_to_outcomes)
{
    static const struct {
        int status;
        size_t body_bytes;
        enum outcome outcome;
    } rows[] = {
        {200, 0, OUTCOME_EMPTY},
        {204, 5, OUTCOME_EMPTY},
        {205, 5, OUTCOME_EMPTY},
        {206, 5, OUTCOME_PROTOCOL_ERROR},
        {300, 5, OUTCOME_REDIRECT_BAD},
        {302, 5, OUTCOME_REDIRECT_BAD},
        {304, 0, OUTCOME_NOT_MODIFIED},
        {400, 5, OUTCOME_HTTP_CLIENT_ERROR},
        {404, 5, OUTCOME_HTTP_CLIENT_ERROR},
        {429, 5, OUTCOME_RATE_LIMITED},
        {451, 5, OUTCOME_HTTP_CLIENT_ERROR},
        {500, 5, OUTCOME_HTTP_SERVER_ERROR},
        {503, 5, OUTCOME_RATE_LIMITED},
        {504, 5, OUTCOME_HTTP_SERVER_ERROR},
        {600, 5, OUTCOME_PROTOCOL_ERROR},
        {100, 0, OUTCOME_PROTOCOL_ERROR},
        {0, 0, OUTCOME_PROTOCOL_ERROR},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        begin(&fixture, "http://a.example/");
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        cr_expect_eq(attempt_answered(&fixture.attempt, rows[i].status, NULL, rows[i].body_bytes),
                     ATTEMPT_REPORT, "%d", rows[i].status);
        cr_expect_eq(fixture.attempt.outcome, rows[i].outcome, "%d gives %s", rows[i].status,
                     outcome_name(fixture.attempt.outcome));
        end(&fixture);
    }
}

Test(attempt, a_failed_fetch_keeps_its_outcome_and_reason)
{
    struct fixture fixture;
    struct attempt_answer answer = {.outcome = OUTCOME_STALLED, .reason = "slow", .status = 200};

    begin(&fixture, "http://a.example/");
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_fetched(&fixture.attempt, &answer), ATTEMPT_REPORT);
    cr_assert_eq(fixture.attempt.outcome, OUTCOME_STALLED);
    cr_assert_str_eq(fixture.attempt.reason, "slow");
    end(&fixture);
}

Test(attempt, a_redirect_on_the_same_host_is_followed)
{
    static const int statuses[] = {301, 302, 303, 307, 308};

    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct fixture fixture;
        begin(&fixture, "http://a.example/x/y?q");
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        cr_assert_eq(attempt_answered(&fixture.attempt, statuses[i], "../z", 0), ATTEMPT_FETCH);
        cr_assert(target_is(&fixture, "http://a.example/z"));
        cr_assert(slice_equal(fixture.attempt.target.host, slice_string("a.example")));
        cr_assert(slice_equal(fixture.attempt.target.path, slice_string("/z")));
        /* From http to https, and to another port, it is still the same host. */
        cr_assert_eq(attempt_answered(&fixture.attempt, 301, "https://A.example/z", 0),
                     ATTEMPT_FETCH);
        cr_assert(target_is(&fixture, "https://a.example/z"));
        cr_assert_eq(fixture.attempt.left_count, 2);
        cr_assert(slice_equal(fixture.attempt.left[0], slice_string("http://a.example/x/y?q")));
        cr_assert(slice_equal(fixture.attempt.left[1], slice_string("http://a.example/z")));
        end(&fixture);
    }
}

Test(attempt, a_redirect_to_another_host_is_the_brokers)
{
    struct fixture fixture;

    begin(&fixture, "http://a.example/");
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 301, "//WWW.a.example/b#c", 0), ATTEMPT_REPORT);
    cr_assert_eq(fixture.attempt.outcome, OUTCOME_MOVED);
    cr_assert(slice_equal(fixture.attempt.location, slice_string("http://www.a.example/b")));
    end(&fixture);
}

Test(attempt, redirects_stop_at_the_limit_hops_over_hosts_included)
{
    for (size_t hops = 0; hops <= REDIRECTS_MAX + 1; hops++) {
        struct fixture fixture;
        size_t followed = 0;
        begin(&fixture, "http://a.example/");
        fixture.lease.hops = hops;
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        char location[32];
        do {
            snprintf(location, sizeof location, "/%zu", followed++);
        } while (attempt_answered(&fixture.attempt, 302, location, 0) == ATTEMPT_FETCH &&
                 followed < 100);
        cr_expect_eq(fixture.attempt.outcome, OUTCOME_REDIRECT_LOOP);
        cr_expect_eq(followed - 1, hops < REDIRECTS_MAX ? REDIRECTS_MAX - hops : 0);
        end(&fixture);
    }
}

Test(attempt, the_limit_counts_for_moves_too)
{
    struct fixture fixture;

    begin(&fixture, "http://a.example/");
    fixture.lease.hops = REDIRECTS_MAX;
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 302, "http://b.example/", 0), ATTEMPT_REPORT);
    cr_assert_eq(fixture.attempt.outcome, OUTCOME_REDIRECT_LOOP);
    end(&fixture);
}

Test(attempt, a_url_seen_before_is_a_loop_at_once)
{
    static const char *const seen[] = {"http://a.example/x", "http://first.example/",
                                       "http://second.example/", "/x#again"};

    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        struct fixture fixture;
        begin(&fixture, "http://a.example/x");
        fixture.lease.redirects[0] = slice_string("http://first.example/");
        fixture.lease.redirects[1] = slice_string("http://second.example/");
        fixture.lease.redirect_count = 2;
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        cr_expect_eq(attempt_answered(&fixture.attempt, 302, seen[i], 0), ATTEMPT_REPORT);
        cr_expect_eq(fixture.attempt.outcome, OUTCOME_REDIRECT_LOOP, "%s", seen[i]);
        end(&fixture);
    }
}

Test(attempt, locations_that_may_not_be_fetched_are_refused)
{
    static const char *const locations[] = {
        "",
        "file:///etc/passwd",
        "gopher://a.example/",
        "javascript:alert(1)",
        "http://user:pass@a.example/",
        "http://",
        "http://a.example:99999/",
        "data:text/html,x",
    };

    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++) {
        struct fixture fixture;
        begin(&fixture, "http://a.example/");
        cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        cr_expect_eq(attempt_answered(&fixture.attempt, 301, locations[i], 0), ATTEMPT_REPORT, "%s",
                     locations[i]);
        cr_expect_eq(fixture.attempt.outcome, OUTCOME_REDIRECT_BAD, "%s", locations[i]);
        end(&fixture);
    }
}

Test(attempt, without_memory_the_lease_is_given_back)
{
    struct fixture fixture;

    begin(&fixture, "http://a.example/");
    fixture.arena.bytes_max = 4;
    cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
    cr_assert_eq(attempt_answered(&fixture.attempt, 301, "/x", 0), ATTEMPT_REPORT);
    cr_assert_eq(fixture.attempt.outcome, OUTCOME_RELEASED);
    end(&fixture);
}

Test(attempt, it_can_be_ended_from_every_state_before_the_last)
{
    for (int steps = 0; steps < 3; steps++) {
        struct fixture fixture;
        begin(&fixture, "http://a.example/");
        if (steps > 0) {
            cr_assert_eq(attempt_begin(&fixture.attempt), ATTEMPT_FETCH);
        }
        if (steps > 1) {
            cr_assert_eq(attempt_answered(&fixture.attempt, 200, NULL, 1), ATTEMPT_EXTRACT);
        }
        cr_assert_eq(attempt_end(&fixture.attempt, OUTCOME_RELEASED, NULL), ATTEMPT_REPORT);
        cr_assert_str_eq(fixture.attempt.reason, "");
        cr_assert_str_eq(attempt_state_name(fixture.attempt.state), "ended");
        end(&fixture);
    }
}
