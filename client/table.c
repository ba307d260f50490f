#include "client/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli.h"

#define TABLE_BYTES_MAX ((size_t)64 << 20)
#define GAP 2 /* blanks between columns */

static void
add_cell(struct table *table, struct slice text)
{
    size_t size = text.size < TABLE_CELL_BYTES_MAX ? text.size : TABLE_CELL_BYTES_MAX;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = text.data[i];
        buffer_append_byte(&table->text, byte < 0x20 || byte == 0x7f ? '?' : byte);
    }
    buffer_append_byte(&table->text, '\0');
    table->cells++;
}

void
table_init(struct table *table, const char *titles)
{
    *table = (struct table){0};
    buffer_init(&table->text, TABLE_BYTES_MAX);
    for (const char *at = titles; *at != '\0';) {
        assert(table->columns < TABLE_COLUMNS_MAX);
        table->is_right[table->columns] = *at == '>';
        at += *at == '>' ? 1 : 0;
        size_t size = strcspn(at, "|");
        add_cell(table, slice_of(at, size));
        table->columns++;
        at += size;
        at += *at == '|' ? 1 : 0;
    }
}

void
table_release(struct table *table)
{
    buffer_release(&table->text);
}

void
table_cell(struct table *table, const char *format, ...)
{
    char cell[TABLE_CELL_BYTES_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell, sizeof cell, format, arguments);
    va_end(arguments);
    add_cell(table, slice_string(cell));
}

void
table_slice(struct table *table, struct slice text)
{
    add_cell(table, text);
}

/* What a terminal shows of UTF-8, about: a column for each character. */
static size_t
width_of(const char *cell)
{
    size_t width = 0;
    for (; *cell != '\0'; cell++) {
        width += ((uint8_t)*cell & 0xc0) != 0x80;
    }
    return width;
}

void
table_print(const struct table *table, const char *bold, const char *plain, struct buffer *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    if (buffer_error(&table->text) != OK || table->columns == 0) {
        return;
    }
    const char *cell = (const char *)table->text.data;
    for (size_t i = 0; i < table->cells; i++, cell += strlen(cell) + 1) {
        size_t width = width_of(cell);
        size_t *widest = &widths[i % table->columns];
        *widest = width > *widest ? width : *widest;
    }
    cell = (const char *)table->text.data;
    for (size_t i = 0; i < table->cells; i++, cell += strlen(cell) + 1) {
        size_t column = i % table->columns;
        bool is_last = column + 1 == table->columns;
        int blanks = (int)(widths[column] - width_of(cell));
        if (i == 0) {
            buffer_append_string(out, bold);
        }
        if (table->is_right[column]) {
            buffer_printf(out, "%*s%s", blanks, "", cell);
        } else {
            buffer_printf(out, "%s%*s", cell, is_last ? 0 : blanks, "");
        }
        if (i + 1 == table->columns) {
            buffer_append_string(out, plain);
        }
        buffer_printf(out, "%*s", is_last ? 0 : GAP, "");
        buffer_append_string(out, is_last ? "\n" : "");
    }
}

enum error
table_print_list(struct slice reply, const char *key, const char *titles, table_add_fn *add,
                 const char *empty, struct buffer *out)
{
    const char *const keys[] = {key, NULL};
    struct slice field;
    struct reader reader;
    struct table table;
    enum error error = OK;
    reader_init(&reader, reply);
    read_fields(&reader, keys, &field);
    reader_init(&reader, field);
    size_t count = read_array(&reader);
    if (reader.error == OK && count == 0 && empty != NULL) {
        buffer_append_string(out, empty);
        return reader_finish(&reader);
    }
    table_init(&table, titles);
    for (size_t i = 0; i < count && reader.error == OK && error == OK; i++) {
        error = add(&table, &reader);
    }
    table_print(&table, cli_bold(STDOUT_FILENO), cli_plain(STDOUT_FILENO), out);
    table_release(&table);
    return error == OK ? reader_finish(&reader) : error;
}
