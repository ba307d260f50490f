#include "worker/job.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop.h"
#include "worker/http_date.h"
#include "worker/runner_internal.h"

/* Lease, URLs of redirects, reason: a few KiB in the worst case. */
#define ARENA_BYTES_MAX ((size_t)1024 * 1024)
#define ROW_BYTES_MAX ((size_t)64 * 1024)
/* What a result holds beside headers, pairs and raw body: URLs, meta, names. */
#define RESULT_SLACK_BYTES ((size_t)192 * 1024)
#define HEADERS_FACTOR 3 /* ISO-8859-1 doubles, msgpack and joining add a little */

struct job *
job_of(struct lease *lease)
{
    return (struct job *)lease; /* lease is its first member */
}

static struct job *
job_take(struct runner *runner)
{
    struct job *job = runner->idle;

    if (job != NULL) {
        runner->idle = job->next;
        runner->idle_count--;
        job->next = NULL;
        return job;
    }
    job = calloc(1, sizeof *job);
    if (job != NULL) {
        job->runner = runner;
        arena_init(&job->arena, ARENA_BYTES_MAX);
        buffer_init(&job->headers, runner->options.fetch.header_bytes_max * HEADERS_FACTOR);
        buffer_init(&job->raw, runner->options.fetch.body_bytes_max);
    }
    return job;
}

struct job *
job_create(struct runner *runner, const struct lease *grant)
{
    struct job *job = job_take(runner);

    if (job == NULL) {
        return NULL;
    }
    if (lease_keep(&job->lease, grant, &job->arena) != OK) {
        job_destroy(job);
        return NULL;
    }
    attempt_init(&job->attempt, &job->lease, &job->arena, runner->options.redirects_max);
    job->report = (struct report){.attempt = &job->attempt,
                                  .worker = runner->options.session.name,
                                  .content_type = job->lease.content_type,
                                  .timing = {-1, -1, -1, -1, -1, -1}};
    job->started_ms = 0;
    job->requested_ms = 0;
    return job;
}

static void
job_leave_pool(struct job *job)
{
    job->is_in_pool = false;
    job->runner->extracting_count--;
    job->runner->pool_bytes -= job->pool_bytes;
}

/* Stops what runs outside: the transfer, the pool's work, the wait. */
static void
job_stop(struct job *job)
{
    struct runner *runner = job->runner;

    if (job->transfer != NULL) {
        fetch_cancel(runner->fetch, job->transfer);
        job->transfer = NULL;
    }
    if (job->is_in_pool) {
        pool_cancel(runner->pool, job->lease.fence);
        job_leave_pool(job);
    }
    if (job->is_waiting) {
        runner_unqueue(runner, job);
    }
}

void
job_destroy(struct job *job)
{
    struct runner *runner = job->runner;

    job_stop(job);
    buffer_release(&job->headers);
    buffer_release(&job->raw);
    if (runner->idle_count >= runner->options.session.leases_max) {
        arena_release(&job->arena);
        free(job);
        return;
    }
    arena_clear(&job->arena);
    job->next = runner->idle;
    runner->idle = job;
    runner->idle_count++;
}

/* ---- report ---------------------------------------------------------------------------- */

static void
log_end(const struct job *job)
{
    const struct attempt *attempt = &job->attempt;

    log_event(LOG_DEBUG, "attempt_ended", log_text("task", job->lease.task),
              log_uint("attempt", job->lease.attempt), log_slice("host", attempt->target.host),
              log_text("outcome", outcome_name(attempt->outcome)),
              log_int("status", attempt->status), log_text("reason", attempt->reason));
}

