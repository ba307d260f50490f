/* SUBMIT: what comes in, checked, made canonical, known or new, and accepted. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/core_internal.h"

static const char *const item_names[] = {"url",           "body", "content_type", "priority",
                                         "not_before_at", "key",  "again",        "host",
                                         "meta",          NULL};
enum {
    ITEM_URL,
    ITEM_BODY,
    ITEM_CONTENT_TYPE,
    ITEM_PRIORITY,
    ITEM_NOT_BEFORE,
    ITEM_KEY,
    ITEM_AGAIN,
    ITEM_HOST,
    ITEM_META,
    ITEM_COUNT
};

#define PRIORITY_DEFAULT 4
#define CONTENT_TYPE_BYTES_MAX 256
#define HOST_KEY_BYTES_MAX 253
#define NOT_BEFORE_AHEAD_MAX_MS (INT64_C(10) * 366 * 86400 * 1000)

/* One item as it came, checked. */
struct submission {
    struct slice url; /* as given */
    struct slice body;
    struct slice content_type;
    struct slice key;
    struct slice host;
    struct slice meta;
    unsigned priority;
    int64_t not_before_at;
    bool has_body;
    bool is_again;
    const char *reason; /* why it is invalid */
};

void
core_item_write(struct buffer *out, const struct item *item)
{
    size_t pairs = 1u + (item->content_type.size > 0) + (item->meta.data != NULL) +
                   (item->host.size > 0) + (item->redirects.data != NULL) + (item->hops > 0);
    write_map(out, pairs);
    write_name(out, "url");
    write_text(out, item->url);
    if (item->content_type.size > 0) {
        write_name(out, "content_type");
        write_text(out, item->content_type);
    }
    if (item->meta.data) {
        write_name(out, "meta");
        write_raw(out, item->meta);
    }
    if (item->host.size > 0) {
        write_name(out, "host");
        write_text(out, item->host);
    }
    if (item->redirects.data) {
        write_name(out, "redirects");
        write_raw(out, item->redirects);
    }
    if (item->hops > 0) {
        write_name(out, "hops");
        write_uint(out, item->hops);
    }
}

enum error
core_item_read(struct slice map, struct item *ret_item)
{
    static const char *const names[] = {"url",       "content_type", "meta", "host",
                                        "redirects", "hops",         NULL};
    struct slice fields[6];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, map);
    read_fields(&reader, names, fields);
    struct item item = {
        .url = field_string(fields[0], &error),
        .content_type = field_string(fields[1], &error),
        .meta = fields[2],
        .host = field_string(fields[3], &error),
        .redirects = fields[4],
        .hops = field_uint(fields[5], 0, &error),
    };
    if (error || reader_finish(&reader))
        return ERROR_CORRUPT;
    *ret_item = item;
    return OK;
}

struct slice
core_host_key(const struct core *core, const struct url *url, struct slice given)
{
    if (given.size > 0)
        return given;
    return core->options.is_host_domain ? url_registrable_domain(url->host) : url->host;
}

/* ---- one item ----------------------------------------------------------------------------- */

static bool
is_map(struct slice value)
{
    struct reader reader;
    reader_init(&reader, value);
    return read_value(&reader).type == VALUE_MAP;
}

/* Reads one row of the table; the reason is set when it cannot be taken. */
static void
read_submission(struct core *core, const struct incoming *in, struct slice row,
                struct submission *ret_submission)
{
    struct slice fields[ITEM_COUNT];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, row);
    read_fields(&reader, item_names, fields);
    struct submission item = {
        .url = field_string(fields[ITEM_URL], &error),
        .content_type = field_string(fields[ITEM_CONTENT_TYPE], &error),
        .key = field_string(fields[ITEM_KEY], &error),
        .host = field_string(fields[ITEM_HOST], &error),
        .meta = fields[ITEM_META],
        .has_body = fields[ITEM_BODY].data != NULL,
        .is_again = field_bool(fields[ITEM_AGAIN], false, &error),
    };
    uint64_t priority = field_uint(fields[ITEM_PRIORITY], PRIORITY_DEFAULT, &error);
    uint64_t not_before_at = field_uint(fields[ITEM_NOT_BEFORE], 0, &error);
    uint64_t body = field_uint(fields[ITEM_BODY], 0, &error);
    if (item.has_body)
        item.body = core_body(in, body);
    int64_t latest = in->time.wall_ms + NOT_BEFORE_AHEAD_MAX_MS;
    item.priority = priority < PRIORITY_COUNT ? (unsigned)priority : 0;
    item.not_before_at = not_before_at <= INT64_MAX ? (int64_t)not_before_at : 0;
    if (error || reader_finish(&reader))
        item.reason = "not a map with the item's keys (PROTOCOL.md, section 5)";
    else if (item.url.size == 0)
        item.reason = "no url";
    else if (priority >= PRIORITY_COUNT)
        item.reason = "priority is not 0 to 9";
    else if (not_before_at > (uint64_t)latest)
        item.reason = "not_before_at is more than ten years ahead";
    else if (item.has_body && !item.body.data)
        item.reason = "body names a frame that is not there";
    else if (item.body.size > core->options.body_bytes_max)
        item.reason = "the document is larger than body-bytes-max";
    else if (item.key.size > CORE_KEY_BYTES_MAX)
        item.reason = "key is longer than 256 bytes";
    else if (item.host.size > HOST_KEY_BYTES_MAX)
        item.reason = "host is longer than 253 bytes";
    else if (item.content_type.size > CONTENT_TYPE_BYTES_MAX)
        item.reason = "content_type is longer than 256 bytes";
    else if (item.meta.size > CORE_META_BYTES_MAX)
        item.reason = "meta is larger than 16 KiB";
    else if (item.meta.data && !is_map(item.meta))
        item.reason = "meta is not a map";
    *ret_submission = item;
}

