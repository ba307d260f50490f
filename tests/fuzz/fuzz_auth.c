/* What a broker with keys reads before it knows whom to believe: headers, and lines of keys. */
#include "broker/auth.h"

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_message message;
    struct slice text = slice_of(data, size);
    struct slice line;
    auth_read(text, &message);
    /* Nothing may be told of what cannot be read. */
    require(message.is_readable || (message.verb.data == NULL && message.sequence == 0));
    require(message.verb.size <= size && message.arguments.size <= size);
    while (key_next_line(&text, &line)) {
        struct key_line found;
        const char *why = NULL;
        enum error error = key_line_parse(line, &found, &why);
        require(error != OK || key_check(slice_string(found.key)) == OK);
        require(error == OK || error == ERROR_EMPTY || why != NULL);
    }
    return 0;
}
