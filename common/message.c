#include "common/message.h"

#include <endian.h>
#include <math.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/utf8.h"

#define TIMESTAMP_TYPE (-1)
#define NANOSECONDS_MAX 999999999u

/* ---- first bytes ----------------------------------------------------------------------- */

/* What a first byte announces. */
struct shape {
    uint8_t type;  /* enum value_type; VALUE_NONE: the reserved byte */
    uint8_t width; /* bytes of the number or length behind the first byte */
    uint8_t mask;  /* with width 0: the bits of the first byte that are the number or length */
};

static const struct shape shapes[256] = {
    [0x00 ... 0x7f] = {VALUE_UINT, 0, 0x7f},
    [0x80 ... 0x8f] = {VALUE_MAP, 0, 0x0f},
    [0x90 ... 0x9f] = {VALUE_ARRAY, 0, 0x0f},
    [0xa0 ... 0xbf] = {VALUE_STRING, 0, 0x1f},
    [0xc0] = {VALUE_NIL, 0, 0},
    [0xc1] = {VALUE_NONE, 0, 0},
    [0xc2 ... 0xc3] = {VALUE_BOOL, 0, 0x01},
    [0xc4] = {VALUE_BINARY, 1, 0},
    [0xc5] = {VALUE_BINARY, 2, 0},
    [0xc6] = {VALUE_BINARY, 4, 0},
    [0xc7] = {VALUE_EXTENSION, 1, 0},
    [0xc8] = {VALUE_EXTENSION, 2, 0},
    [0xc9] = {VALUE_EXTENSION, 4, 0},
    [0xca] = {VALUE_DOUBLE, 4, 0},
    [0xcb] = {VALUE_DOUBLE, 8, 0},
    [0xcc] = {VALUE_UINT, 1, 0},
    [0xcd] = {VALUE_UINT, 2, 0},
    [0xce] = {VALUE_UINT, 4, 0},
    [0xcf] = {VALUE_UINT, 8, 0},
    [0xd0] = {VALUE_INT, 1, 0},
    [0xd1] = {VALUE_INT, 2, 0},
    [0xd2] = {VALUE_INT, 4, 0},
    [0xd3] = {VALUE_INT, 8, 0},
    [0xd4 ... 0xd8] = {VALUE_EXTENSION, 0, 0}, /* 1 to 16 bytes, see take_extension */
    [0xd9] = {VALUE_STRING, 1, 0},
    [0xda] = {VALUE_STRING, 2, 0},
    [0xdb] = {VALUE_STRING, 4, 0},
    [0xdc] = {VALUE_ARRAY, 2, 0},
    [0xdd] = {VALUE_ARRAY, 4, 0},
    [0xde] = {VALUE_MAP, 2, 0},
    [0xdf] = {VALUE_MAP, 4, 0},
    [0xe0 ... 0xff] = {VALUE_INT, 0, 0xff},
};

/* ---- one value ------------------------------------------------------------------------- */

static void
reader_fail(struct reader *reader)
{
    reader->error = ERROR_PROTOCOL;
    reader->position = reader->end; /* what is left is not to be believed */
}

static inline size_t
bytes_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->position);
}

