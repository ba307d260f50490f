#include "broker/committer.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct committer {
    struct store *store;
    enum store_sync sync;
    committer_wake_fn *wake;
    void *context;
    pthread_t thread;
    uint64_t submitted; /* the loop's */

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t changed;
    const struct store_batch *waiting; /* NULL: another may be handed over */
    uint64_t waiting_number;
    bool is_working;
    bool wants_settle;
    bool is_stopping;
    struct committer_status status;
};

/* Commits one batch or settles, without the lock; gives what is true afterwards. */
static struct committer_status
committer_step(struct committer *committer, const struct store_batch *batch, uint64_t number,
               struct committer_status status)
{
    if (batch == NULL) {
        status.error = store_settle(committer->store);
        if (status.error == OK) {
            status.durable = status.applied;
        }
        return status;
    }
    status.error = store_commit(committer->store, batch);
    if (status.error == OK) {
        /* The flush of this commit took the head of the one before with it. */
        status.durable = committer->sync == STORE_SYNC_FULL ? number : status.applied;
        status.applied = number;
    }
    return status;
}

static void *
committer_main(void *argument)
{
    struct committer *committer = argument;

    pthread_mutex_lock(&committer->lock);
    while (committer->status.error == OK) {
        const struct store_batch *batch = committer->waiting;
        uint64_t number = committer->waiting_number;
        struct committer_status status = committer->status;
        bool may_settle = committer->wants_settle || committer->is_stopping;

        if (batch == NULL && (status.applied == status.durable || !may_settle)) {
            committer->wants_settle = false;
            if (committer->is_stopping) {
                break;
            }
            pthread_cond_wait(&committer->changed, &committer->lock);
            continue;
        }
        committer->waiting = NULL;
        committer->wants_settle = false;
        committer->is_working = true;
        pthread_mutex_unlock(&committer->lock);
        status = committer_step(committer, batch, number, status);
        pthread_mutex_lock(&committer->lock);
        committer->is_working = false;
        committer->status = status;
        pthread_mutex_unlock(&committer->lock);
        committer->wake(committer->context);
        pthread_mutex_lock(&committer->lock);
    }
    pthread_mutex_unlock(&committer->lock);
    return NULL;
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static bool
committer_start(struct committer *committer)
{
    sigset_t all;
    sigset_t before;
    int failed;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return false;
    }
    failed = pthread_create(&committer->thread, NULL, committer_main, committer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0) {
        pthread_setname_np(committer->thread, "committer"); /* for people only */
    }
    return failed == 0;
}

struct committer *
committer_create(struct store *store, enum store_sync sync, committer_wake_fn *wake, void *context)
{
    struct committer *committer = calloc(1, sizeof(*committer));

    if (committer == NULL) {
        return NULL;
    }
    committer->store = store;
    committer->sync = sync;
    committer->wake = wake;
    committer->context = context;
    if (pthread_mutex_init(&committer->lock, NULL) != 0) {
        free(committer);
        return NULL;
    }
    if (pthread_cond_init(&committer->changed, NULL) != 0) {
        pthread_mutex_destroy(&committer->lock);
        free(committer);
        return NULL;
    }
    if (!committer_start(committer)) {
        pthread_cond_destroy(&committer->changed);
        pthread_mutex_destroy(&committer->lock);
        free(committer);
        return NULL;
    }
    return committer;
}

void
committer_destroy(struct committer *committer)
{
    if (committer == NULL) {
        return;
    }
    pthread_mutex_lock(&committer->lock);
    committer->is_stopping = true;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    pthread_cond_destroy(&committer->changed);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}

/* Only the lock is touched, which is not part of what the caller sees. */
static struct committer *
committer_lock(const struct committer *committer)
{
    struct committer *locked = (struct committer *)(uintptr_t)committer;

    pthread_mutex_lock(&locked->lock);
    return locked;
}

bool
committer_is_free(const struct committer *committer)
{
    struct committer *locked = committer_lock(committer);
    bool is_free = locked->waiting == NULL && locked->status.error == OK;

    pthread_mutex_unlock(&locked->lock);
    return is_free;
}

bool
committer_is_idle(const struct committer *committer)
{
    struct committer *locked = committer_lock(committer);
    bool is_idle = locked->waiting == NULL && !locked->is_working && !locked->wants_settle &&
                   locked->status.error == OK;

    pthread_mutex_unlock(&locked->lock);
    return is_idle;
}

void
committer_submit(struct committer *committer, const struct store_batch *batch, uint64_t number)
{
    assert(number == committer->submitted + 1);
    committer->submitted = number;
    pthread_mutex_lock(&committer->lock);
    assert(committer->waiting == NULL);
    committer->waiting = batch;
    committer->waiting_number = number;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

void
committer_settle(struct committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    committer->wants_settle = true;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

struct committer_status
committer_status(struct committer *committer)
{
    struct committer_status status;

    pthread_mutex_lock(&committer->lock);
    status = committer->status;
    pthread_mutex_unlock(&committer->lock);
    return status;
}
