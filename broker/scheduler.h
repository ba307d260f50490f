/*
 * scheduler: decides which task goes out next.
 *
 * Holds every unfinished task as pending (its row is not durable yet), ready, delayed or leased,
 * in 16 bytes each: what a task is stays in the store. Ready tasks queue at their host, by
 * priority and then by arrival; hosts that may be asked wait in one line, so that each gets its
 * turn however long its queue is. Does no I/O and reads no clock.
 *
 * Bounds   tasks_max tasks; beyond it scheduler_add() says ERROR_FULL. A decision's cost does not
 *          grow with the number of tasks.
 * Threads  one owner, the broker's loop; no locks inside.
 * Source   URL frontier of Mercator; Manning et al., Information Retrieval, 20.2.3.
 */
#ifndef THRESH_BROKER_SCHEDULER_H
#define THRESH_BROKER_SCHEDULER_H

#include "broker/hosts.h"
#include "broker/wheel.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SLOT_NONE UINT32_MAX
#define SEQUENCE_MAX ((1ULL << 40) - 1)
#define PRIORITY_COUNT 10

/*
 *   add -> PENDING -ready-> READY -take-> LEASED -finish-> (gone)
 *             |               ^  ^          |
 *             +-delay-> DELAYED-+  +-giveback-+
 *             +<--------------------hold----+
 */
enum task_state {
    TASK_FREE,
    TASK_PENDING, /* waits for the disk */
    TASK_READY,
    TASK_DELAYED, /* not before a time */
    TASK_LEASED,
    TASK_STATE_COUNT
};

struct task_slot {
    uint64_t sequence : 40;
    uint64_t attempts : 8;
    uint64_t priority : 4;
    uint64_t state : 3;
    uint64_t has_body : 1;
    uint32_t next; /* in its queue or the free list; LEASED: the lease */
    uint32_t host;
};

struct delayed {
    int64_t due_ms;
    uint32_t slot;
};

struct host_queue {
    uint32_t head;
    uint32_t tail;
    uint32_t next; /* the host's next lower priority, or the free list */
    uint32_t priority;
};

struct scheduler {
    struct hosts *hosts; /* borrowed */
    uint32_t tasks_max;
    struct task_slot *slots;
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint32_t free_slot;
    uint32_t loaded_count; /* the first slots, in order of sequence, for scheduler_find() */
    struct host_queue *queues;
    uint32_t queue_count;
    uint32_t queue_capacity;
    uint32_t free_queue;
    struct delayed *delayed; /* a heap by due_ms */
    uint32_t delayed_count;
    uint32_t delayed_capacity;
    struct wheel wheel; /* of hosts that have tasks and room */
    uint64_t counts[TASK_STATE_COUNT];
};

void scheduler_init(struct scheduler *scheduler, struct hosts *hosts, uint32_t tasks_max,
                    int64_t now_ms);
void scheduler_release(struct scheduler *scheduler);

/* A new task, PENDING. ERROR_FULL, ERROR_NO_MEMORY. */
MUST_CHECK enum error scheduler_add(struct scheduler *scheduler, uint64_t sequence, uint32_t host,
                                    unsigned priority, unsigned attempts, bool has_body,
                                    uint32_t *ret_slot);
/* The slots so far came in order of their sequence: scheduler_find() may search them, and none of
 * them is used again before scheduler_settled(). */
void scheduler_loaded(struct scheduler *scheduler);
/* The unfinished task of that sequence among the loaded ones, or SLOT_NONE. */
uint32_t scheduler_find(const struct scheduler *scheduler, uint64_t sequence);
/* No scheduler_find() from now on. Linear in the loaded slots, the first time. */
void scheduler_settled(struct scheduler *scheduler);

/* PENDING to READY, behind the others of its priority. */
MUST_CHECK enum error scheduler_ready(struct scheduler *scheduler, uint32_t slot);
/* PENDING to DELAYED until due_ms. */
MUST_CHECK enum error scheduler_delay(struct scheduler *scheduler, uint32_t slot, int64_t due_ms);

/*
 * Takes the next task that may go out: READY to LEASED; the host's gap clock starts. Hosts are
 * served in turn. ERROR_EMPTY: nothing may go out now; scheduler_next_ms() says when.
 */
MUST_CHECK enum error scheduler_take(struct scheduler *scheduler, int64_t now_ms,
                                     uint32_t *ret_slot);
/* READY or DELAYED to LEASED, without touching the gap: a lease found again after a restart. */
MUST_CHECK enum error scheduler_retake(struct scheduler *scheduler, uint32_t slot);

/* LEASED to READY, before the others of its priority: nothing was tried. */
MUST_CHECK enum error scheduler_give_back(struct scheduler *scheduler, uint32_t slot);
/* LEASED to PENDING: tried, its new row is on the way to the disk. */
void scheduler_hold(struct scheduler *scheduler, uint32_t slot, unsigned attempts);
/* A PENDING task changes its host (a redirect). */
void scheduler_move(struct scheduler *scheduler, uint32_t slot, uint32_t host);
/* LEASED, or PENDING: the task is over; the slot is free. */
void scheduler_finish(struct scheduler *scheduler, uint32_t slot);

/* A host's clocks or room have changed: call after host_asked(), host_limited() and the like. */
void scheduler_host_changed(struct scheduler *scheduler, uint32_t host);

/* Moves delayed tasks and waiting hosts whose time has come. */
void scheduler_advance(struct scheduler *scheduler, int64_t now_ms);
/* When scheduler_advance() should be called next; INT64_MAX: not by time. */
int64_t scheduler_next_ms(const struct scheduler *scheduler);

static inline struct task_slot *
scheduler_slot(struct scheduler *scheduler, uint32_t slot)
{
    return &scheduler->slots[slot];
}

/* Bytes held for tasks and hosts, for the bench and metrics. */
size_t scheduler_bytes(const struct scheduler *scheduler);

#endif
