/*
 * fetch: many HTTP requests at once, on the loop.
 *
 * libcurl's multi interface through curl_multi_socket_action() on common/loop's epoll. One request
 * is one hop: redirects are answers like others, and attempt.h decides about them. No cookies, no
 * proxies, no netrc, no decoding of contents; http and https only; the address is judged when the
 * socket is opened and again before the request goes out on a kept connection.
 *
 * Bounds   transfers_max requests; body, header and time limits of the options; memory_bytes_max
 *          for all bodies together: a request that would pass it ends as `released`.
 * Threads  one owner, the loop's thread; libcurl resolves names on threads of its own.
 * Source   reliability document, sections 5 (H1 to H18) and 6; performance document, section 6.
 */
#ifndef THRESH_WORKER_FETCH_H
#define THRESH_WORKER_FETCH_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/outcome.h"
#include "common/url.h"
#include "worker/address.h"
#include "worker/headers.h"
#include "worker/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fetch;
struct fetch_transfer; /* one request under way; gone when finished() has returned */

struct fetch_options {
    size_t transfers_max;
    size_t body_bytes_max;   /* on the wire */
    size_t header_bytes_max; /* of one answer, interim ones included */
    size_t memory_bytes_max; /* of all bodies under way */
    int64_t connect_ms;      /* name, connection and TLS */
    int64_t first_byte_ms;   /* from the request until an answer begins */
    int64_t stall_ms;        /* under stall_rate_bytes a second for so long, once it has begun */
    int64_t stall_rate_bytes;
    const char *user_agent;
    const char *ca_file;              /* "" and NULL: the system's */
    const char *insecure_tls_hosts;   /* "a.example,b.example", or "" */
    const struct address_list *allow; /* borrowed; what may be reached beside global addresses */
};

/* What a request brought; everything it points to is valid during the callback only. */
struct fetch_answer {
    enum outcome outcome; /* OUTCOME_OK: a whole HTTP answer, of whatever status */
    const char *reason;   /* for people, "" when there is nothing to say */
    int status;           /* 0 without an answer */
    const struct headers *headers;
    struct slice body;       /* as on the wire, transfer coding removed */
    uint64_t bytes_received; /* headers and body */
    bool is_truncated;       /* the body ended early */
    struct report_timing timing;
};

typedef void fetch_finished_fn(void *context, const struct fetch_answer *answer);

/* Options are copied, the texts too. ERROR_NO_MEMORY, ERROR_CONFIG (ca_file cannot be read),
 * ERROR_UNSUPPORTED (a libcurl without what we rely on). */
MUST_CHECK enum error fetch_create(const struct fetch_options *options, struct loop *loop,
                                   struct fetch **ret_fetch);
/* Ends what is under way without its callbacks. */
void fetch_destroy(struct fetch *fetch);

/*
 * Starts a request that may take total_ms; finished(context) is called once, never from inside
 * this call, unless it is cancelled. ERROR_FULL: transfers_max are under way; ERROR_NO_MEMORY;
 * ERROR_INVALID: libcurl reads another host, port or scheme out of this URL than we do.
 */
MUST_CHECK enum error fetch_start(struct fetch *fetch, const struct url *url, int64_t total_ms,
                                  fetch_finished_fn *finished, void *context,
                                  struct fetch_transfer **ret_transfer);
/* Not from inside the transfer's own callback. */
void fetch_cancel(struct fetch *fetch, struct fetch_transfer *transfer);

/* Does what is due; returns when it wants to be called again. */
int64_t fetch_tick(struct fetch *fetch, int64_t now_ms);

/* When fetch_tick() wants to be called, requests started since the last call included. */
int64_t fetch_next_tick(const struct fetch *fetch);

size_t fetch_count(const struct fetch *fetch);        /* under way */
size_t fetch_memory_bytes(const struct fetch *fetch); /* of their bodies */

/* "libcurl 7.88.1 OpenSSL/3.0.11 nghttp2/1.52.0", for logs and --version. */
const char *fetch_library_text(void);

#endif
