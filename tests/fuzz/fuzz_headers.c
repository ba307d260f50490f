/* Heads of answers: any lines give a verdict, and what is kept can be written as well-formed
 * msgpack. Dates and delays ride along. */
#include <assert.h>
#include <string.h>

#include "common/message.h"
#include "worker/headers.h"
#include "worker/http_date.h"

#define BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct headers headers;
    struct slice rest = slice_of(data, size);
    const char *reason = NULL;
    struct buffer map;

    headers_init(&headers, BYTES_MAX);
    buffer_init(&map, 4 * BYTES_MAX);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.size);
        size_t line = end == NULL ? rest.size : (size_t)(end - rest.data) + 1;
        if (headers_add(&headers, slice_of(rest.data, line), &reason) != HEADERS_GOOD) {
            assert(reason != NULL);
            break;
        }
        rest = slice_of(rest.data + line, rest.size - line);
    }
    headers_write(&headers, &map);
    assert(buffer_error(&map) == OK);
    assert(message_scan(buffer_slice(&map)) == OK);
    int64_t wait_ms = retry_after_ms(slice_of(data, size), INT64_C(1700000000000));
    assert(wait_ms >= 0 && wait_ms <= RETRY_AFTER_MAX_MS);
    buffer_release(&map);
    headers_release(&headers);
    return 0;
}
