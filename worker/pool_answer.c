#include "worker/pool_answer.h"

#include <string.h>

#include "common/message.h"

struct allowed {
    const char *name;
    enum value_type type;
};

/* What extraction writes of PROTOCOL.md, section 9. */
static const struct allowed allowed_pairs[] = {
    {"content_type", VALUE_STRING},
    {"charset", VALUE_STRING},
    {"title", VALUE_STRING},
    {"description", VALUE_STRING},
    {"site_name", VALUE_STRING},
    {"canonical", VALUE_STRING},
    {"image", VALUE_STRING},
    {"section", VALUE_STRING},
    {"authors", VALUE_ARRAY},
    {"published", VALUE_STRING},
    {"modified", VALUE_STRING},
    {"language", VALUE_STRING},
    {"language_confidence", VALUE_DOUBLE},
    {"headings", VALUE_ARRAY},
    {"text", VALUE_STRING},
    {"links", VALUE_ARRAY},
    {"word_count", VALUE_UINT},
    {"content_hash", VALUE_STRING},
    {"extractor", VALUE_STRING},
    {"noindex", VALUE_BOOL},
    {"nofollow", VALUE_BOOL},
};
#define ALLOWED_COUNT (sizeof allowed_pairs / sizeof allowed_pairs[0])

_Static_assert(ALLOWED_COUNT <= 32, "a bit for each in the set of names seen");

/* The row's index, or -1. */
static int
find_allowed(struct slice name)
{
    for (size_t i = 0; i < ALLOWED_COUNT; i++) {
        if (slice_equal(slice_string(allowed_pairs[i].name), name)) {
            return (int)i;
        }
    }
    return -1;
}

static bool
is_extraction_outcome(enum outcome outcome)
{
    return outcome == OUTCOME_OK || outcome == OUTCOME_UNSUPPORTED || outcome == OUTCOME_EMPTY ||
           outcome == OUTCOME_DECODE_FAILED || outcome == OUTCOME_TOO_LARGE ||
           outcome == OUTCOME_CHILD_MEMORY;
}

static bool
check_header(struct slice header, struct pool_reply *reply)
{
    static const char *const names[] = {"outcome", "decoded_bytes", "truncated", "extract_us",
                                        NULL};
    enum {
        FIELD_OUTCOME,
        FIELD_DECODED,
        FIELD_TRUNCATED,
        FIELD_EXTRACT,
        FIELD_COUNT
    };
    struct slice fields[FIELD_COUNT];
    struct reader reader;
    enum error error = OK;
    if (message_scan(header) != OK) {
        return false;
    }
    reader_init(&reader, header);
    read_fields(&reader, names, fields);
    struct slice outcome = field_string(fields[FIELD_OUTCOME], &error);
    uint64_t decoded = field_uint(fields[FIELD_DECODED], 0, &error);
    int64_t extract_us = field_int(fields[FIELD_EXTRACT], 0, &error);
    reply->is_truncated = field_bool(fields[FIELD_TRUNCATED], false, &error);
    reply->decoded_bytes = (size_t)decoded;
    reply->extract_us = extract_us;
    return reader_finish(&reader) == OK && error == OK && decoded <= SIZE_MAX &&
           outcome_parse((const char *)outcome.data, outcome.size, &reply->outcome) &&
           is_extraction_outcome(reply->outcome);
}

static bool
check_pairs(struct slice body, struct pool_reply *reply)
{
    struct reader reader;
    uint32_t seen = 0;
    if (message_scan(body) != OK) {
        return false;
    }
    reader_init(&reader, body);
    size_t count = read_map(&reader);
    const uint8_t *start = reader.position;
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        struct slice name = read_string(&reader);
        struct slice raw = read_raw(&reader);
        int row = reader.error == OK ? find_allowed(name) : -1;
        if (row < 0 || (seen & 1U << row) != 0) {
            return false;
        }
        seen |= 1U << row;
        struct reader value;
        reader_init(&value, raw);
        if (read_value(&value).type != allowed_pairs[row].type) {
            return false;
        }
    }
    if (reader_finish(&reader) != OK) {
        return false;
    }
    reply->pairs = slice_of(start, (size_t)(body.data + body.size - start));
    reply->pair_count = count;
    return true;
}

enum error
pool_answer_check(struct slice header, struct slice body, size_t decoded_bytes_max,
                  int64_t extract_us_max, struct pool_reply *ret_reply)
{
    struct pool_reply reply = {0};
    if (!check_header(header, &reply) || !check_pairs(body, &reply)) {
        return ERROR_PROTOCOL;
    }
    bool has_result = reply.outcome == OUTCOME_OK || reply.outcome == OUTCOME_UNSUPPORTED ||
                      reply.outcome == OUTCOME_EMPTY;
    if (reply.decoded_bytes > decoded_bytes_max || reply.extract_us < 0 ||
        reply.extract_us > extract_us_max || (!has_result && reply.pair_count > 0)) {
        return ERROR_PROTOCOL;
    }
    *ret_reply = reply;
    return OK;
}
