#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

#include "common/keys.h"
#include "common/message.h"
#include "common/socket.h"

#define FRAME_BYTES_MAX 65536
#define WAIT_MS 20000 /* only a broken test waits that long */
#define QUIET_MS 300  /* in which a handshake that is let in would have ended many times over */
#define KEYS_FILE_BYTES 256

/* A server and its ZAP handler, which says `status`; a client that knows the server's key. */
struct wire {
    struct socket_context *context;
    struct socket *handler;
    struct socket *server;
    struct socket *client;
    struct keys *server_keys;
    struct keys *client_keys;
};

static struct socket *
make_socket(struct wire *wire, enum socket_role role, const struct keys *keys)
{
    const struct socket_options options = {
        .role = role, .message_bytes_max = FRAME_BYTES_MAX, .keys = keys, .zap_domain = "test"};
    struct socket *socket = socket_create(wire->context, &options);
    cr_assert_not_null(socket);
    return socket;
}

/* Through files, as every peer's keys come. */
static struct keys *
peer_keys(const struct keys *server)
{
    char directory[] = "/tmp/thresh-curve-XXXXXX";
    char secret[KEYS_FILE_BYTES];
    char public[KEYS_FILE_BYTES];
    char *message = NULL;
    struct keys *own = NULL;
    struct keys *keys = NULL;
    struct key_line line = {.role = KEY_BROKER, .name = "test"};
    cr_assert_not_null(mkdtemp(directory));
    snprintf(secret, sizeof secret, "%s/secret", directory);
    snprintf(public, sizeof public, "%s/public", directory);
    memcpy(line.key, keys_public(server), sizeof line.key);
    cr_assert_eq(keys_generate(&own), OK);
    cr_assert_eq(keys_write_secret(own, secret, "of a test", &message), OK);
    cr_assert_eq(keys_write_public(&line, public, &message), OK);
    cr_assert_eq(keys_load_peer(secret, public, &keys, &message), OK, "%s", message);
    keys_destroy(own);
    unlink(secret);
    unlink(public);
    rmdir(directory);
    return keys;
}

static void
wire_open(struct wire *wire, bool has_handler)
{
    *wire = (struct wire){.context = socket_context_create(1)};
    cr_assert_eq(keys_generate(&wire->server_keys), OK);
    wire->client_keys = peer_keys(wire->server_keys);
    if (has_handler) {
        wire->handler = make_socket(wire, SOCKET_ROUTER, NULL);
        cr_assert_eq(socket_bind(wire->handler, "inproc://zeromq.zap.01"), OK);
    }
    wire->server = make_socket(wire, SOCKET_ROUTER, wire->server_keys);
    cr_assert_eq(socket_bind(wire->server, "tcp://127.0.0.1:*"), OK);
    wire->client = make_socket(wire, SOCKET_DEALER, wire->client_keys);
    cr_assert_eq(socket_connect(wire->client, socket_endpoint(wire->server)), OK);
}

static void
wire_close(struct wire *wire)
{
    socket_close(wire->client, 0);
    socket_close(wire->server, 0);
    socket_close(wire->handler, 0);
    socket_context_destroy(wire->context);
    keys_destroy(wire->client_keys);
    keys_destroy(wire->server_keys);
}

static bool
is_readable(struct socket *socket, long wait_ms)
{
    zmq_pollitem_t item = {.socket = socket_handle(socket), .events = ZMQ_POLLIN};
    return zmq_poll(&item, 1, wait_ms) == 1;
}

/* Answers one request of libzmq's. */
static void
answer(struct wire *wire, const char *status, const char *user)
{
    struct socket_message request = {0};
    cr_assert(is_readable(wire->handler, WAIT_MS), "the handler is not asked");
    cr_assert_eq(socket_receive(wire->handler, &request), OK);
    cr_assert_eq(request.frame_count, 8);
    cr_expect(slice_equal(request.frames[3], slice_string("test")));
    cr_expect(slice_equal(request.frames[6], slice_string("CURVE")));
    const struct slice frames[] = {
        slice_of("", 0), slice_string("1.0"), request.frames[2], slice_string(status),
        slice_of("", 0), slice_string(user),  slice_of("", 0),
    };
    char key[KEY_TEXT_BYTES + 1];
    cr_assert_eq(request.frames[7].size, KEY_BYTES);
    key_text(request.frames[7].data, key);
    cr_expect_str_eq(key, keys_public(wire->client_keys));
    cr_assert_eq(socket_send(wire->handler, request.peer, frames, 7), OK);
    socket_message_release(&request);
}

