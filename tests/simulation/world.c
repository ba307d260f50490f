#include "tests/simulation/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULT_EVERY_MS 100
#define FAULTS_MS 20000
#define NOTE_BYTES_MAX 512
#define FNV_PRIME UINT64_C(1099511628211)
#define FNV_BASE UINT64_C(14695981039346656037)

const char *
sim_plant_name(enum sim_plant plant)
{
    static const char *const names[SIM_PLANT_COUNT] = {
        [SIM_PLANT_NONE] = "none",
        [SIM_PLANT_EARLY_ANSWER] = "early-answer",
        [SIM_PLANT_EARLY_ACKNOWLEDGE] = "early-acknowledge",
    };
    return names[plant];
}

/* ---- notes -------------------------------------------------------------------------------- */

void
world_note(struct world *world, const char *format, ...)
{
    char text[NOTE_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    world->events++;
    world->hash = (world->hash ^ (uint64_t)world->now_ms) * FNV_PRIME;
    for (const char *at = text; *at; at++)
        world->hash = (world->hash ^ (uint8_t)*at) * FNV_PRIME;
    if (world->is_verbose)
        printf("%8lld %s\n", (long long)world->now_ms, text);
}

void
world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->is_failed)
        return;
    va_start(arguments, format);
    vsnprintf(world->failure, sizeof world->failure, format, arguments);
    va_end(arguments);
    world->is_failed = true;
    world_note(world, "FAILED: %s", world->failure);
}

bool
world_is_calm(const struct world *world)
{
    return world->now_ms >= world->faults_until_ms;
}

bool
world_chance(struct world *world, unsigned thousandths)
{
    bool is_hit = dice_below(&world->dice, 1000) < thousandths;
    return is_hit && !world_is_calm(world);
}

int64_t
world_draw(struct world *world, int64_t limit)
{
    return (int64_t)dice_below(&world->dice, (uint64_t)limit + 1);
}

/* ---- setting up --------------------------------------------------------------------------- */

static uint64_t
pick(struct world *world, uint64_t least, uint64_t most)
{
    return least + dice_below(&world->setup, most - least + 1);
}

/* Each kind of fault is absent in some runs, so that others are seen alone. */
static unsigned
pick_rate(struct world *world, unsigned most)
{
    return pick(world, 0, 3) == 0 ? 0 : (unsigned)pick(world, 1, most);
}

static void
set_options(struct world *world)
{
    struct core_options *options = &world->options;
    *options = stage_options();
    options->gap_ms = (int64_t)(pick(world, 0, 2) * pick(world, 0, 150));
    options->host_connections = (int)pick(world, 1, 4);
    options->lease_ms = (int64_t)pick(world, 600, 3000);
    options->heartbeat_ms = (int64_t)pick(world, 150, 400);
    options->takeover_ms = (int64_t)pick(world, 0, 1500);
    options->attempts_max = (int)pick(world, 2, 8);
    options->backoff_ms = (int64_t)pick(world, 10, 200);
    options->backoff_max_ms = options->backoff_ms * (int64_t)pick(world, 1, 20);
    options->tasks_max = (uint32_t)pick(world, 10, 300);
    options->results_max = pick(world, 1, 100);
    options->batch_max = (uint32_t)pick(world, 1, 20);
    options->seed = dice_next(&world->setup);
    world->faults = (struct sim_faults){
        .loss = pick_rate(world, 40),
        .doubling = pick_rate(world, 60),
        .broker = pick_rate(world, 60),
        .worker = pick_rate(world, 30),
        .stall = pick_rate(world, 15),
        .release = pick_rate(world, 30),
        .leaving = pick_rate(world, 20),
        .feeder = pick_rate(world, 30),
        .collector = pick_rate(world, 40),
        .wall = pick_rate(world, 30),
        .delay_ms = (int64_t)pick(world, 1, 800),
        .disk_ms = (int64_t)pick(world, 0, 120),
    };
}

