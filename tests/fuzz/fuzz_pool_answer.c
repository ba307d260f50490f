/* Answers of a child that hostile bytes may have taken over: what passes has only names that
 * extraction may write, each once. The first byte is the size of the header. */
#include "worker/pool_answer.h"

#include "common/message.h"
#include "tests/fuzz/require.h"

#define DECODED_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define EXTRACT_US_MAX 20000000
#define PAIRS_MAX 32

static void
check(const struct pool_reply *reply)
{
    static const char *const forbidden[] = {"task", "url", "worker", "outcome", "attempt",
                                            "meta", "raw", "dead",   "headers"};
    struct slice names[PAIRS_MAX];
    struct reader reader;
    require(reply->pair_count <= PAIRS_MAX);
    reader_init(&reader, reply->pairs);
    for (size_t i = 0; i < reply->pair_count; i++) {
        names[i] = read_string(&reader);
        read_skip(&reader);
        for (size_t k = 0; k < i; k++) {
            require(!slice_equal(names[i], names[k]));
        }
        for (size_t k = 0; k < sizeof forbidden / sizeof forbidden[0]; k++) {
            require(!slice_equal(names[i], slice_string(forbidden[k])));
        }
    }
    require(reader_finish(&reader) == OK);
    require(reply->decoded_bytes <= DECODED_BYTES_MAX);
    require(reply->extract_us >= 0 && reply->extract_us <= EXTRACT_US_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || data[0] > size - 1) {
        return 0;
    }
    struct slice header = slice_of(data + 1, data[0]);
    struct slice body = slice_of(data + 1 + data[0], size - 1 - data[0]);
    struct pool_reply reply;
    if (pool_answer_check(header, body, DECODED_BYTES_MAX, EXTRACT_US_MAX, &reply) == OK) {
        check(&reply);
    }
    return 0;
}
