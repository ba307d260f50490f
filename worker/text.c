#include "worker/text.h"

#include <string.h>

#include "common/octets.h"
#include "worker/html.h"

/* What a byte means to the text writer. */
enum byte_kind {
    BYTE_PLAIN,
    BYTE_SPACE,
    BYTE_REFERENCE,
    BYTE_ODD, /* may start one of odd_space()'s */
    BYTE_CONTROL,
};

static const uint8_t byte_kinds[256] = {
    [0x00 ... 0x08] = BYTE_CONTROL,
    ['\t'] = BYTE_SPACE,
    ['\n'] = BYTE_SPACE,
    [0x0B] = BYTE_CONTROL,
    ['\f'] = BYTE_SPACE,
    ['\r'] = BYTE_SPACE,
    [0x0E ... 0x1F] = BYTE_CONTROL,
    [' '] = BYTE_SPACE,
    ['&'] = BYTE_REFERENCE,
    [0x7F] = BYTE_CONTROL,
    [0xC2] = BYTE_ODD,
    [0xE2] = BYTE_ODD,
    [0xEF] = BYTE_ODD,
};

/* Bytes at `at` that are a space or nothing at all; 0: they are text. */
static size_t
odd_space(const uint8_t *at, size_t left, bool *ret_is_space)
{
    *ret_is_space = false;
    if (left >= 2 && at[0] == 0xC2) {
        *ret_is_space = at[1] == 0xA0;
        return at[1] == 0xA0 || at[1] == 0xAD ? 2 : 0;
    }
    if (left >= 3 && at[0] == 0xE2 && at[1] == 0x80) {
        bool is_blank = at[2] >= 0x80 && at[2] <= 0x8A; /* the typographic widths */
        bool is_line = at[2] == 0xA8 || at[2] == 0xA9 || at[2] == 0xAF;
        *ret_is_space = is_blank || is_line;
        bool is_nothing = at[2] == 0x8B || at[2] == 0x8E || at[2] == 0x8F;
        return is_blank || is_line || is_nothing ? 3 : 0;
    }
    if (left >= 3 && at[0] == 0xE2 && at[1] == 0x81 && at[2] == 0xA0) {
        return 3;
    }
    return left >= 3 && at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF ? 3 : 0;
}

static void
word_append(struct buffer *out, size_t start, bool *has_space, const uint8_t *data, size_t size)
{
    if (*has_space && out->size > start) {
        buffer_append_byte(out, ' ');
    }
    *has_space = false;
    buffer_append(out, data, size);
}

/* Decoded text that came out of one reference: it may be white space itself. */
static void
piece_append(struct buffer *out, size_t start, bool *has_space, const uint8_t *data, size_t size)
{
    bool is_space = false;
    if (byte_kinds[data[0]] == BYTE_SPACE) {
        *has_space = true;
    } else if (odd_space(data, size, &is_space) > 0) {
        *has_space = *has_space || is_space;
    } else if (byte_kinds[data[0]] != BYTE_CONTROL) {
        word_append(out, start, has_space, data, size);
    }
}

/* Copies words of ASCII with single spaces between them, eight bytes at a time, as long as there is
 * nothing else: most text. `first` is where the block begins; a space there is none. */
static uint8_t *
words_copy(uint8_t *to, const uint8_t *first, const uint8_t **at, const uint8_t *end)
{
    bool after_space = to == first || to[-1] == ' ';
    while (end - *at >= 8) {
        uint64_t word = octets_load(*at);
        uint64_t spaces = octets_equal(word, ' ');
        uint64_t others = octets_below(word, ' ') | octets_equal(word, '&') |
                          octets_equal(word, 0x7F) | (word & OCTETS_HIGH);
        uint64_t pairs = spaces & (spaces << 8 | (after_space ? OCTETS_HIGH & 0xFF : 0));
        if ((others | pairs) != 0) {
            break;
        }
        memcpy(to, *at, 8);
        to += 8;
        *at += 8;
        after_space = spaces >> 56 != 0;
    }
    return to;
}

/*
 * Copies text up to its next reference, white space collapsed, to `to`, where there is room for as
 * much and one byte more. A space waiting to be written is the last byte meanwhile.
 */
