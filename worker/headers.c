#include "worker/headers.h"

#include <string.h>

#include "common/message.h"
#include "common/utf8.h"

#define STATUS_DIGITS 3
#define STATUS_FINAL 200 /* below it the answer is interim */

void
headers_init(struct headers *headers, size_t bytes_max)
{
    memset(headers, 0, sizeof *headers);
    buffer_init(&headers->text, bytes_max);
}

void
headers_release(struct headers *headers)
{
    buffer_release(&headers->text);
}

/* Forgets the answer, but not what counts towards the bounds. */
static void
forget_answer(struct headers *headers)
{
    buffer_clear(&headers->text);
    headers->count = 0;
    headers->status = 0;
    headers->is_whole = false;
}

void
headers_clear(struct headers *headers)
{
    forget_answer(headers);
    headers->bytes = 0;
    headers->line_count = 0;
}

static struct slice
without_line_end(struct slice line)
{
    if (line.size > 0 && line.data[line.size - 1] == '\n') {
        line.size--;
    }
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    return line;
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice
trimmed(struct slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = slice_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

static bool
has_byte(struct slice text, int byte)
{
    return text.size > 0 && memchr(text.data, byte, text.size) != NULL;
}

static bool
is_status_line(struct slice line)
{
    return line.size > 5 && memcmp(line.data, "HTTP/", 5) == 0;
}

/* libcurl has checked the line's form; what is read here only tells interim from final. */
static int
status_of(struct slice line)
{
    const uint8_t *blank = memchr(line.data, ' ', line.size);
    int status = 0;

    if (blank == NULL || (size_t)(line.data + line.size - blank) < STATUS_DIGITS + 1) {
        return 0;
    }
    for (int i = 1; i <= STATUS_DIGITS; i++) {
        if (blank[i] < '0' || blank[i] > '9') {
            return 0;
        }
        status = status * 10 + (blank[i] - '0');
    }
    return status;
}

static struct slice
name_of(const struct headers *headers, size_t index)
{
    const struct header_line *line = &headers->lines[index];

    return slice_of(headers->text.data + line->name_at, line->name_size);
}

static struct slice
value_of(const struct headers *headers, size_t index)
{
    const struct header_line *line = &headers->lines[index];

    return slice_of(headers->text.data + line->value_at, line->value_size);
}

struct slice
headers_get(const struct headers *headers, const char *name)
{
    struct slice wanted = slice_string(name);

    for (size_t i = 0; i < headers->count; i++) {
        if (slice_equal(name_of(headers, i), wanted)) {
            return value_of(headers, i);
        }
    }
    return slice_of(NULL, 0);
}

/* tchar of RFC 9110. */
static bool
is_token_byte(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool
is_token(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!is_token_byte(name.data[i])) {
            return false;
        }
    }
    return name.size > 0;
}

static void
append_lower(struct buffer *text, struct slice name)
{
    uint8_t *at = buffer_extend(text, name.size);

    for (size_t i = 0; at != NULL && i < name.size; i++) {
        uint8_t byte = name.data[i];
        at[i] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
    }
}

/* Is there an earlier line of this name with another value? Proxies and servers that disagree on
 * which one counts are how answers are smuggled. */
static bool
contradicts(const struct headers *headers, size_t newest, const char *name)
{
    if (!slice_equal(name_of(headers, newest), slice_string(name))) {
        return false;
    }
    for (size_t i = 0; i < newest; i++) {
        if (slice_equal(name_of(headers, i), name_of(headers, newest)) &&
            !slice_equal(value_of(headers, i), value_of(headers, newest))) {
            return true;
        }
    }
    return false;
}

static enum headers_verdict
add_field(struct headers *headers, struct slice name, struct slice value, const char **ret_reason)
{
    struct header_line *line = &headers->lines[headers->count];

    line->name_at = (uint32_t)headers->text.size;
    line->name_size = (uint32_t)name.size;
    append_lower(&headers->text, name);
    line->value_at = (uint32_t)headers->text.size;
    line->value_size = (uint32_t)value.size;
    buffer_append(&headers->text, value.data, value.size);
    if (buffer_error(&headers->text) != OK) {
        *ret_reason = "header larger than the limit";
        return HEADERS_TOO_LARGE;
    }
    if (contradicts(headers, headers->count, "content-length")) {
        *ret_reason = "two different content-length headers";
        return HEADERS_BAD;
    }
    if (contradicts(headers, headers->count, "location")) {
        *ret_reason = "two different location headers";
        return HEADERS_BAD;
    }
    headers->count++;
    return HEADERS_GOOD;
}

static enum headers_verdict
add_line(struct headers *headers, struct slice line, const char **ret_reason)
{
    if (has_byte(line, '\r') || has_byte(line, '\0')) {
        *ret_reason = "a control character in a header";
        return HEADERS_BAD;
    }
    if (is_blank(line.data[0])) {
        *ret_reason = "a folded header line";
        return HEADERS_BAD;
    }
    const uint8_t *colon = memchr(line.data, ':', line.size);
    if (colon == NULL || colon == line.data) {
        *ret_reason = "a header line without a name";
        return HEADERS_BAD;
    }
    struct slice name = slice_of(line.data, (size_t)(colon - line.data));
    if (!is_token(name)) {
        /* "Content-Length : 5" must not be taken for the real one, and real servers send blanks in
         * names of their own: dropped, not refused. */
        return HEADERS_GOOD;
    }
    struct slice value = trimmed(slice_of(colon + 1, line.size - name.size - 1));
    return add_field(headers, name, value, ret_reason);
}

enum headers_verdict
headers_add(struct headers *headers, struct slice line, const char **ret_reason)
{
    headers->bytes += line.size;
    headers->line_count++;
    if (headers->bytes > headers->text.bytes_max || headers->line_count > HEADERS_LINES_MAX) {
        *ret_reason = "header larger than the limit";
        return HEADERS_TOO_LARGE;
    }
    line = without_line_end(line);
    if (headers->is_whole) {
        return HEADERS_GOOD; /* a trailer */
    }
    if (is_status_line(line)) {
        forget_answer(headers);
        headers->status = status_of(line);
        return HEADERS_GOOD;
    }
    if (line.size == 0) {
        headers->is_whole = headers->status >= STATUS_FINAL;
        return HEADERS_GOOD;
    }
    return add_line(headers, line, ret_reason);
}

/* ---- writing --------------------------------------------------------------------------- */

static bool
is_first_of_name(const struct headers *headers, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (slice_equal(name_of(headers, i), name_of(headers, index))) {
            return false;
        }
    }
    return true;
}

