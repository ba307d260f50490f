#include "client/feeder_core.h"

#include <assert.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "client/feeder_inner.h"

#define RESEND_MS 10000  /* an answer waits for the broker's disk; a second copy is safe */
#define SEND_RETRY_MS 20 /* after the socket had no room */

static size_t
limit_of(size_t wanted, size_t fallback, size_t most)
{
    size_t limit = wanted > 0 ? wanted : fallback;
    return limit < most ? limit : most;
}

struct feeder_core *
feeder_core_create(const struct feeder_core_options *options, feeder_status_fn *fed, void *context)
{
    struct feeder_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return NULL;
    }
    session_init(&core->session, ROLE_FEED, options->name, options->client);
    core->fed = fed;
    core->context = context;
    core->batch_max = limit_of(options->batch_max, FEEDER_BATCH_DEFAULT, FEEDER_BATCH_MAX);
    core->window_max = limit_of(options->window_max, FEEDER_WINDOW_DEFAULT, FEEDER_WINDOW_MAX);
    core->bytes_max = limit_of(options->bytes_max, FEEDER_BYTES_DEFAULT, SIZE_MAX);
    core->is_spooled = options->is_spooled;
    core->last_sequence = options->last_sequence;
    core->confirmed = options->confirmed;
    core->unfinished = -1;
    core->submits = calloc(FEEDER_WINDOW_MAX, sizeof(struct submit *));
    if (core->submits == NULL) {
        free(core);
        return NULL;
    }
    return core;
}

void
feeder_core_destroy(struct feeder_core *core)
{
    if (core == NULL) {
        return;
    }
    submit_destroy(core->batch);
    for (size_t i = 0; i < core->submit_count; i++) {
        submit_destroy(core->submits[i]);
    }
    free(core->submits);
    free(core);
}

static enum error
say(struct feeder_core *core, enum error error, const char *text)
{
    snprintf(core->message, sizeof core->message, "%s", text);
    return error;
}

static bool
has_room(const struct feeder_core *core)
{
    uint64_t told = core->session.limits.window_max;
    size_t window_max = told > 0 && told < core->window_max ? (size_t)told : core->window_max;
    return core->submit_count < window_max;
}

enum error
feeder_core_flush(struct feeder_core *core)
{
    if (core->batch == NULL || core->batch->item_count == 0) {
        return OK;
    }
    if (!has_room(core)) {
        return ERROR_FULL;
    }
    enum error error = submit_seal(core->batch);
    if (error != OK) {
        return error;
    }
    struct submit *submit = core->batch;
    core->batch = NULL;
    submit->sequence = ++core->last_sequence;
    submit->state = core->is_spooled ? SUBMIT_SEALED : SUBMIT_READY;
    core->submits[core->submit_count++] = submit;
    return OK;
}

static size_t
batch_limit(const struct feeder_core *core)
{
    uint64_t told = core->session.limits.batch_max;
    return told > 0 && told < core->batch_max ? (size_t)told : core->batch_max;
}

/* Whether the batch must be sealed before `bytes` more fit. */
static bool
batch_is_full(const struct feeder_core *core, size_t bytes)
{
    const struct submit *batch = core->batch;
    return batch != NULL && batch->item_count > 0 &&
           (batch->item_count >= batch_limit(core) ||
            batch->bytes + bytes > FEEDER_BATCH_BYTES_MAX);
}

static enum error
push_item(struct feeder_core *core, struct submit_item *item)
{
    size_t bytes = submit_item_bytes(item);
    if (core->bytes > 0 && core->bytes + bytes > core->bytes_max) {
        return ERROR_FULL;
    }
    if (batch_is_full(core, bytes)) {
        enum error error = feeder_core_flush(core);
        if (error != OK) {
            return error;
        }
    }
    if (core->batch == NULL) {
        core->batch = submit_create(core->batch_max);
        if (core->batch == NULL) {
            return ERROR_NO_MEMORY;
        }
    }
    submit_push(core->batch, item);
    core->bytes += bytes;
    core->item_count++;
    return OK;
}

