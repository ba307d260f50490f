#include "worker/extract_metadata.h"

#include <string.h>

#include "worker/blocks.h"

#define BYLINE_BYTES_MAX 200

struct meta_row {
    const char *name; /* of name, property, itemprop or http-equiv; small */
    enum metadata_field field;
    unsigned trust;
};

/* Among the same trust the first in the page wins; the offsets order the names. */
static const struct meta_row meta_rows[] = {
    {"og:title", METADATA_TITLE, TRUST_PROPERTY},
    {"twitter:title", METADATA_TITLE, TRUST_NAME},
    {"title", METADATA_TITLE, TRUST_NAME + 2},
    {"dc.title", METADATA_TITLE, TRUST_NAME + 1},
    {"dcterms.title", METADATA_TITLE, TRUST_NAME + 1},
    {"parsely-title", METADATA_TITLE, TRUST_NAME},
    {"sailthru.title", METADATA_TITLE, TRUST_NAME},
    {"og:description", METADATA_DESCRIPTION, TRUST_PROPERTY + 1},
    {"description", METADATA_DESCRIPTION, TRUST_PROPERTY},
    {"twitter:description", METADATA_DESCRIPTION, TRUST_NAME},
    {"dc.description", METADATA_DESCRIPTION, TRUST_NAME},
    {"og:site_name", METADATA_SITE_NAME, TRUST_PROPERTY},
    {"application-name", METADATA_SITE_NAME, TRUST_NAME},
    {"dc.publisher", METADATA_SITE_NAME, TRUST_NAME + 1},
    {"og:url", METADATA_CANONICAL, TRUST_NAME},
    {"og:image", METADATA_IMAGE, TRUST_PROPERTY},
    {"og:image:url", METADATA_IMAGE, TRUST_PROPERTY},
    {"twitter:image", METADATA_IMAGE, TRUST_NAME},
    {"thumbnail", METADATA_IMAGE, TRUST_NAME + 1},
    {"article:section", METADATA_SECTION, TRUST_PROPERTY},
    {"parsely-section", METADATA_SECTION, TRUST_NAME},
    {"section", METADATA_SECTION, TRUST_NAME},
    {"article:published_time", METADATA_PUBLISHED, TRUST_PROPERTY},
    {"article:published", METADATA_PUBLISHED, TRUST_PROPERTY + 1},
    {"og:published_time", METADATA_PUBLISHED, TRUST_PROPERTY + 1},
    {"og:article:published_time", METADATA_PUBLISHED, TRUST_PROPERTY + 1},
    {"datepublished", METADATA_PUBLISHED, TRUST_NAME},
    {"pubdate", METADATA_PUBLISHED, TRUST_NAME},
    {"publishdate", METADATA_PUBLISHED, TRUST_NAME},
    {"publish-date", METADATA_PUBLISHED, TRUST_NAME},
    {"publish_date", METADATA_PUBLISHED, TRUST_NAME},
    {"publication_date", METADATA_PUBLISHED, TRUST_NAME},
    {"published", METADATA_PUBLISHED, TRUST_NAME},
    {"published-date", METADATA_PUBLISHED, TRUST_NAME},
    {"publication-date", METADATA_PUBLISHED, TRUST_NAME},
    {"ms.date", METADATA_PUBLISHED, TRUST_NAME + 1},
    {"published_time", METADATA_PUBLISHED, TRUST_NAME},
    {"date", METADATA_PUBLISHED, TRUST_NAME + 1},
    {"date_published", METADATA_PUBLISHED, TRUST_NAME},
    {"article.published", METADATA_PUBLISHED, TRUST_NAME},
    {"article_date_original", METADATA_PUBLISHED, TRUST_NAME},
    {"originalpublicationdate", METADATA_PUBLISHED, TRUST_NAME},
    {"parsely-pub-date", METADATA_PUBLISHED, TRUST_NAME},
    {"sailthru.date", METADATA_PUBLISHED, TRUST_NAME},
    {"dc.date", METADATA_PUBLISHED, TRUST_NAME + 1},
    {"dc.date.issued", METADATA_PUBLISHED, TRUST_NAME},
    {"dc.date.created", METADATA_PUBLISHED, TRUST_NAME},
    {"dcterms.date", METADATA_PUBLISHED, TRUST_NAME + 1},
    {"dcterms.created", METADATA_PUBLISHED, TRUST_NAME},
    {"dcterms.issued", METADATA_PUBLISHED, TRUST_NAME},
    {"citation_publication_date", METADATA_PUBLISHED, TRUST_NAME},
    {"citation_date", METADATA_PUBLISHED, TRUST_NAME + 1},
    {"cxenseparse:recs:publishtime", METADATA_PUBLISHED, TRUST_NAME},
    {"bt:pubdate", METADATA_PUBLISHED, TRUST_NAME},
    {"created", METADATA_PUBLISHED, TRUST_NAME + 2},
    {"datecreated", METADATA_PUBLISHED, TRUST_NAME + 2},
    {"release_date", METADATA_PUBLISHED, TRUST_NAME},
    {"article:modified_time", METADATA_MODIFIED, TRUST_PROPERTY},
    {"og:updated_time", METADATA_MODIFIED, TRUST_PROPERTY + 1},
    {"datemodified", METADATA_MODIFIED, TRUST_NAME},
    {"lastmod", METADATA_MODIFIED, TRUST_NAME},
    {"last-modified", METADATA_MODIFIED, TRUST_NAME},
    {"modified", METADATA_MODIFIED, TRUST_NAME},
    {"dcterms.modified", METADATA_MODIFIED, TRUST_NAME},
    {"revised", METADATA_MODIFIED, TRUST_NAME},
    {"og:locale", METADATA_LANGUAGE, TRUST_PROPERTY},
    {"content-language", METADATA_LANGUAGE, TRUST_NAME},
    {"dc.language", METADATA_LANGUAGE, TRUST_NAME},
    {"language", METADATA_LANGUAGE, TRUST_NAME},
    {"og:type", METADATA_KIND, TRUST_PROPERTY},
};