static void
add_peer(struct world *world, enum role role)
{
    struct sim_peer *peer = &world->peers[world->peer_count];
    *peer = (struct sim_peer){.role = role, .restart_at_ms = world_draw(world, 500)};
    for (size_t i = 0; i < sizeof peer->client; i++)
        peer->client[i] = (uint8_t)dice_next(&world->setup);
    if (role == ROLE_COLLECT)
        snprintf(peer->collector.name, sizeof peer->collector.name, "reader%zu", world->peer_count);
    if (role == ROLE_WORK)
        peer->restart_at_ms = SIM_NEVER; /* when the readers are known */
    world->peer_count++;
}

static void
add_items(struct world *world, size_t feeder_count)
{
    unsigned hosts = (unsigned)pick(world, 1, SIM_HOSTS_MAX);
    world->item_count = (size_t)pick(world, 5, 80);
    for (size_t i = 0; i < world->item_count; i++) {
        struct sim_item *item = &world->items[i];
        /* One in eight is a copy of one before it. */
        if (i > 0 && pick(world, 0, 7) == 0)
            *item = world->items[pick(world, 0, i - 1)];
        else
            *item = (struct sim_item){
                .identity = world->identity_count++,
                .host = (unsigned)pick(world, 0, hosts - 1),
                .is_document = pick(world, 0, 4) == 0,
                .is_wrong = pick(world, 0, 19) == 0,
                .priority = (int)pick(world, 0, 10),
                .not_before_ms = pick(world, 0, 9) == 0 && world->faults.wall == 0
                                     ? (int64_t)pick(world, 1, 3000)
                                     : 0,
            };
        item->feeder = (size_t)pick(world, 0, feeder_count - 1);
        item->is_document = item->is_document && !item->is_wrong;
    }
}

void
world_init(struct world *world, uint64_t seed, enum sim_plant plant, bool is_verbose)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->plant = plant;
    world->is_verbose = is_verbose;
    world->setup.state = seed * 2;
    world->dice.state = seed * 2 + 1;
    world->hash = FNV_BASE;
    world->faults_until_ms = FAULTS_MS;
    for (size_t i = 0; i < SIM_HOSTS_MAX; i++)
        world->hosts[i].granted_ms = INT64_MIN;
    set_options(world);
    size_t feeder_count = (size_t)pick(world, 1, 2);
    size_t worker_count = (size_t)pick(world, 1, 4);
    size_t collector_count = (size_t)pick(world, 1, 2);
    for (size_t i = 0; i < feeder_count; i++)
        add_peer(world, ROLE_FEED);
    for (size_t i = 0; i < worker_count; i++)
        add_peer(world, ROLE_WORK);
    for (size_t i = 0; i < collector_count; i++)
        add_peer(world, ROLE_COLLECT);
    add_items(world, feeder_count);
    world->broker_at_ms = SIM_NEVER;
    world->disk_at_ms = SIM_NEVER;
}

/* ---- peers -------------------------------------------------------------------------------- */

static void
start_peer(struct world *world, size_t peer)
{
    static const char letters[ROLE_COUNT] = {
        [ROLE_FEED] = 'f', [ROLE_WORK] = 'w', [ROLE_COLLECT] = 'c'};
    struct sim_peer *row = &world->peers[peer];
    snprintf(row->route, sizeof row->route, "%c%zu.%u", letters[row->role], peer, ++row->starts);
    world_note(world, "%s starts", row->route);
    row->is_running = true;
    row->restart_at_ms = SIM_NEVER;
    row->leave_at_ms = SIM_NEVER;
    row->wake_at_ms = world->now_ms;
    network_break(world, peer, world->now_ms);
    if (row->role == ROLE_FEED)
        feeder_start(world, peer);
    else if (row->role == ROLE_WORK)
        worker_start(world, peer);
    else
        collector_start(world, peer);
}

