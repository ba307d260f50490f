#include "worker/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/deadline.h"
#include "common/loop.h"
#include "common/message.h"
#include "worker/session_internal.h"

/* One RESULTS message holds this much at most, so that it does not sit on the socket for long. */
#define RESULTS_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define HEADER_BYTES_MAX ((size_t)1024 * 1024)
#define RETRY_SEND_MS 50
/* Until the broker has said otherwise. */
#define DEFAULT_HEARTBEAT_MS 5000
#define DEFAULT_WINDOW 64
#define DEFAULT_BATCH 256

static const struct session_welcome WELCOME_BEFORE = {
    .heartbeat_ms = DEFAULT_HEARTBEAT_MS,
    .batch_max = DEFAULT_BATCH,
    .window_max = DEFAULT_WINDOW,
};

enum error
session_create(const struct session_options *options, const struct session_events *events,
               void *context, struct session **ret_session)
{
    struct session *session = calloc(1, sizeof *session);
    struct outbox_limits limits = {.batch_max = DEFAULT_BATCH,
                                   .window_max = DEFAULT_WINDOW,
                                   .message_bytes_max = RESULTS_BYTES_MAX};

    if (session == NULL) {
        return ERROR_NO_MEMORY;
    }
    snprintf(session->name, sizeof session->name, "%s", options->name);
    memcpy(session->client, options->client, CLIENT_ID_BYTES);
    session->leases_max = options->leases_max;
    session->events = *events;
    session->context = context;
    session->welcome = WELCOME_BEFORE;
    session->hello_wait_ms = SESSION_HELLO_FIRST_MS;
    outbox_init(&session->outbox, &limits);
    buffer_init(&session->header, HEADER_BYTES_MAX);
    if (leases_init(&session->leases, options->leases_max) != OK) {
        session_destroy(session);
        return ERROR_NO_MEMORY;
    }
    *ret_session = session;
    return OK;
}

void
session_destroy(struct session *session)
{
    if (session == NULL) {
        return;
    }
    outbox_release(&session->outbox);
    buffer_release(&session->header);
    leases_release(&session->leases);
    free(session);
}

/* ---- states ---------------------------------------------------------------------------- */

void
session_call(struct session *session, int64_t hello_at_ms)
{
    assert(session->state != SESSION_LEFT);
    session->state = SESSION_CALLING;
    session->hello_at_ms = hello_at_ms;
    session->hello_wait_ms = SESSION_HELLO_FIRST_MS;
}

void
session_join(struct session *session, const struct session_welcome *welcome)
{
    assert(session->state == SESSION_CALLING);
    session->state = SESSION_JOINED;
    session->welcome = *welcome;
    session->outbox.limits.batch_max = welcome->batch_max;
    session->outbox.limits.window_max = welcome->window_max;
    session->hello_wait_ms = SESSION_HELLO_FIRST_MS;
    session->is_credit_told = false;
    session->beat_at_ms = session->now_ms + welcome->heartbeat_ms;
    outbox_resend(&session->outbox);
}

void
session_leave(struct session *session)
{
    if (session->state == SESSION_JOINED) {
        struct slice frame;
        buffer_clear(&session->header);
        write_header(&session->header, MESSAGE_GOODBYE, 0, 0);
        frame = buffer_slice(&session->header);
        /* Nobody waits for it: without it the broker sees the silence. */
        ignore_error(session->events.send(session->context, &frame, 1));
    }
    session->state = SESSION_LEFT;
}

/* ---- sending --------------------------------------------------------------------------- */

/* Sends what session->header holds; false when the socket is full. */
static bool
send_header(struct session *session)
{
    struct slice frame = buffer_slice(&session->header);

    if (buffer_error(&session->header) != OK ||
        session->events.send(session->context, &frame, 1) != OK) {
        session->send_at_ms = session->now_ms + RETRY_SEND_MS;
        return false;
    }
    return true;
}

static bool
send_hello(struct session *session)
{
    struct buffer *out = &session->header;

    buffer_clear(out);
    write_header(out, MESSAGE_HELLO, 0, 5);
    write_string(out, "role");
    write_string(out, role_name(ROLE_WORK));
    write_string(out, "name");
    write_string(out, session->name);
    write_string(out, "client");
    write_binary(out, slice_of(session->client, CLIENT_ID_BYTES));
    write_string(out, "versions");
    write_array(out, 1);
    write_uint(out, PROTOCOL_VERSION);
    write_string(out, "running");
    write_array(out, session->leases.count);
    for (const struct lease *lease = session->leases.first; lease != NULL; lease = lease->next) {
        write_array(out, 2);
        write_uint(out, lease->fence);
        write_string(out, lease->task);
    }
    return send_header(session);
}

static bool
send_heartbeat(struct session *session)
{
    struct buffer *out = &session->header;
    struct worker_stats stats = {0};

    session->events.stats(session->context, &stats);
    buffer_clear(out);
    write_header(out, MESSAGE_HEARTBEAT, 0, 2);
    write_string(out, "running");
    write_array(out, session->leases.count);
    for (const struct lease *lease = session->leases.first; lease != NULL; lease = lease->next) {
        write_uint(out, lease->fence);
    }
    write_string(out, "stats");
    worker_stats_write(&stats, out);
    return send_header(session);
}

