/*
 * Pages made to hang or to swell an extractor: 1 MB of one piece each.
 */
#include "worker/extract.h"

#include <time.h>

#include <criterion/criterion.h>

#include "common/message.h"

#define ARENA_BYTES_MAX (512u << 20)
#define OUT_BYTES_MAX (64u << 20)
#define HOSTILE_BYTES (1u << 20)
#define HOSTILE_MS_MAX 5000 /* with sanitizers on a busy machine */

static const char *const hostile_parts[] = {
    "<div>",
    "<div class='article-body content nav'>",
    "<p>Words of a sentence, long enough to be prose for all to see, and more of it here. ",
    "<a href=x><div>",
    "<a href=/x>x</a>",
    "<a href=/x>",
    "<li><a href=y><h2>card</h2></a>",
    "<table><tr><td>cell",
    "<font color=1><p>",
    "<ul><li>",
    "<br>",
    "&amp;",
    "&#x",
    "<",
    "<script type=application/ld+json>{\"@graph\":[{\"author\":[{</script>",
    "<script type=application/ld+json>[[[[",
    "<meta name=author content='A, B and C, D'>",
    "<meta property=article:published_time content='1 1 1 1 1 1 1 1 1 1 Jan 1 Feb 2 Mar'>",
    "<time>1/1/1/1/1/1/1/1/1/1/1/1</time>",
    "<h1>a</h1>",
    "<span class='byline author date publish'>By x</span>",
    "<b class=a-b-c-d-e-f-g-h-i-j-k-l-m-n>",
    "\xE4\xB8\xAD",
    "\xFF\x00",
    "<base href=//a.b/>",
    "<pre>\n\n",
    "<form><div></form>",
    "<td>",
};

Test(extract_hostile, hostile_pages_end_in_time_with_a_well_formed_result)
{
    for (size_t i = 0; i < sizeof hostile_parts / sizeof hostile_parts[0]; i++) {
        struct buffer page;
        buffer_init(&page, HOSTILE_BYTES + 4096);
        while (page.size < HOSTILE_BYTES) {
            buffer_append_string(&page, hostile_parts[i]);
        }
        struct arena arena;
        struct buffer out;
        struct timespec before;
        struct timespec after;
        size_t pairs = 0;
        arena_init(&arena, ARENA_BYTES_MAX);
        buffer_init(&out, OUT_BYTES_MAX);
        struct extract_input input = {.body = buffer_slice(&page),
                                      .url = slice_string("https://example.org/"),
                                      .content_type = slice_string("text/html"),
                                      .has_links = true};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        enum outcome outcome = extract_document(&arena, &input, &out, &pairs);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        long ms =
            (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
        cr_expect_eq(outcome, OUTCOME_OK, "%s: %s", hostile_parts[i], outcome_name(outcome));
        cr_expect_lt(ms, HOSTILE_MS_MAX, "%s takes %ld ms", hostile_parts[i], ms);
        struct buffer map;
        buffer_init(&map, OUT_BYTES_MAX);
        write_map(&map, pairs);
        write_raw(&map, buffer_slice(&out));
        cr_expect_eq(message_scan(buffer_slice(&map)), OK, "%s", hostile_parts[i]);
        buffer_release(&map);
        buffer_release(&out);
        arena_release(&arena);
        buffer_release(&page);
    }
}
