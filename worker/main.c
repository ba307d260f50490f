/* thresh-worker: fetches and extracts for a broker. Parses the settings, wires, runs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/settings.h"
#include "common/startup.h"
#include "worker/address.h"
#include "worker/attempt.h"
#include "worker/runner.h"

#define PROGRAM "thresh-worker"
#define LIBRARIES_BYTES 256
#define USER_AGENT_BYTES 1100 /* two settings of 512 and a few signs */
#define FETCH_MEMORY_BYTES ((size_t)512 * 1024 * 1024)
/* Descriptors of one transfer (two families tried, resolver), its kept connection, and the rest. */
#define FILES_A_TRANSFER 4
#define FILES_BESIDE 128
/* What --allow-private opens. Link-local stays shut: cloud metadata lives there. */
#define PRIVATE_NETWORKS \
    "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1/128,fc00::/7"

struct program {
    struct settings settings;
    struct loop *loop;
    struct runner *runner;
    struct address_list *allow;
    char name[PEER_NAME_BYTES_MAX + 1];
    char user_agent[USER_AGENT_BYTES];
};

static enum error
complain(enum error error, const char *what)
{
    fprintf(stderr, PROGRAM ": %s: %s\n", what, error_text(error));
    return error;
}

/* ---- settings -------------------------------------------------------------------------- */

static void
set_name(struct program *program)
{
    char host[PEER_NAME_BYTES_MAX / 2] = "worker";

    if (program->settings.name[0] != '\0') {
        snprintf(program->name, sizeof program->name, "%s", program->settings.name);
        return;
    }
    if (gethostname(host, sizeof host) != 0) {
        snprintf(host, sizeof host, "worker");
    }
    host[sizeof host - 1] = '\0';
    snprintf(program->name, sizeof program->name, "%s-%ld", host, (long)getpid());
}

static void
set_user_agent(struct program *program)
{
    const struct settings *settings = &program->settings;

    if (settings->contact[0] == '\0') {
        snprintf(program->user_agent, sizeof program->user_agent, "%s", settings->user_agent);
    } else {
        snprintf(program->user_agent, sizeof program->user_agent, "%s (+%s)", settings->user_agent,
                 settings->contact);
    }
}

static enum error
set_networks(struct program *program)
{
    const struct settings *settings = &program->settings;
    struct buffer text;
    size_t offset = 0;

    buffer_init(&text, SETTINGS_VALUE_BYTES_MAX * 2);
    buffer_append_string(&text, settings->allow_networks);
    if (settings->allow_private) {
        buffer_printf(&text, "%s" PRIVATE_NETWORKS, text.size > 0 ? "," : "");
    }
    enum error error = address_list_create(buffer_text(&text), &program->allow, &offset);
    buffer_release(&text);
    if (error == ERROR_CONFIG) {
        fprintf(stderr, PROGRAM ": allow-networks: not a network at byte %zu of \"%s\"\n",
                offset + 1, settings->allow_networks);
    } else if (error != OK) {
        complain(error, "allow-networks");
    }
    return error;
}

/* Looked at here as well, since the engine cannot say which setting it was. */
static enum error
check_ca_file(const struct settings *settings)
{
    if (settings->ca_file[0] != '\0' && access(settings->ca_file, R_OK) != 0) {
        fprintf(stderr, PROGRAM ": ca-file: cannot read \"%s\": %s\n", settings->ca_file,
                strerror(errno));
        return ERROR_CONFIG;
    }
    return OK;
}

static int
core_count(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : count > 256 ? 256 : (int)count;
}

/* Kept connections and children need descriptors: takes what the system lets us have, and fewer
 * transfers where that is not enough. */
static size_t
transfers_of(const struct settings *settings)
{
    size_t transfers = settings->transfers;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return transfers;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return transfers;
    }
    size_t most = limit.rlim_cur > FILES_BESIDE + FILES_A_TRANSFER
                      ? (limit.rlim_cur - FILES_BESIDE) / FILES_A_TRANSFER
                      : 1;
    if (transfers > most) {
        log_event(LOG_WARNING, "fewer_transfers", log_uint("wanted", transfers),
                  log_uint("taken", most), log_uint("descriptors", limit.rlim_cur));
        transfers = most;
    }
    return transfers;
}

