#include "worker/decode_stream.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define GZIP_WINDOW_BITS (15 + 16) /* zlib's way to ask for the gzip wrapper */
#define ZLIB_WINDOW_BITS 15
#define RAW_WINDOW_BITS (-15)
#define ZSTD_WINDOW_LOG_MAX 23 /* 8 MiB: what RFC 9659 allows on the web */

/* ---- gzip and deflate, by zlib ------------------------------------------------------------ */

static bool
inflate_start(struct decode_stream *stream, int window_bits)
{
    z_stream *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return false;
    }
    if (inflateInit2(state, window_bits) != Z_OK) {
        free(state);
        return false;
    }
    stream->state = state;
    return true;
}

static bool
gzip_start(struct decode_stream *stream)
{
    return inflate_start(stream, GZIP_WINDOW_BITS);
}

/* "deflate" means the zlib wrapper, but some servers send the bare stream (RFC 9110, 8.4.1.2). */
static bool
deflate_start(struct decode_stream *stream)
{
    const uint8_t *in = stream->in;
    bool is_wrapped = stream->in_left >= 2 && (in[0] & 0x0f) == 8 && in[0] >> 4 <= 7 &&
                      ((unsigned)in[0] << 8 | in[1]) % 31 == 0;
    return inflate_start(stream, is_wrapped ? ZLIB_WINDOW_BITS : RAW_WINDOW_BITS);
}

static enum decode_progress
inflate_run(struct decode_stream *stream)
{
    z_stream *state = stream->state;
    state->next_in = (z_const Bytef *)(uintptr_t)stream->in; /* zlib reads only */
    state->avail_in = (uInt)stream->in_left;
    state->next_out = stream->out;
    state->avail_out = (uInt)stream->out_left;
    int code = inflate(state, Z_NO_FLUSH);
    stream->in = state->next_in;
    stream->in_left = state->avail_in;
    stream->out = state->next_out;
    stream->out_left = state->avail_out;
    switch (code) {
    case Z_STREAM_END:
        return DECODE_END;
    case Z_OK:
    case Z_BUF_ERROR:
        return stream->out_left == 0 ? DECODE_MORE : DECODE_STARVED;
    case Z_MEM_ERROR:
        return DECODE_NO_MEMORY;
    default:
        return DECODE_BROKEN;
    }
}

/* Members may follow each other (RFC 1952, 2.2); other bytes behind the last are ignored, as
 * browsers do. */
static enum decode_progress
gzip_run(struct decode_stream *stream)
{
    enum decode_progress progress = inflate_run(stream);
    while (progress == DECODE_END && stream->in_left >= 2 && stream->in[0] == 0x1f &&
           stream->in[1] == 0x8b) {
        if (inflateReset(stream->state) != Z_OK) {
            return DECODE_BROKEN;
        }
        progress = stream->out_left == 0 ? DECODE_MORE : inflate_run(stream);
    }
    return progress;
}

static void
inflate_stop(struct decode_stream *stream)
{
    if (stream->state != NULL) {
        inflateEnd(stream->state);
        free(stream->state);
        stream->state = NULL;
    }
}

/* ---- brotli ------------------------------------------------------------------------------- */

static bool
brotli_start(struct decode_stream *stream)
{
    stream->state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return stream->state != NULL;
}

static enum decode_progress
brotli_run(struct decode_stream *stream)
{
    BrotliDecoderResult result = BrotliDecoderDecompressStream(
        stream->state, &stream->in_left, &stream->in, &stream->out_left, &stream->out, NULL);
    switch (result) {
    case BROTLI_DECODER_RESULT_SUCCESS:
        return DECODE_END;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
        return DECODE_MORE;
    case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
        return DECODE_STARVED;
    case BROTLI_DECODER_RESULT_ERROR:
        break;
    }
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(stream->state);
    bool is_memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                     code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    return is_memory ? DECODE_NO_MEMORY : DECODE_BROKEN;
}

static void
brotli_stop(struct decode_stream *stream)
{
    BrotliDecoderDestroyInstance(stream->state);
    stream->state = NULL;
}

/* ---- zstd --------------------------------------------------------------------------------- */

static bool
zstd_start(struct decode_stream *stream)
{
    stream->state = ZSTD_createDCtx();
    return stream->state != NULL && !ZSTD_isError(ZSTD_DCtx_setParameter(
                                        stream->state, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
}

static bool
is_zstd_frame(const struct decode_stream *stream)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const uint8_t skippable[] = {0x2a, 0x4d, 0x18}; /* behind 0x50 to 0x5f */
    return stream->in_left >= sizeof magic &&
           (memcmp(stream->in, magic, sizeof magic) == 0 ||
            (stream->in[0] >> 4 == 5 && memcmp(stream->in + 1, skippable, sizeof skippable) == 0));
}

static enum decode_progress
zstd_run(struct decode_stream *stream)
{
    for (;;) {
        ZSTD_inBuffer in = {stream->in, stream->in_left, 0};
        ZSTD_outBuffer out = {stream->out, stream->out_left, 0};
        size_t left = ZSTD_decompressStream(stream->state, &out, &in);
        stream->in += in.pos;
        stream->in_left -= in.pos;
        stream->out += out.pos;
        stream->out_left -= out.pos;
        if (ZSTD_isError(left)) {
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? DECODE_NO_MEMORY
                                                                           : DECODE_BROKEN;
        }
        if (left == 0 && !is_zstd_frame(stream)) {
            return DECODE_END; /* other bytes behind the last frame are ignored */
        }
        if (stream->out_left == 0) {
            return DECODE_MORE;
        }
        if (stream->in_left == 0) {
            return DECODE_STARVED;
        }
    }
}

static void
zstd_stop(struct decode_stream *stream)
{
    ZSTD_freeDCtx(stream->state);
    stream->state = NULL;
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct decode_codec codecs[] = {
    {"gzip", true, gzip_start, gzip_run, inflate_stop},
    {"x-gzip", true, gzip_start, gzip_run, inflate_stop},
    {"deflate", false, deflate_start, inflate_run, inflate_stop},
    {"br", false, brotli_start, brotli_run, brotli_stop},
    {"zstd", false, zstd_start, zstd_run, zstd_stop},
};

const struct decode_codec *
decode_codec_find(struct slice name)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        if (strlen(codecs[i].name) == name.size &&
            strncasecmp(codecs[i].name, (const char *)name.data, name.size) == 0) {
            return &codecs[i];
        }
    }
    return NULL;
}
