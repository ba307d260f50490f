/*
 * extract_result: the pairs of a result as extraction writes them (PROTOCOL.md, section 9).
 *
 * Empty texts are left out: absent means unknown. Threads: one owner.
 */
#ifndef THRESH_WORKER_EXTRACT_RESULT_H
#define THRESH_WORKER_EXTRACT_RESULT_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/url.h"
#include "worker/blocks.h"
#include "worker/extract.h"
#include "worker/html.h"

#include <stdbool.h>

/* message_scan() takes MESSAGE_ELEMENTS_MAX elements in one value; these keep results below. */
#define RESULT_LINKS_MAX 5000
#define RESULT_HEADINGS_MAX 1000
#define RESULT_TEXT_BYTES_MAX (16u << 20)

struct result {
    struct arena *arena;
    const struct extract_input *input;
    struct slice text; /* the body as UTF-8 */
    struct buffer *out;
    size_t pairs;
};

void result_text(struct result *result, const char *name, struct slice text);
void result_string(struct result *result, const char *name, const char *text);

/* text, word_count, content_hash, language, language_confidence, extractor. hint: the language that
 * the document claims, may be empty. */
void result_content(struct result *result, struct slice text, struct slice hint,
                    const char *extractor);

/* Every http or https link of the page. base NULL: relative ones are dropped. */
void result_links(struct result *result, const struct html_document *document,
                  const struct url *base);

/* The extractors, one for each row of the table in extract.c. */
enum outcome extract_html(struct result *result);
enum outcome extract_text(struct result *result);

/* ---- content types (extract_sniff.c) ------------------------------------------------------ */

#define CONTENT_TYPE_BYTES 128

/*
 * The document's type without parameters, small: what the header says, or, where it says nothing
 * of use, what the first bytes look like.
 */
void content_type_find(struct slice header, struct slice body, char ret_type[CONTENT_TYPE_BYTES]);

/* The value of a parameter ("charset"), without quotes; empty when there is none. */
struct slice content_type_parameter(struct slice header, const char *name);

#endif
