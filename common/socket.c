#include "common/socket.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "common/message.h"
#include "common/socket_curve.h"

/* The reliability document, section 2, gives the reasons for each. */
#define SOCKET_HANDSHAKE_MS 5000
#define SOCKET_HEARTBEAT_MS 5000
#define SOCKET_HEARTBEAT_TIMEOUT_MS 15000
#define SOCKET_HEARTBEAT_TTL_MS 20000
#define SOCKET_BACKLOG 4096   /* connections waiting to be taken */
#define SOCKET_QUEUE_MAX 1000 /* messages a peer and direction */
#define SOCKET_RECONNECT_MS 100
#define SOCKET_RECONNECT_MAX_MS 30000
#define SOCKET_ROUTING_ID_BYTES 17
#define SOCKET_ENDPOINT_BYTES_MAX 512
/* Frames are bounded one by one inside libzmq; a message may hold this many of the largest. */
#define SOCKET_MESSAGE_FACTOR 4
#define SOCKET_PARTS_START 4
#define SOCKET_PORT_DIGITS_MAX 5

struct socket_context {
    void *handle;
};

struct socket {
    void *handle;
    enum socket_role role;
    bool has_users;           /* a ROUTER with keys */
    size_t message_bytes_max; /* of all frames together */
    zmq_msg_t *outgoing;      /* scratch of socket_send, kept between calls */
    size_t outgoing_capacity;
    char endpoint[SOCKET_ENDPOINT_BYTES_MAX];
};

/* The frames of one message as libzmq handed them over; socket_message.internal. */
struct parts {
    size_t count;
    size_t capacity;
    zmq_msg_t *messages;
    struct slice *slices; /* of all, the peer's too; made when all are there */
    char user[KEY_TEXT_BYTES + 1];
};

struct socket_context *
socket_context_create(int io_threads)
{
    struct socket_context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return NULL;
    }
    context->handle = zmq_ctx_new();
    if (context->handle == NULL ||
        zmq_ctx_set(context->handle, ZMQ_IO_THREADS, io_threads > 0 ? io_threads : 1) != 0) {
        socket_context_destroy(context);
        return NULL;
    }
    return context;
}

void
socket_context_destroy(struct socket_context *context)
{
    if (context == NULL) {
        return;
    }
    while (context->handle != NULL && zmq_ctx_term(context->handle) != 0 && zmq_errno() == EINTR) {
        continue;
    }
    free(context);
}

static bool
set_routing_id(void *handle)
{
    /* A first byte of 0 is kept by libzmq for ids it makes itself. */
    uint8_t id[SOCKET_ROUTING_ID_BYTES] = {'T'};
    ssize_t got;
    do {
        got = getrandom(id + 1, sizeof id - 1, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof id - 1 &&
           zmq_setsockopt(handle, ZMQ_ROUTING_ID, id, sizeof id) == 0;
}

struct integer_option {
    int name;
    int value;
};

static bool
set_integers(void *handle, const struct integer_option *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (zmq_setsockopt(handle, rows[i].name, &rows[i].value, sizeof rows[i].value) != 0) {
            return false;
        }
    }
    return true;
}

static bool
set_options(void *handle, const struct socket_options *options)
{
    int reconnect_ms = options->reconnect_ms > 0 ? options->reconnect_ms : SOCKET_RECONNECT_MS;
    int reconnect_max_ms =
        options->reconnect_max_ms > 0 ? options->reconnect_max_ms : SOCKET_RECONNECT_MAX_MS;
    const struct integer_option common[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_HANDSHAKE_IVL, SOCKET_HANDSHAKE_MS},
        {ZMQ_HEARTBEAT_IVL, SOCKET_HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, SOCKET_HEARTBEAT_TIMEOUT_MS},
        {ZMQ_HEARTBEAT_TTL, SOCKET_HEARTBEAT_TTL_MS},
        {ZMQ_BACKLOG, SOCKET_BACKLOG},
        {ZMQ_SNDHWM, SOCKET_QUEUE_MAX},
        {ZMQ_RCVHWM, SOCKET_QUEUE_MAX},
        {ZMQ_RECONNECT_IVL, reconnect_ms},
        {ZMQ_RECONNECT_IVL_MAX, reconnect_max_ms},
        {ZMQ_IPV6, options->is_ipv6 ? 1 : 0},
    };
    const struct integer_option router[] = {
        {ZMQ_ROUTER_MANDATORY, 1},
        {ZMQ_ROUTER_HANDOVER, 0},
    };
    int64_t frame_bytes_max = (int64_t)options->message_bytes_max;
    if (!set_integers(handle, common, sizeof common / sizeof common[0]) ||
        zmq_setsockopt(handle, ZMQ_MAXMSGSIZE, &frame_bytes_max, sizeof frame_bytes_max) != 0) {
        return false;
    }
    if (options->keys != NULL && !socket_curve_set(handle, options)) {
        return false;
    }
    if (options->role == SOCKET_ROUTER) {
        return set_integers(handle, router, sizeof router / sizeof router[0]);
    }
    return set_routing_id(handle);
}

