#include "broker/hosts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#define NAMES_BYTES_MAX ((size_t)UINT32_MAX)

/* The hash of a name, stepped on past names that share it; 0 is not a key of the map. */
static uint64_t
hash_of(struct slice name, unsigned step)
{
    uint64_t hash = XXH3_64bits(name.data, name.size) + step;
    return hash ? hash : 1;
}

static enum error
add(struct hosts *hosts, struct slice name, uint64_t hash, uint32_t *ret_host)
{
    if (hosts->count >= HOSTS_MAX)
        return ERROR_FULL;
    if (hosts->count == hosts->capacity) {
        uint32_t capacity = hosts->capacity ? hosts->capacity * 2 : 64;
        struct host *larger = realloc(hosts->hosts, capacity * sizeof *larger);
        if (!larger)
            return ERROR_NO_MEMORY;
        hosts->hosts = larger;
        hosts->capacity = capacity;
    }
    uint32_t offset = (uint32_t)hosts->names.size;
    buffer_append(&hosts->names, name.data, name.size);
    enum error error = buffer_error(&hosts->names);
    if (error)
        return error;
    error = map_set(&hosts->by_hash, hash, hosts->count);
    if (error)
        return error;
    hosts->hosts[hosts->count] = (struct host){
        .hash = hash,
        .gap_ms = -1,
        .name = offset,
        .name_bytes = (uint8_t)name.size,
        .queues = UINT32_MAX,
        .last_worker = UINT32_MAX,
        .smallest_gap_ms = UINT32_MAX,
        .last_grant_ms = INT64_MIN,
        .next_ms = INT64_MIN,
        .blocked_until_ms = INT64_MIN,
        .blocked_since_ms = INT64_MIN,
    };
    *ret_host = hosts->count++;
    return OK;
}

enum error
hosts_init(struct hosts *hosts, const struct hosts_options *options)
{
    assert(options->connections_max >= 1 && options->gap_ms >= 0);
    *hosts = (struct hosts){.options = *options};
    map_init(&hosts->by_hash);
    buffer_init(&hosts->names, NAMES_BYTES_MAX);
    uint32_t documents = 0;
    return add(hosts, slice_of("", 0), hash_of(slice_of("", 0), 0), &documents);
}

void
hosts_release(struct hosts *hosts)
{
    free(hosts->hosts);
    map_release(&hosts->by_hash);
    buffer_release(&hosts->names);
    *hosts = (struct hosts){0};
}

struct slice
host_name(const struct hosts *hosts, uint32_t host)
{
    assert(host < hosts->count);
    const struct host *row = &hosts->hosts[host];
    return slice_of(hosts->names.data + row->name, row->name_bytes);
}

/* Finds the name, or the free hash under which it would be added. */
static uint32_t
search(const struct hosts *hosts, struct slice name, uint64_t *ret_hash)
{
    for (unsigned step = 0;; step++) {
        uint64_t hash = hash_of(name, step);
        uint32_t host = 0;
        *ret_hash = hash;
        if (!map_get(&hosts->by_hash, hash, &host))
            return HOST_NONE;
        if (slice_equal(host_name(hosts, host), name))
            return host;
    }
}

uint32_t
hosts_lookup(const struct hosts *hosts, struct slice name)
{
    uint64_t hash = 0;
    return search(hosts, name, &hash);
}

enum error
hosts_find(struct hosts *hosts, struct slice name, uint32_t *ret_host)
{
    assert(name.size <= HOST_NAME_BYTES_MAX);
    uint64_t hash = 0;
    uint32_t host = search(hosts, name, &hash);
    if (host == HOST_NONE)
        return add(hosts, name, hash, ret_host);
    *ret_host = host;
    return OK;
}

int64_t
host_due_ms(const struct hosts *hosts, uint32_t host)
{
    const struct host *row = &hosts->hosts[host];
    return row->next_ms > row->blocked_until_ms ? row->next_ms : row->blocked_until_ms;
}

bool
host_has_room(const struct hosts *hosts, uint32_t host)
{
    return host == HOST_DOCUMENTS || hosts->hosts[host].in_flight < hosts->options.connections_max;
}

int64_t
host_gap_ms(const struct hosts *hosts, uint32_t host)
{
    if (host == HOST_DOCUMENTS)
        return 0;
    int32_t own = hosts->hosts[host].gap_ms;
    return own >= 0 ? own : hosts->options.gap_ms;
}

void
host_granted(struct hosts *hosts, uint32_t host, int64_t now_ms)
{
    struct host *row = &hosts->hosts[host];
    if (host != HOST_DOCUMENTS)
        row->in_flight++;
    int64_t gap_ms = host_gap_ms(hosts, host);
    if (gap_ms > 0 && now_ms + gap_ms > row->next_ms)
        row->next_ms = now_ms + gap_ms;
    if (row->last_grant_ms != INT64_MIN && now_ms - row->last_grant_ms < row->smallest_gap_ms)
        row->smallest_gap_ms = (uint32_t)(now_ms - row->last_grant_ms);
    row->last_grant_ms = now_ms;
}

void
host_resumed(struct hosts *hosts, uint32_t host)
{
    if (host != HOST_DOCUMENTS)
        hosts->hosts[host].in_flight++;
}

void
host_asked(struct hosts *hosts, uint32_t host, int64_t now_ms, int64_t since_request_ms)
{
    struct host *row = &hosts->hosts[host];
    if (host == HOST_DOCUMENTS)
        return;
    assert(row->in_flight > 0);
    row->in_flight--;
    int64_t gap_ms = host_gap_ms(hosts, host);
    if (since_request_ms < 0 || gap_ms == 0)
        return;
    /* The request left the worker some time after the grant: the gap counts from there. */
    int64_t asked_ms = now_ms - since_request_ms;
    if (asked_ms + gap_ms > row->next_ms)
        row->next_ms = asked_ms + gap_ms;
}

void
host_forgive(struct hosts *hosts, uint32_t host)
{
    hosts->hosts[host].failures = 0;
}

void
host_limited(struct hosts *hosts, uint32_t host, int64_t now_ms, int64_t granted_ms,
             int64_t retry_after_ms, struct dice *dice)
{
    struct host *row = &hosts->hosts[host];
    if (host == HOST_DOCUMENTS)
        return;
    int64_t until_ms = now_ms + retry_after_ms;
    if (granted_ms > row->blocked_since_ms || row->failures == 0) {
        if (row->failures < UINT16_MAX)
            row->failures++;
        row->blocked_since_ms = now_ms;
        int64_t wait_ms = backoff_ms(row->failures, hosts->options.backoff_ms,
                                     hosts->options.backoff_max_ms, dice);
        if (now_ms + wait_ms > until_ms)
            until_ms = now_ms + wait_ms;
    }
    if (until_ms > row->blocked_until_ms)
        row->blocked_until_ms = until_ms;
}
