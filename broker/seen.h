/*
 * seen: which fingerprints have been accepted before.
 *
 * A set that only grows: buckets of 64 bytes with ten 48-bit remainders, addressed by the top bits
 * of the fingerprint's high half; 8.2 bytes a member when full. At least 2^16 buckets, so that
 * bucket number and remainder hold all 64 bits and growing needs no other source. A remainder that
 * finds its bucket full stands up to six further on and says how far; what finds no room there is
 * kept whole in a small table. So the set is exact over fingerprint.high, whatever is put in.
 * Rebuilt at start from the fingerprints that the store keeps.
 *
 * Bounds   members_max; memory doubles as it grows, up to what members_max needs, without a pause
 *          (the old table is moved and given back a few buckets at each insert).
 * Threads  one owner.
 * Source   performance document, section 3.1 (64-byte buckets of ten 48-bit remainders).
 */
#ifndef THRESH_BROKER_SEEN_H
#define THRESH_BROKER_SEEN_H

#include "common/error.h"
#include "common/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seen;

struct seen *seen_create(uint64_t members_max);
void seen_destroy(struct seen *seen);

bool seen_has(const struct seen *seen, struct fingerprint fingerprint);

/* *ret_is_new tells whether it was absent. ERROR_FULL: members_max; ERROR_NO_MEMORY. */
MUST_CHECK enum error seen_add(struct seen *seen, struct fingerprint fingerprint, bool *ret_is_new);

/* Asks the cache for the bucket; for callers that check a batch. */
void seen_prefetch(const struct seen *seen, struct fingerprint fingerprint);

uint64_t seen_count(const struct seen *seen);
size_t seen_bytes(const struct seen *seen);

#endif