static void
job_report(struct job *job)
{
    struct runner *runner = job->runner;
    struct buffer row;
    struct buffer result;
    size_t row_pairs = 0;

    assert(job->attempt.state == ATTEMPT_ENDED);
    log_end(job);
    if (job->attempt.outcome == OUTCOME_RELEASED) {
        session_give_back(runner->session, &job->lease);
        return;
    }
    enum outcome_policy policy = outcome_policy(job->attempt.outcome);
    if (policy == OUTCOME_POLICY_RETRY || policy == OUTCOME_POLICY_ELSEWHERE) {
        runner->failed_count++;
    } else {
        runner->done_count++;
    }
    job->report.since_request_ms =
        job->requested_ms == 0 ? -1 : clock_monotonic_ms() - job->requested_ms;
    buffer_init(&row, ROW_BYTES_MAX);
    buffer_init(&result, runner->result_bytes_max);
    report_write_row(&job->report, &row, &row_pairs);
    if (report_has_result(&job->report)) {
        report_write_result(&job->report, &result);
    }
    buffer_release(&job->headers);
    buffer_release(&job->raw);
    /* May destroy the job: nothing of it is touched after this. */
    session_report(runner->session, &job->lease, &row, row_pairs, &result);
}

/* ---- extraction ------------------------------------------------------------------------ */

static void job_act(struct job *job, enum attempt_action action, struct slice body,
                    struct slice encoding);

static void
job_extract(struct job *job, struct slice body, struct slice encoding)
{
    struct runner *runner = job->runner;
    struct pool_document document = {
        .token = job->lease.fence,
        .body = body,
        .url = attempt_url(&job->attempt),
        .content_type = job->report.content_type,
        .content_encoding = encoding,
        .has_links = runner->options.has_links,
    };

    if (runner->options.has_raw) {
        buffer_append(&job->raw, body.data, body.size);
        if (buffer_error(&job->raw) != OK) {
            buffer_clear(&job->raw); /* without memory for it, the page still counts */
        }
        job->report.raw = buffer_slice(&job->raw);
    }
    /* Counted before: nothing of the job is touched once the pool may answer. */
    job->is_in_pool = true;
    job->pool_bytes = body.size;
    runner->extracting_count++;
    runner->pool_bytes += body.size;
    if (pool_submit(runner->pool, &document) != OK) {
        job_leave_pool(job);
        attempt_end(&job->attempt, OUTCOME_RELEASED, "out of memory");
        job_report(job);
    }
}

/* Would the result fit into a message? */
static bool
fits(const struct job *job, const struct pool_answer *answer)
{
    size_t rest = job->headers.size + job->raw.size + RESULT_SLACK_BYTES;

    return answer->pairs.size <= job->runner->result_bytes_max &&
           rest <= job->runner->result_bytes_max - answer->pairs.size;
}

/* A reason that lives as long as the attempt. */
static const char *
kept_reason(struct job *job, const char *reason)
{
    const char *copy =
        reason == NULL || reason[0] == '\0' ? "" : arena_copy(&job->arena, reason, strlen(reason));

    return copy == NULL ? "" : copy;
}

void
job_extracted(struct job *job, const struct pool_answer *answer)
{
    struct report *report = &job->report;
    enum outcome outcome = answer->outcome;
    const char *reason = kept_reason(job, answer->reason);

    job_leave_pool(job);
    report->timing.extract_ms = (double)answer->extract_us / 1000.0;
    report->bytes_decoded = answer->decoded_bytes;
    report->is_truncated = report->is_truncated || answer->is_truncated;
    if (fits(job, answer)) {
        report->pairs = answer->pairs;
        report->pair_count = answer->pair_count;
    } else {
        outcome = OUTCOME_TOO_LARGE;
        reason = "result larger than a message may be";
        report->raw = slice_of(NULL, 0);
    }
    attempt_extracted(&job->attempt, outcome, reason);
    job_report(job);
}

/* ---- fetching -------------------------------------------------------------------------- */

/* When the host is sure to have had the request: as its answer began; without one, once there was
 * a connection. The host's gap counts from there, so that in its own log no two requests are
 * closer. */
