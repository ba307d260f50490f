#include "broker/store_lmdb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "broker/store_format.h"

#define VALUE_VERSION 1u
#define VALUE_HEAD_BYTES 9        /* version and checksum */
#define READER_CHECK_COMMITS 1024 /* how often readers that died are cleared */

static struct store_lmdb *
store_lmdb_of(struct store *store)
{
    return (struct store_lmdb *)store;
}

enum error
store_lmdb_error(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return OK;
    case MDB_NOTFOUND:
        return ERROR_NOT_FOUND;
    case MDB_MAP_FULL:
        return ERROR_DISK_FULL;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
        return ERROR_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return ERROR_VERSION;
    case MDB_READERS_FULL:
        return ERROR_FULL;
    case MDB_MAP_RESIZED:
        return ERROR_AGAIN;
    default:
        return code < 0 ? ERROR_BUG : store_error_of_errno(code);
    }
}

/* ---- values ------------------------------------------------------------------------------- */

static uint64_t
value_checksum(enum store_table table, struct slice key, struct slice value)
{
    XXH64_hash_t seed = XXH3_64bits_withSeed(key.data, key.size, (XXH64_hash_t)table);

    return XXH3_64bits_withSeed(value.data, value.size, seed);
}

static void
value_write(uint8_t *to, const struct store_row *row)
{
    uint64_t checksum = value_checksum(row->table, row->key, row->value);

    to[0] = VALUE_VERSION;
    for (unsigned i = 0; i < 8; i++) {
        to[1 + i] = (uint8_t)(checksum >> (8 * i));
    }
    if (row->value.size > 0) {
        memcpy(to + VALUE_HEAD_BYTES, row->value.data, row->value.size);
    }
}

struct store_entry
store_lmdb_entry(struct store_lmdb *lmdb, enum store_table table, const MDB_val *key,
                 const MDB_val *data)
{
    struct store_entry entry = {.key = slice_of(key->mv_data, key->mv_size)};
    const uint8_t *bytes = data->mv_data;
    uint64_t checksum = 0;

    entry.is_corrupt = data->mv_size < VALUE_HEAD_BYTES || bytes[0] != VALUE_VERSION;
    if (store_table_is_number(table)) {
        entry.is_corrupt |= key->mv_size != STORE_NUMBER_BYTES;
        entry.number = key->mv_size == STORE_NUMBER_BYTES ? store_number_decode(key->mv_data) : 0;
    }
    if (!entry.is_corrupt) {
        for (unsigned i = 0; i < 8; i++) {
            checksum |= (uint64_t)bytes[1 + i] << (8 * i);
        }
        entry.value = slice_of(bytes + VALUE_HEAD_BYTES, data->mv_size - VALUE_HEAD_BYTES);
        entry.is_corrupt = checksum != value_checksum(table, entry.key, entry.value);
    }
    if (entry.is_corrupt) {
        entry.value = slice_of(NULL, 0);
        lmdb->corrupt_rows++;
    }
    return entry;
}

/* ---- writing ------------------------------------------------------------------------------ */

static int
cursor_of(struct store_lmdb *lmdb, struct store_lmdb_writer *writer, enum store_table table,
          MDB_cursor **ret_cursor)
{
    MDB_cursor **cursor = &writer->cursors[table];
    int code = MDB_SUCCESS;

    if (*cursor == NULL) {
        code = mdb_cursor_open(writer->txn, lmdb->tables[table], cursor);
    }
    *ret_cursor = *cursor;
    return code;
}

int
store_lmdb_put(struct store_lmdb *lmdb, struct store_lmdb_writer *writer,
               const struct store_row *row)
{
    MDB_val key = {.mv_size = row->key.size, .mv_data = (void *)(uintptr_t)row->key.data};
    MDB_val data = {.mv_size = VALUE_HEAD_BYTES + row->value.size};
    uint64_t *next_key = &lmdb->next_keys[row->table];
    bool is_last = store_table_is_number(row->table) && row->number >= *next_key;
    MDB_cursor *cursor;
    int code = cursor_of(lmdb, writer, row->table, &cursor);

    if (code != MDB_SUCCESS) {
        return code;
    }
    code = MDB_KEYEXIST;
    /* Appending fills pages to the brim instead of splitting them in halves. */
    if (is_last) {
        code = mdb_cursor_put(cursor, &key, &data, MDB_RESERVE | MDB_APPEND);
    }
    if (code == MDB_KEYEXIST) {
        data.mv_size = VALUE_HEAD_BYTES + row->value.size;
        code = mdb_cursor_put(cursor, &key, &data, MDB_RESERVE);
    }
    if (code != MDB_SUCCESS) {
        return code;
    }
    value_write(data.mv_data, row);
    if (is_last) {
        *next_key = row->number + 1;
    }
    return MDB_SUCCESS;
}

