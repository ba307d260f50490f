/*
 * core_control: what the files with control verbs share: core_control.c, core_dead.c.
 */
#ifndef THRESH_BROKER_CORE_CONTROL_H
#define THRESH_BROKER_CORE_CONTROL_H

#include "broker/core_internal.h"

#define LIST_LIMIT_MAX 10000

/* One REQUEST being answered. */
struct request {
    struct core *core;
    struct incoming *in;
    struct slice arguments; /* a map, or empty */
    struct buffer *out;     /* the pairs of the reply */
    size_t pairs;
    const char *error; /* set: the request failed, and why */
};

/* Appends a pair to the reply. */
void reply_uint(struct request *request, const char *name, uint64_t value);
/* The argument `limit` of a list. */
uint64_t list_limit(struct slice field);

/* Verbs of core_dead.c. */
void verb_dead(struct request *request);
void verb_dead_retry(struct request *request);
void verb_dead_purge(struct request *request);

#endif
