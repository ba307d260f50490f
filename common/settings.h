/*
 * settings: what a person may choose, from one table (settings.def).
 *
 * A value comes from the command line, else from the environment (THRESH_GAP for --gap), else
 * from a file, else from the table; whatever the order of loading, the better source wins. A
 * program makes one call, settings_load(), before it starts threads:
 *
 *     struct settings settings;
 *     struct settings_arguments arguments;
 *     char *message = NULL;
 *     settings_init(&settings);
 *     enum error error = settings_load(&settings, SETTINGS_BROKER, argc, argv, NULL, &arguments,
 *                                      &message);
 *     if (error != OK) { print message; exit with error_exit_code(error); }
 *
 * Values. BOOL: true, yes, on, 1 and false, no, off, 0; as a flag --x, --no-x or --x=false. COUNT:
 * digits with k, M or G (thousands). BYTES: digits with k, KiB, M, MiB, G, GiB, T, TiB (1,024s) or
 * kB, MB, GB, TB (1,000s) or B. DURATION: digits with ms, s, m, h or d, or 0. CHOICE: one of its
 * words. Where a message is returned it is one sentence for the user, made with malloc: the caller
 * frees it with free(). It is set only on failure, and NULL without memory.
 *
 * The file is YAML with one flat mapping of flag names to scalars. Unknown and repeated keys,
 * nesting and bad values are errors that name the line.
 *
 * Bounds   SETTINGS_FILE_BYTES_MAX a file, SETTINGS_VALUE_BYTES_MAX a value.
 * Threads  one owner while loading; read by any thread after.
 */
#ifndef THRESH_COMMON_SETTINGS_H
#define THRESH_COMMON_SETTINGS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_FILE_BYTES_MAX ((size_t)1024 * 1024)
#define SETTINGS_VALUE_BYTES_MAX ((size_t)64 * 1024)
/* What settings_help() and settings_print() may write. */
#define SETTINGS_TEXT_BYTES_MAX ((size_t)256 * 1024)

/* Bits: who takes a setting. */
enum settings_program {
    SETTINGS_BROKER = 1,
    SETTINGS_WORKER = 2,
    SETTINGS_RUN = 4,
    SETTINGS_FEED = 8,
    SETTINGS_COLLECT = 16,
    SETTINGS_CONTROL = 32, /* status, dead and the other verbs of control */
    SETTINGS_ALL = 63,
};

enum settings_type {
    SETTINGS_TYPE_BOOL,
    SETTINGS_TYPE_COUNT,
    SETTINGS_TYPE_BYTES,
    SETTINGS_TYPE_DURATION,
    SETTINGS_TYPE_TEXT,
    SETTINGS_TYPE_CHOICE,
};

/* Where a value came from, the weakest first. */
enum settings_origin {
    SETTINGS_FROM_DEFAULT,
    SETTINGS_FROM_FILE,
    SETTINGS_FROM_ENVIRONMENT,
    SETTINGS_FROM_FLAG,
};

/* The words of CHOICE rows, in their order. For log_level and log_format see common/log.h. */
enum settings_store_kind {
    SETTINGS_STORE_LMDB,
    SETTINGS_STORE_MEMORY
};
enum settings_sync {
    SETTINGS_SYNC_FULL,
    SETTINGS_SYNC_GROUP
};
enum settings_host_key {
    SETTINGS_HOST_KEY_HOST,
    SETTINGS_HOST_KEY_DOMAIN
};
enum settings_sandbox {
    SETTINGS_SANDBOX_STRICT,
    SETTINGS_SANDBOX_BEST_EFFORT
};
enum settings_format {
    SETTINGS_FORMAT_AUTO,
    SETTINGS_FORMAT_JSONL,
    SETTINGS_FORMAT_MSGPACK
};
enum settings_progress {
    SETTINGS_PROGRESS_AUTO,
    SETTINGS_PROGRESS_ON,
    SETTINGS_PROGRESS_OFF
};

/* SETTING_gap_ms and so on: the row of a member. */
enum setting {
#define SETTING(member, flag, type, text, min, max, words, programs, help) SETTING_##member,
#include "common/settings.def"
#undef SETTING
    SETTING_COUNT
};

/* One row of the table. */
struct settings_row {
    enum setting setting;
    const char *name; /* of the flag, without dashes, and of the file's key */
    enum settings_type type;
    const char *default_text;
    int64_t min;
    int64_t max;
    const char *words;
    unsigned programs;
    const char *help;
};

