/*
 * feeder: what the commands use of thresh_feeder beside thresh.h, to drive it in their own loop.
 *
 * Threads  as thresh.h.
 */
#ifndef THRESH_CLIENT_FEEDER_H
#define THRESH_CLIENT_FEEDER_H

#include "common/error.h"
#include "common/socket.h"
#include "include/thresh.h"

#include <stdbool.h>
#include <stdint.h>

/* To be watched by the caller's loop; feeder_work() when it is readable. */
struct socket *feeder_socket(struct thresh_feeder *feeder);

/* Receives what is there, stores and sends what is due. *ret_deadline_ms: when to call again by
 * time. An error ends the feeder: thresh_feeder_message(). ERROR_DISK_FULL: the spool has no room;
 * call again later. */
MUST_CHECK enum error feeder_work(struct thresh_feeder *feeder, int64_t now_ms,
                                  int64_t *ret_deadline_ms);

/* Seals the batch. ERROR_FULL: later. */
MUST_CHECK enum error feeder_seal(struct thresh_feeder *feeder);

/* As thresh_feeder_submit(), with our errors: ERROR_FULL, ERROR_INVALID, ERROR_TOO_LARGE, ... */
MUST_CHECK enum error feeder_add(struct thresh_feeder *feeder, const struct thresh_item *item);

/* As thresh_feeder_open(), with our errors; *ret_message (free it) says more when one is set. */
MUST_CHECK enum error feeder_open(const struct thresh_feeder_options *options, thresh_fed_fn *fed,
                                  void *context, struct thresh_feeder **ret_feeder,
                                  char **ret_message);

/* Asks the broker how it stands; feeder_is_told() once it has answered. */
void feeder_ask(struct thresh_feeder *feeder);
bool feeder_is_told(const struct thresh_feeder *feeder);

/* Why the broker takes nothing now, as far as it has said so; NULL: it takes what comes. */
const char *feeder_put_off(const struct thresh_feeder *feeder);

bool feeder_is_connected(const struct thresh_feeder *feeder);
bool feeder_was_connected(const struct thresh_feeder *feeder); /* ever */
int64_t feeder_unfinished(const struct thresh_feeder *feeder); /* -1: not known */

#endif
