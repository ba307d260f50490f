#include "broker/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"

#define ANSWERS_BYTES_MAX ((size_t)64 << 20)
#define SCRATCH_BYTES_MAX ((size_t)512 << 20)
#define NAME_PREFIX_BYTES_MAX 16 /* before the name of a document */

/* ---- life --------------------------------------------------------------------------------- */

static enum error
init_batches(struct core *core)
{
    for (size_t i = 0; i < CORE_BATCHES; i++) {
        struct core_batch *batch = &core->batches[i];
        batch->rows = store_batch_create(CORE_BATCH_BYTES_MAX);
        if (!batch->rows)
            return ERROR_NO_MEMORY;
        buffer_init(&batch->answers, ANSWERS_BYTES_MAX);
        buffer_init(&batch->fingerprints, CORE_BATCH_BYTES_MAX);
    }
    core->filling = 1;
    core->batches[1].number = 1;
    return OK;
}

enum error
core_create(const struct core_options *options, struct store *store, struct core_port port,
            struct core_time time, struct core **ret_core, char **ret_message)
{
    assert(options->lease_ms > 0 && options->heartbeat_ms > 0 && options->attempts_max > 0);
    enum error error = ERROR_NO_MEMORY;
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return ERROR_NO_MEMORY;
    core->options = *options;
    core->store = store;
    core->port = port;
    core->dice.state = options->seed;
    core->started_ms = time.now_ms;
    buffer_init(&core->scratch, SCRATCH_BYTES_MAX);
    buffer_init(&core->scratch2, SCRATCH_BYTES_MAX);
    buffer_init(&core->scratch3, SCRATCH_BYTES_MAX);
    buffer_init(&core->canonical, URL_BYTES_MAX + NAME_PREFIX_BYTES_MAX);
    buffer_init(&core->statuses, CORE_BATCH_BYTES_MAX);
    buffer_init(&core->reasons, CORE_BATCH_BYTES_MAX);
    buffer_init(&core->head, SCRATCH_BYTES_MAX);
    buffer_init(&core->table, CORE_BATCH_BYTES_MAX);
    buffer_init(&core->bodies, CORE_BATCH_BYTES_MAX);
    totals_init(&core->totals);
    roster_init(&core->roster);
    core->name = strdup(options->name ? options->name : "thresh");
    core->seen = seen_create(UINT64_C(1) << 40);
    if (!core->name || !core->seen)
        goto fail;
    const struct hosts_options hosts_options = {
        .gap_ms = options->gap_ms,
        .connections_max = options->host_connections,
        .backoff_ms = options->backoff_ms,
        .backoff_max_ms = options->backoff_max_ms,
    };
    error = hosts_init(&core->hosts, &hosts_options);
    if (error)
        goto fail;
    scheduler_init(&core->scheduler, &core->hosts, options->tasks_max, time.now_ms);
    error = init_batches(core);
    if (error)
        goto fail;
    error = core_load(core, time, ret_message);
    if (error)
        goto fail;
    *ret_core = core;
    return OK;
fail:
    core_destroy(core);
    return error;
}

void
core_destroy(struct core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < CORE_BATCHES; i++) {
        store_batch_destroy(core->batches[i].rows);
        buffer_release(&core->batches[i].answers);
        buffer_release(&core->batches[i].fingerprints);
        free(core->batches[i].deferred);
    }
    for (uint32_t i = 0; i < core->collector_count; i++)
        free(core->collectors[i].deliveries);
    free(core->collectors);
    core_release_hosts(core);
    scheduler_release(&core->scheduler);
    hosts_release(&core->hosts);
    leases_release(&core->leases);
    roster_release(&core->roster);
    totals_release(&core->totals);
    seen_destroy(core->seen);
    buffer_release(&core->scratch);
    buffer_release(&core->scratch2);
    buffer_release(&core->scratch3);
    buffer_release(&core->canonical);
    buffer_release(&core->statuses);
    buffer_release(&core->reasons);
    buffer_release(&core->head);
    buffer_release(&core->table);
    buffer_release(&core->bodies);
    free(core->name);
    free(core);
}

/* ---- batches ------------------------------------------------------------------------------ */

struct core_batch *
core_filling(struct core *core)
{
    return &core->batches[core->filling % CORE_BATCHES];
}

enum error
core_defer(struct core *core, struct deferred deferred)
{
    struct core_batch *batch = core_filling(core);
    if (batch->deferred_count == batch->deferred_capacity) {
        size_t capacity = batch->deferred_capacity ? batch->deferred_capacity * 2 : 256;
        struct deferred *larger = realloc(batch->deferred, capacity * sizeof *larger);
        if (!larger)
            return ERROR_NO_MEMORY;
        batch->deferred = larger;
        batch->deferred_capacity = capacity;
    }
    batch->deferred[batch->deferred_count++] = deferred;
    return OK;
}

