/*
 * extract_metadata: what a page says about itself, in its head and in marked-up data.
 *
 * Each field has a list of places that may give it, in a fixed order of trust; the first place that
 * gives something wins, whatever its position in the page. Values are trimmed UTF-8 in the arena.
 *
 * Bounds   METADATA_AUTHORS_MAX authors, METADATA_VALUE_BYTES_MAX bytes a value, JSON-LD nested
 *          JSONLD_DEPTH_MAX deep.
 * Threads  pure functions.
 * Source   the date order follows htmldate; schema.org; the Open Graph protocol.
 */
#ifndef THRESH_WORKER_EXTRACT_METADATA_H
#define THRESH_WORKER_EXTRACT_METADATA_H

#include "common/arena.h"
#include "common/buffer.h"
#include "worker/html.h"

#include <stdbool.h>

#define METADATA_AUTHORS_MAX 16
#define METADATA_VALUE_BYTES_MAX 4096
#define JSONLD_DEPTH_MAX 32

enum metadata_field {
    METADATA_TITLE,
    METADATA_DESCRIPTION,
    METADATA_SITE_NAME,
    METADATA_CANONICAL,
    METADATA_IMAGE,
    METADATA_SECTION,
    METADATA_PUBLISHED,
    METADATA_MODIFIED,
    METADATA_LANGUAGE, /* a claim, "en-GB" */
    METADATA_KIND,     /* og:type or JSON-LD type, lower case */
    METADATA_PAGE_TITLE,
    METADATA_HEADING, /* the first h1 */
    METADATA_BASE,
    METADATA_BODY, /* JSON-LD articleBody or description of a product */
    METADATA_FIELD_COUNT
};

/* How far a value's place is trusted: lower wins. */
enum metadata_trust {
    TRUST_JSONLD_ARTICLE = 10,
    TRUST_PROPERTY = 20, /* og:, article: */
    TRUST_NAME = 30,     /* other meta names */
    TRUST_JSONLD_OTHER = 40,
    TRUST_MARKUP = 50, /* time, itemprop, rel, h1 */
    TRUST_RESERVE = 60,
    TRUST_NONE = 255,
};

struct metadata_value {
    struct slice text;
    unsigned trust; /* TRUST_NONE: there is none */
};

struct metadata {
    struct arena *arena;
    struct metadata_value fields[METADATA_FIELD_COUNT];
    struct slice authors[METADATA_AUTHORS_MAX];
    size_t author_count;
    unsigned author_trust;
    uint32_t author_node;    /* where the last one was found */
    bool is_author_labelled; /* twitter:label says that twitter:data is one */
    bool is_noindex;
    bool is_nofollow;
};

void metadata_init(struct metadata *metadata, struct arena *arena);

/* Takes the value when it is not empty and its place is trusted more than what is there. Text is
 * kept as it is; it must live as long as the arena. */
void metadata_offer(struct metadata *metadata, enum metadata_field field, unsigned trust,
                    struct slice text);

/* A person's name; what looks like a URL, a mail address or a crowd of words is dropped. */
void metadata_offer_author(struct metadata *metadata, unsigned trust, struct slice name);

/* The names in a by-line, "By A, B and C on 3 May". Its text must live as long as the arena. */
void metadata_take_authors(struct metadata *metadata, unsigned trust, struct slice names);

/* The by-line that an element holds; of several elements those near the first count. */
void metadata_take_authors_at(struct metadata *metadata, unsigned trust,
                              const struct html_document *document, uint32_t node);

/* Looks for a by-line in the text where none is marked, or none but the site's own name. */
void metadata_finish_authors(struct metadata *metadata, const struct html_document *document);

/* Raw text to a copy in the arena, white space collapsed, references decoded; empty on no memory.
 */
struct slice metadata_clean(struct metadata *metadata, struct slice raw, bool is_attribute);

/* The text under a node up to its first <br>, cut after some 800 bytes, and that of a text node. */
struct slice metadata_node_text(struct metadata *metadata, const struct html_document *document,
                                uint32_t node);
struct slice metadata_text_at(struct metadata *metadata, const struct html_document *document,
                              uint32_t node);

/* Reads the whole page. url is the page's own, for the date in its path. */
void metadata_read(struct metadata *metadata, const struct html_document *document,
                   struct slice url);

/* Reads one JSON-LD script; what is broken ends the reading and keeps what was found. */
void metadata_read_jsonld(struct metadata *metadata, struct slice json);

/* The last step of metadata_read(). */
void metadata_finish(struct metadata *metadata, const struct html_document *document);

/* Chooses among the titles (extract_title.c). */
void metadata_finish_title(struct metadata *metadata);

/* The next byte that counts when titles are compared loosely: letters and digits, small. -1: end.
 */
int title_next(struct slice text, size_t *at);

struct slice metadata_text(const struct metadata *metadata, enum metadata_field field);

/* ---- dates (extract_dates.c) ------------------------------------------------------------- */

#define DATE_TEXT_BYTES 32

/*
 * Finds a date in text, in one of the forms that pages use, and writes it as RFC 3339: with a time
 * of day in the zone that it names as "2021-10-11T07:32:01+02:00", else as a day, "2021-10-11".
 * language settles which of 3/4/2021's numbers is the month. False: there is none between 1995 and
 * 2100.
 */
bool date_find(struct slice text, struct slice language, char ret_date[DATE_TEXT_BYTES]);

/* The day in a URL's path, "/2021/10/11/". */
bool date_find_in_url(struct slice url, char ret_date[DATE_TEXT_BYTES]);

#endif
