/*
 * map: 64-bit keys to 32-bit values.
 *
 * Open addressing with linear probing and backward-shift deletion; grows by doubling at load 3/4.
 * The key 0 is not allowed.
 *
 * Threads  one owner.
 */
#ifndef THRESH_BROKER_MAP_H
#define THRESH_BROKER_MAP_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    uint64_t *keys; /* 0: free */
    uint32_t *values;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void map_init(struct map *map);
void map_release(struct map *map);

/* Sets or replaces. ERROR_NO_MEMORY: the map is as it was. */
MUST_CHECK enum error map_set(struct map *map, uint64_t key, uint32_t value);
bool map_get(const struct map *map, uint64_t key, uint32_t *ret_value);
void map_remove(struct map *map, uint64_t key);

#endif
