/* thresh run: a private broker and workers, fed and collected in one loop, to the end. */
#include "client/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/children.h"
#include "client/collector.h"
#include "client/control.h"
#include "client/feeder.h"
#include "client/file.h"
#include "client/gather.h"
#include "client/naming.h"
#include "client/progress.h"
#include "client/pump.h"
#include "client/run_daemons.h"
#include "client/run_place.h"
#include "client/run_summary.h"
#include "common/deadline.h"

#define PROGRESS_ASK_MS 500   /* how often the broker is asked how much is left, for the line */
#define END_ASK_MS 20         /* and whether all is done, when all is fed */
#define BROKER_START_MS 60000 /* a large store takes its time */
#define STATUS_MS 10000
#define STOP_MS 5000
#define LOG_TAIL_LINES 5
#define LOG_BYTES_MAX ((uint64_t)1 << 30)
#define PERCENT 100

enum run_phase {
    RUN_WORKING,  /* feeding and collecting */
    RUN_DRAINING, /* interrupted: what runs is finished, then collected */
    RUN_ENDED,
};

struct run {
    struct cli cli;
    struct loop *loop;
    struct run_place place;
    struct children *children;
    struct pump *pump;
    struct gather *gather;
    const struct sink_kind *kind;
    struct progress progress;
    enum run_phase phase;
    bool is_fed; /* the pump was done when the broker was last asked */
    bool keeps_logs;
    bool has_no_reader; /* of standard output, any more */
    int64_t started_ms;
    int64_t silent_since_ms; /* -1: the broker is there */
    int code;
};

static void
end(struct run *run, int code)
{
    if (run->phase != RUN_ENDED) {
        run->phase = RUN_ENDED;
        run->code = code;
    }
    loop_stop(run->loop);
}

/* The last lines of a log, so that a failure explains itself. */
static void
show_log(const char *path)
{
    uint8_t *data = NULL;
    size_t size = 0;
    if (file_read_whole(path, LOG_BYTES_MAX, &data, &size) != OK || size == 0) {
        free(data);
        return;
    }
    size_t start = size;
    for (int lines = 0; start > 0; start--) {
        if (data[start - 1] == '\n' && start < size && ++lines == LOG_TAIL_LINES) {
            break;
        }
    }
    fprintf(stderr, "%.*s", (int)(size - start), (const char *)data + start);
    free(data);
}

static void
check_children(struct run *run)
{
    const char *name = NULL;
    const char *log_path = NULL;
    int code = 0;
    if (!children_failure(run->children, &name, &log_path, &code) || run->phase == RUN_ENDED) {
        return;
    }
    progress_hide(&run->progress);
    bool is_killed = code > 128;
    cli_say("the %s of this run ended (%s%d) and cannot go on; its log, %s, ends with:", name,
            is_killed ? "signal " : "exit ", is_killed ? code - 128 : code, log_path);
    show_log(log_path);
    run->keeps_logs = true;
    end(run, code > 0 && code <= EXIT_CODE_LIMIT ? code : EXIT_CODE_UNEXPECTED);
}

