#include "broker/window.h"

#include <stdlib.h>
#include <string.h>

#include "broker/record.h"

void
window_release(struct window *window)
{
    for (size_t i = 0; i < window->count; i++)
        free(window->entries[i].answer);
    window->count = 0;
}

struct slice
window_answer(const struct window *window, uint64_t sequence)
{
    for (size_t i = window->count; i > 0; i--) {
        const struct window_entry *entry = &window->entries[i - 1];
        if (entry->sequence == sequence)
            return slice_of(entry->answer, entry->answer_bytes);
    }
    return slice_of(NULL, 0);
}

bool
window_is_past(const struct window *window, uint64_t sequence)
{
    return sequence <= window->confirmed;
}

static void
drop(struct window *window, size_t at)
{
    free(window->entries[at].answer);
    window->count--;
    memmove(&window->entries[at], &window->entries[at + 1],
            (window->count - at) * sizeof window->entries[0]);
}

static bool
find(const struct window *window, uint64_t sequence, size_t *ret_at)
{
    for (size_t i = 0; i < window->count; i++) {
        if (window->entries[i].sequence == sequence) {
            *ret_at = i;
            return true;
        }
    }
    return false;
}

bool
window_make_room(struct window *window, uint64_t sequence)
{
    while (sequence > window->confirmed && sequence - window->confirmed > WINDOW_ENTRIES_MAX) {
        size_t at = 0;
        if (!find(window, window->confirmed + 1, &at))
            return false;
        drop(window, at);
        window->confirmed++;
    }
    return true;
}

enum error
window_add(struct window *window, uint64_t sequence, struct slice answer)
{
    uint8_t *copy = malloc(answer.size);
    if (!copy)
        return ERROR_NO_MEMORY;
    memcpy(copy, answer.data, answer.size);
    if (window->count == WINDOW_ENTRIES_MAX) {
        if (window->entries[0].sequence > window->confirmed)
            window->confirmed = window->entries[0].sequence;
        drop(window, 0);
    }
    window->entries[window->count++] = (struct window_entry){sequence, copy, answer.size};
    if (sequence > window->highest)
        window->highest = sequence;
    return OK;
}

void
window_confirm(struct window *window, uint64_t sequence)
{
    if (sequence > window->highest)
        sequence = window->highest;
    if (sequence <= window->confirmed)
        return;
    window->confirmed = sequence;
    for (size_t i = window->count; i > 0; i--) {
        if (window->entries[i - 1].sequence <= sequence)
            drop(window, i - 1);
    }
}

void
window_resume(struct window *window, uint64_t confirmed)
{
    if (confirmed > window->highest)
        window->highest = confirmed;
    window_confirm(window, confirmed);
}

void
window_write(const struct window *window, struct buffer *out)
{
    write_varint(out, window->confirmed);
    write_varint(out, window->highest);
    write_varint(out, window->count);
    for (size_t i = 0; i < window->count; i++) {
        write_varint(out, window->entries[i].sequence);
        write_varint(out, window->entries[i].answer_bytes);
        buffer_append(out, window->entries[i].answer, window->entries[i].answer_bytes);
    }
}

enum error
window_read(struct window *window, struct slice bytes)
{
    uint64_t confirmed = 0;
    uint64_t highest = 0;
    uint64_t count = 0;
    if (!read_varint(&bytes, &confirmed) || !read_varint(&bytes, &highest) ||
        !read_varint(&bytes, &count) || count > WINDOW_ENTRIES_MAX)
        return ERROR_CORRUPT;
    *window = (struct window){0};
    for (uint64_t i = 0; i < count; i++) {
        uint64_t sequence = 0;
        uint64_t size = 0;
        if (!read_varint(&bytes, &sequence) || !read_varint(&bytes, &size) || size > bytes.size) {
            window_release(window);
            return ERROR_CORRUPT;
        }
        enum error error = window_add(window, sequence, slice_of(bytes.data, (size_t)size));
        if (error) {
            window_release(window);
            return error;
        }
        bytes.data += size;
        bytes.size -= (size_t)size;
    }
    window->confirmed = confirmed;
    window->highest = highest;
    return OK;
}
