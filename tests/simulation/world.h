/*
 * world: a broker, its peers, a network and a disk, in virtual time, from one seed.
 *
 * The broker is the real core (broker/core.h), feeders and collectors are the real cores of the
 * client, workers are a model (worker.c). What can go wrong: messages are late, doubled, or lost
 * with their connection; the disk is late and a crash loses what it has not flushed; broker,
 * feeders, workers and collectors crash; workers stall for longer than their leases; the wall clock
 * jumps. After faults_until_ms nothing goes wrong any more, and everything must come to its end.
 *
 * Everything that is drawn comes from one pair of dice, and every event goes into one hash: the
 * same seed gives the same run.
 *
 * Bounds   the SIM_ limits below.
 * Threads  one owner.
 * Source   FoundationDB's simulation; TigerBeetle's VOPR.
 */
#ifndef THRESH_TESTS_SIMULATION_WORLD_H
#define THRESH_TESTS_SIMULATION_WORLD_H

#include "broker/backoff.h"
#include "client/collector_core.h"
#include "client/feeder_core.h"
#include "common/outcome.h"
#include "tests/scenario/stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_PEERS_MAX 10
#define SIM_ITEMS_MAX 200 /* tokens of all feeders */
#define SIM_HOSTS_MAX 8
#define SIM_LEASES_MAX 64
#define SIM_REPORTS_MAX 64
#define SIM_SPOOL_MAX 256
#define SIM_OUTPUT_MAX 1024
#define SIM_SEQUENCE_MAX 512 /* task numbers of one run */
#define SIM_TASK_BYTES 18
#define SIM_CLIENT_BYTES 16
#define SIM_BYTES_MAX ((size_t)1 << 20)
#define SIM_LIES_MAX 64
#define SIM_NEVER INT64_MAX
#define SIM_CALM_MS 600000 /* after the faults: by then all must be done */

/* Bugs planted on purpose, to show that the checker finds them. */
enum sim_plant {
    SIM_PLANT_NONE,
    SIM_PLANT_EARLY_ANSWER,      /* the core is told "durable" before the disk has it */
    SIM_PLANT_EARLY_ACKNOWLEDGE, /* collectors acknowledge what they have not written */
    SIM_PLANT_COUNT
};
const char *sim_plant_name(enum sim_plant plant);

struct packet {
    struct packet *next;
    int64_t at_ms;
    uint64_t order;
    size_t peer;
    unsigned connection; /* of the peer when it was sent */
    bool is_to_broker;
    size_t frame_count;
    struct slice frames[]; /* each owned */
};

/* ---- feeders ------------------------------------------------------------------------------ */

enum sim_answer {
    SIM_UNANSWERED,
    SIM_ACCEPTED,
    SIM_KNOWN,
    SIM_INVALID,
};

/* One thing to be fed. */
struct sim_item {
    size_t feeder;
    unsigned identity; /* items of one identity are duplicates */
    unsigned host;
    bool is_document;
    bool is_wrong;
    int64_t not_before_ms; /* wait from the start; 0: none */
    int priority;
    enum sim_answer answer;
    uint64_t sequence; /* of its task */
};

struct sim_spooled {
    uint64_t sequence;
    uint8_t *table;
    size_t table_bytes;
    struct slice *bodies; /* each owned */
    size_t body_count;
    uint64_t *tokens;
    size_t item_count;
};

struct sim_feeder {
    struct feeder_core *core;
    size_t next_item; /* not added yet */
    uint64_t last_sequence;
    uint64_t confirmed;
    struct sim_spooled spool[SIM_SPOOL_MAX];
    size_t spool_count;
    bool is_leaving; /* says goodbye when all is answered */
};

/* ---- workers ------------------------------------------------------------------------------ */

struct sim_lease {
    uint64_t fence;
    char task[SIM_TASK_BYTES + 1];
    char url[128];
    int64_t done_at_ms;
    int64_t asked_at_ms;
    bool is_reported;
};

