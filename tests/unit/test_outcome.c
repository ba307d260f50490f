/* outcome: names that are read again, and policies that retry decisions rest on. */
#include "common/outcome.h"

#include <criterion/criterion.h>
#include <string.h>

Test(outcome, every_name_is_read_again_and_differs_from_the_others)
{
    for (unsigned i = 0; i < OUTCOME_COUNT; i++) {
        const char *name = outcome_name((enum outcome)i);
        enum outcome outcome = OUTCOME_COUNT;
        cr_expect(outcome_parse(name, strlen(name), &outcome));
        cr_expect_eq(outcome, (enum outcome)i, "%s", name);
        cr_expect_gt(strlen(outcome_text((enum outcome)i)), 0u);
        cr_expect_lt(strlen(name), 80u, "it is a name of totals too");
    }
}

Test(outcome, what_is_no_name_is_refused)
{
    static const char *const names[] = {"", "o", "okay", "OK", "ok ", "lease", "timed_out\n"};
    enum outcome outcome = OUTCOME_ROBOTS;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        cr_expect_not(outcome_parse(names[i], strlen(names[i]), &outcome), "%s", names[i]);
    cr_expect_not(outcome_parse("ok\0", 3, &outcome));
    cr_expect_eq(outcome, OUTCOME_ROBOTS);
    cr_expect(outcome_parse("okay", 2, &outcome), "the length counts, not an end");
}

struct row {
    const char *name;
    enum outcome_policy policy;
};

Test(outcome, policies_are_those_of_the_protocol)
{
    static const struct row rows[] = {
        {"ok", OUTCOME_POLICY_DONE},
        {"moved", OUTCOME_POLICY_MOVED},
        {"http_client_error", OUTCOME_POLICY_FINAL},
        {"http_server_error", OUTCOME_POLICY_RETRY},
        {"rate_limited", OUTCOME_POLICY_RETRY},
        {"timed_out", OUTCOME_POLICY_RETRY},
        {"child_crashed", OUTCOME_POLICY_ELSEWHERE},
        {"lease_expired", OUTCOME_POLICY_ELSEWHERE},
        {"released", OUTCOME_POLICY_UNTRIED},
        {"robots", OUTCOME_POLICY_FINAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum outcome outcome = OUTCOME_COUNT;
        cr_assert(outcome_parse(rows[i].name, strlen(rows[i].name), &outcome));
        cr_expect_eq(outcome_policy(outcome), rows[i].policy, "%s", rows[i].name);
    }
}
