/* scheduler against a naive model: every queue an array, every choice a search. */
#include "broker/scheduler.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/backoff.h"

#define TASKS 120
#define HOSTS 7
#define GAP_MS 50

_Static_assert(sizeof(struct task_slot) == 16, "a queued task costs 16 bytes");

struct queue {
    uint32_t slots[TASKS];
    size_t count;
};

struct model {
    struct hosts hosts;
    struct scheduler scheduler;
    struct dice dice;
    int64_t now_ms;
    enum task_state states[TASKS];
    unsigned priorities[TASKS];
    uint32_t host_of[TASKS];
    int64_t due_ms[TASKS];
    struct queue queues[HOSTS][PRIORITY_COUNT];
    /* The line of hosts that may be asked: lower came earlier, equal came in the same moment. */
    uint64_t place[HOSTS]; /* 0: not in line */
    uint64_t next_place;
    uint64_t next_sequence;
};

static void
model_init(struct model *model, uint64_t seed, int connections)
{
    const struct hosts_options options = {
        .gap_ms = GAP_MS, .connections_max = connections, .backoff_ms = 100, .backoff_max_ms = 800};
    memset(model, 0, sizeof *model);
    model->dice.state = seed;
    model->now_ms = 1000;
    model->next_place = 1;
    model->next_sequence = 1;
    cr_assert_eq(hosts_init(&model->hosts, &options), OK);
    for (uint32_t i = 1; i < HOSTS; i++) {
        char name[] = "host0";
        uint32_t host = 0;
        name[4] = (char)('0' + i);
        cr_assert_eq(hosts_find(&model->hosts, slice_string(name), &host), OK);
        cr_assert_eq(host, i);
    }
    scheduler_init(&model->scheduler, &model->hosts, TASKS, model->now_ms);
}

static void
model_release(struct model *model)
{
    scheduler_release(&model->scheduler);
    hosts_release(&model->hosts);
}

static size_t
queued(const struct model *model, uint32_t host)
{
    size_t count = 0;
    for (size_t i = 0; i < PRIORITY_COUNT; i++)
        count += model->queues[host][i].count;
    return count;
}

static bool
may_go(struct model *model, uint32_t host)
{
    return queued(model, host) > 0 && host_has_room(&model->hosts, host) &&
           host_due_ms(&model->hosts, host) <= model->now_ms;
}

