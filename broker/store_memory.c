/*
 * store_memory: the tables as skip lists, for tests and for runs that need not outlive the process.
 *
 * A batch is made of nodes before the lock is taken, so that the part which changes the lists
 * cannot fail: that is what makes it atomic.
 *
 * Source   William Pugh, Skip Lists: A Probabilistic Alternative to Balanced Trees, 1990.
 */
#include "broker/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store_format.h"

#define LEVELS_MAX 14 /* a level holds a quarter of the one below: flat up to 4^14 rows */
#define RANDOM_SEED 0x9e3779b97f4a7c15u

struct node {
    struct node *prepared; /* the next one of a batch that is not applied yet */
    uint32_t value_bytes;
    uint16_t key_bytes;
    uint8_t level_count;
    struct node *next[]; /* level_count of them, then the key, then the value */
};

struct list {
    struct node *next[LEVELS_MAX];
    uint64_t count;
};

struct store_memory {
    struct store store;
    /* One writer and one reader. Readers are preferred, so a visit may read again. */
    pthread_rwlock_t lock;
    struct list lists[STORE_TABLE_COUNT];
    uint64_t bytes_max;
    _Atomic uint64_t bytes_used;
    _Atomic uint64_t commits;
    _Atomic uint64_t flushes;
    uint64_t random;
    bool is_stopped; /* only the writer looks at it */
    char failure[128];
};

static struct store_memory *
store_memory_of(struct store *store)
{
    return (struct store_memory *)store;
}

static const uint8_t *
node_key(const struct node *node)
{
    return (const uint8_t *)&node->next[node->level_count];
}

static const uint8_t *
node_value(const struct node *node)
{
    return node_key(node) + node->key_bytes;
}

static size_t
node_bytes(const struct node *node)
{
    return sizeof(*node) + node->level_count * sizeof(node->next[0]) + node->key_bytes +
           node->value_bytes;
}

static int
node_compare(const struct node *node, struct slice key)
{
    size_t shorter = node->key_bytes < key.size ? node->key_bytes : key.size;
    int order = memcmp(node_key(node), key.data, shorter);

    if (order != 0) {
        return order;
    }
    return (node->key_bytes > key.size) - (node->key_bytes < key.size);
}

/* xorshift64*: levels need no more than fair dice. */
static uint8_t
roll_levels(struct store_memory *memory)
{
    uint64_t dice;
    uint8_t level_count = 1;

    memory->random ^= memory->random >> 12;
    memory->random ^= memory->random << 25;
    memory->random ^= memory->random >> 27;
    dice = (memory->random * 0x2545f4914f6cdd1du) >> 16;
    while (level_count < LEVELS_MAX && (dice & 3) == 0) {
        level_count++;
        dice >>= 2;
    }
    return level_count;
}

static struct node *
node_create(struct store_memory *memory, const struct store_row *row)
{
    uint8_t level_count = roll_levels(memory);
    struct node *node = malloc(sizeof(*node) + level_count * sizeof(node->next[0]) + row->key.size +
                               row->value.size);
    uint8_t *bytes;

    if (node == NULL) {
        return NULL;
    }
    node->prepared = NULL;
    node->level_count = level_count;
    node->key_bytes = (uint16_t)row->key.size;
    node->value_bytes = (uint32_t)row->value.size;
    bytes = (uint8_t *)&node->next[level_count];
    memcpy(bytes, row->key.data, row->key.size);
    if (row->value.size > 0) {
        memcpy(bytes + row->key.size, row->value.data, row->value.size);
    }
    return node;
}

/* The links that lead to the first node that is not before key (or after it, when exclusive). */
static struct node *
list_find(struct list *list, struct slice key, bool is_exclusive,
          struct node **ret_links[LEVELS_MAX])
{
    struct node **links = list->next;

    for (int level = LEVELS_MAX - 1; level >= 0; level--) {
        while (links[level] != NULL) {
            int order = node_compare(links[level], key);

            if (order > 0 || (order == 0 && !is_exclusive)) {
                break;
            }
            links = links[level]->next;
        }
        ret_links[level] = &links[level];
    }
    return *ret_links[0];
}

static struct node *
list_get(struct list *list, struct slice key)
{
    struct node **links[LEVELS_MAX];
    struct node *node = list_find(list, key, false, links);

    return node != NULL && node_compare(node, key) == 0 ? node : NULL;
}

