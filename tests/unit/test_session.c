#include "session_checks.h"

#include "common/loop.h"
#include "common/socket.h"
#include "worker/transport.h"

#include <unistd.h>

static void
sent_is(const struct bench *bench, size_t index, const char *header, const char *table)
{
    cr_assert_lt(index, bench->sent_count, "%s was not sent", header);
    cr_expect_str_eq(bench->sent[index].header, header);
    cr_expect_str_eq(bench->sent[index].table, table);
}

static bool
sent_begins(const struct bench *bench, size_t index, const char *start)
{
    return index < bench->sent_count &&
           strncmp(bench->sent[index].header, start, strlen(start)) == 0;
}

#define HELLO                                                                            \
    "[1,1,0,{\"role\":\"work\",\"name\":\"w1\",\"client\":\"MDEyMzQ1Njc4OWFiY2RlAA==\"," \
    "\"versions\":[1],\"running\":"

Test(session, it_says_hello_first_and_again_with_growing_pauses)
{
    struct bench bench;
    int64_t pauses[6];

    bench_start(&bench, 8);
    session_set_credit(bench.session, 4);
    for (size_t i = 0; i < 6; i++) {
        int64_t next_ms = bench_tick(&bench);
        cr_assert_eq(bench.sent_count, i + 1, "one HELLO and nothing else");
        sent_is(&bench, i, HELLO "[]}]", "");
        pauses[i] = next_ms - bench.now_ms;
        bench.now_ms = next_ms;
    }
    cr_expect_eq(pauses[0], SESSION_HELLO_FIRST_MS);
    cr_expect_eq(pauses[1], 2 * SESSION_HELLO_FIRST_MS);
    cr_expect_eq(pauses[5], SESSION_HELLO_MAX_MS);
    bench_stop(&bench);
}

Test(session, welcomed_it_tells_its_credit_and_beats)
{
    struct bench bench;

    bench_start(&bench, 8);
    session_set_credit(bench.session, 4);
    bench_tick(&bench);
    bench_welcome(&bench, "[]");
    cr_expect(session_is_joined(bench.session));
    cr_expect_str_eq(bench.told, "joined:7:8");
    int64_t next_ms = bench_tick(&bench);
    sent_is(&bench, 1, "[1,20,0,{\"credit\":4}]", "");
    cr_expect_eq(next_ms, bench.now_ms + HEARTBEAT_MS);
    bench_grant(&bench, 5);
    bench_grant(&bench, 6);
    bench_report(&bench, 6);
    bench_tick(&bench);
    bench_forget(&bench);
    bench.now_ms += HEARTBEAT_MS;
    bench_tick(&bench);
    sent_is(&bench, 0,
            "[1,4,0,{\"running\":[5,6],\"stats\":{\"fetching\":0,\"extracting\":0,\"waiting\":0,"
            "\"done\":3,\"failed\":0,\"bytes_received\":0,\"memory_bytes\":0,"
            "\"child_restarts\":0}}]",
            "");
    sent_is(&bench, 1, "[1,20,0,{\"credit\":4}]", "");
    bench_stop(&bench);
}

Test(session, credit_goes_out_when_it_changes)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    session_set_credit(bench.session, 3);
    session_set_credit(bench.session, 2);
    bench_tick(&bench);
    session_set_credit(bench.session, 2);
    bench_tick(&bench);
    cr_assert_eq(bench.sent_count, 1);
    sent_is(&bench, 0, "[1,20,0,{\"credit\":2}]", "");
    bench_stop(&bench);
}

