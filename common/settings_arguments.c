#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings_parts.h"

/* Of a program's list of option names, in a message. */
#define SETTINGS_OPTION_BYTES_MAX 64

/* Where the walk over argv stands. */
struct walk {
    struct settings *settings;
    unsigned programs;
    int argc;
    char *const *argv;
    int next; /* the argument to look at */
    const struct settings_option *extra;
    struct settings_arguments *arguments;
    char *message;
};

const struct settings_option settings_generic[] = {
    [SETTINGS_GENERIC_CONFIG] = {"config", 0, "FILE", "settings file, YAML", NULL},
    [SETTINGS_GENERIC_QUIET] = {"quiet", 'q', NULL, "say less", NULL},
    [SETTINGS_GENERIC_VERBOSE] = {"verbose", 'v', NULL, "say more", NULL},
    [SETTINGS_GENERIC_HELP] = {"help", 'h', NULL, "this text", NULL},
    [SETTINGS_GENERIC_VERSION] = {"version", 0, NULL, "the version and what is built in", NULL},
    [SETTINGS_GENERIC_COUNT] = {NULL, 0, NULL, NULL, NULL},
};

struct letter {
    char letter;
    enum setting setting;
};

/* The short flags of settings. */
static const struct letter letters[] = {{'o', SETTING_output}};

const struct settings_row *
settings_find_letter(char letter)
{
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].letter == letter) {
            return settings_row(letters[i].setting);
        }
    }
    return NULL;
}

char
settings_letter(enum setting setting)
{
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].setting == setting) {
            return letters[i].letter;
        }
    }
    return 0;
}

static enum error
refuse(struct walk *walk, char *message)
{
    walk->message = message;
    return ERROR_USAGE;
}

static const struct settings_option *
find_option(const struct settings_option *options, const char *name, char letter)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (name != NULL ? strcmp(options->name, name) == 0 : options->letter == letter) {
            return options;
        }
    }
    return NULL;
}

/* The value of an option: what came with it, else the next argument. NULL: there is none. What
 * looks like an option is none; --output=-x says so if it is meant. */
static const char *
take_value(struct walk *walk, const char *attached)
{
    if (attached != NULL) {
        return attached;
    }
    if (walk->next >= walk->argc) {
        return NULL;
    }
    const char *text = walk->argv[walk->next];
    bool is_digit = text[0] == '-' && text[1] >= '0' && text[1] <= '9';
    if (text[0] == '-' && text[1] != '\0' && !is_digit) {
        return NULL;
    }
    walk->next++;
    return text;
}

/* `shown` is the option as the user wrote it, without its value. */
static enum error
apply_row(struct walk *walk, const struct settings_row *row, const char *shown,
          const char *attached)
{
    if ((row->programs & walk->programs) == 0) {
        return refuse(walk, settings_say("%s is an option of other commands, not of this one; "
                                         "see --help",
                                         shown));
    }
    const char *text = row->type == SETTINGS_TYPE_BOOL ? (attached != NULL ? attached : "true")
                                                       : take_value(walk, attached);
    if (text == NULL) {
        struct buffer expected;
        buffer_init(&expected, SETTINGS_VALUE_BYTES_MAX);
        settings_append_expected(row, ERROR_INVALID, &expected);
        char *message =
            settings_say("%s wants a value: %s", shown,
                         row->type == SETTINGS_TYPE_TEXT ? row->help : buffer_text(&expected));
        buffer_release(&expected);
        return refuse(walk, message);
    }
    struct slice value = slice_string(text);
    enum error error = settings_set(walk->settings, row->setting, value, SETTINGS_FROM_FLAG);
    if (error == OK || error == ERROR_NO_MEMORY) {
        return error;
    }
    return refuse(walk, settings_say_wrong(shown, row, error, value));
}

static void
apply_generic(struct walk *walk, size_t index, const char *text)
{
    struct settings_arguments *arguments = walk->arguments;
    switch (index) {
    case SETTINGS_GENERIC_CONFIG:
        arguments->config = text;
        break;
    case SETTINGS_GENERIC_QUIET:
        arguments->verbosity--;
        break;
    case SETTINGS_GENERIC_VERBOSE:
        arguments->verbosity++;
        break;
    case SETTINGS_GENERIC_HELP:
        arguments->is_help = true;
        break;
    default:
        arguments->is_version = true;
        break;
    }
}

static enum error
apply_option(struct walk *walk, const struct settings_option *option, const char *shown,
             const char *attached)
{
    const char *text = "";
    if (option->value_name == NULL && attached != NULL) {
        return refuse(walk, settings_say("%s takes no value", shown));
    }
    if (option->value_name != NULL) {
        text = take_value(walk, attached);
        if (text == NULL) {
            return refuse(walk, settings_say("%s wants a value: %s", shown, option->help));
        }
    }
    if (option >= settings_generic && option < settings_generic + SETTINGS_GENERIC_COUNT) {
        apply_generic(walk, (size_t)(option - settings_generic), text);
    } else if (option->ret_value != NULL) {
        *option->ret_value = text;
    }
    return OK;
}

static void
offer_options(struct settings_guess *guess, const struct settings_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        settings_guess_offer(guess, "", options->name);
    }
}

