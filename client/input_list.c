/* Lists: one item a line, plain or gzip, from a file or standard input. */
#include "client/input_source.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define READ_BYTES ((size_t)64 << 10)
#define GZIP_WINDOW_BITS (15 + 16) /* zlib: the largest window, gzip heads only */
#define WHERE_BYTES_MAX 4200

struct list_source {
    struct input_source source;
    char *name;
    int fd;
    bool is_started;
    bool is_gzip;
    bool is_ended;         /* of the descriptor */
    bool is_line_too_long; /* passing over the rest of one */
    z_stream inflater;
    uint8_t raw[READ_BYTES]; /* compressed */
    struct buffer text;      /* lines not given out yet */
    size_t at;               /* of the next line in text */
    uint64_t line;
};

/* OK: bytes came; ERROR_AGAIN; ERROR_EMPTY: the end. */
static enum error
read_some(struct list_source *list, uint8_t *data, size_t *ret_size)
{
    struct pollfd waiting = {.fd = list->fd, .events = POLLIN};
    int ready = poll(&waiting, 1, 0);
    if (ready == 0) {
        return ERROR_AGAIN;
    }
    ssize_t got;
    do {
        got = read(list->fd, data, READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) {
        return ERROR_AGAIN;
    }
    if (got < 0) {
        input_complain(list->source.input, list->name, "cannot be read (%s)", strerror(errno));
    }
    *ret_size = got > 0 ? (size_t)got : 0;
    return got > 0 ? OK : ERROR_EMPTY;
}

/* Unpacks what is in raw; several gzip members may follow one another. */
static enum error
inflate_some(struct list_source *list, size_t size)
{
    z_stream *inflater = &list->inflater;
    inflater->next_in = list->raw;
    inflater->avail_in = (unsigned)size;
    while (inflater->avail_in > 0) {
        uint8_t *out = buffer_extend(&list->text, READ_BYTES);
        if (out == NULL) {
            return ERROR_NO_MEMORY;
        }
        inflater->next_out = out;
        inflater->avail_out = READ_BYTES;
        int result = inflate(inflater, Z_NO_FLUSH);
        list->text.size -= inflater->avail_out;
        if (result == Z_STREAM_END) {
            result = inflateReset(inflater);
        }
        if (result != Z_OK && result != Z_BUF_ERROR) {
            input_complain(list->source.input, list->name, "damaged gzip data");
            return ERROR_EMPTY;
        }
        if (list->text.size - list->at > INPUT_LINE_BYTES_MAX * 2) {
            break; /* raw is 64 KiB, so this is 1,000:1 and more */
        }
    }
    if (inflater->avail_in > 0) {
        input_complain(list->source.input, list->name, "gzip data that unpacks too far");
        return ERROR_EMPTY;
    }
    return OK;
}

static enum error
start(struct list_source *list, const uint8_t *data, size_t size)
{
    list->is_started = true;
    list->is_gzip = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    if (list->is_gzip && inflateInit2(&list->inflater, GZIP_WINDOW_BITS) != Z_OK) {
        list->is_gzip = false;
        return ERROR_NO_MEMORY;
    }
    return OK;
}

/* Drops the lines given out, then adds bytes of the descriptor. */
static enum error
fill(struct list_source *list)
{
    size_t size = 0;
    if (list->at > 0) {
        list->text.size -= list->at;
        memmove(list->text.data, list->text.data + list->at, list->text.size);
        list->at = 0;
    }
    enum error error = read_some(list, list->raw, &size);
    if (error == OK && !list->is_started) {
        error = start(list, list->raw, size);
    }
    if (error == OK && list->is_gzip) {
        error = inflate_some(list, size);
    } else if (error == OK) {
        buffer_append(&list->text, list->raw, size);
        error = buffer_error(&list->text);
    }
    if (error == ERROR_EMPTY) {
        list->is_ended = true;
        return OK;
    }
    return error;
}

/* The next line without its end; false: more bytes are needed. */
static bool
take_line(struct list_source *list, struct slice *ret_line)
{
    size_t left = list->text.size - list->at;
    uint8_t *start_of_line = left > 0 ? list->text.data + list->at : NULL;
    const uint8_t *end = left > 0 ? memchr(start_of_line, '\n', left) : NULL;
    if (end == NULL && !(list->is_ended && left > 0)) {
        return false;
    }
    size_t size = end != NULL ? (size_t)(end - start_of_line) : left;
    list->at += end != NULL ? size + 1 : size;
    list->line++;
    if (size > 0 && start_of_line[size - 1] == '\r') {
        size--;
    }
    *ret_line = slice_of(start_of_line, size);
    return true;
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct slice
trim(struct slice line)
{
    if (line.size >= 3 && memcmp(line.data, "\xef\xbb\xbf", 3) == 0) { /* byte order mark */
        line = slice_of(line.data + 3, line.size - 3);
    }
    while (line.size > 0 && is_blank(line.data[0])) {
        line = slice_of(line.data + 1, line.size - 1);
    }
    while (line.size > 0 && is_blank(line.data[line.size - 1])) {
        line.size--;
    }
    return line;
}

/* One line; ERROR_INVALID: none of use. */
static enum error
line_taken(struct list_source *list, struct slice line, struct input_item *item)
{
    char where[WHERE_BYTES_MAX];
    const char *reason = "";
    snprintf(where, sizeof where, "%s:%llu", list->name, (unsigned long long)list->line);
    if (list->is_line_too_long) {
        list->is_line_too_long = false;
        return ERROR_INVALID;
    }
    line = trim(line);
    if (line.size == 0 || line.data[0] == '#') {
        return ERROR_INVALID;
    }
    enum error error = input_line(list->source.input, where, line, item, &reason);
    if (error == ERROR_INVALID && reason[0] != '\0') {
        input_complain(list->source.input, where, "%s", reason);
    }
    return error;
}

static enum error
list_next(struct input_source *source, struct input_item *item)
{
    struct list_source *list = (struct list_source *)source;
    for (;;) {
        struct slice line;
        if (take_line(list, &line)) {
            enum error error = line_taken(list, line, item);
            if (error != ERROR_INVALID) {
                return error;
            }
            input_item_clear(item);
            continue;
        }
        if (list->is_ended) {
            return ERROR_EMPTY;
        }
        if (list->text.size - list->at > INPUT_LINE_BYTES_MAX) {
            if (!list->is_line_too_long) {
                char where[WHERE_BYTES_MAX];
                snprintf(where, sizeof where, "%s:%llu", list->name,
                         (unsigned long long)list->line + 1);
                input_complain(source->input, where, "a line longer than %zu MiB",
                               INPUT_LINE_BYTES_MAX >> 20);
            }
            list->is_line_too_long = true;
            list->at = list->text.size;
        }
        enum error error = fill(list);
        if (error != OK) {
            return error;
        }
    }
}

static void
list_destroy(struct input_source *source)
{
    struct list_source *list = (struct list_source *)source;
    if (list->is_gzip) {
        inflateEnd(&list->inflater);
    }
    if (list->fd >= 0) {
        close(list->fd);
    }
    buffer_release(&list->text);
    free(list->name);
    free(list);
}

int
input_list_fd(const struct input_source *source)
{
    return ((const struct list_source *)source)->fd;
}

struct input_source *
input_list_create(struct input *input, const char *name, int fd)
{
    static const struct input_source_kind kind = {.next = list_next, .destroy = list_destroy};
    struct list_source *list = calloc(1, sizeof *list);
    if (list == NULL) {
        close(fd);
        return NULL;
    }
    list->source = (struct input_source){.kind = &kind, .input = input};
    list->fd = fd;
    /* The bound of a line is kept by hand; this one only ends what could not happen. */
    buffer_init(&list->text, INPUT_LINE_BYTES_MAX * 4);
    list->name = strdup(name);
    if (list->name == NULL) {
        list_destroy(&list->source);
        return NULL;
    }
    return &list->source;
}
