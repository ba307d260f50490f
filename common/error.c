#include "common/error.h"

#include <stddef.h>

struct error_row {
    const char *name;
    const char *text;
    enum error_class class;
};

static const struct error_row rows[] = {
    [OK] = {"OK", "no error", ERROR_CLASS_NONE},
#define ERROR(upper, words, kind) [ERROR_##upper] = {#upper, words, ERROR_CLASS_##kind},
#include "common/error.def"
#undef ERROR
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static const struct error_row *
row_of(enum error error)
{
    size_t index = (size_t)error;
    return index < ROW_COUNT ? &rows[index] : &rows[ERROR_BUG];
}

const char *
error_text(enum error error)
{
    return row_of(error)->text;
}

const char *
error_name(enum error error)
{
    return row_of(error)->name;
}

enum error_class
error_class(enum error error)
{
    return row_of(error)->class;
}

enum exit_code
error_exit_code(enum error error)
{
    switch (error) {
    case OK:
        return EXIT_CODE_DONE;
    case ERROR_USAGE:
        return EXIT_CODE_USAGE;
    case ERROR_CONFIG:
        return EXIT_CODE_CONFIG;
    case ERROR_UNREACHABLE:
        return EXIT_CODE_UNREACHABLE;
    case ERROR_CORRUPT:
    case ERROR_LOCKED:
    case ERROR_VERSION:
    case ERROR_IO:
        return EXIT_CODE_STORE;
    case ERROR_INVALID:
    case ERROR_PROTOCOL:
        return EXIT_CODE_MALFORMED;
    case ERROR_DISK_FULL:
        return EXIT_CODE_DISK_FULL;
    case ERROR_NOT_ALLOWED:
    case ERROR_REFUSED:
        return EXIT_CODE_NOT_ALLOWED;
    case ERROR_TIMED_OUT:
        return EXIT_CODE_TIMED_OUT;
    case ERROR_INTERRUPTED:
        return EXIT_CODE_INTERRUPTED;
    case ERROR_FULL:
    case ERROR_TOO_LARGE:
        return EXIT_CODE_LIMIT;
    default:
        return EXIT_CODE_UNEXPECTED;
    }
}
