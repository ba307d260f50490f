/*
 * Tree building: which element a token opens, and which ones it closes by implication.
 */
#include "worker/html_stack.h"

#include <assert.h>
#include <string.h>

static uint32_t
node_add(struct html_builder *builder, unsigned tag, uint32_t start, uint32_t size)
{
    struct html_document *document = builder->document;
    if (document->node_count == builder->node_max) {
        builder->is_full = true;
        return 0;
    }
    uint32_t node = document->node_count++;
    uint32_t parent = builder->depth == 0 ? 0 : html_stack_current(builder)->node;
    document->nodes[node] = (struct html_node){.start = start,
                                               .size = size,
                                               .parent = parent,
                                               .end = node + 1,
                                               .tag = (uint8_t)tag,
                                               .depth = (uint16_t)builder->depth};
    return node;
}

/* The token's attributes become those of the node; no other token's have been read since. */
static void
attributes_give(struct html_builder *builder, uint32_t node, const struct html_token *token)
{
    struct html_node *element = &builder->document->nodes[node];
    element->first_attribute = builder->tokenizer.attribute_count;
    element->attribute_count = token->attribute_count;
    builder->tokenizer.attribute_count += token->attribute_count;
}

static uint32_t
element_add(struct html_builder *builder, const struct html_token *token)
{
    uint32_t node = node_add(builder, token->tag, token->start, token->size);
    if (node != 0) {
        attributes_give(builder, node, token);
    }
    return node;
}

static void
element_open(struct html_builder *builder, const struct html_token *token)
{
    uint32_t node = element_add(builder, token);
    if (node != 0) {
        html_stack_push(builder, node, token->tag, token->hash);
    }
}

/* Ends the head and opens the body, unless that has happened. */
static void
body_open(struct html_builder *builder, const struct html_token *token)
{
    if (builder->document->body != 0) {
        return;
    }
    html_stack_pop_to(builder, 1);
    uint32_t start = token == NULL ? 0 : token->start;
    uint32_t size = token == NULL ? 0 : token->size;
    uint32_t node = node_add(builder, HTML_TAG_BODY, start, size);
    if (node != 0) {
        if (token != NULL) {
            attributes_give(builder, node, token);
        }
        builder->document->body = node;
        html_stack_push(builder, node, HTML_TAG_BODY, 0);
    }
}

