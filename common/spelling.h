/*
 * spelling: how far a mistyped word is from one that is known.
 *
 * Threads  pure functions.
 * Source   optimal string alignment: insertions, deletions, changes, swaps of neighbours.
 */
#ifndef THRESH_COMMON_SPELLING_H
#define THRESH_COMMON_SPELLING_H

#include <stddef.h>

#define SPELLING_WORD_BYTES_MAX 63 /* a longer word is far from every other */

/* The number of slips between two words; SIZE_MAX for one that is too long. */
size_t spelling_distance(const char *a, const char *b);

/* The slips that a word may have and still be recognised: one in a short one, three in a long. */
size_t spelling_slips_max(const char *word);

#endif
