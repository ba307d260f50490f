/* RESULTS, RELEASE, and leases that ran out. */
#include <string.h>

#include "broker/core_internal.h"

static const char *const report_names[] = {"fence",
                                           "task",
                                           "outcome",
                                           "http_status",
                                           "retry_after_ms",
                                           "location",
                                           "reason",
                                           "bytes",
                                           "content_type",
                                           "language",
                                           "text_bytes",
                                           "result",
                                           "since_request_ms",
                                           NULL};
enum {
    REPORT_FENCE,
    REPORT_TASK,
    REPORT_OUTCOME,
    REPORT_STATUS,
    REPORT_RETRY_AFTER,
    REPORT_LOCATION,
    REPORT_REASON,
    REPORT_BYTES,
    REPORT_CONTENT_TYPE,
    REPORT_LANGUAGE,
    REPORT_TEXT_BYTES,
    REPORT_RESULT,
    REPORT_SINCE_REQUEST,
    REPORT_COUNT
};

#define RETRY_AFTER_MAX_MS (INT64_C(24) * 3600 * 1000)

/* ---- messages ----------------------------------------------------------------------------- */

static bool
is_result(struct slice blob)
{
    struct reader reader;
    if (message_scan(blob))
        return false;
    reader_init(&reader, blob);
    return read_value(&reader).type == VALUE_MAP;
}

/* Reads one report. False when it is malformed; its fence is read where possible. */
static bool
read_report(const struct core *core, const struct incoming *in, struct slice row,
            struct ending *ret_ending)
{
    struct slice fields[REPORT_COUNT];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, row);
    read_fields(&reader, report_names, fields);
    struct ending ending = {
        .fence = field_uint(fields[REPORT_FENCE], 0, &error),
        .task = field_string(fields[REPORT_TASK], &error),
        .http_status = field_uint(fields[REPORT_STATUS], 0, &error),
        .location = field_string(fields[REPORT_LOCATION], &error),
        .reason = field_string(fields[REPORT_REASON], &error),
        .bytes = field_uint(fields[REPORT_BYTES], 0, &error),
        .content_type = field_string(fields[REPORT_CONTENT_TYPE], &error),
        .language = field_string(fields[REPORT_LANGUAGE], &error),
        .text_bytes = field_uint(fields[REPORT_TEXT_BYTES], 0, &error),
        .worker = core->roster.peers[in->peer]->name,
    };
    uint64_t retry_after_ms = field_uint(fields[REPORT_RETRY_AFTER], 0, &error);
    uint64_t since_ms = field_uint(fields[REPORT_SINCE_REQUEST], 0, &error);
    struct slice outcome = field_string(fields[REPORT_OUTCOME], &error);
    ending.retry_after_ms =
        retry_after_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (int64_t)retry_after_ms;
    ending.since_request_ms = -1;
    if (fields[REPORT_SINCE_REQUEST].data)
        ending.since_request_ms = since_ms > INT32_MAX ? INT32_MAX : (int64_t)since_ms;
    if (ending.reason.size > CORE_REASON_BYTES_MAX)
        ending.reason.size = CORE_REASON_BYTES_MAX;
    bool is_good = !error && !reader_finish(&reader) && outcome.data &&
                   outcome_parse((const char *)outcome.data, outcome.size, &ending.outcome);
    if (is_good && fields[REPORT_RESULT].data) {
        ending.result = core_body(in, field_uint(fields[REPORT_RESULT], UINT64_MAX, &error));
        is_good = !error && ending.result.data && is_result(ending.result);
    }
    *ret_ending = ending;
    return is_good;
}

/* Is the lease this worker's, and for the task that it names? */
static bool
is_own_lease(struct core *core, uint32_t peer, uint32_t lease, struct slice task)
{
    uint64_t sequence = 0;
    if (lease == LEASE_NONE || lease_at(&core->leases, lease)->worker != peer ||
        !task_id_parse(core->store_id, task, &sequence))
        return false;
    uint32_t slot = lease_at(&core->leases, lease)->slot;
    return scheduler_slot(&core->scheduler, slot)->sequence == sequence;
}

