#include "worker/pool.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/message.h"
#include "worker/pool_internal.h"
#include "worker/sandbox.h"

#define CREATE_MS 10000 /* for all children to be ready */
#define CHILDREN_MAX 256
#define INPUT_SLACK_BYTES ((size_t)512 * 1024) /* an answer's header and the piece read last */
#define LOST_REASON "the process that starts extraction children is gone"

/* ---- documents ---------------------------------------------------------------------------- */

void
pool_answer_document(struct pool *pool, struct document *document, struct pool_answer *answer)
{
    bool is_wanted = !document->is_cancelled;
    answer->token = document->token;
    document_free(document);
    if (is_wanted) {
        pool->pending--;
        pool->finished(pool->context, answer);
    }
}

void
pool_fail_document(struct pool *pool, struct document *document, enum outcome outcome,
                   const char *reason)
{
    struct pool_answer answer = {.outcome = outcome, .reason = reason};
    pool_answer_document(pool, document, &answer);
}

static struct document *
queue_take(struct pool *pool)
{
    struct document *document = pool->head;
    if (document != NULL) {
        pool->head = document->next;
        if (pool->head == NULL) {
            pool->tail = &pool->head;
        }
        document->next = NULL;
    }
    return document;
}

void
pool_requeue(struct pool *pool, struct document *document)
{
    if (document->is_cancelled) {
        document_free(document);
        return;
    }
    document->sent = 0;
    document->next = pool->head;
    pool->head = document;
    if (document->next == NULL) {
        pool->tail = &document->next;
    }
}

/* The child with the least to do, or NULL. */
static struct pool_child *
find_child(struct pool *pool)
{
    struct pool_child *best = NULL;
    for (size_t i = 0; i < pool->child_count; i++) {
        struct pool_child *child = &pool->children[i];
        if (pool_child_has_room(child) &&
            (best == NULL || child->document_count < best->document_count)) {
            best = child;
        }
    }
    return best;
}

void
pool_feed(struct pool *pool)
{
    struct pool_child *child;
    while (pool->head != NULL && (child = find_child(pool)) != NULL) {
        pool_child_assign(child, queue_take(pool));
    }
}

/* The frame that a child is sent, or false without memory. */
static bool
encode(const struct pool_document *document, struct document *ret_document)
{
    struct buffer header;
    buffer_init(&header, CHILD_HEADER_BYTES_MAX);
    write_map(&header, 4);
    write_string(&header, "url");
    write_text(&header, document->url);
    write_string(&header, "content_type");
    write_text(&header, document->content_type);
    write_string(&header, "content_encoding");
    write_text(&header, document->content_encoding);
    write_string(&header, "links");
    write_bool(&header, document->has_links);
    size_t size = CHILD_FRAME_BYTES + header.size + document->body.size;
    uint8_t *frame = buffer_error(&header) == OK ? malloc(size) : NULL;
    if (frame != NULL) {
        child_frame_write(
            &(struct child_frame){.header_bytes = header.size, .body_bytes = document->body.size},
            frame);
        memcpy(frame + CHILD_FRAME_BYTES, header.data, header.size);
        if (document->body.size > 0) {
            memcpy(frame + CHILD_FRAME_BYTES + header.size, document->body.data,
                   document->body.size);
        }
        ret_document->frame = frame;
        ret_document->frame_size = size;
    }
    buffer_release(&header);
    return frame != NULL;
}

/* ---- the zygote --------------------------------------------------------------------------- */

/* Nothing can be extracted any more: what waits is given back as failed, and new work refused. */
static void
lose_zygote(struct pool *pool)
{
    pool->is_lost = true;
    if (pool->zygote_watch != NULL) {
        loop_remove(pool->loop, pool->zygote_watch);
        pool->zygote_watch = NULL;
    }
    for (size_t i = 0; i < pool->child_count; i++) {
        struct pool_child *child = &pool->children[i];
        while (child->document_count > 0) {
            pool_requeue(pool, child->documents[--child->document_count]);
        }
        pool_child_release(child);
    }
    struct document *document;
    while ((document = queue_take(pool)) != NULL) {
        pool_fail_document(pool, document, OUTCOME_CHILD_CRASHED, LOST_REASON);
    }
}

