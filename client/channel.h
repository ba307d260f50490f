/*
 * channel: a connection to one port of a broker, for code that waits for one thing at a time.
 *
 * All channels of a process share one context, made with the first and dropped with the last
 * (common/socket.h says why). A program with a loop of its own watches channel_socket() there and
 * does not call channel_wait().
 *
 * Threads  one owner a channel; opening and closing may happen on any thread.
 */
#ifndef THRESH_CLIENT_CHANNEL_H
#define THRESH_CLIENT_CHANNEL_H

#include "client/session.h"
#include "common/error.h"
#include "common/socket.h"

#include <stdint.h>

#define CHANNEL_FRAME_BYTES_MAX ((size_t)64 << 20) /* message_bytes_max of the protocol */
#define CHANNEL_LINGER_MS 200                      /* at close, for a GOODBYE */

struct channel;

/*
 * Connects in the background; with CURVE when the files are named (both or neither; NULL and "" are
 * none) and the endpoint is a tcp one. ERROR_CONFIG: not an endpoint. ERROR_NO_MEMORY, ERROR_IO;
 * and the errors of keys_load_peer(), for which alone *ret_message (malloc'd) is set.
 */
MUST_CHECK enum error channel_open(const char *endpoint, const char *key_file,
                                   const char *broker_key_file, struct channel **ret_channel,
                                   char **ret_message);
void channel_close(struct channel *channel);

struct session_sender channel_sender(struct channel *channel);

/* As socket_receive(). */
MUST_CHECK enum error channel_receive(struct channel *channel, struct socket_message *ret_message);

/* Waits until a message is there or it is deadline_ms by the monotonic clock. */
MUST_CHECK enum error channel_wait(struct channel *channel, int64_t deadline_ms);

struct socket *channel_socket(struct channel *channel);
const char *channel_endpoint(const struct channel *channel);

/* Random bytes for an identity. ERROR_IO: the system has none. */
MUST_CHECK enum error channel_random(uint8_t *bytes, size_t size);

#endif
