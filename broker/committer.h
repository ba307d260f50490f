/*
 * committer: the thread that writes and syncs, one batch after the other.
 *
 * The loop hands over a batch when the last one has been applied; while the disk is busy the next
 * batch grows by itself (natural group commit). With STORE_SYNC_GROUP a batch is durable when the
 * next one has been flushed, or after a settle, which the loop asks for when no batch follows.
 * After each step the loop is woken; committer_status() says what has become durable.
 *
 * Threads  the loop's thread calls everything here; the committer's own thread calls wake.
 */
#ifndef THRESH_BROKER_COMMITTER_H
#define THRESH_BROKER_COMMITTER_H

#include "broker/store.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct committer;

typedef void committer_wake_fn(void *context);

/* The store stays the caller's and must outlive the committer. NULL: no memory or no thread. */
struct committer *committer_create(struct store *store, enum store_sync sync,
                                   committer_wake_fn *wake, void *context);
/* Finishes what was handed over, then ends the thread. */
void committer_destroy(struct committer *committer);

/* True when a batch may be handed over now: at most one is applied and one waits. */
bool committer_is_free(const struct committer *committer);

/* True when it has nothing to do. A batch that is handed over only then holds all that came while
 * the disk was busy: the fewest flushes. */
bool committer_is_idle(const struct committer *committer);

/* Hands over a batch, which must stay untouched until its number is durable or failed. Batches are
 * numbered 1, 2, ... by the caller in order. Only while committer_is_free(). */
void committer_submit(struct committer *committer, const struct store_batch *batch,
                      uint64_t number);

/* Makes what was applied durable, unless a batch is handed over first, which does so too. The last
 * batch is settled by committer_destroy() as well. */
void committer_settle(struct committer *committer);

struct committer_status {
    uint64_t
        applied; /* batches up to this number were applied: their memory is the caller's again */
    uint64_t durable; /* batches up to this number are durable */
    enum error error; /* sticky: what stopped it */
};
struct committer_status committer_status(struct committer *committer);

#endif