Test(session, a_lease_is_begun_once_and_ends_with_recorded)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    bench_grant(&bench, 5);
    bench_grant(&bench, 5);
    bench_hears(&bench, "[1,21,0,{}]",
                "[{\"fence\":6,\"task\":\"t6\",\"attempt\":1,\"lease_ms\":1,"
                "\"item\":{\"url\":\"name:x\"},\"body\":0}]",
                "bytes");
    cr_expect_str_eq(bench.told, "begin:5:0 begin:6:5");
    cr_expect(leases_find(session_leases(bench.session), 6)->has_body);
    bench_report(&bench, 5);
    bench_tick(&bench);
    sent_is(&bench, 0, "[1,22,1,{}]", "[{\"fence\":5,\"result\":0}]");
    cr_expect_eq(bench.sent[0].frame_count, 3);
    cr_expect_not(session_is_settled(bench.session));
    bench_grant(&bench, 5); /* a copy while its report is out */
    bench_hears(&bench, "[1,23,1,{\"statuses\":[0]}]", NULL, NULL);
    bench_hears(&bench, "[1,23,1,{\"statuses\":[0]}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "begin:5:0 begin:6:5 over:5:0");
    cr_expect(session_is_settled(bench.session));
    cr_expect_eq(session_leases(bench.session)->count, 1);
    bench_stop(&bench);
}

Test(session, what_cannot_be_taken_is_given_back)
{
    struct bench bench;

    bench_start(&bench, 2);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_grant(&bench, 2);
    bench_grant(&bench, 3); /* beyond leases_max */
    bench.refuses_grants = true;
    session_give_back(bench.session, leases_find(session_leases(bench.session), 2));
    bench_tick(&bench);
    sent_is(&bench, 0, "[1,24,1,{\"leases\":[[3,\"t3\"],[2,\"t2\"]]}]", "");
    bench_hears(&bench, "[1,23,1,{\"statuses\":[0,0]}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "begin:1:0 begin:2:0 over:2:0");
    bench_grant(&bench, 4); /* the worker refuses */
    bench_tick(&bench);
    sent_is(&bench, 1, "[1,24,2,{\"leases\":[[4,\"t4\"]]}]", "");
    bench_stop(&bench);
}

Test(session, what_is_reported_makes_room_before_it_is_recorded)
{
    struct bench bench;

    bench_start(&bench, 1);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_report(&bench, 1);
    bench_tick(&bench);
    bench_grant(&bench, 2); /* the broker has the report, and its disk is busy */
    bench_hears(&bench, "[1,23,1,{\"statuses\":[0]}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "begin:1:0 begin:2:0 over:1:0");
    cr_expect_eq(session_leases(bench.session)->count, 1);
    cr_expect_eq(session_leases(bench.session)->reported_count, 0);
    bench_stop(&bench);
}

Test(session, a_restarted_broker_gets_hello_and_all_that_is_unanswered)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_grant(&bench, 2);
    bench_report(&bench, 1);
    bench_tick(&bench);
    bench_hears(&bench, "[1,3,0,{\"code\":\"hello_first\",\"reason\":\"\",\"type\":22}]", NULL,
                NULL);
    bench_hears(&bench, "[1,3,0,{\"code\":\"hello_first\",\"reason\":\"\",\"type\":4}]", NULL,
                NULL);
    cr_expect_not(session_is_joined(bench.session));
    bench_report(&bench, 2); /* finished while nobody listens */
    bench_tick(&bench);
    sent_is(&bench, 1, HELLO "[[1,\"t1\"],[2,\"t2\"]]}]", "");
    cr_assert_eq(bench.sent_count, 2, "no report before WELCOME");
    bench_welcome(&bench, "[]");
    bench_tick(&bench);
    sent_is(&bench, 2, "[1,22,1,{}]", "[{\"fence\":1,\"result\":0}]");
    sent_is(&bench, 3, "[1,22,2,{}]", "[{\"fence\":2,\"result\":0}]");
    sent_is(&bench, 4, "[1,20,0,{\"credit\":0}]", "");
    bench_stop(&bench);
}

Test(session, three_silent_beats_are_a_broker_gone)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    for (int i = 0; i < 2; i++) {
        bench.now_ms += HEARTBEAT_MS;
        bench_tick(&bench);
        cr_expect(sent_begins(&bench, 2 * (size_t)i, "[1,4,"));
    }
    bench_hears(&bench, "[1,5,0,{}]", NULL, NULL);
    bench.now_ms += 2 * HEARTBEAT_MS;
    bench_tick(&bench);
    cr_expect(session_is_joined(bench.session), "heard of two beats ago");
    bench.now_ms += HEARTBEAT_MS;
    bench_forget(&bench);
    bench_tick(&bench);
    cr_expect_not(session_is_joined(bench.session));
    sent_is(&bench, 0, HELLO "[]}]", "");
    bench_stop(&bench);
}

