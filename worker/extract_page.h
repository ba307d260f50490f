/*
 * extract_page: one HTML page on its way from nodes to text; what the passes of extraction share.
 *
 * The passes run in this order, each a linear walk over arrays:
 *   features  what each element's names say and how much prose is under it   extract_features.c
 *   cuts      which subtrees are furniture, by rules in tables               extract_cuts.c
 *   root      where the content is                                           extract_root.c
 *   labels    which blocks of the root a reader wants                        extract_labels.c
 * extract_kind.c runs them, once for each way in which the page may be read, and chooses.
 * Metadata and links come from the nodes alone and need none of these.
 *
 * Everything lives in the page's arena, block lists excepted (page_release).
 */
#ifndef THRESH_WORKER_EXTRACT_PAGE_H
#define THRESH_WORKER_EXTRACT_PAGE_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "worker/blocks.h"
#include "worker/html.h"

#include <stdbool.h>
#include <stdint.h>

/* What the words in class, id, role and itemprop say of an element. */
enum token_class {
    TOKEN_NAV = 1 << 0,
    TOKEN_SHARE = 1 << 1,
    TOKEN_RELATED = 1 << 2,
    TOKEN_AD = 1 << 3,
    TOKEN_COMMENT = 1 << 4,
    TOKEN_META = 1 << 5, /* by-line, date, tags */
    TOKEN_CAPTION = 1 << 6,
    TOKEN_HIDE = 1 << 7,
    TOKEN_FOOT = 1 << 8,
    TOKEN_SIDE = 1 << 9,
    TOKEN_FORM = 1 << 10, /* newsletters, log-in, search, polls */
    TOKEN_PAY = 1 << 11,
    TOKEN_COOKIE = 1 << 12, /* consent, modal dialogs */
    TOKEN_FILTER = 1 << 13,
    TOKEN_STRONG = 1 << 14, /* names that only the body of an article has */
    TOKEN_WEAK = 1 << 15,   /* content, main, post */
    TOKEN_HEAD = 1 << 16,
    TOKEN_EMBED = 1 << 17, /* an embedded post, which belongs to the text */
    TOKEN_MAIN = 1 << 18,
    TOKEN_QUOTE = 1 << 19,  /* pull quotes */
    TOKEN_ITEM = 1 << 20,   /* one of a list that is most of the page; no word says that */
    TOKEN_REVIEW = 1 << 22, /* customers' reviews */
    TOKEN_PANEL = 1 << 23,  /* unfolds on demand: tabs, accordions */
    TOKEN_UNSEEN = 1 << 21, /* the hidden attribute or style, not a mere word */
};

struct feature {
    uint32_t tokens;    /* enum token_class */
    uint32_t class_key; /* of tag and first class; like elements have like keys */
    uint32_t prose;     /* length of the prose under it */
    uint32_t mass;      /* of that what the cuts have left */
    uint32_t length;    /* of all text under it */
    uint32_t link_length;
    uint16_t link_headings;
};

enum page_kind {
    PAGE_ARTICLE, /* documentation too: one text in one place */
    PAGE_FORUM,
    PAGE_LOOSE, /* service, listing, collection, product: text in many places */
};

struct page {
    struct arena *arena;
    const struct html_document *document;
    struct feature *features; /* one for each node */
    uint8_t *is_skipped;      /* one for each node; 1: cut */
    uint8_t *is_never;        /* the same, by page_cut_always() alone */
    enum page_kind kind;
    uint32_t root;
    uint32_t open_length;    /* of the text outside menus, footers and hidden parts */
    struct slice title;      /* of the metadata; TITLE blocks are like it */
    struct slice page_title; /* <title>, with the site's name */
    struct slice kind_hint;  /* og:type or the JSON-LD type */
    struct slice url;        /* its own, may be empty */
    bool is_product;         /* a loose page about one thing to be bought */
    bool has_date;           /* metadata says when it was published */
    bool has_author;
    bool has_noscript;      /* its text is in <noscript> */
    struct block_list list; /* of the root, labelled */
};

MUST_CHECK enum error page_features(struct page *page);

/* Marks what is no content on any page: scripts, forms' controls, hidden elements. */
void page_cut_always(struct page *page);

/* Marks what is furniture under the profile of the page's kind; starts from what page_cut_always()
 * found. */
void page_cut(struct page *page, enum page_kind kind);

/* Is the element left out by its tag alone? */
bool tag_is_never_content(unsigned tag);

uint32_t page_root(const struct page *page, enum page_kind kind);
enum page_kind page_kind_guess(const struct page *page);

/* Collects the root's blocks and keeps those that a reader wants. */
MUST_CHECK enum error page_blocks(struct page *page);
void page_release(struct page *page);

/* Length of the kept text. */
uint32_t page_kept_length(const struct page *page);

/* All of it: title and description are to be set before; the list is to be rendered after. */
MUST_CHECK enum error page_extract(struct page *page);

/* ---- word tables ------------------------------------------------------------------------ */

struct token_table;

/* NULL: the arena is full. */
struct token_table *token_table_create(struct arena *arena);

/* The classes of all words, and pairs of words, in a class or id attribute. The table remembers the
 * attributes seen last, which repeat; they are to outlive it. */
uint32_t token_classes(struct token_table *table, struct slice names);

/* Does a short block open like boilerplate ("Read more", "Photo:")? */
bool phrase_is_boilerplate(struct slice text, uint32_t words);

/* Does it end the article: what follows is not content ("Related articles")? */
bool phrase_is_ending(struct slice text, uint32_t words);

/* Is it the heading over readers' comments ("12 comments", "Leave a reply")? */
bool phrase_is_comments(struct slice text, uint32_t words);

/* Is it a note behind an article ("... contributed to this report")? */
bool phrase_is_note(struct slice text);

/* Is it no more than a picture's or video's credit or label? For plain text. */
bool phrase_is_credit(struct slice text);

#endif
