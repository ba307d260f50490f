/*
 * file: reading and writing files whole, with our errors.
 *
 * Threads  pure functions apart from the disk.
 */
#ifndef THRESH_CLIENT_FILE_H
#define THRESH_CLIENT_FILE_H

#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

/* An errno as an error: ERROR_NOT_FOUND, ERROR_NOT_ALLOWED, ERROR_DISK_FULL, ... */
enum error file_error(int number);

/* Reads a regular file into malloc'd memory (NULL when it is empty). ERROR_TOO_LARGE: beyond
 * bytes_max; ERROR_UNSUPPORTED: not a regular file. */
MUST_CHECK enum error file_read_whole(const char *path, uint64_t bytes_max, uint8_t **ret_data,
                                      size_t *ret_size);

/* Writes all of it, however many calls that takes. */
MUST_CHECK enum error file_write_all(int fd, struct slice bytes);

/* Flushes the directory that holds the path, so that a new name in it is durable. */
MUST_CHECK enum error file_sync_directory(const char *path);

#endif
