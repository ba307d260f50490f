#include "worker/extract_page.h"

#include <string.h>
#include <xxhash.h>

/* A block is prose when it is this long and mostly no link. */
#define PROSE_LENGTH_MIN 60

struct attributes_seen {
    struct slice id;
    struct slice classes;
    struct slice role;
    struct slice property;
    struct slice style;
    bool is_hidden;
};

/* Does a style name what is not shown: "display:none", "display: none", "visibility:hidden"? */
static bool
style_hides(struct slice style)
{
    static const char display[] = "display";
    static const char visibility[] = "visibility";
    const uint8_t *at = style.data;
    const uint8_t *end = style.data + style.size;
    while (at < end && (at = memchr(at, ':', (size_t)(end - at))) != NULL) {
        size_t before = (size_t)(at - style.data);
        size_t after = (size_t)(end - ++at);
        if (before >= sizeof display - 1 &&
            memcmp(at - sizeof display, display, sizeof display - 1) == 0 &&
            ((after >= 4 && memcmp(at, "none", 4) == 0) ||
             (after >= 5 && memcmp(at, " none", 5) == 0))) {
            return true;
        }
        if (before >= sizeof visibility - 1 &&
            memcmp(at - sizeof visibility, visibility, sizeof visibility - 1) == 0 && after >= 6 &&
            memcmp(at, "hidden", 6) == 0) {
            return true;
        }
    }
    return false;
}

static bool
value_is(struct slice value, const char *word)
{
    return value.size > 0 && html_name_is(value, word);
}

static void
attributes_read(const struct html_document *document, uint32_t node, struct attributes_seen *seen)
{
    struct html_attributes attributes;
    struct html_attribute attribute;
    html_attributes_init(&attributes, document, node);
    while (html_attributes_next(&attributes, &attribute)) {
        switch (attribute.known) {
        case HTML_ATTRIBUTE_ID:
            seen->id = attribute.value;
            break;
        case HTML_ATTRIBUTE_ITEMPROP:
            seen->property = attribute.value;
            break;
        case HTML_ATTRIBUTE_CLASS:
            seen->classes = attribute.value;
            break;
        case HTML_ATTRIBUTE_ROLE:
            seen->role = attribute.value;
            break;
        case HTML_ATTRIBUTE_STYLE:
            seen->style = attribute.value;
            break;
        case HTML_ATTRIBUTE_HIDDEN:
            seen->is_hidden = true;
            break;
        case HTML_ATTRIBUTE_ARIA_HIDDEN:
            seen->is_hidden = seen->is_hidden || value_is(attribute.value, "true");
            break;
        default:
            break;
        }
    }
}

struct role_row {
    const char *role;
    uint32_t classes;
};

static const struct role_row role_rows[] = {
    {"navigation", TOKEN_NAV},   {"menu", TOKEN_NAV},
    {"menubar", TOKEN_NAV},      {"banner", TOKEN_HEAD},
    {"contentinfo", TOKEN_FOOT}, {"complementary", TOKEN_SIDE},
    {"dialog", TOKEN_COOKIE},    {"alertdialog", TOKEN_COOKIE},
    {"search", TOKEN_FORM},      {"main", TOKEN_MAIN | TOKEN_WEAK},
    {"article", TOKEN_WEAK},     {"tooltip", TOKEN_COOKIE},
    {"toolbar", TOKEN_NAV},      {"alert", TOKEN_COOKIE},
    {"tabpanel", TOKEN_PANEL},   {"region", TOKEN_PANEL},
};

/* Roles are whole values; their words mean other things in a class ("banner"). */
static uint32_t
role_classes(struct slice role)
{
    for (size_t i = 0; role.size > 0 && i < sizeof role_rows / sizeof role_rows[0]; i++) {
        if (html_name_is(role, role_rows[i].role)) {
            return role_rows[i].classes;
        }
    }
    return 0;
}

static uint32_t
property_classes(struct slice property)
{
    if (value_is(property, "articlebody") || value_is(property, "reviewbody")) {
        return TOKEN_STRONG;
    }
    if (value_is(property, "author") || value_is(property, "datepublished") ||
        value_is(property, "datemodified")) {
        return TOKEN_META;
    }
    return 0;
}

