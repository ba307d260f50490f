/* The writing half of json.h. */
#include "common/json.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/message.h"
#include "common/utf8.h"

#define JSON_INDENT_MAX 8    /* blanks a level */
#define DOUBLE_TEXT_BYTES 32 /* "-2.2250738585072014e-308" and its end */
#define DOUBLE_DIGITS_MAX 17 /* enough for any double to come back the same */

/* ---- strings --------------------------------------------------------------------------- */

static void
append_escape(struct buffer *out, uint8_t byte)
{
    switch (byte) {
    case '"':
        buffer_append_string(out, "\\\"");
        break;
    case '\\':
        buffer_append_string(out, "\\\\");
        break;
    case '\b':
        buffer_append_string(out, "\\b");
        break;
    case '\f':
        buffer_append_string(out, "\\f");
        break;
    case '\n':
        buffer_append_string(out, "\\n");
        break;
    case '\r':
        buffer_append_string(out, "\\r");
        break;
    case '\t':
        buffer_append_string(out, "\\t");
        break;
    default:
        buffer_printf(out, "\\u%04x", byte);
        break;
    }
}

static inline bool
is_escaped(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

static void
append_escaped(struct buffer *out, const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < size) {
        size_t start = at;

        while (at < size && !is_escaped(data[at])) {
            at++;
        }
        buffer_append(out, data + start, at - start);
        if (at < size) {
            append_escape(out, data[at++]);
        }
    }
}

void
json_append_string(struct buffer *out, struct slice text)
{
    buffer_append_byte(out, '"');
    while (text.size > 0) {
        size_t good = utf8_valid_prefix(text);
        size_t bad;

        append_escaped(out, text.data, good);
        text = slice_of(text.data + good, text.size - good);
        bad = utf8_malformed_prefix(text);
        if (bad > 0) {
            utf8_append(out, slice_of(text.data, bad));
            text = slice_of(text.data + bad, text.size - bad);
        }
    }
    buffer_append_byte(out, '"');
}

/* RFC 4648, section 4, with padding. */
static void
append_base64(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t *text = buffer_extend(out, (bytes.size + 2) / 3 * 4);

    if (text == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t group = bytes.size - i < 3 ? bytes.size - i : 3;
        uint32_t bits = (uint32_t)bytes.data[i] << 16;

        if (group > 1) {
            bits |= (uint32_t)bytes.data[i + 1] << 8;
        }
        if (group > 2) {
            bits |= bytes.data[i + 2];
        }
        *text++ = (uint8_t)digits[bits >> 18];
        *text++ = (uint8_t)digits[bits >> 12 & 63];
        *text++ = (uint8_t)(group > 1 ? digits[bits >> 6 & 63] : '=');
        *text++ = (uint8_t)(group > 2 ? digits[bits & 63] : '=');
    }
}

/* ---- scalars --------------------------------------------------------------------------- */

/*
 * The fewest digits that read back as the same double. A normal double that some decimal of 15
 * digits or fewer names is printed as that decimal by %.15g; denormals have fewer digits to give,
 * so for them the search starts at one.
 */
static void
append_double(struct buffer *out, double number)
{
    char text[DOUBLE_TEXT_BYTES];

    if (!isfinite(number)) {
        buffer_append_string(out, "null");
        return;
    }
    for (int digits = fabs(number) < DBL_MIN ? 1 : DBL_DIG; digits <= DOUBLE_DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    buffer_append_string(out, text);
}

static void
append_scalar(struct buffer *out, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        buffer_append_string(out, value->boolean ? "true" : "false");
        break;
    case VALUE_UINT:
        buffer_printf(out, "%" PRIu64, value->uint);
        break;
    case VALUE_INT:
        buffer_printf(out, "%" PRId64, value->integer);
        break;
    case VALUE_DOUBLE:
        append_double(out, value->number);
        break;
    case VALUE_STRING:
        json_append_string(out, value->bytes);
        break;
    case VALUE_BINARY:
    case VALUE_EXTENSION:
        buffer_append_byte(out, '"');
        append_base64(out, value->bytes);
        buffer_append_byte(out, '"');
        break;
    default:
        buffer_append_string(out, "null");
        break;
    }
}

