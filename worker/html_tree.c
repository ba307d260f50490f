/*
 * Tree building over a stack of open elements. Each entry of the stack knows the nearest open
 * paragraph, list item, link and so on below it within the scope that counts for it, so implied end
 * tags cost nothing to find, and the uppermost open element of each tag, so end tags do not either.
 */
#include "worker/html.h"

#include <assert.h>
#include <string.h>

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

struct builder {
    struct html_tokenizer tokenizer;
    struct html_document *document;
    uint32_t node_max;
    bool is_full;
    bool has_form;
    size_t depth; /* entries on the stack */
    struct open_element stack[HTML_DEPTH_MAX];
    uint16_t top[HTML_TAG_COUNT + OTHER_BUCKETS]; /* place plus one of the uppermost; 0: none */
    uint32_t capped_count[HTML_TAG_COUNT + OTHER_BUCKETS]; /* opened past the depth cap */
};

static size_t
counter_of(unsigned tag, uint16_t hash)
{
    return tag == HTML_TAG_OTHER ? HTML_TAG_COUNT + (size_t)hash % OTHER_BUCKETS : tag;
}

/* What an element does to the entries of `nearest`: which of them do not see past it. */
static unsigned
barriers_of(unsigned tag)
{
    unsigned flags = html_tag_flags(tag);
    unsigned barriers = 0;
    if (flags & HTML_SCOPE || tag == HTML_TAG_BUTTON) {
        barriers |= 1u << NEAREST_P;
    }
    if (flags & HTML_SCOPE) {
        barriers |= 1u << NEAREST_A | 1u << NEAREST_BUTTON;
    }
    if (flags & HTML_SPECIAL && tag != HTML_TAG_ADDRESS && tag != HTML_TAG_DIV &&
        tag != HTML_TAG_P) {
        barriers |= 1u << NEAREST_LI | 1u << NEAREST_DD;
    }
    if (tag == HTML_TAG_TABLE || tag == HTML_TAG_TEMPLATE) {
        barriers |= 1u << NEAREST_SECTION | 1u << NEAREST_ROW | 1u << NEAREST_CELL;
    }
    if (tag == HTML_TAG_TEMPLATE) {
        barriers |= 1u << NEAREST_TABLE;
    }
    if (tag == HTML_TAG_FOREIGNOBJECT) {
        barriers |= 1u << NEAREST_FOREIGN;
    }
    return barriers;
}

static int
nearest_kind(unsigned tag)
{
    switch (tag) {
    case HTML_TAG_P:
        return NEAREST_P;
    case HTML_TAG_LI:
        return NEAREST_LI;
    case HTML_TAG_DD:
    case HTML_TAG_DT:
        return NEAREST_DD;
    case HTML_TAG_A:
        return NEAREST_A;
    case HTML_TAG_BUTTON:
        return NEAREST_BUTTON;
    case HTML_TAG_TABLE:
        return NEAREST_TABLE;
    case HTML_TAG_TBODY:
    case HTML_TAG_THEAD:
    case HTML_TAG_TFOOT:
        return NEAREST_SECTION;
    case HTML_TAG_TR:
        return NEAREST_ROW;
    case HTML_TAG_TD:
    case HTML_TAG_TH:
    case HTML_TAG_CAPTION:
        return NEAREST_CELL;
    case HTML_TAG_SVG:
    case HTML_TAG_MATH:
        return NEAREST_FOREIGN;
    default:
        return -1;
    }
}

static struct open_element *
current(struct builder *builder)
{
    return &builder->stack[builder->depth - 1];
}

static bool
is_foreign(const struct builder *builder)
{
    return builder->stack[builder->depth - 1].nearest[NEAREST_FOREIGN] != 0;
}

/* Closes the uppermost elements until `depth` are left. */
static void
pop_to(struct builder *builder, size_t depth)
{
    assert(depth >= 1 && depth <= builder->depth);
    while (builder->depth > depth) {
        struct open_element *open = current(builder);
        builder->document->nodes[open->node].end = builder->document->node_count;
        builder->top[counter_of(open->tag, open->hash)] = open->below;
        builder->depth--;
        if (open->tag == HTML_TAG_FORM) {
            builder->has_form = false;
        }
    }
}

