/*
 * Who wrote a page: names out of by-lines, which carry dates, offices and counts of posts too, and
 * the search for one in the text where nothing is marked.
 */
#include <string.h>

#include "worker/blocks.h"
#include "worker/extract_metadata.h"

#define AUTHOR_WORDS_MAX 6
#define AUTHOR_BYTES_MAX 100
#define CREDENTIAL_BYTES_MAX 8
#define BYLINE_NODES_MAX 400    /* after the heading */
#define BYLINE_TEXT_MAX 80      /* bytes */
#define AUTHOR_NODES_BETWEEN 24 /* between the names in one by-line */

static bool
has_bytes(struct slice text, const char *word)
{
    return text.size > 0 && memmem(text.data, text.size, word, strlen(word)) != NULL;
}

static bool
is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
is_upper(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z';
}

static struct slice
trim(struct slice text)
{
    while (text.size > 0 && memchr(" ,:;|", text.data[0], 5) != NULL) {
        text = slice_of(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && memchr(" ,:;|", text.data[text.size - 1], 5) != NULL) {
        text.size--;
    }
    return text;
}

/* "By Jane Doe" and "ByJane Doe" are Jane Doe. ret_found tells whether an opening was there. */
static struct slice
byline_strip(struct slice name, bool *ret_found)
{
    static const char *const openings[] = {
        "by",       "written by", "posted by", "post by",    "posts by",   "articles by", "author",
        "words by", "text by",    "story by",  "article by", "started by", "asked by",    "blog by",
        "via",      "von",        "par",       "por",        "автор",
    };
    *ret_found = false;
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++) {
        size_t size = strlen(openings[i]);
        if (name.size <= size || !html_name_is(slice_of(name.data, size), openings[i])) {
            continue;
        }
        uint8_t next = name.data[size];
        if (next == ' ' || next == ':' || (is_upper(next) && !is_upper(name.data[size - 1]))) {
            *ret_found = true;
            return trim(slice_of(name.data + size, name.size - size));
        }
    }
    return name;
}

/* The word at `at`, up to the next space. */
static struct slice
word_at(struct slice text, size_t at)
{
    size_t end = at;
    while (end < text.size && text.data[end] != ' ') {
        end++;
    }
    return slice_of(text.data + at, end - at);
}

