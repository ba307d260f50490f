/*
 * The whole extractor on arbitrary bytes. A first byte below 16 chooses the type, whether links are
 * wanted, and the URL; without one (a fixture, as it is) all of it is a page, links wanted. The
 * result must be well-formed, and the same a second time.
 */
#include "common/arena.h"
#include "common/message.h"
#include "tests/fuzz/require.h"
#include "worker/extract.h"

#define ARENA_BYTES_MAX (256u << 20)
#define OUT_BYTES_MAX (16u << 20)
#define HAS_LINKS 4 /* below it, the type */
#define HAS_NAME 8

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
        require(message_scan(buffer_slice(out)) == OK);
    } else {
        require(count == 0 && pairs.size == 0);
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
    bool is_chosen = data[0] < 2 * HAS_NAME;
    unsigned choice = is_chosen ? data[0] : HAS_LINKS;
    struct extract_input input = {
        .body = is_chosen ? slice_of(data + 1, size - 1) : slice_of(data, size),
        .url = slice_string(choice & HAS_NAME ? "name:x" : "https://example.org/2020/01/02/page?q"),
        .content_type = slice_string(types[choice % HAS_LINKS]),
        .has_links = (choice & HAS_LINKS) != 0,
    };
    struct buffer first;
    struct buffer second;
    buffer_init(&first, OUT_BYTES_MAX);
    buffer_init(&second, OUT_BYTES_MAX);
    extract(&input, &first);
    extract(&input, &second);
    require(slice_equal(buffer_slice(&first), buffer_slice(&second)));
    buffer_release(&first);
    buffer_release(&second);
    return 0;
}
