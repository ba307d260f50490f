#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "tests/unit/socket_pair.h"

struct probe {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_watch *other;
    int fd;
    int calls;
    int events;
    int stop_after; /* calls; 0: never */
};

static void
probe_called(struct probe *probe, int events)
{
    probe->calls++;
    probe->events |= events;
    if (probe->calls == probe->stop_after) {
        loop_stop(probe->loop);
    }
}

static void
byte_read(void *context, int events)
{
    struct probe *probe = context;
    char byte;
    if (events & LOOP_READ) {
        ssize_t got = read(probe->fd, &byte, 1);
        cr_assert(got >= 0);
    }
    probe_called(probe, events);
}

static void
event_counted(void *context, int events)
{
    probe_called(context, events);
}

static void
run(struct loop *loop)
{
    cr_assert_eq(loop_run(loop), OK);
}

static void
make_pair(int ret_fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_fds), 0);
}

Test(loop, readable_descriptor_is_reported_until_it_is_read)
{
    struct loop *loop = loop_create();
    int fds[2];
    make_pair(fds);
    struct probe probe = {.loop = loop, .fd = fds[0], .stop_after = 3};
    struct loop_watch *watch = loop_add_fd(loop, fds[0], LOOP_READ, byte_read, &probe);
    cr_assert_not_null(watch);
    cr_assert_eq(write(fds[1], "abc", 3), 3);
    run(loop);
    cr_assert_eq(probe.calls, 3);
    cr_assert_eq(probe.events, LOOP_READ);
    loop_remove(loop, watch);
    loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
}

Test(loop, changed_events_are_what_is_reported)
{
    struct loop *loop = loop_create();
    int fds[2];
    make_pair(fds);
    struct probe probe = {.loop = loop, .fd = fds[0], .stop_after = 1};
    struct loop_watch *watch = loop_add_fd(loop, fds[0], LOOP_READ, event_counted, &probe);
    cr_assert_eq(loop_change(loop, watch, LOOP_WRITE), OK);
    run(loop);
    cr_assert_eq(probe.events, LOOP_WRITE);
    loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
}

Test(loop, closed_peer_is_an_error_and_a_read)
{
    struct loop *loop = loop_create();
    int fds[2];
    make_pair(fds);
    struct probe probe = {.loop = loop, .fd = fds[0], .stop_after = 1};
    cr_assert_not_null(loop_add_fd(loop, fds[0], LOOP_READ, event_counted, &probe));
    close(fds[1]);
    run(loop);
    cr_assert_eq(probe.events, LOOP_READ | LOOP_ERROR);
    loop_destroy(loop);
    close(fds[0]);
}

static void
both_removed(void *context, int events)
{
    struct probe *probe = context;
    loop_remove(probe->loop, probe->watch);
    loop_remove(probe->loop, probe->other);
    probe_called(probe, events);
}

Test(loop, callback_removes_itself_and_another_watch_of_the_same_turn)
{
    struct loop *loop = loop_create();
    int first[2];
    int second[2];
    make_pair(first);
    make_pair(second);
    struct probe probe = {.loop = loop, .stop_after = 1};
    probe.watch = loop_add_fd(loop, first[0], LOOP_READ, both_removed, &probe);
    probe.other = loop_add_fd(loop, second[0], LOOP_READ, both_removed, &probe);
    cr_assert_eq(write(first[1], "a", 1), 1);
    cr_assert_eq(write(second[1], "a", 1), 1);
    run(loop);
    cr_assert_eq(probe.calls, 1, "the other one was ready too and must not be called");
    loop_destroy(loop);
    for (int i = 0; i < 2; i++) {
        close(first[i]);
        close(second[i]);
    }
}

static void
replaced(void *context, int events)
{
    struct probe *probe = context;
    loop_remove(probe->loop, probe->watch);
    probe->watch = loop_add_fd(probe->loop, probe->fd, LOOP_READ, byte_read, probe);
    cr_assert_not_null(probe->watch);
    probe_called(probe, events);
}

Test(loop, callback_replaces_its_own_watch)
{
    struct loop *loop = loop_create();
    int fds[2];
    make_pair(fds);
    struct probe probe = {.loop = loop, .fd = fds[0], .stop_after = 2};
    probe.watch = loop_add_fd(loop, fds[0], LOOP_READ, replaced, &probe);
    cr_assert_eq(write(fds[1], "a", 1), 1);
    run(loop);
    cr_assert_eq(probe.calls, 2);
    loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
}

