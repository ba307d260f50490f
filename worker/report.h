/*
 * report: what an attempt brought, as the row of RESULTS and the result map.
 *
 * include/PROTOCOL.md has both: section 6 the row, section 9 the result. The child's pairs (title,
 * text, links, ...) go into the result as they are; the pool has let only the names through that
 * extraction may write.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_REPORT_H
#define THRESH_WORKER_REPORT_H

#include "common/buffer.h"
#include "worker/attempt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All since the start of the transfer, except extract_ms. Negative: did not happen. */
struct report_timing {
    double dns_ms;
    double connect_ms;
    double tls_ms;
    double first_byte_ms;
    double total_ms;
    double extract_ms;
};

struct report {
    const struct attempt *attempt; /* ENDED */
    const char *worker;            /* its name */
    struct slice headers;          /* of the last answer (headers_write); empty without one */
    struct slice content_type;     /* as claimed by the answer or the feeder */
    int64_t fetched_at;            /* wall clock; 0: nothing was fetched */
    int64_t retry_after_ms;
    int64_t since_request_ms; /* since the host had the last request; -1: none was made */
    uint64_t bytes_received;  /* from the network */
    uint64_t bytes_decoded;   /* 0: not known */
    bool is_truncated;
    struct report_timing timing;
    struct slice pairs; /* of the child; empty without extraction */
    size_t pair_count;
    struct slice raw; /* the body, when it is to be kept; empty otherwise */
};

/* Has this attempt a result for the collectors? A task that goes on elsewhere has none. */
bool report_has_result(const struct report *report);

/* Appends the result, one whole map. */
void report_write_result(const struct report *report, struct buffer *out);

/* Appends the row's pairs without a map head and without `result`, whose number is known only
 * when the message is put together. */
void report_write_row(const struct report *report, struct buffer *out, size_t *ret_pairs);

#endif
