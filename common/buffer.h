/*
 * buffer: bytes that grow up to a ceiling.
 *
 * The error is sticky: after a failed append the buffer ignores further ones
 * and buffer_error() says why, so that a writer checks once at the end.
 *
 * Bounds   bytes_max, given at init; past it the error is ERROR_TOO_LARGE.
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_COMMON_BUFFER_H
#define THRESH_COMMON_BUFFER_H

#include "common/error.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. */
struct slice {
    const uint8_t *data;
    size_t size;
};

static inline struct slice
slice_of(const void *data, size_t size)
{
    return (struct slice){.data = data, .size = size};
}

/* The bytes of a C string without its end; NULL gives an empty slice. */
struct slice slice_string(const char *text);

bool slice_equal(struct slice a, struct slice b);

/* A C string of malloc with these bytes; NULL without memory. */
char *slice_copy_text(struct slice slice);

struct buffer {
    uint8_t *data; /* owned; NULL while empty */
    size_t size;   /* bytes in use */
    size_t capacity;
    size_t bytes_max;
    enum error error;
};

void buffer_init(struct buffer *buffer, size_t bytes_max);
void buffer_release(struct buffer *buffer);

/* Empties it and forgets the error; keeps the memory. */
void buffer_clear(struct buffer *buffer);

static inline void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_string(struct buffer *buffer, const char *text);
static inline void buffer_append_byte(struct buffer *buffer, uint8_t byte);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for size more bytes at the end, to be written by the caller; NULL (and the sticky error)
 * when there is none. The size of the buffer grows by it. */
static inline uint8_t *buffer_extend(struct buffer *buffer, size_t size);

/* OK, ERROR_NO_MEMORY or ERROR_TOO_LARGE. */
MUST_CHECK enum error buffer_error(const struct buffer *buffer);

struct slice buffer_slice(const struct buffer *buffer);

/* Ends the text with a NUL that is not counted in size. "" after an error; valid until changed. */
const char *buffer_text(struct buffer *buffer);

/* Hands the bytes to the caller, who frees them with free(); the buffer is empty after. NULL when
 * it was empty, or after an error, which stays. */
uint8_t *buffer_take(struct buffer *buffer, size_t *ret_size);

/* ---- what is called for every few bytes of a message, and so is inline --------------------- */

/* buffer_extend() where the memory does not suffice, or nothing may be added. */
uint8_t *buffer_extend_slowly(struct buffer *buffer, size_t size);

static inline uint8_t *
buffer_extend(struct buffer *buffer, size_t size)
{
    /* The capacity may be one byte more than bytes_max, for buffer_text(). */
    if (buffer->error == OK && buffer->data != NULL && size <= buffer->capacity - buffer->size &&
        size <= buffer->bytes_max - buffer->size) {
        uint8_t *start = buffer->data + buffer->size;

        buffer->size += size;
        return start;
    }
    return buffer_extend_slowly(buffer, size);
}

static inline void
buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    uint8_t *start;

    if (size == 0) {
        return;
    }
    start = buffer_extend(buffer, size);
    if (start != NULL) {
        memcpy(start, data, size);
    }
}

static inline void
buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    uint8_t *start = buffer_extend(buffer, 1);

    if (start != NULL) {
        *start = byte;
    }
}

#endif