Test(loop, descriptors_epoll_refuses_give_null)
{
    struct loop *loop = loop_create();
    struct probe probe = {.loop = loop};
    cr_assert_null(loop_add_fd(loop, -1, LOOP_READ, event_counted, &probe));
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_not_null(loop_add_fd(loop, pipes[0], LOOP_READ, event_counted, &probe));
    cr_assert_null(loop_add_fd(loop, pipes[0], LOOP_READ, event_counted, &probe), "added twice");
    loop_destroy(loop);
    close(file);
    close(pipes[0]);
    close(pipes[1]);
}

struct ticks {
    struct loop *loop;
    int64_t start_ms;
    int64_t last_ms;
    int count;
};

static int64_t
ticked(void *context, int64_t now_ms)
{
    struct ticks *ticks = context;
    ticks->count++;
    ticks->last_ms = now_ms;
    if (now_ms - ticks->start_ms >= 20) {
        loop_stop(ticks->loop);
    }
    return ticks->start_ms + 20;
}

Test(loop, tick_is_called_when_it_asked_and_not_in_a_busy_loop)
{
    struct loop *loop = loop_create();
    struct ticks ticks = {.loop = loop, .start_ms = clock_monotonic_ms()};
    loop_set_tick(loop, ticked, &ticks);
    run(loop);
    cr_assert(ticks.last_ms >= ticks.start_ms + 20);
    cr_assert(ticks.count >= 2 && ticks.count <= 4, "%d ticks", ticks.count);
    loop_destroy(loop);
}

static int64_t
never_again(void *context, int64_t now_ms)
{
    (void)now_ms;
    ((struct ticks *)context)->count++;
    return LOOP_NEVER;
}

static void
signal_counted(void *context, int signal)
{
    struct probe *probe = context;
    probe->events = signal;
    probe_called(probe, signal);
}

Test(loop, signal_arrives_as_a_callback)
{
    struct loop *loop = loop_create();
    struct ticks ticks = {.loop = loop};
    loop_set_tick(loop, never_again, &ticks);
    struct probe terminate = {.loop = loop, .stop_after = 1};
    struct probe hangup = {.loop = loop, .stop_after = 1};
    cr_assert_eq(loop_add_signal(loop, SIGTERM, signal_counted, &terminate), OK);
    cr_assert_eq(loop_add_signal(loop, SIGHUP, signal_counted, &hangup), OK);
    cr_assert_eq(kill(getpid(), SIGTERM), 0);
    run(loop);
    cr_assert_eq(terminate.events, SIGTERM);
    cr_assert_eq(hangup.calls, 0);
    cr_assert_eq(kill(getpid(), SIGHUP), 0);
    run(loop);
    cr_assert_eq(hangup.events, SIGHUP);
    cr_assert_eq(loop_add_signal(loop, 0, signal_counted, &hangup), ERROR_INVALID);
    cr_assert_eq(loop_add_signal(loop, 65, signal_counted, &hangup), ERROR_INVALID);
    loop_destroy(loop);
}

static void
woken(void *context)
{
    probe_called(context, 0);
}

static void *
wake_from_thread(void *context)
{
    loop_wake(context);
    return NULL;
}

Test(loop, wake_from_another_thread_ends_the_sleep)
{
    struct loop *loop = loop_create();
    struct probe probe = {.loop = loop, .stop_after = 1};
    loop_set_wake(loop, woken, &probe);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, wake_from_thread, loop), 0);
    run(loop);
    cr_assert_eq(probe.calls, 1);
    pthread_join(thread, NULL);
    loop_destroy(loop);
}

Test(loop, many_wakes_before_the_sleep_are_one_call)
{
    struct loop *loop = loop_create();
    struct probe probe = {.loop = loop, .stop_after = 1};
    loop_set_wake(loop, woken, &probe);
    for (int i = 0; i < 1000; i++) {
        loop_wake(loop);
    }
    run(loop);
    struct ticks ticks = {.loop = loop, .start_ms = clock_monotonic_ms()};
    loop_set_tick(loop, ticked, &ticks);
    run(loop);
    cr_assert_eq(probe.calls, 1);
    loop_destroy(loop);
}

