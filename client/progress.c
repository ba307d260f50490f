#include "client/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "client/cli.h"
#include "common/settings.h"

#define TERMINAL_MS 200
#define PLAIN_MS 5000 /* where lines cannot be written over */
#define SMOOTHING 0.3 /* weight of the newest interval */

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

int64_t
progress_tick(struct progress *progress, int64_t now_ms, uint64_t done, uint64_t failed,
              int64_t unfinished)
{
    char text[CLI_TEXT_BYTES];
    if (!progress->is_on) {
        return INT64_MAX;
    }
    if (now_ms < progress->next_ms) {
        return progress->next_ms;
    }
    measure(progress, now_ms, done);
    progress->next_ms = now_ms + (progress->is_terminal ? TERMINAL_MS : PLAIN_MS);
    fprintf(stderr, "%s%llu done, %llu failed", progress->is_terminal ? "\r\033[K" : "",
            (unsigned long long)done, (unsigned long long)failed);
    if (unfinished >= 0) {
        fprintf(stderr, ", %lld to go", (long long)unfinished);
    }
    fprintf(stderr, ", %.1f/s", progress->rate);
    if (unfinished > 0 && progress->rate > 0) {
        double left_ms = (double)unfinished * 1000 / progress->rate;
        fprintf(stderr, ", about %s left", cli_duration((int64_t)left_ms, text));
    }
    fprintf(stderr, "%s", progress->is_terminal ? "" : "\n");
    fflush(stderr);
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
