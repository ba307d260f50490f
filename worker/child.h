/*
 * child: the process that reads hostile documents, and what it and its parent say to each other.
 *
 * Both ways a frame is eight bytes (two sizes, little-endian), a header (a msgpack map), and a
 * body. A request has the document as its body; an answer has a msgpack map of the result's pairs.
 * Answers come in the order of the requests. The first frame from the child is empty: it is ready.
 *
 *     request   url, content_type, content_encoding: str; links: bool
 *     answer    outcome: str; decoded_bytes, extract_us: uint; truncated: bool
 *
 * Bounds   CHILD_HEADER_BYTES_MAX, CHILD_ANSWER_BYTES_MAX; one arena of memory_bytes a document.
 * Threads  for a process with one thread.
 */
#ifndef THRESH_WORKER_CHILD_H
#define THRESH_WORKER_CHILD_H

#include "common/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#define CHILD_FRAME_BYTES 8
#define CHILD_HEADER_BYTES_MAX ((size_t)1024 * 1024)
#define CHILD_ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

enum child_exit {
    CHILD_EXIT_DONE = 0,    /* the parent closed the socket */
    CHILD_EXIT_SANDBOX = 3, /* a layer of the sandbox is missing */
    CHILD_EXIT_BROKEN = 4,  /* no memory, or a request that makes no sense */
};

struct child_options {
    size_t memory_bytes;
    size_t body_bytes_max; /* on the wire and decoded */
    size_t ratio_max;
};

struct child_frame {
    size_t header_bytes;
    size_t body_bytes;
};

void child_frame_write(const struct child_frame *frame, uint8_t ret_bytes[CHILD_FRAME_BYTES]);
struct child_frame child_frame_read(const uint8_t bytes[CHILD_FRAME_BYTES]);

/* What must be loaded while there is a file system: call it before the sandbox. */
void child_prepare(void);

/* Answers requests from the socket until it is closed; for the sandboxed process. */
noreturn void child_run(int fd, const struct child_options *options);

#endif