/* Closes the nearest element of the kind, and all that is open inside it. */
static void
close_nearest(struct builder *builder, enum nearest kind)
{
    uint16_t place = current(builder)->nearest[kind];
    if (place != 0) {
        pop_to(builder, place - 1u);
    }
}

static uint32_t
node_add(struct builder *builder, unsigned tag, uint32_t start, uint32_t size)
{
    struct html_document *document = builder->document;
    if (document->node_count == builder->node_max) {
        builder->is_full = true;
        return 0;
    }
    uint32_t node = document->node_count++;
    uint32_t parent = builder->depth == 0 ? 0 : current(builder)->node;
    document->nodes[node] = (struct html_node){.start = start,
                                               .size = size,
                                               .parent = parent,
                                               .end = node + 1,
                                               .tag = (uint16_t)tag,
                                               .depth = (uint16_t)builder->depth};
    return node;
}

static void
push(struct builder *builder, uint32_t node, unsigned tag, uint16_t hash)
{
    if (builder->depth == HTML_DEPTH_MAX) {
        builder->capped_count[counter_of(tag, hash)]++;
        return;
    }
    struct open_element *open = &builder->stack[builder->depth];
    if (builder->depth == 0) {
        *open = (struct open_element){0};
    } else {
        *open = builder->stack[builder->depth - 1];
        unsigned barriers = barriers_of(tag);
        for (int i = 0; i < NEAREST_COUNT; i++) {
            if (barriers & 1u << i) {
                open->nearest[i] = 0;
            }
        }
    }
    open->node = node;
    open->tag = (uint16_t)tag;
    open->hash = hash;
    builder->depth++;
    uint16_t place = (uint16_t)builder->depth;
    int kind = nearest_kind(tag);
    if (kind >= 0) {
        open->nearest[kind] = place;
    }
    unsigned flags = html_tag_flags(tag);
    bool is_list = tag == HTML_TAG_UL || tag == HTML_TAG_OL;
    bool is_table = tag == HTML_TAG_TABLE || tag == HTML_TAG_TEMPLATE;
    open->nearest[NEAREST_SCOPE] = flags & HTML_SCOPE ? place : open->nearest[NEAREST_SCOPE];
    open->nearest[NEAREST_SPECIAL] = flags & HTML_SPECIAL ? place : open->nearest[NEAREST_SPECIAL];
    open->nearest[NEAREST_LIST] =
        flags & HTML_SCOPE || is_list ? place : open->nearest[NEAREST_LIST];
    open->nearest[NEAREST_TABLE_SCOPE] = is_table ? place : open->nearest[NEAREST_TABLE_SCOPE];
    open->below = builder->top[counter_of(tag, hash)];
    builder->top[counter_of(tag, hash)] = place;
}

static void
element_open(struct builder *builder, const struct html_token *token)
{
    uint32_t node = node_add(builder, token->tag, token->start, token->size);
    if (node != 0) {
        push(builder, node, token->tag, token->hash);
    }
}

/* Ends the head and opens the body, unless that has happened. */
static void
body_open(struct builder *builder, const struct html_token *token)
{
    if (builder->document->body != 0) {
        return;
    }
    pop_to(builder, 1);
    uint32_t start = token == NULL ? 0 : token->start;
    uint32_t size = token == NULL ? 0 : token->size;
    uint32_t node = node_add(builder, HTML_TAG_BODY, start, size);
    if (node != 0) {
        builder->document->body = node;
        push(builder, node, HTML_TAG_BODY, 0);
    }
}

static bool
is_blank(const struct builder *builder, const struct html_token *token)
{
    const uint8_t *at = builder->tokenizer.text + token->start;
    for (uint32_t i = 0; i < token->size; i++) {
        if (at[i] != ' ' && at[i] != '\n' && at[i] != '\t' && at[i] != '\r' && at[i] != '\f') {
            return false;
        }
    }
    return true;
}

