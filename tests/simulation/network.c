/* The network: every connection keeps its order; a break loses what is under way. */
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/world.h"

void
packet_destroy(struct packet *packet)
{
    if (!packet)
        return;
    for (size_t i = 0; i < packet->frame_count; i++)
        free((void *)(uintptr_t)packet->frames[i].data);
    free(packet);
}

static struct packet *
copy_packet(const struct slice *frames, size_t frame_count)
{
    struct packet *packet = calloc(1, sizeof *packet + frame_count * sizeof packet->frames[0]);
    if (!packet)
        abort();
    for (size_t i = 0; i < frame_count; i++) {
        uint8_t *bytes = malloc(frames[i].size + 1);
        if (!bytes)
            abort();
        if (frames[i].size > 0)
            memcpy(bytes, frames[i].data, frames[i].size);
        packet->frames[packet->frame_count++] = slice_of(bytes, frames[i].size);
    }
    return packet;
}

static void
insert(struct world *world, struct packet *packet)
{
    struct packet **link = &world->packets;
    packet->order = world->next_order++;
    while (*link && (*link)->at_ms <= packet->at_ms)
        link = &(*link)->next;
    packet->next = *link;
    *link = packet;
}

/* When a message that is sent now arrives: late, and not before the one sent before it. */
static int64_t
arrival(struct world *world, int64_t *last_ms)
{
    int64_t delay_ms = world_chance(world, 50) ? world->faults.delay_ms : 3;
    int64_t at_ms = world->now_ms + world_draw(world, delay_ms);
    if (at_ms < *last_ms)
        at_ms = *last_ms;
    *last_ms = at_ms;
    return at_ms;
}

static void
post(struct world *world, size_t peer, bool is_to_broker, const struct slice *frames,
     size_t frame_count)
{
    struct sim_peer *row = &world->peers[peer];
    unsigned copies = world_chance(world, world->faults.doubling) ? 2 : 1;
    for (unsigned i = 0; i < copies; i++) {
        struct packet *packet = copy_packet(frames, frame_count);
        packet->peer = peer;
        packet->connection = row->connection;
        packet->is_to_broker = is_to_broker;
        packet->at_ms = arrival(world, is_to_broker ? &row->last_in_ms : &row->last_out_ms);
        insert(world, packet);
    }
}

void
network_to_broker(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    struct sim_peer *row = &world->peers[peer];
    /* Without a connection a DEALER keeps it until there is one. */
    if (row->last_in_ms < row->linked_at_ms)
        row->last_in_ms = row->linked_at_ms;
    if (row->last_in_ms < world->broker_up_at_ms)
        row->last_in_ms = world->broker_up_at_ms;
    post(world, peer, true, frames, frame_count);
}

bool
network_to_peer(struct world *world, size_t peer, const struct slice *frames, size_t frame_count)
{
    const struct sim_peer *row = &world->peers[peer];
    if (!row->is_running || world->now_ms < row->linked_at_ms)
        return false;
    post(world, peer, false, frames, frame_count);
    return true;
}

void
network_break(struct world *world, size_t peer, int64_t up_at_ms)
{
    struct sim_peer *row = &world->peers[peer];
    row->connection++;
    row->linked_at_ms = up_at_ms;
    row->last_in_ms = up_at_ms;
    row->last_out_ms = up_at_ms;
    struct packet **link = &world->packets;
    while (*link) {
        struct packet *packet = *link;
        if (packet->peer != peer) {
            link = &packet->next;
            continue;
        }
        *link = packet->next;
        packet_destroy(packet);
    }
}

int64_t
network_next_ms(const struct world *world)
{
    return world->packets ? world->packets->at_ms : SIM_NEVER;
}

struct packet *
network_take(struct world *world)
{
    struct packet *packet = world->packets;
    if (!packet || packet->at_ms > world->now_ms)
        return NULL;
    world->packets = packet->next;
    return packet;
}