/* Tells one use of a peer's row from the next. */
static uint64_t
peer_generation(const struct peer *peer)
{
    uint64_t generation = 0;
    memcpy(&generation, peer->client, sizeof generation);
    return generation;
}

void
core_answer_later(struct core *core, uint32_t peer, struct slice answer)
{
    struct core_batch *batch = core_filling(core);
    size_t offset = batch->answers.size;
    buffer_append(&batch->answers, answer.data, answer.size);
    /* An answer that finds no room is not sent: the peer asks again by sending again. */
    if (buffer_error(&batch->answers))
        return;
    ignore_error(core_defer(core, (struct deferred){
                                      .kind = DEFERRED_ANSWER,
                                      .subject = peer,
                                      .number = peer_generation(peer_at(&core->roster, peer)),
                                      .offset = offset,
                                      .size = answer.size,
                                  }));
}

void
core_window_dirty(struct core *core, uint32_t peer)
{
    struct peer *row = peer_at(&core->roster, peer);
    if (row->role != ROLE_FEED)
        return; /* a worker's answers need not outlive the process: HELLO names its leases */
    row->is_window_dirty = true;
    core->is_any_window_dirty = true;
}

static void
write_windows(struct core *core, struct store_batch *rows)
{
    if (!core->is_any_window_dirty)
        return;
    core->is_any_window_dirty = false;
    for (uint32_t i = 0; i < core->roster.count; i++) {
        struct peer *peer = peer_at(&core->roster, i);
        if (!peer->is_used || !peer->is_window_dirty)
            continue;
        peer->is_window_dirty = false;
        buffer_clear(&core->scratch);
        window_write(&peer->window, &core->scratch);
        store_batch_put_bytes(rows, STORE_CLIENTS, slice_of(peer->client, CLIENT_ID_BYTES),
                              buffer_slice(&core->scratch));
    }
}

static void
write_collectors(struct core *core, struct store_batch *rows)
{
    for (uint32_t i = 0; i < core->collector_count; i++) {
        struct collector *collector = &core->collectors[i];
        if (!collector->is_dirty)
            continue;
        collector->is_dirty = false;
        buffer_clear(&core->scratch);
        write_varint(&core->scratch, collector->acknowledged);
        store_batch_put_bytes(rows, STORE_COLLECTORS, slice_string(collector->name),
                              buffer_slice(&core->scratch));
        ignore_error(core_defer(core, (struct deferred){
                                          .kind = DEFERRED_POSITION,
                                          .subject = i,
                                          .number = collector->acknowledged,
                                      })); /* the next acknowledgement tells it again */
    }
}

const struct store_batch *
core_seal(struct core *core, struct core_time time, uint64_t *ret_number)
{
    if (core->filling + 1 - core->finished >= CORE_BATCHES)
        return NULL;
    struct core_batch *batch = core_filling(core);
    totals_set_text(&core->totals, TOTAL_STATE, "position", core->position);
    totals_set_text(&core->totals, TOTAL_STATE, "trimmed", core->trimmed);
    totals_set_text(&core->totals, TOTAL_STATE, "sequence", core->next_sequence);
    totals_write(&core->totals, batch->rows);
    core_write_hosts(core, time, batch->rows);
    write_windows(core, batch->rows);
    write_collectors(core, batch->rows);
    if (batch->fingerprints.size > 0)
        store_batch_put(batch->rows, STORE_SEEN, batch->first_sequence,
                        buffer_slice(&batch->fingerprints));
    if (store_batch_is_empty(batch->rows) && batch->deferred_count == 0)
        return NULL;
    batch->position = core->position;
    *ret_number = batch->number;
    core->filling++;
    struct core_batch *next = core_filling(core);
    next->number = core->filling;
    return batch->rows;
}

static void
send_answer(struct core *core, const struct core_batch *batch, const struct deferred *deferred)
{
    const struct peer *peer = peer_at(&core->roster, deferred->subject);
    if (!peer->is_used || peer_generation(peer) != deferred->number || peer->route_bytes == 0)
        return;
    struct slice frame = slice_of(batch->answers.data + deferred->offset, deferred->size);
    /* A peer that cannot be reached sends its message again and gets the answer then. */
    ignore_error(core->port.send(core->port.context, peer->role, peer_route(peer), &frame, 1));
}

