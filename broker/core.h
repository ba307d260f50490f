/*
 * core: the broker without its sockets, clocks and disk.
 *
 * Messages and the time come in as arguments; messages go out through a port; changes of what must
 * be remembered collect in batches that the caller gives to the store. Nothing is answered, handed
 * out or delivered before the batch that it rests on is durable. The same core runs in the daemon,
 * in scenarios and in the simulation.
 *
 *     core_receive()  a message came
 *     core_tick()     time went by; says when it wants to be called again
 *     core_seal()     the changes so far, as a batch to apply (after any of the above)
 *     core_durable()  batches up to a number are on the disk: answers go out, tasks become ready
 *
 * Bounds   those of core_options; see broker/DESIGN.md.
 * Threads  one owner. Reads the store it is given (store_get, store_read, store_scan).
 */
#ifndef THRESH_BROKER_CORE_H
#define THRESH_BROKER_CORE_H

#include "broker/roster.h"
#include "broker/store.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

struct core;

struct core_options {
    const char *name;
    int64_t gap_ms;
    int host_connections;
    bool is_host_domain; /* politeness by registrable domain instead of host name */
    int64_t lease_ms;
    int64_t heartbeat_ms;
    int64_t takeover_ms;
    int attempts_max;
    int64_t backoff_ms;
    int64_t backoff_max_ms;
    uint32_t tasks_max;
    uint64_t results_max;
    int64_t results_keep_ms;
    uint32_t batch_max;
    size_t message_bytes_max;
    size_t body_bytes_max;
    uint64_t seed; /* of the dice; a new store takes its id from it */
};

/* Now, on both clocks. Only wall_ms may jump. */
struct core_time {
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* Unix epoch */
};

/* Sends one message to a peer. ERROR_AGAIN: its queue is full; ERROR_NOT_FOUND: it is gone. */
struct core_port {
    enum error (*send)(void *context, enum role role, struct slice route,
                       const struct slice *frames, size_t frame_count);
    void *context;
};

/*
 * Reads the whole store once. The store stays the caller's. ERROR_CORRUPT: the ledger does not
 * add up, or a row that everything rests on is broken; *ret_message (malloc'd) says what.
 */
MUST_CHECK enum error core_create(const struct core_options *options, struct store *store,
                                  struct core_port port, struct core_time time,
                                  struct core **ret_core, char **ret_message);
void core_destroy(struct core *core);

void core_receive(struct core *core, struct core_time time, enum role role, struct slice route,
                  const struct slice *frames, size_t frame_count);

/* Does what is due; returns the monotonic time at which it wants to be called again. */
int64_t core_tick(struct core *core, struct core_time time);

/* The changes since the last call as a batch, or NULL when there are none or too many batches are
 * on their way. The batch stays untouched until core_durable() names its number. */
const struct store_batch *core_seal(struct core *core, struct core_time time, uint64_t *ret_number);
void core_durable(struct core *core, struct core_time time, uint64_t number);

/* No new tasks in, no new leases out; what runs is finished. */
void core_drain(struct core *core, struct core_time time);
/* Drained: nothing is leased, nothing waits for the disk. */
bool core_is_idle(const struct core *core);

struct core_counts {
    uint64_t accepted;
    uint64_t ready; /* pending and set-aside ones included */
    uint64_t delayed;
    uint64_t leased;
    uint64_t done;
    uint64_t dead;
    uint64_t cancelled;
    uint64_t set_aside;      /* of the ready ones: rows that cannot be read */
    bool is_ledger_right;    /* accepted is the sum of the others */
    uint64_t results_newest; /* position, durable */
    uint64_t results_kept;
    uint32_t workers;
};
void core_counts(const struct core *core, struct core_counts *ret_counts);

/* Asked to stop by a control message. */
bool core_wants_stop(const struct core *core);

#endif
