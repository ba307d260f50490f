/*
 * pump: moves items from an input to a feeder as fast as the feeder takes them, in a loop, and
 * counts what becomes of them.
 *
 * Threads  one owner, the loop's.
 */
#ifndef THRESH_CLIENT_PUMP_H
#define THRESH_CLIENT_PUMP_H

#include "client/input.h"
#include "common/error.h"
#include "common/loop.h"
#include "include/thresh.h"

#include <stdbool.h>
#include <stdint.h>

struct pump;

struct pump_counts {
    uint64_t fed; /* handed to the feeder */
    uint64_t accepted;
    uint64_t known;
    uint64_t invalid; /* refused by the broker or the feeder */
};

/* The input is the pump's from then on, also on failure. *ret_message (free it) may say more. */
MUST_CHECK enum error pump_open(struct loop *loop, struct input *input,
                                const struct thresh_feeder_options *options, struct pump **ret_pump,
                                char **ret_message);
void pump_close(struct pump *pump);

/* Feeds, sends, receives. *ret_deadline_ms: when to call again by time; the pump's descriptors
 * wake the loop by themselves. Errors end it: pump_message(). ERROR_DISK_FULL: go on later. */
MUST_CHECK enum error pump_work(struct pump *pump, int64_t now_ms, int64_t *ret_deadline_ms);

/* Takes nothing more of the input; what was fed is still sent. */
void pump_stop(struct pump *pump);

/* All of the input has been fed and answered. */
bool pump_is_done(const struct pump *pump);
struct pump_counts pump_counts(const struct pump *pump);
uint64_t pump_bad_count(const struct pump *pump); /* of the input: lines and files */
struct thresh_feeder *pump_feeder(struct pump *pump);
const char *pump_message(const struct pump *pump);

#endif
