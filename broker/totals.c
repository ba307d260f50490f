#include "broker/totals.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "broker/record.h"
#include "common/message.h"

static const char *const kind_names[TOTAL_KIND_COUNT] = {
    [TOTAL_STATE] = "state",
    [TOTAL_OUTCOME] = "outcome",
    [TOTAL_HTTP_STATUS] = "http_status",
    [TOTAL_CONTENT_TYPE] = "content_type",
    [TOTAL_LANGUAGE] = "language",
    [TOTAL_COUNTER] = "counter",
};

static const char other[] = "other";

const char *
total_kind_name(enum total_kind kind)
{
    assert(kind < TOTAL_KIND_COUNT);
    return kind_names[kind];
}

void
totals_init(struct totals *totals)
{
    *totals = (struct totals){0};
    map_init(&totals->by_hash);
}

void
totals_release(struct totals *totals)
{
    free(totals->rows);
    map_release(&totals->by_hash);
    *totals = (struct totals){0};
}

static uint64_t
hash_of(enum total_kind kind, struct slice name)
{
    uint64_t hash = XXH3_64bits_withSeed(name.data, name.size, (XXH64_hash_t)kind);
    return hash ? hash : 1;
}

static struct total *
find(const struct totals *totals, enum total_kind kind, struct slice name)
{
    uint32_t at = 0;
    if (!map_get(&totals->by_hash, hash_of(kind, name), &at))
        return NULL;
    struct total *total = &totals->rows[at];
    /* Two names with one 64-bit hash: the second counts with the first. */
    return total->kind == kind ? total : NULL;
}

/* The same few names come with every task: their rows are found without hashing the name. */
static uint32_t *
recent_for(struct totals *totals, enum total_kind kind, struct slice name)
{
    uint32_t look = (uint32_t)kind * 7 + (uint32_t)name.size * 5 + name.data[0] +
                    (uint32_t)name.data[name.size / 2] * 3 +
                    (uint32_t)name.data[name.size - 1] * 11;
    return &totals->recent[look % TOTALS_RECENT];
}

static bool
is_row(const struct totals *totals, uint32_t row, enum total_kind kind, struct slice name)
{
    if (row >= totals->count)
        return false;
    const struct total *total = &totals->rows[row];
    return total->kind == kind && total->name_bytes == name.size &&
           memcmp(total->name, name.data, name.size) == 0;
}

static struct total *
add_row(struct totals *totals, enum total_kind kind, struct slice name)
{
    if (totals->count == totals->capacity) {
        uint32_t capacity = totals->capacity ? totals->capacity * 2 : 64;
        struct total *larger = realloc(totals->rows, capacity * sizeof *larger);
        if (!larger)
            return NULL;
        totals->rows = larger;
        totals->capacity = capacity;
    }
    if (map_set(&totals->by_hash, hash_of(kind, name), totals->count))
        return NULL;
    struct total *total = &totals->rows[totals->count++];
    *total = (struct total){.kind = kind, .name_bytes = (uint8_t)name.size};
    memcpy(total->name, name.data, name.size);
    totals->per_kind[kind]++;
    return total;
}

static struct total *
row_for(struct totals *totals, enum total_kind kind, struct slice name)
{
    if (name.size == 0)
        name = slice_string("unknown");
    if (name.size > TOTAL_NAME_BYTES_MAX)
        name = slice_string(other);
    uint32_t *recent = recent_for(totals, kind, name);
    if (is_row(totals, *recent, kind, name))
        return &totals->rows[*recent];
    struct total *total = find(totals, kind, name);
    if (total) {
        *recent = (uint32_t)(total - totals->rows);
        return total;
    }
    if (totals->per_kind[kind] < TOTALS_NAMES_MAX - 1)
        total = add_row(totals, kind, name);
    if (total)
        return total;
    total = find(totals, kind, slice_string(other));
    return total ? total : add_row(totals, kind, slice_string(other));
}

void
totals_add(struct totals *totals, enum total_kind kind, struct slice name, uint64_t amount)
{
    if (amount == 0)
        return;
    struct total *total = row_for(totals, kind, name);
    if (!total)
        return;
    total->value += amount;
    total->is_dirty = true;
}

void
totals_add_text(struct totals *totals, enum total_kind kind, const char *name, uint64_t amount)
{
    totals_add(totals, kind, slice_string(name), amount);
}

void
totals_subtract_text(struct totals *totals, enum total_kind kind, const char *name, uint64_t amount)
{
    struct total *total = row_for(totals, kind, slice_string(name));
    assert(total && total->value >= amount);
    total->value -= amount;
    total->is_dirty = true;
}

void
totals_set_text(struct totals *totals, enum total_kind kind, const char *name, uint64_t value)
{
    struct total *total = row_for(totals, kind, slice_string(name));
    if (!total || total->value == value)
        return;
    total->value = value;
    total->is_dirty = true;
}

uint64_t
totals_get(const struct totals *totals, enum total_kind kind, const char *name)
{
    const struct total *total = find(totals, kind, slice_string(name));
    return total ? total->value : 0;
}

void
totals_write(struct totals *totals, struct store_batch *batch)
{
    struct buffer key;
    struct buffer value;
    buffer_init(&key, STORE_KEY_BYTES_MAX);
    buffer_init(&value, 16);
    for (uint32_t i = 0; i < totals->count; i++) {
        struct total *total = &totals->rows[i];
        if (!total->is_dirty)
            continue;
        buffer_clear(&key);
        buffer_clear(&value);
        buffer_append_string(&key, kind_names[total->kind]);
        buffer_append_byte(&key, '/');
        buffer_append(&key, total->name, total->name_bytes);
        write_varint(&value, total->value);
        store_batch_put_bytes(batch, STORE_TOTALS, buffer_slice(&key), buffer_slice(&value));
        total->is_dirty = false;
    }
    buffer_release(&key);
    buffer_release(&value);
}

enum error
totals_load(struct totals *totals, struct slice key, struct slice value)
{
    uint64_t amount = 0;
    if (!read_varint(&value, &amount) || value.size != 0)
        return ERROR_CORRUPT;
    for (unsigned kind = 0; kind < TOTAL_KIND_COUNT; kind++) {
        size_t size = strlen(kind_names[kind]);
        if (key.size <= size + 1 || key.size - size - 1 > TOTAL_NAME_BYTES_MAX ||
            memcmp(key.data, kind_names[kind], size) != 0 || key.data[size] != '/')
            continue;
        struct slice name = slice_of(key.data + size + 1, key.size - size - 1);
        struct total *total = find(totals, (enum total_kind)kind, name);
        if (!total)
            total = add_row(totals, (enum total_kind)kind, name);
        if (!total)
            return ERROR_NO_MEMORY;
        total->value = amount;
        return OK;
    }
    return ERROR_CORRUPT;
}

void
totals_write_map(const struct totals *totals, enum total_kind kind, struct buffer *out)
{
    write_map(out, totals->per_kind[kind]);
    for (uint32_t i = 0; i < totals->count; i++) {
        const struct total *total = &totals->rows[i];
        if (total->kind != kind)
            continue;
        write_text(out, slice_of(total->name, total->name_bytes));
        write_uint(out, total->value);
    }
}
