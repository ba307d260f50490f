#include "worker/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <brotli/encode.h>
#include <criterion/criterion.h>
#include <zlib.h>
#include <zstd.h>

#define MIB ((size_t)1024 * 1024)
#define ARENA_BYTES_MAX (256 * MIB)

static struct arena arena;
static const struct decode_limits limits = {.bytes_max = 16 * MIB, .ratio_max = 100};

static void
setup(void)
{
    arena_init(&arena, ARENA_BYTES_MAX);
}

static void
teardown(void)
{
    arena_release(&arena);
}

TestSuite(decode, .init = setup, .fini = teardown);

/* ---- encoders ----------------------------------------------------------------------------- */

static struct slice
deflated(struct slice in, int window_bits)
{
    z_stream stream = {0};
    cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&stream, in.size) + 64;
    uint8_t *out = arena_alloc(&arena, room);
    stream.next_in = (z_const Bytef *)(uintptr_t)in.data;
    stream.avail_in = (uInt)in.size;
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return slice_of(out, stream.total_out);
}

static struct slice
gzipped(struct slice in)
{
    return deflated(in, 15 + 16);
}

static struct slice
zlib_wrapped(struct slice in)
{
    return deflated(in, 15);
}

static struct slice
bare(struct slice in)
{
    return deflated(in, -15);
}

static struct slice
brotlied(struct slice in)
{
    size_t room = BrotliEncoderMaxCompressedSize(in.size) + 64;
    uint8_t *out = arena_alloc(&arena, room);
    cr_assert(BrotliEncoderCompress(5, 22, BROTLI_MODE_TEXT, in.size, in.data, &room, out));
    return slice_of(out, room);
}

static struct slice
zstandard(struct slice in)
{
    size_t room = ZSTD_compressBound(in.size);
    uint8_t *out = arena_alloc(&arena, room);
    size_t size = ZSTD_compress(out, room, in.data, in.size, 3);
    cr_assert(!ZSTD_isError(size));
    return slice_of(out, size);
}

struct way {
    const char *encoding;
    struct slice (*encode)(struct slice in);
};

static const struct way ways[] = {
    {"gzip", gzipped}, {"X-GZip", gzipped}, {"deflate", zlib_wrapped},
    {"deflate", bare}, {"br", brotlied},    {"zstd", zstandard},
};
#define WAY_COUNT (sizeof ways / sizeof ways[0])

/* Text of a page's kind: repeats, but not without end. */
static struct slice
page_of(size_t size)
{
    uint8_t *text = arena_alloc(&arena, size);
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        text[i] = (uint8_t)("etaoin shrdlu<p>"[state >> 28]);
    }
    return slice_of(text, size);
}

static struct slice
zeros_of(size_t size)
{
    return slice_of(arena_alloc(&arena, size), size);
}

static enum outcome
decode(struct slice body, const char *encoding, struct decoded *ret_decoded)
{
    return decode_body(&arena, body, slice_string(encoding), &limits, ret_decoded);
}

/* ---- tests -------------------------------------------------------------------------------- */

Test(decode, gives_back_what_was_encoded_in_every_encoding)
{
    static const size_t sizes[] = {0, 1, 17, 1000, 65536, 70001, 3 * MIB};
    for (size_t i = 0; i < WAY_COUNT; i++) {
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            struct slice page = page_of(sizes[k]);
            struct decoded decoded = {0};
            enum outcome outcome = decode(ways[i].encode(page), ways[i].encoding, &decoded);
            cr_assert_eq(outcome, OUTCOME_OK, "%s of %zu: %s", ways[i].encoding, sizes[k],
                         outcome_name(outcome));
            cr_expect(slice_equal(decoded.body, page), "%s of %zu", ways[i].encoding, sizes[k]);
            cr_expect(!decoded.is_truncated, "%s of %zu", ways[i].encoding, sizes[k]);
        }
        arena_clear(&arena);
    }
}

Test(decode, leaves_a_body_without_encoding_where_it_is)
{
    struct slice body = slice_string("plain");
    static const char *const none[] = {"", "identity", " Identity ,", ", ,"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct decoded decoded = {0};
        cr_assert_eq(decode(body, none[i], &decoded), OUTCOME_OK);
        cr_expect_eq((const void *)decoded.body.data, (const void *)body.data);
        cr_expect_eq(decoded.body.size, body.size);
    }
}

