/*
 * feeder_answer: what the broker said of each item of a submit (SUBMITTED).
 *
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_CLIENT_FEEDER_ANSWER_H
#define THRESH_CLIENT_FEEDER_ANSWER_H

#include "client/feeder_core.h"
#include "common/wire.h"

struct feeder_answer {
    uint8_t statuses[FEEDER_BATCH_MAX];     /* enum item_status */
    struct slice reasons[FEEDER_BATCH_MAX]; /* point into the message */
    size_t count;
    uint64_t first; /* number of the first accepted item's task */
    int64_t retry_ms;
};

/* Reads the pairs of a SUBMITTED. ERROR_PROTOCOL: not one. The answer is zeroed by the caller. */
MUST_CHECK enum error feeder_answer_read(struct session_header *header,
                                         struct feeder_answer *answer);

#endif
