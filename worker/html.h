/*
 * html: a page's bytes as an array of elements and texts in page order.
 *
 * A parser of our own for reading, not for rendering: it follows the HTML Standard in what decides
 * the order and the place of text (void and raw text elements, every comment form, implied end
 * tags, scopes, head and body, foreign content) and leaves out formatting reconstruction, the
 * adoption agency, foster parenting, framesets and quirks, which do not.
 *
 * The array is in preorder: node 0 is <html>, a node's descendants are the nodes up to its `end`.
 * Texts and attributes stay spans of the input, with references undecoded; the input must outlive
 * the document. Nothing is recursive, here or needed by the caller.
 *
 * Bounds   HTML_DEPTH_MAX levels (what nests deeper hangs on the deepest one), HTML_NODES_MAX
 *          nodes (the rest of the page is dropped and is_truncated set), HTML_ATTRIBUTES_MAX
 *          attributes read of one tag and HTML_PAGE_ATTRIBUTES_MAX of a page, inputs under 4 GiB.
 * Time linear in the input: no tag looks through the open elements, save those of unknown names
 * that share a bucket of hashes. Threads  pure functions. Source   HTML Standard, section 13.2.
 */
#ifndef THRESH_WORKER_HTML_H
#define THRESH_WORKER_HTML_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTML_DEPTH_MAX 512
#define HTML_NODES_MAX 1000000u
#define HTML_ATTRIBUTES_MAX 64
#define HTML_PAGE_ATTRIBUTES_MAX 1000000u
#define HTML_REFERENCE_BYTES_MAX 8 /* the most UTF-8 bytes one reference gives */

enum html_tag {
    HTML_TAG_OTHER, /* an element without a row in html_tags.def */
    HTML_TAG_TEXT,  /* no element: a run of text */
#define TAG(upper, name, flags) HTML_TAG_##upper,
#include "worker/html_tags.def"
#undef TAG
    HTML_TAG_COUNT
};

enum html_tag_flags {
    HTML_NONE = 0,
    HTML_VOID = 1,        /* has no content and no end tag */
    HTML_RAW = 2,         /* its content is text up to its end tag */
    HTML_BLOCK = 4,       /* starts and ends a block of text */
    HTML_CLOSES_P = 8,    /* ends an open paragraph */
    HTML_SPECIAL = 16,    /* the standard's "special" */
    HTML_SCOPE = 32,      /* bounds a scope: end tags inside do not reach past it */
    HTML_FORMATTING = 64, /* the standard's "formatting" */
    HTML_HEAD = 128,      /* may stand in the head */
    HTML_HEADING = 256,   /* h1 to h6 */
    HTML_BREAKOUT = 512,  /* ends foreign content */
    HTML_TABLE = 1024,    /* means nothing outside of a table */
};

struct html_node {
    uint32_t start;  /* text: its first byte; element: first byte of the name in its start tag */
    uint32_t size;   /* text: its bytes; element: up to the end of the tag; 0: implied */
    uint32_t parent; /* node 0 is its own */
    uint32_t end;    /* one past the last descendant */
    uint32_t first_attribute; /* in the document's attributes */
    uint8_t attribute_count;
    uint8_t tag;    /* enum html_tag */
    uint16_t depth; /* of node 0: 0 */
};

/* Attributes that somebody looks for in every element are known by number. */
enum html_attribute_name {
    HTML_ATTRIBUTE_OTHER,
    HTML_ATTRIBUTE_ID,
    HTML_ATTRIBUTE_REL,
    HTML_ATTRIBUTE_HREF,
    HTML_ATTRIBUTE_ROLE,
    HTML_ATTRIBUTE_CLASS,
    HTML_ATTRIBUTE_STYLE,
    HTML_ATTRIBUTE_HIDDEN,
    HTML_ATTRIBUTE_ITEMPROP,
    HTML_ATTRIBUTE_ARIA_HIDDEN,
};

/* Where an attribute stands in the text. */
struct html_attribute_span {
    uint32_t name;
    uint32_t value; /* 0: there was none */
    uint32_t value_size;
    uint16_t name_size; /* longer ones are cut; no name that means something is */
    uint16_t known;     /* enum html_attribute_name */
};

struct html_document {
    const uint8_t *text;
    uint32_t size;
    struct html_node *nodes; /* in the arena */
    struct html_attribute_span *attributes;
    uint32_t node_count;
    uint32_t body;     /* the body's node, or 0 when the page has none */
    bool is_truncated; /* HTML_NODES_MAX was reached */
};

