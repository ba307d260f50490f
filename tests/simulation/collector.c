/* Collectors: the real collector_core and a sink whose rows are durable a little later. */
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/world.h"

static enum error
send(void *context, const struct slice *frames, size_t frame_count)
{
    struct world *world = ((void **)context)[0];
    size_t peer = *(size_t *)((void **)context)[1];
    network_to_broker(world, peer, frames, frame_count);
    return OK;
}

void
collector_start(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    struct collector_core_options options = {
        .name = row->collector.name,
        .credit = 1 + dice_below(&world->dice, 20),
    };
    /* Another process: an identity of its own. */
    for (size_t i = 0; i < sizeof options.client; i++)
        options.client[i] = (uint8_t)dice_next(&world->dice);
    row->collector.core = collector_core_create(&options);
    if (!row->collector.core)
        abort();
    row->collector.flush_at_ms = SIM_NEVER;
}

void
collector_crash(struct world *world, size_t peer)
{
    struct sim_collector *collector = &world->peers[peer].collector;
    collector_core_destroy(collector->core);
    collector->core = NULL;
    collector->written = collector->durable;
}

static void
flush(struct world *world, struct sim_collector *collector)
{
    collector->durable = collector->written;
    collector->flush_at_ms = SIM_NEVER;
    if (collector->durable > 0)
        collector_core_acknowledge(collector->core,
                                   collector->output[collector->durable - 1].position);
    world_note(world, "%s has %zu rows", collector->name, collector->durable);
}

void
collector_wake(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    struct sim_collector *collector = &row->collector;
    void *context[] = {world, &peer};
    const struct session_sender sender = {.send = send, .context = context};
    int64_t deadline_ms = 0;
    if (world->now_ms >= collector->flush_at_ms)
        flush(world, collector);
    enum error error = collector_core_tick(collector->core, world->now_ms, &sender, &deadline_ms);
    if (!error)
        error = collector_core_error(collector->core);
    if (error)
        world_fail(world, "a collector has failed: %s", collector_core_message(collector->core));
    if (collector->flush_at_ms < deadline_ms)
        deadline_ms = collector->flush_at_ms;
    row->wake_at_ms = deadline_ms > world->now_ms ? deadline_ms : world->now_ms + 1;
}

/* A sink keeps one row a task (I4); *ret_is_new. */
static bool
has_row(const struct sim_collector *collector, uint64_t sequence)
{
    for (size_t i = 0; i < collector->written; i++) {
        if (collector->output[i].sequence == sequence)
            return true;
    }
    return false;
}

static void
write_row(struct world *world, struct sim_collector *collector, const struct collector_row *row)
{
    uint64_t sequence = task_number(row->task);
    if (collector->written == SIM_OUTPUT_MAX) {
        world_fail(world, "a collector has got more rows than there are tasks");
        return;
    }
    /* A row that came before is kept as its position only, for the acknowledgement. */
    bool is_new = !has_row(collector, sequence);
    collector->output[collector->written++] =
        (struct sim_row){.position = row->position, .sequence = is_new ? sequence : 0};
    for (size_t i = 0; !is_new && i < collector->written; i++) {
        if (collector->output[i].sequence == sequence &&
            collector->output[i].position != row->position)
            world_fail(world, "task %llu has two results, at %llu and %llu",
                       (unsigned long long)sequence,
                       (unsigned long long)collector->output[i].position,
                       (unsigned long long)row->position);
    }
}

void
collector_take(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    struct sim_peer *row = &world->peers[peer];
    struct sim_collector *collector = &row->collector;
    struct collector_delivery delivery;
    struct collector_row result;
    bool is_delivery = false;
    enum error error = collector_core_receive(collector->core, frames, frame_count, world->now_ms,
                                              &is_delivery, &delivery);
    if (error)
        world_fail(world, "a collector cannot take a message: %s",
                   collector_core_message(collector->core));
    size_t before = collector->written;
    while (is_delivery && collector_core_next(collector->core, &delivery, &result))
        write_row(world, collector, &result);
    if (collector->written > before) {
        if (collector->flush_at_ms == SIM_NEVER)
            collector->flush_at_ms = world->now_ms + world_draw(world, 300);
        if (world->plant == SIM_PLANT_EARLY_ACKNOWLEDGE)
            collector_core_acknowledge(collector->core,
                                       collector->output[collector->written - 1].position);
    }
    row->wake_at_ms = world->now_ms;
}

/* Everything that was accepted and has ended is in the durable output. */
bool
collector_is_done(const struct world *world, size_t peer)
{
    const struct sim_collector *collector = &world->peers[peer].collector;
    size_t rows = 0;
    size_t accepted = 0;
    for (size_t i = 0; i < collector->durable; i++)
        rows += collector->output[i].sequence != 0;
    for (size_t i = 0; i < SIM_SEQUENCE_MAX; i++)
        accepted += world->tasks[i].is_accepted;
    return collector->core && rows >= accepted && collector->durable == collector->written;
}
