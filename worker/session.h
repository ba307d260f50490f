/*
 * session: the worker's side of the protocol (include/PROTOCOL.md, sections 2 to 4 and 6).
 *
 *            +----- silence, REFUSED hello_first, stopping -----+
 *            v                                                  |
 *   CALLING (HELLO, again with growing pauses) -- WELCOME --> JOINED -- session_leave --> LEFT
 *
 * Decides only: messages and times come in as arguments, what is to be done goes out through
 * struct session_events. While CALLING, work goes on and reports are kept; once JOINED everything
 * unanswered is sent again. A lease is in the table from its grant until its report or release is
 * answered, the broker names it as lost, or memory for its report is missing.
 *
 * A lost CREDIT or a lost RESULTS (the connection broke, nobody restarted) heals by itself: credit
 * goes out with every heartbeat, and messages unanswered for SESSION_RESEND_BEATS go out again.
 *
 * Bounds   those of outbox.h and lease.h; a grant beyond leases_max is given back.
 * Threads  one owner.
 */
#ifndef THRESH_WORKER_SESSION_H
#define THRESH_WORKER_SESSION_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"
#include "worker/lease.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_RESEND_BEATS 2
#define SESSION_HELLO_FIRST_MS 1000
#define SESSION_HELLO_MAX_MS 15000

struct session;

struct session_options {
    const char *name;
    uint8_t client[CLIENT_ID_BYTES]; /* random at each start */
    size_t leases_max;
};

/* The broker's limits, clamped to what makes sense. */
struct session_welcome {
    uint64_t boot;
    int64_t heartbeat_ms;
    int64_t lease_ms;
    size_t batch_max;
    size_t window_max;
    size_t message_bytes_max;
    size_t body_bytes_max;
};

enum session_wish {
    SESSION_QUIET, /* finish what runs, take no more */
    SESSION_STOP,  /* release what has not begun, finish or release the rest, exit */
};

struct session_events {
    /* Sends one message. ERROR_AGAIN: later. */
    enum error (*send)(void *context, const struct slice *frames, size_t frame_count);
    void (*joined)(void *context, const struct session_welcome *welcome);
    /* A new lease: returns it kept (lease_keep), or NULL: it is given back. begin() follows at
     * once, with the document's bytes where there are any. */
    struct lease *(*granted)(void *context, const struct lease *grant);
    void (*begin)(void *context, struct lease *lease, struct slice body);
    /* The lease is no longer ours (or cannot be reported): stop it and free it. */
    void (*lost)(void *context, struct lease *lease);
    /* Its report or release has been answered: free it. */
    void (*over)(void *context, struct lease *lease, enum report_status status);
    void (*wished)(void *context, enum session_wish wish);
    /* For the log. is_final: this broker will never take us. */
    void (*refused)(void *context, struct slice code, struct slice reason, bool is_final);
    void (*stats)(void *context, struct worker_stats *ret_stats);
};

/* Options and events are copied, the name too. ERROR_NO_MEMORY. */
MUST_CHECK enum error session_create(const struct session_options *options,
                                     const struct session_events *events, void *context,
                                     struct session **ret_session);
/* The leases still in the table stay the caller's. */
void session_destroy(struct session *session);

/* Handles one message; a malformed one is counted and dropped. */
void session_receive(struct session *session, const struct slice *frames, size_t frame_count,
                     int64_t now_ms);

/* Sends what is due; returns when it wants to be called again. */
int64_t session_tick(struct session *session, int64_t now_ms);

/* How many leases to hold at most; told to the broker by the next tick when it has changed. */
void session_set_credit(struct session *session, size_t credit);

/* Hands over the report of a lease (see outbox_add_report). Without memory the lease is lost. */
void session_report(struct session *session, struct lease *lease, struct buffer *row,
                    size_t row_pairs, struct buffer *result);

/* Gives a lease back untried. */
void session_give_back(struct session *session, struct lease *lease);

/* Takes a lease out of the table without a word to the broker; lost() is called. */
void session_forget(struct session *session, struct lease *lease);

/* Says GOODBYE if there is somebody to hear it; nothing is sent after. */
void session_leave(struct session *session);

const struct leases *session_leases(const struct session *session);
bool session_is_joined(const struct session *session);
/* Everything handed over has been answered. */
bool session_is_settled(const struct session *session);
/* Bytes of results not yet answered, and messages refused as malformed so far. */
size_t session_unrecorded_bytes(const struct session *session);
uint64_t session_malformed_count(const struct session *session);

#endif
