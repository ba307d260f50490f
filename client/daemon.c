/* thresh broker, thresh worker: become the daemon. */
#include "client/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *
daemon_path(const char *program)
{
    char own[PATH_MAX];
    char *path = NULL;
    ssize_t size = readlink("/proc/self/exe", own, sizeof own - 1);
    if (size > 0) {
        own[size] = '\0';
        char *slash = strrchr(own, '/');
        if (slash != NULL) {
            *slash = '\0';
            if (asprintf(&path, "%s/%s", own, program) < 0) {
                return NULL;
            }
            if (access(path, X_OK) == 0) {
                return path;
            }
            free(path);
        }
    }
    return strdup(program);
}

int
verb_daemon(const struct verb *verb, int argc, char **argv)
{
    char name[32];
    (void)argc;
    snprintf(name, sizeof name, "thresh-%s", verb->name);
    char *path = daemon_path(name);
    if (path == NULL) {
        return cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    argv[0] = name;
    execvp(path, argv);
    int number = errno;
    cli_say("cannot start %s: %s; it belongs beside 'thresh' or in PATH", name, strerror(number));
    free(path);
    return EXIT_CODE_UNEXPECTED;
}
