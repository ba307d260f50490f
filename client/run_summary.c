#include "client/run_summary.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli.h"
#include "client/file.h"
#include "common/message.h"

#define NAMES_SHOWN 8
#define TEXT_BYTES_MAX 65536
#define RESUMED_TEXT                                                                            \
    "; results that earlier runs with this --state wrote are not written again: name the same " \
    "--output as then, or a new --state to do all of it again"

static bool
read_status(struct slice status, struct totals *ret_totals, uint64_t *ret_done, uint64_t *ret_dead)
{
    static const char *const names[] = {"totals", "tasks", NULL};
    static const char *const task_names[] = {"done", "dead", "ledger_ok", NULL};
    struct slice fields[2];
    struct slice counts[3];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, status);
    read_fields(&reader, names, fields);
    if (reader_finish(&reader) != OK || totals_read(ret_totals, fields[0]) != OK) {
        return false;
    }
    reader_init(&reader, fields[1]);
    read_fields(&reader, task_names, counts);
    *ret_done = field_uint(counts[0], 0, &error);
    *ret_dead = field_uint(counts[1], 0, &error);
    if (!field_bool(counts[2], true, &error)) {
        cli_say("ALARM: the broker's ledger does not add up; keep the state and report it");
        return false;
    }
    return error == OK;
}

static void
print_head(const struct run_summary *summary, uint64_t done, uint64_t dead, struct buffer *out)
{
    char text[CLI_TEXT_BYTES];
    int64_t ms = summary->elapsed_ms > 0 ? summary->elapsed_ms : 1;
    uint64_t ended = done + dead;
    buffer_printf(out, "%s%llu %s%s in %s (%.1f/s)", cli_bold(STDERR_FILENO),
                  (unsigned long long)ended, ended == 1 ? "result" : "results",
                  cli_plain(STDERR_FILENO), cli_duration(ms, text),
                  (double)ended * 1000 / (double)ms);
    if (dead > 0) {
        buffer_printf(out, ", %llu given up", (unsigned long long)dead);
    }
    if (summary->counts.known > 0) {
        buffer_printf(out, ", %llu known already", (unsigned long long)summary->counts.known);
    }
    if (summary->bad_count > 0) {
        buffer_printf(out, ", %llu not accepted", (unsigned long long)summary->bad_count);
    }
    if (summary->restarts > 0) {
        buffer_printf(out, ", %llu daemon restarts", (unsigned long long)summary->restarts);
    }
    if (summary->output != NULL) {
        buffer_printf(out, ", written to '%s'", summary->output);
    }
    buffer_append_string(out, "\n");
}

/* What nearly everybody meets at the first try on a server of their own. */
static void
hint(const struct totals *broker, struct buffer *out)
{
    for (size_t i = 0; i < broker->counts[TOTALS_OUTCOME]; i++) {
        if (strcmp(broker->rows[TOTALS_OUTCOME][i].name, "address_refused") == 0) {
            buffer_append_string(out, "  Private addresses are fetched from with --allow-private, "
                                      "or --allow-networks and the network.\n");
        }
    }
}

/* Outcome and status are counted once for each ended task, here as at the broker. */
static bool
check(const struct run_summary *summary, const struct totals *broker, const struct totals *written)
{
    static const enum totals_kind kinds[] = {TOTALS_OUTCOME, TOTALS_HTTP_STATUS};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *name = "";
        uint64_t told = 0;
        uint64_t counted = 0;
        if (totals_differ(broker, written, kinds[i], &name, &told, &counted)) {
            cli_say(
                "MISMATCH: the broker counted %llu results with %s '%s', the output holds %llu%s",
                (unsigned long long)told, totals_kind_name(kinds[i]), name,
                (unsigned long long)counted,
                summary->is_resumed && counted < told ? RESUMED_TEXT : "");
            return false;
        }
    }
    return true;
}

bool
run_summary_print(const struct run_summary *summary, struct slice status,
                  const struct totals *written, bool is_quiet)
{
    struct totals broker = {0};
    struct buffer out;
    uint64_t done = 0;
    uint64_t dead = 0;
    buffer_init(&out, TEXT_BYTES_MAX);
    bool is_right = read_status(status, &broker, &done, &dead);
    if (is_right && !is_quiet) {
        totals_sort(&broker);
        print_head(summary, done, dead, &out);
        for (size_t i = 0; i < TOTALS_KIND_COUNT; i++) {
            totals_print(&broker, (enum totals_kind)i, NAMES_SHOWN, &out);
        }
        hint(&broker, &out);
        /* Where standard error is closed there is nobody to tell. */
        ignore_error(file_write_all(STDERR_FILENO, buffer_slice(&out)));
    }
    if (is_right && written != NULL) {
        is_right = check(summary, &broker, written);
    }
    totals_release(&broker);
    buffer_release(&out);
    return is_right;
}
