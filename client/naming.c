#include "client/naming.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void
report(void *context, const char *where, const char *reason)
{
    (void)context;
    cli_say("%s: %s", where, reason);
}

/* Whether it looks like a web address whose scheme was left out: example.com/page. */
static bool
looks_like_web(const char *argument)
{
    const char *dot = strchr(argument, '.');
    const char *slash = strchr(argument, '/');
    return argument[0] != '/' && argument[0] != '.' && dot != NULL && dot != argument &&
           dot[1] != '\0' && dot[1] != '/' && (slash == NULL || dot < slash) && slash != NULL;
}

static int
add_failed(enum error error, const char *argument)
{
    if (error == ERROR_NOT_FOUND) {
        bool is_web = looks_like_web(argument) || strncmp(argument, "www.", 4) == 0;
        cli_say("cannot read '%s': no such file or directory; %s%s%s", argument,
                is_web ? "for the web page write 'https://" : "check the name",
                is_web ? argument : ", or write a URL with its http:// or https://",
                is_web ? "'" : "");
        return EXIT_CODE_USAGE;
    }
    if (error == ERROR_INVALID) {
        cli_say("cannot fetch '%s': only http:// and https:// URLs are fetched; files are named by "
                "their path",
                argument);
        return EXIT_CODE_USAGE;
    }
    if (error == ERROR_UNSUPPORTED) {
        cli_say("cannot read '%s': not a file or directory of the kind that can be read", argument);
        return EXIT_CODE_USAGE;
    }
    if (error == ERROR_NOT_ALLOWED) {
        return cli_fail(error, "cannot read '%s': permission denied", argument);
    }
    return cli_fail(error, "cannot read '%s': %s", argument, error_text(error));
}

int
naming_input(const struct cli *cli, const char *list, struct input **ret_input)
{
    const struct settings *settings = &cli->settings;
    bool has_priority = settings_origin(settings, SETTING_priority) != SETTINGS_FROM_DEFAULT;
    const struct input_options options = {
        .body_bytes_max = settings->body_bytes_max,
        .priority = has_priority ? (int)settings->priority + 1 : 0,
    };
    struct input *input = input_create(&options, report, NULL);
    if (input == NULL) {
        return cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    int code = CLI_GO_ON;
    if (list != NULL) {
        enum error error = input_add_list(input, list);
        code = error == OK ? CLI_GO_ON : add_failed(error, list);
    }
    for (size_t i = 0; i < cli->arguments.positional_count && code == CLI_GO_ON; i++) {
        enum error error = input_add(input, cli->arguments.positional[i]);
        code = error == OK ? CLI_GO_ON : add_failed(error, cli->arguments.positional[i]);
    }
    if (code != CLI_GO_ON) {
        input_destroy(input);
        return code;
    }
    *ret_input = input;
    return CLI_GO_ON;
}

static int
sink_failed(enum error error, const char *path, uint64_t offset)
{
    switch (error) {
    case ERROR_CORRUPT:
        cli_say("'%s' holds something else than results (at byte %llu), so nothing is written to "
                "it; name another file with --output, or another --format",
                path, (unsigned long long)offset);
        return EXIT_CODE_USAGE;
    case ERROR_LOCKED:
        return cli_fail(error, "another process writes to '%s'; wait for it, or name another file",
                        path);
    case ERROR_NOT_FOUND:
        cli_say("cannot write '%s': its directory does not exist; make it first", path);
        return EXIT_CODE_USAGE;
    case ERROR_UNSUPPORTED:
        cli_say("cannot write '%s': it is a directory; name a file in it", path);
        return EXIT_CODE_USAGE;
    case ERROR_UNREACHABLE:
        return cli_fail(ERROR_IO, "standard output is closed; name a file with --output");
    default:
        return cli_fail(error, "cannot write '%s': %s", path, error_text(error));
    }
}

int
naming_sink(const struct cli *cli, const struct sink_kind **ret_kind, struct sink **ret_sink)
{
    const struct settings *settings = &cli->settings;
    static const char *const formats[] = {
        [SETTINGS_FORMAT_AUTO] = "auto",
        [SETTINGS_FORMAT_JSONL] = "jsonl",
        [SETTINGS_FORMAT_MSGPACK] = "msgpack",
    };
    uint64_t offset = 0;
    const struct sink_kind *kind = sink_kind_find(formats[settings->format], settings->output);
    enum error error = sink_open(kind, settings->output, ret_sink, &offset);
    if (error != OK) {
        return sink_failed(error, settings->output, offset);
    }
    if (sink_cut_bytes(*ret_sink) > 0) {
        cli_say("'%s' ended in the middle of a result (%llu bytes were cut off); it is written "
                "again",
                settings->output, (unsigned long long)sink_cut_bytes(*ret_sink));
    }
    *ret_kind = kind;
    return CLI_GO_ON;
}