Test(session, an_answer_that_does_not_come_is_asked_for_again)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_report(&bench, 1);
    bench_tick(&bench);
    bench_forget(&bench);
    for (int i = 0; i < SESSION_RESEND_BEATS; i++) {
        bench.now_ms += HEARTBEAT_MS;
        bench_hears(&bench, "[1,5,0,{}]", NULL, NULL);
        bench_tick(&bench);
    }
    size_t copies = 0;
    for (size_t i = 0; i < bench.sent_count; i++) {
        copies += sent_begins(&bench, i, "[1,22,1,") ? 1 : 0;
    }
    cr_expect_eq(copies, 1);
    bench_stop(&bench);
}

Test(session, lost_leases_are_stopped_and_their_reports_dropped)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    for (uint64_t fence = 1; fence <= 4; fence++) {
        bench_grant(&bench, fence);
    }
    bench_report(&bench, 2);
    bench_tick(&bench);
    bench_forget(&bench);
    /* The broker may have recorded 2 between our heartbeat and its answer. */
    bench_hears(&bench, "[1,5,0,{\"lost\":[1,2,99]}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "lost:1");
    bench_hears(&bench, "[1,23,1,{\"statuses\":[1]}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "lost:1 over:2:1");
    bench_report(&bench, 3); /* stays queued, and is dropped by WELCOME */
    bench_hears(&bench, "[1,3,0,{\"code\":\"hello_first\",\"reason\":\"\"}]", NULL, NULL);
    bench_welcome(&bench, "[3,4]");
    cr_expect_str_eq(bench.told, "lost:1 over:2:1 lost:3 lost:4 joined:7:8");
    cr_expect(session_is_settled(bench.session));
    bench_tick(&bench);
    cr_assert_eq(bench.sent_count, 1);
    sent_is(&bench, 0, "[1,20,0,{\"credit\":0}]", "");
    bench_stop(&bench);
}

Test(session, a_full_socket_loses_nothing)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_report(&bench, 1);
    session_set_credit(bench.session, 3);
    bench.send_error = ERROR_AGAIN;
    int64_t next_ms = bench_tick(&bench);
    cr_expect_eq(bench.sent_count, 0);
    cr_expect_lt(next_ms, bench.now_ms + HEARTBEAT_MS, "it tries again soon");
    bench.send_error = OK;
    bench.now_ms = next_ms;
    bench_tick(&bench);
    sent_is(&bench, 0, "[1,22,1,{}]", "[{\"fence\":1,\"result\":0}]");
    sent_is(&bench, 1, "[1,20,0,{\"credit\":3}]", "");
    bench_stop(&bench);
}

Test(session, refusals_and_wishes_reach_the_worker)
{
    struct bench bench;

    bench_start(&bench, 8);
    bench_join(&bench);
    bench_grant(&bench, 1);
    bench_report(&bench, 1);
    bench_tick(&bench);
    bench_hears(&bench,
                "[1,3,0,{\"code\":\"malformed\",\"reason\":\"x\",\"type\":22,\"sequence\":1}]",
                NULL, NULL);
    cr_expect_str_eq(bench.told, "begin:1:0 refused over:1:2");
    bench_forget(&bench);
    bench_hears(&bench, "[1,25,0,{}]", NULL, NULL);
    bench_hears(&bench, "[1,26,0,{}]", NULL, NULL);
    bench_hears(&bench, "[1,3,0,{\"code\":\"version\",\"reason\":\"too old\"}]", NULL, NULL);
    cr_expect_str_eq(bench.told, "quiet stop refused:final");
    session_leave(bench.session);
    sent_is(&bench, 0, "[1,6,0,{}]", "");
    bench.now_ms += 100 * HEARTBEAT_MS;
    cr_expect_eq(bench_tick(&bench), LOOP_NEVER);
    cr_expect_eq(bench.sent_count, 1, "nothing after GOODBYE");
    bench_stop(&bench);
}

/* Every prefix of a good message, and every message with one byte changed: counted or taken, never
 * a crash (the sanitizers watch). */