static void
text_take(struct builder *builder, const struct html_token *token)
{
    unsigned tag = current(builder)->tag;
    if (builder->document->body == 0 && builder->depth <= 2) {
        if (is_blank(builder, token)) {
            return;
        }
        body_open(builder, NULL);
    } else if ((tag == HTML_TAG_TABLE || tag == HTML_TAG_TR || tag == HTML_TAG_TBODY) &&
               is_blank(builder, token)) {
        return;
    }
    if (token->size > 0) {
        node_add(builder, HTML_TAG_TEXT, token->start, token->size);
    }
}

/* html, head and body tags add their attributes to the node that is there already. */
static void
attributes_take(struct builder *builder, uint32_t node, const struct html_token *token)
{
    struct html_node *element = &builder->document->nodes[node];
    if (element->size == 0) {
        element->start = token->start;
        element->size = token->size;
    }
}

/* What of a table's inside a start tag closes. False: outside of a table it means nothing. */
static bool
table_part_prepare(struct builder *builder, unsigned tag)
{
    struct open_element *open = current(builder);
    if (open->nearest[NEAREST_TABLE] == 0) {
        return false;
    }
    close_nearest(builder, NEAREST_CELL);
    if (tag == HTML_TAG_TD || tag == HTML_TAG_TH) {
        return true;
    }
    close_nearest(builder, NEAREST_ROW);
    if (tag == HTML_TAG_TR) {
        return true;
    }
    close_nearest(builder, NEAREST_SECTION);
    return true;
}

/* Is every element above the place a formatting one or another inline? Then closing is safe. */
static bool
is_inline_above(const struct builder *builder, size_t place)
{
    for (size_t i = builder->depth; i > place; i--) {
        if (html_tag_flags(builder->stack[i - 1].tag) & HTML_SPECIAL) {
            return false;
        }
    }
    return true;
}

/* Ends what the start tag ends by implication. False: the tag itself is to be ignored. */
static bool
start_prepare(struct builder *builder, const struct html_token *token)
{
    unsigned tag = token->tag;
    unsigned flags = html_tag_flags(tag);
    if (is_foreign(builder) && flags & HTML_BREAKOUT) {
        close_nearest(builder, NEAREST_FOREIGN);
    }
    if (flags & HTML_TABLE && !table_part_prepare(builder, tag)) {
        return false;
    }
    if (tag == HTML_TAG_LI) {
        close_nearest(builder, NEAREST_LI);
    } else if (tag == HTML_TAG_DD || tag == HTML_TAG_DT) {
        close_nearest(builder, NEAREST_DD);
    }
    if (flags & HTML_CLOSES_P || (tag == HTML_TAG_TABLE && !is_foreign(builder))) {
        close_nearest(builder, NEAREST_P);
    }
    unsigned open = current(builder)->tag;
    switch (tag) {
    case HTML_TAG_FORM:
        if (builder->has_form) {
            return false;
        }
        builder->has_form = true;
        break;
    case HTML_TAG_A: {
        uint16_t place = current(builder)->nearest[NEAREST_A];
        if (place != 0 && is_inline_above(builder, place)) {
            pop_to(builder, place - 1u);
        }
        break;
    }
    case HTML_TAG_BUTTON:
        close_nearest(builder, NEAREST_BUTTON);
        break;
    case HTML_TAG_TABLE:
        /* A table straight inside another one, in no cell, ends that one. */
        if (current(builder)->nearest[NEAREST_TABLE] != 0 &&
            current(builder)->nearest[NEAREST_CELL] == 0) {
            close_nearest(builder, NEAREST_TABLE);
        }
        break;
    case HTML_TAG_CAPTION:
        table_part_prepare(builder, tag);
        break;
    case HTML_TAG_OPTION:
    case HTML_TAG_OPTGROUP:
    case HTML_TAG_HR:
        if (open == HTML_TAG_OPTION) {
            pop_to(builder, builder->depth - 1);
        }
        if (tag != HTML_TAG_OPTION && current(builder)->tag == HTML_TAG_OPTGROUP) {
            pop_to(builder, builder->depth - 1);
        }
        break;
    case HTML_TAG_RB:
    case HTML_TAG_RT:
    case HTML_TAG_RP:
    case HTML_TAG_RTC:
        if (open == HTML_TAG_RB || open == HTML_TAG_RT || open == HTML_TAG_RP) {
            pop_to(builder, builder->depth - 1);
        }
        break;
    default:
        if (flags & HTML_HEADING && html_tag_flags(open) & HTML_HEADING) {
            pop_to(builder, builder->depth - 1);
        }
    }
    return true;
}

