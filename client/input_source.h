/*
 * input_source: one argument of the input being read: a table of functions for each kind.
 *
 * Threads  as input.h.
 */
#ifndef THRESH_CLIENT_INPUT_SOURCE_H
#define THRESH_CLIENT_INPUT_SOURCE_H

#include "client/input.h"
#include "common/buffer.h"

#include <stdarg.h>

/* The item being made: what its pointers point to. Cleared before each. */
struct input_item {
    struct thresh_item item;
    char *url;
    char *content_type;
    char *key;
    char *host;
    uint8_t *body;
    uint8_t *meta;
};

void input_item_clear(struct input_item *item);

struct input_source;

struct input_source_kind {
    /* OK, ERROR_EMPTY, ERROR_AGAIN, ERROR_NO_MEMORY; ERROR_INVALID: reported, go on. */
    enum error (*next)(struct input_source *source, struct input_item *item);
    void (*destroy)(struct input_source *source); /* takes a half-made one too */
};

/* Begins the struct of each kind. */
struct input_source {
    const struct input_source_kind *kind;
    struct input *input;
    struct input_source *following;
};

const struct input_options *input_options(const struct input *input);

/* Reports and counts. */
void input_complain(struct input *input, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A reason made up of parts; valid until the next one is made. */
const char *input_reason(struct input *input, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* NULL: no memory. fd is the source's from then on. */
struct input_source *input_url_create(struct input *input, const char *url);
struct input_source *input_file_create(struct input *input, const char *path);
struct input_source *input_directory_create(struct input *input, const char *path);
struct input_source *input_list_create(struct input *input, const char *name, int fd);

/* The descriptor that a list waits for after ERROR_AGAIN. */
int input_list_fd(const struct input_source *source);

/* Makes the item a document from a file: body, file:// URL, type by suffix. ERROR_INVALID: it was
 * reported as `where`. */
MUST_CHECK enum error input_document(struct input *input, const char *where, const char *path,
                                     struct input_item *item);

/* The content type of a name by its suffix, or NULL: to be sniffed. */
const char *input_content_type(const char *name);

/* One line of a list, without its end. ERROR_INVALID: *ret_reason says why (valid until the next
 * call); ERROR_NO_MEMORY. */
MUST_CHECK enum error input_line(struct input *input, const char *where, struct slice line,
                                 struct input_item *item, const char **ret_reason);

#endif
