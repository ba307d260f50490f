/* session_checks: a session whose messages are kept as JSON, and a clock that the test moves. */
#ifndef THRESH_TESTS_SESSION_CHECKS_H
#define THRESH_TESTS_SESSION_CHECKS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/message.h"
#include "worker/session.h"

#define BENCH_MESSAGES_MAX 256
#define BENCH_LEASES_MAX 64
#define BENCH_BYTES_MAX (1 << 20)
#define HEARTBEAT_MS 1000

struct sent {
    char header[2048]; /* as JSON */
    char table[2048];  /* "" without one */
    size_t frame_count;
};

struct held {
    struct lease lease; /* first */
    struct arena arena;
    bool is_used;
};

/* The worker's part: it keeps leases and notes what it is told. */
struct bench {
    struct session *session;
    int64_t now_ms;
    struct sent sent[BENCH_MESSAGES_MAX];
    size_t sent_count;
    enum error send_error;
    struct held held[BENCH_LEASES_MAX];
    bool refuses_grants;
    char told[4096]; /* "begin:1 over:1:0 lost:2 ..." */
    enum error (*send)(void *context, const struct slice *frames, size_t frame_count);
    void *send_context;
};

static inline void
bench_note(struct bench *bench, const char *format, unsigned long long first,
           unsigned long long second)
{
    char text[64];
    size_t size = strlen(bench->told);

    snprintf(text, sizeof text, format, first, second);
    snprintf(bench->told + size, sizeof bench->told - size, "%s%s", size > 0 ? " " : "", text);
}

static inline void
as_json(struct slice frame, char *ret_text, size_t bytes)
{
    struct buffer text;

    buffer_init(&text, BENCH_BYTES_MAX);
    cr_assert_eq(json_from_message(&text, frame), OK);
    snprintf(ret_text, bytes, "%s", buffer_text(&text));
    buffer_release(&text);
}

static inline enum error
bench_sends(void *context, const struct slice *frames, size_t frame_count)
{
    struct bench *bench = context;

    if (bench->send_error != OK) {
        return bench->send_error;
    }
    if (bench->send != NULL) {
        return bench->send(bench->send_context, frames, frame_count);
    }
    cr_assert_lt(bench->sent_count, BENCH_MESSAGES_MAX);
    struct sent *sent = &bench->sent[bench->sent_count++];
    sent->frame_count = frame_count;
    as_json(frames[0], sent->header, sizeof sent->header);
    sent->table[0] = '\0';
    if (frame_count > 1) {
        as_json(frames[1], sent->table, sizeof sent->table);
    }
    return OK;
}

static inline void
bench_joined(void *context, const struct session_welcome *welcome)
{
    bench_note(context, "joined:%llu:%llu", welcome->boot, welcome->batch_max);
}

static inline struct lease *
bench_granted(void *context, const struct lease *grant)
{
    struct bench *bench = context;

    for (size_t i = 0; i < BENCH_LEASES_MAX && !bench->refuses_grants; i++) {
        struct held *held = &bench->held[i];
        if (!held->is_used) {
            arena_init(&held->arena, 1 << 20);
            cr_assert_eq(lease_keep(&held->lease, grant, &held->arena), OK);
            held->is_used = true;
            return &held->lease;
        }
    }
    return NULL;
}

static inline void
bench_begins(void *context, struct lease *lease, struct slice body)
{
    bench_note(context, "begin:%llu:%llu", lease->fence, body.size);
}

static inline void
bench_free(struct lease *lease)
{
    struct held *held = (struct held *)lease;

    arena_release(&held->arena);
    held->is_used = false;
}

static inline void
bench_lost(void *context, struct lease *lease)
{
    bench_note(context, "lost:%llu", lease->fence, 0);
    bench_free(lease);
}

static inline void
bench_over(void *context, struct lease *lease, enum report_status status)
{
    bench_note(context, "over:%llu:%llu", lease->fence, status);
    bench_free(lease);
}

static inline void
bench_wished(void *context, enum session_wish wish)
{
    bench_note(context, wish == SESSION_STOP ? "stop" : "quiet", 0, 0);
}

