/* The prescan of the HTML standard: a byte-level look for <meta charset> and its older form, by
 * the steps of "prescan a byte stream to determine its encoding". */
#include "worker/charset_table.h"

#include <string.h>
#include <strings.h>

struct scan {
    const uint8_t *position;
    const uint8_t *end;
};

struct attribute {
    struct slice name;
    struct slice value;
};

static bool
is_space(uint8_t byte)
{
    return byte == '\t' || byte == '\n' || byte == '\f' || byte == '\r' || byte == ' ';
}

static bool
is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool
starts_with(const struct scan *scan, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(scan->end - scan->position) >= size &&
           strncasecmp((const char *)scan->position, text, size) == 0;
}

static bool
equals(struct slice bytes, const char *text)
{
    return bytes.size == strlen(text) &&
           strncasecmp((const char *)bytes.data, text, bytes.size) == 0;
}

static void
skip_spaces(struct scan *scan)
{
    while (scan->position < scan->end && is_space(*scan->position)) {
        scan->position++;
    }
}

static const uint8_t *
find_text(const uint8_t *from, const uint8_t *end, const char *text)
{
    size_t size = strlen(text);
    for (; (size_t)(end - from) >= size; from++) {
        if (strncasecmp((const char *)from, text, size) == 0) {
            return from;
        }
    }
    return NULL;
}

static struct slice
quoted_value(struct scan *scan)
{
    uint8_t quote = *scan->position++;
    const uint8_t *start = scan->position;
    const uint8_t *close = memchr(start, quote, (size_t)(scan->end - start));
    if (close == NULL) {
        scan->position = scan->end;
        return slice_of(start, 0);
    }
    scan->position = close + 1;
    return slice_of(start, (size_t)(close - start));
}

/* "Get an attribute": false at the end of the tag. */
static bool
next_attribute(struct scan *scan, struct attribute *ret_attribute)
{
    while (scan->position < scan->end && (is_space(*scan->position) || *scan->position == '/')) {
        scan->position++;
    }
    if (scan->position == scan->end || *scan->position == '>') {
        return false;
    }
    const uint8_t *name = scan->position;
    while (scan->position < scan->end && !is_space(*scan->position) && *scan->position != '/' &&
           *scan->position != '>' && (*scan->position != '=' || scan->position == name)) {
        scan->position++;
    }
    struct attribute attribute = {.name = slice_of(name, (size_t)(scan->position - name))};
    skip_spaces(scan);
    if (scan->position == scan->end || *scan->position != '=') {
        *ret_attribute = attribute;
        return true;
    }
    scan->position++;
    skip_spaces(scan);
    if (scan->position < scan->end && (*scan->position == '"' || *scan->position == '\'')) {
        attribute.value = quoted_value(scan);
    } else {
        const uint8_t *value = scan->position;
        while (scan->position < scan->end && !is_space(*scan->position) && *scan->position != '>') {
            scan->position++;
        }
        attribute.value = slice_of(value, (size_t)(scan->position - value));
    }
    *ret_attribute = attribute;
    return true;
}

/* "Extract a character encoding from a meta element": the label in content="text/html; charset=".
 */
static const struct charset_encoding *
encoding_in_content(struct slice content)
{
    struct scan scan = {content.data, content.data + content.size};
    for (;;) {
        const uint8_t *found =
            content.size == 0 ? NULL : find_text(scan.position, scan.end, "charset");
        if (found == NULL) {
            return NULL;
        }
        scan.position = found + strlen("charset");
        skip_spaces(&scan);
        if (scan.position < scan.end && *scan.position == '=') {
            scan.position++;
            break;
        }
    }
    skip_spaces(&scan);
    if (scan.position == scan.end) {
        return NULL;
    }
    if (*scan.position == '"' || *scan.position == '\'') {
        struct slice label = quoted_value(&scan);
        return charset_find(label);
    }
    const uint8_t *start = scan.position;
    while (scan.position < scan.end && !is_space(*scan.position) && *scan.position != ';') {
        scan.position++;
    }
    return charset_find(slice_of(start, (size_t)(scan.position - start)));
}

/* Whoever could read the declaration as ASCII does not hold UTF-16. */
static const struct charset_encoding *
as_declared(const struct charset_encoding *encoding)
{
    if (encoding == NULL) {
        return NULL;
    }
    if (encoding->kind == CHARSET_UTF_16BE || encoding->kind == CHARSET_UTF_16LE) {
        return &charset_encodings[ENCODING_UTF_8];
    }
    if (encoding->kind == CHARSET_X_USER_DEFINED) {
        return &charset_encodings[ENCODING_WINDOWS_1252];
    }
    return encoding;
}

