#include "client/session.h"

#include <string.h>

#define HELLO_WAIT_MS 500
#define HELLO_WAIT_MAX_MS 4000
#define HEARTBEAT_DEFAULT_MS 5000
#define HEARTBEAT_MIN_MS 10
#define HEARTBEAT_MAX_MS 600000
#define RETRY_DEFAULT_MS 1000
#define RETRY_MAX_MS 600000

void
session_init(struct session *session, enum role role, const char *name, const uint8_t *client)
{
    *session = (struct session){
        .role = role,
        .state = SESSION_GREETING,
        .hello_wait_ms = HELLO_WAIT_MS,
        .limits.heartbeat_ms = HEARTBEAT_DEFAULT_MS,
    };
    struct slice text = slice_string(name);
    size_t size = text.size < PEER_NAME_BYTES_MAX ? text.size : PEER_NAME_BYTES_MAX;
    if (size > 0) {
        memcpy(session->name, text.data, size);
    }
    memcpy(session->client, client, CLIENT_ID_BYTES);
}

/* Begins to say HELLO, at once. */
static void
greet(struct session *session, int64_t at_ms)
{
    session->state = SESSION_GREETING;
    session->hello_at_ms = at_ms;
    session->hello_wait_ms = HELLO_WAIT_MS;
}

enum session_action
session_due(struct session *session, int64_t now_ms)
{
    if (session->state == SESSION_WELCOMED &&
        now_ms - session->heard_at_ms >= SILENT_BEATS_MAX * session->limits.heartbeat_ms) {
        greet(session, now_ms);
    }
    if (session->state == SESSION_GREETING && now_ms >= session->hello_at_ms) {
        return SESSION_SEND_HELLO;
    }
    if (session->state == SESSION_WELCOMED && now_ms >= session->heartbeat_at_ms) {
        return SESSION_SEND_HEARTBEAT;
    }
    return SESSION_NOTHING;
}

void
session_sent(struct session *session, enum session_action action, int64_t now_ms)
{
    if (action == SESSION_SEND_HELLO) {
        session->hello_at_ms = now_ms + session->hello_wait_ms;
        session->hello_wait_ms = session->hello_wait_ms * 2 < HELLO_WAIT_MAX_MS
                                     ? session->hello_wait_ms * 2
                                     : HELLO_WAIT_MAX_MS;
    } else if (action == SESSION_SEND_HEARTBEAT) {
        session->heartbeat_count++;
        session->heartbeat_at_ms = now_ms + session->limits.heartbeat_ms;
        if (session->is_asking) {
            session->is_asking = false;
            session->asked = session->heartbeat_count;
        }
    }
}

int64_t
session_deadline(const struct session *session)
{
    if (session->state == SESSION_GREETING) {
        return session->hello_at_ms;
    }
    if (session->state == SESSION_WELCOMED) {
        int64_t silent_at_ms =
            session->heard_at_ms + SILENT_BEATS_MAX * session->limits.heartbeat_ms;
        return session->heartbeat_at_ms < silent_at_ms ? session->heartbeat_at_ms : silent_at_ms;
    }
    return INT64_MAX;
}

void
session_ask(struct session *session)
{
    session->is_told = false;
    session->is_asking = true;
    session->asked = 0;
    session->heartbeat_at_ms = 0;
}

void
session_write_hello(const struct session *session, uint64_t confirmed, struct buffer *out)
{
    bool is_feeder = session->role == ROLE_FEED;
    write_header(out, MESSAGE_HELLO, 0, is_feeder ? 5 : 4);
    write_string(out, "role");
    write_string(out, role_name(session->role));
    write_string(out, "name");
    write_text(out, slice_string(session->name));
    write_string(out, "client");
    write_binary(out, slice_of(session->client, CLIENT_ID_BYTES));
    write_string(out, "versions");
    write_array(out, 1);
    write_uint(out, PROTOCOL_VERSION);
    if (is_feeder) {
        write_string(out, "confirmed");
        write_uint(out, confirmed);
    }
}

/* A copy with an end; what does not fit is cut. */
static void
copy_text(char *to, size_t bytes_max, struct slice text)
{
    size_t size = text.size < bytes_max ? text.size : bytes_max;
    if (size > 0) {
        memcpy(to, text.data, size);
    }
    to[size] = '\0';
}

static int64_t
span_of(uint64_t value, int64_t least, int64_t most)
{
    if (value > (uint64_t)most) {
        return most;
    }
    return (int64_t)value < least ? least : (int64_t)value;
}

static enum error
read_welcome(struct session_header *header, struct session_limits *ret_limits)
{
    static const char *const names[] = {"version",        "store",     "boot",
                                        "heartbeat_ms",   "batch_max", "window_max",
                                        "body_bytes_max", "submitted", NULL};
    enum {
        F_VERSION,
        F_STORE,
        F_BOOT,
        F_HEARTBEAT,
        F_BATCH,
        F_WINDOW,
        F_BODY,
        F_SUBMITTED,
        F_COUNT
    };
    struct slice fields[F_COUNT];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    struct session_limits limits = {
        .boot = field_uint(fields[F_BOOT], 0, &error),
        .heartbeat_ms = span_of(field_uint(fields[F_HEARTBEAT], HEARTBEAT_DEFAULT_MS, &error),
                                HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS),
        .batch_max = field_uint(fields[F_BATCH], 0, &error),
        .window_max = field_uint(fields[F_WINDOW], 0, &error),
        .body_bytes_max = field_uint(fields[F_BODY], 0, &error),
        .submitted = field_uint(fields[F_SUBMITTED], 0, &error),
    };
    struct slice store = field_string(fields[F_STORE], &error);
    if (error == OK) {
        error = reader_finish(&header->pairs);
    }
    if (error == OK && store.size > SESSION_STORE_BYTES_MAX) {
        error = ERROR_PROTOCOL;
    }
    if (error != OK) {
        return error;
    }
    copy_text(limits.store, SESSION_STORE_BYTES_MAX, store);
    *ret_limits = limits;
    return OK;
}

