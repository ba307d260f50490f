/* Who is there: HELLO, heartbeats, credit, and those who have gone. */
#include <assert.h>
#include <string.h>

#include "broker/core_internal.h"

/* ---- HELLO -------------------------------------------------------------------------------- */

static const char *const hello_names[] = {"role",    "name",      "client", "versions",
                                          "running", "confirmed", NULL};
enum {
    HELLO_ROLE,
    HELLO_NAME,
    HELLO_CLIENT,
    HELLO_VERSIONS,
    HELLO_RUNNING,
    HELLO_CONFIRMED,
    HELLO_COUNT
};

static bool
speaks_version(struct slice versions)
{
    struct reader reader;
    reader_init(&reader, versions);
    bool is_found = false;
    for (size_t count = read_array(&reader); count > 0 && !reader.error; count--)
        is_found |= read_uint(&reader) == PROTOCOL_VERSION;
    return is_found && !reader_finish(&reader);
}

/* Its row tells of the end of that lease or of a later one: the worker was not answered in time. */
static bool
has_ended(struct core *core, uint64_t sequence, uint64_t fence)
{
    struct task_record record;
    return core_read_task(core, sequence, &record) || record.fence >= fence;
}

/* A lease of before the restart, which its worker still holds: taken over. */
static bool
take_over(struct core *core, struct core_time time, uint32_t peer, uint64_t fence,
          struct slice task)
{
    uint64_t sequence = 0;
    if (core->absent_workers == 0 || !leases_is_earlier_boot(&core->leases, fence) || fence == 0 ||
        !task_id_parse(core->store_id, task, &sequence))
        return false;
    uint32_t slot = scheduler_find(&core->scheduler, sequence);
    if (slot == SLOT_NONE || has_ended(core, sequence, fence))
        return false;
    struct task_slot *row = scheduler_slot(&core->scheduler, slot);
    if (row->state == TASK_LEASED) {
        /* Two workers name it: the one with the later fence had it last. */
        uint32_t rival = row->next;
        if (lease_at(&core->leases, rival)->fence >= fence)
            return false;
        core_release_lease(core, rival);
    }
    if (scheduler_retake(&core->scheduler, slot))
        return false;
    struct peer *worker = peer_at(&core->roster, peer);
    uint32_t lease = LEASE_NONE;
    if (leases_grant(&core->leases, slot, peer, fence, time.now_ms, &worker->first_lease, &lease)) {
        host_asked(&core->hosts, row->host, time.now_ms, 0);
        ignore_error(scheduler_give_back(&core->scheduler, slot)); /* it was ready just before */
        return false;
    }
    row->next = lease;
    worker->held++;
    totals_add_text(&core->totals, TOTAL_COUNTER, "leases_taken_over", 1);
    return true;
}

/* Matches what the worker says it runs with what it was granted. Appends the lost fences to out. */
static size_t
match_running(struct core *core, struct core_time time, uint32_t peer, struct slice running,
              struct buffer *out)
{
    struct peer *worker = peer_at(&core->roster, peer);
    size_t lost = 0;
    /* What it does not name never reached it: renewed ones are those it has. */
    struct reader reader;
    reader_init(&reader, running);
    size_t count = running.data ? read_array(&reader) : 0;
    for (; count > 0 && !reader.error; count--) {
        if (read_array(&reader) != 2)
            break;
        uint64_t fence = read_uint(&reader);
        struct slice task = read_string(&reader);
        if (reader.error)
            break;
        uint32_t lease = leases_find(&core->leases, fence);
        bool is_its_own = lease != LEASE_NONE && lease_at(&core->leases, lease)->worker == peer;
        if (is_its_own) {
            leases_renew(&core->leases, lease, time.now_ms);
            lease_at(&core->leases, lease)->named_ms = time.now_ms;
        } else if (lease != LEASE_NONE || !take_over(core, time, peer, fence, task)) {
            write_uint(out, fence);
            lost++;
        } else {
            lease = leases_find(&core->leases, fence);
            lease_at(&core->leases, lease)->named_ms = time.now_ms;
        }
    }
    for (uint32_t lease = worker->first_lease; lease != LEASE_NONE;) {
        uint32_t next = lease_at(&core->leases, lease)->worker_next;
        if (lease_at(&core->leases, lease)->named_ms != time.now_ms)
            core_release_lease(core, lease);
        lease = next;
    }
    return lost;
}