static uint32_t
class_key(unsigned tag, struct slice classes)
{
    size_t start = 0;
    while (start < classes.size && classes.data[start] <= ' ') {
        start++;
    }
    size_t end = start;
    while (end < classes.size && classes.data[end] > ' ') {
        end++;
    }
    return (uint32_t)XXH3_64bits_withSeed(classes.data + start, end - start, tag);
}

static uint32_t
tag_classes(unsigned tag)
{
    switch (tag) {
    case HTML_TAG_NAV:
        return TOKEN_NAV;
    case HTML_TAG_MAIN:
        return TOKEN_MAIN | TOKEN_WEAK;
    case HTML_TAG_ARTICLE:
        return TOKEN_WEAK;
    case HTML_TAG_FIGCAPTION:
        return TOKEN_CAPTION;
    case HTML_TAG_DIALOG:
        return TOKEN_COOKIE;
    default:
        return 0;
    }
}

static void
names_read(struct page *page, struct token_table *table)
{
    const struct html_document *document = page->document;
    for (uint32_t i = 0; i < document->node_count; i++) {
        const struct html_node *node = &document->nodes[i];
        if (node->tag == HTML_TAG_TEXT || node->size == 0) {
            continue;
        }
        if (node->attribute_count == 0) {
            page->features[i].tokens = tag_classes(node->tag);
            page->features[i].class_key = class_key(node->tag, slice_of(NULL, 0));
            continue;
        }
        struct attributes_seen seen = {0};
        attributes_read(document, i, &seen);
        struct feature *feature = &page->features[i];
        feature->tokens = tag_classes(node->tag) | role_classes(seen.role) |
                          property_classes(seen.property) | token_classes(table, seen.id) |
                          token_classes(table, seen.classes);
        feature->class_key = class_key(node->tag, seen.classes);
        if (seen.is_hidden || style_hides(seen.style)) {
            feature->tokens |= TOKEN_HIDE | TOKEN_UNSEEN;
        }
    }
}

static void
saturating_add(uint16_t *counter, uint32_t more)
{
    uint32_t sum = *counter + more;
    *counter = sum > UINT16_MAX ? UINT16_MAX : (uint16_t)sum;
}

static void
block_take(struct page *page, const struct block *block)
{
    struct feature *feature = &page->features[block->box];
    feature->length += block->length;
    feature->link_length += block->link_length;
    bool is_link = (uint64_t)block->link_length * 2 > block->length;
    if (block->kind == BLOCK_HEADING) {
        saturating_add(&feature->link_headings, is_link);
    } else if (block->length >= PROSE_LENGTH_MIN && !is_link) {
        feature->prose += block->length;
    }
}

static void
sums_raise(struct page *page)
{
    const struct html_document *document = page->document;
    for (uint32_t i = document->node_count - 1; i > 0; i--) {
        const struct feature *from = &page->features[i];
        struct feature *to = &page->features[document->nodes[i].parent];
        to->prose += from->prose;
        to->length += from->length;
        to->link_length += from->link_length;
        saturating_add(&to->link_headings, from->link_headings);
    }
}

enum error
page_features(struct page *page)
{
    const struct html_document *document = page->document;
    page->features = arena_alloc(page->arena, document->node_count * sizeof *page->features);
    page->is_skipped = arena_reserve(page->arena, document->node_count);
    page->is_never = arena_reserve(page->arena, document->node_count);
    struct token_table *table = token_table_create(page->arena);
    if (page->features == NULL || page->is_skipped == NULL || page->is_never == NULL ||
        table == NULL) {
        return ERROR_NO_MEMORY;
    }
    names_read(page, table);
    page_cut_always(page);
    struct block_list list;
    enum error error =
        block_list_collect(page->arena, document, document->body, page->is_skipped, &list);
    if (error == OK) {
        for (uint32_t i = 0; i < list.count; i++) {
            block_take(page, &list.blocks[i]);
        }
        sums_raise(page);
    }
    block_list_release(&list);
    return error;
}
