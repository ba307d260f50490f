#include "worker/child.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/message.h"
#include "worker/charset.h"
#include "worker/decode.h"
#include "worker/extract.h"

#define MAP_HEAD_BYTES 5 /* map 32: its count is known only behind the pairs */
#define KEPT_BYTES_MAX                                                               \
    ((size_t)4 * 1024 * 1024)        /* a buffer larger than that goes after its use \
                                      */
#define MMAP_BYTES_MIN (512 * 1024)  /* blocks from here on go back when freed */
#define TRIM_BYTES (8 * 1024 * 1024) /* free heap kept for the next document's arena */

struct child {
    int fd;
    struct child_options options;
    struct arena arena;
    struct buffer request; /* header and body */
    struct buffer header;  /* of the answer */
    struct buffer pairs;   /* of the answer, behind a map head */
};

struct request {
    struct slice body;
    struct slice url;
    struct slice content_type;
    struct slice content_encoding;
    bool has_links;
};

struct answer {
    enum outcome outcome;
    size_t pair_count;
    size_t decoded_bytes;
    bool is_truncated;
};

/* ---- frames ------------------------------------------------------------------------------- */

static void
put_u32(uint8_t *bytes, size_t value)
{
    for (int i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
}

static size_t
get_u32(const uint8_t *bytes)
{
    return (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 |
           (size_t)bytes[3] << 24;
}

void
child_frame_write(const struct child_frame *frame, uint8_t ret_bytes[CHILD_FRAME_BYTES])
{
    put_u32(ret_bytes, frame->header_bytes);
    put_u32(ret_bytes + 4, frame->body_bytes);
}

struct child_frame
child_frame_read(const uint8_t bytes[CHILD_FRAME_BYTES])
{
    return (struct child_frame){.header_bytes = get_u32(bytes), .body_bytes = get_u32(bytes + 4)};
}

/* How much was read before the end; size when all is there. */
static size_t
read_whole(int fd, uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = read(fd, data + done, size - done);
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            break;
        }
        done += (size_t)part;
    }
    return done;
}

/* Without a parent to hear it there is nothing left to do. */
static void
write_whole(int fd, const uint8_t *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t part = write(fd, data + done, size - done);
        if (part < 0 && errno == EINTR) {
            continue;
        }
        if (part <= 0) {
            _exit(CHILD_EXIT_DONE);
        }
        done += (size_t)part;
    }
}

/* ---- one document ------------------------------------------------------------------------- */

static void
read_request(struct child *child, struct request *ret_request)
{
    uint8_t bytes[CHILD_FRAME_BYTES];
    size_t done = read_whole(child->fd, bytes, sizeof bytes);
    if (done == 0) {
        _exit(CHILD_EXIT_DONE);
    }
    struct child_frame frame = child_frame_read(bytes);
    if (done < sizeof bytes || frame.header_bytes > CHILD_HEADER_BYTES_MAX ||
        frame.body_bytes > child->options.body_bytes_max) {
        _exit(CHILD_EXIT_BROKEN);
    }
    size_t size = frame.header_bytes + frame.body_bytes;
    buffer_clear(&child->request);
    uint8_t *data = buffer_extend(&child->request, size);
    if (data == NULL || read_whole(child->fd, data, size) < size) {
        _exit(CHILD_EXIT_BROKEN);
    }

    static const char *const names[] = {"url", "content_type", "content_encoding", "links", NULL};
    enum {
        FIELD_URL,
        FIELD_CONTENT_TYPE,
        FIELD_CONTENT_ENCODING,
        FIELD_LINKS,
        FIELD_COUNT
    };
    struct slice fields[FIELD_COUNT];
    struct reader reader;
    enum error error = OK;
    reader_init(&reader, slice_of(data, frame.header_bytes));
    read_fields(&reader, names, fields);
    *ret_request = (struct request){
        .body = slice_of(data + frame.header_bytes, frame.body_bytes),
        .url = field_string(fields[FIELD_URL], &error),
        .content_type = field_string(fields[FIELD_CONTENT_TYPE], &error),
        .content_encoding = field_string(fields[FIELD_CONTENT_ENCODING], &error),
        .has_links = field_bool(fields[FIELD_LINKS], false, &error),
    };
    if (reader_finish(&reader) != OK || error != OK) {
        _exit(CHILD_EXIT_BROKEN);
    }
}

