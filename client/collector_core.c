#include "client/collector_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEND_RETRY_MS 20          /* after the socket had no room */
#define ACKNOWLEDGE_AGAIN_MS 5000 /* an acknowledgement without an answer is said again */
#define TASK_BYTES_MAX 64

struct collector_core {
    struct session session;
    char store[SESSION_STORE_BYTES_MAX + 1]; /* whose positions these are; "" before WELCOME */
    uint64_t generation;
    uint64_t credit;
    uint64_t bytes;
    bool is_subscribed;
    uint64_t subscription;   /* number of the last SUBSCRIBE */
    uint64_t number;         /* of the last DELIVER under it */
    int64_t subscribe_at_ms; /* after a refusal as busy */
    uint64_t taken;          /* the last position given out */
    uint64_t acknowledged;   /* by the owner */
    uint64_t delivered;      /* the last position delivered in this session */
    uint64_t said;           /* to the broker, in this session */
    int64_t said_at_ms;
    uint64_t stored; /* as the broker answered */
    uint64_t newest;
    int64_t unfinished;
    enum error error;
    char message[SESSION_REASON_BYTES_MAX + 128];
};

struct collector_core *
collector_core_create(const struct collector_core_options *options)
{
    struct collector_core *core = calloc(1, sizeof *core);
    if (core == NULL) {
        return NULL;
    }
    const char *name = options->name != NULL ? options->name : "default";
    session_init(&core->session, ROLE_COLLECT, name, options->client);
    core->credit = options->credit > 0 ? options->credit : COLLECTOR_CREDIT_DEFAULT;
    core->bytes = options->bytes > 0 ? options->bytes : COLLECTOR_BYTES_DEFAULT;
    core->unfinished = -1;
    return core;
}

void
collector_core_destroy(struct collector_core *core)
{
    free(core);
}

/* ---- sending ---------------------------------------------------------------------------- */

static enum error
send_header(struct buffer *header, const struct session_sender *sender)
{
    enum error error = buffer_error(header);
    if (error == OK) {
        struct slice frame = buffer_slice(header);
        error = sender->send(sender->context, &frame, 1);
    }
    buffer_release(header);
    return error;
}

static enum error
send_action(struct collector_core *core, enum session_action action,
            const struct session_sender *sender)
{
    struct buffer header;
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    if (action == SESSION_SEND_HELLO) {
        session_write_hello(&core->session, 0, &header);
    } else {
        /* Its answer, which has this number, comes after all that was delivered before. */
        write_header(&header, MESSAGE_HEARTBEAT, core->is_subscribed ? core->subscription : 0, 0);
    }
    return send_header(&header, sender);
}

static enum error
send_subscribe(const struct collector_core *core, const struct session_sender *sender)
{
    struct buffer header;
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    write_header(&header, MESSAGE_SUBSCRIBE, core->subscription + 1, 3);
    write_string(&header, "name");
    write_text(&header, slice_string(core->session.name));
    write_string(&header, "credit");
    write_uint(&header, core->credit);
    write_string(&header, "bytes");
    write_uint(&header, core->bytes);
    return send_header(&header, sender);
}

/* What may be acknowledged now: a broker refuses positions that it has not delivered to this
 * session, so after a new SUBSCRIBE it waits for them to come again. */
static uint64_t
sayable(const struct collector_core *core)
{
    return core->acknowledged < core->delivered ? core->acknowledged : core->delivered;
}

static enum error
send_acknowledge(const struct collector_core *core, const struct session_sender *sender)
{
    struct buffer header;
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    write_header(&header, MESSAGE_ACKNOWLEDGE, sayable(core), 0);
    return send_header(&header, sender);
}

static bool
acknowledge_is_due(const struct collector_core *core, int64_t now_ms)
{
    uint64_t position = sayable(core);
    if (!core->is_subscribed || position <= core->stored) {
        return false;
    }
    return position > core->said || now_ms - core->said_at_ms >= ACKNOWLEDGE_AGAIN_MS;
}

static enum error
send_due(struct collector_core *core, int64_t now_ms, const struct session_sender *sender)
{
    enum error error;
    enum session_action action = session_due(&core->session, now_ms);
    if (action != SESSION_NOTHING) {
        error = send_action(core, action, sender);
        if (error != OK) {
            return error;
        }
        session_sent(&core->session, action, now_ms);
    }
    if (core->session.state != SESSION_WELCOMED) {
        return OK;
    }
    if (!core->is_subscribed && now_ms >= core->subscribe_at_ms) {
        error = send_subscribe(core, sender);
        if (error != OK) {
            return error;
        }
        core->is_subscribed = true;
        core->subscription++;
        core->number = 0;
    }
    if (acknowledge_is_due(core, now_ms)) {
        error = send_acknowledge(core, sender);
        if (error != OK) {
            return error;
        }
        core->said = sayable(core);
        core->said_at_ms = now_ms;
    }
    return OK;
}

