/*
 * language_words: what gives a language away among those of its script.
 *
 * Lists of the commonest words (articles, pronouns, prepositions, forms of to be) and of letters
 * that few neighbours use, written for this project. For worker/language.c only.
 */
#ifndef THRESH_WORKER_LANGUAGE_WORDS_H
#define THRESH_WORKER_LANGUAGE_WORDS_H

#include <stddef.h>
#include <stdint.h>

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

/* What words and letters are known by: FNV-1a over their code points, never 0. A collision would
 * have to hit a listed word, and would then count for one word of hundreds. */
#define LANGUAGE_HASH_START UINT64_C(0xcbf29ce484222325)
#define LANGUAGE_HASH_PRIME UINT64_C(0x100000001b3)

static inline uint64_t
language_hash_add(uint64_t hash, uint32_t code)
{
    return (hash ^ code) * LANGUAGE_HASH_PRIME;
}

/* The languages, of any script, that list the word or the letter with that hash: a bit for each
 * row. The tables behind it are written by language_tables.py. */
uint64_t language_word_users(uint64_t hash);
uint64_t language_letter_users(uint64_t hash);

#endif
