/*
 * progress: the line on standard error that says how far a run is.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_PROGRESS_H
#define THRESH_CLIENT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool is_on;
    bool is_terminal; /* the line is written over */
    bool is_shown;
    int64_t started_ms;
    int64_t next_ms;
    int64_t last_ms;
    uint64_t last_done;
    double rate; /* results a second, smoothed */
};

/* Whether the results go to a terminal, where a line in between would spoil both. */
bool progress_is_in_the_way(const char *output);

/* choice: enum settings_progress. */
void progress_init(struct progress *progress, int choice, bool is_quiet, int64_t now_ms);

/* Shows the line when it is due; returns when it is due again. unfinished -1: not known. */
int64_t progress_tick(struct progress *progress, int64_t now_ms, uint64_t done, uint64_t failed,
                      int64_t unfinished);

/* Removes the line, so that a message can be written; it comes again by itself. */
void progress_hide(struct progress *progress);

#endif
