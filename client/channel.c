#include "client/channel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/keys.h"
#include "common/loop.h"

#define RECONNECT_MS 50
#define RECONNECT_MAX_MS 2000 /* people and tests wait for a broker that comes back */

struct channel {
    struct socket *socket;
    char *endpoint;
    struct loop *loop; /* made by the first wait */
    int64_t deadline_ms;
};

/* The process's one context and how many channels use it; lock guards both. */
static struct {
    pthread_mutex_t lock;
    struct socket_context *context;
    size_t users;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct socket_context *
context_take(void)
{
    pthread_mutex_lock(&shared.lock);
    if (shared.context == NULL) {
        shared.context = socket_context_create(1);
    }
    struct socket_context *context = shared.context;
    shared.users += context != NULL ? 1 : 0;
    pthread_mutex_unlock(&shared.lock);
    return context;
}

static void
context_give_back(void)
{
    pthread_mutex_lock(&shared.lock);
    if (--shared.users == 0) {
        socket_context_destroy(shared.context);
        shared.context = NULL;
    }
    pthread_mutex_unlock(&shared.lock);
}

enum error
channel_open(const char *endpoint, const char *key_file, const char *broker_key_file,
             struct channel **ret_channel, char **ret_message)
{
    struct keys *keys = NULL; /* until the socket has its copy */
    enum error error = keys_load_peer(key_file, broker_key_file, &keys, ret_message);
    if (error != OK) {
        return error;
    }
    error = ERROR_NO_MEMORY;
    struct socket_context *context = context_take();
    if (context == NULL) {
        keys_destroy(keys);
        return ERROR_NO_MEMORY;
    }
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) {
        keys_destroy(keys);
        context_give_back();
        return ERROR_NO_MEMORY;
    }
    struct socket_options options = {
        .role = SOCKET_DEALER,
        .message_bytes_max = CHANNEL_FRAME_BYTES_MAX,
        .is_ipv6 = strchr(endpoint, '[') != NULL,
        .reconnect_ms = RECONNECT_MS,
        .reconnect_max_ms = RECONNECT_MAX_MS,
        .keys = socket_endpoint_is_tcp(endpoint) ? keys : NULL,
    };
    channel->endpoint = strdup(endpoint);
    channel->socket = socket_create(context, &options);
    keys_destroy(keys);
    if (channel->endpoint == NULL || channel->socket == NULL) {
        goto fail;
    }
    error = socket_connect(channel->socket, endpoint);
    if (error != OK) {
        goto fail;
    }
    *ret_channel = channel;
    return OK;
fail:
    channel_close(channel);
    return error;
}

void
channel_close(struct channel *channel)
{
    if (channel == NULL) {
        return;
    }
    loop_destroy(channel->loop);
    socket_close(channel->socket, CHANNEL_LINGER_MS);
    free(channel->endpoint);
    free(channel);
    context_give_back();
}

static enum error
channel_send(void *context, const struct slice *frames, size_t frame_count)
{
    struct channel *channel = context;
    return socket_send(channel->socket, slice_of(NULL, 0), frames, frame_count);
}

struct session_sender
channel_sender(struct channel *channel)
{
    return (struct session_sender){.send = channel_send, .context = channel};
}

enum error
channel_receive(struct channel *channel, struct socket_message *ret_message)
{
    return socket_receive(channel->socket, ret_message);
}

static void
message_arrived(void *context, int events)
{
    struct channel *channel = context;
    (void)events;
    loop_stop(channel->loop);
}

static int64_t
wait_tick(void *context, int64_t now_ms)
{
    struct channel *channel = context;
    if (now_ms >= channel->deadline_ms) {
        loop_stop(channel->loop);
    }
    return channel->deadline_ms;
}

enum error
channel_wait(struct channel *channel, int64_t deadline_ms)
{
    if (channel->loop == NULL) {
        channel->loop = loop_create();
        if (channel->loop == NULL ||
            loop_add_socket(channel->loop, channel->socket, message_arrived, channel) == NULL) {
            loop_destroy(channel->loop);
            channel->loop = NULL;
            return ERROR_NO_MEMORY;
        }
        loop_set_tick(channel->loop, wait_tick, channel);
    }
    channel->deadline_ms = deadline_ms;
    return loop_run(channel->loop);
}

struct socket *
channel_socket(struct channel *channel)
{
    return channel->socket;
}

const char *
channel_endpoint(const struct channel *channel)
{
    return channel->endpoint;
}

enum error
channel_random(uint8_t *bytes, size_t size)
{
    ssize_t got;
    do {
        got = getrandom(bytes, size, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size ? OK : ERROR_IO;
}
