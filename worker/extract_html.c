#include <string.h>

#include "common/message.h"
#include "worker/extract_metadata.h"
#include "worker/extract_page.h"
#include "worker/extract_result.h"

/* Less text than this in the page itself is not believed to be all of it. */
#define BARE_TEXT_BYTES_MAX 250

/* The URL that relative ones are resolved against, NULL when there is none. */
static const struct url *
base_find(const struct result *result, const struct metadata *metadata, struct url *ret_url)
{
    struct url own;
    url_reason reason = NULL;
    bool has_own = url_parse(result->input->url, &own, &reason) == OK && own.scheme != URL_FILE;
    struct slice named = metadata_text(metadata, METADATA_BASE);
    if (named.size > 0) {
        enum error error = has_own ? url_resolve(&own, named, ret_url, &reason)
                                   : url_parse(named, ret_url, &reason);
        if (error == OK) {
            return ret_url;
        }
    }
    if (has_own) {
        /* A struct url points into itself: parsed again, not copied. */
        return url_parse(result->input->url, ret_url, &reason) == OK ? ret_url : NULL;
    }
    /* A page fed as a document: it may say itself where it comes from. */
    struct slice canonical = metadata_text(metadata, METADATA_CANONICAL);
    return url_parse(canonical, ret_url, &reason) == OK ? ret_url : NULL;
}

static void
url_write(struct result *result, const char *name, const struct url *base, struct slice reference)
{
    struct url url;
    url_reason reason = NULL;
    if (reference.size == 0) {
        return;
    }
    enum error error = base == NULL ? url_parse(reference, &url, &reason)
                                    : url_resolve(base, reference, &url, &reason);
    if (error == OK && url.scheme != URL_FILE) {
        result_text(result, name, slice_of(url.text, url.size));
    }
}

static void
metadata_write(struct result *result, const struct metadata *metadata, const struct url *base)
{
    result_text(result, "title", metadata_text(metadata, METADATA_TITLE));
    result_text(result, "description", metadata_text(metadata, METADATA_DESCRIPTION));
    result_text(result, "site_name", metadata_text(metadata, METADATA_SITE_NAME));
    url_write(result, "canonical", base, metadata_text(metadata, METADATA_CANONICAL));
    url_write(result, "image", base, metadata_text(metadata, METADATA_IMAGE));
    result_text(result, "section", metadata_text(metadata, METADATA_SECTION));
    if (metadata->author_count > 0) {
        write_string(result->out, "authors");
        write_array(result->out, metadata->author_count);
        for (size_t i = 0; i < metadata->author_count; i++) {
            write_text(result->out, metadata->authors[i]);
        }
        result->pairs++;
    }
    result_text(result, "published", metadata_text(metadata, METADATA_PUBLISHED));
    result_text(result, "modified", metadata_text(metadata, METADATA_MODIFIED));
    if (metadata->is_noindex) {
        write_string(result->out, "noindex");
        write_bool(result->out, true);
        result->pairs++;
    }
    if (metadata->is_nofollow) {
        write_string(result->out, "nofollow");
        write_bool(result->out, true);
        result->pairs++;
    }
}

static void
headings_write(struct result *result, const struct block_list *list)
{
    size_t count = 0;
    for (uint32_t i = 0; i < list->count && count < RESULT_HEADINGS_MAX; i++) {
        count += list->blocks[i].is_kept && list->blocks[i].kind == BLOCK_HEADING;
    }
    if (count == 0) {
        return;
    }
    write_string(result->out, "headings");
    write_array(result->out, count);
    result->pairs++;
    for (uint32_t i = 0; count > 0; i++) {
        const struct block *block = &list->blocks[i];
        if (block->is_kept && block->kind == BLOCK_HEADING) {
            write_map(result->out, 2);
            write_string(result->out, "level");
            write_uint(result->out, block->level);
            write_string(result->out, "text");
            write_text(result->out, block_text(list, block));
            count--;
        }
    }
}

static void
page_write(struct result *result, const struct page *page, const struct metadata *metadata)
{
    struct buffer text;
    buffer_init(&text, RESULT_TEXT_BYTES_MAX);
    block_list_render(&page->list, &text);
    if (buffer_error(&text) == ERROR_NO_MEMORY) {
        result->out->error = ERROR_NO_MEMORY;
    }
    /* A page that scripts fill may have its text in its marked-up data alone. */
    struct slice body = metadata_text(metadata, METADATA_BODY);
    bool is_bare = text.size < BARE_TEXT_BYTES_MAX && body.size > 2 * text.size;
    headings_write(result, &page->list);
    result_content(result, is_bare ? body : buffer_slice(&text),
                   metadata_text(metadata, METADATA_LANGUAGE), "thresh-html/1");
    buffer_release(&text);
}

enum outcome
extract_html(struct result *result)
{
    struct html_document document;
    if (html_parse(result->arena, result->text, &document) != OK) {
        return OUTCOME_CHILD_MEMORY;
    }
    struct metadata metadata;
    metadata_init(&metadata, result->arena);
    metadata_read(&metadata, &document, result->input->url);

    struct page page = {
        .arena = result->arena,
        .document = &document,
        .title = metadata_text(&metadata, METADATA_TITLE),
        .page_title = metadata_text(&metadata, METADATA_PAGE_TITLE),
        .kind_hint = metadata_text(&metadata, METADATA_KIND),
        .url = result->input->url,
        .has_date = metadata_text(&metadata, METADATA_PUBLISHED).size > 0,
        .has_author = metadata.author_count > 0,
    };
    enum outcome outcome = OUTCOME_CHILD_MEMORY;
    if (page_extract(&page) == OK) {
        struct url base;
        const struct url *found = base_find(result, &metadata, &base);
        metadata_write(result, &metadata, found);
        page_write(result, &page, &metadata);
        if (result->input->has_links) {
            result_links(result, &document, found);
        }
        outcome = OUTCOME_OK;
    }
    page_release(&page);
    return outcome;
}
