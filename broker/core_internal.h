/*
 * core_internal: the parts of struct core, for the files that make it up: core.c (life, batches),
 * core_load.c (start), core_peers.c (HELLO, heartbeats), core_intake.c, core_dispatch.c,
 * core_results.c, core_collect.c, core_control.c.
 */
#ifndef THRESH_BROKER_CORE_INTERNAL_H
#define THRESH_BROKER_CORE_INTERNAL_H

#include "broker/core.h"
#include "broker/host_sums.h"
#include "broker/hosts.h"
#include "broker/leases.h"
#include "broker/record.h"
#include "broker/roster.h"
#include "broker/scheduler.h"
#include "broker/seen.h"
#include "broker/totals.h"
#include "common/message.h"
#include "common/outcome.h"

#define CORE_BATCHES 8                           /* filling, waiting, applied, and spare */
#define CORE_BATCH_BYTES_MAX ((size_t)256 << 20) /* of rows; then intake is refused as busy */
#define CORE_BATCH_BYTES_BUSY                                                                  \
    ((size_t)64 << 20)                         /* rows waiting; then intake is refused as busy \
                                                */
#define CORE_TRIM_MAX 4096                     /* results deleted in one batch */
#define CORE_GRANTS_MAX 2048                   /* leases granted in one turn */
#define CORE_TASKS_BYTES_MAX ((size_t)8 << 20) /* of one TASKS message; one body always may */
#define CORE_KEEP_BYTES_MAX ((size_t)16 << 20) /* of a buffer between two messages */
#define CORE_META_BYTES_MAX 16384
#define CORE_KEY_BYTES_MAX 256
#define CORE_REASON_BYTES_MAX 512
#define CORE_COLLECTORS_MAX 256
#define CORE_CLIENTS_MAX 4096 /* feeders remembered for their resends */
#define CORE_WINDOW_MAX 64
#define CORE_BATCH_UNTOLD 256 /* items in a message of a feeder that was not told batch_max yet */
#define CORE_BUSY_RETRY_MS 500
#define CORE_EXPIRY_MAX 1000 /* leases ended in one turn, so that a crowd's end is paced */
#define CORE_HOPS_MAX 20     /* redirects to other hosts, for one task */

/* What happens when a batch is durable. */
enum deferred_kind {
    DEFERRED_ANSWER,
    DEFERRED_READY,
    DEFERRED_DELAY,
    DEFERRED_POSITION, /* of a collector */
};

struct deferred {
    enum deferred_kind kind;
    uint32_t subject; /* slot, peer or collector */
    int64_t due_ms;   /* DELAY */
    uint64_t number;  /* POSITION; ANSWER: generation of the peer's use */
    size_t offset;    /* ANSWER: its header frame in the batch's answers */
    size_t size;
};

struct core_batch {
    struct store_batch *rows;
    struct buffer answers;
    struct buffer fingerprints; /* of the tasks accepted in it */
    uint64_t first_sequence;    /* of those */
    struct deferred *deferred;
    size_t deferred_count;
    size_t deferred_capacity;
    uint64_t number;
    uint64_t position; /* newest result in it or before */
};

struct delivery {
    uint64_t last;
    uint32_t count;
    size_t bytes;
};

struct collector {
    char name[PEER_NAME_BYTES_MAX + 1];
    uint64_t acknowledged; /* in memory; on the disk with the next batch */
    uint64_t stored;       /* durable */
    uint64_t sent;
    uint32_t peer;         /* PEER_NONE: nobody reads */
    uint64_t subscription; /* its number, the collector's choice */
    uint64_t number;       /* messages delivered under it: a hole tells of a lost one */
    bool is_unreachable;   /* until its peer says something */
    uint32_t credit;
    size_t bytes_max;
    uint32_t under_way;
    size_t bytes_under_way;
    struct delivery *deliveries; /* a queue of messages not acknowledged yet */
    size_t delivery_first;
    size_t delivery_count;
    size_t delivery_capacity;
    bool is_dirty;
};

