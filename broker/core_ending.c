/* How attempts end, and what becomes of their tasks: done, tried again, dead, moved. */
#include <stdio.h>
#include <string.h>

#include "broker/core_internal.h"

/* ---- results as maps ---------------------------------------------------------------------- */

/* What is recorded for a task that has no result of a worker: who, where, how it ended. */
static void
write_own_result(struct core *core, struct core_time time, const struct ending *ending,
                 uint64_t sequence, const struct task_record *task, bool is_dead,
                 struct buffer *out)
{
    char id[TASK_ID_BYTES + 1];
    struct item item = {0};
    core_task_id(core, sequence, id);
    bool has_item = core_item_read(task->item, &item) == OK;
    bool has_reason = ending->reason.size > 0;
    bool has_meta = has_item && item.meta.data;
    struct slice first_url = item.url;
    if (item.redirects.data) {
        struct reader reader;
        reader_init(&reader, item.redirects);
        if (read_array(&reader) > 0)
            first_url = read_string(&reader);
    }
    write_map(out, 7u + has_reason + is_dead + has_meta);
    write_name(out, "version");
    write_uint(out, 1);
    write_name(out, "task");
    write_text(out, slice_of(id, TASK_ID_BYTES));
    write_name(out, "url");
    write_text(out, first_url);
    write_name(out, "attempt");
    write_uint(out, task->attempts + 1u);
    write_name(out, "worker");
    write_string(out, ending->worker);
    write_name(out, "outcome");
    write_string(out, outcome_name(ending->outcome));
    write_name(out, "fetched_at");
    write_uint(out, (uint64_t)time.wall_ms);
    if (has_reason) {
        write_name(out, "reason");
        write_text(out, ending->reason);
    }
    if (is_dead) {
        write_name(out, "dead");
        write_bool(out, true);
    }
    if (has_meta) {
        write_name(out, "meta");
        write_raw(out, item.meta);
    }
}

/* The worker's result with one pair more: dead. */
static void
write_dead_result(struct slice result, struct buffer *out)
{
    struct reader reader;
    reader_init(&reader, result);
    size_t pairs = read_map(&reader);
    write_map(out, pairs + 1);
    buffer_append(out, reader.position, (size_t)(reader.end - reader.position));
    write_name(out, "dead");
    write_bool(out, true);
}

/* ---- what becomes of the task ------------------------------------------------------------- */

static void
put_result(struct core *core, struct core_time time, uint64_t sequence, struct slice blob)
{
    buffer_clear(&core->head);
    result_record_write_head(&core->head, sequence, time.wall_ms);
    store_batch_put2(core_filling(core)->rows, STORE_RESULTS, ++core->position,
                     buffer_slice(&core->head), blob);
}

static void
count_ending(struct core *core, const struct ending *ending, uint32_t host, bool is_done)
{
    struct totals *totals = &core->totals;
    totals_add_text(totals, TOTAL_OUTCOME, outcome_name(ending->outcome), 1);
    if (ending->http_status > 0) {
        char status[24];
        snprintf(status, sizeof status, "%llu", (unsigned long long)ending->http_status);
        totals_add_text(totals, TOTAL_HTTP_STATUS, status, 1);
    }
    if (is_done) {
        totals_add(totals, TOTAL_CONTENT_TYPE, ending->content_type, 1);
        totals_add(totals, TOTAL_LANGUAGE, ending->language, 1);
        totals_add_text(totals, TOTAL_COUNTER, "text_bytes", ending->text_bytes);
    }
    struct host *row = host_at(&core->hosts, host);
    if (is_done)
        row->done++;
    else
        row->failed++;
    core_host_counted(core, host);
}

enum error
core_read_task(struct core *core, uint64_t sequence, struct task_record *ret_record)
{
    buffer_clear(&core->scratch3);
    enum error error = store_get(core->store, STORE_TASKS, sequence, &core->scratch3);
    if (!error)
        error = task_record_read(buffer_slice(&core->scratch3), ret_record);
    return error;
}

static void
set_aside(struct core *core, uint32_t slot)
{
    scheduler_finish(&core->scheduler, slot);
    core->set_aside++;
    totals_add_text(&core->totals, TOTAL_COUNTER, "rows_set_aside", 1);
}

static void
complete(struct core *core, struct core_time time, uint32_t slot, const struct ending *ending)
{
    struct store_batch *rows = core_filling(core)->rows;
    const struct task_slot *task = scheduler_slot(&core->scheduler, slot);
    struct slice blob = ending->result;
    if (!blob.data) {
        struct task_record record;
        if (core_read_task(core, task->sequence, &record)) {
            set_aside(core, slot);
            return;
        }
        buffer_clear(&core->scratch2);
        write_own_result(core, time, ending, task->sequence, &record, false, &core->scratch2);
        blob = buffer_slice(&core->scratch2);
    }
    put_result(core, time, task->sequence, blob);
    store_batch_delete(rows, STORE_TASKS, task->sequence);
    if (task->has_body)
        store_batch_delete(rows, STORE_BODIES, task->sequence);
    count_ending(core, ending, task->host, outcome_policy(ending->outcome) == OUTCOME_POLICY_DONE);
    totals_add_text(&core->totals, TOTAL_STATE, "done", 1);
    scheduler_finish(&core->scheduler, slot);
}