static bool
send_credit(struct session *session)
{
    buffer_clear(&session->header);
    write_header(&session->header, MESSAGE_CREDIT, 0, 1);
    write_string(&session->header, "credit");
    write_uint(&session->header, session->credit);
    session->is_credit_told = send_header(session);
    return session->is_credit_told;
}

static void
send_outbox(struct session *session)
{
    struct outbox_message *message;

    if (session->now_ms >= session->resend_at_ms) {
        outbox_resend(&session->outbox);
    }
    while (outbox_next(&session->outbox, &message) == OK) {
        if (session->events.send(session->context, message->frames, message->frame_count) != OK) {
            session->send_at_ms = session->now_ms + RETRY_SEND_MS;
            return;
        }
        outbox_sent(&session->outbox, message);
        session->resend_at_ms =
            session->now_ms + SESSION_RESEND_BEATS * session->welcome.heartbeat_ms;
    }
}

/* ---- time ------------------------------------------------------------------------------ */

static void
tick_calling(struct session *session)
{
    if (session->now_ms < session->hello_at_ms || !send_hello(session)) {
        return;
    }
    session->hello_at_ms = session->now_ms + session->hello_wait_ms;
    session->hello_wait_ms *= 2;
    if (session->hello_wait_ms > SESSION_HELLO_MAX_MS) {
        session->hello_wait_ms = SESSION_HELLO_MAX_MS;
    }
}

static void
tick_joined(struct session *session)
{
    if (session->now_ms >= session->beat_at_ms) {
        if (!send_heartbeat(session)) {
            return;
        }
        session->beat_at_ms = session->now_ms + session->welcome.heartbeat_ms;
        session->is_credit_told = false;
    }
    /* Reports before credit: the broker frees the old leases before it counts the new ones. */
    send_outbox(session);
    if (!session->is_credit_told && session->now_ms >= session->send_at_ms) {
        ignore_error(send_credit(session) ? OK : ERROR_AGAIN); /* the next tick tries again */
    }
}

static int64_t
silence_at(const struct session *session)
{
    return session->heard_at_ms + SILENT_BEATS_MAX * session->welcome.heartbeat_ms;
}

static int64_t
next_tick(const struct session *session)
{
    int64_t at_ms = LOOP_NEVER;

    if (session->state == SESSION_CALLING) {
        at_ms = session->hello_at_ms;
    } else if (session->state == SESSION_JOINED) {
        at_ms = deadline_earlier(session->beat_at_ms, silence_at(session));
        /* In the past: the socket was full, and send_at_ms says when to try. */
        if (outbox_is_waiting(&session->outbox) && session->resend_at_ms > session->now_ms) {
            at_ms = deadline_earlier(at_ms, session->resend_at_ms);
        }
    }
    if (session->state != SESSION_LEFT && session->send_at_ms > session->now_ms) {
        at_ms = deadline_earlier(at_ms, session->send_at_ms);
    }
    return at_ms;
}

int64_t
session_tick(struct session *session, int64_t now_ms)
{
    session->now_ms = now_ms;
    if (session->state == SESSION_JOINED && now_ms >= silence_at(session)) {
        session_call(session, now_ms);
    }
    if (now_ms >= session->send_at_ms) {
        if (session->state == SESSION_CALLING) {
            tick_calling(session);
        } else if (session->state == SESSION_JOINED) {
            tick_joined(session);
        }
    }
    return next_tick(session);
}

/* ---- what the worker says -------------------------------------------------------------- */

void
session_set_credit(struct session *session, size_t credit)
{
    if (credit != session->credit) {
        session->credit = credit;
        session->is_credit_told = false;
    }
}

void
session_report(struct session *session, struct lease *lease, struct buffer *row, size_t row_pairs,
               struct buffer *result)
{
    assert(leases_find(&session->leases, lease->fence) == lease && !lease->is_reported);
    leases_report(&session->leases, lease);
    if (outbox_add_report(&session->outbox, lease->fence, row, row_pairs, result) != OK) {
        session_forget(session, lease);
    }
}

void
session_give_back(struct session *session, struct lease *lease)
{
    assert(leases_find(&session->leases, lease->fence) == lease && !lease->is_reported);
    leases_report(&session->leases, lease);
    if (outbox_add_release(&session->outbox, lease->fence, lease->task) != OK) {
        session_forget(session, lease);
    }
}

void
session_forget(struct session *session, struct lease *lease)
{
    outbox_drop(&session->outbox, lease->fence);
    leases_remove(&session->leases, lease);
    session->events.lost(session->context, lease);
}

const struct leases *
session_leases(const struct session *session)
{
    return &session->leases;
}

bool
session_is_joined(const struct session *session)
{
    return session->state == SESSION_JOINED;
}

bool
session_is_settled(const struct session *session)
{
    return outbox_is_empty(&session->outbox);
}

size_t
session_unrecorded_bytes(const struct session *session)
{
    return session->outbox.bytes;
}

uint64_t
session_malformed_count(const struct session *session)
{
    return session->malformed_count;
}