/* Takes out the node the links lead to; the links then lead to the one behind it. */
static void
list_remove(struct store_memory *memory, struct list *list, struct node **links[LEVELS_MAX])
{
    struct node *node = *links[0];

    for (unsigned level = 0; level < node->level_count; level++) {
        assert(*links[level] == node);
        *links[level] = node->next[level];
    }
    assert(list->count > 0);
    list->count--;
    memory->bytes_used -= node_bytes(node);
    free(node);
}

static void
list_put(struct store_memory *memory, struct list *list, struct node *node)
{
    struct slice key = slice_of(node_key(node), node->key_bytes);
    struct node **links[LEVELS_MAX];
    struct node *found = list_find(list, key, false, links);

    if (found != NULL && node_compare(found, key) == 0) {
        list_remove(memory, list, links);
    }
    for (unsigned level = 0; level < node->level_count; level++) {
        node->next[level] = *links[level];
        *links[level] = node;
    }
    list->count++;
    memory->bytes_used += node_bytes(node);
}

static void
list_delete(struct store_memory *memory, const struct store_row *row)
{
    struct list *list = &memory->lists[row->table];
    struct node **links[LEVELS_MAX];
    struct node *node = list_find(list, row->key, false, links);

    if (row->kind == STORE_ROW_DELETE) {
        if (node != NULL && node_compare(node, row->key) == 0) {
            list_remove(memory, list, links);
        }
        return;
    }
    while (node != NULL && store_number_decode(node_key(node)) <= row->last) {
        list_remove(memory, list, links);
        node = *links[0];
    }
}

static void
free_prepared(struct node *node)
{
    while (node != NULL) {
        struct node *following = node->prepared;

        free(node);
        node = following;
    }
}

/* One node for each put of the batch, in order. */
static enum error
prepare(struct store_memory *memory, const struct store_batch *batch, struct node **ret_first)
{
    struct node *first = NULL;
    struct node **end = &first;
    struct store_row row;
    size_t cursor = 0;
    uint64_t bytes = 0;

    while (store_batch_next(batch, &cursor, &row)) {
        if (row.kind != STORE_ROW_PUT) {
            continue;
        }
        *end = node_create(memory, &row);
        if (*end == NULL) {
            free_prepared(first);
            return ERROR_NO_MEMORY;
        }
        bytes += node_bytes(*end);
        end = &(*end)->prepared;
    }
    if (first != NULL && bytes + memory->bytes_used > memory->bytes_max) {
        free_prepared(first);
        return ERROR_DISK_FULL;
    }
    *ret_first = first;
    return OK;
}

