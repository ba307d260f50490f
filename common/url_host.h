/*
 * url_host: the host of a URL made canonical. Used by url_parser.c only.
 *
 * Host parser of the URL Standard for special schemes: domain to ASCII (UTS 46, non-transitional,
 * no strict ASCII rules, hyphens free), IPv4 in every spelling that inet_aton takes as a dotted
 * quad, IPv6 compressed in brackets. Narrower than the standard: percent signs are refused, names
 * end at URL_HOST_BYTES_MAX, and labels that need libidn2 at 63 bytes.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_COMMON_URL_HOST_H
#define THRESH_COMMON_URL_HOST_H

#include "common/buffer.h"
#include "common/url.h"
#include "common/url_writer.h"

/* Appends the canonical host. NULL, or why it is refused (what was appended is then garbage). */
MUST_CHECK url_reason url_host_write(struct url_writer *writer, struct slice raw);

/* True for a dotted quad or a bracketed IPv6 address, given a canonical host. */
bool url_host_is_address(struct slice host);

#endif