static void
remember_worker(struct core *core, const struct peer *worker)
{
    store_batch_put_bytes(core_filling(core)->rows, STORE_WORKERS,
                          slice_of(worker->client, CLIENT_ID_BYTES), slice_string(worker->name));
}

static void
forget_worker(struct core *core, const struct peer *worker)
{
    store_batch_delete_bytes(core_filling(core)->rows, STORE_WORKERS,
                             slice_of(worker->client, CLIENT_ID_BYTES));
}

/* It has come back, or has not in time. */
static void
settle_worker(struct core *core, struct peer *worker)
{
    if (!worker->is_expected)
        return;
    worker->is_expected = false;
    core->absent_workers--;
    if (core->absent_workers == 0)
        scheduler_settled(&core->scheduler);
}

static void
welcome(struct core *core, uint32_t peer, uint64_t sequence, struct slice lost, size_t lost_count)
{
    const struct peer *row = peer_at(&core->roster, peer);
    char store[TASK_ID_BYTES + 1];
    core_task_id(core, 0, store);
    bool has_submitted = row->role == ROLE_FEED;
    bool has_lost = row->role == ROLE_WORK;
    struct buffer *out = &core->scratch;
    buffer_clear(out);
    write_header(out, MESSAGE_WELCOME, sequence, 10u + has_submitted + has_lost);
    write_string(out, "version");
    write_uint(out, PROTOCOL_VERSION);
    write_string(out, "broker");
    write_string(out, core->name);
    write_string(out, "store");
    write_text(out, slice_of(store, 8));
    write_string(out, "boot");
    write_uint(out, core->boot);
    write_string(out, "heartbeat_ms");
    write_uint(out, (uint64_t)core->options.heartbeat_ms);
    write_string(out, "lease_ms");
    write_uint(out, (uint64_t)core->options.lease_ms);
    write_string(out, "batch_max");
    write_uint(out, core->options.batch_max);
    write_string(out, "window_max");
    write_uint(out, CORE_WINDOW_MAX);
    write_string(out, "message_bytes_max");
    write_uint(out, core->options.message_bytes_max);
    write_string(out, "body_bytes_max");
    write_uint(out, core->options.body_bytes_max);
    if (has_submitted) {
        write_string(out, "submitted");
        write_uint(out, row->window.highest);
    }
    if (has_lost) {
        write_string(out, "lost");
        write_array(out, lost_count);
        buffer_append(out, lost.data, lost.size);
    }
    core_send_header(core, peer, out);
}

