/*
 * totals: counts by name, from a broker's status or from a recount of results.
 *
 * Bounds   TOTALS_NAMES_MAX names a kind; further ones count under "other", as at the broker.
 * Threads  one owner.
 */
#ifndef THRESH_CLIENT_TOTALS_H
#define THRESH_CLIENT_TOTALS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOTALS_NAMES_MAX 256
#define TOTALS_NAME_BYTES_MAX 80

enum totals_kind {
    TOTALS_OUTCOME,
    TOTALS_HTTP_STATUS,
    TOTALS_CONTENT_TYPE,
    TOTALS_LANGUAGE,
    TOTALS_HOST,
    TOTALS_KIND_COUNT,
};

struct totals_row {
    char name[TOTALS_NAME_BYTES_MAX + 1];
    uint64_t count;
};

struct totals {
    struct totals_row *rows[TOTALS_KIND_COUNT]; /* owned */
    size_t counts[TOTALS_KIND_COUNT];
    uint64_t results; /* counted by totals_count() */
    uint64_t failed;  /* of them: without content, or dead */
};

void totals_release(struct totals *totals);

/* "outcome", "http_status", ...: as in the reply to `status`. */
const char *totals_kind_name(enum totals_kind kind);

/* Adds to a name. Without memory the count is lost and false comes back. */
bool totals_add(struct totals *totals, enum totals_kind kind, struct slice name, uint64_t amount);

/* Counts one result (PROTOCOL.md, section 9). */
void totals_count(struct totals *totals, struct slice map);

/* Reads the map `totals` of a status reply. ERROR_PROTOCOL. */
MUST_CHECK enum error totals_read(struct totals *totals, struct slice map);

/* Puts each kind in order: the highest count first. */
void totals_sort(struct totals *totals);

/* One line, "  outcome   ok 12, http_client_error 3", of at most `most` names; nothing for none. */
void totals_print(const struct totals *totals, enum totals_kind kind, size_t most,
                  struct buffer *out);

/* The first name whose counts differ; false: both say the same. */
bool totals_differ(const struct totals *a, const struct totals *b, enum totals_kind kind,
                   const char **ret_name, uint64_t *ret_a, uint64_t *ret_b);

#endif