static void
check_broker(struct run *run, int64_t now_ms)
{
    if (collector_is_connected(gather_collector(run->gather))) {
        run->silent_since_ms = -1;
    } else if (run->silent_since_ms < 0) {
        run->silent_since_ms = now_ms;
    } else if (now_ms - run->silent_since_ms >= BROKER_START_MS) {
        char *log_path = run_place_path(&run->place, "broker.log");
        progress_hide(&run->progress);
        cli_say("the broker of this run does not answer; its log ends with:");
        show_log(log_path != NULL ? log_path : "");
        free(log_path);
        run->keeps_logs = true;
        end(run, EXIT_CODE_UNREACHABLE);
    }
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int64_t
feed_some(struct run *run, int64_t now_ms)
{
    int64_t deadline_ms = INT64_MAX;
    enum error error = pump_work(run->pump, now_ms, &deadline_ms);
    if (error == OK) {
        return deadline_ms;
    }
    progress_hide(&run->progress);
    if (error == ERROR_DISK_FULL) {
        end(run, cli_fail(error,
                          "the disk is full: '%s' cannot be written; free some space and run "
                          "the same command again",
                          run->place.spool));
    } else {
        end(run, cli_fail(error, "%s", pump_message(run->pump)));
    }
    return now_ms;
}

static int64_t
collect_some(struct run *run, int64_t now_ms)
{
    int64_t deadline_ms = INT64_MAX;
    enum error error = gather_work(run->gather, now_ms, &deadline_ms);
    if (error == OK) {
        return deadline_ms;
    }
    progress_hide(&run->progress);
    if (error == ERROR_UNREACHABLE) {
        run->has_no_reader = true; /* it is enough for whoever read it: quietly */
        end(run, EXIT_CODE_DONE);
    } else {
        end(run, cli_fail(error, "%s", gather_message(run->gather)));
    }
    return now_ms;
}

/* Looks whether the phase is over, and asks the broker what that depends on. */
static int64_t
advance(struct run *run, int64_t now_ms)
{
    bool is_fed = pump_is_done(run->pump) &&
                  (run->phase == RUN_WORKING || children_alive(run->children, "worker") == 0);
    if (is_fed && !run->is_fed) {
        gather_doubt(run->gather); /* an answer from before says nothing of what was fed since */
    }
    run->is_fed = is_fed;
    if (is_fed && gather_is_told(run->gather)) {
        if (run->phase == RUN_DRAINING) {
            end(run, EXIT_CODE_INTERRUPTED);
            return now_ms;
        }
        if (gather_unfinished(run->gather) == 0) {
            end(run, EXIT_CODE_DONE);
            return now_ms;
        }
    }
    if (is_fed && gather_is_idle(run->gather)) {
        gather_ask(run->gather, now_ms, END_ASK_MS);
        return now_ms + END_ASK_MS;
    }
    gather_look(run->gather, now_ms, PROGRESS_ASK_MS);
    return now_ms + PROGRESS_ASK_MS;
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct run *run = context;
    int64_t deadline_ms = children_tick(run->children, now_ms);
    check_children(run);
    if (run->phase != RUN_ENDED) {
        deadline_ms = deadline_earlier(deadline_ms, feed_some(run, now_ms));
    }
    if (run->phase != RUN_ENDED) {
        deadline_ms = deadline_earlier(deadline_ms, collect_some(run, now_ms));
    }
    if (run->phase != RUN_ENDED) {
        check_broker(run, now_ms);
    }
    if (run->phase != RUN_ENDED) {
        deadline_ms = deadline_earlier(deadline_ms, advance(run, now_ms));
        /* What advance() asked goes out with the next turn. */
        deadline_ms = deadline_earlier(deadline_ms, collect_some(run, now_ms));
    }
    int64_t shown_ms =
        progress_tick(&run->progress, now_ms, gather_count(run->gather),
                      gather_totals(run->gather)->failed, gather_unfinished(run->gather));
    return run->phase == RUN_ENDED ? now_ms : deadline_earlier(deadline_ms, shown_ms);
}

static void
child_ended(void *context, int signal)
{
    struct run *run = context;
    (void)signal;
    children_reap(run->children, clock_monotonic_ms());
}

static void
interrupted(void *context, int signal)
{
    struct run *run = context;
    (void)signal;
    progress_hide(&run->progress);
    if (run->phase != RUN_WORKING) {
        children_stop(run->children, "", SIGKILL);
        end(run, EXIT_CODE_INTERRUPTED);
        return;
    }
    if (!run->cli.is_quiet) {
        cli_say("interrupted: finishing what runs; once more to stop at once");
    }
    run->phase = RUN_DRAINING;
    run->is_fed = false;
    pump_stop(run->pump);
    children_stop(run->children, "worker", SIGTERM);
}

/* ---- start and end ------------------------------------------------------------------------- */

static int
open_ends(struct run *run, struct input *input, struct sink *sink)
{
    char *message = NULL;
    const struct settings *settings = &run->cli.settings;
    const struct thresh_feeder_options feeding = {
        .endpoint = run->place.endpoints[RUN_FEED],
        .name = "run",
        .spool = run->place.spool,
        .batch_max = (int)settings->batch_max,
    };
    const struct thresh_collector_options collecting = {
        .endpoint = run->place.endpoints[RUN_COLLECT],
        .name = "run",
    };
    enum error error = gather_open(run->loop, sink, &collecting, 0, &run->gather, &message);
    if (error != OK) {
        input_destroy(input);
        free(message);
        return cli_fail(error, "cannot collect: %s", error_text(error));
    }
    error = pump_open(run->loop, input, &feeding, &run->pump, &message);
    if (error != OK) {
        int code =
            cli_fail(error, "cannot feed: %s", message != NULL ? message : error_text(error));
        free(message);
        return code;
    }
    return CLI_GO_ON;
}

static int
start(struct run *run, struct input *input, struct sink *sink)
{
    int code = open_ends(run, input, sink);
    if (code != CLI_GO_ON) {
        return code;
    }
    run->children = children_create();
    enum error error = run->children != NULL ? OK : ERROR_NO_MEMORY;
    if (error == OK) {
        error = run_daemons_add(&run->cli.settings, &run->place, run->children);
    }
    if (error == OK) {
        error = loop_add_signal(run->loop, SIGCHLD, child_ended, run);
    }
    if (error == OK) {
        error = loop_add_signal(run->loop, SIGINT, interrupted, run);
    }
    if (error == OK) {
        error = loop_add_signal(run->loop, SIGTERM, interrupted, run);
    }
    if (error != OK) {
        return cli_fail(error, "cannot start: %s", error_text(error));
    }
    loop_set_tick(run->loop, tick, run);
    return CLI_GO_ON;
}

struct recount {
    struct totals totals;
    const char *store;
};

static void
recount_one(void *context, struct slice task, struct slice map)
{
    struct recount *recount = context;
    size_t size = strlen(recount->store);
    if (task.size > size && memcmp(task.data, recount->store, size) == 0) {
        totals_count(&recount->totals, map);
    }
}

/* --fail-on COUNT or PERCENT%. */
static bool
is_failing(const struct run *run, const struct totals *totals)
{
    const char *limit = run->cli.settings.fail_on;
    char *rest = NULL;
    if (limit[0] == '\0') {
        return false;
    }
    double number = strtod(limit, &rest);
    double failed = (double)totals->failed;
    if (rest[0] == '%') {
        failed = totals->results > 0 ? failed * PERCENT / (double)totals->results : 0;
    }
    return failed > number;
}

/* Asks for the totals, checks them against the output, and says all of it. */
static int
finish(struct run *run)
{
    struct buffer status;
    char *message = NULL;
    struct recount recount = {.store = collector_store(gather_collector(run->gather))};
    const struct settings *settings = &run->cli.settings;
    bool is_file = sink_is_file(gather_sink(run->gather));
    const struct totals *written = gather_totals(run->gather);
    const struct run_summary summary = {
        .elapsed_ms = clock_monotonic_ms() - run->started_ms,
        .counts = pump_counts(run->pump),
        .bad_count = pump_bad_count(run->pump),
        .restarts = children_restarts(run->children),
        .output = is_file ? settings->output : NULL,
        .is_resumed = run->place.is_resumed,
    };
    int code = EXIT_CODE_DONE;
    if (run->place.is_resumed) {
        /* Earlier results of this state are in the file; on standard output they are gone. */
        enum error read = is_file ? sink_read(run->kind, settings->output, recount_one, &recount)
                                  : ERROR_UNSUPPORTED;
        written = read == OK ? &recount.totals : NULL;
    }
    buffer_init(&status, CLI_REPLY_BYTES_MAX);
    const struct control_place place = {.endpoint = run->place.endpoints[RUN_CONTROL]};
    enum error error =
        control_request(&place, STATUS_MS, "status", slice_of(NULL, 0), &status, &message);
    if (error != OK) {
        code = cli_fail(error, "the broker of this run did not say its totals: %s",
                        message != NULL ? message : error_text(error));
    } else if (!run_summary_print(&summary, buffer_slice(&status), written, run->cli.is_quiet)) {
        code = EXIT_CODE_UNEXPECTED;
    }
    if (code == EXIT_CODE_DONE && written != NULL && is_failing(run, written)) {
        cli_say("%llu of %llu results failed, more than --fail-on %s allows",
                (unsigned long long)written->failed, (unsigned long long)written->results,
                settings->fail_on);
        code = EXIT_CODE_FAIL_ON;
    }
    if (code == EXIT_CODE_DONE && summary.bad_count > 0) {
        code = EXIT_CODE_MALFORMED;
    }
    totals_release(&recount.totals);
    buffer_release(&status);
    free(message);
    return code;
}

static void
say_interrupted(const struct run *run)
{
    int64_t left = gather_unfinished(run->gather);
    if (run->cli.is_quiet) {
        return;
    }
    if (run->place.is_temporary) {
        cli_say("interrupted with %lld tasks left, which are forgotten; a run with --state DIR can "
                "be taken up again",
                (long long)(left > 0 ? left : 0));
    } else {
        cli_say("interrupted with %lld tasks left; the same command goes on from here (what was "
                "fed is kept in '%s')",
                (long long)(left > 0 ? left : 0), run->place.directory);
    }
}

static int
work(struct run *run)
{
    enum error error = loop_run(run->loop);
    progress_hide(&run->progress);
    if (error != OK) {
        return cli_fail(error, "the loop failed: %s", error_text(error));
    }
    int code = run->code;
    if (code == EXIT_CODE_DONE && !run->has_no_reader) {
        code = finish(run);
    } else if (code == EXIT_CODE_INTERRUPTED) {
        say_interrupted(run);
    }
    /* Workers first: a broker waits a moment for those it still talks to. */
    children_stop(run->children, "worker", SIGTERM);
    children_wait(run->children, "worker", STOP_MS);
    children_stop(run->children, "", SIGTERM);
    children_wait(run->children, "", STOP_MS);
    return code;
}

static int
check_arguments(const struct cli *cli, const char *list)
{
    const struct settings *settings = &cli->settings;
    if (settings->ephemeral && settings->state[0] != '\0') {
        cli_say("--ephemeral keeps nothing and --state keeps all: choose one");
        return EXIT_CODE_USAGE;
    }
    if (settings->fail_on[0] != '\0') {
        char *rest = NULL;
        double limit = strtod(settings->fail_on, &rest);
        bool is_percent = rest[0] == '%' && rest[1] == '\0';
        if (rest == settings->fail_on || !(limit >= 0) || (rest[0] != '\0' && !is_percent)) {
            cli_say("--fail-on %s: write a count such as 10 or a percentage such as 5%%",
                    settings->fail_on);
            return EXIT_CODE_USAGE;
        }
    }
    if (cli->arguments.positional_count == 0 && list == NULL && settings->state[0] == '\0') {
        cli_say("nothing to do: name URLs, files, directories or lists, or - for standard input");
        fprintf(stderr, "Try 'thresh run --help'.\n");
        return EXIT_CODE_USAGE;
    }
    return CLI_GO_ON;
}

static int
run_all(struct run *run, const char *list)
{
    struct input *input = NULL;
    struct sink *sink = NULL;
    int code = check_arguments(&run->cli, list);
    if (code == CLI_GO_ON) {
        code = naming_input(&run->cli, list, &input);
    }
    if (code == CLI_GO_ON) {
        code = run_place_open(&run->cli.settings, &run->place);
    }
    if (code == CLI_GO_ON) {
        code = naming_sink(&run->cli, &run->kind, &sink);
    }
    if (code == CLI_GO_ON) {
        run->loop = loop_create();
        code = run->loop != NULL ? CLI_GO_ON : cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    if (code != CLI_GO_ON) {
        sink_close(sink);
        input_destroy(input);
        return code;
    }
    run->started_ms = clock_monotonic_ms();
    run->silent_since_ms = run->started_ms;
    progress_init(&run->progress, run->cli.settings.progress,
                  run->cli.is_quiet || progress_is_in_the_way(run->cli.settings.output),
                  run->started_ms);
    code = start(run, input, sink);
    return code == CLI_GO_ON ? work(run) : code;
}

int
verb_run(const struct verb *verb, int argc, char **argv)
{
    struct run run = {.place.lock_fd = -1};
    const char *list = NULL;
    const struct settings_option extra[] = {
        {"list", 0, "FILE", "a list of items, whatever its name; -: standard input", &list},
        {0},
    };
    int code = cli_begin(&run.cli, verb, argc, argv, extra);
    if (code == CLI_GO_ON) {
        code = run_all(&run, list);
    }
    pump_close(run.pump);
    gather_close(run.gather);
    children_destroy(run.children);
    loop_destroy(run.loop);
    run_place_close(&run.place, run.keeps_logs);
    cli_end(&run.cli);
    return code;
}