static struct pool_child *
find_pid(struct pool *pool, pid_t pid)
{
    for (size_t i = 0; i < pool->child_count; i++) {
        if (pool->children[i].pid == pid && pool->children[i].pid != 0) {
            return &pool->children[i];
        }
    }
    return NULL;
}

static void
take_report(struct pool *pool, const struct zygote_report *report)
{
    struct pool_child *child = NULL;
    switch (report->event) {
    case ZYGOTE_STARTED:
        assert(report->slot < pool->child_count);
        pool_child_started(&pool->children[report->slot], report);
        break;
    case ZYGOTE_REFUSED:
        assert(report->slot < pool->child_count);
        pool_child_refused(&pool->children[report->slot]);
        break;
    case ZYGOTE_ENDED:
        child = find_pid(pool, report->pid);
        if (child != NULL) {
            pool_child_ended(child, report->status);
        }
        break;
    }
}

static void
zygote_ready(void *context, int events)
{
    struct pool *pool = context;
    (void)events;
    while (!pool->is_lost) {
        struct zygote_report report;
        enum error error = zygote_receive(&pool->zygote, &report);
        if (error == ERROR_AGAIN) {
            return;
        }
        if (error != OK) {
            lose_zygote(pool);
            return;
        }
        take_report(pool, &report);
    }
}

/* ---- create and destroy ------------------------------------------------------------------- */

/* How the children stand: OK, ERROR_AGAIN while some are not ready, or why one never will be. */
static enum error
check_children(const struct pool *pool)
{
    enum error error = OK;
    for (size_t i = 0; i < pool->child_count; i++) {
        const struct pool_child *child = &pool->children[i];
        if (child->failed_count > 0) {
            bool is_sandbox = WIFEXITED(child->exit_status) &&
                              WEXITSTATUS(child->exit_status) == CHILD_EXIT_SANDBOX;
            return is_sandbox ? ERROR_NOT_ALLOWED : ERROR_IO;
        }
        if (child->state != POOL_CHILD_READY) {
            error = ERROR_AGAIN;
        }
    }
    return error;
}

/* Waits outside the loop, which does not run yet. */
static enum error
await_children(struct pool *pool)
{
    int64_t deadline_ms = clock_monotonic_ms() + CREATE_MS;
    struct pollfd watched[CHILDREN_MAX + 1];
    enum error error;
    while ((error = check_children(pool)) == ERROR_AGAIN) {
        int64_t left_ms = deadline_ms - clock_monotonic_ms();
        if (left_ms <= 0 || pool->is_lost) {
            return ERROR_IO;
        }
        watched[0] = (struct pollfd){.fd = pool->zygote.fd, .events = POLLIN};
        for (size_t i = 0; i < pool->child_count; i++) {
            /* A negative descriptor is passed over. */
            bool is_greeting = pool->children[i].state == POOL_CHILD_GREETING;
            watched[i + 1] =
                (struct pollfd){.fd = is_greeting ? pool->children[i].fd : -1, .events = POLLIN};
        }
        if (poll(watched, pool->child_count + 1, (int)left_ms) < 0 && errno != EINTR) {
            return ERROR_IO;
        }
        for (size_t i = 0; i < pool->child_count; i++) {
            if (watched[i + 1].revents != 0) {
                pool_child_ready(&pool->children[i], LOOP_READ);
            }
        }
        if (watched[0].revents != 0) {
            zygote_ready(pool, LOOP_READ);
        }
    }
    return error;
}

static enum error
create_children(struct pool *pool)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long count = pool->options.child_count > 0 ? pool->options.child_count : cores;
    count = count < 1 ? 1 : count;
    pool->child_count = count > CHILDREN_MAX ? CHILDREN_MAX : (size_t)count;
    pool->children = calloc(pool->child_count, sizeof *pool->children);
    if (pool->children == NULL) {
        pool->child_count = 0;
        return ERROR_NO_MEMORY;
    }
    for (size_t i = 0; i < pool->child_count; i++) {
        struct pool_child *child = &pool->children[i];
        child->pool = pool;
        child->slot = (uint32_t)i;
        child->fd = -1;
        child->pid_fd = -1;
        buffer_init(&child->in, CHILD_ANSWER_BYTES_MAX + INPUT_SLACK_BYTES);
        pool_child_start(child);
    }
    return await_children(pool);
}