struct socket *
socket_create(struct socket_context *context, const struct socket_options *options)
{
    assert(options->message_bytes_max > 0);
    assert(options->message_bytes_max <= SIZE_MAX / SOCKET_MESSAGE_FACTOR);
    struct socket *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        return NULL;
    }
    socket->role = options->role;
    socket->has_users = options->role == SOCKET_ROUTER && options->keys != NULL;
    socket->message_bytes_max = options->message_bytes_max * SOCKET_MESSAGE_FACTOR;
    socket->handle =
        zmq_socket(context->handle, options->role == SOCKET_ROUTER ? ZMQ_ROUTER : ZMQ_DEALER);
    if (socket->handle == NULL || !set_options(socket->handle, options)) {
        socket_close(socket, 0);
        return NULL;
    }
    return socket;
}

void
socket_close(struct socket *socket, int linger_ms)
{
    if (socket == NULL) {
        return;
    }
    assert(linger_ms >= 0); /* -1 would wait for ever at exit */
    if (socket->handle != NULL) {
        zmq_setsockopt(socket->handle, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
        zmq_close(socket->handle);
    }
    free(socket->outgoing);
    free(socket);
}

static enum error
error_of_errno(int number)
{
    switch (number) {
    case EINVAL:
    case EPROTONOSUPPORT:
    case ENOCOMPATPROTO:
    case ENAMETOOLONG:
        return ERROR_CONFIG;
    case EADDRINUSE:
        return ERROR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_NOT_ALLOWED;
    case EADDRNOTAVAIL:
    case ENODEV:
    case ENOENT: /* the folder of an ipc path; an endpoint that was not connected */
    case ENOTDIR:
        return ERROR_UNREACHABLE;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    case EHOSTUNREACH:
        return ERROR_NOT_FOUND;
    case EAGAIN:
        return ERROR_AGAIN;
    default:
        return ERROR_IO;
    }
}

/* What follows the scheme, or NULL. */
static const char *
after_scheme(const char *endpoint, const char *scheme)
{
    size_t length = strlen(scheme);
    return strncmp(endpoint, scheme, length) == 0 ? endpoint + length : NULL;
}

/* libzmq takes 99999 for 34463, so the port is read here. */
static bool
tcp_port_is_good(const char *address)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address) {
        return false;
    }
    const char *port = colon + 1;
    size_t digits = strspn(port, "0123456789");
    if (strcmp(port, "*") == 0) {
        return true;
    }
    if (digits == 0 || digits > SOCKET_PORT_DIGITS_MAX || port[digits] != '\0') {
        return false;
    }
    return strtoul(port, NULL, 10) <= UINT16_MAX;
}

static enum error
check_endpoint(const char *endpoint)
{
    if (strlen(endpoint) >= SOCKET_ENDPOINT_BYTES_MAX) {
        return ERROR_CONFIG;
    }
    const char *rest = after_scheme(endpoint, "tcp://");
    if (rest != NULL) {
        return tcp_port_is_good(rest) ? OK : ERROR_CONFIG;
    }
    rest = after_scheme(endpoint, "ipc://");
    if (rest != NULL) {
        size_t length = strlen(rest);
        bool is_good = length > 0 && length < sizeof((struct sockaddr_un *)NULL)->sun_path;
        return is_good ? OK : ERROR_CONFIG;
    }
    rest = after_scheme(endpoint, "inproc://");
    return rest != NULL && *rest != '\0' ? OK : ERROR_CONFIG;
}

/* libzmq removes whatever is at an ipc path before it binds there, a running broker's socket and
 * a file of somebody else's too; so what is there is looked at first. */
static enum error
check_ipc_path(const char *path)
{
    struct stat status;
    if (path[0] == '@' || path[0] == '*' || lstat(path, &status) != 0) {
        return OK; /* abstract, chosen by libzmq, or not there: bind itself says what is wrong */
    }
    if (!S_ISSOCK(status.st_mode)) {
        return ERROR_EXISTS;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return ERROR_IO;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path) + 1);
    int failed = connect(fd, (const struct sockaddr *)&address, sizeof address);
    int number = errno;
    close(fd);
    if (failed && (number == ECONNREFUSED || number == ENOENT)) {
        return unlink(path) == 0 || errno == ENOENT ? OK : error_of_errno(errno);
    }
    /* EAGAIN: somebody listens and has no room. */
    return !failed || number == EAGAIN ? ERROR_EXISTS : error_of_errno(number);
}