static void
send_position(struct core *core, const struct deferred *deferred)
{
    struct collector *collector = &core->collectors[deferred->subject];
    if (deferred->number > collector->stored)
        collector->stored = deferred->number;
    if (collector->peer == PEER_NONE)
        return;
    buffer_clear(&core->scratch);
    write_header(&core->scratch, MESSAGE_ACKNOWLEDGED, collector->stored, 0);
    core_send_header(core, collector->peer, &core->scratch);
}

static void
run_deferred(struct core *core, const struct core_batch *batch, const struct deferred *deferred)
{
    switch (deferred->kind) {
    case DEFERRED_ANSWER:
        send_answer(core, batch, deferred);
        break;
    case DEFERRED_READY:
        /* Without memory the task stays pending until the next start; it is not lost. */
        ignore_error(scheduler_ready(&core->scheduler, deferred->subject));
        break;
    case DEFERRED_DELAY:
        ignore_error(scheduler_delay(&core->scheduler, deferred->subject, deferred->due_ms));
        break;
    case DEFERRED_POSITION:
        send_position(core, deferred);
        break;
    }
}

void
core_durable(struct core *core, struct core_time time, uint64_t number)
{
    assert(number < core->filling);
    while (core->finished < number) {
        core->finished++;
        struct core_batch *batch = &core->batches[core->finished % CORE_BATCHES];
        assert(batch->number == core->finished);
        core->is_open = true;
        core->durable_position = batch->position;
        for (size_t i = 0; i < batch->deferred_count; i++)
            run_deferred(core, batch, &batch->deferred[i]);
        store_batch_clear(batch->rows);
        buffer_clear(&batch->answers);
        buffer_clear(&batch->fingerprints);
        batch->deferred_count = 0;
    }
    core_trim(core, time);
    core_deliver(core);
    core_dispatch(core, time);
}

/* ---- messages ----------------------------------------------------------------------------- */

void
core_send_header(struct core *core, uint32_t peer, const struct buffer *header)
{
    const struct peer *row = peer_at(&core->roster, peer);
    if (buffer_error(header) || row->route_bytes == 0)
        return;
    struct slice frame = buffer_slice(header);
    /* Nothing that matters goes this way: what does is answered and sent again. */
    ignore_error(core->port.send(core->port.context, row->role, peer_route(row), &frame, 1));
}

void
core_refuse(struct core *core, const struct incoming *in, const char *code, const char *reason)
{
    totals_add_text(&core->totals, TOTAL_COUNTER, "messages_refused", 1);
    bool is_busy = strcmp(code, "busy") == 0;
    struct buffer *out = &core->scratch;
    buffer_clear(out);
    write_header(out, MESSAGE_REFUSED, in->sequence, is_busy ? 5 : 4);
    write_name(out, "code");
    write_string(out, code);
    write_name(out, "reason");
    write_string(out, reason);
    write_name(out, "type");
    write_uint(out, (uint64_t)in->type);
    write_name(out, "sequence");
    write_uint(out, in->sequence);
    if (is_busy) {
        write_name(out, "retry_ms");
        write_uint(out, CORE_BUSY_RETRY_MS);
    }
    if (buffer_error(out))
        return;
    struct slice frame = buffer_slice(out);
    ignore_error(core->port.send(core->port.context, in->role, in->route, &frame, 1));
}

struct slice
core_body(const struct incoming *in, uint64_t number)
{
    if (in->frame_count < 2 || number >= in->frame_count - 2)
        return slice_of(NULL, 0);
    struct slice body = in->frames[2 + number];
    return body.data ? body : slice_of("", 0);
}

void
core_task_id(const struct core *core, uint64_t sequence, char *ret_text)
{
    task_id_format(core->store_id, sequence, ret_text);
}

struct handler {
    enum message_type type;
    void (*handle)(struct core *core, struct incoming *in);
};

static const struct handler handlers[] = {
    {MESSAGE_HELLO, core_hello},
    {MESSAGE_HEARTBEAT, core_heartbeat},
    {MESSAGE_GOODBYE, core_goodbye},
    {MESSAGE_SUBMIT, core_submit},
    {MESSAGE_CREDIT, core_credit},
    {MESSAGE_RESULTS, core_results},
    {MESSAGE_RELEASE, core_release},
    {MESSAGE_SUBSCRIBE, core_subscribe},
    {MESSAGE_ACKNOWLEDGE, core_acknowledge},
    {MESSAGE_REQUEST, core_request},
};

static const struct handler *
find_handler(enum message_type type)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        if (handlers[i].type == type)
            return &handlers[i];
    }
    return NULL;
}

