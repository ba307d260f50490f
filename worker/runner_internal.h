/* runner_internal: what runner.c and job.c share; for them only. */
#ifndef THRESH_WORKER_RUNNER_INTERNAL_H
#define THRESH_WORKER_RUNNER_INTERNAL_H

#include "worker/job.h"
#include "worker/runner.h"
#include "worker/transport.h"

enum runner_state {
    RUNNER_RUNNING,
    RUNNER_DRAINING, /* what runs may finish */
    RUNNER_SETTLING, /* everything is handed over; answers are waited for */
    RUNNER_ENDED,
};

struct runner {
    struct runner_options options;
    struct runner_limits limits;
    struct loop *loop;
    struct pool *pool;
    struct fetch *fetch;
    struct transport *transport;
    struct session *session;
    enum runner_state state;
    int64_t until_ms; /* DRAINING, SETTLING: no longer than this */
    bool is_quiet;    /* the broker wants no more work done */
    enum error end;
    size_t result_bytes_max; /* as the broker's message_bytes_max allows */
    struct job *waiting_first;
    struct job *waiting_last;
    struct job *idle; /* for reuse */
    size_t idle_count;
    size_t waiting_count;
    size_t extracting_count;
    size_t pool_bytes; /* of bodies that the pool holds */
    uint64_t done_count;
    uint64_t failed_count;
    uint64_t received_bytes;
};

/* Puts a job behind (or before) the waiting, or takes it out. */
void runner_queue(struct runner *runner, struct job *job, bool is_first);
void runner_unqueue(struct runner *runner, struct job *job);

#endif
