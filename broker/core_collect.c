/* SUBSCRIBE, DELIVER, ACKNOWLEDGE: results go out in order, and are deleted when all have them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"

#define DELIVER_BYTES_DEFAULT ((size_t)8 << 20)
#define DELIVER_MESSAGE_BYTES ((size_t)4 << 20) /* a message ends after the row that passes it */
#define DELIVER_CREDIT_MAX 65536
#define TRIM_EVERY_MS 60000

struct collector *
core_collector(struct core *core, struct slice name)
{
    for (uint32_t i = 0; i < core->collector_count; i++) {
        if (slice_equal(slice_string(core->collectors[i].name), name))
            return &core->collectors[i];
    }
    if (core->collector_count >= CORE_COLLECTORS_MAX || name.size > PEER_NAME_BYTES_MAX)
        return NULL;
    struct collector *larger =
        realloc(core->collectors, (core->collector_count + 1) * sizeof *larger);
    if (!larger)
        return NULL;
    core->collectors = larger;
    struct collector *collector = &larger[core->collector_count++];
    *collector = (struct collector){.peer = PEER_NONE,
                                    .acknowledged = core->trimmed,
                                    .stored = core->trimmed,
                                    .sent = core->trimmed};
    memcpy(collector->name, name.data, name.size);
    return collector;
}

static void
reset_deliveries(struct collector *collector)
{
    collector->delivery_first = 0;
    collector->delivery_count = 0;
    collector->under_way = 0;
    collector->bytes_under_way = 0;
    collector->sent = collector->acknowledged;
}

void
core_leave_collector(struct core *core, uint32_t peer)
{
    struct peer *row = peer_at(&core->roster, peer);
    uint32_t collector = row->collector;
    row->collector = UINT32_MAX;
    /* Another peer may read under this name by now, which has nothing to do with this one's end. */
    if (collector != UINT32_MAX && core->collectors[collector].peer == peer)
        core->collectors[collector].peer = PEER_NONE;
}

static void
dismiss(struct core *core, struct collector *collector)
{
    uint32_t peer = collector->peer;
    collector->peer = PEER_NONE;
    if (peer == PEER_NONE)
        return;
    peer_at(&core->roster, peer)->collector = UINT32_MAX;
    const struct peer *row = peer_at(&core->roster, peer);
    const struct incoming in = {
        .role = ROLE_COLLECT, .route = peer_route(row), .peer = peer, .type = MESSAGE_SUBSCRIBE};
    core_refuse(core, &in, "taken_over", "another process collects under this name now");
}

void
core_subscribe(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"name", "credit", "bytes", NULL};
    struct slice fields[3];
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, names, fields);
    struct slice name = field_string(fields[0], &error);
    uint64_t credit = field_uint(fields[1], 0, &error);
    uint64_t bytes = field_uint(fields[2], DELIVER_BYTES_DEFAULT, &error);
    if (error || reader_finish(&in->reader) || name.size == 0 || name.size > PEER_NAME_BYTES_MAX ||
        memchr(name.data, 0, name.size)) {
        core_refuse(core, in, "malformed",
                    "SUBSCRIBE wants name (1 to 128 bytes) and credit, a number");
        return;
    }
    struct collector *collector = core_collector(core, name);
    if (!collector) {
        core_refuse(core, in, "busy", "too many collectors' names");
        return;
    }
    collector->is_dirty = true; /* a new name is remembered from now on; a copy is answered too */
    bool is_copy =
        in->sequence != 0 && collector->peer == in->peer && collector->subscription == in->sequence;
    if (is_copy)
        return;
    if (collector->peer != in->peer)
        dismiss(core, collector);
    core_leave_collector(core, in->peer);
    struct peer *peer = peer_at(&core->roster, in->peer);
    peer->collector = (uint32_t)(collector - core->collectors);
    collector->peer = in->peer;
    collector->credit = credit > DELIVER_CREDIT_MAX ? DELIVER_CREDIT_MAX : (uint32_t)credit;
    collector->bytes_max = bytes > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)bytes;
    collector->subscription = in->sequence;
    collector->number = 0;
    collector->is_unreachable = false;
    reset_deliveries(collector);
    core_deliver(core);
}

/* ---- delivery ----------------------------------------------------------------------------- */

struct parcel {
    struct core *core;
    struct collector *collector;
    struct buffer *table; /* rows, without the array's head */
    struct buffer *bodies;
    size_t ends[MESSAGE_FRAMES_MAX];
    uint32_t count;
    uint32_t count_max;
    uint64_t last;
};

