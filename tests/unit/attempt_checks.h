/* attempt_checks: what a server says, as an attempt hears of it. */
#ifndef THRESH_TESTS_UNIT_ATTEMPT_CHECKS_H
#define THRESH_TESTS_UNIT_ATTEMPT_CHECKS_H

#include "worker/attempt.h"

static inline enum attempt_action
attempt_answered(struct attempt *attempt, int status, const char *location, size_t body_bytes)
{
    struct attempt_answer answer = {.outcome = OUTCOME_OK,
                                    .reason = "",
                                    .status = status,
                                    .location = slice_string(location),
                                    .body_bytes = body_bytes};

    return attempt_fetched(attempt, &answer);
}

#endif
