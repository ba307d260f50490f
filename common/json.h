/*
 * json: msgpack values as JSON text, and JSON text as msgpack values.
 *
 * Writing: strings are emitted as valid UTF-8 (bad bytes become U+FFFD), binary as base64 text,
 * integers exactly, doubles shortest round-trip, NaN and infinities as null. Map keys that are no
 * strings are written as their JSON text in quotes. Reading uses cJSON; depth and size are checked
 * before (MESSAGE_DEPTH_MAX, the size given by the caller).
 *
 * Threads  pure functions.
 */
#ifndef THRESH_COMMON_JSON_H
#define THRESH_COMMON_JSON_H

#include "common/buffer.h"
#include "common/error.h"

/* Appends the msgpack value as JSON on one line. ERROR_PROTOCOL: not well-formed. */
MUST_CHECK enum error json_from_message(struct buffer *out, struct slice value);

/* The same with line breaks and `indent` blanks a level, for people. */
MUST_CHECK enum error json_from_message_pretty(struct buffer *out, struct slice value, int indent);

/* Appends one JSON text as msgpack. ERROR_INVALID: not JSON, too deep, or bytes behind it;
 * *ret_offset is where. Integers up to 2^53 stay integers. */
MUST_CHECK enum error json_to_message(struct buffer *out, struct slice text, size_t *ret_offset);

/* Appends a JSON string with its quotes. */
void json_append_string(struct buffer *out, struct slice text);

#endif
