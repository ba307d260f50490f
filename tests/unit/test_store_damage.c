/* A store whose file was damaged either refuses to open or says which rows do not verify: it never
 * shows a wrong value, loses a row silently, or ends the process. */
#include "broker/store.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include <criterion/criterion.h>

#include "broker/store_tool.h"
#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)64 << 20)
#define ROWS 300u
#define BIG_ROWS 8u
#define BIG_BYTES 9000u

struct file {
    char path[2 * PLACE_PATH_BYTES];
    uint8_t *bytes;
    size_t size;
};

static void
file_read(struct file *file, const struct place *place)
{
    struct stat status;
    int fd;

    snprintf(file->path, sizeof(file->path), "%s/data.mdb", place->path);
    fd = open(file->path, O_RDONLY);
    cr_assert(fd >= 0 && fstat(fd, &status) == 0);
    file->size = (size_t)status.st_size;
    file->bytes = malloc(file->size);
    cr_assert_eq(read(fd, file->bytes, file->size), (ssize_t)file->size);
    close(fd);
}

static void
file_write(const struct file *file, size_t size)
{
    int fd = open(file->path, O_WRONLY | O_TRUNC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, file->bytes, size), (ssize_t)size);
    close(fd);
}

static uint64_t
value_of(uint64_t key, uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        value[i] = (uint8_t)((key + 1) * 31 + i * 7);
    }
    return size;
}

static size_t
size_of(enum store_table table, uint64_t key)
{
    return table == STORE_TASKS ? (size_t)key % 90 : BIG_BYTES;
}

/* Many small rows, some large ones, some deleted, so that branches, overflow and free pages are. */
static void
fill(struct place *place)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    static uint8_t value[BIG_BYTES];

    place_open(place);
    for (uint64_t key = 0; key < 2 * ROWS; key++) {
        store_batch_put(batch, STORE_TASKS, key,
                        slice_of(value, value_of(key, value, size_of(STORE_TASKS, key))));
        if (key % 100 == 99) {
            place_commit(place, batch);
        }
    }
    for (uint64_t key = 0; key < BIG_ROWS; key++) {
        store_batch_put(batch, STORE_RESULTS, key,
                        slice_of(value, value_of(key, value, BIG_BYTES)));
    }
    store_batch_put(batch, STORE_RESULTS, BIG_ROWS, slice_of(value, BIG_BYTES));
    place_commit(place, batch);
    store_batch_delete_range(batch, STORE_TASKS, ROWS, 2 * ROWS);
    store_batch_delete(batch, STORE_RESULTS, BIG_ROWS);
    place_commit(place, batch);
    place_commit(place, batch);
    place_close(place);
    store_batch_destroy(batch);
}

struct tally {
    enum store_table table;
    uint64_t good;
    uint64_t corrupt;
    uint64_t wrong;
};

static bool
tally_row(void *context, const struct store_entry *entry)
{
    static uint8_t value[BIG_BYTES];
    struct tally *tally = context;

    if (entry->is_corrupt) {
        tally->corrupt++;
        return true;
    }
    value_of(entry->number, value, sizeof(value));
    if (slice_equal(entry->value, slice_of(value, size_of(tally->table, entry->number)))) {
        tally->good++;
    } else {
        tally->wrong++;
    }
    return true;
}

static struct tally
tally_table(struct place *place, enum store_table table)
{
    struct tally tally = {.table = table};

    cr_assert_eq(store_scan(place->store, table, 0, tally_row, &tally), OK);
    return tally;
}

/* What became of a damage; the test decides whether that is good enough. */
enum fate {
    FATE_REFUSED,
    FATE_REPORTED,
    FATE_UNHARMED,
};

static enum fate
judge(struct place *place, const char *what, size_t where)
{
    struct store_report report;
    enum error error = place_try_open(place);
    struct tally tasks;
    struct tally results;
    enum error checked;

    if (error != OK) {
        cr_assert(error == ERROR_CORRUPT || error == ERROR_VERSION, "%s at %zu: %s, %s", what,
                  where, error_name(error), place->message);
        cr_assert(place->message != NULL && place->message[0] != '\0');
        return FATE_REFUSED;
    }
    tasks = tally_table(place, STORE_TASKS);
    results = tally_table(place, STORE_RESULTS);
    checked = store_check(place->store, NULL, NULL, &report);
    cr_assert_eq(tasks.wrong + results.wrong, 0, "%s at %zu", what, where);
    cr_assert_eq(tasks.good + tasks.corrupt, ROWS, "%s at %zu: %lu", what, where,
                 tasks.good + tasks.corrupt);
    cr_assert_eq(results.good + results.corrupt, BIG_ROWS, "%s at %zu", what, where);
    cr_assert_eq(checked, tasks.corrupt + results.corrupt > 0 ? ERROR_CORRUPT : OK);
    place_close(place);
    return tasks.corrupt + results.corrupt > 0 ? FATE_REPORTED : FATE_UNHARMED;
}

