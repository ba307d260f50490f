/*
 * http_date: the dates and delays of HTTP headers.
 *
 * Threads  pure functions; the wall clock is an argument.
 * Source   RFC 9110 sections 5.6.7 (the three date forms) and 10.2.3 (Retry-After).
 */
#ifndef THRESH_WORKER_HTTP_DATE_H
#define THRESH_WORKER_HTTP_DATE_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define RETRY_AFTER_MAX_MS ((int64_t)24 * 60 * 60 * 1000) /* nobody may park a task for longer */

/* Milliseconds since the Unix epoch of an IMF-fixdate, RFC 850 or asctime date. False if it is
 * none of them. Two-digit years lie within 50 years of now_at. */
bool http_date_parse(struct slice text, int64_t now_at, int64_t *ret_at);

/* What Retry-After asks for, from 0 to RETRY_AFTER_MAX_MS; 0 when absent or not understood. */
int64_t retry_after_ms(struct slice value, int64_t now_at);

#endif