struct sim_report {
    uint64_t sequence;
    int64_t sent_at_ms;
    enum message_type type;
    uint64_t fences[SIM_LEASES_MAX];
    uint64_t tasks[SIM_LEASES_MAX];
    enum outcome outcomes[SIM_LEASES_MAX];
    size_t count;
    size_t frame_count;
    struct slice frames[2 + SIM_LEASES_MAX];
};

struct sim_worker {
    bool is_joined;
    unsigned credit;
    uint64_t sequence;
    int64_t hello_at_ms;
    int64_t beat_at_ms;
    int64_t heard_at_ms;
    int64_t heartbeat_ms;
    int64_t stalled_until_ms;
    struct sim_lease leases[SIM_LEASES_MAX];
    size_t lease_count;
    struct sim_report *reports[SIM_REPORTS_MAX]; /* unanswered, oldest first */
    size_t report_count;
};

/* ---- collectors --------------------------------------------------------------------------- */

struct sim_row {
    uint64_t position;
    uint64_t sequence;
};

struct sim_collector {
    struct collector_core *core;
    char name[16];
    struct sim_row output[SIM_OUTPUT_MAX];
    size_t written;
    size_t durable; /* of the rows written; a crash loses the others */
    int64_t flush_at_ms;
};

/* ---- peers -------------------------------------------------------------------------------- */

struct sim_peer {
    enum role role;
    uint8_t client[SIM_CLIENT_BYTES];
    char route[40]; /* a letter and two numbers */
    unsigned starts;
    unsigned connection; /* grows when it breaks: what was under way is lost */
    bool is_running;
    int64_t restart_at_ms;
    int64_t leave_at_ms; /* it has said goodbye and is gone then */
    int64_t wake_at_ms;
    int64_t linked_at_ms; /* the connection is back then */
    int64_t last_in_ms;   /* arrivals keep their order */
    int64_t last_out_ms;
    struct sim_feeder feeder;
    struct sim_worker worker;
    struct sim_collector collector;
};

/* ---- the checker's notes ------------------------------------------------------------------ */

/* What is known of one task, from what the broker has said. */
struct sim_task {
    bool is_accepted;  /* said so to a feeder */
    bool is_recorded;  /* a final report of it was acknowledged */
    unsigned grants;   /* times it was sent to a worker */
    unsigned failures; /* acknowledged reports of failure */
    uint64_t fence;    /* newest */
    uint64_t results;  /* rows of it seen */
};

struct sim_host {
    int64_t granted_ms; /* virtual time of the newest grant */
};

struct sim_faults {
    unsigned loss; /* of 1,000 events each */
    unsigned doubling;
    unsigned broker;
    unsigned worker;
    unsigned stall;
    unsigned release; /* leases given back */
    unsigned leaving; /* a worker or feeder says goodbye, and comes again */
    unsigned feeder;
    unsigned collector;
    unsigned wall;
    int64_t delay_ms; /* of a message, at most */
    int64_t disk_ms;
};

struct world {
    uint64_t seed;
    enum sim_plant plant;
    bool is_verbose;
    bool has_workers; /* they have been started */
    struct dice dice;
    struct dice setup;
    uint64_t hash;
    uint64_t events;
    int64_t now_ms;
    int64_t faults_until_ms;
    int64_t fault_at_ms;
    struct sim_faults faults;
    struct core_options options;

    struct stage stage;
    int64_t clock_offset_ms; /* the broker's monotonic clock against ours */
    int64_t wall_offset_ms;
    int64_t broker_at_ms; /* when the core is ticked */
    int64_t disk_at_ms;
    int64_t broker_up_at_ms;
    unsigned boots;
    struct store_batch *lied[SIM_LIES_MAX]; /* told durable, not on the disk yet */
    size_t lied_count;

