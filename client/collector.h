/*
 * collector: what the commands use of thresh_collector beside thresh.h, to drive it in their loop.
 *
 * Threads  as thresh.h.
 */
#ifndef THRESH_CLIENT_COLLECTOR_H
#define THRESH_CLIENT_COLLECTOR_H

#include "common/error.h"
#include "common/socket.h"
#include "include/thresh.h"

#include <stdbool.h>
#include <stdint.h>

/* To be watched by the caller's loop; collector_work() when it is readable. */
struct socket *collector_socket(struct thresh_collector *collector);

/* Receives what is there (results are kept for collector_take()) and sends what is due. An error
 * ends the collector: thresh_collector_message(). */
MUST_CHECK enum error collector_work(struct thresh_collector *collector, int64_t now_ms,
                                     int64_t *ret_deadline_ms);

/* The next result that has been received; false: none. Valid until the next call. */
bool collector_take(struct thresh_collector *collector, struct thresh_result *ret_result);

/* Asks the broker how it stands; collector_is_told() once it has answered. */
void collector_ask(struct thresh_collector *collector);
bool collector_is_told(const struct thresh_collector *collector);

/* As thresh_collector_open(), with our errors; *ret_message (free it) says more when one is set. */
MUST_CHECK enum error collector_open(const struct thresh_collector_options *options,
                                     struct thresh_collector **ret_collector, char **ret_message);

bool collector_is_connected(const struct thresh_collector *collector);
bool collector_was_connected(const struct thresh_collector *collector); /* ever */
bool collector_is_acknowledged(const struct thresh_collector *collector);
uint64_t collector_taken(const struct thresh_collector *collector);

/* The store that the results come from, the first part of every task's id; "" before WELCOME. */
const char *collector_store(const struct thresh_collector *collector);

#endif
