/* A stream of results as msgpack: before each map its size in four bytes, big-endian. */
#include "client/sink.h"

#include "common/message.h"

#define HEAD_BYTES 4

static enum error
encode(struct buffer *out, struct slice task, struct slice map)
{
    (void)task;
    if (map.size == 0 || map.size > SINK_RECORD_BYTES_MAX - HEAD_BYTES) {
        return ERROR_PROTOCOL;
    }
    uint8_t head[HEAD_BYTES] = {(uint8_t)(map.size >> 24), (uint8_t)(map.size >> 16),
                                (uint8_t)(map.size >> 8), (uint8_t)map.size};
    enum error error = message_scan(map);
    buffer_append(out, head, sizeof head);
    buffer_append(out, map.data, map.size);
    return error;
}

static enum error
decode(struct slice bytes, struct buffer *scratch, size_t *ret_size, struct slice *ret_task,
       struct slice *ret_map)
{
    static const char *const names[] = {"task", NULL};
    struct slice fields[1];
    struct reader reader;
    enum error error = OK;
    (void)scratch;
    if (bytes.size < HEAD_BYTES) {
        return ERROR_AGAIN;
    }
    size_t size = (size_t)bytes.data[0] << 24 | (size_t)bytes.data[1] << 16 |
                  (size_t)bytes.data[2] << 8 | (size_t)bytes.data[3];
    if (size == 0 || size > SINK_RECORD_BYTES_MAX - HEAD_BYTES) {
        return ERROR_CORRUPT;
    }
    if (bytes.size - HEAD_BYTES < size) {
        return ERROR_AGAIN;
    }
    struct slice map = slice_of(bytes.data + HEAD_BYTES, size);
    reader_init(&reader, map);
    read_fields(&reader, names, fields);
    *ret_task = field_string(fields[0], &error);
    if (reader_finish(&reader) != OK || error != OK) {
        return ERROR_CORRUPT;
    }
    *ret_size = HEAD_BYTES + size;
    if (ret_map != NULL) {
        *ret_map = map;
    }
    return OK;
}

const struct sink_kind sink_msgpack = {
    .name = "msgpack",
    .suffixes = ".msgpack|.mpk",
    .encode = encode,
    .decode = decode,
};
