/*
 * How boilerplate opens, in the languages that are common on the web. Texts are folded before the
 * comparison: ASCII and Latin-1, Greek and Cyrillic capitals become small, so rows are written
 * small.
 */
#include "worker/extract_page.h"

#include <string.h>

#define FOLDED_BYTES_MAX 160

/* Only short blocks are judged by how they open. */
#define PHRASE_WORDS_MAX 40

struct phrase {
    const char *opening;
    uint8_t words_max; /* judged only up to this many words; 0: PHRASE_WORDS_MAX */
    bool is_whole;     /* the block is no more than this */
};

static const struct phrase boilerplate_phrases[] = {
    {"related:", 0, false},
    {"related articles", 8, false},
    {"related stories", 8, false},
    {"related posts", 8, false},
    {"related content", 8, false},
    {"related topics", 8, false},
    {"related news", 8, false},
    {"related links", 8, false},
    {"related", 1, false},
    {"see also:", 0, false},
    {"see more", 8, false},
    {"read more", 25, false},
    {"read also", 25, false},
    {"read next", 25, false},
    {"read:", 25, false},
    {"read the full", 10, false},
    {"also read", 25, false},
    {"also on", 8, false},
    {"more:", 25, false},
    {"more from", 12, false},
    {"more on this", 10, false},
    {"more stories", 8, false},
    {"watch:", 25, false},
    {"watch now", 6, false},
    {"listen:", 25, false},
    {"listen to this", 10, false},
    {"listen now", 6, false},
    {"recommended", 5, false},
    {"you may also like", 0, false},
    {"you might also like", 0, false},
    {"you may like", 0, false},
    {"don't miss", 12, false},
    {"don’t miss", 12, false},
    {"must read", 15, false},
    {"advert", 3, false},
    {"advertisement", 6, false},
    {"ad", 1, true},
    {"sponsored", 4, false},
    {"story continues", 8, false},
    {"article continues", 8, false},
    {"continue reading", 10, false},
    {"scroll down", 10, false},
    {"share", 4, false},
    {"share this", 12, false},
    {"share on", 8, false},
    {"share via", 8, false},
    {"follow us", 0, false},
    {"follow @", 12, false},
    {"follow the author", 10, false},
    {"like us on", 15, false},
    {"find us on", 15, false},
    {"join us on", 15, false},
    {"join our", 20, false},
    {"sign up", 35, false},
    {"subscribe", 30, false},
    {"already a subscriber", 12, false},
    {"get the latest", 30, false},
    {"get our", 20, false},
    {"newsletter", 6, false},
    {"enter your email", 15, false},
    {"download our app", 15, false},
    {"click here to", 20, false},
    {"image source", 25, false},
    {"image credit", 25, false},
    {"image caption", 0, false},
    {"image:", 25, false},
    {"images:", 25, false},
    {"image copyright", 20, false},
    {"photo:", 30, false},
    {"photos:", 25, false},
    {"photo by", 15, false},
    {"photos by", 15, false},
    {"photo credit", 25, false},
    {"photo courtesy", 20, false},
    {"photograph:", 25, false},
    {"photograph by", 15, false},
    {"picture:", 25, false},
    {"pictured:", 30, false},
    {"pictures:", 25, false},
    {"video:", 25, false},
    {"video caption", 0, false},
    {"file photo", 20, false},
    {"file image", 20, false},
    {"credit:", 20, false},
    {"caption", 1, true},
    {"source:", 12, false},
    {"getty images", 8, false},
    {"(getty images", 8, false},
    {"(photo", 20, false},
    {"(image", 20, false},
    {"(reuters)", 3, true},
    {"ap photo", 12, false},
    {"©", 25, false},
    {"(c) ", 25, false},
    {"copyright", 25, false},
    {"all rights reserved", 15, false},
    {"foto:", 30, false},
    {"fotos:", 25, false},
    {"bild:", 25, false},
    {"quelle:", 12, false},
    {"photo ", 4, false},
    {"фото:", 30, false},
    {"фото ", 10, false},
    {"источник:", 12, false},
    {"автор:", 10, false},
    {"читайте также", 25, false},
    {"читать далее", 10, false},
    {"подписывайтесь", 30, false},
    {"поделиться", 8, false},
    {"теги:", 0, false},
    {"lesen sie auch", 25, false},
    {"lesen sie mehr", 25, false},
    {"mehr zum thema", 12, false},
    {"anzeige", 2, false},
    {"lire aussi", 25, false},
    {"à lire aussi", 25, false},
    {"lire la suite", 10, false},
    {"publicité", 3, false},
    {"lea también", 25, false},
    {"lee también", 25, false},
    {"te puede interesar", 25, false},
    {"leia também", 25, false},
    {"leia mais", 25, false},
    {"publicidade", 3, false},
    {"publicidad", 3, false},
    {"leggi anche", 25, false},
    {"pubblicità", 3, false},
    {"lees ook", 25, false},
    {"advertentie", 3, false},
    {"czytaj także", 25, false},
    {"zobacz także", 25, false},
    {"reklama", 3, false},
    {"by ", 7, false},
    {"written by", 12, false},
    {"posted by", 15, false},
    {"posted on", 15, false},
    {"posted in", 20, false},
    {"posted:", 15, false},
    {"published", 14, false},
    {"updated", 12, false},
    {"last updated", 14, false},
    {"last modified", 14, false},
    {"first published", 14, false},
    {"reporting by", 0, false},
    {"editing by", 25, false},
    {"edited by", 10, false},
    {"tags:", 0, false},
    {"tags", 1, true},
    {"topics:", 0, false},
    {"topics", 1, true},
    {"categories:", 0, false},
    {"keywords:", 0, false},
    {"filed under", 25, false},
    {"filed in", 25, false},
    {"tagged", 20, false},
    {"leave a comment", 8, false},
    {"leave a reply", 8, false},
    {"post a comment", 8, false},
    {"add a comment", 8, false},
    {"comments", 3, false},
    {"view comments", 4, false},
    {"show comments", 4, false},
    {"print", 3, false},
    {"email", 3, false},
    {"tweet", 2, false},
    {"facebook", 3, false},
    {"twitter", 3, false},
    {"whatsapp", 3, false},
    {"linkedin", 3, false},
    {"copy link", 4, false},
    {"enlarge", 4, false},
    {"click to enlarge", 8, false},
    {"back to", 6, false},
    {"skip to", 6, false},
    {"text size", 6, false},
    {"loading", 4, false},
    {"play video", 5, false},
    {"play", 1, true},
    {"close", 1, true},
    {"menu", 1, true},
    {"view gallery", 6, false},
    {"view all", 6, false},
    {"media playback", 8, false},
    {"your browser does not support", 15, false},
    {"please enable javascript", 20, false},
    {"we use cookies", 0, false},
    {"this site uses cookies", 0, false},
    {"accept cookies", 8, false},
    {"accept all", 6, false},
    {"home", 1, true},
    {"previous", 2, false},
    {"next", 2, false},
    {"disclaimer:", 0, false},
    {"disclosure:", 0, false},
    {"this article was originally published", 30, false},
    {"this story has been updated", 20, false},
};

