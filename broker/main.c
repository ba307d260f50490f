/* thresh-broker: parses, wires, runs. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "broker/committer.h"
#include "broker/core.h"
#include "broker/guard.h"
#include "broker/store.h"
#include "broker/transport.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/settings.h"
#include "common/startup.h"

#define LINGER_MS 1000 /* for the last answers */
#define UNSEALED_BYTES_MAX ((size_t)1 << 20)

struct broker {
    struct settings settings;
    struct store *store;
    struct core *core;
    struct committer *committer;
    struct guard *guard; /* NULL: no keys */
    struct transport *transport;
    struct loop *loop;
    uint64_t applied;       /* the newest batch in the store, durable or not */
    uint64_t durable;       /* the newest batch the core was told of */
    size_t unsealed_bytes;  /* of messages since the last batch was sealed */
    int64_t drain_until_ms; /* 0: not stopping */
    enum error error;       /* what ended it */
};

static struct core_time
time_now(void)
{
    return (struct core_time){.now_ms = clock_monotonic_ms(), .wall_ms = clock_wall_ms()};
}

/* Takes what the disk has finished to the core. */
static void
take_durable(struct broker *broker, struct core_time time)
{
    struct committer_status status = committer_status(broker->committer);
    if (status.error && !broker->error) {
        /* No second sync: what is not known to be on the disk is not answered (I10). */
        broker->error = status.error;
        loop_stop(broker->loop);
        return;
    }
    broker->applied = status.applied;
    if (status.durable > broker->durable) {
        broker->durable = status.durable;
        core_durable(broker->core, time, status.durable);
    }
}

/* Gives the disk all that has changed since it was given something last: not before it has nothing
 * to do, so that everything that comes meanwhile shares one flush. */
static void
pump(struct broker *broker, struct core_time time)
{
    take_durable(broker, time);
    if (broker->error || !committer_is_idle(broker->committer))
        return;
    uint64_t number = 0;
    const struct store_batch *batch = core_seal(broker->core, time, &number);
    broker->unsealed_bytes = 0;
    if (batch)
        committer_submit(broker->committer, batch, number);
    else if (broker->applied > broker->durable)
        committer_settle(broker->committer);
}

static void
message_received(void *context, enum role role, struct slice route, const struct slice *frames,
                 size_t frame_count)
{
    struct broker *broker = context;
    struct core_time time = time_now();
    core_receive(broker->core, time, role, route, frames, frame_count);
    for (size_t i = 0; i < frame_count; i++)
        broker->unsealed_bytes += frames[i].size;
    /* So much that the disk need not wait for the end of the turn. */
    if (broker->unsealed_bytes >= UNSEALED_BYTES_MAX)
        pump(broker, time);
}

static void
start_drain(struct broker *broker, struct core_time time)
{
    if (broker->drain_until_ms)
        return;
    broker->drain_until_ms = time.now_ms + broker->settings.drain_ms + 1;
    core_drain(broker->core, time);
    log_event(LOG_INFO, "draining", log_int("drain_ms", broker->settings.drain_ms));
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct broker *broker = context;
    struct core_time time = {.now_ms = now_ms, .wall_ms = clock_wall_ms()};
    int64_t next_ms = core_tick(broker->core, time);
    pump(broker, time);
    if (core_wants_stop(broker->core))
        start_drain(broker, time);
    if (broker->drain_until_ms) {
        if (core_is_idle(broker->core) || now_ms >= broker->drain_until_ms)
            loop_stop(broker->loop);
        if (broker->drain_until_ms < next_ms)
            next_ms = broker->drain_until_ms;
    }
    return next_ms;
}

/* What the turn's messages change goes along with the batch that tick() seals. */
static void
woken(void *context)
{
    take_durable(context, time_now());
}

static void
signalled(void *context, int signal)
{
    struct broker *broker = context;
    if (broker->drain_until_ms) {
        log_event(LOG_WARNING, "stopping_now", log_int("signal", signal));
        loop_stop(broker->loop);
        return;
    }
    start_drain(broker, time_now());
}

