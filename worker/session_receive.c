/* The broker's messages, one handler each. */
#include "worker/session.h"

#include "common/message.h"
#include "worker/session_internal.h"

#define TASKS_FRAMES_MIN 2
#define HEARTBEAT_MIN_MS 50
#define HEARTBEAT_MAX_MS 60000
#define WINDOW_MAX 64
#define BATCH_MAX 1024
#define MESSAGE_BYTES_MIN ((size_t)64 * 1024)
#define MESSAGE_BYTES_DEFAULT ((size_t)64 * 1024 * 1024)
#define MESSAGE_BYTES_LIMIT ((size_t)1024 * 1024 * 1024)
#define BODY_BYTES_DEFAULT ((size_t)16 * 1024 * 1024)
#define LEASE_DEFAULT_MS 60000
#define LEASE_MAX_MS ((uint64_t)24 * 60 * 60 * 1000)
#define BUSY_DEFAULT_MS 1000
#define BUSY_MAX_MS 60000

struct incoming {
    const struct slice *frames;
    size_t frame_count;
    uint64_t sequence;
    struct reader *reader; /* in the header's map */
    size_t pairs;
};

typedef enum error receive_fn(struct session *session, const struct incoming *message);

static uint64_t
clamped(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* ---- leases ---------------------------------------------------------------------------- */

/* An array of fences that are no longer ours. With only_open, those whose report is on its way are
 * left to its answer: the broker may have taken it between our heartbeat and RECORDED. */
static enum error
lose_all(struct session *session, struct slice field, bool only_open)
{
    struct reader reader;

    if (field.data == NULL) {
        return OK;
    }
    reader_init(&reader, field);
    size_t count = read_array(&reader);
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        uint64_t fence = read_uint(&reader);
        struct lease *lease = reader.error == OK ? leases_find(&session->leases, fence) : NULL;
        if (lease != NULL && !(only_open && lease->is_reported)) {
            session_forget(session, lease);
        }
    }
    return reader_finish(&reader);
}

static void
grant(struct session *session, const struct lease *granted)
{
    if (leases_find(&session->leases, granted->fence) != NULL) {
        return; /* a copy */
    }
    struct lease *lease = NULL;
    /* What is reported is off the broker's count as soon as it arrives there, long before RECORDED:
     * counting it here would give back what the broker grants in its place. */
    if (session->leases.count - session->leases.reported_count < session->leases_max) {
        lease = session->events.granted(session->context, granted);
    }
    if (lease == NULL) {
        /* Without memory for this either, the lease ends at its deadline. */
        ignore_error(outbox_add_release(&session->outbox, granted->fence, granted->task));
        return;
    }
    leases_add(&session->leases, lease);
    session->events.begin(session->context, lease, granted->body);
}

static enum error
receive_tasks(struct session *session, const struct incoming *message)
{
    struct reader reader;

    if (message->frame_count < TASKS_FRAMES_MIN || message_scan(message->frames[1]) != OK) {
        return ERROR_PROTOCOL;
    }
    reader_init(&reader, message->frames[1]);
    size_t count = read_array(&reader);
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        struct lease granted;
        struct slice row = read_raw(&reader);
        if (reader.error != OK ||
            lease_read(row, message->frames, message->frame_count, &granted) != OK) {
            session->malformed_count++;
            continue;
        }
        grant(session, &granted);
    }
    return reader_finish(&reader);
}

/* ---- answers --------------------------------------------------------------------------- */

struct recorded {
    struct session *session;
    struct reader statuses;
    enum report_status otherwise; /* when the array has none for a row */
};