/* ERROR_NO_MEMORY: the arena is full. ERROR_TOO_LARGE: 4 GiB or more. Every other input is HTML. */
MUST_CHECK enum error html_parse(struct arena *arena, struct slice text,
                                 struct html_document *ret_document);

/* The bytes of a text node, references undecoded. */
struct slice html_text(const struct html_document *document, uint32_t node);

/* enum html_tag_flags of a tag, and its name ("" for text and other elements). */
unsigned html_tag_flags(unsigned tag);
const char *html_tag_name(unsigned tag);

/* ---- attributes ------------------------------------------------------------------------- */

struct html_attribute {
    struct slice name;  /* as written */
    struct slice value; /* references undecoded; data NULL: there was no value */
    unsigned known;     /* enum html_attribute_name */
};

/* The attribute with that number in document->attributes; an element's are the attribute_count from
 * its first_attribute. */
static inline struct html_attribute
html_attribute_at(const struct html_document *document, uint32_t number)
{
    const struct html_attribute_span *span = &document->attributes[number];
    struct html_attribute attribute = {
        .name = slice_of(document->text + span->name, span->name_size), .known = span->known};
    if (span->value != 0) {
        attribute.value = slice_of(document->text + span->value, span->value_size);
    }
    return attribute;
}

/* Walks the attributes of an element's start tag, HTML_ATTRIBUTES_MAX at most. */
struct html_attributes {
    const struct html_document *document;
    uint32_t next;
    uint32_t end;
};

static inline void
html_attributes_init(struct html_attributes *attributes, const struct html_document *document,
                     uint32_t node)
{
    const struct html_node *element = &document->nodes[node];
    *attributes =
        (struct html_attributes){.document = document,
                                 .next = element->first_attribute,
                                 .end = element->first_attribute + element->attribute_count};
}

static inline bool
html_attributes_next(struct html_attributes *attributes, struct html_attribute *ret_attribute)
{
    if (attributes->next == attributes->end) {
        return false;
    }
    *ret_attribute = html_attribute_at(attributes->document, attributes->next++);
    return true;
}

/* The first attribute of that name; data NULL: none. An attribute without a value gives an empty
 * slice whose data is not NULL. */
struct slice html_attribute_known(const struct html_document *document, uint32_t node,
                                  enum html_attribute_name known);

/* The same by name (lower case, any case in the page), for names without a number. */
struct slice html_attribute(const struct html_document *document, uint32_t node, const char *name);

/* Equal but for ASCII case; lower is lower case already. */
bool html_name_is(struct slice name, const char *lower);

/* ---- character references ---------------------------------------------------------------- */

/*
 * Reads the reference at the start of text, which begins with '&'. Returns how many bytes it
 * takes and writes its UTF-8; 0: no reference, the '&' stands for itself.
 */
size_t html_reference(struct slice text, bool is_attribute,
                      uint8_t ret_bytes[HTML_REFERENCE_BYTES_MAX], size_t *ret_size);

/* Appends text with its references decoded. */
void html_decode(struct buffer *out, struct slice text, bool is_attribute);

/* ---- tokens (html_tree.c's view of html_tokens.c) ----------------------------------------- */

enum html_token_type {
    HTML_TOKEN_TEXT,
    HTML_TOKEN_START,
    HTML_TOKEN_END,
    HTML_TOKEN_FINISH, /* the input is used up */
};

struct html_token {
    enum html_token_type type;
    uint16_t tag;  /* of START and END */
    uint16_t hash; /* of the name, lower case */
    bool is_self_closing;
    uint8_t attribute_count; /* written behind the tokenizer's attributes, not yet counted there */
    uint32_t start;          /* as in struct html_node */
    uint32_t size;
};

struct html_tokenizer {
    const uint8_t *text;
    uint32_t size;
    uint32_t position;
    bool is_foreign; /* inside svg or math: CDATA sections are text */
    struct html_attribute_span *attributes;
    uint32_t attribute_count;
    uint32_t attribute_room; /* of the next tag so many are written down */
};

/* The next text, start tag or end tag; comments and declarations are stepped over. */
struct html_token html_token_next(struct html_tokenizer *tokenizer);

/* The content of a raw text element whose start tag was just read, up to its end tag, which is
 * stepped over; without one, all that is left. */
struct html_token html_token_raw(struct html_tokenizer *tokenizer, unsigned tag);

/* What is left, as text (plaintext). */
struct html_token html_token_rest(struct html_tokenizer *tokenizer);

#endif
