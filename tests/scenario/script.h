/*
 * script: one scenario under way: the stage, the actors around it, and the line being run.
 *
 * A scenario is a text file, one command a line; tests/scenario/README.md has the language. An
 * actor is a peer of the broker by its name, made by the first line that names it; what the broker
 * sends to it waits in its inbox until an `expect` takes it.
 *
 * Bounds   SCRIPT_WORDS_MAX words a line, SCRIPT_ACTORS_MAX actors, SCRIPT_LEASES_MAX leases each.
 * Threads  one owner.
 */
#ifndef THRESH_TESTS_SCENARIO_SCRIPT_H
#define THRESH_TESTS_SCENARIO_SCRIPT_H

#include "common/buffer.h"
#include "common/message.h"
#include "tests/scenario/stage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_WORDS_MAX 64
#define SCRIPT_ACTORS_MAX 32
#define SCRIPT_LEASES_MAX 5000
#define SCRIPT_LINE_BYTES_MAX 8192
#define SCRIPT_NAME_BYTES_MAX 31
#define SCRIPT_MESSAGE_BYTES_MAX ((size_t)64 << 20)
#define SCRIPT_START_WALL_MS INT64_C(1700000000000)

struct letter {
    struct letter *next;
    enum message_type type;
    uint64_t sequence;
    size_t frame_count;
    struct slice frames[]; /* each owned */
};

/* A lease as a worker was told of it. */
struct held {
    uint64_t fence;
    char task[32];
    char url[256];
};

struct actor {
    char name[SCRIPT_NAME_BYTES_MAX + 1];
    char route[SCRIPT_NAME_BYTES_MAX + 17]; /* name, and a number that grows with reconnections */
    unsigned connections;
    enum role role;
    bool is_full; /* its queue takes nothing */
    bool is_gone; /* nobody is there */
    struct letter *inbox;
    struct held *leases;
    size_t lease_count;
    struct letter *last;      /* sent to the broker; for `again` */
    struct letter *delivered; /* the newest DELIVER that was expected */
};

struct script {
    const char *path;
    unsigned line;
    bool is_failed;
    bool is_disk_slow; /* batches wait for `commit` */
    struct core_options options;
    struct stage stage;
    bool is_open; /* the stage is */
    struct actor *actors[SCRIPT_ACTORS_MAX];
    size_t actor_count;
};

struct words {
    char *items[SCRIPT_WORDS_MAX];
    size_t count;
    size_t next;
};

/* Says file:line and what is wrong; the scenario has failed. */
void script_fail(struct script *script, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The next word, or NULL after saying what is missing. */
const char *words_take(struct script *script, struct words *words, const char *what);
bool words_has(const struct words *words);
/* "name=value" with that name: the value; NULL otherwise. */
const char *word_value(const char *word, const char *name);
/* A whole number; fails the script otherwise. */
int64_t word_number(struct script *script, const char *word);

/* The actor of that name, made when there is none; NULL after a failure. */
struct actor *script_actor(struct script *script, const char *name, enum role role);
struct actor *script_find(struct script *script, const char *name);
/* The lease behind "w1#2": the second that w1 was ever given. NULL after a failure. */
const struct held *script_lease(struct script *script, const char *reference);

/* Starts the broker when it is down. */
void script_start(struct script *script);
/* Hands a message of the actor to the broker; the frames are copied. */
void script_send(struct script *script, struct actor *actor, const struct slice *frames,
                 size_t frame_count);
/* Everything that happens by itself after a step: the disk, unless it is slow; the ledger. */
void script_after(struct script *script);
/* Moves both clocks on, with every tick that the core asks for. */
void script_pass(struct script *script, int64_t span_ms);
/* Takes the first letter of a type out of the actor's inbox; NULL when there is none. */
struct letter *script_letter(struct actor *actor, enum message_type type);
void letter_destroy(struct letter *letter);

void script_release(struct script *script);

/* ---- commands: send.c, expect.c ---------------------------------------------------------- */

void send_feed(struct script *script, struct words *words);
void send_work(struct script *script, struct words *words);
void send_collect(struct script *script, struct words *words);
void send_control(struct script *script, struct words *words);
void expect(struct script *script, struct words *words);

#endif
