#include "broker/store_pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/lmdb_format.h"
#include "broker/store_file.h"

#define TREES_MAX 64 /* named databases in one file */
#define KEY_BYTES_MAX 511

struct node {
    uint64_t child;    /* branch */
    uint64_t big_page; /* leaf, NODE_BIG */
    uint16_t flags;    /* leaf */
    struct slice key;
    struct slice value; /* leaf; with NODE_BIG only its size counts */
};

enum tree_kind {
    TREE_FREE,
    TREE_MAIN,
    TREE_TABLE,
};

struct level {
    uint8_t *page;
    unsigned node_count;
    unsigned index;
};

struct pages {
    struct store_file file;
    bool is_deep;
    size_t page_bytes;
    uint64_t number;     /* of the newest batch */
    uint64_t page_count; /* that the head knows of; the last ones need not be in the file */
    uint64_t at;         /* the page being looked at, for the message */
    uint8_t *reached;    /* a bit for each page */
    uint8_t *memory;     /* TREE_DEPTH_MAX pages */
    struct tree trees[TREES_MAX];
    unsigned tree_count;
    /* of the tree being walked */
    enum tree_kind kind;
    struct level levels[TREE_DEPTH_MAX];
    struct tree seen;
    uint8_t last_key[KEY_BYTES_MAX];
    size_t last_key_bytes;
    bool has_last_key;
    uint8_t separator[KEY_BYTES_MAX];
    size_t separator_bytes;
    bool has_separator;
};

static enum error
damaged(const struct pages *pages, const char *what)
{
    return store_file_damaged(&pages->file, pages->at, what);
}

static enum error
read_at(const struct pages *pages, void *to, size_t size, uint64_t offset)
{
    return store_file_read(&pages->file, pages->at, to, size, offset);
}

/* Marks a run of pages as used; each may be used once. */
static enum error
reach(struct pages *pages, uint64_t first, uint64_t count)
{
    if (first < META_COUNT || first >= pages->page_count || count > pages->page_count - first) {
        return damaged(pages, "it names a page that is not in the file");
    }
    for (uint64_t number = first; number < first + count; number++) {
        uint8_t bit = (uint8_t)(1u << (number & 7));

        if ((pages->reached[number >> 3] & bit) != 0) {
            return damaged(pages, "it names a page that is used elsewhere");
        }
        pages->reached[number >> 3] |= bit;
    }
    return OK;
}

