/*
 * url: http, https and file URLs, parsed and made canonical the way a browser does.
 *
 * Parsing follows the WHATWG URL Standard for special schemes; what differs, and why, is listed in
 * broker/DESIGN.md. Canonical form: scheme and host lower case, host to ASCII (UTS 46,
 * non-transitional, libidn2), default port dropped, dot segments resolved, percent-encoding
 * normalised, fragment dropped. Refused: userinfo, backslash or control characters or
 * percent-signs in the authority, empty host, ports 0, and anything over URL_BYTES_MAX.
 * Hosts that are IPv4 in any spelling (0x7f.1) come out as dotted quads.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_COMMON_URL_H
#define THRESH_COMMON_URL_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_BYTES_MAX 2048
/* What goes in, without fragment, tabs and newlines: escapes and dot segments may shrink it. */
#define URL_INPUT_BYTES_MAX (4 * URL_BYTES_MAX)
#define URL_HOST_BYTES_MAX 253

enum url_scheme {
    URL_HTTP,
    URL_HTTPS,
    URL_FILE,
};

/* A canonical URL; text is NUL-terminated and the slices point into it: not to be copied by
 * assignment. About 2 KiB: keep `text` where many are kept. */
struct url {
    char text[URL_BYTES_MAX + 1];
    size_t size;
    enum url_scheme scheme;
    struct slice host;  /* without port; IPv6 with its brackets; empty for file */
    uint16_t port;      /* always set for http and https */
    struct slice path;  /* from the first slash, without query */
    struct slice query; /* without the question mark; data NULL when there is none */
};

/* Why a URL is refused; a word for people, set when url_parse or url_resolve fails. */
typedef const char *url_reason;

/* Parses an absolute URL. ERROR_INVALID: refused, *ret_reason says why. */
MUST_CHECK enum error url_parse(struct slice text, struct url *ret_url, url_reason *ret_reason);

/* Resolves a reference against a base (href in a page, Location of a redirect). The base may be
 * *ret_url. A file: reference against an http or https base is ERROR_INVALID. */
MUST_CHECK enum error url_resolve(const struct url *base, struct slice reference,
                                  struct url *ret_url, url_reason *ret_reason);

/* The fingerprint for the seen-set: XXH3-128 of `domain` (tenant or key, may be empty) and the
 * canonical text. */
struct fingerprint {
    uint64_t high;
    uint64_t low;
};
struct fingerprint fingerprint_of(struct slice domain, struct slice text);

/* The registrable domain (libpsl's built-in list) of a host; the host itself for addresses and
 * for public suffixes. Points into host. */
struct slice url_registrable_domain(struct slice host);

#endif
