/*
 * gather: moves results from a collector into a sink, in a loop: written, flushed, and only then
 * acknowledged.
 *
 * Threads  one owner, the loop's.
 */
#ifndef THRESH_CLIENT_GATHER_H
#define THRESH_CLIENT_GATHER_H

#include "client/sink.h"
#include "client/totals.h"
#include "common/error.h"
#include "common/loop.h"
#include "include/thresh.h"

#include <stdbool.h>
#include <stdint.h>

struct gather;

/* The sink is the gather's from then on, also on failure. count_max: results after which it takes
 * no more; 0: no limit. *ret_message (free it) says more where one is set. */
MUST_CHECK enum error gather_open(struct loop *loop, struct sink *sink,
                                  const struct thresh_collector_options *options,
                                  uint64_t count_max, struct gather **ret_gather,
                                  char **ret_message);
void gather_close(struct gather *gather);

/* Receives, writes, flushes, acknowledges. ERROR_UNREACHABLE: the reader of standard output has
 * gone; ERROR_LOCKED: another process collects under the name; ERROR_DISK_FULL, ERROR_IO: the sink;
 * gather_message() says more. */
MUST_CHECK enum error gather_work(struct gather *gather, int64_t now_ms, int64_t *ret_deadline_ms);

/*
 * Asks the broker how it stands, once all that came is written and acknowledged; at most every
 * interval_ms. gather_is_told(): it has answered since and nothing has come meanwhile, so that
 * gather_unfinished() is true of now.
 */
void gather_ask(struct gather *gather, int64_t now_ms, int64_t interval_ms);
bool gather_is_told(const struct gather *gather);
/* Asks for people's sake, at most every interval_ms, whatever is under way. */
void gather_look(struct gather *gather, int64_t now_ms, int64_t interval_ms);
/* Forgets an answer, as the feeder has fed since. */
void gather_doubt(struct gather *gather);

bool gather_is_idle(const struct gather *gather); /* all that came is acknowledged */
bool gather_is_full(const struct gather *gather); /* count_max reached */
int64_t gather_unfinished(const struct gather *gather);
uint64_t gather_count(const struct gather *gather); /* results written by this process */
struct totals *gather_totals(struct gather *gather);
struct sink *gather_sink(struct gather *gather);
struct thresh_collector *gather_collector(struct gather *gather);
const char *gather_message(const struct gather *gather);

#endif
