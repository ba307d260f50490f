#include "broker/committer.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "tests/unit/store_place.h"

#define BATCH_BYTES 100000
#define WAIT_SECONDS_MAX 60

/* A store whose every step waits for the test, and fails when told to. */
struct gated_store {
    struct store store;
    sem_t may_go;    /* one for each commit or settle that may end */
    sem_t has_begun; /* one for each that began */
    sem_t was_woken;
    bool has_no_gate;
    atomic_int fails_at; /* the step that fails, from 1; 0 for never */
    enum error fails_with;
    atomic_int step_count;
    char steps[256]; /* c: commit, s: settle */
};

static void
wait_for(sem_t *semaphore)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_SECONDS_MAX;
    while (sem_timedwait(semaphore, &until) != 0) {
        cr_assert_eq(errno, EINTR, "the committer did not come");
    }
}

static enum error
gated_step(struct store *store, char name)
{
    struct gated_store *gated = (struct gated_store *)store;
    int number = gated->step_count;

    gated->steps[number] = name;
    gated->step_count = number + 1;
    sem_post(&gated->has_begun);
    if (!gated->has_no_gate) {
        sem_wait(&gated->may_go);
    }
    return gated->fails_at == number + 1 ? gated->fails_with : OK;
}

static enum error
gated_commit(struct store *store, const struct store_batch *batch)
{
    (void)batch;
    return gated_step(store, 'c');
}

static enum error
gated_settle(struct store *store)
{
    return gated_step(store, 's');
}

static const struct store_functions gated_functions = {
    .name = "gated", .commit = gated_commit, .settle = gated_settle};

static void
gated_init(struct gated_store *gated)
{
    *gated = (struct gated_store){.store.functions = &gated_functions};
    sem_init(&gated->may_go, 0, 0);
    sem_init(&gated->has_begun, 0, 0);
    sem_init(&gated->was_woken, 0, 0);
}

static void
gated_wake(void *context)
{
    struct gated_store *gated = context;

    sem_post(&gated->was_woken);
}

static void
let_one_step_end(struct gated_store *gated)
{
    sem_post(&gated->may_go);
    wait_for(&gated->was_woken);
}

static void
expect_status(struct committer *committer, uint64_t applied, uint64_t durable, enum error error)
{
    struct committer_status status = committer_status(committer);

    cr_expect_eq(status.applied, applied, "applied %lu", status.applied);
    cr_expect_eq(status.durable, durable, "durable %lu", status.durable);
    cr_expect_eq(status.error, error, "%s", error_name(status.error));
}

Test(committer, a_lone_batch_is_settled_when_asked, .timeout = 120)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct gated_store gated;
    struct committer *committer;

    gated_init(&gated);
    committer = committer_create(&gated.store, STORE_SYNC_GROUP, gated_wake, &gated);
    cr_assert(committer_is_free(committer));
    cr_assert(committer_is_idle(committer));
    committer_submit(committer, batch, 1);
    cr_expect_not(committer_is_idle(committer), "it has a batch");
    wait_for(&gated.has_begun);
    expect_status(committer, 0, 0, OK);
    cr_expect_not(committer_is_idle(committer), "it commits");
    let_one_step_end(&gated);
    cr_expect(committer_is_idle(committer), "the loop may still have a batch for it");
    expect_status(committer, 1, 0, OK);
    committer_settle(committer);
    cr_expect_not(committer_is_idle(committer), "it has to settle");
    wait_for(&gated.has_begun);
    let_one_step_end(&gated);
    expect_status(committer, 1, 1, OK);
    cr_expect(committer_is_idle(committer));
    committer_destroy(committer);
    cr_expect_str_eq(gated.steps, "cs");
    store_batch_destroy(batch);
}

Test(committer, a_batch_that_comes_first_takes_the_place_of_the_settle, .timeout = 120)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct gated_store gated;
    struct committer *committer;

    gated_init(&gated);
    committer = committer_create(&gated.store, STORE_SYNC_GROUP, gated_wake, &gated);
    committer_submit(committer, batch, 1);
    wait_for(&gated.has_begun);
    committer_settle(committer);
    committer_submit(committer, batch, 2);
    let_one_step_end(&gated);
    wait_for(&gated.has_begun);
    let_one_step_end(&gated);
    expect_status(committer, 2, 1, OK);
    cr_expect(committer_is_idle(committer), "the settle asked for before it is done with");
    sem_post(&gated.may_go);
    committer_destroy(committer);
    cr_expect_str_eq(gated.steps, "ccs", "the last batch is settled at the end");
    store_batch_destroy(batch);
}

Test(committer, a_waiting_batch_makes_the_one_before_durable, .timeout = 120)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct gated_store gated;
    struct committer *committer;

    gated_init(&gated);
    committer = committer_create(&gated.store, STORE_SYNC_GROUP, gated_wake, &gated);
    committer_submit(committer, batch, 1);
    wait_for(&gated.has_begun);
    cr_expect(committer_is_free(committer), "one is applied, one may wait");
    committer_submit(committer, batch, 2);
    cr_expect_not(committer_is_free(committer));
    let_one_step_end(&gated);
    wait_for(&gated.has_begun);
    cr_expect(committer_is_free(committer));
    committer_submit(committer, batch, 3);
    expect_status(committer, 1, 0, OK);
    let_one_step_end(&gated);
    wait_for(&gated.has_begun);
    expect_status(committer, 2, 1, OK);
    let_one_step_end(&gated);
    expect_status(committer, 3, 2, OK);
    committer_settle(committer);
    wait_for(&gated.has_begun);
    let_one_step_end(&gated);
    expect_status(committer, 3, 3, OK);
    committer_destroy(committer);
    cr_expect_str_eq(gated.steps, "cccs");
    store_batch_destroy(batch);
}

