#include <string.h>

#include "common/settings_parts.h"
#include "common/utf8.h"

#define HELP_COLUMN 32  /* where the sentences begin */
#define HELP_WIDTH 100  /* columns of a line */
#define PRINT_COLUMN 44 /* where the comments of settings_print() begin */
#define LINE_BYTES_MAX ((size_t)8192)

static const char *
value_name(const struct settings_row *row)
{
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        return NULL;
    case SETTINGS_TYPE_COUNT:
        return "N";
    case SETTINGS_TYPE_BYTES:
        return "SIZE";
    case SETTINGS_TYPE_DURATION:
        return "TIME";
    case SETTINGS_TYPE_CHOICE:
        return row->words;
    case SETTINGS_TYPE_TEXT:
        break;
    }
    return "TEXT";
}

static void
append_blanks(struct buffer *out, size_t count)
{
    buffer_printf(out, "%*s", (int)count, "");
}

/* The sentence from HELP_COLUMN on, broken between words; `column` is where the line stands. */
static void
append_wrapped(struct buffer *out, size_t column, const char *text)
{
    if (column + 2 > HELP_COLUMN) {
        buffer_append_string(out, "\n");
        column = 0;
    }
    append_blanks(out, HELP_COLUMN - column);
    column = HELP_COLUMN;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            buffer_append_string(out, "\n");
            append_blanks(out, HELP_COLUMN);
            column = HELP_COLUMN;
        } else if (column > HELP_COLUMN) {
            buffer_append_string(out, " ");
            column++;
        }
        buffer_append(out, text, length);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    buffer_append_string(out, "\n");
}

static void
append_option(struct buffer *out, char letter, const char *prefix, const char *name,
              const char *value, const char *sentence)
{
    size_t start = out->size;
    if (letter != 0) {
        buffer_printf(out, "  -%c, ", letter);
    } else {
        buffer_append_string(out, "      ");
    }
    buffer_printf(out, "--%s%s", prefix, name);
    if (value != NULL) {
        buffer_printf(out, " %s", value);
    }
    append_wrapped(out, out->size - start, sentence);
}

static void
append_options(struct buffer *out, const struct settings_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        append_option(out, options->letter, "", options->name, options->value_name, options->help);
    }
}

static void
append_row(struct buffer *out, const struct settings_row *row)
{
    struct buffer sentence;
    bool is_on = row->type == SETTINGS_TYPE_BOOL && strcmp(row->default_text, "true") == 0;
    buffer_init(&sentence, LINE_BYTES_MAX);
    buffer_append_string(&sentence, row->help);
    if (row->type != SETTINGS_TYPE_BOOL && row->default_text[0] != '\0') {
        buffer_printf(&sentence, " (default %s)", row->default_text);
    } else if (is_on) {
        buffer_append_string(&sentence, " (default; --no- turns it off)");
    }
    append_option(out, settings_letter(row->setting), is_on ? "[no-]" : "", row->name,
                  value_name(row), buffer_text(&sentence));
    buffer_release(&sentence);
}

void
settings_help(unsigned programs, const struct settings_option *extra, struct buffer *out)
{
    append_options(out, extra);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct settings_row *row = settings_row((enum setting)i);
        if ((row->programs & programs) != 0) {
            append_row(out, row);
        }
    }
    append_options(out, settings_generic);
}

/* A double-quoted YAML scalar; a text has no control characters. */
static void
append_yaml_text(struct buffer *out, const char *text)
{
    struct buffer repaired;
    buffer_init(&repaired, SETTINGS_VALUE_BYTES_MAX * 3);
    utf8_append(&repaired, slice_string(text));
    struct slice bytes = buffer_slice(&repaired);
    buffer_append_byte(out, '"');
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] == '"' || bytes.data[i] == '\\') {
            buffer_append_byte(out, '\\');
        }
        buffer_append_byte(out, bytes.data[i]);
    }
    buffer_append_byte(out, '"');
    buffer_release(&repaired);
}

void
settings_print(const struct settings *settings, unsigned programs, struct buffer *out)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct settings_row *row = settings_row((enum setting)i);
        if ((row->programs & programs) == 0) {
            continue;
        }
        size_t start = out->size;
        buffer_printf(out, "%s: ", row->name);
        if (row->type == SETTINGS_TYPE_TEXT) {
            append_yaml_text(out,
                             *(const char *const *)settings_member_const(settings, row->setting));
        } else {
            settings_append_value(settings, row->setting, out);
        }
        size_t column = out->size - start;
        append_blanks(out, column + 1 < PRINT_COLUMN ? PRINT_COLUMN - column : 1);
        buffer_printf(out, "# %s\n", settings_origin_name(settings->origins[i]));
    }
}
