#include "broker/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/store_format.h"
#include "broker/store_pages.h"

#define BYTES_MAX_DEFAULT ((uint64_t)1 << 40) /* sparse: costs address space only */
#define BYTES_MAX_LEAST ((uint64_t)1 << 20)   /* the tables themselves and room to delete */
#define MAP_BYTES_STEP ((uint64_t)1 << 16)    /* a multiple of every machine's page */

static enum error
say(struct store_lmdb *lmdb, struct buffer *message, const char *action, int code)
{
    enum error error = store_lmdb_error(code);
    const char *advice = "check the path, its rights and the disk";

    if (error == ERROR_DISK_FULL) {
        advice = code == MDB_MAP_FULL ? "raise store-bytes-max" : "free space on its disk";
    } else if (error == ERROR_NO_MEMORY) {
        advice = "lower store-bytes-max or lift the limit of address space (ulimit -v)";
    } else if (error == ERROR_CORRUPT) {
        advice = "check the disk and put a copy of the store back";
    } else if (error == ERROR_VERSION) {
        advice = "use the program that made it";
    }
    buffer_printf(message, "store %s: cannot %s: %s; %s", lmdb->path, action, mdb_strerror(code),
                  advice);
    return error;
}

/* Before LMDB trusts it. Beside a running broker the file changes, and the broker has checked it.
 */
static enum error
check_pages(struct store_lmdb *lmdb, struct buffer *message)
{
    enum error error;
    int fd;

    if (lmdb->is_read_only && !store_directory_is_idle(&lmdb->directory)) {
        return OK;
    }
    fd = openat(lmdb->directory.fd, STORE_DATA_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT && !lmdb->is_read_only ? OK : say(lmdb, message, "open it", errno);
    }
    error = store_pages_check(fd, lmdb->path, false, message);
    close(fd);
    if (error == ERROR_CORRUPT && lmdb->is_read_only &&
        !store_directory_is_idle(&lmdb->directory)) {
        buffer_clear(message); /* a broker started meanwhile and changed what was being read */
        return OK;
    }
    return error;
}

static enum error
open_environment(struct store_lmdb *lmdb, uint64_t bytes_max, struct buffer *message)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    mdb_filehandle_t fd;
    int dead;
    int code = mdb_env_create(&lmdb->env);

    if (code != MDB_SUCCESS) {
        lmdb->env = NULL;
        return say(lmdb, message, "open it", code);
    }
    flags |= lmdb->is_read_only ? MDB_RDONLY : 0;
    flags |= lmdb->sync == STORE_SYNC_GROUP ? MDB_NOMETASYNC : 0;
    code = mdb_env_set_maxdbs(lmdb->env, STORE_TABLE_COUNT);
    if (code == MDB_SUCCESS && !lmdb->is_read_only) {
        code = mdb_env_set_mapsize(lmdb->env, bytes_max);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_open(lmdb->env, lmdb->path, flags, 0600);
    }
    if (code == MDB_SUCCESS) {
        code = mdb_env_get_fd(lmdb->env, &fd);
    }
    /* LMDB leaves its data file open across exec. */
    if (code == MDB_SUCCESS && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        code = errno;
    }
    if (code == MDB_SUCCESS) {
        code = mdb_reader_check(lmdb->env, &dead);
    }
    return code == MDB_SUCCESS ? OK : say(lmdb, message, "open it", code);
}

/* ---- tables ------------------------------------------------------------------------------- */

static int
put_format(struct store_lmdb *lmdb, MDB_txn *txn)
{
    uint8_t value[STORE_FORMAT_BYTES];
    struct store_row row = store_format_row(value);

    struct store_lmdb_writer writer = {.txn = txn};

    return store_lmdb_put(lmdb, &writer, &row);
}

static enum error
check_format(struct store_lmdb *lmdb, MDB_txn *txn, struct buffer *message)
{
    MDB_val key = {.mv_size = sizeof(STORE_FORMAT_KEY) - 1,
                   .mv_data = (void *)(uintptr_t)STORE_FORMAT_KEY};
    struct store_entry entry;
    uint32_t version;
    MDB_val data;
    int code = mdb_get(txn, lmdb->tables[STORE_META], &key, &data);

    if (code != MDB_SUCCESS) {
        return say(lmdb, message, "find its version", code == MDB_NOTFOUND ? MDB_CORRUPTED : code);
    }
    entry = store_lmdb_entry(lmdb, STORE_META, &key, &data);
    if (entry.is_corrupt || entry.value.size != STORE_FORMAT_BYTES) {
        return say(lmdb, message, "read its version", MDB_CORRUPTED);
    }
    version = store_format_decode(entry.value.data);
    if (version != STORE_FORMAT_VERSION) {
        buffer_printf(message,
                      "store %s has format %u and this program knows format %u; use the program "
                      "that made it",
                      lmdb->path, version, STORE_FORMAT_VERSION);
        return ERROR_VERSION;
    }
    return OK;
}

static int
find_next_key(struct store_lmdb *lmdb, MDB_txn *txn, enum store_table table)
{
    MDB_cursor *cursor;
    MDB_val data;
    MDB_val key;
    int code = mdb_cursor_open(txn, lmdb->tables[table], &cursor);

    if (code != MDB_SUCCESS) {
        return code;
    }
    code = mdb_cursor_get(cursor, &key, &data, MDB_LAST);
    if (code == MDB_SUCCESS && key.mv_size == STORE_NUMBER_BYTES) {
        lmdb->next_keys[table] = store_number_decode(key.mv_data) + 1;
    }
    mdb_cursor_close(cursor);
    return code == MDB_NOTFOUND ? MDB_SUCCESS : code;
}

