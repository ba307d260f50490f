/*
 * Which subtrees are furniture. A rule holds only for elements that carry less than its share of
 * the page's prose (the mass guard): a negative word on the element that holds the text means
 * nothing.
 */
#include "worker/extract_page.h"

#include <string.h>

struct tag_rule {
    uint16_t tag;
    float share_max;       /* article pages */
    float loose_share_max; /* 0: kept */
};

static const struct tag_rule tag_rules[] = {
    {HTML_TAG_NAV, 0.35f, 0.30f},       {HTML_TAG_FOOTER, 0.30f, 0.30f},
    {HTML_TAG_ASIDE, 0.35f, 0.20f},     {HTML_TAG_FIGURE, 0.20f, 0.0f},
    {HTML_TAG_FIGCAPTION, 0.20f, 0.0f}, {HTML_TAG_HEADER, 0.20f, 0.0f},
    {HTML_TAG_FORM, 0.35f, 0.15f},      {HTML_TAG_DIALOG, 0.30f, 0.30f},
    {HTML_TAG_FIELDSET, 0.20f, 0.10f},  {HTML_TAG_SEARCH, 0.20f, 0.20f},
    {HTML_TAG_MENU, 0.20f, 0.0f},
};

struct token_rule {
    uint32_t token;
    float share_max;
    float loose_share_max;
};

static const struct token_rule token_rules[] = {
    {TOKEN_NAV, 0.35f, 0.30f},    {TOKEN_SHARE, 0.35f, 0.10f},  {TOKEN_RELATED, 0.35f, 0.15f},
    {TOKEN_AD, 0.35f, 0.05f},     {TOKEN_COMMENT, 0.35f, 0.0f}, {TOKEN_META, 0.20f, 0.0f},
    {TOKEN_CAPTION, 0.20f, 0.0f}, {TOKEN_HIDE, 0.35f, 0.10f},   {TOKEN_FOOT, 0.35f, 0.30f},
    {TOKEN_SIDE, 0.35f, 0.25f},   {TOKEN_FORM, 0.35f, 0.10f},   {TOKEN_PAY, 0.20f, 0.10f},
    {TOKEN_COOKIE, 0.35f, 0.30f}, {TOKEN_FILTER, 0.35f, 0.20f}, {TOKEN_HEAD, 0.10f, 0.0f},
    {TOKEN_QUOTE, 0.20f, 0.0f},   {TOKEN_UNSEEN, 0.60f, 0.60f},
};

/* On a product's page what others say of it, and other products, may outweigh it. */
#define PRODUCT_EXTRA_SHARE_MAX 0.8

/* Of a page of lists the prose says little: what has this share of the text outside menus, footers
 * and hidden parts is no furniture, whatever its name; nor are like siblings that have it together.
 */
#define LOOSE_TEXT_SHARE_MIN 0.4

#define ITEM_TEXT_SHARE_MIN 0.6
#define ITEM_DEPTH_MAX 4

/* Who wrote a post and when: said again with each post of a thread. */
#define THREAD_META_SHARE_MAX 0.05

/* An article's body has a name for it and this share of the prose. */
#define BODY_SHARE_MIN 0.25

/* Readers' comments may outweigh the article, which still has this much prose. */
#define COMMENTS_SHARE_MAX 0.9
#define ARTICLE_PROSE_MIN 500

/* Cards: like siblings that are mostly links, with little prose each. */
#define CARDS_MIN 3
#define CARD_PROSE_MAX 900
#define CARDS_SHARE_MAX 0.7
#define CARD_KEYS_MAX 16

