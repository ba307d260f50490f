/*
 * settings_parts: what the files behind common/settings.h share; nobody else includes it.
 *
 * settings.c         the table, sources in their order
 * settings_value.c   one value: text to number and back
 * settings_message.c sentences for people, the nearest name
 * settings_arguments.c, settings_yaml.c  two of the sources
 * settings_help.c    --help and `thresh config`
 */
#ifndef THRESH_COMMON_SETTINGS_PARTS_H
#define THRESH_COMMON_SETTINGS_PARTS_H

#include "common/settings.h"

#define SETTINGS_NAME_BYTES_MAX 48
#define SETTINGS_QUOTE_BYTES_MAX 80 /* of a user's text, repeated in a message */

/* A value of any type before it is stored. */
union settings_value {
    bool boolean;
    uint64_t uint;
    int64_t integer;
    int choice;
};

/* Parses all types but TEXT, whose form alone is checked. Errors as settings_set(). */
MUST_CHECK enum error settings_value_parse(const struct settings_row *row, struct slice text,
                                           union settings_value *ret_value);
/* Not for TEXT. */
void settings_value_append(const struct settings_row *row, union settings_value value,
                           struct buffer *out);

/* The member of a row. */
void *settings_member(struct settings *settings, enum setting setting);
const void *settings_member_const(const struct settings *settings, enum setting setting);

/* A formatted sentence of malloc, or NULL without memory. */
char *settings_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct settings_quote {
    char text[SETTINGS_QUOTE_BYTES_MAX + 4];
};
/* The user's bytes, shortened and without control characters. */
struct settings_quote settings_quote(struct slice text);

/* `WHO wants a duration such as 500ms or 1s, not "fast"`, for an error of settings_set(). */
char *settings_say_wrong(const char *who, const struct settings_row *row, enum error why,
                         struct slice text);

/* Keeps the nearest of the names offered, when one is near enough to be what was meant. */
struct settings_guess {
    const char *wanted;
    const char *prefix; /* "no-", or "" */
    const char *name;   /* NULL: none */
    size_t distance;    /* of the nearest so far */
};
void settings_guess_init(struct settings_guess *guess, const char *wanted);
void settings_guess_offer(struct settings_guess *guess, const char *prefix, const char *name);

/* The row whose short flag is this letter, or NULL. */
const struct settings_row *settings_find_letter(char letter);
char settings_letter(enum setting setting);

/* The options that every program has. */
extern const struct settings_option settings_generic[];
enum {
    SETTINGS_GENERIC_CONFIG,
    SETTINGS_GENERIC_QUIET,
    SETTINGS_GENERIC_VERBOSE,
    SETTINGS_GENERIC_HELP,
    SETTINGS_GENERIC_VERSION,
    SETTINGS_GENERIC_COUNT,
};

#endif
