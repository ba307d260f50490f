#include "worker/runner.h"

#include <assert.h>
#include <stdlib.h>

#include "common/deadline.h"
#include "common/log.h"
#include "worker/credit.h"
#include "worker/runner_internal.h"

/* A child works some 30 ms ahead with so many pages of 1 ms each; more only fills memory. */
#define PENDING_A_CHILD 64
#define PENDING_BYTES_MAX ((size_t)256 * 1024 * 1024)
#define UNRECORDED_BYTES_MAX ((size_t)256 * 1024 * 1024)
/* Ceilings hold at least so many of the largest bodies. */
#define BODIES_MIN 4
#define RESULT_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define LINGER_MS 1000
#define FINE_RATIO                                                                \
    2 /* a fetch begins only while bodies take less than 1 / FINE_RATIO of theirs \
       */

/* ---- waiting --------------------------------------------------------------------------- */

void
runner_queue(struct runner *runner, struct job *job, bool is_first)
{
    struct job *before = is_first ? NULL : runner->waiting_last;
    struct job *behind = is_first ? runner->waiting_first : NULL;

    assert(!job->is_waiting);
    job->is_waiting = true;
    job->previous = before;
    job->next = behind;
    *(before != NULL ? &before->next : &runner->waiting_first) = job;
    *(behind != NULL ? &behind->previous : &runner->waiting_last) = job;
    runner->waiting_count++;
}

void
runner_unqueue(struct runner *runner, struct job *job)
{
    assert(job->is_waiting);
    job->is_waiting = false;
    *(job->previous != NULL ? &job->previous->next : &runner->waiting_first) = job->next;
    *(job->next != NULL ? &job->next->previous : &runner->waiting_last) = job->previous;
    job->next = job->previous = NULL;
    runner->waiting_count--;
}

static void
start_waiting(struct runner *runner)
{
    size_t memory_max = runner->options.fetch.memory_bytes_max / FINE_RATIO;

    while (runner->waiting_first != NULL) {
        struct job *job = runner->waiting_first;
        /* One always may, or a full worker would wait for itself. */
        if (fetch_count(runner->fetch) > 0 && fetch_memory_bytes(runner->fetch) > memory_max) {
            return;
        }
        runner_unqueue(runner, job);
        if (!job_fetch(job)) {
            runner_queue(runner, job, true);
            return;
        }
    }
}

/* ---- session --------------------------------------------------------------------------- */

static enum error
session_sends(void *context, const struct slice *frames, size_t frame_count)
{
    struct runner *runner = context;

    return transport_send(runner->transport, frames, frame_count);
}

static void
session_joined(void *context, const struct session_welcome *welcome)
{
    struct runner *runner = context;
    size_t message_max = welcome->message_bytes_max;

    runner->is_quiet = false; /* the wish of a broker that has gone away since */
    runner->result_bytes_max = message_max < RESULT_BYTES_MAX ? message_max : RESULT_BYTES_MAX;
    log_event(LOG_INFO, "broker_joined", log_uint("boot", welcome->boot),
              log_uint("leases", session_leases(runner->session)->count));
}

static struct lease *
session_granted(void *context, const struct lease *grant)
{
    struct runner *runner = context;

    if (runner->state != RUNNER_RUNNING) {
        return NULL;
    }
    struct job *job = job_create(runner, grant);
    return job == NULL ? NULL : &job->lease;
}

static void
session_begins(void *context, struct lease *lease, struct slice body)
{
    (void)context;
    job_begin(job_of(lease), body);
}

static void
session_lost(void *context, struct lease *lease)
{
    const struct runner *runner = context;

    if (runner->state != RUNNER_ENDED) {
        log_event(LOG_INFO, "lease_lost", log_text("task", lease->task),
                  log_uint("fence", lease->fence));
    }
    job_destroy(job_of(lease));
}

static void
session_over(void *context, struct lease *lease, enum report_status status)
{
    (void)context;
    if (status != REPORT_RECORDED) {
        log_limited(LOG_WARNING, "report_not_taken", log_text("task", lease->task),
                    log_text("status", status == REPORT_LATE ? "late" : "refused"));
    }
    job_destroy(job_of(lease));
}

static void
session_wished(void *context, enum session_wish wish)
{
    struct runner *runner = context;

    log_event(LOG_INFO, wish == SESSION_STOP ? "broker_says_stop" : "broker_says_quiet");
    runner->is_quiet = true;
    if (wish == SESSION_STOP && runner->state == RUNNER_RUNNING) {
        runner_drain(runner);
    }
}