static int
delete_row(MDB_cursor *cursor, const struct store_row *row)
{
    MDB_val key = {.mv_size = row->key.size, .mv_data = (void *)(uintptr_t)row->key.data};
    MDB_val data;
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET);

    if (code == MDB_SUCCESS) {
        code = mdb_cursor_del(cursor, 0);
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int
delete_range(MDB_cursor *cursor, const struct store_row *row)
{
    MDB_val key = {.mv_size = row->key.size, .mv_data = (void *)(uintptr_t)row->key.data};
    MDB_val data;
    int code = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);

    while (code == MDB_SUCCESS && store_number_decode(key.mv_data) <= row->last) {
        code = mdb_cursor_del(cursor, 0);
        if (code == MDB_SUCCESS) {
            code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
        }
    }
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static int
apply_row(struct store_lmdb *lmdb, struct store_lmdb_writer *writer, const struct store_row *row)
{
    MDB_cursor *cursor;
    int code;

    if (row->kind == STORE_ROW_PUT) {
        return store_lmdb_put(lmdb, writer, row);
    }
    code = cursor_of(lmdb, writer, row->table, &cursor);
    if (code != MDB_SUCCESS) {
        return code;
    }
    return row->kind == STORE_ROW_DELETE ? delete_row(cursor, row) : delete_range(cursor, row);
}

/* After a failed write nothing more is written: what the kernel holds of the file is unknown (I10).
 * LMDB calls a write that was cut short EIO; on a full disk it was that. */
static enum error
stop(struct store_lmdb *lmdb, const char *action, int code)
{
    enum error error = store_lmdb_error(code);
    const char *what = mdb_strerror(code);
    const char *advice = "see the kernel's log and check the disk, then start the broker again";

    if (error == ERROR_IO && store_directory_is_full(&lmdb->directory)) {
        error = ERROR_DISK_FULL;
        what = "the disk is full";
    }
    if (code == MDB_MAP_FULL) {
        what = "it has reached its largest size";
        advice = "raise store-bytes-max and start the broker again";
    } else if (error == ERROR_DISK_FULL) {
        advice = "free space on its disk and start the broker again";
    } else if (error == ERROR_CORRUPT) {
        advice = "check the disk and put a copy of the store back";
    }
    lmdb->is_stopped = true;
    buffer_clear(&lmdb->failure);
    buffer_printf(&lmdb->failure, "store %s: cannot %s: %s; %s", lmdb->path, action, what, advice);
    return error;
}

static uint64_t
last_transaction(struct store_lmdb *lmdb)
{
    MDB_envinfo info;

    return mdb_env_info(lmdb->env, &info) == MDB_SUCCESS ? info.me_last_txnid : 0;
}

static enum error
store_lmdb_settle(struct store *store)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    int code;

    if (lmdb->is_stopped || lmdb->is_read_only) {
        return ERROR_BUG;
    }
    if (!lmdb->is_unsettled) {
        return OK;
    }
    code = mdb_env_sync(lmdb->env, 1);
    if (code != MDB_SUCCESS) {
        return stop(lmdb, "sync", code);
    }
    lmdb->flushes++;
    lmdb->is_unsettled = false;
    return OK;
}

static enum error
store_lmdb_commit(struct store *store, const struct store_batch *batch)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    uint64_t before = last_transaction(lmdb);
    struct store_lmdb_writer writer = {0};
    struct store_row row;
    size_t cursor = 0;
    int dead = 0;
    int code;

    if (lmdb->is_stopped || lmdb->is_read_only) {
        return ERROR_BUG;
    }
    if (lmdb->commits % READER_CHECK_COMMITS == 0) {
        /* A reader that died would keep pages from being used again. Failing costs only space. */
        mdb_reader_check(lmdb->env, &dead);
    }
    code = mdb_txn_begin(lmdb->env, NULL, 0, &writer.txn);
    if (code != MDB_SUCCESS) {
        return stop(lmdb, "begin a batch", code);
    }
    while (code == MDB_SUCCESS && store_batch_next(batch, &cursor, &row)) {
        code = apply_row(lmdb, &writer, &row);
    }
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(writer.txn);
        return stop(lmdb, "write", code);
    }
    code = mdb_txn_commit(writer.txn);
    if (code != MDB_SUCCESS) {
        return stop(lmdb, "write", code);
    }
    lmdb->commits++;
    if (last_transaction(lmdb) == before) {
        /* Nothing changed, so nothing was flushed, and the one before must be durable now. */
        return store_lmdb_settle(store);
    }
    lmdb->flushes += lmdb->sync == STORE_SYNC_FULL ? 2 : 1;
    lmdb->is_unsettled = lmdb->sync == STORE_SYNC_GROUP;
    return OK;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* The kept transaction, or another one for a read inside a visit. */
