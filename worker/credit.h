/*
 * credit: how many leases a worker should hold, given how full it is.
 *
 * Up to half of every limit: all of leases_max. From there it falls in steps of an eighth, and at
 * any limit it is 0: nothing new until results are recorded or children have caught up.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_CREDIT_H
#define THRESH_WORKER_CREDIT_H

#include <stddef.h>

struct credit_gauge {
    size_t used;
    size_t limit;
};

size_t credit_of(size_t leases_max, const struct credit_gauge *gauges, size_t gauge_count);

#endif