static enum error
check_sandbox(struct pool *pool)
{
    struct sandbox_support support = sandbox_probe();
    sandbox_describe(&support, pool->sandbox_text, sizeof pool->sandbox_text);
    bool is_whole = support.landlock_abi > 0 && support.has_seccomp;
    return is_whole || pool->options.is_best_effort ? OK : ERROR_NOT_ALLOWED;
}

enum error
pool_create(const struct pool_options *options, struct loop *loop, pool_finished_fn *finished,
            void *context, struct pool **ret_pool)
{
    assert(options->cpu_ms > 0 && options->wall_ms > 0 && options->tasks_max > 0);
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return ERROR_NO_MEMORY;
    }
    pool->options = *options;
    pool->loop = loop;
    pool->finished = finished;
    pool->context = context;
    pool->tail = &pool->head;
    const struct zygote_options zygote_options = {
        .child = {.memory_bytes = options->memory_bytes,
                  .body_bytes_max = options->body_bytes_max,
                  .ratio_max = options->ratio_max},
        .is_best_effort = options->is_best_effort};

    enum error error = check_sandbox(pool);
    if (error != OK) {
        goto fail;
    }
    error = zygote_start(&zygote_options, &pool->zygote);
    if (error != OK) {
        goto fail;
    }
    error = create_children(pool);
    if (error != OK) {
        goto fail;
    }
    error = ERROR_NO_MEMORY;
    pool->zygote_watch = loop_add_fd(loop, pool->zygote.fd, LOOP_READ, zygote_ready, pool);
    if (pool->zygote_watch == NULL) {
        goto fail;
    }
    *ret_pool = pool;
    return OK;
fail:
    pool_destroy(pool);
    return error;
}

void
pool_destroy(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    if (pool->zygote_watch != NULL) {
        loop_remove(pool->loop, pool->zygote_watch);
    }
    for (size_t i = 0; i < pool->child_count; i++) {
        pool_child_release(&pool->children[i]);
    }
    zygote_stop(&pool->zygote);
    struct document *document;
    while ((document = queue_take(pool)) != NULL) {
        document_free(document);
    }
    free(pool->children);
    free(pool);
}

/* ---- use ---------------------------------------------------------------------------------- */

enum error
pool_submit(struct pool *pool, const struct pool_document *document)
{
    if (pool->is_lost) {
        return ERROR_IO;
    }
    if (document->body.size > pool->options.body_bytes_max) {
        return ERROR_TOO_LARGE;
    }
    struct document *queued = calloc(1, sizeof *queued);
    if (queued == NULL) {
        return ERROR_NO_MEMORY;
    }
    queued->token = document->token;
    if (!encode(document, queued)) {
        document_free(queued);
        return ERROR_NO_MEMORY;
    }
    *pool->tail = queued;
    pool->tail = &queued->next;
    pool->pending++;
    pool_feed(pool);
    return OK;
}

void
pool_cancel(struct pool *pool, uint64_t token)
{
    for (struct document **link = &pool->head; *link != NULL;) {
        struct document *document = *link;
        if (document->token != token) {
            link = &document->next;
            continue;
        }
        *link = document->next;
        if (*link == NULL) {
            pool->tail = link;
        }
        document_free(document);
        pool->pending--;
    }
    for (size_t i = 0; i < pool->child_count; i++) {
        for (size_t k = 0; k < pool->children[i].document_count; k++) {
            struct document *document = pool->children[i].documents[k];
            if (document->token == token && !document->is_cancelled) {
                document->is_cancelled = true; /* cheaper than a new child */
                pool->pending--;
            }
        }
    }
}

size_t
pool_pending(const struct pool *pool)
{
    return pool->pending;
}

uint64_t
pool_restart_count(const struct pool *pool)
{
    return pool->restarts;
}

int64_t
pool_tick(struct pool *pool, int64_t now_ms)
{
    int64_t at_ms = LOOP_NEVER;
    for (size_t i = 0; i < pool->child_count && !pool->is_lost; i++) {
        int64_t child_ms = pool_child_tick(&pool->children[i], now_ms);
        at_ms = child_ms < at_ms ? child_ms : at_ms;
    }
    return at_ms;
}

const char *
pool_sandbox_text(const struct pool *pool)
{
    return pool->sandbox_text;
}
