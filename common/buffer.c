#include "common/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 256 /* most header frames fit without growing twice */

struct slice
slice_string(const char *text)
{
    return slice_of(text, text == NULL ? 0 : strlen(text));
}

bool
slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

char *
slice_copy_text(struct slice slice)
{
    char *copy = malloc(slice.size + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (slice.size > 0) {
        memcpy(copy, slice.data, slice.size);
    }
    copy[slice.size] = '\0';
    return copy;
}

void
buffer_init(struct buffer *buffer, size_t bytes_max)
{
    /* One byte more is needed for buffer_text(). */
    assert(bytes_max < SIZE_MAX / 2);
    *buffer = (struct buffer){.bytes_max = bytes_max};
}

void
buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.bytes_max = buffer->bytes_max};
}

void
buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->error = OK;
}

/* Makes room for `needed` bytes in all, doubling so that appending stays linear. */
static bool
buffer_grow(struct buffer *buffer, size_t needed)
{
    size_t capacity_max = buffer->bytes_max + 1;
    size_t capacity = buffer->capacity;
    uint8_t *data;

    assert(needed <= capacity_max);
    capacity = capacity <= capacity_max / 2 ? capacity * 2 : capacity_max;
    if (capacity < BUFFER_FIRST_BYTES) {
        capacity = BUFFER_FIRST_BYTES;
    }
    if (capacity < needed) {
        capacity = needed;
    }
    if (capacity > capacity_max) {
        capacity = capacity_max;
    }
    data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->error = ERROR_NO_MEMORY;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

uint8_t *
buffer_extend_slowly(struct buffer *buffer, size_t size)
{
    uint8_t *start;

    if (buffer->error != OK) {
        return NULL;
    }
    assert(buffer->size <= buffer->bytes_max);
    if (size > buffer->bytes_max - buffer->size) {
        buffer->error = ERROR_TOO_LARGE;
        return NULL;
    }
    /* An empty extension of an empty buffer still gives a pointer, since NULL means failure. */
    if ((buffer->data == NULL || buffer->size + size > buffer->capacity) &&
        !buffer_grow(buffer, buffer->size + size)) {
        return NULL;
    }
    start = buffer->data + buffer->size;
    buffer->size += size;
    return start;
}

void
buffer_append_string(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, text == NULL ? 0 : strlen(text));
}

void
buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;
    size_t size;

    if (buffer->error != OK) {
        return;
    }
    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) {
        /* A text over INT_MAX bytes, or a wide character that does not convert. */
        buffer->error = ERROR_TOO_LARGE;
        return;
    }
    size = (size_t)length;
    if (size > buffer->bytes_max - buffer->size) {
        buffer->error = ERROR_TOO_LARGE;
        return;
    }
    if (buffer->size + size + 1 > buffer->capacity &&
        !buffer_grow(buffer, buffer->size + size + 1)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf((char *)buffer->data + buffer->size, size + 1, format, arguments);
    va_end(arguments);
    buffer->size += size;
}

enum error
buffer_error(const struct buffer *buffer)
{
    return buffer->error;
}

struct slice
buffer_slice(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

const char *
buffer_text(struct buffer *buffer)
{
    if (buffer->error != OK) {
        return "";
    }
    if (buffer->size + 1 > buffer->capacity && !buffer_grow(buffer, buffer->size + 1)) {
        return "";
    }
    buffer->data[buffer->size] = '\0';
    return (const char *)buffer->data;
}

uint8_t *
buffer_take(struct buffer *buffer, size_t *ret_size)
{
    uint8_t *data = buffer->data;

    if (buffer->error != OK) {
        *ret_size = 0;
        return NULL;
    }
    *ret_size = buffer->size;
    *buffer = (struct buffer){.bytes_max = buffer->bytes_max};
    return data;
}
