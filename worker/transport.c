#include "worker/transport.h"

#include <stdlib.h>

#include "common/socket.h"

#define IO_THREADS 1
/* Messages taken in one turn: the loop asks again while there are more. */
#define MESSAGES_A_TURN 16

struct transport {
    struct loop *loop;
    struct socket_context *context;
    struct socket *socket;
    struct loop_watch *watch;
    transport_received_fn *received;
    void *received_context;
};

static void
socket_ready(void *context, int events)
{
    struct transport *transport = context;
    struct socket_message message = {0};

    (void)events;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        enum error error = socket_receive(transport->socket, &message);
        if (error == ERROR_AGAIN) {
            break;
        }
        if (error == OK) {
            transport->received(transport->received_context, message.frames, message.frame_count);
        }
        socket_message_release(&message);
    }
}

enum error
transport_create(const char *endpoint, size_t message_bytes_max, const struct keys *keys,
                 struct loop *loop, transport_received_fn *received, void *context,
                 struct transport **ret_transport)
{
    struct socket_options options = {
        .role = SOCKET_DEALER,
        .message_bytes_max = message_bytes_max,
        .keys = socket_endpoint_is_tcp(endpoint) ? keys : NULL,
    };
    struct transport *transport = calloc(1, sizeof *transport);
    enum error error = ERROR_NO_MEMORY;

    if (transport == NULL) {
        return ERROR_NO_MEMORY;
    }
    transport->loop = loop;
    transport->received = received;
    transport->received_context = context;
    transport->context = socket_context_create(IO_THREADS);
    if (transport->context == NULL) {
        goto fail;
    }
    transport->socket = socket_create(transport->context, &options);
    if (transport->socket == NULL) {
        goto fail;
    }
    error = socket_connect(transport->socket, endpoint);
    if (error != OK) {
        goto fail;
    }
    transport->watch = loop_add_socket(loop, transport->socket, socket_ready, transport);
    if (transport->watch == NULL) {
        error = ERROR_NO_MEMORY;
        goto fail;
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
    if (transport == NULL) {
        return;
    }
    if (transport->watch != NULL) {
        loop_remove(transport->loop, transport->watch);
    }
    if (transport->socket != NULL) {
        socket_close(transport->socket, linger_ms);
    }
    if (transport->context != NULL) {
        socket_context_destroy(transport->context);
    }
    free(transport);
}

enum error
transport_send(struct transport *transport, const struct slice *frames, size_t frame_count)
{
    return socket_send(transport->socket, slice_of(NULL, 0), frames, frame_count);
}
