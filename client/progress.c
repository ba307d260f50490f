#include "client/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/cli.h"
#include "common/settings.h"

#define TERMINAL_MS 200
#define PLAIN_MS 5000 /* where lines cannot be written over */
#define SMOOTHING 0.3 /* weight of the newest interval */
#define LINE_BYTES_MAX 160

bool
progress_is_in_the_way(const char *output)
{
    return strcmp(output, "-") == 0 && isatty(STDOUT_FILENO) == 1;
}

void
progress_init(struct progress *progress, int choice, bool is_quiet, int64_t now_ms)
{
    bool is_terminal = isatty(STDERR_FILENO) == 1;
    *progress = (struct progress){
        .is_on = choice == SETTINGS_PROGRESS_ON ||
                 (choice == SETTINGS_PROGRESS_AUTO && is_terminal && !is_quiet),
        .is_terminal = is_terminal,
        .started_ms = now_ms,
        .next_ms = now_ms + TERMINAL_MS,
        .last_ms = now_ms,
    };
}

static void
measure(struct progress *progress, int64_t now_ms, uint64_t done)
{
    if (now_ms <= progress->last_ms) {
        return;
    }
    double rate =
        (double)(done - progress->last_done) * 1000 / (double)(now_ms - progress->last_ms);
    progress->rate =
        progress->rate > 0 ? progress->rate * (1 - SMOOTHING) + rate * SMOOTHING : rate;
    progress->last_ms = now_ms;
    progress->last_done = done;
}

/* What fits into one row: a longer line could not be written over. */
static int
columns(const struct progress *progress)
{
    struct winsize window = {0};
    if (!progress->is_terminal || ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 ||
        window.ws_col == 0 || window.ws_col > LINE_BYTES_MAX) {
        return LINE_BYTES_MAX;
    }
    return window.ws_col - 1;
}

static void
write_line(struct progress *progress, uint64_t done, uint64_t failed, int64_t unfinished)
{
    char text[CLI_TEXT_BYTES];
    struct buffer line;
    buffer_init(&line, LINE_BYTES_MAX);
    buffer_printf(&line, "%llu done, %llu failed", (unsigned long long)done,
                  (unsigned long long)failed);
    if (unfinished >= 0) {
        buffer_printf(&line, ", %lld to go", (long long)unfinished);
    }
    buffer_printf(&line, ", %.1f/s", progress->rate);
    if (unfinished > 0 && progress->rate > 0) {
        double left_ms = (double)unfinished * 1000 / progress->rate;
        buffer_printf(&line, ", about %s left", cli_duration((int64_t)left_ms, text));
    }
    int width = columns(progress);
    int size = line.size < (size_t)width ? (int)line.size : width;
    fprintf(stderr, "%s%.*s%s", progress->is_terminal ? "\r\033[K" : "", size,
            size > 0 ? (const char *)line.data : "", progress->is_terminal ? "" : "\n");
    fflush(stderr);
    buffer_release(&line);
}

int64_t
progress_tick(struct progress *progress, int64_t now_ms, uint64_t done, uint64_t failed,
              int64_t unfinished)
{
    if (!progress->is_on) {
        return INT64_MAX;
    }
    if (now_ms < progress->next_ms) {
        return progress->next_ms;
    }
    measure(progress, now_ms, done);
    progress->next_ms = now_ms + (progress->is_terminal ? TERMINAL_MS : PLAIN_MS);
    write_line(progress, done, failed, unfinished);
    progress->is_shown = progress->is_terminal;
    return progress->next_ms;
}

void
progress_hide(struct progress *progress)
{
    if (progress->is_shown) {
        fprintf(stderr, "\r\033[K");
        fflush(stderr);
        progress->is_shown = false;
    }
}