struct author_row {
    const char *name;
    unsigned trust;
};

static const struct author_row author_rows[] = {
    {"author", TRUST_NAME},
    {"article:author", TRUST_NAME + 1},
    {"article:author_name", TRUST_NAME},
    {"dc.creator", TRUST_NAME + 1},
    {"dcterms.creator", TRUST_NAME + 1},
    {"parsely-author", TRUST_NAME},
    {"sailthru.author", TRUST_NAME},
    {"byl", TRUST_NAME},
    {"book:author", TRUST_NAME},
};

void
metadata_init(struct metadata *metadata, struct arena *arena)
{
    *metadata = (struct metadata){.arena = arena, .author_trust = TRUST_NONE};
    for (size_t i = 0; i < METADATA_FIELD_COUNT; i++) {
        metadata->fields[i].trust = TRUST_NONE;
    }
}

struct slice
metadata_text(const struct metadata *metadata, enum metadata_field field)
{
    return metadata->fields[field].text;
}

void
metadata_offer(struct metadata *metadata, enum metadata_field field, unsigned trust,
               struct slice text)
{
    if (field != METADATA_BODY && text.size > METADATA_VALUE_BYTES_MAX) {
        text.size = METADATA_VALUE_BYTES_MAX;
        while (text.size > 0 && (text.data[text.size] & 0xC0) == 0x80) {
            text.size--;
        }
    }
    if (text.size == 0 || trust >= metadata->fields[field].trust) {
        return;
    }
    if (field == METADATA_PUBLISHED || field == METADATA_MODIFIED) {
        /* Only what can be read as a date is one. */
        char date[DATE_TEXT_BYTES];
        if (!date_find(text, metadata_text(metadata, METADATA_LANGUAGE), date)) {
            return;
        }
        char *copy = arena_copy(metadata->arena, date, strlen(date));
        if (copy == NULL) {
            return;
        }
        text = slice_of(copy, strlen(date));
    }
    metadata->fields[field] = (struct metadata_value){.text = text, .trust = trust};
}

/* For short texts and words: memmem() makes a table of the word first. */
static bool
has_bytes(struct slice text, const char *word)
{
    size_t size = strlen(word);
    const uint8_t *at = text.data;
    for (size_t left = text.size; left >= size; left = text.size - (size_t)(at - text.data)) {
        at = memchr(at, word[0], left - size + 1);
        if (at == NULL) {
            return false;
        }
        if (memcmp(at, word, size) == 0) {
            return true;
        }
        at++;
    }
    return false;
}

