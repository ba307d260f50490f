#include "worker/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_BEFORE_BODIES 2
#define HEADER_BYTES_MAX ((size_t)256 * 1024) /* RELEASE carries its leases in the header */
#define TABLE_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct outbox_item {
    uint64_t fence;
    bool is_release;
    struct buffer row; /* of a report: its pairs; of a release: the pair [fence, task] */
    size_t row_pairs;
    struct buffer result;
    struct outbox_item *next;
};

void
outbox_init(struct outbox *outbox, const struct outbox_limits *limits)
{
    *outbox = (struct outbox){.limits = *limits};
    outbox->queued_end = &outbox->queued;
    outbox->messages_end = &outbox->messages;
}

static void
item_destroy(struct outbox_item *item)
{
    buffer_release(&item->row);
    buffer_release(&item->result);
    free(item);
}

static void
items_destroy(struct outbox_item *item)
{
    while (item != NULL) {
        struct outbox_item *next = item->next;
        item_destroy(item);
        item = next;
    }
}

static void
message_destroy(struct outbox_message *message)
{
    items_destroy(message->items);
    buffer_release(&message->header);
    buffer_release(&message->table);
    free(message->frames);
    free(message);
}

void
outbox_release(struct outbox *outbox)
{
    items_destroy(outbox->queued);
    while (outbox->messages != NULL) {
        struct outbox_message *next = outbox->messages->next;
        message_destroy(outbox->messages);
        outbox->messages = next;
    }
    outbox_init(outbox, &(struct outbox_limits){0});
}

static void
queue(struct outbox *outbox, struct outbox_item *item)
{
    *outbox->queued_end = item;
    outbox->queued_end = &item->next;
    outbox->queued_count++;
    outbox->bytes += item->result.size;
}

enum error
outbox_add_report(struct outbox *outbox, uint64_t fence, struct buffer *row, size_t row_pairs,
                  struct buffer *result)
{
    enum error error = buffer_error(row) != OK ? buffer_error(row) : buffer_error(result);
    struct outbox_item *item = error == OK ? calloc(1, sizeof *item) : NULL;

    if (item == NULL) {
        buffer_release(row);
        buffer_release(result);
        return error != OK ? error : ERROR_NO_MEMORY;
    }
    item->fence = fence;
    item->row = *row;
    item->row_pairs = row_pairs;
    item->result = *result;
    buffer_init(row, row->bytes_max);
    buffer_init(result, result->bytes_max);
    queue(outbox, item);
    return OK;
}

enum error
outbox_add_release(struct outbox *outbox, uint64_t fence, const char *task)
{
    struct outbox_item *item = calloc(1, sizeof *item);

    if (item == NULL) {
        return ERROR_NO_MEMORY;
    }
    item->fence = fence;
    item->is_release = true;
    buffer_init(&item->row, HEADER_BYTES_MAX);
    write_array(&item->row, 2);
    write_uint(&item->row, fence);
    write_string(&item->row, task);
    if (buffer_error(&item->row) != OK) {
        item_destroy(item);
        return ERROR_NO_MEMORY;
    }
    queue(outbox, item);
    return OK;
}

/* ---- building -------------------------------------------------------------------------- */

/* How many items from the front go into one message: of one kind, within the limits. */
static size_t
batch_count(const struct outbox *outbox)
{
    size_t count = 0;
    size_t bytes = 0;

    for (const struct outbox_item *item = outbox->queued; item != NULL; item = item->next) {
        if (count == outbox->limits.batch_max || item->is_release != outbox->queued->is_release ||
            (count > 0 && bytes + item->result.size > outbox->limits.message_bytes_max)) {
            break;
        }
        count++;
        bytes += item->result.size;
    }
    return count;
}

static void
write_release(struct outbox_message *message, const struct outbox_item *items, size_t count)
{
    write_header(&message->header, MESSAGE_RELEASE, message->sequence, 1);
    write_string(&message->header, "leases");
    write_array(&message->header, count);
    for (size_t i = 0; i < count; i++, items = items->next) {
        write_raw(&message->header, buffer_slice(&items->row));
    }
}

/* The bodies' frames are set on the way. */
static void
write_results(struct outbox_message *message, const struct outbox_item *items, size_t count)
{
    size_t body = 0;

    write_header(&message->header, MESSAGE_RESULTS, message->sequence, 0);
    write_array(&message->table, count);
    for (size_t i = 0; i < count; i++, items = items->next) {
        bool has_result = items->result.size > 0;
        write_map(&message->table, items->row_pairs + (has_result ? 1 : 0));
        buffer_append(&message->table, items->row.data, items->row.size);
        if (has_result) {
            write_string(&message->table, "result");
            write_uint(&message->table, body);
            message->frames[FRAMES_BEFORE_BODIES + body] = buffer_slice(&items->result);
            body++;
        }
    }
    message->frame_count = FRAMES_BEFORE_BODIES + body;
}