/* A big-endian number of 1 to 8 bytes. */
static inline uint64_t
load_big_endian(const uint8_t *bytes, size_t width)
{
    uint64_t number = 0;

    for (size_t i = 0; i < width; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* The number behind a first byte; `left` bytes may be read. Eight bytes at once where they are
 * there: widths come in no order that a processor could learn. */
static inline uint64_t
number_behind(const uint8_t *bytes, size_t left, size_t width)
{
    uint64_t word;

    if (left < sizeof(word)) {
        return load_big_endian(bytes, width);
    }
    memcpy(&word, bytes, sizeof(word));
    return be64toh(word) >> (64 - 8 * width);
}

static inline int64_t
sign_extended(uint64_t number, size_t width)
{
    /* Width 0 is the negative fixint, the whole first byte. */
    unsigned shift = width == 0 ? 56 : (unsigned)(64 - 8 * width);

    return (int64_t)(number << shift) >> shift;
}

static double
double_of(uint64_t bits, uint8_t width)
{
    uint32_t low = (uint32_t)bits;
    float small;
    double wide;

    if (width == sizeof(small)) {
        memcpy(&small, &low, sizeof(small));
        return (double)small;
    }
    memcpy(&wide, &bits, sizeof(wide));
    return wide;
}

static inline bool
take_bytes(struct reader *reader, uint64_t size, struct slice *ret_bytes)
{
    if (size > bytes_left(reader)) {
        return false;
    }
    *ret_bytes = slice_of(reader->position, (size_t)size);
    reader->position += size;
    return true;
}

static inline bool
take_extension(struct reader *reader, uint8_t first, uint64_t size, struct value *ret_value)
{
    if (first >= 0xd4 && first <= 0xd8) {
        size = UINT64_C(1) << (first - 0xd4);
    }
    if (bytes_left(reader) == 0) {
        return false;
    }
    ret_value->extension = (int8_t)*reader->position++;
    return take_bytes(reader, size, &ret_value->bytes);
}

/* The head of the value at the position; false: cut short or reserved, nothing is to be used. */
static inline __attribute__((always_inline)) bool
take_value(struct reader *reader, struct value *ret_value)
{
    uint8_t first = *reader->position;
    struct shape shape = shapes[first];
    uint64_t number;

    if (bytes_left(reader) <= shape.width) {
        return false;
    }
    number = shape.width == 0
                 ? (uint64_t)(first & shape.mask)
                 : number_behind(reader->position + 1, bytes_left(reader) - 1, shape.width);
    reader->position += 1 + shape.width;
    ret_value->type = shape.type;
    ret_value->extension = 0;
    switch (shape.type) {
    case VALUE_NIL:
        return true;
    case VALUE_BOOL:
        ret_value->boolean = number != 0;
        return true;
    case VALUE_UINT:
        ret_value->uint = number;
        return true;
    case VALUE_INT:
        ret_value->integer = sign_extended(number, shape.width);
        if (ret_value->integer >= 0) {
            ret_value->type = VALUE_UINT; /* same bits: the union holds the same number */
        }
        return true;
    case VALUE_DOUBLE:
        ret_value->number = double_of(number, shape.width);
        return true;
    case VALUE_STRING:
    case VALUE_BINARY:
        return take_bytes(reader, number, &ret_value->bytes);
    case VALUE_ARRAY:
        ret_value->count = (size_t)number;
        return number <= bytes_left(reader);
    case VALUE_MAP:
        ret_value->count = (size_t)number;
        return number <= bytes_left(reader) / 2;
    case VALUE_EXTENSION:
        return take_extension(reader, first, number, ret_value);
    default:
        return false;
    }
}

void
reader_init(struct reader *reader, struct slice bytes)
{
    /* An empty slice may carry NULL, and arithmetic on NULL is undefined. */
    const uint8_t *start = bytes.data == NULL ? (const uint8_t *)"" : bytes.data;

    *reader = (struct reader){.position = start, .end = start + bytes.size};
}

struct value
read_value(struct reader *reader)
{
    struct value value;

    if (reader->position == reader->end) {
        return (struct value){.type = VALUE_NONE};
    }
    if (!take_value(reader, &value)) {
        reader_fail(reader);
        return (struct value){.type = VALUE_NONE};
    }
    return value;
}

/* ---- whole values ---------------------------------------------------------------------- */

void
read_skip(struct reader *reader)
{
    /* Values still to come in each open container; not zeroed by the compiler's hardening, which
     * would cost more than most skips. */
    size_t left[MESSAGE_DEPTH_MAX] __attribute__((uninitialized));
    size_t depth = 0;
    struct value value;

    for (;;) {
        if (reader->position == reader->end || !take_value(reader, &value)) {
            reader_fail(reader);
            return;
        }
        if (value.type == VALUE_ARRAY || value.type == VALUE_MAP) {
            if (depth == MESSAGE_DEPTH_MAX) {
                reader_fail(reader);
                return;
            }
            left[depth++] = value.type == VALUE_MAP ? value.count * 2 : value.count;
        }
        while (depth > 0 && left[depth - 1] == 0) {
            depth--;
        }
        if (depth == 0) {
            return;
        }
        left[depth - 1]--;
    }
}

struct slice
read_raw(struct reader *reader)
{
    const uint8_t *start = reader->position;

    read_skip(reader);
    if (reader->error != OK) {
        return slice_of(NULL, 0);
    }
    return slice_of(start, (size_t)(reader->position - start));
}

struct level {
    size_t left;      /* values still to come */
    size_t key_first; /* a map's first key in scan.keys */
    bool is_map;
};

struct scan {
    size_t depth;
    size_t elements;  /* of all containers */
    size_t key_count; /* keys of the maps that are open now */
    struct level levels[MESSAGE_DEPTH_MAX];
    uint64_t keys[MESSAGE_KEYS_MAX];
};

static bool
timestamp_is_valid(struct slice bytes)
{
    switch (bytes.size) {
    case 4:
        return true;
    case 8: /* 30 bits of nanoseconds, 34 bits of seconds */
        return load_big_endian(bytes.data, 8) >> 34 <= NANOSECONDS_MAX;
    case 12:
        return load_big_endian(bytes.data, 4) <= NANOSECONDS_MAX;
    default:
        return false;
    }
}

/* Four at a time without a branch between: the largest maps allowed would take 10 ms otherwise. */
static inline bool
keys_contain(const uint64_t *keys, size_t count, uint64_t hash)
{
    size_t i = 0;

    for (; i + 4 <= count; i += 4) {
        if ((keys[i] == hash) | (keys[i + 1] == hash) | (keys[i + 2] == hash) |
            (keys[i + 3] == hash)) {
            return true;
        }
    }
    for (; i < count; i++) {
        if (keys[i] == hash) {
            return true;
        }
    }
    return false;
}

/*
 * A key must be a str that its map has not had. Keys are compared by a 64-bit hash alone: names
 * do not collide by chance, and who makes them collide has only his own message refused.
 */
static bool
scan_key(struct scan *scan, const struct level *level, const struct value *value)
{
    uint64_t hash;

    if (value->type != VALUE_STRING || scan->key_count == MESSAGE_KEYS_MAX) {
        return false;
    }
    hash = XXH3_64bits(value->bytes.data, value->bytes.size);
    if (keys_contain(scan->keys + level->key_first, scan->key_count - level->key_first, hash)) {
        return false;
    }
    scan->keys[scan->key_count++] = hash;
    return true;
}

/* Enters a container. */
static bool
scan_open(struct scan *scan, const struct value *value)
{
    bool is_map = value->type == VALUE_MAP;

    if (scan->depth == MESSAGE_DEPTH_MAX || value->count > MESSAGE_ELEMENTS_MAX - scan->elements) {
        return false;
    }
    scan->elements += value->count;
    scan->levels[scan->depth++] = (struct level){.left = is_map ? value->count * 2 : value->count,
                                                 .key_first = scan->key_count,
                                                 .is_map = is_map};
    return true;
}

/* Leaves the containers that have all their values; true when none is open. */
static inline bool
scan_close(struct scan *scan)
{
    while (scan->depth > 0 && scan->levels[scan->depth - 1].left == 0) {
        scan->depth--;
        scan->key_count = scan->levels[scan->depth].key_first;
    }
    return scan->depth == 0;
}

static inline bool
scan_content(struct scan *scan, const struct value *value)
{
    switch (value->type) {
    case VALUE_STRING:
        return utf8_valid_prefix(value->bytes) == value->bytes.size;
    case VALUE_EXTENSION:
        return value->extension != TIMESTAMP_TYPE || timestamp_is_valid(value->bytes);
    case VALUE_ARRAY:
    case VALUE_MAP:
        return scan_open(scan, value);
    default:
        return true;
    }
}

enum error
message_scan(struct slice bytes)
{
    /* Not zeroed by the compiler's hardening: 8 KiB of keys would cost more than the scan. */
    struct scan scan __attribute__((uninitialized));
    struct reader reader; /* apart from scan, so that it lives in registers */

    reader_init(&reader, bytes);
    scan.depth = scan.elements = scan.key_count = 0;
    do {
        struct level *level = scan.depth > 0 ? &scan.levels[scan.depth - 1] : NULL;
        struct value value;

        if (reader.position == reader.end || !take_value(&reader, &value)) {
            return ERROR_PROTOCOL;
        }
        if (level != NULL) {
            if (level->is_map && level->left % 2 == 0 && !scan_key(&scan, level, &value)) {
                return ERROR_PROTOCOL;
            }
            level->left--;
        }
        if (!scan_content(&scan, &value)) {
            return ERROR_PROTOCOL;
        }
    } while (!scan_close(&scan));
    return reader.position == reader.end ? OK : ERROR_PROTOCOL;
}

/* ---- one value of a known type --------------------------------------------------------- */

uint64_t
read_uint(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type != VALUE_UINT) {
        reader_fail(reader);
        return 0;
    }
    return value.uint;
}

int64_t
read_int(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type == VALUE_INT || (value.type == VALUE_UINT && value.uint <= INT64_MAX)) {
        return value.integer;
    }
    reader_fail(reader);
    return 0;
}

