/* What only the store on disk promises: its directory, its lock, its messages. */
#include "broker/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <criterion/criterion.h>

#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)64 << 20)

static void
commit_one(struct place *place, enum store_table table, uint64_t key, const char *value)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);

    store_batch_put(batch, table, key, slice_string(value));
    place_commit(place, batch);
    store_batch_destroy(batch);
}

static bool
has_value(struct store *store, uint64_t key, const char *value)
{
    struct buffer out;
    bool is_there;

    buffer_init(&out, 1000);
    is_there = store_get(store, STORE_TASKS, key, &out) == OK &&
               slice_equal(buffer_slice(&out), slice_string(value));
    buffer_release(&out);
    return is_there;
}

/* A child that opens the place (for reading or not), says how that went, and waits for a byte or
 * its end. Forked while this process has no store open. */
struct neighbour {
    pid_t process;
    int from_child;
    int to_child;
};

typedef void neighbour_fn(struct store *store, int input, int output);

static struct neighbour
neighbour_start(const struct place *place, bool is_read_only, neighbour_fn *run)
{
    struct neighbour neighbour;
    int up[2];
    int down[2];

    cr_assert(pipe(up) == 0 && pipe(down) == 0);
    neighbour.process = fork();
    cr_assert_geq(neighbour.process, 0);
    if (neighbour.process == 0) {
        struct store_options options = {
            .path = place->path, .bytes_max = place->bytes_max, .is_read_only = is_read_only};
        struct store *store;

        close(up[0]);
        close(down[1]);
        if (store_open_lmdb(&options, &store, NULL) != OK) {
            _exit(1);
        }
        run(store, down[0], up[1]);
        store_close(store);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    neighbour.from_child = up[0];
    neighbour.to_child = down[1];
    return neighbour;
}

static char
neighbour_hear(const struct neighbour *neighbour)
{
    char word = '-';

    return read(neighbour->from_child, &word, 1) == 1 ? word : '-';
}

static void
neighbour_tell(const struct neighbour *neighbour, char word)
{
    cr_assert_eq(write(neighbour->to_child, &word, 1), 1);
}

static int
neighbour_end(const struct neighbour *neighbour)
{
    int status = -1;

    close(neighbour->to_child);
    cr_assert_eq(waitpid(neighbour->process, &status, 0), neighbour->process);
    close(neighbour->from_child);
    return status;
}

static void
hold(struct store *store, int input, int output)
{
    char word = 'o';

    (void)store;
    if (write(output, &word, 1) != 1 || read(input, &word, 1) != 0) {
        _exit(2);
    }
}

/* ---- the lock ----------------------------------------------------------------------------- */

Test(store_lmdb, a_second_broker_is_refused_until_the_first_is_gone, .timeout = 60)
{
    struct neighbour first;
    struct place place;
    char process[32];

    place_init(&place, false);
    first = neighbour_start(&place, false, hold);
    cr_assert_eq(neighbour_hear(&first), 'o');
    cr_expect_eq(place_try_open(&place), ERROR_LOCKED);
    snprintf(process, sizeof(process), "process %d", (int)first.process);
    cr_expect_not_null(strstr(place.message, process), "%s", place.message);
    cr_expect_not_null(strstr(place.message, "stop it or set --store"), "%s", place.message);
    kill(first.process, SIGKILL);
    neighbour_end(&first);
    place_open(&place);
    commit_one(&place, STORE_TASKS, 1, "mine");
    place_release(&place);
}

Test(store_lmdb, a_second_store_in_one_process_is_refused_too)
{
    struct place place;
    struct store *first;

    place_init(&place, false);
    place_open(&place);
    first = place.store;
    cr_expect_eq(place_try_open(&place), ERROR_LOCKED);
    cr_expect_eq(place.store, first, "outputs stay untouched on failure");
    commit_one(&place, STORE_TASKS, 1, "still works");
    place_release(&place);
}

/* ---- readers beside a writer ---------------------------------------------------------------- */

static bool
count_rows(void *context, const struct store_entry *entry)
{
    uint64_t *count = context;

    *count += !entry->is_corrupt;
    return true;
}

/* Scans whenever told; answers y when rows and sums agree. */
static void
scan_when_told(struct store *store, int input, int output)
{
    struct store_usage usage;
    char word = 'o';

    if (write(output, &word, 1) != 1) {
        _exit(2);
    }
    while (read(input, &word, 1) == 1) {
        uint64_t count = 0;
        enum error error = store_scan(store, STORE_TASKS, 0, count_rows, &count);

        store_usage(store, &usage);
        word = error == OK && count >= 1000 && usage.rows[STORE_TASKS] >= count ? 'y' : 'n';
        if (write(output, &word, 1) != 1) {
            _exit(2);
        }
    }
}

static void
write_when_told(struct store *store, int input, int output)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    char word = 'o';
    uint64_t key = 1000;

    for (uint64_t i = 0; i < key; i++) {
        store_batch_put(batch, STORE_TASKS, i, slice_string("task"));
    }
    if (store_commit(store, batch) != OK || write(output, &word, 1) != 1) {
        _exit(2);
    }
    while (read(input, &word, 1) == 1) {
        for (int i = 0; i < 50; i++, key++) {
            store_batch_clear(batch);
            store_batch_put(batch, STORE_TASKS, key, slice_string("task"));
            word = store_commit(store, batch) == OK ? 'y' : 'n';
        }
        if (write(output, &word, 1) != 1) {
            _exit(2);
        }
    }
    store_batch_destroy(batch);
}

