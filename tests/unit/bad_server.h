/* bad_server: what a web server may answer, one path each, good and bad. */
#ifndef THRESH_TESTS_BAD_SERVER_H
#define THRESH_TESTS_BAD_SERVER_H

#include "web_server.h"

#define ENDLESS_PIECE 16384

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

#endif
