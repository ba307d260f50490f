/*
 * wire: what both ends of the protocol say in the same words, beside the form of the messages:
 * roles, identities, the answers to items and reports, what a worker tells of itself.
 *
 * Threads  pure functions.
 * Source   include/PROTOCOL.md.
 */
#ifndef THRESH_COMMON_WIRE_H
#define THRESH_COMMON_WIRE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_ID_BYTES 16      /* random at each start, or kept in a feeder's spool */
#define PEER_NAME_BYTES_MAX 128 /* UTF-8 */
#define SILENT_BEATS_MAX 3      /* heartbeats without a word, then the other end is gone */

enum role {
    ROLE_FEED,
    ROLE_WORK,
    ROLE_COLLECT,
    ROLE_CONTROL,
    ROLE_COUNT
};

const char *role_name(enum role role);
bool role_parse(struct slice name, enum role *ret_role);

enum item_status { /* of an item, in SUBMITTED */
    ITEM_ACCEPTED,
    ITEM_KNOWN,
    ITEM_INVALID,
    ITEM_BUSY,
    ITEM_STATUS_COUNT,
};

enum report_status { /* of a report or a release, in RECORDED */
    REPORT_RECORDED,
    REPORT_LATE,
    REPORT_REFUSED,
};

/* `stats` of a worker's HEARTBEAT. */
struct worker_stats {
    uint64_t fetching;
    uint64_t extracting;
    uint64_t waiting;
    uint64_t done;
    uint64_t failed;
    uint64_t bytes_received;
    uint64_t memory_bytes;
    uint64_t child_restarts;
};

void worker_stats_write(const struct worker_stats *stats, struct buffer *out);

/* What the map does not name, or names as no number, stays as it was. */
void worker_stats_read(struct slice map, struct worker_stats *stats);

#endif
