#include "broker/map.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_LEAST 64

void
map_init(struct map *map)
{
    *map = (struct map){0};
}

void
map_release(struct map *map)
{
    free(map->keys);
    free(map->values);
    *map = (struct map){0};
}

/* Finalizer of MurmurHash3: fences and hashes differ in few bits. */
static uint64_t
mix(uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ULL;
    return key ^ key >> 33;
}

static size_t
place_of(const struct map *map, uint64_t key)
{
    size_t mask = map->capacity - 1;
    size_t place = (size_t)mix(key) & mask;
    while (map->keys[place] != 0 && map->keys[place] != key)
        place = (place + 1) & mask;
    return place;
}

static enum error
grow(struct map *map)
{
    struct map larger = {.capacity = map->capacity ? map->capacity * 2 : CAPACITY_LEAST,
                         .count = map->count};
    larger.keys = calloc(larger.capacity, sizeof *larger.keys);
    larger.values = calloc(larger.capacity, sizeof *larger.values);
    if (!larger.keys || !larger.values) {
        map_release(&larger);
        return ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->keys[i] == 0)
            continue;
        size_t place = place_of(&larger, map->keys[i]);
        larger.keys[place] = map->keys[i];
        larger.values[place] = map->values[i];
    }
    map_release(map);
    *map = larger;
    return OK;
}

enum error
map_set(struct map *map, uint64_t key, uint32_t value)
{
    assert(key != 0);
    if (map->count * 4 >= map->capacity * 3) {
        enum error error = grow(map);
        if (error)
            return error;
    }
    size_t place = place_of(map, key);
    if (map->keys[place] == 0) {
        map->keys[place] = key;
        map->count++;
    }
    map->values[place] = value;
    return OK;
}

bool
map_get(const struct map *map, uint64_t key, uint32_t *ret_value)
{
    if (map->capacity == 0 || key == 0)
        return false;
    size_t place = place_of(map, key);
    if (map->keys[place] == 0)
        return false;
    *ret_value = map->values[place];
    return true;
}

void
map_remove(struct map *map, uint64_t key)
{
    if (map->capacity == 0 || key == 0)
        return;
    size_t mask = map->capacity - 1;
    size_t hole = place_of(map, key);
    if (map->keys[hole] == 0)
        return;
    /* Entries behind the hole move up unless their home lies between the hole and them. */
    for (size_t i = (hole + 1) & mask; map->keys[i] != 0; i = (i + 1) & mask) {
        size_t home = (size_t)mix(map->keys[i]) & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        map->keys[hole] = map->keys[i];
        map->values[hole] = map->values[i];
        hole = i;
    }
    map->keys[hole] = 0;
    map->count--;
}
