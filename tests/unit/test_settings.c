#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/settings.h"

#define TEST_ARGUMENTS_MAX 32

struct load {
    struct settings settings;
    struct settings_arguments arguments;
    char *message;
    char *words; /* what argv points into */
    char *argv[TEST_ARGUMENTS_MAX];
    int argc;
};

/* Splits at blanks; "" is no argument. */
static void
load_init(struct load *load, const char *line)
{
    *load = (struct load){0};
    settings_init(&load->settings);
    load->words = strdup(line);
    load->argv[load->argc++] = (char *)"thresh";
    char *rest = load->words;
    for (char *word = strsep(&rest, " "); word != NULL; word = strsep(&rest, " ")) {
        if (word[0] != '\0') {
            cr_assert(load->argc < TEST_ARGUMENTS_MAX - 1);
            load->argv[load->argc++] = word;
        }
    }
}

static void
load_release(struct load *load)
{
    settings_arguments_release(&load->arguments);
    settings_release(&load->settings);
    free(load->message);
    free(load->words);
}

static enum error
load_all(struct load *load, unsigned programs)
{
    return settings_load(&load->settings, programs, load->argc, load->argv, NULL, &load->arguments,
                         &load->message);
}

Test(settings, every_row_is_sound)
{
    struct settings settings;
    settings_init(&settings);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct settings_row *row = settings_row((enum setting)i);
        cr_assert_eq(row->setting, (enum setting)i);
        cr_assert_eq(settings_find(row->name), row, "%s is there twice", row->name);
        cr_assert(strlen(row->name) < 48 &&
                      strspn(row->name, "abcdefghijklmnopqrstuvwxyz-") == strlen(row->name),
                  "%s", row->name);
        cr_assert(row->programs != 0 && (row->programs & ~(unsigned)SETTINGS_ALL) == 0);
        cr_assert(strlen(row->help) > 5, "%s", row->name);
        cr_assert(row->min <= row->max);
        cr_assert_eq(row->type == SETTINGS_TYPE_CHOICE, row->words[0] != '\0', "%s", row->name);
        cr_assert_neq(strncmp(row->name, "no-", 3), 0);
        cr_assert_eq(settings_origin(&settings, row->setting), SETTINGS_FROM_DEFAULT);
    }
    settings_release(&settings);
}

Test(settings, defaults_are_in_their_units)
{
    struct settings settings;
    settings_init(&settings);
    cr_assert_eq(settings.gap_ms, 1000);
    cr_assert_eq(settings.lease_ms, 60000);
    cr_assert_eq(settings.results_keep_ms, INT64_C(7) * 86400 * 1000);
    cr_assert_eq(settings.tasks_max, 50000000);
    cr_assert_eq(settings.body_bytes_max, 16 * 1024 * 1024);
    cr_assert_eq(settings.store_bytes_max, UINT64_C(1) << 40);
    cr_assert_eq(settings.stall_rate_bytes, 100);
    cr_assert_eq(settings.links, true);
    cr_assert_eq(settings.allow_private, false);
    cr_assert_eq(settings.sync, SETTINGS_SYNC_GROUP);
    cr_assert_eq(settings.store_kind, SETTINGS_STORE_LMDB);
    cr_assert_eq(settings.log_level, (int)LOG_INFO);
    cr_assert_eq(settings.log_format, (int)LOG_FORMAT_LOGFMT);
    cr_assert_str_eq(settings.listen_feed, "tcp://127.0.0.1:5701");
    cr_assert_str_eq(settings.user_agent, "Thresh/" THRESH_VERSION);
    cr_assert_str_eq(settings.contact, "");
    settings_release(&settings);
}

struct word_case {
    const char *name;
    int value;
    const char *word;
};

