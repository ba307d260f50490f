/*
 * window: answers that a peer may still ask for again.
 *
 * Each numbered message (SUBMIT, RESULTS, RELEASE) of a client has one answer; until the client
 * confirms that it has it, a second copy of the message gets the same answer again and changes
 * nothing.
 *
 * Bounds   WINDOW_ENTRIES_MAX answers; the oldest go first.
 * Threads  one owner.
 */
#ifndef THRESH_BROKER_WINDOW_H
#define THRESH_BROKER_WINDOW_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_ENTRIES_MAX 128

struct window_entry {
    uint64_t sequence;
    uint8_t *answer; /* owned: a header frame */
    size_t answer_bytes;
};

struct window {
    uint64_t confirmed; /* answers up to here are not asked for again */
    uint64_t highest;   /* sequence seen */
    size_t count;
    struct window_entry entries[WINDOW_ENTRIES_MAX]; /* in order of arrival */
};

void window_release(struct window *window);

/* The answer to that sequence; data NULL when it was not seen yet. */
struct slice window_answer(const struct window *window, uint64_t sequence);
/* True when its answer has been confirmed, or has gone out of the window. */
bool window_is_past(const struct window *window, uint64_t sequence);
/*
 * Makes room for the answer to that sequence by forgetting the oldest answers, as if they had been
 * confirmed. False: one before them was never seen, so it may still come; this one must wait.
 */
bool window_make_room(struct window *window, uint64_t sequence);
MUST_CHECK enum error window_add(struct window *window, uint64_t sequence, struct slice answer);
/* At most up to the highest sequence seen. */
void window_confirm(struct window *window, uint64_t sequence);
/* A client comes back that was forgotten meanwhile: it says how far it was answered. */
void window_resume(struct window *window, uint64_t confirmed);

void window_write(const struct window *window, struct buffer *out);
MUST_CHECK enum error window_read(struct window *window, struct slice bytes);

#endif