static void
raw_take(struct builder *builder, const struct html_token *token)
{
    element_open(builder, token);
    size_t depth = builder->depth;
    struct html_token text = html_token_raw(&builder->tokenizer, token->tag);
    if (text.size > 0 && !builder->is_full) {
        node_add(builder, HTML_TAG_TEXT, text.start, text.size);
    }
    if (current(builder)->tag == token->tag) {
        pop_to(builder, depth - 1);
    } else if (builder->capped_count[token->tag] > 0) {
        builder->capped_count[token->tag]--;
    }
}

static void
start_take(struct builder *builder, const struct html_token *token)
{
    unsigned tag = token->tag;
    unsigned flags = html_tag_flags(tag);
    if (tag == HTML_TAG_HTML) {
        attributes_take(builder, 0, token);
        return;
    }
    if (builder->document->body == 0 && builder->depth <= 2) {
        if (tag == HTML_TAG_HEAD) {
            attributes_take(builder, 1, token);
            return;
        }
        if (tag == HTML_TAG_BODY) {
            body_open(builder, token);
            return;
        }
        if (!(flags & HTML_HEAD) && tag != HTML_TAG_NOSCRIPT) {
            body_open(builder, NULL);
        }
    } else if (builder->document->body == 0 && current(builder)->tag == HTML_TAG_NOSCRIPT &&
               !(flags & HTML_HEAD)) {
        body_open(builder, NULL);
        if (tag == HTML_TAG_BODY) {
            attributes_take(builder, builder->document->body, token);
            return;
        }
    } else if (tag == HTML_TAG_BODY && builder->document->body != 0) {
        attributes_take(builder, builder->document->body, token);
        return;
    } else if (tag == HTML_TAG_HEAD || tag == HTML_TAG_FRAME || tag == HTML_TAG_FRAMESET) {
        return;
    }
    if (builder->is_full || !start_prepare(builder, token)) {
        return;
    }
    if (is_foreign(builder)) {
        /* Names of HTML mean nothing here, and a slash ends the element. */
        if (token->is_self_closing) {
            node_add(builder, tag, token->start, token->size);
        } else {
            element_open(builder, token);
        }
    } else if (flags & HTML_VOID) {
        node_add(builder, tag, token->start, token->size);
    } else if (flags & HTML_RAW) {
        raw_take(builder, token);
    } else if (tag == HTML_TAG_PLAINTEXT) {
        element_open(builder, token);
        struct html_token rest = html_token_rest(&builder->tokenizer);
        text_take(builder, &rest);
    } else if ((tag == HTML_TAG_SVG || tag == HTML_TAG_MATH) && token->is_self_closing) {
        node_add(builder, tag, token->start, token->size);
    } else {
        element_open(builder, token);
    }
}

/* The uppermost open element that the end tag may mean; 0: none is open. */
static uint16_t
end_place(const struct builder *builder, const struct html_token *token)
{
    uint16_t place = builder->top[counter_of(token->tag, token->hash)];
    if (html_tag_flags(token->tag) & HTML_HEADING) {
        /* Any heading's end tag ends any heading. */
        for (unsigned tag = HTML_TAG_H1; tag <= HTML_TAG_H6; tag++) {
            place = builder->top[tag] > place ? builder->top[tag] : place;
        }
    } else if (token->tag == HTML_TAG_OTHER) {
        while (place != 0 && builder->stack[place - 1].hash != token->hash) {
            place = builder->stack[place - 1].below;
        }
    }
    return place;
}

/* How far down the stack an end tag may reach. */
static uint16_t
end_limit(struct builder *builder, unsigned tag)
{
    const uint16_t *nearest = current(builder)->nearest;
    if (tag == HTML_TAG_TABLE || html_tag_flags(tag) & HTML_TABLE || tag == HTML_TAG_CAPTION) {
        return nearest[NEAREST_TABLE_SCOPE];
    }
    if (tag == HTML_TAG_LI) {
        return nearest[NEAREST_LIST];
    }
    if (tag == HTML_TAG_P) {
        uint16_t button = builder->top[HTML_TAG_BUTTON];
        return button > nearest[NEAREST_SCOPE] ? button : nearest[NEAREST_SCOPE];
    }
    return html_tag_flags(tag) & HTML_SPECIAL ? nearest[NEAREST_SCOPE] : nearest[NEAREST_SPECIAL];
}