static int
compare_due(const void *left, const void *right)
{
    const int64_t *a = left;
    const int64_t *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* Hosts that may go now and were not in line join it, by the time since when they may. */
static void
update_line(struct model *model)
{
    int64_t times_ms[HOSTS];
    size_t count = 0;
    for (uint32_t i = 0; i < HOSTS; i++) {
        if (!may_go(model, i))
            model->place[i] = 0;
        else if (model->place[i] == 0)
            times_ms[count++] = host_due_ms(&model->hosts, i);
    }
    qsort(times_ms, count, sizeof times_ms[0], compare_due);
    for (size_t i = 0; i < count; i++) {
        for (uint32_t host = 0; host < HOSTS; host++) {
            if (model->place[host] == 0 && may_go(model, host) &&
                host_due_ms(&model->hosts, host) == times_ms[i])
                model->place[host] = model->next_place;
        }
        model->next_place++;
    }
}

static void
push(struct model *model, uint32_t slot, bool is_first)
{
    struct queue *queue = &model->queues[model->host_of[slot]][model->priorities[slot]];
    size_t at = is_first ? 0 : queue->count;
    memmove(&queue->slots[at + 1], &queue->slots[at], (queue->count - at) * sizeof(uint32_t));
    queue->slots[at] = slot;
    queue->count++;
    model->states[slot] = TASK_READY;
}

static void
pull(struct model *model, uint32_t slot)
{
    struct queue *queue = &model->queues[model->host_of[slot]][model->priorities[slot]];
    size_t at = 0;
    while (queue->slots[at] != slot)
        at++;
    queue->count--;
    memmove(&queue->slots[at], &queue->slots[at + 1], (queue->count - at) * sizeof(uint32_t));
}

static void
advance(struct model *model, int64_t now_ms)
{
    model->now_ms = now_ms;
    scheduler_advance(&model->scheduler, now_ms);
    for (uint32_t slot = 0; slot < TASKS; slot++) {
        /* Tasks due at the same moment come in any order: the scheduler's is taken over below. */
        if (model->states[slot] == TASK_DELAYED && model->due_ms[slot] <= now_ms) {
            cr_assert_eq(scheduler_slot(&model->scheduler, slot)->state, TASK_READY);
            model->states[slot] = TASK_PENDING;
        }
    }
    for (uint32_t host = 0; host < HOSTS; host++) {
        for (uint32_t queue = host_at(&model->hosts, host)->queues; queue != SLOT_NONE;
             queue = model->scheduler.queues[queue].next) {
            int64_t last_ms = INT64_MIN;
            for (uint32_t slot = model->scheduler.queues[queue].head; slot != SLOT_NONE;
                 slot = scheduler_slot(&model->scheduler, slot)->next) {
                if (scheduler_slot(&model->scheduler, slot)->state != TASK_READY ||
                    model->states[slot] != TASK_PENDING || model->due_ms[slot] == INT64_MIN)
                    continue;
                cr_assert(model->due_ms[slot] >= last_ms, "earlier ones come first");
                last_ms = model->due_ms[slot];
                model->due_ms[slot] = INT64_MIN;
                push(model, slot, false);
            }
        }
    }
}

static void
check(struct model *model)
{
    uint64_t counts[TASK_STATE_COUNT] = {0};
    int64_t earliest_ms = INT64_MAX;
    bool is_any_in_line = false;
    for (uint32_t slot = 0; slot < model->scheduler.slot_count; slot++) {
        counts[model->states[slot]]++;
        cr_assert_eq(scheduler_slot(&model->scheduler, slot)->state, model->states[slot]);
        if (model->states[slot] == TASK_DELAYED && model->due_ms[slot] < earliest_ms)
            earliest_ms = model->due_ms[slot];
    }
    for (size_t i = 0; i < TASK_STATE_COUNT; i++)
        cr_assert_eq(model->scheduler.counts[i], counts[i]);
    for (uint32_t host = 0; host < HOSTS; host++) {
        cr_assert_eq(host_at(&model->hosts, host)->queued, queued(model, host));
        is_any_in_line |= may_go(model, host);
        if (!may_go(model, host) && queued(model, host) > 0 && host_has_room(&model->hosts, host) &&
            host_due_ms(&model->hosts, host) < earliest_ms)
            earliest_ms = host_due_ms(&model->hosts, host);
    }
    uint32_t ignored = 0;
    cr_assert_eq(wheel_peek(&model->scheduler.wheel, &ignored), is_any_in_line);
    cr_assert(scheduler_next_ms(&model->scheduler) <= earliest_ms);
}

static void
take(struct model *model)
{
    uint32_t slot = SLOT_NONE;
    update_line(model);
    enum error error = scheduler_take(&model->scheduler, model->now_ms, &slot);
    uint64_t first = UINT64_MAX;
    for (uint32_t host = 0; host < HOSTS; host++) {
        if (model->place[host] != 0 && model->place[host] < first)
            first = model->place[host];
    }
    if (first == UINT64_MAX) {
        cr_assert_eq(error, ERROR_EMPTY);
        return;
    }
    cr_assert_eq(error, OK);
    uint32_t host = model->host_of[slot];
    cr_assert_eq(model->place[host], first, "hosts go in turn");
    for (unsigned i = 0; i < model->priorities[slot]; i++)
        cr_assert_eq(model->queues[host][i].count, 0, "a more urgent task waits at its host");
    cr_assert_eq(model->queues[host][model->priorities[slot]].slots[0], slot);
    pull(model, slot);
    model->states[slot] = TASK_LEASED;
    model->place[host] = 0;
}

static uint32_t
any_in(struct model *model, enum task_state state)
{
    uint32_t start = (uint32_t)dice_below(&model->dice, TASKS);
    for (uint32_t i = 0; i < TASKS; i++) {
        uint32_t slot = (start + i) % TASKS;
        if (slot < model->scheduler.slot_count && model->states[slot] == state)
            return slot;
    }
    return SLOT_NONE;
}

static void
add(struct model *model)
{
    uint32_t slot = SLOT_NONE;
    uint32_t host = (uint32_t)dice_below(&model->dice, HOSTS);
    unsigned priority = (unsigned)dice_below(&model->dice, 3) * 4;
    bool is_full = true;
    for (uint32_t i = 0; i < TASKS; i++)
        is_full &= model->states[i] != TASK_FREE;
    enum error error = scheduler_add(&model->scheduler, model->next_sequence, host, priority, 0,
                                     host == HOST_DOCUMENTS, &slot);
    cr_assert_eq(error, is_full ? ERROR_FULL : OK);
    if (error)
        return;
    cr_assert_eq(scheduler_slot(&model->scheduler, slot)->sequence, model->next_sequence);
    model->next_sequence++;
    cr_assert_eq(model->states[slot], TASK_FREE);
    model->states[slot] = TASK_PENDING;
    model->host_of[slot] = host;
    model->priorities[slot] = priority;
}

/* The attempt is over: its host may be asked again, and may have asked for a rest. */
static void
asked(struct model *model, uint32_t slot)
{
    uint32_t host = model->host_of[slot];
    host_asked(&model->hosts, host, model->now_ms, (int64_t)dice_below(&model->dice, GAP_MS) - 1);
    if (dice_below(&model->dice, 10) == 0)
        host_limited(&model->hosts, host, model->now_ms, model->now_ms,
                     (int64_t)dice_below(&model->dice, 300), &model->dice);
}

static void
end_lease(struct model *model)
{
    uint32_t slot = any_in(model, TASK_LEASED);
    if (slot == SLOT_NONE)
        return;
    uint32_t host = model->host_of[slot];
    asked(model, slot);
    switch (dice_below(&model->dice, 4)) {
    case 0:
        cr_assert_eq(scheduler_give_back(&model->scheduler, slot), OK);
        push(model, slot, true);
        break;
    case 1:
        scheduler_hold(&model->scheduler, slot, 3);
        cr_assert_eq(scheduler_slot(&model->scheduler, slot)->attempts, 3u);
        model->states[slot] = TASK_PENDING;
        if (dice_below(&model->dice, 2) == 0) {
            model->host_of[slot] = (uint32_t)dice_below(&model->dice, HOSTS);
            scheduler_move(&model->scheduler, slot, model->host_of[slot]);
        }
        break;
    default:
        scheduler_finish(&model->scheduler, slot);
        model->states[slot] = TASK_FREE;
        break;
    }
    scheduler_host_changed(&model->scheduler, host);
}

static void
release_pending(struct model *model)
{
    uint32_t slot = any_in(model, TASK_PENDING);
    if (slot == SLOT_NONE)
        return;
    if (dice_below(&model->dice, 3) == 0) {
        model->due_ms[slot] = model->now_ms + 1 + (int64_t)dice_below(&model->dice, 5000);
        cr_assert_eq(scheduler_delay(&model->scheduler, slot, model->due_ms[slot]), OK);
        model->states[slot] = TASK_DELAYED;
    } else {
        cr_assert_eq(scheduler_ready(&model->scheduler, slot), OK);
        push(model, slot, false);
    }
}

static void
retake(struct model *model)
{
    uint32_t slot = any_in(model, dice_below(&model->dice, 2) ? TASK_READY : TASK_DELAYED);
    if (slot == SLOT_NONE)
        return;
    if (model->states[slot] == TASK_READY)
        pull(model, slot);
    int64_t due_ms = host_due_ms(&model->hosts, model->host_of[slot]);
    cr_assert_eq(scheduler_retake(&model->scheduler, slot), OK);
    cr_assert_eq(host_due_ms(&model->hosts, model->host_of[slot]), due_ms, "the gap is untouched");
    model->states[slot] = TASK_LEASED;
}

static void
run(uint64_t seed, int connections)
{
    static struct model model;
    model_init(&model, seed, connections);
    for (int i = 0; i < 20000; i++) {
        uint64_t what = dice_below(&model.dice, 20);
        if (what < 4)
            add(&model);
        else if (what < 8)
            release_pending(&model);
        else if (what < 12)
            take(&model);
        else if (what < 15)
            end_lease(&model);
        else if (what < 16)
            retake(&model);
        else
            advance(&model, model.now_ms + (int64_t)dice_below(&model.dice, 2 * GAP_MS));
        update_line(&model);
        check(&model);
    }
    model_release(&model);
}

Test(scheduler, agrees_with_a_naive_model, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        run(seed, seed % 3 == 0 ? 1 : (int)(seed % 5) + 1);
}

Test(scheduler, is_full_at_tasks_max_and_takes_more_when_one_has_ended)
{
    static struct model model;
    model_init(&model, 1, 1);
    for (int i = 0; i < TASKS; i++)
        add(&model);
    uint32_t slot = 7;
    cr_expect_eq(scheduler_add(&model.scheduler, 999, 1, 4, 0, false, &slot), ERROR_FULL);
    cr_expect_eq(slot, 7u, "an output stays untouched on failure");
    scheduler_finish(&model.scheduler, 5);
    cr_expect_eq(scheduler_add(&model.scheduler, 999, 1, 4, 0, false, &slot), OK);
    cr_expect_eq(slot, 5u);
    model_release(&model);
}

Test(scheduler, finds_loaded_tasks_by_their_sequence)
{
    static struct model model;
    model_init(&model, 1, 1);
    for (uint64_t i = 0; i < 50; i++) {
        uint32_t slot = SLOT_NONE;
        cr_assert_eq(scheduler_add(&model.scheduler, 10 + 3 * i, 1, 4, 0, false, &slot), OK);
    }
    scheduler_loaded(&model.scheduler);
    for (uint64_t sequence = 0; sequence < 200; sequence++) {
        uint32_t slot = scheduler_find(&model.scheduler, sequence);
        bool is_there = sequence >= 10 && sequence < 160 && (sequence - 10) % 3 == 0;
        cr_expect_eq(slot, is_there ? (uint32_t)((sequence - 10) / 3) : SLOT_NONE);
    }
    scheduler_finish(&model.scheduler, 20);
    cr_expect_eq(scheduler_find(&model.scheduler, 70), SLOT_NONE, "it has ended");
    model_release(&model);
}

Test(scheduler, still_finds_loaded_tasks_when_another_has_ended_and_its_slot_is_used_again)
{
    static struct model model;
    uint32_t slot = SLOT_NONE;
    model_init(&model, 1, 1);
    for (uint64_t i = 0; i < 9; i++)
        cr_assert_eq(scheduler_add(&model.scheduler, 1 + i, 1, 4, 0, false, &slot), OK);
    scheduler_loaded(&model.scheduler);
    scheduler_finish(&model.scheduler, 4);
    cr_assert_eq(scheduler_add(&model.scheduler, 100, 1, 4, 0, false, &slot), OK);
    for (uint64_t sequence = 1; sequence <= 9; sequence++)
        cr_expect_eq(scheduler_find(&model.scheduler, sequence),
                     sequence == 5 ? SLOT_NONE : (uint32_t)sequence - 1, "sequence %lu", sequence);
    scheduler_settled(&model.scheduler);
    cr_assert_eq(scheduler_add(&model.scheduler, 101, 1, 4, 0, false, &slot), OK);
    cr_expect_eq(slot, 4u, "then it is used again");
    model_release(&model);
}

Test(scheduler, documents_wait_for_no_gap_and_no_room)
{
    static struct model model;
    uint32_t slot = SLOT_NONE;
    model_init(&model, 1, 1);
    for (uint64_t i = 1; i <= 20; i++) {
        cr_assert_eq(scheduler_add(&model.scheduler, i, HOST_DOCUMENTS, 4, 0, true, &slot), OK);
        cr_assert_eq(scheduler_ready(&model.scheduler, slot), OK);
    }
    for (uint64_t i = 1; i <= 20; i++) {
        cr_assert_eq(scheduler_take(&model.scheduler, 1000, &slot), OK);
        cr_expect_eq(scheduler_slot(&model.scheduler, slot)->sequence, i);
    }
    cr_expect_eq(scheduler_take(&model.scheduler, 1000, &slot), ERROR_EMPTY);
    model_release(&model);
}

Test(scheduler, a_task_costs_sixteen_bytes_and_little_more)
{
    struct hosts hosts;
    struct scheduler scheduler;
    const struct hosts_options options = {
        .gap_ms = 1, .connections_max = 1, .backoff_ms = 1, .backoff_max_ms = 1};
    uint32_t slot = SLOT_NONE;
    cr_assert_eq(hosts_init(&hosts, &options), OK);
    scheduler_init(&scheduler, &hosts, 1 << 20, 0);
    size_t before = scheduler_bytes(&scheduler);
    for (uint64_t i = 1; i <= 1 << 20; i++) {
        cr_assert_eq(scheduler_add(&scheduler, i, HOST_DOCUMENTS, 4, 0, false, &slot), OK);
        cr_assert_eq(scheduler_ready(&scheduler, slot), OK);
    }
    cr_expect_leq(scheduler_bytes(&scheduler) - before, (16u << 20) + 65536);
    scheduler_release(&scheduler);
    hosts_release(&hosts);
}
