/* wheel against a sorted list, with random operations and jumps of every size. */
#include "broker/wheel.h"

#include <criterion/criterion.h>
#include <string.h>

#include "broker/backoff.h"

#define THINGS 60
#define OPERATIONS 6000

struct reference {
    int64_t now_ms;
    int64_t due_ms[THINGS];
    bool is_waiting[THINGS]; /* set and not due yet */
    uint32_t due[THINGS];    /* the due list, in order */
    size_t due_count;
};

static void
reference_remove(struct reference *reference, uint32_t thing)
{
    reference->is_waiting[thing] = false;
    for (size_t i = 0; i < reference->due_count; i++) {
        if (reference->due[i] != thing)
            continue;
        reference->due_count--;
        memmove(&reference->due[i], &reference->due[i + 1],
                (reference->due_count - i) * sizeof reference->due[0]);
        return;
    }
}

static void
reference_set(struct reference *reference, uint32_t thing, int64_t due_ms)
{
    reference_remove(reference, thing);
    reference->due_ms[thing] = due_ms;
    if (due_ms <= reference->now_ms)
        reference->due[reference->due_count++] = thing;
    else
        reference->is_waiting[thing] = true;
}

/* What has become due may stand in any order among equals: the wheel's order is taken over after
 * it was checked. */
static void
reference_advance(struct reference *reference, const struct wheel *wheel, int64_t now_ms)
{
    if (now_ms > reference->now_ms)
        reference->now_ms = now_ms;
    size_t newly_due = 0;
    for (uint32_t i = 0; i < THINGS; i++)
        newly_due += reference->is_waiting[i] && reference->due_ms[i] <= reference->now_ms;
    uint32_t thing = 0;
    bool is_there = wheel_peek(wheel, &thing);
    for (size_t i = 0; i < reference->due_count; i++) {
        cr_assert(is_there && thing == reference->due[i], "who was due keeps the place");
        is_there = wheel_peek_after(wheel, thing, &thing);
    }
    int64_t last_ms = INT64_MIN;
    for (; newly_due > 0; newly_due--) {
        cr_assert(is_there && reference->is_waiting[thing]);
        cr_assert(reference->due_ms[thing] <= reference->now_ms);
        cr_assert(reference->due_ms[thing] >= last_ms, "in the order of time");
        last_ms = reference->due_ms[thing];
        reference->is_waiting[thing] = false;
        reference->due[reference->due_count++] = thing;
        is_there = wheel_peek_after(wheel, thing, &thing);
    }
    cr_assert_not(is_there, "thing %u is due too early", thing);
}

static void
check(const struct reference *reference, const struct wheel *wheel)
{
    int64_t earliest_ms = INT64_MAX;
    for (uint32_t i = 0; i < THINGS; i++) {
        if (reference->is_waiting[i] && reference->due_ms[i] < earliest_ms)
            earliest_ms = reference->due_ms[i];
    }
    int64_t next_ms = wheel_next_ms(wheel);
    cr_assert(next_ms <= earliest_ms, "next %ld, earliest %ld", next_ms, earliest_ms);
    cr_assert(next_ms > reference->now_ms);
    cr_assert_eq(next_ms == INT64_MAX, earliest_ms == INT64_MAX);
    size_t held = 0;
    size_t expected = reference->due_count;
    for (uint32_t i = 0; i < THINGS; i++) {
        held += wheel_has(wheel, i);
        expected += reference->is_waiting[i];
    }
    cr_assert_eq(held, expected);
}

/* Spans of every level of the wheel, their edges, and beyond the last. */
static int64_t
random_span(struct dice *dice, unsigned bits_max)
{
    uint64_t bits = dice_below(dice, bits_max + 1);
    int64_t span_ms = (int64_t)dice_below(dice, (1ULL << bits) + 1);
    if (dice_below(dice, 8) == 0)
        span_ms = (int64_t)(1ULL << bits) + (int64_t)dice_below(dice, 3) - 1;
    return span_ms;
}