static void
end_take(struct builder *builder, const struct html_token *token)
{
    unsigned tag = token->tag;
    size_t counter = counter_of(tag, token->hash);
    if (builder->capped_count[counter] > 0) {
        builder->capped_count[counter]--;
        return;
    }
    if (tag == HTML_TAG_BODY || tag == HTML_TAG_HTML) {
        return; /* what follows belongs to the body all the same */
    }
    if (tag == HTML_TAG_HEAD) {
        if (builder->document->body == 0) {
            pop_to(builder, builder->depth < 2 ? builder->depth : 2);
        }
        return;
    }
    if (tag == HTML_TAG_BR) {
        node_add(builder, HTML_TAG_BR, token->start, token->size);
        return;
    }
    uint16_t place = end_place(builder, token);
    if (place <= 1 || place < end_limit(builder, tag)) {
        return;
    }
    if (tag == HTML_TAG_FORM && !is_inline_above(builder, place)) {
        builder->has_form = false; /* the form ends, what is open inside stays open */
        return;
    }
    pop_to(builder, place - 1u);
}

/* The most nodes the text can give: an element and the text behind it for each start tag, the
 * text behind each other markup, and html, head, body and a first text. */
static uint32_t
node_bound(struct slice text)
{
    size_t count = 4;
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    while (at < end && count < HTML_NODES_MAX) {
        at = memchr(at, '<', (size_t)(end - at));
        if (at == NULL) {
            break;
        }
        at++;
        uint8_t next = at < end ? *at : 0;
        uint8_t letter = (uint8_t)(next | 0x20);
        if (next == '/' || (letter >= 'a' && letter <= 'z')) {
            count += 2; /* </br> is an element too */
        } else if (next == '!' || next == '?') {
            count++;
        }
    }
    return count < HTML_NODES_MAX ? (uint32_t)count : HTML_NODES_MAX;
}

static void
tokens_take(struct builder *builder)
{
    for (;;) {
        builder->tokenizer.is_foreign = is_foreign(builder);
        struct html_token token = html_token_next(&builder->tokenizer);
        switch (token.type) {
        case HTML_TOKEN_TEXT:
            text_take(builder, &token);
            break;
        case HTML_TOKEN_START:
            start_take(builder, &token);
            break;
        case HTML_TOKEN_END:
            end_take(builder, &token);
            break;
        case HTML_TOKEN_FINISH:
            return;
        }
        if (builder->is_full) {
            return;
        }
    }
}

enum error
html_parse(struct arena *arena, struct slice text, struct html_document *ret_document)
{
    if (text.size >= UINT32_MAX) {
        return ERROR_TOO_LARGE;
    }
    struct html_document document = {.text = text.data, .size = (uint32_t)text.size};
    uint32_t node_max = node_bound(text);
    document.nodes = arena_alloc(arena, node_max * sizeof *document.nodes);
    struct builder *builder = arena_alloc(arena, sizeof *builder);
    if (document.nodes == NULL || builder == NULL) {
        return ERROR_NO_MEMORY;
    }
    builder->document = &document;
    builder->node_max = node_max;
    builder->tokenizer = (struct html_tokenizer){.text = text.data, .size = document.size};
    node_add(builder, HTML_TAG_HTML, 0, 0);
    push(builder, 0, HTML_TAG_HTML, 0);
    uint32_t head = node_add(builder, HTML_TAG_HEAD, 0, 0);
    push(builder, head, HTML_TAG_HEAD, 0);
    tokens_take(builder);
    pop_to(builder, 1);
    document.nodes[0].end = document.node_count;
    document.is_truncated = builder->is_full;
    *ret_document = document;
    return OK;
}

struct slice
html_text(const struct html_document *document, uint32_t node)
{
    const struct html_node *text = &document->nodes[node];
    assert(text->tag == HTML_TAG_TEXT);
    return slice_of(document->text + text->start, text->size);
}
