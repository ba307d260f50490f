#include "broker/store.h"

#include <string.h>

#include <criterion/criterion.h>

static void
expect_row(const struct store_batch *batch, size_t *cursor, enum store_row_kind kind,
           enum store_table table, uint64_t number, const char *key, const char *value)
{
    struct store_row row;

    cr_assert(store_batch_next(batch, cursor, &row));
    cr_expect_eq(row.kind, kind);
    cr_expect_eq(row.table, table);
    cr_expect_eq(row.number, number);
    if (key != NULL) {
        cr_expect(slice_equal(row.key, slice_string(key)));
    } else {
        cr_expect_eq(row.key.size, 8);
    }
    cr_expect(slice_equal(row.value, slice_string(value)));
}

Test(store_batch, rows_come_out_in_the_order_they_went_in)
{
    static const uint8_t big_endian[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct store_batch *batch = store_batch_create(1000);
    struct store_row row;
    size_t cursor = 0;

    store_batch_put(batch, STORE_TASKS, 0x0102030405060708, slice_string("value"));
    store_batch_put2(batch, STORE_BODIES, 2, slice_string("head "), slice_string("tail"));
    store_batch_put_bytes(batch, STORE_HOSTS, slice_string("host"), slice_string(""));
    store_batch_delete(batch, STORE_TASKS, 3);
    store_batch_delete_bytes(batch, STORE_CLIENTS, slice_string("client"));
    store_batch_delete_range(batch, STORE_RESULTS, 4, UINT64_MAX);
    cr_assert_eq(store_batch_error(batch), OK);
    cr_expect_eq(store_batch_count(batch), 6);

    cr_assert(store_batch_next(batch, &cursor, &row));
    cr_expect_arr_eq(row.key.data, big_endian, 8);
    cursor = 0;
    expect_row(batch, &cursor, STORE_ROW_PUT, STORE_TASKS, 0x0102030405060708, NULL, "value");
    expect_row(batch, &cursor, STORE_ROW_PUT, STORE_BODIES, 2, NULL, "head tail");
    expect_row(batch, &cursor, STORE_ROW_PUT, STORE_HOSTS, 0, "host", "");
    expect_row(batch, &cursor, STORE_ROW_DELETE, STORE_TASKS, 3, NULL, "");
    expect_row(batch, &cursor, STORE_ROW_DELETE, STORE_CLIENTS, 0, "client", "");
    cr_assert(store_batch_next(batch, &cursor, &row));
    cr_expect_eq(row.kind, STORE_ROW_DELETE_RANGE);
    cr_expect_eq(row.number, 4);
    cr_expect_eq(row.last, UINT64_MAX);
    cr_expect_not(store_batch_next(batch, &cursor, &row));
    store_batch_destroy(batch);
}

Test(store_batch, keeps_copies)
{
    struct store_batch *batch = store_batch_create(1000);
    char text[] = "value";
    size_t cursor = 0;

    store_batch_put(batch, STORE_TASKS, 1, slice_string(text));
    memset(text, 'x', sizeof(text));
    expect_row(batch, &cursor, STORE_ROW_PUT, STORE_TASKS, 1, NULL, "value");
    store_batch_destroy(batch);
}

Test(store_batch, clearing_empties_it_and_forgets_the_error)
{
    struct store_batch *batch = store_batch_create(200);
    uint8_t large[300] = {0};
    size_t cursor = 0;
    struct store_row row;

    cr_expect(store_batch_is_empty(batch));
    store_batch_put(batch, STORE_TASKS, 1, slice_string("one"));
    cr_expect_not(store_batch_is_empty(batch));
    cr_expect_gt(store_batch_bytes(batch), 11);
    store_batch_put(batch, STORE_TASKS, 2, slice_of(large, sizeof(large)));
    cr_expect_eq(store_batch_error(batch), ERROR_TOO_LARGE);
    store_batch_put(batch, STORE_TASKS, 3, slice_string("ignored after an error"));
    cr_expect_eq(store_batch_count(batch), 1);
    store_batch_clear(batch);
    cr_expect_eq(store_batch_error(batch), OK);
    cr_expect(store_batch_is_empty(batch));
    cr_expect_eq(store_batch_bytes(batch), 0);
    cr_expect_not(store_batch_next(batch, &cursor, &row));
    store_batch_destroy(batch);
}

Test(store_batch, refuses_keys_that_are_empty_or_too_long)
{
    static const struct {
        size_t key_bytes;
        enum error error;
    } cases[] = {
        {0, ERROR_INVALID},
        {1, OK},
        {STORE_KEY_BYTES_MAX, OK},
        {STORE_KEY_BYTES_MAX + 1, ERROR_TOO_LARGE},
    };
    uint8_t key[STORE_KEY_BYTES_MAX + 1] = {0};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store_batch *batch = store_batch_create(10000);

        store_batch_put_bytes(batch, STORE_HOSTS, slice_of(key, cases[i].key_bytes),
                              slice_string("v"));
        cr_expect_eq(store_batch_error(batch), cases[i].error, "%zu", cases[i].key_bytes);
        store_batch_destroy(batch);
    }
}

Test(store_batch, every_table_has_a_name_of_its_own)
{
    for (unsigned a = 0; a < STORE_TABLE_COUNT; a++) {
        cr_assert_not_null(store_table_name(a));
        for (unsigned b = 0; b < a; b++) {
            cr_expect_str_neq(store_table_name(a), store_table_name(b));
        }
    }
    cr_expect(store_table_is_number(STORE_TASKS));
    cr_expect_not(store_table_is_number(STORE_META));
}
