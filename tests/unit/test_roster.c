/* roster: who is reached where, and whose turn it is. */
#include "broker/roster.h"

#include <criterion/criterion.h>
#include <string.h>

static uint32_t
join(struct roster *roster, enum role role, uint8_t client, const char *route)
{
    uint8_t id[CLIENT_ID_BYTES] = {client};
    uint32_t peer = PEER_NONE;
    cr_assert_eq(roster_join(roster, role, slice_string(route), id, slice_string("n"), 5, &peer),
                 OK);
    return peer;
}

Test(roster, a_peer_is_found_by_route_and_by_client)
{
    struct roster roster;
    uint8_t id[CLIENT_ID_BYTES] = {1};
    roster_init(&roster);
    uint32_t peer = join(&roster, ROLE_WORK, 1, "route");
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("route")), peer);
    cr_expect_eq(roster_find(&roster, ROLE_FEED, slice_string("route")), PEER_NONE);
    cr_expect_eq(roster_find_client(&roster, ROLE_WORK, id), peer);
    cr_expect_eq(roster_find_client(&roster, ROLE_FEED, id), PEER_NONE);
    cr_expect_neq(join(&roster, ROLE_FEED, 1, "route"), peer, "roles are apart");
    roster_leave(&roster, peer);
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("route")), PEER_NONE);
    cr_expect_eq(roster_find_client(&roster, ROLE_WORK, id), PEER_NONE);
    roster_release(&roster);
}

Test(roster, a_client_that_comes_anew_is_the_same_peer_at_its_new_route)
{
    struct roster roster;
    roster_init(&roster);
    uint32_t peer = join(&roster, ROLE_WORK, 1, "old");
    peer_at(&roster, peer)->credit = 7;
    cr_expect_eq(join(&roster, ROLE_WORK, 1, "new"), peer);
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("old")), PEER_NONE);
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("new")), peer);
    cr_expect_eq(peer_at(&roster, peer)->credit, 7u);
    cr_expect_eq(roster.used, 1u);
    roster_release(&roster);
}

Test(roster, a_route_belongs_to_who_said_hello_last)
{
    struct roster roster;
    roster_init(&roster);
    uint32_t first = join(&roster, ROLE_WORK, 1, "route");
    uint32_t second = join(&roster, ROLE_WORK, 2, "route");
    cr_expect_neq(first, second);
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("route")), second);
    cr_expect_eq(peer_at(&roster, first)->route_bytes, 0);
    roster_leave(&roster, first);
    cr_expect_eq(roster_find(&roster, ROLE_WORK, slice_string("route")), second);
    roster_release(&roster);
}

Test(roster, a_place_is_used_again_and_starts_clean)
{
    struct roster roster;
    roster_init(&roster);
    uint32_t peer = join(&roster, ROLE_FEED, 1, "a");
    cr_assert_eq(window_add(&peer_at(&roster, peer)->window, 3, slice_string("x")), OK);
    roster_leave(&roster, peer);
    uint32_t other = join(&roster, ROLE_COLLECT, 2, "b");
    cr_expect_eq(other, peer);
    cr_expect_eq(peer_at(&roster, other)->window.count, 0u);
    cr_expect_eq(peer_at(&roster, other)->window.highest, 0u);
    cr_expect_eq(peer_at(&roster, other)->collector, UINT32_MAX);
    roster_release(&roster);
}

static void
line_is(const struct roster *roster, const char *expected, const uint32_t *workers)
{
    uint32_t at = roster->line_first;
    for (const char *name = expected; *name; name++) {
        cr_assert_neq(at, PEER_NONE, "%s", expected);
        cr_assert_eq(at, workers[*name - 'a'], "%s", expected);
        at = roster->peers[at]->line_next;
    }
    cr_assert_eq(at, PEER_NONE, "%s", expected);
}

Test(roster, workers_stand_in_line_by_their_credit)
{
    struct roster roster;
    uint32_t workers[3];
    static const char *const routes[] = {"a", "b", "c"};
    roster_init(&roster);
    for (uint8_t i = 0; i < 3; i++) {
        workers[i] = join(&roster, ROLE_WORK, i, routes[i]);
        roster_update_line(&roster, workers[i]);
    }
    line_is(&roster, "", workers);
    for (uint8_t i = 0; i < 3; i++) {
        peer_at(&roster, workers[i])->credit = 2;
        roster_update_line(&roster, workers[i]);
    }
    line_is(&roster, "abc", workers);
    roster_rotate(&roster);
    line_is(&roster, "bca", workers);
    peer_at(&roster, workers[2])->held = 2;
    roster_update_line(&roster, workers[2]);
    line_is(&roster, "ba", workers);
    peer_at(&roster, workers[2])->held = 1;
    roster_update_line(&roster, workers[2]);
    line_is(&roster, "bac", workers);
    peer_at(&roster, workers[0])->is_present = false;
    roster_update_line(&roster, workers[0]);
    line_is(&roster, "bc", workers);
    roster_leave(&roster, workers[1]);
    line_is(&roster, "c", workers);
    roster_rotate(&roster);
    line_is(&roster, "c", workers);
    uint32_t feeder = join(&roster, ROLE_FEED, 9, "f");
    peer_at(&roster, feeder)->credit = 5;
    roster_update_line(&roster, feeder);
    line_is(&roster, "c", workers);
    roster_release(&roster);
}

Test(roster, roles_have_names_that_are_read_again)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        enum role role = ROLE_COUNT;
        cr_expect(role_parse(slice_string(role_name((enum role)i)), &role));
        cr_expect_eq(role, (enum role)i);
    }
    enum role role = ROLE_WORK;
    cr_expect_not(role_parse(slice_string("worker"), &role));
    cr_expect_not(role_parse(slice_of("", 0), &role));
    cr_expect_eq(role, ROLE_WORK);
}
