#include "worker/extract_result.h"

#include <stdlib.h>
#include <string.h>

#include "common/message.h"

#define ANCHOR_BYTES_MAX 1000
#define ANCHOR_DEPTH_MAX 32   /* blocks in one link; deeper ones part no words at their ends */
#define ANCHOR_NODES_MAX 1000 /* links that hold half of a page are not read to their end */

/* The words of a link, or of its pictures when it has none. */
static void
anchor_append(struct buffer *out, const struct html_document *document, uint32_t node,
              struct buffer *scratch)
{
    buffer_clear(scratch);
    uint32_t end = document->nodes[node].end;
    if (end > node + ANCHOR_NODES_MAX) {
        end = node + ANCHOR_NODES_MAX;
    }
    struct slice alternative = {0};
    uint32_t block_ends[ANCHOR_DEPTH_MAX];
    size_t depth = 0;
    for (uint32_t i = node + 1; i < end && scratch->size < ANCHOR_BYTES_MAX; i++) {
        const struct html_node *inner = &document->nodes[i];
        for (; depth > 0 && i >= block_ends[depth - 1]; depth--) {
            buffer_append_byte(scratch, ' ');
        }
        if (inner->tag == HTML_TAG_TEXT) {
            struct slice text = html_text(document, i);
            size_t size = text.size < ANCHOR_BYTES_MAX ? text.size : ANCHOR_BYTES_MAX;
            buffer_append(scratch, text.data, size);
        } else if (inner->tag == HTML_TAG_SCRIPT || inner->tag == HTML_TAG_STYLE ||
                   inner->tag == HTML_TAG_SVG || inner->tag == HTML_TAG_NOSCRIPT) {
            i = inner->end - 1;
        } else if (html_tag_flags(inner->tag) & HTML_BLOCK || inner->tag == HTML_TAG_BR) {
            buffer_append_byte(scratch, ' ');
            if (depth < ANCHOR_DEPTH_MAX) {
                block_ends[depth++] = inner->end;
            }
        } else if (inner->tag == HTML_TAG_IMG && alternative.size == 0) {
            alternative = html_attribute(document, i, "alt");
        }
    }
    size_t before = out->size;
    text_append(out, buffer_slice(scratch), false);
    if (out->size == before && alternative.size > 0 && alternative.size <= ANCHOR_BYTES_MAX) {
        text_append(out, alternative, true);
    }
}

struct link_list {
    struct buffer rows; /* msgpack, one map a link */
    size_t count;
    struct buffer target;
    struct buffer words;
    struct buffer scratch;
    struct url url;
};

/* The reference without white space around it; tabs and line ends inside are url_resolve()'s. */
static struct slice
target_read(struct buffer *scratch, struct slice value)
{
    struct slice target = value;
    if (value.size > 0 && memchr(value.data, '&', value.size) != NULL) {
        buffer_clear(scratch);
        html_decode(scratch, value, true);
        target = buffer_slice(scratch);
    }
    while (target.size > 0 && target.data[0] <= ' ') {
        target = slice_of(target.data + 1, target.size - 1);
    }
    while (target.size > 0 && target.data[target.size - 1] <= ' ') {
        target.size--;
    }
    return target;
}

static bool
target_resolve(struct url *url, struct slice target, const struct url *base)
{
    /* A place in the page itself is no outlink. */
    if (target.size == 0 || target.data[0] == '#') {
        return false;
    }
    url_reason reason = NULL;
    enum error error =
        base == NULL ? url_parse(target, url, &reason) : url_resolve(base, target, url, &reason);
    return error == OK && (url->scheme == URL_HTTP || url->scheme == URL_HTTPS);
}

static void
link_take(struct link_list *links, const struct html_document *document, uint32_t node,
          const struct url *base)
{
    struct slice target = html_attribute_known(document, node, HTML_ATTRIBUTE_HREF);
    if (target.data == NULL || target.size > URL_BYTES_MAX * 2) {
        return;
    }
    if (!target_resolve(&links->url, target_read(&links->target, target), base)) {
        return;
    }
    buffer_clear(&links->words);
    anchor_append(&links->words, document, node, &links->scratch);
    if (document->nodes[node].tag == HTML_TAG_AREA) {
        text_append(&links->words, html_attribute(document, node, "alt"), true);
    }
    struct slice relation = html_attribute_known(document, node, HTML_ATTRIBUTE_REL);
    bool has_relation = relation.size > 0 && relation.size <= ANCHOR_BYTES_MAX;
    write_map(&links->rows, has_relation ? 3 : 2);
    write_string(&links->rows, "url");
    write_text(&links->rows, slice_of(links->url.text, links->url.size));
    write_string(&links->rows, "text");
    write_text(&links->rows, buffer_slice(&links->words));
    if (has_relation) {
        buffer_clear(&links->words);
        text_append(&links->words, relation, true);
        write_string(&links->rows, "rel");
        write_text(&links->rows, buffer_slice(&links->words));
    }
    links->count++;
}

void
result_links(struct result *result, const struct html_document *document, const struct url *base)
{
    struct link_list *links = arena_alloc(result->arena, sizeof *links);
    if (links == NULL) {
        result->out->error = ERROR_NO_MEMORY;
        return;
    }
    buffer_init(&links->rows, result->out->bytes_max);
    buffer_init(&links->target, URL_BYTES_MAX * 4);
    buffer_init(&links->words, ANCHOR_BYTES_MAX * 8);
    buffer_init(&links->scratch, ANCHOR_BYTES_MAX * 4);
    for (uint32_t i = 0; i < document->node_count && links->count < RESULT_LINKS_MAX; i++) {
        unsigned tag = document->nodes[i].tag;
        if (tag == HTML_TAG_A || tag == HTML_TAG_AREA) {
            link_take(links, document, i, base);
        }
    }
    if (buffer_error(&links->rows) != OK) {
        result->out->error = buffer_error(&links->rows);
    }
    write_string(result->out, "links");
    write_array(result->out, links->count);
    write_raw(result->out, buffer_slice(&links->rows));
    result->pairs++;
    buffer_release(&links->rows);
    buffer_release(&links->target);
    buffer_release(&links->words);
    buffer_release(&links->scratch);
}