enum error
collector_core_tick(struct collector_core *core, int64_t now_ms,
                    const struct session_sender *sender, int64_t *ret_deadline_ms)
{
    if (core->error != OK) {
        *ret_deadline_ms = INT64_MAX;
        return OK;
    }
    enum error error = send_due(core, now_ms, sender);
    if (error != OK && error != ERROR_AGAIN) {
        return error;
    }
    int64_t deadline_ms = session_deadline(&core->session);
    if (error == ERROR_AGAIN) {
        deadline_ms = now_ms + SEND_RETRY_MS;
    } else if (core->session.state == SESSION_WELCOMED && !core->is_subscribed) {
        deadline_ms = core->subscribe_at_ms < deadline_ms ? core->subscribe_at_ms : deadline_ms;
    } else if (core->is_subscribed && sayable(core) > core->stored &&
               core->said_at_ms + ACKNOWLEDGE_AGAIN_MS < deadline_ms) {
        deadline_ms = core->said_at_ms + ACKNOWLEDGE_AGAIN_MS;
    }
    *ret_deadline_ms = deadline_ms;
    return OK;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* A message was lost with its connection: the broker starts anew behind what is acknowledged. */
static void
subscribe_again(struct collector_core *core)
{
    core->is_subscribed = false;
    core->said = 0;
    core->delivered = 0;
    core->subscribe_at_ms = 0;
}

static void
session_opened(struct collector_core *core)
{
    subscribe_again(core);
    if (strcmp(core->store, core->session.limits.store) == 0) {
        return;
    }
    memcpy(core->store, core->session.limits.store, sizeof core->store);
    core->generation++;
    core->taken = 0;
    core->acknowledged = 0;
    core->stored = 0;
    core->newest = 0;
    core->unfinished = -1;
}

static enum error
renewed_received(struct collector_core *core, struct session_header *header)
{
    static const char *const names[] = {"position", "unfinished", "subscription", "number", NULL};
    enum {
        F_POSITION,
        F_UNFINISHED,
        F_SUBSCRIPTION,
        F_NUMBER,
        F_COUNT
    };
    struct slice fields[F_COUNT];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    uint64_t position = field_uint(fields[F_POSITION], core->newest, &error);
    uint64_t unfinished = field_uint(fields[F_UNFINISHED], 0, &error);
    uint64_t subscription = field_uint(fields[F_SUBSCRIPTION], core->subscription, &error);
    uint64_t number = field_uint(fields[F_NUMBER], core->number, &error);
    if (error == OK) {
        error = reader_finish(&header->pairs);
    }
    if (error != OK) {
        return error;
    }
    if (core->is_subscribed && header->sequence == core->subscription &&
        (subscription != core->subscription || number > core->number)) {
        subscribe_again(core);
    }
    core->newest = position;
    if (fields[F_UNFINISHED].data != NULL && unfinished <= INT64_MAX) {
        core->unfinished = (int64_t)unfinished;
    }
    return OK;
}

/* Walks all rows once, so that reading them later cannot fail. */
static enum error
check_rows(struct reader rows, size_t count, uint64_t *ret_last)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++) {
        size_t parts = read_array(&rows);
        uint64_t position = read_uint(&rows);
        struct slice task = read_string(&rows);
        if (rows.error != OK || parts != 2 || position <= last || task.size == 0 ||
            task.size > TASK_BYTES_MAX) {
            return ERROR_PROTOCOL;
        }
        last = position;
    }
    *ret_last = last;
    return reader_finish(&rows);
}

static enum error
delivery_open(const struct collector_core *core, const struct slice *frames, size_t frame_count,
              struct collector_delivery *ret_delivery, uint64_t *ret_last)
{
    if (frame_count < 2) {
        return ERROR_PROTOCOL;
    }
    enum error error = message_scan(frames[1]);
    if (error != OK) {
        return error;
    }
    struct collector_delivery delivery = {.bodies = frames + 2, .generation = core->generation};
    reader_init(&delivery.rows, frames[1]);
    delivery.row_count = read_array(&delivery.rows);
    if (delivery.rows.error != OK || delivery.row_count != frame_count - 2) {
        return ERROR_PROTOCOL;
    }
    error = check_rows(delivery.rows, delivery.row_count, ret_last);
    if (error == OK) {
        *ret_delivery = delivery;
    }
    return error;
}

/* Whether a DELIVER is the next of this subscription. One of an earlier subscription and a second
 * copy are nothing new; a hole tells of a message that was lost. */
static enum error
is_next(struct collector_core *core, struct session_header *header, bool *ret_is_next)
{
    static const char *const names[] = {"subscription", "number", NULL};
    struct slice fields[2];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    uint64_t subscription = field_uint(fields[0], core->subscription, &error);
    uint64_t number = field_uint(fields[1], core->number + 1, &error);
    if (error == OK) {
        error = reader_finish(&header->pairs);
    }
    if (error != OK) {
        return error;
    }
    bool is_current = core->is_subscribed && subscription == core->subscription;
    if (is_current && number > core->number + 1) {
        subscribe_again(core);
    }
    *ret_is_next = is_current && number == core->number + 1;
    return OK;
}

