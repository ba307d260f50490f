/* REQUEST: people and programs ask and steer. A verb is a row of the table at the end. */
#include <stdlib.h>
#include <string.h>

#include "broker/core_control.h"
#include "broker/core_internal.h"

#define LIST_LIMIT_DEFAULT 100
#define HOSTS_IN_STATUS 20

void
reply_uint(struct request *request, const char *name, uint64_t value)
{
    write_string(request->out, name);
    write_uint(request->out, value);
    request->pairs++;
}

static void
write_pair(struct buffer *out, const char *name, uint64_t value)
{
    write_string(out, name);
    write_uint(out, value);
}

/* ---- lists of hosts ----------------------------------------------------------------------- */

static int
compare_hosts(const void *left, const void *right, void *context)
{
    const struct core *core = context;
    const struct host *a = &core->hosts.hosts[*(const uint32_t *)left];
    const struct host *b = &core->hosts.hosts[*(const uint32_t *)right];
    uint64_t first = a->done + a->failed + a->queued;
    uint64_t second = b->done + b->failed + b->queued;
    if (first != second)
        return first < second ? 1 : -1;
    return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/* The busiest hosts, in order; *ret_count of them. NULL without memory. The caller frees. */
static uint32_t *
busiest_hosts(struct core *core, size_t limit, size_t *ret_count)
{
    uint32_t *order = malloc((core->hosts.count + 1) * sizeof *order);
    if (!order)
        return NULL;
    size_t count = 0;
    for (uint32_t i = 0; i < core->hosts.count; i++) {
        const struct host *host = host_at(&core->hosts, i);
        if (host->done + host->failed + host->queued + host->in_flight > 0)
            order[count++] = i;
    }
    qsort_r(order, count, sizeof *order, compare_hosts, core);
    *ret_count = count < limit ? count : limit;
    return order;
}

static struct slice
display_name(const struct core *core, uint32_t host)
{
    return host == HOST_DOCUMENTS ? slice_string("(documents)") : host_name(&core->hosts, host);
}

/* ---- status ------------------------------------------------------------------------------- */

static void
reply_tasks(struct request *request)
{
    struct core_counts counts;
    core_counts(request->core, &counts);
    struct buffer *out = request->out;
    write_string(out, "tasks");
    write_map(out, 9);
    write_pair(out, "accepted", counts.accepted);
    write_pair(out, "ready", counts.ready);
    write_pair(out, "delayed", counts.delayed);
    write_pair(out, "leased", counts.leased);
    write_pair(out, "done", counts.done);
    write_pair(out, "dead", counts.dead);
    write_pair(out, "cancelled", counts.cancelled);
    write_pair(out, "set_aside", counts.set_aside);
    write_string(out, "ledger_ok");
    write_bool(out, counts.is_ledger_right);
    request->pairs++;
    reply_uint(request, "workers", counts.workers);
}

static void
reply_totals(struct request *request)
{
    static const enum total_kind kinds[] = {TOTAL_OUTCOME, TOTAL_HTTP_STATUS, TOTAL_CONTENT_TYPE,
                                            TOTAL_LANGUAGE};
    struct core *core = request->core;
    struct buffer *out = request->out;
    size_t count = 0;
    uint32_t *order = busiest_hosts(core, HOSTS_IN_STATUS, &count);
    if (!order) {
        request->error = "out of memory";
        return;
    }
    write_string(out, "totals");
    write_map(out, sizeof kinds / sizeof kinds[0] + 1);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        write_string(out, total_kind_name(kinds[i]));
        totals_write_map(&core->totals, kinds[i], out);
    }
    write_string(out, "host");
    write_map(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct host *host = host_at(&core->hosts, order[i]);
        write_text(out, display_name(core, order[i]));
        write_uint(out, host->done + host->failed);
    }
    free(order);
    request->pairs++;
    write_string(out, "counters");
    totals_write_map(&core->totals, TOTAL_COUNTER, out);
    request->pairs++;
}

