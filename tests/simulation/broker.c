/* The broker of the simulation: the real core on a stage whose disk is slow and forgetful. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/message.h"
#include "tests/simulation/world.h"

struct core_time
broker_time(const struct world *world)
{
    return (struct core_time){
        .now_ms = world->now_ms + world->clock_offset_ms,
        .wall_ms = INT64_C(1700000000000) + world->now_ms + world->wall_offset_ms,
    };
}

/* ---- what goes out ------------------------------------------------------------------------ */

/* Rows of TASKS are looked at as they leave: from then on a worker may act on them. */
static void
look_at_tasks(struct world *world, struct slice table)
{
    static const char *const names[] = {"fence", "task", "attempt", "item", "body", NULL};
    static const char *const item_names[] = {"url", NULL};
    struct reader rows;
    reader_init(&rows, table);
    for (size_t count = read_array(&rows); count > 0; count--) {
        struct slice fields[5];
        struct slice url = {0};
        struct reader item;
        enum error error = OK;
        read_fields(&rows, names, fields);
        reader_init(&item, fields[3]);
        read_fields(&item, item_names, &url);
        check_granted(world, field_string(fields[1], &error), field_uint(fields[0], 0, &error),
                      field_uint(fields[2], 0, &error), field_string(url, &error),
                      fields[4].data != NULL);
    }
}

static enum error
port_send(void *context, enum role role, struct slice route, const struct slice *frames,
          size_t frame_count)
{
    struct world *world = context;
    enum message_type type;
    uint64_t sequence = 0;
    size_t pairs = 0;
    struct reader reader;
    reader_init(&reader, frames[0]);
    if (message_scan(frames[0]) || (frame_count > 1 && message_scan(frames[1])) ||
        read_header(&reader, &type, &sequence, &pairs)) {
        world_fail(world, "the broker sent a message that cannot be read");
        return OK;
    }
    for (size_t i = 0; i < world->peer_count; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (peer->role != role || !slice_equal(slice_string(peer->route), route))
            continue;
        if (world_chance(world, world->faults.loss / 4))
            return ERROR_AGAIN;
        if (!network_to_peer(world, i, frames, frame_count))
            return ERROR_NOT_FOUND;
        world_note(world, "broker -> %s %s %llu", peer->route, message_type_name(type),
                   (unsigned long long)sequence);
        if (type == MESSAGE_TASKS)
            look_at_tasks(world, frames[1]);
        return OK;
    }
    return ERROR_NOT_FOUND;
}

/* ---- life --------------------------------------------------------------------------------- */

void
broker_start(struct world *world)
{
    struct stage *stage = &world->stage;
    char *message = NULL;
    if (!stage->disk) {
        const struct core_port port = {.send = port_send, .context = world};
        if (stage_init(stage, &world->options, port, broker_time(world)))
            abort();
    }
    /* Another process, perhaps after a reboot: its clock has nothing to do with the last one's. */
    world->clock_offset_ms = world_draw(world, 1000000);
    stage->time = broker_time(world);
    enum error error = stage_start(stage, &message);
    world_note(world, "broker starts, boot %u", ++world->boots);
    if (error)
        world_fail(world, "the broker does not start: %s", message ? message : error_text(error));
    free(message);
    world->broker_at_ms = world->now_ms;
    world->disk_at_ms = world->now_ms;
    if (!error) {
        check_broker(world);
        check_store(world);
    }
}

void
broker_crash(struct world *world)
{
    int64_t down_ms = world_draw(world, 2000);
    world_note(world, "broker falls for %lld ms", (long long)down_ms);
    stage_crash(&world->stage);
    for (size_t i = 0; i < world->lied_count; i++)
        store_batch_destroy(world->lied[i]);
    world->lied_count = 0;
    world->broker_up_at_ms = world->now_ms + down_ms;
    world->broker_at_ms = SIM_NEVER;
    world->disk_at_ms = SIM_NEVER;
    for (size_t i = 0; i < world->peer_count; i++)
        network_break(world, i, world->broker_up_at_ms);
}

