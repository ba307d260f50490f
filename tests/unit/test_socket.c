#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/message.h"
#include "common/socket.h"
#include "tests/unit/socket_pair.h"

#define TEST_WAIT_MS 20000  /* only a broken test waits that long */
#define TEST_QUEUE_MAX 4000 /* more than both queues and the kernel hold of 8 KiB messages */

static enum error
receive_wait(struct socket *socket, struct socket_message *ret_message)
{
    zmq_pollitem_t item = {.socket = socket_handle(socket), .events = ZMQ_POLLIN};
    cr_assert_eq(zmq_poll(&item, 1, TEST_WAIT_MS), 1, "no message came");
    return socket_receive(socket, ret_message);
}

static struct slice
text_slice(const char *text)
{
    return slice_of(text, strlen(text));
}

static void
assert_slice(struct slice got, const char *expected)
{
    cr_assert_eq(got.size, strlen(expected));
    cr_assert_eq(memcmp(got.data, expected, got.size), 0);
}

/* The dealer says hello; what comes back is its message, for the peer. */
static struct socket_message
greet(struct wire *wire)
{
    struct slice frame = text_slice("hello");
    cr_assert_eq(socket_send(wire->dealer, slice_of(NULL, 0), &frame, 1), OK);
    struct socket_message message = {0};
    cr_assert_eq(receive_wait(wire->router, &message), OK);
    return message;
}

Test(socket, frames_arrive_as_sent_and_the_answer_comes_back)
{
    struct wire wire;
    wire_open(&wire);
    char *large = malloc(WIRE_FRAME_BYTES_MAX);
    memset(large, 'x', WIRE_FRAME_BYTES_MAX);
    struct slice frames[] = {text_slice("header"), slice_of("", 0),
                             slice_of(large, WIRE_FRAME_BYTES_MAX), text_slice("end")};
    cr_assert_eq(socket_send(wire.dealer, slice_of(NULL, 0), frames, 4), OK);
    memset(large, 'y', WIRE_FRAME_BYTES_MAX); /* copied, so this changes nothing */
    struct socket_message message = {0};
    cr_assert_eq(receive_wait(wire.router, &message), OK);
    cr_assert_eq(message.frame_count, 4);
    cr_assert_eq(message.peer.size, 17);
    assert_slice(message.frames[0], "header");
    cr_assert_eq(message.frames[1].size, 0);
    cr_assert_eq(message.frames[2].size, WIRE_FRAME_BYTES_MAX);
    cr_assert_eq(message.frames[2].data[WIRE_FRAME_BYTES_MAX - 1], 'x');
    assert_slice(message.frames[3], "end");
    cr_assert_eq(socket_send(wire.router, message.peer, message.frames, 4), OK);
    socket_message_release(&message);
    cr_assert_null(message.internal);
    cr_assert_eq(receive_wait(wire.dealer, &message), OK);
    cr_assert_eq(message.frame_count, 4);
    cr_assert_eq(message.peer.size, 0);
    assert_slice(message.frames[3], "end");
    socket_message_release(&message);
    cr_assert_eq(socket_receive(wire.dealer, &message), ERROR_AGAIN);
    free(large);
    wire_close(&wire);
}

Test(socket, send_to_an_unknown_peer_says_not_found)
{
    struct wire wire;
    wire_open(&wire);
    struct slice frames[] = {text_slice("a"), text_slice("b")};
    cr_assert_eq(socket_send(wire.router, text_slice("nobody"), frames, 2), ERROR_NOT_FOUND);
    cr_assert_eq(socket_send(wire.router, slice_of(NULL, 0), frames, 2), ERROR_NOT_FOUND);
    struct socket_message message = greet(&wire);
    cr_assert_eq(socket_send(wire.router, message.peer, frames, 2), OK, "and the next one goes");
    socket_message_release(&message);
    wire_close(&wire);
}

