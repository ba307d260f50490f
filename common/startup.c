#include "common/startup.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/buffer.h"
#include "common/log.h"

static void
print_help(const struct startup *startup)
{
    struct buffer options;
    buffer_init(&options, SETTINGS_TEXT_BYTES_MAX);
    settings_help(startup->programs, NULL, &options);
    printf("usage: %s [OPTION]...\n\n%s\n"
           "Options, with their defaults; each is also THRESH_NAME in the environment and a key\n"
           "in the file given with --config:\n%s",
           startup->name, startup->help, buffer_text(&options));
    buffer_release(&options);
}

bool
startup_begin(const struct startup *startup, int argc, char **argv, struct settings *settings,
              enum error *ret_error)
{
    struct settings_arguments arguments = {0};
    char *message = NULL;
    bool is_running = false;
    signal(SIGPIPE, SIG_IGN); /* a reader that goes away is an error of write(), not our end */
    settings_init(settings);
    enum error error =
        settings_load(settings, startup->programs, argc, argv, NULL, &arguments, &message);
    if (error != OK) {
        fprintf(stderr, "%s: %s\n", startup->name, message != NULL ? message : error_text(error));
    } else if (arguments.is_help) {
        print_help(startup);
    } else if (arguments.is_version) {
        printf("%s %s%s\n", startup->name, THRESH_VERSION, startup->libraries);
    } else if (arguments.positional_count > 0) {
        error = ERROR_USAGE;
        fprintf(stderr, "%s: takes only options, not \"%s\"; see %s --help\n", startup->name,
                arguments.positional[0], startup->name);
    } else {
        log_configure((enum log_level)settings->log_level, (enum log_format)settings->log_format,
                      startup->name);
        is_running = true;
    }
    free(message);
    settings_arguments_release(&arguments);
    *ret_error = error;
    return is_running;
}
