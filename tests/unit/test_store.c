/* The conformance suite: each implementation of the store keeps every promise of broker/store.h. */
#include "broker/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)64 << 20)
#define VALUE_BYTES_LARGE ((size_t)16 << 20)

typedef void check_fn(struct place *place, struct store_batch *batch);

static void
each_implementation(check_fn *check)
{
    for (int is_memory = 0; is_memory <= 1; is_memory++) {
        struct store_batch *batch = store_batch_create(BATCH_BYTES);
        struct place place;

        cr_assert_not_null(batch);
        place_init(&place, is_memory != 0);
        place_open(&place);
        check(&place, batch);
        place_release(&place);
        store_batch_destroy(batch);
    }
}

/* Closes and opens again where there is a disk to come back from. */
static void
reopen(struct place *place)
{
    if (!place->is_memory) {
        place_close(place);
        place_open(place);
    }
}

static void
expect_value(struct place *place, enum store_table table, uint64_t key, const char *value)
{
    struct buffer out;
    enum error error;

    buffer_init(&out, VALUE_BYTES_LARGE);
    error = store_get(place->store, table, key, &out);
    if (value == NULL) {
        cr_expect_eq(error, ERROR_NOT_FOUND, "key %lu: %s", key, error_name(error));
    } else {
        cr_expect_eq(error, OK, "key %lu: %s", key, error_name(error));
        cr_expect_str_eq(buffer_text(&out), value);
    }
    buffer_release(&out);
}

struct listing {
    char text[4096];
    size_t size;
    size_t rows_max;
    size_t rows;
};

static bool
list_row(void *context, const struct store_entry *entry)
{
    struct listing *listing = context;
    struct slice value = entry->value.data != NULL ? entry->value : slice_string("absent");
    int size = snprintf(listing->text + listing->size, sizeof(listing->text) - listing->size,
                        "%lu=%.*s ", entry->number, (int)value.size, (const char *)value.data);

    listing->size += (size_t)size;
    return ++listing->rows < listing->rows_max;
}

static bool
list_named_row(void *context, const struct store_entry *entry)
{
    struct listing *listing = context;
    int size = snprintf(listing->text + listing->size, sizeof(listing->text) - listing->size,
                        "%.*s=%.*s ", (int)entry->key.size, (const char *)entry->key.data,
                        (int)entry->value.size, (const char *)entry->value.data);

    listing->size += (size_t)size;
    return ++listing->rows < listing->rows_max;
}

static void
expect_rows(struct place *place, enum store_table table, uint64_t from, const char *rows)
{
    struct listing listing = {.rows_max = SIZE_MAX};

    cr_assert_eq(store_scan(place->store, table, from, list_row, &listing), OK);
    cr_expect_str_eq(listing.text, rows, "%s", place->is_memory ? "memory" : "lmdb");
}

/* ---- rows --------------------------------------------------------------------------------- */

static void
check_rows(struct place *place, struct store_batch *batch)
{
    store_batch_put(batch, STORE_TASKS, 1, slice_string("one"));
    store_batch_put2(batch, STORE_TASKS, 2, slice_string("tw"), slice_string("o"));
    store_batch_put(batch, STORE_TASKS, 3, slice_string(""));
    store_batch_put(batch, STORE_BODIES, 1, slice_string("other table"));
    store_batch_put(batch, STORE_TASKS, UINT64_MAX, slice_string("last"));
    store_batch_put(batch, STORE_TASKS, 0, slice_string("first"));
    place_commit(place, batch);
    for (int round = 0; round < 2; round++) {
        expect_value(place, STORE_TASKS, 0, "first");
        expect_value(place, STORE_TASKS, 1, "one");
        expect_value(place, STORE_TASKS, 2, "two");
        expect_value(place, STORE_TASKS, 3, "");
        expect_value(place, STORE_TASKS, 4, NULL);
        expect_value(place, STORE_TASKS, UINT64_MAX, "last");
        expect_value(place, STORE_BODIES, 1, "other table");
        expect_value(place, STORE_BODIES, 2, NULL);
        reopen(place);
    }
}

