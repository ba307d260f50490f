#include "broker/store_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define LOCK_NAME "broker.lock"
#define FORMAT_NAME "format"
#define FORMAT_TEXT "thresh store 1\n"
#define PID_TEXT_BYTES 24
/* Less than this is full. ext4 was seen with 0.6 MiB free just after it had cut a write short. */
#define FREE_BYTES_MIN (4u * 1024 * 1024)

/* Where a memory map and a lock do not hold between machines, or not reliably. */
static const struct {
    uint32_t magic;
    const char *name;
} network_file_systems[] = {
    {0x6969, "NFS"},      {0x517b, "SMB"},       {0xff534d42, "CIFS"},   {0xfe534d42, "SMB2"},
    {0x5346414f, "AFS"},  {0x73757245, "Coda"},  {0x00c36400, "Ceph"},   {0x0bd00bd0, "Lustre"},
    {0x01021997, "9P"},   {0x65735546, "FUSE"},  {0x01161970, "GFS2"},   {0x7461636f, "OCFS2"},
    {0x47504653, "GPFS"}, {0xaad7aaea, "PanFS"}, {0x19830326, "BeeGFS"},
};

enum error
store_error_of_errno(int number)
{
    switch (number) {
    case 0:
        return OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERROR_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_NOT_ALLOWED;
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    default:
        return ERROR_IO;
    }
}

static enum error
say_errno(struct buffer *message, const char *path, const char *action, int number)
{
    buffer_printf(message, "store %s: cannot %s: %s; check the path, its rights and the disk", path,
                  action, strerror(number));
    return store_error_of_errno(number);
}

/* The entry of a new directory is durable only after its parent is synced. */
static enum error
sync_parent(const char *path, struct buffer *message)
{
    char *parent = NULL;
    enum error error = OK;
    int fd;

    if (asprintf(&parent, "%s/..", path) < 0) {
        return ERROR_NO_MEMORY;
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        error = say_errno(message, path, "sync the folder above it", errno);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(parent);
    return error;
}

static enum error
make_directory(const char *path, struct buffer *message)
{
    if (mkdir(path, 0700) == 0) {
        return sync_parent(path, message);
    }
    if (errno != EEXIST) {
        return say_errno(message, path, "make the directory", errno);
    }
    return OK;
}

static enum error
check_file_system(const struct store_directory *directory, struct buffer *message)
{
    struct statfs status;

    if (fstatfs(directory->fd, &status) != 0) {
        return say_errno(message, directory->path, "ask for its file system", errno);
    }
    for (size_t i = 0; i < sizeof(network_file_systems) / sizeof(network_file_systems[0]); i++) {
        if ((uint32_t)status.f_type == network_file_systems[i].magic) {
            buffer_printf(message,
                          "store %s is on %s, where a memory map is not safe; set --store to a "
                          "directory on a local disk",
                          directory->path, network_file_systems[i].name);
            return ERROR_NOT_ALLOWED;
        }
    }
    return OK;
}

static enum error
say_locked(const struct store_directory *directory, int lock_fd, struct buffer *message)
{
    char text[PID_TEXT_BYTES] = "";
    ssize_t size = pread(lock_fd, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    buffer_printf(message,
                  "store %s is in use by another broker (process %s); stop it or set --store",
                  directory->path, text[0] != '\0' ? text : "unknown");
    return ERROR_LOCKED;
}

/* A lock of the open file, not of the process: it also holds against a second store in the same
 * process, and closing another descriptor of the file does not drop it. */
static enum error
take_lock(struct store_directory *directory, struct buffer *message)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[PID_TEXT_BYTES];
    int fd = openat(directory->fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int size;

    if (fd < 0) {
        return say_errno(message, directory->path, "open " LOCK_NAME, errno);
    }
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        enum error error = errno == EAGAIN || errno == EACCES
                               ? say_locked(directory, fd, message)
                               : say_errno(message, directory->path, "lock " LOCK_NAME, errno);
        close(fd);
        return error;
    }
    directory->lock_fd = fd;
    size = snprintf(text, sizeof(text), "%" PRIdMAX "\n", (intmax_t)getpid());
    /* The number is for people only: a full disk must not keep a broker from starting. */
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size) {
        errno = 0;
    }
    return OK;
}

static enum error
check_data_file(const struct store_directory *directory, bool is_read_only, struct buffer *message)
{
    struct stat status;
    bool has_data = fstatat(directory->fd, STORE_DATA_NAME, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    status.st_size > 0;

    if (has_data) {
        return OK;
    }
    if (fstatat(directory->fd, FORMAT_NAME, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        buffer_printf(message,
                      "store %s: a store was made here, but its " STORE_DATA_NAME
                      " is gone or empty; put a copy back, or empty the directory to start anew",
                      directory->path);
        return ERROR_CORRUPT;
    }
    if (is_read_only) {
        buffer_printf(message, "store %s: there is no store here; check --store", directory->path);
        return ERROR_NOT_FOUND;
    }
    return OK;
}

enum error
store_directory_open(struct store_directory *directory, const char *path, bool is_read_only,
                     struct buffer *message)
{
    enum error error;

    *directory = (struct store_directory){.path = path, .fd = -1, .lock_fd = -1};
    error = is_read_only ? OK : make_directory(path, message);
    if (error != OK) {
        goto fail;
    }
    directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->fd < 0) {
        error = say_errno(message, path, "open the directory", errno);
        goto fail;
    }
    error = check_file_system(directory, message);
    if (error == OK && !is_read_only) {
        error = take_lock(directory, message);
    }
    if (error == OK) {
        error = check_data_file(directory, is_read_only, message);
    }
    if (error != OK) {
        goto fail;
    }
    return OK;

fail:
    store_directory_release(directory);
    return error;
}

void
store_directory_release(struct store_directory *directory)
{
    if (directory->lock_fd >= 0) {
        close(directory->lock_fd);
    }
    if (directory->fd >= 0) {
        close(directory->fd);
    }
    directory->lock_fd = -1;
    directory->fd = -1;
}

static int
write_format(int directory_fd)
{
    int fd = openat(directory_fd, FORMAT_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int number = 0;

    if (fd < 0) {
        return errno;
    }
    if (pwrite(fd, FORMAT_TEXT, sizeof(FORMAT_TEXT) - 1, 0) != sizeof(FORMAT_TEXT) - 1 ||
        fsync(fd) != 0) {
        number = errno != 0 ? errno : ENOSPC;
    }
    close(fd);
    return number;
}

enum error
store_directory_mark(struct store_directory *directory, struct buffer *message)
{
    struct stat status;
    int number = 0;

    if (fstatat(directory->fd, FORMAT_NAME, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        number = write_format(directory->fd);
    }
    if (number == 0 && fsync(directory->fd) != 0) {
        number = errno;
    }
    return number == 0 ? OK : say_errno(message, directory->path, "make its files", number);
}

bool
store_directory_is_idle(const struct store_directory *directory)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = openat(directory->fd, LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_idle;

    if (fd < 0) {
        return errno == ENOENT;
    }
    is_idle = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
    close(fd);
    return is_idle;
}

bool
store_directory_is_full(const struct store_directory *directory)
{
    struct statfs status;

    return fstatfs(directory->fd, &status) == 0 &&
           (uint64_t)status.f_bavail * (uint64_t)status.f_bsize < FREE_BYTES_MIN;
}