Test(session, hostile_messages_do_no_harm)
{
    static const char *const headers[] = {
        "[1,21,0,{}]",
        "[1,23,1,{\"statuses\":[0],\"reasons\":{}}]",
        "[1,5,0,{\"lost\":[1]}]",
        "[1,3,0,{\"code\":\"busy\",\"reason\":\"x\",\"retry_ms\":5}]",
        "[1,2,0,{\"boot\":1,\"heartbeat_ms\":1000,\"batch_max\":0,\"lost\":[1]}]",
    };
    struct buffer table = frame_of("[{\"fence\":9,\"task\":\"t\",\"attempt\":1,\"body\":0,"
                                   "\"item\":{\"url\":\"name:x\",\"redirects\":[\"a\"],"
                                   "\"meta\":{\"a\":[1]}}}]");
    struct bench bench;

    bench_start(&bench, 4);
    bench_join(&bench);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct buffer header = frame_of(headers[i]);
        for (size_t which = 0; which < 2; which++) {
            const struct buffer *changed = which == 0 ? &header : &table;
            for (size_t at = 0; at < changed->size; at++) {
                struct slice frames[3] = {buffer_slice(&header), buffer_slice(&table),
                                          slice_string("body")};
                uint8_t *copy = malloc(at > 0 ? at : 1);
                memcpy(copy, changed->data, at);
                frames[which] = slice_of(copy, at);
                session_receive(bench.session, frames, 3, bench.now_ms);
                free(copy);
                for (int bit = 0; bit < 8; bit++) {
                    changed->data[at] ^= (uint8_t)(1 << bit);
                    frames[which] = buffer_slice(changed);
                    session_receive(bench.session, frames, 3, bench.now_ms);
                    changed->data[at] ^= (uint8_t)(1 << bit);
                    bench_forget(&bench);
                }
            }
        }
        buffer_release(&header);
    }
    session_receive(bench.session, NULL, 0, bench.now_ms);
    cr_expect_gt(session_malformed_count(bench.session), 500);
    buffer_release(&table);
    bench_stop(&bench);
}

/* ---- over a real socket ---------------------------------------------------------------- */

/* Broker and worker on one loop; the broker's end is a script of steps. */
struct wire {
    struct bench bench;
    struct loop *loop;
    struct transport *transport;
    struct socket_context *context;
    struct socket *router;
    struct loop_watch *watch;
    char endpoint[128];
    enum {
        STEP_HELLO,
        STEP_RESULTS,
        STEP_HELLO_AGAIN,
        STEP_RESENT,
        STEP_GOODBYE,
        STEP_END
    } step;
};

static void
wire_answer(struct wire *wire, struct slice peer, const char *header, const char *table)
{
    struct buffer first = frame_of(header);
    struct buffer second = frame_of(table == NULL ? "null" : table);
    struct slice frames[2] = {buffer_slice(&first), buffer_slice(&second)};

    cr_assert_eq(socket_send(wire->router, peer, frames, table == NULL ? 1 : 2), OK);
    buffer_release(&first);
    buffer_release(&second);
}

static const char WELCOME[] = "[1,2,0,{\"version\":1,\"boot\":1,\"heartbeat_ms\":200,"
                              "\"lease_ms\":60000,\"batch_max\":8,\"window_max\":4,\"lost\":[]}]";

