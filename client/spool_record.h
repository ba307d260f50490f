/*
 * spool_record: the records of a spool file as bytes, and back (spool.h shows their form).
 *
 * Threads  pure functions.
 */
#ifndef THRESH_CLIENT_SPOOL_RECORD_H
#define THRESH_CLIENT_SPOOL_RECORD_H

#include "client/feeder_core.h"
#include "common/buffer.h"
#include "common/error.h"

/* What reading a whole file gave; submits point into the file's bytes. */
struct spool_reading {
    uint8_t client[CLIENT_ID_BYTES];
    uint64_t last_sequence;
    uint64_t confirmed;
    struct slice *submits; /* owned array: the records still unanswered, in order */
    uint64_t *sequences;   /* owned array, beside it */
    size_t count;
    size_t capacity;
    size_t good_size; /* bytes up to the first record that does not verify */
};

void spool_write_head(struct buffer *out, const uint8_t *client, uint64_t last_sequence,
                      uint64_t confirmed);
void spool_write_submit(struct buffer *out, const struct feeder_submit *submit);
void spool_write_state(struct buffer *out, uint64_t confirmed, const uint64_t *sequences,
                       size_t count);

/* ERROR_CORRUPT: the first record is no head that verifies; ERROR_VERSION; ERROR_NO_MEMORY. */
MUST_CHECK enum error spool_read(struct slice file, struct spool_reading *ret_reading);
void spool_reading_release(struct spool_reading *reading);

/* Hands one of the reading's submits to the core. */
MUST_CHECK enum error spool_restore_submit(struct slice record, struct feeder_core *core);

#endif