/* Raw text to a collapsed copy in the arena; empty on no memory. */
struct slice
metadata_clean(struct metadata *metadata, struct slice raw, bool is_attribute)
{
    struct buffer text;
    buffer_init(&text, raw.size * 2 + 16);
    text_append(&text, raw, is_attribute);
    char *copy = text.size == 0 ? NULL : arena_copy(metadata->arena, text.data, text.size);
    struct slice clean = copy == NULL ? slice_of(NULL, 0) : slice_of(copy, text.size);
    buffer_release(&text);
    return clean;
}

/* The mark behind a heading that links to the heading itself. */
static bool
is_permalink(const struct html_document *document, uint32_t node)
{
    if (document->nodes[node].tag != HTML_TAG_A) {
        return false;
    }
    struct slice target = html_attribute_known(document, node, HTML_ATTRIBUTE_HREF);
    return target.size > 0 && target.data[0] == '#';
}

struct slice
metadata_text_at(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    return metadata_clean(metadata, html_text(document, node), false);
}

struct slice
metadata_node_text(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct buffer raw;
    buffer_init(&raw, BYLINE_BYTES_MAX * 4);
    for (uint32_t i = node + 1; i < document->nodes[node].end; i++) {
        unsigned tag = document->nodes[i].tag;
        if (tag == HTML_TAG_TEXT) {
            buffer_append(&raw, html_text(document, i).data, html_text(document, i).size);
        } else if (tag == HTML_TAG_BR && raw.size > 0) {
            break;
        } else if (tag == HTML_TAG_SCRIPT || tag == HTML_TAG_STYLE || tag == HTML_TAG_SVG ||
                   is_permalink(document, i)) {
            i = document->nodes[i].end - 1;
        }
    }
    struct slice text = metadata_clean(metadata, buffer_slice(&raw), false);
    buffer_release(&raw);
    return text;
}

static void
robots_take(struct metadata *metadata, struct slice content)
{
    char lower[128];
    size_t size = content.size < sizeof lower ? content.size : sizeof lower;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = content.data[i];
        lower[i] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
    }
    struct slice words = slice_of(lower, size);
    bool is_none = has_bytes(words, "none");
    metadata->is_noindex = metadata->is_noindex || is_none || has_bytes(words, "noindex");
    metadata->is_nofollow = metadata->is_nofollow || is_none || has_bytes(words, "nofollow");
}

/* "Doe, Jane" is Jane Doe. */
static void
citation_author_take(struct metadata *metadata, struct slice name)
{
    const uint8_t *comma = name.size == 0 ? NULL : memchr(name.data, ',', name.size);
    if (comma == NULL || comma + 2 >= name.data + name.size) {
        metadata_offer_author(metadata, TRUST_NAME, name);
        return;
    }
    size_t last = (size_t)(comma - name.data);
    struct buffer text;
    buffer_init(&text, name.size + 1);
    text_append(&text, slice_of(comma + 1, name.size - last - 1), false);
    buffer_append_byte(&text, ' ');
    buffer_append(&text, name.data, last);
    metadata_offer_author(metadata, TRUST_NAME,
                          metadata_clean(metadata, buffer_slice(&text), false));
    buffer_release(&text);
}

