/* window: the same answer again, until it is confirmed. */
#include "broker/window.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
add(struct window *window, uint64_t sequence)
{
    char answer[32];
    snprintf(answer, sizeof answer, "answer %lu", sequence);
    cr_assert_eq(window_add(window, sequence, slice_string(answer)), OK);
}

static bool
has(const struct window *window, uint64_t sequence)
{
    char answer[32];
    snprintf(answer, sizeof answer, "answer %lu", sequence);
    struct slice found = window_answer(window, sequence);
    if (!found.data)
        return false;
    cr_assert(slice_equal(found, slice_string(answer)));
    return true;
}

Test(window, gives_the_same_answer_until_it_is_confirmed)
{
    struct window window = {0};
    for (uint64_t i = 1; i <= 10; i++)
        add(&window, i);
    window_confirm(&window, 4);
    for (uint64_t i = 1; i <= 11; i++) {
        cr_expect_eq(has(&window, i), i > 4 && i <= 10);
        cr_expect_eq(window_is_past(&window, i), i <= 4);
    }
    window_confirm(&window, 2);
    cr_expect_eq(window.confirmed, 4u, "a confirmation is never taken back");
    window_confirm(&window, 1000);
    cr_expect_eq(window.confirmed, 10u, "what was never seen cannot be confirmed");
    cr_expect_eq(window.count, 0u);
    cr_expect_eq(window.highest, 10u);
    window_release(&window);
}

Test(window, takes_messages_out_of_order)
{
    static const uint64_t order[] = {5, 3, 9, 1, 4};
    struct window window = {0};
    for (size_t i = 0; i < 5; i++)
        add(&window, order[i]);
    window_confirm(&window, 4);
    cr_expect(has(&window, 5) && has(&window, 9));
    cr_expect_not(has(&window, 1) || has(&window, 3) || has(&window, 4));
    cr_expect_eq(window.highest, 9u);
    window_release(&window);
}

Test(window, room_is_made_by_forgetting_the_oldest_unless_one_is_missing)
{
    struct window window = {0};
    for (uint64_t i = 1; i <= 500; i++) {
        cr_assert(window_make_room(&window, i));
        add(&window, i);
        cr_assert_leq(window.count, (size_t)WINDOW_ENTRIES_MAX);
    }
    cr_expect_eq(window.confirmed, 500u - WINDOW_ENTRIES_MAX);
    window_release(&window);
    struct window holed = {0};
    add(&holed, 1);
    for (uint64_t i = 3; i <= 1 + WINDOW_ENTRIES_MAX; i++) {
        cr_assert(window_make_room(&holed, i));
        add(&holed, i);
    }
    cr_expect_not(window_make_room(&holed, 2 + WINDOW_ENTRIES_MAX), "2 may still come");
    cr_expect_eq(holed.confirmed, 1u);
    cr_assert(window_make_room(&holed, 2));
    add(&holed, 2);
    cr_expect(window_make_room(&holed, 2 + WINDOW_ENTRIES_MAX));
    cr_expect(has(&holed, 3) && !has(&holed, 2));
    cr_expect_not(window_make_room(&holed, UINT64_MAX));
    window_resume(&holed, 7000);
    cr_expect_eq(holed.count, 0u);
    cr_expect(window_make_room(&holed, 7001));
    cr_expect(window_is_past(&holed, 7000));
    window_release(&holed);
}

Test(window, the_oldest_go_first_when_it_is_full)
{
    struct window window = {0};
    for (uint64_t i = 1; i <= WINDOW_ENTRIES_MAX + 5; i++)
        add(&window, i);
    cr_expect_eq(window.count, (size_t)WINDOW_ENTRIES_MAX);
    for (uint64_t i = 1; i <= WINDOW_ENTRIES_MAX + 5; i++) {
        cr_expect_eq(has(&window, i), i > 5);
        cr_expect_eq(window_is_past(&window, i), i <= 5);
    }
    window_release(&window);
}

Test(window, comes_back_from_its_row_and_a_torn_one_is_refused)
{
    struct window window = {0};
    struct window again = {0};
    struct buffer out;
    buffer_init(&out, 100000);
    for (uint64_t i = 100; i < 120; i++)
        add(&window, i);
    window_confirm(&window, 109);
    window_write(&window, &out);
    cr_assert_eq(window_read(&again, buffer_slice(&out)), OK);
    for (uint64_t i = 100; i < 121; i++)
        cr_expect_eq(has(&again, i), i > 109 && i < 120);
    cr_expect_eq(again.confirmed, 109u);
    cr_expect_eq(again.highest, 119u);
    window_release(&again);
    for (size_t size = 0; size < out.size; size++) {
        uint8_t *copy = malloc(size ? size : 1);
        cr_assert_not_null(copy);
        memcpy(copy, out.data, size);
        cr_expect_eq(window_read(&again, slice_of(copy, size)), ERROR_CORRUPT);
        cr_expect_eq(again.count, 0u);
        free(copy);
    }
    for (size_t i = 0; i < out.size * 8; i++) {
        out.data[i / 8] ^= (uint8_t)(1u << i % 8);
        if (window_read(&again, buffer_slice(&out)) == OK)
            window_release(&again);
        out.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    buffer_release(&out);
    window_release(&window);
}
