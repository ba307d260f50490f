#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum error
file_error(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_NOT_ALLOWED;
    case ENOSPC:
    case EDQUOT:
        return ERROR_DISK_FULL;
    case EFBIG:
        return ERROR_TOO_LARGE;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    case EEXIST:
        return ERROR_EXISTS;
    case EISDIR:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_IO;
    }
}

static enum error
read_all(int fd, uint8_t *data, size_t size, size_t *ret_size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t got = read(fd, data + at, size - at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return file_error(errno);
        }
        if (got == 0) {
            break;
        }
        at += (size_t)got;
    }
    *ret_size = at;
    return OK;
}

enum error
file_read_whole(const char *path, uint64_t bytes_max, uint8_t **ret_data, size_t *ret_size)
{
    struct stat status;
    uint8_t *data = NULL;
    size_t size = 0;
    enum error error = OK;
    /* O_NONBLOCK: a FIFO must not hold us up; it makes no difference to a file. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return file_error(errno);
    }
    if (fstat(fd, &status) != 0) {
        error = file_error(errno);
        goto fail;
    }
    if (!S_ISREG(status.st_mode)) {
        error = ERROR_UNSUPPORTED;
        goto fail;
    }
    if ((uint64_t)status.st_size > bytes_max) {
        error = ERROR_TOO_LARGE;
        goto fail;
    }
    if (status.st_size > 0) {
        data = malloc((size_t)status.st_size);
        if (data == NULL) {
            error = ERROR_NO_MEMORY;
            goto fail;
        }
        error = read_all(fd, data, (size_t)status.st_size, &size);
        if (error != OK) {
            goto fail;
        }
    }
    close(fd);
    *ret_data = data;
    *ret_size = size;
    return OK;
fail:
    free(data);
    close(fd);
    return error;
}

enum error
file_write_all(int fd, struct slice bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        ssize_t written = write(fd, bytes.data + at, bytes.size - at);
        if (written >= 0) {
            at += (size_t)written;
            continue;
        }
        if (errno == EAGAIN) { /* a pipe that somebody else made non-blocking */
            struct pollfd waiting = {.fd = fd, .events = POLLOUT};
            (void)poll(&waiting, 1, -1);
            continue;
        }
        if (errno != EINTR) {
            return file_error(errno);
        }
    }
    return OK;
}

enum error
file_sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL) {
        return ERROR_NO_MEMORY;
    }
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0) {
        return file_error(errno);
    }
    enum error error = fsync(fd) == 0 ? OK : file_error(errno);
    close(fd);
    return error;
}