bool
socket_endpoint_is_tcp(const char *endpoint)
{
    return after_scheme(endpoint, "tcp://") != NULL;
}

enum error
socket_bind(struct socket *socket, const char *endpoint)
{
    enum error error = check_endpoint(endpoint);
    if (error != OK) {
        return error;
    }
    const char *path = after_scheme(endpoint, "ipc://");
    if (path != NULL) {
        error = check_ipc_path(path);
        if (error != OK) {
            return error;
        }
    }
    if (zmq_bind(socket->handle, endpoint) != 0) {
        return error_of_errno(zmq_errno());
    }
    size_t size = sizeof socket->endpoint;
    if (zmq_getsockopt(socket->handle, ZMQ_LAST_ENDPOINT, socket->endpoint, &size) != 0) {
        socket->endpoint[0] = '\0';
        return ERROR_IO;
    }
    return OK;
}

enum error
socket_connect(struct socket *socket, const char *endpoint)
{
    enum error error = check_endpoint(endpoint);
    if (error != OK) {
        return error;
    }
    return zmq_connect(socket->handle, endpoint) == 0 ? OK : error_of_errno(zmq_errno());
}

enum error
socket_disconnect(struct socket *socket, const char *endpoint)
{
    return zmq_disconnect(socket->handle, endpoint) == 0 ? OK : error_of_errno(zmq_errno());
}

const char *
socket_endpoint(const struct socket *socket)
{
    return socket->endpoint;
}

static bool
reserve_outgoing(struct socket *socket, size_t count)
{
    if (count <= socket->outgoing_capacity) {
        return true;
    }
    /* Between calls the array holds no live message, so nothing is copied. */
    zmq_msg_t *outgoing = malloc(count * sizeof *outgoing);
    if (outgoing == NULL) {
        return false;
    }
    free(socket->outgoing);
    socket->outgoing = outgoing;
    socket->outgoing_capacity = count;
    return true;
}

static bool
init_copy(zmq_msg_t *message, struct slice bytes)
{
    if (zmq_msg_init_size(message, bytes.size) != 0) {
        return false;
    }
    if (bytes.size > 0) {
        memcpy(zmq_msg_data(message), bytes.data, bytes.size);
    }
    return true;
}

static void
close_messages(zmq_msg_t *messages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        zmq_msg_close(&messages[i]);
    }
}

/*
 * Sends parts [0, count) of the scratch. What libzmq 4.3.4 does (router.cpp, lb.cpp): the bound of
 * the queue counts whole messages, so only the first part can meet it. A peer that goes away in
 * the middle makes a ROUTER swallow the rest; a DEALER takes back the parts it has, says EAGAIN
 * for one, and, when that one was not the last, swallows what follows up to the last. So after a
 * late EAGAIN the rest is still handed in, and no half message ever goes out.
 */
static enum error
send_parts(struct socket *socket, size_t count)
{
    enum error error = OK;
    size_t i = 0;
    for (; i < count; i++) {
        int flags = ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0);
        int sent;
        do {
            sent = zmq_msg_send(&socket->outgoing[i], socket->handle, flags);
        } while (sent < 0 && zmq_errno() == EINTR);
        if (sent >= 0) {
            continue; /* the part is the library's now, and closed for us */
        }
        error = error_of_errno(zmq_errno());
        if (i == 0 || error != ERROR_AGAIN) {
            break;
        }
        zmq_msg_close(&socket->outgoing[i]);
    }
    close_messages(&socket->outgoing[i], count - i);
    return error;
}

enum error
socket_send(struct socket *socket, struct slice peer, const struct slice *frames,
            size_t frame_count)
{
    assert(frame_count > 0 && frame_count <= MESSAGE_FRAMES_MAX);
    bool is_router = socket->role == SOCKET_ROUTER;
    assert(is_router || peer.size == 0);
    size_t total = frame_count + (is_router ? 1 : 0);
    if (!reserve_outgoing(socket, total)) {
        return ERROR_NO_MEMORY;
    }
    /* All copies are made first: memory that runs out must not leave half a message. */
    size_t made = 0;
    bool is_made = true;
    if (is_router) {
        is_made = init_copy(&socket->outgoing[0], peer);
        made = is_made ? 1 : 0;
    }
    for (size_t i = 0; is_made && i < frame_count; i++) {
        is_made = init_copy(&socket->outgoing[made], frames[i]);
        made += is_made ? 1 : 0;
    }
    if (!is_made) {
        close_messages(socket->outgoing, made);
        return ERROR_NO_MEMORY;
    }
    return send_parts(socket, total);
}

