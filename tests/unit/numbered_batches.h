/*
 * numbered_batches: batches whose traces in a store tell which of them are there and whether whole.
 *
 * Batch n puts rows n * rows_a_batch onwards with its number in each, notes itself as the last one,
 * and deletes the rows of batch n - kept, so that pages are freed and used again. What batches 1..n
 * leave is thus known for every n.
 *
 * Threads  none.
 */
#ifndef THRESH_TESTS_UNIT_NUMBERED_BATCHES_H
#define THRESH_TESTS_UNIT_NUMBERED_BATCHES_H

#include "broker/store.h"
#include "broker/store_tool.h"
#include "tests/unit/store_place.h"

struct numbering {
    uint64_t rows_a_batch;
    uint64_t kept;      /* batches */
    size_t large_bytes; /* of one row in each batch, over several pages */
};

#define NUMBERED_VALUE_BYTES_MAX 20000

static inline void
numbered_fill(const struct numbering *numbering, struct store_batch *batch, uint64_t number)
{
    static uint8_t value[NUMBERED_VALUE_BYTES_MAX];

    store_batch_clear(batch);
    memset(value, (int)(number & 0xff), sizeof(value));
    memcpy(value, &number, sizeof(number));
    for (uint64_t i = 0; i < numbering->rows_a_batch; i++) {
        size_t size = i == numbering->rows_a_batch / 2 ? numbering->large_bytes
                                                       : sizeof(number) + (number + i) % 100;

        store_batch_put(batch, STORE_TASKS, number * numbering->rows_a_batch + i,
                        slice_of(value, size));
    }
    store_batch_put_bytes(batch, STORE_TOTALS, slice_string("last"),
                          slice_of(&number, sizeof(number)));
    if (number > numbering->kept) {
        uint64_t old = (number - numbering->kept) * numbering->rows_a_batch;

        store_batch_delete_range(batch, STORE_TASKS, old, old + numbering->rows_a_batch - 1);
    }
}

struct numbered_rows {
    const struct numbering *numbering;
    uint64_t rows;
    uint64_t smallest;
    uint64_t largest;
    uint64_t bad;
};

static inline bool
numbered_visit(void *context, const struct store_entry *entry)
{
    struct numbered_rows *rows = context;
    uint64_t number = 0;

    if (entry->is_corrupt || entry->value.size < sizeof(number)) {
        rows->bad++;
        return true;
    }
    memcpy(&number, entry->value.data, sizeof(number));
    rows->bad += entry->number / rows->numbering->rows_a_batch != number;
    rows->smallest = rows->rows == 0 ? number : rows->smallest;
    rows->largest = number;
    rows->rows++;
    return true;
}

/* The store must hold what batches 1..n leave, for one n of at least durable; gives that n. */
static inline uint64_t
numbered_check(const struct numbering *numbering, struct place *place, uint64_t durable,
               const char *what, uint64_t where)
{
    struct numbered_rows rows = {.numbering = numbering};
    struct buffer out;
    uint64_t last = 0;
    uint64_t batches;
    char *message = NULL;
    enum error error = store_check_file(place->path, &message);

    cr_assert_eq(error, OK, "%s %lu: %s", what, where, message);
    place_open(place);
    buffer_init(&out, 100);
    error = store_get_bytes(place->store, STORE_TOTALS, slice_string("last"), &out);
    cr_assert(error == OK || (error == ERROR_NOT_FOUND && durable == 0), "%s %lu: %s", what, where,
              error_name(error));
    if (error == OK) {
        cr_assert_eq(out.size, sizeof(last));
        memcpy(&last, out.data, sizeof(last));
    }
    buffer_release(&out);
    cr_assert_geq(last, durable, "%s %lu: batch %lu was durable, %lu is the last there", what,
                  where, durable, last);
    cr_assert_eq(store_scan(place->store, STORE_TASKS, 0, numbered_visit, &rows), OK);
    batches = last > numbering->kept ? numbering->kept : last;
    cr_assert_eq(rows.bad, 0, "%s %lu", what, where);
    cr_assert_eq(rows.rows, batches * numbering->rows_a_batch, "%s %lu: %lu rows of %lu batches",
                 what, where, rows.rows, batches);
    cr_assert(last == 0 || (rows.largest == last && rows.smallest == last - batches + 1));
    place_close(place);
    return last;
}

#endif
