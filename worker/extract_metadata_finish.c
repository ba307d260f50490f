/*
 * What can be said only when the whole page has been read, and a date in the text where none is
 * marked.
 */
#include "worker/extract_metadata.h"

#include <string.h>

#define DATE_NODES_MAX 300        /* after the heading */
#define DATE_NODES_BEFORE_MAX 100 /* and, when there is none, before it */
#define DATE_TEXT_MIN 6           /* bytes */
#define DATE_TEXT_MAX 60

static void
text_date_take_between(struct metadata *metadata, const struct html_document *document,
                       uint32_t first, uint32_t last)
{
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

/* A date in a short text near the heading, where nothing is marked as one. */
static void
text_date_take(struct metadata *metadata, const struct html_document *document)
{
    uint32_t first = 0;
    while (first < document->node_count && document->nodes[first].tag != HTML_TAG_H1) {
        first++;
    }
    uint32_t last = document->node_count - first > DATE_NODES_MAX ? first + DATE_NODES_MAX
                                                                  : document->node_count;
    text_date_take_between(metadata, document, first, last);
    if (metadata->fields[METADATA_PUBLISHED].trust == TRUST_NONE && first < document->node_count) {
        uint32_t start = first > DATE_NODES_BEFORE_MAX ? first - DATE_NODES_BEFORE_MAX : 0;
        text_date_take_between(metadata, document, start, first);
    }
}

void
metadata_finish(struct metadata *metadata, const struct html_document *document)
{
    if (metadata->fields[METADATA_PUBLISHED].trust == TRUST_NONE) {
        text_date_take(metadata, document);
    }
    metadata_finish_title(metadata);
    metadata_finish_authors(metadata, document);
}
