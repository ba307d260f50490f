/*
 * extract_bench: pages a second and MB/s of the whole extractor, in one thread and process, beside
 * libxml2's HTML parser alone (no extraction) on the same pages in the same run.
 *
 * usage: extract_bench FILE...   (HTML pages, decompressed)
 *
 * Every file is read before the clock starts. The rounds of both alternate, and the median round
 * counts, so that a busy machine slows both alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_LIBXML2
#include <libxml/HTMLparser.h>
#endif

#include "common/arena.h"
#include "worker/extract.h"
#include "worker/html.h"

#define ROUNDS 5
#define FILE_BYTES_MAX (64u << 20)
#define ARENA_BYTES_MAX (1024u << 20)

struct page_list {
    struct buffer *pages;
    size_t count;
    size_t bytes;
};

static bool
pages_read(struct page_list *list, char **paths, size_t count)
{
    list->pages = calloc(count, sizeof *list->pages);
    if (list->pages == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (file == NULL) {
            fprintf(stderr, "extract_bench: %s: cannot be read\n", paths[i]);
            return false;
        }
        char part[65536];
        size_t size;
        struct buffer *page = &list->pages[list->count++];
        buffer_init(page, FILE_BYTES_MAX);
        while ((size = fread(part, 1, sizeof part, file)) > 0) {
            buffer_append(page, part, size);
        }
        fclose(file);
        if (buffer_error(page) != OK) {
            return false;
        }
        list->bytes += page->size;
    }
    return true;
}

static double
seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One pass over all pages; returns something that depends on the work. */
typedef size_t pass_fn(const struct page_list *list);

static size_t
pass_extract(const struct page_list *list)
{
    struct arena arena;
    struct buffer out;
    size_t sum = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    buffer_init(&out, FILE_BYTES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct extract_input input = {.body = buffer_slice(&list->pages[i]),
                                      .url = slice_string("https://example.org/page"),
                                      .content_type = slice_string("text/html"),
                                      .has_links = true};
        size_t pairs = 0;
        if (extract_document(&arena, &input, &out, &pairs) == OUTCOME_OK) {
            sum += out.size;
        }
        arena_clear(&arena);
        buffer_clear(&out);
    }
    buffer_release(&out);
    arena_release(&arena);
    return sum;
}

static size_t
pass_parse(const struct page_list *list)
{
    struct arena arena;
    size_t sum = 0;
    arena_init(&arena, ARENA_BYTES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        struct html_document document;
        if (html_parse(&arena, buffer_slice(&list->pages[i]), &document) == OK) {
            sum += document.node_count;
        }
        arena_clear(&arena);
    }
    arena_release(&arena);
    return sum;
}

#ifdef HAVE_LIBXML2
static size_t
pass_libxml2(const struct page_list *list)
{
    size_t sum = 0;
    for (size_t i = 0; i < list->count; i++) {
        htmlDocPtr document =
            htmlReadMemory((const char *)list->pages[i].data, (int)list->pages[i].size, NULL,
                           "utf-8", HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING);
        sum += document != NULL;
        xmlFreeDoc(document);
    }
    return sum;
}
#endif

struct contender {
    const char *name;
    pass_fn *pass;
    double seconds[ROUNDS];
};

static struct contender contenders[] = {
    {"thresh: parse, extract, metadata, links, language", pass_extract, {0}},
    {"thresh: parse alone", pass_parse, {0}},
#ifdef HAVE_LIBXML2
    {"libxml2: parse alone", pass_libxml2, {0}},
#endif
};

#define CONTENDER_COUNT (sizeof contenders / sizeof contenders[0])

static int
seconds_compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double
median(struct contender *contender)
{
    qsort(contender->seconds, ROUNDS, sizeof(double), seconds_compare);
    return contender->seconds[ROUNDS / 2];
}

int
main(int argc, char **argv)
{
    struct page_list list = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: extract_bench FILE...\n");
        return 2;
    }
    if (!pages_read(&list, argv + 1, (size_t)argc - 1)) {
        return 1;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CONTENDER_COUNT; i++) {
            double start = seconds_now();
            if (contenders[i].pass(&list) == 0) {
                fprintf(stderr, "extract_bench: %s gave nothing\n", contenders[i].name);
                return 1;
            }
            contenders[i].seconds[round] = seconds_now() - start;
        }
    }
    printf("%zu pages, %.1f MB\n", list.count, (double)list.bytes / 1e6);
    double own = 0;
    for (size_t i = 0; i < CONTENDER_COUNT; i++) {
        double seconds = median(&contenders[i]);
        own = i == 0 ? seconds : own;
        printf("%-50s %8.0f pages/s %8.1f MB/s   %5.2f of the first one's time\n",
               contenders[i].name, (double)list.count / seconds, (double)list.bytes / 1e6 / seconds,
               seconds / own);
    }
    for (size_t i = 0; i < list.count; i++) {
        buffer_release(&list.pages[i]);
    }
    free(list.pages);
    return 0;
}