Test(store, rows_come_back_as_they_were_put_also_after_reopening)
{
    each_implementation(check_rows);
}

static void
check_later_rows_win(struct place *place, struct store_batch *batch)
{
    store_batch_put(batch, STORE_TASKS, 5, slice_string("early"));
    store_batch_put(batch, STORE_TASKS, 5, slice_string("late"));
    store_batch_put(batch, STORE_TASKS, 6, slice_string("gone"));
    store_batch_delete(batch, STORE_TASKS, 6);
    store_batch_delete(batch, STORE_TASKS, 7);
    store_batch_put(batch, STORE_TASKS, 7, slice_string("back"));
    store_batch_put(batch, STORE_TASKS, 8, slice_string("in the range"));
    store_batch_put(batch, STORE_TASKS, 9, slice_string("in the range"));
    store_batch_delete_range(batch, STORE_TASKS, 8, 9);
    store_batch_put(batch, STORE_TASKS, 9, slice_string("after the range"));
    place_commit(place, batch);
    expect_rows(place, STORE_TASKS, 0, "5=late 7=back 9=after the range ");
    store_batch_put(batch, STORE_TASKS, 5, slice_string("a longer value than before"));
    store_batch_delete(batch, STORE_TASKS, 12345);
    place_commit(place, batch);
    expect_rows(place, STORE_TASKS, 0, "5=a longer value than before 7=back 9=after the range ");
}

Test(store, later_rows_of_a_batch_win)
{
    each_implementation(check_later_rows_win);
}

static void
check_order(struct place *place, struct store_batch *batch)
{
    static const uint64_t keys[] = {256, 1, 65536, 255, 0, UINT64_MAX, 4294967296u, 2};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        store_batch_put(batch, STORE_RESULTS, keys[i], slice_string("x"));
        place_commit(place, batch);
    }
    expect_rows(place, STORE_RESULTS, 0,
                "0=x 1=x 2=x 255=x 256=x 65536=x 4294967296=x 18446744073709551615=x ");
    expect_rows(place, STORE_RESULTS, 256, "256=x 65536=x 4294967296=x 18446744073709551615=x ");
    expect_rows(place, STORE_RESULTS, 257, "65536=x 4294967296=x 18446744073709551615=x ");
    expect_rows(place, STORE_RESULTS, UINT64_MAX, "18446744073709551615=x ");
    expect_rows(place, STORE_DEAD, 0, "");
}

Test(store, numbers_are_visited_in_order_from_the_one_asked)
{
    each_implementation(check_order);
}

static void
check_range(struct place *place, struct store_batch *batch)
{
    for (uint64_t i = 0; i < 20000; i++) {
        store_batch_put(batch, STORE_RESULTS, i, slice_string("a value that fills several pages"));
    }
    place_commit(place, batch);
    store_batch_delete_range(batch, STORE_RESULTS, 1, 19997);
    place_commit(place, batch);
    expect_rows(place, STORE_RESULTS, 0,
                "0=a value that fills several pages 19998=a value that fills several pages "
                "19999=a value that fills several pages ");
    store_batch_delete_range(batch, STORE_RESULTS, 5, 100); /* holds nothing */
    store_batch_delete_range(batch, STORE_RESULTS, 0, UINT64_MAX);
    place_commit(place, batch);
    expect_rows(place, STORE_RESULTS, 0, "");
    store_batch_put(batch, STORE_RESULTS, 3, slice_string("again"));
    place_commit(place, batch);
    reopen(place);
    expect_rows(place, STORE_RESULTS, 0, "3=again ");
}

Test(store, a_range_is_deleted_with_both_ends)
{
    each_implementation(check_range);
}

