#include "client/feeder_submit.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/utf8.h"

#define ITEM_ENCODED_BYTES_MAX                                         \
    (64u << 10) /* keys and values: the bounds of the parts, and heads \
                 */
#define CONTENT_TYPE_BYTES_MAX 256
#define PRIORITY_MAX 10 /* thresh.h: 1 to 10 stand for 0 to 9 */

struct submit *
submit_create(size_t item_capacity)
{
    struct submit *submit = calloc(1, sizeof *submit);
    if (submit == NULL) {
        return NULL;
    }
    submit->items = calloc(item_capacity, sizeof *submit->items);
    submit->item_capacity = item_capacity;
    if (submit->items == NULL) {
        free(submit);
        return NULL;
    }
    return submit;
}

void
submit_item_release(struct submit_item *item)
{
    free(item->pairs);
    free((void *)(uintptr_t)item->body.data);
    *item = (struct submit_item){0};
}

void
submit_destroy(struct submit *submit)
{
    if (submit == NULL) {
        return;
    }
    for (size_t i = 0; i < submit->item_count; i++) {
        submit_item_release(&submit->items[i]);
    }
    free(submit->items);
    buffer_release(&submit->table);
    free(submit->bodies);
    free(submit->tokens);
    free(submit);
}

size_t
submit_item_bytes(const struct submit_item *item)
{
    return sizeof *item + item->pairs_size + item->body.size;
}

/* The text rows of an item: what each may be, so that a mistake is told before it is sent. */
static enum error
check_text(const char *text, size_t bytes_max, const char *not_text, const char *too_long,
           const char **ret_reason)
{
    struct slice bytes = slice_string(text);
    if (bytes.size > bytes_max) {
        *ret_reason = too_long;
        return ERROR_INVALID;
    }
    if (utf8_valid_prefix(bytes) != bytes.size) {
        *ret_reason = not_text;
        return ERROR_INVALID;
    }
    return OK;
}

static enum error
check_meta(struct slice meta, const char **ret_reason)
{
    if (meta.size == 0) {
        return OK;
    }
    if (meta.size > FEEDER_META_BYTES_MAX) {
        *ret_reason = "meta is larger than 16 KiB";
        return ERROR_INVALID;
    }
    struct reader reader;
    reader_init(&reader, meta);
    if (message_scan(meta) != OK || read_value(&reader).type != VALUE_MAP) {
        *ret_reason = "meta is not a map";
        return ERROR_INVALID;
    }
    return OK;
}

static enum error
check_item(const struct thresh_item *item, const char **ret_reason)
{
    if (item->url == NULL || item->url[0] == '\0') {
        *ret_reason = "no url";
        return ERROR_INVALID;
    }
    if (item->priority < 0 || item->priority > PRIORITY_MAX) {
        *ret_reason = "priority is not 0 to 9";
        return ERROR_INVALID;
    }
    if (item->not_before_ms < 0) {
        *ret_reason = "the time before which it must not start is negative";
        return ERROR_INVALID;
    }
    enum error error = check_text(item->url, FEEDER_URL_BYTES_MAX, "url is not UTF-8",
                                  "url is longer than 8,192 bytes", ret_reason);
    if (error == OK) {
        error = check_text(item->key, FEEDER_KEY_BYTES_MAX, "key is not UTF-8",
                           "key is longer than 256 bytes", ret_reason);
    }
    if (error == OK) {
        error = check_text(item->host, FEEDER_HOST_BYTES_MAX, "host is not UTF-8",
                           "host is longer than 253 bytes", ret_reason);
    }
    if (error == OK) {
        error = check_text(item->content_type, CONTENT_TYPE_BYTES_MAX, "content_type is not UTF-8",
                           "content_type is longer than 256 bytes", ret_reason);
    }
    if (error == OK) {
        error = check_meta(slice_of(item->meta, item->meta_size), ret_reason);
    }
    return error;
}

static size_t
write_pair(struct buffer *out, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return 0;
    }
    write_string(out, name);
    write_text(out, slice_string(text));
    return 1;
}

static size_t
write_number(struct buffer *out, const char *name, uint64_t number)
{
    write_string(out, name);
    write_uint(out, number);
    return 1;
}

static size_t
write_pairs(struct buffer *out, const struct thresh_item *item)
{
    size_t count = write_pair(out, "url", item->url);
    count += write_pair(out, "content_type", item->content_type);
    count += write_pair(out, "key", item->key);
    count += write_pair(out, "host", item->host);
    if (item->priority > 0) {
        count += write_number(out, "priority", (uint64_t)item->priority - 1);
    }
    if (item->not_before_ms > 0) {
        count += write_number(out, "not_before_at", (uint64_t)item->not_before_ms);
    }
    if (item->again) {
        write_string(out, "again");
        write_bool(out, true);
        count++;
    }
    if (item->meta_size > 0) {
        write_string(out, "meta");
        write_raw(out, slice_of(item->meta, item->meta_size));
        count++;
    }
    return count;
}

/* An owned copy; an empty body is a document too, so it gets a byte of memory. */
static bool
copy_body(const void *data, size_t size, struct slice *ret_copy)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(copy, data, size);
    }
    *ret_copy = slice_of(copy, size);
    return true;
}

