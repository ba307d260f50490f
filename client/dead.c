/* thresh dead: tasks that were given up. */
#include "client/cli.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/control.h"
#include "client/table.h"
#include "common/json.h"
#include "common/message.h"

#define PAGE 200 /* entries of one question; each may carry a history */
#define TASK_BYTES_MAX 64
#define ARGUMENTS_BYTES_MAX ((size_t)1 << 20)
#define TIME_TEXT_BYTES 32

struct choice {
    const char *host;
    const char *outcome;
    const char *all;
    char *const *tasks;
    size_t task_count;
};

static const char *const names[] = {"task",    "url",      "host",    "outcome",
                                    "died_at", "attempts", "history", NULL};
enum {
    F_TASK,
    F_URL,
    F_HOST,
    F_OUTCOME,
    F_DIED,
    F_ATTEMPTS,
    F_HISTORY,
    F_COUNT
};

static void
write_pair(struct buffer *out, const char *name, const char *text)
{
    if (text != NULL) {
        write_string(out, name);
        write_text(out, slice_string(text));
    }
}

static void
write_tasks(struct buffer *out, const struct choice *choice)
{
    if (choice->task_count == 0) {
        return;
    }
    write_string(out, "ids");
    write_array(out, choice->task_count);
    for (size_t i = 0; i < choice->task_count; i++) {
        write_text(out, slice_string(choice->tasks[i]));
    }
}

static size_t
count_pairs(const struct choice *choice)
{
    return (size_t)((choice->host != NULL) + (choice->outcome != NULL) + (choice->task_count > 0));
}

static void
write_choice(struct buffer *out, const struct choice *choice)
{
    write_pair(out, "host", choice->host);
    write_pair(out, "outcome", choice->outcome);
    write_tasks(out, choice);
}

/* ---- list ---------------------------------------------------------------------------------- */

struct listing {
    struct table table;
    struct buffer json; /* the lines, for --json */
    bool is_json;
    size_t count;
    char last[TASK_BYTES_MAX + 1];
};

static enum error
add_entry(struct listing *listing, struct reader *reader)
{
    struct slice fields[F_COUNT];
    char text[TIME_TEXT_BYTES] = "";
    enum error error = OK;
    struct reader entry = *reader;
    struct slice raw = read_raw(reader);
    read_fields(&entry, names, fields);
    struct slice task = field_string(fields[F_TASK], &error);
    if (error != OK || reader->error != OK || task.size == 0 || task.size > TASK_BYTES_MAX) {
        return ERROR_PROTOCOL;
    }
    memcpy(listing->last, task.data, task.size);
    listing->last[task.size] = '\0';
    listing->count++;
    if (listing->is_json) {
        error = json_from_message(&listing->json, raw);
        buffer_append_byte(&listing->json, '\n');
        return error;
    }
    time_t died = (time_t)(field_uint(fields[F_DIED], 0, &error) / 1000);
    struct tm parts;
    if (localtime_r(&died, &parts) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    }
    table_slice(&listing->table, task);
    table_cell(&listing->table, "%s", text);
    table_slice(&listing->table, field_string(fields[F_OUTCOME], &error));
    table_cell(&listing->table, "%llu",
               (unsigned long long)field_uint(fields[F_ATTEMPTS], 0, &error));
    table_slice(&listing->table, field_string(fields[F_URL], &error));
    return error;
}

/* Asks for one page. *ret_count: how many entries came. */
static int
list_page(const struct cli *cli, const struct choice *choice, struct listing *listing,
          size_t *ret_count)
{
    static const char *const keys[] = {"dead", NULL};
    struct buffer arguments;
    struct buffer reply;
    struct slice field;
    struct reader reader;
    bool is_first = listing->last[0] == '\0';
    buffer_init(&arguments, ARGUMENTS_BYTES_MAX);
    buffer_init(&reply, CLI_REPLY_BYTES_MAX);
    write_map(&arguments, count_pairs(choice) + (is_first ? 1 : 2));
    write_choice(&arguments, choice);
    write_string(&arguments, "limit");
    write_uint(&arguments, PAGE);
    write_pair(&arguments, "after", is_first ? NULL : listing->last);
    int code = control_ask(cli, "dead", buffer_slice(&arguments), &reply);
    if (code == CLI_GO_ON) {
        enum error error = OK;
        reader_init(&reader, buffer_slice(&reply));
        read_fields(&reader, keys, &field);
        reader_init(&reader, field);
        *ret_count = read_array(&reader);
        for (size_t i = 0; i < *ret_count && reader.error == OK && error == OK; i++) {
            error = add_entry(listing, &reader);
        }
        if (error != OK || reader.error != OK) {
            code = cli_fail(ERROR_PROTOCOL, "the broker's answer cannot be read");
        }
    }
    buffer_release(&arguments);
    buffer_release(&reply);
    return code;
}

