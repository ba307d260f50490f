/*
 * pool: sandboxed child processes that parse hostile bytes.
 *
 * Children are kept, one a core by default, fed over a socket pair, and replaced when they crash,
 * hang, eat memory, or have served tasks_max documents. Before its first byte a child closes all
 * other descriptors, sets its limits, gives up the right to new privileges, and enters Landlock
 * and seccomp (reliability, section 7, S1 to S5). A fault costs the document that was being read,
 * and nothing else: documents queued behind it go to the next child.
 *
 * The answer of a child is hostile too: it is scanned, and only the names that extraction may
 * write are let through.
 *
 * Threads  one owner, the loop's thread; the callback comes from it.
 */
#ifndef THRESH_WORKER_POOL_H
#define THRESH_WORKER_POOL_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

struct pool_options {
    int child_count;     /* 0: one a core */
    size_t memory_bytes; /* address space of a child beyond what it starts with */
    int64_t cpu_ms;      /* for one document */
    int64_t wall_ms;     /* for one document */
    int tasks_max;       /* documents before a child is replaced */
    bool is_best_effort; /* start without Landlock or seccomp where the kernel has none */
    size_t body_bytes_max;
    size_t ratio_max;
};

/* One document to extract. All slices are copied by pool_submit(). */
struct pool_document {
    uint64_t token; /* the caller's, comes back */
    struct slice body;
    struct slice url;
    struct slice content_type;
    struct slice content_encoding;
    bool has_links;
};

struct pool_answer {
    uint64_t token;
    enum outcome outcome;
    struct slice pairs; /* the result's pairs, without a map head; valid during the callback */
    size_t pair_count;
    size_t decoded_bytes;
    bool is_truncated;
    int64_t extract_us;
    const char *reason; /* for people; "" when there is nothing to say */
};

typedef void pool_finished_fn(void *context, const struct pool_answer *answer);

/*
 * Starts the children before anything else: call it before threads and sockets exist.
 * Waits until all are ready, ten seconds at most. ERROR_NOT_ALLOWED: the sandbox cannot be had and
 * is_best_effort is false. ERROR_IO: no process could be had, or a child did not get ready.
 */
MUST_CHECK enum error pool_create(const struct pool_options *options, struct loop *loop,
                                  pool_finished_fn *finished, void *context,
                                  struct pool **ret_pool);
void pool_destroy(struct pool *pool);

/* Queues a document; its answer comes later, from the loop. ERROR_NO_MEMORY. ERROR_TOO_LARGE: the
 * body is larger than body_bytes_max. ERROR_IO: no child can be started any more. */
MUST_CHECK enum error pool_submit(struct pool *pool, const struct pool_document *document);

/* Drops what is queued or running under the token; its answer will not come. */
void pool_cancel(struct pool *pool, uint64_t token);

/* Documents queued and running. */
size_t pool_pending(const struct pool *pool);
uint64_t pool_restart_count(const struct pool *pool); /* children replaced after a fault */

/* Ends children that are over time; returns when it wants to be called again. */
int64_t pool_tick(struct pool *pool, int64_t now_ms);

/* "landlock 7, seccomp" or what is missing; for logs and --version. */
const char *pool_sandbox_text(const struct pool *pool);

#endif
