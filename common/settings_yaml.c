#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <yaml.h>

#include "common/settings_parts.h"

#define SETTINGS_READ_BYTES 65536

/* What the file has been seen to hold so far. */
struct file {
    struct settings *settings;
    const char *name;
    yaml_parser_t parser;
    size_t lines[SETTING_COUNT]; /* where each row was set, 0: not yet */
    char *message;
};

/* yaml_event_t marks count from 0. */
static size_t
line_of(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

static enum error
refuse(struct file *file, char *message)
{
    file->message = message;
    return ERROR_CONFIG;
}

static enum error
refuse_syntax(struct file *file)
{
    const yaml_parser_t *parser = &file->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        return ERROR_NO_MEMORY;
    }
    /* A reader error (bad UTF-8) has no mark, only a place. */
    size_t line =
        parser->error == YAML_READER_ERROR ? parser->mark.line : parser->problem_mark.line;
    return refuse(file,
                  settings_say("%s:%zu: not YAML: %s", file->name, line + 1,
                               parser->problem != NULL ? parser->problem : "no reason given"));
}

static enum error
next_event(struct file *file, yaml_event_t *ret_event)
{
    return yaml_parser_parse(&file->parser, ret_event) ? OK : refuse_syntax(file);
}

static enum error
refuse_event(struct file *file, const yaml_event_t *event, const char *wanted)
{
    return refuse(file, settings_say("%s:%zu: %s", file->name, line_of(event), wanted));
}

static enum error
refuse_unknown(struct file *file, const yaml_event_t *key)
{
    const char *name = (const char *)key->data.scalar.value;
    struct settings_guess guess;
    settings_guess_init(&guess, name);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        settings_guess_offer(&guess, "", settings_row((enum setting)i)->name);
    }
    const struct settings_quote quote =
        settings_quote(slice_of(key->data.scalar.value, key->data.scalar.length));
    if (guess.name == NULL) {
        return refuse(
            file, settings_say("%s:%zu: unknown setting %s", file->name, line_of(key), quote.text));
    }
    return refuse(file, settings_say("%s:%zu: unknown setting %s; did you mean %s?", file->name,
                                     line_of(key), quote.text, guess.name));
}

static enum error
find_key(struct file *file, const yaml_event_t *key, const struct settings_row **ret_row)
{
    if (key->type != YAML_SCALAR_EVENT) {
        return refuse_event(file, key, "a setting's name was expected");
    }
    const char *name = (const char *)key->data.scalar.value;
    const struct settings_row *row =
        strlen(name) == key->data.scalar.length ? settings_find(name) : NULL;
    if (row == NULL) {
        return refuse_unknown(file, key);
    }
    size_t first = file->lines[row->setting];
    if (first != 0) {
        return refuse(file, settings_say("%s:%zu: %s is set twice, first in line %zu", file->name,
                                         line_of(key), row->name, first));
    }
    file->lines[row->setting] = line_of(key);
    *ret_row = row;
    return OK;
}

static enum error
set_value(struct file *file, const struct settings_row *row, const yaml_event_t *event)
{
    if (event->type != YAML_SCALAR_EVENT) {
        return refuse(file, settings_say("%s:%zu: %s wants one plain value, not a list, a mapping "
                                         "or an alias",
                                         file->name, line_of(event), row->name));
    }
    struct slice text = slice_of(event->data.scalar.value, event->data.scalar.length);
    if (text.size > SETTINGS_VALUE_BYTES_MAX) {
        return refuse(file,
                      settings_say("%s:%zu: the value of %s is longer than %zu bytes", file->name,
                                   line_of(event), row->name, SETTINGS_VALUE_BYTES_MAX));
    }
    enum error error = settings_set(file->settings, row->setting, text, SETTINGS_FROM_FILE);
    if (error == OK || error == ERROR_NO_MEMORY) {
        return error;
    }
    char *wrong = settings_say_wrong(row->name, row, error, text);
    char *message = NULL;
    if (wrong != NULL) {
        message = settings_say("%s:%zu: %s", file->name, line_of(event), wrong);
    }
    free(wrong);
    return refuse(file, message);
}

