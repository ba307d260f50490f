#include "broker/record.h"

#include <stdio.h>
#include <string.h>

#define VARINT_BYTES_MAX 10

static inline uint8_t *
put_varint(uint8_t *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *to++ = (uint8_t)value;
    return to;
}

void
write_varint(struct buffer *out, uint64_t value)
{
    uint8_t bytes[VARINT_BYTES_MAX];
    buffer_append(out, bytes, (size_t)(put_varint(bytes, value) - bytes));
}

static inline bool
get_varint(struct slice *bytes, uint64_t *ret_value)
{
    if (bytes->size > 0 && bytes->data[0] < 0x80) {
        *ret_value = *bytes->data++;
        bytes->size--;
        return true;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes->size && i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = bytes->data[i];
        if (i == VARINT_BYTES_MAX - 1 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            bytes->data += i + 1;
            bytes->size -= i + 1;
            *ret_value = value;
            return true;
        }
    }
    return false;
}

bool
read_varint(struct slice *bytes, uint64_t *ret_value)
{
    return get_varint(bytes, ret_value);
}

/* A reader over one record: the first broken field makes all later ones fail. */
struct cursor {
    struct slice rest;
    bool is_broken;
};

static inline uint64_t
take(struct cursor *cursor, uint64_t max)
{
    uint64_t value = 0;
    if (cursor->is_broken || !get_varint(&cursor->rest, &value) || value > max) {
        cursor->is_broken = true;
        return 0;
    }
    return value;
}

static struct slice
take_slice(struct cursor *cursor)
{
    uint64_t size = take(cursor, UINT32_MAX);
    if (cursor->is_broken || size > cursor->rest.size) {
        cursor->is_broken = true;
        return slice_of(NULL, 0);
    }
    struct slice slice = slice_of(cursor->rest.data, (size_t)size);
    cursor->rest.data += size;
    cursor->rest.size -= (size_t)size;
    return slice;
}

static void
write_slice(struct buffer *out, struct slice slice)
{
    write_varint(out, slice.size);
    buffer_append(out, slice.data, slice.size);
}

void
task_record_write(struct buffer *out, const struct task_record *record)
{
    const uint64_t numbers[] = {
        record->priority,
        record->attempts,
        record->deaths,
        record->hops,
        record->fence,
        /* 0: no body; else its size and one. */
        record->has_body ? record->body_bytes + 1 : 0,
        (uint64_t)record->due_at,
        (uint64_t)record->wait_ms,
        (uint64_t)record->submitted_at,
    };
    uint8_t bytes[(sizeof numbers / sizeof numbers[0]) * VARINT_BYTES_MAX];
    uint8_t *to = bytes;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        to = put_varint(to, numbers[i]);
    buffer_append(out, bytes, (size_t)(to - bytes));
    write_slice(out, record->host);
    write_varint(out, record->history_count);
    write_slice(out, record->history);
    write_slice(out, record->item);
}

enum error
task_record_read(struct slice bytes, struct task_record *ret_record)
{
    struct cursor cursor = {.rest = bytes};
    struct task_record record = {0};
    record.priority = (unsigned)take(&cursor, 9);
    record.attempts = (unsigned)take(&cursor, 255);
    record.deaths = (unsigned)take(&cursor, 255);
    record.hops = (unsigned)take(&cursor, 255);
    record.fence = take(&cursor, UINT64_MAX);
    uint64_t body = take(&cursor, UINT64_MAX);
    record.has_body = body > 0;
    record.body_bytes = body > 0 ? body - 1 : 0;
    record.due_at = (int64_t)take(&cursor, INT64_MAX);
    record.wait_ms = (int64_t)take(&cursor, INT64_MAX);
    record.submitted_at = (int64_t)take(&cursor, INT64_MAX);
    record.host = take_slice(&cursor);
    record.history_count = (unsigned)take(&cursor, HISTORY_MAX);
    record.history = take_slice(&cursor);
    record.item = take_slice(&cursor);
    if (cursor.is_broken)
        return ERROR_CORRUPT;
    *ret_record = record;
    return OK;
}

void
result_record_write_head(struct buffer *out, uint64_t sequence, int64_t recorded_at)
{
    write_varint(out, sequence);
    write_varint(out, (uint64_t)recorded_at);
}

enum error
result_record_read(struct slice bytes, struct result_record *ret_record)
{
    struct cursor cursor = {.rest = bytes};
    struct result_record record = {0};
    record.sequence = take(&cursor, UINT64_MAX);
    record.recorded_at = (int64_t)take(&cursor, INT64_MAX);
    record.blob = cursor.rest;
    if (cursor.is_broken)
        return ERROR_CORRUPT;
    *ret_record = record;
    return OK;
}

void
dead_record_write(struct buffer *out, int64_t died_at, const char *outcome,
                  const struct task_record *task)
{
    write_varint(out, (uint64_t)died_at);
    write_slice(out, slice_string(outcome));
    task_record_write(out, task);
}

enum error
dead_record_read(struct slice bytes, struct dead_record *ret_record)
{
    struct cursor cursor = {.rest = bytes};
    struct dead_record record = {0};
    record.died_at = (int64_t)take(&cursor, INT64_MAX);
    record.outcome = take_slice(&cursor);
    record.task = cursor.rest;
    if (cursor.is_broken)
        return ERROR_CORRUPT;
    *ret_record = record;
    return OK;
}

void
host_record_write(struct buffer *out, const struct host_record *record)
{
    write_varint(out, (uint64_t)record->blocked_until_at);
    write_varint(out, (uint64_t)record->blocked_ms);
    write_varint(out, record->failures);
    write_varint(out, (uint64_t)(record->gap_ms + 1));
    write_varint(out, record->done);
    write_varint(out, record->failed);
    write_varint(out, record->bytes);
}

enum error
host_record_read(struct slice bytes, struct host_record *ret_record)
{
    struct cursor cursor = {.rest = bytes};
    struct host_record record = {0};
    record.blocked_until_at = (int64_t)take(&cursor, INT64_MAX);
    record.blocked_ms = (int64_t)take(&cursor, INT64_MAX);
    record.failures = (unsigned)take(&cursor, UINT32_MAX);
    record.gap_ms = (int64_t)take(&cursor, INT64_MAX) - 1;
    record.done = take(&cursor, UINT64_MAX);
    record.failed = take(&cursor, UINT64_MAX);
    record.bytes = take(&cursor, UINT64_MAX);
    if (cursor.is_broken)
        return ERROR_CORRUPT;
    *ret_record = record;
    return OK;
}

void
task_id_format(uint32_t store_id, uint64_t sequence, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 8; i++)
        ret_text[i] = digits[store_id >> (28 - 4 * i) & 15];
    for (size_t i = 0; i < 10; i++)
        ret_text[8 + i] = digits[sequence >> (36 - 4 * i) & 15];
    ret_text[TASK_ID_BYTES] = '\0';
}

static int
hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    return -1;
}

bool
task_id_parse(uint32_t store_id, struct slice text, uint64_t *ret_sequence)
{
    if (text.size != TASK_ID_BYTES)
        return false;
    uint32_t store = 0;
    uint64_t sequence = 0;
    for (size_t i = 0; i < TASK_ID_BYTES; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0)
            return false;
        if (i < 8)
            store = store << 4 | (uint32_t)digit;
        else
            sequence = sequence << 4 | (uint64_t)digit;
    }
    if (store != store_id)
        return false;
    *ret_sequence = sequence;
    return true;
}