Test(store_damage, every_flipped_bit_is_refused_reported_or_harmless, .timeout = 600)
{
    uint64_t fates[3] = {0};
    struct place place;
    struct file file;

    place_init(&place, false);
    fill(&place);
    file_read(&file, &place);
    for (size_t i = 0; i * 96 < file.size; i++) {
        size_t at = i * 96 + i % 95;
        uint8_t bit = (uint8_t)(1u << (i * 5 % 8));

        if (at >= file.size) {
            break;
        }
        file.bytes[at] ^= bit;
        file_write(&file, file.size);
        fates[judge(&place, "flipped bit", at)]++;
        file.bytes[at] ^= bit;
    }
    cr_expect_gt(fates[FATE_REFUSED], 0);
    cr_expect_gt(fates[FATE_REPORTED], 250, "rows fill most of the file");
    cr_expect_gt(fates[FATE_UNHARMED], 0, "free pages and gaps");
    file_write(&file, file.size);
    cr_expect_eq(judge(&place, "no damage", 0), FATE_UNHARMED);
    free(file.bytes);
    place_release(&place);
}

Test(store_damage, every_flipped_bit_of_page_heads_is_refused_reported_or_harmless, .timeout = 600)
{
    struct place place;
    struct file file;

    place_init(&place, false);
    fill(&place);
    file_read(&file, &place);
    for (size_t page = 2; page * 4096 < file.size; page++) {
        for (size_t i = 0; i < 40 * 8; i += 7) {
            size_t at = page * 4096 + i / 8;

            file.bytes[at] ^= (uint8_t)(1u << (i % 8));
            file_write(&file, file.size);
            judge(&place, "flipped bit of a page head", at);
            file.bytes[at] ^= (uint8_t)(1u << (i % 8));
        }
    }
    free(file.bytes);
    place_release(&place);
}

Test(store_damage, every_flipped_bit_of_the_two_heads_is_refused_or_harmless, .timeout = 600)
{
    struct place place;
    struct file file;

    place_init(&place, false);
    fill(&place);
    file_read(&file, &place);
    for (size_t i = 0; i < (size_t)2 * 160 * 8; i++) {
        size_t at = i / 8 < 160 ? i / 8 : 4096 + i / 8 - 160;

        file.bytes[at] ^= (uint8_t)(1u << (i % 8));
        file_write(&file, file.size);
        judge(&place, "flipped bit of a head", at);
        file.bytes[at] ^= (uint8_t)(1u << (i % 8));
    }
    free(file.bytes);
    place_release(&place);
}

Test(store_damage, a_file_that_was_cut_is_refused, .timeout = 600)
{
    struct place place;
    struct file file;

    place_init(&place, false);
    fill(&place);
    file_read(&file, &place);
    for (size_t size = 0; size < file.size; size += 1024) {
        file_write(&file, size);
        if (size < file.size / 2) {
            cr_assert_eq(judge(&place, "cut", size), FATE_REFUSED, "%zu", size);
        } else {
            judge(&place, "cut", size); /* free pages at the end may go */
        }
    }
    free(file.bytes);
    place_release(&place);
}

Test(store_damage, overwritten_pages_are_refused_reported_or_harmless, .timeout = 600)
{
    static const uint8_t fills[] = {0x00, 0xff, 0x5a};
    struct place place;
    struct file file;
    uint8_t saved[512];

    place_init(&place, false);
    fill(&place);
    file_read(&file, &place);
    for (size_t at = 0; at + sizeof(saved) <= file.size; at += sizeof(saved)) {
        enum fate fate;

        memcpy(saved, file.bytes + at, sizeof(saved));
        memset(file.bytes + at, fills[at / sizeof(saved) % 3], sizeof(saved));
        file_write(&file, file.size);
        fate = judge(&place, "overwritten sector", at);
        cr_assert(at > 0 || fate == FATE_REFUSED, "without its head");
        memcpy(file.bytes + at, saved, sizeof(saved));
    }
    free(file.bytes);
    place_release(&place);
}

Test(store_damage, a_row_that_does_not_verify_is_corrupt_for_its_key_alone)
{
    static const char marker[] = "here stands the value that is damaged";
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct store_usage usage;
    struct buffer out;
    struct place place;
    struct file file;
    uint8_t *found;

    place_init(&place, false);
    place_open(&place);
    store_batch_put(batch, STORE_TASKS, 1, slice_string("before"));
    store_batch_put(batch, STORE_TASKS, 2, slice_string(marker));
    store_batch_put(batch, STORE_TASKS, 3, slice_string("after"));
    place_commit(&place, batch);
    place_close(&place);
    file_read(&file, &place);
    found = memmem(file.bytes, file.size, marker, strlen(marker));
    cr_assert_not_null(found);
    found[5] ^= 0x10;
    file_write(&file, file.size);
    place_open(&place);
    buffer_init(&out, 1000);
    cr_expect_eq(store_get(place.store, STORE_TASKS, 2, &out), ERROR_CORRUPT);
    cr_expect_eq(out.size, 0);
    cr_expect_eq(store_get(place.store, STORE_TASKS, 1, &out), OK);
    cr_expect_eq(store_get(place.store, STORE_TASKS, 3, &out), OK);
    cr_expect_str_eq(buffer_text(&out), "beforeafter");
    store_usage(place.store, &usage);
    cr_expect_eq(usage.corrupt_rows, 1);
    cr_expect_eq(usage.rows[STORE_TASKS], 3, "it is never deleted by itself");
    store_batch_put(batch, STORE_TASKS, 2, slice_string("written anew"));
    place_commit(&place, batch);
    buffer_clear(&out);
    cr_expect_eq(store_get(place.store, STORE_TASKS, 2, &out), OK);
    cr_expect_str_eq(buffer_text(&out), "written anew");
    buffer_release(&out);
    free(file.bytes);
    place_release(&place);
    store_batch_destroy(batch);
}