static bool
is_blank(const struct html_builder *builder, const struct html_token *token)
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
text_take(struct html_builder *builder, const struct html_token *token)
{
    unsigned tag = html_stack_current(builder)->tag;
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
attributes_take(struct html_builder *builder, uint32_t node, const struct html_token *token)
{
    struct html_node *element = &builder->document->nodes[node];
    if (element->size == 0) {
        element->start = token->start;
        element->size = token->size;
        attributes_give(builder, node, token);
    }
}

/* What of a table's inside a start tag closes. False: outside of a table it means nothing. */
static bool
table_part_prepare(struct html_builder *builder, unsigned tag)
{
    struct open_element *open = html_stack_current(builder);
    if (open->nearest[NEAREST_TABLE] == 0) {
        return false;
    }
    html_stack_close(builder, NEAREST_CELL);
    if (tag == HTML_TAG_TD || tag == HTML_TAG_TH) {
        return true;
    }
    html_stack_close(builder, NEAREST_ROW);
    if (tag == HTML_TAG_TR) {
        return true;
    }
    html_stack_close(builder, NEAREST_SECTION);
    return true;
}

/* Is every element above the place a formatting one or another inline? Then closing is safe. */
static bool
is_inline_above(const struct html_builder *builder, size_t place)
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
start_prepare(struct html_builder *builder, const struct html_token *token)
{
    unsigned tag = token->tag;
    unsigned flags = html_tag_flags(tag);
    if (html_stack_is_foreign(builder) && flags & HTML_BREAKOUT) {
        html_stack_close(builder, NEAREST_FOREIGN);
    }
    if (flags & HTML_TABLE && !table_part_prepare(builder, tag)) {
        return false;
    }
    if (tag == HTML_TAG_LI) {
        html_stack_close(builder, NEAREST_LI);
    } else if (tag == HTML_TAG_DD || tag == HTML_TAG_DT) {
        html_stack_close(builder, NEAREST_DD);
    }
    if (flags & HTML_CLOSES_P || (tag == HTML_TAG_TABLE && !html_stack_is_foreign(builder))) {
        html_stack_close(builder, NEAREST_P);
    }
    unsigned open = html_stack_current(builder)->tag;
    switch (tag) {
    case HTML_TAG_FORM:
        if (builder->has_form) {
            return false;
        }
        builder->has_form = true;
        break;
    case HTML_TAG_A: {
        uint16_t place = html_stack_current(builder)->nearest[NEAREST_A];
        if (place != 0 && is_inline_above(builder, place)) {
            html_stack_pop_to(builder, place - 1u);
        }
        break;
    }
    case HTML_TAG_BUTTON:
        html_stack_close(builder, NEAREST_BUTTON);
        break;
    case HTML_TAG_TABLE:
        /* A table straight inside another one, in no cell, ends that one. */
        if (html_stack_current(builder)->nearest[NEAREST_TABLE] != 0 &&
            html_stack_current(builder)->nearest[NEAREST_CELL] == 0) {
            html_stack_close(builder, NEAREST_TABLE);
        }
        break;
    case HTML_TAG_CAPTION:
        table_part_prepare(builder, tag);
        break;
    case HTML_TAG_OPTION:
    case HTML_TAG_OPTGROUP:
    case HTML_TAG_HR:
        if (open == HTML_TAG_OPTION) {
            html_stack_pop_to(builder, builder->depth - 1);
        }
        if (tag != HTML_TAG_OPTION && html_stack_current(builder)->tag == HTML_TAG_OPTGROUP) {
            html_stack_pop_to(builder, builder->depth - 1);
        }
        break;
    case HTML_TAG_RB:
    case HTML_TAG_RT:
    case HTML_TAG_RP:
    case HTML_TAG_RTC:
        if (open == HTML_TAG_RB || open == HTML_TAG_RT || open == HTML_TAG_RP) {
            html_stack_pop_to(builder, builder->depth - 1);
        }
        break;
    default:
        if (flags & HTML_HEADING && html_tag_flags(open) & HTML_HEADING) {
            html_stack_pop_to(builder, builder->depth - 1);
        }
    }
    return true;
}

static void
raw_take(struct html_builder *builder, const struct html_token *token)
{
    element_open(builder, token);
    size_t depth = builder->depth;
    struct html_token text = html_token_raw(&builder->tokenizer, token->tag);
    if (text.size > 0 && !builder->is_full) {
        node_add(builder, HTML_TAG_TEXT, text.start, text.size);
    }
    if (html_stack_current(builder)->tag == token->tag) {
        html_stack_pop_to(builder, depth - 1);
    } else if (builder->capped_count[token->tag] > 0) {
        builder->capped_count[token->tag]--;
    }
}

static void
start_take(struct html_builder *builder, const struct html_token *token)
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
    } else if (builder->document->body == 0 &&
               html_stack_current(builder)->tag == HTML_TAG_NOSCRIPT && !(flags & HTML_HEAD)) {
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
    if (html_stack_is_foreign(builder)) {
        /* Names of HTML mean nothing here, and a slash ends the element. */
        if (token->is_self_closing) {
            element_add(builder, token);
        } else {
            element_open(builder, token);
        }
    } else if (flags & HTML_VOID) {
        element_add(builder, token);
    } else if (flags & HTML_RAW) {
        raw_take(builder, token);
    } else if (tag == HTML_TAG_PLAINTEXT) {
        element_open(builder, token);
        struct html_token rest = html_token_rest(&builder->tokenizer);
        text_take(builder, &rest);
    } else if ((tag == HTML_TAG_SVG || tag == HTML_TAG_MATH) && token->is_self_closing) {
        element_add(builder, token);
    } else {
        element_open(builder, token);
    }
}