static void
reply_results(struct request *request)
{
    struct core *core = request->core;
    struct buffer *out = request->out;
    write_string(out, "results");
    write_map(out, 3);
    write_pair(out, "newest", core->durable_position);
    write_pair(out, "kept", core->position - core->trimmed);
    write_string(out, "collectors");
    write_map(out, core->collector_count);
    for (uint32_t i = 0; i < core->collector_count; i++) {
        const struct collector *collector = &core->collectors[i];
        write_string(out, collector->name);
        write_map(out, 3);
        write_pair(out, "position", collector->stored);
        write_pair(out, "lag", core->durable_position - collector->stored);
        write_string(out, "connected");
        write_bool(out, collector->peer != PEER_NONE);
    }
    request->pairs++;
}

static void
verb_status(struct request *request)
{
    struct core *core = request->core;
    reply_tasks(request);
    reply_totals(request);
    reply_results(request);
    write_string(request->out, "broker");
    write_string(request->out, core->name);
    request->pairs++;
    reply_uint(request, "uptime_ms", (uint64_t)(request->in->time.now_ms - core->started_ms));
    reply_uint(request, "boot", core->boot);
    reply_uint(request, "hosts", core->hosts.count - 1u);
    struct store_usage usage;
    store_usage(core->store, &usage);
    reply_uint(request, "commits", usage.commits);
    reply_uint(request, "flushes", usage.flushes);
    write_string(request->out, "paused");
    write_bool(request->out, core->is_paused);
    request->pairs++;
    write_string(request->out, "draining");
    write_bool(request->out, core->is_draining);
    request->pairs++;
}

/* ---- lists -------------------------------------------------------------------------------- */

static void
write_worker(struct buffer *out, const struct peer *worker, int64_t now_ms)
{
    write_map(out, 13);
    write_string(out, "name");
    write_string(out, worker->name);
    write_string(out, "present");
    write_bool(out, worker->is_present);
    write_pair(out, "held", worker->held);
    write_pair(out, "credit", worker->credit);
    write_pair(out, "recorded", worker->recorded);
    write_pair(out, "heard_ms", (uint64_t)(now_ms - worker->heard_ms));
    write_pair(out, "joined_ms", (uint64_t)(now_ms - worker->joined_ms));
    write_pair(out, "fetching", worker->stats.fetching);
    write_pair(out, "extracting", worker->stats.extracting);
    write_pair(out, "waiting", worker->stats.waiting);
    write_pair(out, "bytes_received", worker->stats.bytes_received);
    write_pair(out, "memory_bytes", worker->stats.memory_bytes);
    write_pair(out, "child_restarts", worker->stats.child_restarts);
}

static void
verb_workers(struct request *request)
{
    struct roster *roster = &request->core->roster;
    size_t count = 0;
    for (uint32_t i = 0; i < roster->count; i++)
        count += peer_at(roster, i)->is_used && peer_at(roster, i)->role == ROLE_WORK;
    write_string(request->out, "workers");
    write_array(request->out, count);
    for (uint32_t i = 0; i < roster->count; i++) {
        const struct peer *peer = peer_at(roster, i);
        if (peer->is_used && peer->role == ROLE_WORK)
            write_worker(request->out, peer, request->in->time.now_ms);
    }
    request->pairs++;
}

uint64_t
list_limit(struct slice field)
{
    enum error error = OK;
    uint64_t limit = field_uint(field, LIST_LIMIT_DEFAULT, &error);
    return error || limit > LIST_LIMIT_MAX ? LIST_LIMIT_MAX : limit;
}

static uint64_t
until(int64_t due_ms, int64_t now_ms)
{
    return due_ms > now_ms ? (uint64_t)(due_ms - now_ms) : 0;
}