static void
row_is_over(void *context, uint64_t fence, size_t row)
{
    struct recorded *recorded = context;
    struct session *session = recorded->session;
    enum report_status status = recorded->otherwise;
    struct lease *lease = leases_find(&session->leases, fence);
    uint64_t number = read_uint(&recorded->statuses);

    (void)row;
    if (recorded->statuses.error == OK && number <= REPORT_REFUSED) {
        status = (enum report_status)number;
    }
    /* A lease that was lost and granted again has the same fence only if it is not reported. */
    if (lease != NULL && lease->is_reported) {
        leases_remove(&session->leases, lease);
        session->events.over(session->context, lease, status);
    }
}

static enum error
receive_recorded(struct session *session, const struct incoming *message)
{
    static const char *const names[] = {"statuses", NULL};
    struct slice fields[1];
    struct recorded recorded = {.session = session, .otherwise = REPORT_RECORDED};

    read_pairs(message->reader, message->pairs, names, fields);
    if (reader_finish(message->reader) != OK) {
        return ERROR_PROTOCOL;
    }
    reader_init(&recorded.statuses, fields[0]);
    if (fields[0].data != NULL && read_array(&recorded.statuses) == 0 &&
        recorded.statuses.error != OK) {
        return ERROR_PROTOCOL;
    }
    /* An answer to a message answered before is a copy. */
    (void)outbox_answered(&session->outbox, message->sequence, row_is_over, &recorded);
    return OK;
}

static enum error
receive_renewed(struct session *session, const struct incoming *message)
{
    static const char *const names[] = {"lost", NULL};
    struct slice fields[1];

    read_pairs(message->reader, message->pairs, names, fields);
    if (reader_finish(message->reader) != OK) {
        return ERROR_PROTOCOL;
    }
    return lose_all(session, fields[0], true);
}

/* ---- HELLO's answers ------------------------------------------------------------------- */

