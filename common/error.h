/*
 * error: Thresh's own failures (disk full, bad message), never the web's outcomes.
 *
 * Rows live in error.def. Functions that can fail for two reasons or more
 * return enum error and are marked MUST_CHECK; a deliberate ignore is
 * ignore_error(call), with the reason beside it.
 */
#ifndef THRESH_COMMON_ERROR_H
#define THRESH_COMMON_ERROR_H

#include <stdbool.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* A large local that is written before it is read: the compiler's hardening shall not zero it. */
#define UNINITIALIZED __attribute__((uninitialized))

enum error {
    OK = 0,
#define ERROR(name, text, class) ERROR_##name,
#include "common/error.def"
#undef ERROR
};

enum error_class {
    ERROR_CLASS_NONE,    /* OK */
    ERROR_CLASS_RETRY,   /* may pass by itself */
    ERROR_CLASS_GIVE_UP, /* the caller or a person must act */
    ERROR_CLASS_BUG,     /* ours */
};

/* What the commands exit with; the table of README. */
enum exit_code {
    EXIT_CODE_DONE = 0,
    EXIT_CODE_UNEXPECTED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_CONFIG = 3,
    EXIT_CODE_UNREACHABLE = 4,
    EXIT_CODE_STORE = 5,
    EXIT_CODE_MALFORMED = 6,
    EXIT_CODE_DISK_FULL = 7,
    EXIT_CODE_NOT_ALLOWED = 8,
    EXIT_CODE_TIMED_OUT = 9,
    EXIT_CODE_INTERRUPTED = 10,
    EXIT_CODE_LIMIT = 11,
    EXIT_CODE_FAIL_ON = 12,
};

/* The text of an error, lower case, no full stop; never NULL. */
const char *error_text(enum error error);

/* The name as in error.def ("DISK_FULL"); never NULL. */
const char *error_name(enum error error);

enum error_class error_class(enum error error);

/* The exit code that a command gives when this error ends it. */
enum exit_code error_exit_code(enum error error);

static inline void
ignore_error(enum error error)
{
    (void)error;
}

#endif