static int64_t
time_of_request(const struct report_timing *timing, int64_t now_ms)
{
    double connected_ms = timing->tls_ms > timing->connect_ms ? timing->tls_ms : timing->connect_ms;
    double had_ms = timing->first_byte_ms > 0 ? timing->first_byte_ms : connected_ms;
    double since_ms = timing->total_ms - (had_ms > 0 ? had_ms : 0);

    return now_ms - (since_ms > 0 ? (int64_t)since_ms : 0);
}

static void
take_answer(struct job *job, const struct fetch_answer *answer)
{
    struct report *report = &job->report;
    struct slice type = headers_get(answer->headers, "content-type");
    const char *copy = arena_copy(&job->arena, type.data, type.size);

    job->runner->received_bytes += answer->bytes_received;
    report->bytes_received += answer->bytes_received;
    report->fetched_at = clock_wall_ms();
    report->timing = answer->timing;
    job->requested_ms = time_of_request(&answer->timing, clock_monotonic_ms());
    report->is_truncated = answer->is_truncated;
    report->content_type = slice_of(copy, copy == NULL ? 0 : type.size);
    report->retry_after_ms =
        answer->status < 400
            ? 0
            : retry_after_ms(headers_get(answer->headers, "retry-after"), report->fetched_at);
    buffer_clear(&job->headers);
    if (answer->headers->count > 0) {
        headers_write(answer->headers, &job->headers);
    }
    report->headers = buffer_slice(&job->headers);
}

static void
fetch_finished(void *context, const struct fetch_answer *answer)
{
    struct job *job = context;
    struct attempt_answer brought = {
        .outcome = answer->outcome,
        .reason = kept_reason(job, answer->reason),
        .status = answer->status,
        .location = headers_get(answer->headers, "location"),
        .body_bytes = answer->body.size,
    };

    job->transfer = NULL;
    take_answer(job, answer);
    job_act(job, attempt_fetched(&job->attempt, &brought), answer->body,
            headers_get(answer->headers, "content-encoding"));
}

bool
job_fetch(struct job *job)
{
    struct runner *runner = job->runner;
    int64_t now_ms = clock_monotonic_ms();
    int64_t started_ms = job->started_ms == 0 ? now_ms : job->started_ms;
    int64_t left_ms = runner->options.fetch_ms - (now_ms - started_ms);

    if (left_ms <= 0) {
        attempt_end(&job->attempt, OUTCOME_TIMED_OUT, "redirects took all of the time");
        job_report(job);
        return true;
    }
    switch (fetch_start(runner->fetch, &job->attempt.target, left_ms, fetch_finished, job,
                        &job->transfer)) {
    case OK:
        job->started_ms = started_ms;
        return true;
    case ERROR_FULL:
        return false;
    case ERROR_INVALID:
        attempt_end(&job->attempt, OUTCOME_BAD_URL, "libcurl reads another host out of it");
        break;
    default:
        attempt_end(&job->attempt, OUTCOME_RELEASED, "out of memory");
        break;
    }
    job_report(job);
    return true;
}

/* ---- what happens next ----------------------------------------------------------------- */

static void
job_act(struct job *job, enum attempt_action action, struct slice body, struct slice encoding)
{
    switch (action) {
    case ATTEMPT_FETCH:
        /* Not at once: this may be a callback of the transfer that is to be reused. What has
         * begun goes first. */
        runner_queue(job->runner, job, job->started_ms != 0);
        break;
    case ATTEMPT_EXTRACT:
        job_extract(job, body, encoding);
        break;
    case ATTEMPT_REPORT:
        job_report(job);
        break;
    }
}

void
job_begin(struct job *job, struct slice body)
{
    enum attempt_action action = attempt_begin(&job->attempt);

    if (action == ATTEMPT_EXTRACT && body.size == 0) {
        action = attempt_end(&job->attempt, OUTCOME_EMPTY, "");
    }
    job_act(job, action, body, slice_of(NULL, 0));
}

void
job_give_back(struct job *job)
{
    job_stop(job);
    attempt_end(&job->attempt, OUTCOME_RELEASED, "");
    job_report(job);
}
