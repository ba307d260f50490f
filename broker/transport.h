/*
 * transport: the broker's four sockets, and what is said on them.
 *
 * Hands each message to the core and sends what the core says. A socket is a role. With a guard
 * every tcp socket is CURVE, and the core gets only what the guard lets pass; of a peer whose key
 * has been revoked it hears GOODBYE, and what it says to that is not sent.
 *
 * Threads  one owner, the loop's thread.
 */
#ifndef THRESH_BROKER_TRANSPORT_H
#define THRESH_BROKER_TRANSPORT_H

#include "broker/core.h"
#include "broker/guard.h"
#include "common/error.h"
#include "common/loop.h"

#include <stdbool.h>

struct transport;

struct transport_options {
    const char *endpoints[ROLE_COUNT];
    size_t message_bytes_max;
    struct guard *guard; /* borrowed; NULL: no keys */
    bool is_insecure;    /* listens beyond loopback without keys */
};

/* A message came; frames live during the call. */
typedef void transport_received_fn(void *context, enum role role, struct slice route,
                                   const struct slice *frames, size_t frame_count);

/* Binds all four. *ret_message (malloc'd) says what could not be had and what to do.
 * ERROR_CONFIG: not an endpoint, or one in use; ERROR_NOT_ALLOWED: not loopback, and not insecure.
 */
MUST_CHECK enum error transport_create(const struct transport_options *options, struct loop *loop,
                                       transport_received_fn *received, void *context,
                                       struct transport **ret_transport, char **ret_message);
/* Sends what is queued for up to linger_ms. */
void transport_destroy(struct transport *transport, int linger_ms);

/* The core's port. */
enum error transport_send(void *transport, enum role role, struct slice route,
                          const struct slice *frames, size_t frame_count);

/* Where a role can be reached, as libzmq says it. */
const char *transport_endpoint(const struct transport *transport, enum role role);

#endif
