/*
 * What kind of page this is, from cheap signs, and the passes in their order.
 *
 * A page is read as an article when the strict profile keeps a fair share of what the loose one
 * keeps; how large a share is asked for depends on how much the page looks like an article
 * otherwise.
 */
#include "worker/extract_page.h"

#include <string.h>

/* Less than this is no article, unless the page says that it is one. */
#define STRICT_LENGTH_MIN 500
#define STRICT_LENGTH_CLAIMED_MIN 140

/* The shares asked for of pages that claim to be articles (with a date or an author too), of those
 * with one of these signs, and of those with none. Many sites claim it for every page: only news,
 * and bodies that have a name for it, are believed with little text. */
#define STRICT_SHARE_CLAIMED 0.33
#define STRICT_SHARE_BELIEVED 0.10
#define STRICT_SHARE_SIGNED 0.60
#define STRICT_SHARE_UNSIGNED 0.80

/* Pages made by scripts carry their text for readers without them in <noscript>. */
#define NOSCRIPT_LENGTH_MAX 1000

static bool
hint_has(const struct page *page, const char *word)
{
    return page->kind_hint.size > 0 &&
           memmem(page->kind_hint.data, page->kind_hint.size, word, strlen(word)) != NULL;
}

static bool
claims_article(const struct page *page)
{
    return hint_has(page, "article") || hint_has(page, "Article") ||
           hint_has(page, "BlogPosting") || hint_has(page, "Report");
}

/* Is the URL a site's front page? */
static bool
is_front_page(struct slice url)
{
    const uint8_t *host = url.size == 0 ? NULL : memmem(url.data, url.size, "://", 3);
    if (host == NULL) {
        return false;
    }
    host += 3;
    size_t left = url.size - (size_t)(host - url.data);
    const uint8_t *path = memchr(host, '/', left);
    if (path == NULL) {
        return true;
    }
    const uint8_t *end = url.data + url.size;
    return path + 1 == end || path[1] == '?' || path[1] == '#';
}

static bool
url_has(struct slice url, const char *const *words, size_t count)
{
    for (size_t i = 0; url.size > 0 && i < count; i++) {
        if (memmem(url.data, url.size, words[i], strlen(words[i])) != NULL) {
            return true;
        }
    }
    return false;
}

/* Words in a URL that only a discussion has; lists of discussions are no threads. */
static bool
is_thread_url(struct slice url)
{
    static const char *const threads[] = {"/threads/", "/thread/",   "viewtopic",   "showthread",
                                          "ShowTopic", "/comments/", "/discussion/"};
    static const char *const forums[] = {"//forum", "/forum/", "/forums/", "//community.",
                                         "//discuss."};
    static const char *const topics[] = {"/t/", "/topic/", "/topics/"};
    return url_has(url, threads, sizeof threads / sizeof threads[0]) ||
           (url_has(url, forums, sizeof forums / sizeof forums[0]) &&
            url_has(url, topics, sizeof topics / sizeof topics[0]));
}

enum page_kind
page_kind_guess(const struct page *page)
{
    if (hint_has(page, "DiscussionForum") || hint_has(page, "QAPage") ||
        hint_has(page, "Question") || (is_thread_url(page->url) && !claims_article(page))) {
        return PAGE_FORUM;
    }
    if (hint_has(page, "roduct") || hint_has(page, "ItemList") ||
        hint_has(page, "CollectionPage") || is_front_page(page->url)) {
        return PAGE_LOOSE;
    }
    return PAGE_ARTICLE;
}

/* One thing to be bought, as against a list of such. */
static bool
is_product(const struct page *page)
{
    return hint_has(page, "roduct") && !hint_has(page, "group");
}

static enum error
extract_as(struct page *page, enum page_kind kind)
{
    page->kind = kind;
    page->is_product = kind == PAGE_LOOSE && is_product(page);
    page_cut(page, kind);
    page->root = page_root(page, kind);
    return page_blocks(page);
}

static bool
is_article_enough(const struct page *page, uint32_t strict, uint32_t loose)
{
    bool is_claimed = claims_article(page);
    unsigned signs = (unsigned)is_claimed + page->has_date + page->has_author;
    bool is_sure = is_claimed && signs >= 2;
    bool is_named = page->features[page->root].tokens & TOKEN_STRONG;
    double share = signs >= 1 ? STRICT_SHARE_SIGNED : STRICT_SHARE_UNSIGNED;
    if (is_sure) {
        bool is_believed = is_named || hint_has(page, "NewsArticle");
        share = is_believed ? STRICT_SHARE_BELIEVED : STRICT_SHARE_CLAIMED;
    }
    uint32_t length_min = is_sure || is_named ? STRICT_LENGTH_CLAIMED_MIN : STRICT_LENGTH_MIN;
    /* Of a short page that has nothing else the length says nothing. */
    bool is_long = strict > length_min || strict >= STRICT_SHARE_UNSIGNED * loose;
    return is_long && strict >= share * loose;
}

/* Both readings of the page; the strict one stays when it is enough. */
static enum error
choose(struct page *page)
{
    enum error error = extract_as(page, PAGE_ARTICLE);
    if (error != OK) {
        return error;
    }
    /* The second reading is spared where it could not say otherwise: it keeps no more than there
     * is, and a space for each element that is cut out of a line. */
    uint32_t strict_length = page_kept_length(page);
    uint32_t loose_length_max = page->features[0].length + page->document->node_count;
    if (strict_length > 0 && is_article_enough(page, strict_length, loose_length_max)) {
        return OK;
    }
    struct block_list strict = page->list;
    uint32_t root = page->root;
    page->list = (struct block_list){0};
    error = extract_as(page, PAGE_LOOSE);
    uint32_t loose_length = page_kept_length(page);
    struct block_list loose = page->list;
    page->list = strict;
    uint32_t loose_root = page->root;
    page->root = root;
    if (error == OK && is_article_enough(page, strict_length, loose_length)) {
        block_list_release(&loose);
        page->kind = PAGE_ARTICLE;
    } else {
        block_list_release(&page->list);
        page->list = loose;
        page->root = loose_root;
    }
    return error;
}

enum error
page_extract(struct page *page)
{
    enum error error = page_features(page);
    if (error == OK && page->features[0].length < NOSCRIPT_LENGTH_MAX) {
        uint32_t scripted = page->features[0].length;
        page->has_noscript = true;
        error = page_features(page);
        if (error == OK && page->features[0].length < 2 * scripted) {
            page->has_noscript = false;
            error = page_features(page);
        }
    }
    if (error != OK) {
        return error;
    }
    enum page_kind kind = page_kind_guess(page);
    return kind == PAGE_ARTICLE ? choose(page) : extract_as(page, kind);
}
