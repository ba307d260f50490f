#include "broker/roster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

void
roster_init(struct roster *roster)
{
    *roster = (struct roster){.line_first = PEER_NONE, .line_last = PEER_NONE};
    map_init(&roster->by_route);
    map_init(&roster->by_client);
}

void
roster_release(struct roster *roster)
{
    for (uint32_t i = 0; i < roster->count; i++) {
        window_release(&roster->peers[i]->window);
        free(roster->peers[i]->grants);
        free(roster->peers[i]);
    }
    free(roster->peers);
    map_release(&roster->by_route);
    map_release(&roster->by_client);
    *roster = (struct roster){.line_first = PEER_NONE, .line_last = PEER_NONE};
}

static uint64_t
hash_of(enum role role, struct slice bytes)
{
    uint64_t hash = XXH3_64bits_withSeed(bytes.data, bytes.size, (XXH64_hash_t)role + 1);
    return hash ? hash : 1;
}

uint32_t
roster_find(const struct roster *roster, enum role role, struct slice route)
{
    uint32_t peer = 0;
    if (!map_get(&roster->by_route, hash_of(role, route), &peer))
        return PEER_NONE;
    const struct peer *row = roster->peers[peer];
    return row->is_used && row->role == role && slice_equal(peer_route(row), route) ? peer
                                                                                    : PEER_NONE;
}

uint32_t
roster_find_client(const struct roster *roster, enum role role, const uint8_t *client)
{
    uint32_t peer = 0;
    if (!map_get(&roster->by_client, hash_of(role, slice_of(client, CLIENT_ID_BYTES)), &peer))
        return PEER_NONE;
    const struct peer *row = roster->peers[peer];
    return row->is_used && row->role == role && memcmp(row->client, client, CLIENT_ID_BYTES) == 0
               ? peer
               : PEER_NONE;
}

/* A free row, or a new one. */
static enum error
new_peer(struct roster *roster, uint32_t *ret_peer)
{
    if (roster->used >= ROSTER_PEERS_MAX)
        return ERROR_FULL;
    if (roster->used < roster->count) {
        for (uint32_t i = 0; i < roster->count; i++) {
            if (!roster->peers[i]->is_used) {
                *ret_peer = i;
                return OK;
            }
        }
    }
    if (roster->count == roster->capacity) {
        uint32_t capacity = roster->capacity ? roster->capacity * 2 : 16;
        struct peer **larger = realloc(roster->peers, capacity * sizeof *larger);
        if (!larger)
            return ERROR_NO_MEMORY;
        roster->peers = larger;
        roster->capacity = capacity;
    }
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return ERROR_NO_MEMORY;
    roster->peers[roster->count] = peer;
    *ret_peer = roster->count++;
    return OK;
}

static void
forget_route(struct roster *roster, uint32_t peer)
{
    struct peer *row = roster->peers[peer];
    if (row->route_bytes > 0)
        map_remove(&roster->by_route, hash_of(row->role, peer_route(row)));
    row->route_bytes = 0;
}

enum error
roster_join(struct roster *roster, enum role role, struct slice route, const uint8_t *client,
            struct slice name, int64_t now_ms, uint32_t *ret_peer)
{
    assert(route.size <= ROUTE_BYTES_MAX && name.size <= PEER_NAME_BYTES_MAX);
    uint32_t peer = roster_find_client(roster, role, client);
    if (peer == PEER_NONE) {
        enum error error = new_peer(roster, &peer);
        if (error)
            return error;
        error = map_set(&roster->by_client, hash_of(role, slice_of(client, CLIENT_ID_BYTES)), peer);
        if (error)
            return error;
        struct peer *fresh = roster->peers[peer];
        uint32_t *grants = fresh->grants;
        uint32_t capacity = fresh->grant_capacity;
        *fresh = (struct peer){
            .is_used = true,
            .role = role,
            .joined_ms = now_ms,
            .first_lease = UINT32_MAX,
            .collector = UINT32_MAX,
            .grants = grants,
            .grant_capacity = capacity,
        };
        memcpy(fresh->client, client, CLIENT_ID_BYTES);
        roster->used++;
    }
    struct peer *row = roster->peers[peer];
    uint32_t previous = roster_find(roster, role, route);
    if (previous != PEER_NONE && previous != peer)
        forget_route(roster, previous);
    if (route.size > 0 && previous != peer) {
        forget_route(roster, peer);
        enum error error = map_set(&roster->by_route, hash_of(role, route), peer);
        if (error)
            return error;
        memcpy(row->route, route.data, route.size);
        row->route_bytes = (uint8_t)route.size;
    }
    memcpy(row->name, name.data ? (const char *)name.data : "", name.size);
    row->name[name.size] = '\0';
    row->heard_ms = now_ms;
    row->is_present = true;
    *ret_peer = peer;
    return OK;
}

static void
leave_line(struct roster *roster, uint32_t peer)
{
    struct peer *row = roster->peers[peer];
    if (!row->is_in_line)
        return;
    if (row->line_previous == PEER_NONE)
        roster->line_first = row->line_next;
    else
        roster->peers[row->line_previous]->line_next = row->line_next;
    if (row->line_next == PEER_NONE)
        roster->line_last = row->line_previous;
    else
        roster->peers[row->line_next]->line_previous = row->line_previous;
    row->is_in_line = false;
}

static void
join_line(struct roster *roster, uint32_t peer)
{
    struct peer *row = roster->peers[peer];
    if (row->is_in_line)
        return;
    row->line_next = PEER_NONE;
    row->line_previous = roster->line_last;
    if (roster->line_last == PEER_NONE)
        roster->line_first = peer;
    else
        roster->peers[roster->line_last]->line_next = peer;
    roster->line_last = peer;
    row->is_in_line = true;
}

void
roster_leave(struct roster *roster, uint32_t peer)
{
    struct peer *row = roster->peers[peer];
    assert(row->is_used);
    leave_line(roster, peer);
    forget_route(roster, peer);
    map_remove(&roster->by_client, hash_of(row->role, slice_of(row->client, CLIENT_ID_BYTES)));
    window_release(&row->window);
    row->is_used = false;
    roster->used--;
}

void
roster_update_line(struct roster *roster, uint32_t peer)
{
    const struct peer *row = roster->peers[peer];
    if (row->is_used && row->is_present && row->role == ROLE_WORK && row->held < row->credit)
        join_line(roster, peer);
    else
        leave_line(roster, peer);
}

void
roster_rotate(struct roster *roster)
{
    uint32_t first = roster->line_first;
    assert(first != PEER_NONE);
    leave_line(roster, first);
    join_line(roster, first);
}
