/* thresh feed. */
#include "client/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/feeder.h"
#include "client/naming.h"
#include "client/progress.h"
#include "client/pump.h"

#define WAIT_ASK_MS 250      /* between two questions whether all is done */
#define PUT_OFF_SAID_MS 1000 /* a broker that is busy for less is not worth a word */
#define UNANSWERED_BYTES 48
#define MEMORY_TEXT "out of memory"

struct feed {
    struct cli cli;
    struct loop *loop;
    struct pump *pump;
    struct progress progress;
    const char *spool;
    const char *wait; /* not NULL: until everything is done */
    int64_t started_ms;
    int64_t silent_since_ms;  /* -1: the broker is there */
    int64_t put_off_since_ms; /* -1: the broker takes what comes */
    bool is_put_off_said;
    int64_t asked_at_ms;
    bool is_asked;
    int code; /* CLI_GO_ON while it runs */
};

static void
end(struct feed *feed, int code)
{
    feed->code = code;
    loop_stop(feed->loop);
}

static void
interrupted(void *context, int signal)
{
    struct feed *feed = context;
    (void)signal;
    progress_hide(&feed->progress);
    uint64_t unanswered = thresh_feeder_unanswered(pump_feeder(feed->pump));
    if (unanswered > 0 && feed->spool != NULL) {
        cli_say("interrupted; %llu unanswered items are kept in '%s': run the same command again",
                (unsigned long long)unanswered, feed->spool);
    } else {
        cli_say("interrupted; %llu items were not answered yet", (unsigned long long)unanswered);
    }
    end(feed, EXIT_CODE_INTERRUPTED);
}

static void
check_broker(struct feed *feed, int64_t now_ms)
{
    const struct settings *settings = &feed->cli.settings;
    if (feeder_is_connected(pump_feeder(feed->pump))) {
        feed->silent_since_ms = -1;
        return;
    }
    if (feed->silent_since_ms < 0) {
        feed->silent_since_ms = now_ms;
    }
    if (now_ms - feed->silent_since_ms >= settings->timeout_ms) {
        progress_hide(&feed->progress);
        end(feed, cli_unreachable(settings->broker_feed, settings->timeout_ms));
    }
}

/* Says, once each time, that the broker takes nothing. Returns when to look again. */
static int64_t
check_put_off(struct feed *feed, int64_t now_ms)
{
    const char *reason = feeder_put_off(pump_feeder(feed->pump));
    if (reason == NULL) {
        feed->put_off_since_ms = -1;
        feed->is_put_off_said = false;
        return INT64_MAX;
    }
    if (feed->put_off_since_ms < 0) {
        feed->put_off_since_ms = now_ms;
    }
    if (feed->is_put_off_said) {
        return INT64_MAX;
    }
    int64_t due_ms = feed->put_off_since_ms + PUT_OFF_SAID_MS;
    if (now_ms < due_ms) {
        return due_ms;
    }
    feed->is_put_off_said = true;
    progress_hide(&feed->progress);
    if (!feed->cli.is_quiet) {
        cli_say("the broker takes nothing now (%s); waiting for it", reason);
    }
    return INT64_MAX;
}

/* --wait: until the broker has nothing unfinished. */
static int64_t
check_unfinished(struct feed *feed, int64_t now_ms)
{
    struct thresh_feeder *feeder = pump_feeder(feed->pump);
    if (feed->is_asked && !feeder_is_told(feeder)) {
        return INT64_MAX;
    }
    if (feed->is_asked && feeder_unfinished(feeder) == 0) {
        end(feed, EXIT_CODE_DONE);
        return INT64_MAX;
    }
    if (!feed->is_asked || now_ms - feed->asked_at_ms >= WAIT_ASK_MS) {
        feed->is_asked = true;
        feed->asked_at_ms = now_ms;
        feeder_ask(feeder);
        return now_ms;
    }
    return feed->asked_at_ms + WAIT_ASK_MS;
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct feed *feed = context;
    int64_t deadline_ms = INT64_MAX;
    enum error error = pump_work(feed->pump, now_ms, &deadline_ms);
    if (error == ERROR_DISK_FULL) {
        progress_hide(&feed->progress);
        end(feed, cli_fail(error, "the spool '%s' has no room: the disk is full", feed->spool));
    } else if (error != OK) {
        progress_hide(&feed->progress);
        end(feed, cli_fail(error, "%s", pump_message(feed->pump)));
    }
    if (feed->code == CLI_GO_ON) {
        check_broker(feed, now_ms);
    }
    if (feed->code == CLI_GO_ON) {
        int64_t look_ms = check_put_off(feed, now_ms);
        deadline_ms = look_ms < deadline_ms ? look_ms : deadline_ms;
    }
    if (feed->silent_since_ms >= 0) {
        int64_t late_ms = feed->silent_since_ms + feed->cli.settings.timeout_ms;
        deadline_ms = late_ms < deadline_ms ? late_ms : deadline_ms;
    }
    if (feed->code == CLI_GO_ON && pump_is_done(feed->pump)) {
        int64_t next_ms = INT64_MAX;
        if (feed->wait == NULL) {
            end(feed, EXIT_CODE_DONE);
        } else {
            next_ms = check_unfinished(feed, now_ms);
        }
        deadline_ms = next_ms < deadline_ms ? next_ms : deadline_ms;
    }
    struct pump_counts counts = pump_counts(feed->pump);
    int64_t shown_ms =
        progress_tick(&feed->progress, now_ms, counts.accepted + counts.known, counts.invalid,
                      (int64_t)thresh_feeder_unanswered(pump_feeder(feed->pump)));
    return shown_ms < deadline_ms ? shown_ms : deadline_ms;
}