bool
tag_is_never_content(unsigned tag)
{
    switch (tag) {
    case HTML_TAG_HEAD:
    case HTML_TAG_TITLE:
    case HTML_TAG_SCRIPT:
    case HTML_TAG_STYLE:
    case HTML_TAG_NOSCRIPT:
    case HTML_TAG_TEMPLATE:
    case HTML_TAG_IFRAME:
    case HTML_TAG_NOEMBED:
    case HTML_TAG_NOFRAMES:
    case HTML_TAG_OBJECT:
    case HTML_TAG_APPLET:
    case HTML_TAG_SVG:
    case HTML_TAG_CANVAS:
    case HTML_TAG_AUDIO:
    case HTML_TAG_VIDEO:
    case HTML_TAG_SELECT:
    case HTML_TAG_DATALIST:
    case HTML_TAG_TEXTAREA:
    case HTML_TAG_PROGRESS:
    case HTML_TAG_METER:
    case HTML_TAG_RP:
    case HTML_TAG_RT:
        return true;
    default:
        return false;
    }
}

static double
share_of(const struct page *page, uint32_t node)
{
    uint32_t all = page->features[0].prose;
    return all == 0 ? 0 : (double)page->features[node].prose / all;
}

/* A button is a control, except as the heading that unfolds an answer. */
static bool
is_control(const struct page *page, uint32_t node)
{
    const struct html_node *nodes = page->document->nodes;
    if (nodes[node].tag != HTML_TAG_BUTTON) {
        return false;
    }
    uint32_t parent = nodes[node].parent;
    return !(html_tag_flags(nodes[parent].tag) & HTML_HEADING) && nodes[parent].tag != HTML_TAG_DT;
}

void
page_cut_always(struct page *page)
{
    const struct html_document *document = page->document;
    memset(page->is_skipped, 0, document->node_count);
    for (uint32_t i = 1; i < document->node_count; i++) {
        page->is_skipped[i] = tag_is_never_content(document->nodes[i].tag) || is_control(page, i);
        if (document->nodes[i].tag == HTML_TAG_NOSCRIPT && page->has_noscript) {
            page->is_skipped[i] = 0;
        }
    }
    memcpy(page->is_never, page->is_skipped, document->node_count);
}

static bool
is_cut_by_tag(const struct page *page, uint32_t node, double share, bool is_loose)
{
    unsigned tag = page->document->nodes[node].tag;
    for (size_t i = 0; i < sizeof tag_rules / sizeof tag_rules[0]; i++) {
        if (tag_rules[i].tag == tag) {
            return share < (is_loose ? tag_rules[i].loose_share_max : tag_rules[i].share_max);
        }
    }
    return false;
}

static bool
is_cut_by_tokens(uint32_t tokens, double share, bool is_loose)
{
    for (size_t i = 0; tokens != 0 && i < sizeof token_rules / sizeof token_rules[0]; i++) {
        const struct token_rule *rule = &token_rules[i];
        if (tokens & rule->token && share < (is_loose ? rule->loose_share_max : rule->share_max)) {
            return true;
        }
    }
    return false;
}

/* May the share of the text save it? Menus, footers, hidden parts and dialogs are large at times.
 */
static bool
is_guarded(uint32_t tokens)
{
    return !(tokens & (TOKEN_NAV | TOKEN_FOOT | TOKEN_UNSEEN | TOKEN_COOKIE));
}

static bool
is_most_of_text(const struct page *page, uint32_t node)
{
    const struct feature *feature = &page->features[node];
    return is_guarded(feature->tokens) &&
           ((feature->tokens & (TOKEN_ITEM | TOKEN_AD)) == TOKEN_ITEM ||
            (double)feature->length >= LOOSE_TEXT_SHARE_MIN * page->open_length);
}

/* What unfolds on demand is hidden at first and still content, menus excepted. */
static bool
is_panel(const struct feature *feature)
{
    return feature->tokens & TOKEN_PANEL && !(feature->tokens & (TOKEN_NAV | TOKEN_COOKIE)) &&
           (uint64_t)feature->link_length * 2 < feature->length;
}

