#include "client/task_set.h"

#include <stdlib.h>

#include <xxhash.h>

#define CAPACITY_START 1024

/* All zero: free. */
struct task_mark {
    uint64_t high;
    uint64_t low;
};

static struct task_mark
mark_of(struct slice task)
{
    XXH128_hash_t hash = XXH3_128bits(task.data, task.size);
    return (struct task_mark){.high = hash.high64, .low = hash.low64 | 1};
}

/* Where the mark is, or the free place where it belongs. */
static size_t
place_of(const struct task_mark *marks, size_t capacity, struct task_mark mark)
{
    size_t at = (size_t)mark.high & (capacity - 1);
    while (marks[at].low != 0 && (marks[at].low != mark.low || marks[at].high != mark.high)) {
        at = (at + 1) & (capacity - 1);
    }
    return at;
}

void
task_set_release(struct task_set *set)
{
    free(set->marks);
    *set = (struct task_set){0};
}

bool
task_set_has(const struct task_set *set, struct slice task)
{
    return set->capacity > 0 &&
           set->marks[place_of(set->marks, set->capacity, mark_of(task))].low != 0;
}

static bool
grow(struct task_set *set)
{
    size_t capacity = set->capacity > 0 ? set->capacity * 2 : CAPACITY_START;
    struct task_mark *marks = calloc(capacity, sizeof *marks);
    if (marks == NULL) {
        return false;
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->marks[i].low != 0) {
            marks[place_of(marks, capacity, set->marks[i])] = set->marks[i];
        }
    }
    free(set->marks);
    set->marks = marks;
    set->capacity = capacity;
    return true;
}

enum error
task_set_add(struct task_set *set, struct slice task)
{
    if (set->count * 3 >= set->capacity * 2 && !grow(set)) {
        return ERROR_NO_MEMORY;
    }
    struct task_mark mark = mark_of(task);
    struct task_mark *place = &set->marks[place_of(set->marks, set->capacity, mark)];
    if (place->low != 0) {
        return ERROR_EXISTS;
    }
    *place = mark;
    set->count++;
    return OK;
}