Test(decode, takes_layers_off_from_the_last_to_the_first)
{
    struct slice page = page_of(5000);
    struct decoded decoded = {0};
    cr_assert_eq(decode(gzipped(brotlied(page)), "br, gzip", &decoded), OUTCOME_OK);
    cr_expect(slice_equal(decoded.body, page));
    cr_assert_eq(decode(gzipped(zstandard(brotlied(page))), "br,zstd\t, gzip", &decoded),
                 OUTCOME_OK);
    cr_expect(slice_equal(decoded.body, page));
    cr_expect_eq(decode(gzipped(brotlied(page)), "gzip, br", &decoded), OUTCOME_DECODE_FAILED);
    cr_expect_eq(decode(page, "gzip, gzip, gzip, gzip", &decoded), OUTCOME_DECODE_FAILED);
}

Test(decode, refuses_encodings_it_does_not_know)
{
    static const char *const unknown[] = {"compress", "gzip, sdch", "g",
                                          "gzip br",  "br;q=1",     "\xff"};
    struct decoded decoded = {.body = {(const uint8_t *)"x", 1}};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_expect_eq(decode(slice_string("abc"), unknown[i], &decoded), OUTCOME_DECODE_FAILED, "%s",
                     unknown[i]);
    }
    cr_expect_eq(decoded.body.size, 1, "outputs stay untouched on failure");
}

Test(decode, a_stream_cut_off_anywhere_is_truncated_and_never_whole)
{
    for (size_t i = 0; i < WAY_COUNT; i++) {
        struct slice page = page_of(3000);
        struct slice body = ways[i].encode(page);
        for (size_t cut = 1; cut < body.size; cut++) {
            struct decoded decoded = {0};
            enum outcome outcome = decode(slice_of(body.data, cut), ways[i].encoding, &decoded);
            cr_assert_eq(outcome, OUTCOME_OK, "%s cut at %zu: %s", ways[i].encoding, cut,
                         outcome_name(outcome));
            cr_assert(decoded.is_truncated, "%s cut at %zu", ways[i].encoding, cut);
            cr_assert(decoded.body.size <= page.size);
            cr_assert(decoded.body.size == 0 ||
                      memcmp(decoded.body.data, page.data, decoded.body.size) == 0);
        }
        arena_clear(&arena);
    }
}

Test(decode, a_truncated_inner_layer_marks_the_whole)
{
    struct slice inner = gzipped(page_of(5000));
    struct decoded decoded = {0};
    cr_assert_eq(decode(brotlied(slice_of(inner.data, inner.size - 9)), "gzip, br", &decoded),
                 OUTCOME_OK);
    cr_expect(decoded.is_truncated);
}

Test(decode, a_changed_byte_never_passes_a_checksum)
{
    struct slice page = page_of(2000);
    struct slice body = gzipped(page);
    uint8_t *bytes = (uint8_t *)arena_copy(&arena, body.data, body.size);
    for (size_t i = 10; i < body.size; i++) { /* behind the header, whose fields mean little */
        bytes[i] ^= 0x10;
        struct decoded decoded = {0};
        enum outcome outcome = decode(slice_of(bytes, body.size), "gzip", &decoded);
        /* The bits that fill the last byte up carry nothing. */
        bool is_same = outcome == OUTCOME_OK && slice_equal(decoded.body, page);
        cr_expect(outcome == OUTCOME_DECODE_FAILED || decoded.is_truncated || is_same, "byte %zu",
                  i);
        bytes[i] ^= 0x10;
    }
}

Test(decode, members_of_gzip_and_frames_of_zstd_may_follow_each_other)
{
    struct slice page = page_of(1000);
    static const struct way both[] = {{"gzip", gzipped}, {"zstd", zstandard}};
    for (size_t i = 0; i < 2; i++) {
        struct slice one = both[i].encode(page);
        uint8_t *two = arena_alloc(&arena, one.size * 2 + 4);
        memcpy(two, one.data, one.size);
        memcpy(two + one.size, one.data, one.size);
        memcpy(two + one.size * 2, "\r\n\r\n", 4);
        struct decoded decoded = {0};
        for (size_t rest = 0; rest <= 4; rest += 4) { /* rubbish at the end is no harm */
            cr_assert_eq(decode(slice_of(two, one.size * 2 + rest), both[i].encoding, &decoded),
                         OUTCOME_OK);
            cr_expect_eq(decoded.body.size, page.size * 2);
            cr_expect(!decoded.is_truncated);
        }
        cr_assert_eq(decode(slice_of(two, one.size + 12), both[i].encoding, &decoded), OUTCOME_OK);
        cr_expect(decoded.is_truncated, "the second %s is cut off", both[i].encoding);
    }
}

