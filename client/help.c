/* thresh help, thresh version. */
#include "client/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP_BYTES_MAX 65536

static int
print_verbs(void)
{
    struct buffer out;
    buffer_init(&out, HELP_BYTES_MAX);
    buffer_append_string(&out, "Thresh turns URLs and documents into clean, structured records.\n\n"
                               "usage: thresh VERB [OPTION]... [ARGUMENT]...\n\n");
    for (size_t i = 0; i < verb_count; i++) {
        buffer_printf(&out, "  %-9s %s\n", verbs[i].name, verbs[i].summary);
    }
    buffer_append_string(&out, "\n'thresh help VERB' says more. To begin:\n"
                               "  thresh run https://example.com/\n");
    bool is_printed = cli_print(&out);
    buffer_release(&out);
    return is_printed ? EXIT_CODE_DONE : EXIT_CODE_UNEXPECTED;
}

int
verb_help(const struct verb *verb, int argc, char **argv)
{
    (void)verb;
    if (argc < 2 || argv[1][0] == '-') {
        return print_verbs();
    }
    const struct verb *asked = verb_find(argv[1]);
    if (asked == NULL) {
        cli_say("there is no verb '%s'; 'thresh help' lists them", argv[1]);
        return EXIT_CODE_USAGE;
    }
    char help[] = "--help";
    char *arguments[] = {argv[1], help, NULL};
    return asked->run == verb_help ? print_verbs() : asked->run(asked, 2, arguments);
}

int
verb_version(const struct verb *verb, int argc, char **argv)
{
    (void)verb;
    (void)argc;
    (void)argv;
    printf("thresh %s\n", THRESH_VERSION);
    return fflush(stdout) == 0 ? EXIT_CODE_DONE : EXIT_CODE_UNEXPECTED;
}
