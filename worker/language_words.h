/*
 * language_words: what gives a language away among those of its script.
 *
 * Lists of the commonest words (articles, pronouns, prepositions, forms of to be) and of letters
 * that few neighbours use, written for this project. For worker/language.c only.
 */
#ifndef THRESH_WORKER_LANGUAGE_WORDS_H
#define THRESH_WORKER_LANGUAGE_WORDS_H

#include <stddef.h>

enum script {
    SCRIPT_NONE, /* digits, punctuation, symbols */
    SCRIPT_LATIN,
    SCRIPT_CYRILLIC,
    SCRIPT_ARABIC,
    SCRIPT_DEVANAGARI,
    SCRIPT_HAN,
    SCRIPT_KANA,
    SCRIPT_HANGUL,
    SCRIPT_GREEK,
    SCRIPT_HEBREW,
    SCRIPT_THAI,
    SCRIPT_ARMENIAN,
    SCRIPT_GEORGIAN,
    SCRIPT_BENGALI,
    SCRIPT_GURMUKHI,
    SCRIPT_GUJARATI,
    SCRIPT_ODIA,
    SCRIPT_TAMIL,
    SCRIPT_TELUGU,
    SCRIPT_KANNADA,
    SCRIPT_MALAYALAM,
    SCRIPT_SINHALA,
    SCRIPT_LAO,
    SCRIPT_TIBETAN,
    SCRIPT_MYANMAR,
    SCRIPT_ETHIOPIC,
    SCRIPT_KHMER,
    SCRIPT_COUNT,
};

struct language_words {
    const char *tag;
    enum script script;
    const char *letters; /* UTF-8, lower case, nothing between them */
    const char *words;   /* UTF-8, lower case, one blank between them */
};

#define LANGUAGE_COUNT_MAX 64 /* a bit for each in a mask */

extern const struct language_words languages[];
extern const size_t language_count;

#endif
