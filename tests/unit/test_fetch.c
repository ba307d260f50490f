#include "bad_server.h"
#include "fetch_checks.h"

#define LOOPBACK "127.0.0.0/8"

Test(fetch, every_kind_of_answer_has_its_outcome)
{
    static const struct {
        const char *path;
        enum outcome outcome;
        int status;
        const char *body; /* NULL: not looked at */
        bool is_truncated;
    } rows[] = {
        {"/ok", OUTCOME_OK, 200, "hello", false},
        {"/gzip", OUTCOME_OK, 200, "as it came", false},
        {"/redirect", OUTCOME_OK, 302, "", false},
        {"/chunked", OUTCOME_OK, 200, "hello world", false},
        {"/missing", OUTCOME_OK, 404, "no such page", false},
        {"/busy", OUTCOME_OK, 429, "slow down", false},
        {"/unavailable", OUTCOME_OK, 503, "later", false},
        {"/no-content", OUTCOME_OK, 204, "", false},
        {"/bad-chunk", OUTCOME_PROTOCOL_ERROR, 200, NULL, true},
        {"/chunk-overflow", OUTCOME_PROTOCOL_ERROR, 200, NULL, false},
        {"/no-last-chunk", OUTCOME_RESET, 200, "hello", true},
        {"/truncated", OUTCOME_RESET, 200, "hello", true},
        {"/half-head", OUTCOME_RESET, 200, "", false},
        {"/nothing", OUTCOME_RESET, 0, "", false},
        {"/reset", OUTCOME_RESET, 200, NULL, true},
        {"/endless", OUTCOME_TOO_LARGE, 200, NULL, true},
        {"/endless-chunks", OUTCOME_TOO_LARGE, 200, NULL, true},
        {"/declared-large", OUTCOME_TOO_LARGE, 200, "", false},
        {"/endless-headers", OUTCOME_TOO_LARGE, 200, "", false},
        {"/huge-header", OUTCOME_TOO_LARGE, 200, "", false},
        {"/endless-interim", OUTCOME_TOO_LARGE, 103, "", false},
        {"/two-lengths", OUTCOME_PROTOCOL_ERROR, 200, "", false},
        {"/two-locations", OUTCOME_PROTOCOL_ERROR, 302, "", false},
        {"/cr", OUTCOME_PROTOCOL_ERROR, 200, "", false},
        {"/no-colon", OUTCOME_PROTOCOL_ERROR, 200, "", false},
        {"/http09", OUTCOME_PROTOCOL_ERROR, 0, "", false},
        {"/garbage", OUTCOME_PROTOCOL_ERROR, 0, "", false},
    };
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;

    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct page page;
        page_fetch(&engine, &page, address_of(&server, rows[i].path));
        cr_expect_eq(page.outcome, rows[i].outcome, "%s gives %s (%s)", rows[i].path,
                     outcome_name(page.outcome), page.reason);
        cr_expect_eq(page.status, rows[i].status, "%s gives %d", rows[i].path, page.status);
        cr_expect_eq(page.is_truncated, rows[i].is_truncated, "%s", rows[i].path);
        cr_expect(rows[i].body == NULL || page_body_is(&page, rows[i].body), "%s", rows[i].path);
        cr_expect_eq(page.outcome == OUTCOME_OK, page.reason[0] == '\0', "%s: %s", rows[i].path,
                     page.reason);
        cr_expect_leq(page.body.size, PAGE_BODY_BYTES_MAX);
        page_release(&page);
    }
    cr_expect_eq(fetch_memory_bytes(engine.fetch), 0);
    engine_stop(&engine);
}

