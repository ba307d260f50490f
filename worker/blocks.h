/*
 * blocks: a part of a page as a list of typed texts, in page order.
 *
 * A block is a run of text between two block boundaries: the edges of block elements, <hr>, and
 * two <br> in a row. Inline elements do not part words ("T<b>he</b>" is one word); white space is
 * collapsed, except in <pre>; references are decoded; soft hyphens and zero-width marks fall out.
 * Renderers choose what becomes of the kinds.
 *
 * Bounds   BLOCKS_MAX blocks (what follows is dropped), texts no larger than twice the page.
 * Threads  one owner.
 */
#ifndef THRESH_WORKER_BLOCKS_H
#define THRESH_WORKER_BLOCKS_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "worker/html.h"
#include "worker/text.h"

#include <stdbool.h>
#include <stdint.h>

#define BLOCKS_MAX 200000u

enum block_kind {
    BLOCK_PARAGRAPH,
    BLOCK_HEADING, /* level 1 to 6 */
    BLOCK_ITEM,    /* the text of a list item; level is the depth of the list */
    BLOCK_QUOTE,
    BLOCK_CODE, /* white space as written */
    BLOCK_CELL, /* of a table; group is its row */
    BLOCK_CAPTION,
};

/* How a block is judged; extract_labels.c sets it. */
enum block_label {
    LABEL_SHORT, /* not known yet: its neighbours decide */
    LABEL_GOOD,
    LABEL_BAD,
    LABEL_HEADING,
    LABEL_TITLE,
    LABEL_REPEAT,
};

struct block {
    uint32_t box;   /* the innermost block element around it */
    uint32_t first; /* its first and last text node */
    uint32_t last;
    uint32_t group; /* row, list item, or box: pieces of one line share it */
    uint32_t text;  /* offset in the list's text, and bytes */
    uint32_t size;
    uint32_t length; /* characters; those of scripts without spaces count two */
    uint32_t link_length;
    uint32_t words; /* in scripts without spaces two characters are a word */
    uint8_t kind;   /* enum block_kind */
    uint8_t level;
    uint8_t label; /* enum block_label */
    bool is_kept;
    bool is_small; /* all of it in em, i or small */
    bool ends_sentence;
};

struct block_list {
    struct block *blocks; /* in the arena */
    uint32_t count;
    struct buffer text; /* to be released */
};

/*
 * Collects the blocks under the node `top`. Subtrees whose byte in is_skipped (one for each node)
 * is not 0 are left out. ERROR_NO_MEMORY; the list needs block_list_release() in every case.
 */
MUST_CHECK enum error block_list_collect(struct arena *arena, const struct html_document *document,
                                         uint32_t top, const uint8_t *is_skipped,
                                         struct block_list *ret_list);
void block_list_release(struct block_list *list);

struct slice block_text(const struct block_list *list, const struct block *block);

/* Appends the kept blocks as plain text: paragraphs divided by one empty line, list items as lines
 * with "- ", a table row as a line with tabs. */
void block_list_render(const struct block_list *list, struct buffer *out);

#endif
