/*
 * octets: eight bytes of text looked at in one step, in plain C.
 *
 * A mask has the high bit of each byte set for which the question is answered with yes, and no
 * other bit. The first byte in memory is the lowest of the word, on every machine.
 *
 * Threads  pure functions.
 * Source   Warren, Hacker's Delight, section 6-1.
 */
#ifndef THRESH_COMMON_OCTETS_H
#define THRESH_COMMON_OCTETS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OCTETS_EACH UINT64_C(0x0101010101010101)
#define OCTETS_HIGH UINT64_C(0x8080808080808080)
#define OCTETS_LOW UINT64_C(0x7f7f7f7f7f7f7f7f)

/* The eight bytes at `at`. */
static inline uint64_t
octets_load(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Which bytes are `byte`? */
static inline uint64_t
octets_equal(uint64_t word, uint8_t byte)
{
    uint64_t other = word ^ OCTETS_EACH * byte;

    return ~(((other & OCTETS_LOW) + OCTETS_LOW) | other) & OCTETS_HIGH;
}

/* Which bytes are less than `limit`, which is 1 to 128? */
static inline uint64_t
octets_below(uint64_t word, uint8_t limit)
{
    return ~(((word & OCTETS_LOW) + OCTETS_EACH * (128u - limit)) | word) & OCTETS_HIGH;
}

/* How many bytes a mask names. */
static inline unsigned
octets_count(uint64_t mask)
{
    return (unsigned)((mask >> 7) * OCTETS_EACH >> 56);
}

/* The place of the first byte that a mask names; the mask is not 0. */
static inline unsigned
octets_first(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask) / 8;
}

#endif
