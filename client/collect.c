/* thresh collect. */
#include "client/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "client/collector.h"
#include "client/gather.h"
#include "client/naming.h"
#include "client/progress.h"

#define ASK_MS 200 /* between two questions whether all is done */
#define DIGITS 10

struct collect {
    struct cli cli;
    struct loop *loop;
    struct gather *gather;
    struct progress progress;
    const char *until_done; /* not NULL: ends when the broker has nothing unfinished */
    uint64_t count_max;
    int64_t silent_since_ms; /* -1: the broker is there */
    int code;                /* CLI_GO_ON while it runs */
};

static void
end(struct collect *collect, int code)
{
    collect->code = code;
    loop_stop(collect->loop);
}

static void
interrupted(void *context, int signal)
{
    struct collect *collect = context;
    (void)signal;
    /* What was not acknowledged is delivered again under this name; nothing is lost. */
    bool has_end = collect->until_done != NULL || collect->count_max > 0;
    end(collect, has_end ? EXIT_CODE_INTERRUPTED : EXIT_CODE_DONE);
}

static void
gather_failed(struct collect *collect, enum error error)
{
    progress_hide(&collect->progress);
    if (error == ERROR_UNREACHABLE) {
        end(collect, EXIT_CODE_DONE); /* the reader of our output has gone: quietly */
        return;
    }
    end(collect, cli_fail(error, "%s", gather_message(collect->gather)));
}

static void
check_broker(struct collect *collect, int64_t now_ms)
{
    const struct settings *settings = &collect->cli.settings;
    struct thresh_collector *collector = gather_collector(collect->gather);
    if (collector_is_connected(collector)) {
        collect->silent_since_ms = -1;
        return;
    }
    if (collect->silent_since_ms < 0) {
        collect->silent_since_ms = now_ms;
    }
    /* One that was there may come back; a collector has time. */
    if (!collector_was_connected(collector) &&
        now_ms - collect->silent_since_ms >= settings->timeout_ms) {
        end(collect, cli_unreachable(settings->broker_collect, settings->timeout_ms));
    }
}

static void
check_end(struct collect *collect, int64_t now_ms)
{
    struct gather *gather = collect->gather;
    if (gather_is_full(gather)) {
        if (gather_is_idle(gather)) {
            end(collect, EXIT_CODE_DONE);
        }
        return;
    }
    if (collect->until_done == NULL) {
        return;
    }
    if (gather_is_told(gather) && gather_unfinished(gather) == 0) {
        end(collect, EXIT_CODE_DONE);
        return;
    }
    gather_ask(gather, now_ms, ASK_MS);
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct collect *collect = context;
    int64_t deadline_ms = INT64_MAX;
    check_end(collect, now_ms);
    enum error error =
        collect->code == CLI_GO_ON ? gather_work(collect->gather, now_ms, &deadline_ms) : OK;
    if (error != OK) {
        gather_failed(collect, error);
    }
    if (collect->code != CLI_GO_ON) {
        return now_ms;
    }
    check_broker(collect, now_ms);
    int64_t look_ms = LOOP_NEVER;
    if (collect->silent_since_ms >= 0 && collect->code == CLI_GO_ON) {
        look_ms = collect->silent_since_ms + collect->cli.settings.timeout_ms;
        look_ms = look_ms > now_ms ? look_ms : now_ms + ASK_MS;
    }
    if (collect->until_done != NULL || gather_is_full(collect->gather)) {
        look_ms = now_ms + ASK_MS < look_ms ? now_ms + ASK_MS : look_ms;
    }
    int64_t shown_ms =
        progress_tick(&collect->progress, now_ms, gather_count(collect->gather),
                      gather_totals(collect->gather)->failed, gather_unfinished(collect->gather));
    deadline_ms = look_ms < deadline_ms ? look_ms : deadline_ms;
    return shown_ms < deadline_ms ? shown_ms : deadline_ms;
}