#define SETTINGS_MEMBER_BOOL bool
#define SETTINGS_MEMBER_COUNT uint64_t
#define SETTINGS_MEMBER_BYTES uint64_t
#define SETTINGS_MEMBER_DURATION int64_t  /* ms */
#define SETTINGS_MEMBER_TEXT const char * /* never NULL; belongs to struct settings */
#define SETTINGS_MEMBER_CHOICE int        /* the index of the word */

/* settings.gap_ms, settings.listen_feed, ...: one member a row. */
struct settings {
#define SETTING(member, flag, type, text, min, max, words, programs, help) \
    SETTINGS_MEMBER_##type member;
#include "common/settings.def"
#undef SETTING
    enum settings_origin origins[SETTING_COUNT];
    char *owned[SETTING_COUNT]; /* the memory of texts that are not defaults */
};

/* An option of one program that is no setting, such as --dry-run. A list ends with name NULL. */
struct settings_option {
    const char *name;       /* without dashes */
    char letter;            /* of its short form, or 0 */
    const char *value_name; /* "FILE"; NULL: it takes no value */
    const char *help;
    const char **ret_value; /* set to the value given last, to "" without one; else untouched */
};

/* What the command line held beside settings; pointers go into argv. */
struct settings_arguments {
    char **positional; /* ends with NULL */
    size_t positional_count;
    const char *config; /* --config FILE, or NULL */
    int verbosity;      /* one more for each -v, one less for each -q */
    bool is_help;       /* -h, --help */
    bool is_version;    /* --version */
};

void settings_init(struct settings *settings);
void settings_release(struct settings *settings);

/*
 * Command line, environment and file (--config, else THRESH_CONFIG) in one call; the argument
 * before the first is argv[0]. With --help or --version nothing else is loaded. `broker` is
 * spread over the four broker_ endpoints that have no better source. extra may be NULL.
 * ERROR_USAGE: the command line; ERROR_CONFIG: the environment or the file.
 */
MUST_CHECK enum error settings_load(struct settings *settings, unsigned programs, int argc,
                                    char *const *argv, const struct settings_option *extra,
                                    struct settings_arguments *ret_arguments, char **ret_message);
void settings_arguments_release(struct settings_arguments *arguments);

/* The steps of it. */
MUST_CHECK enum error settings_parse_arguments(struct settings *settings, unsigned programs,
                                               int argc, char *const *argv,
                                               const struct settings_option *extra,
                                               struct settings_arguments *ret_arguments,
                                               char **ret_message);
MUST_CHECK enum error settings_load_environment(struct settings *settings, unsigned programs,
                                                char **ret_message);
MUST_CHECK enum error settings_load_file(struct settings *settings, const char *path,
                                         char **ret_message);
/* The same from memory; `name` is for messages. */
MUST_CHECK enum error settings_load_text(struct settings *settings, const char *name,
                                         struct slice text, char **ret_message);
MUST_CHECK enum error settings_spread_broker(struct settings *settings, char **ret_message);

/* One program's own default for a row, taken unless another source has set it already:
 * settings_set_default(&settings, SETTING_log_level, "warning"). The text is a good literal. */
void settings_set_default(struct settings *settings, enum setting setting, const char *text);

/* Parses and sets one row. ERROR_INVALID: not of its form; ERROR_TOO_LARGE: outside min and max;
 * ERROR_NO_MEMORY. From a weaker origin than the present one the text is checked and then ignored.
 */
MUST_CHECK enum error settings_set(struct settings *settings, enum setting setting,
                                   struct slice text, enum settings_origin origin);

/* Appends what a row takes, after either of the first two errors: "a duration such as 500ms or
 * 1s", "a duration from 0 to 1d". */
void settings_append_expected(const struct settings_row *row, enum error why, struct buffer *out);

const struct settings_row *settings_row(enum setting setting);
/* The row with this flag name, or NULL. */
const struct settings_row *settings_find(const char *name);
enum settings_origin settings_origin(const struct settings *settings, enum setting setting);
/* "default", "file", "environment", "flag". */
const char *settings_origin_name(enum settings_origin origin);

/* Appends the value as a person would write it ("1s", "16MiB"); texts as they are. */
void settings_append_value(const struct settings *settings, enum setting setting,
                           struct buffer *out);

/* Appends every row of the programs as a file that settings_load_file() takes, with the origin of
 * each value in a comment. */
void settings_print(const struct settings *settings, unsigned programs, struct buffer *out);

/* Appends the options of the programs, extra (or NULL) first, one a line with its default. */
void settings_help(unsigned programs, const struct settings_option *extra, struct buffer *out);

#endif