static void
crash_peer(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    world_note(world, "%s falls", row->route);
    if (row->role == ROLE_FEED)
        feeder_crash(world, peer);
    else if (row->role == ROLE_WORK)
        worker_crash(world, peer);
    else
        collector_crash(world, peer);
    row->is_running = false;
    row->leave_at_ms = SIM_NEVER;
    row->restart_at_ms = world->now_ms + world_draw(world, 3000);
    network_break(world, peer, SIM_NEVER);
}

static void
wake_peer(struct world *world, size_t peer)
{
    switch (world->peers[peer].role) {
    case ROLE_FEED:
        feeder_wake(world, peer);
        break;
    case ROLE_WORK:
        worker_wake(world, peer);
        break;
    default:
        collector_wake(world, peer);
        break;
    }
}

static void
hand_over(struct world *world, const struct packet *packet)
{
    const struct sim_peer *row = &world->peers[packet->peer];
    struct reader reader;
    enum message_type type = MESSAGE_GOODBYE;
    uint64_t sequence = 0;
    size_t pairs = 0;
    reader_init(&reader, packet->frames[0]);
    if (read_header(&reader, &type, &sequence, &pairs))
        world_fail(world, "a message that cannot be read");
    world_note(world, packet->is_to_broker ? "%s -> broker %s %llu" : "%s gets %s %llu", row->route,
               message_type_name(type), (unsigned long long)sequence);
    if (packet->is_to_broker)
        broker_receive(world, packet->peer, packet->frames, packet->frame_count);
    else if (row->role == ROLE_FEED)
        feeder_take(world, packet->peer, packet->frames, packet->frame_count);
    else if (row->role == ROLE_WORK)
        worker_take(world, packet->peer, packet->frames, packet->frame_count);
    else
        collector_take(world, packet->peer, packet->frames, packet->frame_count);
}

/* ---- faults ------------------------------------------------------------------------------- */

static unsigned
crash_rate(const struct world *world, enum role role)
{
    if (role == ROLE_FEED)
        return world->faults.feeder;
    return role == ROLE_WORK ? world->faults.worker : world->faults.collector;
}

/* On purpose: what it says last still arrives, and then it is gone. */
static void
leave(struct world *world, size_t peer)
{
    struct sim_peer *row = &world->peers[peer];
    world_note(world, "%s leaves", row->route);
    if (row->role == ROLE_WORK)
        worker_leave(world, peer);
    else if (row->role == ROLE_FEED)
        feeder_leave(world, peer);
    row->leave_at_ms = row->last_in_ms + 1;
}

static void
do_faults(struct world *world)
{
    world->fault_at_ms = world->now_ms + FAULT_EVERY_MS;
    if (world->stage.core && world_chance(world, world->faults.broker))
        broker_crash(world);
    if (world_chance(world, world->faults.wall)) {
        world->wall_offset_ms += world_draw(world, 1) ? 3600000 : -7200000;
        world_note(world, "the wall clock jumps");
    }
    for (size_t i = 0; i < world->peer_count; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (peer->is_running && world_chance(world, crash_rate(world, peer->role)))
            crash_peer(world, i);
        if (peer->is_running && peer->role != ROLE_COLLECT && peer->leave_at_ms == SIM_NEVER &&
            world_chance(world, world->faults.leaving))
            leave(world, i);
        if (peer->is_running && world->now_ms >= peer->leave_at_ms)
            crash_peer(world, i);
        if (peer->is_running && world_chance(world, world->faults.loss)) {
            world_note(world, "%s loses its connection", peer->route);
            network_break(world, i, world->now_ms + world_draw(world, 1500));
        }
    }
}

/* ---- running ------------------------------------------------------------------------------ */

static int64_t
least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When the peer does something by itself next; a stalled worker does nothing. */
static int64_t
peer_next_ms(const struct sim_peer *peer)
{
    int64_t next_ms = peer->is_running ? peer->wake_at_ms : peer->restart_at_ms;
    if (peer->is_running && peer->worker.stalled_until_ms > next_ms)
        next_ms = peer->worker.stalled_until_ms;
    return next_ms;
}

