/*
 * feeder_submit: a batch of items on its way to the broker, as feeder_core keeps it.
 *
 * Items are kept encoded, without the number of their body, so that those the broker had no room
 * for can be put into a new table.
 *
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_CLIENT_FEEDER_SUBMIT_H
#define THRESH_CLIENT_FEEDER_SUBMIT_H

#include "client/feeder_core.h"

enum submit_state {
    SUBMIT_OPEN,    /* the batch: items are added */
    SUBMIT_SEALED,  /* numbered; to be spooled first */
    SUBMIT_READY,   /* may be sent */
    SUBMIT_SENT,    /* unanswered; due_ms is when to send it again */
    SUBMIT_WAITING, /* its items were refused as busy until due_ms */
};

struct submit_item {
    uint8_t *pairs; /* owned: encoded keys and values, without `body` */
    size_t pairs_size;
    size_t pair_count;
    struct slice body; /* owned; data NULL: none */
    uint64_t token;
};

struct submit {
    enum submit_state state;
    uint64_t sequence;
    uint64_t replaces;
    int64_t due_ms;
    size_t item_count;
    size_t item_capacity;
    size_t bytes; /* of all items */
    struct submit_item *items;
    struct buffer table; /* when sealed */
    struct slice *bodies;
    size_t body_count;
    uint64_t *tokens;
};

/* NULL: no memory. */
struct submit *submit_create(size_t item_capacity);
void submit_destroy(struct submit *submit);

/* Checks and encodes. ERROR_INVALID, ERROR_TOO_LARGE: *ret_reason says what is wrong. */
MUST_CHECK enum error submit_item_encode(const struct thresh_item *item,
                                         struct submit_item *ret_item, const char **ret_reason);
void submit_item_release(struct submit_item *item);
size_t submit_item_bytes(const struct submit_item *item);

/* Moves the item into the submit, which has room. */
void submit_push(struct submit *submit, struct submit_item *item);

/* Drops all items but those with keep[i]. */
void submit_keep(struct submit *submit, const bool *keep);

/* Builds table, bodies and tokens from the items. */
MUST_CHECK enum error submit_seal(struct submit *submit);

/* A submit from its frames. ERROR_PROTOCOL: not a table of items with these bodies. */
MUST_CHECK enum error submit_restore(const struct feeder_submit *from, struct submit **ret_submit);

struct feeder_submit submit_view(const struct submit *submit);

#endif
