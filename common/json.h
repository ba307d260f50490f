/*
 * json: msgpack values as JSON text, and JSON text as msgpack values.
 *
 * Writing: strings are emitted as valid UTF-8 (bad bytes become U+FFFD), binary as base64 text,
 * integers exactly, doubles shortest round-trip, NaN and infinities as null, extensions as their
 * bytes in base64. Map keys that are no strings are written as their JSON text in quotes; a key
 * that is a container is refused. Reading uses cJSON; depth, elements, UTF-8 and what cJSON is
 * lenient about are checked before (MESSAGE_DEPTH_MAX, MESSAGE_ELEMENTS_MAX; the size is the
 * caller's to bound). What it writes always passes message_scan().
 *
 * Threads  pure functions.
 */
#ifndef THRESH_COMMON_JSON_H
#define THRESH_COMMON_JSON_H

#include "common/buffer.h"
#include "common/error.h"

/* Appends the msgpack value as JSON on one line. ERROR_PROTOCOL: not well-formed, nothing was
 * appended. The error of the buffer, when it is full. */
MUST_CHECK enum error json_from_message(struct buffer *out, struct slice value);

/* The same with line breaks and `indent` (0 to 8) blanks a level, for people. */
MUST_CHECK enum error json_from_message_pretty(struct buffer *out, struct slice value, int indent);

/* Appends one JSON text as msgpack. ERROR_INVALID: not JSON, too deep, bytes behind it, or a NUL in
 * a string: *ret_offset (which may be NULL) is where; a repeated name or a number past a double:
 * *ret_offset is 0. Nothing was appended then. Integers up to 2^53 stay integers. */
MUST_CHECK enum error json_to_message(struct buffer *out, struct slice text, size_t *ret_offset);

/* Appends a JSON string with its quotes. */
void json_append_string(struct buffer *out, struct slice text);

#endif
