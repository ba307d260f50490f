/*
 * store: what the broker must remember, as tables that change in atomic batches.
 *
 * The broker's core turns each decision (accept, complete, dead-letter, acknowledge) into rows of
 * one batch; a batch is applied wholly or not at all, and a decision is answered only after the
 * batch that holds it is durable. The store knows tables, keys and bytes; what the bytes mean is
 * record.h's. Every value carries a version and a checksum over table, key and value (XXH3-64); a
 * value that does not verify is ERROR_CORRUPT for that key alone, is never deleted, and is counted.
 *
 * Threads  one writer (the committer) calls commit and settle; one reader (the loop) calls get,
 *          scan, count and usage at the same time. No read keeps a snapshot open after it returns.
 *          memory: the same promise, by one lock inside.
 * Source   performance document, sections 3 and 5.3.
 */
#ifndef THRESH_BROKER_STORE_H
#define THRESH_BROKER_STORE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_KEY_BYTES_MAX 500 /* LMDB takes 511 */

/* Tables: NUMBER keys are 8-byte sequences in order, BYTES keys are compared bytewise. */
enum store_table {
    STORE_META,       /* BYTES: store id, format version, boot number */
    STORE_TASKS,      /* NUMBER: unfinished tasks by arrival sequence */
    STORE_BODIES,     /* NUMBER: documents' bytes of unfinished tasks */
    STORE_RESULTS,    /* NUMBER: results by position */
    STORE_DEAD,       /* NUMBER: dead letters by task sequence */
    STORE_SEEN,       /* NUMBER: fingerprints, a row for each batch of them, by first sequence */
    STORE_HOSTS,      /* BYTES: state of a host */
    STORE_CLIENTS,    /* BYTES: a feeder's answered and unconfirmed submits */
    STORE_COLLECTORS, /* BYTES: position of a named collector */
    STORE_TOTALS,     /* BYTES: aggregates */
    STORE_WORKERS,    /* BYTES: workers that may hold leases, for the takeover after a restart */
    STORE_TABLE_COUNT
};

bool store_table_is_number(enum store_table table);
const char *store_table_name(enum store_table table);

/* ---- batch ------------------------------------------------------------------------------ */

/* Rows to change together, in order; later rows win. */
struct store_batch;

struct store_batch *store_batch_create(size_t bytes_max);
void store_batch_destroy(struct store_batch *batch);
void store_batch_clear(struct store_batch *batch);
bool store_batch_is_empty(const struct store_batch *batch);
size_t store_batch_bytes(const struct store_batch *batch);
size_t store_batch_count(const struct store_batch *batch);

/* All copy key and value. Errors are sticky, see store_batch_error(). */
void store_batch_put(struct store_batch *batch, enum store_table table, uint64_t key,
                     struct slice value);
/* Two parts that are stored as one value, so that a caller need not join them. */
void store_batch_put2(struct store_batch *batch, enum store_table table, uint64_t key,
                      struct slice head, struct slice tail);
void store_batch_put_bytes(struct store_batch *batch, enum store_table table, struct slice key,
                           struct slice value);
void store_batch_delete(struct store_batch *batch, enum store_table table, uint64_t key);
void store_batch_delete_bytes(struct store_batch *batch, enum store_table table, struct slice key);
/* Deletes the keys first..last of a NUMBER table, ends included. */
void store_batch_delete_range(struct store_batch *batch, enum store_table table, uint64_t first,
                              uint64_t last);
MUST_CHECK enum error store_batch_error(const struct store_batch *batch);

/* For implementations: the rows one by one. *cursor starts at 0; false at the end. */
enum store_row_kind {
    STORE_ROW_PUT,
    STORE_ROW_DELETE,
    STORE_ROW_DELETE_RANGE, /* key is first, last is last */
};
struct store_row {
    enum store_row_kind kind;
    enum store_table table;
    struct slice key;   /* NUMBER tables: 8 bytes, big-endian */
    uint64_t number;    /* NUMBER tables: the key */
    uint64_t last;      /* DELETE_RANGE */
    struct slice value; /* without version and checksum */
};
bool store_batch_next(const struct store_batch *batch, size_t *cursor, struct store_row *ret_row);

/* ---- store ------------------------------------------------------------------------------ */

struct store;