/* JSON knows only strings as keys: other scalars are put in quotes. */
static void
append_key(struct buffer *out, const struct value *value)
{
    bool has_quotes = value->type == VALUE_STRING || value->type == VALUE_BINARY ||
                      value->type == VALUE_EXTENSION;

    if (!has_quotes) {
        buffer_append_byte(out, '"');
    }
    append_scalar(out, value);
    if (!has_quotes) {
        buffer_append_byte(out, '"');
    }
}

/* ---- values ---------------------------------------------------------------------------- */

struct level {
    size_t left; /* values still to come */
    bool is_map;
    bool is_empty; /* nothing written yet */
};

struct writer {
    struct buffer *out;
    int indent; /* blanks a level; 0: all on one line */
    size_t depth;
    struct level levels[MESSAGE_DEPTH_MAX];
};

static inline bool
is_container(const struct value *value)
{
    return value->type == VALUE_ARRAY || value->type == VALUE_MAP;
}

static void
append_line_break(struct writer *writer)
{
    if (writer->indent > 0) {
        buffer_printf(writer->out, "\n%*s", (int)writer->depth * writer->indent, "");
    }
}

/* What stands before a value: a comma, a line break, or the colon behind its key. */
static void
append_separator(struct writer *writer, struct level *level, bool is_key)
{
    if (level->is_map && !is_key) {
        buffer_append_string(writer->out, writer->indent > 0 ? ": " : ":");
        return;
    }
    if (!level->is_empty) {
        buffer_append_byte(writer->out, ',');
    }
    level->is_empty = false;
    append_line_break(writer);
}

static bool
container_open(struct writer *writer, const struct value *value)
{
    bool is_map = value->type == VALUE_MAP;

    if (writer->depth == MESSAGE_DEPTH_MAX) {
        return false;
    }
    buffer_append_byte(writer->out, is_map ? '{' : '[');
    writer->levels[writer->depth++] = (struct level){
        .left = is_map ? value->count * 2 : value->count, .is_map = is_map, .is_empty = true};
    return true;
}

static void
containers_close(struct writer *writer)
{
    while (writer->depth > 0 && writer->levels[writer->depth - 1].left == 0) {
        const struct level *level = &writer->levels[--writer->depth];

        if (!level->is_empty) {
            append_line_break(writer);
        }
        buffer_append_byte(writer->out, level->is_map ? '}' : ']');
    }
}

static bool
append_value(struct writer *writer, const struct value *value)
{
    struct level *level = writer->depth > 0 ? &writer->levels[writer->depth - 1] : NULL;
    bool is_key = level != NULL && level->is_map && level->left % 2 == 0;

    if (value->type == VALUE_NONE || (is_key && is_container(value))) {
        return false;
    }
    if (level != NULL) {
        append_separator(writer, level, is_key);
        level->left--;
    }
    if (is_container(value)) {
        return container_open(writer, value);
    }
    if (is_key) {
        append_key(writer->out, value);
    } else {
        append_scalar(writer->out, value);
    }
    return true;
}

static enum error
message_write(struct buffer *out, struct slice bytes, int indent)
{
    struct writer writer = {.out = out, .indent = indent};
    struct reader reader;
    size_t start = out->size;
    bool is_good;

    reader_init(&reader, bytes);
    do {
        struct value value = read_value(&reader);

        is_good = append_value(&writer, &value);
        containers_close(&writer);
    } while (is_good && writer.depth > 0 && out->error == OK);
    if (out->error != OK) {
        return out->error;
    }
    if (!is_good || reader_finish(&reader) != OK) {
        out->size = start; /* half a text is of no use to anyone */
        return ERROR_PROTOCOL;
    }
    return OK;
}

enum error
json_from_message(struct buffer *out, struct slice value)
{
    return message_write(out, value, 0);
}

enum error
json_from_message_pretty(struct buffer *out, struct slice value, int indent)
{
    assert(indent >= 0 && indent <= JSON_INDENT_MAX);
    return message_write(out, value, indent);
}
