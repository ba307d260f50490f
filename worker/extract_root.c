/*
 * Where the content is. No scores: names that only an article's body has are believed when enough
 * prose is under them, else the walk goes down from the body as long as one child holds nearly all
 * prose.
 */
#include "worker/extract_page.h"

#include <string.h>

#define STRONG_PROSE_MIN 250
#define STRONG_SHARE_MIN 0.4
#define MAIN_TEXT_SHARE_MIN 0.25 /* of the text outside menus and footers */
#define STEP_SHARE 0.78
#define STEP_SHARE_NAMED 0.62

struct strong {
    uint32_t node;
    uint32_t first; /* of those like it */
    uint32_t last;
    uint32_t rival; /* prose of the second largest that is not inside it */
    bool is_like;   /* the rival has its class */
};

static bool
is_inside(const struct page *page, uint32_t node, uint32_t outer)
{
    return node >= outer && node < page->document->nodes[outer].end;
}

static uint32_t
common_ancestor(const struct page *page, uint32_t a, uint32_t b)
{
    const struct html_node *nodes = page->document->nodes;
    while (a != b) {
        if (nodes[a].depth >= nodes[b].depth) {
            a = nodes[a].parent;
        } else {
            b = nodes[b].parent;
        }
    }
    return a;
}

static bool
is_candidate(const struct page *page, uint32_t node)
{
    const struct feature *feature = &page->features[node];
    return feature->tokens & TOKEN_STRONG && !page->is_skipped[node] &&
           feature->mass >= STRONG_PROSE_MIN;
}

/* The largest element with a strong name, or 0. */
static uint32_t
strong_root(const struct page *page)
{
    const struct html_document *document = page->document;
    uint32_t best = 0;
    uint64_t like_prose = 0;
    for (uint32_t i = 1; i < document->node_count; i++) {
        if (is_candidate(page, i) &&
            (best == 0 || page->features[i].mass > page->features[best].mass)) {
            best = i;
        }
    }
    if (best == 0) {
        return 0;
    }
    /* Inside the outermost one a smaller one with nearly all of it is the better fit. */
    uint32_t rival = 0;
    uint32_t first = best;
    uint32_t last = best;
    for (uint32_t i = 1; i < document->node_count; i++) {
        if (!(page->features[i].tokens & TOKEN_STRONG) || page->is_skipped[i]) {
            continue;
        }
        if (is_inside(page, i, best)) {
            if (is_candidate(page, i) &&
                (double)page->features[i].mass >= 0.95 * page->features[best].mass) {
                best = i;
            }
            continue;
        }
        if (is_inside(page, best, i)) {
            continue;
        }
        if (page->features[i].class_key == page->features[best].class_key) {
            first = i < first ? i : first;
            last = i > last ? i : last;
            like_prose += page->features[i].mass;
        }
        rival = page->features[i].mass > rival ? page->features[i].mass : rival;
    }
    uint32_t mass = page->features[best].mass;
    uint32_t all = page->features[0].mass;
    if (like_prose * 4 >= mass) {
        uint32_t top = common_ancestor(page, first, last);
        return (double)page->features[top].mass >= STRONG_SHARE_MIN * all ? top : 0;
    }
    if (mass < STRONG_SHARE_MIN * all || rival * 2u > mass) {
        return 0;
    }
    return best;
}

static uint32_t
descend(const struct page *page, uint32_t top)
{
    const struct html_node *nodes = page->document->nodes;
    for (;;) {
        uint32_t next = 0;
        for (uint32_t i = top + 1; i < nodes[top].end; i = nodes[i].end) {
            if (nodes[i].tag == HTML_TAG_TEXT || page->is_skipped[i] ||
                !(html_tag_flags(nodes[i].tag) & HTML_BLOCK || nodes[i].tag == HTML_TAG_OTHER ||
                  nodes[i].end > i + 2)) {
                continue;
            }
            if (next == 0 || page->features[i].mass > page->features[next].mass) {
                next = i;
            }
        }
        if (next == 0 || page->features[next].mass == 0) {
            return top;
        }
        unsigned tag = nodes[next].tag;
        bool is_named = page->features[next].tokens & (TOKEN_STRONG | TOKEN_WEAK | TOKEN_MAIN);
        double share = is_named ? STEP_SHARE_NAMED : STEP_SHARE;
        if (tag == HTML_TAG_P || tag == HTML_TAG_LI || tag == HTML_TAG_TR ||
            tag == HTML_TAG_BLOCKQUOTE || tag == HTML_TAG_UL || tag == HTML_TAG_OL ||
            (double)page->features[next].mass < share * page->features[top].mass) {
            return top;
        }
        top = next;
    }
}

/* The main element when there is one that holds something, else the body. */
static uint32_t
main_root(const struct page *page)
{
    const struct html_document *document = page->document;
    uint32_t best = 0;
    for (uint32_t i = 1; i < document->node_count; i++) {
        if (page->features[i].tokens & TOKEN_MAIN && !page->is_skipped[i] &&
            document->nodes[i].tag != HTML_TAG_TEXT &&
            (best == 0 || page->features[i].length > page->features[best].length)) {
            best = i;
        }
    }
    uint32_t all = page->open_length;
    if (best != 0 && (double)page->features[best].length >= MAIN_TEXT_SHARE_MIN * all) {
        return best;
    }
    return document->body;
}

uint32_t
page_root(const struct page *page, enum page_kind kind)
{
    if (page->document->body == 0) {
        return 0;
    }
    if (kind != PAGE_ARTICLE) {
        return main_root(page);
    }
    uint32_t root = strong_root(page);
    if (root == 0) {
        root = descend(page, page->document->body);
    }
    return root;
}
