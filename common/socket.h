/*
 * socket: the one door to libzmq.
 *
 * A context a process (closing one of two under CURVE can crash libzmq 4.3.4, its issue 4242).
 * Sockets get the settings of the reliability document, section 2: ROUTER_MANDATORY, HANDOVER 0,
 * MAXMSGSIZE, HANDSHAKE_IVL 5 s, HEARTBEAT 5/15/20 s, BACKLOG 4096, RECONNECT 100 ms to 30 s,
 * HWM 1000, random routing id for each DEALER. Endpoints other than tcp://, ipc:// and inproc://
 * are refused.
 *
 * Threads  a socket belongs to the thread that uses it first.
 */
#ifndef THRESH_COMMON_SOCKET_H
#define THRESH_COMMON_SOCKET_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKET_PEER_BYTES_MAX 255

struct keys;
struct socket_context;
struct socket;

enum socket_role {
    SOCKET_ROUTER, /* the broker's end */
    SOCKET_DEALER, /* everyone else's */
};

struct socket_options {
    enum socket_role role;
    size_t message_bytes_max; /* of one frame */
    bool is_ipv6;
    int reconnect_ms;     /* first wait; 0: 100 ms */
    int reconnect_max_ms; /* 0: 30,000 ms; doubling with jitter between */
    /* CURVE: a ROUTER's own pair; a DEALER's, with the broker's key. NULL: none, as for ipc, whose
     * other end has none either. Copied; a socket that cannot have it is not made. */
    const struct keys *keys;
    const char *zap_domain; /* ROUTER with keys: what the ZAP handler is asked for; not empty */
};

/* One frame of a message. After socket_receive it points into the message, which lives until
 * socket_message_release(). */
struct socket_message {
    struct slice peer; /* ROUTER: the routing id; DEALER: empty */
    struct slice user; /* ROUTER with keys: the sender's public key, as its handshake proved it */
    struct slice *frames; /* frame 0 is the header */
    size_t frame_count;
    void *internal;
};

/* NULL: no memory. max_sockets and io_threads as libzmq takes them; io_threads 0 means 1. */
struct socket_context *socket_context_create(int io_threads);
/* Sockets must be closed before. Waits for their linger at most. */
void socket_context_destroy(struct socket_context *context);

/* NULL: no memory or no descriptor. */
struct socket *socket_create(struct socket_context *context, const struct socket_options *options);

/* Closes; waits up to linger_ms for what is queued to go out (in socket_context_destroy). */
void socket_close(struct socket *socket, int linger_ms);

/* ERROR_CONFIG: not an endpoint we take; ERROR_EXISTS: address in use; ERROR_NOT_ALLOWED;
 * ERROR_UNREACHABLE: no such address here; ERROR_IO else. A tcp port of 0 ("tcp://127.0.0.1:*")
 * takes a free one: socket_endpoint() says which. */
MUST_CHECK enum error socket_bind(struct socket *socket, const char *endpoint);
MUST_CHECK enum error socket_connect(struct socket *socket, const char *endpoint);
MUST_CHECK enum error socket_disconnect(struct socket *socket, const char *endpoint);

/* The endpoint bound last, as libzmq says it; "" before a bind. */
const char *socket_endpoint(const struct socket *socket);

/*
 * Sends one message: for a ROUTER to `peer` (its routing id). Frames are copied.
 * ERROR_AGAIN: the peer's queue is full (nothing was sent); ERROR_NOT_FOUND: no such peer.
 */
MUST_CHECK enum error socket_send(struct socket *socket, struct slice peer,
                                  const struct slice *frames, size_t frame_count);

/* Receives without waiting. ERROR_AGAIN: nothing there. ERROR_PROTOCOL: a message of more than
 * MESSAGE_FRAMES_MAX frames or without a frame was dropped; *ret_message then has the peer only.
 * *ret_message is zeroed by the caller before the first call and released between calls. */
MUST_CHECK enum error socket_receive(struct socket *socket, struct socket_message *ret_message);
void socket_message_release(struct socket_message *message);

/* For common/loop.c only: libzmq's handle. */
void *socket_handle(struct socket *socket);

/* Whether what is said to an endpoint may cross a network, so that keys are for it. */
bool socket_endpoint_is_tcp(const char *endpoint);

#endif
