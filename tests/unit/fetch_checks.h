/* fetch_checks: a fetch engine on a loop, and one page at a time through it. */
#ifndef THRESH_TESTS_FETCH_CHECKS_H
#define THRESH_TESTS_FETCH_CHECKS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker/fetch.h"

#define PAGE_BODY_BYTES_MAX (1 << 20)

struct engine {
    struct loop *loop;
    struct fetch *fetch;
    struct address_list *allow;
    struct fetch_options options;
    size_t open_count; /* pages under way */
};

struct page {
    struct engine *engine;
    enum outcome outcome;
    int status;
    char reason[512];
    char location[512];
    char type[128];
    char encoding[128];
    struct buffer body;
    bool is_truncated;
    uint64_t bytes_received;
    struct report_timing timing;
    int finished_count;
    struct fetch_transfer *transfer;
};

static inline int64_t
engine_tick(void *context, int64_t now_ms)
{
    struct engine *engine = context;
    int64_t at_ms = fetch_tick(engine->fetch, now_ms);

    if (engine->open_count == 0) {
        loop_stop(engine->loop);
    }
    return at_ms;
}

/* Times are short, so that a test of a time-out is; a server in the same process is quick. */
static inline struct fetch_options
engine_options(void)
{
    return (struct fetch_options){
        .transfers_max = 16,
        .body_bytes_max = PAGE_BODY_BYTES_MAX,
        .header_bytes_max = 100 * 1024,
        .memory_bytes_max = 64 << 20,
        .connect_ms = 5000,
        .first_byte_ms = 5000,
        .stall_ms = 5000,
        .stall_rate_bytes = 100,
        .user_agent = "Thresh-test/1 (+mailto:test@example.org)",
        .ca_file = "",
        .insecure_tls_hosts = "",
    };
}

static inline void
engine_start(struct engine *engine, const struct fetch_options *options, const char *networks)
{
    size_t offset = 0;

    memset(engine, 0, sizeof *engine);
    engine->options = *options;
    engine->loop = loop_create();
    cr_assert_not_null(engine->loop);
    cr_assert_eq(address_list_create(networks, &engine->allow, &offset), OK);
    engine->options.allow = engine->allow;
    cr_assert_eq(fetch_create(&engine->options, engine->loop, &engine->fetch), OK);
    loop_set_tick(engine->loop, engine_tick, engine);
}

static inline void
engine_stop(struct engine *engine)
{
    fetch_destroy(engine->fetch);
    loop_destroy(engine->loop);
    address_list_destroy(engine->allow);
}

static inline void
copy_header(const struct fetch_answer *answer, const char *name, char *ret_text, size_t bytes)
{
    struct slice value = headers_get(answer->headers, name);

    snprintf(ret_text, bytes, "%.*s", (int)value.size,
             value.size > 0 ? (const char *)value.data : "");
}

static inline void
page_finished(void *context, const struct fetch_answer *answer)
{
    struct page *page = context;

    page->outcome = answer->outcome;
    page->status = answer->status;
    snprintf(page->reason, sizeof page->reason, "%s", answer->reason);
    copy_header(answer, "location", page->location, sizeof page->location);
    copy_header(answer, "content-type", page->type, sizeof page->type);
    copy_header(answer, "content-encoding", page->encoding, sizeof page->encoding);
    buffer_init(&page->body, PAGE_BODY_BYTES_MAX * 2);
    buffer_append(&page->body, answer->body.data, answer->body.size);
    page->is_truncated = answer->is_truncated;
    page->bytes_received = answer->bytes_received;
    page->timing = answer->timing;
    page->finished_count++;
    page->transfer = NULL;
    page->engine->open_count--;
}

static inline enum error
page_start(struct engine *engine, struct page *page, const char *text, int64_t total_ms)
{
    struct url url;
    url_reason reason = NULL;

    memset(page, 0, sizeof *page);
    page->engine = engine;
    cr_assert_eq(url_parse(slice_string(text), &url, &reason), OK, "%s", text);
    enum error error =
        fetch_start(engine->fetch, &url, total_ms, page_finished, page, &page->transfer);
    engine->open_count += error == OK ? 1 : 0;
    return error;
}

static inline void
engine_run(struct engine *engine)
{
    cr_assert_eq(loop_run(engine->loop), OK);
}

/* Fetches one page to its end. */
static inline void
page_fetch(struct engine *engine, struct page *page, const char *text)
{
    cr_assert_eq(page_start(engine, page, text, 30000), OK);
    engine_run(engine);
    cr_assert_eq(page->finished_count, 1);
    cr_assert_eq(fetch_count(engine->fetch), 0);
}

static inline bool
page_body_is(struct page *page, const char *text)
{
    return slice_equal(buffer_slice(&page->body), slice_string(text));
}

static inline void
page_release(struct page *page)
{
    buffer_release(&page->body);
}

#endif