static void
reload_asked(void *context, int signal)
{
    struct broker *broker = context;
    if (broker->guard)
        guard_reload(broker->guard);
    else
        log_event(LOG_WARNING, "nothing_to_reload", log_int("signal", signal),
                  log_text("meaning", "SIGHUP reads the list of keys again, and there are none"));
}

/* ---- wiring ------------------------------------------------------------------------------- */

static enum error
open_store(struct broker *broker, char **ret_message)
{
    const struct settings *settings = &broker->settings;
    const struct store_options options = {
        .path = settings->store,
        .bytes_max = settings->store_bytes_max,
        .sync = settings->sync == SETTINGS_SYNC_FULL ? STORE_SYNC_FULL : STORE_SYNC_GROUP,
    };
    if (settings->store_kind == SETTINGS_STORE_MEMORY)
        return store_open_memory(&options, &broker->store, ret_message);
    enum error error = store_open_lmdb(&options, &broker->store, ret_message);
    return error == ERROR_NOT_FOUND ? ERROR_IO : error; /* no such folder: the store's exit code */
}

static enum error
open_core(struct broker *broker, char **ret_message)
{
    const struct settings *settings = &broker->settings;
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        return ERROR_IO;
    const struct core_options options = {
        .name = settings->name,
        .gap_ms = settings->gap_ms,
        .host_connections = (int)settings->host_connections,
        .is_host_domain = settings->host_key == SETTINGS_HOST_KEY_DOMAIN,
        .lease_ms = settings->lease_ms,
        .heartbeat_ms = settings->heartbeat_ms,
        .takeover_ms = settings->takeover_ms,
        .attempts_max = (int)settings->attempts_max,
        .backoff_ms = settings->backoff_ms,
        .backoff_max_ms = settings->backoff_max_ms > settings->backoff_ms ? settings->backoff_max_ms
                                                                          : settings->backoff_ms,
        .tasks_max = (uint32_t)settings->tasks_max,
        .results_max = settings->results_max,
        .results_keep_ms = settings->results_keep_ms,
        .batch_max = (uint32_t)settings->batch_max,
        .message_bytes_max = settings->message_bytes_max,
        .body_bytes_max = settings->body_bytes_max,
        .seed = seed,
    };
    const struct core_port port = {.send = transport_send, .context = broker->transport};
    return core_create(&options, broker->store, port, time_now(), &broker->core, ret_message);
}

static enum error
open_guard(struct broker *broker, char **ret_message)
{
    const struct settings *settings = &broker->settings;
    if (settings->keys[0] != '\0') {
        keys_forbid_core();
        return guard_open(settings->keys, settings->authorized, &broker->guard, ret_message);
    }
    if (settings->authorized[0] != '\0') {
        *ret_message = strdup("authorized wants keys: the file with the broker's own secret key");
        return ERROR_CONFIG;
    }
    if (settings->insecure)
        log_event(LOG_WARNING, "insecure",
                  log_text("meaning", "whoever can connect may feed, work, collect and control"));
    return OK;
}

static enum error
open_transport(struct broker *broker, char **ret_message)
{
    const struct settings *settings = &broker->settings;
    const struct transport_options options = {
        .endpoints = {[ROLE_FEED] = settings->listen_feed,
                      [ROLE_WORK] = settings->listen_work,
                      [ROLE_COLLECT] = settings->listen_collect,
                      [ROLE_CONTROL] = settings->listen_control},
        .message_bytes_max = settings->message_bytes_max,
        .guard = broker->guard,
        .is_insecure = settings->insecure,
    };
    return transport_create(&options, broker->loop, message_received, broker, &broker->transport,
                            ret_message);
}

static enum error
open_loop(struct broker *broker)
{
    broker->loop = loop_create();
    if (!broker->loop)
        return ERROR_NO_MEMORY;
    enum error error = loop_add_signal(broker->loop, SIGTERM, signalled, broker);
    if (!error)
        error = loop_add_signal(broker->loop, SIGINT, signalled, broker);
    if (!error)
        error = loop_add_signal(broker->loop, SIGHUP, reload_asked, broker);
    return error;
}

