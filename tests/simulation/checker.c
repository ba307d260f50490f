/* What must always hold, and what must hold at the end: the invariants I1 to I8 and I11. */
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"
#include "tests/simulation/world.h"

uint64_t
task_number(struct slice task)
{
    uint64_t number = 0;
    if (task.size != SIM_TASK_BYTES)
        return 0;
    for (size_t i = 8; i < SIM_TASK_BYTES; i++) {
        uint8_t byte = task.data[i];
        number = number << 4 | (uint64_t)(byte <= '9' ? byte - '0' : byte - 'a' + 10);
    }
    return number < SIM_SEQUENCE_MAX ? number : 0;
}

static struct sim_task *
task_at(struct world *world, uint64_t number)
{
    if (number == 0 || number >= SIM_SEQUENCE_MAX) {
        world_fail(world, "a task has number %llu", (unsigned long long)number);
        return &world->tasks[0];
    }
    return &world->tasks[number];
}

/* ---- what the broker says ----------------------------------------------------------------- */

/* The gap of a host, from one grant to the next (politeness); documents have none. */
static void
check_gap(struct world *world, struct slice url)
{
    static const char prefix[] = "http://h";
    unsigned number = 0;
    if (url.size < sizeof prefix || memcmp(url.data, prefix, sizeof prefix - 1) != 0)
        return;
    number = (unsigned)(url.data[sizeof prefix - 1] - '0');
    if (number >= SIM_HOSTS_MAX) {
        world_fail(world, "a task has a host that nobody fed");
        return;
    }
    struct sim_host *host = &world->hosts[number];
    if (host->granted_ms != INT64_MIN && world->now_ms - host->granted_ms < world->options.gap_ms)
        world_fail(world, "host h%u was asked after %lld ms", number,
                   (long long)(world->now_ms - host->granted_ms));
    host->granted_ms = world->now_ms;
}

void
check_granted(struct world *world, struct slice task, uint64_t fence, uint64_t attempt,
              struct slice url, bool is_document)
{
    struct sim_task *row = task_at(world, task_number(task));
    if (fence <= row->fence)
        world_fail(world, "task %.*s: fence %llx does not grow", (int)task.size,
                   (const char *)task.data, (unsigned long long)fence);
    if (row->is_recorded)
        world_fail(world, "task %.*s goes out although its end was recorded", (int)task.size,
                   (const char *)task.data);
    /* I7: failures that were acknowledged are counted; and no attempt is counted twice. */
    if (attempt < row->failures + 1u || attempt > row->grants + 1u)
        world_fail(world, "task %.*s: attempt %llu after %u grants and %u recorded failures",
                   (int)task.size, (const char *)task.data, (unsigned long long)attempt,
                   row->grants, row->failures);
    row->grants++;
    row->fence = fence;
    if (!is_document)
        check_gap(world, url);
}

void
check_answered(struct world *world, uint64_t token, enum sim_answer answer, const char *task)
{
    struct sim_item *item = &world->items[token];
    uint64_t number = answer == SIM_ACCEPTED ? task_number(slice_string(task)) : 0;
    world_note(world, "item %llu: %d %s", (unsigned long long)token, (int)answer, task);
    /* I8: the same question has the same answer. */
    if (item->answer != SIM_UNANSWERED && (item->answer != answer || item->sequence != number))
        world_fail(world, "item %llu was answered %d and then %d", (unsigned long long)token,
                   (int)item->answer, (int)answer);
    if ((answer == SIM_INVALID) != item->is_wrong)
        world_fail(world, "item %llu is judged wrongly", (unsigned long long)token);
    bool is_first = item->answer == SIM_UNANSWERED;
    item->answer = answer;
    item->sequence = number;
    if (answer != SIM_ACCEPTED || !is_first)
        return;
    struct sim_task *row = task_at(world, number);
    if (row->is_accepted)
        world_fail(world, "two items have task %llu", (unsigned long long)number);
    row->is_accepted = true;
    for (size_t i = 0; i < world->item_count; i++) {
        const struct sim_item *other = &world->items[i];
        if (i != token && other->answer == SIM_ACCEPTED && other->identity == item->identity)
            world_fail(world, "items %zu and %llu are one, and both are accepted", i,
                       (unsigned long long)token);
    }
}