static enum error
message_received(struct collector_core *core, struct session_header *header,
                 const struct slice *frames, size_t frame_count, bool *ret_is_delivery,
                 struct collector_delivery *ret_delivery)
{
    if (header->type == MESSAGE_ACKNOWLEDGED) {
        if (header->sequence > core->stored && header->sequence <= core->taken) {
            core->stored = header->sequence;
        }
        return OK;
    }
    if (header->type != MESSAGE_DELIVER) {
        return ERROR_PROTOCOL;
    }
    uint64_t last = 0;
    bool is_wanted = false;
    enum error error = is_next(core, header, &is_wanted);
    if (error != OK || !is_wanted) {
        return error;
    }
    error = delivery_open(core, frames, frame_count, ret_delivery, &last);
    if (error == OK) {
        *ret_is_delivery = true;
        core->number++;
        core->delivered = last > core->delivered ? last : core->delivered;
    }
    return error;
}

static void
give_up(struct collector_core *core)
{
    core->error = core->session.error;
    if (core->error == ERROR_LOCKED) {
        snprintf(core->message, sizeof core->message,
                 "another process collects under the name '%s' now", core->session.name);
        return;
    }
    snprintf(core->message, sizeof core->message, "the broker refuses this collector: %s",
             core->session.reason[0] != '\0' ? core->session.reason : core->session.code);
}

enum error
collector_core_receive(struct collector_core *core, const struct slice *frames, size_t frame_count,
                       int64_t now_ms, bool *ret_is_delivery,
                       struct collector_delivery *ret_delivery)
{
    enum session_event event;
    struct session_header header;
    *ret_is_delivery = false;
    if (frame_count == 0 || core->error != OK) {
        return core->error != OK ? core->error : ERROR_PROTOCOL;
    }
    enum error error = session_receive(&core->session, frames[0], now_ms, &event, &header);
    if (error != OK) {
        return error;
    }
    switch (event) {
    case SESSION_EVENT_WELCOMED:
        session_opened(core);
        return OK;
    case SESSION_EVENT_FAILED:
        give_up(core);
        return core->error;
    case SESSION_EVENT_RENEWED:
        return renewed_received(core, &header);
    case SESSION_EVENT_OTHER:
        return message_received(core, &header, frames, frame_count, ret_is_delivery, ret_delivery);
    case SESSION_EVENT_BUSY:
        if (header.refused_type == MESSAGE_SUBSCRIBE) {
            core->is_subscribed = false;
            core->subscribe_at_ms = now_ms + header.retry_ms;
        }
        return OK;
    case SESSION_EVENT_LOST:
    case SESSION_EVENT_NONE:
        break;
    }
    return OK;
}

bool
collector_core_next(struct collector_core *core, struct collector_delivery *delivery,
                    struct collector_row *ret_row)
{
    if (delivery->generation != core->generation) {
        return false;
    }
    while (delivery->next < delivery->row_count) {
        struct collector_row row = {.map = delivery->bodies[delivery->next]};
        delivery->next++;
        (void)read_array(&delivery->rows); /* the two of check_rows() */
        row.position = read_uint(&delivery->rows);
        row.task = read_string(&delivery->rows);
        if (row.position <= core->taken) {
            continue; /* sent again */
        }
        core->taken = row.position;
        *ret_row = row;
        return true;
    }
    return false;
}

void
collector_core_acknowledge(struct collector_core *core, uint64_t position)
{
    uint64_t known = position < core->taken ? position : core->taken;
    if (known > core->acknowledged) {
        core->acknowledged = known;
    }
}

void
collector_core_ask(struct collector_core *core)
{
    session_ask(&core->session);
}

bool
collector_core_is_told(const struct collector_core *core)
{
    return core->session.is_told;
}

uint64_t
collector_core_taken(const struct collector_core *core)
{
    return core->taken;
}

bool
collector_core_is_acknowledged(const struct collector_core *core)
{
    return core->stored >= core->acknowledged;
}

int64_t
collector_core_unfinished(const struct collector_core *core)
{
    return core->unfinished;
}

uint64_t
collector_core_newest(const struct collector_core *core)
{
    return core->newest;
}

const struct session *
collector_core_session(const struct collector_core *core)
{
    return &core->session;
}

void
collector_core_leave(struct collector_core *core, const struct session_sender *sender)
{
    struct buffer header;
    if (core->session.state != SESSION_WELCOMED) {
        return;
    }
    buffer_init(&header, SESSION_HEADER_BYTES_MAX);
    write_header(&header, MESSAGE_GOODBYE, 0, 0);
    /* A courtesy: the broker forgets a silent peer anyway. */
    ignore_error(send_header(&header, sender));
}

enum error
collector_core_error(const struct collector_core *core)
{
    return core->error;
}

const char *
collector_core_message(const struct collector_core *core)
{
    return core->message;
}