Test(committer, with_full_sync_a_batch_is_durable_when_applied, .timeout = 120)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct gated_store gated;
    struct committer *committer;

    gated_init(&gated);
    committer = committer_create(&gated.store, STORE_SYNC_FULL, gated_wake, &gated);
    for (uint64_t number = 1; number <= 3; number++) {
        committer_submit(committer, batch, number);
        let_one_step_end(&gated);
        expect_status(committer, number, number, OK);
    }
    committer_destroy(committer);
    cr_expect_str_eq(gated.steps, "ccc");
    store_batch_destroy(batch);
}

Test(committer, destroy_finishes_what_was_handed_over, .timeout = 120)
{
    struct store_batch *batch = store_batch_create(BATCH_BYTES);
    struct gated_store gated;
    struct committer *committer;

    gated_init(&gated);
    committer = committer_create(&gated.store, STORE_SYNC_GROUP, gated_wake, &gated);
    committer_submit(committer, batch, 1);
    wait_for(&gated.has_begun);
    committer_submit(committer, batch, 2);
    for (int i = 0; i < 3; i++) {
        sem_post(&gated.may_go);
    }
    committer_destroy(committer);
    cr_expect_str_eq(gated.steps, "ccs");
    store_batch_destroy(batch);
}

static const struct failure_case {
    int fails_at;
    enum error error;
    uint64_t applied;
    uint64_t durable;
    const char *steps;
} failure_cases[] = {
    {1, ERROR_DISK_FULL, 0, 0, "c"},
    {2, ERROR_IO, 1, 0, "cc"}, /* the second commit: the first was applied, and may be lost */
    {3, ERROR_IO, 2, 1, "ccs"},
};

Test(committer, stops_for_good_at_the_first_error, .timeout = 120)
{
    for (size_t i = 0; i < sizeof(failure_cases) / sizeof(failure_cases[0]); i++) {
        const struct failure_case *failure = &failure_cases[i];
        struct store_batch *batch = store_batch_create(BATCH_BYTES);
        struct gated_store gated;
        struct committer *committer;

        gated_init(&gated);
        gated.fails_at = failure->fails_at;
        gated.fails_with = failure->error;
        committer = committer_create(&gated.store, STORE_SYNC_GROUP, gated_wake, &gated);
        committer_submit(committer, batch, 1);
        wait_for(&gated.has_begun);
        committer_submit(committer, batch, 2);
        for (int step = 1; step <= failure->fails_at; step++) {
            if (step == 3) {
                committer_settle(committer);
            }
            let_one_step_end(&gated);
        }
        expect_status(committer, failure->applied, failure->durable, failure->error);
        cr_expect_not(committer_is_free(committer), "nothing more is taken");
        committer_destroy(committer);
        cr_expect_str_eq(gated.steps, failure->steps);
        store_batch_destroy(batch);
    }
}

static void
wake_semaphore(void *context)
{
    sem_post(context);
}

/* Through a real store: all batches are there, in order, however they met. */
Test(committer, batches_reach_the_store_in_order, .timeout = 120)
{
    for (int is_memory = 0; is_memory <= 1; is_memory++) {
        struct store_batch *batches[2] = {store_batch_create(BATCH_BYTES),
                                          store_batch_create(BATCH_BYTES)};
        struct committer_status status = {0};
        struct committer *committer;
        struct store_usage usage;
        struct place place;
        uint64_t number = 0;
        sem_t woken;

        sem_init(&woken, 0, 0);
        place_init(&place, is_memory != 0);
        place_open(&place);
        committer = committer_create(place.store, STORE_SYNC_GROUP, wake_semaphore, &woken);
        while (status.durable < 500) {
            /* Two batches take turns: one is the caller's again when it was applied. */
            if (number < 500 && committer_is_free(committer) && status.applied + 2 > number) {
                struct store_batch *batch = batches[number % 2];

                number++;
                store_batch_clear(batch);
                store_batch_put(batch, STORE_TASKS, number, slice_of(&number, sizeof(number)));
                store_batch_put(batch, STORE_TASKS, 0, slice_of(&number, sizeof(number)));
                committer_submit(committer, batch, number);
            } else {
                if (status.applied == 500) {
                    committer_settle(committer);
                }
                wait_for(&woken);
            }
            status = committer_status(committer);
            cr_assert_eq(status.error, OK);
            cr_assert(status.durable <= status.applied && status.applied <= number);
        }
        committer_destroy(committer);
        store_usage(place.store, &usage);
        cr_expect_eq(usage.rows[STORE_TASKS], 501);
        cr_expect_eq(usage.commits, 500);
        place_release(&place);
        store_batch_destroy(batches[0]);
        store_batch_destroy(batches[1]);
    }
}
