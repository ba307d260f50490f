/*
 * roster: who is connected, or was a moment ago.
 *
 * A peer is a process in a role, known by the client id of its HELLO; its routing id is where
 * messages to it go, and changes when it connects anew. Workers that want tasks stand in a line, so
 * that grants go round.
 *
 * Bounds   ROSTER_PEERS_MAX peers.
 * Threads  one owner. No I/O, no clock.
 */
#ifndef THRESH_BROKER_ROSTER_H
#define THRESH_BROKER_ROSTER_H

#include "broker/map.h"
#include "broker/window.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define ROSTER_PEERS_MAX 65536
#define PEER_NONE UINT32_MAX
#define ROUTE_BYTES_MAX 255

struct peer {
    bool is_used;
    bool is_present;  /* said something within three heartbeats */
    bool is_expected; /* held leases before the broker's restart, not heard of since */
    enum role role;
    uint8_t client[CLIENT_ID_BYTES];
    uint8_t route_bytes;
    uint8_t route[ROUTE_BYTES_MAX];
    char name[PEER_NAME_BYTES_MAX + 1];
    int64_t joined_ms;
    int64_t heard_ms;
    struct window window; /* feeders and workers */
    bool is_window_dirty;
    /* workers */
    uint32_t credit;
    uint32_t held;
    uint32_t first_lease; /* of its leases */
    uint64_t recorded;    /* results since it joined */
    struct worker_stats stats;
    bool is_in_line;
    uint32_t line_next;
    uint32_t line_previous;
    uint32_t grant_count; /* leases granted in this turn, in grants */
    uint32_t *grants;
    uint32_t grant_capacity;
    /* collectors */
    uint32_t collector;
};

struct roster {
    struct peer **peers; /* owned; the index is the peer's number; NULL or unused ones are free */
    uint32_t count;
    uint32_t capacity;
    uint32_t used;
    struct map by_route;
    struct map by_client;
    uint32_t line_first; /* workers that want tasks */
    uint32_t line_last;
};

void roster_init(struct roster *roster);
void roster_release(struct roster *roster);

/* The peer behind a routing id, or PEER_NONE: it must say HELLO. */
uint32_t roster_find(const struct roster *roster, enum role role, struct slice route);
/* The peer with a client id, or PEER_NONE. */
uint32_t roster_find_client(const struct roster *roster, enum role role, const uint8_t *client);

/* A peer said HELLO: found by its client id or made, and reached under the route from now on.
 * ERROR_FULL, ERROR_NO_MEMORY. */
MUST_CHECK enum error roster_join(struct roster *roster, enum role role, struct slice route,
                                  const uint8_t *client, struct slice name, int64_t now_ms,
                                  uint32_t *ret_peer);
void roster_leave(struct roster *roster, uint32_t peer);

/* Puts a worker into the line, or out of it, by its credit. */
void roster_update_line(struct roster *roster, uint32_t peer);
/* Takes the worker at the head to the end of the line. */
void roster_rotate(struct roster *roster);

static inline struct peer *
peer_at(struct roster *roster, uint32_t peer)
{
    return roster->peers[peer];
}

static inline struct slice
peer_route(const struct peer *peer)
{
    return slice_of(peer->route, peer->route_bytes);
}

#endif
