/* session_internal: what session.c and session_receive.c share; for them only. */
#ifndef THRESH_WORKER_SESSION_INTERNAL_H
#define THRESH_WORKER_SESSION_INTERNAL_H

#include "worker/outbox.h"
#include "worker/session.h"

enum session_state {
    SESSION_CALLING,
    SESSION_JOINED,
    SESSION_LEFT,
};

struct session {
    char name[PEER_NAME_BYTES_MAX + 1];
    uint8_t client[CLIENT_ID_BYTES];
    size_t leases_max;
    struct session_events events;
    void *context;

    enum session_state state;
    struct session_welcome welcome;
    struct leases leases;
    struct outbox outbox;
    struct buffer header; /* of messages that are not kept */

    size_t credit;
    bool is_credit_told;
    int64_t now_ms;      /* of the call that runs */
    int64_t hello_at_ms; /* CALLING: when to call again */
    int64_t hello_wait_ms;
    int64_t heard_at_ms;
    int64_t beat_at_ms;
    int64_t resend_at_ms; /* when unanswered messages go out again */
    int64_t send_at_ms;   /* not before: the socket was full */
    uint64_t malformed_count;
};

/* Goes back to CALLING: HELLO goes out at hello_at_ms. */
void session_call(struct session *session, int64_t hello_at_ms);
/* CALLING is over. */
void session_join(struct session *session, const struct session_welcome *welcome);

#endif