static int
start(struct collect *collect)
{
    struct sink *sink = NULL;
    const struct sink_kind *kind = NULL;
    const struct settings *settings = &collect->cli.settings;
    int code = naming_sink(&collect->cli, &kind, &sink);
    if (code != CLI_GO_ON) {
        return code;
    }
    const struct thresh_collector_options options = {
        .endpoint = settings->broker_collect,
        .name = settings->name[0] != '\0' ? settings->name : NULL,
        .key_file = settings->key,
        .broker_key_file = settings->broker_key,
    };
    char *message = NULL;
    enum error error =
        gather_open(collect->loop, sink, &options, collect->count_max, &collect->gather, &message);
    if (message != NULL) {
        code = cli_fail(error, "%s", message);
        free(message);
        return code;
    }
    if (error == OK) {
        error = loop_add_signal(collect->loop, SIGINT, interrupted, collect);
    }
    if (error == OK) {
        error = loop_add_signal(collect->loop, SIGTERM, interrupted, collect);
    }
    if (error == ERROR_CONFIG) {
        return cli_fail(error, "'%s' is not an endpoint; write tcp://HOST:PORT or ipc://PATH",
                        settings->broker_collect);
    }
    if (error != OK) {
        return cli_fail(error, "cannot collect: %s", error_text(error));
    }
    loop_set_tick(collect->loop, tick, collect);
    return CLI_GO_ON;
}

static int
collect_all(struct collect *collect)
{
    collect->loop = loop_create();
    if (collect->loop == NULL) {
        return cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    int64_t now_ms = clock_monotonic_ms();
    collect->silent_since_ms = now_ms;
    progress_init(&collect->progress, collect->cli.settings.progress,
                  collect->cli.is_quiet || progress_is_in_the_way(collect->cli.settings.output),
                  now_ms);
    int code = start(collect);
    if (code != CLI_GO_ON) {
        return code;
    }
    enum error error = loop_run(collect->loop);
    progress_hide(&collect->progress);
    if (error != OK) {
        return cli_fail(error, "the loop failed: %s", error_text(error));
    }
    if (!collect->cli.is_quiet && sink_is_file(gather_sink(collect->gather))) {
        cli_say("%llu results written to '%s'", (unsigned long long)gather_count(collect->gather),
                collect->cli.settings.output);
    }
    return collect->code;
}

/* --count N. False: not a number, which has been said. */
static bool
read_count(const char *text, uint64_t *ret_count)
{
    char *end_of_number = NULL;
    if (text == NULL) {
        return true;
    }
    errno = 0;
    unsigned long long count = strtoull(text, &end_of_number, DIGITS);
    if (errno != 0 || end_of_number == text || *end_of_number != '\0' || text[0] == '-' ||
        count == 0) {
        cli_say("--count %s: not a number of results from 1 on", text);
        return false;
    }
    *ret_count = count;
    return true;
}

int
verb_collect(const struct verb *verb, int argc, char **argv)
{
    struct collect collect = {.code = CLI_GO_ON};
    const char *count = NULL;
    const struct settings_option extra[] = {
        {"until-done", 0, NULL, "end when the broker has nothing unfinished and all was collected",
         &collect.until_done},
        {"count", 0, "N", "end after that many results", &count},
        {0},
    };
    int code = cli_begin(&collect.cli, verb, argc, argv, extra);
    if (code == CLI_GO_ON && collect.cli.arguments.positional_count > 0) {
        cli_say("'thresh collect' takes no argument such as '%s'; write to a file with --output",
                collect.cli.arguments.positional[0]);
        code = EXIT_CODE_USAGE;
    }
    if (code == CLI_GO_ON && !read_count(count, &collect.count_max)) {
        code = EXIT_CODE_USAGE;
    }
    if (code == CLI_GO_ON) {
        code = collect_all(&collect);
    }
    gather_close(collect.gather);
    loop_destroy(collect.loop);
    cli_end(&collect.cli);
    return code;
}