static void
verb_hosts(struct request *request)
{
    static const char *const names[] = {"limit", NULL};
    struct core *core = request->core;
    struct slice field;
    struct reader reader;
    reader_init(&reader, request->arguments);
    read_fields(&reader, names, &field);
    size_t count = 0;
    uint32_t *order = busiest_hosts(core, (size_t)list_limit(field), &count);
    if (!order) {
        request->error = "out of memory";
        return;
    }
    int64_t now_ms = request->in->time.now_ms;
    struct buffer *out = request->out;
    write_string(out, "hosts");
    write_array(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct host *host = host_at(&core->hosts, order[i]);
        bool has_gap = host->smallest_gap_ms != UINT32_MAX && order[i] != HOST_DOCUMENTS;
        write_map(out, has_gap ? 11 : 10);
        write_string(out, "host");
        write_text(out, display_name(core, order[i]));
        write_pair(out, "queued", host->queued);
        write_pair(out, "in_flight", host->in_flight);
        write_pair(out, "done", host->done);
        write_pair(out, "failed", host->failed);
        write_pair(out, "bytes", host->bytes);
        write_pair(out, "gap_ms", (uint64_t)host_gap_ms(&core->hosts, order[i]));
        write_pair(out, "next_ms", until(host->next_ms, now_ms));
        write_pair(out, "blocked_ms", until(host->blocked_until_ms, now_ms));
        write_pair(out, "failures", host->failures);
        if (has_gap)
            write_pair(out, "smallest_gap_ms", host->smallest_gap_ms);
    }
    request->pairs++;
    free(order);
}

/* ---- steering ----------------------------------------------------------------------------- */

static void
set_paused(struct request *request, bool is_paused)
{
    struct core *core = request->core;
    core->is_paused = is_paused;
    struct buffer value;
    buffer_init(&value, 16);
    write_varint(&value, is_paused);
    store_batch_put_bytes(core_filling(core)->rows, STORE_META, slice_string("paused"),
                          buffer_slice(&value));
    buffer_release(&value);
}

static void
verb_pause(struct request *request)
{
    set_paused(request, true);
}

static void
verb_resume(struct request *request)
{
    if (request->core->is_leaving) {
        request->error = "the broker is stopping; start it again";
        return;
    }
    request->core->is_draining = false;
    set_paused(request, false);
}

static void
verb_drain(struct request *request)
{
    request->core->is_draining = true;
}

static void
verb_stop(struct request *request)
{
    core_drain(request->core, request->in->time);
    request->core->wants_stop = true;
}

struct verb {
    const char *name;
    void (*run)(struct request *request);
    bool is_change; /* answered when the disk has it */
};

static const struct verb verbs[] = {
    {"status", verb_status, false},        {"workers", verb_workers, false},
    {"hosts", verb_hosts, false},          {"dead", verb_dead, false},
    {"dead_retry", verb_dead_retry, true}, {"dead_purge", verb_dead_purge, true},
    {"pause", verb_pause, true},           {"resume", verb_resume, true},
    {"drain", verb_drain, true},           {"stop", verb_stop, true},
};

static const struct verb *
find_verb(struct slice name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (slice_equal(name, slice_string(verbs[i].name)))
            return &verbs[i];
    }
    return NULL;
}

void
core_request(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"verb", "arguments", NULL};
    struct slice fields[2];
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, names, fields);
    struct slice name = field_string(fields[0], &error);
    if (error || reader_finish(&in->reader)) {
        core_refuse(core, in, "malformed", "REQUEST wants verb and arguments");
        return;
    }
    struct buffer pairs;
    struct buffer out;
    buffer_init(&pairs, CORE_BATCH_BYTES_MAX);
    buffer_init(&out, CORE_BATCH_BYTES_MAX);
    static const uint8_t no_arguments[] = {0x80};
    struct request request = {
        .core = core,
        .in = in,
        .arguments = fields[1].data ? fields[1] : slice_of(no_arguments, sizeof no_arguments),
        .out = &pairs,
    };
    const struct verb *verb = find_verb(name);
    if (verb)
        verb->run(&request);
    else
        request.error = "unknown verb";
    write_header(&out, MESSAGE_REPLY, in->sequence, request.error ? 2 : request.pairs + 1);
    write_string(&out, "ok");
    write_bool(&out, request.error == NULL);
    if (request.error) {
        write_string(&out, "error");
        write_string(&out, request.error);
    } else {
        buffer_append(&out, pairs.data, pairs.size);
    }
    if (verb && verb->is_change && !request.error)
        core_answer_later(core, in->peer, buffer_slice(&out));
    else
        core_send_header(core, in->peer, &out);
    buffer_release(&pairs);
    buffer_release(&out);
}
