#include "broker/seen.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 10
#define REMAINDER_BYTES 6
#define REMAINDER_BITS 48
#define REMAINDER_MASK (((uint64_t)1 << REMAINDER_BITS) - 1)
#define CODE_BITS 3 /* 0: the slot is empty; else 1 + how many buckets from home */
#define CODE_MASK 7u
#define DISTANCE_MAX 6u
#define BUCKETS_MIN ((uint64_t)1 << 16) /* with 48 bits of remainder these hold all 64 */
#define BUCKETS_MAX ((uint64_t)1 << 40)
#define MEMBERS_A_BUCKET_TENTHS 78        /* fill at which a table is full: 8.2 bytes a member */
#define MOVE_BUCKETS 2                    /* of the old table at each insert */
#define MOVE_SPILLED 64                   /* slots of the old spill at each insert */
#define UNMAP_BUCKETS ((uint64_t)1 << 16) /* 4 MiB of the old table given back at a time */
#define SPILL_SLOTS_MIN 64
#define NO_HOME UINT64_MAX
#define SPILL_MIX 0x9e3779b97f4a7c15u

struct bucket {
    uint8_t remainders[SLOTS][REMAINDER_BYTES];
    uint32_t codes; /* three bits a slot, filled from the first */
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is a cache line");

/* Members that found seven buckets full: whole, in open addressing. Few, unless somebody makes
 * fingerprints that share their top bits. */
struct spill {
    uint64_t *slots; /* 0: empty */
    uint64_t slot_count;
    uint64_t count;
    bool has_zero;
};

struct table {
    struct bucket *buckets; /* NULL: no such table */
    uint64_t bucket_count;  /* homes; DISTANCE_MAX more stand behind them */
    struct spill spill;
};

struct seen {
    struct table table;
    struct table old;       /* while growing: buckets from `moved` on are not in table yet */
    uint64_t moved;         /* buckets of old */
    uint64_t unmapped;      /* buckets of old */
    uint64_t spilled_moved; /* slots of the old spill */
    uint64_t count;
    uint64_t members_max;
    uint64_t bucket_count_last; /* of the largest table that members_max needs */
};

/* ---- spill -------------------------------------------------------------------------------- */

static uint64_t *
spill_slot(const struct spill *spill, uint64_t value)
{
    uint64_t mask = spill->slot_count - 1;
    uint64_t mixed = value * SPILL_MIX;
    uint64_t at = (mixed ^ mixed >> 32) & mask;

    while (spill->slots[at] != 0 && spill->slots[at] != value) {
        at = (at + 1) & mask;
    }
    return &spill->slots[at];
}

static bool
spill_has(const struct spill *spill, uint64_t value)
{
    if (spill->count == 0) {
        return false;
    }
    return value == 0 ? spill->has_zero : spill->slots != NULL && *spill_slot(spill, value) != 0;
}

static bool
spill_grow(struct spill *spill)
{
    struct spill larger = {
        .slot_count = spill->slot_count == 0 ? SPILL_SLOTS_MIN : spill->slot_count * 2,
        .count = spill->count,
        .has_zero = spill->has_zero,
    };

    larger.slots = calloc(larger.slot_count, sizeof(larger.slots[0]));
    if (larger.slots == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < spill->slot_count; i++) {
        if (spill->slots[i] != 0) {
            *spill_slot(&larger, spill->slots[i]) = spill->slots[i];
        }
    }
    free(spill->slots);
    *spill = larger;
    return true;
}

static bool
spill_add(struct spill *spill, uint64_t value)
{
    if (value != 0) {
        if (spill->count >= spill->slot_count / 2 && !spill_grow(spill)) {
            return false;
        }
        *spill_slot(spill, value) = value;
    }
    spill->has_zero |= value == 0;
    spill->count++;
    return true;
}

/* ---- table -------------------------------------------------------------------------------- */

static size_t
table_bytes(uint64_t bucket_count)
{
    return (bucket_count + DISTANCE_MAX) * sizeof(struct bucket);
}

/* Fresh pages are zero and cost time only when they are touched first. */
static bool
table_map(struct table *table, uint64_t bucket_count)
{
    size_t size = table_bytes(bucket_count);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        return false;
    }
    madvise(memory, size, MADV_HUGEPAGE); /* only faster */
    *table = (struct table){.buckets = memory, .bucket_count = bucket_count};
    return true;
}

static void
table_unmap(struct table *table, uint64_t unmapped)
{
    if (table->buckets != NULL) {
        munmap(table->buckets + unmapped, table_bytes(table->bucket_count - unmapped));
    }
    free(table->spill.slots);
    *table = (struct table){0};
}

/* The home is the value scaled down to the buckets, so the values of a home are one run of at most
 * 2^48, in which the low 48 bits name one: nothing is lost. */
static uint64_t
table_home(const struct table *table, uint64_t value)
{
    return (uint64_t)((unsigned __int128)value * table->bucket_count >> 64);
}

