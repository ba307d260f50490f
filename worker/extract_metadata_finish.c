/*
 * What can be said only when the whole page has been read: which of two titles is the headline, who
 * of the authors is the site itself, and a date in the text where none is marked.
 */
#include "worker/extract_metadata.h"

#include <string.h>

#define HEADING_BYTES_MIN 8
#define DATE_NODES_MAX 300 /* after the heading */
#define DATE_TEXT_MIN 6    /* bytes */
#define DATE_TEXT_MAX 60

/* The site's part of "Headline | Site" falls off when the rest is long enough. */
static struct slice
site_strip(struct slice title, struct slice site)
{
    static const char *const marks[] = {" | ", " - ", " – ", " — ", " » ", " · ", " :: "};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t size = strlen(marks[i]);
        for (size_t head = title.size; head > 0; head--) {
            if (title.size - head < size || memcmp(title.data + head, marks[i], size) != 0) {
                continue;
            }
            struct slice tail = slice_of(title.data + head + size, title.size - head - size);
            if (slice_equal(tail, site) || (head >= 2 * tail.size && head >= 10)) {
                return slice_of(title.data, head);
            }
            break;
        }
    }
    return title;
}

/* "Headline | Site" under the heading "Headline" is that heading. */
static bool
is_heading_and_more(struct slice title, struct slice heading)
{
    if (heading.size < HEADING_BYTES_MIN || title.size < heading.size + 3 ||
        memcmp(title.data, heading.data, heading.size) != 0) {
        return false;
    }
    const uint8_t *rest = title.data + heading.size;
    return rest[0] == ' ' && memchr("|-:\xC2\xE2", rest[1], 5) != NULL;
}

static void
titles_finish(struct metadata *metadata)
{
    struct slice site = metadata_text(metadata, METADATA_SITE_NAME);
    struct metadata_value *title = &metadata->fields[METADATA_TITLE];
    struct slice page_title = metadata_text(metadata, METADATA_PAGE_TITLE);
    if (title->trust == TRUST_NONE || title->text.size < 2) {
        metadata_offer(metadata, METADATA_TITLE, TRUST_RESERVE, site_strip(page_title, site));
    } else if (site.size > 0) {
        struct slice stripped = site_strip(title->text, site);
        size_t cut = title->text.size - stripped.size;
        if (cut >= site.size && cut <= site.size + 6) {
            title->text = stripped;
        }
    }
    struct slice heading = metadata_text(metadata, METADATA_HEADING);
    if (is_heading_and_more(title->text, heading)) {
        title->text = heading;
    }
}

/* A date in a short text soon after the heading, where nothing is marked as one. */
static void
text_date_take(struct metadata *metadata, const struct html_document *document)
{
    uint32_t first = 0;
    while (first < document->node_count && document->nodes[first].tag != HTML_TAG_H1) {
        first++;
    }
    uint32_t last = document->node_count - first > DATE_NODES_MAX ? first + DATE_NODES_MAX
                                                                  : document->node_count;
    for (uint32_t i = first; i < last; i++) {
        const struct html_node *node = &document->nodes[i];
        if (node->tag == HTML_TAG_SCRIPT || node->tag == HTML_TAG_STYLE) {
            i = node->end - 1;
        } else if (node->tag == HTML_TAG_TEXT && node->size >= DATE_TEXT_MIN &&
                   node->size <= DATE_TEXT_MAX) {
            metadata_offer(metadata, METADATA_PUBLISHED, TRUST_RESERVE, html_text(document, i));
            if (metadata->fields[METADATA_PUBLISHED].trust != TRUST_NONE) {
                return;
            }
        }
    }
}

static void
authors_finish(struct metadata *metadata)
{
    size_t kept = 0;
    for (size_t i = 0; i < metadata->author_count; i++) {
        if (!slice_equal(metadata->authors[i], metadata_text(metadata, METADATA_SITE_NAME))) {
            metadata->authors[kept++] = metadata->authors[i];
        }
    }
    metadata->author_count = kept;
}

void
metadata_finish(struct metadata *metadata, const struct html_document *document)
{
    if (metadata->fields[METADATA_PUBLISHED].trust == TRUST_NONE) {
        text_date_take(metadata, document);
    }
    titles_finish(metadata);
    authors_finish(metadata);
}