Test(store_lmdb, a_tool_reads_beside_the_broker, .timeout = 60)
{
    struct neighbour writer;
    struct neighbour reader;
    struct place place;

    place_init(&place, false);
    writer = neighbour_start(&place, false, write_when_told);
    cr_assert_eq(neighbour_hear(&writer), 'o');
    reader = neighbour_start(&place, true, scan_when_told);
    cr_assert_eq(neighbour_hear(&reader), 'o');
    for (int round = 0; round < 20; round++) {
        neighbour_tell(&writer, 'w');
        neighbour_tell(&reader, 'r');
        cr_assert_eq(neighbour_hear(&reader), 'y');
        cr_assert_eq(neighbour_hear(&writer), 'y');
    }
    kill(reader.process, SIGKILL); /* a dead reader is cleared and does not disturb */
    neighbour_end(&reader);
    neighbour_tell(&writer, 'w');
    cr_expect_eq(neighbour_hear(&writer), 'y');
    cr_expect_eq(neighbour_end(&writer), 0);
    place_release(&place);
}

Test(store_lmdb, read_only_takes_no_batch_and_makes_nothing)
{
    struct store_options options = {.is_read_only = true};
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    char *message = NULL;
    struct store *store = NULL;
    struct place place;

    place_init(&place, false);
    options.path = place.path;
    cr_expect_eq(store_open_lmdb(&options, &store, &message), ERROR_NOT_FOUND);
    cr_expect_not_null(message);
    free(message);
    cr_expect_neq(access(place.path, F_OK), 0, "nothing was made");
    place_open(&place);
    commit_one(&place, STORE_TASKS, 1, "there");
    place_close(&place);
    cr_assert_eq(store_open_lmdb(&options, &store, NULL), OK);
    cr_expect(has_value(store, 1, "there"));
    store_batch_put(batch, STORE_TASKS, 2, slice_string("refused"));
    cr_expect_eq(store_commit(store, batch), ERROR_BUG);
    cr_expect_eq(store_settle(store), ERROR_BUG);
    store_close(store);
    store_batch_destroy(batch);
    place_release(&place);
}

/* ---- versions ------------------------------------------------------------------------------- */

static const struct version_case {
    const char *format;
    size_t size;
    enum error error;
    const char *message;
} version_cases[] = {
    {"\x02\0\0\0", 4, ERROR_VERSION, "has format 2 and this program knows format 1"},
    {"\0\0\0\x01", 4, ERROR_VERSION, "has format 16777216"},
    {"\x01", 1, ERROR_CORRUPT, "cannot read its version"},
    {NULL, 0, ERROR_CORRUPT, "cannot find its version"},
};

Test(store_lmdb, a_store_of_another_version_is_refused)
{
    for (size_t i = 0; i < sizeof(version_cases) / sizeof(version_cases[0]); i++) {
        const struct version_case *version = &version_cases[i];
        struct store_batch *batch = store_batch_create(BATCH_BYTES);
        struct place place;

        place_init(&place, false);
        place_open(&place);
        if (version->format == NULL) {
            store_batch_delete_bytes(batch, STORE_META, slice_string("format"));
        } else {
            store_batch_put_bytes(batch, STORE_META, slice_string("format"),
                                  slice_of(version->format, version->size));
        }
        place_commit(&place, batch);
        place_close(&place);
        cr_expect_eq(place_try_open(&place), version->error, "case %zu", i);
        cr_assert_not_null(place.message);
        cr_expect_not_null(strstr(place.message, version->message), "%s", place.message);
        place_release(&place);
        store_batch_destroy(batch);
    }
}

/* ---- the directory -------------------------------------------------------------------------- */

static unsigned
mode_of(const char *folder, const char *name)
{
    char path[2 * PLACE_PATH_BYTES];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cr_assert_eq(stat(path, &status), 0, "%s", path);
    return status.st_mode & 0777;
}

