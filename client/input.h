/*
 * input: what a person names on the command line, as items to feed, one at a time.
 *
 * An argument is an http(s) URL, a file (a document), a directory (all documents in it), a list
 * of items (a file ending in .urls, .jsonl or .ndjson, .gz behind it too), or `-`, a list on
 * standard input. A list has a line for each item: a URL, or a JSON object with the keys of
 * PROTOCOL.md section 5 beside `body`, `body_base64` and `file`. Empty lines and lines that begin
 * with # are passed over; what is wrong is reported with its place and counted, and the rest goes
 * on. Directories are walked in sorted order; symbolic links and hidden names are passed over.
 *
 * Bounds   INPUT_LINE_BYTES_MAX a line; INPUT_DEPTH_MAX directories inside one another; a document
 *          has at most body_bytes_max bytes.
 * Threads  one owner. Reading a file waits for the disk; reading standard input does not wait.
 */
#ifndef THRESH_CLIENT_INPUT_H
#define THRESH_CLIENT_INPUT_H

#include "common/error.h"
#include "include/thresh.h"

#include <stdint.h>

#define INPUT_LINE_BYTES_MAX ((size_t)32 << 20) /* a document of 16 MiB in base64, and more */
#define INPUT_DEPTH_MAX 256

struct input;

struct input_options {
    uint64_t body_bytes_max;
    int priority; /* of items that say none, as in struct thresh_item; 0: the broker's default */
};

/* Something of the input was wrong: where (a file, or file:line) and why. */
typedef void input_report_fn(void *context, const char *where, const char *reason);

/* NULL: no memory. */
struct input *input_create(const struct input_options *options, input_report_fn *report,
                           void *context);
void input_destroy(struct input *input);

/* Adds an argument. ERROR_NOT_FOUND, ERROR_NOT_ALLOWED: no such file, not readable;
 * ERROR_INVALID: looks like neither a URL nor a file; ERROR_UNSUPPORTED: a device or the like;
 * ERROR_NO_MEMORY. Nothing is read yet. */
MUST_CHECK enum error input_add(struct input *input, const char *argument);
/* Adds a list, whatever its name; `-` is standard input. */
MUST_CHECK enum error input_add_list(struct input *input, const char *path);

/*
 * The next item; its pointers are valid until the next call. ERROR_EMPTY: that was all.
 * ERROR_AGAIN: standard input has nothing now, input_fd() says what to wait for. ERROR_NO_MEMORY.
 */
MUST_CHECK enum error input_next(struct input *input, struct thresh_item *ret_item);
int input_fd(const struct input *input);

/* What has been reported so far. */
uint64_t input_bad_count(const struct input *input);

#endif
