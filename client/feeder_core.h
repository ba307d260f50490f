/*
 * feeder_core: the feeder's side of the protocol, without a socket or a clock.
 *
 * Items gather in a batch; a full or flushed batch is sealed as a *submit*: it gets the next
 * sequence number and stays here until the broker has answered it. Submits go out in order, again
 * after the session was lost, and again after RESEND_MS of silence; the broker removes second
 * copies. Items that the broker refuses for lack of room go out again under a new sequence number
 * once retry_ms has passed, in the same slot of the window.
 *
 * With a spool (is_spooled) nothing is sent before the owner has stored it: it reads
 * feeder_core_unspooled(), makes it durable and says feeder_core_spooled().
 *
 * Bounds   window_max submits of batch_max items, bytes_max in all.
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_CLIENT_FEEDER_CORE_H
#define THRESH_CLIENT_FEEDER_CORE_H

#include "client/session.h"
#include "common/buffer.h"
#include "common/error.h"
#include "include/thresh.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FEEDER_BATCH_DEFAULT 256
#define FEEDER_BATCH_MAX 1024 /* a header, a table and that many bodies are the most frames */
#define FEEDER_WINDOW_DEFAULT 64
#define FEEDER_WINDOW_MAX 1024
#define FEEDER_BATCH_BYTES_MAX (8u << 20) /* a batch is sealed before it grows past that */
#define FEEDER_BYTES_DEFAULT (128u << 20) /* all unanswered items; one item always may */
#define FEEDER_META_BYTES_MAX (16u << 10)
#define FEEDER_KEY_BYTES_MAX 256
#define FEEDER_HOST_BYTES_MAX 253
#define FEEDER_URL_BYTES_MAX 8192 /* as sent; the broker judges it by its own rule */
#define FEEDER_REASON_BYTES_MAX 256

struct feeder_core;

struct feeder_core_options {
    const char *name;
    uint8_t client[CLIENT_ID_BYTES];
    size_t batch_max;  /* 0: the default */
    size_t window_max; /* 0: the default */
    size_t bytes_max;  /* 0: the default */
    bool is_spooled;
    uint64_t last_sequence; /* from the spool; the next one is one more */
    uint64_t confirmed;     /* from the spool */
};

/* A submit as it is spooled and sent. Borrowed from the core until it is answered. */
struct feeder_submit {
    uint64_t sequence;
    uint64_t replaces; /* the submit whose busy items these are; 0: none */
    size_t item_count;
    struct slice table; /* frame 1 */
    const struct slice *bodies;
    size_t body_count;
    const uint64_t *tokens; /* one an item */
};

typedef void feeder_status_fn(void *context, uint64_t token, enum thresh_status status,
                              const char *task, const char *reason);

/* NULL: no memory. */
struct feeder_core *feeder_core_create(const struct feeder_core_options *options,
                                       feeder_status_fn *fed, void *context);
void feeder_core_destroy(struct feeder_core *core);

/*
 * Adds a copy of one item. ERROR_FULL: nothing was added, the window or the memory is full.
 * ERROR_INVALID: the item is wrong, feeder_core_message() says how. ERROR_TOO_LARGE: more than a
 * broker takes. ERROR_NO_MEMORY.
 */
MUST_CHECK enum error feeder_core_add(struct feeder_core *core, const struct thresh_item *item);

/* Takes up a submit that a spool kept. Sequences must grow. ERROR_PROTOCOL: not a table of items.
 */
MUST_CHECK enum error feeder_core_restore(struct feeder_core *core,
                                          const struct feeder_submit *submit);

/* Seals the batch; nothing when it is empty. ERROR_FULL: the window is full. */
MUST_CHECK enum error feeder_core_flush(struct feeder_core *core);

/* The next submit to be spooled, or false; and: it and all before it are durable. */
bool feeder_core_unspooled(const struct feeder_core *core, uint64_t after,
                           struct feeder_submit *ret_submit);
void feeder_core_spooled(struct feeder_core *core, uint64_t sequence);

/* The same for every unanswered submit, in order, for a spool that is written anew. */
bool feeder_core_unanswered_submit(const struct feeder_core *core, uint64_t after,
                                   struct feeder_submit *ret_submit);

/* Every submit up to it has been answered; and: a spool knows it, so the broker may be told. */
uint64_t feeder_core_answered(const struct feeder_core *core);
void feeder_core_confirm(struct feeder_core *core, uint64_t sequence);
uint64_t feeder_core_last_sequence(const struct feeder_core *core);

/* Sends what is due. *ret_deadline_ms: when it wants to be called again (INT64_MAX: not by time).
 * An error of the sender other than ERROR_AGAIN is returned. */
MUST_CHECK enum error feeder_core_tick(struct feeder_core *core, int64_t now_ms,
                                       const struct session_sender *sender,
                                       int64_t *ret_deadline_ms);

/*
 * Takes one message of the broker and calls fed() for the items it answers; fed() may add items.
 * ERROR_PROTOCOL, ERROR_VERSION: the message was dropped. After a refusal for good the core is
 * failed: see feeder_core_error().
 */
MUST_CHECK enum error feeder_core_receive(struct feeder_core *core, const struct slice *frames,
                                          size_t frame_count, int64_t now_ms);

/* Tells the broker that the feeder leaves, if it can be told at once. */
void feeder_core_leave(struct feeder_core *core, const struct session_sender *sender);

uint64_t feeder_core_unanswered(const struct feeder_core *core); /* items, the batch's too */
bool feeder_core_is_batch_empty(const struct feeder_core *core);
int64_t feeder_core_unfinished(const struct feeder_core *core); /* as RENEWED said; -1: unknown */
/* Whether the broker has said that it takes nothing now, and no answer of another kind came since.
 */
bool feeder_core_is_put_off(const struct feeder_core *core);
/* Asks the broker how it stands; and: whether it has answered since. */
void feeder_core_ask(struct feeder_core *core);
bool feeder_core_is_told(const struct feeder_core *core);
const struct session *feeder_core_session(const struct feeder_core *core);

/* OK, or why it has failed for good. */
enum error feeder_core_error(const struct feeder_core *core);
const char *feeder_core_message(const struct feeder_core *core);

#endif