static void
meta_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct slice name = {0};
    struct slice content = {0};
    struct html_attributes attributes;
    struct html_attribute attribute;
    html_attributes_init(&attributes, document, node);
    while (html_attributes_next(&attributes, &attribute)) {
        if (html_name_is(attribute.name, "content")) {
            content = attribute.value;
        } else if (html_name_is(attribute.name, "property") ||
                   (name.size == 0 && (html_name_is(attribute.name, "name") ||
                                       html_name_is(attribute.name, "itemprop") ||
                                       html_name_is(attribute.name, "http-equiv")))) {
            name = attribute.value;
        }
    }
    if (name.size == 0 || content.size == 0) {
        return;
    }
    if (html_name_is(name, "robots")) {
        robots_take(metadata, content);
        return;
    }
    for (size_t i = 0; i < sizeof meta_rows / sizeof meta_rows[0]; i++) {
        if (html_name_is(name, meta_rows[i].name)) {
            metadata_offer(metadata, meta_rows[i].field, meta_rows[i].trust,
                           metadata_clean(metadata, content, true));
            return;
        }
    }
    if (name.size > 8 && html_name_is(slice_of(name.data, name.size - 1), "twitter:label")) {
        metadata->is_author_labelled =
            html_name_is(content, "written by") || html_name_is(content, "author");
    } else if (metadata->is_author_labelled && name.size > 8 &&
               html_name_is(slice_of(name.data, name.size - 1), "twitter:data")) {
        metadata_take_authors(metadata, TRUST_NAME + 2, metadata_clean(metadata, content, true));
        metadata->is_author_labelled = false;
    }
    if (html_name_is(name, "citation_author")) {
        citation_author_take(metadata, metadata_clean(metadata, content, true));
        return;
    }
    for (size_t i = 0; i < sizeof author_rows / sizeof author_rows[0]; i++) {
        if (html_name_is(name, author_rows[i].name)) {
            metadata_take_authors(metadata, author_rows[i].trust,
                                  metadata_clean(metadata, content, true));
        }
    }
}

static bool
list_has(struct slice list, const char *word)
{
    size_t start = 0;
    for (size_t i = 0; i <= list.size; i++) {
        if (i == list.size || list.data[i] == ' ') {
            if (i > start && html_name_is(slice_of(list.data + start, i - start), word)) {
                return true;
            }
            start = i + 1;
        }
    }
    return false;
}

static void
link_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct slice relation = html_attribute_known(document, node, HTML_ATTRIBUTE_REL);
    struct slice target = html_attribute_known(document, node, HTML_ATTRIBUTE_HREF);
    if (relation.size == 0 || target.size == 0) {
        return;
    }
    if (list_has(relation, "canonical")) {
        metadata_offer(metadata, METADATA_CANONICAL, TRUST_PROPERTY,
                       metadata_clean(metadata, target, true));
    } else if (list_has(relation, "image_src")) {
        metadata_offer(metadata, METADATA_IMAGE, TRUST_MARKUP,
                       metadata_clean(metadata, target, true));
    }
}

static void
script_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct slice type = html_attribute(document, node, "type");
    /* In a drawing a script may hold elements. */
    if (html_name_is(type, "application/ld+json") && document->nodes[node].end > node + 1 &&
        document->nodes[node + 1].tag == HTML_TAG_TEXT) {
        metadata_read_jsonld(metadata, html_text(document, node + 1));
    }
}

static void
time_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct slice when = html_attribute(document, node, "datetime");
    struct slice property = html_attribute(document, node, "itemprop");
    struct slice classes = html_attribute(document, node, "class");
    if (when.size == 0) {
        when = metadata_node_text(metadata, document, node);
    }
    bool is_update = html_name_is(property, "datemodified") || has_bytes(classes, "updated") ||
                     has_bytes(classes, "modified");
    bool is_entry = html_name_is(property, "datepublished") || has_bytes(classes, "entry-date") ||
                    has_bytes(classes, "publish") ||
                    html_attribute(document, node, "pubdate").data != NULL;
    metadata_offer(metadata, is_update ? METADATA_MODIFIED : METADATA_PUBLISHED,
                   TRUST_MARKUP + (is_entry ? 0 : 1), when);
}

static bool
is_author_class(struct slice classes)
{
    static const char *const names[] = {"byline",       "author-name",   "author_name",
                                        "authorName",   "AuthorName",    "post-author",
                                        "post__author", "meta-author",   "meta__author",
                                        "author__name", "article-author"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (has_bytes(classes, names[i])) {
            return true;
        }
    }
    return list_has(classes, "author") || list_has(classes, "username");
}

