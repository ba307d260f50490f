#include "broker/wheel.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DUE_LIST 0
#define SLOT_BITS 12
#define SLOT_MASK (WHEEL_SLOTS - 1)

void
wheel_init(struct wheel *wheel, int64_t now_ms)
{
    *wheel = (struct wheel){.now_ms = now_ms};
    memset(wheel->heads, 0xff, sizeof wheel->heads);
    memset(wheel->tails, 0xff, sizeof wheel->tails);
}

void
wheel_release(struct wheel *wheel)
{
    free(wheel->entries);
    wheel->entries = NULL;
    wheel->capacity = 0;
}

enum error
wheel_reserve(struct wheel *wheel, uint32_t count)
{
    if (count <= wheel->capacity)
        return OK;
    uint32_t capacity = wheel->capacity ? wheel->capacity : 64;
    while (capacity < count)
        capacity = capacity > UINT32_MAX / 2 ? UINT32_MAX : capacity * 2;
    struct wheel_entry *entries = realloc(wheel->entries, capacity * sizeof *entries);
    if (!entries)
        return ERROR_NO_MEMORY;
    for (uint32_t i = wheel->capacity; i < capacity; i++)
        entries[i] = (struct wheel_entry){.list = WHEEL_NONE};
    wheel->entries = entries;
    wheel->capacity = capacity;
    return OK;
}

static uint32_t
list_of(unsigned level, int64_t due_ms)
{
    return 1 + level * WHEEL_SLOTS + (uint32_t)(due_ms >> (SLOT_BITS * level) & SLOT_MASK);
}

static void
append(struct wheel *wheel, uint32_t list, uint32_t thing)
{
    struct wheel_entry *entry = &wheel->entries[thing];
    entry->list = list;
    entry->next = WHEEL_NONE;
    entry->previous = wheel->tails[list];
    if (entry->previous == WHEEL_NONE)
        wheel->heads[list] = thing;
    else
        wheel->entries[entry->previous].next = thing;
    wheel->tails[list] = thing;
    if (list == DUE_LIST)
        return;
    unsigned level = (list - 1) / WHEEL_SLOTS;
    wheel->counts[level]++;
    if (level == 0)
        wheel->bits[(list - 1) / 64] |= 1ULL << (list - 1) % 64;
}

void
wheel_remove(struct wheel *wheel, uint32_t thing)
{
    assert(thing < wheel->capacity);
    struct wheel_entry *entry = &wheel->entries[thing];
    uint32_t list = entry->list;
    if (list == WHEEL_NONE)
        return;
    if (entry->previous == WHEEL_NONE)
        wheel->heads[list] = entry->next;
    else
        wheel->entries[entry->previous].next = entry->next;
    if (entry->next == WHEEL_NONE)
        wheel->tails[list] = entry->previous;
    else
        wheel->entries[entry->next].previous = entry->previous;
    entry->list = WHEEL_NONE;
    if (list == DUE_LIST)
        return;
    unsigned level = (list - 1) / WHEEL_SLOTS;
    wheel->counts[level]--;
    if (level == 0 && wheel->heads[list] == WHEEL_NONE)
        wheel->bits[(list - 1) / 64] &= ~(1ULL << (list - 1) % 64);
}

bool
wheel_has(const struct wheel *wheel, uint32_t thing)
{
    return thing < wheel->capacity && wheel->entries[thing].list != WHEEL_NONE;
}

void
wheel_set(struct wheel *wheel, uint32_t thing, int64_t due_ms)
{
    wheel_remove(wheel, thing);
    wheel->entries[thing].due_ms = due_ms;
    if (due_ms <= wheel->now_ms) {
        append(wheel, DUE_LIST, thing);
        return;
    }
    int64_t wait_ms = due_ms - wheel->now_ms;
    unsigned level = 0;
    while (level < WHEEL_LEVELS - 1 && wait_ms >= 1LL << (SLOT_BITS * (level + 1)))
        level++;
    /* Beyond the last level: into its farthest slot, from where it is set again. */
    int64_t farthest_ms = wheel->now_ms + (1LL << (SLOT_BITS * WHEEL_LEVELS)) -
                          (1LL << (SLOT_BITS * (WHEEL_LEVELS - 1)));
    append(wheel, list_of(level, due_ms > farthest_ms ? farthest_ms : due_ms), thing);
}

/* Sets everything in a slot of an upper level again, now that its time is near. */
static void
cascade(struct wheel *wheel, unsigned level, int64_t now_ms)
{
    uint32_t list = list_of(level, now_ms);
    uint32_t last = wheel->tails[list];
    if (last == WHEEL_NONE)
        return;
    for (;;) {
        uint32_t thing = wheel->heads[list];
        wheel_set(wheel, thing, wheel->entries[thing].due_ms);
        if (thing == last)
            return;
    }
}

/* The next tick after now_ms, up to limit_ms, whose level-0 slot holds something. */
static int64_t
next_filled(const struct wheel *wheel, int64_t now_ms, int64_t limit_ms)
{
    if (wheel->counts[0] == 0)
        return limit_ms;
    for (int64_t tick = now_ms + 1; tick < limit_ms;) {
        uint32_t slot = (uint32_t)(tick & SLOT_MASK);
        uint64_t word = wheel->bits[slot / 64] >> slot % 64;
        if (word != 0) {
            int64_t found = tick + __builtin_ctzll(word);
            return found < limit_ms ? found : limit_ms;
        }
        tick += 64 - slot % 64;
    }
    return limit_ms;
}

void
wheel_advance(struct wheel *wheel, int64_t now_ms)
{
    while (wheel->now_ms < now_ms) {
        int64_t boundary = (wheel->now_ms | SLOT_MASK) + 1;
        int64_t limit = boundary < now_ms ? boundary : now_ms;
        if (wheel->counts[0] + wheel->counts[1] + wheel->counts[2] == 0)
            limit = now_ms;
        int64_t tick = next_filled(wheel, wheel->now_ms, limit);
        wheel->now_ms = tick;
        if ((tick & SLOT_MASK) == 0) {
            if ((tick >> SLOT_BITS & SLOT_MASK) == 0)
                cascade(wheel, 2, tick);
            cascade(wheel, 1, tick);
        }
        uint32_t list = list_of(0, tick);
        while (wheel->heads[list] != WHEEL_NONE) {
            uint32_t thing = wheel->heads[list];
            wheel_set(wheel, thing, wheel->entries[thing].due_ms);
            assert(wheel->entries[thing].list != list);
        }
    }
}

bool
wheel_peek(const struct wheel *wheel, uint32_t *ret_thing)
{
    if (wheel->heads[DUE_LIST] == WHEEL_NONE)
        return false;
    *ret_thing = wheel->heads[DUE_LIST];
    return true;
}

bool
wheel_peek_after(const struct wheel *wheel, uint32_t thing, uint32_t *ret_thing)
{
    assert(wheel->entries[thing].list == DUE_LIST);
    if (wheel->entries[thing].next == WHEEL_NONE)
        return false;
    *ret_thing = wheel->entries[thing].next;
    return true;
}

int64_t
wheel_next_ms(const struct wheel *wheel)
{
    int64_t boundary = (wheel->now_ms | SLOT_MASK) + 1;
    int64_t far = wheel->counts[1] + wheel->counts[2] > 0 ? boundary : INT64_MAX;
    if (wheel->counts[0] == 0)
        return far;
    int64_t near = next_filled(wheel, wheel->now_ms, wheel->now_ms + WHEEL_SLOTS + 1);
    return near < far ? near : far;
}
