/*
 * The whole extractor on arbitrary bytes. The first byte chooses the type and whether links are
 * wanted; the result must be well-formed, and the same a second time.
 */
#include <stdlib.h>

#include "common/arena.h"
#include "common/message.h"
#include "worker/extract.h"

#define ARENA_BYTES_MAX (256u << 20)
#define OUT_BYTES_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
extract(const struct extract_input *input, struct buffer *out)
{
    struct arena arena;
    struct buffer pairs;
    size_t count = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_init(&pairs, OUT_BYTES_MAX);
    enum outcome outcome = extract_document(&arena, input, &pairs, &count);
    if (outcome == OUTCOME_OK || outcome == OUTCOME_UNSUPPORTED) {
        write_map(out, count);
        write_raw(out, buffer_slice(&pairs));
        if (message_scan(buffer_slice(out)) != OK) {
            abort();
        }
    } else if (count != 0 || pairs.size != 0) {
        abort();
    }
    buffer_release(&pairs);
    arena_release(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"text/html; charset=utf-8", "", "text/plain", "text/html"};
    if (size == 0) {
        return 0;
    }
    struct extract_input input = {
        .body = slice_of(data + 1, size - 1),
        .url = slice_string(data[0] & 8 ? "name:x" : "https://example.org/2020/01/02/page?q"),
        .content_type = slice_string(types[data[0] & 3]),
        .has_links = (data[0] & 4) != 0,
    };
    struct buffer first;
    struct buffer second;
    buffer_init(&first, OUT_BYTES_MAX);
    buffer_init(&second, OUT_BYTES_MAX);
    extract(&input, &first);
    extract(&input, &second);
    if (!slice_equal(buffer_slice(&first), buffer_slice(&second))) {
        abort();
    }
    buffer_release(&first);
    buffer_release(&second);
    return 0;
}