void
check_recorded(struct world *world, uint64_t task, enum outcome outcome, uint64_t status)
{
    struct sim_task *row = task_at(world, task);
    enum outcome_policy policy = outcome_policy(outcome);
    if (status == 2)
        world_fail(world, "a good report is refused as malformed");
    if (status != 0)
        return;
    if (policy == OUTCOME_POLICY_DONE || policy == OUTCOME_POLICY_FINAL) {
        /* Single acceptance: only one report can end a task. */
        if (row->is_recorded)
            world_fail(world, "task %llu was ended twice", (unsigned long long)task);
        row->is_recorded = true;
    } else if (policy == OUTCOME_POLICY_RETRY || policy == OUTCOME_POLICY_ELSEWHERE) {
        row->failures++;
    }
}

/* ---- inside the broker -------------------------------------------------------------------- */

/* I5: a task has one lease, and a lease its task. */
static void
check_leases(struct world *world, struct core *core)
{
    struct leases *leases = &core->leases;
    uint64_t active = 0;
    for (uint32_t i = 0; i < leases->count; i++) {
        const struct lease *lease = lease_at(leases, i);
        if (lease->worker == LEASE_NONE)
            continue;
        active++;
        const struct task_slot *slot = scheduler_slot(&core->scheduler, lease->slot);
        if (slot->state != TASK_LEASED || slot->next != i)
            world_fail(world, "lease %llx has no task of its own",
                       (unsigned long long)lease->fence);
    }
    if (active != leases->active || active != core->scheduler.counts[TASK_LEASED])
        world_fail(world, "%llu leases for %llu leased tasks", (unsigned long long)active,
                   (unsigned long long)core->scheduler.counts[TASK_LEASED]);
}

static void
check_hosts(struct world *world, struct core *core)
{
    for (uint32_t i = 1; i < core->hosts.count; i++) {
        uint32_t in_flight = 0;
        for (uint32_t j = 0; j < core->leases.count; j++) {
            const struct lease *lease = lease_at(&core->leases, j);
            in_flight += lease->worker != LEASE_NONE &&
                         scheduler_slot(&core->scheduler, lease->slot)->host == i;
        }
        if (host_at(&core->hosts, i)->in_flight != in_flight)
            world_fail(world, "a host counts %u attempts and has %u",
                       host_at(&core->hosts, i)->in_flight, in_flight);
    }
}

void
check_broker(struct world *world)
{
    struct core_counts counts;
    if (!world->stage.core || world->is_failed)
        return;
    core_counts(world->stage.core, &counts);
    if (!counts.is_ledger_right)
        world_fail(world, "the ledger does not add up (I11)");
    if (counts.set_aside > 0)
        world_fail(world, "a row cannot be read");
    check_leases(world, world->stage.core);
    check_hosts(world, world->stage.core);
}

/* ---- the store ---------------------------------------------------------------------------- */

struct place {
    bool is_waiting; /* a row of STORE_TASKS */
    bool is_dead;
    unsigned results;
};

struct places {
    enum store_table table;
    struct place rows[SIM_SEQUENCE_MAX];
};

static bool
note_place(void *context, const struct store_entry *entry)
{
    struct places *places = context;
    struct result_record record;
    uint64_t number = entry->number;
    if (places->table == STORE_RESULTS)
        number = result_record_read(entry->value, &record) ? 0 : record.sequence;
    if (number >= SIM_SEQUENCE_MAX)
        return true;
    if (places->table == STORE_TASKS)
        places->rows[number].is_waiting = true;
    else if (places->table == STORE_DEAD)
        places->rows[number].is_dead = true;
    else
        places->rows[number].results++;
    return true;
}

/* A result that all readers have acknowledged may have been deleted; then all have it. */
static bool
is_delivered(const struct world *world, uint64_t number)
{
    for (size_t i = 0; i < world->peer_count; i++) {
        const struct sim_collector *collector = &world->peers[i].collector;
        if (world->peers[i].role != ROLE_COLLECT)
            continue;
        bool is_there = false;
        for (size_t j = 0; j < collector->durable; j++)
            is_there |= collector->output[j].sequence == number;
        if (!is_there)
            return false;
    }
    return true;
}

