/* Workers: a model of the protocol's side of one; it keeps what is not answered, and may stall. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "tests/simulation/world.h"

#define HELLO_AGAIN_MS 400
#define SILENT_BEATS 3
#define RESEND_BEATS 2

static void
say(struct world *world, size_t peer, struct buffer *header)
{
    if (buffer_error(header))
        abort();
    struct slice frame = buffer_slice(header);
    network_to_broker(world, peer, &frame, 1);
    buffer_release(header);
}

static void
report_destroy(struct sim_report *report)
{
    for (size_t i = 0; i < report->frame_count; i++)
        free((void *)(uintptr_t)report->frames[i].data);
    free(report);
}

static struct slice
take_frame(struct buffer *buffer)
{
    size_t size = 0;
    if (buffer_error(buffer))
        abort();
    uint8_t *bytes = buffer_take(buffer, &size);
    return slice_of(bytes, size);
}

/* ---- the session -------------------------------------------------------------------------- */

static void
say_hello(struct world *world, size_t peer)
{
    const struct sim_peer *row = &world->peers[peer];
    const struct sim_worker *worker = &row->worker;
    struct buffer out;
    buffer_init(&out, SIM_BYTES_MAX);
    write_header(&out, MESSAGE_HELLO, 0, 5);
    write_string(&out, "role");
    write_string(&out, "work");
    write_string(&out, "name");
    write_string(&out, row->route);
    write_string(&out, "client");
    write_binary(&out, slice_of(row->client, sizeof row->client));
    write_string(&out, "versions");
    write_array(&out, 1);
    write_uint(&out, PROTOCOL_VERSION);
    write_string(&out, "running");
    write_array(&out, worker->lease_count);
    for (size_t i = 0; i < worker->lease_count; i++) {
        write_array(&out, 2);
        write_uint(&out, worker->leases[i].fence);
        write_string(&out, worker->leases[i].task);
    }
    say(world, peer, &out);
}

static void
say_credit(struct world *world, size_t peer)
{
    struct buffer out;
    buffer_init(&out, SIM_BYTES_MAX);
    write_header(&out, MESSAGE_CREDIT, 0, 1);
    write_string(&out, "credit");
    write_uint(&out, world->peers[peer].worker.credit);
    say(world, peer, &out);
}

static void
say_beat(struct world *world, size_t peer)
{
    const struct sim_worker *worker = &world->peers[peer].worker;
    struct buffer out;
    buffer_init(&out, SIM_BYTES_MAX);
    write_header(&out, MESSAGE_HEARTBEAT, 0, 1);
    write_string(&out, "running");
    write_array(&out, worker->lease_count);
    for (size_t i = 0; i < worker->lease_count; i++)
        write_uint(&out, worker->leases[i].fence);
    say(world, peer, &out);
}

static void
send_report(struct world *world, size_t peer, struct sim_report *report)
{
    report->sent_at_ms = world->now_ms;
    network_to_broker(world, peer, report->frames, report->frame_count);
}

/* ---- attempts ----------------------------------------------------------------------------- */

static void
drop_lease(struct sim_worker *worker, uint64_t fence)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (worker->leases[i].fence != fence)
            continue;
        worker->lease_count--;
        memmove(&worker->leases[i], &worker->leases[i + 1],
                (worker->lease_count - i) * sizeof worker->leases[0]);
        return;
    }
}

static bool
has_lease(const struct sim_worker *worker, uint64_t fence)
{
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (worker->leases[i].fence == fence)
            return true;
    }
    return false;
}

/* How the attempt goes. Once nothing goes wrong any more, the web behaves too. */
static enum outcome
draw_outcome(struct world *world)
{
    static const enum outcome outcomes[] = {
        OUTCOME_TIMED_OUT, OUTCOME_HTTP_CLIENT_ERROR, OUTCOME_RATE_LIMITED,
        OUTCOME_MOVED,     OUTCOME_RELEASED,          OUTCOME_CHILD_CRASHED,
    };
    if (world_is_calm(world) || world_chance(world, 700))
        return OUTCOME_OK;
    return outcomes[dice_below(&world->dice, sizeof outcomes / sizeof outcomes[0])];
}