Test(loop, stop_before_run_makes_it_return_at_once)
{
    struct loop *loop = loop_create();
    loop_stop(loop);
    run(loop);
    loop_destroy(loop);
}

/* ---- libzmq sockets ---- */

static void
send_text(struct socket *socket, struct slice peer, const char *text)
{
    struct slice frame = slice_of(text, strlen(text));
    cr_assert_eq(socket_send(socket, peer, &frame, 1), OK);
}

struct echo {
    struct loop *loop;
    struct socket *socket;
    int left; /* messages until the loop stops */
    int calls;
    bool is_answering;
};

/* One message a call, so that a lost edge of ZMQ_FD would leave the rest lying. */
static void
one_received(void *context, int events)
{
    struct echo *echo = context;
    cr_assert_eq(events, LOOP_READ);
    struct socket_message message = {0};
    cr_assert_eq(socket_receive(echo->socket, &message), OK, "called without a message");
    if (echo->is_answering) {
        cr_assert_eq(socket_send(echo->socket, message.peer, message.frames, message.frame_count),
                     OK);
    }
    socket_message_release(&message);
    echo->calls++;
    if (--echo->left == 0) {
        loop_stop(echo->loop);
    }
}

Test(loop, every_message_of_a_socket_is_reported_though_the_edge_comes_once)
{
    struct wire wire;
    wire_open(&wire);
    struct loop *loop = loop_create();
    struct echo echo = {.loop = loop, .socket = wire.router, .left = 500};
    struct loop_watch *watch = loop_add_socket(loop, wire.router, one_received, &echo);
    cr_assert_not_null(watch);
    for (int i = 0; i < 500; i++) {
        send_text(wire.dealer, slice_of(NULL, 0), "hello");
    }
    run(loop);
    cr_assert_eq(echo.calls, 500);
    loop_remove(loop, watch);
    loop_destroy(loop);
    wire_close(&wire);
}

Test(loop, two_sockets_of_one_loop_answer_each_other)
{
    struct wire wire;
    wire_open(&wire);
    struct loop *loop = loop_create();
    struct echo server = {.loop = loop, .socket = wire.router, .left = -1, .is_answering = true};
    struct echo client = {.loop = loop, .socket = wire.dealer, .left = 300};
    cr_assert_not_null(loop_add_socket(loop, wire.router, one_received, &server));
    cr_assert_not_null(loop_add_socket(loop, wire.dealer, one_received, &client));
    for (int i = 0; i < 300; i++) {
        send_text(wire.dealer, slice_of(NULL, 0), "hello");
    }
    run(loop);
    cr_assert_eq(server.calls, 300);
    loop_destroy(loop);
    wire_close(&wire);
}

Test(loop, busy_socket_does_not_starve_a_descriptor)
{
    struct wire wire;
    wire_open(&wire);
    struct loop *loop = loop_create();
    struct echo server = {.loop = loop, .socket = wire.router, .left = 200};
    cr_assert_not_null(loop_add_socket(loop, wire.router, one_received, &server));
    int fds[2];
    make_pair(fds);
    struct probe probe = {.loop = loop};
    cr_assert_not_null(loop_add_fd(loop, fds[0], LOOP_WRITE, event_counted, &probe));
    for (int i = 0; i < 200; i++) {
        send_text(wire.dealer, slice_of(NULL, 0), "hello");
    }
    run(loop);
    cr_assert(probe.calls >= 200, "once a turn, so as often as the socket: %d", probe.calls);
    loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
    wire_close(&wire);
}

static void
socket_removed(void *context, int events)
{
    struct probe *probe = context;
    loop_remove(probe->loop, probe->watch);
    loop_remove(probe->loop, probe->other);
    probe_called(probe, events);
}

Test(loop, socket_callback_removes_both_sockets)
{
    struct wire wire;
    struct wire second;
    wire_open(&wire);
    wire_open(&second);
    struct loop *loop = loop_create();
    struct probe probe = {.loop = loop, .stop_after = 1};
    probe.watch = loop_add_socket(loop, wire.router, socket_removed, &probe);
    probe.other = loop_add_socket(loop, second.router, socket_removed, &probe);
    send_text(wire.dealer, slice_of(NULL, 0), "hello");
    send_text(second.dealer, slice_of(NULL, 0), "hello");
    run(loop);
    cr_assert_eq(probe.calls, 1);
    loop_destroy(loop);
    wire_close(&wire);
    wire_close(&second);
}
