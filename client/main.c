/* thresh: the command people type. Finds the verb and runs it. */
#include "client/cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERBS_MAX 64

static int
unknown_verb(const char *word)
{
    const char *names[VERBS_MAX];
    for (size_t i = 0; i < verb_count; i++) {
        names[i] = verbs[i].name;
    }
    const char *nearest = cli_nearest(word, names, verb_count);
    if (nearest != NULL) {
        cli_say("there is no verb '%s'; did you mean '%s'?", word, nearest);
    } else if (strstr(word, "://") != NULL || strchr(word, '.') != NULL) {
        cli_say("there is no verb '%s'; to process it: thresh run %s", word, word);
    } else {
        cli_say("there is no verb '%s'; 'thresh help' lists them", word);
    }
    return EXIT_CODE_USAGE;
}

int
main(int argc, char **argv)
{
    /* A reader that goes away is an error of write(), not our end. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        verb_help(NULL, 1, argv);
        return EXIT_CODE_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        return verb_help(NULL, 1, argv);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        return verb_version(NULL, 1, argv);
    }
    const struct verb *verb = verb_find(word);
    if (verb == NULL) {
        return unknown_verb(word);
    }
    return verb->run(verb, argc - 1, argv + 1);
}
