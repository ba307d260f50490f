/*
 * lease: the worker's right to one task until a deadline, and the table of those held.
 *
 * A grant is what a row of TASKS says; its slices point into the message. A lease is embedded in
 * whatever the worker keeps for the task and holds its own copies. It stays in the table until the
 * broker has recorded its report, so that HELLO and HEARTBEAT can name it.
 *
 * Bounds   LEASE_REDIRECTS_MAX redirects; the table grows by what leases_init() was told.
 * Threads  one owner.
 */
#ifndef THRESH_WORKER_LEASE_H
#define THRESH_WORKER_LEASE_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_TASK_BYTES_MAX 32 /* an id has 18 digits in version 1 */
#define LEASE_REDIRECTS_MAX 32  /* URLs before this one that are told on in the result */
#define LEASE_META_BYTES_MAX 16384
#define LEASE_TEXT_BYTES_MAX 8192 /* a URL or a document's name, a content type */

struct lease {
    uint64_t fence;
    char task[LEASE_TASK_BYTES_MAX + 1];
    uint64_t attempt; /* 1 is the first */
    struct slice url; /* canonical, or a document's name */
    struct slice content_type;
    struct slice meta; /* one msgpack map; empty when there is none */
    uint64_t hops;     /* redirects to other hosts so far */
    struct slice redirects[LEASE_REDIRECTS_MAX];
    size_t redirect_count;
    bool has_body;
    struct slice body; /* in the message; only valid while the grant is handled */

    bool is_reported; /* its report or release waits for RECORDED */
    struct lease *next;
    struct lease *previous;
    struct lease *next_in_bucket;
};

/* Reads one row of TASKS; frames are the whole message's (bodies from frame 2 on).
 * ERROR_PROTOCOL: a field is missing, of a wrong type or over its bound. */
MUST_CHECK enum error lease_read(struct slice row, const struct slice *frames, size_t frame_count,
                                 struct lease *ret_grant);

/* Copies what the grant points to into the arena; the body stays where it is. ERROR_NO_MEMORY. */
MUST_CHECK enum error lease_keep(struct lease *lease, const struct lease *grant,
                                 struct arena *arena);

struct leases {
    struct lease *first; /* oldest first */
    struct lease *last;
    struct lease **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    size_t reported_count; /* of these, the ones that wait for RECORDED */
};

/* ERROR_NO_MEMORY. `expected` sizes the table; more are held, only slower. */
MUST_CHECK enum error leases_init(struct leases *leases, size_t expected);
void leases_release(struct leases *leases);
struct lease *leases_find(const struct leases *leases, uint64_t fence);
/* The fence must be new. The lease stays the caller's and must not move. */
void leases_add(struct leases *leases, struct lease *lease);
void leases_report(struct leases *leases, struct lease *lease); /* once a lease */
void leases_remove(struct leases *leases, struct lease *lease);

#endif