static void
check_bytes_keys(struct place *place, struct store_batch *batch)
{
    static const char *const keys[] = {"b", "a", "ab", "a\xff", "abc", "c"};
    struct listing listing = {.rows_max = SIZE_MAX};
    struct buffer out;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        store_batch_put_bytes(batch, STORE_HOSTS, slice_string(keys[i]), slice_string("v"));
    }
    place_commit(place, batch);
    cr_assert_eq(store_scan(place->store, STORE_HOSTS, 0, list_named_row, &listing), OK);
    cr_expect_str_eq(listing.text, "a=v ab=v abc=v a\xff=v b=v c=v ");
    listing = (struct listing){.rows_max = 2};
    cr_assert_eq(
        store_scan_after(place->store, STORE_HOSTS, slice_string("ab"), list_named_row, &listing),
        OK);
    cr_expect_str_eq(listing.text, "abc=v a\xff=v ", "a visit that says stop ends the scan");
    listing = (struct listing){.rows_max = SIZE_MAX};
    cr_assert_eq(
        store_scan_after(place->store, STORE_HOSTS, slice_string("bb"), list_named_row, &listing),
        OK);
    cr_expect_str_eq(listing.text, "c=v ", "a key that is not there");
    store_batch_delete_bytes(batch, STORE_HOSTS, slice_string("ab"));
    store_batch_delete_bytes(batch, STORE_HOSTS, slice_string("no such host"));
    place_commit(place, batch);
    buffer_init(&out, 100);
    cr_expect_eq(store_get_bytes(place->store, STORE_HOSTS, slice_string("ab"), &out),
                 ERROR_NOT_FOUND);
    cr_expect_eq(store_get_bytes(place->store, STORE_HOSTS, slice_string("abc"), &out), OK);
    cr_expect_str_eq(buffer_text(&out), "v");
    buffer_release(&out);
}

Test(store, bytes_keys_are_compared_bytewise)
{
    each_implementation(check_bytes_keys);
}

