/*
 * naming: the arguments of `run` and `feed` as an input, and an output as a sink, with what is
 * said when they are wrong.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_NAMING_H
#define THRESH_CLIENT_NAMING_H

#include "client/cli.h"
#include "client/input.h"
#include "client/sink.h"

/* Opens every argument and the list (or NULL). CLI_GO_ON, or the exit code: it has been said. */
int naming_input(const struct cli *cli, const char *list, struct input **ret_input);

/* Opens the sink of --output and --format; says what was cut off. CLI_GO_ON, or the exit code. */
int naming_sink(const struct cli *cli, const struct sink_kind **ret_kind, struct sink **ret_sink);

#endif
