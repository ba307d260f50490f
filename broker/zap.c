#include "broker/zap.h"

#include <stdlib.h>
#include <string.h>

#define ENDPOINT "inproc://zeromq.zap.01"
#define FRAME_BYTES_MAX 4096
#define REQUESTS_A_TURN 256

/* Frames of a request after the sender's; a reply has as many as REPLY_COUNT. */
enum {
    FRAME_EMPTY,
    FRAME_VERSION,
    FRAME_REQUEST,
    FRAME_DOMAIN,
    FRAME_ADDRESS,
    FRAME_IDENTITY,
    FRAME_MECHANISM,
    FRAME_KEY,
    REQUEST_COUNT
};
#define REPLY_COUNT 7

struct zap {
    struct loop *loop;
    struct socket *socket;
    struct loop_watch *watch;
    struct guard *guard;
};

static void
answer(struct zap *zap, const struct socket_message *request)
{
    const struct slice *frames = request->frames;
    char key[KEY_TEXT_BYTES + 1] = "";
    if (request->frame_count != REQUEST_COUNT ||
        !slice_equal(frames[FRAME_VERSION], slice_string("1.0"))) {
        return; /* not libzmq's: no answer lets nobody in */
    }
    bool is_known = false;
    if (slice_equal(frames[FRAME_MECHANISM], slice_string("CURVE")) &&
        frames[FRAME_KEY].size == KEY_BYTES) {
        key_text(frames[FRAME_KEY].data, key);
        is_known =
            guard_knows(zap->guard, slice_string(key), frames[FRAME_DOMAIN], frames[FRAME_ADDRESS]);
    }
    const struct slice reply[REPLY_COUNT] = {
        slice_of("", 0),       slice_string("1.0"),
        frames[FRAME_REQUEST], slice_string(is_known ? "200" : "300"),
        slice_of("", 0),       slice_string(is_known ? key : ""),
        slice_of("", 0),
    };
    /* Whoever asked may be gone; libzmq takes no answer for no. */
    ignore_error(socket_send(zap->socket, request->peer, reply, REPLY_COUNT));
}

static void
request_came(void *context, int events)
{
    struct zap *zap = context;
    struct socket_message request = {0};
    (void)events;
    for (int i = 0; i < REQUESTS_A_TURN; i++) {
        enum error error = socket_receive(zap->socket, &request);
        if (error == OK) {
            answer(zap, &request);
        }
        socket_message_release(&request);
        if (error != OK && error != ERROR_PROTOCOL) {
            return;
        }
    }
}

enum error
zap_start(struct socket_context *context, struct loop *loop, struct guard *guard,
          struct zap **ret_zap)
{
    const struct socket_options options = {.role = SOCKET_ROUTER,
                                           .message_bytes_max = FRAME_BYTES_MAX};
    struct zap *zap = calloc(1, sizeof *zap);
    if (zap == NULL) {
        return ERROR_NO_MEMORY;
    }
    zap->loop = loop;
    zap->guard = guard;
    zap->socket = socket_create(context, &options);
    enum error error = zap->socket != NULL ? socket_bind(zap->socket, ENDPOINT) : ERROR_NO_MEMORY;
    if (error == OK) {
        zap->watch = loop_add_socket(loop, zap->socket, request_came, zap);
        error = zap->watch != NULL ? OK : ERROR_NO_MEMORY;
    }
    if (error != OK) {
        zap_stop(zap);
        return error;
    }
    *ret_zap = zap;
    return OK;
}

void
zap_stop(struct zap *zap)
{
    if (zap == NULL) {
        return;
    }
    if (zap->watch != NULL) {
        loop_remove(zap->loop, zap->watch);
    }
    socket_close(zap->socket, 0);
    free(zap);
}