static void
extract(struct child *child, const struct request *request, struct answer *ret_answer)
{
    const struct decode_limits limits = {.bytes_max = child->options.body_bytes_max,
                                         .ratio_max = child->options.ratio_max};
    struct decoded decoded = {0};
    struct answer answer = {0};
    answer.outcome =
        decode_body(&child->arena, request->body, request->content_encoding, &limits, &decoded);
    if (answer.outcome == OUTCOME_OK) {
        const struct extract_input input = {.body = decoded.body,
                                            .url = request->url,
                                            .content_type = request->content_type,
                                            .has_links = request->has_links};
        answer.decoded_bytes = decoded.body.size;
        answer.is_truncated = decoded.is_truncated;
        answer.outcome = extract_document(&child->arena, &input, &child->pairs, &answer.pair_count);
    }
    *ret_answer = answer;
}

static int64_t
now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
write_answer(struct child *child, const struct answer *answer, int64_t extract_us)
{
    buffer_clear(&child->header);
    write_map(&child->header, 4);
    write_string(&child->header, "outcome");
    write_string(&child->header, outcome_name(answer->outcome));
    write_string(&child->header, "decoded_bytes");
    write_uint(&child->header, answer->decoded_bytes);
    write_string(&child->header, "truncated");
    write_bool(&child->header, answer->is_truncated);
    write_string(&child->header, "extract_us");
    write_int(&child->header, extract_us);
    if (buffer_error(&child->header) != OK) {
        _exit(CHILD_EXIT_BROKEN);
    }

    uint8_t *head = child->pairs.data;
    head[0] = 0xdf; /* map 32, count in network order */
    for (int i = 0; i < 4; i++) {
        head[1 + i] = (uint8_t)(answer->pair_count >> 8 * (3 - i));
    }
    uint8_t bytes[CHILD_FRAME_BYTES];
    child_frame_write(
        &(struct child_frame){.header_bytes = child->header.size, .body_bytes = child->pairs.size},
        bytes);
    write_whole(child->fd, bytes, sizeof bytes);
    write_whole(child->fd, child->header.data, child->header.size);
    write_whole(child->fd, child->pairs.data, child->pairs.size);
}

static void
forget(struct buffer *buffer)
{
    if (buffer->capacity > KEPT_BYTES_MAX) {
        buffer_release(buffer);
    }
}

static void
serve(struct child *child)
{
    struct request request;
    struct answer answer;
    read_request(child, &request);
    int64_t start_us = now_us();

    buffer_clear(&child->pairs);
    if (buffer_extend(&child->pairs, MAP_HEAD_BYTES) == NULL) {
        _exit(CHILD_EXIT_BROKEN);
    }
    extract(child, &request, &answer);
    if (buffer_error(&child->pairs) != OK) {
        /* Whatever the extractor says of it, what it wrote is not whole. */
        answer.outcome = OUTCOME_CHILD_MEMORY;
        child->pairs.error = OK;
    }
    if (answer.outcome == OUTCOME_CHILD_MEMORY) {
        answer.pair_count = 0;
        child->pairs.size = MAP_HEAD_BYTES;
    }
    write_answer(child, &answer, now_us() - start_us);
    arena_clear(&child->arena);
    forget(&child->request);
    forget(&child->pairs);
}

void
child_prepare(void)
{
    /* One thread needs one heap, and large blocks shall go back to the system at once. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES_MIN);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    charset_prepare(); /* what is missing is read with replacements */
}

void
child_run(int fd, const struct child_options *options)
{
    struct child child = {.fd = fd, .options = *options};
    arena_init(&child.arena, options->memory_bytes);
    buffer_init(&child.request, CHILD_HEADER_BYTES_MAX + options->body_bytes_max);
    buffer_init(&child.header, CHILD_HEADER_BYTES_MAX);
    buffer_init(&child.pairs, CHILD_ANSWER_BYTES_MAX);

    static const uint8_t ready[CHILD_FRAME_BYTES];
    write_whole(fd, ready, sizeof ready);
    for (;;) {
        serve(&child);
    }
}
