/*
 * zap: answers libzmq's question who may connect (ZeroMQ RFC 27), for the guard.
 *
 * Must be there before a door with keys is bound; without it nobody gets in. A key on the list is
 * let in whatever its role, so that a peer at the wrong door is told so; all others are put off
 * (status 300: libzmq tries again by itself, where 400 would silence it until its process restarts,
 * listed meanwhile or not).
 *
 * Threads  one owner, the broker's loop: an answer takes microseconds, and the loop never blocks.
 * Source   ZeroMQ RFC 27; libzmq 4.3.4 session_base.cpp takes a ROUTER as a handler.
 */
#ifndef THRESH_BROKER_ZAP_H
#define THRESH_BROKER_ZAP_H

#include "broker/guard.h"
#include "common/error.h"
#include "common/loop.h"
#include "common/socket.h"

struct zap;

/* The guard is borrowed. */
MUST_CHECK enum error zap_start(struct socket_context *context, struct loop *loop,
                                struct guard *guard, struct zap **ret_zap);
void zap_stop(struct zap *zap);

#endif
