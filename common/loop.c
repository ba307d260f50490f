#include "common/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "common/socket.h"

/* Taken from epoll in one turn; the kernel rotates its ready list, so nobody starves behind it. */
#define LOOP_EVENTS_A_TURN 64
#define LOOP_SIGNAL_MAX 64 /* the highest signal number of Linux */

struct loop_watch {
    struct loop_watch *next;
    struct loop_watch *previous;
    int fd;
    struct socket *socket; /* NULL for a plain descriptor */
    int events;
    bool is_removed;   /* freed at the end of the turn, never called again */
    bool is_signalled; /* socket: its descriptor fired in this turn */
    bool is_ready;     /* socket: ZMQ_EVENTS had ZMQ_POLLIN in this turn */
    loop_ready_fn *ready;
    void *context;
};

struct loop_signal {
    loop_signal_fn *handler;
    void *context;
};

struct loop {
    int epoll_fd;
    int wake_fd;
    int signal_fd; /* -1 until the first signal is added */
    sigset_t signals;
    struct loop_signal handlers[LOOP_SIGNAL_MAX + 1];
    struct loop_watch *watches;
    struct loop_watch *removed;
    struct loop_watch *sockets[LOOP_SOCKETS_MAX];
    size_t socket_count;
    loop_tick_fn *tick;
    void *tick_context;
    loop_wake_fn *woken;
    void *wake_context;
    bool is_in_turn;
    bool is_stopped;
};

static int64_t
clock_ns(clockid_t clock)
{
    struct timespec now;
    int failed = clock_gettime(clock, &now);
    assert(!failed);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t
clock_monotonic_ms(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t
clock_wall_ms(void)
{
    return clock_ns(CLOCK_REALTIME) / 1000000;
}

int64_t
clock_monotonic_us(void)
{
    return clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* The loop's own descriptors are told apart by the address of their field. */
static bool
register_own(struct loop *loop, int *fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, *fd, &event) == 0;
}

struct loop *
loop_create(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return NULL;
    }
    loop->signal_fd = -1;
    sigemptyset(&loop->signals);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 || !register_own(loop, &loop->wake_fd)) {
        goto fail;
    }
    return loop;
fail:
    loop_destroy(loop);
    return NULL;
}

static void
free_watches(struct loop_watch **list)
{
    while (*list != NULL) {
        struct loop_watch *watch = *list;
        *list = watch->next;
        free(watch);
    }
}

static void
close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void
loop_destroy(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    assert(!loop->is_in_turn);
    free_watches(&loop->watches);
    free_watches(&loop->removed);
    close_fd(loop->signal_fd);
    close_fd(loop->wake_fd);
    close_fd(loop->epoll_fd);
    free(loop);
}

static uint32_t
epoll_of(int events)
{
    uint32_t mask = 0;
    if (events & LOOP_READ) {
        mask |= EPOLLIN;
    }
    if (events & LOOP_WRITE) {
        mask |= EPOLLOUT;
    }
    return mask;
}

