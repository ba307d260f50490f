/*
 * text: a page's raw text as a reader sees it, and how much of it there is.
 *
 * White space is collapsed, references are decoded, soft hyphens, zero-width marks and control
 * characters fall out. Output is no larger than twice the text.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_TEXT_H
#define THRESH_WORKER_TEXT_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Appends text to out, where the block that it belongs to begins at `start`. *has_space tells
 * whether white space waits to be written before the block's next word; it is carried from one
 * text of the block to the next, so that no block begins or ends with a space.
 */
void text_collapse(struct buffer *out, size_t start, bool *has_space, struct slice text,
                   bool is_attribute);

/* White space collapsed, references decoded, trimmed. For attributes and short texts. */
void text_append(struct buffer *out, struct slice text, bool is_attribute);

/* Is it nothing but white space? */
bool text_is_blank(struct slice text);

/* Characters, with those of scripts without spaces counted twice, and words. */
void text_measure(struct slice text, uint32_t *ret_length, uint32_t *ret_words);

#endif