/* ---- the disk ----------------------------------------------------------------------------- */

static void
wake_disk(struct world *world)
{
    int64_t at_ms = world->now_ms + world_draw(world, world->faults.disk_ms);
    if (at_ms < world->disk_at_ms)
        world->disk_at_ms = at_ms;
}

/* The planted bug: the core is told at once, and the disk gets the rows later, or never. */
static bool
tell_early(struct world *world)
{
    struct stage *stage = &world->stage;
    struct store_row row;
    size_t cursor = 0;
    if (stage->batch_count == 0 || world->lied_count == SIM_LIES_MAX)
        return false;
    struct store_batch *copy = store_batch_create(SIM_BYTES_MAX * 64);
    if (!copy)
        abort();
    while (store_batch_next(stage->batches[0].rows, &cursor, &row)) {
        if (row.kind == STORE_ROW_DELETE_RANGE)
            store_batch_delete_range(copy, row.table, row.number, row.last);
        else if (row.kind == STORE_ROW_DELETE && store_table_is_number(row.table))
            store_batch_delete(copy, row.table, row.number);
        else if (row.kind == STORE_ROW_DELETE)
            store_batch_delete_bytes(copy, row.table, row.key);
        else if (store_table_is_number(row.table))
            store_batch_put(copy, row.table, row.number, row.value);
        else
            store_batch_put_bytes(copy, row.table, row.key, row.value);
    }
    stage_apply(stage);
    stage->batches[0].is_flushed = true;
    world->lied[world->lied_count++] = copy;
    return stage_tell(stage);
}

static bool
flush_late(struct world *world)
{
    if (world->lied_count == 0)
        return false;
    if (store_commit(world->stage.disk, world->lied[0]))
        abort();
    store_batch_destroy(world->lied[0]);
    memmove(&world->lied[0], &world->lied[1], --world->lied_count * sizeof world->lied[0]);
    return true;
}

/* One step of one batch at a time, so that a crash may come between any two. */
void
broker_disk(struct world *world)
{
    struct stage *stage = &world->stage;
    world->disk_at_ms = SIM_NEVER;
    if (!stage->core)
        return;
    stage->time = broker_time(world);
    bool has_sealed = stage_seal(stage);
    bool has_moved = false;
    if (world->plant == SIM_PLANT_EARLY_ANSWER)
        has_moved = tell_early(world) || flush_late(world);
    else if (world_chance(world, 500))
        has_moved = stage_tell(stage) || stage_flush(stage) || stage_apply(stage);
    else
        has_moved = stage_apply(stage) || stage_flush(stage) || stage_tell(stage);
    if (has_moved)
        check_broker(world);
    if (has_moved || has_sealed) {
        wake_disk(world);
        world->broker_at_ms = world->now_ms;
    }
}

/* ---- steps -------------------------------------------------------------------------------- */

void
broker_receive(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    struct stage *stage = &world->stage;
    struct sim_peer *row = &world->peers[peer];
    if (!stage->core)
        return;
    stage->time = broker_time(world);
    core_receive(stage->core, stage->time, row->role, slice_string(row->route), frames,
                 frame_count);
    check_broker(world);
    wake_disk(world);
    world->broker_at_ms = world->now_ms;
}

void
broker_tick(struct world *world)
{
    struct stage *stage = &world->stage;
    world->broker_at_ms = SIM_NEVER;
    if (!stage->core)
        return;
    stage->time = broker_time(world);
    int64_t next_ms = core_tick(stage->core, stage->time);
    check_broker(world);
    if (next_ms <= stage->time.now_ms)
        world_fail(world, "the core asks to be called in the past");
    world->broker_at_ms =
        next_ms == INT64_MAX ? SIM_NEVER : world->now_ms + (next_ms - stage->time.now_ms);
    wake_disk(world);
}
