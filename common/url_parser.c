#include "common/url_parser.h"

#include <assert.h>
#include <string.h>

#include "common/url_host.h"

#define PORT_MAX 65535

static const char reason_scheme[] = "scheme is not http or https";
static const char reason_relative[] = "not an absolute URL";
static const char reason_userinfo[] = "user name or password in the URL";
static const char reason_backslash[] = "backslash in the authority";
static const char reason_port[] = "port is not a number from 1 to 65535";
static const char reason_file_host[] = "file URL with a host";

static const struct {
    const char *name;
    size_t size;
    uint16_t port;
} schemes[] = {
    [URL_HTTP] = {"http", 4, 80},
    [URL_HTTPS] = {"https", 5, 443},
    [URL_FILE] = {"file", 4, 0},
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

static bool
is_letter(uint8_t byte)
{
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'z';
}

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_slash(uint8_t byte)
{
    return byte == '/' || byte == '\\';
}

/* The slash `index` bytes ahead, in either direction of writing it. */
static bool
has_slash(const struct url_parser *parser, size_t index)
{
    return (size_t)(parser->end - parser->at) > index && is_slash(parser->at[index]);
}

static bool
is_drive(const uint8_t *text)
{
    return is_letter(text[0]) && (text[1] == ':' || text[1] == '|');
}

/* "Starts with a Windows drive letter" of the URL Standard. */
static bool
starts_with_drive(const struct url_parser *parser)
{
    size_t size = (size_t)(parser->end - parser->at);
    return size >= 2 && is_drive(parser->at) &&
           (size == 2 || is_slash(parser->at[2]) || parser->at[2] == '?');
}

/* Compares without case; not strncasecmp, which asks the locale. */
static bool
is_name(const uint8_t *text, size_t size, const char *name, size_t name_size)
{
    bool is_same = size == name_size;
    for (size_t i = 0; is_same && i < size; i++) {
        is_same = (text[i] | 0x20) == (uint8_t)name[i];
    }
    return is_same;
}

/* Steps over the scheme and its colon; false when the text begins with none. *ret_scheme is
 * SCHEME_COUNT for a scheme that is not ours. */
static bool
read_scheme(const uint8_t **at, const uint8_t *end, size_t *ret_scheme)
{
    const uint8_t *colon = *at;
    if (colon == end || !is_letter(*colon)) {
        return false;
    }
    while (colon < end && (is_letter(*colon) || is_digit(*colon) || *colon == '+' ||
                           *colon == '-' || *colon == '.')) {
        colon++;
    }
    if (colon == end || *colon != ':') {
        return false;
    }
    size_t size = (size_t)(colon - *at);
    size_t scheme = 0;
    while (scheme < SCHEME_COUNT &&
           !is_name(*at, size, schemes[scheme].name, schemes[scheme].size)) {
        scheme++;
    }
    *at = colon + 1;
    *ret_scheme = scheme;
    return true;
}

static void
write_scheme(struct url_parser *parser)
{
    url_writer_bytes(&parser->writer, schemes[parser->scheme].name, schemes[parser->scheme].size);
    url_writer_bytes(&parser->writer, "://", 3);
    parser->host_start = parser->writer.size;
    parser->host_size = 0;
    parser->path_start = parser->writer.size;
}

/* Takes the last segment off the path; a drive letter alone stays. */
static void
shorten_path(struct url_parser *parser)
{
    struct url_writer *writer = &parser->writer;
    const char *path = writer->text + parser->path_start;
    size_t size = writer->size - parser->path_start;
    if (size == 0) {
        return;
    }
    if (parser->scheme == URL_FILE && size == 3 && is_letter((uint8_t)path[1]) && path[2] == ':') {
        return;
    }
    const char *slash = memrchr(path, '/', size);
    assert(slash != NULL);
    writer->size = (size_t)(slash - writer->text);
}

/* One segment and its slash; true when it was the last one. */
static bool
read_segment(struct url_parser *parser)
{
    struct url_writer *writer = &parser->writer;
    size_t start = writer->size;
    url_writer_byte(writer, '/');
    struct slice rest = slice_of(parser->at, (size_t)(parser->end - parser->at));
    parser->at += url_writer_escape(writer, rest, URL_PART_SEGMENT);
    if (writer->is_full) {
        return true;
    }
    bool is_last = !has_slash(parser, 0);
    /* Judged as written: an escaped dot is a dot, and the text must parse again to itself. */
    char *segment = writer->text + start + 1;
    size_t size = writer->size - start - 1;
    if (size <= 2 && size > 0 && segment[0] == '.' && segment[size - 1] == '.') {
        writer->size = start;
        if (size == 2) {
            shorten_path(parser);
        }
        if (is_last) {
            url_writer_byte(writer, '/');
        }
    } else if (size == 2 && parser->scheme == URL_FILE && start == parser->path_start &&
               is_drive((const uint8_t *)segment)) {
        segment[1] = ':';
    }
    parser->at += is_last ? 0 : 1;
    return is_last;
}

/* The rest of the input: path segments behind those that are written, and the query. */
static void
read_path(struct url_parser *parser)
{
    while (!read_segment(parser)) {
    }
}

static void
read_query(struct url_parser *parser)
{
    if (parser->at == parser->end || parser->writer.is_full) {
        return;
    }
    assert(*parser->at == '?');
    url_writer_byte(&parser->writer, '?');
    parser->query_start = parser->writer.size;
    struct slice rest = slice_of(parser->at + 1, (size_t)(parser->end - parser->at - 1));
    parser->at += 1 + url_writer_escape(&parser->writer, rest, URL_PART_QUERY);
}

static void
read_path_start(struct url_parser *parser)
{
    if (has_slash(parser, 0)) {
        parser->at++;
    }
    read_path(parser);
}

/* What stands behind the host's colon. */
static url_reason
read_port(struct url_parser *parser, const uint8_t *at, const uint8_t *end)
{
    unsigned port = 0;
    if (at == end) {
        return NULL;
    }
    for (; at < end; at++) {
        if (!is_digit(*at)) {
            return reason_port;
        }
        port = port * 10 + (unsigned)(*at - '0');
        if (port > PORT_MAX) {
            return reason_port;
        }
    }
    if (port == 0) {
        return reason_port;
    }
    if (port != schemes[parser->scheme].port) {
        parser->port = (uint16_t)port;
        url_writer_byte(&parser->writer, ':');
        url_writer_number(&parser->writer, port);
    }
    return NULL;
}

/* The authority of http and https, then path and query. */
static url_reason
read_authority(struct url_parser *parser)
{
    const uint8_t *start = parser->at;
    const uint8_t *end = start;
    const uint8_t *colon = NULL;
    bool is_in_brackets = false;
    for (; end < parser->end && *end != '/' && *end != '?'; end++) {
        if (*end == '\\') {
            return reason_backslash;
        }
        if (*end == '@') {
            return reason_userinfo;
        }
        if (*end == '[' || *end == ']') {
            is_in_brackets = *end == '[';
        } else if (*end == ':' && !is_in_brackets && colon == NULL) {
            colon = end;
        }
    }
    write_scheme(parser);
    parser->port = schemes[parser->scheme].port;
    const uint8_t *host_end = colon != NULL ? colon : end;
    url_reason reason =
        url_host_write(&parser->writer, slice_of(start, (size_t)(host_end - start)));
    if (reason != NULL) {
        return reason;
    }
    parser->host_size = parser->writer.size - parser->host_start;
    reason = colon != NULL ? read_port(parser, colon + 1, end) : NULL;
    if (reason != NULL) {
        return reason;
    }
    parser->path_start = parser->writer.size;
    parser->at = end;
    read_path_start(parser);
    read_query(parser);
    return NULL;
}

static url_reason
skip_slashes_read_authority(struct url_parser *parser)
{
    while (has_slash(parser, 0)) {
        parser->at++;
    }
    return read_authority(parser);
}

/* Writes the base up to its authority, and the first path_bytes of its path. */
static void
write_base(struct url_parser *parser, size_t path_bytes)
{
    const struct url *base = parser->base;
    size_t path_start = (size_t)((const char *)base->path.data - base->text);
    assert(path_start <= base->size && path_bytes <= base->path.size);
    url_writer_bytes(&parser->writer, base->text, path_start + path_bytes);
    parser->port = base->port;
    parser->host_start =
        base->host.size > 0 ? (size_t)((const char *)base->host.data - base->text) : path_start;
    parser->host_size = base->host.size;
    parser->path_start = path_start;
}

/* A reference without an authority that keeps the base's path: "", "?query" or a relative path. */
static void
read_relative_path(struct url_parser *parser)
{
    const struct url *base = parser->base;
    write_base(parser, base->path.size);
    if (parser->at == parser->end) {
        if (base->query.data != NULL) {
            url_writer_byte(&parser->writer, '?');
            parser->query_start = parser->writer.size;
            url_writer_bytes(&parser->writer, base->query.data, base->query.size);
        }
        return;
    }
    if (*parser->at != '?') {
        if (parser->scheme == URL_FILE && starts_with_drive(parser)) {
            parser->writer.size = parser->path_start;
        } else {
            shorten_path(parser);
        }
        read_path(parser);
    }
    read_query(parser);
}

/* "Relative state" of the URL Standard, for http and https. */
static url_reason
read_relative(struct url_parser *parser)
{
    if (has_slash(parser, 0) && has_slash(parser, 1)) {
        return skip_slashes_read_authority(parser);
    }
    if (has_slash(parser, 0)) {
        write_base(parser, 0);
        read_path_start(parser);
        read_query(parser);
        return NULL;
    }
    read_relative_path(parser);
    return NULL;
}

/* "File host state": only an empty host and localhost, which is dropped. */
static url_reason
read_file_host(struct url_parser *parser)
{
    const uint8_t *end = parser->at;
    while (end < parser->end && !is_slash(*end) && *end != '?') {
        end++;
    }
    size_t size = (size_t)(end - parser->at);
    if (size == 2 && is_drive(parser->at)) {
        read_path(parser);
        read_query(parser);
        return NULL;
    }
    if (size > 0) {
        struct url_writer *writer = &parser->writer;
        size_t start = writer->size;
        url_reason reason = url_host_write(writer, slice_of(parser->at, size));
        if (reason != NULL) {
            return reason;
        }
        if (writer->size - start != strlen("localhost") ||
            memcmp(writer->text + start, "localhost", strlen("localhost")) != 0) {
            return reason_file_host;
        }
        writer->size = start;
        parser->at = end;
    }
    read_path_start(parser);
    read_query(parser);
    return NULL;
}

/* "File state": what stands behind "file:", or any reference against a file. */
static url_reason
read_file(struct url_parser *parser)
{
    const struct url *base = parser->base;
    if (has_slash(parser, 0) && has_slash(parser, 1)) {
        parser->at += 2;
        write_scheme(parser);
        return read_file_host(parser);
    }
    if (has_slash(parser, 0)) {
        parser->at++;
        write_scheme(parser);
        /* A path from the root stays on the base's drive. */
        if (base != NULL && !starts_with_drive(parser) && base->path.size >= 3 &&
            is_drive(base->path.data + 1) && (base->path.size == 3 || base->path.data[3] == '/')) {
            url_writer_bytes(&parser->writer, base->path.data, 3);
        }
        read_path(parser);
        read_query(parser);
        return NULL;
    }
    if (base != NULL) {
        read_relative_path(parser);
        return NULL;
    }
    write_scheme(parser);
    read_path(parser);
    read_query(parser);
    return NULL;
}

void
url_parser_init(struct url_parser *parser, const struct url *base, struct slice text)
{
    parser->base = base;
    parser->at = text.data;
    parser->end = text.data + text.size;
    parser->scheme = URL_HTTP;
    parser->port = 0;
    parser->host_start = parser->host_size = parser->path_start = 0;
    parser->query_start = URL_NO_QUERY;
    url_writer_init(&parser->writer);
}

url_reason
url_parser_read(struct url_parser *parser)
{
    const struct url *base = parser->base;
    size_t scheme;
    if (!read_scheme(&parser->at, parser->end, &scheme)) {
        if (base == NULL) {
            return reason_relative;
        }
        parser->scheme = base->scheme;
        return base->scheme == URL_FILE ? read_file(parser) : read_relative(parser);
    }
    /* A page from the network has no business with local files. */
    if (scheme == SCHEME_COUNT ||
        (scheme == URL_FILE && base != NULL && base->scheme != URL_FILE)) {
        return reason_scheme;
    }
    parser->scheme = (enum url_scheme)scheme;
    if (parser->scheme == URL_FILE) {
        return read_file(parser);
    }
    if (base != NULL && base->scheme == parser->scheme) {
        return read_relative(parser);
    }
    return skip_slashes_read_authority(parser);
}

bool
url_parser_is_foreign(const struct url_parser *parser)
{
    const uint8_t *at = parser->at;
    size_t scheme;
    return read_scheme(&at, parser->end, &scheme) && scheme == SCHEME_COUNT;
}
