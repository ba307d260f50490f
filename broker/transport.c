#include "broker/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/zap.h"
#include "common/message.h"
#include "common/socket.h"

#define HEADER_BYTES_MAX 1024 /* of a header that we write */
#define MESSAGES_A_TURN 256   /* received from one socket before the others have their turn */

struct door {
    struct transport *transport;
    enum role role;
    struct socket *socket;
    struct loop_watch *watch;
    bool has_keys;
};

struct transport {
    struct socket_context *context;
    struct loop *loop;
    struct guard *guard; /* or NULL */
    struct zap *zap;
    struct slice muted; /* the peer at the door `muted_role` that nothing is sent to; empty: none */
    enum role muted_role;
    struct door doors[ROLE_COUNT];
    transport_received_fn *received;
    void *received_context;
};

/* The core forgets a peer whose key is no good any more: its leases go to others at once. */
static void
expel(struct door *door, struct slice route)
{
    struct transport *transport = door->transport;
    struct buffer goodbye;
    buffer_init(&goodbye, HEADER_BYTES_MAX);
    write_header(&goodbye, MESSAGE_GOODBYE, 0, 0);
    struct slice frame = buffer_slice(&goodbye);
    if (!buffer_error(&goodbye)) {
        transport->muted = route;
        transport->muted_role = door->role;
        transport->received(transport->received_context, door->role, route, &frame, 1);
        transport->muted = slice_of(NULL, 0);
    }
    buffer_release(&goodbye);
}

static void
take(struct door *door, const struct socket_message *message)
{
    struct transport *transport = door->transport;
    struct buffer refusal;
    buffer_init(&refusal, HEADER_BYTES_MAX);
    struct guard *guard = door->has_keys ? transport->guard : NULL;
    enum guard_verdict verdict = guard_judge(guard, door->role, message, &refusal);
    if (verdict == GUARD_PASS) {
        transport->received(transport->received_context, door->role, message->peer, message->frames,
                            message->frame_count);
    } else {
        if (verdict == GUARD_EXPEL)
            expel(door, message->peer);
        struct slice frame = buffer_slice(&refusal);
        /* It may be gone, or not listen; it is refused all the same. */
        if (!buffer_error(&refusal))
            ignore_error(socket_send(door->socket, message->peer, &frame, 1));
    }
    buffer_release(&refusal);
}

static void
door_readable(void *context, int events)
{
    (void)events;
    struct door *door = context;
    struct socket_message message = {0};
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        enum error error = socket_receive(door->socket, &message);
        if (error == ERROR_AGAIN)
            break;
        /* A message of too many frames comes with its peer only, and is refused as empty. */
        if (error == ERROR_PROTOCOL)
            message.frame_count = 0;
        if (!error || error == ERROR_PROTOCOL)
            take(door, &message);
        socket_message_release(&message);
        if (error && error != ERROR_PROTOCOL)
            break;
    }
    socket_message_release(&message);
}

/* Loopback addresses and ipc are ours alone; everything else is the network. */
static bool
is_local(const char *endpoint)
{
    static const char *const prefixes[] = {"ipc://", "inproc://", "tcp://127.",
                                           "tcp://localhost:", "tcp://[::1]:"};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (strncmp(endpoint, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

static void
explain(char **ret_message, enum role role, const char *endpoint, enum error error)
{
    const char *why = error_text(error);
    const char *what = "choose another endpoint";
    if (error == ERROR_EXISTS) {
        why = "in use by another process";
        what = "stop it or choose another endpoint";
    } else if (error == ERROR_NOT_ALLOWED) {
        why = "not loopback, and there are no keys";
        what = "make some ('thresh keygen', --keys), or use 127.0.0.1 or ipc://, or add --insecure "
               "on a network you trust";
    } else if (error == ERROR_UNREACHABLE) {
        why = "no such address on this machine";
    } else if (error == ERROR_CONFIG) {
        why = "not an endpoint";
        what = "write tcp://ADDRESS:PORT or ipc:///PATH (107 bytes at most)";
    }
    if (asprintf(ret_message, "cannot listen on %s: %s; %s with --listen-%s", endpoint, why, what,
                 role_name(role)) < 0)
        *ret_message = NULL;
}

static enum error
open_door(struct transport *transport, const struct transport_options *options, enum role role)
{
    const char *endpoint = options->endpoints[role];
    struct door *door = &transport->doors[role];
    door->transport = transport;
    door->role = role;
    door->has_keys = options->guard != NULL && socket_endpoint_is_tcp(endpoint);
    if (!door->has_keys && !options->is_insecure && !is_local(endpoint))
        return ERROR_NOT_ALLOWED;
    const struct socket_options socket_options = {
        .role = SOCKET_ROUTER,
        .message_bytes_max = options->message_bytes_max,
        .keys = door->has_keys ? guard_keys(options->guard) : NULL,
        .zap_domain = role_name(role),
    };
    door->socket = socket_create(transport->context, &socket_options);
    if (!door->socket)
        return ERROR_NO_MEMORY;
    enum error error = socket_bind(door->socket, endpoint);
    if (error)
        return error;
    door->watch = loop_add_socket(transport->loop, door->socket, door_readable, door);
    return door->watch ? OK : ERROR_NO_MEMORY;
}

enum error
transport_create(const struct transport_options *options, struct loop *loop,
                 transport_received_fn *received, void *context, struct transport **ret_transport,
                 char **ret_message)
{
    enum error error = ERROR_NO_MEMORY;
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return ERROR_NO_MEMORY;
    transport->loop = loop;
    transport->received = received;
    transport->received_context = context;
    transport->context = socket_context_create(1);
    if (!transport->context)
        goto fail;
    transport->guard = options->guard;
    if (options->guard) {
        error = zap_start(transport->context, loop, options->guard, &transport->zap);
        if (error)
            goto fail;
    }
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        error = open_door(transport, options, (enum role)role);
        if (error) {
            explain(ret_message, (enum role)role, options->endpoints[role], error);
            if (error != ERROR_NO_MEMORY && error != ERROR_NOT_ALLOWED)
                error = ERROR_CONFIG;
            goto fail;
        }
    }
    *ret_transport = transport;
    return OK;
fail:
    transport_destroy(transport, 0);
    return error;
}

void
transport_destroy(struct transport *transport, int linger_ms)
{
    if (!transport)
        return;
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        struct door *door = &transport->doors[role];
        if (door->watch)
            loop_remove(transport->loop, door->watch);
        if (door->socket)
            socket_close(door->socket, linger_ms);
    }
    zap_stop(transport->zap);
    if (transport->context)
        socket_context_destroy(transport->context);
    free(transport);
}

enum error
transport_send(void *context, enum role role, struct slice route, const struct slice *frames,
               size_t frame_count)
{
    struct transport *transport = context;
    if (transport->muted.size > 0 && role == transport->muted_role &&
        slice_equal(route, transport->muted))
        return ERROR_NOT_FOUND;
    return socket_send(transport->doors[role].socket, route, frames, frame_count);
}

const char *
transport_endpoint(const struct transport *transport, enum role role)
{
    return socket_endpoint(transport->doors[role].socket);
}
