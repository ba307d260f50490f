/*
 * totals: sums of everything that happened, by name; kept in the store with the events they count.
 *
 * Each total is a row "kind/name" of STORE_TOTALS and changes in the same batch as its event, so
 * that a restart forgets and doubles nothing.
 *
 * Bounds   TOTALS_NAMES_MAX names a kind; what comes after counts under "other".
 * Threads  one owner.
 */
#ifndef THRESH_BROKER_TOTALS_H
#define THRESH_BROKER_TOTALS_H

#include "broker/map.h"
#include "broker/store.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TOTALS_NAMES_MAX 256
#define TOTAL_NAME_BYTES_MAX 80
#define TOTALS_RECENT 64

enum total_kind {
    TOTAL_STATE, /* accepted, done, dead, cancelled, and the like: the ledger */
    TOTAL_OUTCOME,
    TOTAL_HTTP_STATUS,
    TOTAL_CONTENT_TYPE,
    TOTAL_LANGUAGE,
    TOTAL_COUNTER, /* what happened on the way: retries, late results, bytes */
    TOTAL_KIND_COUNT
};

struct total {
    enum total_kind kind;
    bool is_dirty;
    uint8_t name_bytes;
    char name[TOTAL_NAME_BYTES_MAX];
    uint64_t value;
};

struct totals {
    struct total *rows;
    uint32_t count;
    uint32_t capacity;
    uint32_t per_kind[TOTAL_KIND_COUNT];
    struct map by_hash;
    uint32_t recent[TOTALS_RECENT]; /* rows by a cheap look at their names; checked when used */
};

void totals_init(struct totals *totals);
void totals_release(struct totals *totals);

const char *total_kind_name(enum total_kind kind);

/* Adds amount to a total, made when new. Without room or memory for a new name the amount
 * goes under "other". */
void totals_add(struct totals *totals, enum total_kind kind, struct slice name, uint64_t amount);
void totals_add_text(struct totals *totals, enum total_kind kind, const char *name,
                     uint64_t amount);
/* The ledger's counts go down too (a dead letter tried again). */
void totals_subtract_text(struct totals *totals, enum total_kind kind, const char *name,
                          uint64_t amount);
/* Sets a value that is not a sum (the newest position). */
void totals_set_text(struct totals *totals, enum total_kind kind, const char *name, uint64_t value);
uint64_t totals_get(const struct totals *totals, enum total_kind kind, const char *name);

/* Writes the changed ones into the batch. */
void totals_write(struct totals *totals, struct store_batch *batch);
/* Takes one row of the store. ERROR_CORRUPT. */
MUST_CHECK enum error totals_load(struct totals *totals, struct slice key, struct slice value);

/* Appends a msgpack map from name to count of one kind. */
void totals_write_map(const struct totals *totals, enum total_kind kind, struct buffer *out);

#endif
