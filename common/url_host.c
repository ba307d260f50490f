#include "common/url_host.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include <idn2.h>

/* Longest host as written: each character of a name of 253 bytes takes at most 4 in UTF-8. */
#define HOST_RAW_BYTES_MAX (4 * URL_HOST_BYTES_MAX)
#define IPV4_PARTS_MAX 4
#define IPV6_PIECES 8

static const char reason_empty[] = "empty host";
static const char reason_long[] = "host is longer than 253 bytes";
static const char reason_character[] = "character not allowed in a host";
static const char reason_percent[] = "percent sign in the authority";
static const char reason_name[] = "host is not a valid international name";
static const char reason_ipv4[] = "host ends in a number but is no IPv4 address";
static const char reason_ipv6[] = "host is not a valid IPv6 address";

/* The canonical form of an ASCII host byte; 0: forbidden (the standard's forbidden domain code
 * points); OTHER: not ASCII. */
#define OTHER 0x80
static const uint8_t host_bytes[256] = {
    ['!'] = '!',   ['"'] = '"',
    ['$'] = '$',   ['&'] = '&',
    ['\''] = '\'', ['('] = '(',
    [')'] = ')',   ['*'] = '*',
    ['+'] = '+',   [','] = ',',
    ['-'] = '-',   ['.'] = '.',
    [';'] = ';',   ['='] = '=',
    ['_'] = '_',   ['`'] = '`',
    ['{'] = '{',   ['}'] = '}',
    ['~'] = '~',   ['0'] = '0',
    ['1'] = '1',   ['2'] = '2',
    ['3'] = '3',   ['4'] = '4',
    ['5'] = '5',   ['6'] = '6',
    ['7'] = '7',   ['8'] = '8',
    ['9'] = '9',   ['A'] = 'a',
    ['B'] = 'b',   ['C'] = 'c',
    ['D'] = 'd',   ['E'] = 'e',
    ['F'] = 'f',   ['G'] = 'g',
    ['H'] = 'h',   ['I'] = 'i',
    ['J'] = 'j',   ['K'] = 'k',
    ['L'] = 'l',   ['M'] = 'm',
    ['N'] = 'n',   ['O'] = 'o',
    ['P'] = 'p',   ['Q'] = 'q',
    ['R'] = 'r',   ['S'] = 's',
    ['T'] = 't',   ['U'] = 'u',
    ['V'] = 'v',   ['W'] = 'w',
    ['X'] = 'x',   ['Y'] = 'y',
    ['Z'] = 'z',   ['a'] = 'a',
    ['b'] = 'b',   ['c'] = 'c',
    ['d'] = 'd',   ['e'] = 'e',
    ['f'] = 'f',   ['g'] = 'g',
    ['h'] = 'h',   ['i'] = 'i',
    ['j'] = 'j',   ['k'] = 'k',
    ['l'] = 'l',   ['m'] = 'm',
    ['n'] = 'n',   ['o'] = 'o',
    ['p'] = 'p',   ['q'] = 'q',
    ['r'] = 'r',   ['s'] = 's',
    ['t'] = 't',   ['u'] = 'u',
    ['v'] = 'v',   ['w'] = 'w',
    ['x'] = 'x',   ['y'] = 'y',
    ['z'] = 'z',   [0x80 ... 0xff] = OTHER,
};

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* A label in lower case, as seen by "ends in a number": digits, or 0x and hex digits. */
static bool
label_is_number(const char *label, size_t size)
{
    if (size == 0 || !is_digit(label[0])) {
        return false;
    }
    bool is_hex = size >= 2 && label[0] == '0' && label[1] == 'x';
    for (size_t i = is_hex ? 2 : 1; i < size; i++) {
        if (!is_digit(label[i]) && !(is_hex && label[i] >= 'a' && label[i] <= 'f')) {
            return false;
        }
    }
    return true;
}

