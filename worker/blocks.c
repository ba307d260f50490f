#include "worker/blocks.h"

#include <assert.h>
#include <string.h>

/* A cell that reads like this is a paragraph in a table made for layout. */
#define PROSE_CELL_WORDS 25

/* What holds for the text at one level of the walk. */
struct level {
    uint32_t end; /* one past the element's last node */
    uint32_t box;
    uint32_t group;
    uint8_t kind;
    uint8_t rank; /* heading level, list depth */
    bool is_link;
    bool is_verbatim;
    bool is_small;
};

struct collector {
    struct arena *arena;
    const struct html_document *document;
    struct block_list *list;
    uint32_t block_max;
    struct block block; /* the one being filled */
    bool is_filling;
    bool has_space; /* white space waits to be written before the next word */
    bool all_small;
    uint32_t break_count; /* <br> since the last word */
    size_t depth;
    struct level levels[HTML_DEPTH_MAX + 2];
};

static bool
text_ends_sentence(struct slice text)
{
    size_t size = text.size;
    /* Closing quotes and brackets may follow the mark. */
    while (size > 0 && (text.data[size - 1] == '"' || text.data[size - 1] == '\'' ||
                        text.data[size - 1] == ')' || text.data[size - 1] == ']')) {
        size--;
    }
    if (size >= 3 && text.data[size - 3] == 0xE2 && text.data[size - 2] == 0x80 &&
        (text.data[size - 1] == 0x9D || text.data[size - 1] == 0x99)) {
        size -= 3;
    }
    if (size == 0) {
        return false;
    }
    if (strchr(".!?:;", text.data[size - 1]) != NULL) {
        return true;
    }
    static const char *const marks[] = {"…", "。", "！", "？", "।", "؟", "۔", "»", "」"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t mark_size = strlen(marks[i]);
        if (size >= mark_size && memcmp(text.data + size - mark_size, marks[i], mark_size) == 0) {
            return true;
        }
    }
    return false;
}

static void
block_finish(struct collector *collector)
{
    struct block_list *list = collector->list;
    struct block *block = &collector->block;
    collector->has_space = false;
    collector->break_count = 0;
    if (!collector->is_filling) {
        return;
    }
    collector->is_filling = false;
    while (list->text.size > block->text && (list->text.data[list->text.size - 1] == '\n' ||
                                             list->text.data[list->text.size - 1] == ' ')) {
        list->text.size--;
    }
    block->size = (uint32_t)(list->text.size - block->text);
    if (block->size == 0 || list->count == collector->block_max) {
        list->text.size = block->text;
        return;
    }
    struct slice text = slice_of(list->text.data + block->text, block->size);
    text_measure(text, &block->length, &block->words);
    if (block->link_length > block->length) {
        block->link_length = block->length;
    }
    block->ends_sentence = text_ends_sentence(text);
    block->is_small = collector->all_small;
    if (block->kind == BLOCK_CELL && block->words >= PROSE_CELL_WORDS && block->ends_sentence) {
        block->kind = BLOCK_PARAGRAPH;
    }
    list->blocks[list->count++] = *block;
}

static void
verbatim_append(struct collector *collector, struct slice text)
{
    struct buffer *out = &collector->list->text;
    if (out->size == collector->block.text && text.size > 0 && text.data[0] == '\n') {
        text = slice_of(text.data + 1, text.size - 1);
    }
    html_decode(out, text, false);
}