static struct loop_watch *
add_watch(struct loop *loop, int fd, int events, loop_ready_fn *ready, void *context)
{
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    watch->fd = fd;
    watch->events = events;
    watch->ready = ready;
    watch->context = context;
    struct epoll_event event = {.events = epoll_of(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(watch);
        return NULL;
    }
    watch->next = loop->watches;
    if (watch->next != NULL) {
        watch->next->previous = watch;
    }
    loop->watches = watch;
    return watch;
}

struct loop_watch *
loop_add_fd(struct loop *loop, int fd, int events, loop_ready_fn *ready, void *context)
{
    assert(ready != NULL);
    return add_watch(loop, fd, events, ready, context);
}

enum error
loop_change(struct loop *loop, struct loop_watch *watch, int events)
{
    assert(!watch->is_removed && watch->socket == NULL);
    if (watch->events == events) {
        return OK;
    }
    struct epoll_event event = {.events = epoll_of(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) != 0) {
        return ERROR_IO;
    }
    watch->events = events;
    return OK;
}

struct loop_watch *
loop_add_socket(struct loop *loop, struct socket *socket, loop_ready_fn *ready, void *context)
{
    assert(ready != NULL);
    assert(loop->socket_count < LOOP_SOCKETS_MAX);
    int fd = -1;
    size_t size = sizeof fd;
    if (zmq_getsockopt(socket_handle(socket), ZMQ_FD, &fd, &size) != 0) {
        return NULL;
    }
    struct loop_watch *watch = add_watch(loop, fd, LOOP_READ, ready, context);
    if (watch == NULL) {
        return NULL;
    }
    watch->socket = socket;
    loop->sockets[loop->socket_count++] = watch;
    return watch;
}

static void
forget_socket(struct loop *loop, const struct loop_watch *watch)
{
    for (size_t i = 0; i < loop->socket_count; i++) {
        if (loop->sockets[i] == watch) {
            size_t behind = loop->socket_count - i - 1;
            memmove(&loop->sockets[i], &loop->sockets[i + 1], behind * sizeof *loop->sockets);
            loop->socket_count--;
            return;
        }
    }
}

void
loop_remove(struct loop *loop, struct loop_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    assert(!watch->is_removed);
    watch->is_removed = true;
    /* Fails only when the caller has closed the descriptor already, which takes it out as well. */
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    if (watch->socket != NULL) {
        forget_socket(loop, watch);
    }
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        loop->watches = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    }
    /* Events of this turn may still point to it. */
    watch->previous = NULL;
    watch->next = loop->removed;
    loop->removed = watch;
    if (!loop->is_in_turn) {
        free_watches(&loop->removed);
    }
}

enum error
loop_add_signal(struct loop *loop, int signal, loop_signal_fn *handler, void *context)
{
    if (signal < 1 || signal > LOOP_SIGNAL_MAX || sigaddset(&loop->signals, signal) != 0) {
        return ERROR_INVALID;
    }
    if (pthread_sigmask(SIG_BLOCK, &loop->signals, NULL) != 0) {
        return ERROR_INVALID;
    }
    bool is_first = loop->signal_fd < 0;
    int fd = signalfd(loop->signal_fd, &loop->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        return ERROR_IO;
    }
    loop->signal_fd = fd;
    loop->handlers[signal] = (struct loop_signal){.handler = handler, .context = context};
    return !is_first || register_own(loop, &loop->signal_fd) ? OK : ERROR_IO;
}

void
loop_set_tick(struct loop *loop, loop_tick_fn *tick, void *context)
{
    loop->tick = tick;
    loop->tick_context = context;
}

void
loop_set_wake(struct loop *loop, loop_wake_fn *woken, void *context)
{
    loop->woken = woken;
    loop->wake_context = context;
}

void
loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write(loop->wake_fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the loop is about to wake anyway. */
}

void
loop_stop(struct loop *loop)
{
    loop->is_stopped = true;
}

static void
dispatch_wake(struct loop *loop)
{
    uint64_t count;
    if (read(loop->wake_fd, &count, sizeof count) == (ssize_t)sizeof count && loop->woken) {
        loop->woken(loop->wake_context);
    }
}

