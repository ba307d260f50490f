/*
 * collector_core: the collector's side of the protocol, without a socket or a clock.
 *
 * Subscribes under a name, gives each delivered result once however often the broker sends it, and
 * acknowledges positions. After the session was lost it subscribes again; the broker then starts
 * behind the acknowledged position, and what was taken already is passed over. Positions belong
 * to one store: when WELCOME names another, they start anew.
 *
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_CLIENT_COLLECTOR_CORE_H
#define THRESH_CLIENT_COLLECTOR_CORE_H

#include "client/session.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECTOR_CREDIT_DEFAULT 1024
#define COLLECTOR_BYTES_DEFAULT (32u << 20) /* of results under way */

struct collector_core;

struct collector_core_options {
    const char *name; /* NULL: "default" */
    uint8_t client[CLIENT_ID_BYTES];
    uint64_t credit; /* 0: the default */
    uint64_t bytes;  /* 0: the default */
};

/* One result; points into the message. */
struct collector_row {
    uint64_t position;
    struct slice task;
    struct slice map;
};

/* A DELIVER that is being read; points into the message. */
struct collector_delivery {
    struct reader rows;
    size_t row_count;
    size_t next;
    const struct slice *bodies;
    uint64_t generation; /* of the subscription: those of an earlier store are worth nothing */
};

/* NULL: no memory. */
struct collector_core *collector_core_create(const struct collector_core_options *options);
void collector_core_destroy(struct collector_core *core);

/* Sends what is due; as feeder_core_tick(). */
MUST_CHECK enum error collector_core_tick(struct collector_core *core, int64_t now_ms,
                                          const struct session_sender *sender,
                                          int64_t *ret_deadline_ms);

/*
 * Takes one message. *ret_is_delivery: it is a DELIVER, checked, and *ret_delivery reads it; the
 * message must live until the delivery has been read. ERROR_PROTOCOL, ERROR_VERSION: dropped. After
 * a refusal for good the core is failed: see collector_core_error().
 */
MUST_CHECK enum error collector_core_receive(struct collector_core *core,
                                             const struct slice *frames, size_t frame_count,
                                             int64_t now_ms, bool *ret_is_delivery,
                                             struct collector_delivery *ret_delivery);

/* The next result of the delivery that was not taken before; false: no more. */
bool collector_core_next(struct collector_core *core, struct collector_delivery *delivery,
                         struct collector_row *ret_row);

/* Everything up to position is safe. A position beyond those taken is cut to them. */
void collector_core_acknowledge(struct collector_core *core, uint64_t position);

/* Asks the broker how it stands; and: whether it has answered since. */
void collector_core_ask(struct collector_core *core);
bool collector_core_is_told(const struct collector_core *core);

uint64_t collector_core_taken(const struct collector_core *core);
bool
collector_core_is_acknowledged(const struct collector_core *core);    /* the broker has stored it */
int64_t collector_core_unfinished(const struct collector_core *core); /* -1: not known yet */
uint64_t collector_core_newest(const struct collector_core *core);
const struct session *collector_core_session(const struct collector_core *core);

void collector_core_leave(struct collector_core *core, const struct session_sender *sender);

enum error collector_core_error(const struct collector_core *core); /* OK, or why it failed */
const char *collector_core_message(const struct collector_core *core);

#endif
