/*
 * leases: who works on what until when.
 *
 * A lease joins a task's slot, a worker and a fence: a number that only grows (the boot number in
 * its upper bits, a counter below), so that a late answer is told from a valid one. All leases last
 * equally long, so the order of grant and renewal is the order of expiry and one list holds it.
 * Leases live in memory only; after a restart workers name those they still hold.
 *
 * Threads  one owner. No I/O, no clock.
 * Source   Gray and Cheriton, Leases, 1989; Kleppmann on fencing tokens.
 */
#ifndef THRESH_BROKER_LEASES_H
#define THRESH_BROKER_LEASES_H

#include "broker/map.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LEASE_NONE UINT32_MAX
#define FENCE_COUNTER_BITS 40

struct lease {
    uint64_t fence;
    int64_t deadline_ms;
    int64_t granted_ms;
    int64_t named_ms; /* when its worker's HELLO named it last; INT64_MIN: never */
    uint32_t slot;
    uint32_t worker; /* LEASE_NONE: the lease is free */
    uint32_t next;   /* by deadline; or the free list */
    uint32_t previous;
    uint32_t worker_next;
    uint32_t worker_previous;
};

struct leases {
    struct lease *leases;
    uint32_t count; /* in the array */
    uint32_t capacity;
    uint32_t free;
    uint32_t first; /* the earliest deadline */
    uint32_t last;
    uint64_t active;
    uint64_t next_fence;
    int64_t lease_ms;
    struct map by_fence;
};

/* boot: grows with each start of the broker; 1 to 2^23. */
void leases_init(struct leases *leases, uint64_t boot, int64_t lease_ms);
void leases_release(struct leases *leases);

/* A new lease, first of the worker's list *worker_first. fence 0: the next one; else one that was
 * granted before a restart. ERROR_NO_MEMORY, ERROR_EXISTS. */
MUST_CHECK enum error leases_grant(struct leases *leases, uint32_t slot, uint32_t worker,
                                   uint64_t fence, int64_t now_ms, uint32_t *worker_first,
                                   uint32_t *ret_lease);
/* LEASE_NONE when no lease has this fence. */
uint32_t leases_find(const struct leases *leases, uint64_t fence);
void leases_renew(struct leases *leases, uint32_t lease, int64_t now_ms);
void leases_end(struct leases *leases, uint32_t lease, uint32_t *worker_first);

/* The lease that ended longest ago, or LEASE_NONE. */
uint32_t leases_expired(const struct leases *leases, int64_t now_ms);
/* The earliest deadline; INT64_MAX when there is none. */
int64_t leases_next_ms(const struct leases *leases);

/* True when the fence is of an earlier start of the broker. */
bool leases_is_earlier_boot(const struct leases *leases, uint64_t fence);

static inline struct lease *
lease_at(struct leases *leases, uint32_t lease)
{
    return &leases->leases[lease];
}

#endif
