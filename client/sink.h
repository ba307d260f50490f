/*
 * sink: where results are written, each task's once, whatever crashes in between.
 *
 * A file is appended to. At open it is read: the tasks in it are remembered, so that a result
 * that was written but not acknowledged before a crash is not written again; a last record that
 * was torn is cut off. sink_flush() makes all that was written durable, and only then may it be
 * acknowledged. Standard output (or any pipe) is not read or flushed, only written.
 *
 * A new kind of sink is a sink_X.c and a row in sink.c.
 *
 * Bounds   SINK_RECORD_BYTES_MAX a record.
 * Threads  one owner; writing waits for the disk.
 */
#ifndef THRESH_CLIENT_SINK_H
#define THRESH_CLIENT_SINK_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define SINK_RECORD_BYTES_MAX ((size_t)512 << 20)

/* How a kind turns results into bytes and finds them again. */
struct sink_kind {
    const char *name;     /* of --format */
    const char *suffixes; /* of files, with | between */
    /* Appends one record. ERROR_PROTOCOL: the map is not a result. */
    enum error (*encode)(struct buffer *out, struct slice task, struct slice map);
    /* The record at the start of bytes: its size, and its task (points into bytes or scratch).
     * ERROR_AGAIN: it does not end in these bytes; ERROR_CORRUPT: no record. An empty task stands
     * for a record without one. With ret_map the result itself is wanted as well. */
    enum error (*decode)(struct slice bytes, struct buffer *scratch, size_t *ret_size,
                         struct slice *ret_task, struct slice *ret_map);
};

extern const struct sink_kind sink_jsonl;
extern const struct sink_kind sink_msgpack;

/* By name, or for "auto" by the path's suffix (JSON lines when it tells nothing). NULL: no kind of
 * that name. */
const struct sink_kind *sink_kind_find(const char *name, const char *path);

struct sink;

/* path "-": standard output. ERROR_CORRUPT: the file holds something else: *ret_offset is where;
 * ERROR_LOCKED: another process writes to it; ERROR_NOT_ALLOWED, ERROR_NOT_FOUND (its directory),
 * ERROR_DISK_FULL, ERROR_IO. */
MUST_CHECK enum error sink_open(const struct sink_kind *kind, const char *path,
                                struct sink **ret_sink, uint64_t *ret_offset);
/* Unflushed records are written, not synced. */
void sink_close(struct sink *sink);

/*
 * Writes one result. *ret_is_new: it was not there before. Bytes gather until SINK_BATCH_BYTES or
 * sink_flush(). ERROR_DISK_FULL, ERROR_IO: the result is not in the file, nor will be; errno EPIPE
 * of a pipe is ERROR_UNREACHABLE.
 */
MUST_CHECK enum error sink_write(struct sink *sink, struct slice task, struct slice map,
                                 bool *ret_is_new);
MUST_CHECK enum error sink_flush(struct sink *sink);

uint64_t sink_written(const struct sink *sink);   /* results written by this process */
uint64_t sink_found(const struct sink *sink);     /* results that were there at open */
uint64_t sink_cut_bytes(const struct sink *sink); /* of a torn record, cut off at open */
bool sink_is_file(const struct sink *sink);

/* Visits every result of a file that a sink wrote, as a check. */
typedef void sink_visit_fn(void *context, struct slice task, struct slice map);
MUST_CHECK enum error sink_read(const struct sink_kind *kind, const char *path,
                                sink_visit_fn *visit, void *context);

#endif
