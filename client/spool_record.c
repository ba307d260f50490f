#include "client/spool_record.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define SPOOL_VERSION 1
#define RECORD_HEAD_BYTES 12 /* length and checksum */
#define SUBMITS_START 16

static void
put_little(uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t
get_little(const uint8_t *from, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

/* Room for length and checksum; record_end() fills them in. Returns where the payload begins. */
static size_t
record_begin(struct buffer *out)
{
    (void)buffer_extend(out, RECORD_HEAD_BYTES); /* the error is sticky */
    return out->size;
}

static void
record_end(struct buffer *out, size_t start)
{
    if (buffer_error(out) != OK) {
        return;
    }
    size_t size = out->size - start;
    if (size > UINT32_MAX) {
        out->error = ERROR_TOO_LARGE;
        return;
    }
    uint8_t *head = out->data + start - RECORD_HEAD_BYTES;
    put_little(head, size, 4);
    put_little(head + 4, XXH3_64bits(out->data + start, size), 8);
}

void
spool_write_head(struct buffer *out, const uint8_t *client, uint64_t last_sequence,
                 uint64_t confirmed)
{
    size_t start = record_begin(out);
    write_array(out, 5);
    write_string(out, "head");
    write_uint(out, SPOOL_VERSION);
    write_binary(out, slice_of(client, CLIENT_ID_BYTES));
    write_uint(out, last_sequence);
    write_uint(out, confirmed);
    record_end(out, start);
}

void
spool_write_submit(struct buffer *out, const struct feeder_submit *submit)
{
    size_t start = record_begin(out);
    write_array(out, 6);
    write_string(out, "submit");
    write_uint(out, submit->sequence);
    write_uint(out, submit->replaces);
    write_array(out, submit->item_count);
    for (size_t i = 0; i < submit->item_count; i++) {
        write_uint(out, submit->tokens[i]);
    }
    write_binary(out, submit->table);
    write_array(out, submit->body_count);
    for (size_t i = 0; i < submit->body_count; i++) {
        write_binary(out, submit->bodies[i]);
    }
    record_end(out, start);
}

void
spool_write_state(struct buffer *out, uint64_t confirmed, const uint64_t *sequences, size_t count)
{
    size_t start = record_begin(out);
    write_array(out, 3);
    write_string(out, "state");
    write_uint(out, confirmed);
    write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        write_uint(out, sequences[i]);
    }
    record_end(out, start);
}

/* The next record's payload, or false at the end or where bytes do not verify. */
static bool
next_record(struct slice file, size_t *at, struct slice *ret_payload)
{
    if (file.size - *at < RECORD_HEAD_BYTES) {
        return false;
    }
    const uint8_t *head = file.data + *at;
    uint64_t size = get_little(head, 4);
    if (size == 0 || size > file.size - *at - RECORD_HEAD_BYTES) {
        return false;
    }
    const uint8_t *payload = head + RECORD_HEAD_BYTES;
    if (XXH3_64bits(payload, (size_t)size) != get_little(head + 4, 8)) {
        return false;
    }
    *ret_payload = slice_of(payload, (size_t)size);
    *at += RECORD_HEAD_BYTES + (size_t)size;
    return true;
}

static void
forget(struct spool_reading *reading, size_t index)
{
    size_t behind = reading->count - index - 1;
    memmove(&reading->submits[index], &reading->submits[index + 1],
            behind * sizeof *reading->submits);
    memmove(&reading->sequences[index], &reading->sequences[index + 1],
            behind * sizeof *reading->sequences);
    reading->count--;
}

static enum error
reserve(struct spool_reading *reading)
{
    if (reading->count < reading->capacity) {
        return OK;
    }
    size_t capacity = reading->capacity > 0 ? reading->capacity * 2 : SUBMITS_START;
    struct slice *submits = reallocarray(reading->submits, capacity, sizeof *submits);
    if (submits == NULL) {
        return ERROR_NO_MEMORY;
    }
    reading->submits = submits;
    uint64_t *sequences = reallocarray(reading->sequences, capacity, sizeof *sequences);
    if (sequences == NULL) {
        return ERROR_NO_MEMORY;
    }
    reading->sequences = sequences;
    reading->capacity = capacity;
    return OK;
}

static enum error
read_submit(struct reader *reader, struct slice payload, struct spool_reading *reading)
{
    uint64_t sequence = read_uint(reader);
    uint64_t replaces = read_uint(reader);
    if (reader->error != OK) {
        return ERROR_CORRUPT;
    }
    for (size_t i = reading->count; i-- > 0;) {
        if (reading->sequences[i] == replaces || reading->sequences[i] == sequence) {
            forget(reading, i);
        }
    }
    enum error error = reserve(reading);
    if (error != OK) {
        return error;
    }
    reading->submits[reading->count] = payload;
    reading->sequences[reading->count] = sequence;
    reading->count++;
    if (sequence > reading->last_sequence) {
        reading->last_sequence = sequence;
    }
    return OK;
}

static enum error
read_state(struct reader *reader, struct spool_reading *reading)
{
    uint64_t unanswered[FEEDER_WINDOW_MAX];
    reading->confirmed = read_uint(reader);
    size_t count = read_array(reader);
    if (reader->error != OK || count > FEEDER_WINDOW_MAX) {
        return ERROR_CORRUPT;
    }
    for (size_t i = 0; i < count; i++) {
        unanswered[i] = read_uint(reader);
    }
    for (size_t i = reading->count; i-- > 0;) {
        bool is_kept = false;
        for (size_t k = 0; k < count; k++) {
            is_kept = is_kept || unanswered[k] == reading->sequences[i];
        }
        if (!is_kept) {
            forget(reading, i);
        }
    }
    return reader_finish(reader) == OK ? OK : ERROR_CORRUPT;
}

static enum error
read_head(struct slice file, size_t *at, struct spool_reading *reading)
{
    struct slice payload;
    struct reader reader;
    if (!next_record(file, at, &payload)) {
        return ERROR_CORRUPT;
    }
    reader_init(&reader, payload);
    size_t count = read_array(&reader);
    struct slice kind = read_string(&reader);
    uint64_t version = read_uint(&reader);
    if (reader.error != OK || !slice_equal(kind, slice_string("head"))) {
        return ERROR_CORRUPT;
    }
    if (version != SPOOL_VERSION) {
        return ERROR_VERSION;
    }
    struct slice client = read_binary(&reader);
    reading->last_sequence = read_uint(&reader);
    reading->confirmed = read_uint(&reader);
    if (reader_finish(&reader) != OK || count != 5 || client.size != CLIENT_ID_BYTES) {
        return ERROR_CORRUPT;
    }
    memcpy(reading->client, client.data, CLIENT_ID_BYTES);
    return OK;
}

enum error
spool_read(struct slice file, struct spool_reading *ret_reading)
{
    struct spool_reading reading = {0};
    struct slice payload;
    size_t at = 0;
    enum error error = read_head(file, &at, &reading);
    while (error == OK && next_record(file, &at, &payload)) {
        struct reader reader;
        reader_init(&reader, payload);
        (void)read_array(&reader); /* each kind checks what it needs */
        struct slice kind = read_string(&reader);
        if (slice_equal(kind, slice_string("submit"))) {
            error = read_submit(&reader, payload, &reading);
        } else if (slice_equal(kind, slice_string("state"))) {
            error = read_state(&reader, &reading);
        } else {
            error = ERROR_CORRUPT;
        }
    }
    if (error != OK) {
        spool_reading_release(&reading);
        return error;
    }
    reading.good_size = at;
    *ret_reading = reading;
    return OK;
}

void
spool_reading_release(struct spool_reading *reading)
{
    free(reading->submits);
    free(reading->sequences);
    *reading = (struct spool_reading){0};
}

enum error
spool_restore_submit(struct slice record, struct feeder_core *core)
{
    struct slice bodies[FEEDER_BATCH_MAX];
    uint64_t tokens[FEEDER_BATCH_MAX];
    struct feeder_submit submit = {.bodies = bodies, .tokens = tokens};
    struct reader reader;
    reader_init(&reader, record);
    (void)read_array(&reader);
    (void)read_string(&reader);
    submit.sequence = read_uint(&reader);
    submit.replaces = read_uint(&reader);
    submit.item_count = read_array(&reader);
    if (submit.item_count > FEEDER_BATCH_MAX) {
        return ERROR_CORRUPT;
    }
    for (size_t i = 0; i < submit.item_count; i++) {
        tokens[i] = read_uint(&reader);
    }
    submit.table = read_binary(&reader);
    submit.body_count = read_array(&reader);
    if (submit.body_count > FEEDER_BATCH_MAX) {
        return ERROR_CORRUPT;
    }
    for (size_t i = 0; i < submit.body_count; i++) {
        bodies[i] = read_binary(&reader);
    }
    if (reader_finish(&reader) != OK) {
        return ERROR_CORRUPT;
    }
    submit.replaces = 0; /* what it replaced is gone */
    enum error error = feeder_core_restore(core, &submit);
    return error == ERROR_PROTOCOL ? ERROR_CORRUPT : error;
}
