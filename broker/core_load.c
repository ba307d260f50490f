#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"

struct load {
    struct core *core;
    struct core_time time;
    enum error error;
    uint64_t task_rows;
    uint64_t highest_sequence;
};

/* Keys of STORE_META. */
static const char key_store[] = "store";
static const char key_boot[] = "boot";
static const char key_paused[] = "paused";

static bool
load_total(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    load->error = entry->is_corrupt ? ERROR_CORRUPT
                                    : totals_load(&load->core->totals, entry->key, entry->value);
    return load->error == OK;
}

/* The monotonic time for a wall-clock one of the past process, never more than max_ms ahead. */
static int64_t
due_from_wall(const struct load *load, int64_t due_at, int64_t max_ms)
{
    int64_t left_ms = due_at - load->time.wall_ms;
    if (left_ms > max_ms)
        left_ms = max_ms;
    return load->time.now_ms + (left_ms > 0 ? left_ms : 0);
}

/* The last request to a host may have been a moment before the stop, also to one whose row is not
 * written yet. */
static void
start_gap(const struct load *load, uint32_t host)
{
    struct hosts *hosts = &load->core->hosts;
    if (host != HOST_DOCUMENTS)
        host_at(hosts, host)->next_ms = load->time.now_ms + host_gap_ms(hosts, host);
}

static void
start_gap_of(void *context, uint32_t host)
{
    start_gap(context, host);
}

/* The sums of many hosts. */
static bool
load_host_sums(struct load *load, const struct store_entry *entry)
{
    struct core *core = load->core;
    enum error error = host_sums_load(&core->host_sums, &core->hosts, entry->key, entry->value,
                                      start_gap_of, load);
    if (error != ERROR_CORRUPT) /* else the hosts' own rows tell what they were before */
        load->error = error;
    return load->error == OK;
}

static bool
load_host(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    struct core *core = load->core;
    struct host_record record;
    if (host_sums_is_row(entry->key))
        return load_host_sums(load, entry);
    if (entry->is_corrupt || entry->key.size < 1 || host_record_read(entry->value, &record))
        return true; /* its politeness starts anew; counted by the store */
    uint32_t host = 0;
    load->error =
        hosts_find(&core->hosts, slice_of(entry->key.data + 1, entry->key.size - 1), &host);
    if (load->error)
        return false;
    struct host *row = host_at(&core->hosts, host);
    host_sums_raise(row, record.done, record.failed, record.bytes);
    row->gap_ms = record.gap_ms > INT32_MAX ? INT32_MAX : (int32_t)record.gap_ms;
    row->failures = record.failures > UINT16_MAX ? UINT16_MAX : (uint16_t)record.failures;
    if (record.blocked_until_at > load->time.wall_ms)
        row->blocked_until_ms = due_from_wall(load, record.blocked_until_at, record.blocked_ms);
    start_gap(load, host);
    return true;
}

static bool
load_task(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    struct core *core = load->core;
    struct task_record record;
    load->task_rows++;
    if (entry->number > load->highest_sequence)
        load->highest_sequence = entry->number;
    if (entry->is_corrupt || entry->number > SEQUENCE_MAX ||
        task_record_read(entry->value, &record)) {
        core->set_aside++;
        return true;
    }
    uint32_t host = 0;
    uint32_t slot = SLOT_NONE;
    load->error = hosts_find(&core->hosts, record.host, &host);
    if (load->error)
        return false;
    start_gap(load, host);
    load->error = scheduler_add(&core->scheduler, entry->number, host, record.priority,
                                record.attempts, record.has_body, &slot);
    if (load->error)
        return false;
    if (record.due_at > load->time.wall_ms)
        load->error = scheduler_delay(
            &core->scheduler, slot,
            due_from_wall(load, record.due_at, record.wait_ms ? record.wait_ms : INT64_MAX / 4));
    else
        load->error = scheduler_ready(&core->scheduler, slot);
    return load->error == OK;
}

static bool
load_seen(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    if (entry->is_corrupt || entry->value.size % sizeof(struct fingerprint) != 0)
        return true; /* these may be fetched once more; counted by the store */
    for (size_t at = 0; at < entry->value.size; at += sizeof(struct fingerprint)) {
        struct fingerprint fingerprint;
        bool is_new = false;
        memcpy(&fingerprint, entry->value.data + at, sizeof fingerprint);
        load->error = seen_add(load->core->seen, fingerprint, &is_new);
        if (load->error)
            return false;
    }
    return true;
}

static bool
load_client(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    if (entry->is_corrupt || entry->key.size != CLIENT_ID_BYTES)
        return true;
    uint32_t peer = PEER_NONE;
    load->error = roster_join(&load->core->roster, ROLE_FEED, slice_of(NULL, 0), entry->key.data,
                              slice_of(NULL, 0), load->time.now_ms, &peer);
    if (load->error)
        return false;
    struct peer *row = peer_at(&load->core->roster, peer);
    row->is_present = false;
    if (window_read(&row->window, entry->value))
        roster_leave(&load->core->roster, peer);
    return true;
}

static bool
load_worker(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    if (entry->is_corrupt || entry->key.size != CLIENT_ID_BYTES ||
        entry->value.size > PEER_NAME_BYTES_MAX)
        return true;
    uint32_t peer = PEER_NONE;
    load->error = roster_join(&load->core->roster, ROLE_WORK, slice_of(NULL, 0), entry->key.data,
                              entry->value, load->time.now_ms, &peer);
    if (load->error)
        return false;
    struct peer *row = peer_at(&load->core->roster, peer);
    row->is_present = false;
    row->is_expected = true;
    load->core->absent_workers++;
    return true;
}

