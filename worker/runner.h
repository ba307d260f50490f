/*
 * runner: a worker's leases, worked on.
 *
 * Ties the session (what the broker says), the fetch engine, the pool of children and the attempts
 * together on one loop. A lease waits for a free transfer (documents go to the pool at once), is
 * fetched, extracted and reported; job.h has its life. Credit follows how full the worker is, so
 * that a slow disk at the broker or slow children hold back new tasks, not memory.
 *
 *   RUNNING -- runner_drain (SIGTERM, STOP) --> DRAINING -- all answered, or out of time --> ended
 *
 * DRAINING: no credit; what has not begun is given back; what runs may finish until drain_ms is
 * over, the rest is given back then; GOODBYE is said when the broker has answered for all of it,
 * or RUNNER_SETTLE_MS after that.
 *
 * Bounds   leases_max leases; bytes of bodies, of documents in the pool and of unrecorded results
 *          each have a ceiling (runner_limits).
 * Threads  one owner, the loop's thread.
 */
#ifndef THRESH_WORKER_RUNNER_H
#define THRESH_WORKER_RUNNER_H

#include "common/error.h"
#include "common/loop.h"
#include "worker/fetch.h"
#include "worker/pool.h"
#include "worker/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNNER_SETTLE_MS 4000 /* how long RECORDED is waited for at the end */

struct keys;
struct runner;

struct runner_options {
    const char *endpoint;    /* of the broker, for workers */
    const struct keys *keys; /* for runner_create() only; NULL: none */
    size_t message_bytes_max;
    struct session_options session;
    struct pool_options pool;
    struct fetch_options fetch;
    size_t redirects_max;
    int64_t fetch_ms; /* for a whole fetch, redirects included */
    int64_t drain_ms;
    bool has_links;
    bool has_raw;
};

/* The ceilings that follow from the options. */
struct runner_limits {
    size_t pending_max;          /* documents queued for the children */
    size_t pending_bytes_max;    /* of their bodies */
    size_t unrecorded_bytes_max; /* results that the broker has not recorded */
};

/*
 * Starts the children, then the socket and the fetch engine, and takes the loop's tick. The texts
 * in the options must outlive the runner. Errors are those of pool_create(), fetch_create() and
 * transport_create(); *ret_what says which part failed.
 */
MUST_CHECK enum error runner_create(const struct runner_options *options, struct loop *loop,
                                    struct runner **ret_runner, const char **ret_what);
void runner_destroy(struct runner *runner);

/* Begins to drain; the second call gives everything back at once. The loop stops at the end. */
void runner_drain(struct runner *runner);

/* Why the loop was stopped: OK after a drain, ERROR_VERSION or ERROR_REFUSED when the broker will
 * never take this worker. */
MUST_CHECK enum error runner_end(const struct runner *runner);

const char *runner_sandbox_text(const struct runner *runner);

#endif