Test(decode, bombs_stop_at_the_limits)
{
    struct slice zeros = slice_of(calloc(1, 64 * MIB), 64 * MIB);
    cr_assert_not_null(zeros.data);
    for (size_t i = 0; i < WAY_COUNT; i++) {
        arena_clear(&arena);
        struct slice bomb = ways[i].encode(zeros);
        struct decoded decoded = {0};
        cr_expect(bomb.size < 100 * 1024, "%zu bytes", bomb.size);
        cr_expect_eq(decode(bomb, ways[i].encoding, &decoded), OUTCOME_TOO_LARGE, "%s",
                     ways[i].encoding);
        /* Twice packed, a few hundred bytes. */
        struct slice twice = gzipped(bomb);
        char encoding[32];
        snprintf(encoding, sizeof encoding, "%s, gzip", ways[i].encoding);
        cr_expect_eq(decode(twice, encoding, &decoded), OUTCOME_TOO_LARGE, "%s", encoding);
    }
    free((uint8_t *)(uintptr_t)zeros.data);
}

Test(decode, a_brotli_bomb_of_a_gibibyte_stops_early)
{
    /* Fed in pieces, so that the test does not need the memory it wants to see unused. */
    BrotliEncoderState *state = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, 9);
    BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, 24);
    struct slice zeros = zeros_of(MIB);
    uint8_t *bomb = arena_alloc(&arena, 65536);
    uint8_t *next_out = bomb;
    size_t left_out = 65536;
    for (int i = 0; i < 1024; i++) {
        const uint8_t *next_in = zeros.data;
        size_t left_in = zeros.size;
        bool is_last = i == 1023;
        while (left_in > 0 || (is_last && !BrotliEncoderIsFinished(state))) {
            cr_assert(BrotliEncoderCompressStream(
                state, is_last ? BROTLI_OPERATION_FINISH : BROTLI_OPERATION_PROCESS, &left_in,
                &next_in, &left_out, &next_out, NULL));
        }
    }
    BrotliEncoderDestroyInstance(state);
    struct decoded decoded = {0};
    struct slice body = slice_of(bomb, 65536 - left_out);
    cr_expect(body.size < 4096, "%zu", body.size);
    cr_expect_eq(decode(body, "br", &decoded), OUTCOME_TOO_LARGE);
}

Test(decode, the_ratio_counts_past_one_mebibyte_only)
{
    struct decoded decoded = {0};
    struct slice small = gzipped(zeros_of(MIB));
    struct slice large = gzipped(zeros_of(MIB + 1));
    cr_expect_eq(decode(small, "gzip", &decoded), OUTCOME_OK, "1,000 to one, but small");
    cr_expect_eq(decoded.body.size, MIB);
    cr_expect_eq(decode(large, "gzip", &decoded), OUTCOME_TOO_LARGE);
    const struct decode_limits wide = {.bytes_max = 16 * MIB, .ratio_max = 2000};
    cr_expect_eq(decode_body(&arena, large, slice_string("gzip"), &wide, &decoded), OUTCOME_OK);
}

Test(decode, the_limit_is_exact)
{
    struct slice page = page_of(100000);
    for (size_t i = 0; i < WAY_COUNT; i++) {
        struct slice body = ways[i].encode(page);
        struct decode_limits tight = {.bytes_max = page.size, .ratio_max = 100};
        struct decoded decoded = {0};
        struct slice encoding = slice_string(ways[i].encoding);
        cr_expect_eq(decode_body(&arena, body, encoding, &tight, &decoded), OUTCOME_OK, "%s",
                     ways[i].encoding);
        tight.bytes_max--;
        cr_expect_eq(decode_body(&arena, body, encoding, &tight, &decoded), OUTCOME_TOO_LARGE, "%s",
                     ways[i].encoding);
    }
    struct decode_limits tight = {.bytes_max = page.size - 1, .ratio_max = 100};
    struct decoded decoded = {0};
    cr_expect_eq(decode_body(&arena, page, slice_string(""), &tight, &decoded), OUTCOME_TOO_LARGE);
}

Test(decode, a_full_arena_is_said)
{
    struct arena small;
    arena_init(&small, 1000);
    for (size_t i = 0; i < WAY_COUNT; i++) {
        struct slice body = ways[i].encode(page_of(50000));
        struct decoded decoded = {0};
        cr_expect_eq(decode_body(&small, body, slice_string(ways[i].encoding), &limits, &decoded),
                     OUTCOME_CHILD_MEMORY, "%s", ways[i].encoding);
    }
    arena_release(&small);
}

Test(decode, random_bytes_never_pass_as_encoded)
{
    uint8_t bytes[512];
    uint32_t state = 3;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(state >> 24);
        }
        bytes[0] = 0x1f;
        bytes[1] = 0x8b;
        bytes[2] = 8;
        struct decoded decoded = {0};
        enum outcome outcome = decode(slice_of(bytes, sizeof bytes), "gzip", &decoded);
        cr_expect(outcome != OUTCOME_OK || decoded.is_truncated);
        arena_clear(&arena);
    }
}