static void
say_something(struct wire *wire)
{
    struct slice frame = slice_string("hello");
    cr_assert_eq(socket_send(wire->client, slice_of(NULL, 0), &frame, 1), OK);
}

Test(socket_curve, a_message_bears_the_key_of_its_sender)
{
    struct wire wire;
    struct socket_message message = {0};
    wire_open(&wire, true);
    say_something(&wire);
    answer(&wire, "200", keys_public(wire.client_keys));
    cr_assert(is_readable(wire.server, WAIT_MS));
    cr_assert_eq(socket_receive(wire.server, &message), OK);
    cr_expect(slice_equal(message.user, slice_string(keys_public(wire.client_keys))));
    cr_expect(slice_equal(message.frames[0], slice_string("hello")));
    socket_message_release(&message);
    wire_close(&wire);
}

Test(socket_curve, a_message_that_broke_the_bounds_bears_it_too)
{
    struct wire wire;
    struct socket_message message = {0};
    wire_open(&wire, true);
    for (int i = 0; i < MESSAGE_FRAMES_MAX + 1; i++) {
        int flags = i < MESSAGE_FRAMES_MAX ? ZMQ_SNDMORE : 0;
        cr_assert_eq(zmq_send(socket_handle(wire.client), "x", 1, flags), 1);
    }
    answer(&wire, "200", keys_public(wire.client_keys));
    cr_assert(is_readable(wire.server, WAIT_MS));
    cr_assert_eq(socket_receive(wire.server, &message), ERROR_PROTOCOL);
    cr_expect_eq(message.frame_count, 0);
    cr_expect(slice_equal(message.user, slice_string(keys_public(wire.client_keys))));
    socket_message_release(&message);
    wire_close(&wire);
}

Test(socket_curve, without_a_handler_nobody_gets_in)
{
    struct wire wire;
    wire_open(&wire, false);
    say_something(&wire);
    cr_expect(!is_readable(wire.server, QUIET_MS));
    wire_close(&wire);
}

Test(socket_curve, whom_the_handler_refuses_does_not_get_in)
{
    static const char *const statuses[] = {"300", "400", "500"};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct wire wire;
        wire_open(&wire, true);
        say_something(&wire);
        answer(&wire, statuses[i], "");
        cr_expect(!is_readable(wire.server, QUIET_MS), "%s", statuses[i]);
        wire_close(&wire);
    }
}

Test(socket_curve, who_has_no_keys_or_the_wrong_ones_does_not_get_in)
{
    struct wire wire;
    struct keys *strange = NULL;
    wire_open(&wire, true);
    cr_assert_eq(keys_generate(&strange), OK);
    struct keys *mistaken = peer_keys(strange); /* knows another server's key */
    struct socket *open = make_socket(&wire, SOCKET_DEALER, NULL);
    struct socket *wrong = make_socket(&wire, SOCKET_DEALER, mistaken);
    struct slice frame = slice_string("hello");
    cr_assert_eq(socket_connect(open, socket_endpoint(wire.server)), OK);
    cr_assert_eq(socket_connect(wrong, socket_endpoint(wire.server)), OK);
    cr_assert_eq(socket_send(open, slice_of(NULL, 0), &frame, 1), OK);
    cr_assert_eq(socket_send(wrong, slice_of(NULL, 0), &frame, 1), OK);
    /* The only one that asks the handler is the right client. */
    answer(&wire, "200", keys_public(wire.client_keys));
    cr_expect(!is_readable(wire.handler, QUIET_MS));
    cr_expect(!is_readable(wire.server, 0));
    socket_close(open, 0);
    socket_close(wrong, 0);
    wire_close(&wire);
    keys_destroy(mistaken);
    keys_destroy(strange);
}

Test(socket_curve, keys_are_for_tcp)
{
    cr_expect(socket_endpoint_is_tcp("tcp://127.0.0.1:1"));
    cr_expect(!socket_endpoint_is_tcp("ipc:///run/x"));
    cr_expect(!socket_endpoint_is_tcp("inproc://x"));
    cr_expect(!socket_endpoint_is_tcp(""));
}
