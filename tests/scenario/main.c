/* scenario FILE...: runs scenarios; tests/scenario/README.md has their language. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scenario/script.h"

/* ---- lines that are not of an actor ------------------------------------------------------- */

struct option {
    const char *name;
    enum {
        OPTION_INT,
        OPTION_INT64,
        OPTION_UINT32,
        OPTION_UINT64,
        OPTION_SIZE,
        OPTION_BOOL,
    } type;
    size_t offset;
};

#define ROW(name, type)                                  \
    {                                                    \
#name, type, offsetof(struct core_options, name) \
    }
static const struct option options[] = {
    ROW(gap_ms, OPTION_INT64),         ROW(host_connections, OPTION_INT),
    ROW(is_host_domain, OPTION_BOOL),  ROW(lease_ms, OPTION_INT64),
    ROW(heartbeat_ms, OPTION_INT64),   ROW(takeover_ms, OPTION_INT64),
    ROW(attempts_max, OPTION_INT),     ROW(backoff_ms, OPTION_INT64),
    ROW(backoff_max_ms, OPTION_INT64), ROW(tasks_max, OPTION_UINT32),
    ROW(results_max, OPTION_UINT64),   ROW(results_keep_ms, OPTION_INT64),
    ROW(batch_max, OPTION_UINT32),     ROW(message_bytes_max, OPTION_SIZE),
    ROW(body_bytes_max, OPTION_SIZE),
};
#undef ROW

static void
set_option(struct script *script, const struct option *option, int64_t value)
{
    char *field = (char *)&script->options + option->offset;
    switch (option->type) {
    case OPTION_INT:
        *(int *)(void *)field = (int)value;
        break;
    case OPTION_INT64:
        *(int64_t *)(void *)field = value;
        break;
    case OPTION_UINT32:
        *(uint32_t *)(void *)field = (uint32_t)value;
        break;
    case OPTION_UINT64:
        *(uint64_t *)(void *)field = (uint64_t)value;
        break;
    case OPTION_SIZE:
        *(size_t *)(void *)field = (size_t)value;
        break;
    case OPTION_BOOL:
        *(bool *)(void *)field = value != 0;
        break;
    }
}

/* option NAME NUMBER: before the broker starts, or while it is down. */
static void
run_option(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the option's name");
    const char *value = words_take(script, words, "its value");
    for (size_t i = 0; name && value && i < sizeof options / sizeof options[0]; i++) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        if (script->is_open && script->stage.core)
            script_fail(script, "options are set while the broker is down");
        set_option(script, &options[i], word_number(script, value));
        script->stage.options = script->options;
        return;
    }
    if (name && value)
        script_fail(script, "there is no option '%s'", name);
}

/* time +MS */
static void
run_time(struct script *script, struct words *words)
{
    const char *span = words_take(script, words, "the time that passes");
    if (!span)
        return;
    script_start(script);
    script_pass(script, word_number(script, span));
}

/* wall +MS or -MS: the wall clock jumps, the other one stands. */
static void
run_wall(struct script *script, struct words *words)
{
    const char *jump = words_take(script, words, "the jump");
    if (!jump)
        return;
    script_start(script);
    script->stage.time.wall_ms += word_number(script, jump);
    script_pass(script, 0);
}

/* disk slow: batches wait for commit; disk fast: they do not. */
static void
run_disk(struct script *script, struct words *words)
{
    const char *how = words_take(script, words, "slow or fast");
    if (!how)
        return;
    script_start(script);
    script->is_disk_slow = strcmp(how, "slow") == 0;
    if (!script->is_disk_slow && strcmp(how, "fast") != 0)
        script_fail(script, "a disk is slow or fast");
    script_after(script);
}

/* seal, apply, flush, commit: the points a batch passes, for a slow disk. */
static void
run_seal(struct script *script, struct words *words)
{
    (void)words;
    if (!stage_seal(&script->stage))
        script_fail(script, "there is nothing to seal");
}

static void
run_apply(struct script *script, struct words *words)
{
    (void)words;
    if (!stage_apply(&script->stage))
        script_fail(script, "there is nothing to apply");
}

