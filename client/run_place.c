#include "client/run_place.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/file.h"

#define PRIVATE_MODE 0700
#define LOCK_MODE 0600
#define SOCKET_PATH_MAX 90 /* sun_path has 108 bytes; the names are short */
#define OPEN_DIRECTORIES 16

char *
run_place_path(const struct run_place *place, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", place->directory, name) >= 0 ? path : NULL;
}

/* A new private directory, malloc'd; NULL: it cannot be made, errno says why. */
static char *
make_temporary(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = NULL;
    if (parent == NULL || parent[0] != '/' || strlen(parent) > SOCKET_PATH_MAX / 2) {
        parent = "/tmp";
    }
    if (asprintf(&path, "%s/thresh-XXXXXX", parent) < 0) {
        return NULL;
    }
    if (mkdtemp(path) == NULL) {
        free(path);
        return NULL;
    }
    return path;
}

static int
take_lock(struct run_place *place)
{
    char *path = run_place_path(place, "run.lock");
    if (path == NULL) {
        return cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    place->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
    int number = errno;
    free(path);
    if (place->lock_fd < 0) {
        return cli_fail(file_error(number), "cannot write in '%s': %s", place->directory,
                        strerror(number));
    }
    if (flock(place->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return cli_fail(ERROR_LOCKED,
                        "'%s' is in use by another 'thresh run'; wait for it, or take another "
                        "--state",
                        place->directory);
    }
    return CLI_GO_ON;
}

static int
open_state(struct run_place *place, const char *state)
{
    if (mkdir(state, PRIVATE_MODE) != 0 && errno != EEXIST) {
        return cli_fail(file_error(errno), "cannot make the directory '%s': %s", state,
                        strerror(errno));
    }
    place->directory = realpath(state, NULL);
    struct stat status;
    if (place->directory == NULL || stat(place->directory, &status) != 0) {
        return cli_fail(file_error(errno), "cannot use '%s': %s", state, strerror(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        cli_say("--state '%s' is not a directory; name one, or one that is not there yet", state);
        return EXIT_CODE_USAGE;
    }
    place->spool = run_place_path(place, "feeder.spool");
    return take_lock(place);
}

static int
open_sockets(struct run_place *place)
{
    static const char *const names[RUN_SOCKET_COUNT] = {"f", "w", "c", "k"};
    if (strlen(place->directory) <= SOCKET_PATH_MAX) {
        place->sockets = run_place_path(place, "sockets");
        if (place->sockets != NULL && mkdir(place->sockets, PRIVATE_MODE) != 0 && errno != EEXIST) {
            return cli_fail(file_error(errno), "cannot make the directory '%s': %s", place->sockets,
                            strerror(errno));
        }
    } else {
        place->sockets = make_temporary();
        place->owns_sockets = place->sockets != NULL;
    }
    for (size_t i = 0; i < RUN_SOCKET_COUNT && place->sockets != NULL; i++) {
        if (asprintf(&place->endpoints[i], "ipc://%s/%s", place->sockets, names[i]) < 0) {
            place->endpoints[i] = NULL;
            return cli_fail(ERROR_NO_MEMORY, "out of memory");
        }
    }
    return place->sockets != NULL
               ? CLI_GO_ON
               : cli_fail(ERROR_IO, "cannot make a directory for sockets: %s", strerror(errno));
}

int
run_place_open(const struct settings *settings, struct run_place *ret_place)
{
    struct run_place *place = ret_place;
    struct stat status;
    int code = CLI_GO_ON;
    *place = (struct run_place){.lock_fd = -1};
    if (settings->state[0] != '\0') {
        code = open_state(place, settings->state);
    } else {
        place->is_temporary = true;
        place->directory = make_temporary();
        if (place->directory == NULL) {
            cli_say("cannot make a temporary directory: %s; set TMPDIR to a directory that can be "
                    "written, or take --state",
                    strerror(errno));
            code = EXIT_CODE_USAGE;
        }
    }
    if (code != CLI_GO_ON) {
        return code;
    }
    place->store = run_place_path(place, "store");
    if (place->store == NULL) {
        return cli_fail(ERROR_NO_MEMORY, "out of memory");
    }
    place->is_resumed = stat(place->store, &status) == 0;
    return open_sockets(place);
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    (void)remove(path); /* what cannot be removed stays in the temporary directory */
    return 0;
}

static void
remove_tree(const char *path)
{
    (void)nftw(path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void
run_place_close(struct run_place *place, bool keep_logs)
{
    if (place->owns_sockets || (place->sockets != NULL && !place->is_temporary)) {
        remove_tree(place->sockets);
    }
    if (place->is_temporary && place->directory != NULL && !keep_logs) {
        remove_tree(place->directory);
    }
    if (place->lock_fd >= 0) {
        close(place->lock_fd);
    }
    for (size_t i = 0; i < RUN_SOCKET_COUNT; i++) {
        free(place->endpoints[i]);
    }
    free(place->sockets);
    free(place->store);
    free(place->spool);
    free(place->directory);
    *place = (struct run_place){.lock_fd = -1};
}
