/*
 * attempt: what happens next in one try at a task.
 *
 *                 +--- redirect, same host ---+
 *                 v                           |
 *   WAITING --> FETCHING ---------------------+
 *      |           |  \
 *      |           |   +-- 2xx with a body --> EXTRACTING --+
 *      +-----------|--------- document ------------^        |
 *      |           |                                        v
 *      +-----------+--- anything else ------------------> ENDED
 *
 * Decides only: no I/O, no clock. The caller carries out the action that each function returns and
 * comes back with what happened. Once ENDED, outcome, reason and location say how.
 *
 * Redirects are ours, not libcurl's: one to the same host is followed here (a change between http
 * and https too: we carry no credentials that a downgrade could show), one to another host ends the
 * attempt as `moved`, so that the broker applies that host's rules. A URL seen before in the chain
 * ends it as redirect_loop at once: without cookies the answer cannot differ.
 *
 * An attempt must not move: its target points into itself.
 *
 * Bounds   redirects_max in all, those over other hosts (lease.hops) included.
 * Threads  one owner.
 */
#ifndef THRESH_WORKER_ATTEMPT_H
#define THRESH_WORKER_ATTEMPT_H

#include "common/arena.h"
#include "common/outcome.h"
#include "common/url.h"
#include "worker/lease.h"

#include <stdbool.h>
#include <stddef.h>

#define ATTEMPT_REDIRECTS_MAX 32 /* the highest redirects_max there can be */

enum attempt_state {
    ATTEMPT_WAITING,
    ATTEMPT_FETCHING,
    ATTEMPT_EXTRACTING,
    ATTEMPT_ENDED,
    ATTEMPT_STATE_COUNT
};

enum attempt_action {
    ATTEMPT_FETCH,   /* attempt.target */
    ATTEMPT_EXTRACT, /* the body at hand */
    ATTEMPT_REPORT,  /* the attempt has ended */
};

/* What one request brought. */
struct attempt_answer {
    enum outcome outcome;  /* OUTCOME_OK: a whole HTTP answer, of whatever status */
    const char *reason;    /* outlives the attempt, or "" */
    int status;            /* of the answer; 0 without one */
    struct slice location; /* data NULL: no such header */
    size_t body_bytes;
};

struct attempt {
    enum attempt_state state;
    const struct lease *lease;
    struct arena *arena;
    size_t redirects_max;
    struct url target;                        /* what is fetched now; not set for documents */
    struct slice left[ATTEMPT_REDIRECTS_MAX]; /* URLs left behind by redirects in this attempt */
    size_t left_count;
    int status;            /* of the newest answer */
    enum outcome outcome;  /* when ENDED */
    const char *reason;    /* when ENDED; never NULL */
    struct slice location; /* when moved: the canonical URL on the other host, in the arena */
};

/* The lease and the arena outlive the attempt. redirects_max is at most ATTEMPT_REDIRECTS_MAX. */
void attempt_init(struct attempt *attempt, const struct lease *lease, struct arena *arena,
                  size_t redirects_max);

enum attempt_action attempt_begin(struct attempt *attempt);
enum attempt_action attempt_fetched(struct attempt *attempt, const struct attempt_answer *answer);
enum attempt_action attempt_extracted(struct attempt *attempt, enum outcome outcome,
                                      const char *reason);

/* Ends it from any state but ENDED. */
enum attempt_action attempt_end(struct attempt *attempt, enum outcome outcome, const char *reason);

/* Where the content came from: the target, or the document's name. */
struct slice attempt_url(const struct attempt *attempt);

const char *attempt_state_name(enum attempt_state state);

#endif