enum error
submit_item_encode(const struct thresh_item *item, struct submit_item *ret_item,
                   const char **ret_reason)
{
    enum error error = check_item(item, ret_reason);
    if (error != OK) {
        return error;
    }
    struct submit_item encoded = {.token = item->token};
    struct buffer pairs;
    buffer_init(&pairs, ITEM_ENCODED_BYTES_MAX);
    encoded.pair_count = write_pairs(&pairs, item);
    error = buffer_error(&pairs);
    if (error != OK) {
        *ret_reason = "the item's texts are too large together";
        goto fail;
    }
    encoded.pairs = buffer_take(&pairs, &encoded.pairs_size);
    if (item->body != NULL && !copy_body(item->body, item->body_size, &encoded.body)) {
        *ret_reason = "out of memory";
        error = ERROR_NO_MEMORY;
        goto fail;
    }
    *ret_item = encoded;
    return OK;
fail:
    buffer_release(&pairs);
    submit_item_release(&encoded);
    return error;
}

void
submit_push(struct submit *submit, struct submit_item *item)
{
    assert(submit->state == SUBMIT_OPEN);
    assert(submit->item_count < submit->item_capacity);
    submit->items[submit->item_count++] = *item;
    submit->bytes += submit_item_bytes(item);
    *item = (struct submit_item){0};
}

void
submit_keep(struct submit *submit, const bool *keep)
{
    size_t kept = 0;
    submit->bytes = 0;
    for (size_t i = 0; i < submit->item_count; i++) {
        if (!keep[i]) {
            submit_item_release(&submit->items[i]);
            continue;
        }
        submit->bytes += submit_item_bytes(&submit->items[i]);
        submit->items[kept++] = submit->items[i];
    }
    submit->item_count = kept;
}

/* Forgets what submit_seal() built. */
static void
unseal(struct submit *submit)
{
    buffer_release(&submit->table);
    free(submit->bodies);
    free(submit->tokens);
    submit->bodies = NULL;
    submit->tokens = NULL;
    submit->body_count = 0;
}

enum error
submit_seal(struct submit *submit)
{
    assert(submit->item_count > 0);
    unseal(submit);
    buffer_init(&submit->table, submit->item_count * (ITEM_ENCODED_BYTES_MAX + 16) + 16);
    submit->bodies = calloc(submit->item_count, sizeof *submit->bodies);
    submit->tokens = calloc(submit->item_count, sizeof *submit->tokens);
    if (submit->bodies == NULL || submit->tokens == NULL) {
        goto fail;
    }
    write_array(&submit->table, submit->item_count);
    for (size_t i = 0; i < submit->item_count; i++) {
        const struct submit_item *item = &submit->items[i];
        bool has_body = item->body.data != NULL;
        write_map(&submit->table, item->pair_count + (has_body ? 1 : 0));
        write_raw(&submit->table, slice_of(item->pairs, item->pairs_size));
        if (has_body) {
            write_number(&submit->table, "body", submit->body_count);
            submit->bodies[submit->body_count++] = item->body;
        }
        submit->tokens[i] = item->token;
    }
    if (buffer_error(&submit->table) != OK) {
        goto fail;
    }
    return OK;
fail:
    unseal(submit);
    return ERROR_NO_MEMORY;
}

/* One map of a table, back into an item: the pairs as they are, without `body`. */
static enum error
restore_item(struct reader *reader, const struct feeder_submit *from, size_t index,
             struct submit_item *ret_item)
{
    struct submit_item item = {.token = from->tokens[index]};
    struct buffer pairs;
    buffer_init(&pairs, ITEM_ENCODED_BYTES_MAX);
    enum error error = ERROR_PROTOCOL;
    size_t count = read_map(reader);
    for (size_t i = 0; i < count && reader->error == OK; i++) {
        const uint8_t *start = reader->position;
        bool is_body = slice_equal(read_string(reader), slice_string("body"));
        if (is_body) {
            uint64_t body = read_uint(reader);
            if (body >= from->body_count || item.body.data != NULL) {
                goto fail;
            }
            if (!copy_body(from->bodies[body].data, from->bodies[body].size, &item.body)) {
                error = ERROR_NO_MEMORY;
                goto fail;
            }
            continue;
        }
        read_skip(reader);
        write_raw(&pairs, slice_of(start, (size_t)(reader->position - start)));
        item.pair_count++;
    }
    if (reader->error != OK || buffer_error(&pairs) != OK || item.pair_count == 0) {
        goto fail;
    }
    item.pairs = buffer_take(&pairs, &item.pairs_size);
    *ret_item = item;
    return OK;
fail:
    buffer_release(&pairs);
    submit_item_release(&item);
    return error;
}

enum error
submit_restore(const struct feeder_submit *from, struct submit **ret_submit)
{
    struct reader reader;
    enum error error = message_scan(from->table);
    if (error != OK) {
        return error;
    }
    reader_init(&reader, from->table);
    size_t count = read_array(&reader);
    if (reader.error != OK || count == 0 || count > FEEDER_BATCH_MAX || count != from->item_count) {
        return ERROR_PROTOCOL;
    }
    struct submit *submit = submit_create(count);
    if (submit == NULL) {
        return ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        struct submit_item item;
        error = restore_item(&reader, from, i, &item);
        if (error != OK) {
            goto fail;
        }
        submit_push(submit, &item);
    }
    error = submit_seal(submit);
    if (error != OK) {
        goto fail;
    }
    submit->sequence = from->sequence;
    submit->replaces = from->replaces;
    submit->state = SUBMIT_READY;
    *ret_submit = submit;
    return OK;
fail:
    submit_destroy(submit);
    return error;
}

struct feeder_submit
submit_view(const struct submit *submit)
{
    return (struct feeder_submit){
        .sequence = submit->sequence,
        .replaces = submit->replaces,
        .item_count = submit->item_count,
        .table = buffer_slice(&submit->table),
        .bodies = submit->bodies,
        .body_count = submit->body_count,
        .tokens = submit->tokens,
    };
}