static bool
is_one_of(struct slice word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (html_name_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

/* A month or a day of the week, short or long: "Dec", "Sat,", "January". */
static bool
is_calendar_word(struct slice word)
{
    static const char *const stems[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                        "aug", "sep", "oct", "nov", "dec", "mon", "tue",
                                        "wed", "thu", "fri", "sat", "sun"};
    return word.size >= 3 &&
           is_one_of(slice_of(word.data, 3), stems, sizeof stems / sizeof stems[0]);
}

/* Does the name end before this word? */
static bool
is_name_end(struct slice text, size_t at)
{
    static const char *const words[] = {
        "•",    "·",     "|",     "–", "—",  "-",    "»",      "/",         "on",      "says",
        "said", "wrote", "posts", "@", "in", "from", "member", "published", "updated", "posted"};
    struct slice word = word_at(text, at);
    if (is_one_of(word, words, sizeof words / sizeof words[0]) || word.data[0] == '(') {
        return true;
    }
    size_t next = at + word.size + 1;
    return is_calendar_word(word) && next < text.size && is_digit(text.data[next]);
}

/* Without the date, the office and the count of posts behind the name. */
static struct slice
byline_clean(struct slice text)
{
    bool was_found = true;
    text = trim(text);
    while (was_found) {
        text = byline_strip(text, &was_found);
    }
    for (size_t at = 0; at < text.size;) {
        struct slice word = word_at(text, at);
        if (word.size > 0 && ((at > 0 && is_digit(word.data[0])) || is_name_end(text, at))) {
            text.size = at;
            break;
        }
        at += word.size + 1;
    }
    return trim(text);
}

/* A time or a year is no name; "3i Global" may be one. */
static bool
is_clock(struct slice name)
{
    struct slice word = word_at(name, 0);
    size_t digits = 0;
    while (digits < word.size && (is_digit(word.data[digits]) || word.data[digits] == ':')) {
        digits++;
    }
    return digits == word.size && (digits == name.size || digits >= 4);
}

static bool
is_name(struct slice name)
{
    static const char *const nobody[] = {
        "admin",   "administrator", "editor",    "editors",          "staff",          "guest",
        "unknown", "null",          "undefined", "anonymous",        "author",         "authors",
        "by",      "written by",    "reporter",  "about the author", "view all posts", "read more",
        "profile", "share"};
    if (name.size < 2 || name.size > AUTHOR_BYTES_MAX || has_bytes(name, "@") ||
        has_bytes(name, "://") || has_bytes(name, "www.") || has_bytes(name, "{") ||
        is_clock(name) || is_one_of(name, nobody, sizeof nobody / sizeof nobody[0])) {
        return false;
    }
    uint32_t length = 0;
    uint32_t words = 0;
    text_measure(name, &length, &words);
    return words <= AUTHOR_WORDS_MAX;
}

void
metadata_offer_author(struct metadata *metadata, unsigned trust, struct slice name)
{
    bool was_found = false;
    name = byline_strip(name, &was_found);
    if (!is_name(name) || trust > metadata->author_trust) {
        return;
    }
    if (trust < metadata->author_trust) {
        metadata->author_count = 0;
        metadata->author_trust = trust;
    }
    for (size_t i = 0; i < metadata->author_count; i++) {
        if (slice_equal(metadata->authors[i], name)) {
            return;
        }
    }
    if (metadata->author_count < METADATA_AUTHORS_MAX) {
        metadata->authors[metadata->author_count++] = name;
    }
}

/* "MD", "PhD" or "Ph.D." behind a comma belongs to the name before. */
static bool
is_credential(struct slice text)
{
    size_t size = 0;
    size_t uppers = 0;
    while (size < text.size && text.data[size] != ',' && text.data[size] != ';') {
        uppers += is_upper(text.data[size]);
        size++;
    }
    while (size > 0 && text.data[0] == ' ') {
        text = slice_of(text.data + 1, text.size - 1);
        size--;
    }
    return size >= 2 && size <= CREDENTIAL_BYTES_MAX && is_upper(text.data[0]) &&
           uppers * 2 >= size - (size > 3);
}

/* Bytes of what divides two names at `at`, 0: nothing does. */
static size_t
divider_at(struct slice names, size_t at)
{
    static const char *const words[] = {" and ", " & ", " und ", " et "};
    uint8_t byte = names.data[at];
    if (byte == ';' || byte == '|') {
        return 1;
    }
    if (byte == ',') {
        return is_credential(slice_of(names.data + at + 1, names.size - at - 1)) ? 0 : 1;
    }
    for (size_t i = 0; byte == ' ' && i < sizeof words / sizeof words[0]; i++) {
        size_t size = strlen(words[i]);
        if (names.size - at > size && memcmp(names.data + at, words[i], size) == 0) {
            return size;
        }
    }
    return 0;
}

void
metadata_take_authors(struct metadata *metadata, unsigned trust, struct slice names)
{
    names = byline_clean(names);
    size_t start = 0;
    for (size_t i = 0; i <= names.size; i++) {
        size_t size = i == names.size ? 1 : divider_at(names, i);
        if (size > 0) {
            metadata_offer_author(metadata, trust, trim(slice_of(names.data + start, i - start)));
            start = i + size;
            i += size - 1;
        }
    }
}

void
metadata_take_authors_at(struct metadata *metadata, unsigned trust,
                         const struct html_document *document, uint32_t node)
{
    /* Further names far from the first are those of comments and of other pages. */
    if (trust == metadata->author_trust && metadata->author_count > 0 &&
        node > metadata->author_node + AUTHOR_NODES_BETWEEN) {
        return;
    }
    if (trust > metadata->author_trust) {
        return;
    }
    uint32_t end = document->nodes[node].end;
    for (uint32_t i = node + 1; i < end && i < node + AUTHOR_NODES_BETWEEN; i++) {
        struct slice property = html_attribute_known(document, i, HTML_ATTRIBUTE_ITEMPROP);
        if (html_name_is(property, "name")) {
            node = i;
            break;
        }
    }
    struct slice text = html_attribute(document, node, "content");
    metadata->author_node = node;
    metadata_take_authors(metadata, trust,
                          text.size > 0 ? metadata_clean(metadata, text, true)
                                        : metadata_node_text(metadata, document, node));
}

static bool
is_author_link(const struct html_document *document, uint32_t node)
{
    static const char *const paths[] = {"/author/", "/authors/", "/contributor/", "/contributors/",
                                        "/writers/"};
    struct slice target = html_attribute_known(document, node, HTML_ATTRIBUTE_HREF);
    for (size_t i = 0; target.size > 0 && i < sizeof paths / sizeof paths[0]; i++) {
        const uint8_t *found = memmem(target.data, target.size, paths[i], strlen(paths[i]));
        if (found != NULL && found + strlen(paths[i]) < target.data + target.size) {
            return true;
        }
    }
    return false;
}

/* Does it start like a person's name, not like "By using this site"? */
static bool
is_person(struct slice name)
{
    uint32_t length = 0;
    uint32_t words = 0;
    text_measure(name, &length, &words);
    size_t uppers = 0;
    for (size_t i = 0; i < name.size; i++) {
        bool is_start = i == 0 || name.data[i - 1] == ' ';
        uppers += is_start && (is_upper(name.data[i]) || name.data[i] >= 0x80);
    }
    return name.size > 0 && uppers >= 2 && uppers + 1 >= words;
}

static void
byline_search(struct metadata *metadata, const struct html_document *document)
{
    uint32_t first = document->body;
    while (first < document->node_count && document->nodes[first].tag != HTML_TAG_H1) {
        first++;
    }
    first = first == document->node_count ? document->body : first;
    uint32_t last = document->node_count - first > BYLINE_NODES_MAX ? first + BYLINE_NODES_MAX
                                                                    : document->node_count;
    bool is_next = false; /* the text before was no more than "By" */
    for (uint32_t i = first; i < last && metadata->author_count == 0; i++) {
        const struct html_node *node = &document->nodes[i];
        if (node->tag == HTML_TAG_SCRIPT || node->tag == HTML_TAG_STYLE) {
            i = node->end - 1;
        } else if (node->tag == HTML_TAG_A && is_author_link(document, i)) {
            struct slice name = metadata_node_text(metadata, document, i);
            if (is_person(byline_clean(name))) {
                metadata_take_authors(metadata, TRUST_RESERVE, name);
            }
        } else if (node->tag == HTML_TAG_TEXT && node->size <= BYLINE_TEXT_MAX) {
            struct slice text = trim(metadata_text_at(metadata, document, i));
            if (text.size == 0) {
                continue;
            }
            bool has_opening = false;
            struct slice rest = byline_strip(text, &has_opening);
            if ((has_opening || is_next) && is_person(byline_clean(rest))) {
                metadata_take_authors(metadata, TRUST_RESERVE, rest);
            }
            is_next = html_name_is(text, "by") || html_name_is(text, "written by") ||
                      html_name_is(text, "author") || html_name_is(text, "words by");
        }
    }
}

/* The site itself is an author only where there is no other. */
void
metadata_finish_authors(struct metadata *metadata, const struct html_document *document)
{
    struct slice site = metadata_text(metadata, METADATA_SITE_NAME);
    size_t kept = 0;
    for (size_t i = 0; metadata->author_count > 1 && i < metadata->author_count; i++) {
        if (!slice_equal(metadata->authors[i], site)) {
            metadata->authors[kept++] = metadata->authors[i];
        }
    }
    metadata->author_count = kept > 0 ? kept : metadata->author_count;
    if (metadata->author_count == 0) {
        byline_search(metadata, document);
    } else if (metadata->author_count == 1 && slice_equal(metadata->authors[0], site)) {
        unsigned trust = metadata->author_trust;
        metadata->author_trust = TRUST_NONE;
        metadata->author_count = 0;
        byline_search(metadata, document);
        if (metadata->author_count == 0) {
            metadata_offer_author(metadata, trust, site);
        }
    }
}
