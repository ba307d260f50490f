/*
 * The words that class, id and role attributes are made of. A row is one word or a pair, in lower
 * case, joined by '-'; "articleBody", "article_body" and "article-body" are all the same pair.
 */
#include "worker/extract_page.h"

#include <string.h>

struct token_row {
    const char *name;
    uint32_t classes;
    uint32_t cancelled; /* classes that its words alone would give, and wrongly */
};

#define ROW(name, classes) \
    {                      \
        name, classes, 0   \
    }

static const struct token_row token_rows[] = {
    ROW("nav", TOKEN_NAV),
    ROW("navbar", TOKEN_NAV),
    ROW("navigation", TOKEN_NAV),
    ROW("navigator", TOKEN_NAV),
    ROW("navbox", TOKEN_NAV),
    ROW("menu", TOKEN_NAV),
    ROW("menubar", TOKEN_NAV),
    ROW("submenu", TOKEN_NAV),
    ROW("megamenu", TOKEN_NAV),
    ROW("breadcrumb", TOKEN_NAV),
    ROW("breadcrumbs", TOKEN_NAV),
    ROW("crumbs", TOKEN_NAV),
    ROW("topbar", TOKEN_NAV),
    ROW("masthead", TOKEN_NAV),
    ROW("subnav", TOKEN_NAV),
    ROW("pagination", TOKEN_NAV),
    ROW("pager", TOKEN_NAV),
    ROW("paging", TOKEN_NAV),
    ROW("toolbar", TOKEN_NAV),
    ROW("skip-link", TOKEN_NAV),
    ROW("skiplink", TOKEN_NAV),
    ROW("skip-to", TOKEN_NAV),
    ROW("sitemap", TOKEN_NAV),
    ROW("jump-to", TOKEN_NAV),
    ROW("toc", TOKEN_NAV),
    ROW("headerlink", TOKEN_NAV),
    ROW("mw-editsection", TOKEN_NAV),
    ROW("catlinks", TOKEN_NAV),
    ROW("printfooter", TOKEN_NAV),
    ROW("share", TOKEN_SHARE),
    ROW("shares", TOKEN_SHARE),
    ROW("sharing", TOKEN_SHARE),
    ROW("sharebar", TOKEN_SHARE),
    ROW("sharedaddy", TOKEN_SHARE),
    ROW("sharethis", TOKEN_SHARE),
    ROW("social", TOKEN_SHARE),
    ROW("socials", TOKEN_SHARE),
    ROW("socialmedia", TOKEN_SHARE),
    ROW("addthis", TOKEN_SHARE),
    ROW("addtoany", TOKEN_SHARE),
    ROW("a2a", TOKEN_SHARE),
    ROW("sns", TOKEN_SHARE),
    ROW("facebook", TOKEN_SHARE),
    ROW("whatsapp", TOKEN_SHARE),
    ROW("pinterest", TOKEN_SHARE),
    ROW("follow", TOKEN_SHARE),
    ROW("follow-us", TOKEN_SHARE),
    ROW("likes", TOKEN_SHARE),
    ROW("print", TOKEN_SHARE),
    ROW("related", TOKEN_RELATED),
    ROW("relatedposts", TOKEN_RELATED),
    ROW("relateds", TOKEN_RELATED),
    ROW("recommended", TOKEN_RELATED),
    ROW("recommend", TOKEN_RELATED),
    ROW("recommendation", TOKEN_RELATED),
    ROW("recommendations", TOKEN_RELATED),
    ROW("recirc", TOKEN_RELATED),
    ROW("recirculation", TOKEN_RELATED),
    ROW("more-stories", TOKEN_RELATED),
    ROW("more-news", TOKEN_RELATED),
    ROW("more-articles", TOKEN_RELATED),
    ROW("more-posts", TOKEN_RELATED),
    ROW("more-from", TOKEN_RELATED),
    ROW("more-on", TOKEN_RELATED),
    ROW("read-more", TOKEN_RELATED),
    ROW("readmore", TOKEN_RELATED),
    ROW("read-next", TOKEN_RELATED),
    ROW("see-also", TOKEN_RELATED),
    ROW("also-read", TOKEN_RELATED),
    ROW("read-also", TOKEN_RELATED),
    ROW("up-next", TOKEN_RELATED),
    ROW("upnext", TOKEN_RELATED),
    ROW("next-article", TOKEN_RELATED),
    ROW("next-post", TOKEN_RELATED),
    ROW("prev-next", TOKEN_RELATED),
    ROW("outbrain", TOKEN_RELATED),
    ROW("taboola", TOKEN_RELATED),
    ROW("zergnet", TOKEN_RELATED),
    ROW("popular", TOKEN_RELATED),
    ROW("trending", TOKEN_RELATED),
    ROW("most-read", TOKEN_RELATED),
    ROW("mostread", TOKEN_RELATED),
    ROW("most-viewed", TOKEN_RELATED),
    ROW("latest-news", TOKEN_RELATED),
    ROW("latest-posts", TOKEN_RELATED),
    ROW("recent-posts", TOKEN_RELATED),
    ROW("top-stories", TOKEN_RELATED),
    ROW("teaser", TOKEN_RELATED),
    ROW("teasers", TOKEN_RELATED),
    ROW("suggested", TOKEN_RELATED),
    ROW("suggestions", TOKEN_RELATED),
    ROW("similar", TOKEN_RELATED),
    ROW("crosslink", TOKEN_RELATED),
    ROW("interlink", TOKEN_RELATED),
    ROW("promo", TOKEN_AD),
    ROW("promos", TOKEN_AD),
    ROW("promotion", TOKEN_AD),
    ROW("promoted", TOKEN_AD),
    ROW("ad", TOKEN_AD),
    ROW("ads", TOKEN_AD),
    ROW("adv", TOKEN_AD),
    ROW("advert", TOKEN_AD),
    ROW("adverts", TOKEN_AD),
    ROW("advertisement", TOKEN_AD),
    ROW("advertising", TOKEN_AD),
    ROW("adsbygoogle", TOKEN_AD),
    ROW("adslot", TOKEN_AD),
    ROW("adsense", TOKEN_AD),
    ROW("banner", TOKEN_AD),
    ROW("banners", TOKEN_AD),
    ROW("sponsor", TOKEN_AD),
    ROW("sponsors", TOKEN_AD),
    ROW("sponsored", TOKEN_AD),
    ROW("dfp", TOKEN_AD),
    ROW("mpu", TOKEN_AD),
    ROW("affiliate", TOKEN_AD),
    ROW("commercial", TOKEN_AD),
    ROW("review", TOKEN_REVIEW),
    ROW("reviews", TOKEN_REVIEW),
    ROW("testimonials", TOKEN_REVIEW),
    ROW("upsell", TOKEN_RELATED),
    ROW("upsells", TOKEN_RELATED),
    ROW("cross-sell", TOKEN_RELATED),
    ROW("crosssell", TOKEN_RELATED),
    ROW("also-viewed", TOKEN_RELATED),
    ROW("also-like", TOKEN_RELATED),
    ROW("recently-viewed", TOKEN_RELATED),
    ROW("cart", TOKEN_COOKIE),
    ROW("minicart", TOKEN_COOKIE),
    ROW("comment", TOKEN_COMMENT),
    ROW("comments", TOKEN_COMMENT),
    ROW("commentlist", TOKEN_COMMENT),
    ROW("commenting", TOKEN_COMMENT),
    ROW("disqus", TOKEN_COMMENT),
    ROW("respond", TOKEN_COMMENT),
    ROW("livefyre", TOKEN_COMMENT),
    ROW("replies", TOKEN_COMMENT),
    ROW("discussion", TOKEN_COMMENT),
    ROW("byline", TOKEN_META),
    ROW("bylines", TOKEN_META),
    ROW("author", TOKEN_META),
    ROW("authors", TOKEN_META),
    ROW("contributors", TOKEN_META),
    ROW("bio", TOKEN_META),
    ROW("dateline", TOKEN_META),
    ROW("timestamp", TOKEN_META),
    ROW("date", TOKEN_META),
    ROW("pubdate", TOKEN_META),
    ROW("published", TOKEN_META),
    ROW("meta", TOKEN_META),
    ROW("metadata", TOKEN_META),
    ROW("tags", TOKEN_META),
    ROW("taglist", TOKEN_META),
    ROW("tag-list", TOKEN_META),
    ROW("tag-cloud", TOKEN_META),
    ROW("tagcloud", TOKEN_META),
    ROW("post-tag", TOKEN_META),
    ROW("article-tag", TOKEN_META),
    ROW("topics", TOKEN_META),
    ROW("keywords", TOKEN_META),
    ROW("category", TOKEN_META),
    ROW("categories", TOKEN_META),
    ROW("post-info", TOKEN_META),
    ROW("article-info", TOKEN_META),
    ROW("reading-time", TOKEN_META),
    ROW("read-time", TOKEN_META),
    ROW("posted-on", TOKEN_META),
    ROW("kicker", TOKEN_META),
    ROW("subtitle", TOKEN_META),
    ROW("standfirst", TOKEN_META),
    ROW("views", TOKEN_META),
    ROW("about-author", TOKEN_META),
    ROW("caption", TOKEN_CAPTION),
    ROW("captions", TOKEN_CAPTION),
    ROW("figcaption", TOKEN_CAPTION),
    ROW("wp-caption", TOKEN_CAPTION),
    ROW("credit", TOKEN_CAPTION),
    ROW("credits", TOKEN_CAPTION),
    ROW("photo-credit", TOKEN_CAPTION),
    ROW("photographer", TOKEN_CAPTION),
    ROW("legend", TOKEN_CAPTION),
    ROW("gallery", TOKEN_CAPTION),
    ROW("slideshow", TOKEN_CAPTION),
    ROW("image-source", TOKEN_CAPTION),
    ROW("media", TOKEN_CAPTION),
    ROW("copyright", TOKEN_FOOT),
    ROW("signature", TOKEN_FOOT),
    ROW("signatures", TOKEN_FOOT),
    ROW("hidden", TOKEN_HIDE),
    ROW("hide", TOKEN_HIDE),
    ROW("sr-only", TOKEN_HIDE),
    ROW("screen-reader", TOKEN_HIDE),
    ROW("visually-hidden", TOKEN_HIDE),
    ROW("visuallyhidden", TOKEN_HIDE),
    ROW("visualhidden", TOKEN_HIDE),
    ROW("invisible", TOKEN_HIDE),
    ROW("noprint", TOKEN_HIDE),
    ROW("no-print", TOKEN_HIDE),
    ROW("d-none", TOKEN_HIDE),
    ROW("display-none", TOKEN_HIDE),
    ROW("print-only", TOKEN_HIDE),
    ROW("noscript", TOKEN_HIDE),
    ROW("footer", TOKEN_FOOT),
    ROW("foot", TOKEN_FOOT),
    ROW("colophon", TOKEN_FOOT),
    ROW("disclaimer", TOKEN_FOOT),
    ROW("disclosure", TOKEN_FOOT),
    ROW("contentinfo", TOKEN_FOOT),
    ROW("sidebar", TOKEN_SIDE),
    ROW("aside", TOKEN_SIDE),
    ROW("rail", TOKEN_SIDE),
    ROW("widget", TOKEN_SIDE),
    ROW("widgets", TOKEN_SIDE),
    ROW("complementary", TOKEN_SIDE),
    ROW("side-bar", TOKEN_SIDE),
    ROW("side-column", TOKEN_SIDE),
    ROW("right-column", TOKEN_SIDE),
    ROW("infobox", TOKEN_SIDE),
    ROW("factbox", TOKEN_SIDE),
    ROW("newsletter", TOKEN_FORM),
    ROW("newsletters", TOKEN_FORM),
    ROW("signup", TOKEN_FORM),
    ROW("sign-up", TOKEN_FORM),
    ROW("subscribe", TOKEN_FORM),
    ROW("subscription", TOKEN_FORM),
    ROW("subscriptions", TOKEN_FORM),
    ROW("login", TOKEN_FORM),
    ROW("signin", TOKEN_FORM),
    ROW("sign-in", TOKEN_FORM),
    ROW("register", TOKEN_FORM),
    ROW("search", TOKEN_FORM),
    ROW("searchform", TOKEN_FORM),
    ROW("searchbox", TOKEN_FORM),
    ROW("form", TOKEN_FORM),
    ROW("donate", TOKEN_FORM),
    ROW("donation", TOKEN_FORM),
    ROW("feedback", TOKEN_FORM),
    ROW("survey", TOKEN_FORM),
    ROW("poll", TOKEN_FORM),
    ROW("vote", TOKEN_FORM),
    ROW("cta", TOKEN_FORM),
    ROW("call-to", TOKEN_FORM),
    ROW("mailchimp", TOKEN_FORM),
    ROW("mc4wp", TOKEN_FORM),
    ROW("optin", TOKEN_FORM),
    ROW("paywall", TOKEN_PAY),
    ROW("regwall", TOKEN_PAY),
    ROW("piano", TOKEN_PAY),
    ROW("cookie", TOKEN_COOKIE),
    ROW("cookies", TOKEN_COOKIE),
    ROW("cookiebar", TOKEN_COOKIE),
    ROW("gdpr", TOKEN_COOKIE),
    ROW("consent", TOKEN_COOKIE),
    ROW("onetrust", TOKEN_COOKIE),
    ROW("modal", TOKEN_COOKIE),
    ROW("popup", TOKEN_COOKIE),
    ROW("popover", TOKEN_COOKIE),
    ROW("overlay", TOKEN_COOKIE),
    ROW("lightbox", TOKEN_COOKIE),
    ROW("dialog", TOKEN_COOKIE),
    ROW("alertdialog", TOKEN_COOKIE),
    ROW("pop-up", TOKEN_COOKIE),
    ROW("toast", TOKEN_COOKIE),
    ROW("tooltip", TOKEN_COOKIE),
    ROW("offcanvas", TOKEN_COOKIE),
    ROW("drawer", TOKEN_COOKIE),
    ROW("filter", TOKEN_FILTER),
    ROW("filters", TOKEN_FILTER),
    ROW("facet", TOKEN_FILTER),
    ROW("facets", TOKEN_FILTER),
    ROW("sort", TOKEN_FILTER),
    ROW("sorting", TOKEN_FILTER),
    ROW("refinement", TOKEN_FILTER),
    ROW("refinements", TOKEN_FILTER),
    ROW("header", TOKEN_HEAD),
    ROW("head", TOKEN_HEAD),
    ROW("pullquote", TOKEN_QUOTE),
    ROW("pull-quote", TOKEN_QUOTE),
    ROW("pulled-quote", TOKEN_QUOTE),
    ROW("article-body", TOKEN_STRONG),
    ROW("articlebody", TOKEN_STRONG),
    ROW("article-content", TOKEN_STRONG),
    ROW("articlecontent", TOKEN_STRONG),
    ROW("article-text", TOKEN_STRONG),
    ROW("articletext", TOKEN_STRONG),
    ROW("article-copy", TOKEN_STRONG),
    ROW("body-copy", TOKEN_STRONG),
    ROW("body-content", TOKEN_STRONG),
    ROW("body-text", TOKEN_STRONG),
    ROW("bodytext", TOKEN_STRONG),
    ROW("entry-content", TOKEN_STRONG),
    ROW("entry-body", TOKEN_STRONG),
    ROW("post-content", TOKEN_STRONG),
    ROW("postcontent", TOKEN_STRONG),
    ROW("post-body", TOKEN_STRONG),
    ROW("post-text", TOKEN_STRONG),
    ROW("story-body", TOKEN_STRONG),
    ROW("storybody", TOKEN_STRONG),
    ROW("story-content", TOKEN_STRONG),
    ROW("storycontent", TOKEN_STRONG),
    ROW("story-text", TOKEN_STRONG),
    ROW("storytext", TOKEN_STRONG),
    ROW("news-body", TOKEN_STRONG),
    ROW("news-content", TOKEN_STRONG),
    ROW("news-text", TOKEN_STRONG),
    ROW("blog-content", TOKEN_STRONG),
    ROW("single-content", TOKEN_STRONG),
    ROW("field-body", TOKEN_STRONG),
    ROW("name-body", TOKEN_STRONG),
    ROW("mw-parser", TOKEN_STRONG),
    ROW("markdown-body", TOKEN_STRONG),
    ROW("content", TOKEN_WEAK),
    ROW("main", TOKEN_WEAK | TOKEN_MAIN),
    ROW("post", TOKEN_WEAK),
    ROW("article", TOKEN_WEAK),
    ROW("story", TOKEN_WEAK),
    ROW("entry", TOKEN_WEAK),
    ROW("hentry", TOKEN_WEAK),
    ROW("text", TOKEN_WEAK),
    ROW("body", TOKEN_WEAK),
    ROW("blog", TOKEN_WEAK),
    ROW("twitter-tweet", TOKEN_EMBED),
    ROW("instagram-media", TOKEN_EMBED),
    {"elementor-widget", 0, TOKEN_SIDE},
    {"has-sidebar", 0, TOKEN_SIDE},
    {"no-sidebar", 0, TOKEN_SIDE},
    {"with-sidebar", 0, TOKEN_SIDE},
    {"right-sidebar", 0, 0},
    {"text-widget", 0, TOKEN_SIDE},
    {"has-header", 0, TOKEN_HEAD},
    {"overflow-hidden", 0, TOKEN_HIDE},
    {"text-hide", 0, TOKEN_HIDE},
    {"hide-on", 0, TOKEN_HIDE},
    {"hide-for", 0, TOKEN_HIDE},
    {"hidden-xs", 0, TOKEN_HIDE},
    {"hidden-sm", 0, TOKEN_HIDE},
    {"hidden-md", 0, TOKEN_HIDE},
    {"hidden-lg", 0, TOKEN_HIDE},
    {"hidden-print", TOKEN_HIDE, 0},
    {"hidden-mobile", 0, TOKEN_HIDE},
    {"media-body", 0, TOKEN_CAPTION},
    {"social-media", TOKEN_SHARE, TOKEN_CAPTION},
    {"category-page", 0, TOKEN_META},
    {"form-group", 0, TOKEN_FORM},
    {"ad-free", 0, TOKEN_AD},
    {"no-ads", 0, TOKEN_AD},
};

