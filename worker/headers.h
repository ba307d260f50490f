/*
 * headers: the head of one HTTP answer, checked and kept.
 *
 * Takes the lines as the network gives them, one call a line, and refuses what libcurl 7.88 lets
 * through: CR or NUL inside a line, lines without a colon, folded lines, two different
 * Content-Length or Location values. Interim answers (1xx) are forgotten when the next status line
 * comes; lines after the head (trailers) are counted and dropped.
 *
 * Bounds   HEADERS_LINES_MAX lines and the bytes given at headers_init().
 * Threads  one owner.
 * Source   RFC 9110, RFC 9112; reliability matrix H10 to H14, H18.
 */
#ifndef THRESH_WORKER_HEADERS_H
#define THRESH_WORKER_HEADERS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADERS_LINES_MAX 256 /* pages of large sites send about 60 */

enum headers_verdict {
    HEADERS_GOOD,
    HEADERS_BAD,       /* not valid HTTP */
    HEADERS_TOO_LARGE, /* too many lines or bytes */
};

struct header_line {
    uint32_t name_at; /* offsets into text: it moves when it grows */
    uint32_t name_size;
    uint32_t value_at;
    uint32_t value_size;
};

struct headers {
    struct buffer text; /* names in lower case and values, one behind the other */
    struct header_line lines[HEADERS_LINES_MAX];
    size_t count;
    size_t bytes;      /* of all lines so far, interim answers and trailers too */
    size_t line_count; /* likewise */
    int status;        /* of the newest status line; 0 before the first */
    bool is_whole;     /* the empty line after a final answer has come */
};

void headers_init(struct headers *headers, size_t bytes_max);
void headers_release(struct headers *headers);
void headers_clear(struct headers *headers);

/* One line with its line end. *ret_reason is set when the verdict is not HEADERS_GOOD. */
enum headers_verdict headers_add(struct headers *headers, struct slice line,
                                 const char **ret_reason);

/* The first value under a name in lower case; data NULL when there is none. Valid until the next
 * headers_add() or headers_clear(). */
struct slice headers_get(const struct headers *headers, const char *name);

/* Appends a msgpack map from name to value for the result; repeated names are joined by ", ", and
 * values that are not UTF-8 are read as ISO-8859-1, as RFC 9110 section 5.5 suggests. */
void headers_write(const struct headers *headers, struct buffer *out);

#endif
