/*
 * decode_stream: the stream decoders of the content encodings behind one face.
 *
 * For worker/decode.c only. A table in decode_stream.c maps names to codecs; each runs until its
 * output is full, its input is used up, or its format's end mark has come.
 *
 * Bounds   memory of the libraries: 8 MiB of window for zstd (RFC 9659), 16 MiB for brotli.
 * Threads  none of its own; one owner.
 */
#ifndef THRESH_WORKER_DECODE_STREAM_H
#define THRESH_WORKER_DECODE_STREAM_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum decode_progress {
    DECODE_MORE,    /* the output is full */
    DECODE_END,     /* the end mark was read */
    DECODE_STARVED, /* the input ended before its end mark */
    DECODE_BROKEN,
    DECODE_NO_MEMORY,
};

struct decode_codec;

struct decode_stream {
    const struct decode_codec *codec;
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    void *state; /* the library's */
};

struct decode_codec {
    const char *name; /* lower case */
    bool is_gzip;
    bool (*start)(struct decode_stream *stream); /* false: no memory */
    enum decode_progress (*run)(struct decode_stream *stream);
    void (*stop)(struct decode_stream *stream); /* also after a failed start */
};

/* The codec of a Content-Encoding's name, case ignored, or NULL. */
const struct decode_codec *decode_codec_find(struct slice name);

#endif
