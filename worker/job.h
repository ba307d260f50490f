/*
 * job: one lease, from its grant to the answer of its report.
 *
 * A job carries out what its attempt decides: it starts the fetch, hands the body to the pool, and
 * puts the report together. Everything that belongs to the attempt lies in one arena, dropped
 * whole.
 *
 * Threads  one owner, the loop's thread.
 */
#ifndef THRESH_WORKER_JOB_H
#define THRESH_WORKER_JOB_H

#include "common/arena.h"
#include "worker/attempt.h"
#include "worker/fetch.h"
#include "worker/lease.h"
#include "worker/pool.h"
#include "worker/report.h"

#include <stdbool.h>
#include <stdint.h>

struct runner;

struct job {
    struct lease lease; /* first: the session knows the job by it */
    struct runner *runner;
    struct arena arena;
    struct attempt attempt;
    struct report report;
    struct fetch_transfer *transfer; /* while one is under way */
    int64_t started_ms;              /* of the first request; 0 before it */
    int64_t requested_ms;            /* when the host had the last request; 0 before it */
    size_t pool_bytes;               /* of the body that the pool holds; 0: none */
    bool is_in_pool;
    struct buffer headers; /* of the newest answer, as written into the result */
    struct buffer raw;
    bool is_waiting;
    struct job *next; /* in the runner's list of waiting or of idle jobs */
    struct job *previous;
};

struct job *job_of(struct lease *lease);

/* NULL: no memory. */
struct job *job_create(struct runner *runner, const struct lease *grant);
/* Stops whatever runs for it. */
void job_destroy(struct job *job);

/* Begins: a document goes to the pool, a URL among the waiting. */
void job_begin(struct job *job, struct slice body);

/* Fetches the attempt's target; false when no transfer is free (nothing has changed). */
bool job_fetch(struct job *job);

/* The pool's answer. */
void job_extracted(struct job *job, const struct pool_answer *answer);

/* Stops it and gives the lease back untried. */
void job_give_back(struct job *job);

#endif
