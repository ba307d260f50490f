/* Documents from files: their bytes, their file:// URL and their type by suffix. */
#include "client/input_source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/file.h"

#define URL_TEXT_BYTES_MAX ((size_t)PATH_MAX * 3 + 16) /* every byte as %XX */

struct type_row {
    const char *suffix;
    const char *content_type;
};

static const struct type_row types[] = {
    {".html", "text/html"},
    {".htm", "text/html"},
    {".xhtml", "application/xhtml+xml"},
    {".txt", "text/plain"},
    {".text", "text/plain"},
    {".md", "text/markdown"},
    {".markdown", "text/markdown"},
    {".csv", "text/csv"},
    {".json", "application/json"},
    {".xml", "application/xml"},
    {".rss", "application/rss+xml"},
    {".atom", "application/atom+xml"},
    {".pdf", "application/pdf"},
};

const char *
input_content_type(const char *name)
{
    const char *suffix = strrchr(name, '.');
    const char *slash = strrchr(name, '/');
    if (suffix == NULL || (slash != NULL && suffix < slash)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(suffix, types[i].suffix) == 0) {
            return types[i].content_type;
        }
    }
    return NULL;
}

/* What may stand in the path of a URL as it is: RFC 3986, pchar, without what could mislead. */
static bool
is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("/-._~!$&'()*+,;=:@", byte));
}

/* The file:// URL of an absolute path, malloc'd; NULL without memory. */
static char *
file_url(const char *path)
{
    struct buffer out;
    size_t size;
    buffer_init(&out, URL_TEXT_BYTES_MAX);
    buffer_append_string(&out, "file://");
    for (const char *at = path; *at != '\0'; at++) {
        uint8_t byte = (uint8_t)*at;
        if (is_plain(byte)) {
            buffer_append_byte(&out, byte);
        } else {
            buffer_printf(&out, "%%%02X", byte);
        }
    }
    buffer_append_byte(&out, '\0');
    char *url = (char *)buffer_take(&out, &size);
    buffer_release(&out);
    return url;
}

static const char *
reason_of(enum error error)
{
    switch (error) {
    case ERROR_NOT_FOUND:
        return "no such file";
    case ERROR_NOT_ALLOWED:
        return "not readable (permission denied)";
    case ERROR_UNSUPPORTED:
        return "not a regular file";
    default:
        return error_text(error);
    }
}

enum error
input_document(struct input *input, const char *where, const char *path, struct input_item *item)
{
    size_t size = 0;
    uint64_t bytes_max = input_options(input)->body_bytes_max;
    enum error error = file_read_whole(path, bytes_max, &item->body, &size);
    if (error == ERROR_NO_MEMORY) {
        return error;
    }
    if (error == ERROR_TOO_LARGE) {
        input_complain(input, where, "larger than %llu bytes; raise --body-bytes-max to take it",
                       (unsigned long long)bytes_max);
        return ERROR_INVALID;
    }
    if (error != OK) {
        input_complain(input, where, "%s", reason_of(error));
        return ERROR_INVALID;
    }
    char *absolute = realpath(path, NULL);
    if (absolute == NULL) {
        input_complain(input, where, "it went away while it was read");
        return ERROR_INVALID;
    }
    free(item->url);
    item->url = file_url(absolute);
    free(absolute);
    if (item->url == NULL) {
        return ERROR_NO_MEMORY;
    }
    item->item.url = item->url;
    item->item.body = item->body != NULL ? item->body : (const void *)"";
    item->item.body_size = size;
    item->item.content_type = input_content_type(path);
    return OK;
}

struct file_source {
    struct input_source source;
    char *path; /* NULL: given out */
};

static enum error
file_next(struct input_source *source, struct input_item *item)
{
    struct file_source *file = (struct file_source *)source;
    if (file->path == NULL) {
        return ERROR_EMPTY;
    }
    enum error error = input_document(source->input, file->path, file->path, item);
    free(file->path);
    file->path = NULL;
    return error;
}

static void
file_destroy(struct input_source *source)
{
    struct file_source *file = (struct file_source *)source;
    free(file->path);
    free(file);
}

struct input_source *
input_file_create(struct input *input, const char *path)
{
    static const struct input_source_kind kind = {.next = file_next, .destroy = file_destroy};
    struct file_source *file = calloc(1, sizeof *file);
    if (file == NULL) {
        return NULL;
    }
    file->source = (struct input_source){.kind = &kind, .input = input};
    file->path = strdup(path);
    if (file->path == NULL) {
        file_destroy(&file->source);
        return NULL;
    }
    return &file->source;
}
