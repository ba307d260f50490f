/*
 * Hostile bytes as a message, and as JSON text.
 *
 * A second reader, written from the msgpack specification in another way (recursive, a chain of
 * comparisons, keys compared byte by byte), must come to the verdicts of message_scan() and
 * read_skip(). What passes the scan must be readable by everything else.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/message.h"
#include "tests/fuzz/require.h"

#define TEXT_BYTES_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the second reader ----------------------------------------------------------------- */

struct model {
    const uint8_t *data;
    size_t size;
    size_t at;
    size_t elements;
    struct slice keys[MESSAGE_KEYS_MAX];
    size_t key_count;
    bool is_whole;  /* structure: what read_skip judges */
    bool is_strict; /* content and bounds: what only message_scan judges */
};

static uint64_t
model_number(struct model *model, size_t width)
{
    uint64_t number = 0;

    if (width > model->size - model->at) {
        model->is_whole = false;
        model->at = model->size;
        return 0;
    }
    for (; width > 0; width--) {
        number = number * 256 + model->data[model->at++];
    }
    return number;
}

static struct slice
model_bytes(struct model *model, uint64_t size)
{
    struct slice bytes = {model->data + model->at, 0};

    if (size > model->size - model->at) {
        model->is_whole = false;
        return bytes;
    }
    bytes.size = (size_t)size;
    model->at += bytes.size;
    return bytes;
}

/* By decoding to code points, unlike common/utf8.c. */
static bool
model_is_utf8(struct slice text)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < text.size;) {
        uint8_t lead = text.data[i++];
        size_t more = lead < 0x80 ? 0 : lead >> 5 == 6 ? 1 : lead >> 4 == 14 ? 2 : 3;
        uint32_t point = lead < 0x80 ? lead : lead & (0x3fu >> more);

        if (more == 3 && lead >> 3 != 30) {
            return false;
        }
        for (size_t k = 0; k < more; k++, i++) {
            if (i >= text.size || text.data[i] >> 6 != 2) {
                return false;
            }
            point = point << 6 | (text.data[i] & 0x3fu);
        }
        if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
            return false;
        }
    }
    return true;
}

static void
model_extension(struct model *model, uint64_t size)
{
    uint64_t type = model_number(model, 1);
    struct slice bytes = model_bytes(model, size);
    uint64_t nanoseconds = 0;

    if (!model->is_whole || type != 0xff) {
        return;
    }
    if (bytes.size == 8 || bytes.size == 12) {
        for (size_t i = 0; i < 4; i++) {
            nanoseconds = nanoseconds * 256 + bytes.data[i];
        }
        nanoseconds = bytes.size == 8 ? nanoseconds / 4 : nanoseconds;
    }
    if ((bytes.size != 4 && bytes.size != 8 && bytes.size != 12) || nanoseconds >= 1000000000) {
        model->is_strict = false;
    }
}

static struct slice
model_string(struct model *model, uint64_t size)
{
    struct slice text = model_bytes(model, size);

    if (!model_is_utf8(text)) {
        model->is_strict = false;
    }
    return text;
}

static void model_value(struct model *model, size_t depth, struct slice *ret_text);

static void
model_key(struct model *model, size_t depth, size_t key_first)
{
    struct slice key = {NULL, 0};

    model_value(model, depth, &key);
    if (key.data == NULL || model->key_count == MESSAGE_KEYS_MAX) {
        model->is_strict = false;
        return;
    }
    for (size_t i = key_first; i < model->key_count; i++) {
        if (slice_equal(model->keys[i], key)) {
            model->is_strict = false;
        }
    }
    model->keys[model->key_count++] = key;
}

static void
model_container(struct model *model, size_t depth, uint64_t count, bool is_map)
{
    size_t key_first = model->key_count;

    if (depth == MESSAGE_DEPTH_MAX || count * (is_map ? 2 : 1) > model->size - model->at) {
        model->is_whole = false;
        return;
    }
    model->elements += (size_t)count;
    for (uint64_t i = 0; i < count && model->is_whole; i++) {
        struct slice ignored;

        if (is_map) {
            model_key(model, depth + 1, key_first);
        }
        if (model->is_whole) {
            model_value(model, depth + 1, &ignored);
        }
    }
    model->key_count = key_first;
}

