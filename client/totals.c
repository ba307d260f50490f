#include "client/totals.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "common/message.h"
#include "common/outcome.h"
#include "common/url.h"

static const char *const kind_names[TOTALS_KIND_COUNT] = {
    [TOTALS_OUTCOME] = "outcome",
    [TOTALS_HTTP_STATUS] = "http_status",
    [TOTALS_CONTENT_TYPE] = "content_type",
    [TOTALS_LANGUAGE] = "language",
    [TOTALS_HOST] = "host",
};

void
totals_release(struct totals *totals)
{
    for (size_t i = 0; i < TOTALS_KIND_COUNT; i++) {
        free(totals->rows[i]);
    }
    *totals = (struct totals){0};
}

const char *
totals_kind_name(enum totals_kind kind)
{
    return kind_names[kind];
}

static struct totals_row *
find(const struct totals *totals, enum totals_kind kind, struct slice name)
{
    for (size_t i = 0; i < totals->counts[kind]; i++) {
        struct totals_row *row = &totals->rows[kind][i];
        if (slice_equal(slice_string(row->name), name)) {
            return row;
        }
    }
    return NULL;
}

bool
totals_add(struct totals *totals, enum totals_kind kind, struct slice name, uint64_t amount)
{
    if (name.size > TOTALS_NAME_BYTES_MAX) {
        name.size = TOTALS_NAME_BYTES_MAX;
    }
    struct totals_row *row = find(totals, kind, name);
    if (row == NULL && totals->counts[kind] + 1 >= TOTALS_NAMES_MAX) {
        name = slice_string("other");
        row = find(totals, kind, name);
    }
    if (row == NULL) {
        if (totals->rows[kind] == NULL) {
            totals->rows[kind] = calloc(TOTALS_NAMES_MAX, sizeof *row);
            if (totals->rows[kind] == NULL) {
                return false;
            }
        }
        row = &totals->rows[kind][totals->counts[kind]++];
        if (name.size > 0) {
            memcpy(row->name, name.data, name.size);
        }
    }
    row->count += amount;
    return true;
}

static void
count_host(struct totals *totals, struct slice url)
{
    struct url parsed;
    url_reason reason;
    bool is_web = url_parse(url, &parsed, &reason) == OK && parsed.scheme != URL_FILE;
    totals_add(totals, TOTALS_HOST, is_web ? parsed.host : slice_string("(documents)"), 1);
}

void
totals_count(struct totals *totals, struct slice map)
{
    static const char *const names[] = {"outcome", "http_status", "content_type", "language", "url",
                                        "dead",    NULL};
    enum {
        F_OUTCOME,
        F_STATUS,
        F_TYPE,
        F_LANGUAGE,
        F_URL,
        F_DEAD,
        F_COUNT
    };
    struct slice fields[F_COUNT];
    struct reader reader;
    enum error error = OK;
    char text[TOTALS_NAME_BYTES_MAX];
    reader_init(&reader, map);
    read_fields(&reader, names, fields);
    struct slice name = field_string(fields[F_OUTCOME], &error);
    uint64_t status = field_uint(fields[F_STATUS], 0, &error);
    struct slice type = field_string(fields[F_TYPE], &error);
    struct slice language = field_string(fields[F_LANGUAGE], &error);
    bool is_dead = field_bool(fields[F_DEAD], false, &error);
    enum outcome outcome = OUTCOME_COUNT;
    totals->results++;
    if (!outcome_parse((const char *)name.data, name.size, &outcome) || is_dead ||
        outcome_policy(outcome) != OUTCOME_POLICY_DONE) {
        totals->failed++;
    }
    totals_add(totals, TOTALS_OUTCOME, name, 1);
    if (status > 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)status);
        totals_add(totals, TOTALS_HTTP_STATUS, slice_string(text), 1);
    }
    if (type.size > 0) {
        totals_add(totals, TOTALS_CONTENT_TYPE, type, 1);
    }
    if (language.size > 0) {
        totals_add(totals, TOTALS_LANGUAGE, language, 1);
    }
    count_host(totals, field_string(fields[F_URL], &error));
}

static enum error
read_kind(struct totals *totals, enum totals_kind kind, struct slice map)
{
    struct reader reader;
    if (map.data == NULL) {
        return OK;
    }
    reader_init(&reader, map);
    size_t count = read_map(&reader);
    for (size_t i = 0; i < count && reader.error == OK; i++) {
        struct slice name = read_string(&reader);
        uint64_t amount = read_uint(&reader);
        /* Names that nothing has come under, such as a host that only waits, say nothing. */
        if (reader.error == OK && amount > 0 && !totals_add(totals, kind, name, amount)) {
            return ERROR_NO_MEMORY;
        }
    }
    return reader_finish(&reader);
}

enum error
totals_read(struct totals *totals, struct slice map)
{
    const char *names[TOTALS_KIND_COUNT + 1] = {NULL};
    struct slice fields[TOTALS_KIND_COUNT];
    struct reader reader;
    for (size_t i = 0; i < TOTALS_KIND_COUNT; i++) {
        names[i] = kind_names[i];
    }
    reader_init(&reader, map);
    read_fields(&reader, names, fields);
    enum error error = reader_finish(&reader);
    for (size_t i = 0; i < TOTALS_KIND_COUNT && error == OK; i++) {
        error = read_kind(totals, (enum totals_kind)i, fields[i]);
    }
    return error;
}

static int
by_count(const void *left, const void *right)
{
    const struct totals_row *a = left;
    const struct totals_row *b = right;
    if (a->count != b->count) {
        return a->count < b->count ? 1 : -1;
    }
    return strcmp(a->name, b->name);
}

void
totals_sort(struct totals *totals)
{
    for (size_t i = 0; i < TOTALS_KIND_COUNT; i++) {
        if (totals->counts[i] > 0) {
            qsort(totals->rows[i], totals->counts[i], sizeof(struct totals_row), by_count);
        }
    }
}

void
totals_print(const struct totals *totals, enum totals_kind kind, size_t most, struct buffer *out)
{
    size_t count = totals->counts[kind];
    if (count == 0) {
        return;
    }
    buffer_printf(out, "  %-13s", kind_names[kind]);
    for (size_t i = 0; i < count && i < most; i++) {
        const struct totals_row *row = &totals->rows[kind][i];
        buffer_printf(out, "%s%s %llu", i > 0 ? ", " : " ",
                      row->name[0] != '\0' ? row->name : "(none)", (unsigned long long)row->count);
    }
    if (count > most) {
        buffer_printf(out, ", and %zu more", count - most);
    }
    buffer_append_string(out, "\n");
}

bool
totals_differ(const struct totals *a, const struct totals *b, enum totals_kind kind,
              const char **ret_name, uint64_t *ret_a, uint64_t *ret_b)
{
    const struct totals *sides[] = {a, b};
    for (size_t side = 0; side < 2; side++) {
        for (size_t i = 0; i < sides[side]->counts[kind]; i++) {
            const char *name = sides[side]->rows[kind][i].name;
            const struct totals_row *in_a = find(a, kind, slice_string(name));
            const struct totals_row *in_b = find(b, kind, slice_string(name));
            uint64_t count_a = in_a != NULL ? in_a->count : 0;
            uint64_t count_b = in_b != NULL ? in_b->count : 0;
            if (count_a != count_b) {
                *ret_name = name;
                *ret_a = count_a;
                *ret_b = count_b;
                return true;
            }
        }
    }
    return false;
}