static void
check_limits(struct place *place, struct store_batch *batch)
{
    uint8_t key[STORE_KEY_BYTES_MAX + 1];
    uint8_t *large = malloc(VALUE_BYTES_LARGE);
    struct buffer out;

    cr_assert_not_null(large);
    memset(key, 'k', sizeof(key));
    for (size_t i = 0; i < VALUE_BYTES_LARGE; i++) {
        large[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    store_batch_put_bytes(batch, STORE_CLIENTS, slice_of(key, STORE_KEY_BYTES_MAX),
                          slice_string("at the limit"));
    store_batch_put(batch, STORE_BODIES, 7, slice_of(large, VALUE_BYTES_LARGE));
    place_commit(place, batch);
    store_batch_put_bytes(batch, STORE_CLIENTS, slice_of(key, sizeof(key)), slice_string("past"));
    cr_expect_eq(store_commit(place->store, batch), ERROR_TOO_LARGE);
    store_batch_clear(batch);
    reopen(place);
    buffer_init(&out, VALUE_BYTES_LARGE);
    cr_expect_eq(
        store_get_bytes(place->store, STORE_CLIENTS, slice_of(key, STORE_KEY_BYTES_MAX), &out), OK);
    cr_expect_str_eq(buffer_text(&out), "at the limit");
    cr_expect_eq(store_get_bytes(place->store, STORE_CLIENTS, slice_of(key, sizeof(key)), &out),
                 ERROR_NOT_FOUND);
    buffer_clear(&out);
    cr_expect_eq(store_get(place->store, STORE_BODIES, 7, &out), OK);
    cr_expect(slice_equal(buffer_slice(&out), slice_of(large, VALUE_BYTES_LARGE)));
    buffer_release(&out);
    buffer_init(&out, VALUE_BYTES_LARGE - 1);
    cr_expect_eq(store_get(place->store, STORE_BODIES, 7, &out), ERROR_TOO_LARGE);
    buffer_release(&out);
    free(large);
}

Test(store, keys_at_the_limit_and_values_of_16_mib)
{
    each_implementation(check_limits);
}

static void
check_read(struct place *place, struct store_batch *batch)
{
    static const uint64_t keys[] = {9, 4, 2, 2, 1000};
    struct listing listing = {.rows_max = SIZE_MAX};

    store_batch_put(batch, STORE_TASKS, 2, slice_string("two"));
    store_batch_put(batch, STORE_TASKS, 9, slice_string("nine"));
    place_commit(place, batch);
    cr_assert_eq(store_read(place->store, STORE_TASKS, keys, 5, list_row, &listing), OK);
    cr_expect_str_eq(listing.text, "9=nine 4=absent 2=two 2=two 1000=absent ");
    listing = (struct listing){.rows_max = 2};
    cr_assert_eq(store_read(place->store, STORE_TASKS, keys, 5, list_row, &listing), OK);
    cr_expect_str_eq(listing.text, "9=nine 4=absent ");
    cr_assert_eq(store_read(place->store, STORE_TASKS, keys, 0, list_row, &listing), OK);
}

Test(store, many_keys_are_read_in_the_order_asked)
{
    each_implementation(check_read);
}

static bool
read_inside(void *context, const struct store_entry *entry)
{
    struct place *place = context;

    expect_value(place, STORE_BODIES, entry->number, "body");
    return true;
}

static void
check_nested_read(struct place *place, struct store_batch *batch)
{
    for (uint64_t i = 0; i < 10; i++) {
        store_batch_put(batch, STORE_TASKS, i, slice_string("task"));
        store_batch_put(batch, STORE_BODIES, i, slice_string("body"));
    }
    place_commit(place, batch);
    cr_expect_eq(store_scan(place->store, STORE_TASKS, 0, read_inside, place), OK);
    expect_value(place, STORE_TASKS, 3, "task");
}

Test(store, a_visit_may_read_too)
{
    each_implementation(check_nested_read);
}

static void
check_usage(struct place *place, struct store_batch *batch)
{
    struct store_usage usage;
    struct store_usage fuller;

    store_usage(place->store, &usage);
    cr_expect_eq(usage.rows[STORE_META], 1, "the format");
    cr_expect_eq(usage.rows[STORE_TASKS], 0);
    cr_expect_eq(usage.commits, 0);
    cr_expect_eq(usage.bytes_max, PLACE_BYTES_MAX);
    for (uint64_t i = 0; i < 1000; i++) {
        store_batch_put(batch, STORE_TASKS, i, slice_string("0123456789012345678901234567890123"));
    }
    place_commit(place, batch);
    store_usage(place->store, &fuller);
    cr_expect_eq(fuller.rows[STORE_TASKS], 1000);
    cr_expect_eq(fuller.rows[STORE_RESULTS], 0);
    cr_expect_eq(fuller.commits, 1);
    cr_expect_geq(fuller.flushes, 1);
    cr_expect_gt(fuller.bytes_used, usage.bytes_used + 34000);
    cr_expect_lt(fuller.bytes_used, usage.bytes_used + 200000);
    cr_expect_eq(fuller.corrupt_rows, 0);
    store_batch_delete_range(batch, STORE_TASKS, 0, 999);
    place_commit(place, batch);
    store_usage(place->store, &fuller);
    cr_expect_eq(fuller.rows[STORE_TASKS], 0);
    cr_expect_lt(fuller.bytes_used, usage.bytes_used + 50000, "deleting gives the room back");
}

Test(store, usage_counts_rows_and_bytes)
{
    each_implementation(check_usage);
}

/* ---- atomicity ---------------------------------------------------------------------------- */

static void
check_cut_batch(struct place *place, struct store_batch *batch)
{
    (void)batch;
    struct store_batch *small = store_batch_create(100);

    store_batch_put(small, STORE_TASKS, 1, slice_string("fits"));
    store_batch_put(small, STORE_TASKS, 2, slice_of(place->path, sizeof(place->path)));
    cr_expect_eq(store_batch_error(small), ERROR_TOO_LARGE);
    cr_expect_eq(store_commit(place->store, small), ERROR_TOO_LARGE);
    expect_rows(place, STORE_TASKS, 0, "");
    store_batch_clear(small);
    store_batch_put(small, STORE_TASKS, 3, slice_string("after"));
    cr_expect_eq(store_commit(place->store, small), OK, "a bad batch does not stop the store");
    expect_rows(place, STORE_TASKS, 0, "3=after ");
    store_batch_destroy(small);
}

Test(store, a_batch_that_was_cut_short_is_not_applied)
{
    each_implementation(check_cut_batch);
}

static void
check_full(struct place *place, struct store_batch *batch)
{
    static uint8_t block[64 * 1024];
    enum error error = OK;
    uint64_t stored = 0;

    place->bytes_max = 4 << 20;
    place_close(place);
    place_open(place);
    while (error == OK && stored < 1000) {
        store_batch_clear(batch);
        store_batch_put(batch, STORE_TASKS, stored, slice_string("task"));
        store_batch_put(batch, STORE_BODIES, stored, slice_of(block, sizeof(block)));
        error = store_commit(place->store, batch);
        stored += error == OK;
    }
    cr_expect_eq(error, ERROR_DISK_FULL, "%s", error_name(error));
    cr_expect_geq(stored, 40);
    cr_expect_lt(stored, 64);
    cr_expect_not_null(strstr(store_failure(place->store), "raise store-bytes-max"), "%s",
                       store_failure(place->store));
    store_batch_clear(batch);
    store_batch_put(batch, STORE_DEAD, 1, slice_string("small"));
    cr_expect_eq(store_commit(place->store, batch), ERROR_BUG);
    cr_expect_eq(store_settle(place->store), ERROR_BUG);
    expect_value(place, STORE_TASKS, stored - 1, "task");
    expect_value(place, STORE_TASKS, stored, NULL);
    if (!place->is_memory) {
        place->bytes_max = 8 << 20;
        reopen(place);
        expect_value(place, STORE_TASKS, stored - 1, "task");
        expect_value(place, STORE_TASKS, stored, NULL);
        place_commit(place, batch);
        expect_value(place, STORE_DEAD, 1, "small");
    }
}

Test(store, a_full_store_takes_no_more_and_keeps_what_it_has)
{
    each_implementation(check_full);
}

/* ---- against a plain model ---------------------------------------------------------------- */

#define MODEL_KEYS 400

struct model {
    bool is_there[MODEL_KEYS];
    uint32_t sizes[MODEL_KEYS];
    uint8_t fills[MODEL_KEYS];
    size_t next;
    bool is_wrong;
};

static bool
compare_with_model(void *context, const struct store_entry *entry)
{
    struct model *model = context;

    while (model->next < MODEL_KEYS && !model->is_there[model->next]) {
        model->next++;
    }
    if (model->next == MODEL_KEYS || entry->number != model->next || entry->is_corrupt ||
        entry->value.size != model->sizes[model->next]) {
        model->is_wrong = true;
        return false;
    }
    for (size_t i = 0; i < entry->value.size; i++) {
        model->is_wrong |= entry->value.data[i] != model->fills[model->next];
    }
    model->next++;
    return !model->is_wrong;
}

static void
change_at_random(struct model *model, struct store_batch *batch, unsigned *seed)
{
    static uint8_t value[20000];
    unsigned dice = (unsigned)rand_r(seed) % 20;
    uint64_t key = (uint64_t)rand_r(seed) % MODEL_KEYS;

    if (dice < 12) {
        model->is_there[key] = true;
        model->sizes[key] = (uint32_t)rand_r(seed) % (dice == 0 ? (uint32_t)sizeof(value) : 300);
        model->fills[key] = (uint8_t)rand_r(seed);
        memset(value, model->fills[key], model->sizes[key]);
        store_batch_put(batch, STORE_RESULTS, key, slice_of(value, model->sizes[key]));
    } else if (dice < 19) {
        model->is_there[key] = false;
        store_batch_delete(batch, STORE_RESULTS, key);
    } else {
        uint64_t last = key + (uint64_t)rand_r(seed) % 50;

        for (uint64_t i = key; i <= last && i < MODEL_KEYS; i++) {
            model->is_there[i] = false;
        }
        store_batch_delete_range(batch, STORE_RESULTS, key, last);
    }
}

static void
check_model(struct place *place, struct store_batch *batch)
{
    struct model model = {0};
    unsigned seed = 20240917;

    for (unsigned round = 0; round < 400; round++) {
        unsigned change_count = (unsigned)rand_r(&seed) % 60;

        for (unsigned i = 0; i < change_count; i++) {
            change_at_random(&model, batch, &seed);
        }
        place_commit(place, batch);
        if (round % 50 == 0) {
            reopen(place);
        }
        model.next = 0;
        cr_assert_eq(store_scan(place->store, STORE_RESULTS, 0, compare_with_model, &model), OK);
        while (model.next < MODEL_KEYS && !model.is_there[model.next]) {
            model.next++;
        }
        cr_assert(!model.is_wrong && model.next == MODEL_KEYS, "round %u of %s", round,
                  place->is_memory ? "memory" : "lmdb");
    }
}

Test(store, random_changes_leave_what_a_plain_array_holds)
{
    each_implementation(check_model);
}

/* ---- a writer beside the reader ----------------------------------------------------------- */

#define PAIR_ROUNDS 2000

struct pair_writer {
    struct place *place;
    enum error error;
    atomic_bool is_done;
};

/* Every batch sets two rows far apart to the same number. */
static void *
write_pairs(void *context)
{
    struct pair_writer *writer = context;
    struct store_batch *batch = store_batch_create(BATCH_BYTES);

    for (uint64_t i = 1; i <= PAIR_ROUNDS && writer->error == OK; i++) {
        store_batch_clear(batch);
        store_batch_put(batch, STORE_TASKS, 1, slice_of(&i, sizeof(i)));
        store_batch_put(batch, STORE_TASKS, 1000 + i, slice_string("growing"));
        store_batch_put(batch, STORE_TASKS, UINT64_MAX, slice_of(&i, sizeof(i)));
        writer->error = store_commit(writer->place->store, batch);
    }
    store_batch_destroy(batch);
    writer->is_done = true;
    return NULL;
}

struct pair {
    uint64_t first;
    uint64_t last;
    uint64_t between;
};

static bool
see_pair(void *context, const struct store_entry *entry)
{
    struct pair *pair = context;

    if (entry->number == 1) {
        memcpy(&pair->first, entry->value.data, sizeof(pair->first));
    } else if (entry->number == UINT64_MAX) {
        memcpy(&pair->last, entry->value.data, sizeof(pair->last));
    } else {
        pair->between++;
    }
    return !entry->is_corrupt;
}

static void
check_snapshot(struct place *place, struct store_batch *batch)
{
    struct pair_writer writer = {.place = place};
    static const uint64_t keys[] = {UINT64_MAX, 1};
    struct store_usage usage;
    uint64_t seen = 0;
    pthread_t thread;

    (void)batch;
    cr_assert_eq(pthread_create(&thread, NULL, write_pairs, &writer), 0);
    while (!writer.is_done) {
        struct pair pair = {0};
        struct pair read = {0};

        cr_assert_eq(store_scan(place->store, STORE_TASKS, 0, see_pair, &pair), OK);
        cr_assert_eq(pair.first, pair.last, "a scan sees whole batches");
        cr_assert_eq(pair.first, pair.between);
        cr_assert_geq(pair.first, seen, "and never goes back");
        seen = pair.first;
        if (seen > 0) {
            cr_assert_eq(store_read(place->store, STORE_TASKS, keys, 2, see_pair, &read), OK);
            cr_assert_eq(read.first, read.last);
        }
        store_usage(place->store, &usage);
    }
    pthread_join(thread, NULL);
    cr_expect_eq(writer.error, OK);
    expect_value(place, STORE_TASKS, 1000 + PAIR_ROUNDS, "growing");
}

Test(store, a_scan_beside_the_writer_sees_whole_batches)
{
    each_implementation(check_snapshot);
}

static void
check_settle(struct place *place, struct store_batch *batch)
{
    cr_expect_eq(store_settle(place->store), OK, "with nothing to do");
    place_commit(place, batch);
    store_batch_put(batch, STORE_TASKS, 1, slice_string("x"));
    place_commit(place, batch);
    cr_expect_eq(store_settle(place->store), OK);
    cr_expect_eq(store_settle(place->store), OK);
    place_commit(place, batch);
    expect_value(place, STORE_TASKS, 1, "x");
}

Test(store, settling_and_empty_batches_are_always_right)
{
    each_implementation(check_settle);
}
