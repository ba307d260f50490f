/*
 * record: the rows of the store as bytes, and back.
 *
 * Small integers are varints (LEB128), the item is the msgpack map that goes out in TASKS, so that
 * a grant splices it without reading it. Reading checks every length: a record that does not
 * parse is ERROR_CORRUPT, for that record alone.
 *
 * Threads  pure functions; read records point into the bytes given.
 */
#ifndef THRESH_BROKER_RECORD_H
#define THRESH_BROKER_RECORD_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define TASK_ID_BYTES 18 /* eight hex digits of the store, ten of the sequence */
#define HISTORY_MAX 16   /* attempts remembered with a task; the oldest go first */

/* An unfinished task. */
struct task_record {
    unsigned priority;
    unsigned attempts; /* failed ones */
    unsigned deaths;   /* of them, those under which a worker or child died */
    unsigned hops;
    uint64_t fence; /* of the newest lease whose end it tells of; 0: none */
    bool has_body;
    uint64_t body_bytes;
    int64_t due_at;  /* wall clock; 0: at once */
    int64_t wait_ms; /* a backoff's length: at most so long, whatever the wall clock; 0: none */
    int64_t submitted_at; /* wall clock */
    struct slice host;    /* key of politeness; empty for documents */
    unsigned history_count;
    struct slice history; /* history_count msgpack maps in a row */
    struct slice item;    /* msgpack map: url, content_type, meta, hops, redirects, host */
};

void task_record_write(struct buffer *out, const struct task_record *record);
MUST_CHECK enum error task_record_read(struct slice bytes, struct task_record *ret_record);

/* A recorded result: what precedes the blob in its row. */
struct result_record {
    uint64_t sequence;
    int64_t recorded_at;
    struct slice blob; /* msgpack map; not written by result_record_write_head */
};

void result_record_write_head(struct buffer *out, uint64_t sequence, int64_t recorded_at);
MUST_CHECK enum error result_record_read(struct slice bytes, struct result_record *ret_record);

/* A dead letter: when and how, then its task record. */
struct dead_record {
    int64_t died_at;
    struct slice outcome; /* wire name */
    struct slice task;    /* task record */
};

void dead_record_write(struct buffer *out, int64_t died_at, const char *outcome,
                       const struct task_record *task);
MUST_CHECK enum error dead_record_read(struct slice bytes, struct dead_record *ret_record);

/* State of a host that outlives the process. */
struct host_record {
    int64_t blocked_until_at; /* wall clock; 0: not blocked */
    int64_t blocked_ms;       /* what was left of it when this was written */
    unsigned failures;        /* rate-limit incidents in a row */
    int64_t gap_ms;           /* -1: the default */
    uint64_t done;
    uint64_t failed;
    uint64_t bytes;
};

void host_record_write(struct buffer *out, const struct host_record *record);
MUST_CHECK enum error host_record_read(struct slice bytes, struct host_record *ret_record);

/* Task id as text; ret_text has room for TASK_ID_BYTES + 1. */
void task_id_format(uint32_t store_id, uint64_t sequence, char *ret_text);
/* False when the text is no task id of this store. */
bool task_id_parse(uint32_t store_id, struct slice text, uint64_t *ret_sequence);

/* Varints, for other small rows. read_varint moves *bytes on; false at a broken one. */
void write_varint(struct buffer *out, uint64_t value);
bool read_varint(struct slice *bytes, uint64_t *ret_value);

#endif