static void
append_latin1(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x80) {
            buffer_append_byte(out, text.data[i]);
        } else {
            buffer_append_byte(out, (uint8_t)(0xc0 | text.data[i] >> 6));
            buffer_append_byte(out, (uint8_t)(0x80 | (text.data[i] & 0x3f)));
        }
    }
}

static void
append_value(struct buffer *out, struct slice value)
{
    if (utf8_valid_prefix(value) == value.size) {
        buffer_append(out, value.data, value.size);
    } else {
        append_latin1(out, value);
    }
}

/* All values under the name of line `first`, joined. */
static void
append_joined(const struct headers *headers, size_t first, struct buffer *joined)
{
    buffer_clear(joined);
    append_value(joined, value_of(headers, first));
    for (size_t i = first + 1; i < headers->count; i++) {
        if (slice_equal(name_of(headers, i), name_of(headers, first))) {
            buffer_append_string(joined, ", ");
            append_value(joined, value_of(headers, i));
        }
    }
}

void
headers_write(const struct headers *headers, struct buffer *out)
{
    struct buffer joined;
    size_t names = 0;

    for (size_t i = 0; i < headers->count; i++) {
        names += is_first_of_name(headers, i) ? 1 : 0;
    }
    write_map(out, names);
    /* ISO-8859-1 doubles at most, and each line may add a comma and a blank. */
    buffer_init(&joined, headers->text.bytes_max * 2 + HEADERS_LINES_MAX * 2);
    for (size_t i = 0; i < headers->count; i++) {
        if (!is_first_of_name(headers, i)) {
            continue;
        }
        append_joined(headers, i, &joined);
        write_text(out, name_of(headers, i));
        write_text(out, buffer_slice(&joined));
    }
    if (buffer_error(&joined) != OK && out->error == OK) {
        out->error = buffer_error(&joined);
    }
    buffer_release(&joined);
}
