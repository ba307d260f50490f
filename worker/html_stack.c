#include "worker/html_stack.h"

#include <assert.h>

size_t
html_stack_counter(unsigned tag, uint16_t hash)
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

struct open_element *
html_stack_current(struct html_builder *builder)
{
    return &builder->stack[builder->depth - 1];
}

bool
html_stack_is_foreign(const struct html_builder *builder)
{
    return builder->stack[builder->depth - 1].nearest[NEAREST_FOREIGN] != 0;
}

void
html_stack_pop_to(struct html_builder *builder, size_t depth)
{
    assert(depth >= 1 && depth <= builder->depth);
    while (builder->depth > depth) {
        struct open_element *open = html_stack_current(builder);
        builder->document->nodes[open->node].end = builder->document->node_count;
        builder->top[html_stack_counter(open->tag, open->hash)] = open->below;
        builder->depth--;
        if (open->tag == HTML_TAG_FORM) {
            builder->has_form = false;
        }
    }
}

void
html_stack_close(struct html_builder *builder, enum nearest kind)
{
    uint16_t place = html_stack_current(builder)->nearest[kind];
    if (place != 0) {
        html_stack_pop_to(builder, place - 1u);
    }
}

void
html_stack_push(struct html_builder *builder, uint32_t node, unsigned tag, uint16_t hash)
{
    if (builder->depth == HTML_DEPTH_MAX) {
        builder->capped_count[html_stack_counter(tag, hash)]++;
        return;
    }
    struct open_element *open = &builder->stack[builder->depth];
    if (builder->depth == 0) {
        *open = (struct open_element){0};
    } else {
        *open = builder->stack[builder->depth - 1];
        for (unsigned barriers = barriers_of(tag); barriers != 0; barriers &= barriers - 1) {
            open->nearest[__builtin_ctz(barriers)] = 0;
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
    open->below = builder->top[html_stack_counter(tag, hash)];
    builder->top[html_stack_counter(tag, hash)] = place;
}

uint16_t
html_stack_end_place(const struct html_builder *builder, const struct html_token *token)
{
    uint16_t place = builder->top[html_stack_counter(token->tag, token->hash)];
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

uint16_t
html_stack_end_limit(struct html_builder *builder, unsigned tag)
{
    const uint16_t *nearest = html_stack_current(builder)->nearest;
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
