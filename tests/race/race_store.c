/*
 * race_store: the loop's reads, the committer's writes and its wake at the same time, for a build
 * with ThreadSanitizer. A plain program, since Criterion does not run under it.
 *
 * Exit 0: all read as promised. The sanitizer itself fails the test on a race.
 */
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/committer.h"
#include "broker/store.h"

#define BATCHES 300u
#define BATCH_BYTES 100000

struct view {
    uint64_t rows;
    uint64_t largest;
};

static bool
look(void *context, const struct store_entry *entry)
{
    struct view *view = context;

    view->rows++;
    view->largest = entry->number;
    return !entry->is_corrupt;
}

static void
wake(void *context)
{
    sem_post(context);
}

/* Batch n puts row n, so at any moment the rows are 1..n for one n, at least the applied ones. */
static int
read_beside_committer(struct store *store, enum store_sync sync)
{
    struct store_batch *batches[2] = {store_batch_create(BATCH_BYTES),
                                      store_batch_create(BATCH_BYTES)};
    struct committer_status status = {0};
    struct store_usage usage;
    struct committer *committer;
    uint64_t submitted = 0;
    int failures = 0;
    sem_t woken;

    sem_init(&woken, 0, 0);
    committer = committer_create(store, sync, wake, &woken);
    if (committer == NULL || batches[0] == NULL || batches[1] == NULL) {
        return 1;
    }
    while (status.durable < BATCHES && status.error == OK) {
        struct view view = {0};

        if (submitted < BATCHES && committer_is_free(committer) && status.applied + 2 > submitted) {
            struct store_batch *batch = batches[submitted % 2];

            submitted++;
            store_batch_clear(batch);
            store_batch_put(batch, STORE_TASKS, submitted, slice_of(&submitted, sizeof(submitted)));
            committer_submit(committer, batch, submitted);
        } else {
            if (status.applied == BATCHES) {
                committer_settle(committer);
            }
            sem_wait(&woken);
        }
        status = committer_status(committer);
        failures += store_scan(store, STORE_TASKS, 0, look, &view) != OK;
        failures += view.rows != view.largest || view.rows < status.applied;
        store_usage(store, &usage);
    }
    committer_destroy(committer);
    failures += status.error != OK;
    store_batch_destroy(batches[0]);
    store_batch_destroy(batches[1]);
    sem_destroy(&woken);
    return failures;
}

static void
clear(const char *root)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store/broker.lock",
                                        "store/format",   "store",          "."};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", root, names[i]);
        if (remove(path) != 0) {
            rmdir(root);
        }
    }
}

int
main(void)
{
    const char *folder = getenv("TMPDIR");
    struct store_options options = {.bytes_max = 64 << 20};
    struct store *store;
    char root[256];
    char path[300];
    int failures = 0;

    snprintf(root, sizeof(root), "%s/thresh-race-XXXXXX", folder != NULL ? folder : "/tmp");
    if (mkdtemp(root) == NULL) {
        return 1;
    }
    snprintf(path, sizeof(path), "%s/store", root);
    options.path = path;
    if (store_open_memory(&options, &store, NULL) != OK) {
        return 1;
    }
    failures += read_beside_committer(store, STORE_SYNC_GROUP);
    store_close(store);
    if (store_open_lmdb(&options, &store, NULL) != OK) {
        return 1;
    }
    failures += read_beside_committer(store, STORE_SYNC_GROUP);
    store_close(store);
    clear(root);
    printf("race_store failures=%d\n", failures);
    return failures == 0 ? 0 : 1;
}