static void
text_take(struct collector *collector, uint32_t node)
{
    struct block_list *list = collector->list;
    const struct level *level = &collector->levels[collector->depth - 1];
    struct slice text = html_text(collector->document, node);
    if (!collector->is_filling) {
        /* White space between blocks starts none. */
        if (text_is_blank(text)) {
            return;
        }
        collector->block = (struct block){.box = level->box,
                                          .first = node,
                                          .group = level->group,
                                          .text = (uint32_t)list->text.size,
                                          .kind = level->kind,
                                          .level = level->rank};
        collector->is_filling = true;
        collector->has_space = false;
        collector->all_small = true;
    }
    size_t before = list->text.size;
    if (level->is_verbatim) {
        verbatim_append(collector, text);
    } else {
        text_collapse(&list->text, collector->block.text, &collector->has_space, text, false);
    }
    if (list->text.size == before) {
        return;
    }
    collector->break_count = 0;
    collector->block.last = node;
    collector->all_small = collector->all_small && level->is_small;
    if (level->is_link) {
        uint32_t length = 0;
        uint32_t words = 0;
        text_measure(slice_of(list->text.data + before, list->text.size - before), &length, &words);
        collector->block.link_length += length;
    }
}

static void
break_take(struct collector *collector)
{
    const struct level *level = &collector->levels[collector->depth - 1];
    if (level->is_verbatim) {
        if (collector->is_filling) {
            buffer_append_byte(&collector->list->text, '\n');
        }
        return;
    }
    collector->has_space = true;
    if (++collector->break_count >= 2 && level->kind != BLOCK_HEADING) {
        block_finish(collector);
    }
}

/* The kind that an element gives to the text inside. */
static void
level_kind(struct level *level, const struct level *outer, uint32_t node, unsigned tag)
{
    switch (tag) {
    case HTML_TAG_H1:
    case HTML_TAG_H2:
    case HTML_TAG_H3:
    case HTML_TAG_H4:
    case HTML_TAG_H5:
    case HTML_TAG_H6:
        level->kind = BLOCK_HEADING;
        level->rank = (uint8_t)(tag - HTML_TAG_H1 + 1);
        break;
    case HTML_TAG_UL:
    case HTML_TAG_OL:
    case HTML_TAG_MENU:
    case HTML_TAG_DIR:
        level->rank =
            outer->kind == BLOCK_ITEM && outer->rank < UINT8_MAX ? (uint8_t)(outer->rank + 1) : 1;
        level->kind = BLOCK_ITEM;
        break;
    case HTML_TAG_LI:
        level->kind = BLOCK_ITEM;
        level->rank = level->rank == 0 || outer->kind != BLOCK_ITEM ? 1 : level->rank;
        level->group = node;
        break;
    case HTML_TAG_PRE:
    case HTML_TAG_LISTING:
    case HTML_TAG_XMP:
    case HTML_TAG_PLAINTEXT:
        level->kind = BLOCK_CODE;
        level->is_verbatim = true;
        break;
    case HTML_TAG_BLOCKQUOTE:
        level->kind = BLOCK_QUOTE;
        break;
    case HTML_TAG_FIGCAPTION:
    case HTML_TAG_CAPTION:
        level->kind = BLOCK_CAPTION;
        break;
    case HTML_TAG_TR:
        level->group = node;
        break;
    case HTML_TAG_TD:
    case HTML_TAG_TH:
        level->kind = BLOCK_CELL;
        break;
    default:
        break;
    }
}

static void
element_enter(struct collector *collector, uint32_t node)
{
    const struct html_node *element = &collector->document->nodes[node];
    const struct level *outer = &collector->levels[collector->depth - 1];
    unsigned flags = html_tag_flags(element->tag);
    struct level level = *outer;
    level.end = element->end;
    if (flags & HTML_BLOCK) {
        block_finish(collector);
        level.box = node;
        level_kind(&level, outer, node, element->tag);
        if (level.kind != BLOCK_ITEM && level.kind != BLOCK_CELL) {
            level.group = node;
        }
    }
    switch (element->tag) {
    case HTML_TAG_A:
        level.is_link =
            outer->is_link ||
            html_attribute_known(collector->document, node, HTML_ATTRIBUTE_HREF).data != NULL;
        break;
    case HTML_TAG_EM:
    case HTML_TAG_I:
    case HTML_TAG_SMALL:
        level.is_small = true;
        break;
    default:
        break;
    }
    assert(collector->depth < HTML_DEPTH_MAX + 2);
    collector->levels[collector->depth++] = level;
}

