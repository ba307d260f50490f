#include "broker/seen.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define MANY 2000000u

static uint64_t
scramble(uint64_t number)
{
    number += 0x9e3779b97f4a7c15u;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9u;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebu;
    return number ^ (number >> 31);
}

static struct fingerprint
print_of(uint64_t high)
{
    return (struct fingerprint){.high = high, .low = ~high};
}

/* ---- a reference: a plain hash table of whole values ------------------------------- */

struct reference {
    uint64_t *slots;
    uint64_t slot_count;
    bool has_zero;
};

static uint64_t *
reference_slot(const struct reference *reference, uint64_t value)
{
    uint64_t at = scramble(value) % reference->slot_count;

    while (reference->slots[at] != 0 && reference->slots[at] != value) {
        at = (at + 1) % reference->slot_count;
    }
    return &reference->slots[at];
}

static bool
reference_has(const struct reference *reference, uint64_t value)
{
    return value == 0 ? reference->has_zero : *reference_slot(reference, value) != 0;
}

static bool
reference_add(struct reference *reference, uint64_t value)
{
    bool is_new = !reference_has(reference, value);

    if (value == 0) {
        reference->has_zero = true;
    } else {
        *reference_slot(reference, value) = value;
    }
    return is_new;
}

typedef uint64_t value_fn(uint64_t index);

static uint64_t
value_random(uint64_t index)
{
    return scramble(index);
}

static uint64_t
value_counting(uint64_t index)
{
    return index;
}

static uint64_t
value_counting_down(uint64_t index)
{
    return UINT64_MAX - index;
}

/* All in one bucket at first: the top 20 bits are the same. */
static uint64_t
value_same_top(uint64_t index)
{
    return ((uint64_t)0xabcde << 44) | (scramble(index) >> 20);
}

/* The same 48 low bits in every bucket, and its neighbours: what one remainder alone would mix up.
 */
static uint64_t
value_same_low(uint64_t index)
{
    return (index % 65536) << 48 | ((index / 65536) & 63);
}

/* Neighbouring homes overflow into each other with equal remainders. */
static uint64_t
value_crowded(uint64_t index)
{
    uint64_t home = index % 64;

    return (home << 48 | 0x1234000000000000u) ^ ((index / 64) * 0x10001);
}

static uint64_t
value_many_repeats(uint64_t index)
{
    return scramble(scramble(index) % 700000);
}

static const struct exactness_case {
    const char *name;
    value_fn *value;
    uint64_t count;
    uint64_t members_max;
} exactness_cases[] = {
    {"random", value_random, MANY, MANY},
    {"random in a set that stays small", value_random, 400000, 400000},
    {"random in a set made for far more", value_random, 1000000, 100000000},
    {"counting from zero", value_counting, 500000, 4000000},
    {"counting down from the largest", value_counting_down, 500000, 4000000},
    {"same top bits", value_same_top, 1500000, 4000000},
    {"same low bits", value_same_low, 65536 * 40, 65536 * 40},
    {"crowded neighbours", value_crowded, 600000, 5000000},
    {"many repeats", value_many_repeats, MANY, 700000},
};

static void
check_exactness(const struct exactness_case *exactness)
{
    struct reference reference = {.slot_count = exactness->count * 2 + 1};
    struct seen *seen = seen_create(exactness->members_max);
    uint64_t count = 0;

    reference.slots = calloc(reference.slot_count, sizeof(uint64_t));
    cr_assert(seen != NULL && reference.slots != NULL);
    for (uint64_t i = 0; i < exactness->count; i++) {
        struct fingerprint print = print_of(exactness->value(i));
        bool is_new_there = reference_add(&reference, print.high);
        bool is_new = !is_new_there;
        bool was_there = seen_has(seen, print);
        enum error error = seen_add(seen, print, &is_new);

        cr_assert_eq(error, OK, "%s, %lu: %s", exactness->name, i, error_name(error));
        cr_assert_eq(is_new, is_new_there, "%s, %lu", exactness->name, i);
        cr_assert_eq(was_there, !is_new, "%s, %lu", exactness->name, i);
        cr_assert(seen_has(seen, print), "%s, %lu", exactness->name, i);
        count += is_new;
        if (i % 997 == 0) { /* an old one, also in the middle of growing */
            cr_assert(seen_has(seen, print_of(exactness->value(i / 2))), "%s", exactness->name);
        }
    }
    cr_expect_eq(seen_count(seen), count);
    for (uint64_t i = 0; i < exactness->count; i++) {
        cr_assert(seen_has(seen, print_of(exactness->value(i))), "%s, %lu", exactness->name, i);
    }
    for (uint64_t i = 0; i < exactness->count; i++) {
        uint64_t other = exactness->value(i) ^ (uint64_t)1 << (i % 64);

        cr_assert_eq(seen_has(seen, print_of(other)), reference_has(&reference, other), "%s, %lu",
                     exactness->name, i);
    }
    free(reference.slots);
    seen_destroy(seen);
}

Test(seen, answers_as_an_exact_set_does, .timeout = 300)
{
    for (size_t i = 0; i < sizeof(exactness_cases) / sizeof(exactness_cases[0]); i++) {
        check_exactness(&exactness_cases[i]);
    }
}

Test(seen, one_bit_tells_fingerprints_apart)
{
    struct seen *seen = seen_create(200000);
    bool is_new = false;

    for (uint64_t i = 0; i < 100000; i++) {
        cr_assert_eq(seen_add(seen, print_of(scramble(i)), &is_new), OK);
    }
    for (uint64_t i = 0; i < 100000; i++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            cr_assert_not(seen_has(seen, print_of(scramble(i) ^ (uint64_t)1 << bit)));
        }
    }
    seen_destroy(seen);
}

Test(seen, is_full_at_its_bound_and_still_knows_its_members)
{
    struct seen *seen = seen_create(1000);
    bool is_new = false;

    for (uint64_t i = 0; i < 1000; i++) {
        cr_assert_eq(seen_add(seen, print_of(scramble(i)), &is_new), OK);
        cr_assert(is_new);
    }
    cr_expect_eq(seen_add(seen, print_of(scramble(1000)), &is_new), ERROR_FULL);
    cr_expect(is_new, "an output stays untouched on failure");
    cr_expect_not(seen_has(seen, print_of(scramble(1000))));
    cr_expect_eq(seen_add(seen, print_of(scramble(5)), &is_new), OK);
    cr_expect_not(is_new);
    cr_expect_eq(seen_count(seen), 1000);
    seen_destroy(seen);
}

Test(seen, costs_at_most_eight_and_a_half_bytes_a_member_when_full)
{
    struct seen *seen = seen_create(MANY);
    bool is_new = false;

    for (uint64_t i = 0; i < MANY; i++) {
        cr_assert_eq(seen_add(seen, print_of(scramble(i)), &is_new), OK);
    }
    cr_expect_leq(seen_bytes(seen), MANY * 85 / 10, "%zu bytes", seen_bytes(seen));
    seen_destroy(seen);
}

Test(seen, prefetch_is_safe_at_the_ends_and_while_growing)
{
    struct seen *seen = seen_create(MANY);
    bool is_new = false;

    for (uint64_t i = 0; i < 1200000; i++) {
        seen_prefetch(seen, print_of(0));
        seen_prefetch(seen, print_of(UINT64_MAX));
        cr_assert_eq(seen_add(seen, print_of(scramble(i)), &is_new), OK);
    }
    cr_expect_eq(seen_count(seen), 1200000);
    seen_destroy(seen);
}

Test(seen, destroy_takes_nothing)
{
    seen_destroy(NULL);
}
