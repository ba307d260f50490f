/* Grants: tasks that may go out meet workers that want them. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"

void
core_end_lease(struct core *core, uint32_t lease)
{
    uint32_t peer = lease_at(&core->leases, lease)->worker;
    struct peer *worker = peer_at(&core->roster, peer);
    leases_end(&core->leases, lease, &worker->first_lease);
    assert(worker->held > 0);
    worker->held--;
    roster_update_line(&core->roster, peer);
}

void
core_release_lease(struct core *core, uint32_t lease)
{
    uint32_t slot = lease_at(&core->leases, lease)->slot;
    uint32_t host = scheduler_slot(&core->scheduler, slot)->host;
    core_end_lease(core, lease);
    host_asked(&core->hosts, host, 0, -1);
    /* Without memory for a queue it stays leased in name only, until the next start. */
    ignore_error(scheduler_give_back(&core->scheduler, slot));
    scheduler_host_changed(&core->scheduler, host);
    totals_add_text(&core->totals, TOTAL_COUNTER, "leases_released", 1);
}

/* ---- one TASKS message -------------------------------------------------------------------- */

struct packet {
    struct core *core;
    struct core_time time;
    uint32_t peer;
    struct buffer *table;  /* rows, without the array's head */
    struct buffer *bodies; /* one behind the other */
    uint64_t body_sequences[MESSAGE_FRAMES_MAX];
    uint32_t body_leases[MESSAGE_FRAMES_MAX];
    size_t body_ends[MESSAGE_FRAMES_MAX];
    size_t body_count;
    size_t body_bytes; /* of those to be read */
    size_t row_count;
    size_t next; /* grant whose record is being read */
};

/* A task whose row cannot be read: it leaves the queue, and its row stays for a person. */
static void
set_aside(struct core *core, uint32_t lease)
{
    uint32_t slot = lease_at(&core->leases, lease)->slot;
    uint32_t host = scheduler_slot(&core->scheduler, slot)->host;
    core_end_lease(core, lease);
    host_asked(&core->hosts, host, 0, -1);
    scheduler_finish(&core->scheduler, slot);
    scheduler_host_changed(&core->scheduler, host);
    core->set_aside++;
    totals_add_text(&core->totals, TOTAL_COUNTER, "rows_set_aside", 1);
}

/* The documents' bytes, after the rows: one read of the store at a time. */
static void
read_bodies(struct packet *packet)
{
    for (size_t i = 0; i < packet->body_count; i++) {
        /* Without its bytes the lease is over; what the worker makes of an empty body is late. */
        if (store_get(packet->core->store, STORE_BODIES, packet->body_sequences[i], packet->bodies))
            set_aside(packet->core, packet->body_leases[i]);
        packet->body_ends[i] = packet->bodies->size;
    }
}

static bool
append_lease(void *context, const struct store_entry *entry)
{
    struct packet *packet = context;
    struct core *core = packet->core;
    struct peer *worker = peer_at(&core->roster, packet->peer);
    uint32_t lease = worker->grants[packet->next++];
    struct task_record record;
    if (!entry->value.data || entry->is_corrupt || task_record_read(entry->value, &record)) {
        set_aside(core, lease);
        return true;
    }
    char task[TASK_ID_BYTES + 1];
    core_task_id(core, entry->number, task);
    struct buffer *out = packet->table;
    write_map(out, record.has_body ? 6 : 5);
    write_name(out, "fence");
    write_uint(out, lease_at(&core->leases, lease)->fence);
    write_name(out, "task");
    write_text(out, slice_of(task, TASK_ID_BYTES));
    write_name(out, "attempt");
    write_uint(out, record.attempts + 1u);
    write_name(out, "lease_ms");
    write_uint(out, (uint64_t)core->options.lease_ms);
    write_name(out, "item");
    write_raw(out, record.item);
    if (record.has_body) {
        write_name(out, "body");
        write_uint(out, packet->body_count);
        packet->body_sequences[packet->body_count] = entry->number;
        packet->body_leases[packet->body_count++] = lease;
        packet->body_bytes += record.body_bytes;
    }
    packet->row_count++;
    /* A full message ends here; the rest of the grants makes another. */
    return packet->table->size + packet->body_bytes < CORE_TASKS_BYTES_MAX;
}

static enum error
send_packet(struct packet *packet)
{
    struct core *core = packet->core;
    struct slice frames[MESSAGE_FRAMES_MAX] UNINITIALIZED;
    struct buffer *header = &core->scratch;
    buffer_clear(header);
    write_header(header, MESSAGE_TASKS, 0, 0);
    /* The array's head goes before rows that are counted only now. */
    struct buffer *table = &core->scratch2;
    buffer_clear(table);
    write_array(table, packet->row_count);
    buffer_append(table, packet->table->data, packet->table->size);
    enum error error = buffer_error(header) ? buffer_error(header) : buffer_error(table);
    if (!error)
        error = buffer_error(packet->bodies);
    if (error)
        return error;
    frames[0] = buffer_slice(header);
    frames[1] = buffer_slice(table);
    size_t start = 0;
    for (size_t i = 0; i < packet->body_count; i++) {
        frames[2 + i] = slice_of(packet->bodies->data + start, packet->body_ends[i] - start);
        start = packet->body_ends[i];
    }
    const struct peer *worker = peer_at(&core->roster, packet->peer);
    return core->port.send(core->port.context, ROLE_WORK, peer_route(worker), frames,
                           2 + packet->body_count);
}

