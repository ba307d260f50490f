#include "worker/language.h"

#include <string.h>
#include <strings.h>

#include "worker/language_words.h"

#define TEXT_BYTES_MAX 4096
#define SLOT_COUNT 1024        /* of the set of words; a power of two */
#define DISTINCT_WORDS_MAX 700 /* keeps the set two thirds full at most */
#define WORD_COUNT_CAP 10      /* a word repeated more often proves nothing more */
#define LETTER_WEIGHT 0.5      /* of a telling letter, against a telling word */
#define LETTER_SHARE_MAX 0.5   /* of all evidence; loan words bring foreign letters */
#define IDEOGRAPH_WEIGHT 3     /* a character of Han, kana or Hangul against a letter */
#define KANA_SHARE_MIN 0.05    /* of the characters of a Japanese text, and far more as a rule */
#define TIE_SHARE 0.85         /* of the best score: near enough for the page's own claim to win */
#define EVIDENCE_FULL 4.0      /* score from which a text is not short any more */
#define LETTERS_FULL 12.0      /* letters from which a script of one language speaks clearly */
#define HINT_CONFIDENCE 0.2    /* nothing but the page's claim, in a script that fits it */

struct script_range {
    uint32_t first;
    uint32_t last;
    enum script script;
};

/* Sorted; letters and the signs that belong to them (Unicode blocks). */
static const struct script_range ranges[] = {
    {0x0041, 0x005a, SCRIPT_LATIN},      {0x0061, 0x007a, SCRIPT_LATIN},
    {0x00aa, 0x00aa, SCRIPT_LATIN},      {0x00ba, 0x00ba, SCRIPT_LATIN},
    {0x00c0, 0x00d6, SCRIPT_LATIN},      {0x00d8, 0x00f6, SCRIPT_LATIN},
    {0x00f8, 0x024f, SCRIPT_LATIN},      {0x0370, 0x03ff, SCRIPT_GREEK},
    {0x0400, 0x052f, SCRIPT_CYRILLIC},   {0x0531, 0x0587, SCRIPT_ARMENIAN},
    {0x0591, 0x05f4, SCRIPT_HEBREW},     {0x0620, 0x065f, SCRIPT_ARABIC},
    {0x066e, 0x06d3, SCRIPT_ARABIC},     {0x06d5, 0x06ef, SCRIPT_ARABIC},
    {0x06fa, 0x06ff, SCRIPT_ARABIC},     {0x0750, 0x077f, SCRIPT_ARABIC},
    {0x0900, 0x0963, SCRIPT_DEVANAGARI}, {0x0971, 0x097f, SCRIPT_DEVANAGARI},
    {0x0980, 0x09e3, SCRIPT_BENGALI},    {0x0a01, 0x0a65, SCRIPT_GURMUKHI},
    {0x0a81, 0x0ae3, SCRIPT_GUJARATI},   {0x0b01, 0x0b65, SCRIPT_ODIA},
    {0x0b82, 0x0be5, SCRIPT_TAMIL},      {0x0c00, 0x0c65, SCRIPT_TELUGU},
    {0x0c80, 0x0ce5, SCRIPT_KANNADA},    {0x0d00, 0x0d65, SCRIPT_MALAYALAM},
    {0x0d80, 0x0df3, SCRIPT_SINHALA},    {0x0e01, 0x0e4e, SCRIPT_THAI},
    {0x0e81, 0x0ecd, SCRIPT_LAO},        {0x0f00, 0x0fbc, SCRIPT_TIBETAN},
    {0x1000, 0x103f, SCRIPT_MYANMAR},    {0x10a0, 0x10ff, SCRIPT_GEORGIAN},
    {0x1100, 0x11ff, SCRIPT_HANGUL},     {0x1200, 0x135f, SCRIPT_ETHIOPIC},
    {0x1780, 0x17d3, SCRIPT_KHMER},      {0x1e00, 0x1eff, SCRIPT_LATIN},
    {0x1f00, 0x1fff, SCRIPT_GREEK},      {0x3041, 0x309f, SCRIPT_KANA},
    {0x30a1, 0x30ff, SCRIPT_KANA},       {0x3130, 0x318f, SCRIPT_HANGUL},
    {0x31f0, 0x31ff, SCRIPT_KANA},       {0x3400, 0x4dbf, SCRIPT_HAN},
    {0x4e00, 0x9fff, SCRIPT_HAN},        {0xac00, 0xd7a3, SCRIPT_HANGUL},
    {0xf900, 0xfaff, SCRIPT_HAN},        {0xfb1d, 0xfb4f, SCRIPT_HEBREW},
    {0xfb50, 0xfdff, SCRIPT_ARABIC},     {0xfe70, 0xfefc, SCRIPT_ARABIC},
    {0xff66, 0xff9f, SCRIPT_KANA},       {0x20000, 0x3134f, SCRIPT_HAN},
};