static const struct phrase ending_phrases[] = {
    {"related articles", 6, false},
    {"related stories", 6, false},
    {"related posts", 6, false},
    {"related content", 6, false},
    {"related topics", 6, false},
    {"related news", 6, false},
    {"related links", 6, false},
    {"related", 1, true},
    {"see also", 2, true},
    {"recommended", 5, false},
    {"you may also like", 8, false},
    {"you might also like", 8, false},
    {"more stories", 6, false},
    {"people who viewed", 10, false},
    {"people also", 8, false},
    {"customers who", 12, false},
    {"customers also", 8, false},
    {"recently viewed", 6, false},
    {"related products", 5, false},
    {"similar products", 5, false},
    {"similar items", 5, false},
    {"complete the look", 5, false},
    {"frequently bought", 6, false},
    {"customer reviews", 5, false},
    {"reviews", 1, true},
    {"more from", 8, false},
    {"more news", 4, false},
    {"more on this", 8, false},
    {"read next", 6, false},
    {"up next", 4, false},
    {"latest news", 5, false},
    {"latest posts", 5, false},
    {"popular posts", 5, false},
    {"most popular", 5, false},
    {"most read", 4, false},
    {"top stories", 4, false},
    {"trending", 4, false},
    {"about the author", 6, false},
    {"about author", 4, false},
    {"leave a comment", 6, false},
    {"leave a reply", 8, false},
    {"post a comment", 6, false},
    {"comments", 3, false},
    {"share this", 6, false},
    {"join the conversation", 6, false},
    {"join the discussion", 6, false},
    {"sign up for", 12, false},
    {"subscribe to", 12, false},
    {"subscribe", 1, true},
    {"mehr zum thema", 6, false},
    {"читайте также", 5, false},
    {"lire aussi", 5, false},
    {"leggi anche", 5, false},
    {"leia também", 5, false},
    {"lees ook", 5, false},
};

