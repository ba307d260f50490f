/*
 * arena: memory for one attempt, freed as a whole.
 *
 * Objects come out zeroed and aligned for any type, and live until
 * arena_clear() or arena_release(). Under AddressSanitizer each object is a
 * malloc of its own, so that an overrun inside the arena is seen.
 *
 * Bounds   bytes_max in all; past it arena_alloc() gives NULL.
 * Threads  one owner.
 * Source   the region of NLnetLabs unbound, util/regional.h.
 */
#ifndef THRESH_COMMON_ARENA_H
#define THRESH_COMMON_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used;                /* bytes handed out since the last clear */
    size_t bytes_max;
};

void arena_init(struct arena *arena, size_t bytes_max);
void arena_release(struct arena *arena);

/* Forgets every object; keeps one chunk for reuse. */
void arena_clear(struct arena *arena);

/* Zeroed memory, or NULL at the ceiling or without memory. A size of 0 gives a unique pointer. */
void *arena_alloc(struct arena *arena, size_t size);

/* The same, not zeroed: for large arrays that are written before they are read. */
void *arena_reserve(struct arena *arena, size_t size);

/* A copy of size bytes with a NUL behind them (not counted), or NULL. */
char *arena_copy(struct arena *arena, const void *data, size_t size);

#endif
