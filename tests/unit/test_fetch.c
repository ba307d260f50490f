#include "fetch_checks.h"
#include "web_server.h"

#define LOOPBACK "127.0.0.0/8"
#define ENDLESS_PIECE 16384

/* ---- what the server does -------------------------------------------------------------- */

typedef bool answer_fn(int fd, const char *request);

static bool
answer_ok(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "200 OK", "Content-Type: text/html\r\n", "hello");
}

static bool
answer_echo(int fd, const char *request)
{
    return web_send_page(fd, "200 OK", "Content-Type: text/plain\r\n", request);
}

static bool
answer_gzip(int fd, const char *request)
{
    (void)request;
    /* Not gzip at all: what is inside is the child's business. */
    return web_send_page(fd, "200 OK", "Content-Encoding: gzip\r\n", "as it came");
}

static bool
answer_redirect(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "302 Found", "Location: /elsewhere\r\nSet-Cookie: a=b\r\n", "");
}

static bool
answer_chunked(int fd, const char *request)
{
    (void)request;
    return web_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
}

static bool
answer_bad_chunk(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n");
    web_wait_for_close(fd);
    return false;
}

static bool
answer_chunk_overflow(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "FFFFFFFFFFFFFFFFFF\r\nhello");
    web_wait_for_close(fd);
    return false;
}

static bool
answer_no_last_chunk(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    return false;
}

static bool
answer_truncated(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    return false;
}

static bool
answer_half_head(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/ht");
    return false;
}

static bool
answer_nothing(int fd, const char *request)
{
    (void)fd;
    (void)request;
    return false;
}

static bool
answer_reset(int fd, const char *request)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    return false;
}

static bool
answer_silence(int fd, const char *request)
{
    (void)request;
    web_wait_for_close(fd);
    return false;
}

static bool
answer_stall(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nhello");
    web_wait_for_close(fd);
    return false;
}

static bool
answer_slow_head(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nA: ");
    web_wait_for_close(fd);
    return false;
}

/* Pieces for as long as they are taken. */
static bool
send_endless(int fd, const char *piece, size_t size)
{
    while (web_send(fd, piece, size)) {
    }
    return false;
}

static bool
answer_endless(int fd, const char *request)
{
    static const char piece[ENDLESS_PIECE];

    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\n\r\n");
    return send_endless(fd, piece, sizeof piece);
}

static bool
answer_endless_chunks(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    return send_endless(fd, "10\r\n0123456789abcdef\r\n", 22);
}

static bool
answer_declared_large(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    web_wait_for_close(fd);
    return false;
}

static bool
answer_endless_headers(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\n");
    return send_endless(fd, "A: 0123456789abcdef0123456789abcdef\r\n", 37);
}

static bool
answer_one_huge_header(int fd, const char *request)
{
    static char piece[ENDLESS_PIECE];

    (void)request;
    memset(piece, 'a', sizeof piece);
    web_send_text(fd, "HTTP/1.1 200 OK\r\nA: ");
    return send_endless(fd, piece, sizeof piece);
}

static bool
answer_endless_interim(int fd, const char *request)
{
    (void)request;
    return send_endless(fd, "HTTP/1.1 103 Hints\r\nA: b\r\n\r\n", 28);
}

static bool
answer_two_lengths(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello");
    return false;
}

static bool
answer_two_locations(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "302 Found", "Location: /a\r\nLocation: /b\r\n", "");
}

static bool
answer_cr_in_header(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "200 OK", "A: b\rc\r\n", "hello");
}

static bool
answer_no_colon(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "200 OK", "what is this\r\n", "hello");
}

static bool
answer_http09(int fd, const char *request)
{
    (void)request;
    web_send_text(fd, "<html>hello</html>");
    return false;
}

static bool
answer_garbage(int fd, const char *request)
{
    (void)request;
    web_send(fd, "\x16\x03\x01\x00\xff\x00\x01 \r\n\r\n", 12);
    return false;
}

static bool
answer_missing(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "404 Not Found", "Content-Type: text/html\r\n", "no such page");
}

static bool
answer_busy(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "429 Too Many Requests", "Retry-After: 7\r\n", "slow down");
}

static bool
answer_unavailable(int fd, const char *request)
{
    (void)request;
    return web_send_page(fd, "503 Service Unavailable", "", "later");
}

static bool
answer_no_content(int fd, const char *request)
{
    (void)request;
    return web_send_text(fd, "HTTP/1.1 204 No Content\r\n\r\n");
}

static const struct {
    const char *path;
    answer_fn *answer;
} PATHS[] = {
    {"/ok", answer_ok},
    {"/echo", answer_echo},
    {"/gzip", answer_gzip},
    {"/redirect", answer_redirect},
    {"/chunked", answer_chunked},
    {"/bad-chunk", answer_bad_chunk},
    {"/chunk-overflow", answer_chunk_overflow},
    {"/no-last-chunk", answer_no_last_chunk},
    {"/truncated", answer_truncated},
    {"/half-head", answer_half_head},
    {"/nothing", answer_nothing},
    {"/reset", answer_reset},
    {"/silence", answer_silence},
    {"/stall", answer_stall},
    {"/slow-head", answer_slow_head},
    {"/endless", answer_endless},
    {"/endless-chunks", answer_endless_chunks},
    {"/declared-large", answer_declared_large},
    {"/endless-headers", answer_endless_headers},
    {"/huge-header", answer_one_huge_header},
    {"/endless-interim", answer_endless_interim},
    {"/two-lengths", answer_two_lengths},
    {"/two-locations", answer_two_locations},
    {"/cr", answer_cr_in_header},
    {"/no-colon", answer_no_colon},
    {"/http09", answer_http09},
    {"/garbage", answer_garbage},
    {"/missing", answer_missing},
    {"/busy", answer_busy},
    {"/unavailable", answer_unavailable},
    {"/no-content", answer_no_content},
};

static bool
answer_path(struct web_server *server, int fd, const char *path, const char *request)
{
    (void)server;
    for (size_t i = 0; i < sizeof PATHS / sizeof *PATHS; i++) {
        if (strcmp(path, PATHS[i].path) == 0) {
            return PATHS[i].answer(fd, request);
        }
    }
    abort();
}

static const char *
address_of(const struct web_server *server, const char *path)
{
    static char url[256];

    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", server->port, path);
    return url;
}

/* ---- tests ----------------------------------------------------------------------------- */

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
