/*
 * hosts: what the broker knows of each host, and when it may be asked next.
 *
 * A host is the unit of politeness: a host name by default. It has two clocks: next_ms, moved on by
 * the gap with each request, and blocked_until_ms, moved on by what the host asked for (429, 503)
 * or by the doubling backoff; it may be asked when both have passed. Host 0 stands for fed
 * documents, which nobody fetches: it has no gap and no limit.
 *
 * Bounds   HOSTS_MAX hosts; memory is given back only at the end.
 * Threads  one owner. No I/O, no clock.
 * Source   BUbiNG's workbench; performance document, section 5.3; features, lessons 6.
 */
#ifndef THRESH_BROKER_HOSTS_H
#define THRESH_BROKER_HOSTS_H

#include "broker/backoff.h"
#include "broker/map.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define HOSTS_MAX 100000000U
#define HOST_NAME_BYTES_MAX 253
#define HOST_NONE UINT32_MAX
#define HOST_DOCUMENTS 0U

struct host {
    uint64_t hash;
    int64_t next_ms;          /* gap clock */
    int64_t blocked_until_ms; /* backoff clock */
    int64_t blocked_since_ms; /* when the last incident was noted */
    uint64_t done;
    uint64_t failed;
    uint64_t bytes;
    int32_t gap_ms; /* -1: the default */
    uint32_t name;  /* offset in the names */
    uint32_t queued;
    uint32_t queues; /* the scheduler's */
    uint32_t last_worker;
    uint32_t smallest_gap_ms; /* between two grants; UINT32_MAX: there were no two */
    int64_t last_grant_ms;
    uint16_t in_flight;
    uint16_t failures; /* incidents in a row */
    uint8_t name_bytes;
    bool is_dirty;   /* its row waits to be written */
    bool is_changed; /* its sums have changed since the last batch; host_sums.h */
    bool is_logged;  /* its sums are newer than its row */
};

struct hosts_options {
    int64_t gap_ms;
    int connections_max; /* attempts at one host at the same time */
    int64_t backoff_ms;
    int64_t backoff_max_ms;
};

struct hosts {
    struct hosts_options options;
    struct host *hosts;
    uint32_t count;
    uint32_t capacity;
    struct map by_hash;
    struct buffer names;
};

MUST_CHECK enum error hosts_init(struct hosts *hosts, const struct hosts_options *options);
void hosts_release(struct hosts *hosts);

/* The host of that name (1 to 253 bytes), made when new. ERROR_NO_MEMORY, ERROR_FULL. */
MUST_CHECK enum error hosts_find(struct hosts *hosts, struct slice name, uint32_t *ret_host);
/* HOST_NONE when it is not known. */
uint32_t hosts_lookup(const struct hosts *hosts, struct slice name);

struct slice host_name(const struct hosts *hosts, uint32_t host);
static inline struct host *
host_at(struct hosts *hosts, uint32_t host)
{
    return &hosts->hosts[host];
}

/* When it may be asked next. */
int64_t host_due_ms(const struct hosts *hosts, uint32_t host);
bool host_has_room(const struct hosts *hosts, uint32_t host);
int64_t host_gap_ms(const struct hosts *hosts, uint32_t host);

/* A request was granted at now_ms: the gap clock starts. */
void host_granted(struct hosts *hosts, uint32_t host, int64_t now_ms);
/* An attempt of before the restart goes on: it takes room, and no clock moves. */
void host_resumed(struct hosts *hosts, uint32_t host);
/* The attempt ended at now_ms; its last request began since_request_ms before (-1: none did). */
void host_asked(struct hosts *hosts, uint32_t host, int64_t now_ms, int64_t since_request_ms);
/* The host answered well: incidents are forgiven. */
void host_forgive(struct hosts *hosts, uint32_t host);
/*
 * The host said 429 or 503 to a request granted at granted_ms. One step of backoff an incident:
 * answers to requests that were under way when the last one was noted only extend the block to
 * what they ask for. retry_after_ms: 0 when the host named no time.
 */
void host_limited(struct hosts *hosts, uint32_t host, int64_t now_ms, int64_t granted_ms,
                  int64_t retry_after_ms, struct dice *dice);

#endif
