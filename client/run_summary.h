/*
 * run_summary: what a run says at its end: the broker's totals, checked against what was written.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_RUN_SUMMARY_H
#define THRESH_CLIENT_RUN_SUMMARY_H

#include "client/gather.h"
#include "client/pump.h"

struct run_summary {
    int64_t elapsed_ms;
    struct pump_counts counts;
    uint64_t bad_count;
    uint64_t restarts;  /* of daemons */
    const char *output; /* a file, or NULL */
    bool is_resumed;    /* earlier results of the same state may be elsewhere */
};

/*
 * Prints the summary to standard error. written: a recount of the results, or NULL when there is
 * none. False: the broker's totals and the recount differ, which has been said; or the status
 * reply cannot be read.
 */
bool run_summary_print(const struct run_summary *summary, struct slice status,
                       const struct totals *written, bool is_quiet);

#endif
