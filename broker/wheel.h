/*
 * wheel: numbered things ordered by the time at which they are due.
 *
 * Three levels of 4,096 slots with ticks of 1 ms, 4 s and 4.7 h, entries in lists that are linked
 * through one array. Setting and removing cost O(1); a thing goes down a level at most twice. What
 * is due waits in a list of its own, first come first served.
 *
 * Bounds   things are numbered 0 to 2^32 - 2; due times up to 2 years ahead, later ones are
 *          looked at again then.
 * Threads  one owner.
 * Source   Varghese and Lauck, Hashed and Hierarchical Timing Wheels, 1987; performance
 * document, 5.2.
 */
#ifndef THRESH_BROKER_WHEEL_H
#define THRESH_BROKER_WHEEL_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_SLOTS 4096
#define WHEEL_LEVELS 3
#define WHEEL_LISTS (1 + WHEEL_LEVELS * WHEEL_SLOTS)
#define WHEEL_NONE UINT32_MAX

struct wheel_entry {
    int64_t due_ms;
    uint32_t next;
    uint32_t previous;
    uint32_t list; /* WHEEL_NONE: in none */
};

struct wheel {
    struct wheel_entry *entries;
    uint32_t capacity;
    int64_t now_ms;                /* everything up to here is in the due list */
    uint32_t counts[WHEEL_LEVELS]; /* entries in each level */
    uint32_t heads[WHEEL_LISTS];   /* list 0: due; then the slots of each level */
    uint32_t tails[WHEEL_LISTS];
    uint64_t bits[WHEEL_SLOTS / 64]; /* level 0 slots that hold something */
};

void wheel_init(struct wheel *wheel, int64_t now_ms);
void wheel_release(struct wheel *wheel);

/* Makes room for things 0 to count - 1. ERROR_NO_MEMORY. */
MUST_CHECK enum error wheel_reserve(struct wheel *wheel, uint32_t count);

/* Sets or moves a thing; due_ms up to the wheel's now puts it behind the others that are due. */
void wheel_set(struct wheel *wheel, uint32_t thing, int64_t due_ms);
void wheel_remove(struct wheel *wheel, uint32_t thing);
bool wheel_has(const struct wheel *wheel, uint32_t thing);

/* Moves time on; what becomes due joins the due list in the order of its time. */
void wheel_advance(struct wheel *wheel, int64_t now_ms);

/* The first thing that is due, without taking it; false when none is. */
bool wheel_peek(const struct wheel *wheel, uint32_t *ret_thing);
/* The one behind it in the due list. */
bool wheel_peek_after(const struct wheel *wheel, uint32_t thing, uint32_t *ret_thing);

/* When wheel_advance() should be called next; INT64_MAX when nothing waits. May be early. */
int64_t wheel_next_ms(const struct wheel *wheel);

#endif
