/*
 * extract: what a reader wants out of a document's bytes.
 *
 * One table (extract.c) maps content types to extractors, each a file of its own: extract_html.c,
 * extract_text.c. Runs inside the sandboxed child: no file, no socket, no clock, no global that
 * outlives the call. The same input and version give the same bytes (I21).
 *
 * Bounds   memory by the arena, output by the buffer; depth and node limits in html.h.
 * Threads  pure functions.
 */
#ifndef THRESH_WORKER_EXTRACT_H
#define THRESH_WORKER_EXTRACT_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/outcome.h"

#include <stdbool.h>
#include <stddef.h>

struct extract_input {
    struct slice body;         /* content encoding removed already */
    struct slice url;          /* canonical; base of the links; may be empty or "name:..." */
    struct slice content_type; /* the header as it came, with parameters; empty: sniff */
    bool has_links;            /* write the outlinks too */
};

/*
 * Appends the result's pairs that extraction knows (content_type, charset, title, ... of
 * PROTOCOL.md section 9) to out, without a map head, and counts them.
 * OUTCOME_OK: extracted. OUTCOME_UNSUPPORTED: no extractor for this type (content_type is
 * still written). OUTCOME_EMPTY: no byte in the body. OUTCOME_CHILD_MEMORY: the arena or out is
 * full; then *ret_pairs is 0 and out is as it was.
 */
enum outcome extract_document(struct arena *arena, const struct extract_input *input,
                              struct buffer *out, size_t *ret_pairs);

/* "thresh-html/1": raised with every change that can change a result. */
#define EXTRACT_VERSION 1

#endif
