/* totals: sums by name, bounded, and the same after a restart. */
#include "broker/totals.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"

Test(totals, add_subtract_and_set)
{
    struct totals totals;
    totals_init(&totals);
    totals_add_text(&totals, TOTAL_STATE, "dead", 3);
    totals_add_text(&totals, TOTAL_STATE, "dead", 4);
    totals_subtract_text(&totals, TOTAL_STATE, "dead", 2);
    totals_set_text(&totals, TOTAL_STATE, "position", 99);
    totals_add_text(&totals, TOTAL_OUTCOME, "dead", 1);
    cr_expect_eq(totals_get(&totals, TOTAL_STATE, "dead"), 5u);
    cr_expect_eq(totals_get(&totals, TOTAL_STATE, "position"), 99u);
    cr_expect_eq(totals_get(&totals, TOTAL_OUTCOME, "dead"), 1u, "kinds are apart");
    cr_expect_eq(totals_get(&totals, TOTAL_OUTCOME, "never"), 0u);
    totals_release(&totals);
}

Test(totals, names_beyond_the_bound_count_under_other)
{
    struct totals totals;
    uint64_t sum = 0;
    totals_init(&totals);
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "type%u", i);
        totals_add_text(&totals, TOTAL_CONTENT_TYPE, name, 1);
    }
    char longest[TOTAL_NAME_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest);
    totals_add(&totals, TOTAL_CONTENT_TYPE, slice_of(longest, sizeof longest), 1);
    totals_add(&totals, TOTAL_CONTENT_TYPE, slice_of("", 0), 1);
    cr_expect_eq(totals.per_kind[TOTAL_CONTENT_TYPE], (uint32_t)TOTALS_NAMES_MAX);
    for (uint32_t i = 0; i < totals.count; i++)
        sum += totals.rows[i].value;
    cr_expect_eq(sum, 1002u, "nothing is lost");
    cr_expect_eq(totals_get(&totals, TOTAL_CONTENT_TYPE, "other"), 1002u - TOTALS_NAMES_MAX + 1);
    totals_release(&totals);
}

Test(totals, write_only_what_changed_and_come_back)
{
    struct totals totals;
    struct totals again;
    struct store_batch *batch = store_batch_create(100000);
    struct store_row row;
    size_t cursor = 0;
    cr_assert_not_null(batch);
    totals_init(&totals);
    totals_init(&again);
    totals_add_text(&totals, TOTAL_LANGUAGE, "en", 7);
    totals_add_text(&totals, TOTAL_HTTP_STATUS, "404", UINT64_MAX);
    totals_write(&totals, batch);
    cr_expect_eq(store_batch_count(batch), 2u);
    totals_write(&totals, batch);
    cr_expect_eq(store_batch_count(batch), 2u);
    while (store_batch_next(batch, &cursor, &row)) {
        cr_expect_eq(row.table, STORE_TOTALS);
        cr_expect_eq(totals_load(&again, row.key, row.value), OK);
    }
    cr_expect_eq(totals_get(&again, TOTAL_LANGUAGE, "en"), 7u);
    cr_expect_eq(totals_get(&again, TOTAL_HTTP_STATUS, "404"), UINT64_MAX);
    store_batch_clear(batch);
    totals_write(&again, batch);
    cr_expect(store_batch_is_empty(batch), "what was loaded is not written again");
    store_batch_destroy(batch);
    totals_release(&again);
    totals_release(&totals);
}

struct row {
    const char *key;
    const char *value;
    size_t value_bytes;
};

Test(totals, rows_that_make_no_sense_are_corrupt)
{
    static const struct row rows[] = {
        {"state/done", "", 0}, {"state/done", "\x01\x01", 2}, {"state/done", "\x80", 1},
        {"state/", "\x01", 1}, {"state", "\x01", 1},          {"states/done", "\x01", 1},
        {"", "\x01", 1},       {"/done", "\x01", 1},
    };
    struct totals totals;
    totals_init(&totals);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(totals_load(&totals, slice_string(rows[i].key),
                                 slice_of(rows[i].value, rows[i].value_bytes)),
                     ERROR_CORRUPT, "row %zu", i);
    cr_expect_eq(totals.count, 0u);
    totals_release(&totals);
}

Test(totals, give_a_map_of_one_kind)
{
    struct totals totals;
    struct buffer out;
    struct buffer text;
    totals_init(&totals);
    buffer_init(&out, 1000);
    buffer_init(&text, 1000);
    totals_add_text(&totals, TOTAL_OUTCOME, "ok", 2);
    totals_add_text(&totals, TOTAL_LANGUAGE, "fr", 1);
    totals_add_text(&totals, TOTAL_OUTCOME, "empty", 1);
    totals_write_map(&totals, TOTAL_OUTCOME, &out);
    cr_assert_eq(json_from_message(&text, buffer_slice(&out)), OK);
    cr_expect_str_eq(buffer_text(&text), "{\"ok\":2,\"empty\":1}");
    buffer_release(&out);
    buffer_release(&text);
    totals_release(&totals);
}