/* One key and its value; *ret_is_end at the end of the mapping. */
static enum error
take_pair(struct file *file, bool *ret_is_end)
{
    yaml_event_t event;
    const struct settings_row *row = NULL;
    enum error error = next_event(file, &event);
    if (error != OK) {
        return error;
    }
    *ret_is_end = event.type == YAML_MAPPING_END_EVENT;
    if (!*ret_is_end) {
        error = find_key(file, &event, &row);
    }
    yaml_event_delete(&event);
    if (error != OK || *ret_is_end) {
        return error;
    }
    error = next_event(file, &event);
    if (error == OK) {
        error = set_value(file, row, &event);
        yaml_event_delete(&event);
    }
    return error;
}

static enum error
take_mapping(struct file *file)
{
    bool is_end = false;
    enum error error = OK;
    while (error == OK && !is_end) {
        error = take_pair(file, &is_end);
    }
    return error;
}

/* An empty document comes as one empty plain scalar. */
static bool
is_empty_document(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static enum error
take_stream(struct file *file)
{
    bool had_document = false;
    for (;;) {
        yaml_event_t event;
        enum error error = next_event(file, &event);
        if (error != OK) {
            return error;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && had_document) {
            error = refuse_event(file, &event, "a settings file has one document");
        } else if (type == YAML_DOCUMENT_START_EVENT) {
            had_document = true;
        } else if (type == YAML_MAPPING_START_EVENT) {
            error = take_mapping(file);
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_END_EVENT &&
                   type != YAML_STREAM_END_EVENT && !is_empty_document(&event)) {
            error = refuse_event(file, &event, "lines of the form \"name: value\" were expected");
        }
        yaml_event_delete(&event);
        if (error != OK || type == YAML_STREAM_END_EVENT) {
            return error;
        }
    }
}

static enum error
refuse_size(const char *name, char **ret_message)
{
    *ret_message = settings_say("%s: larger than %zu bytes, too large for settings", name,
                                SETTINGS_FILE_BYTES_MAX);
    return ERROR_CONFIG;
}

enum error
settings_load_text(struct settings *settings, const char *name, struct slice text,
                   char **ret_message)
{
    if (text.size > SETTINGS_FILE_BYTES_MAX) {
        return refuse_size(name, ret_message);
    }
    struct file file = {.settings = settings, .name = name};
    if (!yaml_parser_initialize(&file.parser)) {
        return ERROR_NO_MEMORY;
    }
    yaml_parser_set_encoding(&file.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&file.parser, text.data, text.size);
    enum error error = take_stream(&file);
    yaml_parser_delete(&file.parser);
    if (file.message != NULL) {
        *ret_message = file.message;
    }
    return error;
}

/* ERROR_IO with errno; ERROR_TOO_LARGE past the bound of the buffer; ERROR_NO_MEMORY. */
static enum error
read_all(int fd, struct buffer *out)
{
    for (;;) {
        uint8_t bytes[SETTINGS_READ_BYTES];
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ERROR_IO;
        }
        if (got == 0) {
            return OK;
        }
        buffer_append(out, bytes, (size_t)got);
        if (buffer_error(out) != OK) {
            return buffer_error(out);
        }
    }
}

enum error
settings_load_file(struct settings *settings, const char *path, char **ret_message)
{
    struct buffer text;
    buffer_init(&text, SETTINGS_FILE_BYTES_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum error error = fd >= 0 ? read_all(fd, &text) : ERROR_IO;
    int number = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (error == OK) {
        error = settings_load_text(settings, path, buffer_slice(&text), ret_message);
    } else if (error == ERROR_IO) {
        *ret_message = settings_say("%s: %s", path, strerror(number));
        error = ERROR_CONFIG;
    } else if (error == ERROR_TOO_LARGE) {
        error = refuse_size(path, ret_message);
    }
    buffer_release(&text);
    return error;
}
