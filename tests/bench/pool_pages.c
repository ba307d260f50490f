/*
 * pool_pages: pages a second through one sandboxed child, beside the same extraction in process.
 *
 *     pool_pages FILE...   (HTML pages, decompressed)
 *
 * Rounds of both alternate, so that a busy machine slows both alike; the median of the rounds'
 * ratios counts. Every answer is compared in size with what extraction gives in process.
 */
#include "worker/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "worker/extract.h"

#define ROUNDS 9
#define PASSES 5 /* over all pages, in one round */
#define WINDOW 8 /* pages under way */
#define PAGE_BYTES_MAX ((size_t)16 << 20)
#define ARENA_BYTES_MAX ((size_t)256 << 20)

struct bench {
    struct loop *loop;
    struct pool *pool;
    struct buffer *pages;
    size_t *answer_bytes; /* of each page, as extracted in process */
    size_t count;
    size_t submitted;
    size_t answered;
    size_t total; /* of this round */
};

static void
fail(const char *what)
{
    fprintf(stderr, "pool_pages: %s\n", what);
    exit(1);
}

static struct buffer
page_read(const char *path)
{
    struct buffer page;
    uint8_t part[65536];
    size_t size;
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail(path);
    }
    buffer_init(&page, PAGE_BYTES_MAX);
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        buffer_append(&page, part, size);
    }
    fclose(file);
    if (buffer_error(&page) != OK) {
        fail(path);
    }
    return page;
}

static void
submit(struct bench *bench)
{
    const size_t page = bench->submitted % bench->count;
    const struct pool_document document = {
        .token = page,
        .body = buffer_slice(&bench->pages[page]),
        .url = slice_string("https://example.org/page"),
        .content_type = slice_string("text/html"),
        .has_links = true,
    };
    bench->submitted++;
    if (pool_submit(bench->pool, &document) != OK) {
        fail("a page cannot be submitted");
    }
}

static void
page_finished(void *context, const struct pool_answer *answer)
{
    struct bench *bench = context;
    if (answer->outcome != OUTCOME_OK || answer->pairs.size != bench->answer_bytes[answer->token]) {
        fail("a child's answer is another one");
    }
    bench->answered++;
    if (bench->submitted < bench->total) {
        submit(bench);
    } else if (bench->answered == bench->total) {
        loop_stop(bench->loop);
    }
}

static int64_t
tick(void *context, int64_t now_ms)
{
    struct bench *bench = context;
    return pool_tick(bench->pool, now_ms);
}

/* Both give the microseconds of a page. */
static double
round_in_child(struct bench *bench)
{
    bench->submitted = 0;
    bench->answered = 0;
    bench->total = bench->count * PASSES;
    int64_t start_us = clock_monotonic_us();
    for (size_t i = 0; i < WINDOW && i < bench->total; i++) {
        submit(bench);
    }
    if (loop_run(bench->loop) != OK || bench->answered < bench->total) {
        fail("the loop ended early");
    }
    return (double)(clock_monotonic_us() - start_us) / (double)bench->total;
}

static double
round_in_process(struct bench *bench, struct arena *arena, struct buffer *out)
{
    int64_t start_us = clock_monotonic_us();
    for (size_t i = 0; i < bench->count * PASSES; i++) {
        const size_t page = i % bench->count;
        const struct extract_input input = {.body = buffer_slice(&bench->pages[page]),
                                            .url = slice_string("https://example.org/page"),
                                            .content_type = slice_string("text/html"),
                                            .has_links = true};
        size_t pairs = 0;
        if (extract_document(arena, &input, out, &pairs) != OUTCOME_OK) {
            fail("a page is not extracted");
        }
        bench->answer_bytes[page] = out->size;
        arena_clear(arena);
        buffer_clear(out);
    }
    return (double)(clock_monotonic_us() - start_us) / (double)(bench->count * PASSES);
}

static int
double_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double
median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof values[0], double_compare);
    return values[ROUNDS / 2];
}

static void
measure(struct bench *bench)
{
    struct arena arena;
    struct buffer out;
    double process_us[ROUNDS];
    double child_us[ROUNDS];
    double ratios[ROUNDS];
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_init(&out, PAGE_BYTES_MAX * 2);
    for (size_t i = 0; i < ROUNDS; i++) {
        process_us[i] = round_in_process(bench, &arena, &out);
        child_us[i] = round_in_child(bench);
        ratios[i] = process_us[i] / child_us[i];
    }
    buffer_release(&out);
    arena_release(&arena);
    printf("pages=%zu in_process_per_s=%.0f one_child_per_s=%.0f ratio=%.2f sandbox=\"%s\"\n",
           bench->count, 1e6 / median(process_us), 1e6 / median(child_us), median(ratios),
           pool_sandbox_text(bench->pool));
}

int
main(int argc, char **argv)
{
    const struct pool_options options = {.child_count = 1,
                                         .memory_bytes = ARENA_BYTES_MAX,
                                         .cpu_ms = 5000,
                                         .wall_ms = 10000,
                                         .tasks_max = 1 << 30,
                                         .is_best_effort = true,
                                         .body_bytes_max = PAGE_BYTES_MAX,
                                         .ratio_max = 100};
    struct bench bench = {.loop = loop_create()};
    if (argc < 2) {
        fprintf(stderr, "usage: pool_pages FILE...\n");
        return 2;
    }
    if (bench.loop == NULL ||
        pool_create(&options, bench.loop, page_finished, &bench, &bench.pool) != OK) {
        fail("no pool");
    }
    loop_set_tick(bench.loop, tick, &bench);
    bench.count = (size_t)argc - 1;
    bench.pages = calloc(bench.count, sizeof *bench.pages);
    bench.answer_bytes = calloc(bench.count, sizeof *bench.answer_bytes);
    if (bench.pages == NULL || bench.answer_bytes == NULL) {
        fail("no memory");
    }
    for (size_t i = 0; i < bench.count; i++) {
        bench.pages[i] = page_read(argv[i + 1]);
    }
    measure(&bench);
    pool_destroy(bench.pool);
    loop_destroy(bench.loop);
    for (size_t i = 0; i < bench.count; i++) {
        buffer_release(&bench.pages[i]);
    }
    free(bench.pages);
    free(bench.answer_bytes);
    return 0;
}
