#include "broker/leases.h"

#include <assert.h>
#include <stdlib.h>

void
leases_init(struct leases *leases, uint64_t boot, int64_t lease_ms)
{
    assert(boot >= 1 && boot < 1ULL << (63 - FENCE_COUNTER_BITS) && lease_ms > 0);
    *leases = (struct leases){
        .free = LEASE_NONE,
        .first = LEASE_NONE,
        .last = LEASE_NONE,
        .next_fence = boot << FENCE_COUNTER_BITS | 1,
        .lease_ms = lease_ms,
    };
    map_init(&leases->by_fence);
}

void
leases_release(struct leases *leases)
{
    free(leases->leases);
    map_release(&leases->by_fence);
    *leases = (struct leases){.free = LEASE_NONE, .first = LEASE_NONE, .last = LEASE_NONE};
}

static void
append(struct leases *leases, uint32_t lease)
{
    struct lease *row = &leases->leases[lease];
    row->next = LEASE_NONE;
    row->previous = leases->last;
    if (leases->last == LEASE_NONE)
        leases->first = lease;
    else
        leases->leases[leases->last].next = lease;
    leases->last = lease;
}

static void
unlink_lease(struct leases *leases, uint32_t lease)
{
    struct lease *row = &leases->leases[lease];
    if (row->previous == LEASE_NONE)
        leases->first = row->next;
    else
        leases->leases[row->previous].next = row->next;
    if (row->next == LEASE_NONE)
        leases->last = row->previous;
    else
        leases->leases[row->next].previous = row->previous;
}

static bool
reserve(struct leases *leases)
{
    if (leases->free != LEASE_NONE || leases->count < leases->capacity)
        return true;
    uint32_t capacity = leases->capacity ? leases->capacity * 2 : 64;
    struct lease *larger = realloc(leases->leases, capacity * sizeof *larger);
    if (!larger)
        return false;
    leases->leases = larger;
    leases->capacity = capacity;
    return true;
}

enum error
leases_grant(struct leases *leases, uint32_t slot, uint32_t worker, uint64_t fence, int64_t now_ms,
             uint32_t *worker_first, uint32_t *ret_lease)
{
    if (fence != 0 && leases_find(leases, fence) != LEASE_NONE)
        return ERROR_EXISTS;
    if (!reserve(leases))
        return ERROR_NO_MEMORY;
    uint32_t lease = leases->free != LEASE_NONE ? leases->free : leases->count;
    uint64_t own = fence ? fence : leases->next_fence;
    enum error error = map_set(&leases->by_fence, own, lease);
    if (error)
        return error;
    if (lease == leases->count)
        leases->count++;
    else
        leases->free = leases->leases[lease].next;
    if (fence == 0)
        leases->next_fence++;
    leases->leases[lease] = (struct lease){
        .fence = own,
        .deadline_ms = now_ms + leases->lease_ms,
        .granted_ms = now_ms,
        .named_ms = INT64_MIN,
        .slot = slot,
        .worker = worker,
        .worker_next = *worker_first,
        .worker_previous = LEASE_NONE,
    };
    if (*worker_first != LEASE_NONE)
        leases->leases[*worker_first].worker_previous = lease;
    *worker_first = lease;
    append(leases, lease);
    leases->active++;
    *ret_lease = lease;
    return OK;
}

uint32_t
leases_find(const struct leases *leases, uint64_t fence)
{
    uint32_t lease = 0;
    return map_get(&leases->by_fence, fence, &lease) ? lease : LEASE_NONE;
}

void
leases_renew(struct leases *leases, uint32_t lease, int64_t now_ms)
{
    unlink_lease(leases, lease);
    leases->leases[lease].deadline_ms = now_ms + leases->lease_ms;
    append(leases, lease);
}

void
leases_end(struct leases *leases, uint32_t lease, uint32_t *worker_first)
{
    struct lease *row = &leases->leases[lease];
    assert(row->worker != LEASE_NONE);
    unlink_lease(leases, lease);
    if (row->worker_previous == LEASE_NONE) {
        assert(*worker_first == lease);
        *worker_first = row->worker_next;
    } else {
        leases->leases[row->worker_previous].worker_next = row->worker_next;
    }
    if (row->worker_next != LEASE_NONE)
        leases->leases[row->worker_next].worker_previous = row->worker_previous;
    map_remove(&leases->by_fence, row->fence);
    row->worker = LEASE_NONE;
    row->next = leases->free;
    leases->free = lease;
    leases->active--;
}

uint32_t
leases_expired(const struct leases *leases, int64_t now_ms)
{
    if (leases->first == LEASE_NONE || leases->leases[leases->first].deadline_ms > now_ms)
        return LEASE_NONE;
    return leases->first;
}

int64_t
leases_next_ms(const struct leases *leases)
{
    return leases->first == LEASE_NONE ? INT64_MAX : leases->leases[leases->first].deadline_ms;
}

bool
leases_is_earlier_boot(const struct leases *leases, uint64_t fence)
{
    return fence >> FENCE_COUNTER_BITS < leases->next_fence >> FENCE_COUNTER_BITS;
}