Test(socket, send_to_a_peer_that_left_says_not_found)
{
    struct wire wire;
    wire_open(&wire);
    struct socket_message message = greet(&wire);
    socket_close(wire.dealer, 0);
    struct slice frame = text_slice("late");
    enum error error = OK;
    /* The router learns of it from its own thread; each look at ZMQ_EVENTS lets it. */
    for (int i = 0; i < TEST_WAIT_MS && error != ERROR_NOT_FOUND; i++) {
        zmq_pollitem_t item = {.socket = socket_handle(wire.router), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, 1);
        error = socket_send(wire.router, message.peer, &frame, 1);
    }
    cr_assert_eq(error, ERROR_NOT_FOUND);
    socket_message_release(&message);
    wire.dealer = NULL;
    wire_close(&wire);
}

/* Numbered messages of several frames until the queue is full; gives how many went. */
static uint32_t
fill(struct socket *socket, struct slice peer, enum error *ret_error)
{
    static uint8_t body[8192];
    for (uint32_t i = 0; i < TEST_QUEUE_MAX; i++) {
        struct slice frames[] = {slice_of(&i, sizeof i), slice_of(body, sizeof body),
                                 slice_of(&i, sizeof i)};
        *ret_error = socket_send(socket, peer, frames, 3);
        if (*ret_error != OK) {
            return i;
        }
    }
    return TEST_QUEUE_MAX;
}

/* Every message must be whole and in order. */
static void
take_whole(struct socket *socket, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct socket_message message = {0};
        cr_assert_eq(receive_wait(socket, &message), OK);
        cr_assert_eq(message.frame_count, 3);
        cr_assert_eq(memcmp(message.frames[0].data, &i, sizeof i), 0);
        cr_assert_eq(message.frames[1].size, 8192);
        cr_assert_eq(memcmp(message.frames[2].data, &i, sizeof i), 0);
        socket_message_release(&message);
    }
}

Test(socket, full_queue_of_a_slow_peer_says_again_and_loses_nothing)
{
    struct wire wire;
    wire_open(&wire);
    struct socket_message hello = greet(&wire);
    enum error error = OK;
    uint32_t count = fill(wire.router, hello.peer, &error);
    cr_assert_eq(error, ERROR_AGAIN, "after %u messages", count);
    cr_assert(count >= 1000);
    take_whole(wire.dealer, count);
    socket_message_release(&hello);
    wire_close(&wire);
}

Test(socket, full_queue_of_a_slow_broker_says_again_and_loses_nothing)
{
    struct wire wire;
    wire_open(&wire);
    enum error error = OK;
    uint32_t count = fill(wire.dealer, slice_of(NULL, 0), &error);
    cr_assert_eq(error, ERROR_AGAIN, "after %u messages", count);
    cr_assert(count >= 1000);
    take_whole(wire.router, count);
    wire_close(&wire);
}

/* What only a hostile peer sends: a plain libzmq dealer. */
struct intruder {
    void *context;
    void *socket;
};

