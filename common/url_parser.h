/*
 * url_parser: the URL Standard's states for http, https and file. Used by url.c only.
 *
 * Reads one URL or reference and writes its canonical text, in one pass and without going back over
 * the input.
 *
 * Threads  pure functions.
 * Source   url.spec.whatwg.org, "URL parsing"; state names are cited where a function follows one.
 */
#ifndef THRESH_COMMON_URL_PARSER_H
#define THRESH_COMMON_URL_PARSER_H

#include "common/url.h"
#include "common/url_writer.h"

#include <stddef.h>
#include <stdint.h>

#define URL_NO_QUERY SIZE_MAX

/* A URL being made. Places are offsets into the writer's text until url.c turns them to
 * slices. `at` is what of the input is still to be read: without fragment, tabs and newlines. */
struct url_parser {
    const struct url *base; /* borrowed; NULL for an absolute URL */
    const uint8_t *at;
    const uint8_t *end;
    enum url_scheme scheme;
    uint16_t port;
    size_t host_start;
    size_t host_size;
    size_t path_start;
    size_t query_start; /* behind the question mark, or URL_NO_QUERY */
    struct url_writer writer;
};

/* Sets up the parser; base is NULL for an absolute URL and outlives the parser like the text. */
void url_parser_init(struct url_parser *parser, const struct url *base, struct slice text);

/* Reads all. NULL, or why the text is refused. When the writer is full after it, the text is too
 * long and the places mean nothing. */
MUST_CHECK url_reason url_parser_read(struct url_parser *parser);

/* True when the text begins with a scheme that is not http, https or file. */
bool url_parser_is_foreign(const struct url_parser *parser);

#endif