Test(fetch, times_end_what_does_not_come)
{
    static const struct {
        const char *path;
        int64_t total_ms;
        enum outcome outcome;
        int64_t least_ms;
        int64_t most_ms; /* generous: the machine may be busy */
    } rows[] = {
        {"/silence", 20000, OUTCOME_TIMED_OUT, 300, 8000}, /* first byte, 300 ms */
        {"/silence", 150, OUTCOME_TIMED_OUT, 150, 8000},   /* total */
        {"/stall", 20000, OUTCOME_STALLED, 900, 12000},    /* stall, 1 s */
        {"/slow-head", 20000, OUTCOME_STALLED, 900, 12000},
        {"/stall", 400, OUTCOME_TIMED_OUT, 400, 8000},
    };
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;

    options.first_byte_ms = 300;
    options.stall_ms = 1000;
    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct page page;
        int64_t begin_ms = clock_monotonic_ms();
        cr_assert_eq(
            page_start(&engine, &page, address_of(&server, rows[i].path), rows[i].total_ms), OK);
        engine_run(&engine);
        int64_t took_ms = clock_monotonic_ms() - begin_ms;
        cr_expect_eq(page.outcome, rows[i].outcome, "%s in %lld ms gives %s (%s)", rows[i].path,
                     (long long)rows[i].total_ms, outcome_name(page.outcome), page.reason);
        cr_expect(took_ms >= rows[i].least_ms && took_ms <= rows[i].most_ms, "%s took %lld ms",
                  rows[i].path, (long long)took_ms);
        page_release(&page);
    }
    engine_stop(&engine);
}

Test(fetch, the_request_says_who_asks_and_nothing_else)
{
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    struct page page;

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    page_fetch(&engine, &page, address_of(&server, "/redirect"));
    cr_expect_str_eq(page.location, "/elsewhere");
    page_release(&page);
    page_fetch(&engine, &page, address_of(&server, "/echo"));
    cr_assert_eq(page.outcome, OUTCOME_OK, "the proxies of the environment are not asked: %s",
                 page.reason);
    const char *request = buffer_text(&page.body);
    cr_expect(strstr(request, "\r\nUser-Agent: Thresh-test/1 (+mailto:test@example.org)\r\n"));
    cr_expect(strstr(request, "\r\nAccept-Encoding: gzip, br, zstd\r\n"));
    cr_expect(strstr(request, "\r\nAccept: text/html"));
    cr_expect_null(strstr(request, "Cookie"), "%s", request);
    cr_expect_null(strstr(request, "Referer"), "%s", request);
    cr_expect_null(strstr(request, "Authorization"), "%s", request);
    page_release(&page);
    engine_stop(&engine);
}

Test(fetch, private_addresses_are_refused_unless_allowed)
{
    static const struct {
        const char *networks;
        const char *host;
        enum outcome outcome;
    } rows[] = {
        {"", "127.0.0.1", OUTCOME_ADDRESS_REFUSED},
        {"", "localhost", OUTCOME_ADDRESS_REFUSED},
        {"", "[::1]", OUTCOME_ADDRESS_REFUSED},
        {"", "[::ffff:127.0.0.1]", OUTCOME_ADDRESS_REFUSED},
        {"", "0x7f.1", OUTCOME_ADDRESS_REFUSED},
        {"", "169.254.169.254", OUTCOME_ADDRESS_REFUSED},
        {"10.0.0.0/8", "127.0.0.1", OUTCOME_ADDRESS_REFUSED},
        {LOOPBACK, "127.0.0.1", OUTCOME_OK},
        {LOOPBACK, "0x7f.1", OUTCOME_OK},
        {LOOPBACK, "localhost", OUTCOME_OK},
    };
    struct web_server server = {0};
    struct fetch_options options = engine_options();

    web_server_start(&server, answer_path);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct engine engine;
        struct page page;
        char url[256];
        int before = __atomic_load_n(&server.connection_count, __ATOMIC_SEQ_CST);
        engine_start(&engine, &options, rows[i].networks);
        snprintf(url, sizeof url, "http://%s:%u/ok", rows[i].host, server.port);
        page_fetch(&engine, &page, url);
        cr_expect_eq(page.outcome, rows[i].outcome, "%s with \"%s\" gives %s (%s)", rows[i].host,
                     rows[i].networks, outcome_name(page.outcome), page.reason);
        int after = __atomic_load_n(&server.connection_count, __ATOMIC_SEQ_CST);
        cr_expect(rows[i].outcome == OUTCOME_OK || after == before, "%s was connected",
                  rows[i].host);
        page_release(&page);
        engine_stop(&engine);
    }
}

