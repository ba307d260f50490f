/*
 * spool: a feeder's memory over its own restart: identity and unanswered submits, in one file.
 *
 * Records are appended, each with its length and a checksum (XXH3-64); a submit is sent only after
 * the record that holds it was flushed, and a number is confirmed to the broker only after the
 * flush that covers its answer. At open and when it has grown past its use the file is written
 * anew beside itself and renamed. A record that does not verify ends the reading: it and what
 * follows it were never sent when a crash tore them; the old file is kept as PATH.damaged.
 *
 * Record   4 bytes length, 8 bytes checksum (little-endian), then one msgpack array:
 *          ["head", version, client, last sequence, confirmed]
 *          ["submit", sequence, replaces, tokens, table, bodies]
 *          ["state", confirmed, [sequences still unanswered]]
 * Bounds   SPOOL_BYTES_MAX.
 * Threads  one owner. Writing flushes, so it may wait for the disk.
 */
#ifndef THRESH_CLIENT_SPOOL_H
#define THRESH_CLIENT_SPOOL_H

#include "client/feeder_core.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SPOOL_BYTES_MAX ((uint64_t)1 << 30)

struct spool;

/* What the file said. */
struct spool_identity {
    uint8_t client[CLIENT_ID_BYTES];
    uint64_t last_sequence;
    uint64_t confirmed;
    bool is_new;     /* no file was there: client is all zero, for the caller to choose */
    bool is_damaged; /* a part could not be read; the old file is PATH.damaged */
};

/* Opens and reads. ERROR_LOCKED: another feeder uses it. ERROR_CORRUPT: not a spool, or its head
 * does not verify; ERROR_VERSION; ERROR_TOO_LARGE; ERROR_NOT_ALLOWED; ERROR_IO; ERROR_NO_MEMORY. */
MUST_CHECK enum error spool_open(const char *path, struct spool **ret_spool,
                                 struct spool_identity *ret_identity);
/* Hands the unanswered submits to the core and writes the file anew under this identity. */
MUST_CHECK enum error spool_restore(struct spool *spool, const uint8_t *client,
                                    struct feeder_core *core);
void spool_close(struct spool *spool);

/*
 * Stores what the core has sealed since, and tells it so. ERROR_DISK_FULL: nothing was stored, try
 * again later. ERROR_IO: the file can no longer be trusted; the feeder must end.
 */
MUST_CHECK enum error spool_write(struct spool *spool, struct feeder_core *core);

/* Flushes the present state, as before a close. */
MUST_CHECK enum error spool_settle(struct spool *spool, struct feeder_core *core);

#endif
