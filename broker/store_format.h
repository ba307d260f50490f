/*
 * store_format: what the implementations of the store share: keys as bytes and the format row.
 *
 * NUMBER keys are 8 bytes, most significant first, so that comparing bytes compares numbers and a
 * store can be read on any machine.
 *
 * Threads  pure functions.
 */
#ifndef THRESH_BROKER_STORE_FORMAT_H
#define THRESH_BROKER_STORE_FORMAT_H

#include "broker/store.h"

#define STORE_NUMBER_BYTES 8

/* The row of STORE_META that says how the store is laid out; written once, when it is made. */
#define STORE_FORMAT_KEY "format"
#define STORE_FORMAT_VERSION 1u
#define STORE_FORMAT_BYTES 4 /* the version, least significant byte first */

static inline void
store_number_encode(uint64_t number, uint8_t out[STORE_NUMBER_BYTES])
{
    for (int i = STORE_NUMBER_BYTES - 1; i >= 0; i--) {
        out[i] = (uint8_t)number;
        number >>= 8;
    }
}

static inline uint64_t
store_number_decode(const uint8_t in[STORE_NUMBER_BYTES])
{
    uint64_t number = 0;

    for (int i = 0; i < STORE_NUMBER_BYTES; i++) {
        number = number << 8 | in[i];
    }
    return number;
}

static inline void
store_format_encode(uint8_t out[STORE_FORMAT_BYTES])
{
    for (unsigned i = 0; i < STORE_FORMAT_BYTES; i++) {
        out[i] = (uint8_t)(STORE_FORMAT_VERSION >> (8 * i));
    }
}

static inline uint32_t
store_format_decode(const uint8_t in[STORE_FORMAT_BYTES])
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

/* The row itself; it points into `value`. */
static inline struct store_row
store_format_row(uint8_t value[STORE_FORMAT_BYTES])
{
    store_format_encode(value);
    return (struct store_row){
        .kind = STORE_ROW_PUT,
        .table = STORE_META,
        .key = slice_string(STORE_FORMAT_KEY),
        .value = slice_of(value, STORE_FORMAT_BYTES),
    };
}

#endif
