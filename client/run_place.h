/*
 * run_place: the directories of a private run.
 *
 * With --state everything lives there (store, spool, logs) and stays; without, in a temporary
 * directory that is removed at the end. The sockets lie where their path is short enough.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_RUN_PLACE_H
#define THRESH_CLIENT_RUN_PLACE_H

#include "client/cli.h"

#include <stdbool.h>

enum run_socket {
    RUN_FEED,
    RUN_WORK,
    RUN_COLLECT,
    RUN_CONTROL,
    RUN_SOCKET_COUNT,
};

struct run_place {
    char *directory; /* of the state, or temporary */
    char *sockets;   /* a directory of mode 0700 */
    char *endpoints[RUN_SOCKET_COUNT];
    char *store;
    char *spool; /* NULL without --state */
    int lock_fd;
    bool is_temporary;
    bool is_resumed; /* the store was there already */
    bool owns_sockets;
};

/* CLI_GO_ON, or the exit code: it has been said. */
int run_place_open(const struct settings *settings, struct run_place *ret_place);
/* Removes what is temporary; with keep_logs the temporary directory stays. */
void run_place_close(struct run_place *place, bool keep_logs);

/* DIRECTORY/NAME, malloc'd; NULL without memory. */
char *run_place_path(const struct run_place *place, const char *name);

#endif
