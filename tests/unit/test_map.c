/* map against a plain array. */
#include "broker/map.h"

#include <criterion/criterion.h>

#include "broker/backoff.h"

#define KEYS 3000

struct reference {
    uint64_t keys[KEYS];
    uint32_t values[KEYS];
    bool is_there[KEYS];
};

/* Keys that look alike: counters, multiples of large powers of two, and random ones. */
static uint64_t
key_of(size_t i, struct dice *dice)
{
    switch (i % 3) {
    case 0:
        return 1 + i;
    case 1:
        return (uint64_t)(i + 1) << 40;
    default:
        return dice_next(dice) | 1;
    }
}

static void
check_all(const struct map *map, const struct reference *reference)
{
    size_t count = 0;
    for (size_t i = 0; i < KEYS; i++) {
        uint32_t value = 77;
        bool is_found = map_get(map, reference->keys[i], &value);
        cr_assert_eq(is_found, reference->is_there[i]);
        cr_assert_eq(value, is_found ? reference->values[i] : 77u);
        count += reference->is_there[i];
    }
    cr_assert_eq(map->count, count);
}

Test(map, agrees_with_an_array)
{
    static struct reference reference;
    struct dice dice = {3};
    struct map map;
    map_init(&map);
    for (size_t i = 0; i < KEYS; i++)
        reference.keys[i] = key_of(i, &dice);
    for (int round = 0; round < 12; round++) {
        /* Rounds fill and empty it by turns. */
        uint64_t chance = round % 2 ? 3 : 8;
        for (int i = 0; i < 2 * KEYS; i++) {
            size_t at = (size_t)dice_below(&dice, KEYS);
            if (dice_below(&dice, 10) < chance) {
                reference.values[at] = (uint32_t)dice_next(&dice);
                reference.is_there[at] = true;
                cr_assert_eq(map_set(&map, reference.keys[at], reference.values[at]), OK);
            } else {
                reference.is_there[at] = false;
                map_remove(&map, reference.keys[at]);
            }
        }
        check_all(&map, &reference);
    }
    map_release(&map);
}

Test(map, an_empty_one_has_nothing)
{
    struct map map;
    uint32_t value = 5;
    map_init(&map);
    cr_expect_not(map_get(&map, 1, &value));
    map_remove(&map, 1);
    cr_expect_not(map_get(&map, 0, &value));
    map_remove(&map, 0);
    cr_expect_eq(value, 5u);
    cr_assert_eq(map_set(&map, UINT64_MAX, 9), OK);
    cr_expect(map_get(&map, UINT64_MAX, &value));
    cr_expect_eq(value, 9u);
    cr_expect_not(map_get(&map, 0, &value));
    map_release(&map);
    cr_expect_not(map_get(&map, UINT64_MAX, &value));
}

Test(map, stays_at_most_three_quarters_full)
{
    struct map map;
    map_init(&map);
    for (uint64_t i = 1; i <= 10000; i++) {
        cr_assert_eq(map_set(&map, i, 0), OK);
        cr_assert_leq(map.count * 4, map.capacity * 3 + 4);
    }
    map_release(&map);
}