static bool
may_send(enum role role, enum message_sender sender)
{
    static const enum message_sender senders[ROLE_COUNT] = {
        [ROLE_FEED] = MESSAGE_SENDER_FEEDER,
        [ROLE_WORK] = MESSAGE_SENDER_WORKER,
        [ROLE_COLLECT] = MESSAGE_SENDER_COLLECTOR,
        [ROLE_CONTROL] = MESSAGE_SENDER_CLIENT,
    };
    return sender == MESSAGE_SENDER_ANY || sender == senders[role];
}

void
core_receive(struct core *core, struct core_time time, enum role role, struct slice route,
             const struct slice *frames, size_t frame_count)
{
    struct incoming in = {
        .time = time,
        .role = role,
        .route = route,
        .frames = frames,
        .frame_count = frame_count,
    };
    if (frame_count == 0 || route.size == 0 || route.size > ROUTE_BYTES_MAX) {
        core_refuse(core, &in, "malformed", "a message without frames");
        return;
    }
    enum error error = message_scan(frames[0]);
    if (!error) {
        reader_init(&in.reader, frames[0]);
        error = read_header(&in.reader, &in.type, &in.sequence, &in.pairs);
    }
    if (!error && frame_count > 1)
        error = message_scan(frames[1]);
    if (error) {
        core_refuse(core, &in, error == ERROR_VERSION ? "version" : "malformed",
                    "not a message of protocol version 1 (PROTOCOL.md, section 2)");
        return;
    }
    in.peer = roster_find(&core->roster, role, route);
    const struct handler *handler = find_handler(in.type);
    if (!handler || !may_send(role, message_type_sender(in.type))) {
        core_refuse(core, &in, "wrong_role", "this port does not take this type of message");
        return;
    }
    if (in.peer == PEER_NONE && in.type != MESSAGE_HELLO) {
        core_refuse(core, &in, "hello_first", "the broker does not know this peer; say HELLO");
        return;
    }
    if (in.peer != PEER_NONE) {
        struct peer *peer = peer_at(&core->roster, in.peer);
        peer->heard_ms = time.now_ms;
        peer->is_present = true;
    }
    scheduler_advance(&core->scheduler, time.now_ms);
    handler->handle(core, &in);
    core_dispatch(core, time);
}

/* ---- time --------------------------------------------------------------------------------- */

int64_t
core_tick(struct core *core, struct core_time time)
{
    scheduler_advance(&core->scheduler, time.now_ms);
    core_expire(core, time);
    int64_t next_ms = core_peers_tick(core, time);
    core_trim(core, time);
    core_deliver(core);
    if (core_dispatch(core, time))
        next_ms = time.now_ms + 1;
    int64_t due_ms = scheduler_next_ms(&core->scheduler);
    if (due_ms < next_ms)
        next_ms = due_ms;
    due_ms = leases_next_ms(&core->leases);
    if (due_ms < next_ms)
        next_ms = due_ms;
    if (core->next_trim_ms < next_ms)
        next_ms = core->next_trim_ms;
    return next_ms > time.now_ms ? next_ms : time.now_ms + 1;
}

void
core_drain(struct core *core, struct core_time time)
{
    core->is_draining = true;
    core->is_leaving = true;
    core_dispatch(core, time);
}

bool
core_is_idle(const struct core *core)
{
    const struct core_batch *batch = &core->batches[core->filling % CORE_BATCHES];
    return core->leases.active == 0 && core->finished + 1 == core->filling &&
           store_batch_is_empty(batch->rows) && batch->deferred_count == 0;
}

void
core_counts(const struct core *core, struct core_counts *ret_counts)
{
    const uint64_t *states = core->scheduler.counts;
    const struct totals *totals = &core->totals;
    struct core_counts counts = {
        .accepted = totals_get(totals, TOTAL_STATE, "accepted"),
        .ready = states[TASK_READY] + states[TASK_PENDING] + core->set_aside,
        .delayed = states[TASK_DELAYED],
        .leased = states[TASK_LEASED],
        .done = totals_get(totals, TOTAL_STATE, "done"),
        .dead = totals_get(totals, TOTAL_STATE, "dead"),
        .cancelled = totals_get(totals, TOTAL_STATE, "cancelled"),
        .set_aside = core->set_aside,
        .results_newest = core->durable_position,
        .results_kept = core->position - core->trimmed,
    };
    counts.is_ledger_right = counts.accepted == counts.ready + counts.delayed + counts.leased +
                                                    counts.done + counts.dead + counts.cancelled;
    for (uint32_t i = 0; i < core->roster.count; i++) {
        const struct peer *peer = core->roster.peers[i];
        if (peer->is_used && peer->is_present && peer->role == ROLE_WORK)
            counts.workers++;
    }
    *ret_counts = counts;
}

bool
core_wants_stop(const struct core *core)
{
    return core->wants_stop;
}