static bool
load_collector(void *context, const struct store_entry *entry)
{
    struct load *load = context;
    struct slice value = entry->value;
    uint64_t position = 0;
    if (entry->is_corrupt || !read_varint(&value, &position)) {
        load->error = ERROR_CORRUPT;
        return false;
    }
    struct collector *collector = core_collector(load->core, entry->key);
    if (!collector) {
        load->error = ERROR_NO_MEMORY;
        return false;
    }
    collector->acknowledged = position;
    collector->stored = position;
    collector->sent = position;
    return true;
}

/* A number of STORE_META; absent: 0. */
static enum error
load_number(struct core *core, const char *key, uint64_t *ret_number)
{
    buffer_clear(&core->scratch);
    enum error error = store_get_bytes(core->store, STORE_META, slice_string(key), &core->scratch);
    if (error == ERROR_NOT_FOUND) {
        *ret_number = 0;
        return OK;
    }
    struct slice value = buffer_slice(&core->scratch);
    if (!error && !read_varint(&value, ret_number))
        error = ERROR_CORRUPT;
    return error;
}

static void
put_number(struct core *core, const char *key, uint64_t number)
{
    buffer_clear(&core->scratch);
    write_varint(&core->scratch, number);
    store_batch_put_bytes(core_filling(core)->rows, STORE_META, slice_string(key),
                          buffer_slice(&core->scratch));
}

static enum error
load_identity(struct core *core)
{
    uint64_t store_id = 0;
    uint64_t paused = 0;
    enum error error = load_number(core, key_store, &store_id);
    if (!error)
        error = load_number(core, key_boot, &core->boot);
    if (!error)
        error = load_number(core, key_paused, &paused);
    if (error)
        return error;
    while (store_id == 0)
        store_id = dice_next(&core->dice) & UINT32_MAX;
    core->store_id = (uint32_t)store_id;
    core->is_paused = paused != 0;
    core->boot++;
    put_number(core, key_store, store_id);
    put_number(core, key_boot, core->boot);
    return OK;
}

struct step {
    enum store_table table;
    store_visit_fn *visit;
};

static enum error
load_tables(struct core *core, struct core_time time, uint64_t *ret_task_rows,
            uint64_t *ret_highest)
{
    static const struct step steps[] = {
        {STORE_TOTALS, load_total},   {STORE_HOSTS, load_host},
        {STORE_TASKS, load_task},     {STORE_SEEN, load_seen},
        {STORE_CLIENTS, load_client}, {STORE_COLLECTORS, load_collector},
        {STORE_WORKERS, load_worker},
    };
    struct load load = {.core = core, .time = time};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum error error = store_scan(core->store, steps[i].table, 0, steps[i].visit, &load);
        if (!error)
            error = load.error;
        if (error)
            return error;
    }
    *ret_task_rows = load.task_rows;
    *ret_highest = load.highest_sequence;
    return OK;
}

static enum error
check_ledger(const struct core *core, uint64_t task_rows, char **ret_message)
{
    const struct totals *totals = &core->totals;
    uint64_t accepted = totals_get(totals, TOTAL_STATE, "accepted");
    uint64_t ended = totals_get(totals, TOTAL_STATE, "done") +
                     totals_get(totals, TOTAL_STATE, "dead") +
                     totals_get(totals, TOTAL_STATE, "cancelled");
    if (accepted == task_rows + ended)
        return OK;
    if (ret_message && asprintf(ret_message,
                                "the store's ledger does not add up: %llu tasks accepted, "
                                "%llu ended, %llu unfinished rows; restore a backup",
                                (unsigned long long)accepted, (unsigned long long)ended,
                                (unsigned long long)task_rows) < 0)
        *ret_message = NULL;
    return ERROR_CORRUPT;
}

enum error
core_load(struct core *core, struct core_time time, char **ret_message)
{
    uint64_t task_rows = 0;
    uint64_t highest = 0;
    enum error error = load_identity(core);
    if (!error)
        error = load_tables(core, time, &task_rows, &highest);
    if (error == ERROR_FULL && ret_message)
        *ret_message = strdup("the store holds more tasks than tasks-max; raise it");
    if (error)
        return error;
    scheduler_loaded(&core->scheduler);
    if (core->absent_workers == 0)
        scheduler_settled(&core->scheduler);
    error = check_ledger(core, task_rows, ret_message);
    if (error)
        return error;
    core->position = totals_get(&core->totals, TOTAL_STATE, "position");
    core->trimmed = totals_get(&core->totals, TOTAL_STATE, "trimmed");
    core->durable_position = core->position;
    core->next_sequence = totals_get(&core->totals, TOTAL_STATE, "sequence");
    if (core->next_sequence <= highest)
        core->next_sequence = highest + 1;
    for (uint32_t i = 0; i < core->collector_count; i++) {
        if (core->collectors[i].sent < core->trimmed)
            core->collectors[i].sent = core->trimmed;
    }
    if (core->boot >= 1ULL << (63 - FENCE_COUNTER_BITS))
        return ERROR_CORRUPT;
    leases_init(&core->leases, core->boot, core->options.lease_ms);
    core->takeover_until_ms = time.now_ms + core->options.takeover_ms;
    core->next_trim_ms = time.now_ms;
    core->next_peers_ms = time.now_ms;
    return OK;
}