static size_t
size_without_final_dot(const char *host, size_t size)
{
    return size > 0 && host[size - 1] == '.' ? size - 1 : size;
}

static bool
ends_in_number(const char *host, size_t size)
{
    size = size_without_final_dot(host, size);
    const char *dot = memrchr(host, '.', size);
    const char *label = dot != NULL ? dot + 1 : host;
    return label_is_number(label, (size_t)(host + size - label));
}

/* One part of an IPv4 address: decimal, 0 octal or 0x hexadecimal, lower case, at most 32 bits. */
static bool
ipv4_part(const char *text, size_t size, uint32_t *ret_value)
{
    unsigned base = 10;
    if (!label_is_number(text, size)) {
        return false;
    }
    if (size >= 2 && text[0] == '0') {
        base = text[1] == 'x' ? 16 : 8;
        text += base == 16 ? 2 : 1;
        size -= base == 16 ? 2 : 1;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned digit = (unsigned)(is_digit(text[i]) ? text[i] - '0' : text[i] - 'a' + 10);
        if (digit >= base) {
            return false;
        }
        value = value * base + digit;
        if (value > UINT32_MAX) {
            return false;
        }
    }
    *ret_value = (uint32_t)value;
    return true;
}

/* The last part fills all bytes that the others leave: 127.1 is 127.0.0.1. */
static bool
ipv4_parse(const char *host, size_t size, uint32_t *ret_address)
{
    size = size_without_final_dot(host, size);
    uint32_t parts[IPV4_PARTS_MAX];
    size_t count = 0;
    const char *at = host;
    const char *end = host + size;
    for (;;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        const char *part_end = dot != NULL ? dot : end;
        if (count == IPV4_PARTS_MAX || !ipv4_part(at, (size_t)(part_end - at), &parts[count])) {
            return false;
        }
        count++;
        if (dot == NULL) {
            break;
        }
        at = dot + 1;
    }
    uint32_t address = parts[count - 1];
    if (count > 1 && address >> (8 * (5 - count)) != 0) {
        return false;
    }
    for (size_t i = 0; i + 1 < count; i++) {
        if (parts[i] > 255) {
            return false;
        }
        address |= parts[i] << (8 * (3 - i));
    }
    *ret_address = address;
    return true;
}

static void
ipv4_write(struct url_writer *writer, uint32_t address)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        url_writer_number(writer, address >> shift & 0xff);
        if (shift > 0) {
            url_writer_byte(writer, '.');
        }
    }
}

static void
hex_write(struct url_writer *writer, unsigned piece)
{
    bool has_begun = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = piece >> shift & 0xf;
        has_begun = has_begun || digit != 0 || shift == 0;
        if (has_begun) {
            url_writer_byte(writer, "0123456789abcdef"[digit]);
        }
    }
}

/* The first longest run of two or more zero pieces; *ret_length 0 when there is none. */
static size_t
longest_zero_run(const unsigned pieces[IPV6_PIECES], size_t *ret_length)
{
    size_t best = 0;
    size_t best_length = 0;
    for (size_t i = 0; i < IPV6_PIECES;) {
        size_t end = i;
        while (end < IPV6_PIECES && pieces[end] == 0) {
            end++;
        }
        if (end - i >= 2 && end - i > best_length) {
            best = i;
            best_length = end - i;
        }
        i = end + 1;
    }
    *ret_length = best_length;
    return best;
}