void
core_hello(struct core *core, struct incoming *in)
{
    struct slice fields[HELLO_COUNT];
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, hello_names, fields);
    struct slice role_text = field_string(fields[HELLO_ROLE], &error);
    struct slice name = field_string(fields[HELLO_NAME], &error);
    struct slice client = field_binary(fields[HELLO_CLIENT], &error);
    uint64_t confirmed = field_uint(fields[HELLO_CONFIRMED], 0, &error);
    enum role role = in->role;
    if (error || reader_finish(&in->reader) || client.size != CLIENT_ID_BYTES ||
        name.size > PEER_NAME_BYTES_MAX || !role_parse(role_text, &role)) {
        core_refuse(core, in, "malformed",
                    "HELLO wants role, name (at most 128 bytes), client (16 bytes), versions");
        return;
    }
    if (role != in->role) {
        core_refuse(core, in, "wrong_role", "this port is for another role");
        return;
    }
    if (!fields[HELLO_VERSIONS].data || !speaks_version(fields[HELLO_VERSIONS])) {
        core_refuse(core, in, "version", "this broker speaks protocol version 1");
        return;
    }
    error =
        roster_join(&core->roster, role, in->route, client.data, name, in->time.now_ms, &in->peer);
    if (error) {
        core_refuse(core, in, "busy", error_text(error));
        return;
    }
    struct peer *peer = peer_at(&core->roster, in->peer);
    struct buffer lost;
    buffer_init(&lost, CORE_BATCH_BYTES_MAX);
    size_t lost_count = 0;
    if (role == ROLE_WORK) {
        lost_count = match_running(core, in->time, in->peer, fields[HELLO_RUNNING], &lost);
        settle_worker(core, peer);
        remember_worker(core, peer);
    } else if (role == ROLE_FEED) {
        window_resume(&peer->window, confirmed);
    }
    welcome(core, in->peer, in->sequence, buffer_slice(&lost), lost_count);
    buffer_release(&lost);
}

/* ---- alive -------------------------------------------------------------------------------- */

static const char *const beat_names[] = {"running", "stats", NULL};
enum {
    BEAT_RUNNING,
    BEAT_STATS,
    BEAT_COUNT
};

/* Renews what the worker names; appends what is no longer its own. */
static size_t
renew(struct core *core, const struct incoming *in, struct slice running, struct buffer *out)
{
    size_t lost = 0;
    struct reader reader;
    reader_init(&reader, running);
    size_t count = running.data ? read_array(&reader) : 0;
    for (; count > 0 && !reader.error; count--) {
        uint64_t fence = read_uint(&reader);
        if (reader.error)
            break;
        uint32_t lease = leases_find(&core->leases, fence);
        if (lease != LEASE_NONE && lease_at(&core->leases, lease)->worker == in->peer) {
            leases_renew(&core->leases, lease, in->time.now_ms);
        } else {
            write_uint(out, fence);
            lost++;
        }
    }
    return lost;
}

static uint64_t
unfinished(const struct core *core)
{
    struct core_counts counts;
    core_counts(core, &counts);
    /* A result that is not on the disk yet cannot be delivered, so its task is not done. */
    return counts.ready + counts.delayed + counts.leased + core->position - core->durable_position;
}

void
core_heartbeat(struct core *core, struct incoming *in)
{
    struct slice fields[BEAT_COUNT];
    read_pairs(&in->reader, in->pairs, beat_names, fields);
    if (reader_finish(&in->reader)) {
        core_refuse(core, in, "malformed", "a HEARTBEAT that cannot be read");
        return;
    }
    struct buffer *out = &core->scratch;
    buffer_clear(out);
    if (in->role == ROLE_WORK) {
        struct buffer lost;
        buffer_init(&lost, CORE_BATCH_BYTES_MAX);
        size_t lost_count = renew(core, in, fields[BEAT_RUNNING], &lost);
        if (fields[BEAT_STATS].data)
            worker_stats_read(fields[BEAT_STATS], &peer_at(&core->roster, in->peer)->stats);
        roster_update_line(&core->roster, in->peer);
        write_header(out, MESSAGE_RENEWED, in->sequence, 1);
        write_string(out, "lost");
        write_array(out, lost_count);
        buffer_append(out, lost.data, lost.size);
        buffer_release(&lost);
    } else {
        write_header(out, MESSAGE_RENEWED, in->sequence, in->role == ROLE_COLLECT ? 4 : 1);
        write_string(out, "unfinished");
        write_uint(out, unfinished(core));
        if (in->role == ROLE_COLLECT)
            core_renew_collector(core, in->peer, out);
    }
    core_send_header(core, in->peer, out);
}