static uint8_t *
piece_collapse(uint8_t *to, const uint8_t *first, const uint8_t **position, const uint8_t *end)
{
    const uint8_t *at = *position;
    while (at < end) {
        to = words_copy(to, first, &at, end);
        const uint8_t *stop = end - at > 8 ? at + 8 : end;
        while (at < stop) {
            unsigned kind = byte_kinds[*at];
            size_t used = 1;
            bool is_space = kind == BYTE_SPACE;
            if (kind == BYTE_REFERENCE) {
                *position = at;
                return to;
            }
            if (kind == BYTE_ODD) {
                used = odd_space(at, (size_t)(end - at), &is_space);
                kind = used == 0 ? BYTE_PLAIN : BYTE_CONTROL;
                used = used == 0 ? 1 : used;
            }
            if (kind == BYTE_PLAIN) {
                *to++ = *at;
            } else if (is_space && to > first && to[-1] != ' ') {
                *to++ = ' ';
            }
            at += used;
        }
    }
    *position = at;
    return to;
}

void
text_collapse(struct buffer *out, size_t start, bool *has_space, struct slice text,
              bool is_attribute)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    while (at < end) {
        size_t size = out->size;
        uint8_t *to = buffer_extend(out, (size_t)(end - at) + 1);
        if (to == NULL) {
            return;
        }
        uint8_t *first = out->data + start;
        uint8_t *written = to;
        if (*has_space && to > first) {
            *written++ = ' ';
        }
        written = piece_collapse(written, first, &at, end);
        *has_space = written > to && written[-1] == ' ';
        out->size = size + (size_t)(written - to) - *has_space;
        if (at < end) {
            uint8_t bytes[HTML_REFERENCE_BYTES_MAX] = {'&'};
            size_t reference_size = 1;
            size_t used = html_reference(slice_of(at, (size_t)(end - at)), is_attribute, bytes,
                                         &reference_size);
            if (used > 0) {
                piece_append(out, start, has_space, bytes, reference_size);
            } else {
                word_append(out, start, has_space, at, 1);
                used = 1;
            }
            at += used;
        }
    }
}

void
text_append(struct buffer *out, struct slice text, bool is_attribute)
{
    bool has_space = false;
    text_collapse(out, out->size, &has_space, text, is_attribute);
}

bool
text_is_blank(struct slice text)
{
    size_t blank = 0;
    while (blank < text.size && byte_kinds[text.data[blank]] == BYTE_SPACE) {
        blank++;
    }
    return blank == text.size;
}

/* Lead bytes of U+3000 to U+9FFF, the kana and Han scripts: no spaces between words. */
static bool
is_dense(uint8_t byte)
{
    return byte >= 0xE3 && byte <= 0xE9;
}

struct measure {
    uint32_t length;
    uint32_t words;
    uint32_t dense;
    bool is_word; /* the last byte belongs to a word */
};

static void
bytes_measure(struct measure *measure, const uint8_t *at, const uint8_t *end)
{
    for (; at < end; at++) {
        uint8_t byte = *at;
        if ((byte & 0xC0) == 0x80) {
            continue;
        }
        measure->length++;
        if (is_dense(byte)) {
            measure->length++;
            measure->dense++;
            measure->is_word = false;
        } else if (byte <= ' ') {
            measure->is_word = false;
        } else if (!measure->is_word) {
            measure->is_word = true;
            measure->words++;
        }
    }
}

void
text_measure(struct slice text, uint32_t *ret_length, uint32_t *ret_words)
{
    struct measure measure = {0};
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    for (; end - at >= 8; at += 8) {
        uint64_t word = octets_load(at);
        if (word & OCTETS_HIGH) {
            bytes_measure(&measure, at, at + 8);
            continue;
        }
        /* A word starts where the byte before is none of a word. */
        uint64_t inside = ~octets_below(word, ' ' + 1) & OCTETS_HIGH;
        uint64_t before = inside << 8 | (measure.is_word ? OCTETS_HIGH & 0xFF : 0);
        measure.length += 8;
        measure.words += octets_count(inside & ~before);
        measure.is_word = inside >> 56 != 0;
    }
    bytes_measure(&measure, at, end);
    *ret_length = measure.length;
    *ret_words = measure.words + (measure.dense + 1) / 2;
}