static enum error
start(struct broker *broker, char **ret_message)
{
    enum error error = open_store(broker, ret_message);
    if (!error)
        error = open_loop(broker);
    if (!error)
        error = open_guard(broker, ret_message);
    if (!error)
        error = open_transport(broker, ret_message);
    if (!error)
        error = open_core(broker, ret_message);
    if (error)
        return error;
    broker->committer = committer_create(
        broker->store,
        broker->settings.sync == SETTINGS_SYNC_FULL ? STORE_SYNC_FULL : STORE_SYNC_GROUP,
        (committer_wake_fn *)loop_wake, broker->loop);
    if (!broker->committer)
        return ERROR_NO_MEMORY;
    loop_set_wake(broker->loop, woken, broker);
    loop_set_tick(broker->loop, tick, broker);
    return OK;
}

static void
report_start(const struct broker *broker)
{
    struct core_counts counts;
    core_counts(broker->core, &counts);
    log_event(LOG_INFO, "started", log_text("version", THRESH_VERSION),
              log_text("feed", transport_endpoint(broker->transport, ROLE_FEED)),
              log_text("work", transport_endpoint(broker->transport, ROLE_WORK)),
              log_text("collect", transport_endpoint(broker->transport, ROLE_COLLECT)),
              log_text("control", transport_endpoint(broker->transport, ROLE_CONTROL)),
              log_uint("accepted", counts.accepted),
              log_uint("unfinished", counts.ready + counts.delayed), log_uint("done", counts.done),
              log_uint("dead", counts.dead));
    if (counts.set_aside > 0)
        log_event(LOG_ERROR, "rows_set_aside", log_uint("tasks", counts.set_aside),
                  log_text("meaning", "rows of the store that cannot be read; the rest is served"));
}

static void
release(struct broker *broker)
{
    transport_destroy(broker->transport, LINGER_MS);
    guard_close(broker->guard);
    committer_destroy(broker->committer);
    core_destroy(broker->core);
    store_close(broker->store);
    loop_destroy(broker->loop);
    settings_release(&broker->settings);
}

/* One sentence for the person: what happened, why, what to do. */
static void
complain(enum error error, const char *message)
{
    if (message)
        fprintf(stderr, "thresh-broker: %s\n", message);
    else if (error == ERROR_DISK_FULL)
        fprintf(stderr, "thresh-broker: the disk is full; free some space and start again: what "
                        "was acknowledged is safe\n");
    else
        fprintf(stderr, "thresh-broker: %s\n", error_text(error));
}

static const struct startup startup = {
    .name = "thresh-broker",
    .programs = SETTINGS_BROKER,
    .help = "Keeps tasks and results durably, and hands tasks to workers.\n"
            "Feeders, workers, collectors and control connect to a port each.\n"
            "SIGTERM: hands out nothing more, waits for what runs (--drain), exits.\n"
            "SIGHUP: reads the list of keys that may connect (--authorized) again.\n",
    .libraries = "",
};

static enum error
run(struct broker *broker, char **ret_message)
{
    enum error error = start(broker, ret_message);
    if (error)
        return error;
    report_start(broker);
    error = loop_run(broker->loop);
    if (!error && broker->error) {
        error = broker->error;
        const char *failure = store_failure(broker->store);
        *ret_message = failure && failure[0] ? strdup(failure) : NULL;
    }
    log_event(error ? LOG_ERROR : LOG_INFO, "stopped", log_text("reason", error_text(error)));
    return error;
}

int
main(int argc, char **argv)
{
    struct broker broker = {0};
    enum error error = OK;
    if (startup_begin(&startup, argc, argv, &broker.settings, &error)) {
        char *message = NULL;
        error = run(&broker, &message);
        if (error)
            complain(error, message);
        free(message);
    }
    release(&broker);
    return (int)error_exit_code(error);
}