static const struct phrase comment_phrases[] = {
    {"comments", 3, false},
    {"top comments", 3, false},
    {"top rated comments", 4, false},
    {"reader comments", 4, false},
    {"readers' comments", 4, false},
    {"leave a comment", 6, false},
    {"leave a reply", 8, false},
    {"post a comment", 6, false},
    {"add a comment", 6, false},
    {"add your comment", 6, false},
    {"join the conversation", 6, false},
    {"join the discussion", 6, false},
    {"responses", 1, true},
    {"комментарии", 3, false},
    {"kommentare", 3, false},
    {"commentaires", 3, false},
    {"comentarios", 3, false},
    {"comentários", 3, false},
    {"commenti", 3, false},
    {"reacties", 3, false},
};

/* Anywhere in one of the last blocks. */
static const char *const note_words[] = {
    "contributed to this report",
    "contributed to this story",
    "contributed to this article",
    "contributed reporting",
    "is a writer at",
    "is a staff writer",
    "is a freelance",
    "is a reporter",
    "is a senior editor",
    "is the author of",
    "follow him on",
    "follow her on",
    "follow them on",
    "follow us on",
    "on twitter at",
    "on twitter @",
    "on facebook and",
    "sign up for our",
    "sign up to our",
    "subscribe to our",
    "our newsletter",
    "can be reached at",
    "may not be published, broadcast",
    "all rights reserved",
    "reporting by",
    "this article originally appeared",
    "this story originally appeared",
    "originally published",
    "send us your",
    "have a tip",
    "do you have a story",
    "click here",
};

/* One code point of two bytes to its small form where that is one step away in the same block. */
static void
fold_pair(uint8_t *first, uint8_t *second)
{
    if (*first == 0xC3 && *second >= 0x80 && *second <= 0x9E && *second != 0x97) {
        *second = (uint8_t)(*second + 0x20); /* Latin-1 */
    } else if (*first == 0xD0 && *second >= 0x90 && *second <= 0x9F) {
        *second = (uint8_t)(*second + 0x20); /* Cyrillic, first half */
    } else if (*first == 0xD0 && *second >= 0xA0 && *second <= 0xAF) {
        *first = 0xD1; /* second half */
        *second = (uint8_t)(*second - 0x20);
    }
}

/* Writes the small form of the start of text; returns its size. */
static size_t
fold(struct slice text, char *ret_folded, size_t folded_bytes)
{
    size_t size = text.size < folded_bytes - 1 ? text.size : folded_bytes - 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = text.data[i];
        if (byte >= 'A' && byte <= 'Z') {
            byte = (uint8_t)(byte | 0x20);
        } else if (byte >= 0xC3 && byte <= 0xD1 && i + 1 < size) {
            uint8_t second = text.data[i + 1];
            fold_pair(&byte, &second);
            ret_folded[i++] = (char)byte;
            byte = second;
        }
        ret_folded[i] = (char)byte;
    }
    ret_folded[size] = '\0';
    return size;
}

static bool
is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || (byte & 0x80) != 0;
}

/* Marks before the words do not count: "» Read more", "- Photo:". */
static size_t
marks_skip(const char *text)
{
    size_t at = 0;
    for (;;) {
        if (text[at] != '\0' && strchr(" -*|>[:•", text[at]) != NULL && !(text[at] & 0x80)) {
            at++;
        } else if (strncmp(text + at, "»", 2) == 0 || strncmp(text + at, "•", 3) == 0 ||
                   strncmp(text + at, "→", 3) == 0) {
            at += strncmp(text + at, "»", 2) == 0 ? 2 : 3;
        } else {
            return at;
        }
    }
}

static bool
phrase_matches(const struct phrase *phrase, const char *text, size_t size, uint32_t words)
{
    uint32_t words_max = phrase->words_max == 0 ? PHRASE_WORDS_MAX : phrase->words_max;
    size_t opening = strlen(phrase->opening);
    if (words > words_max || size < opening || memcmp(text, phrase->opening, opening) != 0) {
        return false;
    }
    if (phrase->is_whole) {
        return size == opening;
    }
    return !is_word_byte(phrase->opening[opening - 1]) || !is_word_byte(text[opening]);
}

