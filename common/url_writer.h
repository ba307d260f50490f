/*
 * url_writer: the canonical text of a URL while it grows. Used by url_parser.c and url_host.c only.
 *
 * The overflow is sticky: past URL_BYTES_MAX further bytes are dropped and is_full says so, so
 * that the parser asks once at the end.
 *
 * Threads  none of its own; lives on the parser's stack.
 */
#ifndef THRESH_COMMON_URL_WRITER_H
#define THRESH_COMMON_URL_WRITER_H

#include "common/buffer.h"
#include "common/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct url_writer {
    size_t size;
    bool is_full;
    char text[URL_BYTES_MAX + 1]; /* one byte more for the NUL; left unset until written */
};

static inline void
url_writer_init(struct url_writer *writer)
{
    writer->size = 0;
    writer->is_full = false;
}

static inline void
url_writer_byte(struct url_writer *writer, char byte)
{
    if (writer->size < URL_BYTES_MAX) {
        writer->text[writer->size++] = byte;
    } else {
        writer->is_full = true;
    }
}

static inline void
url_writer_bytes(struct url_writer *writer, const void *data, size_t size)
{
    if (size <= URL_BYTES_MAX - writer->size) {
        memcpy(writer->text + writer->size, data, size);
        writer->size += size;
    } else {
        writer->is_full = true;
    }
}

/* Appends a decimal number. */
void url_writer_number(struct url_writer *writer, unsigned number);

/* Where an escaped run ends; a query has no end but the text's. */
enum url_part {
    URL_PART_SEGMENT, /* of a path: ends before a slash, a backslash or a question mark */
    URL_PART_QUERY,
};

/*
 * Appends bytes in canonical percent-encoding: what the URL Standard's path or special-query set
 * names is encoded, escaped unreserved characters are decoded (RFC 3986, 6.2.2.2), the hex digits
 * of other escapes become upper case. A percent sign that begins no escape stays as it is, as in
 * browsers; an escaped hex digit behind one stays escaped, or it would complete a new escape and
 * the text would not parse again to itself. Returns how many input bytes were used.
 */
size_t url_writer_escape(struct url_writer *writer, struct slice text, enum url_part part);

#endif
