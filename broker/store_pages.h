/*
 * store_pages: proves that an LMDB file's pages hang together before LMDB is let near them.
 *
 * LMDB trusts its file: a flipped bit in a page can send it outside the map and end the process, or
 * hide rows. This walk reads the file by itself and checks every page that the newest head reaches:
 * its number, its bounds, each node in it, the order of all keys, the counts of each table, that no
 * page is used twice and none is used and free. Values are not read: they carry checksums of ours.
 *
 * Bounds   one bit of memory for each page of the file; reads every branch and leaf page once.
 *          With is_deep also the first page of every large value.
 * Threads  none; the file must not change meanwhile (no broker has it open).
 * Source   the file format of LMDB 0.9 on a 64-bit machine: lmdb.h, and MDB_page, MDB_node,
 * MDB_meta in mdb.c of openldap.
 */
#ifndef THRESH_BROKER_STORE_PAGES_H
#define THRESH_BROKER_STORE_PAGES_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>

/* fd: data.mdb, open for reading; path is for the message. ERROR_CORRUPT: message says where.
 * ERROR_IO, ERROR_NO_MEMORY; ERROR_VERSION: not LMDB's format 1. A file of no bytes is OK. */
MUST_CHECK enum error store_pages_check(int fd, const char *path, bool is_deep,
                                        struct buffer *message);

#endif