static bool
phrase_find(const struct phrase *phrases, size_t count, struct slice text, uint32_t words)
{
    if (words > PHRASE_WORDS_MAX) {
        return false;
    }
    char folded[FOLDED_BYTES_MAX];
    size_t size = fold(text, folded, sizeof folded);
    size_t start = marks_skip(folded);
    for (size_t i = 0; i < count; i++) {
        if (phrases[i].opening[0] == folded[start] &&
            phrase_matches(&phrases[i], folded + start, size - start, words)) {
            return true;
        }
    }
    return false;
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "5 min read", "3 days ago", "12 comments": a number and one of these words. */
static bool
is_count(const char *text)
{
    static const char *const units[] = {"min read",   "minute read", "mins read",   "comment",
                                        "share",      "view",        "hours ago",   "hour ago",
                                        "days ago",   "day ago",     "minutes ago", "weeks ago",
                                        "months ago", "years ago",   "likes",       "read"};
    size_t at = 0;
    while (is_digit(text[at]) || text[at] == '.' || text[at] == ',') {
        at++;
    }
    if (at == 0 || (text[at] != ' ' && text[at] != '-')) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strncmp(text + at + 1, units[i], strlen(units[i])) == 0) {
            return true;
        }
    }
    return false;
}

bool
phrase_is_boilerplate(struct slice text, uint32_t words)
{
    if (phrase_find(boilerplate_phrases, sizeof boilerplate_phrases / sizeof boilerplate_phrases[0],
                    text, words)) {
        return true;
    }
    if (words > 6 || text.size == 0) {
        return false;
    }
    uint8_t first = text.data[0];
    if (!is_digit((char)first) && first != '.' && first != ',') {
        return false;
    }
    char folded[FOLDED_BYTES_MAX];
    fold(text, folded, sizeof folded);
    return is_count(folded);
}

bool
phrase_is_ending(struct slice text, uint32_t words)
{
    return phrase_find(ending_phrases, sizeof ending_phrases / sizeof ending_phrases[0], text,
                       words);
}

bool
phrase_is_comments(struct slice text, uint32_t words)
{
    /* "12 comments" */
    size_t digits = 0;
    while (digits < text.size && is_digit((char)text.data[digits])) {
        digits++;
    }
    if (digits > 0 && digits + 1 < text.size && text.data[digits] == ' ') {
        text = slice_of(text.data + digits + 1, text.size - digits - 1);
    }
    return phrase_find(comment_phrases, sizeof comment_phrases / sizeof comment_phrases[0], text,
                       words);
}

bool
phrase_is_note(struct slice text)
{
    char folded[FOLDED_BYTES_MAX * 4];
    fold(text, folded, sizeof folded);
    for (size_t i = 0; i < sizeof note_words / sizeof note_words[0]; i++) {
        if (strstr(folded, note_words[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* A label, then perhaps who took it: "Image source, REUTERS", "Video annotated with text." */
bool
phrase_is_credit(struct slice text)
{
    static const char *const kinds[] = {"image",      "images",  "photo",    "photos",
                                        "photograph", "picture", "pictures", "video",
                                        "foto",       "bild",    "фото"};
    static const char *const roles[] = {
        "source",    "credit",   "credits", "copyright", "caption", "annotated with text",
        "annotated", "courtesy", "by",      ":"};
    uint32_t length = 0;
    uint32_t words = 0;
    text_measure(text, &length, &words);
    if (words > 12) {
        return false;
    }
    char folded[FOLDED_BYTES_MAX];
    fold(text, folded, sizeof folded);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t size = strlen(kinds[i]);
        if (strncmp(folded, kinds[i], size) != 0 || is_word_byte(folded[size])) {
            continue;
        }
        const char *rest = folded + size + (folded[size] == ' ');
        for (size_t j = 0; j < sizeof roles / sizeof roles[0]; j++) {
            size_t role = strlen(roles[j]);
            if (strncmp(rest, roles[j], role) == 0 &&
                (roles[j][0] == ':' || !is_word_byte(rest[role]))) {
                return true;
            }
        }
    }
    return false;
}
