/*
 * address: may the fetcher connect there?
 *
 * Decides on the socket address itself, after name resolution, for every connection. By default
 * only global unicast passes: private, loopback, link-local, shared, documentation, multicast,
 * reserved and cloud metadata ranges are refused, and so is every IPv6 form that embeds an IPv4
 * address (mapped, compatible, NAT64, 6to4, Teredo); IPv6 only within 2000::/3.
 *
 * Threads  pure functions.
 * Source   IANA special-purpose registries; RFC 6890; stripe/smokescreen for embedded IPv4.
 */
#ifndef THRESH_WORKER_ADDRESS_H
#define THRESH_WORKER_ADDRESS_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* True when the address is global unicast. */
bool address_is_global(const struct sockaddr *address);

/* Networks that are allowed though they are not global, as "127.0.0.0/8,::1/128,10.1.0.0/16".
 * An IPv4 network does not cover its mapped form: that one must be named as ::ffff:127.0.0.0/104.
 * At most 256 networks; bits set behind the prefix are refused. */
struct address_list;

/* ERROR_CONFIG: not a network; *ret_offset is where in the text. "" and NULL give an empty list. */
MUST_CHECK enum error address_list_create(const char *text, struct address_list **ret_list,
                                          size_t *ret_offset);
void address_list_destroy(struct address_list *list);
bool address_list_has(const struct address_list *list, const struct sockaddr *address);

/* Everything that the Fetch Standard's list of bad ports and three more (445, 6379, 11211) leave:
 * ports of mail, shells and caches are no place for a web request. */
bool address_port_is_allowed(uint16_t port);

/* On the list (any port), or global with an allowed port; port 0 stands for "not known yet". */
bool address_is_allowed(const struct address_list *list, const struct sockaddr *address);

/* "192.0.2.1" or "2001:db8::1", without the port; "" for other families. */
void address_format(const struct sockaddr *address, char *ret_text, size_t text_bytes);

#endif
