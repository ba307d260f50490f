#include "client/collector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/channel.h"
#include "client/collector_core.h"
#include "client/public_error.h"
#include "common/loop.h"

#define ENDPOINT_DEFAULT "tcp://127.0.0.1:5703"
#define TIMEOUT_DEFAULT_MS 10000
#define RECEIVE_TURN_MAX 64 /* messages taken before anything else is done */
#define TASK_BYTES_MAX 64
#define MESSAGE_BYTES_MAX 1024

/* A DELIVER that waits to be read. */
struct queued {
    struct queued *next;
    struct socket_message message;
    struct collector_delivery delivery;
};

struct thresh_collector {
    struct collector_core *core;
    struct channel *channel;
    int64_t timeout_ms;
    int64_t silent_since_ms; /* when it last lost, or first sought, the broker; -1: connected */
    struct queued *first;
    struct queued **last;
    char task[TASK_BYTES_MAX + 1]; /* of the result given out */
    enum error error;              /* ended for good */
    char message[MESSAGE_BYTES_MAX];
};

enum error
collector_open(const struct thresh_collector_options *chosen,
               struct thresh_collector **ret_collector, char **ret_message)
{
    struct collector_core_options core = {
        .name = chosen->name,
        .credit = (uint64_t)(chosen->credit > 0 ? chosen->credit : 0),
    };
    struct thresh_collector *collector = calloc(1, sizeof *collector);
    if (collector == NULL) {
        return ERROR_NO_MEMORY;
    }
    collector->last = &collector->first;
    collector->timeout_ms = chosen->timeout_ms > 0 ? chosen->timeout_ms : TIMEOUT_DEFAULT_MS;
    collector->silent_since_ms = clock_monotonic_ms();
    enum error error = channel_random(core.client, sizeof core.client);
    if (error != OK) {
        goto fail;
    }
    error = ERROR_NO_MEMORY;
    collector->core = collector_core_create(&core);
    if (collector->core == NULL) {
        goto fail;
    }
    error =
        channel_open(chosen->endpoint != NULL ? chosen->endpoint : ENDPOINT_DEFAULT,
                     chosen->key_file, chosen->broker_key_file, &collector->channel, ret_message);
    if (error != OK) {
        goto fail;
    }
    *ret_collector = collector;
    return OK;
fail:
    thresh_collector_close(collector);
    return error;
}

int
thresh_collector_open(const struct thresh_collector_options *options,
                      struct thresh_collector **ret_collector)
{
    static const struct thresh_collector_options defaults;
    char *message = NULL;
    enum error error =
        collector_open(options != NULL ? options : &defaults, ret_collector, &message);
    free(message);
    return public_error(error);
}

struct socket *
collector_socket(struct thresh_collector *collector)
{
    return channel_socket(collector->channel);
}

static enum error
end(struct thresh_collector *collector, enum error error, const char *text)
{
    collector->error = error;
    snprintf(collector->message, sizeof collector->message, "%s", text);
    return error;
}

/* Keeps a delivery, which takes the message over. */
static enum error
enqueue(struct thresh_collector *collector, struct socket_message *message,
        const struct collector_delivery *delivery)
{
    struct queued *queued = calloc(1, sizeof *queued);
    if (queued == NULL) {
        return ERROR_NO_MEMORY;
    }
    queued->message = *message;
    queued->delivery = *delivery;
    *message = (struct socket_message){0};
    *collector->last = queued;
    collector->last = &queued->next;
    return OK;
}

static void
dequeue(struct thresh_collector *collector)
{
    struct queued *queued = collector->first;
    collector->first = queued->next;
    if (collector->first == NULL) {
        collector->last = &collector->first;
    }
    socket_message_release(&queued->message);
    free(queued);
}

static enum error
receive_some(struct thresh_collector *collector, int64_t now_ms)
{
    for (size_t i = 0; i < RECEIVE_TURN_MAX; i++) {
        struct socket_message message = {0};
        struct collector_delivery delivery;
        bool is_delivery = false;
        enum error error = channel_receive(collector->channel, &message);
        if (error == ERROR_AGAIN) {
            return OK;
        }
        if (error != OK && error != ERROR_PROTOCOL) {
            return end(collector, error, "cannot receive from the broker");
        }
        if (error == OK) {
            /* What is not of this protocol is dropped; a refusal for good is looked at below. */
            ignore_error(collector_core_receive(collector->core, message.frames,
                                                message.frame_count, now_ms, &is_delivery,
                                                &delivery));
        }
        error = is_delivery ? enqueue(collector, &message, &delivery) : OK;
        socket_message_release(&message);
        if (error != OK) {
            return end(collector, error, "out of memory");
        }
        if (collector_core_error(collector->core) != OK) {
            return end(collector, collector_core_error(collector->core),
                       collector_core_message(collector->core));
        }
    }
    return OK;
}

enum error
collector_work(struct thresh_collector *collector, int64_t now_ms, int64_t *ret_deadline_ms)
{
    struct session_sender sender = channel_sender(collector->channel);
    if (collector->error != OK) {
        return collector->error;
    }
    enum error error = receive_some(collector, now_ms);
    if (error != OK) {
        return error;
    }
    error = collector_core_tick(collector->core, now_ms, &sender, ret_deadline_ms);
    if (error != OK) {
        return end(collector, error, "cannot send to the broker");
    }
    if (collector_is_connected(collector)) {
        collector->silent_since_ms = -1;
    } else if (collector->silent_since_ms < 0) {
        collector->silent_since_ms = now_ms;
    }
    return OK;
}