static void
write_result(struct world *world, const struct sim_peer *row, const struct sim_lease *lease,
             struct buffer *out)
{
    (void)world;
    write_map(out, 4);
    write_string(out, "version");
    write_uint(out, 1);
    write_string(out, "task");
    write_string(out, lease->task);
    write_string(out, "outcome");
    write_string(out, "ok");
    write_string(out, "worker");
    write_string(out, row->route);
}

static void
write_row(struct world *world, size_t peer, struct sim_report *report,
          const struct sim_lease *lease, enum outcome outcome, struct buffer *table)
{
    const struct sim_peer *row = &world->peers[peer];
    bool has_result = outcome == OUTCOME_OK;
    bool is_limited = outcome == OUTCOME_RATE_LIMITED;
    bool is_moved = outcome == OUTCOME_MOVED;
    write_map(table, 5u + has_result + is_limited + is_moved);
    write_string(table, "fence");
    write_uint(table, lease->fence);
    write_string(table, "task");
    write_string(table, lease->task);
    write_string(table, "outcome");
    write_string(table, outcome_name(outcome));
    write_string(table, "http_status");
    write_uint(table, is_limited ? 429 : outcome == OUTCOME_OK ? 200 : 0);
    write_string(table, "since_request_ms");
    write_uint(table, (uint64_t)(world->now_ms - lease->asked_at_ms));
    if (has_result) {
        struct buffer body;
        buffer_init(&body, SIM_BYTES_MAX);
        write_result(world, row, lease, &body);
        write_string(table, "result");
        write_uint(table, report->frame_count - 2);
        report->frames[report->frame_count++] = take_frame(&body);
    }
    if (is_limited) {
        write_string(table, "retry_after_ms");
        write_uint(table, (uint64_t)world_draw(world, 1500));
    }
    if (is_moved) {
        char location[64];
        snprintf(location, sizeof location, "http://h%llu.example/moved/%s",
                 (unsigned long long)dice_below(&world->dice, SIM_HOSTS_MAX), lease->task);
        write_string(table, "location");
        write_string(table, location);
    }
}

/* Everything that has ended becomes one RESULTS. */
static void
report_ended(struct world *world, size_t peer)
{
    struct sim_worker *worker = &world->peers[peer].worker;
    struct buffer table;
    struct buffer rows;
    struct buffer header;
    size_t count = 0;
    for (size_t i = 0; i < worker->lease_count; i++)
        count += !worker->leases[i].is_reported && worker->leases[i].done_at_ms <= world->now_ms;
    if (count == 0 || worker->report_count == SIM_REPORTS_MAX)
        return;
    struct sim_report *report = calloc(1, sizeof *report);
    if (!report)
        abort();
    buffer_init(&table, SIM_BYTES_MAX);
    buffer_init(&rows, SIM_BYTES_MAX);
    buffer_init(&header, SIM_BYTES_MAX);
    report->sequence = ++worker->sequence;
    report->type = MESSAGE_RESULTS;
    report->frame_count = 2; /* header and table come last */
    for (size_t i = 0; i < worker->lease_count; i++) {
        struct sim_lease *lease = &worker->leases[i];
        if (lease->is_reported || lease->done_at_ms > world->now_ms)
            continue;
        enum outcome outcome = draw_outcome(world);
        lease->is_reported = true;
        report->fences[report->count] = lease->fence;
        report->tasks[report->count] = task_number(slice_string(lease->task));
        report->outcomes[report->count++] = outcome;
        write_row(world, peer, report, lease, outcome, &rows);
    }
    write_array(&table, report->count);
    buffer_append(&table, rows.data, rows.size);
    buffer_release(&rows);
    write_header(&header, MESSAGE_RESULTS, report->sequence, 0);
    report->frames[0] = take_frame(&header);
    report->frames[1] = take_frame(&table);
    worker->reports[worker->report_count++] = report;
    if (worker->is_joined)
        send_report(world, peer, report);
}

