#include "common/wire.h"

#include <assert.h>
#include <stddef.h>

#include "common/message.h"

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_FEED] = "feed",
    [ROLE_WORK] = "work",
    [ROLE_COLLECT] = "collect",
    [ROLE_CONTROL] = "control",
};

const char *
role_name(enum role role)
{
    assert(role < ROLE_COUNT);
    return role_names[role];
}

bool
role_parse(struct slice name, enum role *ret_role)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if (slice_equal(name, slice_string(role_names[i]))) {
            *ret_role = (enum role)i;
            return true;
        }
    }
    return false;
}

/* ---- worker_stats -------------------------------------------------------------------------- */

/* In the order of the struct's members, which are all of one type. */
static const char *const stat_names[] = {"fetching",     "extracting",     "waiting",
                                         "done",         "failed",         "bytes_received",
                                         "memory_bytes", "child_restarts", NULL};

#define STAT_COUNT (sizeof stat_names / sizeof stat_names[0] - 1)

union stats {
    struct worker_stats by_name;
    uint64_t by_number[STAT_COUNT];
};
_Static_assert(sizeof(struct worker_stats) == STAT_COUNT * sizeof(uint64_t), "a name for each");

void
worker_stats_write(const struct worker_stats *stats, struct buffer *out)
{
    const union stats all = {.by_name = *stats};
    write_map(out, STAT_COUNT);
    for (size_t i = 0; i < STAT_COUNT; i++) {
        write_string(out, stat_names[i]);
        write_uint(out, all.by_number[i]);
    }
}

void
worker_stats_read(struct slice map, struct worker_stats *stats)
{
    union stats all = {.by_name = *stats};
    struct slice fields[STAT_COUNT];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, map);
    read_fields(&reader, stat_names, fields);
    for (size_t i = 0; i < STAT_COUNT; i++) {
        all.by_number[i] = field_uint(fields[i], all.by_number[i], &error);
    }
    *stats = all.by_name;
}
