/* Feeders: the real feeder_core with a spool that survives its crash. */
#include <stdio.h>
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

static void
told(void *context, uint64_t token, enum thresh_status status, const char *task, const char *reason)
{
    static const enum sim_answer answers[] = {
        [THRESH_ACCEPTED] = SIM_ACCEPTED,
        [THRESH_KNOWN] = SIM_KNOWN,
        [THRESH_INVALID] = SIM_INVALID,
    };
    (void)reason;
    check_answered(context, token, answers[status], task);
}

/* ---- the spool ---------------------------------------------------------------------------- */

static void
spooled_release(struct sim_spooled *spooled)
{
    free(spooled->table);
    for (size_t i = 0; i < spooled->body_count; i++)
        free((void *)(uintptr_t)spooled->bodies[i].data);
    free(spooled->bodies);
    free(spooled->tokens);
}

static void
spool_drop(struct sim_feeder *feeder, uint64_t sequence)
{
    for (size_t i = 0; i < feeder->spool_count; i++) {
        if (feeder->spool[i].sequence != sequence)
            continue;
        spooled_release(&feeder->spool[i]);
        feeder->spool_count--;
        memmove(&feeder->spool[i], &feeder->spool[i + 1],
                (feeder->spool_count - i) * sizeof feeder->spool[0]);
        return;
    }
}

static void *
copy(const void *bytes, size_t size)
{
    void *memory = malloc(size + 1);
    if (!memory)
        abort();
    if (size > 0)
        memcpy(memory, bytes, size);
    return memory;
}

static void
spool_add(struct world *world, struct sim_feeder *feeder, const struct feeder_submit *submit)
{
    if (submit->replaces != 0)
        spool_drop(feeder, submit->replaces);
    if (feeder->spool_count == SIM_SPOOL_MAX) {
        world_fail(world, "a feeder has more submits unanswered than it may");
        return;
    }
    struct sim_spooled *spooled = &feeder->spool[feeder->spool_count++];
    *spooled = (struct sim_spooled){
        .sequence = submit->sequence,
        .table = copy(submit->table.data, submit->table.size),
        .table_bytes = submit->table.size,
        .bodies = calloc(submit->body_count + 1, sizeof(struct slice)),
        .body_count = submit->body_count,
        .tokens = copy(submit->tokens, submit->item_count * sizeof(uint64_t)),
        .item_count = submit->item_count,
    };
    if (!spooled->bodies)
        abort();
    for (size_t i = 0; i < submit->body_count; i++)
        spooled->bodies[i] =
            slice_of(copy(submit->bodies[i].data, submit->bodies[i].size), submit->bodies[i].size);
}

/* What the core has sealed since becomes durable, and what was answered is forgotten. */
static void
spool_write(struct world *world, struct sim_feeder *feeder)
{
    struct feeder_submit submit;
    uint64_t after = 0;
    while (feeder_core_unspooled(feeder->core, after, &submit)) {
        spool_add(world, feeder, &submit);
        after = submit.sequence;
    }
    feeder->last_sequence = feeder_core_last_sequence(feeder->core);
    feeder_core_spooled(feeder->core, feeder->last_sequence);
    uint64_t answered = feeder_core_answered(feeder->core);
    while (feeder->spool_count > 0 && feeder->spool[0].sequence <= answered)
        spool_drop(feeder, feeder->spool[0].sequence);
    feeder->confirmed = answered;
    feeder_core_confirm(feeder->core, answered);
}

/* ---- life --------------------------------------------------------------------------------- */

