#include "broker/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store_format.h"
#include "common/buffer.h"

/* A row in memory: this head, the key's bytes, the value's bytes, one after the other. Heads are
 * copied in and out, since they stand unaligned. */
struct row_head {
    uint64_t last;
    uint32_t value_bytes;
    uint16_t key_bytes;
    uint8_t kind;
    uint8_t table;
};

struct store_batch {
    struct buffer rows;
    size_t count;
    enum error error; /* of a key or a value; the buffer keeps its own */
};

struct store_batch *
store_batch_create(size_t bytes_max)
{
    struct store_batch *batch = calloc(1, sizeof(*batch));

    if (batch != NULL) {
        buffer_init(&batch->rows, bytes_max);
    }
    return batch;
}

void
store_batch_destroy(struct store_batch *batch)
{
    if (batch != NULL) {
        buffer_release(&batch->rows);
        free(batch);
    }
}

void
store_batch_clear(struct store_batch *batch)
{
    buffer_clear(&batch->rows);
    batch->count = 0;
    batch->error = OK;
}

bool
store_batch_is_empty(const struct store_batch *batch)
{
    return batch->count == 0;
}

size_t
store_batch_bytes(const struct store_batch *batch)
{
    return batch->rows.size;
}

size_t
store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

static void
store_batch_fail(struct store_batch *batch, enum error error)
{
    if (batch->error == OK) {
        batch->error = error;
    }
}

static uint8_t *
copy_slice(uint8_t *to, struct slice from)
{
    if (from.size > 0) {
        memcpy(to, from.data, from.size);
    }
    return to + from.size;
}

/* Adds one row; head.key_bytes and head.value_bytes are set here. */
static void
store_batch_add(struct store_batch *batch, struct row_head head, struct slice key,
                struct slice first, struct slice second)
{
    uint8_t *to;

    assert(head.table < STORE_TABLE_COUNT);
    if (store_batch_error(batch) != OK) {
        return;
    }
    if (key.size == 0) {
        store_batch_fail(batch, ERROR_INVALID);
        return;
    }
    if (key.size > STORE_KEY_BYTES_MAX || first.size > UINT32_MAX ||
        second.size > UINT32_MAX - first.size) {
        store_batch_fail(batch, ERROR_TOO_LARGE);
        return;
    }
    head.key_bytes = (uint16_t)key.size;
    head.value_bytes = (uint32_t)(first.size + second.size);
    to = buffer_extend(&batch->rows, sizeof(head) + key.size + first.size + second.size);
    if (to == NULL) {
        return;
    }
    memcpy(to, &head, sizeof(head));
    to = copy_slice(to + sizeof(head), key);
    to = copy_slice(to, first);
    to = copy_slice(to, second);
    assert(to == batch->rows.data + batch->rows.size);
    batch->count++;
}

static void
store_batch_add_number(struct store_batch *batch, struct row_head head, uint64_t key,
                       struct slice first, struct slice second)
{
    uint8_t bytes[STORE_NUMBER_BYTES];

    assert(store_table_is_number(head.table));
    store_number_encode(key, bytes);
    store_batch_add(batch, head, slice_of(bytes, sizeof(bytes)), first, second);
}

void
store_batch_put(struct store_batch *batch, enum store_table table, uint64_t key, struct slice value)
{
    store_batch_put2(batch, table, key, value, slice_of(NULL, 0));
}

void
store_batch_put2(struct store_batch *batch, enum store_table table, uint64_t key, struct slice head,
                 struct slice tail)
{
    struct row_head row = {.kind = STORE_ROW_PUT, .table = (uint8_t)table};

    store_batch_add_number(batch, row, key, head, tail);
}

void
store_batch_put_bytes(struct store_batch *batch, enum store_table table, struct slice key,
                      struct slice value)
{
    struct row_head row = {.kind = STORE_ROW_PUT, .table = (uint8_t)table};

    assert(!store_table_is_number(table));
    store_batch_add(batch, row, key, value, slice_of(NULL, 0));
}

void
store_batch_delete(struct store_batch *batch, enum store_table table, uint64_t key)
{
    struct row_head row = {.kind = STORE_ROW_DELETE, .table = (uint8_t)table};

    store_batch_add_number(batch, row, key, slice_of(NULL, 0), slice_of(NULL, 0));
}

void
store_batch_delete_bytes(struct store_batch *batch, enum store_table table, struct slice key)
{
    struct row_head row = {.kind = STORE_ROW_DELETE, .table = (uint8_t)table};

    assert(!store_table_is_number(table));
    store_batch_add(batch, row, key, slice_of(NULL, 0), slice_of(NULL, 0));
}

void
store_batch_delete_range(struct store_batch *batch, enum store_table table, uint64_t first,
                         uint64_t last)
{
    struct row_head row = {.kind = STORE_ROW_DELETE_RANGE, .table = (uint8_t)table, .last = last};

    assert(first <= last);
    store_batch_add_number(batch, row, first, slice_of(NULL, 0), slice_of(NULL, 0));
}

enum error
store_batch_error(const struct store_batch *batch)
{
    return batch->error != OK ? batch->error : buffer_error(&batch->rows);
}

bool
store_batch_next(const struct store_batch *batch, size_t *cursor, struct store_row *ret_row)
{
    const uint8_t *at;
    struct row_head head;

    if (*cursor == batch->rows.size) {
        return false;
    }
    assert(*cursor + sizeof(head) <= batch->rows.size);
    at = batch->rows.data + *cursor;
    memcpy(&head, at, sizeof(head));
    at += sizeof(head);
    *ret_row = (struct store_row){
        .kind = head.kind,
        .table = head.table,
        .key = slice_of(at, head.key_bytes),
        .last = head.last,
        .value = slice_of(at + head.key_bytes, head.value_bytes),
    };
    if (store_table_is_number(head.table)) {
        ret_row->number = store_number_decode(at);
    }
    *cursor += sizeof(head) + head.key_bytes + head.value_bytes;
    assert(*cursor <= batch->rows.size);
    return true;
}