enum store_sync {
    STORE_SYNC_GROUP, /* one flush a commit; durable after settle() or the next commit() */
    STORE_SYNC_FULL,  /* durable when commit() returns */
};

struct store_options {
    const char *path;   /* a directory; made when absent; NULL for memory */
    uint64_t bytes_max; /* of the file, sparse */
    enum store_sync sync;
    bool is_read_only; /* for tools beside a running broker */
};

/*
 * ERROR_LOCKED: another broker has it. ERROR_CORRUPT: its head cannot be trusted. ERROR_VERSION:
 * made by another version. ERROR_DISK_FULL, ERROR_NOT_ALLOWED, ERROR_IO, ERROR_NO_MEMORY.
 * *ret_message (may be NULL; else malloc'd, for the caller to free) says what happened and what to
 * do.
 */
MUST_CHECK enum error store_open_lmdb(const struct store_options *options, struct store **ret_store,
                                      char **ret_message);
MUST_CHECK enum error store_open_memory(const struct store_options *options,
                                        struct store **ret_store, char **ret_message);
void store_close(struct store *store);

/* Applies a batch atomically. After ERROR_IO or ERROR_DISK_FULL the store takes no more batches
 * (ERROR_BUG): the process must stop and recover from disk (I10). */
MUST_CHECK enum error store_commit(struct store *store, const struct store_batch *batch);

/* Makes all that was committed durable. */
MUST_CHECK enum error store_settle(struct store *store);

/* Appends the value to out. ERROR_NOT_FOUND, ERROR_CORRUPT, ERROR_NO_MEMORY, ERROR_TOO_LARGE. */
MUST_CHECK enum error store_get(struct store *store, enum store_table table, uint64_t key,
                                struct buffer *out);
MUST_CHECK enum error store_get_bytes(struct store *store, enum store_table table, struct slice key,
                                      struct buffer *out);

/* One row of a scan; return false to stop. value is valid during the call only. A row that does
 * not verify comes with is_corrupt set and an empty value. */
struct store_entry {
    struct slice key;
    uint64_t number;
    struct slice value;
    bool is_corrupt;
};
typedef bool store_visit_fn(void *context, const struct store_entry *entry);

/* Visits a NUMBER table from key `from` upwards, a BYTES table from its start (from ignored). */
MUST_CHECK enum error store_scan(struct store *store, enum store_table table, uint64_t from,
                                 store_visit_fn *visit, void *context);
/* The same from a bytes key, exclusive. */
MUST_CHECK enum error store_scan_after(struct store *store, enum store_table table,
                                       struct slice after, store_visit_fn *visit, void *context);

/* Reads several rows of a NUMBER table under one snapshot: cheaper than as many store_get()s.
 * visit gets them in the order asked; a missing one has value.data NULL and is_corrupt false. */
MUST_CHECK enum error store_read(struct store *store, enum store_table table, const uint64_t *keys,
                                 size_t key_count, store_visit_fn *visit, void *context);

struct store_usage {
    uint64_t rows[STORE_TABLE_COUNT];
    uint64_t bytes_used; /* pages in use */
    uint64_t bytes_max;
    uint64_t corrupt_rows; /* seen since the start */
    uint64_t commits;
    uint64_t flushes;
};
void store_usage(struct store *store, struct store_usage *ret_usage);

/* After a commit or settle that failed: what happened and what to do, for the log; "" before that.
 * The store's; valid until it is closed. */
const char *store_failure(struct store *store);

/* The implementation's table of functions; each pass the conformance suite of
 * tests/unit/test_store.c. */
struct store_functions {
    const char *name;
    void (*close)(struct store *store);
    enum error (*commit)(struct store *store, const struct store_batch *batch);
    enum error (*settle)(struct store *store);
    enum error (*get)(struct store *store, enum store_table table, struct slice key,
                      struct buffer *out);
    enum error (*scan)(struct store *store, enum store_table table, struct slice from,
                       bool is_exclusive, store_visit_fn *visit, void *context);
    enum error (*read)(struct store *store, enum store_table table, const uint64_t *keys,
                       size_t key_count, store_visit_fn *visit, void *context);
    void (*usage)(struct store *store, struct store_usage *ret_usage);
    const char *(*failure)(struct store *store); /* may be NULL */
};
struct store {
    const struct store_functions *functions; /* first member of every implementation */
};

#endif