void
core_credit(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"credit", NULL};
    struct slice field;
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, names, &field);
    uint64_t credit = field_uint(field, 0, &error);
    if (error || reader_finish(&in->reader)) {
        core_refuse(core, in, "malformed", "CREDIT wants credit, a number");
        return;
    }
    struct peer *worker = peer_at(&core->roster, in->peer);
    worker->credit = credit > UINT16_MAX ? UINT16_MAX : (uint32_t)credit;
    roster_update_line(&core->roster, in->peer);
}

/* ---- gone --------------------------------------------------------------------------------- */

static void
peer_left(struct core *core, uint32_t peer)
{
    struct peer *row = peer_at(&core->roster, peer);
    core_leave_collector(core, peer);
    if (row->role == ROLE_WORK)
        forget_worker(core, row);
    if (row->role == ROLE_FEED)
        store_batch_delete_bytes(core_filling(core)->rows, STORE_CLIENTS,
                                 slice_of(row->client, CLIENT_ID_BYTES));
    row->is_window_dirty = false;
    roster_leave(&core->roster, peer);
}

void
core_goodbye(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"confirmed", NULL};
    struct slice field;
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, names, &field);
    struct peer *peer = peer_at(&core->roster, in->peer);
    window_confirm(&peer->window, field_uint(field, 0, &error));
    while (peer->role == ROLE_WORK && peer->first_lease != LEASE_NONE)
        core_release_lease(core, peer->first_lease);
    /* A feeder that keeps its identity over restarts may come back and ask again. */
    if (peer->role == ROLE_FEED && peer->window.count > 0) {
        peer->is_present = false;
        return;
    }
    peer_left(core, in->peer);
}

/* The feeder that has been silent longest goes, when too many are remembered. */
static void
forget_feeders(struct core *core)
{
    uint32_t count = 0;
    uint32_t oldest = PEER_NONE;
    for (uint32_t i = 0; i < core->roster.count; i++) {
        const struct peer *peer = peer_at(&core->roster, i);
        if (!peer->is_used || peer->role != ROLE_FEED || peer->is_present)
            continue;
        count++;
        if (oldest == PEER_NONE || peer->heard_ms < peer_at(&core->roster, oldest)->heard_ms)
            oldest = i;
    }
    if (count > CORE_CLIENTS_MAX)
        peer_left(core, oldest);
}

int64_t
core_peers_tick(struct core *core, struct core_time time)
{
    int64_t silent_ms = SILENT_BEATS_MAX * core->options.heartbeat_ms;
    /* Whoever comes meanwhile is silent at the earliest that much later. */
    int64_t next_ms = time.now_ms + silent_ms;
    if (time.now_ms < core->next_peers_ms)
        return core->next_peers_ms;
    if (core->absent_workers > 0 && core->takeover_until_ms > time.now_ms &&
        core->takeover_until_ms < next_ms)
        next_ms = core->takeover_until_ms;
    bool is_takeover_over = core->absent_workers > 0 && time.now_ms >= core->takeover_until_ms;
    for (uint32_t i = 0; i < core->roster.count; i++) {
        struct peer *peer = peer_at(&core->roster, i);
        if (!peer->is_used)
            continue;
        if (is_takeover_over)
            settle_worker(core, peer);
        if (peer->is_present && peer->heard_ms + silent_ms <= time.now_ms) {
            peer->is_present = false;
            roster_update_line(&core->roster, i);
        }
        if (peer->is_present && peer->heard_ms + silent_ms < next_ms)
            next_ms = peer->heard_ms + silent_ms;
        /* A worker that is gone and holds nothing is forgotten; a feeder may come back. */
        bool is_over = !peer->is_present && !peer->is_expected && peer->role != ROLE_FEED &&
                       (peer->role != ROLE_WORK || peer->first_lease == LEASE_NONE);
        if (is_over)
            peer_left(core, i);
    }
    forget_feeders(core);
    core->next_peers_ms = next_ms;
    return next_ms;
}