void
feeder_start(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    struct sim_feeder *feeder = &row->feeder;
    struct feeder_core_options options = {
        .name = row->route,
        .batch_max = 1 + (size_t)dice_below(&world->dice, world->options.batch_max),
        .window_max = 1 + (size_t)dice_below(&world->dice, 8),
        .is_spooled = true,
        .last_sequence = feeder->last_sequence,
        .confirmed = feeder->confirmed,
    };
    memcpy(options.client, row->client, sizeof options.client);
    feeder->core = feeder_core_create(&options, told, world);
    if (!feeder->core)
        abort();
    for (size_t i = 0; i < feeder->spool_count; i++) {
        const struct sim_spooled *spooled = &feeder->spool[i];
        const struct feeder_submit submit = {
            .sequence = spooled->sequence,
            .item_count = spooled->item_count,
            .table = slice_of(spooled->table, spooled->table_bytes),
            .bodies = spooled->bodies,
            .body_count = spooled->body_count,
            .tokens = spooled->tokens,
        };
        enum error error = feeder_core_restore(feeder->core, &submit);
        if (error)
            world_fail(world, "a feeder cannot take up its spool: %s", error_text(error));
    }
    /* Items that were batched and not spooled are added again. */
    for (feeder->next_item = 0; feeder->next_item < world->item_count; feeder->next_item++) {
        const struct sim_item *item = &world->items[feeder->next_item];
        if (item->feeder != peer || item->answer != SIM_UNANSWERED)
            continue;
        bool is_spooled = false;
        for (size_t i = 0; i < feeder->spool_count; i++) {
            for (size_t j = 0; j < feeder->spool[i].item_count; j++)
                is_spooled |= feeder->spool[i].tokens[j] == feeder->next_item;
        }
        if (!is_spooled)
            break;
    }
}

void
feeder_release(struct sim_feeder *feeder)
{
    feeder_core_destroy(feeder->core);
    feeder->core = NULL;
    while (feeder->spool_count > 0)
        spool_drop(feeder, feeder->spool[0].sequence);
}

void
feeder_crash(struct world *world, size_t peer)
{
    feeder_core_destroy(world->peers[peer].feeder.core);
    world->peers[peer].feeder.core = NULL;
}

void
feeder_leave(struct world *world, size_t peer)
{
    void *context[] = {world, &peer};
    const struct session_sender sender = {.send = send, .context = context};
    feeder_core_leave(world->peers[peer].feeder.core, &sender);
}

/* ---- items -------------------------------------------------------------------------------- */

static bool
add_item(struct world *world, struct sim_feeder *feeder, size_t token)
{
    const struct sim_item *item = &world->items[token];
    char url[64];
    snprintf(url, sizeof url, item->is_wrong ? "gopher://h%u.example/%u" : "http://h%u.example/%u",
             item->host, item->identity);
    struct thresh_item fed = {
        .url = url,
        .priority = item->priority,
        .token = token,
        .not_before_ms = item->not_before_ms ? broker_time(world).wall_ms + item->not_before_ms : 0,
    };
    if (item->is_document) {
        fed.body = url;
        fed.body_size = strlen(url);
    }
    enum error error = feeder_core_add(feeder->core, &fed);
    if (error && error != ERROR_FULL)
        world_fail(world, "an item is refused by the feeder: %s", error_text(error));
    return !error;
}

void
feeder_wake(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    struct sim_feeder *feeder = &row->feeder;
    void *context[] = {world, &peer};
    const struct session_sender sender = {.send = send, .context = context};
    int64_t deadline_ms = 0;
    size_t added = 0;
    while (feeder->next_item < world->item_count && added < 4) {
        const struct sim_item *item = &world->items[feeder->next_item];
        if (item->feeder == peer && item->answer == SIM_UNANSWERED) {
            if (!add_item(world, feeder, feeder->next_item))
                break;
            added++;
        }
        feeder->next_item++;
    }
    ignore_error(feeder_core_flush(feeder->core)); /* full: later */
    for (int round = 0; round < 2; round++) {
        spool_write(world, feeder);
        enum error error = feeder_core_tick(feeder->core, world->now_ms, &sender, &deadline_ms);
        if (!error)
            error = feeder_core_error(feeder->core);
        if (error)
            world_fail(world, "a feeder has failed: %s", feeder_core_message(feeder->core));
    }
    if (feeder->next_item < world->item_count && deadline_ms > world->now_ms + 200)
        deadline_ms = world->now_ms + 50 + world_draw(world, 150);
    row->wake_at_ms = deadline_ms > world->now_ms ? deadline_ms : world->now_ms + 1;
}

void
feeder_take(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    struct sim_peer *row = &world->peers[peer];
    enum error error = feeder_core_receive(row->feeder.core, frames, frame_count, world->now_ms);
    if (error)
        world_fail(world, "a feeder cannot take a message: %s",
                   feeder_core_message(row->feeder.core));
    row->wake_at_ms = world->now_ms;
}

bool
feeder_is_done(const struct world *world, size_t peer)
{
    const struct sim_feeder *feeder = &world->peers[peer].feeder;
    return feeder->core && feeder->next_item == world->item_count &&
           feeder_core_unanswered(feeder->core) == 0;
}
