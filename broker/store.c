#include "broker/store.h"

#include <assert.h>
#include <string.h>

#include "broker/store_format.h"

struct table_row {
    const char *name;
    bool is_number;
};

/* The names are those of the databases inside the file: they never change. */
static const struct table_row tables[STORE_TABLE_COUNT] = {
    [STORE_META] = {"meta", false},       [STORE_TASKS] = {"tasks", true},
    [STORE_BODIES] = {"bodies", true},    [STORE_RESULTS] = {"results", true},
    [STORE_DEAD] = {"dead", true},        [STORE_SEEN] = {"seen", true},
    [STORE_HOSTS] = {"hosts", false},     [STORE_CLIENTS] = {"clients", false},
    [STORE_TOTALS] = {"totals", false},   [STORE_COLLECTORS] = {"collectors", false},
    [STORE_WORKERS] = {"workers", false},
};

bool
store_table_is_number(enum store_table table)
{
    assert(table < STORE_TABLE_COUNT);
    return tables[table].is_number;
}

const char *
store_table_name(enum store_table table)
{
    assert(table < STORE_TABLE_COUNT);
    return tables[table].name;
}

void
store_close(struct store *store)
{
    if (store != NULL) {
        store->functions->close(store);
    }
}

enum error
store_commit(struct store *store, const struct store_batch *batch)
{
    enum error error = store_batch_error(batch);

    /* A batch that was cut short says less than was decided: none of it may be applied. */
    return error != OK ? error : store->functions->commit(store, batch);
}

enum error
store_settle(struct store *store)
{
    return store->functions->settle(store);
}

enum error
store_get(struct store *store, enum store_table table, uint64_t key, struct buffer *out)
{
    uint8_t bytes[STORE_NUMBER_BYTES];

    assert(store_table_is_number(table));
    store_number_encode(key, bytes);
    return store->functions->get(store, table, slice_of(bytes, sizeof(bytes)), out);
}

enum error
store_get_bytes(struct store *store, enum store_table table, struct slice key, struct buffer *out)
{
    assert(!store_table_is_number(table));
    if (key.size == 0 || key.size > STORE_KEY_BYTES_MAX) {
        return ERROR_NOT_FOUND; /* a key that cannot have been stored */
    }
    return store->functions->get(store, table, key, out);
}

enum error
store_scan(struct store *store, enum store_table table, uint64_t from, store_visit_fn *visit,
           void *context)
{
    uint8_t bytes[STORE_NUMBER_BYTES];
    struct slice start = {0};

    if (store_table_is_number(table) && from > 0) {
        store_number_encode(from, bytes);
        start = slice_of(bytes, sizeof(bytes));
    }
    return store->functions->scan(store, table, start, false, visit, context);
}

enum error
store_scan_after(struct store *store, enum store_table table, struct slice after,
                 store_visit_fn *visit, void *context)
{
    if (after.size > STORE_KEY_BYTES_MAX) {
        return ERROR_TOO_LARGE;
    }
    return store->functions->scan(store, table, after, after.size > 0, visit, context);
}

enum error
store_read(struct store *store, enum store_table table, const uint64_t *keys, size_t key_count,
           store_visit_fn *visit, void *context)
{
    assert(store_table_is_number(table));
    return store->functions->read(store, table, keys, key_count, visit, context);
}

void
store_usage(struct store *store, struct store_usage *ret_usage)
{
    memset(ret_usage, 0, sizeof(*ret_usage));
    store->functions->usage(store, ret_usage);
}

const char *
store_failure(struct store *store)
{
    return store->functions->failure == NULL ? "" : store->functions->failure(store);
}
