/*
 * task_set: which tasks' results a sink holds already.
 *
 * Open addressing over 128-bit fingerprints of the ids (XXH3): 16 bytes each at a load of at most
 * two thirds; that two ids share one is beyond any count we reach.
 *
 * Bounds   memory.
 * Threads  one owner.
 */
#ifndef THRESH_CLIENT_TASK_SET_H
#define THRESH_CLIENT_TASK_SET_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task_set {
    struct task_mark *marks; /* owned */
    size_t capacity;         /* a power of two, or 0 */
    size_t count;
};

void task_set_release(struct task_set *set);
bool task_set_has(const struct task_set *set, struct slice task);
/* ERROR_EXISTS: it is there; ERROR_NO_MEMORY. */
MUST_CHECK enum error task_set_add(struct task_set *set, struct slice task);

#endif
