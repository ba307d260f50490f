#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings_parts.h"

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

static size_t
least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours (optimal string alignment). Both names
 * are shorter than SETTINGS_NAME_BYTES_MAX. */
static size_t
edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t lines[3][SETTINGS_NAME_BYTES_MAX + 1];
    size_t *before = lines[0];
    size_t *above = lines[1];
    size_t *line = lines[2];
    for (size_t j = 0; j <= b_length; j++) {
        before[j] = 0;
        line[j] = j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        size_t *oldest = before;
        before = above;
        above = line;
        line = oldest;
        line[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t change = above[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
            line[j] = least(change, least(above[j], line[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                line[j] = least(line[j], before[j - 2] + 1);
            }
        }
    }
    return line[b_length];
}

void
settings_guess_init(struct settings_guess *guess, const char *wanted)
{
    size_t length = strlen(wanted);
    /* One slip in a short name, three in a long one: the first that is too far. */
    size_t limit = length < 4 ? 2 : length < 8 ? 3 : 4;
    *guess = (struct settings_guess){.wanted = wanted, .prefix = "", .distance = limit};
}

void
settings_guess_offer(struct settings_guess *guess, const char *prefix, const char *name)
{
    char full[SETTINGS_NAME_BYTES_MAX];
    size_t wanted_length = strlen(guess->wanted);
    int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (wanted_length >= SETTINGS_NAME_BYTES_MAX || (size_t)length >= sizeof full) {
        return;
    }
    size_t distance = edit_distance(guess->wanted, wanted_length, full, (size_t)length);
    if (distance < guess->distance) {
        guess->distance = distance;
        guess->prefix = prefix;
        guess->name = name;
    }
}
