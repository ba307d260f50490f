/* libcurl's sockets and timer on the loop. */
#include "worker/fetch_internal.h"

#include <stdlib.h>

/* One descriptor that libcurl wants watched. */
struct fetch_socket {
    struct fetch *fetch;
    curl_socket_t fd;
    struct loop_watch *watch;
    struct fetch_socket *next;
    struct fetch_socket *previous;
};

static void
socket_ready(void *context, int events)
{
    struct fetch_socket *ready = context;
    struct fetch *fetch = ready->fetch;
    int bits = 0;
    int running = 0;

    bits |= events & LOOP_READ ? CURL_CSELECT_IN : 0;
    bits |= events & LOOP_WRITE ? CURL_CSELECT_OUT : 0;
    bits |= events & LOOP_ERROR ? CURL_CSELECT_ERR : 0;
    fetch->is_inside = true;
    curl_multi_socket_action(fetch->multi, ready->fd, bits, &running);
    fetch->is_inside = false;
    fetch_finish_done(fetch);
}

static struct fetch_socket *
socket_take(struct fetch *fetch)
{
    struct fetch_socket *taken = fetch->sockets_idle;

    if (taken != NULL) {
        fetch->sockets_idle = taken->next;
    } else {
        taken = calloc(1, sizeof *taken);
        if (taken == NULL) {
            return NULL;
        }
        taken->fetch = fetch;
    }
    taken->previous = NULL;
    taken->next = fetch->sockets;
    if (taken->next != NULL) {
        taken->next->previous = taken;
    }
    fetch->sockets = taken;
    return taken;
}

static void
socket_give_back(struct fetch *fetch, struct fetch_socket *given)
{
    loop_remove(fetch->loop, given->watch);
    given->watch = NULL;
    if (given->previous != NULL) {
        given->previous->next = given->next;
    } else {
        fetch->sockets = given->next;
    }
    if (given->next != NULL) {
        given->next->previous = given->previous;
    }
    given->next = fetch->sockets_idle;
    fetch->sockets_idle = given;
}

/* CURLMOPT_SOCKETFUNCTION. -1 makes libcurl fail every transfer, which is what a loop that cannot
 * watch a descriptor amounts to. */
static int
socket_wanted(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct fetch *fetch = context;
    struct fetch_socket *wanted = known;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (wanted != NULL) {
            socket_give_back(fetch, wanted);
            curl_multi_assign(fetch->multi, fd, NULL);
        }
        return 0;
    }
    events |= what & CURL_POLL_IN ? LOOP_READ : 0;
    events |= what & CURL_POLL_OUT ? LOOP_WRITE : 0;
    if (wanted != NULL) {
        return loop_change(fetch->loop, wanted->watch, events) == OK ? 0 : -1;
    }
    wanted = socket_take(fetch);
    if (wanted == NULL) {
        return -1;
    }
    wanted->fd = fd;
    wanted->watch = loop_add_fd(fetch->loop, fd, events, socket_ready, wanted);
    if (wanted->watch == NULL) {
        socket_give_back(fetch, wanted);
        return -1;
    }
    curl_multi_assign(fetch->multi, fd, wanted);
    return 0;
}

/* CURLMOPT_TIMERFUNCTION. The loop calls fetch_tick() before it sleeps, so noting is enough. */
static int
timer_wanted(CURLM *multi, long timeout_ms, void *context)
{
    struct fetch *fetch = context;

    (void)multi;
    fetch->timer_at_ms = timeout_ms < 0 ? LOOP_NEVER : clock_monotonic_ms() + timeout_ms;
    return 0;
}

void
fetch_watch(struct fetch *fetch)
{
    fetch->timer_at_ms = LOOP_NEVER;
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(fetch->multi, CURLMOPT_SOCKETDATA, fetch);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(fetch->multi, CURLMOPT_TIMERDATA, fetch);
}

void
fetch_unwatch_all(struct fetch *fetch)
{
    while (fetch->sockets != NULL) {
        socket_give_back(fetch, fetch->sockets);
    }
    while (fetch->sockets_idle != NULL) {
        struct fetch_socket *next = fetch->sockets_idle->next;
        free(fetch->sockets_idle);
        fetch->sockets_idle = next;
    }
}
