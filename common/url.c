#include "common/url.h"

#include <assert.h>
#include <string.h>

#include "common/url_parser.h"

static const char reason_long[] = "longer than 2048 bytes";

/* Copies only what is used, and points the slices into the copy. */
static void
finish(struct url_parser *parser, struct url *ret_url)
{
    size_t size = parser->writer.size;
    bool has_query = parser->query_start != URL_NO_QUERY;
    size_t path_end = has_query ? parser->query_start - 1 : size;
    assert(size <= URL_BYTES_MAX && parser->path_start < path_end);
    memcpy(ret_url->text, parser->writer.text, size);
    ret_url->text[size] = '\0';
    ret_url->size = size;
    ret_url->scheme = parser->scheme;
    ret_url->port = parser->port;
    ret_url->host = slice_of(ret_url->text + parser->host_start, parser->host_size);
    ret_url->path = slice_of(ret_url->text + parser->path_start, path_end - parser->path_start);
    ret_url->query = has_query
                         ? slice_of(ret_url->text + parser->query_start, size - parser->query_start)
                         : slice_of(NULL, 0);
}

/* Text without tabs, newlines, fragment and blanks around. */
static enum error
parse_clean(const struct url *base, struct slice text, struct url *ret_url, url_reason *ret_reason)
{
    struct url_parser parser UNINITIALIZED; /* 2 KB of text */
    url_reason reason = NULL;
    url_parser_init(&parser, base, text);
    /* A long data: URL is refused by its scheme, which says more. */
    if (text.size <= URL_INPUT_BYTES_MAX || url_parser_is_foreign(&parser)) {
        reason = url_parser_read(&parser);
    } else {
        reason = reason_long;
    }
    if (reason == NULL && parser.writer.is_full) {
        reason = reason_long;
    }
    if (reason != NULL) {
        *ret_reason = reason;
        return ERROR_INVALID;
    }
    finish(&parser, ret_url);
    return OK;
}

/* Tabs and newlines are dropped wherever they stand, as browsers do. */
static enum error
parse_stripped(const struct url *base, struct slice text, struct url *ret_url,
               url_reason *ret_reason)
{
    uint8_t copy[URL_INPUT_BYTES_MAX + 1] UNINITIALIZED;
    size_t size = 0;
    for (size_t i = 0; i < text.size && size < sizeof copy; i++) {
        uint8_t byte = text.data[i];
        if (byte != '\t' && byte != '\n' && byte != '\r') {
            copy[size++] = byte;
        }
    }
    return parse_clean(base, slice_of(copy, size), ret_url, ret_reason);
}

static enum error
parse(const struct url *base, struct slice text, struct url *ret_url, url_reason *ret_reason)
{
    while (text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    while (text.size > 0 && text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    if (text.size == 0) {
        return parse_clean(base, slice_of("", 0), ret_url, ret_reason);
    }
    const uint8_t *fragment = memchr(text.data, '#', text.size);
    if (fragment != NULL) {
        text.size = (size_t)(fragment - text.data);
    }
    if (memchr(text.data, '\t', text.size) != NULL || memchr(text.data, '\n', text.size) != NULL ||
        memchr(text.data, '\r', text.size) != NULL) {
        return parse_stripped(base, text, ret_url, ret_reason);
    }
    return parse_clean(base, text, ret_url, ret_reason);
}

enum error
url_parse(struct slice text, struct url *ret_url, url_reason *ret_reason)
{
    return parse(NULL, text, ret_url, ret_reason);
}

enum error
url_resolve(const struct url *base, struct slice reference, struct url *ret_url,
            url_reason *ret_reason)
{
    assert(base != NULL && base->size > 0 && base->path.size > 0);
    return parse(base, reference, ret_url, ret_reason);
}