static enum error
welcome_received(struct session *session, struct session_header *header, int64_t now_ms,
                 enum session_event *ret_event)
{
    enum error error = read_welcome(header, &session->limits);
    if (error != OK) {
        return error;
    }
    /* An answer to a HELLO that was sent twice changes nothing. */
    *ret_event = SESSION_EVENT_NONE;
    if (session->state == SESSION_GREETING) {
        session->state = SESSION_WELCOMED;
        session->welcome_count++;
        session->heartbeat_count = 0;
        session->renewed_count = 0;
        session->heartbeat_at_ms = now_ms + session->limits.heartbeat_ms;
        if (session->asked > 0 || session->is_asking) { /* it went with the old session */
            session_ask(session);
        }
        *ret_event = SESSION_EVENT_WELCOMED;
    }
    return OK;
}

/* REFUSED: what a code asks of the peer. */
struct refusal_row {
    const char *code;
    enum error error; /* OK: not for good */
    enum session_event event;
};

static const struct refusal_row refusals[] = {
    {"hello_first", OK, SESSION_EVENT_LOST},
    {"stopping", OK, SESSION_EVENT_LOST},
    {"busy", OK, SESSION_EVENT_BUSY},
    {"taken_over", ERROR_LOCKED, SESSION_EVENT_FAILED},
    {"not_allowed", ERROR_NOT_ALLOWED, SESSION_EVENT_FAILED},
    {"version", ERROR_VERSION, SESSION_EVENT_FAILED},
    {"too_large", ERROR_TOO_LARGE, SESSION_EVENT_FAILED},
    {"malformed", ERROR_PROTOCOL, SESSION_EVENT_FAILED},
};
#define REFUSAL_COUNT (sizeof refusals / sizeof refusals[0])

static enum error
refused_received(struct session *session, struct session_header *header, int64_t now_ms,
                 enum session_event *ret_event)
{
    static const char *const names[] = {"code", "reason", "type", "sequence", "retry_ms", NULL};
    enum {
        F_CODE,
        F_REASON,
        F_TYPE,
        F_SEQUENCE,
        F_RETRY,
        F_COUNT
    };
    struct slice fields[F_COUNT];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    struct slice code = field_string(fields[F_CODE], &error);
    struct slice reason = field_string(fields[F_REASON], &error);
    uint64_t type = field_uint(fields[F_TYPE], 0, &error);
    uint64_t sequence = field_uint(fields[F_SEQUENCE], header->sequence, &error);
    uint64_t retry_ms = field_uint(fields[F_RETRY], RETRY_DEFAULT_MS, &error);
    if (error == OK) {
        error = reader_finish(&header->pairs);
    }
    if (error != OK) {
        return error;
    }
    copy_text(session->code, PEER_NAME_BYTES_MAX, code);
    copy_text(session->reason, SESSION_REASON_BYTES_MAX, reason);
    header->refused_type = type;
    header->refused_sequence = sequence;
    header->retry_ms = span_of(retry_ms, 1, RETRY_MAX_MS);
    /* A code that we do not know ends the session: going on might repeat the offence for ever. */
    struct refusal_row row = {.error = ERROR_REFUSED, .event = SESSION_EVENT_FAILED};
    for (size_t i = 0; i < REFUSAL_COUNT; i++) {
        if (slice_equal(code, slice_string(refusals[i].code))) {
            row = refusals[i];
        }
    }
    *ret_event = row.event;
    if (row.event == SESSION_EVENT_FAILED) {
        session->state = SESSION_FAILED;
        session->error = row.error;
    } else if (row.event == SESSION_EVENT_BUSY && session->state == SESSION_GREETING) {
        greet(session, now_ms + header->retry_ms);
    } else if (row.event == SESSION_EVENT_LOST && session->state == SESSION_WELCOMED) {
        bool is_leaving = slice_equal(code, slice_string("stopping"));
        greet(session, is_leaving ? now_ms + HELLO_WAIT_MS : now_ms);
    }
    return OK;
}

enum error
session_receive(struct session *session, struct slice frame, int64_t now_ms,
                enum session_event *ret_event, struct session_header *ret_header)
{
    enum error error = message_scan(frame);
    if (error != OK) {
        return error;
    }
    struct session_header header = {0};
    reader_init(&header.pairs, frame);
    error = read_header(&header.pairs, &header.type, &header.sequence, &header.pair_count);
    if (error != OK) {
        return error;
    }
    if (message_type_sender(header.type) != MESSAGE_SENDER_BROKER) {
        return ERROR_PROTOCOL;
    }
    enum session_event event = SESSION_EVENT_OTHER;
    if (header.type == MESSAGE_WELCOME) {
        error = welcome_received(session, &header, now_ms, &event);
    } else if (header.type == MESSAGE_REFUSED) {
        error = refused_received(session, &header, now_ms, &event);
    } else if (header.type == MESSAGE_RENEWED) {
        session->renewed_count++;
        if (session->asked > 0 && session->renewed_count >= session->asked) {
            session->asked = 0;
            session->is_told = true;
        }
        event = SESSION_EVENT_RENEWED;
    }
    if (error != OK) {
        return error;
    }
    session->heard_at_ms = now_ms;
    *ret_event = event;
    *ret_header = header;
    return OK;
}
