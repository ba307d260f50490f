/*
 * log: one line an event on standard error, as logfmt or JSON.
 *
 *     log_event(LOG_INFO, "task_recorded", log_text("task", id), log_int("attempt", 2));
 *
 *     ts=2026-01-31T09:30:00.123Z level=info program=thresh event=task_recorded task=t-1 attempt=2
 *
 * Event and field names are string literals, plain (a-z, 0-9, _); values may hold anything: they
 * are quoted where needed, control characters and quotes escaped, bytes that are not UTF-8
 * replaced. Nothing waits for a reader: a line that could not be written at once is dropped and
 * counted. Before log_configure() the level is info and the format logfmt.
 *
 * Programs ignore SIGPIPE, as a reader of the log may go away.
 *
 * Bounds   LOG_LINE_BYTES_MAX a line, the line break counted; a value is cut at
 *          LOG_VALUE_BYTES_MAX, fields that do not fit are left out and `truncated=true` ends it.
 *          LOG_LIMITED_EVENTS_MAX event names with a rate limit at the same time.
 * Threads  any; a lock inside. A child made by fork() must not log before exec() when its parent
 *          has several threads.
 */
#ifndef THRESH_COMMON_LOG_H
#define THRESH_COMMON_LOG_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_BYTES_MAX 4096 /* PIPE_BUF: a pipe takes it whole or not at all */
#define LOG_VALUE_BYTES_MAX 1024
#define LOG_LIMITED_EVENTS_MAX 64
#define LOG_LIMITED_INTERVAL_MS 1000

/* In the order of the words of the setting log-level. */
enum log_level {
    LOG_ERROR,   /* a person must act */
    LOG_WARNING, /* we coped */
    LOG_INFO,    /* the life of processes and tasks */
    LOG_DEBUG,
};

/* In the order of the words of the setting log-format. */
enum log_format {
    LOG_FORMAT_LOGFMT,
    LOG_FORMAT_JSON,
};

enum log_field_type {
    LOG_FIELD_END, /* an all-zero field ends the list */
    LOG_FIELD_TEXT,
    LOG_FIELD_INT,
    LOG_FIELD_UINT,
};

/* One key=value; the name and the bytes are borrowed until log_write() returns. */
struct log_field {
    const char *name;
    enum log_field_type type;
    union {
        struct slice text; /* data NULL: the field is left out */
        int64_t integer;
        uint64_t uint;
    };
};

/* NULL: the field is left out. */
struct log_field log_text(const char *name, const char *text);
struct log_field log_slice(const char *name, struct slice text);
struct log_field log_int(const char *name, int64_t value);
struct log_field log_uint(const char *name, uint64_t value);
/* The error's text. */
struct log_field log_error(const char *name, enum error error);

/* The least urgent level that is written, the format, and the name that each line carries
 * (borrowed for good). */
void log_configure(enum log_level level, enum log_format format, const char *program);

/* Where lines go; 2 at first. The descriptor stays the caller's and must outlive the logging. */
void log_to(int fd);

bool log_is_on(enum log_level level);

/* fields ends with an all-zero one. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

/* The same, at most once in LOG_LIMITED_INTERVAL_MS for one event name; the line that comes after
 * held-back ones carries their number as suppressed=N. */
void log_write_limited(enum log_level level, const char *event, const struct log_field *fields);

/* Lines that could not be written since the start. */
uint64_t log_dropped(void);

/* clang-format off */
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__ __VA_OPT__(,) {.name = NULL}})
/* clang-format on */

/* Fields are not evaluated when the level is off. */
#define log_event(level, event, ...) \
    (log_is_on(level) ? log_write((level), (event), LOG_FIELDS(__VA_ARGS__)) : (void)0)
#define log_limited(level, event, ...) \
    (log_is_on(level) ? log_write_limited((level), (event), LOG_FIELDS(__VA_ARGS__)) : (void)0)

#endif