/* *ret_text is set for strings only. */
static void
model_value(struct model *model, size_t depth, struct slice *ret_text)
{
    uint8_t first = (uint8_t)model_number(model, 1);

    if (!model->is_whole) {
        return;
    }
    if (first == 0xc1) {
        model->is_whole = false;
    } else if (first >= 0xa0 && first <= 0xbf) {
        *ret_text = model_string(model, first - 0xa0u);
    } else if (first >= 0xd9 && first <= 0xdb) {
        *ret_text = model_string(model, model_number(model, (size_t)1 << (first - 0xd9)));
    } else if (first >= 0xc4 && first <= 0xc6) {
        model_bytes(model, model_number(model, (size_t)1 << (first - 0xc4)));
    } else if (first >= 0xc7 && first <= 0xc9) {
        model_extension(model, model_number(model, (size_t)1 << (first - 0xc7)));
    } else if (first >= 0xd4 && first <= 0xd8) {
        model_extension(model, UINT64_C(1) << (first - 0xd4));
    } else if (first == 0xca || first == 0xcb) {
        model_number(model, first == 0xca ? 4 : 8);
    } else if (first >= 0xcc && first <= 0xd3) {
        model_number(model, (size_t)1 << (first & 3));
    } else if (first >= 0x80 && first <= 0x9f) {
        model_container(model, depth, first & 15u, first < 0x90);
    } else if (first >= 0xdc && first <= 0xdf) {
        uint64_t count = model_number(model, first % 2 == 0 ? 2 : 4);

        model_container(model, depth, count, first >= 0xde);
    }
}

/* ---- the checks ------------------------------------------------------------------------ */

static bool
compare_verdicts(struct slice bytes)
{
    static struct model model;
    struct slice ignored;
    struct reader reader;
    bool is_scanned = message_scan(bytes) == OK;

    model = (struct model){.data = bytes.data, .size = bytes.size, .is_whole = true};
    model.is_strict = true;
    model_value(&model, 0, &ignored);
    reader_init(&reader, bytes);
    read_skip(&reader);
    require((reader.error == OK) == model.is_whole);
    require(!model.is_whole || reader.position == bytes.data + model.at);
    require(is_scanned == (model.is_whole && model.is_strict && model.at == bytes.size &&
                           model.elements <= MESSAGE_ELEMENTS_MAX));
    return is_scanned;
}

/* Nothing may be lost on the way to JSON and back but what JSON cannot say. */
static void
convert(struct slice bytes, bool is_scanned)
{
    struct buffer text;
    struct buffer message;
    enum error error;

    buffer_init(&text, TEXT_BYTES_MAX);
    buffer_init(&message, TEXT_BYTES_MAX);
    error = json_from_message(&text, bytes);
    require(!is_scanned || error == OK || error == ERROR_TOO_LARGE);
    if (error == OK) {
        require(memchr(text.data, '\n', text.size) == NULL);
        if (json_to_message(&message, buffer_slice(&text), NULL) == OK) {
            require(message_scan(buffer_slice(&message)) == OK);
        }
    }
    buffer_clear(&message);
    if (json_to_message(&message, bytes, NULL) == OK) {
        require(message_scan(buffer_slice(&message)) == OK);
    }
    buffer_release(&message);
    buffer_release(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"items", "url", "a", "key", NULL};
    struct slice bytes = slice_of(data, size);
    struct slice fields[4];
    struct reader reader;
    enum message_type type;
    uint64_t sequence;
    size_t pairs;
    enum error error = OK;
    bool is_scanned = size > 0 && compare_verdicts(bytes);

    reader_init(&reader, bytes);
    while (read_value(&reader).type != VALUE_NONE) {
    }
    reader_init(&reader, bytes);
    read_fields(&reader, names, fields);
    for (size_t i = 0; i < 4; i++) {
        require(fields[i].data == NULL || reader.error == OK);
        field_uint(fields[i], 0, &error);
        field_int(fields[i], 0, &error);
        field_bool(fields[i], false, &error);
        field_double(fields[i], 0, &error);
        field_string(fields[i], &error);
        field_binary(fields[i], &error);
    }
    reader_init(&reader, bytes);
    if (read_header(&reader, &type, &sequence, &pairs) == OK) {
        read_pairs(&reader, pairs, names, fields);
        require(!is_scanned || reader_finish(&reader) == OK);
    }
    convert(bytes, is_scanned);
    return 0;
}