/* The history with one attempt more, in out; the oldest goes when it is full. */
static void
extend_history(const struct task_record *record, const struct ending *ending, struct core_time time,
               struct buffer *out, unsigned *ret_count)
{
    struct slice kept = record->history;
    unsigned count = record->history_count;
    if (count == HISTORY_MAX) {
        struct reader reader;
        reader_init(&reader, kept);
        read_skip(&reader);
        kept = slice_of(reader.position, (size_t)(reader.end - reader.position));
        count--;
    }
    buffer_append(out, kept.data, kept.size);
    write_map(out, 5);
    write_name(out, "attempt");
    write_uint(out, record->attempts + 1u);
    write_name(out, "outcome");
    write_string(out, outcome_name(ending->outcome));
    write_name(out, "reason");
    write_text(out, ending->reason);
    write_name(out, "worker");
    write_string(out, ending->worker);
    write_name(out, "at");
    write_uint(out, (uint64_t)time.wall_ms);
    *ret_count = count + 1;
}

static void
bury(struct core *core, struct core_time time, uint32_t slot, const struct ending *ending,
     const struct task_record *record)
{
    struct store_batch *rows = core_filling(core)->rows;
    const struct task_slot *task = scheduler_slot(&core->scheduler, slot);
    struct task_record tried = *record;
    tried.attempts++;
    buffer_clear(&core->scratch2);
    if (ending->result.data)
        write_dead_result(ending->result, &core->scratch2);
    else
        write_own_result(core, time, ending, task->sequence, record, true, &core->scratch2);
    put_result(core, time, task->sequence, buffer_slice(&core->scratch2));
    struct buffer history;
    buffer_init(&history, CORE_BATCH_BYTES_MAX);
    extend_history(record, ending, time, &history, &tried.history_count);
    tried.history = buffer_slice(&history);
    buffer_clear(&core->scratch2);
    dead_record_write(&core->scratch2, time.wall_ms, outcome_name(ending->outcome), &tried);
    buffer_release(&history);
    store_batch_put(rows, STORE_DEAD, task->sequence, buffer_slice(&core->scratch2));
    store_batch_delete(rows, STORE_TASKS, task->sequence);
    count_ending(core, ending, task->host, false);
    totals_add_text(&core->totals, TOTAL_STATE, "dead", 1);
    scheduler_finish(&core->scheduler, slot);
}

static void
try_again(struct core *core, struct core_time time, uint32_t slot, const struct ending *ending,
          const struct task_record *record)
{
    const struct task_slot *task = scheduler_slot(&core->scheduler, slot);
    struct task_record tried = *record;
    tried.attempts++;
    tried.fence = ending->fence;
    if (outcome_policy(ending->outcome) == OUTCOME_POLICY_ELSEWHERE)
        tried.deaths++;
    int64_t wait_ms = backoff_ms(tried.attempts, core->options.backoff_ms,
                                 core->options.backoff_max_ms, &core->dice);
    if (ending->retry_after_ms > wait_ms)
        wait_ms = ending->retry_after_ms;
    tried.due_at = time.wall_ms + wait_ms;
    tried.wait_ms = wait_ms;
    struct buffer history;
    buffer_init(&history, CORE_BATCH_BYTES_MAX);
    extend_history(record, ending, time, &history, &tried.history_count);
    tried.history = buffer_slice(&history);
    buffer_clear(&core->scratch2);
    task_record_write(&core->scratch2, &tried);
    buffer_release(&history);
    store_batch_put(core_filling(core)->rows, STORE_TASKS, task->sequence,
                    buffer_slice(&core->scratch2));
    totals_add_text(&core->totals, TOTAL_COUNTER, "retries", 1);
    scheduler_hold(&core->scheduler, slot, tried.attempts);
    /* Without memory it stays pending until the next start; its row says when it is due. */
    ignore_error(core_defer(core, (struct deferred){.kind = DEFERRED_DELAY,
                                                    .subject = slot,
                                                    .due_ms = time.now_ms + wait_ms}));
}

static void
retry_or_bury(struct core *core, struct core_time time, uint32_t slot, const struct ending *ending)
{
    struct task_record record;
    if (core_read_task(core, scheduler_slot(&core->scheduler, slot)->sequence, &record)) {
        set_aside(core, slot);
        return;
    }
    if (record.attempts + 1 >= (unsigned)core->options.attempts_max)
        bury(core, time, slot, ending, &record);
    else
        try_again(core, time, slot, ending, &record);
}