Test(settings, words_of_choices_are_in_the_order_of_their_enums)
{
    static const struct word_case cases[] = {
        {"store-kind", SETTINGS_STORE_LMDB, "lmdb"},
        {"store-kind", SETTINGS_STORE_MEMORY, "memory"},
        {"sync", SETTINGS_SYNC_FULL, "full"},
        {"sync", SETTINGS_SYNC_GROUP, "group"},
        {"host-key", SETTINGS_HOST_KEY_HOST, "host"},
        {"host-key", SETTINGS_HOST_KEY_DOMAIN, "domain"},
        {"sandbox", SETTINGS_SANDBOX_STRICT, "strict"},
        {"sandbox", SETTINGS_SANDBOX_BEST_EFFORT, "best-effort"},
        {"format", SETTINGS_FORMAT_AUTO, "auto"},
        {"format", SETTINGS_FORMAT_JSONL, "jsonl"},
        {"format", SETTINGS_FORMAT_MSGPACK, "msgpack"},
        {"progress", SETTINGS_PROGRESS_AUTO, "auto"},
        {"progress", SETTINGS_PROGRESS_ON, "on"},
        {"progress", SETTINGS_PROGRESS_OFF, "off"},
        {"log-level", LOG_ERROR, "error"},
        {"log-level", LOG_WARNING, "warning"},
        {"log-level", LOG_INFO, "info"},
        {"log-level", LOG_DEBUG, "debug"},
        {"log-format", LOG_FORMAT_LOGFMT, "logfmt"},
        {"log-format", LOG_FORMAT_JSON, "json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct settings_row *row = settings_find(cases[i].name);
        struct settings settings;
        settings_init(&settings);
        cr_assert_eq(
            settings_set(&settings, row->setting, slice_string(cases[i].word), SETTINGS_FROM_FLAG),
            OK);
        int values[] = {settings.store_kind, settings.sync,      settings.host_key,
                        settings.sandbox,    settings.format,    settings.progress,
                        settings.log_level,  settings.log_format};
        static const char *const names[] = {"store-kind", "sync",     "host-key",  "sandbox",
                                            "format",     "progress", "log-level", "log-format"};
        for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
            if (strcmp(names[n], cases[i].name) == 0) {
                cr_assert_eq(values[n], cases[i].value, "%s %s", names[n], cases[i].word);
            }
        }
        settings_release(&settings);
    }
}

struct value_case {
    const char *name;
    const char *text;
    enum error expected;
    int64_t value;       /* of numbers */
    const char *printed; /* NULL: as it was written */
};

static int64_t
number_of(const struct settings *settings, const char *name)
{
    if (strcmp(name, "gap") == 0) {
        return settings->gap_ms;
    }
    if (strcmp(name, "tasks-max") == 0) {
        return (int64_t)settings->tasks_max;
    }
    cr_assert_str_eq(name, "body-bytes-max");
    return (int64_t)settings->body_bytes_max;
}