static enum error
store_memory_commit(struct store *store, const struct store_batch *batch)
{
    struct store_memory *memory = store_memory_of(store);
    struct node *node = NULL;
    struct store_row row;
    size_t cursor = 0;
    enum error error;

    if (memory->is_stopped) {
        return ERROR_BUG;
    }
    error = prepare(memory, batch, &node);
    if (error != OK) {
        memory->is_stopped = true;
        snprintf(memory->failure, sizeof(memory->failure), "%s",
                 error == ERROR_DISK_FULL ? "the store in memory is full; raise store-bytes-max"
                                          : "no memory for the store; give the broker more");
        return error;
    }
    pthread_rwlock_wrlock(&memory->lock);
    while (store_batch_next(batch, &cursor, &row)) {
        if (row.kind == STORE_ROW_PUT) {
            struct node *following = node->prepared;

            list_put(memory, &memory->lists[row.table], node);
            node = following;
        } else {
            list_delete(memory, &row);
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    assert(node == NULL);
    memory->commits++;
    memory->flushes++;
    return OK;
}

static enum error
store_memory_settle(struct store *store)
{
    return store_memory_of(store)->is_stopped ? ERROR_BUG : OK;
}

static enum error
store_memory_get(struct store *store, enum store_table table, struct slice key, struct buffer *out)
{
    struct store_memory *memory = store_memory_of(store);
    enum error error = ERROR_NOT_FOUND;
    struct node *node;

    pthread_rwlock_rdlock(&memory->lock);
    node = list_get(&memory->lists[table], key);
    if (node != NULL) {
        buffer_append(out, node_value(node), node->value_bytes);
        error = buffer_error(out);
    }
    pthread_rwlock_unlock(&memory->lock);
    return error;
}

static struct store_entry
entry_of(const struct node *node, enum store_table table)
{
    return (struct store_entry){
        .key = slice_of(node_key(node), node->key_bytes),
        .number = store_table_is_number(table) ? store_number_decode(node_key(node)) : 0,
        .value = slice_of(node_value(node), node->value_bytes),
    };
}

static enum error
store_memory_scan(struct store *store, enum store_table table, struct slice from, bool is_exclusive,
                  store_visit_fn *visit, void *context)
{
    struct store_memory *memory = store_memory_of(store);
    struct list *list = &memory->lists[table];
    struct node **links[LEVELS_MAX];
    struct node *node;

    pthread_rwlock_rdlock(&memory->lock);
    node = from.size == 0 ? list->next[0] : list_find(list, from, is_exclusive, links);
    for (; node != NULL; node = node->next[0]) {
        struct store_entry entry = entry_of(node, table);

        if (!visit(context, &entry)) {
            break;
        }
    }
    pthread_rwlock_unlock(&memory->lock);
    return OK;
}

static enum error
store_memory_read(struct store *store, enum store_table table, const uint64_t *keys,
                  size_t key_count, store_visit_fn *visit, void *context)
{
    struct store_memory *memory = store_memory_of(store);
    bool is_wanted = true;

    pthread_rwlock_rdlock(&memory->lock);
    for (size_t i = 0; i < key_count && is_wanted; i++) {
        uint8_t key[STORE_NUMBER_BYTES];
        struct store_entry entry = {.key = slice_of(key, sizeof(key)), .number = keys[i]};
        struct node *node;

        store_number_encode(keys[i], key);
        node = list_get(&memory->lists[table], entry.key);
        if (node != NULL) {
            entry = entry_of(node, table);
        }
        is_wanted = visit(context, &entry);
    }
    pthread_rwlock_unlock(&memory->lock);
    return OK;
}

static void
store_memory_usage(struct store *store, struct store_usage *ret_usage)
{
    struct store_memory *memory = store_memory_of(store);

    pthread_rwlock_rdlock(&memory->lock);
    for (unsigned table = 0; table < STORE_TABLE_COUNT; table++) {
        ret_usage->rows[table] = memory->lists[table].count;
    }
    pthread_rwlock_unlock(&memory->lock);
    ret_usage->bytes_used = memory->bytes_used;
    ret_usage->bytes_max = memory->bytes_max;
    ret_usage->commits = memory->commits;
    ret_usage->flushes = memory->flushes;
}

static const char *
store_memory_failure(struct store *store)
{
    return store_memory_of(store)->failure;
}

static void
store_memory_close(struct store *store)
{
    struct store_memory *memory = store_memory_of(store);

    for (unsigned table = 0; table < STORE_TABLE_COUNT; table++) {
        struct node *node = memory->lists[table].next[0];

        while (node != NULL) {
            struct node *following = node->next[0];

            free(node);
            node = following;
        }
    }
    pthread_rwlock_destroy(&memory->lock);
    free(memory);
}

static const struct store_functions store_memory_functions = {
    .name = "memory",
    .close = store_memory_close,
    .commit = store_memory_commit,
    .settle = store_memory_settle,
    .get = store_memory_get,
    .scan = store_memory_scan,
    .read = store_memory_read,
    .usage = store_memory_usage,
    .failure = store_memory_failure,
};

/* The same first row as on disk, so that both implementations hold the same rows. */
static enum error
put_format(struct store_memory *memory)
{
    uint8_t value[STORE_FORMAT_BYTES];
    struct store_row row = store_format_row(value);
    struct node *node;

    node = node_create(memory, &row);
    if (node == NULL) {
        return ERROR_NO_MEMORY;
    }
    list_put(memory, &memory->lists[STORE_META], node);
    return OK;
}

enum error
store_open_memory(const struct store_options *options, struct store **ret_store, char **ret_message)
{
    struct store_memory *memory = calloc(1, sizeof(*memory));

    if (memory == NULL) {
        goto fail;
    }
    if (pthread_rwlock_init(&memory->lock, NULL) != 0) {
        free(memory);
        goto fail;
    }
    memory->store.functions = &store_memory_functions;
    memory->bytes_max = options->bytes_max > 0 ? options->bytes_max : UINT64_MAX;
    memory->random = RANDOM_SEED;
    if (put_format(memory) != OK) {
        store_memory_close(&memory->store);
        goto fail;
    }
    *ret_store = &memory->store;
    return OK;

fail:
    if (ret_message != NULL) {
        *ret_message = strdup("no memory for the store; give the broker more");
    }
    return ERROR_NO_MEMORY;
}