static void
session_refused(void *context, struct slice code, struct slice reason, bool is_final)
{
    struct runner *runner = context;

    log_limited(is_final ? LOG_ERROR : LOG_WARNING, "broker_refuses", log_slice("code", code),
                log_slice("reason", reason));
    if (is_final) {
        bool is_version = slice_equal(code, slice_string("version"));
        runner->end = is_version ? ERROR_VERSION : ERROR_REFUSED;
        runner->state = RUNNER_ENDED;
        loop_stop(runner->loop);
    }
}

static void
session_stats_asked(void *context, struct worker_stats *ret_stats)
{
    const struct runner *runner = context;

    *ret_stats = (struct worker_stats){
        .fetching = fetch_count(runner->fetch),
        .extracting = runner->extracting_count,
        .waiting = runner->waiting_count,
        .done = runner->done_count,
        .failed = runner->failed_count,
        .bytes_received = runner->received_bytes,
        .memory_bytes = fetch_memory_bytes(runner->fetch) + runner->pool_bytes +
                        session_unrecorded_bytes(runner->session),
        .child_restarts = pool_restart_count(runner->pool),
    };
}

static const struct session_events EVENTS = {
    .send = session_sends,
    .joined = session_joined,
    .granted = session_granted,
    .begin = session_begins,
    .lost = session_lost,
    .over = session_over,
    .wished = session_wished,
    .refused = session_refused,
    .stats = session_stats_asked,
};

/* ---- the other ends -------------------------------------------------------------------- */

static void
transport_received(void *context, const struct slice *frames, size_t frame_count)
{
    struct runner *runner = context;

    session_receive(runner->session, frames, frame_count, clock_monotonic_ms());
}

static void
pool_finished(void *context, const struct pool_answer *answer)
{
    struct runner *runner = context;
    struct lease *lease = leases_find(session_leases(runner->session), answer->token);

    /* A cancelled document brings no answer (pool.h). */
    assert(lease != NULL);
    job_extracted(job_of(lease), answer);
}

/* ---- draining -------------------------------------------------------------------------- */

/* Gives back every lease that is not reported and, with only_waiting, has not begun. */
static void
give_back(struct runner *runner, bool only_waiting)
{
    struct lease *lease = session_leases(runner->session)->first;

    while (lease != NULL) {
        struct lease *next = lease->next;
        struct job *job = job_of(lease);
        if (!lease->is_reported && (!only_waiting || (job->is_waiting && job->started_ms == 0))) {
            job_give_back(job);
        }
        lease = next;
    }
}

void
runner_drain(struct runner *runner)
{
    int64_t now_ms = clock_monotonic_ms();

    if (runner->state == RUNNER_RUNNING) {
        log_event(LOG_INFO, "drain_begins",
                  log_uint("leases", session_leases(runner->session)->count));
        runner->state = RUNNER_DRAINING;
        runner->until_ms = now_ms + runner->options.drain_ms;
        give_back(runner, true);
    } else if (runner->state == RUNNER_DRAINING) {
        runner->until_ms = now_ms;
    }
}

/* Leases without a report yet. */
static bool
has_open_leases(const struct runner *runner)
{
    const struct lease *lease = session_leases(runner->session)->first;

    while (lease != NULL && lease->is_reported) {
        lease = lease->next;
    }
    return lease != NULL;
}

static void
tick_drain(struct runner *runner, int64_t now_ms)
{
    if (runner->state == RUNNER_DRAINING) {
        if (now_ms >= runner->until_ms) {
            give_back(runner, false);
        }
        if (!has_open_leases(runner)) {
            runner->state = RUNNER_SETTLING;
            runner->until_ms = now_ms + RUNNER_SETTLE_MS;
        }
    }
    if (runner->state == RUNNER_SETTLING &&
        (session_is_settled(runner->session) || now_ms >= runner->until_ms)) {
        log_event(LOG_INFO, "drain_ends",
                  log_uint("unanswered", session_leases(runner->session)->count));
        session_leave(runner->session);
        runner->state = RUNNER_ENDED;
        loop_stop(runner->loop);
    }
}

/* ---- tick ------------------------------------------------------------------------------ */