static void
dispatch_signals(struct loop *loop)
{
    struct signalfd_siginfo info;
    while (!loop->is_stopped && read(loop->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        assert(info.ssi_signo <= LOOP_SIGNAL_MAX);
        const struct loop_signal *row = &loop->handlers[info.ssi_signo];
        if (row->handler != NULL) {
            row->handler(row->context, (int)info.ssi_signo);
        }
    }
}

static void
dispatch_event(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == &loop->wake_fd) {
        dispatch_wake(loop);
        return;
    }
    if (event->data.ptr == &loop->signal_fd) {
        dispatch_signals(loop);
        return;
    }
    struct loop_watch *watch = event->data.ptr;
    if (watch->is_removed) {
        return;
    }
    if (watch->socket != NULL) {
        watch->is_signalled = true;
        return;
    }
    int events = 0;
    if (event->events & EPOLLIN) {
        events |= LOOP_READ;
    }
    if (event->events & EPOLLOUT) {
        events |= LOOP_WRITE;
    }
    if (event->events & (EPOLLERR | EPOLLHUP)) {
        /* A reader learns of the end by reading; it need not know of LOOP_ERROR. */
        events |= LOOP_ERROR | (watch->events & LOOP_READ);
    }
    /* The callback before this one may have asked for less. */
    events &= watch->events | LOOP_ERROR;
    if (events != 0) {
        watch->ready(watch->context, events);
    }
}

static bool
socket_is_readable(struct socket *socket)
{
    int events = 0;
    size_t size = sizeof events;
    int failed;
    do {
        failed = zmq_getsockopt(socket_handle(socket), ZMQ_EVENTS, &events, &size);
    } while (failed && zmq_errno() == EINTR);
    /* ETERM: the context was destroyed under a registered socket, which is a mistake of ours. */
    assert(!failed);
    return (events & ZMQ_POLLIN) != 0;
}

/* Sends and receives since the last turn may have used up the descriptor's edge, so every socket
 * is asked before the loop sleeps. */
static bool
ask_sockets(struct loop *loop)
{
    bool is_any_ready = false;
    for (size_t i = 0; i < loop->socket_count; i++) {
        struct loop_watch *watch = loop->sockets[i];
        watch->is_signalled = false;
        watch->is_ready = socket_is_readable(watch->socket);
        is_any_ready = is_any_ready || watch->is_ready;
    }
    return is_any_ready;
}

static void
dispatch_sockets(struct loop *loop)
{
    /* Callbacks may remove any of them, so the walk is over a copy; nothing is freed meanwhile. */
    struct loop_watch *sockets[LOOP_SOCKETS_MAX];
    size_t count = loop->socket_count;
    memcpy(sockets, loop->sockets, count * sizeof *sockets);
    for (size_t i = 0; i < count && !loop->is_stopped; i++) {
        struct loop_watch *watch = sockets[i];
        if (watch->is_removed) {
            continue;
        }
        if (watch->is_signalled && !watch->is_ready) {
            watch->is_ready = socket_is_readable(watch->socket);
        }
        if (watch->is_ready) {
            watch->ready(watch->context, LOOP_READ);
        }
    }
}

static int
sleep_ms(const struct loop *loop)
{
    if (loop->tick == NULL) {
        return -1;
    }
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = loop->tick(loop->tick_context, now_ms);
    if (due_ms == LOOP_NEVER) {
        return -1;
    }
    if (due_ms <= now_ms) {
        return 0;
    }
    return due_ms - now_ms < INT_MAX ? (int)(due_ms - now_ms) : INT_MAX;
}

static enum error
turn(struct loop *loop)
{
    int timeout_ms = sleep_ms(loop);
    if (loop->is_stopped) {
        return OK;
    }
    if (ask_sockets(loop)) {
        timeout_ms = 0;
    }
    struct epoll_event events[LOOP_EVENTS_A_TURN];
    int count = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS_A_TURN, timeout_ms);
    if (count < 0) {
        return errno == EINTR ? OK : ERROR_IO;
    }
    for (int i = 0; i < count && !loop->is_stopped; i++) {
        dispatch_event(loop, &events[i]);
    }
    dispatch_sockets(loop);
    return OK;
}

enum error
loop_run(struct loop *loop)
{
    assert(!loop->is_in_turn);
    enum error error = OK;
    while (!loop->is_stopped && error == OK) {
        loop->is_in_turn = true;
        error = turn(loop);
        loop->is_in_turn = false;
        free_watches(&loop->removed);
    }
    loop->is_stopped = false;
    return error;
}