double
read_double(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type == VALUE_DOUBLE && isfinite(value.number)) {
        return value.number;
    }
    if (value.type == VALUE_UINT) {
        return (double)value.uint;
    }
    if (value.type == VALUE_INT) {
        return (double)value.integer;
    }
    reader_fail(reader);
    return 0;
}

bool
read_bool(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type != VALUE_BOOL) {
        reader_fail(reader);
        return false;
    }
    return value.boolean;
}

struct slice
read_string(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type == VALUE_STRING) {
        return value.bytes;
    }
    if (value.type != VALUE_NIL) {
        reader_fail(reader);
    }
    return slice_of(NULL, 0);
}

struct slice
read_binary(struct reader *reader)
{
    struct value value = read_value(reader);

    if (value.type == VALUE_STRING || value.type == VALUE_BINARY) {
        return value.bytes;
    }
    if (value.type != VALUE_NIL) {
        reader_fail(reader);
    }
    return slice_of(NULL, 0);
}

static size_t
read_count(struct reader *reader, enum value_type type)
{
    struct value value = read_value(reader);

    if (value.type != type) {
        reader_fail(reader);
        return 0;
    }
    return value.count;
}

size_t
read_array(struct reader *reader)
{
    return read_count(reader, VALUE_ARRAY);
}

size_t
read_map(struct reader *reader)
{
    return read_count(reader, VALUE_MAP);
}

enum error
reader_finish(const struct reader *reader)
{
    if (reader->error != OK) {
        return reader->error;
    }
    return reader->position == reader->end ? OK : ERROR_PROTOCOL;
}
