#include "common/outcome.h"

#include <assert.h>
#include <string.h>

struct outcome_row {
    const char *name;
    const char *text;
    enum outcome_policy policy;
};

static const struct outcome_row rows[OUTCOME_COUNT] = {
#define OUTCOME(upper, wire, kind, words) [OUTCOME_##upper] = {wire, words, OUTCOME_POLICY_##kind},
#include "common/outcome.def"
#undef OUTCOME
};

const char *
outcome_name(enum outcome outcome)
{
    assert(outcome < OUTCOME_COUNT);
    return rows[outcome].name;
}

const char *
outcome_text(enum outcome outcome)
{
    assert(outcome < OUTCOME_COUNT);
    return rows[outcome].text;
}

enum outcome_policy
outcome_policy(enum outcome outcome)
{
    assert(outcome < OUTCOME_COUNT);
    return rows[outcome].policy;
}

bool
outcome_parse(const char *name, size_t length, enum outcome *ret_outcome)
{
    for (size_t i = 0; i < OUTCOME_COUNT; i++) {
        if (strlen(rows[i].name) == length && memcmp(rows[i].name, name, length) == 0) {
            *ret_outcome = (enum outcome)i;
            return true;
        }
    }
    return false;
}
