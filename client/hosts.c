/* thresh hosts. */
#include "client/cli.h"

#include "client/control.h"
#include "client/table.h"
#include "common/message.h"

static const char *const names[] = {"host",  "queued", "in_flight", "done",       "failed",
                                    "bytes", "gap_ms", "next_ms",   "blocked_ms", NULL};
enum {
    F_HOST,
    F_QUEUED,
    F_IN_FLIGHT,
    F_DONE,
    F_FAILED,
    F_BYTES,
    F_GAP,
    F_NEXT,
    F_BLOCKED,
    F_COUNT
};

static enum error
add_row(struct table *table, struct reader *reader)
{
    struct slice fields[F_COUNT];
    char text[CLI_TEXT_BYTES];
    enum error error = OK;
    read_fields(reader, names, fields);
    table_slice(table, field_string(fields[F_HOST], &error));
    for (int i = F_QUEUED; i <= F_FAILED; i++) {
        table_cell(table, "%llu", (unsigned long long)field_uint(fields[i], 0, &error));
    }
    table_cell(table, "%s", cli_bytes(field_uint(fields[F_BYTES], 0, &error), text));
    static const int spans[] = {F_GAP, F_NEXT, F_BLOCKED};
    for (size_t i = 0; i < sizeof spans / sizeof spans[0]; i++) {
        uint64_t span_ms = field_uint(fields[spans[i]], 0, &error);
        table_cell(table, "%s",
                   span_ms > 0 ? cli_duration((int64_t)(span_ms & INT64_MAX), text) : "-");
    }
    return error;
}

static enum error
print_hosts(struct slice reply, struct buffer *out)
{
    return table_print_list(reply, "hosts",
                            "HOST|>QUEUED|>RUNNING|>DONE|>FAILED|>BYTES|>GAP|>NEXT IN|>BLOCKED FOR",
                            add_row, NULL, out);
}

int
verb_hosts(const struct verb *verb, int argc, char **argv)
{
    return control_show(verb, argc, argv, "hosts", print_hosts);
}