static void
end_take(struct html_builder *builder, const struct html_token *token)
{
    unsigned tag = token->tag;
    size_t counter = html_stack_counter(tag, token->hash);
    if (builder->capped_count[counter] > 0) {
        builder->capped_count[counter]--;
        return;
    }
    if (tag == HTML_TAG_BODY || tag == HTML_TAG_HTML) {
        return; /* what follows belongs to the body all the same */
    }
    if (tag == HTML_TAG_HEAD) {
        if (builder->document->body == 0) {
            html_stack_pop_to(builder, builder->depth < 2 ? builder->depth : 2);
        }
        return;
    }
    if (tag == HTML_TAG_BR) {
        element_add(builder, token);
        return;
    }
    uint16_t place = html_stack_end_place(builder, token);
    if (place <= 1 || place < html_stack_end_limit(builder, tag)) {
        return;
    }
    if (tag == HTML_TAG_FORM && !is_inline_above(builder, place)) {
        builder->has_form = false; /* the form ends, what is open inside stays open */
        return;
    }
    html_stack_pop_to(builder, place - 1u);
}

#define COUNT_BLOCK_BYTES ((size_t)128) /* fewer than a byte counts to */

static size_t
opens_count(struct slice text)
{
    size_t count = 0;
    size_t i = 0;
    /* Of fixed size, so that the compiler makes vectors of it. */
    for (; text.size - i >= COUNT_BLOCK_BYTES; i += COUNT_BLOCK_BYTES) {
        uint8_t block = 0;
        for (size_t j = 0; j < COUNT_BLOCK_BYTES; j++) {
            block = (uint8_t)(block + (text.data[i + j] == '<'));
        }
        count += block;
    }
    for (; i < text.size; i++) {
        count += text.data[i] == '<';
    }
    return count;
}

/* The most nodes the text can give: for each '<' an element and the text behind it, and html, head,
 * body and a first text. */
static uint32_t
node_bound(struct slice text)
{
    size_t count = 2 * opens_count(text) + 4;
    return count < HTML_NODES_MAX ? (uint32_t)count : HTML_NODES_MAX;
}

/* Room for the attributes of the next tag, and of an end tag right behind it. */
static bool
attributes_reserve(struct html_builder *builder)
{
    struct html_tokenizer *tokenizer = &builder->tokenizer;
    uint32_t needed = tokenizer->attribute_count + 2 * HTML_ATTRIBUTES_MAX;
    if (needed <= builder->attribute_max) {
        return true;
    }
    if (needed > HTML_PAGE_ATTRIBUTES_MAX) {
        tokenizer->attribute_room = 0;
        return true;
    }
    uint32_t attribute_max = needed * 2;
    struct html_attribute_span *attributes =
        arena_reserve(builder->arena, attribute_max * sizeof *attributes);
    if (attributes == NULL) {
        return false;
    }
    if (tokenizer->attribute_count > 0) {
        memcpy(attributes, tokenizer->attributes, tokenizer->attribute_count * sizeof *attributes);
    }
    tokenizer->attributes = attributes;
    tokenizer->attribute_room = HTML_ATTRIBUTES_MAX;
    builder->attribute_max = attribute_max;
    return true;
}

/* False: the arena is full. */
static bool
tokens_take(struct html_builder *builder)
{
    while (attributes_reserve(builder)) {
        builder->tokenizer.is_foreign = html_stack_is_foreign(builder);
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
            return true;
        }
        if (builder->is_full) {
            return true;
        }
    }
    return false;
}

enum error
html_parse(struct arena *arena, struct slice text, struct html_document *ret_document)
{
    if (text.size >= UINT32_MAX) {
        return ERROR_TOO_LARGE;
    }
    struct html_document document = {.text = text.data, .size = (uint32_t)text.size};
    uint32_t node_max = node_bound(text);
    document.nodes = arena_reserve(arena, node_max * sizeof *document.nodes);
    struct html_builder *builder = arena_alloc(arena, sizeof *builder);
    if (document.nodes == NULL || builder == NULL) {
        return ERROR_NO_MEMORY;
    }
    builder->arena = arena;
    builder->document = &document;
    builder->node_max = node_max;
    builder->tokenizer = (struct html_tokenizer){.text = text.data, .size = document.size};
    node_add(builder, HTML_TAG_HTML, 0, 0);
    html_stack_push(builder, 0, HTML_TAG_HTML, 0);
    uint32_t head = node_add(builder, HTML_TAG_HEAD, 0, 0);
    html_stack_push(builder, head, HTML_TAG_HEAD, 0);
    if (!tokens_take(builder)) {
        return ERROR_NO_MEMORY;
    }
    html_stack_pop_to(builder, 1);
    document.attributes = builder->tokenizer.attributes;
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