/* The URL in canonical form, or the name of a document. */
static void
make_canonical(struct submission *item, struct url *url, struct buffer *name)
{
    static const char prefix[] = "name:";
    url_reason reason = NULL;
    enum error error = url_parse(item->url, url, &reason);
    buffer_clear(name);
    if (!item->has_body) {
        if (error)
            item->reason = reason ? reason : "not a URL";
        else if (url->scheme == URL_FILE)
            item->reason = "a file: URL is fed with its bytes, not fetched";
        else
            buffer_append(name, url->text, url->size);
        return;
    }
    if (!error) {
        buffer_append(name, url->text, url->size);
        return;
    }
    if (item->url.size > URL_BYTES_MAX) {
        item->reason = "the name is longer than 2,048 bytes";
        return;
    }
    if (item->url.size < sizeof prefix - 1 ||
        memcmp(item->url.data, prefix, sizeof prefix - 1) != 0)
        buffer_append_string(name, prefix);
    buffer_append(name, item->url.data, item->url.size);
}

static struct fingerprint
identity_of(const struct submission *item, struct slice name)
{
    static const char by_key[] = "key";
    if (item->key.size > 0)
        return fingerprint_of(slice_of(by_key, sizeof by_key - 1), item->key);
    if (item->has_body)
        return fingerprint_of(name, item->body);
    return fingerprint_of(slice_of("", 0), name);
}

enum error
core_accept(struct core *core, struct core_time time, struct task_record *record, struct slice body,
            const struct fingerprint *fingerprint)
{
    struct core_batch *batch = core_filling(core);
    uint32_t host = HOST_DOCUMENTS;
    uint32_t slot = SLOT_NONE;
    if (core->next_sequence > SEQUENCE_MAX)
        return ERROR_FULL;
    if (core->next_sequence == 0)
        core->next_sequence = 1;
    enum error error = hosts_find(&core->hosts, record->host, &host);
    if (error)
        return error;
    uint64_t sequence = core->next_sequence;
    error = scheduler_add(&core->scheduler, sequence, host, record->priority, record->attempts,
                          record->has_body, &slot);
    if (error)
        return error;
    bool is_new = false;
    if (fingerprint)
        error = seen_add(core->seen, *fingerprint, &is_new);
    int64_t wait_ms = record->due_at - time.wall_ms;
    if (!error)
        error = core_defer(core, (struct deferred){
                                     .kind = wait_ms > 0 ? DEFERRED_DELAY : DEFERRED_READY,
                                     .subject = slot,
                                     .due_ms = time.now_ms + wait_ms,
                                 });
    if (error) {
        scheduler_finish(&core->scheduler, slot);
        return error;
    }
    buffer_clear(&core->scratch2);
    task_record_write(&core->scratch2, record);
    store_batch_put(batch->rows, STORE_TASKS, sequence, buffer_slice(&core->scratch2));
    if (record->has_body)
        store_batch_put(batch->rows, STORE_BODIES, sequence, body);
    if (is_new) {
        if (batch->fingerprints.size == 0)
            batch->first_sequence = sequence;
        buffer_append(&batch->fingerprints, fingerprint, sizeof *fingerprint);
    }
    core->next_sequence++;
    totals_add_text(&core->totals, TOTAL_STATE, "accepted", 1);
    return OK;
}

static enum item_status
take_item(struct core *core, const struct incoming *in, struct slice row, const char **ret_reason)
{
    struct buffer *name = &core->canonical;
    struct submission item;
    struct url url UNINITIALIZED; /* 2 KB of text */
    read_submission(core, in, row, &item);
    if (!item.reason)
        make_canonical(&item, &url, name);
    if (item.reason) {
        *ret_reason = item.reason;
        return ITEM_INVALID;
    }
    struct fingerprint fingerprint = identity_of(&item, buffer_slice(name));
    if (!item.is_again && seen_has(core->seen, fingerprint))
        return ITEM_KNOWN;
    if (core->is_draining || store_batch_bytes(core_filling(core)->rows) > CORE_BATCH_BYTES_BUSY)
        return ITEM_BUSY;
    const struct item stored = {
        .url = buffer_slice(name),
        .content_type = item.content_type,
        .meta = item.meta,
        .host = item.host,
    };
    buffer_clear(&core->scratch);
    core_item_write(&core->scratch, &stored);
    struct task_record record = {
        .priority = item.priority,
        .has_body = item.has_body,
        .body_bytes = item.body.size,
        .due_at = item.not_before_at > in->time.wall_ms ? item.not_before_at : 0,
        .submitted_at = in->time.wall_ms,
        .host = item.has_body ? slice_of("", 0) : core_host_key(core, &url, item.host),
        .item = buffer_slice(&core->scratch),
    };
    return core_accept(core, in->time, &record, item.body, &fingerprint) ? ITEM_BUSY
                                                                         : ITEM_ACCEPTED;
}

