/*
 * cli: what every verb of the command `thresh` does the same way.
 *
 * Threads  the main thread.
 */
#ifndef THRESH_CLIENT_CLI_H
#define THRESH_CLIENT_CLI_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_GO_ON (-1) /* of cli_begin(): not an exit code */
#define CLI_REPLY_BYTES_MAX ((size_t)64 << 20)

/* One verb; the table is in verbs.c. */
struct verb {
    const char *name;
    const char *arguments; /* of the usage line */
    const char *summary;   /* one line of `thresh help` */
    const char *help;      /* what `thresh VERB --help` says above the options; examples */
    unsigned programs;     /* whose settings it takes; 0: it reads its arguments itself */
    int (*run)(const struct verb *verb, int argc, char **argv);
};

extern const struct verb verbs[];
extern const size_t verb_count;
const struct verb *verb_find(const char *name);

struct cli {
    const struct verb *verb;
    struct settings settings;
    struct settings_arguments arguments;
    bool is_quiet;
};

/* Reads the command line; answers --help and --version. CLI_GO_ON, or what to exit with. extra may
 * be NULL. cli_end() in any case. */
int cli_begin(struct cli *cli, const struct verb *verb, int argc, char **argv,
              const struct settings_option *extra);
void cli_end(struct cli *cli);

/* "thresh: ..." and a line end on standard error. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and returns the error's exit code. */
int cli_fail(enum error error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says that a broker did not answer, why as far as can be found out, and what to do. Returns
 * EXIT_CODE_UNREACHABLE. flag: the setting that names the endpoint. */
int cli_unreachable(const char *endpoint, int64_t timeout_ms);

/* The known word nearest to a mistyped one, or NULL when none is near. */
const char *cli_nearest(const char *word, const char *const *known, size_t count);

/* Escape sequences where the descriptor is a terminal and NO_COLOR is not set; else "". */
const char *cli_bold(int fd);
const char *cli_dim(int fd);
const char *cli_plain(int fd);

/* Writes text to standard output and flushes. False: it could not be written (said already, except
 * for a reader that went away). */
bool cli_print(struct buffer *out);

/* "1.5 s", "12 min"; "3.2 MiB". Into the caller's text of CLI_TEXT_BYTES. */
#define CLI_TEXT_BYTES 32
const char *cli_duration(int64_t ms, char *text);
const char *cli_bytes(uint64_t bytes, char *text);

int verb_run(const struct verb *verb, int argc, char **argv);
int verb_feed(const struct verb *verb, int argc, char **argv);
int verb_collect(const struct verb *verb, int argc, char **argv);
int verb_status(const struct verb *verb, int argc, char **argv);
int verb_workers(const struct verb *verb, int argc, char **argv);
int verb_hosts(const struct verb *verb, int argc, char **argv);
int verb_dead(const struct verb *verb, int argc, char **argv);
int verb_steer(const struct verb *verb, int argc, char **argv); /* pause, resume, drain, stop */
int verb_keygen(const struct verb *verb, int argc, char **argv);
int verb_help(const struct verb *verb, int argc, char **argv);
int verb_version(const struct verb *verb, int argc, char **argv);
int verb_daemon(const struct verb *verb, int argc, char **argv); /* broker, worker */

/* Where a program of ours is: beside this executable, else the bare name, to be found in PATH.
 * malloc'd; NULL without memory. */
char *daemon_path(const char *program);

#endif