/* The redirects so far and the URL just left, as one array. */
static void
extend_redirects(const struct item *item, struct buffer *out)
{
    struct reader reader;
    reader_init(&reader, item->redirects);
    size_t count = item->redirects.data ? read_array(&reader) : 0;
    write_array(out, count + 1);
    if (count > 0)
        buffer_append(out, reader.position, (size_t)(reader.end - reader.position));
    write_text(out, item->url);
}

/* A redirect to another host: the same task under its new URL. */
static void
move(struct core *core, struct core_time time, uint32_t slot, const struct ending *ending)
{
    struct task_record record;
    struct item item;
    struct url url;
    url_reason reason = NULL;
    uint32_t host = HOST_NONE;
    const struct task_slot *task = scheduler_slot(&core->scheduler, slot);
    if (core_read_task(core, task->sequence, &record) || core_item_read(record.item, &item)) {
        set_aside(core, slot);
        return;
    }
    struct ending final = *ending;
    final.outcome = item.hops + 1 > CORE_HOPS_MAX ? OUTCOME_REDIRECT_LOOP : OUTCOME_REDIRECT_BAD;
    if (item.hops + 1 > CORE_HOPS_MAX || url_parse(ending->location, &url, &reason) ||
        url.scheme == URL_FILE ||
        hosts_find(&core->hosts, core_host_key(core, &url, item.host), &host)) {
        if (reason)
            final.reason = slice_string(reason);
        final.result = slice_of(NULL, 0);
        complete(core, time, slot, &final);
        return;
    }
    struct buffer redirects;
    struct buffer map;
    buffer_init(&redirects, CORE_BATCH_BYTES_MAX);
    buffer_init(&map, CORE_BATCH_BYTES_MAX);
    extend_redirects(&item, &redirects);
    struct item moved = item;
    moved.url = slice_of(url.text, url.size);
    moved.redirects = buffer_slice(&redirects);
    moved.hops = item.hops + 1;
    core_item_write(&map, &moved);
    record.item = buffer_slice(&map);
    record.host = core_host_key(core, &url, item.host);
    record.hops = (unsigned)moved.hops;
    record.fence = ending->fence;
    record.due_at = 0;
    record.wait_ms = 0;
    buffer_clear(&core->scratch2);
    task_record_write(&core->scratch2, &record);
    store_batch_put(core_filling(core)->rows, STORE_TASKS, task->sequence,
                    buffer_slice(&core->scratch2));
    buffer_release(&redirects);
    buffer_release(&map);
    totals_add_text(&core->totals, TOTAL_COUNTER, "redirects_moved", 1);
    scheduler_hold(&core->scheduler, slot, record.attempts);
    scheduler_move(&core->scheduler, slot, host);
    /* Without memory it stays pending until the next start; its row is right. */
    ignore_error(core_defer(core, (struct deferred){.kind = DEFERRED_READY, .subject = slot}));
}

static void
feed_back_to_host(struct core *core, struct core_time time, uint32_t host, int64_t granted_ms,
                  const struct ending *ending)
{
    struct host *row = host_at(&core->hosts, host);
    host_asked(&core->hosts, host, time.now_ms, ending->since_request_ms);
    row->bytes += ending->bytes;
    if (ending->outcome == OUTCOME_RATE_LIMITED) {
        host_limited(&core->hosts, host, time.now_ms, granted_ms, ending->retry_after_ms,
                     &core->dice);
        core_host_dirty(core, host);
        totals_add_text(&core->totals, TOTAL_COUNTER, "hosts_limited", 1);
    } else if (ending->http_status > 0 && ending->http_status < 500 && row->failures > 0) {
        host_forgive(&core->hosts, host);
        core_host_dirty(core, host);
    }
}

/* Ends an attempt: the lease, the host's clocks, the task's next state, the sums. */
void
core_end_attempt(struct core *core, struct core_time time, uint32_t lease,
                 const struct ending *ending)
{
    uint32_t slot = lease_at(&core->leases, lease)->slot;
    int64_t granted_ms = lease_at(&core->leases, lease)->granted_ms;
    uint32_t host = scheduler_slot(&core->scheduler, slot)->host;
    core_end_lease(core, lease);
    feed_back_to_host(core, time, host, granted_ms, ending);
    totals_add_text(&core->totals, TOTAL_COUNTER, "attempts", 1);
    totals_add_text(&core->totals, TOTAL_COUNTER, "bytes_received", ending->bytes);
    switch (outcome_policy(ending->outcome)) {
    case OUTCOME_POLICY_DONE:
    case OUTCOME_POLICY_FINAL:
        complete(core, time, slot, ending);
        break;
    case OUTCOME_POLICY_RETRY:
    case OUTCOME_POLICY_ELSEWHERE:
        retry_or_bury(core, time, slot, ending);
        break;
    case OUTCOME_POLICY_UNTRIED:
        /* Without memory for a queue it stays leased in name only, until the next start. */
        ignore_error(scheduler_give_back(&core->scheduler, slot));
        break;
    case OUTCOME_POLICY_MOVED:
        move(core, time, slot, ending);
        break;
    }
    scheduler_host_changed(&core->scheduler, host);
}
