#include "client/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/file.h"
#include "client/task_set.h"

#define SINK_MODE 0644
#define SINK_BATCH_BYTES ((size_t)1 << 20)
#define SINK_READ_BYTES ((size_t)1 << 20)

static const struct sink_kind *const kinds[] = {&sink_jsonl, &sink_msgpack};
#define KIND_COUNT (sizeof kinds / sizeof kinds[0])

struct sink {
    const struct sink_kind *kind;
    int fd;
    bool is_file;
    bool is_failed;
    uint64_t size; /* of the file, whole records only */
    uint64_t cut_bytes;
    uint64_t found;
    uint64_t written;
    struct task_set tasks;
    struct buffer out;     /* whole records, not written yet */
    struct buffer scratch; /* of the record being made or read */
};

static bool
has_suffix(const char *path, const char *suffixes)
{
    const char *dot = strrchr(path, '.');
    if (dot == NULL) {
        return false;
    }
    size_t length = strlen(dot);
    for (const char *at = suffixes; *at != '\0';) {
        size_t size = strcspn(at, "|");
        if (size == length && strncasecmp(at, dot, size) == 0) {
            return true;
        }
        at += size;
        at += *at == '|' ? 1 : 0;
    }
    return false;
}

const struct sink_kind *
sink_kind_find(const char *name, const char *path)
{
    bool is_auto = strcmp(name, "auto") == 0;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (is_auto ? has_suffix(path, kinds[i]->suffixes) : strcmp(name, kinds[i]->name) == 0) {
            return kinds[i];
        }
    }
    return is_auto ? &sink_jsonl : NULL;
}

/* ---- reading what is there --------------------------------------------------------------- */

/* Reads records from a descriptor until its end; *ret_size: bytes of whole ones. */
static enum error
walk(const struct sink_kind *kind, int fd, struct buffer *scratch, bool wants_map,
     sink_visit_fn *visit, void *context, uint64_t *ret_size)
{
    struct buffer bytes;
    size_t at = 0;
    uint64_t size = 0;
    enum error error = OK;
    buffer_init(&bytes, SINK_RECORD_BYTES_MAX + 2 * SINK_READ_BYTES);
    for (;;) {
        struct slice left = slice_of(bytes.data + at, bytes.size - at);
        struct slice task = {0};
        struct slice map = {0};
        size_t record = 0;
        error = left.size > 0 ? kind->decode(left, scratch, &record, &task, wants_map ? &map : NULL)
                              : ERROR_AGAIN;
        if (error == OK) {
            at += record;
            size += record;
            visit(context, task, map);
            continue;
        }
        if (error != ERROR_AGAIN) {
            break;
        }
        bytes.size -= at;
        if (bytes.size > 0) {
            memmove(bytes.data, bytes.data + at, bytes.size);
        }
        at = 0;
        uint8_t *room = buffer_extend(&bytes, SINK_READ_BYTES);
        if (room == NULL) {
            error = buffer_error(&bytes) == ERROR_TOO_LARGE ? ERROR_CORRUPT : ERROR_NO_MEMORY;
            break;
        }
        ssize_t got = read(fd, room, SINK_READ_BYTES);
        bytes.size -= SINK_READ_BYTES - (got > 0 ? (size_t)got : 0);
        if (got < 0 && errno != EINTR) {
            error = file_error(errno);
            break;
        }
        if (got == 0) {
            error = OK; /* what is left is torn, or nothing */
            break;
        }
    }
    buffer_release(&bytes);
    *ret_size = size;
    return error;
}

struct remembering {
    struct sink *sink;
    enum error error;
};

static void
remember(void *context, struct slice task, struct slice map)
{
    struct remembering *remembering = context;
    (void)map;
    if (task.size == 0) {
        return;
    }
    enum error error = task_set_add(&remembering->sink->tasks, task);
    if (error == OK) {
        remembering->sink->found++;
    } else if (error != ERROR_EXISTS) {
        remembering->error = error;
    }
}

static enum error
take_up(struct sink *sink, uint64_t *ret_offset)
{
    struct remembering remembering = {.sink = sink};
    struct stat status;
    uint64_t size = 0;
    enum error error =
        walk(sink->kind, sink->fd, &sink->scratch, false, remember, &remembering, &size);
    *ret_offset = size;
    if (error == OK) {
        error = remembering.error;
    }
    if (error != OK) {
        return error;
    }
    if (fstat(sink->fd, &status) != 0) {
        return file_error(errno);
    }
    sink->size = size;
    sink->cut_bytes = (uint64_t)status.st_size - size;
    if (sink->cut_bytes > 0 && ftruncate(sink->fd, (off_t)size) != 0) {
        return file_error(errno);
    }
    return lseek(sink->fd, (off_t)size, SEEK_SET) >= 0 ? OK : file_error(errno);
}

