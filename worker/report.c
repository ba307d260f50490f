#include "worker/report.h"

#include <assert.h>
#include <string.h>

#include "common/message.h"

#define RESULT_VERSION 1
#define MAP16 0xde
#define MEDIA_TYPE_BYTES_MAX 127 /* RFC 6838: 127 for a type, but no real one has more in all */

/* A map whose number of pairs is known at its end: a head of fixed width, filled in later. */
struct open_map {
    struct buffer *out;
    size_t count_at;
    size_t pairs;
};

static struct open_map
map_open(struct buffer *out)
{
    struct open_map map = {.out = out};

    buffer_append_byte(out, MAP16);
    map.count_at = out->size;
    buffer_append_byte(out, 0);
    buffer_append_byte(out, 0);
    return map;
}

static void
map_close(const struct open_map *map)
{
    assert(map->pairs <= UINT16_MAX);
    if (buffer_error(map->out) == OK) {
        map->out->data[map->count_at] = (uint8_t)(map->pairs >> 8);
        map->out->data[map->count_at + 1] = (uint8_t)(map->pairs & 0xff);
    }
}

static void
map_key(struct open_map *map, const char *key)
{
    write_string(map->out, key);
    map->pairs++;
}

static void
map_uint(struct open_map *map, const char *key, uint64_t value)
{
    map_key(map, key);
    write_uint(map->out, value);
}

static void
map_text(struct open_map *map, const char *key, struct slice value)
{
    map_key(map, key);
    write_text(map->out, value);
}

static void
map_string(struct open_map *map, const char *key, const char *value)
{
    map_text(map, key, slice_string(value));
}

/* ---- what the child said --------------------------------------------------------------- */

struct child_facts {
    struct slice content_type;
    struct slice language;
    size_t text_bytes;
};

static struct child_facts
facts_of(const struct report *report)
{
    static const char *const names[] = {"content_type", "language", "text", NULL};
    struct slice fields[3];
    struct child_facts facts = {0};
    struct reader reader;
    enum error error = OK;

    reader_init(&reader, report->pairs);
    read_pairs(&reader, report->pair_count, names, fields);
    facts.content_type = field_string(fields[0], &error);
    facts.language = field_string(fields[1], &error);
    facts.text_bytes = field_string(fields[2], &error).size;
    return facts;
}

