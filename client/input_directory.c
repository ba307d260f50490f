/* All documents under a directory, in sorted order, without recursion. */
#include "client/input_source.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A directory that is being walked. */
struct level {
    char *path;
    struct dirent **names;
    int count;
    int next;
};

struct directory_source {
    struct input_source source;
    char *start; /* NULL: begun */
    struct level levels[INPUT_DEPTH_MAX];
    size_t depth;
};

static int
is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* By bytes, so that the order is the same in every locale. */
static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void
leave(struct directory_source *directory)
{
    struct level *level = &directory->levels[--directory->depth];
    for (int i = 0; i < level->count; i++) {
        free(level->names[i]);
    }
    free(level->names);
    free(level->path);
}

/* Takes path over. */
static enum error
enter(struct directory_source *directory, char *path)
{
    struct input *input = directory->source.input;
    if (directory->depth == INPUT_DEPTH_MAX) {
        input_complain(input, path, "more than %d directories inside one another", INPUT_DEPTH_MAX);
        free(path);
        return ERROR_INVALID;
    }
    struct level *level = &directory->levels[directory->depth];
    *level = (struct level){.path = path};
    level->count = scandir(path, &level->names, is_shown, by_bytes);
    if (level->count < 0) {
        input_complain(input, path, "cannot be listed (%s)", strerror(errno));
        free(path);
        return errno == ENOMEM ? ERROR_NO_MEMORY : ERROR_INVALID;
    }
    directory->depth++;
    return OK;
}

static enum error
visit(struct directory_source *directory, const char *name, struct input_item *item)
{
    struct input *input = directory->source.input;
    const struct level *level = &directory->levels[directory->depth - 1];
    struct stat status;
    char *path = NULL;
    if (asprintf(&path, "%s/%s", level->path, name) < 0) {
        return ERROR_NO_MEMORY;
    }
    enum error error = ERROR_INVALID; /* passed over */
    if (lstat(path, &status) != 0) {
        input_complain(input, path, "%s", strerror(errno));
    } else if (S_ISDIR(status.st_mode)) {
        enum error entered = enter(directory, path);
        return entered == ERROR_NO_MEMORY ? entered : ERROR_INVALID;
    } else if (S_ISREG(status.st_mode)) {
        error = input_document(input, path, path, item);
    }
    free(path);
    return error;
}

static enum error
directory_next(struct input_source *source, struct input_item *item)
{
    struct directory_source *directory = (struct directory_source *)source;
    if (directory->start != NULL) {
        char *start = directory->start;
        directory->start = NULL;
        enum error error = enter(directory, start);
        if (error != OK) {
            return error;
        }
    }
    while (directory->depth > 0) {
        struct level *level = &directory->levels[directory->depth - 1];
        if (level->next == level->count) {
            leave(directory);
            continue;
        }
        enum error error = visit(directory, level->names[level->next++]->d_name, item);
        if (error != ERROR_INVALID) {
            return error;
        }
        input_item_clear(item);
    }
    return ERROR_EMPTY;
}

static void
directory_destroy(struct input_source *source)
{
    struct directory_source *directory = (struct directory_source *)source;
    while (directory->depth > 0) {
        leave(directory);
    }
    free(directory->start);
    free(directory);
}

struct input_source *
input_directory_create(struct input *input, const char *path)
{
    static const struct input_source_kind kind = {.next = directory_next,
                                                  .destroy = directory_destroy};
    struct directory_source *directory = calloc(1, sizeof *directory);
    if (directory == NULL) {
        return NULL;
    }
    directory->source = (struct input_source){.kind = &kind, .input = input};
    directory->start = strdup(path);
    if (directory->start == NULL) {
        directory_destroy(&directory->source);
        return NULL;
    }
    size_t size = strlen(directory->start);
    while (size > 1 && directory->start[size - 1] == '/') {
        directory->start[--size] = '\0';
    }
    return &directory->source;
}