static bool
add_result(void *context, const struct store_entry *entry)
{
    struct parcel *parcel = context;
    struct core *core = parcel->core;
    struct result_record record;
    if (entry->number > core->durable_position)
        return false;
    parcel->last = entry->number;
    if (entry->is_corrupt || result_record_read(entry->value, &record)) {
        totals_add_text(&core->totals, TOTAL_COUNTER, "results_unreadable", 1);
        return true; /* its row stays in the store for a person */
    }
    char task[TASK_ID_BYTES + 1];
    core_task_id(core, record.sequence, task);
    write_array(parcel->table, 2);
    write_uint(parcel->table, entry->number);
    write_text(parcel->table, slice_of(task, TASK_ID_BYTES));
    buffer_append(parcel->bodies, record.blob.data, record.blob.size);
    parcel->ends[parcel->count++] = parcel->bodies->size;
    size_t room = parcel->collector->bytes_max > parcel->collector->bytes_under_way
                      ? parcel->collector->bytes_max - parcel->collector->bytes_under_way
                      : 0;
    if (room > DELIVER_MESSAGE_BYTES)
        room = DELIVER_MESSAGE_BYTES;
    return parcel->count < parcel->count_max && parcel->bodies->size < room;
}

static bool
note_delivery(struct collector *collector, struct delivery delivery)
{
    if (collector->delivery_first + collector->delivery_count == collector->delivery_capacity) {
        if (collector->delivery_first > 0) {
            memmove(collector->deliveries, collector->deliveries + collector->delivery_first,
                    collector->delivery_count * sizeof *collector->deliveries);
            collector->delivery_first = 0;
        } else {
            size_t capacity = collector->delivery_capacity ? collector->delivery_capacity * 2 : 64;
            struct delivery *larger = realloc(collector->deliveries, capacity * sizeof *larger);
            if (!larger)
                return false;
            collector->deliveries = larger;
            collector->delivery_capacity = capacity;
        }
    }
    collector->deliveries[collector->delivery_first + collector->delivery_count++] = delivery;
    collector->under_way += delivery.count;
    collector->bytes_under_way += delivery.bytes;
    return true;
}

static enum error
send_parcel(struct parcel *parcel)
{
    struct core *core = parcel->core;
    struct slice frames[MESSAGE_FRAMES_MAX] UNINITIALIZED;
    struct buffer *header = &core->scratch;
    struct buffer *table = &core->scratch2;
    buffer_clear(header);
    buffer_clear(table);
    write_header(header, MESSAGE_DELIVER, parcel->last, 2);
    write_name(header, "subscription");
    write_uint(header, parcel->collector->subscription);
    write_name(header, "number");
    write_uint(header, parcel->collector->number + 1);
    write_array(table, parcel->count);
    buffer_append(table, parcel->table->data, parcel->table->size);
    enum error error = buffer_error(header) ? buffer_error(header) : buffer_error(table);
    if (!error)
        error = buffer_error(parcel->bodies);
    if (error)
        return error;
    frames[0] = buffer_slice(header);
    frames[1] = buffer_slice(table);
    size_t start = 0;
    for (uint32_t i = 0; i < parcel->count; i++) {
        frames[2 + i] = slice_of(parcel->bodies->data + start, parcel->ends[i] - start);
        start = parcel->ends[i];
    }
    const struct peer *peer = peer_at(&core->roster, parcel->collector->peer);
    return core->port.send(core->port.context, ROLE_COLLECT, peer_route(peer), frames,
                           2 + (size_t)parcel->count);
}

/* Sends one message to a collector. False when there is nothing to send, or no room for it. */
static bool
deliver_some(struct core *core, struct collector *collector)
{
    if (collector->peer == PEER_NONE || collector->is_unreachable ||
        collector->sent >= core->durable_position || collector->under_way >= collector->credit ||
        (collector->under_way > 0 && collector->bytes_under_way >= collector->bytes_max))
        return false;
    struct parcel parcel UNINITIALIZED; /* 8 KB of ends */
    parcel.core = core;
    parcel.collector = collector;
    parcel.table = &core->table;
    parcel.bodies = &core->bodies;
    parcel.count = 0;
    parcel.last = collector->sent;
    parcel.count_max = collector->credit - collector->under_way;
    if (parcel.count_max > core->options.batch_max)
        parcel.count_max = core->options.batch_max;
    buffer_clear(parcel.table);
    buffer_clear(parcel.bodies);
    enum error error =
        store_scan(core->store, STORE_RESULTS, collector->sent + 1, add_result, &parcel);
    const struct delivery delivery = {parcel.last, parcel.count, parcel.bodies->size};
    if (!error && parcel.count > 0)
        error = send_parcel(&parcel);
    if (!error && parcel.count > 0 && !note_delivery(collector, delivery))
        error = ERROR_NO_MEMORY;
    core_shrink(parcel.table);
    core_shrink(parcel.bodies);
    if (error == ERROR_NOT_FOUND)
        collector->is_unreachable = true;
    if (error)
        return false; /* its queue is full: tried again at the next event */
    if (parcel.count == 0) {
        /* Nothing readable there: up to the newest, all is deleted or set aside. */
        collector->sent = core->durable_position;
        return false;
    }
    collector->sent = parcel.last;
    collector->number++;
    return true;
}

