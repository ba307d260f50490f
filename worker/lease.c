#include "worker/lease.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FRAMES_BEFORE_BODIES 2
#define BUCKETS_MIN 64

static const char *const ROW_NAMES[] = {"fence", "task", "attempt", "item", "body", NULL};
enum {
    ROW_FENCE,
    ROW_TASK,
    ROW_ATTEMPT,
    ROW_ITEM,
    ROW_BODY,
    ROW_COUNT
};

static const char *const ITEM_NAMES[] = {"url", "content_type", "meta", "hops", "redirects", NULL};
enum {
    ITEM_URL,
    ITEM_CONTENT_TYPE,
    ITEM_META,
    ITEM_HOPS,
    ITEM_REDIRECTS,
    ITEM_COUNT
};

/* A list that is longer than we tell on keeps its first entries: the first is the submitted URL. */
static enum error
read_redirects(struct slice field, struct lease *lease)
{
    struct reader reader;

    if (field.data == NULL) {
        return OK;
    }
    reader_init(&reader, field);
    size_t count = read_array(&reader);
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        struct slice url = read_string(&reader);
        if (lease->redirect_count < LEASE_REDIRECTS_MAX && url.size <= LEASE_TEXT_BYTES_MAX) {
            lease->redirects[lease->redirect_count++] = url;
        }
    }
    return reader_finish(&reader);
}

static enum error
read_item(struct slice field, struct lease *lease)
{
    struct slice fields[ITEM_COUNT];
    struct reader reader;
    enum error error = OK;

    reader_init(&reader, field);
    read_fields(&reader, ITEM_NAMES, fields);
    if (reader_finish(&reader) != OK) {
        return ERROR_PROTOCOL;
    }
    lease->url = field_string(fields[ITEM_URL], &error);
    lease->content_type = field_string(fields[ITEM_CONTENT_TYPE], &error);
    lease->hops = field_uint(fields[ITEM_HOPS], 0, &error);
    lease->meta = fields[ITEM_META];
    if (error == OK) {
        error = read_redirects(fields[ITEM_REDIRECTS], lease);
    }
    if (error != OK || lease->url.size == 0 || lease->url.size > LEASE_TEXT_BYTES_MAX ||
        lease->content_type.size > LEASE_TEXT_BYTES_MAX ||
        lease->meta.size > LEASE_META_BYTES_MAX) {
        return ERROR_PROTOCOL;
    }
    return OK;
}

static enum error
read_body(struct slice field, const struct slice *frames, size_t frame_count, struct lease *lease)
{
    enum error error = OK;

    if (field.data == NULL) {
        return OK;
    }
    uint64_t number = field_uint(field, 0, &error);
    if (error != OK || frame_count < FRAMES_BEFORE_BODIES ||
        number >= frame_count - FRAMES_BEFORE_BODIES) {
        return ERROR_PROTOCOL;
    }
    lease->has_body = true;
    lease->body = frames[FRAMES_BEFORE_BODIES + number];
    return OK;
}

enum error
lease_read(struct slice row, const struct slice *frames, size_t frame_count,
           struct lease *ret_grant)
{
    struct slice fields[ROW_COUNT];
    struct lease grant = {0};
    struct reader reader;
    enum error error = OK;

    reader_init(&reader, row);
    read_fields(&reader, ROW_NAMES, fields);
    if (reader_finish(&reader) != OK || fields[ROW_FENCE].data == NULL ||
        fields[ROW_ITEM].data == NULL) {
        return ERROR_PROTOCOL;
    }
    grant.fence = field_uint(fields[ROW_FENCE], 0, &error);
    grant.attempt = field_uint(fields[ROW_ATTEMPT], 1, &error);
    struct slice task = field_string(fields[ROW_TASK], &error);
    if (error != OK || task.size == 0 || task.size > LEASE_TASK_BYTES_MAX) {
        return ERROR_PROTOCOL;
    }
    memcpy(grant.task, task.data, task.size);
    error = read_item(fields[ROW_ITEM], &grant);
    if (error == OK) {
        error = read_body(fields[ROW_BODY], frames, frame_count, &grant);
    }
    if (error == OK) {
        *ret_grant = grant;
    }
    return error;
}

/* False without memory. */
static bool
copy_slice(struct arena *arena, struct slice *slice)
{
    if (slice->data == NULL) {
        return true;
    }
    char *copy = arena_copy(arena, slice->data, slice->size);
    *slice = slice_of(copy, copy == NULL ? 0 : slice->size);
    return copy != NULL;
}

enum error
lease_keep(struct lease *lease, const struct lease *grant, struct arena *arena)
{
    struct lease copy = *grant;
    bool is_kept = copy_slice(arena, &copy.url) && copy_slice(arena, &copy.content_type) &&
                   copy_slice(arena, &copy.meta);

    for (size_t i = 0; is_kept && i < copy.redirect_count; i++) {
        is_kept = copy_slice(arena, &copy.redirects[i]);
    }
    if (!is_kept) {
        return ERROR_NO_MEMORY;
    }
    copy.body = slice_of(NULL, 0);
    *lease = copy;
    return OK;
}

/* ---- table ----------------------------------------------------------------------------- */

enum error
leases_init(struct leases *leases, size_t expected)
{
    size_t count = BUCKETS_MIN;

    while (count < expected) {
        count *= 2;
    }
    *leases = (struct leases){.bucket_count = count};
    leases->buckets = calloc(count, sizeof(struct lease *));
    return leases->buckets == NULL ? ERROR_NO_MEMORY : OK;
}

void
leases_release(struct leases *leases)
{
    free(leases->buckets);
    *leases = (struct leases){0};
}

/* Fences are a boot number above a counter: their low bits alone spread well. */
static struct lease **
bucket_of(const struct leases *leases, uint64_t fence)
{
    return &leases->buckets[fence & (leases->bucket_count - 1)];
}

struct lease *
leases_find(const struct leases *leases, uint64_t fence)
{
    struct lease *lease = *bucket_of(leases, fence);

    while (lease != NULL && lease->fence != fence) {
        lease = lease->next_in_bucket;
    }
    return lease;
}

void
leases_add(struct leases *leases, struct lease *lease)
{
    struct lease **bucket = bucket_of(leases, lease->fence);

    assert(leases_find(leases, lease->fence) == NULL);
    lease->next_in_bucket = *bucket;
    *bucket = lease;
    lease->next = NULL;
    lease->previous = leases->last;
    if (leases->last != NULL) {
        leases->last->next = lease;
    } else {
        leases->first = lease;
    }
    leases->last = lease;
    leases->count++;
}

void
leases_report(struct leases *leases, struct lease *lease)
{
    assert(!lease->is_reported);
    lease->is_reported = true;
    leases->reported_count++;
}

void
leases_remove(struct leases *leases, struct lease *lease)
{
    struct lease **link = bucket_of(leases, lease->fence);

    while (*link != lease) {
        assert(*link != NULL);
        link = &(*link)->next_in_bucket;
    }
    *link = lease->next_in_bucket;
    if (lease->previous != NULL) {
        lease->previous->next = lease->next;
    } else {
        leases->first = lease->next;
    }
    if (lease->next != NULL) {
        lease->next->previous = lease->previous;
    } else {
        leases->last = lease->previous;
    }
    lease->next = lease->previous = lease->next_in_bucket = NULL;
    leases->count--;
    leases->reported_count -= lease->is_reported;
}
