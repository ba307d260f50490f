/*
 * message: msgpack on the wire and in the store: a writer, and a reader for hostile bytes.
 *
 * The writer packs with msgpack-c into a buffer. The reader is our own: it
 * walks the bytes in place, checks every length against what is left before it
 * believes it, never allocates, and keeps a sticky error so that the caller
 * checks once. msgpack-c's unpacker reserves memory for what five bytes claim
 * (reliability matrix H50), so nothing from a peer is given to it.
 *
 * Bytes from a peer pass message_scan() before anything is read from them: it alone refuses text
 * that is not UTF-8, repeated keys, keys that are no strings and impossible timestamps. The reader
 * by itself is safe on any bytes, but checks structure only.
 *
 * Bounds   MESSAGE_DEPTH_MAX nested containers; in one value (message_scan) MESSAGE_ELEMENTS_MAX
 *          elements, a pair of a map being one, and MESSAGE_KEYS_MAX keys from the outermost map
 *          to the innermost; the size of the frame.
 * Threads  none of its own; one owner.
 * Source   the msgpack specification; the reader's sticky error after ludocode/mpack.
 */
#ifndef THRESH_COMMON_MESSAGE_H
#define THRESH_COMMON_MESSAGE_H

#include "common/buffer.h"
#include "common/error.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROTOCOL_VERSION 1
#define MESSAGE_DEPTH_MAX 16
#define MESSAGE_ELEMENTS_MAX 65536
#define MESSAGE_KEYS_MAX 1024   /* keys of maps that are open at the same point of one value */
#define MESSAGE_FRAMES_MAX 1026 /* header, table, and a body for each of 1,024 items */

enum message_type {
#define MESSAGE(upper, number, sender, payload, text) MESSAGE_##upper = number,
#include "common/messages.def"
#undef MESSAGE
};

/* Who may send it. */
enum message_sender {
    MESSAGE_SENDER_ANY,
    MESSAGE_SENDER_FEEDER,
    MESSAGE_SENDER_WORKER,
    MESSAGE_SENDER_COLLECTOR,
    MESSAGE_SENDER_CLIENT,
    MESSAGE_SENDER_BROKER,
};

/* The row of a number, or false. */
bool message_type_parse(uint64_t number, enum message_type *ret_type);
const char *message_type_name(enum message_type type);
enum message_sender message_type_sender(enum message_type type);

/* ---- writer ---------------------------------------------------------------------------- */

/* All append to the buffer; errors stick there. Maps and arrays are announced by their count, and
 * the caller then writes that many elements (pairs). */
void write_nil(struct buffer *out);
void write_bool(struct buffer *out, bool value);
void write_int(struct buffer *out, int64_t value);
void write_uint(struct buffer *out, uint64_t value);
void write_double(struct buffer *out, double value);
void write_string(struct buffer *out, const char *text);
/* Text is always written as UTF-8: malformed bytes become U+FFFD. */
void write_text(struct buffer *out, struct slice text);
void write_binary(struct buffer *out, struct slice bytes);
void write_array(struct buffer *out, size_t count);
void write_map(struct buffer *out, size_t pairs);
/* A str of less than 32 bytes of ASCII: the name of a field, as a literal in the program. */
static inline void write_name(struct buffer *out, const char *name);
/* A whole value that is msgpack already. */
void write_raw(struct buffer *out, struct slice value);

/* The start of every header frame: [version, type, sequence, {pairs...}]; then write the pairs. */
void write_header(struct buffer *out, enum message_type type, uint64_t sequence, size_t pairs);

/* Inline, so that the length of the literal is known to the compiler. */
static inline void
write_name(struct buffer *out, const char *name)
{
    size_t size = strlen(name);
    uint8_t *to = buffer_extend(out, 1 + size);

    assert(size < 32);
    if (to != NULL) {
        to[0] = (uint8_t)(0xa0 | size);
        memcpy(to + 1, name, size);
    }
}

