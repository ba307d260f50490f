#include "common/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd"
#define ASCII_WORD UINT64_C(0x8080808080808080) /* the high bit of eight bytes */

/* What may follow a lead byte: how many bytes, and the range of the first of them. */
struct lead {
    uint8_t followers;
    uint8_t low;
    uint8_t high;
};

static struct lead
lead_of(uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf) {
        return (struct lead){1, 0x80, 0xbf};
    }
    if (byte >= 0xe0 && byte <= 0xef) {
        return (struct lead){2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
    }
    if (byte >= 0xf0 && byte <= 0xf4) {
        return (struct lead){3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
    }
    return (struct lead){0, 0, 0};
}

/* Reads one sequence of more than one byte. True: well-formed, *ret_size bytes. False: the maximal
 * subpart that cannot be continued is *ret_size bytes. */
static bool
sequence_read(const uint8_t *data, size_t size, size_t *ret_size)
{
    struct lead lead = lead_of(data[0]);

    if (lead.followers == 0) {
        *ret_size = 1;
        return false;
    }
    for (size_t i = 1; i <= lead.followers; i++) {
        if (i >= size || data[i] < lead.low || data[i] > lead.high) {
            *ret_size = i;
            return false;
        }
        lead.low = 0x80;
        lead.high = 0xbf;
    }
    *ret_size = (size_t)lead.followers + 1;
    return true;
}

/* Are all of these less than eight bytes ASCII? Names of fields are, and get here all the time. */
static inline bool
is_short_ascii(const uint8_t *data, size_t size)
{
    uint32_t first;
    uint32_t last;

    if (size < sizeof(first)) {
        return size == 0 || (data[0] | data[size / 2] | data[size - 1]) < 0x80;
    }
    memcpy(&first, data, sizeof(first));
    memcpy(&last, data + size - sizeof(last), sizeof(last));
    return ((first | last) & (uint32_t)ASCII_WORD) == 0;
}

#define ASCII_BLOCK_WORDS ((size_t)8) /* one cache line: a page is looked through in these */

/* The end of the ASCII text that starts at `at`; it may be up to seven bytes further on. */
static inline size_t
skip_ascii(struct slice text, size_t at)
{
    uint64_t words[ASCII_BLOCK_WORDS];
    uint64_t word;

    while (text.size - at >= sizeof(words)) {
        memcpy(words, text.data + at, sizeof(words));
        word =
            words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7];
        if ((word & ASCII_WORD) != 0) {
            break;
        }
        at += sizeof(words);
    }
    while (text.size - at >= sizeof(word)) {
        memcpy(&word, text.data + at, sizeof(word));
        if ((word & ASCII_WORD) != 0) {
            return at;
        }
        at += sizeof(word);
    }
    return is_short_ascii(text.data + at, text.size - at) ? text.size : at;
}

/* The size of a sequence of two or three bytes without the special cases of table 3-7, which are
 * nearly all there are; 0: look closer. */
static inline size_t
common_sequence(const uint8_t *data, size_t size)
{
    if (size >= 2 && data[0] >= 0xc2 && data[0] <= 0xdf && (data[1] & 0xc0) == 0x80) {
        return 2;
    }
    bool is_plain = size >= 3 && data[0] > 0xe0 && data[0] < 0xf0 && data[0] != 0xed;
    return is_plain && (data[1] & 0xc0) == 0x80 && (data[2] & 0xc0) == 0x80 ? 3 : 0;
}

static inline size_t
valid_prefix(struct slice text, size_t *multibyte)
{
    size_t at = skip_ascii(text, 0);

    while (at < text.size) {
        size_t step;

        if (text.data[at] < 0x80) {
            at++;
        } else if ((step = common_sequence(text.data + at, text.size - at)) > 0 ||
                   sequence_read(text.data + at, text.size - at, &step)) {
            at += step;
            ++*multibyte;
        } else {
            break;
        }
        if (at % sizeof(uint64_t) == 0) {
            at = skip_ascii(text, at);
        }
    }
    return at;
}

size_t
utf8_valid_prefix(struct slice text)
{
    size_t multibyte = 0;

    return valid_prefix(text, &multibyte);
}

size_t
utf8_valid_prefix_count(struct slice text, size_t *ret_multibyte)
{
    size_t multibyte = 0;
    size_t size = valid_prefix(text, &multibyte);

    *ret_multibyte = multibyte;
    return size;
}

size_t
utf8_malformed_prefix(struct slice text)
{
    size_t step;

    if (text.size == 0 || text.data[0] < 0x80 || sequence_read(text.data, text.size, &step)) {
        return 0;
    }
    return step;
}

void
utf8_append(struct buffer *out, struct slice text)
{
    while (text.size > 0) {
        size_t good = utf8_valid_prefix(text);
        size_t bad;

        buffer_append(out, text.data, good);
        text = slice_of(text.data + good, text.size - good);
        bad = utf8_malformed_prefix(text);
        if (bad > 0) {
            buffer_append_string(out, UTF8_REPLACEMENT);
            text = slice_of(text.data + bad, text.size - bad);
        }
    }
}