static enum error
refuse_unknown(struct walk *walk, const char *name)
{
    struct settings_guess guess;
    settings_guess_init(&guess, name);
    offer_options(&guess, walk->extra);
    offer_options(&guess, settings_generic);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct settings_row *row = settings_row((enum setting)i);
        if ((row->programs & walk->programs) == 0) {
            continue;
        }
        settings_guess_offer(&guess, "", row->name);
        if (row->type == SETTINGS_TYPE_BOOL) {
            settings_guess_offer(&guess, "no-", row->name);
        }
    }
    const struct settings_quote quote = settings_quote(slice_string(name));
    if (guess.name == NULL) {
        return refuse(walk, settings_say("unknown option --%s; see --help", quote.text));
    }
    return refuse(walk, settings_say("unknown option --%s; did you mean --%s%s?", quote.text,
                                     guess.prefix, guess.name));
}

/* --name, --name=value, --no-name; `option` is behind the dashes. */
static enum error
take_long(struct walk *walk, const char *option)
{
    char name[SETTINGS_OPTION_BYTES_MAX];
    char shown[SETTINGS_OPTION_BYTES_MAX + 2];
    size_t length = strcspn(option, "=");
    const char *attached = option[length] == '=' ? option + length + 1 : NULL;
    if (length >= sizeof name) {
        return refuse(walk, settings_say("unknown option --%s; see --help",
                                         settings_quote(slice_of(option, length)).text));
    }
    memcpy(name, option, length);
    name[length] = '\0';
    memcpy(shown, "--", 2);
    memcpy(shown + 2, name, length + 1);

    const struct settings_option *own = find_option(walk->extra, name, 0);
    own = own != NULL ? own : find_option(settings_generic, name, 0);
    if (own != NULL) {
        return apply_option(walk, own, shown, attached);
    }
    const struct settings_row *row = settings_find(name);
    if (row != NULL) {
        return apply_row(walk, row, shown, attached);
    }
    row = strncmp(name, "no-", 3) == 0 ? settings_find(name + 3) : NULL;
    if (row == NULL) {
        return refuse_unknown(walk, name);
    }
    if (row->type != SETTINGS_TYPE_BOOL) {
        return refuse(walk, settings_say("--%s wants a value and cannot be switched off with %s",
                                         row->name, shown));
    }
    if (attached != NULL) {
        return refuse(walk, settings_say("%s takes no value", shown));
    }
    return apply_row(walk, row, shown, "false");
}

/* -q, -vv, -oFILE, -o FILE; `cluster` is behind the dash. */
static enum error
take_short(struct walk *walk, const char *cluster)
{
    for (const char *at = cluster; *at != '\0'; at++) {
        const char shown[] = {'-', *at, '\0'};
        const char *rest = at[1] != '\0' ? at + 1 : NULL;
        const struct settings_option *own = find_option(walk->extra, NULL, *at);
        own = own != NULL ? own : find_option(settings_generic, NULL, *at);
        const struct settings_row *row = own == NULL ? settings_find_letter(*at) : NULL;
        if (own == NULL && row == NULL) {
            return refuse(walk, settings_say("unknown option -%s; see --help",
                                             settings_quote(slice_of(at, 1)).text));
        }
        bool is_valued = own != NULL ? own->value_name != NULL : row->type != SETTINGS_TYPE_BOOL;
        const char *attached = is_valued ? rest : NULL;
        enum error error = own != NULL ? apply_option(walk, own, shown, attached)
                                       : apply_row(walk, row, shown, attached);
        if (error != OK || is_valued) {
            return error;
        }
    }
    return OK;
}

static enum error
walk_arguments(struct walk *walk)
{
    bool is_all_positional = false;
    struct settings_arguments *arguments = walk->arguments;
    while (walk->next < walk->argc) {
        char *text = walk->argv[walk->next++];
        enum error error = OK;
        if (is_all_positional || text[0] != '-' || text[1] == '\0') {
            arguments->positional[arguments->positional_count++] = text;
        } else if (strcmp(text, "--") == 0) {
            is_all_positional = true;
        } else if (text[1] == '-') {
            error = take_long(walk, text + 2);
        } else {
            error = take_short(walk, text + 1);
        }
        if (error != OK) {
            return error;
        }
    }
    return OK;
}

enum error
settings_parse_arguments(struct settings *settings, unsigned programs, int argc, char *const *argv,
                         const struct settings_option *extra,
                         struct settings_arguments *ret_arguments, char **ret_message)
{
    struct settings_arguments arguments = {0};
    struct walk walk = {.settings = settings,
                        .programs = programs,
                        .argc = argc,
                        .argv = argv,
                        .next = 1,
                        .extra = extra,
                        .arguments = &arguments};
    arguments.positional = calloc((size_t)argc + 1, sizeof *arguments.positional);
    if (arguments.positional == NULL) {
        return ERROR_NO_MEMORY;
    }
    enum error error = walk_arguments(&walk);
    if (error != OK) {
        settings_arguments_release(&arguments);
        if (walk.message != NULL) {
            *ret_message = walk.message;
        }
        return error;
    }
    *ret_arguments = arguments;
    return OK;
}

void
settings_arguments_release(struct settings_arguments *arguments)
{
    free(arguments->positional);
    *arguments = (struct settings_arguments){0};
}
