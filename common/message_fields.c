/* The parts of message.h that know names: header frames and maps with known fields. */
#include "common/message.h"

#include <string.h>

#define HEADER_ELEMENTS 4 /* version, type, sequence, map */

static enum error
header_fail(struct reader *reader, enum error error)
{
    reader->error = ERROR_PROTOCOL;
    reader->position = reader->end;
    return error;
}

enum error
read_header(struct reader *reader, enum message_type *ret_type, uint64_t *ret_sequence,
            size_t *ret_pairs)
{
    size_t count = read_array(reader);
    uint64_t version = read_uint(reader);
    uint64_t number;
    uint64_t sequence;
    size_t pairs;
    enum message_type type;

    /* The version first: another one may have another number of elements. */
    if (reader->error == OK && count > 0 && version != PROTOCOL_VERSION) {
        return header_fail(reader, ERROR_VERSION);
    }
    number = read_uint(reader);
    sequence = read_uint(reader);
    pairs = read_map(reader);
    if (reader->error != OK || count != HEADER_ELEMENTS || !message_type_parse(number, &type)) {
        return header_fail(reader, ERROR_PROTOCOL);
    }
    *ret_type = type;
    *ret_sequence = sequence;
    *ret_pairs = pairs;
    return OK;
}

/* The index of a name, or count. Writers keep one order, so the search starts behind the last
 * find and usually compares once. */
static size_t
name_find(const char *const *names, size_t count, size_t start, struct slice key)
{
    for (size_t i = 0; i < count; i++) {
        size_t index = start + i < count ? start + i : start + i - count;

        if (strlen(names[index]) == key.size && memcmp(names[index], key.data, key.size) == 0) {
            return index;
        }
    }
    return count;
}

static size_t
names_clear(const char *const *names, struct slice *ret_fields)
{
    size_t count = 0;

    for (; names[count] != NULL; count++) {
        ret_fields[count] = slice_of(NULL, 0);
    }
    return count;
}

void
read_pairs(struct reader *reader, size_t pairs, const char *const *names, struct slice *ret_fields)
{
    size_t count = names_clear(names, ret_fields);
    size_t next = 0;

    for (size_t i = 0; i < pairs && reader->error == OK; i++) {
        struct value key = read_value(reader);
        struct slice raw = read_raw(reader);
        size_t index;

        if (key.type != VALUE_STRING) {
            ignore_error(header_fail(reader, ERROR_PROTOCOL)); /* the sticky error says it */
            break;
        }
        index = name_find(names, count, next, key.bytes);
        if (index < count) {
            ret_fields[index] = raw;
            next = index + 1;
        }
    }
    if (reader->error != OK) {
        names_clear(names, ret_fields); /* nobody shall act on half a map */
    }
}

void
read_fields(struct reader *reader, const char *const *names, struct slice *ret_fields)
{
    size_t pairs = read_map(reader);

    read_pairs(reader, pairs, names, ret_fields);
}

/* ---- fields ---------------------------------------------------------------------------- */

/* The reader for one field; false when it is absent or nil. */
static bool
field_open(struct slice field, struct reader *ret_reader)
{
    struct reader reader;

    if (field.data == NULL) {
        return false;
    }
    reader_init(&reader, field);
    if (read_value(&reader).type == VALUE_NIL) {
        return false;
    }
    reader_init(ret_reader, field);
    return true;
}

static bool
field_close(const struct reader *reader, enum error *error)
{
    if (reader_finish(reader) != OK) {
        *error = ERROR_PROTOCOL;
        return false;
    }
    return true;
}

uint64_t
field_uint(struct slice field, uint64_t fallback, enum error *error)
{
    struct reader reader;
    uint64_t value;

    if (!field_open(field, &reader)) {
        return fallback;
    }
    value = read_uint(&reader);
    return field_close(&reader, error) ? value : fallback;
}

int64_t
field_int(struct slice field, int64_t fallback, enum error *error)
{
    struct reader reader;
    int64_t value;

    if (!field_open(field, &reader)) {
        return fallback;
    }
    value = read_int(&reader);
    return field_close(&reader, error) ? value : fallback;
}

bool
field_bool(struct slice field, bool fallback, enum error *error)
{
    struct reader reader;
    bool value;

    if (!field_open(field, &reader)) {
        return fallback;
    }
    value = read_bool(&reader);
    return field_close(&reader, error) ? value : fallback;
}

double
field_double(struct slice field, double fallback, enum error *error)
{
    struct reader reader;
    double value;

    if (!field_open(field, &reader)) {
        return fallback;
    }
    value = read_double(&reader);
    return field_close(&reader, error) ? value : fallback;
}

struct slice
field_string(struct slice field, enum error *error)
{
    struct reader reader;
    struct slice value;

    if (!field_open(field, &reader)) {
        return slice_of(NULL, 0);
    }
    value = read_string(&reader);
    return field_close(&reader, error) ? value : slice_of(NULL, 0);
}

struct slice
field_binary(struct slice field, enum error *error)
{
    struct reader reader;
    struct slice value;

    if (!field_open(field, &reader)) {
        return slice_of(NULL, 0);
    }
    value = read_binary(&reader);
    return field_close(&reader, error) ? value : slice_of(NULL, 0);
}
