/*
 * libthresh: feed a Thresh broker and collect its results from C.
 *
 * A feeder submits tasks in batches and is told, for each, whether it was accepted, known, invalid
 * or refused for now; a collector reads results in order under a name whose position the broker
 * keeps. Both survive the loss of the connection and of the broker: what is unacknowledged is sent
 * again, and the broker removes the second copy.
 *
 * Threads  one handle, one thread at a time. One process may use several handles.
 * Errors   functions return 0 or a negative enum thresh_error; thresh_*_message() says more.
 * Link     pkg-config --cflags --libs thresh
 * Wire     PROTOCOL.md
 */
#ifndef THRESH_H
#define THRESH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define THRESH_API_VERSION 1

enum thresh_error {
    THRESH_OK = 0,
    THRESH_ERROR_MEMORY = -1,
    THRESH_ERROR_INVALID = -2,     /* an argument or an item is wrong */
    THRESH_ERROR_UNREACHABLE = -3, /* the broker did not answer in timeout_ms */
    THRESH_ERROR_REFUSED = -4,     /* the broker refuses this peer */
    THRESH_ERROR_PROTOCOL = -5,
    THRESH_ERROR_FULL = -6,       /* too much unanswered: call thresh_feeder_poll() first */
    THRESH_ERROR_TIMEOUT = -7,    /* nothing happened in the time given */
    THRESH_ERROR_TAKEN_OVER = -8, /* another process collects under this name now */
    THRESH_ERROR_IO = -9,
};

const char *thresh_error_text(int error);
const char *thresh_version(void);

/* ---- feeding ---------------------------------------------------------------------------- */

struct thresh_feeder;

struct thresh_feeder_options {
    const char *endpoint; /* NULL: tcp://127.0.0.1:5701 */
    const char *name;     /* for people; may be NULL */
    const char *spool;    /* a file that keeps the identity and unanswered submits over a restart
                             of the feeder, so that nothing is fed twice; NULL: none */
    int timeout_ms;       /* for the broker to answer; 0: 10,000 */
    int batch_max;        /* items a message; 0: 256 */
    int window_max;       /* unanswered messages; 0: 64 */
    /* CURVE, for a broker with keys and a tcp:// endpoint: files that `thresh keygen` makes, both
     * or neither. The secret file's mode must be 0600, or the open fails (THRESH_ERROR_REFUSED). */
    const char *key_file;        /* own secret */
    const char *broker_key_file; /* the broker's public key */
};

/* One task; zero what is not needed. All pointers are read during the call only. */
struct thresh_item {
    const char *url;  /* what to fetch, or the name of the document */
    const void *body; /* a document's bytes; NULL: fetch the URL */
    size_t body_size;
    const char *content_type; /* of the document; NULL: sniffed */
    const char *key;          /* identity instead of the URL; NULL: none */
    const char *host;         /* key of politeness; NULL: the URL's host */
    const void *meta;         /* a msgpack map that comes back in the result */
    size_t meta_size;
    int priority;          /* 0: the default (4); 1 to 10 stand for 0 (first) to 9 (last) */
    int again;             /* take it even if it is known */
    int64_t not_before_ms; /* wall clock in ms; 0: now */
    uint64_t token;        /* the caller's; comes back with the status */
};

enum thresh_status {
    THRESH_ACCEPTED = 0,
    THRESH_KNOWN = 1,
    THRESH_INVALID = 2,
    /* Items that were refused for lack of room are submitted again by the library. */
};

/* Called from thresh_feeder_submit(), _flush() and _poll() once for each item, when its status is
 * durable at the broker. task is its id ("" unless accepted), reason "" unless invalid. */
typedef void thresh_fed_fn(void *context, uint64_t token, enum thresh_status status,
                           const char *task, const char *reason);

/* Connects in the background; never waits. */
int thresh_feeder_open(const struct thresh_feeder_options *options, thresh_fed_fn *fed,
                       void *context, struct thresh_feeder **ret_feeder);
/* Adds one item; sends when a batch is full. THRESH_ERROR_FULL: window_max messages are
 * unanswered; poll first. */
int thresh_feeder_submit(struct thresh_feeder *feeder, const struct thresh_item *item);
/* Works for up to timeout_ms: sends, receives, calls back. Returns after the first event. */
int thresh_feeder_poll(struct thresh_feeder *feeder, int timeout_ms);
/* Sends what is batched and waits until every item has its status. */
int thresh_feeder_flush(struct thresh_feeder *feeder, int timeout_ms);
uint64_t thresh_feeder_unanswered(const struct thresh_feeder *feeder); /* items */
const char *thresh_feeder_message(const struct thresh_feeder *feeder);
void thresh_feeder_close(struct thresh_feeder *feeder);

/* ---- collecting ------------------------------------------------------------------------- */

struct thresh_collector;

struct thresh_collector_options {
    const char *endpoint; /* NULL: tcp://127.0.0.1:5703 */
    const char *name;     /* NULL: "default" */
    int timeout_ms;       /* for the broker to answer; 0: 10,000 */
    int credit;           /* results under way; 0: 1,024 */
    const char *key_file; /* as for a feeder */
    const char *broker_key_file;
};

/* One result; everything is valid until the next call with the collector. */
struct thresh_result {
    uint64_t position;
    const char *task;
    const void *map; /* msgpack, PROTOCOL.md section 9 */
    size_t map_size;
};

int thresh_collector_open(const struct thresh_collector_options *options,
                          struct thresh_collector **ret_collector);
/* The next result. THRESH_ERROR_TIMEOUT: none came in timeout_ms. */
int thresh_collector_next(struct thresh_collector *collector, int timeout_ms,
                          struct thresh_result *ret_result);
/* Says that everything up to position is safe; sent in the background. */
int thresh_collector_acknowledge(struct thresh_collector *collector, uint64_t position);
/* Waits until the broker has stored the last acknowledged position. */
int thresh_collector_flush(struct thresh_collector *collector, int timeout_ms);
/* Tasks that the broker said were unfinished, when it last said so; -1: not known yet. */
int64_t thresh_collector_unfinished(const struct thresh_collector *collector);
/* The newest position that the broker has said; results up to it are there to be read. */
uint64_t thresh_collector_newest(const struct thresh_collector *collector);
const char *thresh_collector_message(const struct thresh_collector *collector);
void thresh_collector_close(struct thresh_collector *collector);

/* A result's map as one JSON line, without the line's end; free() it. NULL: not a result. */
char *thresh_result_json(const struct thresh_result *result);

#ifdef __cplusplus
}
#endif

#endif
