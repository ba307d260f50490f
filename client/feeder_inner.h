/*
 * feeder_inner: the inside of feeder_core, for its two files only: feeder_core.c takes items in and
 * sends, feeder_receive.c takes in what the broker says.
 */
#ifndef THRESH_CLIENT_FEEDER_INNER_H
#define THRESH_CLIENT_FEEDER_INNER_H

#include "client/feeder_core.h"
#include "client/feeder_submit.h"

struct feeder_core {
    struct session session;
    feeder_status_fn *fed;
    void *context;
    size_t batch_max;
    size_t window_max;
    size_t bytes_max;
    bool is_spooled;
    struct submit *batch;    /* open, or NULL */
    struct submit **submits; /* unanswered, by growing sequence */
    size_t submit_count;
    size_t bytes; /* of all items */
    uint64_t item_count;
    uint64_t last_sequence;
    uint64_t confirmed; /* what the broker may be told */
    int64_t unfinished;
    bool is_put_off; /* the broker takes nothing now; session.reason may say why */
    enum error error;
    char message[FEEDER_REASON_BYTES_MAX + SESSION_REASON_BYTES_MAX];
};

#endif