static struct intruder
intruder_open(const char *endpoint)
{
    struct intruder intruder = {.context = zmq_ctx_new()};
    intruder.socket = zmq_socket(intruder.context, ZMQ_DEALER);
    int linger_ms = 0;
    zmq_setsockopt(intruder.socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    cr_assert_eq(zmq_connect(intruder.socket, endpoint), 0);
    return intruder;
}

static void
intruder_close(struct intruder *intruder)
{
    zmq_close(intruder->socket);
    zmq_ctx_term(intruder->context);
}

static void
intruder_send(struct intruder *intruder, size_t frames, size_t frame_bytes)
{
    uint8_t *bytes = calloc(1, frame_bytes + 1);
    for (size_t i = 0; i < frames; i++) {
        int flags = i + 1 < frames ? ZMQ_SNDMORE : 0;
        cr_assert_geq(zmq_send(intruder->socket, bytes, frame_bytes, flags), 0);
    }
    free(bytes);
}

struct bound_case {
    const char *what;
    size_t frames;
    size_t frame_bytes;
    enum error expected;
};

Test(socket, messages_past_the_bounds_are_dropped_whole_and_the_next_one_is_read)
{
    static const struct bound_case cases[] = {
        {"as many frames as may be", MESSAGE_FRAMES_MAX, 1, OK},
        {"one frame too many", MESSAGE_FRAMES_MAX + 1, 1, ERROR_PROTOCOL},
        {"far too many frames", 20000, 10, ERROR_PROTOCOL},
        {"as many bytes as may be", 4, WIRE_FRAME_BYTES_MAX, OK},
        {"too many bytes", 5, WIRE_FRAME_BYTES_MAX, ERROR_PROTOCOL},
        {"far too many bytes", 100, WIRE_FRAME_BYTES_MAX, ERROR_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wire wire;
        wire_open(&wire);
        struct intruder intruder = intruder_open(socket_endpoint(wire.router));
        intruder_send(&intruder, cases[i].frames, cases[i].frame_bytes);
        intruder_send(&intruder, 1, 5);
        struct socket_message message = {0};
        enum error error = receive_wait(wire.router, &message);
        cr_assert_eq(error, cases[i].expected, "%s: %s", cases[i].what, error_text(error));
        cr_assert(message.peer.size > 0, "%s: the peer is known", cases[i].what);
        cr_assert_eq(message.frame_count, error == OK ? cases[i].frames : 0);
        socket_message_release(&message);
        cr_assert_eq(receive_wait(wire.router, &message), OK);
        cr_assert_eq(message.frame_count, 1);
        cr_assert_eq(message.frames[0].size, 5);
        socket_message_release(&message);
        intruder_close(&intruder);
        wire_close(&wire);
    }
}

Test(socket, frame_over_its_bound_cuts_the_peer_off)
{
    struct wire wire;
    wire_open(&wire);
    struct intruder intruder = intruder_open(socket_endpoint(wire.router));
    intruder_send(&intruder, 1, WIRE_FRAME_BYTES_MAX + 1);
    struct socket_message hello = greet(&wire);
    assert_slice(hello.frames[0], "hello");
    socket_message_release(&hello);
    cr_assert_eq(socket_receive(wire.router, &hello), ERROR_AGAIN);
    intruder_close(&intruder);
    wire_close(&wire);
}

struct endpoint_case {
    const char *endpoint;
    enum error expected;
};

Test(socket, endpoints_are_judged)
{
    static const struct endpoint_case cases[] = {
        {"", ERROR_CONFIG},
        {"127.0.0.1:5701", ERROR_CONFIG},
        {"tcp://", ERROR_CONFIG},
        {"ipc://", ERROR_CONFIG},
        {"udp://127.0.0.1:5701", ERROR_CONFIG},
        {"pgm://127.0.0.1;239.0.0.1:5701", ERROR_CONFIG},
        {"tcp://127.0.0.1", ERROR_CONFIG},
        {"tcp://127.0.0.1:99999", ERROR_CONFIG},
        {"tcp://127.0.0.1:65536", ERROR_CONFIG},
        {"tcp://127.0.0.1:-1", ERROR_CONFIG},
        {"tcp://127.0.0.1:", ERROR_CONFIG},
        {"tcp://127.0.0.1:http", ERROR_CONFIG},
        {"tcp://127.0.0.1:000005701", ERROR_CONFIG},
        {"tcp://192.0.2.1:5701", ERROR_UNREACHABLE},
        {"tcp://nosuchinterface0:5701", ERROR_UNREACHABLE},
        {"ipc:///nonexistent/folder/socket", ERROR_UNREACHABLE},
        {"inproc://name", OK},
    };
    struct socket_context *context = socket_context_create(1);
    struct socket *router = make_socket(context, SOCKET_ROUTER);
    cr_assert_str_eq(socket_endpoint(router), "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum error error = socket_bind(router, cases[i].endpoint);
        cr_assert_eq(error, cases[i].expected, "%s: %s", cases[i].endpoint, error_text(error));
    }
    socket_close(router, 0);
    socket_context_destroy(context);
}

Test(socket, port_in_use_says_exists)
{
    struct wire wire;
    wire_open(&wire);
    struct socket *second = make_socket(wire.context, SOCKET_ROUTER);
    cr_assert_eq(socket_bind(second, socket_endpoint(wire.router)), ERROR_EXISTS);
    socket_close(second, 0);
    wire_close(&wire);
}

Test(socket, reserved_port_says_not_allowed)
{
    if (geteuid() == 0) {
        cr_skip_test("root may bind it");
    }
    struct socket_context *context = socket_context_create(1);
    struct socket *router = make_socket(context, SOCKET_ROUTER);
    cr_assert_eq(socket_bind(router, "tcp://127.0.0.1:1"), ERROR_NOT_ALLOWED);
    socket_close(router, 0);
    socket_context_destroy(context);
}

/* ---- ipc ---- */

struct folder {
    char path[64];
    char endpoint[96];
};

static struct folder
folder_make(void)
{
    struct folder folder = {.path = "/tmp/thresh-test-XXXXXX"};
    cr_assert_not_null(mkdtemp(folder.path));
    int size = snprintf(folder.endpoint, sizeof folder.endpoint, "ipc://%s/s", folder.path);
    cr_assert(size > 0 && (size_t)size < sizeof folder.endpoint);
    return folder;
}

static const char *
folder_socket(const struct folder *folder)
{
    return folder->endpoint + strlen("ipc://");
}

static void
folder_remove(const struct folder *folder)
{
    unlink(folder_socket(folder));
    rmdir(folder->path);
}

Test(socket, connect_may_come_before_bind)
{
    struct folder folder = folder_make();
    struct wire wire = {.context = socket_context_create(1)};
    const struct socket_options options = {.role = SOCKET_DEALER,
                                           .message_bytes_max = WIRE_FRAME_BYTES_MAX,
                                           .reconnect_ms = 5,
                                           .reconnect_max_ms = 20};
    wire.dealer = socket_create(wire.context, &options);
    cr_assert_eq(socket_connect(wire.dealer, folder.endpoint), OK);
    struct slice frame = text_slice("early");
    cr_assert_eq(socket_send(wire.dealer, slice_of(NULL, 0), &frame, 1), OK);
    wire.router = make_socket(wire.context, SOCKET_ROUTER);
    cr_assert_eq(socket_bind(wire.router, folder.endpoint), OK);
    struct socket_message message = {0};
    cr_assert_eq(receive_wait(wire.router, &message), OK);
    assert_slice(message.frames[0], "early");
    socket_message_release(&message);
    wire_close(&wire);
    folder_remove(&folder);
}

Test(socket, ipc_path_of_a_running_broker_is_left_alone)
{
    struct folder folder = folder_make();
    struct socket_context *context = socket_context_create(1);
    struct socket *first = make_socket(context, SOCKET_ROUTER);
    struct socket *second = make_socket(context, SOCKET_ROUTER);
    struct socket *dealer = make_socket(context, SOCKET_DEALER);
    cr_assert_eq(socket_bind(first, folder.endpoint), OK);
    cr_assert_eq(socket_bind(second, folder.endpoint), ERROR_EXISTS);
    cr_assert_eq(socket_connect(dealer, folder.endpoint), OK);
    struct slice frame = text_slice("hello");
    cr_assert_eq(socket_send(dealer, slice_of(NULL, 0), &frame, 1), OK);
    struct socket_message message = {0};
    cr_assert_eq(receive_wait(first, &message), OK);
    socket_message_release(&message);
    socket_close(dealer, 0);
    socket_close(second, 0);
    socket_close(first, 0);
    socket_context_destroy(context);
    folder_remove(&folder);
}

Test(socket, stale_ipc_path_is_taken_over)
{
    struct folder folder = folder_make();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", folder_socket(&folder));
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    cr_assert_eq(access(folder_socket(&folder), F_OK), 0, "as a killed process leaves it");
    struct socket_context *context = socket_context_create(1);
    struct socket *router = make_socket(context, SOCKET_ROUTER);
    cr_assert_eq(socket_bind(router, folder.endpoint), OK);
    socket_close(router, 0);
    socket_context_destroy(context);
    folder_remove(&folder);
}

Test(socket, file_at_an_ipc_path_is_never_removed)
{
    struct folder folder = folder_make();
    int fd = open(folder_socket(&folder), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, "precious", 8), 8);
    close(fd);
    struct socket_context *context = socket_context_create(1);
    struct socket *router = make_socket(context, SOCKET_ROUTER);
    cr_assert_eq(socket_bind(router, folder.endpoint), ERROR_EXISTS);
    struct stat status;
    cr_assert_eq(stat(folder_socket(&folder), &status), 0);
    cr_assert_eq(status.st_size, 8);
    socket_close(router, 0);
    socket_context_destroy(context);
    folder_remove(&folder);
}

Test(socket, long_ipc_paths_are_refused)
{
    struct socket_context *context = socket_context_create(1);
    struct socket *router = make_socket(context, SOCKET_ROUTER);
    char endpoint[128];
    for (size_t length = 108; length < 112; length++) {
        memset(endpoint, 'x', sizeof endpoint);
        memcpy(endpoint, "ipc:///", 7);
        endpoint[6 + length] = '\0';
        cr_assert_eq(strlen(endpoint + 6), length);
        cr_assert_eq(socket_bind(router, endpoint), ERROR_CONFIG);
        cr_assert_eq(socket_connect(router, endpoint), ERROR_CONFIG);
    }
    socket_close(router, 0);
    socket_context_destroy(context);
}

struct option_case {
    int name;
    int expected;
};

Test(socket, settings_of_the_reliability_document_are_in_force)
{
    static const struct option_case cases[] = {
        {ZMQ_HANDSHAKE_IVL, 5000},
        {ZMQ_HEARTBEAT_IVL, 5000},
        {ZMQ_HEARTBEAT_TIMEOUT, 15000},
        {ZMQ_HEARTBEAT_TTL, 20000},
        {ZMQ_BACKLOG, 4096},
        {ZMQ_RECONNECT_IVL, 100},
        {ZMQ_RECONNECT_IVL_MAX, 30000},
        {ZMQ_SNDHWM, 1000},
        {ZMQ_RCVHWM, 1000},
        {ZMQ_IPV6, 0},
        {ZMQ_LINGER, 0},
    };
    struct wire wire;
    wire_open(&wire);
    struct socket *sockets[] = {wire.router, wire.dealer};
    for (size_t s = 0; s < 2; s++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            int value = -1;
            size_t size = sizeof value;
            cr_assert_eq(zmq_getsockopt(socket_handle(sockets[s]), cases[i].name, &value, &size),
                         0);
            cr_assert_eq(value, cases[i].expected, "option %d is %d", cases[i].name, value);
        }
        int64_t frame_bytes_max = 0;
        size_t size = sizeof frame_bytes_max;
        cr_assert_eq(
            zmq_getsockopt(socket_handle(sockets[s]), ZMQ_MAXMSGSIZE, &frame_bytes_max, &size), 0);
        cr_assert_eq(frame_bytes_max, WIRE_FRAME_BYTES_MAX);
    }
    wire_close(&wire);
}

Test(socket, routing_ids_differ)
{
    struct socket_context *context = socket_context_create(1);
    uint8_t ids[2][64];
    for (size_t i = 0; i < 2; i++) {
        struct socket *dealer = make_socket(context, SOCKET_DEALER);
        size_t size = sizeof ids[i];
        cr_assert_eq(zmq_getsockopt(socket_handle(dealer), ZMQ_ROUTING_ID, ids[i], &size), 0);
        cr_assert_eq(size, 17);
        socket_close(dealer, 0);
    }
    cr_assert_neq(memcmp(ids[0], ids[1], 17), 0);
    socket_context_destroy(context);
}
