/*
 * store_bench: tasks a second through store and committer, beside the bare rate of flushes of the
 * same disk in the same run.
 *
 * A task is put once (200 bytes at the tail) and deleted once, in groups of N, as a broker in
 * steady state does it: each batch puts N and deletes N older ones in shuffled order, and the next
 * batch is filled while the last one is written.
 *
 *   store_bench DIRECTORY [SECONDS]
 */
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/committer.h"
#include "broker/store.h"

#define BATCH_BYTES ((size_t)16 << 20)
#define TASK_BYTES 200
#define GROUP_MAX 1024
#define BLOCK_BYTES 4096
#define STORE_BYTES_MAX ((uint64_t)16 << 30)
#define SECONDS_DEFAULT 3.0

static double
now_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double
cpu_s(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void
give_up(const char *what)
{
    fprintf(stderr, "store_bench: %s\n", what);
    exit(1);
}

/* Overwrites 64 blocks in turn, one fdatasync each. */
static double
flushes_a_second(const char *directory, double seconds)
{
    static uint8_t block[BLOCK_BYTES];
    char path[4096];
    double start;
    unsigned count = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/flushes", directory);
    fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        give_up("cannot make a file in the directory");
    }
    for (unsigned i = 0; i < 64; i++) {
        if (pwrite(fd, block, sizeof(block), (off_t)i * BLOCK_BYTES) != BLOCK_BYTES) {
            give_up("cannot write");
        }
    }
    if (fsync(fd) != 0) {
        give_up("cannot sync");
    }
    start = now_s();
    do {
        block[0] = (uint8_t)count;
        if (pwrite(fd, block, sizeof(block), (off_t)(count % 64) * BLOCK_BYTES) != BLOCK_BYTES ||
            fdatasync(fd) != 0) {
            give_up("cannot write");
        }
        count++;
    } while (now_s() - start < seconds);
    seconds = now_s() - start;
    close(fd);
    unlink(path);
    return count / seconds;
}

static void
wake(void *context)
{
    sem_post(context);
}

/* Batch n puts tasks n*group.. and deletes those of batch n - 2, which were handed out meanwhile.
 */
static void
fill(struct store_batch *batch, uint64_t number, unsigned group)
{
    static uint8_t task[TASK_BYTES];
    static uint64_t old[GROUP_MAX];

    store_batch_clear(batch);
    for (unsigned i = 0; i < group; i++) {
        store_batch_put(batch, STORE_TASKS, number * group + i, slice_of(task, sizeof(task)));
        old[i] = number < 2 ? UINT64_MAX : (number - 2) * group + i;
    }
    for (unsigned i = group - 1; number >= 2 && i > 0; i--) {
        unsigned other = (unsigned)rand() % (i + 1);
        uint64_t key = old[i];

        old[i] = old[other];
        old[other] = key;
    }
    for (unsigned i = 0; i < group && number >= 2; i++) {
        store_batch_delete(batch, STORE_TASKS, old[i]);
    }
}

static void
run(const char *directory, enum store_sync sync, unsigned group, double seconds)
{
    struct store_options options = {.bytes_max = STORE_BYTES_MAX, .sync = sync};
    struct store_batch *batches[2] = {store_batch_create(BATCH_BYTES),
                                      store_batch_create(BATCH_BYTES)};
    struct committer_status status = {0};
    struct committer *committer;
    struct store_usage usage;
    uint64_t submitted = 0;
    struct store *store = NULL;
    char *message = NULL;
    double tasks;
    double bare = flushes_a_second(directory, seconds / 3);
    double start;
    double cpu;
    sem_t woken;
    char path[4096];

    snprintf(path, sizeof(path), "%s/store", directory);
    options.path = path;
    if (batches[0] == NULL || batches[1] == NULL || sem_init(&woken, 0, 0) != 0 ||
        store_open_lmdb(&options, &store, &message) != OK) {
        give_up(message != NULL ? message : "no memory");
    }
    committer = committer_create(store, sync, wake, &woken);
    if (committer == NULL) {
        give_up("no thread");
    }
    start = now_s();
    cpu = cpu_s();
    while (now_s() - start < seconds || status.durable < submitted) {
        if (now_s() - start < seconds && committer_is_free(committer) &&
            status.applied + 2 > submitted) {
            struct store_batch *batch = batches[submitted % 2];

            fill(batch, submitted, group);
            committer_submit(committer, batch, ++submitted);
        } else {
            if (status.applied == submitted) {
                committer_settle(committer);
            }
            sem_wait(&woken);
        }
        status = committer_status(committer);
        if (status.error != OK) {
            give_up(store_failure(store));
        }
    }
    seconds = now_s() - start;
    cpu = cpu_s() - cpu;
    store_usage(store, &usage);
    tasks = (double)submitted * group;
    printf(
        "store_bench sync=%s group=%u tasks_per_s=%.0f batches_per_s=%.0f cpu_us_per_task=%.2f "
        "tasks_per_flush=%.1f flushes_per_task=%.5f flushes_per_s=%.0f bare_flushes_per_s=%.0f\n",
        sync == STORE_SYNC_GROUP ? "group" : "full", group, tasks / seconds,
        (double)submitted / seconds, cpu * 1e6 / tasks, tasks / (double)usage.flushes,
        (double)usage.flushes / tasks, (double)usage.flushes / seconds, bare);
    committer_destroy(committer);
    store_close(store);
    store_batch_destroy(batches[0]);
    store_batch_destroy(batches[1]);
    sem_destroy(&woken);
}

static void
clear(const char *directory)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store/broker.lock",
                                        "store/format", "store"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];

        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        remove(path);
    }
}

int
main(int argc, char **argv)
{
    static const unsigned groups[] = {64, 1024};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : SECONDS_DEFAULT;

    if (argc < 2 || argc > 3 || seconds <= 0) {
        fprintf(stderr, "usage: store_bench DIRECTORY [SECONDS]\n");
        return 2;
    }
    for (size_t i = 0; i < 2 * sizeof(groups) / sizeof(groups[0]); i++) {
        clear(argv[1]);
        run(argv[1], i < 2 ? STORE_SYNC_GROUP : STORE_SYNC_FULL, groups[i % 2], seconds);
    }
    clear(argv[1]);
    return 0;
}