/* The least value of a home. */
static uint64_t
table_first(const struct table *table, uint64_t home)
{
    unsigned __int128 scaled = ((unsigned __int128)home << 64) + table->bucket_count - 1;

    return (uint64_t)(scaled / table->bucket_count);
}

/* The value of the home that begins with `first`, by its low bits. */
static uint64_t
value_from(uint64_t first, uint64_t remainder)
{
    uint64_t value = (first & ~REMAINDER_MASK) | remainder;

    return value < first ? value + ((uint64_t)1 << REMAINDER_BITS) : value;
}

static uint64_t
bucket_remainder(const struct bucket *bucket, unsigned slot)
{
    uint64_t bytes;

    /* The two bytes too many are the next remainder's, or the codes'. */
    memcpy(&bytes, (const uint8_t *)bucket + slot * REMAINDER_BYTES, sizeof(bytes));
    return le64toh(bytes) & REMAINDER_MASK;
}

static unsigned
bucket_code(const struct bucket *bucket, unsigned slot)
{
    return bucket->codes >> (slot * CODE_BITS) & CODE_MASK;
}

static bool
bucket_has(const struct bucket *bucket, uint64_t remainder, unsigned distance)
{
    unsigned hits = 0;

    for (unsigned slot = 0; slot < SLOTS; slot++) {
        hits |= (unsigned)(bucket_remainder(bucket, slot) == remainder) << slot;
    }
    while (hits != 0) {
        unsigned slot = (unsigned)__builtin_ctz(hits);

        if (bucket_code(bucket, slot) == distance + 1) {
            return true;
        }
        hits &= hits - 1;
    }
    return false;
}

static bool
bucket_is_full(const struct bucket *bucket)
{
    return bucket_code(bucket, SLOTS - 1) != 0;
}

static void
bucket_add(struct bucket *bucket, uint64_t remainder, unsigned distance)
{
    uint64_t bytes = htole64(remainder);
    unsigned slot = 0;

    while (bucket_code(bucket, slot) != 0) {
        slot++;
    }
    assert(slot < SLOTS);
    memcpy(bucket->remainders[slot], &bytes, REMAINDER_BYTES);
    bucket->codes |= (distance + 1) << (slot * CODE_BITS);
}

/* Looks from home on, past `moved`, to the first bucket with room: nothing was ever put behind it.
 * *ret_room is that bucket's distance, or one too far when there is none. */
static bool
table_has(const struct table *table, uint64_t value, uint64_t moved, unsigned *ret_room)
{
    uint64_t home = table_home(table, value);
    uint64_t skipped = moved > home ? moved - home : 0;
    unsigned distance = skipped > DISTANCE_MAX ? DISTANCE_MAX + 1 : (unsigned)skipped;

    for (; distance <= DISTANCE_MAX; distance++) {
        const struct bucket *bucket = &table->buckets[home + distance];

        if (bucket_has(bucket, value & REMAINDER_MASK, distance)) {
            return true;
        }
        if (!bucket_is_full(bucket)) {
            *ret_room = distance;
            return false;
        }
    }
    *ret_room = distance;
    return spill_has(&table->spill, value);
}

static bool
table_put(struct table *table, uint64_t value, unsigned room)
{
    if (room > DISTANCE_MAX) {
        return spill_add(&table->spill, value);
    }
    bucket_add(&table->buckets[table_home(table, value) + room], value & REMAINDER_MASK, room);
    return true;
}

/* ---- growing ------------------------------------------------------------------------------ */

static bool
seen_move_value(struct seen *seen, uint64_t value)
{
    unsigned room;

    /* A step that failed for want of memory is done again, so some may be there already. */
    return table_has(&seen->table, value, 0, &room) || table_put(&seen->table, value, room);
}

static bool
seen_move_bucket(struct seen *seen)
{
    const struct bucket *bucket = &seen->old.buckets[seen->moved];
    uint64_t home = NO_HOME;
    uint64_t first = 0;

    for (unsigned slot = 0; slot < SLOTS && bucket_code(bucket, slot) != 0; slot++) {
        uint64_t home_here = seen->moved - (bucket_code(bucket, slot) - 1);
        uint64_t value;

        if (home_here != home) { /* mostly the same: the division is worth saving */
            home = home_here;
            first = table_first(&seen->old, home);
        }
        value = value_from(first, bucket_remainder(bucket, slot));
        assert(table_home(&seen->old, value) == home);
        if (!seen_move_value(seen, value)) {
            return false;
        }
    }
    seen->moved++;
    if (seen->moved - seen->unmapped == UNMAP_BUCKETS) {
        munmap(seen->old.buckets + seen->unmapped, UNMAP_BUCKETS * sizeof(*bucket));
        seen->unmapped = seen->moved;
    }
    return true;
}

static bool
seen_move_spilled(struct seen *seen)
{
    struct spill *spill = &seen->old.spill;

    for (unsigned i = 0; i < MOVE_SPILLED && seen->spilled_moved < spill->slot_count; i++) {
        uint64_t value = spill->slots[seen->spilled_moved];

        if (value != 0 && !seen_move_value(seen, value)) {
            return false;
        }
        seen->spilled_moved++;
    }
    if (seen->spilled_moved == spill->slot_count && spill->has_zero) {
        return seen_move_value(seen, 0);
    }
    return true;
}

