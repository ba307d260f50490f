#include "client/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/file.h"
#include "client/input_source.h"

#define REASON_BYTES_MAX 512

struct input {
    struct input_options options;
    input_report_fn *report;
    void *context;
    struct input_source *first;
    struct input_source **last;
    struct input_item item;
    int wait_fd;
    uint64_t bad_count;
    char reason[REASON_BYTES_MAX];
};

struct input *
input_create(const struct input_options *options, input_report_fn *report, void *context)
{
    struct input *input = calloc(1, sizeof *input);
    if (input == NULL) {
        return NULL;
    }
    input->options = *options;
    input->report = report;
    input->context = context;
    input->last = &input->first;
    input->wait_fd = -1;
    return input;
}

static void
drop_first(struct input *input)
{
    struct input_source *source = input->first;
    input->first = source->following;
    if (input->first == NULL) {
        input->last = &input->first;
    }
    source->kind->destroy(source);
}

void
input_destroy(struct input *input)
{
    if (input == NULL) {
        return;
    }
    while (input->first != NULL) {
        drop_first(input);
    }
    input_item_clear(&input->item);
    free(input);
}

static enum error
append(struct input *input, struct input_source *source)
{
    if (source == NULL) {
        return ERROR_NO_MEMORY;
    }
    *input->last = source;
    input->last = &source->following;
    return OK;
}

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size > end_size && strcasecmp(text + size - end_size, end) == 0;
}

static bool
is_list_name(const char *name)
{
    static const char *const ends[] = {".urls",    ".jsonl",    ".ndjson",
                                       ".urls.gz", ".jsonl.gz", ".ndjson.gz"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_with(name, ends[i])) {
            return true;
        }
    }
    return false;
}

static bool
is_url(const char *argument)
{
    return strncasecmp(argument, "http://", 7) == 0 || strncasecmp(argument, "https://", 8) == 0;
}

enum error
input_add(struct input *input, const char *argument)
{
    struct stat status;
    if (strcmp(argument, "-") == 0) {
        return input_add_list(input, argument);
    }
    if (is_url(argument)) {
        return append(input, input_url_create(input, argument));
    }
    if (strstr(argument, "://") != NULL) {
        return ERROR_INVALID;
    }
    if (stat(argument, &status) != 0) {
        return file_error(errno);
    }
    if (S_ISDIR(status.st_mode)) {
        return append(input, input_directory_create(input, argument));
    }
    if (is_list_name(argument)) {
        return input_add_list(input, argument);
    }
    if (!S_ISREG(status.st_mode)) {
        return ERROR_UNSUPPORTED;
    }
    if (access(argument, R_OK) != 0) {
        return file_error(errno);
    }
    return append(input, input_file_create(input, argument));
}

enum error
input_add_list(struct input *input, const char *path)
{
    bool is_standard = strcmp(path, "-") == 0;
    int fd =
        is_standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_error(errno);
    }
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
        close(fd);
        return ERROR_UNSUPPORTED;
    }
    return append(input, input_list_create(input, is_standard ? "standard input" : path, fd));
}

enum error
input_next(struct input *input, struct thresh_item *ret_item)
{
    input->wait_fd = -1;
    while (input->first != NULL) {
        struct input_source *source = input->first;
        input_item_clear(&input->item);
        enum error error = source->kind->next(source, &input->item);
        if (error == OK) {
            if (input->item.item.priority == 0) {
                input->item.item.priority = input->options.priority;
            }
            *ret_item = input->item.item;
            return OK;
        }
        if (error == ERROR_EMPTY) {
            drop_first(input);
        } else if (error == ERROR_AGAIN) {
            input->wait_fd = input_list_fd(source);
            return ERROR_AGAIN;
        } else if (error != ERROR_INVALID) {
            return error;
        }
    }
    return ERROR_EMPTY;
}

int
input_fd(const struct input *input)
{
    return input->wait_fd;
}

uint64_t
input_bad_count(const struct input *input)
{
    return input->bad_count;
}

const struct input_options *
input_options(const struct input *input)
{
    return &input->options;
}

void
input_complain(struct input *input, const char *where, const char *format, ...)
{
    char reason[REASON_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    input->bad_count++;
    if (input->report != NULL) {
        input->report(input->context, where, reason);
    }
}

const char *
input_reason(struct input *input, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(input->reason, sizeof input->reason, format, arguments);
    va_end(arguments);
    return input->reason;
}

void
input_item_clear(struct input_item *item)
{
    free(item->url);
    free(item->content_type);
    free(item->key);
    free(item->host);
    free(item->body);
    free(item->meta);
    *item = (struct input_item){0};
}

/* ---- a URL named on the command line ------------------------------------------------------ */

struct url_source {
    struct input_source source;
    char *url; /* NULL: given out */
};

static enum error
url_next(struct input_source *source, struct input_item *item)
{
    struct url_source *url = (struct url_source *)source;
    if (url->url == NULL) {
        return ERROR_EMPTY;
    }
    item->url = url->url;
    item->item.url = item->url;
    url->url = NULL;
    return OK;
}

static void
url_destroy(struct input_source *source)
{
    struct url_source *url = (struct url_source *)source;
    free(url->url);
    free(url);
}

struct input_source *
input_url_create(struct input *input, const char *text)
{
    static const struct input_source_kind kind = {.next = url_next, .destroy = url_destroy};
    struct url_source *url = calloc(1, sizeof *url);
    if (url == NULL) {
        return NULL;
    }
    url->source = (struct input_source){.kind = &kind, .input = input};
    url->url = strdup(text);
    if (url->url == NULL) {
        url_destroy(&url->source);
        return NULL;
    }
    return &url->source;
}