#define TOKEN_SLOTS 2048 /* a power of two, at least four times the rows */
#define TOKEN_BYTES_MAX 40

struct token_table {
    uint16_t slots[TOKEN_SLOTS]; /* row number plus one */
};

_Static_assert(sizeof token_rows / sizeof token_rows[0] * 4 <= TOKEN_SLOTS, "the table is sparse");

static uint32_t
hash_step(uint32_t hash, uint8_t byte)
{
    return (hash ^ byte) * 16777619u;
}

#define HASH_START 2166136261u

static uint32_t
slot_of(uint32_t hash)
{
    return (hash ^ hash >> 15) & (TOKEN_SLOTS - 1);
}

struct token_table *
token_table_create(struct arena *arena)
{
    struct token_table *table = arena_alloc(arena, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof token_rows / sizeof token_rows[0]; i++) {
        uint32_t hash = HASH_START;
        for (const char *at = token_rows[i].name; *at != '\0'; at++) {
            hash = hash_step(hash, (uint8_t)*at);
        }
        uint32_t slot = slot_of(hash);
        while (table->slots[slot] != 0) {
            slot = (slot + 1) & (TOKEN_SLOTS - 1);
        }
        table->slots[slot] = (uint16_t)(i + 1);
    }
    return table;
}

/* The words seen last and the one before, as "before-last". */
struct words {
    char text[2 * TOKEN_BYTES_MAX + 2];
    size_t before_size; /* 0: there is none */
    size_t size;        /* of the last word, behind the one before and its '-' */
    uint32_t before_hash;
    uint32_t hash; /* of the last word alone */
    uint32_t pair_hash;
    uint32_t classes;
    uint32_t cancelled;
};

