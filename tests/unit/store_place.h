/*
 * store_place: a store in a directory of its own for a test, opened, reopened and cleared away.
 *
 * Threads  none; one owner.
 */
#ifndef THRESH_TESTS_UNIT_STORE_PLACE_H
#define THRESH_TESTS_UNIT_STORE_PLACE_H

#include "broker/store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define PLACE_BYTES_MAX ((uint64_t)256 << 20)
#define PLACE_PATH_BYTES 256

struct place {
    bool is_memory;
    uint64_t bytes_max;
    enum store_sync sync;
    char root[PLACE_PATH_BYTES];     /* made by the test */
    char path[PLACE_PATH_BYTES + 8]; /* made by the store */
    struct store *store;
    char *message;
};

static inline void
place_init(struct place *place, bool is_memory)
{
    const char *folder = getenv("TMPDIR");

    *place = (struct place){.is_memory = is_memory, .bytes_max = PLACE_BYTES_MAX};
    snprintf(place->root, sizeof(place->root), "%s/thresh-store-XXXXXX",
             folder != NULL ? folder : "/tmp");
    cr_assert_not_null(mkdtemp(place->root));
    snprintf(place->path, sizeof(place->path), "%s/store", place->root);
}

static inline enum error
place_try_open(struct place *place)
{
    struct store_options options = {
        .path = place->path, .bytes_max = place->bytes_max, .sync = place->sync};

    free(place->message);
    place->message = NULL;
    return place->is_memory ? store_open_memory(&options, &place->store, &place->message)
                            : store_open_lmdb(&options, &place->store, &place->message);
}

static inline void
place_open(struct place *place)
{
    enum error error = place_try_open(place);

    cr_assert_eq(error, OK, "%s: %s", error_name(error), place->message);
}

static inline void
place_close(struct place *place)
{
    store_close(place->store);
    place->store = NULL;
}

static inline void
place_remove_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory != NULL) {
        closedir(directory);
    }
    rmdir(path);
}

static inline void
place_release(struct place *place)
{
    place_close(place);
    free(place->message);
    place_remove_directory(place->path);
    place_remove_directory(place->root);
}

static inline void
place_commit(struct place *place, struct store_batch *batch)
{
    enum error error = store_commit(place->store, batch);

    cr_assert_eq(error, OK, "%s: %s", error_name(error), store_failure(place->store));
    store_batch_clear(batch);
}

#endif
