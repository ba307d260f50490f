/* leases against an array, and what a fence promises. */
#include "broker/leases.h"

#include <criterion/criterion.h>

#include "broker/backoff.h"

#define WORKERS 5
#define LEASES 80
#define LEASE_MS 1000

Test(leases, fences_only_grow_also_over_restarts)
{
    uint64_t last = 0;
    for (uint64_t boot = 1; boot <= 3; boot++) {
        struct leases leases;
        uint32_t first = LEASE_NONE;
        leases_init(&leases, boot, LEASE_MS);
        for (int i = 0; i < 5; i++) {
            uint32_t lease = LEASE_NONE;
            cr_assert_eq(leases_grant(&leases, 1, 1, 0, 0, &first, &lease), OK);
            cr_expect_gt(lease_at(&leases, lease)->fence, last);
            cr_expect_eq(leases_is_earlier_boot(&leases, last),
                         last != 0 && i == 0 ? true : last == 0);
            last = lease_at(&leases, lease)->fence;
        }
        leases_release(&leases);
    }
}

Test(leases, an_old_fence_is_taken_once)
{
    struct leases leases;
    uint32_t first = LEASE_NONE;
    uint32_t lease = LEASE_NONE;
    leases_init(&leases, 2, LEASE_MS);
    uint64_t old = 1ULL << FENCE_COUNTER_BITS | 7;
    cr_expect(leases_is_earlier_boot(&leases, old));
    cr_expect_eq(leases_grant(&leases, 3, 0, old, 10, &first, &lease), OK);
    cr_expect_eq(leases_find(&leases, old), lease);
    uint32_t other = 99;
    cr_expect_eq(leases_grant(&leases, 4, 1, old, 10, &first, &other), ERROR_EXISTS);
    cr_expect_eq(other, 99u, "an output stays untouched on failure");
    leases_end(&leases, lease, &first);
    cr_expect_eq(leases_find(&leases, old), LEASE_NONE);
    cr_expect_eq(first, LEASE_NONE);
    leases_release(&leases);
}

struct model {
    bool is_held;
    uint64_t fence;
    int64_t deadline_ms;
    uint32_t worker;
    uint32_t lease;
};

struct bench {
    struct leases leases;
    uint32_t first[WORKERS];
    struct model held[LEASES]; /* by slot */
    int64_t now_ms;
};

static void
check(struct bench *bench)
{
    uint64_t active = 0;
    uint64_t by_worker[WORKERS] = {0};
    int64_t earliest_ms = INT64_MAX;
    for (uint32_t slot = 0; slot < LEASES; slot++) {
        const struct model *model = &bench->held[slot];
        if (!model->is_held)
            continue;
        active++;
        by_worker[model->worker]++;
        const struct lease *lease = lease_at(&bench->leases, model->lease);
        cr_assert_eq(lease->slot, slot);
        cr_assert_eq(lease->worker, model->worker);
        cr_assert_eq(lease->deadline_ms, model->deadline_ms);
        cr_assert_eq(leases_find(&bench->leases, model->fence), model->lease);
        if (model->deadline_ms < earliest_ms)
            earliest_ms = model->deadline_ms;
    }
    cr_assert_eq(bench->leases.active, active);
    cr_assert_eq(leases_next_ms(&bench->leases), earliest_ms);
    cr_assert_eq(leases_expired(&bench->leases, bench->now_ms) != LEASE_NONE,
                 earliest_ms <= bench->now_ms);
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        uint64_t count = 0;
        for (uint32_t at = bench->first[worker]; at != LEASE_NONE;
             at = lease_at(&bench->leases, at)->worker_next) {
            cr_assert_eq(lease_at(&bench->leases, at)->worker, worker);
            cr_assert_leq(++count, active);
        }
        cr_assert_eq(count, by_worker[worker]);
    }
}

static void
grant(struct bench *bench, uint32_t slot, uint32_t worker)
{
    struct model *model = &bench->held[slot];
    cr_assert_eq(leases_grant(&bench->leases, slot, worker, 0, bench->now_ms, &bench->first[worker],
                              &model->lease),
                 OK);
    model->is_held = true;
    model->worker = worker;
    model->fence = lease_at(&bench->leases, model->lease)->fence;
    model->deadline_ms = bench->now_ms + LEASE_MS;
}

static void
end(struct bench *bench, uint32_t slot)
{
    struct model *model = &bench->held[slot];
    leases_end(&bench->leases, model->lease, &bench->first[model->worker]);
    cr_assert_eq(leases_find(&bench->leases, model->fence), LEASE_NONE);
    model->is_held = false;
}

Test(leases, agree_with_an_array)
{
    struct dice dice = {11};
    struct bench bench = {.now_ms = 5};
    leases_init(&bench.leases, 1, LEASE_MS);
    for (size_t i = 0; i < WORKERS; i++)
        bench.first[i] = LEASE_NONE;
    for (int i = 0; i < 20000; i++) {
        uint32_t slot = (uint32_t)dice_below(&dice, LEASES);
        struct model *model = &bench.held[slot];
        uint64_t what = dice_below(&dice, 10);
        if (what == 0) {
            bench.now_ms += (int64_t)dice_below(&dice, LEASE_MS / 4);
        } else if (what == 1) {
            uint32_t lease = leases_expired(&bench.leases, bench.now_ms);
            if (lease != LEASE_NONE)
                end(&bench, lease_at(&bench.leases, lease)->slot);
        } else if (!model->is_held) {
            grant(&bench, slot, (uint32_t)dice_below(&dice, WORKERS));
        } else if (what < 6) {
            leases_renew(&bench.leases, model->lease, bench.now_ms);
            model->deadline_ms = bench.now_ms + LEASE_MS;
        } else if (what < 8) {
            end(&bench, slot);
        }
        check(&bench);
    }
    leases_release(&bench.leases);
}

Test(leases, renewal_moves_only_the_deadline)
{
    struct leases leases;
    uint32_t first = LEASE_NONE;
    uint32_t lease = LEASE_NONE;
    leases_init(&leases, 1, LEASE_MS);
    cr_assert_eq(leases_grant(&leases, 0, 0, 0, 100, &first, &lease), OK);
    uint64_t fence = lease_at(&leases, lease)->fence;
    leases_renew(&leases, lease, 900);
    cr_expect_eq(lease_at(&leases, lease)->granted_ms, 100);
    cr_expect_eq(lease_at(&leases, lease)->fence, fence);
    cr_expect_eq(leases_expired(&leases, 1899), LEASE_NONE);
    cr_expect_eq(leases_expired(&leases, 1900), lease);
    leases_release(&leases);
}