static int64_t
next_ms(const struct world *world)
{
    int64_t at_ms = least(world->broker_at_ms, world->disk_at_ms);
    at_ms = least(at_ms, network_next_ms(world));
    if (!world->stage.core)
        at_ms = least(at_ms, world->broker_up_at_ms);
    if (!world_is_calm(world))
        at_ms = least(at_ms, world->fault_at_ms);
    for (size_t i = 0; i < world->peer_count; i++)
        at_ms = least(at_ms, peer_next_ms(&world->peers[i]));
    return at_ms;
}

static bool
is_stored(struct world *world, const char *reader)
{
    struct buffer row;
    buffer_init(&row, SIM_BYTES_MAX);
    enum error error =
        store_get_bytes(world->stage.disk, STORE_COLLECTORS, slice_string(reader), &row);
    buffer_release(&row);
    return error == OK;
}

/* Workers begin when every reader's name is stored: from then on it gets every result. */
static void
release_workers(struct world *world)
{
    if (world->has_workers)
        return;
    for (size_t i = 0; i < world->peer_count; i++) {
        const struct sim_peer *peer = &world->peers[i];
        if (peer->role == ROLE_COLLECT && !is_stored(world, peer->collector.name))
            return;
    }
    world->has_workers = true;
    for (size_t i = 0; i < world->peer_count; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (peer->role == ROLE_WORK && peer->starts == 0 && peer->restart_at_ms == SIM_NEVER)
            peer->restart_at_ms = world->now_ms + world_draw(world, 300);
    }
}

static void
deliver(struct world *world)
{
    struct packet *packet = NULL;
    while (!world->is_failed && (packet = network_take(world)) != NULL) {
        struct sim_peer *peer = &world->peers[packet->peer];
        /* What comes to a stalled worker waits for it. */
        if (!packet->is_to_broker && peer->worker.stalled_until_ms > world->now_ms) {
            packet->at_ms = peer->worker.stalled_until_ms;
            struct packet **link = &world->packets;
            while (*link && (*link)->at_ms <= packet->at_ms)
                link = &(*link)->next;
            packet->next = *link;
            *link = packet;
            continue;
        }
        hand_over(world, packet);
        packet_destroy(packet);
    }
}

static void
step(struct world *world)
{
    if (!world->stage.core && world->now_ms >= world->broker_up_at_ms)
        broker_start(world);
    if (!world_is_calm(world) && world->now_ms >= world->fault_at_ms)
        do_faults(world);
    release_workers(world);
    deliver(world);
    if (world->now_ms >= world->disk_at_ms)
        broker_disk(world);
    for (size_t i = 0; i < world->peer_count && !world->is_failed; i++) {
        struct sim_peer *peer = &world->peers[i];
        if (peer_next_ms(peer) > world->now_ms)
            continue;
        if (peer->is_running)
            wake_peer(world, i);
        else
            start_peer(world, i);
    }
    if (world->now_ms >= world->broker_at_ms)
        broker_tick(world);
}

void
world_run(struct world *world)
{
    while (!world->is_failed) {
        step(world);
        if (world_is_calm(world) && world_is_done(world))
            break;
        int64_t at_ms = next_ms(world);
        if (at_ms > world->faults_until_ms + SIM_CALM_MS) {
            check_stuck(world);
            return;
        }
        if (at_ms > world->now_ms)
            world->now_ms = at_ms;
    }
    check_end(world);
}

void
world_release(struct world *world)
{
    while (world->packets) {
        struct packet *packet = world->packets;
        world->packets = packet->next;
        packet_destroy(packet);
    }
    for (size_t i = 0; i < world->peer_count; i++) {
        feeder_release(&world->peers[i].feeder);
        worker_crash(world, i);
        collector_core_destroy(world->peers[i].collector.core);
    }
    for (size_t i = 0; i < world->lied_count; i++)
        store_batch_destroy(world->lied[i]);
    stage_release(&world->stage);
}