/* The header's media type without parameters, in lower case; "" when it is not one. */
static struct slice
media_type(struct slice header, char *storage, size_t storage_bytes)
{
    size_t size = 0;

    while (size < header.size && size < storage_bytes && header.data[size] != ';' &&
           header.data[size] > ' ' && header.data[size] < 0x7f) {
        uint8_t byte = header.data[size];
        storage[size++] = (char)(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
    }
    return memchr(storage, '/', size) == NULL ? slice_of(NULL, 0) : slice_of(storage, size);
}

/* The type for the result and the totals: what sniffing found, else what was claimed. */
static struct slice
content_type_of(const struct report *report, const struct child_facts *facts, char *storage,
                size_t storage_bytes)
{
    if (facts->content_type.size > 0) {
        return facts->content_type;
    }
    return media_type(report->content_type, storage, storage_bytes);
}

/* ---- result ---------------------------------------------------------------------------- */

bool
report_has_result(const struct report *report)
{
    enum outcome_policy policy = outcome_policy(report->attempt->outcome);

    return policy != OUTCOME_POLICY_MOVED && policy != OUTCOME_POLICY_UNTRIED;
}

/* The chain is: redirects of the lease, its URL, the URLs left in this attempt, the final one. */
static void
write_urls(struct open_map *map, const struct report *report)
{
    const struct attempt *attempt = report->attempt;
    const struct lease *lease = attempt->lease;
    bool is_first_elsewhere = lease->redirect_count > 0;
    size_t before = is_first_elsewhere ? lease->redirect_count - 1 : 0;
    /* The lease's own URL is left[0] once a redirect was followed; it is "in between" only when
     * another one came before it. */
    size_t skip = is_first_elsewhere ? 0 : 1;
    size_t behind = attempt->left_count > skip ? attempt->left_count - skip : 0;

    map_text(map, "url", is_first_elsewhere ? lease->redirects[0] : lease->url);
    map_text(map, "final_url", attempt_url(attempt));
    if (before + behind == 0) {
        return;
    }
    map_key(map, "redirects");
    write_array(map->out, before + behind);
    for (size_t i = 0; i < before; i++) {
        write_text(map->out, lease->redirects[i + 1]);
    }
    for (size_t i = 0; i < behind; i++) {
        write_text(map->out, attempt->left[i + skip]);
    }
}

static void
write_span(struct open_map *map, const char *key, double span_ms)
{
    if (span_ms >= 0) {
        map_key(map, key);
        write_double(map->out, span_ms);
    }
}

static void
write_timing(struct open_map *result, const struct report_timing *timing)
{
    map_key(result, "timing");
    struct open_map map = map_open(result->out);
    write_span(&map, "dns_ms", timing->dns_ms);
    write_span(&map, "connect_ms", timing->connect_ms);
    write_span(&map, "tls_ms", timing->tls_ms);
    write_span(&map, "first_byte_ms", timing->first_byte_ms);
    write_span(&map, "total_ms", timing->total_ms);
    write_span(&map, "extract_ms", timing->extract_ms);
    map_close(&map);
}

static void
write_http(struct open_map *map, const struct report *report)
{
    if (report->attempt->status != 0) {
        map_uint(map, "http_status", (uint64_t)report->attempt->status);
    }
    if (report->headers.size > 0) {
        map_key(map, "headers");
        write_raw(map->out, report->headers);
    }
    if (report->fetched_at > 0) {
        map_uint(map, "fetched_at", (uint64_t)report->fetched_at);
        map_uint(map, "bytes_received", report->bytes_received);
    }
}

static void
write_task(struct open_map *map, const struct report *report)
{
    const struct attempt *attempt = report->attempt;

    map_uint(map, "version", RESULT_VERSION);
    map_string(map, "task", attempt->lease->task);
    write_urls(map, report);
    map_uint(map, "attempt", attempt->lease->attempt);
    map_string(map, "worker", report->worker);
    map_string(map, "outcome", outcome_name(attempt->outcome));
    if (attempt->reason[0] != '\0') {
        map_string(map, "reason", attempt->reason);
    }
}

void
report_write_result(const struct report *report, struct buffer *out)
{
    char storage[MEDIA_TYPE_BYTES_MAX];
    struct child_facts facts = facts_of(report);
    struct slice type = content_type_of(report, &facts, storage, sizeof storage);
    struct open_map map = map_open(out);

    write_task(&map, report);
    write_http(&map, report);
    if (facts.content_type.size == 0 && type.size > 0) {
        map_text(&map, "content_type", type);
    }
    if (report->bytes_decoded > 0) {
        map_uint(&map, "bytes_decoded", report->bytes_decoded);
    }
    if (report->is_truncated) {
        map_key(&map, "truncated");
        write_bool(out, true);
    }
    write_timing(&map, &report->timing);
    if (report->raw.size > 0) {
        map_key(&map, "raw");
        write_binary(out, report->raw);
    }
    if (report->attempt->lease->meta.size > 0) {
        map_key(&map, "meta");
        write_raw(out, report->attempt->lease->meta);
    }
    buffer_append(out, report->pairs.data, report->pairs.size);
    map.pairs += report->pair_count;
    map_close(&map);
}

/* ---- row ------------------------------------------------------------------------------- */

static void
row_text(struct open_map *row, const char *key, struct slice value)
{
    if (value.size > 0) {
        map_text(row, key, value);
    }
}

static void
row_uint(struct open_map *row, const char *key, uint64_t value)
{
    if (value > 0) {
        map_uint(row, key, value);
    }
}

static uint64_t
rounded(double span, double scale)
{
    return span > 0 ? (uint64_t)(span * scale + 0.5) : 0;
}

void
report_write_row(const struct report *report, struct buffer *out, size_t *ret_pairs)
{
    const struct attempt *attempt = report->attempt;
    char storage[MEDIA_TYPE_BYTES_MAX];
    struct child_facts facts = facts_of(report);
    struct open_map row = {.out = out}; /* never opened: the head is written by the outbox */

    map_uint(&row, "fence", attempt->lease->fence);
    map_string(&row, "task", attempt->lease->task);
    map_string(&row, "outcome", outcome_name(attempt->outcome));
    row_uint(&row, "http_status", (uint64_t)attempt->status);
    row_uint(&row, "retry_after_ms", (uint64_t)report->retry_after_ms);
    row_text(&row, "location", attempt->location);
    row_text(&row, "reason", slice_string(attempt->reason));
    row_uint(&row, "bytes", report->bytes_received);
    row_uint(&row, "fetch_ms", rounded(report->timing.total_ms, 1));
    if (report->since_request_ms >= 0) {
        map_uint(&row, "since_request_ms", (uint64_t)report->since_request_ms);
    }
    row_uint(&row, "extract_us", rounded(report->timing.extract_ms, 1000));
    row_text(&row, "content_type", content_type_of(report, &facts, storage, sizeof storage));
    row_text(&row, "language", facts.language);
    row_uint(&row, "text_bytes", facts.text_bytes);
    *ret_pairs = row.pairs;
}