/* ---- reader ---------------------------------------------------------------------------- */

enum value_type {
    VALUE_NONE, /* at the end, or after an error */
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_UINT, /* every non-negative integer, whatever its encoding */
    VALUE_INT,  /* negative integers only */
    VALUE_DOUBLE,
    VALUE_STRING,
    VALUE_BINARY,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_EXTENSION,
};

/* One value, or the head of one: for arrays and maps `count` elements (pairs) follow. */
struct value {
    enum value_type type;
    int8_t extension; /* the type of a VALUE_EXTENSION; -1 is a timestamp */
    union {
        bool boolean;
        uint64_t uint;
        int64_t integer;
        double number;
        struct slice bytes; /* string, binary, extension: points into the message */
        size_t count;       /* array: elements; map: pairs */
    };
};

struct reader {
    const uint8_t *position;
    const uint8_t *end;
    enum error error; /* sticky: OK or ERROR_PROTOCOL */
};

/* Checks one whole value: lengths, depth, elements, keys, UTF-8, nothing left behind it.
 * ERROR_PROTOCOL when it is not well-formed msgpack within the bounds. Linear in the bytes (times
 * the keys of a map), no allocation. */
MUST_CHECK enum error message_scan(struct slice bytes);

void reader_init(struct reader *reader, struct slice bytes);

/* The next value's head; VALUE_NONE after an error or at the end. A container whose count cannot
 * fit into the bytes left is an error at once. */
struct value read_value(struct reader *reader);

/* Steps over one whole value (containers with all in them), depth-checked, without recursion. */
void read_skip(struct reader *reader);

/* Steps over one whole value and gives its bytes. */
struct slice read_raw(struct reader *reader);

/* One value of the type named; a value of another type sets the sticky error. */
uint64_t read_uint(struct reader *reader);
int64_t read_int(struct reader *reader);   /* either sign */
double read_double(struct reader *reader); /* integers too; NaN and infinities are refused */
bool read_bool(struct reader *reader);
struct slice read_string(struct reader *reader); /* str; nil gives an empty slice */
struct slice read_binary(struct reader *reader); /* bin or str; nil gives an empty slice */
size_t read_array(struct reader *reader);
size_t read_map(struct reader *reader);

/* OK, or what went wrong first; ERROR_PROTOCOL also when bytes are left over. */
MUST_CHECK enum error reader_finish(const struct reader *reader);

/* Reads a header frame up to the pairs of its map: version, type and sequence are checked
 * (ERROR_VERSION, ERROR_PROTOCOL), *ret_pairs pairs follow in the reader. */
MUST_CHECK enum error read_header(struct reader *reader, enum message_type *ret_type,
                                  uint64_t *ret_sequence, size_t *ret_pairs);

/*
 * Fields of a map are found by name with a table: the order of the pairs does not matter,
 * unknown names are skipped, the last of a repeated name counts.
 *
 *     static const char *const names[] = {"url", "kind", NULL};
 *     enum { F_URL, F_KIND, F_COUNT };
 *     struct slice fields[F_COUNT];
 *     read_fields(&reader, names, fields);       // one whole map
 *
 * fields[i] is then the raw value of names[i], or an empty slice (data NULL).
 */
void read_fields(struct reader *reader, const char *const *names, struct slice *ret_fields);
/* The same for `pairs` pairs whose map head was read already (as after read_header). */
void read_pairs(struct reader *reader, size_t pairs, const char *const *names,
                struct slice *ret_fields);

/* A field as read by read_fields; the fallback when absent or nil. A wrong type sets *error. */
uint64_t field_uint(struct slice field, uint64_t fallback, enum error *error);
int64_t field_int(struct slice field, int64_t fallback, enum error *error);
bool field_bool(struct slice field, bool fallback, enum error *error);
double field_double(struct slice field, double fallback, enum error *error);
struct slice field_string(struct slice field, enum error *error); /* empty when absent */
struct slice field_binary(struct slice field, enum error *error);

#endif