static int
start(struct feed *feed, const char *list)
{
    struct input *input = NULL;
    char *message = NULL;
    const struct settings *settings = &feed->cli.settings;
    if (feed->cli.arguments.positional_count == 0 && list == NULL && feed->spool == NULL) {
        cli_say("nothing to feed: name URLs, files, directories or lists, or - for standard input");
        fprintf(stderr, "Try 'thresh feed --help'.\n");
        return EXIT_CODE_USAGE;
    }
    int code = naming_input(&feed->cli, list, &input);
    if (code != CLI_GO_ON) {
        return code;
    }
    const struct thresh_feeder_options options = {
        .endpoint = settings->broker_feed,
        .name = settings->name,
        .spool = feed->spool,
        .batch_max = (int)settings->batch_max,
        .key_file = settings->key,
        .broker_key_file = settings->broker_key,
    };
    enum error error = pump_open(feed->loop, input, &options, &feed->pump, &message);
    if (error != OK) {
        code = cli_fail(error, "%s", message != NULL ? message : error_text(error));
        free(message);
        return code;
    }
    loop_set_tick(feed->loop, tick, feed);
    error = loop_add_signal(feed->loop, SIGINT, interrupted, feed);
    if (error == OK) {
        error = loop_add_signal(feed->loop, SIGTERM, interrupted, feed);
    }
    return error == OK ? CLI_GO_ON : cli_fail(error, "signals cannot be watched");
}

static void
say_summary(const struct feed *feed)
{
    char text[CLI_TEXT_BYTES];
    char unanswered[UNANSWERED_BYTES] = "";
    struct pump_counts counts = pump_counts(feed->pump);
    uint64_t left = thresh_feeder_unanswered(pump_feeder(feed->pump));
    if (left > 0) {
        snprintf(unanswered, sizeof unanswered, ", %llu unanswered", (unsigned long long)left);
    }
    cli_say("fed %llu: %llu accepted, %llu known, %llu invalid%s, in %s",
            (unsigned long long)counts.fed, (unsigned long long)counts.accepted,
            (unsigned long long)counts.known, (unsigned long long)pump_bad_count(feed->pump),
            unanswered, cli_duration(clock_monotonic_ms() - feed->started_ms, text));
}

static int
feed_all(struct feed *feed, const char *list)
{
    feed->loop = loop_create();
    if (feed->loop == NULL) {
        return cli_fail(ERROR_NO_MEMORY, MEMORY_TEXT);
    }
    feed->started_ms = clock_monotonic_ms();
    feed->silent_since_ms = feed->started_ms;
    feed->put_off_since_ms = -1;
    progress_init(&feed->progress, feed->cli.settings.progress, feed->cli.is_quiet,
                  feed->started_ms);
    int code = start(feed, list);
    if (code != CLI_GO_ON) {
        return code;
    }
    enum error error = loop_run(feed->loop);
    progress_hide(&feed->progress);
    if (error != OK) {
        return cli_fail(error, "the loop failed: %s", error_text(error));
    }
    if (!feed->cli.is_quiet) {
        say_summary(feed);
    }
    if (feed->code == EXIT_CODE_DONE && pump_bad_count(feed->pump) > 0) {
        return EXIT_CODE_MALFORMED;
    }
    return feed->code;
}

int
verb_feed(const struct verb *verb, int argc, char **argv)
{
    struct feed feed = {.code = CLI_GO_ON};
    const char *list = NULL;
    const struct settings_option extra[] = {
        {"list", 0, "FILE", "a list of items, whatever its name; -: standard input", &list},
        {"spool", 0, "FILE",
         "keeps unanswered items over a crash or restart of this command, so that none is lost or "
         "fed twice",
         &feed.spool},
        {"wait", 0, NULL, "wait until the broker has nothing unfinished", &feed.wait},
        {0},
    };
    int code = cli_begin(&feed.cli, verb, argc, argv, extra);
    if (code == CLI_GO_ON) {
        code = feed_all(&feed, list);
    }
    pump_close(feed.pump);
    loop_destroy(feed.loop);
    cli_end(&feed.cli);
    return code;
}
