/*
 * outcome: how an attempt ended, as the web or the document made it end.
 *
 * Rows and policies live in outcome.def; retry decisions read the policy,
 * never a list of outcomes. On the wire an outcome is its name.
 */
#ifndef THRESH_COMMON_OUTCOME_H
#define THRESH_COMMON_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

enum outcome {
#define OUTCOME(upper, wire, policy, text) OUTCOME_##upper,
#include "common/outcome.def"
#undef OUTCOME
    OUTCOME_COUNT
};

enum outcome_policy {
    OUTCOME_POLICY_DONE,
    OUTCOME_POLICY_FINAL,
    OUTCOME_POLICY_RETRY,
    OUTCOME_POLICY_ELSEWHERE,
    OUTCOME_POLICY_UNTRIED,
    OUTCOME_POLICY_MOVED,
};

/* The name on the wire ("timed_out"); never NULL. */
const char *outcome_name(enum outcome outcome);

/* A short text for people; never NULL. */
const char *outcome_text(enum outcome outcome);

enum outcome_policy outcome_policy(enum outcome outcome);

/* Finds the outcome with this wire name (length bytes, not terminated). False if there is none. */
bool outcome_parse(const char *name, size_t length, enum outcome *ret_outcome);

#endif