static void
run_flush(struct script *script, struct words *words)
{
    (void)words;
    stage_seal(&script->stage);
    stage_apply(&script->stage);
    if (!stage_flush(&script->stage))
        script_fail(script, "there is nothing to flush");
}

static void
run_commit(struct script *script, struct words *words)
{
    (void)words;
    stage_settle(&script->stage);
}

/* crash [MS]: the broker is gone, time passes, it starts again from the disk. stop: it stays down.
 */
static void
run_stop(struct script *script, struct words *words)
{
    (void)words;
    script_start(script);
    stage_crash(&script->stage);
}

static void
run_crash(struct script *script, struct words *words)
{
    run_stop(script, words);
    int64_t down_ms = words_has(words) ? word_number(script, words->items[words->next++]) : 1;
    /* Another process: its monotonic clock has nothing to do with the last one's. */
    script->stage.time.now_ms = 5000 + script->stage.time.now_ms % 777;
    script->stage.time.wall_ms += down_ms;
    script_start(script);
    script_pass(script, 0);
}

/* damage TABLE KEY: that row is no record any more. */
static void
run_damage(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the table");
    const char *key = words_take(script, words, "the key");
    if (!name || !key)
        return;
    script_start(script);
    for (unsigned i = 0; i < STORE_TABLE_COUNT; i++) {
        if (strcmp(store_table_name((enum store_table)i), name) == 0) {
            stage_damage(&script->stage, (enum store_table)i, (uint64_t)word_number(script, key));
            return;
        }
    }
    script_fail(script, "there is no table '%s'", name);
}

/* drain: as SIGTERM. */
static void
run_drain(struct script *script, struct words *words)
{
    (void)words;
    script_start(script);
    core_drain(script->stage.core, script->stage.time);
    script_after(script);
}

/* ---- files -------------------------------------------------------------------------------- */

struct command {
    const char *name;
    void (*run)(struct script *script, struct words *words);
};

static const struct command commands[] = {
    {"feed", send_feed},       {"work", send_work},    {"collect", send_collect},
    {"control", send_control}, {"expect", expect},     {"time", run_time},
    {"wall", run_wall},        {"disk", run_disk},     {"seal", run_seal},
    {"apply", run_apply},      {"flush", run_flush},   {"commit", run_commit},
    {"crash", run_crash},      {"stop", run_stop},     {"damage", run_damage},
    {"drain", run_drain},      {"option", run_option},
};

static void
run_line(struct script *script, char *line)
{
    struct words words = {0};
    for (char *word; (word = strsep(&line, " \t\r\n")) != NULL;) {
        if (*word == '\0')
            continue;
        if (words.count == SCRIPT_WORDS_MAX) {
            script_fail(script, "more than %d words", SCRIPT_WORDS_MAX);
            return;
        }
        words.items[words.count++] = word;
    }
    if (words.count == 0 || words.items[0][0] == '#') /* a comment */
        return;
    const char *name = words.items[words.next++];
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        commands[i].run(script, &words);
        if (!script->is_failed && words_has(&words))
            script_fail(script, "'%s' is one word too many", words.items[words.next]);
        return;
    }
    script_fail(script, "there is no command '%s'", name);
}

static bool
run_file(const char *path)
{
    static char line[SCRIPT_LINE_BYTES_MAX];
    struct script script = {.path = path, .options = stage_options()};
    FILE *file = fopen(path, "r");
    if (!file) {
        script_fail(&script, "cannot be opened");
        return false;
    }
    while (!script.is_failed && fgets(line, sizeof line, file)) {
        script.line++;
        if (!strchr(line, '\n') && !feof(file))
            script_fail(&script, "a line is longer than %d bytes", SCRIPT_LINE_BYTES_MAX);
        else
            run_line(&script, line);
    }
    if (script.line == 0)
        script_fail(&script, "an empty scenario shows nothing");
    fclose(file);
    script_release(&script);
    return !script.is_failed;
}

int
main(int argc, char **argv)
{
    int failed = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: scenario FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        failed += !run_file(argv[i]);
    printf("%d scenarios, %d failed\n", argc - 1, failed);
    return failed ? 1 : 0;
}