static bool
is_cut(const struct page *page, uint32_t node, bool is_loose)
{
    const struct feature *feature = &page->features[node];
    uint32_t tokens = feature->tokens;
    if (tokens & (TOKEN_STRONG | TOKEN_EMBED)) {
        return tokens & TOKEN_HIDE && !(tokens & TOKEN_EMBED) && feature->prose == 0;
    }
    unsigned tag = page->document->nodes[node].tag;
    double share = share_of(page, node);
    if (is_panel(feature)) {
        tokens &= ~(uint32_t)(TOKEN_HIDE | TOKEN_UNSEEN);
    }
    if (page->is_product && tokens & (TOKEN_REVIEW | TOKEN_RELATED) &&
        share < PRODUCT_EXTRA_SHARE_MAX) {
        return true;
    }
    if (page->kind == PAGE_FORUM && tokens & TOKEN_META && share < THREAD_META_SHARE_MAX) {
        return true;
    }
    if (tag == HTML_TAG_BODY || tag == HTML_TAG_HTML || (is_loose && is_most_of_text(page, node))) {
        return false;
    }
    if (page->kind == PAGE_ARTICLE && tokens & TOKEN_COMMENT && share < COMMENTS_SHARE_MAX &&
        page->features[0].prose - feature->prose >= ARTICLE_PROSE_MIN) {
        return true;
    }
    return is_cut_by_tag(page, node, share, is_loose) || is_cut_by_tokens(tokens, share, is_loose);
}

/* Inside an article's body lists of things described one by one look like cards: there only those
 * that are hardly more than links count. */
static bool
is_card(const struct page *page, uint32_t node, bool is_in_body)
{
    const struct feature *feature = &page->features[node];
    if (feature->length == 0 || feature->prose >= CARD_PROSE_MAX) {
        return false;
    }
    if (is_in_body) {
        return (uint64_t)feature->link_length * 2 > feature->length;
    }
    return feature->link_headings > 0 || (uint64_t)feature->link_length * 2 > feature->length;
}

struct card_group {
    uint32_t key;
    uint32_t count;
    uint64_t prose;
};

/* Groups the children of one element by tag and class; CARD_KEYS_MAX kinds are looked at. */
static void
cards_cut(struct page *page, uint32_t parent, bool is_in_body)
{
    const struct html_node *nodes = page->document->nodes;
    struct card_group groups[CARD_KEYS_MAX];
    size_t group_count = 0;
    for (uint32_t i = parent + 1; i < nodes[parent].end; i = nodes[i].end) {
        if (nodes[i].tag == HTML_TAG_TEXT || page->is_skipped[i] || !is_card(page, i, is_in_body)) {
            continue;
        }
        size_t at = 0;
        while (at < group_count && groups[at].key != page->features[i].class_key) {
            at++;
        }
        if (at == CARD_KEYS_MAX) {
            continue;
        }
        if (at == group_count) {
            groups[group_count++] = (struct card_group){.key = page->features[i].class_key};
        }
        groups[at].count++;
        groups[at].prose += page->features[i].prose;
    }
    double all = page->features[0].prose;
    for (size_t at = 0; at < group_count; at++) {
        if (groups[at].count < CARDS_MIN || (double)groups[at].prose >= CARDS_SHARE_MAX * all) {
            continue;
        }
        for (uint32_t i = parent + 1; i < nodes[parent].end; i = nodes[i].end) {
            if (nodes[i].tag != HTML_TAG_TEXT && page->features[i].class_key == groups[at].key &&
                is_card(page, i, is_in_body)) {
                page->is_skipped[i] = 1;
            }
        }
    }
}

/* Marks the item, and inside it what has most of its text: wrappers may lie around each. */
static void
item_mark(struct page *page, uint32_t node)
{
    const struct html_node *nodes = page->document->nodes;
    for (unsigned depth = 0; node != 0 && depth < ITEM_DEPTH_MAX; depth++) {
        page->features[node].tokens |= TOKEN_ITEM;
        double length_min = ITEM_TEXT_SHARE_MIN * page->features[node].length;
        uint32_t inner = 0;
        for (uint32_t i = node + 1; i < nodes[node].end && inner == 0; i = nodes[i].end) {
            if (nodes[i].tag != HTML_TAG_TEXT && page->features[i].length > length_min) {
                inner = i;
            }
        }
        node = inner;
    }
}