static enum report_status
take_report(struct core *core, const struct incoming *in, struct slice row)
{
    struct ending ending;
    bool is_good = read_report(core, in, row, &ending);
    uint32_t lease = leases_find(&core->leases, ending.fence);
    if (!is_own_lease(core, in->peer, lease, ending.task)) {
        totals_add_text(&core->totals, TOTAL_COUNTER, "results_late", 1);
        return REPORT_LATE;
    }
    peer_at(&core->roster, in->peer)->recorded++;
    if (!is_good) {
        ending = (struct ending){.fence = ending.fence,
                                 .outcome = OUTCOME_LEASE_EXPIRED,
                                 .reason = slice_string("the worker's report was malformed"),
                                 .since_request_ms = 0,
                                 .worker = ending.worker};
        totals_add_text(&core->totals, TOTAL_COUNTER, "reports_malformed", 1);
    }
    core_end_attempt(core, in->time, lease, &ending);
    return is_good ? REPORT_RECORDED : REPORT_REFUSED;
}

/* Answers RESULTS or RELEASE when the disk has what it changed. */
static void
answer(struct core *core, const struct incoming *in, size_t count)
{
    struct buffer *out = &core->scratch;
    buffer_clear(out);
    write_header(out, MESSAGE_RECORDED, in->sequence, 1);
    write_name(out, "statuses");
    write_array(out, count);
    buffer_append(out, core->statuses.data, core->statuses.size);
    struct peer *peer = peer_at(&core->roster, in->peer);
    if (buffer_error(out) || window_add(&peer->window, in->sequence, buffer_slice(out)))
        return; /* no memory: the worker sends again, and its reports are late then */
    core_answer_later(core, in->peer, buffer_slice(out));
}

/* True when the message was seen before, and its answer is on the way again. */
static bool
is_repeated(struct core *core, const struct incoming *in)
{
    struct peer *peer = peer_at(&core->roster, in->peer);
    struct slice earlier = window_answer(&peer->window, in->sequence);
    if (!earlier.data)
        return false;
    totals_add_text(&core->totals, TOTAL_COUNTER, "results_repeated", 1);
    core_answer_later(core, in->peer, earlier);
    return true;
}

void
core_results(struct core *core, struct incoming *in)
{
    struct reader table;
    reader_init(&table, in->frame_count > 1 ? in->frames[1] : slice_of("", 0));
    size_t count = read_array(&table);
    if (table.error || in->sequence == 0) {
        core_refuse(core, in, "malformed",
                    "RESULTS wants a sequence from 1 and a table of reports in frame 1");
        return;
    }
    if (is_repeated(core, in))
        return;
    buffer_clear(&core->statuses);
    for (size_t i = 0; i < count; i++)
        write_uint(&core->statuses, (uint64_t)take_report(core, in, read_raw(&table)));
    answer(core, in, count);
}

void
core_release(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"leases", NULL};
    struct slice field;
    struct reader table;
    read_pairs(&in->reader, in->pairs, names, &field);
    reader_init(&table, field);
    size_t count = read_array(&table);
    if (table.error || reader_finish(&in->reader)) {
        core_refuse(core, in, "malformed", "RELEASE wants leases: an array of [fence, task]");
        return;
    }
    if (is_repeated(core, in))
        return;
    buffer_clear(&core->statuses);
    for (size_t i = 0; i < count; i++) {
        uint64_t fence = 0;
        if (read_array(&table) == 2) {
            fence = read_uint(&table);
            read_skip(&table);
        }
        uint32_t lease = table.error ? LEASE_NONE : leases_find(&core->leases, fence);
        bool is_its_own = lease != LEASE_NONE && lease_at(&core->leases, lease)->worker == in->peer;
        if (is_its_own)
            core_release_lease(core, lease);
        write_uint(&core->statuses, is_its_own ? REPORT_RECORDED : REPORT_LATE);
    }
    answer(core, in, count);
}

void
core_expire(struct core *core, struct core_time time)
{
    for (size_t i = 0; i < CORE_EXPIRY_MAX; i++) {
        uint32_t lease = leases_expired(&core->leases, time.now_ms);
        if (lease == LEASE_NONE)
            return;
        const struct peer *worker = peer_at(&core->roster, lease_at(&core->leases, lease)->worker);
        const struct ending ending = {
            .fence = lease_at(&core->leases, lease)->fence,
            .outcome = OUTCOME_LEASE_EXPIRED,
            .reason = slice_string("its worker did not answer before the lease ended"),
            .since_request_ms = 0,
            .worker = worker->name,
        };
        totals_add_text(&core->totals, TOTAL_COUNTER, "leases_expired", 1);
        core_end_attempt(core, time, lease, &ending);
    }
}