static void
parts_destroy(struct parts *parts)
{
    if (parts == NULL) {
        return;
    }
    close_messages(parts->messages, parts->count);
    free(parts->messages);
    free(parts->slices);
    free(parts);
}

static bool
parts_reserve(struct parts *parts)
{
    if (parts->count < parts->capacity) {
        return true;
    }
    size_t capacity = parts->capacity > 0 ? parts->capacity * 2 : SOCKET_PARTS_START;
    zmq_msg_t *messages = malloc(capacity * sizeof *messages);
    if (messages == NULL) {
        return false;
    }
    for (size_t i = 0; i < parts->count; i++) {
        zmq_msg_init(&messages[i]);
        zmq_msg_move(&messages[i], &parts->messages[i]);
    }
    close_messages(parts->messages, parts->count);
    free(parts->messages);
    parts->messages = messages;
    parts->capacity = capacity;
    return true;
}

static enum error
receive_part(struct socket *socket, zmq_msg_t *part)
{
    int got;
    do {
        got = zmq_msg_recv(part, socket->handle, ZMQ_DONTWAIT);
    } while (got < 0 && zmq_errno() == EINTR);
    return got >= 0 ? OK : error_of_errno(zmq_errno());
}

/* Small messages live inside zmq_msg_t, so pointers are taken only once the array stands still. */
static enum error
point_message(const struct socket *socket, struct parts *parts, struct socket_message *message)
{
    parts->slices = malloc(parts->count * sizeof *parts->slices);
    if (parts->slices == NULL) {
        return ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < parts->count; i++) {
        zmq_msg_t *part = &parts->messages[i];
        parts->slices[i] = slice_of(zmq_msg_data(part), zmq_msg_size(part));
    }
    bool is_router = socket->role == SOCKET_ROUTER;
    message->internal = parts;
    message->user = slice_string(parts->user);
    message->peer = is_router ? parts->slices[0] : slice_of(NULL, 0);
    message->frames = parts->slices + (is_router ? 1 : 0);
    message->frame_count = parts->count - (is_router ? 1 : 0);
    return OK;
}

/* Keeps the peer of a message that broke the bounds. */
static void
parts_shorten(struct parts *parts, size_t count)
{
    if (parts->count > count) {
        close_messages(&parts->messages[count], parts->count - count);
        parts->count = count;
    }
}

/* Takes every part of one message; parts past the bounds are dropped (ERROR_PROTOCOL). */
static enum error
receive_parts(struct socket *socket, struct parts *parts)
{
    size_t peer_count = socket->role == SOCKET_ROUTER ? 1 : 0;
    size_t bytes = 0;
    enum error error = OK;
    bool is_more = true;
    while (is_more) {
        zmq_msg_t part;
        zmq_msg_init(&part);
        enum error received = receive_part(socket, &part);
        if (received != OK) {
            zmq_msg_close(&part);
            return parts->count == 0 && error == OK ? received : ERROR_IO;
        }
        is_more = zmq_msg_more(&part) != 0;
        if (!is_more && socket->has_users) {
            socket_curve_user(&part, parts->user);
        }
        bytes += error == OK ? zmq_msg_size(&part) : 0;
        if (error == OK && (parts->count == peer_count + MESSAGE_FRAMES_MAX ||
                            bytes > socket->message_bytes_max + SOCKET_PEER_BYTES_MAX)) {
            parts_shorten(parts, peer_count);
            error = ERROR_PROTOCOL;
        }
        if (error == OK && !parts_reserve(parts)) {
            error = ERROR_NO_MEMORY;
        }
        if (error == OK) {
            zmq_msg_init(&parts->messages[parts->count]);
            zmq_msg_move(&parts->messages[parts->count], &part);
            parts->count++;
        }
        zmq_msg_close(&part);
    }
    return error == OK && parts->count <= peer_count ? ERROR_PROTOCOL : error;
}

enum error
socket_receive(struct socket *socket, struct socket_message *ret_message)
{
    assert(ret_message->internal == NULL);
    struct parts *parts = calloc(1, sizeof *parts);
    if (parts == NULL) {
        return ERROR_NO_MEMORY;
    }
    enum error error = receive_parts(socket, parts);
    if ((error == OK || error == ERROR_PROTOCOL) && parts->count > 0) {
        enum error pointed = point_message(socket, parts, ret_message);
        if (pointed == OK) {
            return error;
        }
        error = pointed;
    }
    parts_destroy(parts);
    return error;
}

void
socket_message_release(struct socket_message *message)
{
    parts_destroy(message->internal);
    *message = (struct socket_message){0};
}

void *
socket_handle(struct socket *socket)
{
    return socket->handle;
}
