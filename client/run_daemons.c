#include "client/run_daemons.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARGUMENTS_MAX (SETTING_COUNT + 16)
#define NAME_BYTES_MAX 32
#define TAKEOVER "1s"

/* A command line being made; the error is sticky. */
struct line {
    char *words[ARGUMENTS_MAX + 1];
    size_t count;
    bool has_failed;
};

static void line_add(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
line_add(struct line *line, const char *format, ...)
{
    char *word = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&word, format, arguments);
    va_end(arguments);
    if (size < 0 || line->count == ARGUMENTS_MAX) {
        line->has_failed = true;
        if (size >= 0) {
            free(word);
        }
        return;
    }
    line->words[line->count++] = word;
}

static void
line_release(struct line *line)
{
    for (size_t i = 0; i < line->count; i++) {
        free(line->words[i]);
    }
}

static void
line_begin(struct line *line, const char *program)
{
    *line = (struct line){0};
    char *path = daemon_path(program);
    if (path == NULL) {
        line->has_failed = true;
        return;
    }
    line->words[line->count++] = path;
}

/* Every row that both the run and the program take, and that somebody has set. */
static void
hand_on(struct line *line, const struct settings *settings, unsigned program)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        const struct settings_row *row = settings_row((enum setting)i);
        struct buffer value;
        bool is_shared = (row->programs & program) != 0 && (row->programs & SETTINGS_RUN) != 0;
        if (!is_shared || settings_origin(settings, (enum setting)i) == SETTINGS_FROM_DEFAULT) {
            continue;
        }
        buffer_init(&value, SETTINGS_VALUE_BYTES_MAX);
        settings_append_value(settings, (enum setting)i, &value);
        line_add(line, "--%s=%s", row->name, buffer_text(&value));
        line->has_failed = line->has_failed || buffer_error(&value) != OK;
        buffer_release(&value);
    }
}

static enum error
add_child(struct children *children, const struct run_place *place, struct line *line,
          const char *name, bool is_fatal)
{
    char log_name[NAME_BYTES_MAX + 8];
    snprintf(log_name, sizeof log_name, "%s.log", name);
    char *log_path = run_place_path(place, log_name);
    enum error error = ERROR_NO_MEMORY;
    if (log_path != NULL && !line->has_failed) {
        error = children_add(children, name, line->words, log_path, is_fatal);
    }
    free(log_path);
    line_release(line);
    return error;
}

static enum error
add_broker(const struct settings *settings, const struct run_place *place,
           struct children *children)
{
    struct line line;
    line_begin(&line, "thresh-broker");
    line_add(&line, "--listen-feed=%s", place->endpoints[RUN_FEED]);
    line_add(&line, "--listen-work=%s", place->endpoints[RUN_WORK]);
    line_add(&line, "--listen-collect=%s", place->endpoints[RUN_COLLECT]);
    line_add(&line, "--listen-control=%s", place->endpoints[RUN_CONTROL]);
    line_add(&line, "--store=%s", place->store);
    line_add(&line, "--store-kind=%s", settings->ephemeral ? "memory" : "lmdb");
    line_add(&line, "--name=run");
    if (settings_origin(settings, SETTING_takeover_ms) == SETTINGS_FROM_DEFAULT) {
        line_add(&line, "--takeover=%s", TAKEOVER); /* its workers are here, or died with the run */
    }
    hand_on(&line, settings, SETTINGS_BROKER);
    /* What was only in memory dies with the broker, so another one would not go on. */
    return add_child(children, place, &line, "broker", settings->ephemeral);
}

static enum error
add_worker(const struct settings *settings, const struct run_place *place,
           struct children *children, unsigned long long number)
{
    struct line line;
    char name[NAME_BYTES_MAX];
    snprintf(name, sizeof name, "worker-%llu", number);
    line_begin(&line, "thresh-worker");
    line_add(&line, "--broker-work=%s", place->endpoints[RUN_WORK]);
    line_add(&line, "--name=%s", name);
    hand_on(&line, settings, SETTINGS_WORKER);
    return add_child(children, place, &line, name, false);
}

enum error
run_daemons_add(const struct settings *settings, const struct run_place *place,
                struct children *children)
{
    enum error error = add_broker(settings, place, children);
    for (uint64_t i = 1; i <= settings->workers && error == OK; i++) {
        error = add_worker(settings, place, children, i);
    }
    return error;
}
