/* Bodies under content encodings: never more than the limits allow, never whole without an end
 * mark where the format has one. The first byte chooses the encoding. */
#include "worker/decode.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define BODY_BYTES_MAX ((size_t)2 * 1024 * 1024)

static const char *const encodings[] = {
    "gzip", "deflate", "br", "zstd", "", "gzip, br", "deflate, gzip", "zstd, zstd, gzip",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    const struct decode_limits limits = {.bytes_max = BODY_BYTES_MAX, .ratio_max = 100};
    if (size < 1) {
        return 0;
    }
    if (arena.bytes_max == 0) {
        arena_init(&arena, ARENA_BYTES_MAX);
    }
    const char *encoding = encodings[data[0] % (sizeof encodings / sizeof encodings[0])];
    struct slice body = slice_of(data + 1, size - 1);
    struct decoded decoded = {0};
    switch (decode_body(&arena, body, slice_string(encoding), &limits, &decoded)) {
    case OUTCOME_OK:
        require(decoded.body.size <= BODY_BYTES_MAX);
        for (size_t i = 0; i < decoded.body.size; i += 4096) {
            require(decoded.body.data[i] + 1 > 0); /* the sanitizer looks at the read */
        }
        break;
    case OUTCOME_DECODE_FAILED:
    case OUTCOME_TOO_LARGE:
        break;
    default:
        abort();
    }
    arena_clear(&arena);
    return 0;
}
