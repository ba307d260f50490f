/* The parts of thresh.h that belong to no handle. */
#include "include/thresh.h"

#include <stdlib.h>

#include "client/public_error.h"
#include "common/buffer.h"
#include "common/json.h"
#include "common/message.h"

#define RESULT_JSON_BYTES_MAX ((size_t)512 << 20) /* a frame at six bytes of escape each, or so */

struct public_row {
    enum thresh_error error;
    const char *text;
};

static const struct public_row rows[] = {
    {THRESH_OK, "no error"},
    {THRESH_ERROR_MEMORY, "out of memory"},
    {THRESH_ERROR_INVALID, "invalid argument or item"},
    {THRESH_ERROR_UNREACHABLE, "the broker did not answer"},
    {THRESH_ERROR_REFUSED, "refused by the broker"},
    {THRESH_ERROR_PROTOCOL, "the broker broke the protocol"},
    {THRESH_ERROR_FULL, "too much is unanswered"},
    {THRESH_ERROR_TIMEOUT, "nothing happened in the time given"},
    {THRESH_ERROR_TAKEN_OVER, "another process collects under this name"},
    {THRESH_ERROR_IO, "input or output failed"},
};

const char *
thresh_error_text(int error)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((int)rows[i].error == error) {
            return rows[i].text;
        }
    }
    return "unknown error";
}

const char *
thresh_version(void)
{
    return THRESH_VERSION;
}

int
public_error(enum error error)
{
    switch (error) {
    case OK:
        return THRESH_OK;
    case ERROR_NO_MEMORY:
        return THRESH_ERROR_MEMORY;
    case ERROR_INVALID:
    case ERROR_TOO_LARGE:
    case ERROR_CONFIG:
        return THRESH_ERROR_INVALID;
    case ERROR_UNREACHABLE:
        return THRESH_ERROR_UNREACHABLE;
    case ERROR_REFUSED:
    case ERROR_NOT_ALLOWED:
        return THRESH_ERROR_REFUSED;
    case ERROR_PROTOCOL:
    case ERROR_VERSION:
        return THRESH_ERROR_PROTOCOL;
    case ERROR_FULL:
        return THRESH_ERROR_FULL;
    case ERROR_TIMED_OUT:
        return THRESH_ERROR_TIMEOUT;
    default:
        return THRESH_ERROR_IO;
    }
}

char *
thresh_result_json(const struct thresh_result *result)
{
    struct buffer out;
    size_t size;
    buffer_init(&out, RESULT_JSON_BYTES_MAX);
    enum error error = ERROR_PROTOCOL;
    struct slice map = slice_of(result->map, result->map_size);
    if (message_scan(map) == OK) {
        error = json_from_message(&out, map);
    }
    buffer_append_byte(&out, '\0');
    if (error != OK || buffer_error(&out) != OK) {
        buffer_release(&out);
        return NULL;
    }
    return (char *)buffer_take(&out, &size);
}