static void
wire_step(struct wire *wire, struct slice peer, const struct socket_message *message)
{
    char header[1024];
    char table[1024] = "";

    as_json(message->frames[0], header, sizeof header);
    if (message->frame_count > 1) {
        as_json(message->frames[1], table, sizeof table);
    }
    bool is_hello = strncmp(header, "[1,1,", 5) == 0;
    bool is_results = strncmp(header, "[1,22,1,", 8) == 0;
    if (wire->step == STEP_HELLO && is_hello) {
        wire_answer(wire, peer, WELCOME, NULL);
        wire_answer(wire, peer, "[1,21,0,{}]",
                    "[{\"fence\":1,\"task\":\"t1\",\"item\":{\"url\":\"http://a.example/\"}},"
                    "{\"fence\":2,\"task\":\"t2\",\"item\":{\"url\":\"http://b.example/\"}}]");
        wire->step = STEP_RESULTS;
    } else if (wire->step == STEP_RESULTS && is_results) {
        /* As if restarted: the report is not known, and neither is the peer. */
        wire_answer(wire, peer, "[1,3,0,{\"code\":\"hello_first\",\"reason\":\"\",\"type\":22}]",
                    NULL);
        wire->step = STEP_HELLO_AGAIN;
    } else if (wire->step == STEP_HELLO_AGAIN && is_hello) {
        cr_expect(strstr(header, "\"running\":[[1,\"t1\"],[2,\"t2\"]]"), "%s", header);
        wire_answer(wire, peer, WELCOME, NULL);
        wire->step = STEP_RESENT;
    } else if (wire->step == STEP_RESENT && is_results) {
        cr_expect_str_eq(table, "[{\"fence\":1,\"result\":0},{\"fence\":2,\"result\":1}]");
        wire_answer(wire, peer, "[1,23,1,{\"statuses\":[0,0]}]", NULL);
        wire->step = STEP_GOODBYE;
    } else if (wire->step == STEP_GOODBYE && strncmp(header, "[1,6,", 5) == 0) {
        wire->step = STEP_END;
        loop_stop(wire->loop);
    }
}

static void
router_ready(void *context, int events)
{
    struct wire *wire = context;
    struct socket_message message = {0};

    (void)events;
    while (socket_receive(wire->router, &message) == OK) {
        wire_step(wire, message.peer, &message);
        socket_message_release(&message);
    }
}

static void
wire_received(void *context, const struct slice *frames, size_t frame_count)
{
    struct wire *wire = context;

    session_receive(wire->bench.session, frames, frame_count, clock_monotonic_ms());
    if (strcmp(wire->bench.told, "joined:1:8 begin:1:0 begin:2:0") == 0) {
        bench_report(&wire->bench, 1);
        bench_report(&wire->bench, 2);
        bench_note(&wire->bench, "reported", 0, 0);
    }
    if (strstr(wire->bench.told, "over:2:0") != NULL) {
        session_leave(wire->bench.session);
    }
}

static enum error
wire_send(void *context, const struct slice *frames, size_t frame_count)
{
    struct wire *wire = context;

    return transport_send(wire->transport, frames, frame_count);
}

static void
router_open(struct wire *wire)
{
    struct socket_options options = {.role = SOCKET_ROUTER, .message_bytes_max = 1 << 20};

    wire->router = socket_create(wire->context, &options);
    cr_assert_eq(socket_bind(wire->router, wire->endpoint), OK, "%s", wire->endpoint);
    wire->watch = loop_add_socket(wire->loop, wire->router, router_ready, wire);
}

/* The broker comes up only when the worker has been calling for a while. */
static int64_t
wire_tick(void *context, int64_t now_ms)
{
    struct wire *wire = context;
    int64_t at_ms = session_tick(wire->bench.session, now_ms);

    if (wire->router == NULL) {
        router_open(wire);
    }
    return at_ms;
}

Test(session, over_zeromq_a_late_broker_a_restart_and_a_resend)
{
    static struct wire wire;

    bench_start(&wire.bench, 8);
    wire.bench.send = wire_send;
    wire.bench.send_context = &wire;
    wire.loop = loop_create();
    wire.context = socket_context_create(1);
    snprintf(wire.endpoint, sizeof wire.endpoint, "ipc:///tmp/thresh-session-%ld", (long)getpid());
    cr_assert_eq(transport_create(wire.endpoint, 1 << 20, NULL, wire.loop, wire_received, &wire,
                                  &wire.transport),
                 OK);
    loop_set_tick(wire.loop, wire_tick, &wire);
    cr_assert_eq(loop_run(wire.loop), OK);
    cr_expect_eq(wire.step, STEP_END);
    cr_expect_str_eq(wire.bench.told, "joined:1:8 begin:1:0 begin:2:0 reported joined:1:8 "
                                      "over:1:0 over:2:0");
    bench_stop(&wire.bench);
    transport_destroy(wire.transport, 0);
    loop_remove(wire.loop, wire.watch);
    socket_close(wire.router, 0);
    socket_context_destroy(wire.context);
    loop_destroy(wire.loop);
}
