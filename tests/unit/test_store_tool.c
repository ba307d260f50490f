#include "broker/store_tool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)64 << 20)

static void
fill(struct place *place, struct store_batch *batch)
{
    static uint8_t large[50000];

    memset(large, 'L', sizeof(large));
    for (uint64_t key = 0; key < 5000; key++) {
        store_batch_put(batch, STORE_TASKS, key, slice_string("a task of some bytes"));
    }
    for (uint64_t key = 0; key < 20; key++) {
        store_batch_put(batch, STORE_RESULTS, key, slice_of(large, sizeof(large)));
    }
    store_batch_put_bytes(batch, STORE_HOSTS, slice_string("example.org"), slice_string("state"));
    place_commit(place, batch);
}

static void
note_corrupt(void *context, enum store_table table, const struct store_entry *entry)
{
    uint64_t *key = context;

    cr_expect_eq(table, STORE_RESULTS);
    *key = entry->number;
}

Test(store_tool, check_counts_rows_and_bytes_of_each_table)
{
    for (int is_memory = 0; is_memory <= 1; is_memory++) {
        struct store_batch *batch = store_batch_create(BATCH_BYTES);
        struct store_report report;
        struct place place;

        place_init(&place, is_memory != 0);
        place_open(&place);
        fill(&place, batch);
        cr_assert_eq(store_check(place.store, NULL, NULL, &report), OK);
        cr_expect_eq(report.tables[STORE_TASKS].rows, 5000);
        cr_expect_eq(report.tables[STORE_TASKS].value_bytes, 5000 * 20);
        cr_expect_eq(report.tables[STORE_RESULTS].value_bytes, 20 * 50000);
        cr_expect_eq(report.tables[STORE_HOSTS].rows, 1);
        cr_expect_eq(report.tables[STORE_META].rows, 1);
        cr_expect_eq(report.rows, 5022);
        cr_expect_eq(report.corrupt_rows, 0);
        place_release(&place);
        store_batch_destroy(batch);
    }
}

Test(store_tool, check_names_the_rows_that_do_not_verify)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    char path[2 * PLACE_PATH_BYTES];
    struct store_report report;
    uint64_t corrupt_key = UINT64_MAX;
    struct stat status;
    struct place place;
    uint8_t *bytes;
    int fd;

    place_init(&place, false);
    place_open(&place);
    fill(&place, batch);
    place_close(&place);
    snprintf(path, sizeof(path), "%s/data.mdb", place.path);
    fd = open(path, O_RDWR);
    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(bytes, MAP_FAILED);
    *(uint8_t *)memmem(bytes, (size_t)status.st_size, "LLLLLLLLLLLLLLLL", 16) = 'M';
    munmap(bytes, (size_t)status.st_size);
    close(fd);
    cr_expect_eq(store_check_file(place.path, NULL), OK, "pages say nothing of values");
    place_open(&place);
    cr_expect_eq(store_check(place.store, note_corrupt, &corrupt_key, &report), ERROR_CORRUPT);
    cr_expect_lt(corrupt_key, 20);
    cr_expect_eq(report.tables[STORE_RESULTS].rows, 20);
    cr_expect_eq(report.tables[STORE_RESULTS].corrupt_rows, 1);
    cr_expect_eq(report.corrupt_rows, 1);
    place_release(&place);
    store_batch_destroy(batch);
}

Test(store_tool, the_file_check_needs_the_store_to_itself)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    char *message = NULL;
    struct place place;

    place_init(&place, false);
    cr_expect_eq(store_check_file(place.path, &message), ERROR_NOT_FOUND);
    cr_expect_not_null(message);
    free(message);
    place_open(&place);
    fill(&place, batch);
    cr_expect_eq(store_check_file(place.path, &message), ERROR_LOCKED);
    cr_expect_not_null(strstr(message, "in use by another broker"), "%s", message);
    free(message);
    place_close(&place);
    cr_expect_eq(store_check_file(place.path, NULL), OK);
    place_release(&place);
    store_batch_destroy(batch);
}

/* Rewriting with other sizes, deleting and filling again leaves files of every shape; each must
 * pass the strictest check, or a sound store would be refused. */
Test(store_tool, the_file_check_passes_every_sound_file, .timeout = 300)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    static uint8_t value[30000];
    char *message = NULL;
    unsigned seed = 7;
    struct place place;

    place_init(&place, false);
    for (unsigned round = 0; round < 60; round++) {
        place_open(&place);
        for (unsigned commit = 0; commit < 6; commit++) {
            unsigned change_count = (unsigned)rand_r(&seed) % 300;

            for (unsigned i = 0; i < change_count; i++) {
                uint64_t key = (uint64_t)rand_r(&seed) % 3000;
                unsigned dice = (unsigned)rand_r(&seed) % 100;
                size_t size = (size_t)rand_r(&seed) % (dice < 5 ? sizeof(value) : 400);
                enum store_table table = dice % 2 ? STORE_TASKS : STORE_BODIES;

                if (dice == 99) {
                    store_batch_delete_range(batch, table, key, key + 500);
                } else if (dice > 60) {
                    store_batch_delete(batch, table, key);
                } else {
                    store_batch_put(batch, table, key, slice_of(value, size));
                }
            }
            place_commit(&place, batch);
        }
        place_close(&place);
        cr_assert_eq(store_check_file(place.path, &message), OK, "round %u: %s", round, message);
    }
    place_release(&place);
    store_batch_destroy(batch);
}
