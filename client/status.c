/* thresh status. */
#include "client/cli.h"

#include <unistd.h>

#include "client/control.h"
#include "client/totals.h"
#include "common/message.h"

#define NAMES_SHOWN 6

static const char *const names[] = {"tasks",  "totals",    "results", "workers",  "broker",
                                    "paused", "uptime_ms", "hosts",   "draining", NULL};
enum {
    F_TASKS,
    F_TOTALS,
    F_RESULTS,
    F_WORKERS,
    F_BROKER,
    F_PAUSED,
    F_UPTIME,
    F_HOSTS,
    F_DRAINING,
    F_COUNT
};

static const char *const states[] = {"accepted", "ready",     "delayed",   "leased",    "done",
                                     "dead",     "cancelled", "set_aside", "ledger_ok", NULL};
enum {
    S_LEDGER = 8,
    S_COUNT = 9
};

static enum error
print_tasks(struct slice map, struct buffer *out)
{
    struct slice fields[S_COUNT];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, map);
    read_fields(&reader, states, fields);
    buffer_append_string(out, "  tasks        ");
    for (size_t i = 0; i < S_LEDGER; i++) {
        uint64_t count = field_uint(fields[i], 0, &error);
        if (i > 1 && count == 0 && i != 4) {
            continue; /* what there is none of would only hide the rest */
        }
        buffer_printf(out, "%s%s %llu", i > 0 ? ", " : "", states[i], (unsigned long long)count);
    }
    buffer_append_string(out, "\n");
    if (!field_bool(fields[S_LEDGER], true, &error)) {
        buffer_append_string(out, "  ALARM         the ledger does not add up: tasks were lost; "
                                  "keep the store and report it\n");
    }
    return error;
}

static enum error
print_collector(struct reader *reader, struct buffer *out)
{
    static const char *const keys[] = {"position", "lag", "connected", NULL};
    struct slice fields[3];
    enum error error = OK;
    struct slice name = read_string(reader);
    read_fields(reader, keys, fields);
    uint64_t position = field_uint(fields[0], 0, &error);
    uint64_t lag = field_uint(fields[1], 0, &error);
    bool is_connected = field_bool(fields[2], false, &error);
    buffer_printf(out, "  collector     %.*s: position %llu, %llu behind, %s\n", (int)name.size,
                  (const char *)name.data, (unsigned long long)position, (unsigned long long)lag,
                  is_connected ? "connected" : "away");
    return error;
}

static enum error
print_results(struct slice map, struct buffer *out)
{
    static const char *const keys[] = {"newest", "kept", "collectors", NULL};
    struct slice fields[3];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, map);
    read_fields(&reader, keys, fields);
    uint64_t newest = field_uint(fields[0], 0, &error);
    uint64_t kept = field_uint(fields[1], 0, &error);
    buffer_printf(out, "  results       newest %llu, kept %llu\n", (unsigned long long)newest,
                  (unsigned long long)kept);
    if (fields[2].data == NULL) {
        return error;
    }
    reader_init(&reader, fields[2]);
    size_t count = read_map(&reader);
    for (size_t i = 0; i < count && reader.error == OK && error == OK; i++) {
        error = print_collector(&reader, out);
    }
    return error == OK ? reader_finish(&reader) : error;
}

static enum error
print_head(const struct slice *fields, struct buffer *out)
{
    char text[CLI_TEXT_BYTES];
    enum error error = OK;
    struct slice broker = field_string(fields[F_BROKER], &error);
    uint64_t uptime_ms = field_uint(fields[F_UPTIME], 0, &error);
    uint64_t workers = field_uint(fields[F_WORKERS], 0, &error);
    bool is_paused = field_bool(fields[F_PAUSED], false, &error);
    bool is_draining = field_bool(fields[F_DRAINING], false, &error);
    buffer_printf(out, "%sbroker%s%.*s%s, up %s, %llu worker%s%s%s\n", cli_bold(STDOUT_FILENO),
                  broker.size > 0 ? " " : "", (int)broker.size, (const char *)broker.data,
                  cli_plain(STDOUT_FILENO), cli_duration((int64_t)(uptime_ms & INT64_MAX), text),
                  (unsigned long long)workers, workers == 1 ? "" : "s", is_paused ? ", PAUSED" : "",
                  is_draining ? ", draining" : "");
    return error;
}

static enum error
print_status(struct slice reply, struct buffer *out)
{
    struct slice fields[F_COUNT];
    struct reader reader;
    struct totals totals = {0};
    reader_init(&reader, reply);
    read_fields(&reader, names, fields);
    enum error error = print_head(fields, out);
    if (error == OK) {
        error = print_tasks(fields[F_TASKS], out);
    }
    if (error == OK) {
        error = totals_read(&totals, fields[F_TOTALS]);
    }
    totals_sort(&totals);
    for (size_t i = 0; i < TOTALS_KIND_COUNT; i++) {
        totals_print(&totals, (enum totals_kind)i, NAMES_SHOWN, out);
    }
    totals_release(&totals);
    return error == OK ? print_results(fields[F_RESULTS], out) : error;
}

int
verb_status(const struct verb *verb, int argc, char **argv)
{
    return control_show(verb, argc, argv, "status", print_status);
}