/* Gives back one lease that has not ended. */
static void
release_one(struct world *world, size_t peer)
{
    struct sim_worker *worker = &world->peers[peer].worker;
    struct sim_lease *lease = NULL;
    struct buffer header;
    for (size_t i = 0; i < worker->lease_count && !lease; i++) {
        if (!worker->leases[i].is_reported)
            lease = &worker->leases[i];
    }
    if (!lease || worker->report_count == SIM_REPORTS_MAX)
        return;
    struct sim_report *report = calloc(1, sizeof *report);
    if (!report)
        abort();
    lease->is_reported = true;
    report->sequence = ++worker->sequence;
    report->type = MESSAGE_RELEASE;
    report->fences[0] = lease->fence;
    report->tasks[0] = task_number(slice_string(lease->task));
    report->outcomes[0] = OUTCOME_RELEASED;
    report->count = 1;
    buffer_init(&header, SIM_BYTES_MAX);
    write_header(&header, MESSAGE_RELEASE, report->sequence, 1);
    write_string(&header, "leases");
    write_array(&header, 1);
    write_array(&header, 2);
    write_uint(&header, lease->fence);
    write_string(&header, lease->task);
    report->frames[0] = take_frame(&header);
    report->frame_count = 1;
    worker->reports[worker->report_count++] = report;
    if (worker->is_joined)
        send_report(world, peer, report);
}

void
worker_leave(struct world *world, size_t peer)
{
    struct buffer out;
    buffer_init(&out, SIM_BYTES_MAX);
    write_header(&out, MESSAGE_GOODBYE, 0, 0);
    say(world, peer, &out);
}

/* ---- messages ----------------------------------------------------------------------------- */

static void
drop_lost(struct world *world, struct sim_worker *worker, struct slice field)
{
    struct reader reader;
    reader_init(&reader, field);
    (void)world;
    for (size_t count = field.data ? read_array(&reader) : 0; count > 0; count--)
        drop_lease(worker, read_uint(&reader));
}

static void
welcomed(struct world *world, size_t peer, struct reader *reader, size_t pairs)
{
    static const char *const names[] = {"lost", "heartbeat_ms", NULL};
    struct sim_worker *worker = &world->peers[peer].worker;
    struct slice fields[2];
    enum error error = OK;
    read_pairs(reader, pairs, names, fields);
    worker->heartbeat_ms = (int64_t)field_uint(fields[1], 1000, &error);
    worker->is_joined = true;
    worker->beat_at_ms = world->now_ms + worker->heartbeat_ms;
    drop_lost(world, worker, fields[0]);
    say_credit(world, peer);
    for (size_t i = 0; i < worker->report_count; i++)
        send_report(world, peer, worker->reports[i]);
}

static void
granted(struct world *world, size_t peer, struct slice table)
{
    static const char *const names[] = {"fence", "task", "item", NULL};
    static const char *const item_names[] = {"url", NULL};
    struct sim_worker *worker = &world->peers[peer].worker;
    struct reader rows;
    reader_init(&rows, table);
    for (size_t count = read_array(&rows); count > 0; count--) {
        struct slice fields[3];
        struct slice url = {0};
        struct reader item;
        enum error error = OK;
        read_fields(&rows, names, fields);
        reader_init(&item, fields[2]);
        read_fields(&item, item_names, &url);
        uint64_t fence = field_uint(fields[0], 0, &error);
        struct slice task = field_string(fields[1], &error);
        if (has_lease(worker, fence) || worker->lease_count == SIM_LEASES_MAX)
            continue; /* a copy; or the broker forgets it too when its lease ends */
        struct sim_lease *lease = &worker->leases[worker->lease_count++];
        *lease = (struct sim_lease){.fence = fence, .asked_at_ms = world->now_ms};
        snprintf(lease->task, sizeof lease->task, "%.*s", (int)task.size, (const char *)task.data);
        lease->done_at_ms =
            world->now_ms + world_draw(world, world_chance(world, 100) ? 2000 : 150);
    }
}

static void
recorded(struct world *world, size_t peer, uint64_t sequence, struct slice statuses)
{
    struct sim_worker *worker = &world->peers[peer].worker;
    struct reader reader;
    for (size_t i = 0; i < worker->report_count; i++) {
        struct sim_report *report = worker->reports[i];
        if (report->sequence != sequence)
            continue;
        reader_init(&reader, statuses);
        if (read_array(&reader) != report->count) {
            world_fail(world, "RECORDED has another number of statuses");
            return;
        }
        for (size_t j = 0; j < report->count; j++) {
            check_recorded(world, report->tasks[j], report->outcomes[j], read_uint(&reader));
            drop_lease(worker, report->fences[j]);
        }
        report_destroy(report);
        worker->report_count--;
        memmove(&worker->reports[i], &worker->reports[i + 1],
                (worker->report_count - i) * sizeof worker->reports[0]);
        return;
    }
}

