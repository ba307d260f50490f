#include "common/buffer.h"

#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/sanitizer.h"

Test(buffer, appends_keep_order_while_it_grows)
{
    struct buffer buffer;

    buffer_init(&buffer, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        buffer_append_byte(&buffer, (uint8_t)(i * 7));
    }
    cr_assert_eq(buffer_error(&buffer), OK);
    cr_assert_eq(buffer.size, 100000);
    for (unsigned i = 0; i < 100000; i++) {
        cr_assert_eq(buffer.data[i], (uint8_t)(i * 7));
    }
    buffer_release(&buffer);
}

Test(buffer, memory_never_exceeds_the_ceiling_by_more_than_the_end_of_text)
{
    struct buffer buffer;

    buffer_init(&buffer, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        buffer_append_byte(&buffer, 'x');
        cr_assert_leq(buffer.capacity, 1001);
    }
    cr_assert_eq(strlen(buffer_text(&buffer)), 1000);
    cr_assert_leq(buffer.capacity, 1001);
    buffer_release(&buffer);
}

Test(buffer, error_sticks_and_later_appends_change_nothing)
{
    struct buffer buffer;

    buffer_init(&buffer, 4);
    buffer_append_string(&buffer, "abc");
    buffer_append_string(&buffer, "de");
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    buffer_append_string(&buffer, "f");
    buffer_printf(&buffer, "%d", 1);
    cr_assert_null(buffer_extend(&buffer, 0));
    cr_assert_eq(buffer.size, 3);
    cr_assert_str_eq(buffer_text(&buffer), "");
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    buffer_release(&buffer);
}

Test(buffer, clear_forgets_the_error_and_keeps_the_memory)
{
    struct buffer buffer;
    const uint8_t *memory;

    buffer_init(&buffer, 8);
    buffer_append_string(&buffer, "12345678");
    memory = buffer.data;
    buffer_append_string(&buffer, "9");
    buffer_clear(&buffer);
    cr_assert_eq(buffer_error(&buffer), OK);
    cr_assert_eq(buffer.size, 0);
    buffer_append_string(&buffer, "abc");
    cr_assert_eq(buffer.data, memory);
    cr_assert_str_eq(buffer_text(&buffer), "abc");
    buffer_release(&buffer);
}

Test(buffer, a_ceiling_of_zero_takes_nothing_but_empty_pieces)
{
    struct buffer buffer;

    buffer_init(&buffer, 0);
    buffer_append(&buffer, NULL, 0);
    buffer_append_string(&buffer, "");
    buffer_append_string(&buffer, NULL);
    cr_assert_eq(buffer_error(&buffer), OK);
    cr_assert_not_null(buffer_extend(&buffer, 0));
    cr_assert_str_eq(buffer_text(&buffer), "");
    buffer_append_byte(&buffer, 'x');
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    buffer_release(&buffer);
}

Test(buffer, an_extension_too_large_to_add_up_is_refused)
{
    struct buffer buffer;

    buffer_init(&buffer, 1000);
    buffer_append_string(&buffer, "abc");
    cr_assert_null(buffer_extend(&buffer, SIZE_MAX));
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    buffer_release(&buffer);
}

Test(buffer, without_memory_the_error_says_so)
{
    struct buffer buffer;

    if (IS_SANITIZED) {
        cr_skip_test("sanitizers end the process when malloc is asked for too much");
    }
    /* More than any address space has. */
    buffer_init(&buffer, SIZE_MAX / 4);
    buffer_append_string(&buffer, "abc");
    cr_assert_null(buffer_extend(&buffer, SIZE_MAX / 4 - 100));
    cr_assert_eq(buffer_error(&buffer), ERROR_NO_MEMORY);
    cr_assert_eq(buffer.size, 3);
    buffer_clear(&buffer);
    buffer_append_string(&buffer, "abc");
    cr_assert_eq(buffer_error(&buffer), OK);
    buffer_release(&buffer);
}

Test(buffer, printf_formats_behind_what_is_there)
{
    struct buffer buffer;

    buffer_init(&buffer, 2000);
    buffer_append_string(&buffer, "n=");
    buffer_printf(&buffer, "%d %s", 42, "x");
    cr_assert_str_eq(buffer_text(&buffer), "n=42 x");
    buffer_printf(&buffer, "%1000s", "y");
    cr_assert_eq(buffer.size, 1006);
    buffer_printf(&buffer, "%1000s", "z");
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    cr_assert_eq(buffer.size, 1006);
    buffer_release(&buffer);
}

Test(buffer, printf_may_fill_it_to_the_last_byte)
{
    struct buffer buffer;

    buffer_init(&buffer, 5);
    buffer_printf(&buffer, "%s", "12345");
    cr_assert_eq(buffer_error(&buffer), OK);
    cr_assert_str_eq(buffer_text(&buffer), "12345");
    buffer_release(&buffer);
}

Test(buffer, take_hands_the_bytes_over_and_leaves_it_empty)
{
    struct buffer buffer;
    uint8_t *data;
    size_t size = 99;

    buffer_init(&buffer, 10);
    cr_assert_null(buffer_take(&buffer, &size));
    cr_assert_eq(size, 0);
    buffer_append_string(&buffer, "abc");
    data = buffer_take(&buffer, &size);
    cr_assert_eq(size, 3);
    cr_assert_arr_eq(data, "abc", 3);
    cr_assert_eq(buffer.size, 0);
    buffer_append_string(&buffer, "0123456789");
    cr_assert_eq(buffer_error(&buffer), OK, "the ceiling stays");
    buffer_append_byte(&buffer, 'x');
    cr_assert_null(buffer_take(&buffer, &size), "bytes with a hole are not handed over");
    cr_assert_eq(size, 0);
    cr_assert_eq(buffer_error(&buffer), ERROR_TOO_LARGE);
    free(data);
    buffer_release(&buffer);
}

Test(buffer, slices_compare_by_content)
{
    cr_assert(slice_equal(slice_string("abc"), slice_of("abcd", 3)));
    cr_assert(slice_equal(slice_string(NULL), slice_string("")));
    cr_assert(slice_equal(slice_of("a\0b", 3), slice_of("a\0b", 3)));
    cr_assert_not(slice_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
    cr_assert_not(slice_equal(slice_string("abc"), slice_string("abcd")));
    cr_assert_null(slice_string(NULL).data);
}
