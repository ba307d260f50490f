/*
 * host_sums: what was done, failed and received by host, kept without a row for each host and
 * batch.
 *
 * Every result changes the sums of its host. All that a batch changes goes into one row of
 * STORE_HOSTS, "+" and a number, as (name, done, failed, bytes); now and then the rows are folded:
 * the hosts' own rows, which hold the sums too, are written, and the rows go. Sums only grow, so
 * that at the start the larger of two values is the newer one, in whatever order rows are read.
 *
 * Bounds   HOST_SUMS_ENTRIES_MAX entries or HOST_SUMS_ROWS_MAX rows, then they are folded.
 * Threads  one owner.
 */
#ifndef THRESH_BROKER_HOST_SUMS_H
#define THRESH_BROKER_HOST_SUMS_H

#include "broker/hosts.h"
#include "broker/store.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define HOST_SUMS_ENTRIES_MAX 8192
#define HOST_SUMS_ROWS_MAX 1024

struct host_list {
    uint32_t *hosts;
    uint32_t count;
    uint32_t capacity;
};

struct host_sums {
    struct host_list changed; /* since the last batch */
    struct host_list logged;  /* in rows that are not folded yet */
    uint64_t entries;         /* of those rows */
    uint64_t first;           /* of them */
    uint64_t next;            /* number of the next row */
};

void host_sums_release(struct host_sums *sums);

/* A host's sums have changed. False without memory: its own row must be written. */
bool host_sums_change(struct host_sums *sums, struct hosts *hosts, uint32_t host);

/* Writes the row of what has changed since the last call, if anything has. */
void host_sums_write(struct host_sums *sums, struct hosts *hosts, struct buffer *scratch,
                     struct store_batch *rows);

/* The rows should be folded: the own row of each host in sums->logged be written, and then
 * host_sums_folded() be called, in the same batch. */
bool host_sums_is_full(const struct host_sums *sums);
void host_sums_folded(struct host_sums *sums, struct hosts *hosts, struct store_batch *rows);

/* Sums read from the store: the larger ones are the newer ones. */
void host_sums_raise(struct host *row, uint64_t done, uint64_t failed, uint64_t bytes);

/* Whether a row of STORE_HOSTS is one of these. */
bool host_sums_is_row(struct slice key);
/* Takes such a row at the start and calls visit for each host in it. A row that cannot be read is
 * left where it is, for a person. ERROR_CORRUPT, ERROR_NO_MEMORY, ERROR_FULL. */
MUST_CHECK enum error host_sums_load(struct host_sums *sums, struct hosts *hosts, struct slice key,
                                     struct slice value,
                                     void (*visit)(void *context, uint32_t host), void *context);

#endif
