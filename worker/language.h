/*
 * language: in which language a text is written.
 *
 * Scripts by code point ranges first, then the commonest words of the languages that share the
 * script. The page's own claim (lang attribute, og:locale) is a hint that settles ties only.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_LANGUAGE_H
#define THRESH_WORKER_LANGUAGE_H

#include "common/buffer.h"

#define LANGUAGE_TAG_BYTES 12

struct language_guess {
    char tag[LANGUAGE_TAG_BYTES]; /* BCP 47, "en", "zh"; "" when unknown */
    double confidence;            /* 0 to 1 */
};

/* Reads at most the first 4 KiB of text. hint: a BCP 47 tag or empty. */
struct language_guess language_detect(struct slice text, struct slice hint);

#endif
