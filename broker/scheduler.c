#include "broker/scheduler.h"

#include <assert.h>
#include <stdlib.h>

_Static_assert(sizeof(struct task_slot) == 16, "a queued task costs 16 bytes");

void
scheduler_init(struct scheduler *scheduler, struct hosts *hosts, uint32_t tasks_max, int64_t now_ms)
{
    assert(tasks_max > 0 && tasks_max < SLOT_NONE);
    *scheduler = (struct scheduler){
        .hosts = hosts,
        .tasks_max = tasks_max,
        .free_slot = SLOT_NONE,
        .free_queue = SLOT_NONE,
    };
    wheel_init(&scheduler->wheel, now_ms);
}

void
scheduler_release(struct scheduler *scheduler)
{
    free(scheduler->slots);
    free(scheduler->queues);
    free(scheduler->delayed);
    wheel_release(&scheduler->wheel);
    *scheduler = (struct scheduler){.free_slot = SLOT_NONE, .free_queue = SLOT_NONE};
}

/* One more element in an array that doubles. */
static bool
reserve(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes)
{
    if (count < *capacity)
        return true;
    uint32_t larger = *capacity ? *capacity * 2 : 256;
    if (larger < *capacity)
        larger = UINT32_MAX;
    void *memory = realloc(*array, larger * element_bytes);
    if (!memory)
        return false;
    *array = memory;
    *capacity = larger;
    return true;
}

static void
set_state(struct scheduler *scheduler, uint32_t slot, enum task_state state)
{
    struct task_slot *task = &scheduler->slots[slot];
    scheduler->counts[task->state]--;
    task->state = (unsigned)state & 7;
    scheduler->counts[state]++;
}

enum error
scheduler_add(struct scheduler *scheduler, uint64_t sequence, uint32_t host, unsigned priority,
              unsigned attempts, bool has_body, uint32_t *ret_slot)
{
    assert(sequence <= SEQUENCE_MAX && priority < PRIORITY_COUNT && attempts <= UINT8_MAX);
    uint32_t slot = scheduler->free_slot;
    if (slot != SLOT_NONE) {
        scheduler->free_slot = scheduler->slots[slot].next;
        scheduler->counts[TASK_FREE]--;
    } else {
        if (scheduler->slot_count >= scheduler->tasks_max)
            return ERROR_FULL;
        if (!reserve((void **)&scheduler->slots, &scheduler->slot_capacity, scheduler->slot_count,
                     sizeof *scheduler->slots))
            return ERROR_NO_MEMORY;
        slot = scheduler->slot_count++;
    }
    scheduler->slots[slot] = (struct task_slot){
        .sequence = sequence & SEQUENCE_MAX,
        .attempts = attempts & UINT8_MAX,
        .priority = priority & 15,
        .state = TASK_PENDING,
        .has_body = has_body,
        .next = SLOT_NONE,
        .host = host,
    };
    scheduler->counts[TASK_PENDING]++;
    *ret_slot = slot;
    return OK;
}

void
scheduler_loaded(struct scheduler *scheduler)
{
    scheduler->loaded_count = scheduler->slot_count;
}

