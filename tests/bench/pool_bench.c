/*
 * pool_bench: what a document costs on its way through the pool.
 *
 *     pool_bench [DOCUMENTS]
 *
 * Documents of 1 KiB and 32 KiB go to one child and come back as they are (an echo in place of
 * extraction), one at a time and with 64 waiting; beside them the same bytes through a socket
 * pair to a plain process that echoes, which is the floor.
 */
#include "worker/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/message.h"
#include "worker/extract.h"

#define DOCUMENTS_DEFAULT 50000

enum outcome
extract_document(struct arena *arena, const struct extract_input *input, struct buffer *out,
                 size_t *ret_pairs)
{
    (void)arena;
    write_string(out, "text");
    write_text(out, input->body);
    *ret_pairs = 1;
    return OUTCOME_OK;
}

struct run {
    struct loop *loop;
    struct pool *pool;
    struct pool_document document;
    uint64_t submitted;
    uint64_t answered;
    uint64_t count;
};

static void
submit(struct run *run)
{
    run->document.token = run->submitted++;
    if (pool_submit(run->pool, &run->document) != OK) {
        fprintf(stderr, "pool_bench: submit failed\n");
        exit(1);
    }
}

static void
finished(void *context, const struct pool_answer *answer)
{
    struct run *run = context;
    if (answer->outcome != OUTCOME_OK) {
        fprintf(stderr, "pool_bench: %s: %s\n", outcome_name(answer->outcome), answer->reason);
        exit(1);
    }
    run->answered++;
    if (run->submitted < run->count) {
        submit(run);
    } else if (run->answered == run->count) {
        loop_stop(run->loop);
    }
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct run *run = context;
    return pool_tick(run->pool, now_ms);
}

static double
measure_pool(struct slice body, uint64_t count, uint64_t window)
{
    const struct pool_options options = {.child_count = 1,
                                         .memory_bytes = (size_t)256 << 20,
                                         .cpu_ms = 5000,
                                         .wall_ms = 10000,
                                         .tasks_max = 1 << 30,
                                         .is_best_effort = true,
                                         .body_bytes_max = (size_t)16 << 20,
                                         .ratio_max = 100};
    struct run run = {.loop = loop_create(),
                      .count = count,
                      .document = {.body = body,
                                   .url = slice_string("http://a.test/page"),
                                   .content_type = slice_string("text/plain")}};
    if (run.loop == NULL || pool_create(&options, run.loop, finished, &run, &run.pool) != OK) {
        fprintf(stderr, "pool_bench: no pool\n");
        exit(1);
    }
    loop_set_tick(run.loop, tick, &run);
    int64_t start_us = clock_monotonic_us();
    for (uint64_t i = 0; i < window && i < count; i++) {
        submit(&run);
    }
    ignore_error(loop_run(run.loop)); /* what it failed to do shows in the count below */
    double each_us = (double)(clock_monotonic_us() - start_us) / (double)run.answered;
    if (window == 1) {
        printf("# %s\n", pool_sandbox_text(run.pool));
    }
    pool_destroy(run.pool);
    loop_destroy(run.loop);
    return each_us;
}

static void
move_bytes(int fd, uint8_t *data, size_t size, ssize_t (*move)(int, void *, size_t))
{
    for (size_t done = 0; done < size;) {
        ssize_t part = move(fd, data + done, size - done);
        if (part <= 0) {
            _exit(0);
        }
        done += (size_t)part;
    }
}

static ssize_t
write_part(int fd, void *data, size_t size)
{
    return write(fd, data, size);
}

static double
measure_bare(struct slice body, uint64_t count)
{
    int pair[2];
    uint8_t *data = malloc(body.size);
    if (data == NULL || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        exit(1);
    }
    memcpy(data, body.data, body.size);
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        for (;;) {
            move_bytes(pair[1], data, body.size, read);
            move_bytes(pair[1], data, body.size, write_part);
        }
    }
    close(pair[1]);
    int64_t start_us = clock_monotonic_us();
    for (uint64_t i = 0; i < count; i++) {
        move_bytes(pair[0], data, body.size, write_part);
        move_bytes(pair[0], data, body.size, read);
    }
    double each_us = (double)(clock_monotonic_us() - start_us) / (double)count;
    close(pair[0]);
    waitpid(pid, NULL, 0);
    free(data);
    return each_us;
}

int
main(int argc, char **argv)
{
    static const size_t sizes[] = {1024, 32768, 1048576};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : DOCUMENTS_DEFAULT;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *bytes = malloc(sizes[i]);
        if (bytes == NULL) {
            return 1;
        }
        memset(bytes, 'x', sizes[i]);
        struct slice body = slice_of(bytes, sizes[i]);
        uint64_t rounds = sizes[i] > 100000 ? count / 50 : count;
        double bare_us = measure_bare(body, rounds);
        double single_us = measure_pool(body, rounds, 1);
        double window_us = measure_pool(body, rounds, 64);
        printf("bytes=%zu documents=%" PRIu64 " bare_us=%.1f pool_single_us=%.1f "
               "pool_window64_us=%.1f\n",
               sizes[i], rounds, bare_us, single_us, window_us);
        free(bytes);
    }
    return 0;
}