/* Sends what was granted to one worker in this turn. */
static void
send_grants(struct core *core, struct core_time time, uint32_t peer)
{
    struct peer *worker = peer_at(&core->roster, peer);
    /* 40 KB of arrays for 1,024 rows, of which a message uses the first few. */
    struct packet packet UNINITIALIZED;
    uint64_t keys[MESSAGE_FRAMES_MAX] UNINITIALIZED;
    packet.core = core;
    packet.time = time;
    packet.peer = peer;
    packet.table = &core->table;
    packet.bodies = &core->bodies;
    packet.next = 0;
    bool is_lost = false;
    while (packet.next < worker->grant_count) {
        size_t first = packet.next;
        size_t count = worker->grant_count - first;
        if (count > core->options.batch_max)
            count = core->options.batch_max;
        for (size_t i = 0; i < count; i++) {
            uint32_t slot = lease_at(&core->leases, worker->grants[first + i])->slot;
            keys[i] = scheduler_slot(&core->scheduler, slot)->sequence;
        }
        buffer_clear(packet.table);
        buffer_clear(packet.bodies);
        packet.body_count = 0;
        packet.body_bytes = 0;
        packet.row_count = 0;
        enum error error = store_read(core->store, STORE_TASKS, keys, count, append_lease, &packet);
        if (!error)
            read_bodies(&packet);
        if (!error && packet.row_count > 0)
            error = send_packet(&packet);
        if (error) {
            /* The worker is gone or does not listen: its leases of this message are free again. */
            is_lost = true;
            size_t end = packet.next > first ? packet.next : first + count;
            packet.next = end;
            /* The last first: each goes to the head of its line. */
            for (size_t i = end; i-- > first;) {
                uint32_t lease = worker->grants[i];
                if (lease_at(&core->leases, lease)->worker == peer)
                    core_release_lease(core, lease);
            }
        }
    }
    worker->grant_count = 0;
    if (is_lost) {
        worker->is_present = false; /* until it is heard of again */
        roster_update_line(&core->roster, peer);
    }
    core_shrink(packet.table);
    core_shrink(packet.bodies);
}

/* ---- the turn ----------------------------------------------------------------------------- */

static bool
may_grant(const struct core *core, struct core_time time)
{
    if (!core->is_open || core->is_draining || core->is_paused)
        return false;
    if (core->absent_workers > 0 && time.now_ms < core->takeover_until_ms)
        return false;
    return core->position - core->trimmed < core->options.results_max;
}

static bool
note_grant(struct peer *worker, uint32_t lease)
{
    if (worker->grant_count == worker->grant_capacity) {
        uint32_t capacity = worker->grant_capacity ? worker->grant_capacity * 2 : 64;
        uint32_t *larger = realloc(worker->grants, capacity * sizeof *larger);
        if (!larger)
            return false;
        worker->grants = larger;
        worker->grant_capacity = capacity;
    }
    worker->grants[worker->grant_count++] = lease;
    return true;
}

/* The worker for a task of that host: the one that talks to it already, if it wants more. */
static uint32_t
choose_worker(struct core *core, uint32_t host)
{
    uint32_t last = host_at(&core->hosts, host)->last_worker;
    if (host != HOST_DOCUMENTS && last < core->roster.count &&
        peer_at(&core->roster, last)->is_in_line)
        return last;
    return core->roster.line_first;
}

static bool
grant_one(struct core *core, struct core_time time)
{
    uint32_t slot = SLOT_NONE;
    if (scheduler_take(&core->scheduler, time.now_ms, &slot))
        return false;
    struct task_slot *task = scheduler_slot(&core->scheduler, slot);
    uint32_t peer = choose_worker(core, task->host);
    struct peer *worker = peer_at(&core->roster, peer);
    uint32_t lease = LEASE_NONE;
    if (leases_grant(&core->leases, slot, peer, 0, time.now_ms, &worker->first_lease, &lease)) {
        host_asked(&core->hosts, task->host, time.now_ms, -1);
        ignore_error(scheduler_give_back(&core->scheduler, slot)); /* its queue existed just now */
        return false;
    }
    worker->held++;
    task->next = lease;
    host_at(&core->hosts, task->host)->last_worker = peer;
    if (!note_grant(worker, lease)) {
        core_release_lease(core, lease);
        return false;
    }
    if (peer == core->roster.line_first)
        roster_rotate(&core->roster);
    roster_update_line(&core->roster, peer);
    return true;
}

bool
core_dispatch(struct core *core, struct core_time time)
{
    if (!may_grant(core, time))
        return false;
    size_t granted = 0;
    while (granted < CORE_GRANTS_MAX && core->roster.line_first != PEER_NONE &&
           grant_one(core, time))
        granted++;
    if (granted == 0)
        return false;
    totals_add_text(&core->totals, TOTAL_COUNTER, "leases_granted", granted);
    for (uint32_t i = 0; i < core->roster.count; i++) {
        if (peer_at(&core->roster, i)->grant_count > 0)
            send_grants(core, time, i);
    }
    return granted == CORE_GRANTS_MAX;
}