enum error
feeder_core_add(struct feeder_core *core, const struct thresh_item *item)
{
    const char *reason = "";
    struct submit_item encoded;
    if (core->error != OK) {
        return core->error;
    }
    uint64_t body_bytes_max = core->session.limits.body_bytes_max;
    if (item->body != NULL && body_bytes_max > 0 && item->body_size > body_bytes_max) {
        return say(core, ERROR_TOO_LARGE, "document is larger than the broker takes");
    }
    enum error error = submit_item_encode(item, &encoded, &reason);
    if (error != OK) {
        return say(core, error, reason);
    }
    error = push_item(core, &encoded);
    if (error != OK) {
        submit_item_release(&encoded);
        return say(core, error, error == ERROR_FULL ? "too much is unanswered" : "out of memory");
    }
    /* A full batch goes out now if it can; if not, the next call finds the window full. */
    if (batch_is_full(core, 0)) {
        error = feeder_core_flush(core);
    }
    return error == ERROR_FULL ? OK : error;
}

enum error
feeder_core_restore(struct feeder_core *core, const struct feeder_submit *from)
{
    struct submit *submit;
    assert(core->batch == NULL);
    uint64_t newest =
        core->submit_count > 0 ? core->submits[core->submit_count - 1]->sequence : core->confirmed;
    if (from->sequence <= newest) {
        return ERROR_PROTOCOL;
    }
    if (core->submit_count >= FEEDER_WINDOW_MAX) {
        return ERROR_FULL;
    }
    enum error error = submit_restore(from, &submit);
    if (error != OK) {
        return error;
    }
    core->submits[core->submit_count++] = submit;
    core->bytes += submit->bytes;
    core->item_count += submit->item_count;
    if (submit->sequence > core->last_sequence) {
        core->last_sequence = submit->sequence;
    }
    return OK;
}

bool
feeder_core_unspooled(const struct feeder_core *core, uint64_t after,
                      struct feeder_submit *ret_submit)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        const struct submit *submit = core->submits[i];
        if (submit->state == SUBMIT_SEALED && submit->sequence > after) {
            *ret_submit = submit_view(submit);
            return true;
        }
    }
    return false;
}

void
feeder_core_spooled(struct feeder_core *core, uint64_t sequence)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        struct submit *submit = core->submits[i];
        if (submit->state == SUBMIT_SEALED && submit->sequence <= sequence) {
            submit->state = SUBMIT_READY;
            submit->replaces = 0;
        }
    }
}

bool
feeder_core_unanswered_submit(const struct feeder_core *core, uint64_t after,
                              struct feeder_submit *ret_submit)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        if (core->submits[i]->sequence > after && core->submits[i]->state != SUBMIT_SEALED) {
            *ret_submit = submit_view(core->submits[i]);
            return true;
        }
    }
    return false;
}

uint64_t
feeder_core_answered(const struct feeder_core *core)
{
    return core->submit_count > 0 ? core->submits[0]->sequence - 1 : core->last_sequence;
}

void
feeder_core_confirm(struct feeder_core *core, uint64_t sequence)
{
    if (sequence > core->confirmed) {
        core->confirmed = sequence;
    }
}

uint64_t
feeder_core_last_sequence(const struct feeder_core *core)
{
    return core->last_sequence;
}

/* ---- sending ---------------------------------------------------------------------------- */

static enum error
send_simple(struct feeder_core *core, enum session_action action,
            const struct session_sender *sender)
{
    struct buffer header;
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    if (action == SESSION_SEND_HELLO) {
        session_write_hello(&core->session, core->confirmed, &header);
    } else {
        write_header(&header, MESSAGE_HEARTBEAT, 0, 0);
    }
    enum error error = buffer_error(&header);
    if (error == OK) {
        struct slice frame = buffer_slice(&header);
        error = sender->send(sender->context, &frame, 1);
    }
    buffer_release(&header);
    return error;
}

static enum error
send_submit(struct feeder_core *core, const struct submit *submit,
            const struct session_sender *sender)
{
    struct buffer header;
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    write_header(&header, MESSAGE_SUBMIT, submit->sequence, 1);
    write_string(&header, "confirmed");
    write_uint(&header, core->confirmed);
    struct slice *frames = calloc(submit->body_count + 2, sizeof *frames);
    enum error error = frames == NULL ? ERROR_NO_MEMORY : buffer_error(&header);
    if (error == OK) {
        frames[0] = buffer_slice(&header);
        frames[1] = buffer_slice(&submit->table);
        if (submit->body_count > 0) {
            memcpy(frames + 2, submit->bodies, submit->body_count * sizeof *frames);
        }
        error = sender->send(sender->context, frames, submit->body_count + 2);
    }
    free(frames);
    buffer_release(&header);
    return error;
}