static int
compare_keys(const struct pages *pages, struct slice a, struct slice b)
{
    int order;

    if (pages->kind == TREE_FREE) {
        uint64_t x;
        uint64_t y;

        memcpy(&x, a.data, sizeof(x));
        memcpy(&y, b.data, sizeof(y));
        return (x > y) - (x < y);
    }
    order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- one page ----------------------------------------------------------------------------- */

static enum error
load_page(struct pages *pages, uint64_t number, unsigned flags, struct level *level)
{
    struct page_head head;
    enum error error = reach(pages, number, 1);

    if (error != OK) {
        return error;
    }
    pages->at = number;
    error = read_at(pages, level->page, pages->page_bytes, number * pages->page_bytes);
    if (error != OK) {
        return error;
    }
    memcpy(&head, level->page, sizeof(head));
    if (head.number != number || head.flags != flags) {
        return damaged(pages, "its head is wrong");
    }
    if (head.lower < PAGE_HEAD_BYTES || head.lower > head.upper || head.upper > pages->page_bytes ||
        (head.lower & 1) != 0) {
        return damaged(pages, "its bounds are wrong");
    }
    level->node_count = (unsigned)(head.lower - PAGE_HEAD_BYTES) / 2;
    level->index = 0;
    if (level->node_count == 0) {
        return damaged(pages, "it is empty");
    }
    return OK;
}

static enum error
load_node(struct pages *pages, const struct level *level, bool is_leaf, unsigned index,
          struct node *ret_node)
{
    struct page_head head;
    struct node_head node;
    uint16_t offset;
    size_t size;

    memcpy(&head, level->page, sizeof(head));
    memcpy(&offset, level->page + PAGE_HEAD_BYTES + 2 * index, sizeof(offset));
    if (offset < head.upper || offset > pages->page_bytes - NODE_HEAD_BYTES) {
        return damaged(pages, "a row lies outside of it");
    }
    memcpy(&node, level->page + offset, sizeof(node));
    *ret_node = (struct node){0};
    size = NODE_HEAD_BYTES + (size_t)node.key_bytes;
    ret_node->key = slice_of(level->page + offset + NODE_HEAD_BYTES, node.key_bytes);
    if (is_leaf) {
        size_t value_bytes = (size_t)node.low | (size_t)node.high << 16;

        ret_node->flags = node.flags;
        ret_node->value = slice_of(ret_node->key.data + node.key_bytes, value_bytes);
        size += (node.flags & NODE_BIG) != 0 ? sizeof(ret_node->big_page) : value_bytes;
    } else {
        ret_node->child =
            (uint64_t)node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
    }
    if (size > pages->page_bytes - offset || node.key_bytes > KEY_BYTES_MAX) {
        return damaged(pages, "a row is longer than it");
    }
    if ((node.key_bytes == 0 && (is_leaf || index > 0)) ||
        (pages->kind == TREE_FREE && (is_leaf || index > 0) && node.key_bytes != 8)) {
        return damaged(pages, "a key has the wrong length");
    }
    if (is_leaf && (node.flags & NODE_BIG) != 0) {
        memcpy(&ret_node->big_page, ret_node->value.data, sizeof(ret_node->big_page));
    }
    return OK;
}

/* ---- rows --------------------------------------------------------------------------------- */

static enum error
check_big_value(struct pages *pages, const struct node *node)
{
    uint64_t count = (PAGE_HEAD_BYTES - 1 + (uint64_t)node->value.size) / pages->page_bytes + 1;
    struct page_head head;
    uint32_t stored;
    enum error error;

    if (!pages->is_deep) {
        /* A value that was rewritten inside one batch may own more pages than it fills. */
        pages->seen.overflow_pages += count;
        return reach(pages, node->big_page, count);
    }
    if (node->big_page >= pages->page_count) {
        return damaged(pages, "it names a page that is not in the file");
    }
    error = read_at(pages, &head, sizeof(head), node->big_page * pages->page_bytes);
    if (error != OK) {
        return error;
    }
    stored = (uint32_t)head.lower | (uint32_t)head.upper << 16;
    if (head.number != node->big_page || head.flags != PAGE_OVERFLOW || stored < count) {
        pages->at = node->big_page;
        return damaged(pages, "the head of a large value is wrong");
    }
    pages->seen.overflow_pages += stored;
    return reach(pages, node->big_page, stored);
}

static enum error
check_tree_row(struct pages *pages, const struct node *node)
{
    if (node->flags != NODE_TREE || node->value.size != sizeof(struct tree)) {
        return damaged(pages, "a row of the list of tables is wrong");
    }
    if (pages->tree_count == TREES_MAX) {
        return damaged(pages, "there are more tables than ever made");
    }
    memcpy(&pages->trees[pages->tree_count++], node->value.data, sizeof(struct tree));
    return OK;
}

/* A row of the free list: how many, then page numbers, largest first. */
static enum error
check_free_row(struct pages *pages, const struct node *node)
{
    enum error error = OK;
    uint64_t *numbers;
    uint64_t number;
    uint64_t count;

    memcpy(&number, node->key.data, sizeof(number));
    if (number > pages->number) {
        return damaged(pages, "the free list speaks of a batch that is to come");
    }
    if (node->value.size < sizeof(count) || node->value.size % sizeof(count) != 0) {
        return damaged(pages, "a row of the free list has the wrong length");
    }
    numbers = malloc(node->value.size);
    if (numbers == NULL) {
        return ERROR_NO_MEMORY;
    }
    if ((node->flags & NODE_BIG) != 0) {
        error = read_at(pages, numbers, node->value.size,
                        node->big_page * pages->page_bytes + PAGE_HEAD_BYTES);
    } else {
        memcpy(numbers, node->value.data, node->value.size);
    }
    count = numbers[0];
    if (error == OK && count > node->value.size / sizeof(count) - 1) {
        error = damaged(pages, "a row of the free list is wrong");
    }
    for (uint64_t i = 1; error == OK && i <= count; i++) {
        if (i > 1 && numbers[i] >= numbers[i - 1]) {
            error = damaged(pages, "a row of the free list is out of order");
        } else {
            error = reach(pages, numbers[i], 1);
        }
    }
    free(numbers);
    return error;
}

static enum error
check_row(struct pages *pages, const struct node *node)
{
    enum error error = OK;

    if (pages->has_last_key &&
        compare_keys(pages, slice_of(pages->last_key, pages->last_key_bytes), node->key) >= 0) {
        return damaged(pages, "its keys are out of order");
    }
    if (pages->has_separator &&
        compare_keys(pages, slice_of(pages->separator, pages->separator_bytes), node->key) > 0) {
        return damaged(pages, "its keys do not belong there");
    }
    pages->has_separator = false;
    memcpy(pages->last_key, node->key.data, node->key.size);
    pages->last_key_bytes = node->key.size;
    pages->has_last_key = true;
    pages->seen.entries++;
    if (pages->kind == TREE_MAIN) {
        return check_tree_row(pages, node);
    }
    if ((node->flags & ~(unsigned)NODE_BIG) != 0) {
        return damaged(pages, "a row has unknown marks");
    }
    if ((node->flags & NODE_BIG) != 0) {
        error = check_big_value(pages, node);
    }
    return error == OK && pages->kind == TREE_FREE ? check_free_row(pages, node) : error;
}

static enum error
check_leaf(struct pages *pages, const struct level *level)
{
    for (unsigned i = 0; i < level->node_count; i++) {
        struct node node;
        enum error error = load_node(pages, level, true, i, &node);

        if (error == OK) {
            error = check_row(pages, &node);
        }
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

/* ---- trees -------------------------------------------------------------------------------- */

/* The key beside the next child parts what was read from what comes. */
static enum error
take_separator(struct pages *pages, const struct node *node)
{
    if (pages->has_last_key &&
        compare_keys(pages, slice_of(pages->last_key, pages->last_key_bytes), node->key) >= 0) {
        return damaged(pages, "its keys are out of order");
    }
    memcpy(pages->separator, node->key.data, node->key.size);
    pages->separator_bytes = node->key.size;
    pages->has_separator = true;
    return OK;
}

/* Goes on from the branch on top to its next child. */
static enum error
descend(struct pages *pages, struct level *level, struct node *ret_node)
{
    struct page_head head;
    enum error error;

    memcpy(&head, level->page, sizeof(head));
    pages->at = head.number;
    error = load_node(pages, level, false, level->index, ret_node);
    if (error == OK && level->index > 0) {
        error = take_separator(pages, ret_node);
    }
    level->index++;
    return error;
}

static enum error
walk_tree(struct pages *pages, const struct tree *tree)
{
    uint64_t child = tree->root;
    unsigned depth = 0;

    for (;;) {
        bool is_leaf = depth + 1 == tree->depth;
        struct level *level = &pages->levels[depth];
        struct node node;
        enum error error = load_page(pages, child, is_leaf ? PAGE_LEAF : PAGE_BRANCH, level);

        if (error == OK && is_leaf) {
            pages->seen.leaf_pages++;
            error = check_leaf(pages, level);
            level->index = level->node_count;
        } else {
            pages->seen.branch_pages++;
        }
        if (error != OK) {
            return error;
        }
        while (pages->levels[depth].index == pages->levels[depth].node_count) {
            if (depth == 0) {
                return OK;
            }
            depth--;
        }
        error = descend(pages, &pages->levels[depth], &node);
        if (error != OK) {
            return error;
        }
        child = node.child;
        depth++;
    }
}

static enum error
check_tree(struct pages *pages, const struct tree *tree, enum tree_kind kind)
{
    enum error error = OK;

    if (tree->flags != (kind == TREE_FREE ? TREE_NUMBER_KEYS : 0)) {
        return damaged(pages, "a table has unknown marks");
    }
    pages->kind = kind;
    pages->seen = (struct tree){0};
    pages->has_last_key = false;
    pages->has_separator = false;
    if (tree->root != NO_PAGE) {
        if (tree->depth == 0 || tree->depth > TREE_DEPTH_MAX) {
            return damaged(pages, "a table has an impossible depth");
        }
        error = walk_tree(pages, tree);
    }
    if (error != OK) {
        return error;
    }
    if (pages->seen.entries != tree->entries || pages->seen.leaf_pages != tree->leaf_pages ||
        pages->seen.branch_pages != tree->branch_pages ||
        pages->seen.overflow_pages > tree->overflow_pages ||
        (pages->is_deep && pages->seen.overflow_pages != tree->overflow_pages)) {
        return damaged(pages, "a table does not hold as many rows or pages as it says");
    }
    return OK;
}

static enum error
check_trees(struct pages *pages, const struct meta *meta)
{
    enum error error = check_tree(pages, &meta->main, TREE_MAIN);

    for (unsigned i = 0; error == OK && i < pages->tree_count; i++) {
        error = check_tree(pages, &pages->trees[i], TREE_TABLE);
    }
    return error != OK ? error : check_tree(pages, &meta->free, TREE_FREE);
}

enum error
store_pages_check(int fd, const char *path, bool is_deep, struct buffer *message)
{
    struct pages *pages = calloc(1, sizeof(*pages));
    enum error error = ERROR_NO_MEMORY;
    struct meta meta;
    struct stat status;

    if (pages == NULL) {
        return ERROR_NO_MEMORY;
    }
    pages->file = (struct store_file){.fd = fd, .path = path, .message = message};
    pages->is_deep = is_deep;
    if (fstat(fd, &status) != 0 || status.st_size == 0) {
        error = OK;
        goto done;
    }
    error = store_file_head(&pages->file, &meta);
    if (error != OK) {
        goto done;
    }
    pages->page_bytes = meta.free.page_bytes;
    pages->number = meta.number;
    pages->page_count = meta.last_page + 1;
    if (meta.last_page < META_COUNT - 1 || meta.last_page >= meta.map_bytes / pages->page_bytes) {
        error = damaged(pages, "the number of its last page is impossible");
        goto done;
    }
    pages->memory = malloc(TREE_DEPTH_MAX * pages->page_bytes);
    pages->reached = calloc(pages->page_count / 8 + 1, 1);
    if (pages->memory == NULL || pages->reached == NULL) {
        error = ERROR_NO_MEMORY;
        goto done;
    }
    for (unsigned i = 0; i < TREE_DEPTH_MAX; i++) {
        pages->levels[i].page = pages->memory + i * pages->page_bytes;
    }
    error = check_trees(pages, &meta);

done:
    free(pages->reached);
    free(pages->memory);
    free(pages);
    return error;
}