/* A message of the first `count` queued items, which stay queued; NULL without memory. */
static struct outbox_message *
message_create(const struct outbox *outbox, size_t count)
{
    struct outbox_message *message = calloc(1, sizeof *message);

    if (message == NULL) {
        return NULL;
    }
    message->sequence = outbox->sequence + 1;
    buffer_init(&message->header, HEADER_BYTES_MAX);
    buffer_init(&message->table, TABLE_BYTES_MAX);
    message->frames = calloc(FRAMES_BEFORE_BODIES + count, sizeof *message->frames);
    if (message->frames == NULL) {
        goto fail;
    }
    if (outbox->queued->is_release) {
        message->type = MESSAGE_RELEASE;
        message->frame_count = 1;
        write_release(message, outbox->queued, count);
    } else {
        message->type = MESSAGE_RESULTS;
        write_results(message, outbox->queued, count);
        message->frames[1] = buffer_slice(&message->table);
    }
    if (buffer_error(&message->header) != OK || buffer_error(&message->table) != OK) {
        goto fail;
    }
    message->frames[0] = buffer_slice(&message->header);
    return message;
fail:
    message_destroy(message);
    return NULL;
}

/* Moves the first `count` queued items into the message. */
static void
take_items(struct outbox *outbox, struct outbox_message *message, size_t count)
{
    struct outbox_item **end = &outbox->queued;

    for (size_t i = 0; i < count; i++) {
        message->bytes += (*end)->result.size;
        end = &(*end)->next;
    }
    message->items = outbox->queued;
    message->item_count = count;
    outbox->queued = *end;
    *end = NULL;
    outbox->queued_count -= count;
    if (outbox->queued == NULL) {
        outbox->queued_end = &outbox->queued;
    }
}

enum error
outbox_next(struct outbox *outbox, struct outbox_message **ret_message)
{
    for (struct outbox_message *old = outbox->messages; old != NULL; old = old->next) {
        if (!old->is_sent) {
            *ret_message = old;
            return OK;
        }
    }
    if (outbox->queued == NULL || outbox->message_count >= outbox->limits.window_max) {
        return ERROR_EMPTY;
    }
    size_t count = batch_count(outbox);
    struct outbox_message *message = message_create(outbox, count);
    if (message == NULL) {
        return ERROR_NO_MEMORY;
    }
    take_items(outbox, message, count);
    outbox->sequence = message->sequence;
    *outbox->messages_end = message;
    outbox->messages_end = &message->next;
    outbox->message_count++;
    *ret_message = message;
    return OK;
}

void
outbox_sent(struct outbox *outbox, struct outbox_message *message)
{
    assert(outbox->message_count > 0 && !message->is_sent);
    message->is_sent = true;
}

/* ---- answers --------------------------------------------------------------------------- */

bool
outbox_answered(struct outbox *outbox, uint64_t sequence, outbox_over_fn *over, void *context)
{
    struct outbox_message **link = &outbox->messages;

    while (*link != NULL && (*link)->sequence != sequence) {
        link = &(*link)->next;
    }
    struct outbox_message *message = *link;
    if (message == NULL) {
        return false;
    }
    *link = message->next;
    if (outbox->messages_end == &message->next) {
        outbox->messages_end = link;
    }
    outbox->message_count--;
    outbox->bytes -= message->bytes;
    size_t row = 0;
    for (const struct outbox_item *item = message->items; item != NULL; item = item->next) {
        over(context, item->fence, row++);
    }
    message_destroy(message);
    return true;
}

void
outbox_resend(struct outbox *outbox)
{
    for (struct outbox_message *message = outbox->messages; message != NULL;
         message = message->next) {
        message->is_sent = false;
    }
}

void
outbox_drop(struct outbox *outbox, uint64_t fence)
{
    struct outbox_item **link = &outbox->queued;

    while (*link != NULL && (*link)->fence != fence) {
        link = &(*link)->next;
    }
    struct outbox_item *item = *link;
    if (item == NULL) {
        return;
    }
    *link = item->next;
    if (outbox->queued_end == &item->next) {
        outbox->queued_end = link;
    }
    outbox->queued_count--;
    outbox->bytes -= item->result.size;
    item_destroy(item);
}

bool
outbox_is_empty(const struct outbox *outbox)
{
    return outbox->queued == NULL && outbox->messages == NULL;
}

bool
outbox_is_waiting(const struct outbox *outbox)
{
    return outbox->messages != NULL;
}
