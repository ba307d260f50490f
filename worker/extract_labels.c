/*
 * Which blocks of the root a reader wants: first from the block itself, then from its neighbours.
 */
#include "worker/extract_page.h"

#include <string.h>
#include <xxhash.h>

#include "worker/extract_metadata.h"

#define GOOD_WORDS_MIN 12
#define GOOD_SENTENCE_WORDS_MIN 6
#define BAD_LINK_WORDS_MAX 40
#define REPEAT_LENGTH_MIN 200 /* shorter ones may be meant: questions, labels, refrains */
#define REPEAT_QUOTE_LENGTH_MIN 40
#define REPEAT_LOOSE_LENGTH_MIN 40 /* the same part for wide and for narrow screens */
#define REPEAT_SLOTS_MAX 65536u
#define ENDING_SHARE_MAX 0.25   /* what an ending cuts off is less than this of the text */
#define COMMENTS_SHARE_MAX 0.75 /* the same for readers' comments */
#define NOTE_BLOCKS 3           /* the last blocks that may be notes */
#define ASIDE_WORDS_MIN 8       /* fewer in italics at the end are a signature */
#define TITLE_LENGTH_MIN 8
#define EMBED_DEPTH_MAX 3
#define THREAD_NAME_WORDS_MAX 2

/* Is the one equal to the other, or to its beginning (the title with the site's name behind)? */
static bool
is_like_title(struct slice text, struct slice title, bool may_be_prefix)
{
    if (title.size < TITLE_LENGTH_MIN || text.size < TITLE_LENGTH_MIN) {
        return false;
    }
    size_t i = 0;
    size_t j = 0;
    for (;;) {
        int a = title_next(text, &i);
        int b = title_next(title, &j);
        if (a == -1) {
            return b == -1 || (may_be_prefix && text.size * 2 > title.size);
        }
        if (a != b) {
            return false;
        }
    }
}

static double
link_share(const struct block *block)
{
    return block->length == 0 ? 0 : (double)block->link_length / block->length;
}

/* Part of an embedded post, whose links and signature belong to it. */
static bool
is_embedded(const struct page *page, uint32_t box)
{
    for (unsigned i = 0; i < EMBED_DEPTH_MAX && box != 0; i++) {
        if (page->features[box].tokens & TOKEN_EMBED) {
            return true;
        }
        box = page->document->nodes[box].parent;
    }
    return false;
}

static enum block_label
label_of(const struct page *page, const struct block *block)
{
    struct slice text = block_text(&page->list, block);
    if (block->kind == BLOCK_CODE || is_embedded(page, block->box)) {
        return LABEL_GOOD;
    }
    bool is_first_heading = block->kind == BLOCK_HEADING && block->level == 1;
    if (block->words < 40 && (is_like_title(text, page->title, false) ||
                              is_like_title(text, page->page_title, is_first_heading))) {
        return LABEL_TITLE;
    }
    if (phrase_is_boilerplate(text, block->words)) {
        return LABEL_BAD;
    }
    double links = link_share(block);
    if (block->kind == BLOCK_HEADING) {
        return LABEL_HEADING;
    }
    if (links > 0.67 && block->words < BAD_LINK_WORDS_MAX) {
        return LABEL_BAD;
    }
    if ((block->words >= GOOD_WORDS_MIN && links < 0.5) ||
        (block->words >= GOOD_SENTENCE_WORDS_MIN && block->ends_sentence)) {
        return LABEL_GOOD;
    }
    return LABEL_SHORT;
}

static bool
is_listed(const struct block *block)
{
    return block->kind == BLOCK_ITEM || block->kind == BLOCK_CELL;
}

/* Two paragraphs of one element, one right after the other. */
static bool
is_sibling(const struct page *page, const struct block *before, const struct block *after)
{
    const struct html_node *nodes = page->document->nodes;
    return nodes[before->box].tag == HTML_TAG_P && nodes[after->box].tag == HTML_TAG_P &&
           nodes[before->box].parent == nodes[after->box].parent &&
           after->box - nodes[before->box].end <= 1; /* white space */
}

/* What comes before the first and after the last good block goes, lists beside them excepted. */
static void
edges_keep(const struct page *page, struct block_list *list)
{
    uint32_t first = 0;
    while (first < list->count && list->blocks[first].label != LABEL_GOOD) {
        first++;
    }
    uint32_t last = list->count;
    while (last > first && list->blocks[last - 1].label != LABEL_GOOD) {
        last--;
    }
    while (last < list->count && list->blocks[last].label == LABEL_SHORT &&
           is_listed(&list->blocks[last])) {
        last++;
    }
    if (last < list->count && last > first && list->blocks[last].label == LABEL_SHORT &&
        is_sibling(page, &list->blocks[last - 1], &list->blocks[last])) {
        last++;
    }
    if (first > 0 && first < list->count && list->blocks[first - 1].label == LABEL_SHORT &&
        is_sibling(page, &list->blocks[first - 1], &list->blocks[first])) {
        first--;
    }
    for (uint32_t i = first; i < last; i++) {
        enum block_label label = list->blocks[i].label;
        list->blocks[i].is_kept = label != LABEL_BAD && label != LABEL_TITLE;
    }
    /* A heading right above the first block belongs to it. */
    for (uint32_t i = first; i > 0 && first < list->count; i--) {
        if (list->blocks[i - 1].label != LABEL_HEADING || list->blocks[i - 1].level == 1) {
            break;
        }
        list->blocks[i - 1].is_kept = true;
    }
}