uint32_t
scheduler_find(const struct scheduler *scheduler, uint64_t sequence)
{
    uint32_t low = 0;
    uint32_t high = scheduler->loaded_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (scheduler->slots[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == scheduler->loaded_count || scheduler->slots[low].sequence != sequence ||
        scheduler->slots[low].state == TASK_FREE)
        return SLOT_NONE;
    return low;
}

static void
free_slot(struct scheduler *scheduler, uint32_t slot)
{
    scheduler->slots[slot].next = scheduler->free_slot;
    scheduler->free_slot = slot;
}

void
scheduler_settled(struct scheduler *scheduler)
{
    for (uint32_t slot = 0; slot < scheduler->loaded_count; slot++) {
        if (scheduler->slots[slot].state == TASK_FREE)
            free_slot(scheduler, slot);
    }
    scheduler->loaded_count = 0;
}

/* The host's queue for a priority, made in its place when there is none. */
static enum error
queue_for(struct scheduler *scheduler, uint32_t host, unsigned priority, uint32_t *ret_queue)
{
    uint32_t previous = SLOT_NONE;
    uint32_t at = host_at(scheduler->hosts, host)->queues;
    while (at != SLOT_NONE && scheduler->queues[at].priority < priority) {
        previous = at;
        at = scheduler->queues[at].next;
    }
    if (at != SLOT_NONE && scheduler->queues[at].priority == priority) {
        *ret_queue = at;
        return OK;
    }
    uint32_t queue = scheduler->free_queue;
    if (queue != SLOT_NONE) {
        scheduler->free_queue = scheduler->queues[queue].next;
    } else {
        if (!reserve((void **)&scheduler->queues, &scheduler->queue_capacity,
                     scheduler->queue_count, sizeof *scheduler->queues))
            return ERROR_NO_MEMORY;
        queue = scheduler->queue_count++;
    }
    scheduler->queues[queue] =
        (struct host_queue){.head = SLOT_NONE, .tail = SLOT_NONE, .next = at, .priority = priority};
    if (previous == SLOT_NONE)
        host_at(scheduler->hosts, host)->queues = queue;
    else
        scheduler->queues[previous].next = queue;
    *ret_queue = queue;
    return OK;
}

/* Takes an empty queue out of the host's list. */
static void
drop_queue(struct scheduler *scheduler, uint32_t host, uint32_t queue)
{
    uint32_t *link = &host_at(scheduler->hosts, host)->queues;
    while (*link != queue)
        link = &scheduler->queues[*link].next;
    *link = scheduler->queues[queue].next;
    scheduler->queues[queue].next = scheduler->free_queue;
    scheduler->free_queue = queue;
}

void
scheduler_host_changed(struct scheduler *scheduler, uint32_t host)
{
    const struct host *row = host_at(scheduler->hosts, host);
    if (row->queued == 0 || !host_has_room(scheduler->hosts, host)) {
        if (wheel_has(&scheduler->wheel, host))
            wheel_remove(&scheduler->wheel, host);
        return;
    }
    int64_t due_ms = host_due_ms(scheduler->hosts, host);
    /* Who stands in line and may still go keeps the place. */
    if (wheel_has(&scheduler->wheel, host) && due_ms <= scheduler->wheel.now_ms &&
        scheduler->wheel.entries[host].list == 0)
        return;
    wheel_set(&scheduler->wheel, host, due_ms);
}

static enum error
enqueue(struct scheduler *scheduler, uint32_t slot, bool is_first)
{
    struct task_slot *task = &scheduler->slots[slot];
    enum error error = wheel_reserve(&scheduler->wheel, task->host + 1);
    if (error)
        return error;
    uint32_t index = 0;
    error = queue_for(scheduler, task->host, task->priority, &index);
    if (error)
        return error;
    struct host_queue *queue = &scheduler->queues[index];
    if (is_first) {
        task->next = queue->head;
        queue->head = slot;
        if (queue->tail == SLOT_NONE)
            queue->tail = slot;
    } else {
        task->next = SLOT_NONE;
        if (queue->tail == SLOT_NONE)
            queue->head = slot;
        else
            scheduler->slots[queue->tail].next = slot;
        queue->tail = slot;
    }
    host_at(scheduler->hosts, task->host)->queued++;
    set_state(scheduler, slot, TASK_READY);
    scheduler_host_changed(scheduler, task->host);
    return OK;
}

enum error
scheduler_ready(struct scheduler *scheduler, uint32_t slot)
{
    assert(scheduler->slots[slot].state == TASK_PENDING);
    return enqueue(scheduler, slot, false);
}

enum error
scheduler_give_back(struct scheduler *scheduler, uint32_t slot)
{
    assert(scheduler->slots[slot].state == TASK_LEASED);
    return enqueue(scheduler, slot, true);
}

/* ---- the heap of delayed tasks ---------------------------------------------------------- */

static void
delayed_up(struct scheduler *scheduler, uint32_t at)
{
    struct delayed moving = scheduler->delayed[at];
    while (at > 0 && scheduler->delayed[(at - 1) / 2].due_ms > moving.due_ms) {
        scheduler->delayed[at] = scheduler->delayed[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    scheduler->delayed[at] = moving;
}

static void
delayed_down(struct scheduler *scheduler, uint32_t at)
{
    struct delayed moving = scheduler->delayed[at];
    for (;;) {
        uint64_t child = 2 * (uint64_t)at + 1;
        if (child >= scheduler->delayed_count)
            break;
        if (child + 1 < scheduler->delayed_count &&
            scheduler->delayed[child + 1].due_ms < scheduler->delayed[child].due_ms)
            child++;
        if (scheduler->delayed[child].due_ms >= moving.due_ms)
            break;
        scheduler->delayed[at] = scheduler->delayed[child];
        at = (uint32_t)child;
    }
    scheduler->delayed[at] = moving;
}

static void
delayed_remove(struct scheduler *scheduler, uint32_t at)
{
    scheduler->delayed_count--;
    if (at == scheduler->delayed_count)
        return;
    scheduler->delayed[at] = scheduler->delayed[scheduler->delayed_count];
    delayed_down(scheduler, at);
    delayed_up(scheduler, at);
}

enum error
scheduler_delay(struct scheduler *scheduler, uint32_t slot, int64_t due_ms)
{
    assert(scheduler->slots[slot].state == TASK_PENDING);
    if (!reserve((void **)&scheduler->delayed, &scheduler->delayed_capacity,
                 scheduler->delayed_count, sizeof *scheduler->delayed))
        return ERROR_NO_MEMORY;
    scheduler->delayed[scheduler->delayed_count] = (struct delayed){due_ms, slot};
    delayed_up(scheduler, scheduler->delayed_count++);
    set_state(scheduler, slot, TASK_DELAYED);
    return OK;
}

void
scheduler_advance(struct scheduler *scheduler, int64_t now_ms)
{
    while (scheduler->delayed_count > 0 && scheduler->delayed[0].due_ms <= now_ms) {
        /* Without memory for its queue the task stays delayed, to be tried at the next call. */
        if (enqueue(scheduler, scheduler->delayed[0].slot, false))
            break;
        delayed_remove(scheduler, 0);
    }
    wheel_advance(&scheduler->wheel, now_ms);
}

int64_t
scheduler_next_ms(const struct scheduler *scheduler)
{
    int64_t next_ms = wheel_next_ms(&scheduler->wheel);
    if (scheduler->delayed_count > 0 && scheduler->delayed[0].due_ms < next_ms)
        next_ms = scheduler->delayed[0].due_ms;
    return next_ms;
}

/* ---- leases ------------------------------------------------------------------------------ */

enum error
scheduler_take(struct scheduler *scheduler, int64_t now_ms, uint32_t *ret_slot)
{
    scheduler_advance(scheduler, now_ms);
    uint32_t host = 0;
    if (!wheel_peek(&scheduler->wheel, &host))
        return ERROR_EMPTY;
    struct host *row = host_at(scheduler->hosts, host);
    uint32_t index = row->queues;
    assert(row->queued > 0 && index != SLOT_NONE);
    struct host_queue *queue = &scheduler->queues[index];
    uint32_t slot = queue->head;
    queue->head = scheduler->slots[slot].next;
    if (queue->head == SLOT_NONE)
        drop_queue(scheduler, host, index);
    row->queued--;
    set_state(scheduler, slot, TASK_LEASED);
    scheduler->slots[slot].next = SLOT_NONE;
    host_granted(scheduler->hosts, host, now_ms);
    /* To the end of the line, or out of it until its gap is over. */
    wheel_remove(&scheduler->wheel, host);
    scheduler_host_changed(scheduler, host);
    *ret_slot = slot;
    return OK;
}

/* Takes a task out of the middle of its host's queue. Linear in that queue. */
static void
unqueue(struct scheduler *scheduler, uint32_t slot)
{
    struct task_slot *task = &scheduler->slots[slot];
    uint32_t index = 0;
    enum error error = queue_for(scheduler, task->host, task->priority, &index);
    assert(error == OK); /* the queue exists: the task is in it */
    struct host_queue *queue = &scheduler->queues[index];
    uint32_t previous = SLOT_NONE;
    for (uint32_t at = queue->head; at != slot; at = scheduler->slots[at].next)
        previous = at;
    if (previous == SLOT_NONE)
        queue->head = task->next;
    else
        scheduler->slots[previous].next = task->next;
    if (queue->tail == slot)
        queue->tail = previous;
    if (queue->head == SLOT_NONE)
        drop_queue(scheduler, task->host, index);
    host_at(scheduler->hosts, task->host)->queued--;
}

enum error
scheduler_retake(struct scheduler *scheduler, uint32_t slot)
{
    struct task_slot *task = &scheduler->slots[slot];
    if (task->state == TASK_READY) {
        unqueue(scheduler, slot);
    } else if (task->state == TASK_DELAYED) {
        uint32_t at = 0;
        while (scheduler->delayed[at].slot != slot)
            at++;
        delayed_remove(scheduler, at);
    } else {
        return ERROR_NOT_FOUND;
    }
    set_state(scheduler, slot, TASK_LEASED);
    task->next = SLOT_NONE;
    host_resumed(scheduler->hosts, task->host);
    scheduler_host_changed(scheduler, task->host);
    return OK;
}

void
scheduler_hold(struct scheduler *scheduler, uint32_t slot, unsigned attempts)
{
    assert(scheduler->slots[slot].state == TASK_LEASED);
    scheduler->slots[slot].attempts = attempts & UINT8_MAX;
    set_state(scheduler, slot, TASK_PENDING);
}

void
scheduler_move(struct scheduler *scheduler, uint32_t slot, uint32_t host)
{
    assert(scheduler->slots[slot].state == TASK_PENDING);
    scheduler->slots[slot].host = host;
}

void
scheduler_finish(struct scheduler *scheduler, uint32_t slot)
{
    unsigned state = scheduler->slots[slot].state;
    assert(state == TASK_LEASED || state == TASK_PENDING);
    set_state(scheduler, slot, TASK_FREE);
    /* A loaded one keeps its place in the order of the search. */
    if (slot >= scheduler->loaded_count)
        free_slot(scheduler, slot);
}

size_t
scheduler_bytes(const struct scheduler *scheduler)
{
    return scheduler->slot_capacity * sizeof *scheduler->slots +
           scheduler->queue_capacity * sizeof *scheduler->queues +
           scheduler->delayed_capacity * sizeof *scheduler->delayed +
           scheduler->wheel.capacity * sizeof *scheduler->wheel.entries +
           scheduler->hosts->capacity * sizeof *scheduler->hosts->hosts +
           scheduler->hosts->by_hash.capacity * 12 + scheduler->hosts->names.capacity;
}
