#include "client/feeder_answer.h"

#define RETRY_DEFAULT_MS 1000
#define RETRY_MAX_MS 600000
#define INDEX_DIGITS_MAX 5

/* An item's index: a number, or its decimal text. SIZE_MAX: neither. */
static size_t
index_of(struct value key)
{
    if (key.type == VALUE_UINT && key.uint < FEEDER_BATCH_MAX) {
        return (size_t)key.uint;
    }
    if (key.type != VALUE_STRING || key.bytes.size == 0 || key.bytes.size > INDEX_DIGITS_MAX) {
        return SIZE_MAX;
    }
    size_t index = 0;
    for (size_t i = 0; i < key.bytes.size; i++) {
        uint8_t digit = key.bytes.data[i];
        if (digit < '0' || digit > '9') {
            return SIZE_MAX;
        }
        index = index * 10 + (size_t)(digit - '0');
    }
    return index;
}

static enum error
read_reasons(struct slice field, struct feeder_answer *answer)
{
    if (field.data == NULL) {
        return OK;
    }
    struct reader reader;
    reader_init(&reader, field);
    struct value head = read_value(&reader);
    if (head.type == VALUE_NIL) {
        return OK;
    }
    if (head.type != VALUE_MAP) {
        return ERROR_PROTOCOL;
    }
    for (size_t i = 0; i < head.count && reader.error == OK; i++) {
        struct value key = read_value(&reader);
        struct slice reason = read_string(&reader);
        size_t index = index_of(key);
        if (index < answer->count) {
            answer->reasons[index] = reason;
        }
    }
    return reader_finish(&reader);
}

static enum error
read_statuses(struct slice field, struct feeder_answer *answer)
{
    struct reader reader;
    reader_init(&reader, field);
    answer->count = read_array(&reader);
    if (answer->count > FEEDER_BATCH_MAX) {
        return ERROR_PROTOCOL;
    }
    for (size_t i = 0; i < answer->count; i++) {
        uint64_t status = read_uint(&reader);
        if (status >= ITEM_STATUS_COUNT) {
            return ERROR_PROTOCOL;
        }
        answer->statuses[i] = (uint8_t)status;
    }
    return reader_finish(&reader);
}

enum error
feeder_answer_read(struct session_header *header, struct feeder_answer *answer)
{
    static const char *const names[] = {"statuses", "first", "reasons", "retry_ms", NULL};
    enum {
        F_STATUSES,
        F_FIRST,
        F_REASONS,
        F_RETRY,
        F_COUNT
    };
    struct slice fields[F_COUNT];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    answer->first = field_uint(fields[F_FIRST], 0, &error);
    uint64_t retry_ms = field_uint(fields[F_RETRY], RETRY_DEFAULT_MS, &error);
    answer->retry_ms = retry_ms < RETRY_MAX_MS ? (int64_t)retry_ms : RETRY_MAX_MS;
    if (error == OK) {
        error = reader_finish(&header->pairs);
    }
    if (error == OK) {
        error = read_statuses(fields[F_STATUSES], answer);
    }
    return error == OK ? read_reasons(fields[F_REASONS], answer) : error;
}
