#include "worker/decode.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#include <libdeflate.h>

#include "worker/decode_stream.h"

#define RATIO_FREE_BYTES ((size_t)1024 * 1024) /* output that no ratio is asked of */
#define PIECE_BYTES ((size_t)64 * 1024)        /* room offered to a decoder at a time */
#define GZIP_BYTES_MIN 18                      /* header and trailer */
#define DEFLATE_RATIO_MAX 1032                 /* what the format can reach */
#define INPUT_BYTES_MAX ((size_t)INT32_MAX)    /* zlib counts in 32 bits */

struct layers {
    const struct decode_codec *codecs[DECODE_LAYERS_MAX]; /* in the order of the header */
    size_t count;
};

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* False: a name we do not know, or too many. */
static bool
parse_layers(struct slice encoding, struct layers *ret_layers)
{
    struct layers layers = {.count = 0};
    size_t i = 0;
    while (i < encoding.size) {
        size_t end = i;
        while (end < encoding.size && encoding.data[end] != ',') {
            end++;
        }
        struct slice name = slice_of(encoding.data + i, end - i);
        i = end + 1;
        while (name.size > 0 && is_blank(name.data[0])) {
            name = slice_of(name.data + 1, name.size - 1);
        }
        while (name.size > 0 && is_blank(name.data[name.size - 1])) {
            name.size--;
        }
        if (name.size == 0 ||
            (name.size == 8 && strncasecmp((const char *)name.data, "identity", 8) == 0)) {
            continue;
        }
        const struct decode_codec *codec = decode_codec_find(name);
        if (codec == NULL || layers.count == DECODE_LAYERS_MAX) {
            return false;
        }
        layers.codecs[layers.count++] = codec;
    }
    *ret_layers = layers;
    return true;
}

/*
 * A gzip body of one member says in its trailer how large it becomes; then libdeflate reads it in
 * one go, at a third of zlib's time. False: it is not that simple, the stream decoder must look.
 */
static bool
decode_gzip_whole(struct arena *arena, struct slice in, size_t bytes_max, struct slice *ret_out)
{
    if (in.size < GZIP_BYTES_MIN) {
        return false;
    }
    const uint8_t *tail = in.data + in.size - 4;
    size_t size =
        (size_t)tail[0] | (size_t)tail[1] << 8 | (size_t)tail[2] << 16 | (size_t)tail[3] << 24;
    if (size > bytes_max || size / DEFLATE_RATIO_MAX > in.size) {
        return false;
    }
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    uint8_t *out = decompressor == NULL ? NULL : arena_alloc(arena, size);
    bool is_done = false;
    if (out != NULL) {
        size_t in_used = 0;
        size_t out_size = 0;
        is_done = libdeflate_gzip_decompress_ex(decompressor, in.data, in.size, out, size, &in_used,
                                                &out_size) == LIBDEFLATE_SUCCESS &&
                  in_used == in.size && out_size == size;
    }
    libdeflate_free_decompressor(decompressor);
    if (is_done) {
        *ret_out = slice_of(out, size);
    }
    return is_done;
}

/* Runs the decoder until it ends, into a buffer that holds one byte more than is allowed. */
static enum decode_progress
run_stream(struct decode_stream *stream, struct buffer *out)
{
    enum decode_progress progress = DECODE_MORE;
    while (progress == DECODE_MORE) {
        size_t room = out->bytes_max - out->size;
        room = room < PIECE_BYTES ? room : PIECE_BYTES;
        if (room == 0) {
            return DECODE_MORE; /* past the limit, and not at its end */
        }
        size_t before = out->size;
        stream->out = buffer_extend(out, room);
        if (stream->out == NULL) {
            return DECODE_NO_MEMORY;
        }
        stream->out_left = room;
        progress = stream->codec->run(stream);
        assert(stream->out_left <= room);
        out->size = before + room - stream->out_left;
    }
    return progress;
}

static enum outcome
decode_stream(struct arena *arena, const struct decode_codec *codec, struct slice in,
              size_t bytes_max, struct decoded *decoded)
{
    struct decode_stream stream = {.codec = codec, .in = in.data, .in_left = in.size};
    struct buffer out;
    buffer_init(&out, bytes_max + 1);
    enum decode_progress progress =
        codec->start(&stream) ? run_stream(&stream, &out) : DECODE_NO_MEMORY;
    codec->stop(&stream);

    enum outcome outcome = OUTCOME_OK;
    if (progress == DECODE_NO_MEMORY) {
        outcome = OUTCOME_CHILD_MEMORY;
    } else if (progress == DECODE_BROKEN) {
        outcome = OUTCOME_DECODE_FAILED;
    } else if (out.size > bytes_max) {
        outcome = OUTCOME_TOO_LARGE;
    } else {
        const char *copy = arena_copy(arena, out.size == 0 ? (const void *)"" : out.data, out.size);
        if (copy == NULL) {
            outcome = OUTCOME_CHILD_MEMORY;
        } else {
            decoded->body = slice_of(copy, out.size);
            decoded->is_truncated |= progress == DECODE_STARVED;
        }
    }
    buffer_release(&out);
    return outcome;
}

/* What all layers together may give: bytes_max, and past 1 MiB no more than ratio_max to one. */
static size_t
output_max(const struct decode_limits *limits, size_t in_size)
{
    size_t by_ratio = limits->ratio_max != 0 && in_size > SIZE_MAX / 2 / limits->ratio_max
                          ? SIZE_MAX / 2
                          : in_size * limits->ratio_max;
    by_ratio = by_ratio > RATIO_FREE_BYTES ? by_ratio : RATIO_FREE_BYTES;
    return by_ratio < limits->bytes_max ? by_ratio : limits->bytes_max;
}

enum outcome
decode_body(struct arena *arena, struct slice body, struct slice encoding,
            const struct decode_limits *limits, struct decoded *ret_decoded)
{
    struct layers layers;
    if (!parse_layers(encoding, &layers)) {
        return OUTCOME_DECODE_FAILED;
    }
    if (body.size > INPUT_BYTES_MAX || (layers.count == 0 && body.size > limits->bytes_max)) {
        return OUTCOME_TOO_LARGE;
    }
    struct decoded decoded = {.body = body};
    size_t bytes_max = output_max(limits, body.size);
    for (size_t i = layers.count; i > 0 && decoded.body.size > 0; i--) {
        const struct decode_codec *codec = layers.codecs[i - 1];
        struct slice in = decoded.body;
        if (codec->is_gzip && decode_gzip_whole(arena, in, bytes_max, &decoded.body)) {
            continue;
        }
        enum outcome outcome = decode_stream(arena, codec, in, bytes_max, &decoded);
        if (outcome != OUTCOME_OK) {
            return outcome;
        }
    }
    *ret_decoded = decoded;
    return OUTCOME_OK;
}
