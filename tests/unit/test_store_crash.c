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

#include "tests/unit/numbered_batches.h"
#include "tests/unit/store_place.h"

#define BATCH_BYTES ((size_t)4 << 20)
#define ROUNDS 120
#define KILL_AFTER_US_MAX 60000
#define PATIENCE 20 /* times the rounds */

static const struct numbering numbering = {.rows_a_batch = 40, .kept = 60, .large_bytes = 9000};

static void
wake(void *context)
{
    sem_post(context);
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
            numbered_fill(&numbering, batch, number + submitted - 1);
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

/* Enough is written when pages are used again and a good part of the kills met a child at work. On
 * a busy machine that takes more rounds. */
static bool
is_too_little(uint64_t durable, uint64_t killed_while_writing, unsigned rounds)
{
    return durable <= numbering.kept || killed_while_writing <= rounds / 4;
}

static void
kill_and_check(enum store_sync sync, unsigned rounds)
{
    unsigned seed = 1234 + (unsigned)sync;
    uint64_t killed_while_writing = 0;
    uint64_t durable = 0;
    struct place place;

    place_init(&place, false);
    place_open(&place); /* a first child that dies early would leave no store to check */
    place_close(&place);
    for (unsigned round = 0; round < rounds || is_too_little(durable, killed_while_writing, rounds);
         round++) {
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
        last = numbered_check(&numbering, &place, durable, "round", round);
        killed_while_writing += last > before;
        durable = last; /* what is there now is durable for the next child */
        cr_assert_lt(round, rounds * PATIENCE, "%lu written, %lu kills while writing", durable,
                     killed_while_writing);
    }
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