/* ---- the message -------------------------------------------------------------------------- */

struct tally {
    uint64_t counts[ITEM_STATUS_COUNT];
    uint64_t first; /* number of the first accepted task */
};

static void
take_items(struct core *core, const struct incoming *in, struct reader *table, size_t count,
           struct tally *tally)
{
    for (size_t i = 0; i < count; i++) {
        const char *reason = NULL;
        uint64_t sequence = core->next_sequence ? core->next_sequence : 1;
        enum item_status status = take_item(core, in, read_raw(table), &reason);
        if (status == ITEM_ACCEPTED && tally->counts[ITEM_ACCEPTED] == 0)
            tally->first = sequence;
        tally->counts[status]++;
        write_uint(&core->statuses, (uint64_t)status);
        if (status == ITEM_INVALID) {
            char index[24]; /* keys of a map are text (message_scan) */
            snprintf(index, sizeof index, "%zu", i);
            write_string(&core->reasons, index);
            write_string(&core->reasons, reason);
        }
    }
}

static void
answer(struct core *core, const struct incoming *in, size_t count, const struct tally *tally)
{
    struct buffer *out = &core->scratch;
    buffer_clear(out);
    bool is_busy = tally->counts[ITEM_BUSY] > 0;
    write_header(out, MESSAGE_SUBMITTED, in->sequence, 3u + is_busy);
    write_name(out, "statuses");
    write_array(out, count);
    buffer_append(out, core->statuses.data, core->statuses.size);
    write_name(out, "first");
    write_uint(out, tally->first);
    write_name(out, "reasons");
    write_map(out, tally->counts[ITEM_INVALID]);
    buffer_append(out, core->reasons.data, core->reasons.size);
    if (is_busy) {
        write_name(out, "retry_ms");
        write_uint(out, CORE_BUSY_RETRY_MS);
    }
    struct peer *peer = peer_at(&core->roster, in->peer);
    if (buffer_error(out) || window_add(&peer->window, in->sequence, buffer_slice(out)))
        return; /* no memory: the feeder sends again, and is told "known" */
    core_window_dirty(core, in->peer);
    core_answer_later(core, in->peer, buffer_slice(out));
}

void
core_submit(struct core *core, struct incoming *in)
{
    static const char *const names[] = {"confirmed", NULL};
    struct slice field;
    enum error error = OK;
    read_pairs(&in->reader, in->pairs, names, &field);
    uint64_t confirmed = field_uint(field, 0, &error);
    struct reader table;
    reader_init(&table, in->frame_count > 1 ? in->frames[1] : slice_of("", 0));
    size_t count = read_array(&table);
    if (error || reader_finish(&in->reader) || table.error || in->sequence == 0) {
        core_refuse(core, in, "malformed",
                    "SUBMIT wants a sequence from 1 and a table of items in frame 1");
        return;
    }
    if (count > core->options.batch_max && count > CORE_BATCH_UNTOLD) {
        core_refuse(core, in, "too_large", "more items in a message than batch_max");
        return;
    }
    struct peer *peer = peer_at(&core->roster, in->peer);
    window_confirm(&peer->window, confirmed);
    struct slice earlier = window_answer(&peer->window, in->sequence);
    if (earlier.data) {
        totals_add_text(&core->totals, TOTAL_COUNTER, "submits_repeated", 1);
        core_answer_later(core, in->peer, earlier);
        return;
    }
    if (window_is_past(&peer->window, in->sequence))
        return; /* its answer was confirmed: an old copy on the way */
    if (core->is_draining) {
        core_refuse(core, in, "stopping",
                    core->is_leaving ? "the broker is stopping; submit again when it is back"
                                     : "the broker is draining until it is told to resume");
        return;
    }
    if (!window_make_room(&peer->window, in->sequence)) {
        core_refuse(core, in, "busy", "a submit far before this one has not come yet");
        return;
    }
    struct tally tally = {0};
    buffer_clear(&core->statuses);
    buffer_clear(&core->reasons);
    take_items(core, in, &table, count, &tally);
    totals_add_text(&core->totals, TOTAL_COUNTER, "items_known", tally.counts[ITEM_KNOWN]);
    totals_add_text(&core->totals, TOTAL_COUNTER, "items_invalid", tally.counts[ITEM_INVALID]);
    totals_add_text(&core->totals, TOTAL_COUNTER, "items_busy", tally.counts[ITEM_BUSY]);
    answer(core, in, count, &tally);
}