static void
levels_leave(struct collector *collector, uint32_t node)
{
    while (collector->depth > 1 && node >= collector->levels[collector->depth - 1].end) {
        if (collector->levels[collector->depth - 1].box !=
            collector->levels[collector->depth - 2].box) {
            block_finish(collector);
        }
        collector->depth--;
    }
}

static void
nodes_walk(struct collector *collector, uint32_t top, const uint8_t *is_skipped)
{
    const struct html_document *document = collector->document;
    uint32_t end = document->nodes[top].end;
    for (uint32_t i = top; i < end;) {
        const struct html_node *node = &document->nodes[i];
        levels_leave(collector, i);
        if (is_skipped[i]) {
            if (html_tag_flags(node->tag) & HTML_BLOCK) {
                block_finish(collector);
            }
            i = node->end;
            continue;
        }
        if (node->tag == HTML_TAG_TEXT) {
            text_take(collector, i);
        } else if (node->tag == HTML_TAG_BR) {
            break_take(collector);
        } else if (node->tag == HTML_TAG_HR) {
            block_finish(collector);
        } else if (node->end > i + 1) {
            element_enter(collector, i);
        } else if (html_tag_flags(node->tag) & HTML_BLOCK) {
            block_finish(collector);
        }
        i++;
    }
    block_finish(collector);
}

/* Blocks that the subtree can give: no more than its texts. */
static uint32_t
block_bound(const struct html_document *document, uint32_t top)
{
    uint32_t count = 1;
    for (uint32_t i = top; i < document->nodes[top].end && count < BLOCKS_MAX; i++) {
        count += document->nodes[i].tag == HTML_TAG_TEXT;
    }
    return count;
}

enum error
block_list_collect(struct arena *arena, const struct html_document *document, uint32_t top,
                   const uint8_t *is_skipped, struct block_list *ret_list)
{
    *ret_list = (struct block_list){0};
    buffer_init(&ret_list->text, (size_t)document->size * 2 + 1024);
    struct collector *collector = arena_alloc(arena, sizeof *collector);
    if (collector == NULL) {
        return ERROR_NO_MEMORY;
    }
    *collector = (struct collector){.arena = arena, .document = document, .list = ret_list};
    collector->block_max = block_bound(document, top);
    ret_list->blocks = arena_alloc(arena, collector->block_max * sizeof *ret_list->blocks);
    if (ret_list->blocks == NULL) {
        return ERROR_NO_MEMORY;
    }
    collector->levels[0] = (struct level){.end = UINT32_MAX, .box = top, .group = top};
    collector->depth = 1;
    nodes_walk(collector, top, is_skipped);
    return buffer_error(&ret_list->text) == OK ? OK : ERROR_NO_MEMORY;
}

void
block_list_release(struct block_list *list)
{
    buffer_release(&list->text);
}

struct slice
block_text(const struct block_list *list, const struct block *block)
{
    return slice_of(list->text.data + block->text, block->size);
}

static void
separator_append(struct buffer *out, const struct block *before, const struct block *block)
{
    bool is_same_kind = before->kind == block->kind;
    if (is_same_kind && block->kind == BLOCK_CELL) {
        buffer_append_string(out, before->group == block->group ? "\t" : "\n");
    } else if (is_same_kind && block->kind == BLOCK_ITEM) {
        buffer_append_string(out, "\n");
    } else {
        buffer_append_string(out, "\n\n");
    }
}

void
block_list_render(const struct block_list *list, struct buffer *out)
{
    const struct block *before = NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct block *block = &list->blocks[i];
        if (!block->is_kept) {
            continue;
        }
        if (before != NULL) {
            separator_append(out, before, block);
        }
        if (block->kind == BLOCK_ITEM) {
            bool is_more =
                before != NULL && before->kind == BLOCK_ITEM && before->group == block->group;
            buffer_append_string(out, is_more ? "  " : "- ");
        }
        buffer_append(out, list->text.data + block->text, block->size);
        before = block;
    }
}