/* Busy items whose wait is over become a new submit, which is the newest. */
static void
renumber_waiting(struct feeder_core *core, int64_t now_ms)
{
    size_t count = core->submit_count;
    for (size_t i = 0; i < count;) {
        struct submit *submit = core->submits[i];
        if (submit->state != SUBMIT_WAITING || submit->due_ms > now_ms) {
            i++;
            continue;
        }
        submit->replaces = submit->sequence;
        submit->sequence = ++core->last_sequence;
        submit->state = core->is_spooled ? SUBMIT_SEALED : SUBMIT_READY;
        memmove(&core->submits[i], &core->submits[i + 1],
                (core->submit_count - i - 1) * sizeof(struct submit *));
        core->submits[core->submit_count - 1] = submit;
        count--; /* what was moved to the end is dealt with */
    }
}

/* Sends every submit that is due, in order; stops where the socket has no room. */
static enum error
send_submits(struct feeder_core *core, int64_t now_ms, const struct session_sender *sender)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        struct submit *submit = core->submits[i];
        bool is_due = submit->state == SUBMIT_READY ||
                      (submit->state == SUBMIT_SENT && submit->due_ms <= now_ms);
        if (!is_due) {
            continue;
        }
        enum error error = send_submit(core, submit, sender);
        if (error != OK) {
            return error;
        }
        submit->state = SUBMIT_SENT;
        submit->due_ms = now_ms + RESEND_MS;
    }
    return OK;
}

static int64_t
deadline_of(const struct feeder_core *core)
{
    int64_t deadline_ms = session_deadline(&core->session);
    for (size_t i = 0; i < core->submit_count; i++) {
        const struct submit *submit = core->submits[i];
        bool is_timed = submit->state == SUBMIT_WAITING ||
                        (submit->state == SUBMIT_SENT && core->session.state == SESSION_WELCOMED);
        if (is_timed && submit->due_ms < deadline_ms) {
            deadline_ms = submit->due_ms;
        }
    }
    return deadline_ms;
}

enum error
feeder_core_tick(struct feeder_core *core, int64_t now_ms, const struct session_sender *sender,
                 int64_t *ret_deadline_ms)
{
    if (core->error != OK) {
        *ret_deadline_ms = INT64_MAX;
        return OK;
    }
    renumber_waiting(core, now_ms);
    if (!core->is_spooled) {
        core->confirmed = feeder_core_answered(core);
    }
    enum session_action action = session_due(&core->session, now_ms);
    enum error error = OK;
    if (action != SESSION_NOTHING) {
        error = send_simple(core, action, sender);
        if (error == OK) {
            session_sent(&core->session, action, now_ms);
        }
    }
    if (error == OK && core->session.state == SESSION_WELCOMED) {
        error = send_submits(core, now_ms, sender);
    }
    if (error != OK && error != ERROR_AGAIN) {
        return error;
    }
    *ret_deadline_ms = error == ERROR_AGAIN ? now_ms + SEND_RETRY_MS : deadline_of(core);
    return OK;
}

void
feeder_core_leave(struct feeder_core *core, const struct session_sender *sender)
{
    struct buffer header;
    if (core->session.state != SESSION_WELCOMED) {
        return;
    }
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    write_header(&header, MESSAGE_GOODBYE, 0, 1);
    write_string(&header, "confirmed");
    write_uint(&header, core->is_spooled ? core->confirmed : feeder_core_answered(core));
    struct slice frame = buffer_slice(&header);
    /* A courtesy: the broker forgets a silent peer anyway. */
    ignore_error(sender->send(sender->context, &frame, 1));
    buffer_release(&header);
}

uint64_t
feeder_core_unanswered(const struct feeder_core *core)
{
    return core->item_count;
}

bool
feeder_core_is_batch_empty(const struct feeder_core *core)
{
    return core->batch == NULL || core->batch->item_count == 0;
}

int64_t
feeder_core_unfinished(const struct feeder_core *core)
{
    return core->unfinished;
}

void
feeder_core_ask(struct feeder_core *core)
{
    session_ask(&core->session);
}

bool
feeder_core_is_told(const struct feeder_core *core)
{
    return core->session.is_told;
}

const struct session *
feeder_core_session(const struct feeder_core *core)
{
    return &core->session;
}

enum error
feeder_core_error(const struct feeder_core *core)
{
    return core->error;
}

bool
feeder_core_is_put_off(const struct feeder_core *core)
{
    return core->is_put_off;
}

const char *
feeder_core_message(const struct feeder_core *core)
{
    return core->message;
}