static enum error
open_file(struct sink *sink, const char *path, uint64_t *ret_offset)
{
    struct stat status;
    sink->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, SINK_MODE);
    if (sink->fd < 0 && errno == EACCES) {
        /* A FIFO or the like that may only be written; a file must be read as well. */
        sink->fd = open(path, O_WRONLY | O_CLOEXEC);
        errno = sink->fd < 0 ? EACCES : 0;
    }
    if (sink->fd < 0 || fstat(sink->fd, &status) != 0) {
        return file_error(errno);
    }
    sink->is_file = S_ISREG(status.st_mode);
    if (!sink->is_file) {
        return S_ISDIR(status.st_mode) ? ERROR_UNSUPPORTED : OK;
    }
    if (flock(sink->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ERROR_LOCKED : file_error(errno);
    }
    enum error error = take_up(sink, ret_offset);
    return error == OK ? file_sync_directory(path) : error;
}

enum error
sink_open(const struct sink_kind *kind, const char *path, struct sink **ret_sink,
          uint64_t *ret_offset)
{
    enum error error = OK;
    struct sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL) {
        return ERROR_NO_MEMORY;
    }
    sink->kind = kind;
    sink->fd = -1;
    buffer_init(&sink->out, SINK_RECORD_BYTES_MAX + 2 * SINK_BATCH_BYTES);
    buffer_init(&sink->scratch, SINK_RECORD_BYTES_MAX);
    if (strcmp(path, "-") == 0) {
        sink->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        error = sink->fd >= 0 ? OK : ERROR_UNREACHABLE; /* standard output is closed */
    } else {
        error = open_file(sink, path, ret_offset);
    }
    if (error != OK) {
        sink_close(sink);
        return error;
    }
    *ret_sink = sink;
    return OK;
}

/* ---- writing ----------------------------------------------------------------------------- */

static enum error
write_out(struct sink *sink)
{
    if (sink->out.size == 0) {
        return OK;
    }
    enum error error = file_write_all(sink->fd, buffer_slice(&sink->out));
    int number = errno;
    if (error == OK) {
        sink->size += sink->out.size;
        buffer_clear(&sink->out);
        return OK;
    }
    sink->is_failed = true;
    if (sink->is_file) {
        /* Cut the part that went out, so that the file ends with a whole record. */
        ignore_error(ftruncate(sink->fd, (off_t)sink->size) == 0 ? OK : ERROR_IO);
    } else if (number == EPIPE) {
        return ERROR_UNREACHABLE;
    }
    return error;
}

void
sink_close(struct sink *sink)
{
    if (sink == NULL) {
        return;
    }
    if (sink->fd >= 0) {
        if (!sink->is_failed) {
            /* Unacknowledged, so it comes again if this fails. */
            ignore_error(write_out(sink));
        }
        close(sink->fd);
    }
    task_set_release(&sink->tasks);
    buffer_release(&sink->out);
    buffer_release(&sink->scratch);
    free(sink);
}

enum error
sink_write(struct sink *sink, struct slice task, struct slice map, bool *ret_is_new)
{
    if (sink->is_failed) {
        return ERROR_IO;
    }
    if (task_set_has(&sink->tasks, task)) {
        *ret_is_new = false;
        return OK;
    }
    buffer_clear(&sink->scratch);
    enum error error = sink->kind->encode(&sink->scratch, task, map);
    if (error == OK) {
        error = buffer_error(&sink->scratch);
    }
    if (error != OK) {
        return error;
    }
    buffer_append(&sink->out, sink->scratch.data, sink->scratch.size);
    error = buffer_error(&sink->out);
    if (error == OK) {
        error = task_set_add(&sink->tasks, task);
    }
    if (error == OK && sink->out.size >= SINK_BATCH_BYTES) {
        error = write_out(sink);
    }
    if (error != OK) {
        sink->is_failed = true;
        return error;
    }
    sink->written++;
    *ret_is_new = true;
    return OK;
}

enum error
sink_flush(struct sink *sink)
{
    if (sink->is_failed) {
        return ERROR_IO;
    }
    enum error error = write_out(sink);
    if (error == OK && sink->is_file && fdatasync(sink->fd) != 0) {
        sink->is_failed = true; /* what the disk holds is not known any more */
        error = file_error(errno);
    }
    return error;
}

uint64_t
sink_written(const struct sink *sink)
{
    return sink->written;
}

uint64_t
sink_found(const struct sink *sink)
{
    return sink->found;
}

uint64_t
sink_cut_bytes(const struct sink *sink)
{
    return sink->cut_bytes;
}

bool
sink_is_file(const struct sink *sink)
{
    return sink->is_file;
}

enum error
sink_read(const struct sink_kind *kind, const char *path, sink_visit_fn *visit, void *context)
{
    struct buffer scratch;
    uint64_t size;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_error(errno);
    }
    buffer_init(&scratch, SINK_RECORD_BYTES_MAX);
    enum error error = walk(kind, fd, &scratch, true, visit, context, &size);
    buffer_release(&scratch);
    close(fd);
    return error;
}