/* Scripts that (nearly) one language writes. */
static const char *const script_language[SCRIPT_COUNT] = {
    [SCRIPT_HANGUL] = "ko",   [SCRIPT_GREEK] = "el",     [SCRIPT_HEBREW] = "he",
    [SCRIPT_THAI] = "th",     [SCRIPT_ARMENIAN] = "hy",  [SCRIPT_GEORGIAN] = "ka",
    [SCRIPT_BENGALI] = "bn",  [SCRIPT_GURMUKHI] = "pa",  [SCRIPT_GUJARATI] = "gu",
    [SCRIPT_ODIA] = "or",     [SCRIPT_TAMIL] = "ta",     [SCRIPT_TELUGU] = "te",
    [SCRIPT_KANNADA] = "kn",  [SCRIPT_MALAYALAM] = "ml", [SCRIPT_SINHALA] = "si",
    [SCRIPT_LAO] = "lo",      [SCRIPT_TIBETAN] = "bo",   [SCRIPT_MYANMAR] = "my",
    [SCRIPT_ETHIOPIC] = "am", [SCRIPT_KHMER] = "km",
};

/* One word, or one telling letter, by its hash (language_words.h). */
struct word {
    uint64_t hash; /* 0: free */
    uint32_t count;
};

struct word_set {
    struct word slots[SLOT_COUNT];
    size_t used;
};

struct census {
    struct word_set words;
    struct word_set letters;
    size_t scripts[SCRIPT_COUNT];
};

/* The slot of the hash, a free one taken for it; NULL when there is none. */
static struct word *
word_find(struct word_set *set, uint64_t hash)
{
    hash |= 1; /* never 0 */
    size_t i = (hash >> 32) & (SLOT_COUNT - 1);
    while (set->slots[i].hash != 0) {
        if (set->slots[i].hash == hash) {
            return &set->slots[i];
        }
        i = (i + 1) & (SLOT_COUNT - 1);
    }
    if (set->used == DISTINCT_WORDS_MAX) {
        return NULL;
    }
    set->used++;
    set->slots[i].hash = hash;
    return &set->slots[i];
}

/* The next code point; a malformed byte counts as U+FFFD. The text is valid as a rule, and never
 * trusted to be. */
static uint32_t
next_code(const uint8_t **position, const uint8_t *end)
{
    const uint8_t *at = *position;
    uint32_t code = *at++;
    if (code >= 0x80) {
        int trail = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;
        if (code < 0xc2 || code > 0xf4 || end - at < trail) {
            *position = at;
            return 0xfffd;
        }
        code &= 0x3fU >> trail;
        for (; trail > 0; trail--) {
            if ((*at & 0xc0) != 0x80) {
                *position = at;
                return 0xfffd;
            }
            code = code << 6 | (*at++ & 0x3fU);
        }
    }
    *position = at;
    return code;
}

static enum script
script_of(uint32_t code)
{
    size_t low = 0;
    size_t high = sizeof ranges / sizeof ranges[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > ranges[middle].last) {
            low = middle + 1;
        } else if (code < ranges[middle].first) {
            high = middle;
        } else {
            return ranges[middle].script;
        }
    }
    return SCRIPT_NONE;
}

/* Lower case for the letters that occur in the lists. */
static uint32_t
fold(uint32_t code)
{
    if (code < 0x80) {
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    }
    if (code == 0x130) {
        return 'i'; /* the Turkish capital with a dot */
    }
    if ((code >= 0xc0 && code <= 0xde && code != 0xd7) || (code >= 0x410 && code <= 0x42f)) {
        return code + 32;
    }
    if (code >= 0x400 && code <= 0x40f) {
        return code + 80;
    }
    bool is_odd_upper = (code >= 0x139 && code <= 0x148) || (code >= 0x179 && code <= 0x17e);
    if (is_odd_upper) {
        return (code & 1) != 0 ? code + 1 : code;
    }
    bool is_even_upper = (code >= 0x100 && code <= 0x177 && code != 0x131) ||
                         (code >= 0x1a0 && code <= 0x1a5) || (code >= 0x218 && code <= 0x21b) ||
                         (code >= 0x460 && code <= 0x481) || (code >= 0x48a && code <= 0x4bf) ||
                         (code >= 0x4d0 && code <= 0x52f) || (code >= 0x1e00 && code <= 0x1eff);
    if (is_even_upper) {
        return code | 1;
    }
    if (code == 0x1af || (code >= 0x4c1 && code <= 0x4cd && (code & 1) != 0) || code == 0x18f) {
        return code == 0x18f ? 0x259 : code + 1;
    }
    return code;
}

