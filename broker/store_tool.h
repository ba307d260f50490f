/*
 * store_tool: looks through a whole store for people: what is there, and what does not verify.
 *
 * Changes nothing. store_check() works on any store, also read-only beside a running broker, under
 * one snapshot for each table; store_check_file() needs the store to itself.
 *
 * Threads  the caller's.
 */
#ifndef THRESH_BROKER_STORE_TOOL_H
#define THRESH_BROKER_STORE_TOOL_H

#include "broker/store.h"
#include "common/error.h"

#include <stdint.h>

struct store_report {
    struct {
        uint64_t rows; /* with the corrupt ones */
        uint64_t corrupt_rows;
        uint64_t value_bytes; /* of those that verify */
    } tables[STORE_TABLE_COUNT];
    uint64_t rows;
    uint64_t corrupt_rows;
};

/* A row does not verify; entry has its key. */
typedef void store_corrupt_found_fn(void *context, enum store_table table,
                                    const struct store_entry *entry);

/*
 * Reads every row of every table. corrupt_found may be NULL. *ret_report is set whenever the walk
 * came to its end. OK: all rows verify; ERROR_CORRUPT: some do not; else what ended the walk.
 */
MUST_CHECK enum error store_check(struct store *store, store_corrupt_found_fn *corrupt_found,
                                  void *context, struct store_report *ret_report);

/*
 * Proves the pages of the store on disk at path (see store_pages), first pages of large values
 * included. ERROR_LOCKED: a broker has it, stop that first; else as store_pages_check(), or what
 * keeps the directory from being opened. *ret_message (may be NULL; malloc'd) explains failures.
 */
MUST_CHECK enum error store_check_file(const char *path, char **ret_message);

#endif
