/*
 * control: asks a broker one question at a time.
 *
 * Threads  one owner.
 */
#ifndef THRESH_CLIENT_CONTROL_H
#define THRESH_CLIENT_CONTROL_H

#include "client/cli.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdint.h>

/* Where a broker is asked. */
struct control_place {
    const char *endpoint;
    const char *key_file; /* as for channel_open() */
    const char *broker_key_file;
};

/*
 * Sends one REQUEST and waits for its REPLY, connecting and greeting first. arguments is a msgpack
 * map, or empty. ret_reply gets the reply's fields as one map. ERROR_UNREACHABLE: no answer in
 * timeout_ms; ERROR_REFUSED and ERROR_INVALID (the request failed): ret_message, which the caller
 * frees, says why; ERROR_CONFIG: not an endpoint, or, with a message, no good keys.
 */
MUST_CHECK enum error control_request(const struct control_place *place, int64_t timeout_ms,
                                      const char *verb, struct slice arguments,
                                      struct buffer *ret_reply, char **ret_message);

/* The same for a verb of the command: says what went wrong. CLI_GO_ON, or the exit code. */
int control_ask(const struct cli *cli, const char *verb, struct slice arguments,
                struct buffer *ret_reply);

/* A whole verb that asks one thing and prints the reply: as JSON with --json, else by print(). */
typedef enum error control_print_fn(struct slice reply, struct buffer *out);
int control_show(const struct verb *verb, int argc, char **argv, const char *question,
                 control_print_fn *print);

/* Prints a reply as JSON, for --json. An exit code. */
int control_print_json(struct slice reply);

#endif
