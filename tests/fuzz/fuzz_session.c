/* The worker's session under a hostile broker: any frames, in any state, do no harm. The input is
 * cut into messages of up to three frames by its own bytes. */
#include <assert.h>
#include <stdlib.h>

#include "common/message.h"
#include "worker/session.h"

#define LEASES_MAX 16

struct held {
    struct lease lease; /* first */
    struct arena arena;
};

static enum error
sends(void *context, const struct slice *frames, size_t frame_count)
{
    (void)context;
    for (size_t i = 0; i < frame_count && i < 2; i++) {
        assert(message_scan(frames[i]) == OK);
    }
    return OK;
}

static void
joined(void *context, const struct session_welcome *welcome)
{
    (void)context;
    assert(welcome->heartbeat_ms > 0 && welcome->batch_max > 0 && welcome->window_max > 0);
}

static struct lease *
granted(void *context, const struct lease *grant)
{
    struct held *held = calloc(1, sizeof *held);

    (void)context;
    arena_init(&held->arena, 1 << 20);
    if (lease_keep(&held->lease, grant, &held->arena) != OK) {
        arena_release(&held->arena);
        free(held);
        return NULL;
    }
    return &held->lease;
}

static void
drop(struct lease *lease)
{
    struct held *held = (struct held *)lease;

    arena_release(&held->arena);
    free(held);
}

/* Every second lease is given back at once, so that answers find something. */
static void
begins(void *context, struct lease *lease, struct slice body)
{
    struct session **session = context;

    (void)body;
    if (lease->fence % 2 == 0) {
        session_give_back(*session, lease);
    }
}

static void
lost(void *context, struct lease *lease)
{
    (void)context;
    drop(lease);
}

static void
over(void *context, struct lease *lease, enum report_status status)
{
    (void)context;
    (void)status;
    drop(lease);
}

static void
wished(void *context, enum session_wish wish)
{
    (void)context;
    (void)wish;
}

static void
refused(void *context, struct slice code, struct slice reason, bool is_final)
{
    (void)context;
    (void)code;
    (void)reason;
    (void)is_final;
}

static void
stats(void *context, struct worker_stats *ret_stats)
{
    (void)context;
    *ret_stats = (struct worker_stats){0};
}

/* The next frame: a byte (times four) says how long it is. */
static struct slice
cut(const uint8_t **data, size_t *size)
{
    if (*size == 0) {
        return slice_of(NULL, 0);
    }
    size_t wanted = (size_t)(*data)[0] * 4;
    size_t length = wanted < *size - 1 ? wanted : *size - 1;
    struct slice frame = slice_of(*data + 1, length);
    *data += 1 + length;
    *size -= 1 + length;
    return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct session_events events = {sends, joined, granted, begins, lost,
                                                 over,  wished, refused, stats};
    struct session_options options = {.name = "fuzz", .leases_max = LEASES_MAX};
    struct session *session = NULL;
    int64_t now_ms = 1000;

    if (session_create(&options, &events, &session, &session) != OK) {
        return 0;
    }
    while (size > 0) {
        size_t count = data[0] % 4u;
        struct slice frames[3];
        data++;
        size--;
        for (size_t i = 0; i < count; i++) {
            frames[i] = cut(&data, &size);
        }
        session_receive(session, frames, count, now_ms);
        now_ms += 500;
        int64_t next_ms = session_tick(session, now_ms);
        assert(next_ms > now_ms);
        assert(session_leases(session)->count <= LEASES_MAX);
    }
    while (session_leases(session)->first != NULL) {
        session_forget(session, session_leases(session)->first);
    }
    session_destroy(session);
    return 0;
}
