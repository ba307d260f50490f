/*
 * Which of the titles that a page gives itself is its headline: without the site's name, and as
 * the first heading has it where both are about the same.
 */
#include <string.h>

#include "worker/blocks.h"
#include "worker/extract_metadata.h"

#define TITLE_BYTES_MIN 4
#define HEADING_BYTES_MIN 4
#define SITE_WORDS_MAX 4 /* behind a dash */

/* Title and heading are about the same when they share this much of their words. */
#define SHARED_WORDS_MIN 0.4
#define HEADING_WORDS_MIN 3
#define COMPARED_WORDS_MAX 48
#define MARKS_MAX 8 /* looked at in a page's title */

static bool
is_letter_byte(uint8_t byte)
{
    uint8_t folded = (uint8_t)(byte | 0x20);
    return (folded >= 'a' && folded <= 'z') || (byte >= '0' && byte <= '9') || byte >= 0x80;
}

int
title_next(struct slice text, size_t *at)
{
    while (*at < text.size) {
        uint8_t byte = text.data[(*at)++];
        if (is_letter_byte(byte)) {
            /* Typographic marks (U+2000 to U+20FF) do not count either. */
            if (byte == 0xE2 && *at + 1 < text.size && text.data[*at] <= 0x83) {
                *at += 2;
                continue;
            }
            return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
        }
    }
    return -1;
}

static bool
is_same_loosely(struct slice a, struct slice b)
{
    size_t i = 0;
    size_t j = 0;
    for (;;) {
        int x = title_next(a, &i);
        if (x != title_next(b, &j)) {
            return false;
        }
        if (x == -1) {
            return true;
        }
    }
}

struct title_mark {
    const char *text;
    bool is_bar; /* it divides nothing else; dashes are part of headlines too */
};

static const struct title_mark title_marks[] = {
    {" | ", true},  {" » ", true},  {" · ", true},  {" :: ", true},
    {" - ", false}, {" – ", false}, {" — ", false},
};

/* The mark at this place, NULL when there is none. */
static const struct title_mark *
mark_at(struct slice title, size_t at)
{
    for (size_t i = 0; title.data[at] == ' ' && i < sizeof title_marks / sizeof title_marks[0];
         i++) {
        size_t size = strlen(title_marks[i].text);
        if (title.size - at > size && memcmp(title.data + at, title_marks[i].text, size) == 0) {
            return &title_marks[i];
        }
    }
    return NULL;
}

/* "Headline | Site" and "Headline - Site" without what is behind the first bar or the last dash. */
static struct slice
site_strip(struct slice title, struct slice site)
{
    for (size_t at = TITLE_BYTES_MIN; at < title.size; at++) {
        const struct title_mark *mark = mark_at(title, at);
        if (mark != NULL && mark->is_bar) {
            title.size = at;
        }
    }
    for (size_t at = title.size; at > 1; at--) {
        const struct title_mark *mark = mark_at(title, at - 1);
        if (mark == NULL) {
            continue;
        }
        size_t head = at - 1;
        size_t tail = head + strlen(mark->text);
        struct slice behind = slice_of(title.data + tail, title.size - tail);
        uint32_t length = 0;
        uint32_t words = 0;
        text_measure(behind, &length, &words);
        bool is_short = words <= SITE_WORDS_MAX && head >= behind.size && head >= TITLE_BYTES_MIN;
        if (is_short || is_same_loosely(behind, site)) {
            title.size = head;
        }
        break;
    }
    return title;
}

/* Does the title go on behind the heading, after a mark? */
static bool
is_heading_and_more(struct slice title, struct slice heading)
{
    if (heading.size < HEADING_BYTES_MIN || title.size < heading.size + 2 ||
        memcmp(title.data, heading.data, heading.size) != 0) {
        return false;
    }
    const uint8_t *rest = title.data + heading.size;
    rest += rest[0] == ' ';
    return memchr("|-:\xC2\xE2", rest[0], 5) != NULL;
}

/* Hashes of the words, each once. */
static size_t
words_hash(struct slice text, uint32_t hashes[COMPARED_WORDS_MAX])
{
    size_t count = 0;
    uint32_t hash = 0;
    for (size_t at = 0; at <= text.size && count < COMPARED_WORDS_MAX; at++) {
        uint8_t byte = at < text.size ? text.data[at] : (uint8_t)' ';
        if (is_letter_byte(byte)) {
            hash = (hash ^ (byte >= 'A' && byte <= 'Z' ? byte | 0x20u : byte)) * 16777619u + 1;
            continue;
        }
        bool is_new = hash != 0;
        for (size_t i = 0; is_new && i < count; i++) {
            is_new = hashes[i] != hash;
        }
        if (is_new) {
            hashes[count++] = hash;
        }
        hash = 0;
    }
    return count;
}

static bool
is_about_the_same(struct slice title, struct slice heading)
{
    uint32_t ours[COMPARED_WORDS_MAX];
    uint32_t theirs[COMPARED_WORDS_MAX];
    size_t our_count = words_hash(heading, ours);
    size_t their_count = words_hash(title, theirs);
    size_t shared = 0;
    for (size_t i = 0; i < our_count; i++) {
        for (size_t j = 0; j < their_count; j++) {
            shared += ours[i] == theirs[j];
        }
    }
    return our_count >= HEADING_WORDS_MIN &&
           (double)shared >= SHARED_WORDS_MIN * (double)(our_count + their_count - shared);
}

/* Is the heading what the page's title ends with, behind a mark: the site's name? */
static bool
is_site_heading(struct slice page_title, struct slice heading)
{
    size_t marks = 0;
    for (size_t at = TITLE_BYTES_MIN; at < page_title.size && marks < MARKS_MAX; at++) {
        const struct title_mark *mark = mark_at(page_title, at);
        size_t tail = mark == NULL ? 0 : at + strlen(mark->text);
        marks += mark != NULL;
        if (mark != NULL &&
            is_same_loosely(slice_of(page_title.data + tail, page_title.size - tail), heading)) {
            return true;
        }
    }
    return false;
}

void
metadata_finish_title(struct metadata *metadata)
{
    struct slice site = metadata_text(metadata, METADATA_SITE_NAME);
    struct slice heading = metadata_text(metadata, METADATA_HEADING);
    struct metadata_value *title = &metadata->fields[METADATA_TITLE];
    struct slice page_title = metadata_text(metadata, METADATA_PAGE_TITLE);
    bool is_site =
        heading.size == 0 || is_same_loosely(heading, site) || is_site_heading(page_title, heading);
    bool is_from_heading = title->trust == TRUST_MARKUP;
    if (page_title.size > 0 &&
        (title->trust == TRUST_NONE || title->text.size < 2 || (is_from_heading && is_site))) {
        *title = (struct metadata_value){.text = page_title, .trust = TRUST_RESERVE};
    }
    if (title->text.size == 0) {
        return;
    }
    if (!is_site &&
        (is_heading_and_more(title->text, heading) || is_about_the_same(title->text, heading))) {
        title->text = heading;
    } else {
        title->text = site_strip(title->text, site);
    }
}