static int
read_begin(struct store_lmdb *lmdb, MDB_txn **ret_txn)
{
    int code;

    if (atomic_flag_test_and_set(&lmdb->is_reader_taken)) {
        return mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, ret_txn);
    }
    code = mdb_txn_renew(lmdb->reader);
    if (code != MDB_SUCCESS) {
        atomic_flag_clear(&lmdb->is_reader_taken);
        return code;
    }
    *ret_txn = lmdb->reader;
    return MDB_SUCCESS;
}

static void
read_end(struct store_lmdb *lmdb, MDB_txn *txn)
{
    if (txn != lmdb->reader) {
        mdb_txn_abort(txn);
        return;
    }
    mdb_txn_reset(txn);
    atomic_flag_clear(&lmdb->is_reader_taken);
}

static enum error
store_lmdb_get(struct store *store, enum store_table table, struct slice key, struct buffer *out)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    MDB_val lmdb_key = {.mv_size = key.size, .mv_data = (void *)(uintptr_t)key.data};
    enum error error;
    MDB_val data;
    MDB_txn *txn;
    int code = read_begin(lmdb, &txn);

    if (code != MDB_SUCCESS) {
        return store_lmdb_error(code);
    }
    code = mdb_get(txn, lmdb->tables[table], &lmdb_key, &data);
    error = store_lmdb_error(code);
    if (code == MDB_SUCCESS) {
        struct store_entry entry = store_lmdb_entry(lmdb, table, &lmdb_key, &data);

        if (entry.is_corrupt) {
            error = ERROR_CORRUPT;
        } else {
            buffer_append(out, entry.value.data, entry.value.size);
            error = buffer_error(out);
        }
    }
    read_end(lmdb, txn);
    return error;
}

static int
cursor_start(MDB_cursor *cursor, struct slice from, bool is_exclusive, MDB_val *key, MDB_val *data)
{
    int code;

    if (from.size == 0) {
        return mdb_cursor_get(cursor, key, data, MDB_FIRST);
    }
    *key = (MDB_val){.mv_size = from.size, .mv_data = (void *)(uintptr_t)from.data};
    code = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);
    if (code == MDB_SUCCESS && is_exclusive &&
        slice_equal(from, slice_of(key->mv_data, key->mv_size))) {
        code = mdb_cursor_get(cursor, key, data, MDB_NEXT);
    }
    return code;
}

static enum error
store_lmdb_scan(struct store *store, enum store_table table, struct slice from, bool is_exclusive,
                store_visit_fn *visit, void *context)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    MDB_cursor *cursor;
    MDB_val data;
    MDB_val key;
    MDB_txn *txn;
    int code = read_begin(lmdb, &txn);

    if (code != MDB_SUCCESS) {
        return store_lmdb_error(code);
    }
    code = mdb_cursor_open(txn, lmdb->tables[table], &cursor);
    if (code != MDB_SUCCESS) {
        read_end(lmdb, txn);
        return store_lmdb_error(code);
    }
    code = cursor_start(cursor, from, is_exclusive, &key, &data);
    while (code == MDB_SUCCESS) {
        struct store_entry entry = store_lmdb_entry(lmdb, table, &key, &data);

        if (!visit(context, &entry)) {
            break;
        }
        code = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    read_end(lmdb, txn);
    return code == MDB_NOTFOUND ? OK : store_lmdb_error(code);
}

/* A cursor that knows the page of the key before finds its neighbours without a search. The kept
 * ones belong to the kept transaction. */