/* RFC 5952 without the dotted tail, as the URL Standard writes it. */
static void
ipv6_write(struct url_writer *writer, const uint8_t bytes[2 * IPV6_PIECES])
{
    unsigned pieces[IPV6_PIECES];
    for (size_t i = 0; i < IPV6_PIECES; i++) {
        pieces[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    }
    size_t run_length;
    size_t run = longest_zero_run(pieces, &run_length);
    url_writer_byte(writer, '[');
    for (size_t i = 0; i < IPV6_PIECES;) {
        if (run_length > 0 && i == run) {
            url_writer_bytes(writer, "::", 2);
            i += run_length;
            continue;
        }
        hex_write(writer, pieces[i]);
        i++;
        if (i < IPV6_PIECES && !(run_length > 0 && i == run)) {
            url_writer_byte(writer, ':');
        }
    }
    url_writer_byte(writer, ']');
}

static url_reason
ipv6_host_write(struct url_writer *writer, struct slice raw)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[2 * IPV6_PIECES];
    size_t size = raw.size - 2;
    if (raw.size < 2 || raw.data[raw.size - 1] != ']' || size >= sizeof text ||
        memchr(raw.data, '\0', raw.size) != NULL) {
        return reason_ipv6;
    }
    memcpy(text, raw.data + 1, size);
    text[size] = '\0';
    if (inet_pton(AF_INET6, text, bytes) != 1) {
        return reason_ipv6;
    }
    ipv6_write(writer, bytes);
    return NULL;
}

static bool
is_ascii(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] >= OTHER) {
            return false;
        }
    }
    return true;
}

/* Appends an ASCII host in lower case. False: it has other or forbidden bytes. */
static bool
ascii_write(struct url_writer *writer, struct slice raw)
{
    for (size_t i = 0; i < raw.size; i++) {
        uint8_t byte = host_bytes[raw.data[i]];
        if (byte == 0 || byte == OTHER) {
            return false;
        }
        url_writer_byte(writer, (char)byte);
    }
    return true;
}

/* Whether a label goes as it is (apart from case) in a name that has other characters elsewhere. */
static bool
label_is_plain(const char *label, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)label[i] >= OTHER) {
            return false;
        }
    }
    return size < 4 || (label[0] | 0x20) != 'x' || (label[1] | 0x20) != 'n' || label[2] != '-' ||
           label[3] != '-';
}

/* Copies the host, ended by a NUL, and does two steps of the mapping early: full stops of other
 * scripts, as names are taken label by label, and the capital sharp s, which became a lower one in
 * Unicode 15.1 and is "ss" in older tables. */
static size_t
copy_mapped(char *copy, struct slice raw)
{
    static const struct {
        char from[4]; /* 3 bytes of UTF-8 */
        char to[3];
    } mappings[] = {{"\u3002", "."}, {"\uff0e", "."}, {"\uff61", "."}, {"\u1e9e", "\u00df"}};
    const size_t from_size = 3;
    size_t size = 0;
    for (size_t i = 0; i < raw.size;) {
        const char *mapped = NULL;
        for (size_t k = 0; k < sizeof mappings / sizeof mappings[0]; k++) {
            if (raw.size - i >= from_size && memcmp(raw.data + i, mappings[k].from, 3) == 0) {
                mapped = mappings[k].to;
            }
        }
        if (mapped == NULL) {
            copy[size++] = (char)raw.data[i++];
            continue;
        }
        memcpy(copy + size, mapped, strlen(mapped));
        size += strlen(mapped);
        i += from_size;
    }
    copy[size] = '\0';
    return size;
}

/* Whether transitional processing gives the same: no sharp s, final sigma or joiner, which it would
 * change, and no right-to-left script, whose rules libidn2 then leaves out. */
static bool
processings_agree(const uint8_t *label)
{
    static const char *const deviations[] = {"\u00df", "\u03c2", "\u200c", "\u200d"};
    for (size_t i = 0; i < sizeof deviations / sizeof deviations[0]; i++) {
        if (strstr((const char *)label, deviations[i]) != NULL) {
            return false;
        }
    }
    for (; label[0] != '\0'; label++) {
        uint8_t lead = label[0];
        uint8_t next = label[1];
        if ((lead >= 0xd6 && lead <= 0xdf) ||                   /* U+0580 to U+07FF */
            (lead == 0xe0 && next >= 0xa0 && next <= 0xa3) ||   /* U+0800 to U+08FF */
            (lead == 0xef && next >= 0xac && next <= 0xb7) ||   /* U+FB00 to U+FDFF */
            (lead == 0xef && next >= 0xb9 && next <= 0xbb) ||   /* U+FE40 to U+FEFF */
            (lead == 0xf0 && (next == 0x90 || next == 0x9e))) { /* U+10000, U+1E000 */
            return false;
        }
    }
    return true;
}

