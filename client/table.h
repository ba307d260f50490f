/*
 * table: rows of text in columns, for people.
 *
 * Bounds   TABLE_COLUMNS_MAX columns, TABLE_CELL_BYTES_MAX bytes a cell (the rest is cut).
 * Threads  one owner.
 */
#ifndef THRESH_CLIENT_TABLE_H
#define THRESH_CLIENT_TABLE_H

#include "common/buffer.h"
#include "common/message.h"

#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_BYTES_MAX 160

struct table {
    size_t columns;
    size_t cells;       /* written so far */
    struct buffer text; /* the cells, each ended by a NUL */
    uint8_t is_right[TABLE_COLUMNS_MAX];
};

/* Titles are separated by |; one that begins with > is set to the right. */
void table_init(struct table *table, const char *titles);
void table_release(struct table *table);

/* The next cell, row by row. Control characters become ?. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_slice(struct table *table, struct slice text);

/* Appends all rows, the titles first, between these escape sequences. */
void table_print(const struct table *table, const char *bold, const char *plain,
                 struct buffer *out);

/*
 * Appends the list that a broker's reply has under key as a table for standard output; add() reads
 * one entry and adds its cells. For a list of nothing it appends `empty`, unless that is NULL.
 * ERROR_PROTOCOL, or add()'s error: the reply cannot be read.
 */
typedef enum error table_add_fn(struct table *table, struct reader *reader);
MUST_CHECK enum error table_print_list(struct slice reply, const char *key, const char *titles,
                                       table_add_fn *add, const char *empty, struct buffer *out);

#endif
