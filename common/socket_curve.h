/*
 * socket_curve: CURVE on a libzmq socket. For common/socket.c.
 *
 * A server always names a ZAP domain and enforces it: where no handler answers, nobody gets in
 * (without the two, libzmq 4.3.4 lets in every key).
 *
 * Threads  as the socket.
 * Source   zmq_curve(7), zmq_setsockopt(3); ZeroMQ RFCs 26 and 27.
 */
#ifndef THRESH_COMMON_SOCKET_CURVE_H
#define THRESH_COMMON_SOCKET_CURVE_H

#include "common/key.h"
#include "common/socket.h"

#include <stdbool.h>

/* False: libzmq refused; the socket must not be used. handle: libzmq's. */
bool socket_curve_set(void *handle, const struct socket_options *options);

/* The "User-Id" that the ZAP handler gave the sender of a message, from its last frame (a
 * zmq_msg_t): before libzmq 4.3.5 the first may lack it. "" when there is none. */
void socket_curve_user(void *last_frame, char ret_user[KEY_TEXT_BYTES + 1]);

#endif