void
worker_take(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    static const char *const lost_names[] = {"lost", NULL};
    static const char *const status_names[] = {"statuses", NULL};
    struct sim_peer *row = &world->peers[peer];
    struct sim_worker *worker = &row->worker;
    enum message_type type;
    uint64_t sequence = 0;
    size_t pairs = 0;
    struct reader reader;
    struct slice field = {0};
    reader_init(&reader, frames[0]);
    if (read_header(&reader, &type, &sequence, &pairs))
        return;
    worker->heard_at_ms = world->now_ms;
    if (type == MESSAGE_WELCOME) {
        welcomed(world, peer, &reader, pairs);
    } else if (type == MESSAGE_REFUSED) {
        worker->is_joined = false;
        worker->hello_at_ms = world->now_ms;
    } else if (type == MESSAGE_RENEWED) {
        read_pairs(&reader, pairs, lost_names, &field);
        drop_lost(world, worker, field);
    } else if (type == MESSAGE_RECORDED) {
        read_pairs(&reader, pairs, status_names, &field);
        recorded(world, peer, sequence, field);
    } else if (type == MESSAGE_TASKS && frame_count > 1) {
        granted(world, peer, frames[1]);
    }
    row->wake_at_ms = world->now_ms;
}

/* ---- life --------------------------------------------------------------------------------- */

void
worker_start(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    for (size_t i = 0; i < sizeof row->client; i++)
        row->client[i] = (uint8_t)dice_next(&world->dice);
    row->worker = (struct sim_worker){
        .credit = 1 + (unsigned)dice_below(&world->dice, 10),
        .hello_at_ms = world->now_ms,
        .heartbeat_ms = 1000,
    };
}

void
worker_crash(struct world *world, size_t peer)
{
    struct sim_worker *worker = &world->peers[peer].worker;
    for (size_t i = 0; i < worker->report_count; i++)
        report_destroy(worker->reports[i]);
    worker->report_count = 0;
    worker->lease_count = 0;
}

static void
beat(struct world *world, size_t peer)
{
    struct sim_worker *worker = &world->peers[peer].worker;
    if (world->now_ms - worker->heard_at_ms > SILENT_BEATS * worker->heartbeat_ms) {
        worker->is_joined = false;
        worker->hello_at_ms = world->now_ms;
        return;
    }
    say_beat(world, peer);
    say_credit(world, peer);
    worker->beat_at_ms = world->now_ms + worker->heartbeat_ms;
    for (size_t i = 0; i < worker->report_count; i++) {
        struct sim_report *report = worker->reports[i];
        if (world->now_ms - report->sent_at_ms > RESEND_BEATS * worker->heartbeat_ms)
            send_report(world, peer, report);
    }
}

void
worker_wake(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    struct sim_worker *worker = &row->worker;
    if (world_chance(world, world->faults.stall)) {
        worker->stalled_until_ms = world->now_ms + world_draw(world, 3 * world->options.lease_ms);
        world_note(world, "%s stalls", row->route);
        row->wake_at_ms = worker->stalled_until_ms;
        return;
    }
    report_ended(world, peer);
    if (world_chance(world, world->faults.release))
        release_one(world, peer);
    if (worker->is_joined && world->now_ms >= worker->beat_at_ms)
        beat(world, peer);
    if (!worker->is_joined && world->now_ms >= worker->hello_at_ms) {
        say_hello(world, peer);
        worker->hello_at_ms = world->now_ms + HELLO_AGAIN_MS;
    }
    int64_t wake_at_ms = worker->is_joined ? worker->beat_at_ms : worker->hello_at_ms;
    for (size_t i = 0; i < worker->lease_count; i++) {
        if (!worker->leases[i].is_reported && worker->leases[i].done_at_ms < wake_at_ms)
            wake_at_ms = worker->leases[i].done_at_ms;
    }
    row->wake_at_ms = wake_at_ms > world->now_ms ? wake_at_ms : world->now_ms + 1;
}
