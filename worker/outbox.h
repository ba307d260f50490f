/*
 * outbox: what the broker has not yet said it has on disk.
 *
 * Reports and releases are queued, put together into numbered messages (RESULTS, RELEASE), and
 * kept until RECORDED names the number. Every message can be sent again as it was: the broker
 * answers a copy as it answered the first. Nothing waits for a batch to fill: outbox_next() takes
 * what is there.
 *
 *   item: queued --outbox_next--> in a message: built -> sent -> answered (freed)
 *                                                  ^-- outbox_resend --+
 *
 * Bounds   batch_max rows and message_bytes_max bytes a message, window_max unanswered messages.
 *          The number of queued items is bounded by the leases that they belong to.
 * Threads  one owner; no clock, no socket.
 */
#ifndef THRESH_WORKER_OUTBOX_H
#define THRESH_WORKER_OUTBOX_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox_item;

struct outbox_message {
    uint64_t sequence;
    enum message_type type; /* MESSAGE_RESULTS or MESSAGE_RELEASE */
    struct slice *frames;   /* as they go out; owned by the message */
    size_t frame_count;
    bool is_sent;
    struct outbox_item *items; /* in the order of the rows */
    size_t item_count;
    size_t bytes;
    struct buffer header;
    struct buffer table;
    struct outbox_message *next;
};

struct outbox_limits {
    size_t batch_max;
    size_t window_max;
    size_t message_bytes_max; /* of all bodies of one message, unless one alone is larger */
};

struct outbox {
    struct outbox_limits limits;
    uint64_t sequence; /* of the newest message */
    struct outbox_item *queued;
    struct outbox_item **queued_end;
    size_t queued_count;
    struct outbox_message *messages; /* unanswered, oldest first */
    struct outbox_message **messages_end;
    size_t message_count;
    size_t bytes; /* of results, queued and unanswered */
};

/* Called for each row of an answered message. */
typedef void outbox_over_fn(void *context, uint64_t fence, size_t row);

void outbox_init(struct outbox *outbox, const struct outbox_limits *limits);
void outbox_release(struct outbox *outbox);

/*
 * Queues a report: row holds row_pairs pairs without a map head (report_write_row), result one
 * whole map or nothing. Both buffers are handed over and are empty after, whatever comes out.
 * ERROR_NO_MEMORY.
 */
MUST_CHECK enum error outbox_add_report(struct outbox *outbox, uint64_t fence, struct buffer *row,
                                        size_t row_pairs, struct buffer *result);

/* Queues a lease to be given back. ERROR_NO_MEMORY. */
MUST_CHECK enum error outbox_add_release(struct outbox *outbox, uint64_t fence, const char *task);

/*
 * The next message to send: one to be sent again, or a new one of what is queued. It stays the
 * outbox's; outbox_sent() says that it is out.
 * ERROR_EMPTY: nothing to send, or the window is full. ERROR_NO_MEMORY: nothing has changed.
 */
MUST_CHECK enum error outbox_next(struct outbox *outbox, struct outbox_message **ret_message);
void outbox_sent(struct outbox *outbox, struct outbox_message *message);

/* The answer to a message has come: over() is called for each row, then the message is freed.
 * False when no such message waits. */
bool outbox_answered(struct outbox *outbox, uint64_t sequence, outbox_over_fn *over, void *context);

/* Every unanswered message goes out again, in order. */
void outbox_resend(struct outbox *outbox);

/* Forgets a queued item; one that is in a message already stays there, and its answer is `late`. */
void outbox_drop(struct outbox *outbox, uint64_t fence);

/* Nothing queued and nothing unanswered. */
bool outbox_is_empty(const struct outbox *outbox);
/* Is any message out and unanswered? */
bool outbox_is_waiting(const struct outbox *outbox);

#endif
