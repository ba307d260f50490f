/*
 * startup: how thresh-broker and thresh-worker begin.
 *
 * Threads  the main thread, before there are others.
 */
#ifndef THRESH_COMMON_STARTUP_H
#define THRESH_COMMON_STARTUP_H

#include "common/error.h"
#include "common/settings.h"

#include <stdbool.h>

struct startup {
    const char *name;      /* of the program */
    unsigned programs;     /* whose settings it takes */
    const char *help;      /* above the options */
    const char *libraries; /* beside the version; "" for none */
};

/*
 * Reads the settings, sets the log up, and answers --help, --version and a command line that is
 * wrong, each in full. True: the program runs. False: *ret_error says what it exits with.
 * settings_release() in any case.
 */
bool startup_begin(const struct startup *startup, int argc, char **argv, struct settings *settings,
                   enum error *ret_error);

#endif