static enum error
receive_welcome(struct session *session, const struct incoming *message)
{
    static const char *const names[] = {"boot",           "heartbeat_ms", "lease_ms",
                                        "batch_max",      "window_max",   "message_bytes_max",
                                        "body_bytes_max", "lost",         NULL};
    enum {
        BOOT,
        HEARTBEAT,
        LEASE,
        BATCH,
        WINDOW,
        MESSAGE_BYTES,
        BODY_BYTES,
        LOST,
        COUNT
    };
    struct slice fields[COUNT];
    struct session_welcome welcome;
    enum error error = OK;

    read_pairs(message->reader, message->pairs, names, fields);
    if (reader_finish(message->reader) != OK) {
        return ERROR_PROTOCOL;
    }
    welcome.boot = field_uint(fields[BOOT], 0, &error);
    welcome.heartbeat_ms = (int64_t)clamped(field_uint(fields[HEARTBEAT], HEARTBEAT_MAX_MS, &error),
                                            HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
    welcome.lease_ms = (int64_t)clamped(field_uint(fields[LEASE], LEASE_DEFAULT_MS, &error),
                                        HEARTBEAT_MIN_MS, LEASE_MAX_MS);
    welcome.batch_max = clamped(field_uint(fields[BATCH], 1, &error), 1, BATCH_MAX);
    welcome.window_max = clamped(field_uint(fields[WINDOW], 1, &error), 1, WINDOW_MAX);
    welcome.message_bytes_max =
        clamped(field_uint(fields[MESSAGE_BYTES], MESSAGE_BYTES_DEFAULT, &error), MESSAGE_BYTES_MIN,
                MESSAGE_BYTES_LIMIT);
    welcome.body_bytes_max =
        clamped(field_uint(fields[BODY_BYTES], BODY_BYTES_DEFAULT, &error), 1, MESSAGE_BYTES_LIMIT);
    if (error != OK) {
        return error;
    }
    error = lose_all(session, fields[LOST], false);
    if (session->state == SESSION_CALLING) {
        session_join(session, &welcome);
        session->events.joined(session->context, &welcome);
    }
    return error;
}

static bool
is_code(struct slice code, const char *name)
{
    return slice_equal(code, slice_string(name));
}

/* RESULTS or RELEASE that this broker will never take: the leases end at their deadlines. */
static void
give_up_message(struct session *session, uint64_t sequence)
{
    struct recorded recorded = {.session = session, .otherwise = REPORT_REFUSED};

    reader_init(&recorded.statuses, slice_of(NULL, 0));
    (void)outbox_answered(&session->outbox, sequence, row_is_over, &recorded);
}

static enum error
receive_refused(struct session *session, const struct incoming *message)
{
    static const char *const names[] = {"code", "reason", "type", "sequence", "retry_ms", NULL};
    enum {
        CODE,
        REASON,
        TYPE,
        SEQUENCE,
        RETRY,
        COUNT
    };
    struct slice fields[COUNT];
    enum error error = OK;

    read_pairs(message->reader, message->pairs, names, fields);
    if (reader_finish(message->reader) != OK) {
        return ERROR_PROTOCOL;
    }
    struct slice code = field_string(fields[CODE], &error);
    struct slice reason = field_string(fields[REASON], &error);
    uint64_t type = field_uint(fields[TYPE], 0, &error);
    uint64_t sequence = field_uint(fields[SEQUENCE], 0, &error);
    uint64_t retry_ms = clamped(field_uint(fields[RETRY], BUSY_DEFAULT_MS, &error), 1, BUSY_MAX_MS);
    if (error != OK) {
        return error;
    }
    if (is_code(code, "hello_first")) {
        /* Several messages may have been refused; one HELLO answers them all. */
        if (session->state == SESSION_JOINED) {
            session_call(session, session->now_ms);
        }
        return OK;
    }
    session->events.refused(session->context, code, reason,
                            is_code(code, "version") || is_code(code, "wrong_role") ||
                                is_code(code, "not_allowed"));
    if (is_code(code, "busy")) {
        session->resend_at_ms = session->now_ms + (int64_t)retry_ms;
    } else if (is_code(code, "stopping")) {
        session_call(session, session->now_ms + (int64_t)retry_ms);
    } else if (type == MESSAGE_RESULTS || type == MESSAGE_RELEASE) {
        give_up_message(session, sequence);
    }
    return OK;
}

static enum error
receive_quiet(struct session *session, const struct incoming *message)
{
    (void)message;
    session->events.wished(session->context, SESSION_QUIET);
    return OK;
}

static enum error
receive_stop(struct session *session, const struct incoming *message)
{
    (void)message;
    session->events.wished(session->context, SESSION_STOP);
    return OK;
}

/* ---- dispatch -------------------------------------------------------------------------- */

static receive_fn *
handler_of(enum message_type type)
{
    static const struct {
        enum message_type type;
        receive_fn *receive;
    } handlers[] = {
        {MESSAGE_TASKS, receive_tasks},     {MESSAGE_RECORDED, receive_recorded},
        {MESSAGE_RENEWED, receive_renewed}, {MESSAGE_WELCOME, receive_welcome},
        {MESSAGE_REFUSED, receive_refused}, {MESSAGE_QUIET, receive_quiet},
        {MESSAGE_STOP, receive_stop},
    };

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].type == type) {
            return handlers[i].receive;
        }
    }
    return NULL;
}

void
session_receive(struct session *session, const struct slice *frames, size_t frame_count,
                int64_t now_ms)
{
    struct incoming message = {.frames = frames, .frame_count = frame_count};
    enum message_type type;
    struct reader reader;

    if (session->state == SESSION_LEFT) {
        return;
    }
    session->now_ms = now_ms;
    if (frame_count == 0 || message_scan(frames[0]) != OK) {
        session->malformed_count++;
        return;
    }
    reader_init(&reader, frames[0]);
    if (read_header(&reader, &type, &message.sequence, &message.pairs) != OK) {
        session->malformed_count++;
        return;
    }
    session->heard_at_ms = now_ms;
    message.reader = &reader;
    receive_fn *receive = handler_of(type);
    if (receive == NULL || receive(session, &message) != OK) {
        session->malformed_count++;
    }
}