/* itemprop, rel and class of elements in the body. */
static void
markup_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    struct html_attributes attributes;
    struct html_attribute attribute;
    html_attributes_init(&attributes, document, node);
    while (html_attributes_next(&attributes, &attribute)) {
        struct slice value = attribute.value;
        /* Once both are known from a better place, classes need no reading. */
        bool is_class_wanted = metadata->author_trust > TRUST_MARKUP + 2 ||
                               metadata->fields[METADATA_PUBLISHED].trust > TRUST_MARKUP + 3;
        if (value.size == 0) {
            continue;
        }
        if (attribute.known == HTML_ATTRIBUTE_ITEMPROP) {
            if (html_name_is(value, "datepublished")) {
                struct slice when = html_attribute(document, node, "content");
                metadata_offer(metadata, METADATA_PUBLISHED, TRUST_MARKUP,
                               when.size > 0 ? when : metadata_node_text(metadata, document, node));
            } else if (html_name_is(value, "author")) {
                metadata_take_authors_at(metadata, TRUST_MARKUP + 1, document, node);
            }
        } else if (attribute.known == HTML_ATTRIBUTE_REL && list_has(value, "author")) {
            metadata_take_authors_at(metadata, TRUST_MARKUP, document, node);
        } else if (attribute.known == HTML_ATTRIBUTE_CLASS && is_class_wanted) {
            if (is_author_class(value)) {
                if (metadata->author_trust > TRUST_MARKUP + 2) {
                    metadata_take_authors_at(metadata, TRUST_MARKUP + 2, document, node);
                }
            } else if (metadata->fields[METADATA_PUBLISHED].trust > TRUST_MARKUP + 3 &&
                       (has_bytes(value, "date") || has_bytes(value, "publish") ||
                        has_bytes(value, "posted-on") || has_bytes(value, "timestamp"))) {
                metadata_offer(metadata, METADATA_PUBLISHED, TRUST_MARKUP + 3,
                               metadata_node_text(metadata, document, node));
            }
        }
    }
}

static void
node_take(struct metadata *metadata, const struct html_document *document, uint32_t node)
{
    switch (document->nodes[node].tag) {
    case HTML_TAG_META:
        meta_take(metadata, document, node);
        break;
    case HTML_TAG_LINK:
        link_take(metadata, document, node);
        break;
    case HTML_TAG_BASE:
        metadata_offer(metadata, METADATA_BASE, TRUST_PROPERTY,
                       metadata_clean(metadata,
                                      html_attribute_known(document, node, HTML_ATTRIBUTE_HREF),
                                      true));
        break;
    case HTML_TAG_SCRIPT:
        script_take(metadata, document, node);
        break;
    case HTML_TAG_TITLE:
        /* Of the head; drawings have titles too. */
        if (document->nodes[document->nodes[node].parent].tag != HTML_TAG_SVG) {
            metadata_offer(metadata, METADATA_PAGE_TITLE, TRUST_PROPERTY,
                           metadata_node_text(metadata, document, node));
        }
        break;
    case HTML_TAG_H1:
        metadata_offer(metadata, METADATA_HEADING, TRUST_MARKUP,
                       metadata_node_text(metadata, document, node));
        metadata_offer(metadata, METADATA_TITLE, TRUST_MARKUP,
                       metadata_text(metadata, METADATA_HEADING));
        break;
    case HTML_TAG_TIME:
        time_take(metadata, document, node);
        break;
    case HTML_TAG_TEXT:
        break;
    default:
        if (document->nodes[node].size > 6) {
            markup_take(metadata, document, node);
        }
    }
}

void
metadata_read(struct metadata *metadata, const struct html_document *document, struct slice url)
{
    struct slice language = html_attribute(document, 0, "lang");
    if (language.size == 0) {
        language = html_attribute(document, 0, "xml:lang");
    }
    metadata_offer(metadata, METADATA_LANGUAGE, TRUST_JSONLD_ARTICLE,
                   metadata_clean(metadata, language, true));
    for (uint32_t i = 1; i < document->node_count; i++) {
        node_take(metadata, document, i);
    }
    char date[DATE_TEXT_BYTES];
    if (metadata->fields[METADATA_PUBLISHED].trust > TRUST_NAME + 2 &&
        date_find_in_url(url, date)) {
        metadata_offer(metadata, METADATA_PUBLISHED, TRUST_NAME + 2, slice_of(date, strlen(date)));
    }
    if (metadata->fields[METADATA_PUBLISHED].trust == TRUST_NONE) {
        metadata_offer(metadata, METADATA_PUBLISHED, TRUST_RESERVE,
                       metadata_text(metadata, METADATA_MODIFIED));
    }
    metadata_finish(metadata, document);
}