static int
read_cursor(struct store_lmdb *lmdb, MDB_txn *txn, enum store_table table, MDB_cursor **ret_cursor)
{
    MDB_cursor **kept = &lmdb->cursors[table];

    if (txn != lmdb->reader) {
        return mdb_cursor_open(txn, lmdb->tables[table], ret_cursor);
    }
    if (*kept != NULL) {
        *ret_cursor = *kept;
        return mdb_cursor_renew(txn, *kept);
    }
    int code = mdb_cursor_open(txn, lmdb->tables[table], kept);

    *ret_cursor = *kept;
    return code;
}

static enum error
store_lmdb_read(struct store *store, enum store_table table, const uint64_t *keys, size_t key_count,
                store_visit_fn *visit, void *context)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    MDB_cursor *cursor = NULL;
    bool is_wanted = true;
    MDB_txn *txn;
    int code = read_begin(lmdb, &txn);

    if (code != MDB_SUCCESS) {
        return store_lmdb_error(code);
    }
    code = read_cursor(lmdb, txn, table, &cursor);
    for (size_t i = 0; i < key_count && is_wanted && code == MDB_SUCCESS; i++) {
        uint8_t bytes[STORE_NUMBER_BYTES];
        struct store_entry entry = {.key = slice_of(bytes, sizeof(bytes)), .number = keys[i]};
        MDB_val key = {.mv_size = sizeof(bytes), .mv_data = bytes};
        MDB_val data;

        store_number_encode(keys[i], bytes);
        code = mdb_cursor_get(cursor, &key, &data, MDB_SET);
        if (code == MDB_SUCCESS) {
            entry = store_lmdb_entry(lmdb, table, &key, &data);
        } else if (code != MDB_NOTFOUND) {
            break;
        }
        code = MDB_SUCCESS;
        is_wanted = visit(context, &entry);
    }
    if (cursor != NULL && txn != lmdb->reader) {
        mdb_cursor_close(cursor);
    }
    read_end(lmdb, txn);
    return store_lmdb_error(code);
}

static uint64_t
stat_pages(const MDB_stat *stat)
{
    return stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

static void
store_lmdb_usage(struct store *store, struct store_usage *ret_usage)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);
    uint64_t pages = 2; /* the heads */
    MDB_envinfo info;
    MDB_stat stat = {0};
    MDB_txn *txn;

    ret_usage->corrupt_rows = lmdb->corrupt_rows;
    ret_usage->commits = lmdb->commits;
    ret_usage->flushes = lmdb->flushes;
    if (mdb_env_info(lmdb->env, &info) == MDB_SUCCESS) {
        ret_usage->bytes_max = info.me_mapsize;
    }
    if (read_begin(lmdb, &txn) != MDB_SUCCESS) {
        return;
    }
    for (unsigned table = 0; table < STORE_TABLE_COUNT; table++) {
        if (mdb_stat(txn, lmdb->tables[table], &stat) == MDB_SUCCESS) {
            ret_usage->rows[table] = stat.ms_entries;
            pages += stat_pages(&stat);
        }
    }
    /* Databases 0 and 1 of every environment: the free list and the list of tables. */
    for (MDB_dbi inner = 0; inner < 2; inner++) {
        if (mdb_stat(txn, inner, &stat) == MDB_SUCCESS) {
            pages += stat_pages(&stat);
        }
    }
    read_end(lmdb, txn);
    ret_usage->bytes_used = pages * stat.ms_psize;
}

static const char *
store_lmdb_failure(struct store *store)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);

    return lmdb->is_stopped ? buffer_text(&lmdb->failure) : "";
}

static void
store_lmdb_close(struct store *store)
{
    struct store_lmdb *lmdb = store_lmdb_of(store);

    for (unsigned table = 0; table < STORE_TABLE_COUNT; table++) {
        if (lmdb->cursors[table] != NULL) {
            mdb_cursor_close(lmdb->cursors[table]);
        }
    }
    if (lmdb->reader != NULL) {
        mdb_txn_abort(lmdb->reader);
    }
    if (lmdb->env != NULL) {
        mdb_env_close(lmdb->env);
    }
    store_directory_release(&lmdb->directory);
    buffer_release(&lmdb->failure);
    free(lmdb->path);
    free(lmdb);
}

const struct store_functions store_lmdb_functions = {
    .name = "lmdb",
    .close = store_lmdb_close,
    .commit = store_lmdb_commit,
    .settle = store_lmdb_settle,
    .get = store_lmdb_get,
    .scan = store_lmdb_scan,
    .read = store_lmdb_read,
    .usage = store_lmdb_usage,
    .failure = store_lmdb_failure,
};
