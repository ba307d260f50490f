/* One line of a list as an item: a URL, or a JSON object. */
#include "client/input_source.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/base64.h"
#include "common/json.h"
#include "common/message.h"
#include "common/utf8.h"

#define PRIORITY_MAX 9
#define URL_BYTES_MAX_HERE 8192 /* as feeder_core takes */

static const char *const names[] = {"url",          "body",     "body_base64",   "file",
                                    "content_type", "priority", "not_before_at", "key",
                                    "again",        "host",     "meta",          NULL};
enum field {
    F_URL,
    F_BODY,
    F_BODY_BASE64,
    F_FILE,
    F_CONTENT_TYPE,
    F_PRIORITY,
    F_NOT_BEFORE,
    F_KEY,
    F_AGAIN,
    F_HOST,
    F_META,
    F_COUNT,
};

static bool
is_given(struct slice field)
{
    return field.data != NULL && !(field.size == 1 && field.data[0] == 0xc0); /* nil */
}

/* A text with an end. ERROR_INVALID: a NUL inside, which no text of an item may have. */
static enum error
copy_text(struct slice text, char **ret_copy)
{
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) {
        return ERROR_INVALID;
    }
    char *copy = slice_copy_text(text);
    if (copy == NULL) {
        return ERROR_NO_MEMORY;
    }
    *ret_copy = copy;
    return OK;
}

/* The texts, into *ret_copy; the reason names the key. */
static enum error
take_text(const struct slice *fields, enum field field, char **ret_copy, const char *reason,
          const char **ret_reason)
{
    enum error error = OK;
    if (!is_given(fields[field])) {
        return OK;
    }
    struct slice text = field_string(fields[field], &error);
    char *copy = NULL;
    if (error == OK) {
        error = copy_text(text, &copy);
    }
    if (error == ERROR_NO_MEMORY) {
        return error;
    }
    if (error != OK) {
        *ret_reason = reason;
        return ERROR_INVALID;
    }
    free(*ret_copy);
    *ret_copy = copy;
    return OK;
}

static enum error
take_texts(const struct slice *fields, struct input_item *item, const char **ret_reason)
{
    enum error error =
        take_text(fields, F_URL, &item->url, "'url' is not a plain text", ret_reason);
    if (error == OK) {
        error = take_text(fields, F_CONTENT_TYPE, &item->content_type,
                          "'content_type' is not a plain text", ret_reason);
    }
    if (error == OK) {
        error = take_text(fields, F_KEY, &item->key, "'key' is not a plain text", ret_reason);
    }
    if (error == OK) {
        error = take_text(fields, F_HOST, &item->host, "'host' is not a plain text", ret_reason);
    }
    if (error == OK && item->url != NULL) {
        item->item.url = item->url;
    }
    if (error == OK && item->content_type != NULL) {
        item->item.content_type = item->content_type;
    }
    item->item.key = item->key;
    item->item.host = item->host;
    return error;
}

/* Bodies inside the line. */
static enum error
take_body(const struct slice *fields, uint64_t bytes_max, struct input_item *item,
          const char **ret_reason)
{
    struct buffer body;
    enum error error = OK;
    bool is_base64 = is_given(fields[F_BODY_BASE64]);
    struct slice text = field_string(fields[is_base64 ? F_BODY_BASE64 : F_BODY], &error);
    if (error != OK) {
        *ret_reason = "the body is not a text";
        return ERROR_INVALID;
    }
    buffer_init(&body, bytes_max);
    if (is_base64) {
        error = base64_decode(&body, text);
        *ret_reason = "'body_base64' is not base64";
    } else {
        buffer_append(&body, text.data, text.size);
    }
    if (error == OK && buffer_error(&body) == ERROR_TOO_LARGE) {
        *ret_reason = "the body is larger than --body-bytes-max allows";
        error = ERROR_INVALID;
    }
    if (error == OK && buffer_error(&body) != OK) {
        error = ERROR_NO_MEMORY;
    }
    if (error == OK) {
        item->body = buffer_take(&body, &item->item.body_size);
        item->item.body = item->body != NULL ? item->body : (const void *)"";
    }
    buffer_release(&body);
    return error;
}

static enum error
take_document(struct input *input, const char *where, const struct slice *fields,
              struct input_item *item, const char **ret_reason)
{
    int given =
        is_given(fields[F_BODY]) + is_given(fields[F_BODY_BASE64]) + is_given(fields[F_FILE]);
    if (given == 0) {
        return OK;
    }
    if (given > 1) {
        *ret_reason = "only one of 'body', 'body_base64' and 'file' may be there";
        return ERROR_INVALID;
    }
    if (!is_given(fields[F_FILE])) {
        return take_body(fields, input_options(input)->body_bytes_max, item, ret_reason);
    }
    char *path = NULL;
    enum error error = take_text(fields, F_FILE, &path, "'file' is not a plain text", ret_reason);
    if (error == OK) {
        *ret_reason = ""; /* what is wrong with a file is reported by itself */
        error = input_document(input, where, path, item);
    }
    free(path);
    return error;
}

