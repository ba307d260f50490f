/* backoff: steps, their bounds, and dice that can be thrown again. */
#include "broker/backoff.h"

#include <criterion/criterion.h>

struct step {
    unsigned failures;
    int64_t base_ms;
    int64_t max_ms;
    int64_t least_ms;
    int64_t most_ms;
};

static const struct step steps[] = {
    {1, 2000, 3600000, 1000, 2000},
    {2, 2000, 3600000, 2000, 4000},
    {3, 2000, 3600000, 4000, 8000},
    {11, 2000, 3600000, 1024000, 2048000},
    {12, 2000, 3600000, 1800000, 3600000},
    {1000000, 2000, 3600000, 1800000, 3600000},
    {UINT32_MAX, 1, INT64_MAX, INT64_MAX / 2, INT64_MAX},
    {64, 1, INT64_MAX, INT64_MAX / 2, INT64_MAX},
    {1, 0, 0, 0, 0},
    {5, 0, 1000, 0, 0},
    {1, 1, 1, 1, 1},
    {1, 2, 2, 1, 2},
    {2, 7, 7, 3, 7},
};

Test(backoff, doubles_up_to_its_bound_with_half_of_the_step_certain)
{
    struct dice dice = {1};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const struct step *step = &steps[i];
        for (int n = 0; n < 2000; n++) {
            int64_t wait_ms = backoff_ms(step->failures, step->base_ms, step->max_ms, &dice);
            cr_assert(wait_ms >= step->least_ms && wait_ms <= step->most_ms, "step %zu: %ld", i,
                      wait_ms);
        }
    }
}

Test(backoff, spreads_a_crowd_over_the_whole_half)
{
    struct dice dice = {2};
    unsigned tenths[10] = {0};
    for (int i = 0; i < 10000; i++) {
        int64_t wait_ms = backoff_ms(1, 2000, 2000, &dice);
        tenths[wait_ms == 2000 ? 9 : (wait_ms - 1000) / 100]++;
    }
    for (size_t i = 0; i < 10; i++)
        cr_expect(tenths[i] > 800 && tenths[i] < 1200, "tenth %zu: %u", i, tenths[i]);
}

Test(dice, the_same_seed_gives_the_same_throws)
{
    struct dice first = {42};
    struct dice second = {42};
    struct dice third = {43};
    unsigned equal = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t value = dice_next(&first);
        cr_assert_eq(value, dice_next(&second));
        equal += value == dice_next(&third);
    }
    cr_expect_eq(equal, 0u);
}

Test(dice, are_fair_and_below_the_limit)
{
    static const uint64_t limits[] = {1, 2, 3, 7, 1000, 1ULL << 63, UINT64_MAX};
    struct dice dice = {7};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        uint64_t low = 0;
        for (int n = 0; n < 10000; n++) {
            uint64_t value = dice_below(&dice, limits[i]);
            cr_assert_lt(value, limits[i]);
            low += value < limits[i] / 2;
        }
        if (limits[i] >= 1000)
            cr_expect(low > 4700 && low < 5300, "limit %lu: %lu", limits[i], low);
    }
}
