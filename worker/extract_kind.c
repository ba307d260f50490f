/*
 * What kind of page this is, from cheap signs, and the passes in their order.
 */
#include "worker/extract_page.h"

#include <string.h>

#define STRICT_LENGTH_MIN 500
#define STRICT_SHARE_MIN 0.4

static bool
hint_has(const struct page *page, const char *word)
{
    return page->kind_hint.size > 0 &&
           memmem(page->kind_hint.data, page->kind_hint.size, word, strlen(word)) != NULL;
}

enum page_kind
page_kind_guess(const struct page *page)
{
    if (hint_has(page, "discussionforum") || hint_has(page, "qapage")) {
        return PAGE_FORUM;
    }
    if (hint_has(page, "article") || hint_has(page, "blogposting") || hint_has(page, "report")) {
        return PAGE_ARTICLE;
    }
    if (hint_has(page, "product") || hint_has(page, "itemlist") ||
        hint_has(page, "collectionpage")) {
        return PAGE_LOOSE;
    }
    return PAGE_ARTICLE;
}

static enum error
extract_as(struct page *page, enum page_kind kind)
{
    page->kind = kind;
    page_cut(page, kind);
    page->root = page_root(page, kind);
    return page_blocks(page);
}

enum error
page_extract(struct page *page)
{
    enum error error = page_features(page);
    if (error != OK) {
        return error;
    }
    enum page_kind kind = page_kind_guess(page);
    error = extract_as(page, kind);
    if (error != OK || kind == PAGE_LOOSE) {
        return error;
    }
    uint32_t strict = page_kept_length(page);
    uint32_t all = page->features[page->document->body].length;
    if (strict >= STRICT_LENGTH_MIN && strict >= STRICT_SHARE_MIN * all) {
        return OK;
    }
    if (strict < STRICT_LENGTH_MIN) {
        struct block_list narrow = page->list;
        uint32_t root = page->root;
        page->list = (struct block_list){0};
        error = extract_as(page, PAGE_LOOSE);
        if (error == OK && strict >= STRICT_SHARE_MIN * page_kept_length(page)) {
            block_list_release(&page->list);
            page->list = narrow;
            page->root = root;
            page->kind = kind;
        } else {
            block_list_release(&narrow);
        }
    }
    return error;
}