static int64_t
random_moment(struct dice *dice, const struct wheel *wheel)
{
    int64_t now_ms = wheel->now_ms;
    switch (dice_below(dice, 8)) {
    case 0:
        return now_ms;
    case 1: {
        int64_t next_ms = wheel_next_ms(wheel);
        return next_ms == INT64_MAX ? now_ms + 1 : next_ms;
    }
    case 2:
        return (now_ms | (WHEEL_SLOTS - 1)) + 1;
    case 3:
        return now_ms + random_span(dice, 26);
    case 4: /* years, now and then */
        return now_ms + (dice_below(dice, 300) == 0 ? random_span(dice, 36) : 1);
    default:
        return now_ms + random_span(dice, 13);
    }
}

static void
run(uint64_t seed, int64_t start_ms)
{
    struct dice dice = {seed};
    struct wheel wheel;
    struct reference reference = {.now_ms = start_ms};
    wheel_init(&wheel, start_ms);
    cr_assert_eq(wheel_reserve(&wheel, THINGS), OK);
    for (int i = 0; i < OPERATIONS; i++) {
        uint32_t thing = (uint32_t)dice_below(&dice, THINGS);
        uint64_t what = dice_below(&dice, 10);
        if (what < 5) {
            int64_t due_ms = reference.now_ms + random_span(&dice, 38) - 2;
            wheel_set(&wheel, thing, due_ms);
            reference_set(&reference, thing, due_ms);
        } else if (what < 6) {
            wheel_remove(&wheel, thing);
            reference_remove(&reference, thing);
        } else {
            int64_t now_ms = random_moment(&dice, &wheel);
            wheel_advance(&wheel, now_ms);
            reference_advance(&reference, &wheel, now_ms);
        }
        check(&reference, &wheel);
    }
    wheel_release(&wheel);
}

Test(wheel, agrees_with_a_sorted_list, .timeout = 300)
{
    static const int64_t starts_ms[] = {
        0, 1, 4095, 4096, 1LL << 24, (1LL << 36) - 1, 1700000000000};
    for (size_t i = 0; i < sizeof starts_ms / sizeof starts_ms[0]; i++) {
        run(i + 1, starts_ms[i]);
        run(i + 100, starts_ms[i]);
    }
}

Test(wheel, comes_to_the_exact_millisecond_by_its_own_deadlines)
{
    static const int64_t waits_ms[] = {1, 63, 64, 4095, 4096, 4097, 100000, 1 << 24, (1 << 24) + 1};
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        struct wheel wheel;
        uint32_t thing = 0;
        wheel_init(&wheel, 77);
        cr_assert_eq(wheel_reserve(&wheel, 1), OK);
        wheel_set(&wheel, 0, 77 + waits_ms[i]);
        size_t steps = 0;
        while (!wheel_peek(&wheel, &thing)) {
            wheel_advance(&wheel, wheel_next_ms(&wheel));
            cr_assert_lt(++steps, 10000u);
        }
        cr_expect_eq(wheel.now_ms, 77 + waits_ms[i]);
        wheel_release(&wheel);
    }
}

Test(wheel, time_does_not_go_back)
{
    struct wheel wheel;
    uint32_t thing = 0;
    wheel_init(&wheel, 1000);
    cr_assert_eq(wheel_reserve(&wheel, 2), OK);
    wheel_set(&wheel, 0, 1500);
    wheel_advance(&wheel, 900);
    cr_expect_eq(wheel.now_ms, 1000);
    cr_expect_not(wheel_peek(&wheel, &thing));
    wheel_advance(&wheel, 1500);
    cr_expect(wheel_peek(&wheel, &thing));
    wheel_release(&wheel);
}

Test(wheel, has_nothing_beyond_its_room)
{
    struct wheel wheel;
    wheel_init(&wheel, 0);
    cr_expect_not(wheel_has(&wheel, 0));
    cr_assert_eq(wheel_reserve(&wheel, 1000), OK);
    cr_expect_geq(wheel.capacity, 1000u);
    cr_expect_not(wheel_has(&wheel, 999));
    cr_expect_not(wheel_has(&wheel, UINT32_MAX - 1));
    cr_expect_eq(wheel_next_ms(&wheel), INT64_MAX);
    wheel_release(&wheel);
}