static enum error
take_rest(const struct slice *fields, struct input_item *item, const char **ret_reason)
{
    enum error error = OK;
    uint64_t priority = field_uint(fields[F_PRIORITY], PRIORITY_MAX + 1, &error);
    if (error != OK || (is_given(fields[F_PRIORITY]) && priority > PRIORITY_MAX)) {
        *ret_reason = "'priority' is not a number from 0 to 9";
        return ERROR_INVALID;
    }
    item->item.priority = is_given(fields[F_PRIORITY]) ? (int)priority + 1 : 0;
    uint64_t not_before = field_uint(fields[F_NOT_BEFORE], 0, &error);
    if (error != OK || not_before > INT64_MAX) {
        *ret_reason = "'not_before_at' is not a time in milliseconds";
        return ERROR_INVALID;
    }
    item->item.not_before_ms = (int64_t)not_before;
    item->item.again = field_bool(fields[F_AGAIN], false, &error);
    if (error != OK) {
        *ret_reason = "'again' is not true or false";
        return ERROR_INVALID;
    }
    if (is_given(fields[F_META])) {
        struct reader reader;
        reader_init(&reader, fields[F_META]);
        if (read_value(&reader).type != VALUE_MAP) {
            *ret_reason = "'meta' is not an object";
            return ERROR_INVALID;
        }
        item->meta = malloc(fields[F_META].size);
        if (item->meta == NULL) {
            return ERROR_NO_MEMORY;
        }
        memcpy(item->meta, fields[F_META].data, fields[F_META].size);
        item->item.meta = item->meta;
        item->item.meta_size = fields[F_META].size;
    }
    return OK;
}

/* A key that is not ours is a mistake of the person who wrote it, so it is told. */
static enum error
check_keys(struct input *input, struct slice map, const char **ret_reason)
{
    struct reader reader;
    reader_init(&reader, map);
    size_t count = read_map(&reader);
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        struct slice key = read_string(&reader);
        bool is_known = false;
        for (size_t k = 0; names[k] != NULL; k++) {
            is_known = is_known || slice_equal(key, slice_string(names[k]));
        }
        if (!is_known) {
            int shown = key.size < 40 ? (int)key.size : 40;
            *ret_reason = input_reason(input, "unknown key '%.*s'", shown, (const char *)key.data);
            return ERROR_INVALID;
        }
        read_skip(&reader);
    }
    return reader.error == OK ? OK : ERROR_INVALID;
}

static enum error
object_line(struct input *input, const char *where, struct slice map, struct input_item *item,
            const char **ret_reason)
{
    struct slice fields[F_COUNT];
    struct reader reader;
    enum error error = check_keys(input, map, ret_reason);
    if (error != OK) {
        return error;
    }
    reader_init(&reader, map);
    read_fields(&reader, names, fields);
    error = take_document(input, where, fields, item, ret_reason);
    if (error == OK) {
        error = take_texts(fields, item, ret_reason);
    }
    if (error == OK) {
        error = take_rest(fields, item, ret_reason);
    }
    if (error == OK && (item->item.url == NULL || item->item.url[0] == '\0')) {
        *ret_reason = "no 'url'";
        error = ERROR_INVALID;
    }
    return error;
}

static bool
is_web_url(struct slice line)
{
    return (line.size > 7 && strncasecmp((const char *)line.data, "http://", 7) == 0) ||
           (line.size > 8 && strncasecmp((const char *)line.data, "https://", 8) == 0);
}

static enum error
json_line(struct input *input, const char *where, struct slice line, struct input_item *item,
          const char **ret_reason)
{
    struct buffer message;
    size_t offset = 0;
    buffer_init(&message, INPUT_LINE_BYTES_MAX * 2);
    enum error error = json_to_message(&message, line, &offset);
    if (error != OK) {
        *ret_reason = input_reason(input, "not JSON (at byte %zu)", offset + 1);
        error = ERROR_INVALID;
    } else {
        error = object_line(input, where, buffer_slice(&message), item, ret_reason);
    }
    buffer_release(&message);
    return error;
}

enum error
input_line(struct input *input, const char *where, struct slice line, struct input_item *item,
           const char **ret_reason)
{
    if (line.data[0] == '{') {
        return json_line(input, where, line, item, ret_reason);
    }
    if (utf8_valid_prefix(line) != line.size) {
        *ret_reason = "not UTF-8";
        return ERROR_INVALID;
    }
    if (!is_web_url(line)) {
        *ret_reason = "not an http or https URL (and not a JSON object)";
        return ERROR_INVALID;
    }
    if (line.size > URL_BYTES_MAX_HERE) {
        *ret_reason = "a URL longer than 8,192 bytes";
        return ERROR_INVALID;
    }
    enum error error = copy_text(line, &item->url);
    if (error == ERROR_INVALID) {
        *ret_reason = "a NUL byte inside";
    }
    item->item.url = item->url;
    return error;
}