static size_t
wanted_credit(const struct runner *runner)
{
    const struct credit_gauge gauges[] = {
        {pool_pending(runner->pool), runner->limits.pending_max},
        {runner->pool_bytes, runner->limits.pending_bytes_max},
        {session_unrecorded_bytes(runner->session), runner->limits.unrecorded_bytes_max},
        {fetch_memory_bytes(runner->fetch), runner->options.fetch.memory_bytes_max},
    };

    if (runner->state != RUNNER_RUNNING || runner->is_quiet) {
        return 0;
    }
    return credit_of(runner->options.session.leases_max, gauges, sizeof gauges / sizeof *gauges);
}

static int64_t
runner_tick(void *context, int64_t now_ms)
{
    struct runner *runner = context;
    int64_t at_ms = fetch_tick(runner->fetch, now_ms);

    at_ms = deadline_earlier(at_ms, pool_tick(runner->pool, now_ms));
    start_waiting(runner);
    session_set_credit(runner->session, wanted_credit(runner));
    if (runner->state != RUNNER_RUNNING) {
        tick_drain(runner, now_ms);
        at_ms = deadline_earlier(at_ms, runner->until_ms);
    }
    at_ms = deadline_earlier(at_ms, session_tick(runner->session, now_ms));
    /* Transfers begun in this tick have set libcurl's timer. */
    return deadline_earlier(at_ms, fetch_next_tick(runner->fetch));
}

/* ---- life ------------------------------------------------------------------------------ */

static size_t
at_least(size_t value, size_t least_value)
{
    return value > least_value ? value : least_value;
}

static void
set_limits(struct runner *runner)
{
    size_t bodies = runner->options.fetch.body_bytes_max * BODIES_MIN;

    runner->limits.pending_max = (size_t)runner->options.pool.child_count * PENDING_A_CHILD;
    runner->limits.pending_bytes_max = at_least(PENDING_BYTES_MAX, bodies);
    runner->limits.unrecorded_bytes_max = at_least(UNRECORDED_BYTES_MAX, bodies);
    runner->options.fetch.memory_bytes_max =
        at_least(runner->options.fetch.memory_bytes_max, bodies);
    runner->result_bytes_max = RESULT_BYTES_MAX;
}

enum error
runner_create(const struct runner_options *options, struct loop *loop, struct runner **ret_runner,
              const char **ret_what)
{
    struct runner *runner = calloc(1, sizeof *runner);
    enum error error = ERROR_NO_MEMORY;

    *ret_what = "the worker";
    if (runner == NULL) {
        return ERROR_NO_MEMORY;
    }
    runner->options = *options;
    runner->loop = loop;
    set_limits(runner);
    /* First of all: children are forked from a process without threads and sockets. */
    *ret_what = "the extraction processes";
    error = pool_create(&options->pool, loop, pool_finished, runner, &runner->pool);
    if (error != OK) {
        goto fail;
    }
    *ret_what = "the fetch engine";
    error = fetch_create(&runner->options.fetch, loop, &runner->fetch);
    if (error != OK) {
        goto fail;
    }
    error = session_create(&options->session, &EVENTS, runner, &runner->session);
    if (error != OK) {
        goto fail;
    }
    *ret_what = "the connection to the broker";
    error = transport_create(options->endpoint, options->message_bytes_max, options->keys, loop,
                             transport_received, runner, &runner->transport);
    if (error != OK) {
        goto fail;
    }
    loop_set_tick(loop, runner_tick, runner);
    *ret_runner = runner;
    return OK;
fail:
    runner_destroy(runner);
    return error;
}

static void
free_jobs(struct runner *runner)
{
    while (session_leases(runner->session)->first != NULL) {
        session_forget(runner->session, session_leases(runner->session)->first);
    }
    while (runner->idle != NULL) {
        struct job *next = runner->idle->next;
        arena_release(&runner->idle->arena);
        free(runner->idle);
        runner->idle = next;
    }
}

void
runner_destroy(struct runner *runner)
{
    if (runner == NULL) {
        return;
    }
    if (runner->session != NULL) {
        free_jobs(runner);
    }
    session_destroy(runner->session);
    transport_destroy(runner->transport, LINGER_MS);
    fetch_destroy(runner->fetch);
    pool_destroy(runner->pool);
    free(runner);
}

enum error
runner_end(const struct runner *runner)
{
    return runner->end;
}

const char *
runner_sandbox_text(const struct runner *runner)
{
    return pool_sandbox_text(runner->pool);
}
