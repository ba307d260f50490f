/*
 * utf8: is it well-formed, and what to do where it is not.
 *
 * Well-formed is table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing over
 * U+10FFFF. Repair puts one U+FFFD for each maximal subpart, as browsers do (WHATWG Encoding).
 *
 * Threads  pure functions.
 */
#ifndef THRESH_COMMON_UTF8_H
#define THRESH_COMMON_UTF8_H

#include "common/buffer.h"

#include <stddef.h>

/* How many bytes at the start are well-formed; text.size when all are. */
size_t utf8_valid_prefix(struct slice text);

/* The same, and how many of its characters are of two bytes or more. */
size_t utf8_valid_prefix_count(struct slice text, size_t *ret_multibyte);

/* For text that starts with a malformed sequence: its bytes (1 to 3), to be replaced as one. */
size_t utf8_malformed_prefix(struct slice text);

/* Appends the text, malformed sequences replaced by U+FFFD; at most three times its size. */
void utf8_append(struct buffer *out, struct slice text);

#endif
