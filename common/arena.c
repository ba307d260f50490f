#include "common/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/sanitizer.h"

#define ARENA_CHUNK_BYTES ((size_t)65536)
#define ARENA_KEPT_BYTES_MAX ((size_t)1 << 20) /* a plain page's objects fit */

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

static size_t
rounded_up(size_t size)
{
    size_t step = alignof(max_align_t);

    return (size + step - 1) / step * step;
}

void
arena_init(struct arena *arena, size_t bytes_max)
{
    assert(bytes_max < SIZE_MAX / 2);
    *arena = (struct arena){.bytes_max = bytes_max};
}

/* Frees every chunk but `kept`, which may be NULL. */
static void
chunks_free(struct arena *arena, struct arena_chunk *kept)
{
    struct arena_chunk *chunk = arena->chunks;

    while (chunk != NULL) {
        struct arena_chunk *next = chunk->next;

        if (chunk != kept) {
            free(chunk);
        }
        chunk = next;
    }
    arena->chunks = kept;
}

void
arena_release(struct arena *arena)
{
    chunks_free(arena, NULL);
    arena->used = 0;
}

void
arena_clear(struct arena *arena)
{
    struct arena_chunk *kept = NULL;

    /* The largest, but one page with a huge object must not keep that much memory for the life of a
     * worker. */
    for (struct arena_chunk *chunk = arena->chunks; !IS_SANITIZED && chunk != NULL;
         chunk = chunk->next) {
        if (chunk->capacity <= ARENA_KEPT_BYTES_MAX &&
            (kept == NULL || chunk->capacity > kept->capacity)) {
            kept = chunk;
        }
    }
    chunks_free(arena, kept);
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    arena->used = 0;
}

/* A chunk with room for size bytes becomes the newest; false without memory. */
static bool
chunk_add(struct arena *arena, size_t size)
{
    size_t capacity = size;
    struct arena_chunk *chunk;

    if (!IS_SANITIZED && capacity < ARENA_CHUNK_BYTES) {
        capacity = ARENA_CHUNK_BYTES;
    }
    /* Twice what is in use, so that pages of one size soon find one chunk that holds them. */
    if (!IS_SANITIZED && capacity < 2 * arena->used && 2 * arena->used <= ARENA_KEPT_BYTES_MAX) {
        capacity = 2 * arena->used;
    }
    chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL) {
        return false;
    }
    chunk->capacity = capacity;
    chunk->used = 0;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return true;
}

void *
arena_reserve(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk;
    size_t taken;
    void *object;

    if (size > arena->bytes_max) {
        return NULL;
    }
    taken = rounded_up(size == 0 ? 1 : size);
    if (arena->used > arena->bytes_max || taken > arena->bytes_max - arena->used) {
        return NULL;
    }
    if (IS_SANITIZED) {
        /* Exactly the bytes asked for, so that one byte too many is seen. */
        if (!chunk_add(arena, size)) {
            return NULL;
        }
    } else if (arena->chunks == NULL || taken > arena->chunks->capacity - arena->chunks->used) {
        if (!chunk_add(arena, taken)) {
            return NULL;
        }
    }
    chunk = arena->chunks;
    object = chunk->bytes + chunk->used;
    chunk->used += IS_SANITIZED ? size : taken;
    arena->used += taken;
    return object;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    void *object = arena_reserve(arena, size);

    if (object != NULL) {
        memset(object, 0, size);
    }
    return object;
}

char *
arena_copy(struct arena *arena, const void *data, size_t size)
{
    char *copy;

    if (size >= arena->bytes_max) {
        return NULL;
    }
    copy = arena_reserve(arena, size + 1);
    if (copy != NULL) {
        if (size > 0) {
            memcpy(copy, data, size);
        }
        copy[size] = '\0';
    }
    return copy;
}
