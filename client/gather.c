#include "client/gather.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/collector.h"

#define RESULTS_A_TURN 1024
#define FLUSH_RESULTS 512 /* half the credit: the broker always has room to send on */
#define FLUSH_MS 50       /* and no result waits longer to be safe */
#define MESSAGE_BYTES_MAX 256

struct gather {
    struct loop *loop;
    struct loop_watch *watch;
    struct thresh_collector *collector;
    struct sink *sink;
    struct totals totals;
    uint64_t count_max;
    uint64_t written;    /* the position of the last result in the sink */
    uint64_t unflushed;  /* results taken since the last flush */
    int64_t flush_at_ms; /* when they must be flushed */
    int64_t asked_at_ms;
    uint64_t asked_taken; /* what had been taken when the question went out */
    bool is_asked;
    char message[MESSAGE_BYTES_MAX];
};

static void
woken(void *context, int events)
{
    (void)context;
    (void)events;
}

enum error
gather_open(struct loop *loop, struct sink *sink, const struct thresh_collector_options *options,
            uint64_t count_max, struct gather **ret_gather, char **ret_message)
{
    struct gather *gather = calloc(1, sizeof *gather);
    if (gather == NULL) {
        sink_close(sink);
        return ERROR_NO_MEMORY;
    }
    gather->loop = loop;
    gather->sink = sink;
    gather->count_max = count_max;
    enum error error = collector_open(options, &gather->collector, ret_message);
    if (error != OK) {
        gather_close(gather);
        return error;
    }
    gather->watch = loop_add_socket(loop, collector_socket(gather->collector), woken, gather);
    if (gather->watch == NULL) {
        gather_close(gather);
        return ERROR_NO_MEMORY;
    }
    *ret_gather = gather;
    return OK;
}

void
gather_close(struct gather *gather)
{
    if (gather == NULL) {
        return;
    }
    if (gather->watch != NULL) {
        loop_remove(gather->loop, gather->watch);
    }
    thresh_collector_close(gather->collector);
    sink_close(gather->sink);
    totals_release(&gather->totals);
    free(gather);
}

static enum error
sink_failed(struct gather *gather, enum error error)
{
    snprintf(gather->message, sizeof gather->message, "the results cannot be written: %s%s",
             error_text(error),
             error == ERROR_DISK_FULL ? "; free some space and run the same command again" : "");
    return error;
}

static enum error
write_one(struct gather *gather, const struct thresh_result *result)
{
    bool is_new = false;
    struct slice map = slice_of(result->map, result->map_size);
    enum error error = sink_write(gather->sink, slice_string(result->task), map, &is_new);
    if (error != OK) {
        return sink_failed(gather, error);
    }
    if (is_new) {
        totals_count(&gather->totals, map);
    }
    gather->written = result->position;
    return OK;
}

static enum error
flush(struct gather *gather)
{
    enum error error = sink_flush(gather->sink);
    if (error != OK) {
        return sink_failed(gather, error);
    }
    gather->unflushed = 0;
    if (thresh_collector_acknowledge(gather->collector, gather->written) != THRESH_OK) {
        snprintf(gather->message, sizeof gather->message, "%s",
                 thresh_collector_message(gather->collector));
    }
    return OK;
}

static enum error
take_some(struct gather *gather, int64_t now_ms, bool *ret_is_more)
{
    struct thresh_result result;
    for (size_t i = 0; i < RESULTS_A_TURN; i++) {
        if (gather_is_full(gather) || !collector_take(gather->collector, &result)) {
            return OK;
        }
        if (gather->unflushed++ == 0) {
            gather->flush_at_ms = now_ms + FLUSH_MS;
        }
        enum error error = write_one(gather, &result);
        if (error != OK) {
            return error;
        }
    }
    *ret_is_more = true;
    return OK;
}

enum error
gather_work(struct gather *gather, int64_t now_ms, int64_t *ret_deadline_ms)
{
    bool is_more = false;
    int64_t deadline_ms = INT64_MAX;
    enum error error = collector_work(gather->collector, now_ms, &deadline_ms);
    if (error != OK) {
        snprintf(gather->message, sizeof gather->message, "%s",
                 thresh_collector_message(gather->collector));
        return error;
    }
    error = take_some(gather, now_ms, &is_more);
    if (error != OK) {
        return error;
    }
    bool is_due = gather->unflushed >= FLUSH_RESULTS || !sink_is_file(gather->sink) ||
                  now_ms >= gather->flush_at_ms || gather_is_full(gather);
    if (gather->unflushed > 0 && is_due) {
        error = flush(gather);
        if (error != OK) {
            return error;
        }
    }
    if (gather->unflushed > 0 && gather->flush_at_ms < deadline_ms) {
        deadline_ms = gather->flush_at_ms;
    }
    *ret_deadline_ms = is_more ? now_ms : deadline_ms;
    return OK;
}

bool
gather_is_idle(const struct gather *gather)
{
    return gather->unflushed == 0 && collector_is_connected(gather->collector) &&
           collector_is_acknowledged(gather->collector) &&
           collector_taken(gather->collector) <= gather->written;
}

void
gather_ask(struct gather *gather, int64_t now_ms, int64_t interval_ms)
{
    bool is_waiting = gather->is_asked && !collector_is_told(gather->collector);
    if (is_waiting || !gather_is_idle(gather) || now_ms - gather->asked_at_ms < interval_ms) {
        return;
    }
    gather->is_asked = true;
    gather->asked_at_ms = now_ms;
    gather->asked_taken = collector_taken(gather->collector);
    collector_ask(gather->collector);
}

void
gather_look(struct gather *gather, int64_t now_ms, int64_t interval_ms)
{
    if (now_ms - gather->asked_at_ms < interval_ms) {
        return;
    }
    gather->is_asked = false;
    gather->asked_at_ms = now_ms;
    collector_ask(gather->collector);
}

bool
gather_is_told(const struct gather *gather)
{
    return gather->is_asked && collector_is_told(gather->collector) && gather_is_idle(gather) &&
           collector_taken(gather->collector) == gather->asked_taken;
}

void
gather_doubt(struct gather *gather)
{
    gather->is_asked = false;
    gather->asked_at_ms = INT64_MIN / 2;
}

bool
gather_is_full(const struct gather *gather)
{
    return gather->count_max > 0 && sink_written(gather->sink) >= gather->count_max;
}

int64_t
gather_unfinished(const struct gather *gather)
{
    return thresh_collector_unfinished(gather->collector);
}

uint64_t
gather_count(const struct gather *gather)
{
    return sink_written(gather->sink);
}

struct totals *
gather_totals(struct gather *gather)
{
    return &gather->totals;
}

struct sink *
gather_sink(struct gather *gather)
{
    return gather->sink;
}

struct thresh_collector *
gather_collector(struct gather *gather)
{
    return gather->collector;
}

const char *
gather_message(const struct gather *gather)
{
    return gather->message;
}