Test(fetch, what_cannot_be_reached_has_its_outcome)
{
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    struct page page;

    web_server_listen(&server, "127.0.0.1");
    close(server.fd); /* a port where nobody listens */
    engine_start(&engine, &options, LOOPBACK);
    page_fetch(&engine, &page, address_of(&server, "/ok"));
    cr_expect_eq(page.outcome, OUTCOME_CONNECT_FAILED, "%s", page.reason);
    page_release(&page);
    page_fetch(&engine, &page, "http://no-such-host.invalid/");
    cr_expect_eq(page.outcome, OUTCOME_NAME_NOT_FOUND, "%s", page.reason);
    page_release(&page);
    engine_stop(&engine);
}

Test(fetch, handles_and_connections_are_reused)
{
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    struct page pages[8];

    options.transfers_max = 8;
    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < 8; i++) {
            cr_assert_eq(page_start(&engine, &pages[i], address_of(&server, "/ok"), 30000), OK);
        }
        struct page ninth;
        cr_assert_eq(page_start(&engine, &ninth, address_of(&server, "/ok"), 30000), ERROR_FULL);
        engine_run(&engine);
        for (size_t i = 0; i < 8; i++) {
            cr_assert_eq(pages[i].outcome, OUTCOME_OK, "%s", pages[i].reason);
            cr_assert(page_body_is(&pages[i], "hello"));
            cr_assert_geq(pages[i].bytes_received, 5);
            page_release(&pages[i]);
        }
    }
    cr_expect_eq(server.request_count, 160);
    cr_expect_leq(server.connection_count, 8);
    engine_stop(&engine);
}

Test(fetch, a_cancelled_page_never_calls_back)
{
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    struct page cancelled;
    struct page other;

    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    cr_assert_eq(page_start(&engine, &cancelled, address_of(&server, "/silence"), 30000), OK);
    cr_assert_eq(page_start(&engine, &other, address_of(&server, "/ok"), 30000), OK);
    engine.open_count = 1; /* the silent one is not waited for */
    engine_run(&engine);
    cr_assert_eq(other.outcome, OUTCOME_OK);
    cr_assert_eq(fetch_count(engine.fetch), 1);
    fetch_cancel(engine.fetch, cancelled.transfer);
    cr_assert_eq(fetch_count(engine.fetch), 0);
    cr_assert_eq(cancelled.finished_count, 0);
    page_release(&other);
    engine_stop(&engine);
}

Test(fetch, bodies_together_stay_under_the_memory_limit)
{
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    struct page pages[6];
    size_t released = 0;

    options.memory_bytes_max = 2 << 20;
    options.body_bytes_max = 1 << 20;
    web_server_start(&server, answer_path);
    engine_start(&engine, &options, LOOPBACK);
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(page_start(&engine, &pages[i], address_of(&server, "/endless"), 30000), OK);
    }
    engine_run(&engine);
    for (size_t i = 0; i < 6; i++) {
        released += pages[i].outcome == OUTCOME_RELEASED ? 1 : 0;
        cr_expect(pages[i].outcome == OUTCOME_RELEASED || pages[i].outcome == OUTCOME_TOO_LARGE);
        page_release(&pages[i]);
    }
    cr_expect_eq(fetch_memory_bytes(engine.fetch), 0);
    cr_expect_lt(released, 6, "those that are left go on");
    engine_stop(&engine);
}

Test(fetch, a_bad_ca_file_is_an_error_at_the_start)
{
    struct fetch_options options = engine_options();
    struct loop *loop = loop_create();
    struct fetch *fetch = NULL;

    options.ca_file = "/nowhere/ca.pem";
    cr_assert_eq(fetch_create(&options, loop, &fetch), ERROR_CONFIG);
    cr_assert_null(fetch);
    loop_destroy(loop);
}
