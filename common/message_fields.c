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
    if (key.size == 0) {
        return count;
    }
    for (size_t i = 0; i < count; i++) {
        size_t index = start + i < count ? start + i : start + i - count;

        /* The first byte tells most names apart. */
        if (names[index][0] == (char)key.data[0] && strlen(names[index]) == key.size &&
            memcmp(names[index], key.data, key.size) == 0) {
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

#define SHORT_STRING 0xa0u /* to 0xbf: a str of 0 to 31 bytes */

static inline bool
is_short_string(const struct reader *reader, size_t *ret_size)
{
    size_t left = (size_t)(reader->end - reader->position);

    if (left == 0 || (*reader->position & 0xe0u) != SHORT_STRING) {
        return false;
    }
    *ret_size = *reader->position & 0x1fu;
    return *ret_size < left;
}

/* A str; nearly all names are short. */
static inline bool
take_key(struct reader *reader, struct slice *ret_key)
{
    size_t size;

    if (is_short_string(reader, &size)) {
        *ret_key = slice_of(reader->position + 1, size);
        reader->position += 1 + size;
        return true;
    }
    struct value key = read_value(reader);

    *ret_key = key.bytes;
    return key.type == VALUE_STRING;
}

/* read_raw(), without a call for the smallest numbers and texts. */
static inline struct slice
take_raw(struct reader *reader)
{
    const uint8_t *start = reader->position;
    size_t size = 0;

    if (reader->position < reader->end && *start < 0x80) {
        reader->position++;
        return slice_of(start, 1);
    }
    if (is_short_string(reader, &size)) {
        reader->position += 1 + size;
        return slice_of(start, 1 + size);
    }
    return read_raw(reader);
}

void
read_pairs(struct reader *reader, size_t pairs, const char *const *names, struct slice *ret_fields)
{
    size_t count = names_clear(names, ret_fields);
    size_t next = 0;

    for (size_t i = 0; i < pairs && reader->error == OK; i++) {
        struct slice key;
        struct slice raw;
        size_t index;

        if (!take_key(reader, &key)) {
            ignore_error(header_fail(reader, ERROR_PROTOCOL)); /* the sticky error says it */
            break;
        }
        raw = take_raw(reader);
        index = name_find(names, count, next, key);
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

/* The one value of a field; false when it is absent or nil. Bytes behind it are an error. */
static bool
field_value(struct slice field, struct value *ret_value, enum error *error)
{
    struct reader reader;

    if (field.data == NULL) {
        return false;
    }
    reader_init(&reader, field);
    *ret_value = read_value(&reader);
    if (ret_value->type == VALUE_NIL) {
        return false;
    }
    if (reader_finish(&reader) != OK) {
        *error = ERROR_PROTOCOL;
        return false;
    }
    return true;
}

uint64_t
field_uint(struct slice field, uint64_t fallback, enum error *error)
{
    struct value value;

    if (!field_value(field, &value, error)) {
        return fallback;
    }
    if (value.type != VALUE_UINT) {
        *error = ERROR_PROTOCOL;
        return fallback;
    }
    return value.uint;
}

int64_t
field_int(struct slice field, int64_t fallback, enum error *error)
{
    struct value value;

    if (!field_value(field, &value, error)) {
        return fallback;
    }
    if (value.type != VALUE_INT && (value.type != VALUE_UINT || value.uint > INT64_MAX)) {
        *error = ERROR_PROTOCOL;
        return fallback;
    }
    return value.integer;
}

bool
field_bool(struct slice field, bool fallback, enum error *error)
{
    struct value value;

    if (!field_value(field, &value, error)) {
        return fallback;
    }
    if (value.type != VALUE_BOOL) {
        *error = ERROR_PROTOCOL;
        return fallback;
    }
    return value.boolean;
}

double
field_double(struct slice field, double fallback, enum error *error)
{
    struct value value;
    struct reader reader;
    double number;

    if (!field_value(field, &value, error)) {
        return fallback;
    }
    reader_init(&reader, field);
    number = read_double(&reader);
    if (reader.error != OK) {
        *error = ERROR_PROTOCOL;
        return fallback;
    }
    return number;
}

struct slice
field_string(struct slice field, enum error *error)
{
    struct value value;

    if (!field_value(field, &value, error)) {
        return slice_of(NULL, 0);
    }
    if (value.type != VALUE_STRING) {
        *error = ERROR_PROTOCOL;
        return slice_of(NULL, 0);
    }
    return value.bytes;
}

struct slice
field_binary(struct slice field, enum error *error)
{
    struct value value;

    if (!field_value(field, &value, error)) {
        return slice_of(NULL, 0);
    }
    if (value.type != VALUE_STRING && value.type != VALUE_BINARY) {
        *error = ERROR_PROTOCOL;
        return slice_of(NULL, 0);
    }
    return value.bytes;
}
