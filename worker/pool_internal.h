/*
 * pool_internal: what the pool's files share; for worker/pool*.c only.
 *
 * A child's life, changed in pool_child.c alone:
 *
 *     EMPTY --asked--> STARTING --its process is there--> GREETING --it is ready--> READY
 *       ^                 |                                   |                      |
 *       |               refused                        ended or too slow        fault, killed,
 *       |                 v                                   v                 or recycled
 *       +------ waiting for start_ms <--- its end was reported --- ENDING <----------+
 */
#ifndef THRESH_WORKER_POOL_INTERNAL_H
#define THRESH_WORKER_POOL_INTERNAL_H

#include "common/buffer.h"
#include "worker/child.h"
#include "worker/pool.h"
#include "worker/pool_zygote.h"

#include <sys/types.h>

#define CHILD_DOCUMENTS_MAX 2 /* one running and one written ahead */
#define REASON_BYTES 96
#define SANDBOX_TEXT_BYTES 64

enum pool_child_state {
    POOL_CHILD_EMPTY,
    POOL_CHILD_STARTING,
    POOL_CHILD_GREETING,
    POOL_CHILD_READY,
    POOL_CHILD_ENDING,
};

struct document {
    struct document *next; /* in the queue */
    uint64_t token;
    uint8_t *frame; /* owned: sizes, header, body */
    size_t frame_size;
    size_t sent;       /* bytes of the frame that the child's socket took */
    int requeue_count; /* times a child died before it had all of it */
    bool is_cancelled; /* in a child: its answer is dropped */
};

struct pool_child {
    struct pool *pool;
    uint32_t slot;
    enum pool_child_state state;
    pid_t pid;
    int fd;
    int pid_fd;
    struct loop_watch *watch;
    int events; /* that the watch asks for */

    struct document *documents[CHILD_DOCUMENTS_MAX]; /* [0] runs */
    size_t document_count;
    int assigned; /* documents given since it started */
    int64_t wall_deadline_ms;
    int64_t cpu_start_us; /* its CPU clock when documents[0] became the running one */
    int64_t cpu_check_ms; /* before that it cannot have used the budget up */

    struct buffer in;
    enum outcome end_outcome; /* why we ended it; OUTCOME_COUNT: it ended by itself */
    const char *end_reason;
    bool is_retired;  /* ends as planned */
    int exit_status;  /* of the last end, for pool_create() */
    int failed_count; /* starts in a row that came to nothing */
    int64_t start_ms; /* EMPTY: not before */
};

struct pool {
    struct pool_options options;
    struct loop *loop;
    pool_finished_fn *finished;
    void *context;
    struct zygote zygote;
    struct loop_watch *zygote_watch;
    struct pool_child *children;
    size_t child_count;
    struct document *head; /* the queue */
    struct document **tail;
    size_t pending;
    uint64_t restarts;
    bool is_lost; /* the zygote is gone */
    char sandbox_text[SANDBOX_TEXT_BYTES];
};

/* ---- pool.c ------------------------------------------------------------------------------- */

/* Tells the caller how a document ended, unless it was cancelled, and frees it. */
void pool_answer_document(struct pool *pool, struct document *document, struct pool_answer *answer);
/* The same for a document that failed. */
void pool_fail_document(struct pool *pool, struct document *document, enum outcome outcome,
                        const char *reason);
/* Back to the front of the queue. */
void pool_requeue(struct pool *pool, struct document *document);
/* Gives queued documents to children that can take them. */
void pool_feed(struct pool *pool);

/* ---- pool_child.c ------------------------------------------------------------------------- */

void pool_child_start(struct pool_child *child);
void pool_child_started(struct pool_child *child, const struct zygote_report *report);
void pool_child_refused(struct pool_child *child);
/* Its process has ended with this status: blames, requeues, and starts the next one. */
void pool_child_ended(struct pool_child *child, int status);
/* For loop watches and pool_create(): reads and writes what is possible. */
void pool_child_ready(void *context, int events);
/* May it be given one more? */
bool pool_child_has_room(const struct pool_child *child);
void pool_child_assign(struct pool_child *child, struct document *document);
/* Does what is due; returns when it wants to be looked at again. */
int64_t pool_child_tick(struct pool_child *child, int64_t now_ms);
/* Kills, closes, frees; no callback. */
void pool_child_release(struct pool_child *child);
void document_free(struct document *document);

#endif
