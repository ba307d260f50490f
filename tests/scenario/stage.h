/*
 * stage: the real broker core between a fake disk and clocks that the test moves.
 *
 * The disk is two stores in memory: what the core reads (a batch is visible once applied), and what
 * a crash leaves (a batch is durable once flushed). A batch passes four points, each a call of its
 * own, so that a crash can come between any two: sealed, applied, flushed, told to the core.
 *
 * Bounds   STAGE_PIPELINE batches on their way, as the broker's committer has them.
 * Threads  one owner.
 */
#ifndef THRESH_TESTS_SCENARIO_STAGE_H
#define THRESH_TESTS_SCENARIO_STAGE_H

#include "broker/core.h"
#include "broker/store.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define STAGE_PIPELINE 2

struct stage_batch {
    const struct store_batch *rows; /* the core's */
    uint64_t number;
    bool is_applied;
    bool is_flushed;
};

struct stage {
    struct core_options options;
    struct core_port port;
    struct core_time time;
    struct core *core; /* NULL while it is down */
    struct store *disk;
    struct store *visible; /* NULL while it is down */
    struct stage_batch batches[STAGE_PIPELINE];
    size_t batch_count;
};

/* Small limits and short times: gap 1 s, lease 60 s, heartbeat 5 s, takeover 10 s, 5 attempts,
 * backoff 2 s to 1 h. */
struct core_options stage_options(void);

/* An empty disk, no core yet. ERROR_NO_MEMORY. */
MUST_CHECK enum error stage_init(struct stage *stage, const struct core_options *options,
                                 struct core_port port, struct core_time time);
void stage_release(struct stage *stage);

/* Starts a core on what the disk holds; *ret_message as core_create(). */
MUST_CHECK enum error stage_start(struct stage *stage, char **ret_message);
/* The core is gone, and with it what was not flushed. */
void stage_crash(struct stage *stage);

/* Each does one step of one batch; false when there is nothing to do. */
bool stage_seal(struct stage *stage);
bool stage_apply(struct stage *stage);
bool stage_flush(struct stage *stage);
bool stage_tell(struct stage *stage);

/* All of them until nothing is left. */
void stage_settle(struct stage *stage);

/* Replaces a row by bytes that are no record, on the disk and in what the core reads. */
void stage_damage(struct stage *stage, enum store_table table, uint64_t key);

#endif