static const struct token_row *
token_find(const struct token_table *table, uint32_t hash, const char *text, size_t size)
{
    for (uint32_t slot = slot_of(hash); table->slots[slot] != 0;
         slot = (slot + 1) & (TOKEN_SLOTS - 1)) {
        const struct token_row *row = &token_rows[table->slots[slot] - 1];
        if (strncmp(row->name, text, size) == 0 && row->name[size] == '\0') {
            return row;
        }
    }
    return NULL;
}

static void
row_take(struct words *words, const struct token_row *row)
{
    if (row != NULL) {
        words->classes |= row->classes;
        words->cancelled |= row->cancelled;
    }
}

static void
word_finish(const struct token_table *table, struct words *words)
{
    if (words->size == 0) {
        return;
    }
    char *word = words->text + words->before_size + 1;
    row_take(words, token_find(table, words->hash, word, words->size));
    if (words->before_size > 0) {
        words->text[words->before_size] = '-';
        row_take(words, token_find(table, words->pair_hash, words->text,
                                   words->before_size + 1 + words->size));
    }
    memmove(words->text, word, words->size);
    words->before_size = words->size;
    words->before_hash = words->hash;
    words->size = 0;
}

static void
word_add(struct words *words, uint8_t byte)
{
    if (words->size == 0) {
        words->hash = HASH_START;
        words->pair_hash = hash_step(words->before_hash, '-');
    }
    if (words->size < TOKEN_BYTES_MAX) {
        words->text[words->before_size + 1 + words->size++] = (char)byte;
        words->hash = hash_step(words->hash, byte);
        words->pair_hash = hash_step(words->pair_hash, byte);
    }
}

uint32_t
token_classes(const struct token_table *table, struct slice names)
{
    struct words words = {0};
    bool was_lower = false;
    for (size_t i = 0; i < names.size; i++) {
        uint8_t byte = names.data[i];
        bool is_upper = byte >= 'A' && byte <= 'Z';
        bool is_word = is_upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (!is_word) {
            word_finish(table, &words);
            if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
                words.before_size = 0; /* pairs do not reach over two classes */
            }
            was_lower = false;
            continue;
        }
        if (is_upper && was_lower) {
            word_finish(table, &words);
        }
        was_lower = !is_upper;
        word_add(&words, is_upper ? (uint8_t)(byte | 0x20) : byte);
    }
    word_finish(table, &words);
    return words.classes & ~words.cancelled;
}
