/* thresh workers. */
#include "client/cli.h"

#include "client/control.h"
#include "client/table.h"
#include "common/message.h"

static const char *const names[] = {"name",     "present",    "held",           "credit",
                                    "recorded", "heard_ms",   "bytes_received", "memory_bytes",
                                    "fetching", "extracting", "child_restarts", NULL};
enum {
    F_NAME,
    F_PRESENT,
    F_HELD,
    F_CREDIT,
    F_RECORDED,
    F_HEARD,
    F_BYTES,
    F_MEMORY,
    F_FETCHING,
    F_EXTRACTING,
    F_RESTARTS,
    F_COUNT
};

static enum error
add_row(struct table *table, struct reader *reader)
{
    struct slice fields[F_COUNT];
    char text[CLI_TEXT_BYTES];
    enum error error = OK;
    read_fields(reader, names, fields);
    table_slice(table, field_string(fields[F_NAME], &error));
    table_cell(table, "%s", field_bool(fields[F_PRESENT], true, &error) ? "here" : "away");
    static const int counts[] = {F_HELD,       F_CREDIT,   F_FETCHING,
                                 F_EXTRACTING, F_RECORDED, F_RESTARTS};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        table_cell(table, "%llu", (unsigned long long)field_uint(fields[counts[i]], 0, &error));
    }
    table_cell(table, "%s", cli_bytes(field_uint(fields[F_BYTES], 0, &error), text));
    table_cell(table, "%s", cli_bytes(field_uint(fields[F_MEMORY], 0, &error), text));
    uint64_t heard_ms = field_uint(fields[F_HEARD], 0, &error);
    table_cell(table, "%s ago", cli_duration((int64_t)(heard_ms & INT64_MAX), text));
    return error;
}

static enum error
print_workers(struct slice reply, struct buffer *out)
{
    static const char empty[] = "no worker is connected; start one with 'thresh worker'\n";
    return table_print_list(reply, "workers",
                            "WORKER|IS|>HELD|>CREDIT|>FETCHING|>EXTRACTING|>DONE|>RESTARTS|"
                            ">RECEIVED|>MEMORY|>HEARD",
                            add_row, empty, out);
}

int
verb_workers(const struct verb *verb, int argc, char **argv)
{
    return control_show(verb, argc, argv, "workers", print_workers);
}
