#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings_parts.h"
#include "common/spelling.h"

/* Of the sentence that names what a row takes. */
#define SETTINGS_EXPECTED_BYTES_MAX ((size_t)4096)

char *
settings_say(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    return size >= 0 ? text : NULL;
}

struct settings_quote
settings_quote(struct slice text)
{
    struct settings_quote quote;
    bool is_cut = text.size > SETTINGS_QUOTE_BYTES_MAX;
    size_t size = is_cut ? SETTINGS_QUOTE_BYTES_MAX : text.size;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = text.data[i];
        quote.text[i] = (char)(byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    memcpy(quote.text + size, is_cut ? "..." : "", is_cut ? 4 : 1);
    return quote;
}

char *
settings_say_wrong(const char *who, const struct settings_row *row, enum error why,
                   struct slice text)
{
    struct buffer expected;
    buffer_init(&expected, SETTINGS_EXPECTED_BYTES_MAX);
    settings_append_expected(row, why, &expected);
    char *message = settings_say("%s wants %s, not \"%s\"", who, buffer_text(&expected),
                                 settings_quote(text).text);
    buffer_release(&expected);
    return message;
}

void
settings_guess_init(struct settings_guess *guess, const char *wanted)
{
    *guess = (struct settings_guess){
        .wanted = wanted, .prefix = "", .distance = spelling_slips_max(wanted) + 1};
}

void
settings_guess_offer(struct settings_guess *guess, const char *prefix, const char *name)
{
    char full[SETTINGS_NAME_BYTES_MAX];
    int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if ((size_t)length >= sizeof full) {
        return;
    }
    size_t distance = spelling_distance(guess->wanted, full);
    if (distance < guess->distance) {
        guess->distance = distance;
        guess->prefix = prefix;
        guess->name = name;
    }
}