/* Marks inside words that writers leave out as they like: Arabic vowels and stretching, accents
 * written apart. */
static bool
is_skipped(uint32_t code)
{
    return code == 0x640 || (code >= 0x64b && code <= 0x652) || (code >= 0x300 && code <= 0x36f) ||
           code == 0xad;
}

static void
word_count(struct word_set *set, uint64_t hash)
{
    struct word *word = word_find(set, hash);
    if (word != NULL && word->count < WORD_COUNT_CAP) {
        word->count++;
    }
}

static void
word_end(struct census *census, uint64_t *hash)
{
    if (*hash != LANGUAGE_HASH_START) {
        word_count(&census->words, *hash);
    }
    *hash = LANGUAGE_HASH_START;
}

static void
take_census(struct census *census, struct slice text)
{
    const uint8_t *position = text.data;
    const uint8_t *end = text.data + text.size;
    uint64_t hash = LANGUAGE_HASH_START; /* while it is no more than that, no word is open */
    size_t latin = 0;
    while (position < end) {
        if (*position < 0x80) {
            /* Most text: what fold() and script_of() say of ASCII. */
            uint32_t small = *position++ | 0x20u;
            if (small >= 'a' && small <= 'z') {
                latin++;
                hash = language_hash_add(hash, small);
            } else {
                word_end(census, &hash);
            }
            continue;
        }
        uint32_t code = fold(next_code(&position, end));
        enum script script = script_of(code);
        if (is_skipped(code)) {
            continue;
        }
        if (script == SCRIPT_NONE) {
            word_end(census, &hash);
            continue;
        }
        census->scripts[script]++;
        hash = language_hash_add(hash, code);
        if (code >= 0x80 && script <= SCRIPT_DEVANAGARI) {
            word_count(&census->letters, language_hash_add(LANGUAGE_HASH_START, code));
        }
    }
    word_end(census, &hash);
    census->scripts[SCRIPT_LATIN] += latin;
}

static enum script
main_script(const struct census *census, double *ret_share)
{
    size_t weights[SCRIPT_COUNT];
    size_t total = 0;
    enum script best = SCRIPT_NONE;
    memcpy(weights, census->scripts, sizeof weights);
    weights[SCRIPT_HAN] += weights[SCRIPT_KANA]; /* one decision: see guess_han() */
    weights[SCRIPT_KANA] = 0;
    weights[SCRIPT_HAN] *= IDEOGRAPH_WEIGHT;
    weights[SCRIPT_HANGUL] *= IDEOGRAPH_WEIGHT;
    for (size_t i = SCRIPT_LATIN; i < SCRIPT_COUNT; i++) {
        total += weights[i];
        if (weights[i] > (best == SCRIPT_NONE ? 0 : weights[best])) {
            best = (enum script)i;
        }
    }
    *ret_share = total == 0 ? 0 : (double)weights[best] / (double)total;
    return best;
}

static double
at_most(double value, double most)
{
    return value < most ? value : most;
}

static struct language_guess
guess_of(const char *tag, double confidence)
{
    struct language_guess guess = {.confidence = confidence};
    size_t size = strlen(tag);
    memcpy(guess.tag, tag, size < sizeof guess.tag ? size : sizeof guess.tag - 1);
    return guess;
}

/* The hint's primary tag as our lists call it, lower case; "" when it is none. */
static void
primary_tag(struct slice hint, char ret_tag[LANGUAGE_TAG_BYTES])
{
    static const char *const same[][2] = {
        {"nb", "no"}, {"nn", "no"}, {"iw", "he"},  {"in", "id"},  {"fil", "tl"},
        {"bs", "hr"}, {"sh", "hr"}, {"cmn", "zh"}, {"yue", "zh"},
    };
    memset(ret_tag, 0, LANGUAGE_TAG_BYTES);
    size_t size = 0;
    while (size < hint.size &&
           ((hint.data[size] | 0x20) >= 'a' && (hint.data[size] | 0x20) <= 'z')) {
        if (size == 3) {
            memset(ret_tag, 0, LANGUAGE_TAG_BYTES);
            return; /* a name such as "english" */
        }
        ret_tag[size] = (char)(hint.data[size] | 0x20);
        size++;
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (strcmp(ret_tag, same[i][0]) == 0) {
            memset(ret_tag, 0, LANGUAGE_TAG_BYTES);
            memcpy(ret_tag, same[i][1], strlen(same[i][1]));
        }
    }
}