static int
list(const struct cli *cli, const struct choice *choice)
{
    struct listing listing = {.is_json = cli->settings.json};
    struct buffer out;
    size_t count = PAGE;
    int code = CLI_GO_ON;
    buffer_init(&listing.json, CLI_REPLY_BYTES_MAX);
    buffer_init(&out, CLI_REPLY_BYTES_MAX);
    table_init(&listing.table, "TASK|DIED|OUTCOME|>ATTEMPTS|URL");
    while (code == CLI_GO_ON && count == PAGE) {
        code = list_page(cli, choice, &listing, &count);
    }
    if (code == CLI_GO_ON) {
        if (listing.is_json) {
            buffer_append(&out, listing.json.data, listing.json.size);
        } else if (listing.count == 0) {
            buffer_append_string(&out, "no dead letters\n");
        } else {
            table_print(&listing.table, cli_bold(STDOUT_FILENO), cli_plain(STDOUT_FILENO), &out);
        }
        code = cli_print(&out) ? EXIT_CODE_DONE : EXIT_CODE_UNEXPECTED;
    }
    table_release(&listing.table);
    buffer_release(&listing.json);
    buffer_release(&out);
    return code;
}

/* ---- retry, purge -------------------------------------------------------------------------- */

static int
change(const struct cli *cli, const struct choice *choice, const char *question,
       const char *counted)
{
    const char *keys[] = {counted, NULL};
    struct buffer arguments;
    struct buffer reply;
    struct slice field;
    struct reader reader;
    enum error error = OK;
    if (count_pairs(choice) == 0 && choice->all == NULL) {
        cli_say("say which: task ids, --host, --outcome, or --all");
        return EXIT_CODE_USAGE;
    }
    buffer_init(&arguments, ARGUMENTS_BYTES_MAX);
    buffer_init(&reply, CLI_REPLY_BYTES_MAX);
    write_map(&arguments, count_pairs(choice) + (choice->all != NULL ? 1 : 0));
    write_choice(&arguments, choice);
    if (choice->all != NULL) {
        write_string(&arguments, "all");
        write_bool(&arguments, true);
    }
    int code = control_ask(cli, question, buffer_slice(&arguments), &reply);
    if (code == CLI_GO_ON && cli->settings.json) {
        code = control_print_json(buffer_slice(&reply));
    } else if (code == CLI_GO_ON) {
        reader_init(&reader, buffer_slice(&reply));
        read_fields(&reader, keys, &field);
        uint64_t count = field_uint(field, 0, &error);
        if (!cli->is_quiet) {
            cli_say("%llu dead letter%s %s", (unsigned long long)count, count == 1 ? "" : "s",
                    counted);
        }
        if (count < choice->task_count && choice->host == NULL && choice->outcome == NULL) {
            cli_say("%zu of the tasks named are no dead letters of this broker; 'thresh dead' "
                    "lists them",
                    choice->task_count - (size_t)count);
            code = EXIT_CODE_USAGE;
        } else {
            code = EXIT_CODE_DONE;
        }
    }
    buffer_release(&arguments);
    buffer_release(&reply);
    return code;
}

static int
dispatch(const struct cli *cli, struct choice *choice)
{
    static const char *const words[] = {"list", "retry", "purge"};
    const char *word = "list";
    choice->tasks = cli->arguments.positional;
    choice->task_count = cli->arguments.positional_count;
    if (choice->task_count > 0) {
        word = choice->tasks[0];
        choice->tasks++;
        choice->task_count--;
    }
    if (strcmp(word, "list") == 0) {
        return list(cli, choice);
    }
    if (strcmp(word, "retry") == 0) {
        return change(cli, choice, "dead_retry", "retried");
    }
    if (strcmp(word, "purge") == 0) {
        return change(cli, choice, "dead_purge", "purged");
    }
    const char *nearest = cli_nearest(word, words, sizeof words / sizeof words[0]);
    cli_say("'thresh dead' knows list, retry and purge, not '%s'%s%s%s", word,
            nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "'?" : "");
    return EXIT_CODE_USAGE;
}

int
verb_dead(const struct verb *verb, int argc, char **argv)
{
    struct cli cli;
    struct choice choice = {0};
    const struct settings_option extra[] = {
        {"host", 0, "HOST", "only those of this host", &choice.host},
        {"outcome", 0, "NAME", "only those that ended this way (see 'thresh dead')",
         &choice.outcome},
        {"all", 0, NULL, "all of them (retry, purge)", &choice.all},
        {0},
    };
    int code = cli_begin(&cli, verb, argc, argv, extra);
    if (code == CLI_GO_ON) {
        code = dispatch(&cli, &choice);
    }
    cli_end(&cli);
    return code;
}