struct core {
    struct core_options options;
    char *name;
    struct store *store;
    struct core_port port;
    uint32_t store_id;
    uint64_t boot;
    int64_t started_ms;
    struct dice dice;

    struct hosts hosts;
    struct scheduler scheduler;
    struct leases leases;
    struct roster roster;
    struct seen *seen;
    struct totals totals;
    struct collector *collectors;
    uint32_t collector_count;

    uint64_t next_sequence;
    uint64_t position;         /* newest result */
    uint64_t durable_position; /* of them, on the disk */
    uint64_t trimmed;          /* results up to here are deleted */
    uint64_t set_aside;
    uint64_t dead_changed; /* number of the batch that last took dead letters away */

    uint32_t *dirty_hosts; /* their rows wait to be written */
    uint32_t dirty_host_count;
    uint32_t dirty_host_capacity;
    struct host_sums host_sums;
    bool is_any_window_dirty;
    uint32_t absent_workers; /* of the last boot, not heard of yet */
    int64_t takeover_until_ms;
    int64_t next_trim_ms;
    int64_t next_peers_ms;
    bool is_open;     /* the boot number is durable: leases may go out */
    bool is_draining; /* takes nothing in, hands nothing out */
    bool is_leaving;  /* and ends: the daemon said so */
    bool is_paused;   /* told to by a person; kept */
    bool wants_stop;

    struct core_batch batches[CORE_BATCHES];
    uint64_t filling;  /* number of the batch being filled; its place is number % CORE_BATCHES */
    uint64_t finished; /* batches up to here are durable */

    struct buffer scratch; /* for one message or row at a time */
    struct buffer scratch2;
    struct buffer scratch3;
    struct buffer canonical; /* URL or name of the item that is being taken */
    struct buffer statuses;  /* of the message that is being taken */
    struct buffer reasons;
    struct buffer head;   /* of a result's row */
    struct buffer table;  /* rows of the message that is being made */
    struct buffer bodies; /* and its bodies, one behind the other */
};

/* One message as received, its header read. */
struct incoming {
    struct core_time time;
    enum role role;
    struct slice route;
    uint32_t peer; /* PEER_NONE before HELLO */
    enum message_type type;
    uint64_t sequence;
    struct reader reader; /* at the pairs of the header's map */
    size_t pairs;
    const struct slice *frames;
    size_t frame_count;
};

/* ---- core.c ------------------------------------------------------------------------------ */
struct core_batch *core_filling(struct core *core);
MUST_CHECK enum error core_defer(struct core *core, struct deferred deferred);
/* The answer goes to the peer when the batch being filled is durable. */
void core_answer_later(struct core *core, uint32_t peer, struct slice answer);
void core_send_header(struct core *core, uint32_t peer, const struct buffer *header);
void core_refuse(struct core *core, const struct incoming *in, const char *code,
                 const char *reason);
/* What a body number of a table points to; data NULL when there is no such frame. */
struct slice core_body(const struct incoming *in, uint64_t number);
void core_task_id(const struct core *core, uint64_t sequence, char *ret_text);
void core_window_dirty(struct core *core, uint32_t peer);

/* ---- core_load.c ------------------------------------------------------------------------- */
MUST_CHECK enum error core_load(struct core *core, struct core_time time, char **ret_message);

/* ---- core_peers.c ------------------------------------------------------------------------ */
void core_hello(struct core *core, struct incoming *in);
void core_heartbeat(struct core *core, struct incoming *in);
void core_goodbye(struct core *core, struct incoming *in);
void core_credit(struct core *core, struct incoming *in);
/* Forgets peers that have been silent; returns when it wants to be called again. */
int64_t core_peers_tick(struct core *core, struct core_time time);

/* ---- core_intake.c ----------------------------------------------------------------------- */
void core_submit(struct core *core, struct incoming *in);
/* Accepts a task whose item map is ready; OK, or ERROR_FULL and the like. fingerprint: its identity
 * for the duplicate check; NULL when it has been noted before. */