static inline void
bench_refused(void *context, struct slice code, struct slice reason, bool is_final)
{
    (void)code;
    (void)reason;
    bench_note(context, is_final ? "refused:final" : "refused", 0, 0);
}

static inline void
bench_stats(void *context, struct worker_stats *ret_stats)
{
    (void)context;
    *ret_stats = (struct worker_stats){.done = 3};
}

static inline void
bench_start(struct bench *bench, size_t leases_max)
{
    static const struct session_events events = {
        .send = bench_sends,
        .joined = bench_joined,
        .granted = bench_granted,
        .begin = bench_begins,
        .lost = bench_lost,
        .over = bench_over,
        .wished = bench_wished,
        .refused = bench_refused,
        .stats = bench_stats,
    };
    struct session_options options = {
        .name = "w1", .client = "0123456789abcde", .leases_max = leases_max};

    memset(bench, 0, sizeof *bench);
    bench->now_ms = 1000000;
    cr_assert_eq(session_create(&options, &events, bench, &bench->session), OK);
}

static inline void
bench_stop(struct bench *bench)
{
    while (session_leases(bench->session)->first != NULL) {
        session_forget(bench->session, session_leases(bench->session)->first);
    }
    session_destroy(bench->session);
}

static inline int64_t
bench_tick(struct bench *bench)
{
    return session_tick(bench->session, bench->now_ms);
}

static inline void
bench_forget(struct bench *bench)
{
    bench->sent_count = 0;
    bench->told[0] = '\0';
}

/* Frames of JSON texts; the last one may be a body of bytes. */
static inline struct buffer
frame_of(const char *json)
{
    struct buffer frame;
    size_t offset = 0;

    buffer_init(&frame, BENCH_BYTES_MAX);
    cr_assert_eq(json_to_message(&frame, slice_string(json), &offset), OK, "%s", json);
    return frame;
}

/* The broker says: header and table as JSON, table and body NULL where there is none. */
static inline void
bench_hears(struct bench *bench, const char *header, const char *table, const char *body)
{
    struct buffer first = frame_of(header);
    struct buffer second = frame_of(table == NULL ? "null" : table);
    struct slice frames[3] = {buffer_slice(&first), buffer_slice(&second), slice_string(body)};
    size_t count = table == NULL ? 1 : body == NULL ? 2 : 3;

    session_receive(bench->session, frames, count, bench->now_ms);
    buffer_release(&first);
    buffer_release(&second);
}

static inline void
bench_welcome(struct bench *bench, const char *lost)
{
    char header[512];

    snprintf(header, sizeof header,
             "[1,2,0,{\"version\":1,\"boot\":7,\"heartbeat_ms\":%d,\"lease_ms\":60000,"
             "\"batch_max\":8,\"window_max\":2,\"message_bytes_max\":1000000,"
             "\"body_bytes_max\":100000,\"lost\":%s}]",
             HEARTBEAT_MS, lost);
    bench_hears(bench, header, NULL, NULL);
}

/* HELLO said, WELCOME heard, the first messages gone. */
static inline void
bench_join(struct bench *bench)
{
    bench_tick(bench);
    bench_welcome(bench, "[]");
    bench_tick(bench);
    bench_forget(bench);
}

static inline void
bench_grant(struct bench *bench, uint64_t fence)
{
    char table[512];

    snprintf(table, sizeof table,
             "[{\"fence\":%llu,\"task\":\"t%llu\",\"attempt\":1,\"lease_ms\":60000,"
             "\"item\":{\"url\":\"http://a.example/%llu\",\"hops\":0}}]",
             (unsigned long long)fence, (unsigned long long)fence, (unsigned long long)fence);
    bench_hears(bench, "[1,21,0,{}]", table, NULL);
}

static inline void
bench_report(struct bench *bench, uint64_t fence)
{
    struct lease *lease = leases_find(session_leases(bench->session), fence);
    struct buffer row;
    struct buffer result;

    cr_assert_not_null(lease);
    buffer_init(&row, 1000);
    buffer_init(&result, 1000);
    write_string(&row, "fence");
    write_uint(&row, fence);
    write_map(&result, 0);
    session_report(bench->session, lease, &row, 1, &result);
}

#endif
