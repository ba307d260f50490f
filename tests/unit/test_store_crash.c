/*
 * A process that writes numbered batches through the committer is killed at random moments. After
 * each kill every batch that it had reported durable is there, none is there in part, and the file
 * passes the strictest check.
 */
#include "broker/committer.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <criterion/criterion.h>

#include "broker/store_tool.h"
#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)4 << 20)
#define ROUNDS 120
#define ROWS_A_BATCH 40u
#define KILL_AFTER_US_MAX 60000
#define TASKS_KEPT 60u /* older ones are deleted, so that pages are used again */

static void
wake(void *context)
{
    sem_post(context);
}

/* Row i of batch n: key n * ROWS_A_BATCH + i, value n and then filling that differs in size. */
static void
fill_batch(struct store_batch *batch, uint64_t number)
{
    static uint8_t value[9000];

    store_batch_clear(batch);
    memset(value, (int)(number & 0xff), sizeof(value));
    memcpy(value, &number, sizeof(number));
    for (uint64_t i = 0; i < ROWS_A_BATCH; i++) {
        size_t size = i == 7 ? sizeof(value) : sizeof(number) + (number + i) % 100;

        store_batch_put(batch, STORE_TASKS, number * ROWS_A_BATCH + i, slice_of(value, size));
    }
    store_batch_put_bytes(batch, STORE_TOTALS, slice_string("last"),
                          slice_of(&number, sizeof(number)));
    if (number > TASKS_KEPT) {
        uint64_t old = (number - TASKS_KEPT) * ROWS_A_BATCH;

        store_batch_delete_range(batch, STORE_TASKS, old, old + ROWS_A_BATCH - 1);
    }
}

/* The child: batches from `number` on until it is killed; durable numbers go into the pipe. */
static void
write_until_killed(const struct place *place, enum store_sync sync, uint64_t number, int output)
{
    struct store_options options = {
        .path = place->path, .bytes_max = place->bytes_max, .sync = sync};
    struct store_batch *batches[2] = {store_batch_create(BATCH_BYTES),
                                      store_batch_create(BATCH_BYTES)};
    struct committer_status status = {0};
    struct committer *committer;
    uint64_t submitted = 0;
    uint64_t reported = 0;
    struct store *store;
    sem_t woken;

    sem_init(&woken, 0, 0);
    if (store_open_lmdb(&options, &store, NULL) != OK) {
        _exit(1);
    }
    committer = committer_create(store, sync, wake, &woken);
    for (;;) {
        while (committer_is_free(committer) && status.applied + 2 > submitted) {
            struct store_batch *batch = batches[submitted % 2];

            submitted++;
            fill_batch(batch, number + submitted - 1);
            committer_submit(committer, batch, submitted);
        }
        sem_wait(&woken);
        status = committer_status(committer);
        if (status.error != OK) {
            _exit(2);
        }
        if (status.durable > reported) {
            uint64_t word = number + status.durable - 1;

            reported = status.durable;
            if (write(output, &word, sizeof(word)) != sizeof(word)) {
                _exit(3);
            }
        }
    }
}

struct found {
    uint64_t rows;
    uint64_t smallest;
    uint64_t largest;
    uint64_t bad;
};

static bool
check_row(void *context, const struct store_entry *entry)
{
    struct found *found = context;
    uint64_t number = 0;

    if (entry->is_corrupt || entry->value.size < sizeof(number)) {
        found->bad++;
        return true;
    }
    memcpy(&number, entry->value.data, sizeof(number));
    found->bad += entry->number / ROWS_A_BATCH != number;
    found->smallest = found->rows == 0 ? number : found->smallest;
    found->largest = number;
    found->rows++;
    return true;
}

/* What is in the store is the result of batches 1..n, whole; gives n, which is at least durable. */
static uint64_t
check_after_kill(struct place *place, uint64_t durable, unsigned round)
{
    struct found found = {0};
    struct buffer out;
    uint64_t last = 0;
    uint64_t batches;
    enum error error;
    char *message = NULL;

    cr_assert_eq(store_check_file(place->path, &message), OK, "round %u: %s", round, message);
    place_open(place);
    buffer_init(&out, 100);
    error = store_get_bytes(place->store, STORE_TOTALS, slice_string("last"), &out);
    cr_assert(error == OK || (error == ERROR_NOT_FOUND && durable == 0), "round %u", round);
    if (error == OK) {
        cr_assert_eq(out.size, sizeof(last));
        memcpy(&last, out.data, sizeof(last));
    }
    buffer_release(&out);
    cr_assert_geq(last, durable, "round %u: batch %lu was reported, %lu is the last there", round,
                  durable, last);
    cr_assert_eq(store_scan(place->store, STORE_TASKS, 0, check_row, &found), OK);
    batches = last > TASKS_KEPT ? TASKS_KEPT : last;
    cr_assert_eq(found.bad, 0, "round %u", round);
    cr_assert_eq(found.rows, batches * ROWS_A_BATCH, "round %u: %lu rows of %lu batches", round,
                 found.rows, batches);
    cr_assert(last == 0 || (found.largest == last && found.smallest == last - batches + 1));
    place_close(place);
    return last;
}

static uint64_t
read_durable(int input, uint64_t durable)
{
    uint64_t word;

    while (read(input, &word, sizeof(word)) == sizeof(word)) {
        cr_assert_gt(word, durable, "numbers only grow");
        durable = word;
    }
    return durable;
}

static void
kill_and_check(enum store_sync sync, unsigned rounds)
{
    unsigned seed = 1234 + (unsigned)sync;
    uint64_t killed_while_writing = 0;
    uint64_t durable = 0;
    struct place place;

    place_init(&place, false);
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t before = durable;
        uint64_t last;
        int pipes[2];
        int status;
        pid_t child;

        cr_assert_eq(pipe(pipes), 0);
        child = fork();
        if (child == 0) {
            close(pipes[0]);
            write_until_killed(&place, sync, durable + 1, pipes[1]);
        }
        close(pipes[1]);
        /* The moment of the kill is what is random here; nothing waits for it. */
        usleep((useconds_t)rand_r(&seed) % KILL_AFTER_US_MAX);
        kill(child, SIGKILL);
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status), "the child ended by itself: %d", status);
        durable = read_durable(pipes[0], durable);
        close(pipes[0]);
        last = check_after_kill(&place, durable, round);
        killed_while_writing += last > before;
        durable = last; /* what is there now is durable for the next child */
    }
    cr_expect_gt(killed_while_writing, rounds / 4, "most kills met a child at work");
    cr_expect_gt(durable, TASKS_KEPT, "enough was written for pages to be used again");
    place_release(&place);
}

Test(store_crash, reported_batches_survive_kills_with_group_sync, .timeout = 600)
{
    kill_and_check(STORE_SYNC_GROUP, ROUNDS);
}

Test(store_crash, reported_batches_survive_kills_with_full_sync, .timeout = 600)
{
    kill_and_check(STORE_SYNC_FULL, ROUNDS / 4);
}