Test(store_lmdb, files_are_for_the_owner_alone_and_closed_on_exec)
{
    struct place place;
    unsigned open_count = 0;

    place_init(&place, false);
    umask(0);
    place_open(&place);
    cr_expect_eq(mode_of(place.path, "."), 0700);
    cr_expect_eq(mode_of(place.path, "data.mdb"), 0600);
    cr_expect_eq(mode_of(place.path, "lock.mdb"), 0600);
    cr_expect_eq(mode_of(place.path, "broker.lock"), 0600);
    cr_expect_eq(mode_of(place.path, "format"), 0600);
    for (int fd = 0; fd < 1000; fd++) {
        char link[64];
        char target[2 * PLACE_PATH_BYTES] = "";

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, place.path) != NULL) {
            open_count++;
            cr_expect_neq(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0, "%s", target);
        }
    }
    cr_expect_geq(open_count, 4, "directory, lock, LMDB's data and lock: %u", open_count);
    place_release(&place);
}

Test(store_lmdb, what_is_wrong_with_the_path_is_said)
{
    struct place place;
    char *folder_message;
    int fd;

    place_init(&place, false);
    snprintf(place.path, sizeof(place.path), "/nonexistent/folder/store");
    cr_expect_eq(place_try_open(&place), ERROR_NOT_FOUND);
    folder_message = place.message;
    cr_expect_not_null(strstr(folder_message, "/nonexistent/folder/store"), "%s", folder_message);
    snprintf(place.path, sizeof(place.path), "%s/f", place.root);
    fd = open(place.path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    cr_expect_eq(place_try_open(&place), ERROR_NOT_FOUND);
    cr_expect_not_null(strstr(place.message, "Not a directory"), "%s", place.message);
    unlink(place.path);
    place_release(&place);
}

Test(store_lmdb, a_data_file_that_is_gone_or_empty_is_not_taken_for_a_new_store)
{
    for (int is_empty = 0; is_empty <= 1; is_empty++) {
        char data[2 * PLACE_PATH_BYTES];
        struct place place;

        place_init(&place, false);
        place_open(&place);
        place_close(&place);
        snprintf(data, sizeof(data), "%s/data.mdb", place.path);
        cr_assert_eq(is_empty ? truncate(data, 0) : unlink(data), 0);
        cr_expect_eq(place_try_open(&place), ERROR_CORRUPT);
        cr_expect_not_null(strstr(place.message, "gone or empty"), "%s", place.message);
        place_release(&place);
    }
}

/* ---- a disk that has no room ------------------------------------------------------------------
 */

Test(store_lmdb, a_full_disk_stops_it_and_takes_nothing_back)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    static uint8_t block[1 << 20];
    struct rlimit limit = {.rlim_cur = 2 << 20, .rlim_max = RLIM_INFINITY};
    enum error error = OK;
    struct place place;
    uint64_t stored = 0;

    place_init(&place, false);
    place_open(&place);
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    while (error == OK && stored < 10) {
        store_batch_clear(batch);
        store_batch_put(batch, STORE_BODIES, stored, slice_of(block, sizeof(block)));
        store_batch_put(batch, STORE_TASKS, stored, slice_string("task"));
        error = store_commit(place.store, batch);
        stored += error == OK;
    }
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    /* A write that is cut short is EIO to LMDB; only a disk that is full as well tells it apart. */
    cr_expect(error == ERROR_DISK_FULL || error == ERROR_IO, "%s", error_name(error));
    cr_expect_lt(stored, 3);
    cr_expect_str_not_empty(store_failure(place.store));
    cr_expect_eq(store_commit(place.store, batch), ERROR_BUG, "also with room again");
    place_close(&place);
    place_open(&place);
    for (uint64_t i = 0; i < 10; i++) {
        cr_expect_eq(has_value(place.store, i, "task"), i < stored);
    }
    place_commit(&place, batch);
    cr_expect(has_value(place.store, stored, "task"));
    place_release(&place);
    store_batch_destroy(batch);
}

Test(store_lmdb, full_sync_flushes_twice_a_commit_and_group_once)
{
    static const struct {
        enum store_sync sync;
        uint64_t flushes;
    } cases[] = {{STORE_SYNC_GROUP, 11}, {STORE_SYNC_FULL, 20}};

    for (size_t i = 0; i < 2; i++) {
        struct store_usage usage;
        struct place place;

        place_init(&place, false);
        place.sync = cases[i].sync;
        place_open(&place);
        for (uint64_t key = 0; key < 10; key++) {
            commit_one(&place, STORE_TASKS, key, "x");
        }
        cr_expect_eq(store_settle(place.store), OK);
        store_usage(place.store, &usage);
        cr_expect_eq(usage.flushes, cases[i].flushes);
        place_release(&place);
    }
}

Test(store_lmdb, the_largest_size_costs_no_disk)
{
    struct store_usage usage;
    struct stat status;
    struct place place;
    char path[2 * PLACE_PATH_BYTES];

    place_init(&place, false);
    place.bytes_max = 0;
    place_open(&place);
    commit_one(&place, STORE_TASKS, 1, "x");
    store_usage(place.store, &usage);
    cr_expect_eq(usage.bytes_max, (uint64_t)1 << 40);
    snprintf(path, sizeof(path), "%s/data.mdb", place.path);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_lt(status.st_blocks * 512, 1 << 20);
    place_release(&place);
}