/* One label, ended by a NUL, to ASCII. */
static url_reason
label_write(struct url_writer *writer, const char *label, size_t size)
{
    if (label_is_plain(label, size)) {
        url_writer_bytes(writer, label, size);
        return NULL;
    }
    uint8_t *ascii = NULL;
    const uint8_t *text = (const uint8_t *)label;
    int result = idn2_lookup_u8(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    /* libidn2 adds the rules of IDNA 2008 to non-transitional processing, which refuses emoji and
     * other symbols that browsers resolve; where both processings agree, the other one takes them.
     */
    if (result == IDN2_DISALLOWED && processings_agree(text)) {
        result = idn2_lookup_u8(text, &ascii, IDN2_NFC_INPUT | IDN2_TRANSITIONAL);
    }
    if (result != IDN2_OK) {
        return reason_name;
    }
    url_writer_bytes(writer, ascii, strlen((const char *)ascii));
    idn2_free(ascii);
    return NULL;
}

/* UTS 46 label by label: libidn2 refuses names with empty labels, browsers do not. */
static url_reason
international_write(struct url_writer *writer, struct slice raw)
{
    char copy[HOST_RAW_BYTES_MAX + 1];
    /* Other forbidden characters are for later: "<" may become one with what follows it. */
    for (size_t i = 0; i < raw.size; i++) {
        if (raw.data[i] <= ' ' || raw.data[i] == 0x7f) {
            return reason_character;
        }
    }
    size_t size = copy_mapped(copy, raw);
    size_t start = writer->size;
    for (char *label = copy;;) {
        char *end = memchr(label, '.', (size_t)(copy + size - label));
        char *label_end = end != NULL ? end : copy + size;
        *label_end = '\0';
        url_reason reason = label_write(writer, label, (size_t)(label_end - label));
        if (reason != NULL) {
            return reason;
        }
        if (end == NULL) {
            break;
        }
        url_writer_byte(writer, '.');
        label = end + 1;
    }
    /* Mapping can bring forth forbidden characters (a full-width percent sign) and upper case. */
    struct slice ascii = slice_of(writer->text + start, writer->size - start);
    writer->size = start;
    return ascii_write(writer, ascii) ? NULL : reason_character;
}

url_reason
url_host_write(struct url_writer *writer, struct slice raw)
{
    size_t start = writer->size;
    if (raw.size == 0) {
        return reason_empty;
    }
    if (raw.size > HOST_RAW_BYTES_MAX) {
        return reason_long;
    }
    if (raw.data[0] == '[') {
        return ipv6_host_write(writer, raw);
    }
    if (!ascii_write(writer, raw)) {
        if (memchr(raw.data, '%', raw.size) != NULL) {
            return reason_percent;
        }
        if (is_ascii(raw)) {
            return reason_character;
        }
        writer->size = start;
        url_reason reason = international_write(writer, raw);
        if (reason != NULL) {
            return reason;
        }
    }
    char *host = writer->text + start;
    size_t size = writer->size - start;
    if (size == 0) {
        return reason_empty;
    }
    if (ends_in_number(host, size)) {
        uint32_t address;
        if (!ipv4_parse(host, size, &address)) {
            return reason_ipv4;
        }
        writer->size = start;
        ipv4_write(writer, address);
    } else if (size > URL_HOST_BYTES_MAX) {
        return reason_long;
    }
    return NULL;
}

bool
url_host_is_address(struct slice host)
{
    return host.size > 0 &&
           (host.data[0] == '[' || ends_in_number((const char *)host.data, host.size));
}