void
core_deliver(struct core *core)
{
    for (uint32_t i = 0; i < core->collector_count; i++) {
        while (deliver_some(core, &core->collectors[i]))
            continue;
    }
}

void
core_renew_collector(struct core *core, uint32_t peer, struct buffer *out)
{
    uint32_t index = peer_at(&core->roster, peer)->collector;
    struct collector *collector = index == UINT32_MAX ? NULL : &core->collectors[index];
    write_name(out, "position");
    write_uint(out, core->durable_position);
    write_name(out, "subscription");
    write_uint(out, collector ? collector->subscription : 0);
    write_name(out, "number");
    write_uint(out, collector ? collector->number : 0);
    if (collector)
        collector->is_unreachable = false; /* from the next turn on */
}

/* ---- acknowledged ------------------------------------------------------------------------- */

void
core_acknowledge(struct core *core, struct incoming *in)
{
    struct peer *peer = peer_at(&core->roster, in->peer);
    if (peer->collector == UINT32_MAX) {
        core_refuse(core, in, "malformed", "SUBSCRIBE comes before ACKNOWLEDGE");
        return;
    }
    struct collector *collector = &core->collectors[peer->collector];
    if (in->sequence > collector->sent) {
        core_refuse(core, in, "malformed", "ACKNOWLEDGE names a position that was not delivered");
        return;
    }
    while (collector->delivery_count > 0) {
        const struct delivery *first = &collector->deliveries[collector->delivery_first];
        if (first->last > in->sequence)
            break;
        collector->under_way -= first->count;
        collector->bytes_under_way -= first->bytes;
        collector->delivery_first++;
        collector->delivery_count--;
    }
    if (in->sequence > collector->acknowledged)
        collector->acknowledged = in->sequence;
    collector->is_dirty = true; /* also for a copy: its answer may have been lost */
    collector->is_unreachable = false;
    core_deliver(core);
}

/* ---- deleting ----------------------------------------------------------------------------- */

struct aging {
    int64_t oldest_at; /* recorded before: to be deleted */
    uint64_t last;
    size_t seen;
};

static bool
find_aged(void *context, const struct store_entry *entry)
{
    struct aging *aging = context;
    struct result_record record;
    if (entry->is_corrupt || result_record_read(entry->value, &record))
        return ++aging->seen < CORE_TRIM_MAX;
    if (record.recorded_at >= aging->oldest_at)
        return false;
    aging->last = entry->number;
    return ++aging->seen < CORE_TRIM_MAX;
}

/* The newest result that may be deleted because of its age; trimmed when there is none. */
static uint64_t
aged_position(struct core *core, struct core_time time)
{
    struct aging aging = {.oldest_at = time.wall_ms - core->options.results_keep_ms,
                          .last = core->trimmed};
    if (core->durable_position > core->trimmed &&
        store_scan(core->store, STORE_RESULTS, core->trimmed + 1, find_aged, &aging))
        return core->trimmed;
    return aging.last;
}

void
core_trim(struct core *core, struct core_time time)
{
    uint64_t position = core->trimmed;
    if (core->collector_count > 0) {
        position = UINT64_MAX;
        for (uint32_t i = 0; i < core->collector_count; i++) {
            if (core->collectors[i].stored < position)
                position = core->collectors[i].stored;
        }
    }
    if (time.now_ms >= core->next_trim_ms) {
        uint64_t aged = aged_position(core, time);
        bool is_more = aged > core->trimmed && aged - core->trimmed >= CORE_TRIM_MAX;
        core->next_trim_ms = time.now_ms + (is_more ? 1 : TRIM_EVERY_MS);
        if (aged > position)
            position = aged;
    }
    if (position <= core->trimmed)
        return;
    if (position - core->trimmed > CORE_TRIM_MAX)
        position = core->trimmed + CORE_TRIM_MAX;
    store_batch_delete_range(core_filling(core)->rows, STORE_RESULTS, core->trimmed + 1, position);
    core->trimmed = position;
}
