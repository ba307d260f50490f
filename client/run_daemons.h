/*
 * run_daemons: the command lines of a private run's broker and workers.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_RUN_DAEMONS_H
#define THRESH_CLIENT_RUN_DAEMONS_H

#include "client/children.h"
#include "client/run_place.h"

/* Adds the broker and settings->workers workers; what was set for the run and is theirs as well is
 * handed on. ERROR_NO_MEMORY, ERROR_FULL. */
MUST_CHECK enum error run_daemons_add(const struct settings *settings,
                                      const struct run_place *place, struct children *children);

#endif