/* The attributes of one meta element; position is behind "<meta". */
static const struct charset_encoding *
scan_meta(struct scan *scan)
{
    enum {
        PRAGMA_UNKNOWN,
        PRAGMA_NEEDED,
        PRAGMA_NOT_NEEDED
    } pragma = PRAGMA_UNKNOWN;
    bool has_pragma = false;
    bool seen_equiv = false;
    bool seen_content = false;
    bool seen_charset = false;
    const struct charset_encoding *encoding = NULL;
    struct attribute attribute;
    while (next_attribute(scan, &attribute)) {
        if (equals(attribute.name, "http-equiv") && !seen_equiv) {
            seen_equiv = true;
            has_pragma = equals(attribute.value, "content-type");
        } else if (equals(attribute.name, "content") && !seen_content) {
            seen_content = true;
            const struct charset_encoding *found = encoding_in_content(attribute.value);
            if (found != NULL && encoding == NULL && pragma == PRAGMA_UNKNOWN) {
                encoding = found;
                pragma = PRAGMA_NEEDED;
            }
        } else if (equals(attribute.name, "charset") && !seen_charset) {
            seen_charset = true;
            encoding = charset_find(attribute.value);
            pragma = PRAGMA_NOT_NEEDED;
        }
    }
    if (scan->position == scan->end) {
        return NULL; /* cut off: its last value may be half a label */
    }
    if (pragma == PRAGMA_UNKNOWN || (pragma == PRAGMA_NEEDED && !has_pragma)) {
        return NULL;
    }
    return as_declared(encoding);
}

static void
skip_past(struct scan *scan, const uint8_t *from, const char *text)
{
    const uint8_t *found = from > scan->end ? NULL : find_text(from, scan->end, text);
    scan->position = found == NULL ? scan->end : found + strlen(text);
}

static void
skip_tag(struct scan *scan)
{
    while (scan->position < scan->end && !is_space(*scan->position) && *scan->position != '>') {
        scan->position++;
    }
    struct attribute attribute;
    while (next_attribute(scan, &attribute)) {
    }
}

static bool
is_tag(const struct scan *scan)
{
    size_t left = (size_t)(scan->end - scan->position);
    return left >= 2 && (is_letter(scan->position[1]) ||
                         (left >= 3 && scan->position[1] == '/' && is_letter(scan->position[2])));
}

static bool
is_meta(const struct scan *scan)
{
    return scan->end - scan->position > 5 && starts_with(scan, "<meta") &&
           (is_space(scan->position[5]) || scan->position[5] == '/');
}

/* "Get an XML encoding": the last resort of the prescan. */
static const struct charset_encoding *
xml_encoding(struct slice bytes)
{
    struct scan scan = {bytes.data, bytes.data + bytes.size};
    if (!starts_with(&scan, "<?xml")) {
        return NULL;
    }
    const uint8_t *close = memchr(bytes.data, '>', bytes.size);
    if (close == NULL) {
        return NULL;
    }
    scan.end = close;
    const uint8_t *found = find_text(scan.position, scan.end, "encoding");
    if (found == NULL) {
        return NULL;
    }
    scan.position = found + strlen("encoding");
    skip_spaces(&scan);
    if (scan.position == scan.end || *scan.position != '=') {
        return NULL;
    }
    scan.position++;
    skip_spaces(&scan);
    if (scan.position == scan.end || (*scan.position != '"' && *scan.position != '\'')) {
        return NULL;
    }
    return as_declared(charset_find(quoted_value(&scan)));
}

const struct charset_encoding *
charset_prescan(struct slice bytes, size_t bytes_max)
{
    if (bytes.size > bytes_max) {
        bytes.size = bytes_max;
    }
    if (bytes.size >= 6 && memcmp(bytes.data, "<\0?\0x\0", 6) == 0) {
        return &charset_encodings[ENCODING_UTF_16LE];
    }
    if (bytes.size >= 6 && memcmp(bytes.data, "\0<\0?\0x", 6) == 0) {
        return &charset_encodings[ENCODING_UTF_16BE];
    }
    struct scan scan = {bytes.data, bytes.data + bytes.size};
    while (scan.position < scan.end) {
        if (*scan.position != '<') {
            scan.position++;
        } else if (starts_with(&scan, "<!--")) {
            skip_past(&scan, scan.position + 2, "-->"); /* "<!-->" is whole */
        } else if (is_meta(&scan)) {
            scan.position += strlen("<meta");
            const struct charset_encoding *encoding = scan_meta(&scan);
            if (encoding != NULL) {
                return encoding;
            }
        } else if (is_tag(&scan)) {
            skip_tag(&scan);
        } else if (starts_with(&scan, "<!") || starts_with(&scan, "</") ||
                   starts_with(&scan, "<?")) {
            skip_past(&scan, scan.position, ">");
        } else {
            scan.position++;
        }
    }
    return xml_encoding(bytes);
}