static struct runner_options
options_of(const struct program *program)
{
    const struct settings *settings = &program->settings;
    size_t transfers = transfers_of(settings);
    size_t leases_max = settings->credit > 0 ? settings->credit : transfers * 2;

    return (struct runner_options){
        .endpoint = settings->broker_work,
        .message_bytes_max = settings->message_bytes_max,
        .session = {.name = program->name, .leases_max = leases_max},
        .pool = {.child_count = settings->children > 0 ? (int)settings->children : core_count(),
                 .memory_bytes = settings->child_memory_bytes,
                 .cpu_ms = settings->child_cpu_ms,
                 .wall_ms = settings->child_wall_ms,
                 .tasks_max = (int)settings->child_tasks_max,
                 .is_best_effort = settings->sandbox == SETTINGS_SANDBOX_BEST_EFFORT,
                 .body_bytes_max = settings->body_bytes_max,
                 .ratio_max = settings->ratio_max},
        .fetch = {.transfers_max = transfers,
                  .body_bytes_max = settings->body_bytes_max,
                  .header_bytes_max = settings->headers_bytes_max,
                  .memory_bytes_max = FETCH_MEMORY_BYTES,
                  .connect_ms = settings->connect_timeout_ms,
                  .first_byte_ms = settings->first_byte_timeout_ms,
                  .stall_ms = settings->stall_timeout_ms,
                  .stall_rate_bytes = (int64_t)settings->stall_rate_bytes,
                  .user_agent = program->user_agent,
                  .ca_file = settings->ca_file,
                  .insecure_tls_hosts = settings->insecure_tls_hosts,
                  .allow = program->allow},
        .redirects_max = settings->redirects_max,
        .fetch_ms = settings->fetch_timeout_ms,
        .drain_ms = settings->drain_ms,
        .has_links = settings->links,
        .has_raw = settings->raw,
    };
}

_Static_assert(ATTEMPT_REDIRECTS_MAX >= 20, "redirects-max goes up to 20");

/* ---- running --------------------------------------------------------------------------- */

static void
signalled(void *context, int signal)
{
    struct program *program = context;

    log_event(LOG_INFO, "signal", log_int("number", signal));
    runner_drain(program->runner);
}

/* Before any child is made: they are images of their own, and have none of it. */
static enum error
load_keys(const struct program *program, struct keys **ret_keys)
{
    char *message = NULL;
    enum error error =
        keys_load_peer(program->settings.key, program->settings.broker_key, ret_keys, &message);

    if (error != OK) {
        fprintf(stderr, PROGRAM ": %s\n", message == NULL ? error_text(error) : message);
    } else if (*ret_keys != NULL) {
        keys_forbid_core();
    }
    free(message);
    return error;
}

static enum error
start(struct program *program)
{
    const char *what = "";
    struct keys *keys = NULL;

    program->loop = loop_create();
    if (program->loop == NULL) {
        return complain(ERROR_NO_MEMORY, "the loop");
    }
    struct runner_options options = options_of(program);
    enum error error = load_keys(program, &keys);
    if (error != OK) {
        return error;
    }
    options.keys = keys;
    if (getrandom(options.session.client, CLIENT_ID_BYTES, 0) != CLIENT_ID_BYTES) {
        keys_destroy(keys);
        return complain(ERROR_IO, "random numbers");
    }
    error = runner_create(&options, program->loop, &program->runner, &what);
    keys_destroy(keys);
    if (error != OK) {
        return complain(error, what);
    }
    error = loop_add_signal(program->loop, SIGTERM, signalled, program);
    if (error == OK) {
        error = loop_add_signal(program->loop, SIGINT, signalled, program);
    }
    if (error != OK) {
        return complain(error, "signals");
    }
    log_event(LOG_INFO, "worker_starts", log_text("name", program->name),
              log_text("version", THRESH_VERSION), log_text("broker", options.endpoint),
              log_uint("transfers", options.fetch.transfers_max),
              log_int("children", options.pool.child_count),
              log_text("sandbox", runner_sandbox_text(program->runner)),
              log_text("library", fetch_library_text()));
    return OK;
}

static enum error
run(struct program *program)
{
    enum error error = set_networks(program);

    if (error == OK) {
        error = check_ca_file(&program->settings);
    }
    if (error != OK) {
        return error;
    }
    set_name(program);
    set_user_agent(program);
    error = start(program);
    if (error != OK) {
        return error;
    }
    error = loop_run(program->loop);
    if (error != OK) {
        return complain(error, "the loop");
    }
    error = runner_end(program->runner);
    return error == OK ? OK : complain(error, "the broker");
}

int
main(int argc, char **argv)
{
    struct program program = {0};
    char libraries[LIBRARIES_BYTES];
    const struct startup startup = {
        .name = PROGRAM,
        .programs = SETTINGS_WORKER,
        .help = "Takes tasks from a broker, fetches and extracts, and sends the results back.\n"
                "It may be started before the broker, and any number may run.\n"
                "SIGTERM: takes no more, ends what runs (--drain), exits.\n",
        .libraries = libraries,
    };
    enum error error = OK;

    snprintf(libraries, sizeof libraries, " (%s)", fetch_library_text());
    if (startup_begin(&startup, argc, argv, &program.settings, &error)) {
        error = run(&program);
    }
    runner_destroy(program.runner);
    loop_destroy(program.loop);
    address_list_destroy(program.allow);
    settings_release(&program.settings);
    return (int)error_exit_code(error);
}