/* Marks the children of one element that are alike and together have most of the text. */
static void
items_mark(struct page *page, uint32_t parent)
{
    const struct html_node *nodes = page->document->nodes;
    struct card_group groups[CARD_KEYS_MAX];
    size_t group_count = 0;
    double length_min = LOOSE_TEXT_SHARE_MIN * page->open_length;
    if (page->features[parent].length < length_min) {
        return;
    }
    for (uint32_t i = parent + 1; i < nodes[parent].end; i = nodes[i].end) {
        size_t at = 0;
        while (at < group_count && groups[at].key != page->features[i].class_key) {
            at++;
        }
        if (nodes[i].tag == HTML_TAG_TEXT || page->features[i].length == 0 || at == CARD_KEYS_MAX) {
            continue;
        }
        if (at == group_count) {
            groups[group_count++] = (struct card_group){.key = page->features[i].class_key};
        }
        groups[at].count++;
        groups[at].prose += page->features[i].length;
    }
    for (size_t at = 0; at < group_count; at++) {
        if (groups[at].count < CARDS_MIN || (double)groups[at].prose < length_min) {
            continue;
        }
        for (uint32_t i = parent + 1; i < nodes[parent].end; i = nodes[i].end) {
            if (page->features[i].class_key == groups[at].key) {
                item_mark(page, i);
            }
        }
    }
}

static bool
may_hold_cards(unsigned tag)
{
    return tag != HTML_TAG_TEXT && tag != HTML_TAG_P && tag != HTML_TAG_TR &&
           tag != HTML_TAG_TABLE && !(html_tag_flags(tag) & (HTML_HEADING | HTML_FORMATTING)) &&
           tag != HTML_TAG_SPAN && tag != HTML_TAG_TBODY;
}

/* The prose that is left under each element. */
static void
mass_count(struct page *page)
{
    const struct html_document *document = page->document;
    for (uint32_t i = 0; i < document->node_count; i++) {
        page->features[i].mass = page->features[i].prose;
    }
    /* From the end, so that what a child has lost is known before its parent is reached. */
    for (uint32_t i = document->node_count - 1; i > 0; i--) {
        struct feature *feature = &page->features[i];
        feature->mass = page->is_skipped[i] ? 0 : feature->mass;
        page->features[document->nodes[i].parent].mass -= feature->prose - feature->mass;
    }
}

/* Length of the text outside menus, footers and hidden parts. */
static uint32_t
open_length(const struct page *page)
{
    const struct html_document *document = page->document;
    uint32_t closed = 0;
    for (uint32_t i = document->body + 1; i < document->nodes[document->body].end;) {
        bool is_closed = page->features[i].tokens & (TOKEN_NAV | TOKEN_FOOT | TOKEN_UNSEEN) ||
                         document->nodes[i].tag == HTML_TAG_FOOTER;
        closed += is_closed ? page->features[i].length : 0;
        i = is_closed ? document->nodes[i].end : i + 1;
    }
    uint32_t all = page->features[document->body].length;
    return all > closed ? all - closed : all;
}

void
page_cut(struct page *page, enum page_kind kind)
{
    const struct html_document *document = page->document;
    uint32_t body_end = 0; /* of the article's body that the walk is in */
    memcpy(page->is_skipped, page->is_never, document->node_count);
    page->open_length = open_length(page);
    for (uint32_t i = 1; i < document->node_count;) {
        unsigned tag = document->nodes[i].tag;
        if (!page->is_skipped[i] && tag != HTML_TAG_TEXT && is_cut(page, i, kind != PAGE_ARTICLE)) {
            page->is_skipped[i] = 1;
        }
        if (page->is_skipped[i]) {
            i = document->nodes[i].end;
            continue;
        }
        if (page->features[i].tokens & TOKEN_STRONG && i >= body_end &&
            share_of(page, i) >= BODY_SHARE_MIN) {
            body_end = document->nodes[i].end;
        }
        if (kind != PAGE_ARTICLE && may_hold_cards(tag)) {
            items_mark(page, i);
        }
        if (kind == PAGE_ARTICLE && may_hold_cards(tag)) {
            cards_cut(page, i, i < body_end);
        }
        i++;
    }
    mass_count(page);
}