Test(settings, numbers_with_units_are_read_exactly_or_refused)
{
    static const struct value_case cases[] = {
        {"gap", "500ms", OK, 500, NULL},
        {"gap", "1s", OK, 1000, NULL},
        {"gap", "1000ms", OK, 1000, "1s"},
        {"gap", "90s", OK, 90000, NULL},
        {"gap", "5m", OK, 300000, NULL},
        {"gap", "1h", OK, 3600000, NULL},
        {"gap", "24h", OK, 86400000, "1d"},
        {"gap", "0", OK, 0, NULL},
        {"gap", "0s", OK, 0, "0"},
        {"gap", "2d", ERROR_TOO_LARGE, 0, NULL},
        {"gap", "99999999999999999999d", ERROR_TOO_LARGE, 0, NULL},
        {"gap", "213503982335d", ERROR_TOO_LARGE, 0, NULL},
        {"gap", "5", ERROR_INVALID, 0, NULL},
        {"gap", "fast", ERROR_INVALID, 0, NULL},
        {"gap", "", ERROR_INVALID, 0, NULL},
        {"gap", "-1s", ERROR_INVALID, 0, NULL},
        {"gap", "1.5s", ERROR_INVALID, 0, NULL},
        {"gap", "1s ", ERROR_INVALID, 0, NULL},
        {"gap", " 1s", ERROR_INVALID, 0, NULL},
        {"gap", "1S", ERROR_INVALID, 0, NULL},
        {"gap", "0x1s", ERROR_INVALID, 0, NULL},
        {"gap", "s", ERROR_INVALID, 0, NULL},
        {"tasks-max", "1", OK, 1, NULL},
        {"tasks-max", "1500", OK, 1500, NULL},
        {"tasks-max", "5k", OK, 5000, NULL},
        {"tasks-max", "5000", OK, 5000, "5k"},
        {"tasks-max", "50M", OK, 50000000, NULL},
        {"tasks-max", "1G", OK, 1000000000, NULL},
        {"tasks-max", "0", ERROR_TOO_LARGE, 0, NULL},
        {"tasks-max", "2G", ERROR_TOO_LARGE, 0, NULL},
        {"tasks-max", "5MiB", ERROR_INVALID, 0, NULL},
        {"tasks-max", "18446744073709551616", ERROR_TOO_LARGE, 0, NULL},
        {"body-bytes-max", "64k", OK, 65536, "64KiB"},
        {"body-bytes-max", "16MiB", OK, 16777216, NULL},
        {"body-bytes-max", "16M", OK, 16777216, "16MiB"},
        {"body-bytes-max", "1MB", OK, 1000000, "1000000"},
        {"body-bytes-max", "4096", OK, 4096, "4KiB"},
        {"body-bytes-max", "4097B", OK, 4097, "4097"},
        {"body-bytes-max", "1GiB", OK, 1073741824, NULL},
        {"body-bytes-max", "1023", ERROR_TOO_LARGE, 0, NULL},
        {"body-bytes-max", "2GiB", ERROR_TOO_LARGE, 0, NULL},
        {"body-bytes-max", "16777216TiB", ERROR_TOO_LARGE, 0, NULL},
        {"body-bytes-max", "16 MiB", ERROR_INVALID, 0, NULL},
        {"body-bytes-max", "16mib", ERROR_INVALID, 0, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct value_case *c = &cases[i];
        struct settings settings;
        struct buffer printed;
        settings_init(&settings);
        buffer_init(&printed, SETTINGS_TEXT_BYTES_MAX);
        const struct settings_row *row = settings_find(c->name);
        int64_t before = number_of(&settings, c->name);
        enum error error =
            settings_set(&settings, row->setting, slice_string(c->text), SETTINGS_FROM_FLAG);
        cr_assert_eq(error, c->expected, "%s %s: %s", c->name, c->text, error_text(error));
        cr_assert_eq(number_of(&settings, c->name), error == OK ? c->value : before, "%s %s",
                     c->name, c->text);
        if (error == OK) {
            settings_append_value(&settings, row->setting, &printed);
            cr_assert_str_eq(buffer_text(&printed), c->printed != NULL ? c->printed : c->text);
        }
        buffer_release(&printed);
        settings_release(&settings);
    }
}

struct usage_case {
    const char *line;
    unsigned programs;
    const char *message;
};

Test(settings, bad_command_lines_get_one_clear_sentence)
{
    static const struct usage_case cases[] = {
        {"--gpa 1s", SETTINGS_RUN, "unknown option --gpa; did you mean --gap?"},
        {"--gpa=1s", SETTINGS_RUN, "unknown option --gpa; did you mean --gap?"},
        {"--atempts-max 3", SETTINGS_RUN,
         "unknown option --atempts-max; did you mean --attempts-max?"},
        {"--no-link", SETTINGS_RUN, "unknown option --no-link; did you mean --no-links?"},
        {"--hlep", SETTINGS_RUN, "unknown option --hlep; did you mean --help?"},
        {"--zzzzzzzz", SETTINGS_RUN, "unknown option --zzzzzzzz; see --help"},
        {"--no-gap", SETTINGS_RUN, "--gap wants a value and cannot be switched off with --no-gap"},
        {"--gap fast", SETTINGS_RUN, "--gap wants a duration such as 500ms or 1s, not \"fast\""},
        {"--gap=", SETTINGS_RUN, "--gap wants a duration such as 500ms or 1s, not \"\""},
        {"--gap 2d", SETTINGS_RUN, "--gap wants a duration from 0 to 1d, not \"2d\""},
        {"--gap -1s", SETTINGS_RUN, "--gap wants a duration such as 500ms or 1s, not \"-1s\""},
        {"--gap", SETTINGS_RUN, "--gap wants a value: a duration such as 500ms or 1s"},
        {"--gap --links", SETTINGS_RUN, "--gap wants a value: a duration such as 500ms or 1s"},
        {"--workers 300", SETTINGS_RUN, "--workers wants a number from 1 to 256, not \"300\""},
        {"--workers 1.5", SETTINGS_RUN, "--workers wants a number such as 100 or 5k, not \"1.5\""},
        {"--body-bytes-max 1", SETTINGS_RUN,
         "--body-bytes-max wants a size from 1KiB to 1GiB, not \"1\""},
        {"--format xml", SETTINGS_RUN, "--format wants auto, jsonl or msgpack, not \"xml\""},
        {"--links=maybe", SETTINGS_RUN, "--links wants true or false, not \"maybe\""},
        {"--no-links=true", SETTINGS_RUN, "--no-links takes no value"},
        {"--help=all", SETTINGS_RUN, "--help takes no value"},
        {"-o", SETTINGS_RUN, "-o wants a value: file for the results; -: standard output"},
        {"-z", SETTINGS_RUN, "unknown option -z; see --help"},
        {"-qz", SETTINGS_RUN, "unknown option -z; see --help"},
        {"--lease 60s", SETTINGS_WORKER,
         "--lease is an option of other commands, not of this one; see --help"},
        {"--config", SETTINGS_RUN, "--config wants a value: settings file, YAML"},
        {"--name \033[31m", SETTINGS_FEED,
         "--name wants text without control characters, not \"?[31m\""},
        {"--output=", SETTINGS_RUN, "--output wants 1 to 4000 bytes of text, not \"\""},
        {"--broker tcp://a:1", SETTINGS_FEED,
         "broker wants a host name or address such as 10.0.0.5, not \"tcp://a:1\"; for endpoints "
         "there are broker-feed, broker-work, broker-collect and broker-control"},
        {"--broker a:1", SETTINGS_FEED,
         "broker wants a host name or address such as 10.0.0.5, not \"a:1\"; for endpoints "
         "there are broker-feed, broker-work, broker-collect and broker-control"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct load load;
        load_init(&load, cases[i].line);
        cr_assert_eq(load_all(&load, cases[i].programs), ERROR_USAGE, "%s", cases[i].line);
        cr_assert_not_null(load.message, "%s", cases[i].line);
        cr_assert_str_eq(load.message, cases[i].message);
        cr_assert_null(load.arguments.positional, "untouched on failure");
        load_release(&load);
    }
}

Test(settings, flags_of_every_form_are_taken)
{
    struct load load;
    load_init(&load, "--gap 2s one --lease=30s -vv --no-links --raw -q -o out.jsonl two - "
                     "--contact=--odd -- --gap");
    cr_assert_eq(load_all(&load, SETTINGS_RUN), OK, "%s", load.message);
    const struct settings *settings = &load.settings;
    cr_assert_eq(settings->gap_ms, 2000);
    cr_assert_eq(settings->lease_ms, 30000);
    cr_assert_eq(settings->links, false);
    cr_assert_eq(settings->raw, true);
    cr_assert_str_eq(settings->output, "out.jsonl");
    cr_assert_str_eq(settings->contact, "--odd");
    cr_assert_eq(load.arguments.verbosity, 1);
    cr_assert_eq(load.arguments.positional_count, 4);
    static const char *const positional[] = {"one", "two", "-", "--gap"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(load.arguments.positional[i], positional[i]);
    }
    cr_assert_null(load.arguments.positional[4]);
    cr_assert_eq(settings_origin(settings, SETTING_gap_ms), SETTINGS_FROM_FLAG);
    cr_assert_eq(settings_origin(settings, SETTING_heartbeat_ms), SETTINGS_FROM_DEFAULT);
    load_release(&load);
}

Test(settings, value_attached_to_a_short_flag_and_a_repeated_flag_count)
{
    struct load load;
    load_init(&load, "-qofirst --output second -");
    cr_assert_eq(load_all(&load, SETTINGS_RUN), OK);
    cr_assert_str_eq(load.settings.output, "second");
    cr_assert_eq(load.arguments.verbosity, -1);
    cr_assert_eq(load.arguments.positional_count, 1);
    load_release(&load);
}

Test(settings, own_options_of_a_program_are_taken)
{
    const char *seed = NULL;
    const char *dry = NULL;
    const char *unused = "before";
    const struct settings_option extra[] = {{"seed", 's', "N", "a seed", &seed},
                                            {"dry-run", 0, NULL, "only show", &dry},
                                            {"unused", 0, "X", "not given", &unused},
                                            {NULL, 0, NULL, NULL, NULL}};
    struct load load;
    load_init(&load, "-s 12 --dry-run");
    cr_assert_eq(settings_load(&load.settings, SETTINGS_RUN, load.argc, load.argv, extra,
                               &load.arguments, &load.message),
                 OK);
    cr_assert_str_eq(seed, "12");
    cr_assert_str_eq(dry, "");
    cr_assert_str_eq(unused, "before");
    load_release(&load);
    load_init(&load, "--dry-rum");
    cr_assert_eq(settings_load(&load.settings, SETTINGS_RUN, load.argc, load.argv, extra,
                               &load.arguments, &load.message),
                 ERROR_USAGE);
    cr_assert_str_eq(load.message, "unknown option --dry-rum; did you mean --dry-run?");
    load_release(&load);
}

Test(settings, flag_beats_environment_beats_file_beats_default)
{
    setenv("THRESH_GAP", "3s", 1);
    setenv("THRESH_TASKS_MAX", "7", 1);
    setenv("THRESH_LEASE", "", 1);
    setenv("THRESH_CHILDREN", "nonsense of a program that is not this one", 1);
    setenv("THRESH_PORT", "tcp://10.0.0.1:80", 1);
    struct load load;
    load_init(&load, "--tasks-max 9 --config " FIXTURES "/settings/good.yaml");
    cr_assert_eq(load_all(&load, SETTINGS_BROKER), OK, "%s", load.message);
    const struct settings *settings = &load.settings;
    cr_assert_eq(settings->tasks_max, 9);
    cr_assert_eq(settings->gap_ms, 3000);
    cr_assert_eq(settings->body_bytes_max, 1024 * 1024);
    cr_assert_eq(settings->sync, SETTINGS_SYNC_FULL);
    cr_assert_eq(settings->allow_private, true);
    cr_assert_str_eq(settings->listen_feed, "tcp://0.0.0.0:6701");
    cr_assert_eq(settings->lease_ms, 60000);
    cr_assert_eq(settings_origin(settings, SETTING_tasks_max), SETTINGS_FROM_FLAG);
    cr_assert_eq(settings_origin(settings, SETTING_gap_ms), SETTINGS_FROM_ENVIRONMENT);
    cr_assert_eq(settings_origin(settings, SETTING_listen_feed), SETTINGS_FROM_FILE);
    cr_assert_eq(settings_origin(settings, SETTING_lease_ms), SETTINGS_FROM_DEFAULT);
    load_release(&load);
}

Test(settings, bad_environment_is_named_by_its_variable)
{
    setenv("THRESH_BODY_BYTES_MAX", "huge", 1);
    struct load load;
    load_init(&load, "");
    cr_assert_eq(load_all(&load, SETTINGS_BROKER), ERROR_CONFIG);
    cr_assert_str_eq(load.message, "THRESH_BODY_BYTES_MAX wants a size such as 64k or 16MiB, not "
                                   "\"huge\"");
    load_release(&load);
}

Test(settings, config_file_may_come_from_the_environment)
{
    setenv("THRESH_CONFIG", FIXTURES "/settings/good.yaml", 1);
    struct load load;
    load_init(&load, "");
    cr_assert_eq(load_all(&load, SETTINGS_BROKER), OK);
    cr_assert_eq(load.settings.gap_ms, 250);
    load_release(&load);
}

Test(settings, help_and_version_need_no_good_file)
{
    struct load load;
    load_init(&load, "-h --config /nonexistent/thresh.yaml");
    cr_assert_eq(load_all(&load, SETTINGS_BROKER), OK);
    cr_assert(load.arguments.is_help && !load.arguments.is_version);
    load_release(&load);
}

Test(settings, own_default_of_a_program_gives_way_to_every_source)
{
    struct load load;
    load_init(&load, "");
    settings_set_default(&load.settings, SETTING_log_level, "warning");
    cr_assert_eq(load_all(&load, SETTINGS_RUN), OK);
    cr_assert_eq(load.settings.log_level, (int)LOG_WARNING);
    load_release(&load);
    load_init(&load, "--log-level debug");
    cr_assert_eq(load_all(&load, SETTINGS_RUN), OK);
    settings_set_default(&load.settings, SETTING_log_level, "warning");
    cr_assert_eq(load.settings.log_level, (int)LOG_DEBUG);
    load_release(&load);
}

struct broker_case {
    const char *line;
    const char *feed;
    const char *control;
};

Test(settings, broker_spreads_over_the_endpoints_that_nobody_named)
{
    static const struct broker_case cases[] = {
        {"", "tcp://127.0.0.1:5701", "tcp://127.0.0.1:5704"},
        {"--broker b.example", "tcp://b.example:5701", "tcp://b.example:5704"},
        {"--broker 10.0.0.5", "tcp://10.0.0.5:5701", "tcp://10.0.0.5:5704"},
        {"--broker fd00::5", "tcp://[fd00::5]:5701", "tcp://[fd00::5]:5704"},
        {"--broker [fd00::5]", "tcp://[fd00::5]:5701", "tcp://[fd00::5]:5704"},
        {"--broker-feed ipc://x --broker b", "ipc://x", "tcp://b:5704"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct load load;
        load_init(&load, cases[i].line);
        cr_assert_eq(load_all(&load, SETTINGS_FEED | SETTINGS_CONTROL), OK, "%s", load.message);
        cr_assert_str_eq(load.settings.broker_feed, cases[i].feed);
        cr_assert_str_eq(load.settings.broker_control, cases[i].control);
        load_release(&load);
    }
}

Test(settings, broker_from_a_better_source_beats_an_endpoint)
{
    struct load load;
    load_init(&load, "--broker b");
    struct slice text = slice_string("broker-feed: ipc://x\n");
    cr_assert_eq(settings_load_text(&load.settings, "t", text, &load.message), OK);
    cr_assert_eq(load_all(&load, SETTINGS_FEED), OK);
    cr_assert_str_eq(load.settings.broker_feed, "tcp://b:5701");
    load_release(&load);
}

struct file_case {
    const char *text;
    const char *message; /* NULL: good */
};

Test(settings, bad_files_are_refused_with_their_line)
{
    static const struct file_case cases[] = {
        {"", NULL},
        {"# nothing\n", NULL},
        {"---\ngap: 1s\n...\n", NULL},
        {"{gap: 1s, lease: 5s}\n", NULL},
        {"contact:\n", NULL},
        {"gap: 1s\ngpa: 2s\n", "t:2: unknown setting gpa; did you mean gap?"},
        {"\n\nzzzzzzzzz: 2s\n", "t:3: unknown setting zzzzzzzzz"},
        {"gap: 1s\nlease: 5s\ngap: 1s\n", "t:3: gap is set twice, first in line 1"},
        {"gap: fast\n", "t:1: gap wants a duration such as 500ms or 1s, not \"fast\""},
        {"gap:\n", "t:1: gap wants a duration such as 500ms or 1s, not \"\""},
        {"gap:\n  least: 1s\n",
         "t:2: gap wants one plain value, not a list, a mapping or an alias"},
        {"gap: [1s]\n", "t:1: gap wants one plain value, not a list, a mapping or an alias"},
        {"gap: &a 1s\nlease: *a\n",
         "t:2: lease wants one plain value, not a list, a mapping or an alias"},
        {"- gap\n", "t:1: lines of the form \"name: value\" were expected"},
        {"gap\n", "t:1: lines of the form \"name: value\" were expected"},
        {"gap: 1s\n---\ngap: 2s\n", "t:2: a settings file has one document"},
        {"? [a]\n: b\n", "t:1: a setting's name was expected"},
        {"*a : b\n", "t:1: a setting's name was expected"},
        {"contact: \"a\\nb\"\n", "t:1: contact wants text without control characters, not \"a?b\""},
        {"\"gap\\0x\": 1s\n", "t:1: unknown setting gap?x; did you mean gap?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct load load;
        load_init(&load, "");
        struct slice text = slice_string(cases[i].text);
        enum error error = settings_load_text(&load.settings, "t", text, &load.message);
        cr_assert_eq(error, cases[i].message == NULL ? OK : ERROR_CONFIG, "case %zu: %s", i,
                     load.message);
        if (cases[i].message != NULL) {
            cr_assert_str_eq(load.message, cases[i].message);
        }
        load_release(&load);
    }
}

Test(settings, broken_yaml_is_refused_with_a_line)
{
    static const char *const texts[] = {
        "gap: 1s\n\tlease: 2s\n", "gap: \"open\n", "{gap: 1s", "gap: 1s: 2s\n",
        "\xff\xfe\x41",           "gap: \x01\n",   "%FOO\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct load load;
        load_init(&load, "");
        enum error error =
            settings_load_text(&load.settings, "t", slice_string(texts[i]), &load.message);
        cr_assert_eq(error, ERROR_CONFIG, "case %zu", i);
        cr_assert_eq(strncmp(load.message, "t:", 2), 0, "%s", load.message);
        cr_assert_not_null(strstr(load.message, ": not YAML: "), "%s", load.message);
        load_release(&load);
    }
}

Test(settings, deep_nesting_and_large_values_are_refused_quickly)
{
    struct load load;
    struct buffer text;
    load_init(&load, "");
    buffer_init(&text, SETTINGS_FILE_BYTES_MAX * 2);
    buffer_append_string(&text, "gap: ");
    for (int i = 0; i < 500000; i++) {
        buffer_append_string(&text, "[");
    }
    cr_assert_eq(settings_load_text(&load.settings, "t", buffer_slice(&text), &load.message),
                 ERROR_CONFIG);
    load_release(&load);

    load_init(&load, "");
    buffer_clear(&text);
    buffer_append_string(&text, "contact: ");
    for (size_t i = 0; i <= SETTINGS_VALUE_BYTES_MAX; i++) {
        buffer_append_string(&text, "x");
    }
    cr_assert_eq(settings_load_text(&load.settings, "t", buffer_slice(&text), &load.message),
                 ERROR_CONFIG);
    cr_assert_str_eq(load.message, "t:1: the value of contact is longer than 65536 bytes");
    load_release(&load);

    load_init(&load, "");
    buffer_clear(&text);
    for (size_t i = 0; i <= SETTINGS_FILE_BYTES_MAX; i++) {
        buffer_append_string(&text, "#");
    }
    cr_assert_eq(settings_load_text(&load.settings, "t", buffer_slice(&text), &load.message),
                 ERROR_CONFIG);
    cr_assert_str_eq(load.message, "t: larger than 1048576 bytes, too large for settings");
    load_release(&load);
    buffer_release(&text);
}

Test(settings, files_that_cannot_be_read_are_named)
{
    static const struct file_case cases[] = {
        {"/nonexistent/thresh.yaml", "/nonexistent/thresh.yaml: No such file or directory"},
        {"/dev/zero", "/dev/zero: larger than 1048576 bytes, too large for settings"},
        {"/", "/: Is a directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct load load;
        load_init(&load, "");
        cr_assert_eq(settings_load_file(&load.settings, cases[i].text, &load.message),
                     ERROR_CONFIG);
        cr_assert_str_eq(load.message, cases[i].message);
        load_release(&load);
    }
}

Test(settings, printed_settings_load_again_to_the_same)
{
    struct load load;
    load_init(&load, "--gap 90s --contact say\"\\it --no-links --body-bytes-max 4097 --sync full");
    cr_assert_eq(load_all(&load, SETTINGS_RUN), OK, "%s", load.message);
    struct buffer first;
    struct buffer second;
    buffer_init(&first, SETTINGS_TEXT_BYTES_MAX);
    buffer_init(&second, SETTINGS_TEXT_BYTES_MAX);
    settings_print(&load.settings, SETTINGS_ALL, &first);
    cr_assert_eq(buffer_error(&first), OK);
    cr_assert_not_null(strstr(buffer_text(&first), "gap: 90s"));
    cr_assert_not_null(strstr(buffer_text(&first), "# flag\n"));
    struct load again;
    load_init(&again, "");
    cr_assert_eq(settings_load_text(&again.settings, "t", buffer_slice(&first), &again.message), OK,
                 "%s", again.message);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        buffer_clear(&first);
        buffer_clear(&second);
        settings_append_value(&load.settings, (enum setting)i, &first);
        settings_append_value(&again.settings, (enum setting)i, &second);
        cr_assert_str_eq(buffer_text(&first), buffer_text(&second));
        cr_assert_eq(settings_origin(&again.settings, (enum setting)i), SETTINGS_FROM_FILE);
    }
    buffer_release(&first);
    buffer_release(&second);
    load_release(&load);
    load_release(&again);
}

Test(settings, help_shows_the_programs_options_and_no_others)
{
    static const struct settings_option extra[] = {{"seed", 's', "N", "a seed", NULL},
                                                   {NULL, 0, NULL, NULL, NULL}};
    struct buffer out;
    buffer_init(&out, SETTINGS_TEXT_BYTES_MAX);
    settings_help(SETTINGS_RUN, extra, &out);
    cr_assert_eq(buffer_error(&out), OK);
    const char *text = buffer_text(&out);
    cr_assert_not_null(strstr(text, "  -s, --seed N                  a seed\n"), "%s", text);
    cr_assert_not_null(strstr(text, "      --gap TIME                least time between two "
                                    "requests to one host (default 1s)\n"));
    cr_assert_not_null(strstr(text, "  -o, --output TEXT "));
    cr_assert_not_null(strstr(text, "--[no-]links"));
    cr_assert_not_null(strstr(text, "--format auto|jsonl|msgpack"));
    cr_assert_not_null(strstr(text, "  -h, --help "));
    cr_assert_null(strstr(text, "--listen-feed"));
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        cr_assert(strcspn(line, "\n") <= 100, "%.120s", line);
    }
    buffer_release(&out);
}
