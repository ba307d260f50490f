/* JSON lines: a result's map as one line of JSON. */
#include "client/sink.h"

#include <string.h>

#include "common/json.h"
#include "common/message.h"

#define TASK_KEY "\"task\":\""
#define TASK_KEY_WITHIN 64 /* bytes from the line's start in which the key usually is */
#define TASK_BYTES_MAX 64

static enum error
encode(struct buffer *out, struct slice task, struct slice map)
{
    (void)task;
    enum error error = message_scan(map);
    if (error == OK) {
        error = json_from_message(out, map);
    }
    buffer_append_byte(out, '\n');
    return error;
}

/* The task of a line as we write them: near the start, without escapes. */
static bool
find_task(struct slice line, struct slice *ret_task)
{
    size_t within = line.size < TASK_KEY_WITHIN ? line.size : TASK_KEY_WITHIN;
    const uint8_t *key = memmem(line.data, within, TASK_KEY, strlen(TASK_KEY));
    if (key == NULL || line.data[0] != '{' || line.data[line.size - 1] != '}') {
        return false;
    }
    const uint8_t *start = key + strlen(TASK_KEY);
    size_t left = (size_t)(line.data + line.size - start);
    const uint8_t *end = memchr(start, '"', left < TASK_BYTES_MAX ? left : TASK_BYTES_MAX);
    if (end == NULL || memchr(start, '\\', (size_t)(end - start)) != NULL) {
        return false;
    }
    *ret_task = slice_of(start, (size_t)(end - start));
    return true;
}

static enum error
parse_line(struct slice line, struct buffer *scratch, struct slice *ret_task, struct slice *ret_map)
{
    static const char *const names[] = {"task", NULL};
    struct slice fields[1];
    struct reader reader;
    size_t offset;
    buffer_clear(scratch);
    enum error error = json_to_message(scratch, line, &offset);
    if (error != OK) {
        return ERROR_CORRUPT;
    }
    reader_init(&reader, buffer_slice(scratch));
    read_fields(&reader, names, fields);
    *ret_task = field_string(fields[0], &error);
    if (reader_finish(&reader) != OK || error != OK) {
        return ERROR_CORRUPT;
    }
    if (ret_map != NULL) {
        *ret_map = buffer_slice(scratch);
    }
    return OK;
}

static enum error
decode(struct slice bytes, struct buffer *scratch, size_t *ret_size, struct slice *ret_task,
       struct slice *ret_map)
{
    const uint8_t *end = memchr(bytes.data, '\n', bytes.size);
    if (end == NULL) {
        return ERROR_AGAIN;
    }
    struct slice line = slice_of(bytes.data, (size_t)(end - bytes.data));
    *ret_size = line.size + 1;
    if (line.size == 0) {
        *ret_task = slice_of(NULL, 0);
        return OK;
    }
    if (ret_map == NULL && find_task(line, ret_task)) {
        return OK;
    }
    return parse_line(line, scratch, ret_task, ret_map);
}

const struct sink_kind sink_jsonl = {
    .name = "jsonl",
    .suffixes = ".jsonl|.ndjson|.json",
    .encode = encode,
    .decode = decode,
};
