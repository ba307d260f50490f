/*
 * html_stack: the open elements while a tree is built.
 *
 * Each entry knows the nearest open paragraph, list item, link and so on below it within the scope
 * that counts for it, so implied end tags cost nothing to find; and the uppermost open element of
 * each tag is known, so end tags do not either. html_tree.c alone uses it.
 *
 * Bounds   HTML_DEPTH_MAX entries; what opens past it is counted, so that its end tag closes
 * nothing.
 */
#ifndef THRESH_WORKER_HTML_STACK_H
#define THRESH_WORKER_HTML_STACK_H

#include "worker/html.h"

/* Open elements that start tags close by implication, each within a scope of its own. */
enum nearest {
    NEAREST_P,
    NEAREST_LI,
    NEAREST_DD, /* or dt */
    NEAREST_A,
    NEAREST_BUTTON,
    NEAREST_TABLE,
    NEAREST_SECTION, /* of a table */
    NEAREST_ROW,
    NEAREST_CELL,    /* or caption */
    NEAREST_FOREIGN, /* svg or math */
    /* Where end tags stop. */
    NEAREST_SCOPE,
    NEAREST_SPECIAL,
    NEAREST_LIST, /* or scope */
    NEAREST_TABLE_SCOPE,
    NEAREST_COUNT,
};

struct open_element {
    uint32_t node;
    uint16_t tag;
    uint16_t hash;
    uint16_t below;                  /* place plus one of the next lower of its tag; 0: none */
    uint16_t nearest[NEAREST_COUNT]; /* place on the stack plus one; 0: none in scope */
};

#define OTHER_BUCKETS 64 /* elements without a row are counted by hash */

struct html_builder {
    struct html_tokenizer tokenizer;
    struct arena *arena;
    struct html_document *document;
    uint32_t node_max;
    uint32_t attribute_max; /* that the tokenizer's array holds */
    bool is_full;
    bool has_form;
    size_t depth; /* entries on the stack */
    struct open_element stack[HTML_DEPTH_MAX];
    uint16_t top[HTML_TAG_COUNT + OTHER_BUCKETS]; /* place plus one of the uppermost; 0: none */
    uint32_t capped_count[HTML_TAG_COUNT + OTHER_BUCKETS]; /* opened past the depth cap */
};

/* Where the elements of a tag are counted. */
size_t html_stack_counter(unsigned tag, uint16_t hash);

struct open_element *html_stack_current(struct html_builder *builder);

/* Inside svg or math, and not inside foreignObject there? */
bool html_stack_is_foreign(const struct html_builder *builder);

/* Opens an element; past the depth cap it is only counted. */
void html_stack_push(struct html_builder *builder, uint32_t node, unsigned tag, uint16_t hash);

/* Closes the uppermost elements until `depth` are left. */
void html_stack_pop_to(struct html_builder *builder, size_t depth);

/* Closes the nearest element of the kind, and all that is open inside it. */
void html_stack_close(struct html_builder *builder, enum nearest kind);

/* The uppermost open element that the end tag may mean, as place plus one; 0: none is open. */
uint16_t html_stack_end_place(const struct html_builder *builder, const struct html_token *token);

/* How far down the stack an end tag may reach. */
uint16_t html_stack_end_limit(struct html_builder *builder, unsigned tag);

#endif
