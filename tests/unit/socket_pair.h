/* socket_pair: a ROUTER and a DEALER connected to it over TCP. */
#ifndef THRESH_TESTS_UNIT_SOCKET_PAIR_H
#define THRESH_TESTS_UNIT_SOCKET_PAIR_H

#include "common/socket.h"

#include <criterion/criterion.h>

#define WIRE_FRAME_BYTES_MAX 65536

struct wire {
    struct socket_context *context;
    struct socket *router;
    struct socket *dealer;
};

static inline struct socket *
make_socket(struct socket_context *context, enum socket_role role)
{
    const struct socket_options options = {.role = role, .message_bytes_max = WIRE_FRAME_BYTES_MAX};
    struct socket *socket = socket_create(context, &options);
    cr_assert_not_null(socket);
    return socket;
}

static inline void
wire_open(struct wire *wire)
{
    wire->context = socket_context_create(1);
    wire->router = make_socket(wire->context, SOCKET_ROUTER);
    wire->dealer = make_socket(wire->context, SOCKET_DEALER);
    cr_assert_eq(socket_bind(wire->router, "tcp://127.0.0.1:*"), OK);
    cr_assert_eq(socket_connect(wire->dealer, socket_endpoint(wire->router)), OK);
}

static inline void
wire_close(struct wire *wire)
{
    socket_close(wire->dealer, 0);
    socket_close(wire->router, 0);
    socket_context_destroy(wire->context);
}

#endif