    struct packet *packets; /* by at_ms, then order */
    uint64_t next_order;
    struct sim_peer peers[SIM_PEERS_MAX];
    size_t peer_count;

    struct sim_item items[SIM_ITEMS_MAX];
    size_t item_count;
    unsigned identity_count;
    struct sim_task tasks[SIM_SEQUENCE_MAX];
    struct sim_host hosts[SIM_HOSTS_MAX];
    bool is_failed;
    char failure[512];
};

/* ---- world.c ------------------------------------------------------------------------------ */

void world_init(struct world *world, uint64_t seed, enum sim_plant plant, bool is_verbose);
void world_release(struct world *world);
/* Runs it to its end. */
void world_run(struct world *world);
/* One event into the hash, and onto the screen when asked for. */
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool world_chance(struct world *world, unsigned thousandths);
/* 0 to limit, ends included. */
int64_t world_draw(struct world *world, int64_t limit);
bool world_is_calm(const struct world *world);

/* ---- network.c ---------------------------------------------------------------------------- */

/* Both copy the frames. to_peer: false when nobody is there. */
void network_to_broker(struct world *world, size_t peer, const struct slice *frames,
                       size_t frame_count);
bool network_to_peer(struct world *world, size_t peer, const struct slice *frames,
                     size_t frame_count);
/* What is under way to or from the peer is lost; the connection is back at up_at_ms. */
void network_break(struct world *world, size_t peer, int64_t up_at_ms);
int64_t network_next_ms(const struct world *world);
/* The packet that is due, for the caller to free; NULL: none. */
struct packet *network_take(struct world *world);
void packet_destroy(struct packet *packet);

/* ---- broker.c ----------------------------------------------------------------------------- */

void broker_start(struct world *world);
void broker_crash(struct world *world);
void broker_receive(struct world *world, size_t peer, const struct slice *frames,
                    size_t frame_count);
void broker_tick(struct world *world);
void broker_disk(struct world *world);
struct core_time broker_time(const struct world *world);

/* ---- peers -------------------------------------------------------------------------------- */

void feeder_start(struct world *world, size_t peer);
void feeder_crash(struct world *world, size_t peer);
void feeder_leave(struct world *world, size_t peer);
void feeder_release(struct sim_feeder *feeder);
void feeder_take(struct world *world, size_t peer, const struct slice *frames, size_t frame_count);
void feeder_wake(struct world *world, size_t peer);
bool feeder_is_done(const struct world *world, size_t peer);

void worker_start(struct world *world, size_t peer);
void worker_crash(struct world *world, size_t peer);
/* Says goodbye; what it holds it keeps until it is gone. */
void worker_leave(struct world *world, size_t peer);
void worker_take(struct world *world, size_t peer, const struct slice *frames, size_t frame_count);
void worker_wake(struct world *world, size_t peer);

void collector_start(struct world *world, size_t peer);
void collector_crash(struct world *world, size_t peer);
void collector_take(struct world *world, size_t peer, const struct slice *frames,
                    size_t frame_count);
void collector_wake(struct world *world, size_t peer);
bool collector_is_done(const struct world *world, size_t peer);

/* ---- checker.c ---------------------------------------------------------------------------- */

/* The number of a task id, or 0. */
uint64_t task_number(struct slice task);
void check_granted(struct world *world, struct slice task, uint64_t fence, uint64_t attempt,
                   struct slice url, bool is_document);
void check_answered(struct world *world, uint64_t token, enum sim_answer answer, const char *task);
void check_recorded(struct world *world, uint64_t task, enum outcome outcome, uint64_t status);
/* After every step of the broker: ledger, leases. */
void check_broker(struct world *world);
/* After a start: every task that was promised is in exactly one place. */
void check_store(struct world *world);
bool world_is_done(const struct world *world);
void check_end(struct world *world);
/* It does not come to its end: says why, as far as it shows. */
void check_stuck(struct world *world);

#endif
