/* hosts: two clocks, one step an incident, names. */
#include "broker/hosts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct hosts_options OPTIONS = {
    .gap_ms = 1000, .connections_max = 2, .backoff_ms = 2000, .backoff_max_ms = 60000};

static uint32_t
open_hosts(struct hosts *hosts)
{
    uint32_t host = 0;
    cr_assert_eq(hosts_init(hosts, &OPTIONS), OK);
    cr_assert_eq(hosts_find(hosts, slice_string("a.example"), &host), OK);
    return host;
}

Test(hosts, names_are_found_again)
{
    struct hosts hosts;
    open_hosts(&hosts);
    cr_expect_eq(hosts_lookup(&hosts, slice_string("b.example")), HOST_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        char name[32];
        uint32_t host = 0;
        snprintf(name, sizeof name, "h%u.example", i);
        cr_assert_eq(hosts_find(&hosts, slice_string(name), &host), OK);
        cr_assert_eq(host, i + 2);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "h%u.example", i);
        cr_assert_eq(hosts_lookup(&hosts, slice_string(name)), i + 2);
        cr_assert(slice_equal(host_name(&hosts, i + 2), slice_string(name)));
    }
    uint8_t longest[253];
    uint32_t host = 0;
    memset(longest, 'x', sizeof longest);
    cr_expect_eq(hosts_find(&hosts, slice_of(longest, sizeof longest), &host), OK);
    cr_expect_eq(host_name(&hosts, host).size, 253u);
    cr_expect_eq(hosts_lookup(&hosts, slice_of("", 0)), HOST_DOCUMENTS);
    hosts_release(&hosts);
}

Test(hosts, the_gap_counts_from_the_grant_and_from_the_request_whichever_is_later)
{
    struct hosts hosts;
    uint32_t host = open_hosts(&hosts);
    host_granted(&hosts, host, 5000);
    cr_expect_eq(host_due_ms(&hosts, host), 6000);
    host_asked(&hosts, host, 7000, 1500); /* it went out at 5500 */
    cr_expect_eq(host_due_ms(&hosts, host), 6500);
    host_granted(&hosts, host, 6500);
    host_asked(&hosts, host, 6600, -1); /* none went out */
    cr_expect_eq(host_due_ms(&hosts, host), 7500);
    host_granted(&hosts, host, 7500);
    host_asked(&hosts, host, 7600, 100000); /* a nonsense of a worker moves nothing back */
    cr_expect_eq(host_due_ms(&hosts, host), 8500);
    hosts_release(&hosts);
}

Test(hosts, a_gap_of_its_own_counts_instead)
{
    static const struct {
        int32_t own_ms;
        int64_t due_ms;
    } cases[] = {{-1, 1010}, {0, INT64_MIN}, {5000, 5010}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hosts hosts;
        uint32_t host = open_hosts(&hosts);
        host_at(&hosts, host)->gap_ms = cases[i].own_ms;
        host_granted(&hosts, host, 10);
        cr_expect_eq(host_due_ms(&hosts, host), cases[i].due_ms);
        hosts_release(&hosts);
    }
}

Test(hosts, gap_and_backoff_are_two_clocks)
{
    struct hosts hosts;
    struct dice dice = {1};
    uint32_t host = open_hosts(&hosts);
    host_granted(&hosts, host, 1000);
    host_asked(&hosts, host, 1100, 100);
    host_limited(&hosts, host, 1100, 1000, 30000, &dice);
    cr_expect_eq(host_at(&hosts, host)->next_ms, 2000);
    cr_expect_eq(host_due_ms(&hosts, host), 31100);
    host_forgive(&hosts, host);
    cr_expect_eq(host_due_ms(&hosts, host), 31100, "what it asked for stays");
    cr_expect_eq(host_at(&hosts, host)->failures, 0);
    hosts_release(&hosts);
}

Test(hosts, a_crowd_of_refusals_is_one_incident)
{
    struct hosts hosts;
    struct dice dice = {1};
    uint32_t host = open_hosts(&hosts);
    for (int i = 0; i < 8; i++)
        host_granted(&hosts, host, 1000 + i);
    for (int i = 0; i < 8; i++) {
        host_limited(&hosts, host, 2000 + i, 1000 + i, 0, &dice);
        host_asked(&hosts, host, 2000 + i, 1000);
    }
    cr_expect_eq(host_at(&hosts, host)->failures, 1);
    int64_t until_ms = host_at(&hosts, host)->blocked_until_ms;
    cr_expect(until_ms >= 3000 && until_ms <= 4000, "%ld", until_ms);
    /* One that was under way asks for longer: the block grows, the step does not. */
    host_limited(&hosts, host, 2100, 1000, 50000, &dice);
    cr_expect_eq(host_at(&hosts, host)->failures, 1);
    cr_expect_eq(host_at(&hosts, host)->blocked_until_ms, 52100);
    /* One that was granted after it is a new incident. */
    host_limited(&hosts, host, 60000, 53000, 0, &dice);
    cr_expect_eq(host_at(&hosts, host)->failures, 2);
    hosts_release(&hosts);
}

Test(hosts, room_is_bounded_and_documents_have_no_bound)
{
    struct hosts hosts;
    uint32_t host = open_hosts(&hosts);
    host_granted(&hosts, host, 0);
    cr_expect(host_has_room(&hosts, host));
    host_resumed(&hosts, host);
    cr_expect_not(host_has_room(&hosts, host));
    cr_expect_eq(host_at(&hosts, host)->next_ms, 1000, "one that goes on moves no clock");
    host_asked(&hosts, host, 10, -1);
    cr_expect(host_has_room(&hosts, host));
    for (int i = 0; i < 100; i++)
        host_granted(&hosts, HOST_DOCUMENTS, 0);
    cr_expect(host_has_room(&hosts, HOST_DOCUMENTS));
    cr_expect_leq(host_due_ms(&hosts, HOST_DOCUMENTS), 0);
    hosts_release(&hosts);
}

Test(hosts, the_smallest_gap_is_between_two_grants)
{
    struct hosts hosts;
    uint32_t host = open_hosts(&hosts);
    host_granted(&hosts, host, 1000);
    cr_expect_eq(host_at(&hosts, host)->smallest_gap_ms, UINT32_MAX);
    host_granted(&hosts, host, 2500);
    host_granted(&hosts, host, 3500);
    host_granted(&hosts, host, 9000);
    cr_expect_eq(host_at(&hosts, host)->smallest_gap_ms, 1000u);
    hosts_release(&hosts);
}
