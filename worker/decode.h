/*
 * decode: Content-Encoding removed, with caps and end marks.
 *
 * gzip by libdeflate where the body is one whole member that tells its size, by zlib otherwise;
 * deflate in both of its forms by zlib; brotli and zstd by their libraries; up to
 * DECODE_LAYERS_MAX layers. All layers together stop at bytes_max, and past 1 MiB of output at
 * ratio_max times the body as it came. A body without its end mark is truncated, never taken as
 * whole.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_DECODE_H
#define THRESH_WORKER_DECODE_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/outcome.h"

#include <stdbool.h>

#define DECODE_LAYERS_MAX 3

struct decode_limits {
    size_t bytes_max; /* of output, every layer */
    size_t ratio_max; /* output over input, past 1 MiB */
};

struct decoded {
    struct slice body; /* in the arena, or the input itself when there was no encoding */
    bool is_truncated; /* the end mark is missing; body holds what could be read */
};

/*
 * encoding: the header's value, "gzip", "br, gzip", empty.
 * OUTCOME_OK, OUTCOME_DECODE_FAILED (broken, or an encoding we do not know), OUTCOME_TOO_LARGE,
 * OUTCOME_CHILD_MEMORY (arena full).
 */
enum outcome decode_body(struct arena *arena, struct slice body, struct slice encoding,
                         const struct decode_limits *limits, struct decoded *ret_decoded);

#endif