/* Han alone is Chinese; among kana it is Japanese. A few characters without kana may be either. */
static struct language_guess
guess_han(const struct census *census, double share, const char *hint)
{
    double han = (double)census->scripts[SCRIPT_HAN];
    double kana = (double)census->scripts[SCRIPT_KANA];
    double clarity = at_most((han + kana) / LETTERS_FULL, 1);
    if (kana >= KANA_SHARE_MIN * (han + kana)) {
        return guess_of("ja", share * clarity);
    }
    if (kana == 0 && han <= LETTERS_FULL && strcmp(hint, "ja") == 0) {
        return guess_of("ja", share * clarity / 2);
    }
    return guess_of("zh", share * clarity);
}

typedef uint64_t users_fn(uint64_t hash);

/* What a word proves is shared among the languages of `among` that use it. */
static void
add_scores(const struct word_set *set, users_fn *users_of, uint64_t among, double weight,
           double scores[LANGUAGE_COUNT_MAX])
{
    for (size_t i = 0; set->used > 0 && i < SLOT_COUNT; i++) {
        if (set->slots[i].hash == 0) {
            continue;
        }
        uint64_t users = users_of(set->slots[i].hash) & among;
        if (users == 0) {
            continue;
        }
        double part = weight * set->slots[i].count / __builtin_popcountll(users);
        for (; users != 0; users &= users - 1) {
            scores[__builtin_ctzll(users)] += part;
        }
    }
}

static void
score_languages(const struct census *census, enum script script, double scores[LANGUAGE_COUNT_MAX])
{
    double letters[LANGUAGE_COUNT_MAX] = {0};
    uint64_t among = 0;
    for (size_t i = 0; i < language_count; i++) {
        among |= languages[i].script == script ? (uint64_t)1 << i : 0;
    }
    add_scores(&census->words, language_word_users, among, 1, scores);
    add_scores(&census->letters, language_letter_users, among, LETTER_WEIGHT, letters);
    for (size_t i = 0; i < language_count; i++) {
        double most = scores[i] * LETTER_SHARE_MAX + 1; /* short texts may live on letters */
        scores[i] += at_most(letters[i], most);
    }
}

static struct language_guess
guess_by_words(const struct census *census, enum script script, double share, const char *hint)
{
    double scores[LANGUAGE_COUNT_MAX] = {0};
    score_languages(census, script, scores);
    size_t best = language_count;
    size_t hinted = language_count;
    for (size_t i = 0; i < language_count; i++) {
        if (languages[i].script != script) {
            continue;
        }
        if (best == language_count || scores[i] > scores[best]) {
            best = i;
        }
        if (strcmp(languages[i].tag, hint) == 0) {
            hinted = i;
        }
    }
    if (scores[best] <= 0) {
        return hinted < language_count ? guess_of(hint, HINT_CONFIDENCE) : guess_of("", 0);
    }
    if (hinted < language_count && scores[hinted] >= TIE_SHARE * scores[best]) {
        best = hinted;
    }
    double second = 0;
    for (size_t i = 0; i < language_count; i++) {
        if (i != best && scores[i] > second) {
            second = scores[i];
        }
    }
    double lead = second >= scores[best] ? 0 : 1 - second / scores[best];
    double clarity = at_most(scores[best] / EVIDENCE_FULL, 1);
    return guess_of(languages[best].tag, share * clarity * (0.3 + 0.7 * lead));
}

struct language_guess
language_detect(struct slice text, struct slice hint)
{
    struct census census = {0};
    char hint_tag[LANGUAGE_TAG_BYTES];
    if (text.size > TEXT_BYTES_MAX) {
        text.size = TEXT_BYTES_MAX;
    }
    if (text.size == 0) {
        return guess_of("", 0);
    }
    take_census(&census, text);
    primary_tag(hint, hint_tag);

    double share;
    enum script script = main_script(&census, &share);
    if (script == SCRIPT_NONE) {
        return guess_of("", 0);
    }
    if (script == SCRIPT_HAN) {
        return guess_han(&census, share, hint_tag);
    }
    if (script_language[script] != NULL) {
        double clarity = at_most((double)census.scripts[script] / LETTERS_FULL, 1);
        return guess_of(script_language[script], share * clarity);
    }
    return guess_by_words(&census, script, share, hint_tag);
}
