/*
 * store_file: reads LMDB's file from outside: bytes, and the head that counts.
 *
 * The file has two heads, written in turn, so that one is whole at any moment; the one with the
 * larger number counts. Nothing vouches for that number, so what can contradict it is asked: the
 * page it stands in, the other head's number, and the free list, whose rows carry the number of the
 * batch that freed the pages.
 *
 * Threads  none; the file must not change meanwhile.
 */
#ifndef THRESH_BROKER_STORE_FILE_H
#define THRESH_BROKER_STORE_FILE_H

#include "broker/lmdb_format.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stddef.h>
#include <stdint.h>

struct store_file {
    int fd;
    const char *path;       /* for the message */
    struct buffer *message; /* what is wrong and what to do */
};

/* Gives ERROR_CORRUPT, with a message about that page. */
enum error store_file_damaged(const struct store_file *file, uint64_t page, const char *what);

/* Reads size bytes at offset; page is what for. ERROR_CORRUPT: the file ends before; ERROR_IO. */
MUST_CHECK enum error store_file_read(const struct store_file *file, uint64_t page, void *to,
                                      size_t size, uint64_t offset);

/* The newest head, whose free.page_bytes is the size of a page. ERROR_CORRUPT, ERROR_VERSION,
 * ERROR_IO, ERROR_NO_MEMORY. */
MUST_CHECK enum error store_file_head(const struct store_file *file, struct meta *ret_meta);

#endif
