#include "common/url_writer.h"

#include <stdint.h>

/* What to do with a byte of a path or query. */
enum {
    COPY = 0,
    ENCODE_PATH = 1,  /* the URL Standard's path percent-encode set */
    ENCODE_QUERY = 2, /* its special-query percent-encode set */
    END_SEGMENT = 4,
    PERCENT = 8,
};
#define ENCODE (ENCODE_PATH | ENCODE_QUERY)

static const uint8_t actions[256] = {
    [0x00 ... 0x20] = ENCODE, ['"'] = ENCODE,       ['#'] = ENCODE,           ['%'] = PERCENT,
    ['\''] = ENCODE_QUERY,    ['/'] = END_SEGMENT,  ['<'] = ENCODE,           ['>'] = ENCODE,
    ['?'] = END_SEGMENT,      ['\\'] = END_SEGMENT, ['^'] = ENCODE_PATH,      ['`'] = ENCODE_PATH,
    ['{'] = ENCODE_PATH,      ['}'] = ENCODE_PATH,  [0x7f ... 0xff] = ENCODE,
};

static int
hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool
is_unreserved(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
           byte == '.' || byte == '_' || byte == '~';
}

static void
write_escape(struct url_writer *writer, unsigned byte)
{
    static const char digits[] = "0123456789ABCDEF";
    const char escape[3] = {'%', digits[byte >> 4 & 0xf], digits[byte & 0xf]};
    url_writer_bytes(writer, escape, sizeof escape);
}

/* Whether a hex digit written now would stand where an escape misses one. Whole escapes always
 * leave two digits, so a percent sign this close to the end began none. */
static bool
ends_in_bare_percent(const struct url_writer *writer)
{
    const char *end = writer->text + writer->size;
    if (writer->size >= 1 && end[-1] == '%') {
        return true;
    }
    return writer->size >= 2 && end[-2] == '%' && hex_value((uint8_t)end[-1]) >= 0;
}

/* One percent sign and what belongs to it; returns the bytes used. */
static size_t
write_percent(struct url_writer *writer, const uint8_t *data, size_t size)
{
    int high = size >= 3 ? hex_value(data[1]) : -1;
    int low = size >= 3 ? hex_value(data[2]) : -1;
    if (high < 0 || low < 0) {
        url_writer_byte(writer, '%');
        return 1;
    }
    uint8_t byte = (uint8_t)(high << 4 | low);
    if (is_unreserved(byte) && !(hex_value(byte) >= 0 && ends_in_bare_percent(writer))) {
        url_writer_byte(writer, (char)byte);
    } else {
        write_escape(writer, byte);
    }
    return 3;
}

size_t
url_writer_escape(struct url_writer *writer, struct slice text, enum url_part part)
{
    const uint8_t encode = part == URL_PART_SEGMENT ? ENCODE_PATH : ENCODE_QUERY;
    size_t i = 0;
    while (i < text.size && !writer->is_full) {
        size_t run = i;
        while (run < text.size && actions[text.data[run]] == COPY) {
            run++;
        }
        url_writer_bytes(writer, text.data + i, run - i);
        i = run;
        if (i == text.size) {
            break;
        }
        uint8_t action = actions[text.data[i]];
        if (action == PERCENT) {
            i += write_percent(writer, text.data + i, text.size - i);
        } else if ((action & encode) != 0) {
            write_escape(writer, text.data[i++]);
        } else if (action == END_SEGMENT && part == URL_PART_SEGMENT) {
            break;
        } else {
            url_writer_byte(writer, (char)text.data[i++]);
        }
    }
    return i;
}

void
url_writer_number(struct url_writer *writer, unsigned number)
{
    char digits[10];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    url_writer_bytes(writer, digits + sizeof digits - count, count);
}