/* I1, I2, I3: what was promised is in exactly one place; what has ended stays ended. */
void
check_store(struct world *world)
{
    static const enum store_table tables[] = {STORE_TASKS, STORE_DEAD, STORE_RESULTS};
    struct places *places = calloc(1, sizeof *places);
    if (!places)
        abort();
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        places->table = tables[i];
        if (store_scan(world->stage.visible, tables[i], 0, note_place, places))
            world_fail(world, "the store cannot be read");
    }
    for (uint64_t number = 1; number < SIM_SEQUENCE_MAX; number++) {
        const struct sim_task *task = &world->tasks[number];
        const struct place *place = &places->rows[number];
        bool has_ended = place->results > 0 || place->is_dead;
        if (place->is_waiting && has_ended)
            world_fail(world, "task %llu waits and has ended", (unsigned long long)number);
        if (place->results > 1)
            world_fail(world, "task %llu has two results", (unsigned long long)number);
        if (place->is_waiting && task->is_recorded)
            world_fail(world, "task %llu waits, though its end was recorded",
                       (unsigned long long)number);
        if (task->is_accepted && !place->is_waiting && place->results == 0 &&
            !is_delivered(world, number))
            world_fail(world, "task %llu was accepted and is lost", (unsigned long long)number);
        if (task->is_recorded && place->results == 0 && !is_delivered(world, number))
            world_fail(world, "the result of task %llu was recorded and is lost",
                       (unsigned long long)number);
    }
    free(places);
}

/* ---- the end ------------------------------------------------------------------------------ */

bool
world_is_done(const struct world *world)
{
    if (!world->stage.core)
        return false;
    for (size_t i = 0; i < world->peer_count; i++) {
        if ((world->peers[i].role == ROLE_FEED && !feeder_is_done(world, i)) ||
            (world->peers[i].role == ROLE_COLLECT && !collector_is_done(world, i)))
            return false;
    }
    return true;
}

void
check_end(struct world *world)
{
    struct core_counts counts;
    uint64_t accepted = 0;
    if (world->is_failed)
        return;
    check_store(world);
    for (size_t i = 0; i < world->item_count; i++) {
        const struct sim_item *item = &world->items[i];
        bool has_task = false;
        if (item->answer == SIM_UNANSWERED)
            world_fail(world, "item %zu was never answered", i);
        accepted += item->answer == SIM_ACCEPTED;
        /* Every identity has one task, whoever fed it first. */
        for (size_t j = 0; j < world->item_count; j++)
            has_task |= world->items[j].identity == item->identity &&
                        world->items[j].answer == SIM_ACCEPTED;
        if (!has_task && !item->is_wrong)
            world_fail(world, "item %zu is known and nobody has it", i);
    }
    core_counts(world->stage.core, &counts);
    if (counts.accepted != accepted || counts.done + counts.dead != accepted)
        world_fail(world, "%llu items accepted; the broker has %llu, %llu done, %llu dead",
                   (unsigned long long)accepted, (unsigned long long)counts.accepted,
                   (unsigned long long)counts.done, (unsigned long long)counts.dead);
    for (size_t i = 0; i < world->peer_count; i++) {
        const struct sim_collector *collector = &world->peers[i].collector;
        if (world->peers[i].role != ROLE_COLLECT)
            continue;
        for (uint64_t number = 1; number < SIM_SEQUENCE_MAX; number++) {
            unsigned rows = 0;
            for (size_t j = 0; j < collector->durable; j++)
                rows += collector->output[j].sequence == number;
            if (rows != (world->tasks[number].is_accepted ? 1u : 0u))
                world_fail(world, "%s has %u rows of task %llu", collector->name, rows,
                           (unsigned long long)number);
        }
    }
}

void
check_stuck(struct world *world)
{
    struct core_counts counts = {0};
    if (world->stage.core) {
        check_store(world);
        core_counts(world->stage.core, &counts);
    }
    for (size_t i = 0; i < world->peer_count; i++) {
        const char *route = world->peers[i].route;
        if (world->peers[i].role == ROLE_FEED && !feeder_is_done(world, i))
            world_fail(world, "it does not end: %s waits for answers", route);
        if (world->peers[i].role == ROLE_COLLECT && !collector_is_done(world, i))
            world_fail(world,
                       "it does not end: %s waits for results; %llu ready, %llu delayed, "
                       "%llu leased, %llu kept",
                       route, (unsigned long long)counts.ready, (unsigned long long)counts.delayed,
                       (unsigned long long)counts.leased, (unsigned long long)counts.results_kept);
    }
    world_fail(world, "it does not end");
}
