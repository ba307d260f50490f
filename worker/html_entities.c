#include "worker/html.h"

#include <string.h>

struct entity {
    uint16_t name; /* offset in entity_names */
    uint8_t name_size;
    uint8_t is_legacy;
    uint32_t first;
    uint32_t second; /* 0: one code point only */
};

#include "worker/html_entities_table.h"

#define ENTITY_COUNT (sizeof entities / sizeof entities[0])
#define ENTITY_NAME_BYTES_MAX 31
#define ENTITY_LEGACY_BYTES_MAX 6

/* What the numbers 0x80 to 0x9F mean: windows-1252, since that is what their authors had. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178,
};

static size_t
utf8_write(uint32_t code, uint8_t *out)
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xC0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xE0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (code & 0x3F));
    return 4;
}

static bool
is_alphanumeric(uint8_t byte)
{
    uint8_t lower = (uint8_t)(byte | 0x20);
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z');
}

static const struct entity *
entity_find(const uint8_t *name, size_t size)
{
    size_t low = 0;
    size_t high = ENTITY_COUNT;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct entity *entity = &entities[middle];
        size_t common = size < entity->name_size ? size : entity->name_size;
        int order = memcmp(name, entity_names + entity->name, common);
        if (order == 0) {
            if (size == entity->name_size) {
                return entity;
            }
            order = size < entity->name_size ? -1 : 1;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static int
digit_value(uint8_t byte, bool is_hexadecimal)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    uint8_t lower = (uint8_t)(byte | 0x20);
    if (is_hexadecimal && lower >= 'a' && lower <= 'f') {
        return lower - 'a' + 10;
    }
    return -1;
}

static size_t
number_reference(struct slice text, uint8_t *ret_bytes, size_t *ret_size)
{
    size_t at = 2;
    bool is_hexadecimal = at < text.size && (text.data[at] | 0x20) == 'x';
    at += is_hexadecimal;
    size_t first = at;
    uint32_t code = 0;
    for (; at < text.size; at++) {
        int digit = digit_value(text.data[at], is_hexadecimal);
        if (digit < 0) {
            break;
        }
        /* Past the last code point the value no longer matters, only that it is too large. */
        if (code <= 0x10FFFF) {
            code = code * (is_hexadecimal ? 16 : 10) + (uint32_t)digit;
        }
    }
    if (at == first) {
        return 0;
    }
    if (at < text.size && text.data[at] == ';') {
        at++;
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        code = 0xFFFD;
    } else if (code >= 0x80 && code < 0xA0) {
        code = windows_1252[code - 0x80];
    }
    *ret_size = utf8_write(code, ret_bytes);
    return at;
}

static size_t
entity_write(const struct entity *entity, uint8_t *ret_bytes)
{
    size_t size = utf8_write(entity->first, ret_bytes);
    if (entity->second != 0) {
        size += utf8_write(entity->second, ret_bytes + size);
    }
    return size;
}

size_t
html_reference(struct slice text, bool is_attribute, uint8_t ret_bytes[HTML_REFERENCE_BYTES_MAX],
               size_t *ret_size)
{
    if (text.size < 3) {
        return 0;
    }
    if (text.data[1] == '#') {
        return number_reference(text, ret_bytes, ret_size);
    }
    const uint8_t *name = text.data + 1;
    size_t left = text.size - 1;
    size_t size = 0;
    while (size < left && size <= ENTITY_NAME_BYTES_MAX && is_alphanumeric(name[size])) {
        size++;
    }
    if (size < left && name[size] == ';') {
        const struct entity *entity = entity_find(name, size);
        if (entity != NULL) {
            *ret_size = entity_write(entity, ret_bytes);
            return size + 2;
        }
    }
    /* Without its semicolon: the longest of the old names that starts here. */
    size_t longest = size < ENTITY_LEGACY_BYTES_MAX ? size : ENTITY_LEGACY_BYTES_MAX;
    for (size_t i = longest; i >= 2; i--) {
        const struct entity *entity = entity_find(name, i);
        if (entity == NULL || !entity->is_legacy) {
            continue;
        }
        if (is_attribute && i < left && (name[i] == '=' || is_alphanumeric(name[i]))) {
            return 0;
        }
        *ret_size = entity_write(entity, ret_bytes);
        return i + 1;
    }
    return 0;
}

void
html_decode(struct buffer *out, struct slice text, bool is_attribute)
{
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    while (at < end) {
        const uint8_t *mark = memchr(at, '&', (size_t)(end - at));
        if (mark == NULL) {
            break;
        }
        buffer_append(out, at, (size_t)(mark - at));
        uint8_t bytes[HTML_REFERENCE_BYTES_MAX];
        size_t size = 0;
        size_t used =
            html_reference(slice_of(mark, (size_t)(end - mark)), is_attribute, bytes, &size);
        if (used == 0) {
            bytes[0] = '&';
            size = used = 1;
        }
        buffer_append(out, bytes, size);
        at = mark + used;
    }
    if (at < end) {
        buffer_append(out, at, (size_t)(end - at));
    }
}