/* A few buckets at each insert: the old table is gone long before the new one is full. */
static enum error
seen_move(struct seen *seen)
{
    uint64_t bucket_count = seen->old.bucket_count + DISTANCE_MAX;

    for (unsigned i = 0; i < MOVE_BUCKETS && seen->moved < bucket_count; i++) {
        if (!seen_move_bucket(seen)) {
            return ERROR_NO_MEMORY;
        }
    }
    if (seen->moved < bucket_count) {
        return OK;
    }
    if (!seen_move_spilled(seen)) {
        return ERROR_NO_MEMORY;
    }
    if (seen->spilled_moved == seen->old.spill.slot_count) {
        table_unmap(&seen->old, seen->unmapped);
    }
    return OK;
}

static bool
table_is_full(const struct table *table, uint64_t count)
{
    return count >= table->bucket_count * MEMBERS_A_BUCKET_TENTHS / 10;
}

static enum error
seen_grow(struct seen *seen)
{
    uint64_t bucket_count = seen->table.bucket_count * 2;
    struct table larger;

    assert(seen->old.buckets == NULL);
    if (bucket_count > seen->bucket_count_last) {
        bucket_count = seen->bucket_count_last;
    }
    if (!table_map(&larger, bucket_count)) {
        return ERROR_NO_MEMORY;
    }
    seen->old = seen->table;
    seen->table = larger;
    seen->moved = 0;
    seen->unmapped = 0;
    seen->spilled_moved = 0;
    return OK;
}

/* ---- the set ------------------------------------------------------------------------------ */

struct seen *
seen_create(uint64_t members_max)
{
    struct seen *seen = calloc(1, sizeof(*seen));
    uint64_t bucket_count;

    if (seen == NULL) {
        return NULL;
    }
    seen->members_max = members_max;
    bucket_count = members_max / MEMBERS_A_BUCKET_TENTHS * 10 + 10;
    bucket_count = bucket_count < BUCKETS_MIN ? BUCKETS_MIN : bucket_count;
    bucket_count = bucket_count > BUCKETS_MAX ? BUCKETS_MAX : bucket_count;
    seen->bucket_count_last = bucket_count;
    /* The first size is the last one halved, so that the last step doubles too. */
    while (bucket_count / 2 >= BUCKETS_MIN) {
        bucket_count = (bucket_count + 1) / 2;
    }
    if (!table_map(&seen->table, bucket_count)) {
        free(seen);
        return NULL;
    }
    return seen;
}

void
seen_destroy(struct seen *seen)
{
    if (seen != NULL) {
        table_unmap(&seen->table, 0);
        table_unmap(&seen->old, seen->unmapped);
        free(seen);
    }
}

static bool
seen_find(const struct seen *seen, uint64_t value, unsigned *ret_room)
{
    unsigned unused;

    if (table_has(&seen->table, value, 0, ret_room)) {
        return true;
    }
    return seen->old.buckets != NULL && table_has(&seen->old, value, seen->moved, &unused);
}

bool
seen_has(const struct seen *seen, struct fingerprint fingerprint)
{
    unsigned unused;

    return seen_find(seen, fingerprint.high, &unused);
}

enum error
seen_add(struct seen *seen, struct fingerprint fingerprint, bool *ret_is_new)
{
    enum error error = OK;
    unsigned room;

    if (seen->old.buckets != NULL) {
        error = seen_move(seen);
    } else if (seen->table.bucket_count < seen->bucket_count_last &&
               table_is_full(&seen->table, seen->count)) {
        error = seen_grow(seen);
    }
    if (error != OK) {
        return error;
    }
    if (seen_find(seen, fingerprint.high, &room)) {
        *ret_is_new = false;
        return OK;
    }
    if (seen->count == seen->members_max) {
        return ERROR_FULL;
    }
    if (!table_put(&seen->table, fingerprint.high, room)) {
        return ERROR_NO_MEMORY;
    }
    seen->count++;
    *ret_is_new = true;
    return OK;
}

void
seen_prefetch(const struct seen *seen, struct fingerprint fingerprint)
{
    __builtin_prefetch(&seen->table.buckets[table_home(&seen->table, fingerprint.high)], 1);
    if (seen->old.buckets != NULL) {
        uint64_t home = table_home(&seen->old, fingerprint.high);

        if (home >= seen->moved) {
            __builtin_prefetch(&seen->old.buckets[home]);
        }
    }
}

uint64_t
seen_count(const struct seen *seen)
{
    return seen->count;
}

size_t
seen_bytes(const struct seen *seen)
{
    size_t size = sizeof(*seen) + table_bytes(seen->table.bucket_count);

    size += (seen->table.spill.slot_count + seen->old.spill.slot_count) * sizeof(uint64_t);
    if (seen->old.buckets != NULL) {
        size += table_bytes(seen->old.bucket_count - seen->unmapped);
    }
    return size;
}
