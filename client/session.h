/*
 * session: the part of the protocol that every peer of a broker shares.
 *
 * Says HELLO until WELCOME comes, HEARTBEAT every interval, and HELLO again after `hello_first` or
 * three silent intervals (PROTOCOL.md, section 3). The owner sends what session_due() asks for and
 * hands in the headers it receives. No socket, no clock.
 *
 * Bounds   a name of PEER_NAME_BYTES_MAX, a reason of SESSION_REASON_BYTES_MAX bytes.
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_CLIENT_SESSION_H
#define THRESH_CLIENT_SESSION_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/message.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_REASON_BYTES_MAX 256
#define SESSION_STORE_BYTES_MAX 32
#define SESSION_HEADER_BYTES_MAX 4096 /* of a header that we write */

enum session_state {
    SESSION_GREETING, /* HELLO is due or under way */
    SESSION_WELCOMED,
    SESSION_FAILED, /* the broker refuses us for good; reason says why */
};

/* What WELCOME said. */
struct session_limits {
    char store[SESSION_STORE_BYTES_MAX + 1]; /* first part of every task id */
    uint64_t boot;
    int64_t heartbeat_ms;
    uint64_t batch_max;
    uint64_t window_max;
    uint64_t body_bytes_max;
    uint64_t submitted; /* feeder: the highest sequence recorded */
};

struct session {
    enum role role;
    enum session_state state;
    enum error error; /* why it failed */
    char name[PEER_NAME_BYTES_MAX + 1];
    uint8_t client[CLIENT_ID_BYTES];
    int64_t hello_at_ms;      /* when HELLO is due again */
    int64_t hello_wait_ms;    /* the wait after the next one */
    int64_t heartbeat_at_ms;  /* when HEARTBEAT is due */
    int64_t heard_at_ms;      /* when the broker last said anything */
    uint64_t welcome_count;   /* 0: never reached */
    uint64_t heartbeat_count; /* sent and answered since WELCOME */
    uint64_t renewed_count;
    uint64_t asked; /* the answer to that many heartbeats is wanted; 0: none */
    bool is_asking; /* the next heartbeat is the question */
    bool is_told;   /* session_ask()'s question has been answered */
    struct session_limits limits;
    char code[PEER_NAME_BYTES_MAX + 1];        /* of the last REFUSED */
    char reason[SESSION_REASON_BYTES_MAX + 1]; /* of the last REFUSED, for people */
};

/* Sends one message. ERROR_AGAIN: not sent, there is no room now; other errors end the session. */
typedef enum error session_send_fn(void *context, const struct slice *frames, size_t frame_count);

struct session_sender {
    session_send_fn *send;
    void *context;
};

enum session_action {
    SESSION_NOTHING,
    SESSION_SEND_HELLO,
    SESSION_SEND_HEARTBEAT,
};

/* What a received header meant to the session. */
enum session_event {
    SESSION_EVENT_OTHER,    /* not the session's: the owner reads the pairs */
    SESSION_EVENT_WELCOMED, /* send again all that is unacknowledged */
    SESSION_EVENT_RENEWED,  /* the owner reads the pairs */
    SESSION_EVENT_LOST,     /* the broker does not know us: HELLO is due */
    SESSION_EVENT_BUSY,     /* REFUSED busy; refused_type, refused_sequence and retry_ms are set */
    SESSION_EVENT_FAILED,
    SESSION_EVENT_NONE, /* dealt with */
};

struct session_header {
    enum message_type type;
    uint64_t sequence;
    struct reader pairs; /* at the first pair */
    size_t pair_count;
    uint64_t refused_type;
    uint64_t refused_sequence;
    int64_t retry_ms;
};

void session_init(struct session *session, enum role role, const char *name, const uint8_t *client);

/* What to send at now_ms; the owner calls session_sent() when it is out. */
enum session_action session_due(struct session *session, int64_t now_ms);
void session_sent(struct session *session, enum session_action action, int64_t now_ms);

/* When session_due() wants to be asked again. */
int64_t session_deadline(const struct session *session);

/* Makes a heartbeat due at once, and sets is_told when its answer, not an older one's, has come;
 * in a new session the question is asked again. */
void session_ask(struct session *session);

/* Appends the header frame of HELLO; `confirmed` is the feeder's. */
void session_write_hello(const struct session *session, uint64_t confirmed, struct buffer *out);

/*
 * Reads a header frame. ERROR_PROTOCOL, ERROR_VERSION: not a message of this protocol, to be
 * counted and dropped. *ret_header is set when *ret_event is OTHER, RENEWED or BUSY.
 */
MUST_CHECK enum error session_receive(struct session *session, struct slice frame, int64_t now_ms,
                                      enum session_event *ret_event,
                                      struct session_header *ret_header);

#endif
