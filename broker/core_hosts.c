/* What is kept of hosts: which rows of them a batch writes. */
#include <stdlib.h>
#include <string.h>

#include "broker/core_internal.h"

void
core_host_dirty(struct core *core, uint32_t host)
{
    struct host *row = host_at(&core->hosts, host);
    if (row->is_dirty)
        return;
    if (core->dirty_host_count == core->dirty_host_capacity) {
        uint32_t capacity = core->dirty_host_capacity ? core->dirty_host_capacity * 2 : 64;
        uint32_t *larger = realloc(core->dirty_hosts, capacity * sizeof *larger);
        if (!larger)
            return; /* its next change brings it here again */
        core->dirty_hosts = larger;
        core->dirty_host_capacity = capacity;
    }
    row->is_dirty = true;
    core->dirty_hosts[core->dirty_host_count++] = host;
}

void
core_host_counted(struct core *core, uint32_t host)
{
    if (!host_sums_change(&core->host_sums, &core->hosts, host))
        core_host_dirty(core, host);
}

/* In the order of their keys, so that the store finds neighbours on one page. */
static int
compare_names(const void *left, const void *right, void *context)
{
    const struct hosts *hosts = context;
    struct slice a = host_name(hosts, *(const uint32_t *)left);
    struct slice b = host_name(hosts, *(const uint32_t *)right);
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static void
write_row(struct core *core, struct core_time time, uint32_t host, struct store_batch *rows)
{
    struct host *row = host_at(&core->hosts, host);
    bool is_blocked = row->blocked_until_ms > time.now_ms;
    int64_t left_ms = is_blocked ? row->blocked_until_ms - time.now_ms : 0;
    const struct host_record record = {
        .blocked_until_at = is_blocked ? time.wall_ms + left_ms : 0,
        .blocked_ms = left_ms,
        .failures = row->failures,
        .gap_ms = row->gap_ms,
        .done = row->done,
        .failed = row->failed,
        .bytes = row->bytes,
    };
    row->is_dirty = false;
    buffer_clear(&core->scratch);
    host_record_write(&core->scratch, &record);
    /* A key cannot be empty: every name is kept behind one byte. */
    buffer_clear(&core->scratch2);
    buffer_append_byte(&core->scratch2, '.');
    struct slice name = host_name(&core->hosts, host);
    buffer_append(&core->scratch2, name.data, name.size);
    store_batch_put_bytes(rows, STORE_HOSTS, buffer_slice(&core->scratch2),
                          buffer_slice(&core->scratch));
}

void
core_write_hosts(struct core *core, struct core_time time, struct store_batch *rows)
{
    struct host_sums *sums = &core->host_sums;
    host_sums_write(sums, &core->hosts, &core->scratch, rows);
    bool is_folding = host_sums_is_full(sums);
    for (uint32_t i = 0; is_folding && i < sums->logged.count; i++) {
        core_host_dirty(core, sums->logged.hosts[i]);
        is_folding = host_at(&core->hosts, sums->logged.hosts[i])->is_dirty;
    }
    if (core->dirty_host_count > 1)
        qsort_r(core->dirty_hosts, core->dirty_host_count, sizeof *core->dirty_hosts, compare_names,
                &core->hosts);
    for (uint32_t i = 0; i < core->dirty_host_count; i++)
        write_row(core, time, core->dirty_hosts[i], rows);
    core->dirty_host_count = 0;
    /* Without memory for all of them they are folded another time. */
    if (is_folding)
        host_sums_folded(sums, &core->hosts, rows);
}

void
core_release_hosts(struct core *core)
{
    free(core->dirty_hosts);
    host_sums_release(&core->host_sums);
}