static enum error
open_tables_in(struct store_lmdb *lmdb, MDB_txn *txn, bool is_new, struct buffer *message)
{
    /* A store that is there has all tables: one that is missing was lost, and is not made anew. */
    unsigned flags = is_new ? MDB_CREATE : 0;
    enum error error;
    int code = mdb_dbi_open(txn, store_table_name(STORE_META), flags, &lmdb->tables[STORE_META]);

    if (code == MDB_SUCCESS && is_new) {
        code = put_format(lmdb, txn);
    }
    if (code != MDB_SUCCESS) {
        return say(lmdb, message, "open its tables", code == MDB_NOTFOUND ? MDB_CORRUPTED : code);
    }
    error = check_format(lmdb, txn, message);
    if (error != OK) {
        return error;
    }
    for (unsigned table = 0; table < STORE_TABLE_COUNT && code == MDB_SUCCESS; table++) {
        code = mdb_dbi_open(txn, store_table_name(table), flags, &lmdb->tables[table]);
        if (code == MDB_SUCCESS && store_table_is_number(table)) {
            code = find_next_key(lmdb, txn, table);
        }
    }
    if (code == MDB_NOTFOUND) {
        code = MDB_CORRUPTED;
    }
    return code == MDB_SUCCESS ? OK : say(lmdb, message, "open its tables", code);
}

static enum error
open_tables(struct store_lmdb *lmdb, struct buffer *message)
{
    enum error error;
    MDB_stat stat;
    MDB_txn *txn;
    bool is_new;
    int code = mdb_env_stat(lmdb->env, &stat);

    is_new = code == MDB_SUCCESS && stat.ms_entries == 0;
    if (is_new && lmdb->is_read_only) {
        buffer_printf(message, "store %s: there is no store here; check --store", lmdb->path);
        return ERROR_NOT_FOUND;
    }
    if (code == MDB_SUCCESS) {
        code = mdb_txn_begin(lmdb->env, NULL, lmdb->is_read_only ? MDB_RDONLY : 0, &txn);
    }
    if (code != MDB_SUCCESS) {
        return say(lmdb, message, "open its tables", code);
    }
    error = open_tables_in(lmdb, txn, is_new, message);
    if (error != OK) {
        mdb_txn_abort(txn);
        return error;
    }
    code = mdb_txn_commit(txn);
    if (code == MDB_SUCCESS && !lmdb->is_read_only) {
        code = mdb_env_sync(lmdb->env, 1);
    }
    if (code != MDB_SUCCESS) {
        return say(lmdb, message, "make its tables", code);
    }
    return lmdb->is_read_only ? OK : store_directory_mark(&lmdb->directory, message);
}

static enum error
open_reader(struct store_lmdb *lmdb, struct buffer *message)
{
    int code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &lmdb->reader);

    if (code != MDB_SUCCESS) {
        lmdb->reader = NULL;
        return say(lmdb, message, "read it", code);
    }
    mdb_txn_reset(lmdb->reader);
    return OK;
}

static uint64_t
map_bytes(uint64_t bytes_max)
{
    if (bytes_max == 0) {
        bytes_max = BYTES_MAX_DEFAULT;
    }
    if (bytes_max < BYTES_MAX_LEAST) {
        bytes_max = BYTES_MAX_LEAST;
    }
    return bytes_max / MAP_BYTES_STEP * MAP_BYTES_STEP;
}

static enum error
open_all(struct store_lmdb *lmdb, const struct store_options *options, struct buffer *message)
{
    enum error error =
        store_directory_open(&lmdb->directory, lmdb->path, lmdb->is_read_only, message);

    if (error == OK) {
        error = check_pages(lmdb, message);
    }
    if (error == OK) {
        error = open_environment(lmdb, map_bytes(options->bytes_max), message);
    }
    if (error == OK) {
        error = open_tables(lmdb, message);
    }
    return error == OK ? open_reader(lmdb, message) : error;
}

enum error
store_open_lmdb(const struct store_options *options, struct store **ret_store, char **ret_message)
{
    struct store_lmdb *lmdb = calloc(1, sizeof(*lmdb));
    enum error error = ERROR_NO_MEMORY;
    struct buffer message;

    buffer_init(&message, STORE_MESSAGE_BYTES_MAX);
    if (lmdb == NULL) {
        goto fail;
    }
    lmdb->store.functions = &store_lmdb_functions;
    lmdb->directory = (struct store_directory){.fd = -1, .lock_fd = -1};
    lmdb->sync = options->sync;
    lmdb->is_read_only = options->is_read_only;
    atomic_flag_clear(&lmdb->is_reader_taken);
    buffer_init(&lmdb->failure, STORE_MESSAGE_BYTES_MAX);
    lmdb->path = strdup(options->path);
    if (lmdb->path == NULL) {
        goto fail;
    }
    error = open_all(lmdb, options, &message);
    if (error != OK) {
        goto fail;
    }
    buffer_release(&message);
    *ret_store = &lmdb->store;
    return OK;

fail:
    if (ret_message != NULL) {
        *ret_message = strdup(message.size > 0 ? buffer_text(&message) : error_text(error));
    }
    buffer_release(&message);
    if (lmdb != NULL) {
        store_close(&lmdb->store);
    }
    return error;
}
