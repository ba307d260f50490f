/*
 * store_directory: the place of a store on disk, made, checked and locked.
 *
 * Files in it: data.mdb and lock.mdb are LMDB's; broker.lock is held by the one broker that writes
 * (a lock of the open file, which the kernel drops with the process, however it ends); format says
 * that a store was made here, so that a missing or emptied data.mdb is noticed and not taken for a
 * new store.
 *
 * Threads  one owner.
 */
#ifndef THRESH_BROKER_STORE_DIRECTORY_H
#define THRESH_BROKER_STORE_DIRECTORY_H

#include "broker/store.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>

#define STORE_DATA_NAME "data.mdb"

struct store_directory {
    const char *path; /* borrowed */
    int fd;           /* of the directory */
    int lock_fd;      /* -1 when opened for reading beside a broker */
};

/*
 * Makes (unless is_read_only) and locks the directory. On failure message says what happened and
 * what to do, and the object is released. The directory is made with mode 0700; one that is there
 * keeps its mode.
 * ERROR_LOCKED, ERROR_NOT_ALLOWED (rights, or a network file system), ERROR_NOT_FOUND,
 * ERROR_CORRUPT (a store was made here and its data file is gone), ERROR_DISK_FULL, ERROR_IO.
 */
MUST_CHECK enum error store_directory_open(struct store_directory *directory, const char *path,
                                           bool is_read_only, struct buffer *message);
void store_directory_release(struct store_directory *directory);

/* After the data file was made and synced: remembers that it was, and syncs the directory. */
MUST_CHECK enum error store_directory_mark(struct store_directory *directory,
                                           struct buffer *message);

/* True when no broker holds the store at this moment. */
bool store_directory_is_idle(const struct store_directory *directory);

/* True when the file system has no room left, whatever the failed write reported. */
bool store_directory_is_full(const struct store_directory *directory);

/* The error for an errno of a file operation. */
enum error store_error_of_errno(int number);

#endif
