/*
 * charset: a document's bytes as UTF-8.
 *
 * Evidence in this order: BOM, charset of the HTTP header, meta prescan of the first 1,024 bytes
 * (HTML only), validity as UTF-8, a meta element further on (HTML only, first 64 KiB, where
 * browsers start again), detection (uchardet, first 64 KiB), windows-1252. A declared UTF-8 that is
 * invalid in more than a few places is doubted and detected. Labels are those of the Encoding
 * Standard (ISO-8859-1 means windows-1252). A declared single-byte encoding gives way where the
 * whole text is valid UTF-8 with several characters outside ASCII: nothing else looks like that.
 * Output is always valid UTF-8; what cannot be read becomes U+FFFD; NUL bytes become U+FFFD too.
 *
 * Threads  pure functions, except charset_prepare().
 * Source   WHATWG Encoding and HTML standards.
 */
#ifndef THRESH_WORKER_CHARSET_H
#define THRESH_WORKER_CHARSET_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>

struct charset_text {
    struct slice text; /* UTF-8 in the arena, or the input itself when nothing had to change */
    const char *label; /* the encoding's name in the Encoding Standard, lower case; static */
    size_t replaced;   /* how many places became U+FFFD */
};

/* header: the charset parameter of the content type, may be empty. ERROR_NO_MEMORY: arena full. */
MUST_CHECK enum error charset_decode(struct arena *arena, struct slice bytes, struct slice header,
                                     bool is_html, struct charset_text *ret_text);

/* The standard's name for a label ("latin1" gives "windows-1252"), or NULL. */
const char *charset_name(struct slice label);

/*
 * Opens a converter for every encoding that needs iconv and keeps it, so that glibc's modules stay
 * loaded: call it once before a sandbox takes the file system away. Returns how many this system
 * lacks; their texts are then read as UTF-8 with replacements.
 */
int charset_prepare(void);

#endif
