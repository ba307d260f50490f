/*
 * base64: text to bytes (RFC 4648, section 4; the URL alphabet of section 5 too).
 *
 * Blanks and line ends are passed over; padding may be left out.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_CLIENT_BASE64_H
#define THRESH_CLIENT_BASE64_H

#include "common/buffer.h"
#include "common/error.h"

/* Appends the bytes. ERROR_INVALID: not base64. The buffer's own errors stick there. */
MUST_CHECK enum error base64_decode(struct buffer *out, struct slice text);

#endif
