/*
 * pool_zygote: a small process that starts the children.
 *
 * It is forked from the worker before threads and sockets exist, loads what children need, and
 * then forks a child whenever it is asked to: a fork of the worker itself later would copy the
 * locks of libzmq's and libcurl's threads in any state. It passes the parent's end of the child's
 * socket and a pidfd over a Unix socket, reaps, and reports how each child ended.
 *
 * Threads  one owner.
 * Source   the zygote of Chromium and Android.
 */
#ifndef THRESH_WORKER_POOL_ZYGOTE_H
#define THRESH_WORKER_POOL_ZYGOTE_H

#include "common/error.h"
#include "worker/child.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct zygote {
    int fd;    /* readable when a report is there */
    pid_t pid; /* 0: none */
};

struct zygote_options {
    struct child_options child;
    bool is_best_effort;
};

enum zygote_event {
    ZYGOTE_STARTED, /* slot, pid, fd and pid_fd are set; the descriptors are the caller's */
    ZYGOTE_REFUSED, /* slot is set: no process could be had */
    ZYGOTE_ENDED,   /* pid and status are set; pids are reported before they can come again */
};

struct zygote_report {
    enum zygote_event event;
    uint32_t slot;
    pid_t pid;
    int status; /* as waitpid() gives it */
    int fd;     /* non-blocking */
    int pid_fd;
};

/* ERROR_IO: no process or socket. */
MUST_CHECK enum error zygote_start(const struct zygote_options *options, struct zygote *ret_zygote);

/* Ends it, and with it every child; waits until it is gone. */
void zygote_stop(struct zygote *zygote);

/* Asks for a child; its report carries the slot. ERROR_IO: the zygote is gone. */
MUST_CHECK enum error zygote_spawn(struct zygote *zygote, uint32_t slot);

/* The next report without waiting. ERROR_AGAIN: none there. ERROR_IO: the zygote is gone. */
MUST_CHECK enum error zygote_receive(struct zygote *zygote, struct zygote_report *ret_report);

#endif
