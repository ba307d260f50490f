/*
 * store_lmdb: the tables as named databases of one LMDB environment; what its two files share.
 *
 * With MDB_NOMETASYNC a commit flushes once: its pages, and with them the head of the commit
 * before. A power cut may take the last commit but never breaks the file, so a batch counts as
 * durable when the next one was flushed, or after a settle.
 *
 * A stored value is: version, checksum (XXH3-64 over the value, seeded with that over the key,
 * which is seeded with the table; least significant byte first), value.
 *
 * Never used after fork() and never open twice in one process: LMDB's locks belong to the process.
 */
#ifndef THRESH_BROKER_STORE_LMDB_H
#define THRESH_BROKER_STORE_LMDB_H

#include "broker/store.h"
#include "broker/store_directory.h"
#include "common/buffer.h"
#include "common/error.h"

#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_MESSAGE_BYTES_MAX 4096

struct store_lmdb {
    struct store store;
    struct store_directory directory;
    char *path;
    MDB_env *env;
    MDB_dbi tables[STORE_TABLE_COUNT];
    enum store_sync sync;
    bool is_read_only;

    /* the writer's */
    uint64_t next_keys[STORE_TABLE_COUNT]; /* NUMBER tables: no stored key is this or larger */
    bool is_stopped;
    bool is_unsettled;
    struct buffer failure;

    /* the reader's: one transaction, used again and again and reset in between */
    MDB_txn *reader;
    MDB_cursor *cursors[STORE_TABLE_COUNT]; /* of that transaction; NULL until needed */
    atomic_flag is_reader_taken;

    _Atomic uint64_t corrupt_rows;
    _Atomic uint64_t commits;
    _Atomic uint64_t flushes;
};

extern const struct store_functions store_lmdb_functions;

/* The error for a code of LMDB's, which may be an errno. */
enum error store_lmdb_error(int code);

/* A transaction that writes, with a cursor for each table it has touched: rows that stand on one
 * page are found without a search from the root. LMDB frees the cursors when it ends. */
struct store_lmdb_writer {
    MDB_txn *txn;
    MDB_cursor *cursors[STORE_TABLE_COUNT];
};

/* Puts one row in a transaction; gives a code of LMDB's. */
int store_lmdb_put(struct store_lmdb *lmdb, struct store_lmdb_writer *writer,
                   const struct store_row *row);

/* A row as it is shown: the value when it verifies, else is_corrupt, which is counted. */
struct store_entry store_lmdb_entry(struct store_lmdb *lmdb, enum store_table table,
                                    const MDB_val *key, const MDB_val *data);

#endif
