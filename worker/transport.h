/*
 * transport: the worker's socket to the broker, on the loop.
 *
 * Threads  one owner, the loop's thread; libzmq has an I/O thread of its own.
 */
#ifndef THRESH_WORKER_TRANSPORT_H
#define THRESH_WORKER_TRANSPORT_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/loop.h"

#include <stddef.h>

struct keys;
struct transport;

typedef void transport_received_fn(void *context, const struct slice *frames, size_t frame_count);

/* Connects, with keys (copied; NULL: none) over a tcp endpoint; the broker need not be there yet.
 * ERROR_NO_MEMORY; ERROR_CONFIG: not an endpoint. */
MUST_CHECK enum error transport_create(const char *endpoint, size_t message_bytes_max,
                                       const struct keys *keys, struct loop *loop,
                                       transport_received_fn *received, void *context,
                                       struct transport **ret_transport);
/* Waits up to linger_ms for what is queued to go out. */
void transport_destroy(struct transport *transport, int linger_ms);

/* Sends one message. ERROR_AGAIN: the queue is full, nothing was sent. */
MUST_CHECK enum error transport_send(struct transport *transport, const struct slice *frames,
                                     size_t frame_count);

#endif
