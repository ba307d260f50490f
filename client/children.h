/*
 * children: the daemons of a private run, as processes of ours: started, watched, started again.
 *
 * Each has a process group of its own, so that an interrupt of the terminal reaches only us, dies
 * with us (PR_SET_PDEATHSIG), and writes its log to a file. One that ends is started again after a
 * wait that doubles; CHILDREN_DEATHS_MAX quick deaths in a row, or an exit that another start
 * would not change, are the end.
 *
 * Bounds   CHILDREN_MAX.
 * Threads  the main thread: a child's parent is the thread that forked.
 */
#ifndef THRESH_CLIENT_CHILDREN_H
#define THRESH_CLIENT_CHILDREN_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHILDREN_MAX 257
#define CHILDREN_DEATHS_MAX 12

struct children;

struct children *children_create(void);
void children_destroy(struct children *children); /* kills what is left */

/* Adds one, not started yet. argv ends with NULL and is copied; argv[0] is the program. With
 * is_fatal its death is the end at once. ERROR_NO_MEMORY, ERROR_FULL. */
MUST_CHECK enum error children_add(struct children *children, const char *name, char *const *argv,
                                   const char *log_path, bool is_fatal);

/* Starts what is due; returns when the next one is (INT64_MAX: none). */
int64_t children_tick(struct children *children, int64_t now_ms);

/* After SIGCHLD. */
void children_reap(struct children *children, int64_t now_ms);

/* Sends a signal to those whose name starts so ("" for all); they are not started again. */
void children_stop(struct children *children, const char *name_start, int signal);
size_t children_alive(const struct children *children, const char *name_start);

/* Waits for those whose name starts so, killing them after timeout_ms. */
void children_wait(struct children *children, const char *name_start, int64_t timeout_ms);

/* The first that failed for good: its name, its log, and what it exited with (128 and the signal
 * when killed). False: none has. */
bool children_failure(const struct children *children, const char **ret_name,
                      const char **ret_log_path, int *ret_code);
uint64_t children_restarts(const struct children *children);

#endif
