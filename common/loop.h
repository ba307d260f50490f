/*
 * loop: one thread's wait for sockets, file descriptors, signals and time.
 *
 * Level-triggered epoll; libzmq sockets are taken in through ZMQ_FD, and since that descriptor is
 * edge-triggered and speaks of the past, the loop asks ZMQ_EVENTS of every registered socket
 * before each sleep. Callbacks run on the thread of loop_run() and may add and remove watches,
 * their own too. Nothing that blocks may run in one.
 *
 * Bounds   LOOP_SOCKETS_MAX zmq sockets.
 * Threads  one owner, except loop_wake(), which any thread may call.
 */
#ifndef THRESH_COMMON_LOOP_H
#define THRESH_COMMON_LOOP_H

#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LOOP_SOCKETS_MAX 16

struct loop;
struct loop_watch; /* a handle; valid until loop_remove() */
struct socket;

enum loop_events {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_ERROR = 4, /* reported always, never asked for */
};

typedef void loop_ready_fn(void *context, int events);
typedef void loop_signal_fn(void *context, int signal);
/* Does what is due at now_ms; returns when it wants to be called again (LOOP_NEVER: not by time).
 */
typedef int64_t loop_tick_fn(void *context, int64_t now_ms);
typedef void loop_wake_fn(void *context);

#define LOOP_NEVER INT64_MAX

/* NULL: no memory or no descriptor. */
struct loop *loop_create(void);
void loop_destroy(struct loop *loop);

/* NULL: no memory or epoll refuses the descriptor. The descriptor stays the caller's. */
struct loop_watch *loop_add_fd(struct loop *loop, int fd, int events, loop_ready_fn *ready,
                               void *context);
MUST_CHECK enum error loop_change(struct loop *loop, struct loop_watch *watch, int events);

/* Calls ready(context, LOOP_READ) while the socket has a message to receive; one call a turn, the
 * callback may receive several. */
struct loop_watch *loop_add_socket(struct loop *loop, struct socket *socket, loop_ready_fn *ready,
                                   void *context);
void loop_remove(struct loop *loop, struct loop_watch *watch);

/* Blocks the signal for the process and delivers it through the loop. */
MUST_CHECK enum error loop_add_signal(struct loop *loop, int signal, loop_signal_fn *handler,
                                      void *context);

/* The one tick of the loop: called before each sleep. */
void loop_set_tick(struct loop *loop, loop_tick_fn *tick, void *context);

/* Called on the loop's thread soon after any thread has called loop_wake(); wakes are merged. */
void loop_set_wake(struct loop *loop, loop_wake_fn *woken, void *context);
void loop_wake(struct loop *loop);

/* Runs until loop_stop(). ERROR_IO when epoll itself fails. */
MUST_CHECK enum error loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in milliseconds; the edges' only clocks. */
int64_t clock_monotonic_ms(void);
int64_t clock_wall_ms(void);
int64_t clock_monotonic_us(void);

#endif