/* Headings over nothing: no text before the next heading of the same rank or a higher one. */
static void
headings_keep(struct block_list *list)
{
    bool has_text = false;
    unsigned level = 0;
    for (uint32_t i = list->count; i > 0; i--) {
        struct block *block = &list->blocks[i - 1];
        if (!block->is_kept) {
            continue;
        }
        if (block->kind != BLOCK_HEADING) {
            has_text = true;
            level = 7;
            continue;
        }
        block->is_kept = has_text && block->level < level;
        if (block->is_kept) {
            level = block->level;
        }
    }
}

static uint32_t
kept_length(const struct block_list *list, uint32_t from)
{
    uint32_t length = 0;
    for (uint32_t i = from; i < list->count; i++) {
        length += list->blocks[i].is_kept ? list->blocks[i].length : 0;
    }
    return length;
}

/* "Related articles" and the like: it and all behind it, when that is little. */
static void
ending_cut(struct page *page)
{
    struct block_list *list = &page->list;
    double all = kept_length(list, 0);
    double before = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct block *block = &list->blocks[i];
        bool is_comments = phrase_is_comments(block_text(list, block), block->words);
        double share = is_comments ? COMMENTS_SHARE_MAX : page->is_product ? 0.5 : ENDING_SHARE_MAX;
        if (before >= (1 - share) * all && before > 0 &&
            (is_comments || phrase_is_ending(block_text(list, block), block->words))) {
            for (uint32_t j = i; j < list->count; j++) {
                list->blocks[j].is_kept = false;
            }
            return;
        }
        before += block->is_kept ? block->length : 0;
    }
}

static void
notes_cut(struct page *page)
{
    struct block_list *list = &page->list;
    unsigned seen = 0;
    for (uint32_t i = list->count; i > 1 && seen < NOTE_BLOCKS; i--) {
        struct block *block = &list->blocks[i - 1];
        if (!block->is_kept) {
            continue;
        }
        seen++;
        struct slice text = block_text(list, block);
        bool is_note = block->words < 60 && phrase_is_note(text);
        bool is_aside =
            block->is_small && seen == 1 && block->words > ASIDE_WORDS_MIN && block->words < 60;
        if (is_note || is_aside) {
            block->is_kept = false;
        } else if (seen > 1) {
            continue;
        }
    }
}

/* Long texts that were there before, wherever; the first one stays. */
static enum error
repeats_cut(struct page *page)
{
    struct block_list *list = &page->list;
    uint32_t slots = 16;
    while (slots < list->count * 2 && slots < REPEAT_SLOTS_MAX) {
        slots *= 2;
    }
    uint64_t *seen = arena_alloc(page->arena, slots * sizeof *seen);
    if (seen == NULL) {
        return ERROR_NO_MEMORY;
    }
    for (uint32_t i = 0, used = 0; i < list->count && used < slots / 2; i++) {
        struct block *block = &list->blocks[i];
        uint32_t length_min = page->kind != PAGE_ARTICLE   ? REPEAT_LOOSE_LENGTH_MIN
                              : block->kind == BLOCK_QUOTE ? REPEAT_QUOTE_LENGTH_MIN
                                                           : REPEAT_LENGTH_MIN;
        if (!block->is_kept || block->length < length_min || block->kind == BLOCK_CODE ||
            block->kind == BLOCK_CELL ||
            (block->kind == BLOCK_ITEM && page->kind == PAGE_ARTICLE)) {
            continue;
        }
        uint64_t hash = XXH3_64bits(list->text.data + block->text, block->size) | 1;
        uint32_t slot = (uint32_t)hash & (slots - 1);
        while (seen[slot] != 0 && seen[slot] != hash) {
            slot = (slot + 1) & (slots - 1);
        }
        if (seen[slot] == hash) {
            block->is_kept = false;
            block->label = LABEL_REPEAT;
        } else {
            seen[slot] = hash;
            used++;
        }
    }
    return OK;
}

/* What stands around the posts of a thread: names, dates, counts of posts. */
static void
thread_keep(struct page *page)
{
    struct block_list *list = &page->list;
    for (uint32_t i = 0; i < list->count; i++) {
        struct block *block = &list->blocks[i];
        if (block->label == LABEL_BAD || block->label == LABEL_TITLE) {
            block->is_kept = false;
        }
        if (block->label != LABEL_SHORT || block->ends_sentence) {
            continue;
        }
        struct slice text = block_text(list, block);
        unsigned digits = 0;
        for (size_t j = 0; j < text.size; j++) {
            digits += text.data[j] >= '0' && text.data[j] <= '9';
        }
        if (block->words <= THREAD_NAME_WORDS_MAX || digits * 4 > text.size) {
            block->is_kept = false;
        }
    }
}

static void
loose_keep(struct page *page)
{
    struct block_list *list = &page->list;
    for (uint32_t i = 0; i < list->count; i++) {
        struct block *block = &list->blocks[i];
        block->is_kept = block->label != LABEL_BAD || link_share(block) > 0.67;
    }
}

enum error
page_blocks(struct page *page)
{
    block_list_release(&page->list);
    enum error error =
        block_list_collect(page->arena, page->document, page->root, page->is_skipped, &page->list);
    if (error != OK) {
        return error;
    }
    struct block_list *list = &page->list;
    for (uint32_t i = 0; i < list->count; i++) {
        list->blocks[i].label = (uint8_t)label_of(page, &list->blocks[i]);
    }
    if (page->kind != PAGE_ARTICLE) {
        loose_keep(page);
        if (page->is_product) {
            ending_cut(page);
        }
        if (page->kind == PAGE_FORUM) {
            thread_keep(page);
        }
        return repeats_cut(page);
    }
    edges_keep(page, list);
    ending_cut(page);
    notes_cut(page);
    error = repeats_cut(page);
    headings_keep(list);
    return error;
}

uint32_t
page_kept_length(const struct page *page)
{
    return kept_length(&page->list, 0);
}

void
page_release(struct page *page)
{
    block_list_release(&page->list);
}