MUST_CHECK enum error core_accept(struct core *core, struct core_time time,
                                  struct task_record *record, struct slice body,
                                  const struct fingerprint *fingerprint);

/* An item's map as it is stored and leased. Slices without data are left out. */
struct item {
    struct slice url; /* canonical */
    struct slice content_type;
    struct slice meta;      /* a msgpack map */
    struct slice host;      /* given by the feeder */
    struct slice redirects; /* a msgpack array */
    uint64_t hops;
};
void core_item_write(struct buffer *out, const struct item *item);
MUST_CHECK enum error core_item_read(struct slice map, struct item *ret_item);
/* The key of politeness of a URL; given: what the feeder asked for, or empty. */
struct slice core_host_key(const struct core *core, const struct url *url, struct slice given);

/* Empties a buffer of the core's; its memory stays for the next message unless it is large. */
static inline void
core_shrink(struct buffer *buffer)
{
    if (buffer->capacity > CORE_KEEP_BYTES_MAX)
        buffer_release(buffer);
    buffer_clear(buffer);
}

/* ---- core_hosts.c ------------------------------------------------------------------------ */
/* More than the sums of a host has changed: its row is written with this batch. */
void core_host_dirty(struct core *core, uint32_t host);
/* Its sums have changed. */
void core_host_counted(struct core *core, uint32_t host);
void core_write_hosts(struct core *core, struct core_time time, struct store_batch *rows);
void core_release_hosts(struct core *core);

/* ---- core_dispatch.c --------------------------------------------------------------------- */
/* Grants what may go out; true when there may be more, which the next turn grants. */
bool core_dispatch(struct core *core, struct core_time time);
void core_end_lease(struct core *core, uint32_t lease);
/* The lease ends and its task is ready again, with no attempt counted. */
void core_release_lease(struct core *core, uint32_t lease);

/* ---- core_ending.c ----------------------------------------------------------------------- */
/* How an attempt ended, as its worker says or as the broker found. */
struct ending {
    uint64_t fence;
    struct slice task; /* as the report names it */
    enum outcome outcome;
    uint64_t http_status;
    int64_t retry_after_ms;
    int64_t since_request_ms; /* -1: no request was made */
    struct slice location;
    struct slice reason;
    struct slice content_type;
    struct slice language;
    uint64_t bytes;
    uint64_t text_bytes;
    struct slice result; /* data NULL: none */
    const char *worker;
};
/* Ends an attempt: the lease, the host's clocks, the task's next state, the sums. */
void core_end_attempt(struct core *core, struct core_time time, uint32_t lease,
                      const struct ending *ending);

/* ---- core_results.c ---------------------------------------------------------------------- */
void core_results(struct core *core, struct incoming *in);
/* The task's row, in scratch3. ERROR_CORRUPT, ERROR_NOT_FOUND and the like. */
MUST_CHECK enum error core_read_task(struct core *core, uint64_t sequence,
                                     struct task_record *ret_record);
void core_release(struct core *core, struct incoming *in);
void core_expire(struct core *core, struct core_time time);

/* ---- core_collect.c ---------------------------------------------------------------------- */
void core_subscribe(struct core *core, struct incoming *in);
void core_acknowledge(struct core *core, struct incoming *in);
void core_deliver(struct core *core);
/* The pairs of RENEWED for a collector: position, subscription, number. */
void core_renew_collector(struct core *core, uint32_t peer, struct buffer *out);
/* The peer reads no more results; nothing happens to one that reads none. */
void core_leave_collector(struct core *core, uint32_t peer);
/* Finds or makes a collector by name. NULL: too many, or no memory. */
struct collector *core_collector(struct core *core, struct slice name);
void core_trim(struct core *core, struct core_time time);

/* ---- core_control.c ---------------------------------------------------------------------- */
void core_request(struct core *core, struct incoming *in);

#endif
