/*
 * pool_answer: is what a child says an answer?
 *
 * A child has read hostile bytes and may be run by them, so nothing of its answer is believed:
 * msgpack is scanned, the outcome must be one that extraction has, names must be those extraction
 * may write, each once and of its type. Names that the worker writes itself (task, url, outcome,
 * worker, meta ...) are never let through.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_POOL_ANSWER_H
#define THRESH_WORKER_POOL_ANSWER_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/outcome.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool_reply {
    enum outcome outcome;
    size_t decoded_bytes;
    int64_t extract_us;
    bool is_truncated;
    struct slice pairs; /* without a map head; into body */
    size_t pair_count;
};

/* header and body of the child's frame. ERROR_PROTOCOL: not an answer. */
MUST_CHECK enum error pool_answer_check(struct slice header, struct slice body,
                                        size_t decoded_bytes_max, int64_t extract_us_max,
                                        struct pool_reply *ret_reply);

#endif