bool
collector_take(struct thresh_collector *collector, struct thresh_result *ret_result)
{
    struct collector_row row;
    while (collector->first != NULL) {
        if (!collector_core_next(collector->core, &collector->first->delivery, &row)) {
            dequeue(collector);
            continue;
        }
        memcpy(collector->task, row.task.data, row.task.size);
        collector->task[row.task.size] = '\0';
        *ret_result = (struct thresh_result){
            .position = row.position,
            .task = collector->task,
            .map = row.map.data,
            .map_size = row.map.size,
        };
        return true;
    }
    return false;
}

static bool
is_unreachable(struct thresh_collector *collector, int64_t now_ms)
{
    if (collector->silent_since_ms < 0 ||
        now_ms - collector->silent_since_ms < collector->timeout_ms) {
        return false;
    }
    snprintf(collector->message, sizeof collector->message, "broker %s did not answer in %lld ms",
             channel_endpoint(collector->channel), (long long)collector->timeout_ms);
    return true;
}

/* Works once and waits, at most until until_ms. THRESH_ERROR_TIMEOUT: it is that late. */
static int
work_once(struct thresh_collector *collector, int64_t until_ms, bool is_waiting)
{
    int64_t deadline_ms = INT64_MAX;
    int64_t now_ms = clock_monotonic_ms();
    enum error error = collector_work(collector, now_ms, &deadline_ms);
    if (error == ERROR_LOCKED) {
        return THRESH_ERROR_TAKEN_OVER;
    }
    if (error != OK) {
        return public_error(error);
    }
    if (!is_waiting || collector->first != NULL) {
        return THRESH_OK;
    }
    if (is_unreachable(collector, now_ms)) {
        return THRESH_ERROR_UNREACHABLE;
    }
    if (now_ms >= until_ms) {
        return THRESH_ERROR_TIMEOUT;
    }
    return public_error(
        channel_wait(collector->channel, deadline_ms < until_ms ? deadline_ms : until_ms));
}

int
thresh_collector_next(struct thresh_collector *collector, int timeout_ms,
                      struct thresh_result *ret_result)
{
    int64_t until_ms = clock_monotonic_ms() + (timeout_ms > 0 ? timeout_ms : 0);
    for (;;) {
        if (collector_take(collector, ret_result)) {
            return THRESH_OK;
        }
        int result = work_once(collector, until_ms, true);
        if (result != THRESH_OK) {
            return result;
        }
    }
}

int
thresh_collector_acknowledge(struct thresh_collector *collector, uint64_t position)
{
    collector_core_acknowledge(collector->core, position);
    return work_once(collector, 0, false);
}

int
thresh_collector_flush(struct thresh_collector *collector, int timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + (timeout_ms > 0 ? timeout_ms : 0);
    int64_t now_ms = clock_monotonic_ms();
    for (;;) {
        int64_t deadline_ms = INT64_MAX;
        enum error error = collector_work(collector, now_ms, &deadline_ms);
        if (error != OK) {
            return error == ERROR_LOCKED ? THRESH_ERROR_TAKEN_OVER : public_error(error);
        }
        if (collector_core_is_acknowledged(collector->core)) {
            return THRESH_OK;
        }
        if (is_unreachable(collector, now_ms)) {
            return THRESH_ERROR_UNREACHABLE;
        }
        if (now_ms >= until_ms) {
            return THRESH_ERROR_TIMEOUT;
        }
        error = channel_wait(collector->channel, deadline_ms < until_ms ? deadline_ms : until_ms);
        if (error != OK) {
            return public_error(error);
        }
        now_ms = clock_monotonic_ms();
    }
}

int64_t
thresh_collector_unfinished(const struct thresh_collector *collector)
{
    return collector_core_unfinished(collector->core);
}

uint64_t
thresh_collector_newest(const struct thresh_collector *collector)
{
    return collector_core_newest(collector->core);
}

const char *
thresh_collector_message(const struct thresh_collector *collector)
{
    return collector->message;
}

void
thresh_collector_close(struct thresh_collector *collector)
{
    if (collector == NULL) {
        return;
    }
    while (collector->first != NULL) {
        dequeue(collector);
    }
    if (collector->channel != NULL) {
        struct session_sender sender = channel_sender(collector->channel);
        collector_core_leave(collector->core, &sender);
    }
    channel_close(collector->channel);
    collector_core_destroy(collector->core);
    free(collector);
}

void
collector_ask(struct thresh_collector *collector)
{
    collector_core_ask(collector->core);
}

bool
collector_is_told(const struct thresh_collector *collector)
{
    return collector_core_is_told(collector->core);
}

bool
collector_is_connected(const struct thresh_collector *collector)
{
    return collector_core_session(collector->core)->state == SESSION_WELCOMED;
}

bool
collector_was_connected(const struct thresh_collector *collector)
{
    return collector_core_session(collector->core)->welcome_count > 0;
}

bool
collector_is_acknowledged(const struct thresh_collector *collector)
{
    return collector_core_is_acknowledged(collector->core);
}

uint64_t
collector_taken(const struct thresh_collector *collector)
{
    return collector_core_taken(collector->core);
}

const char *
collector_store(const struct thresh_collector *collector)
{
    return collector_core_session(collector->core)->limits.store;
}
