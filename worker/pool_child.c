/* One child as its parent sees it: its life, its socket, its limits. */
#include "worker/pool_internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker/pool_answer.h"

#define READ_BYTES ((size_t)256 * 1024)
#define KEPT_BYTES_MAX ((size_t)4 * 1024 * 1024) /* a larger buffer goes after its answer */
#define GREETING_MS 10000                        /* from its fork until it is ready */
#define RESTART_MS 100                           /* after a start that failed; doubles */
#define RESTART_MAX_MS 10000
#define RESTART_DOUBLINGS_MAX 7
#define REQUEUE_MAX 2 /* past that a document is blamed for deaths while it was being sent */
#define ANSWER_HEADER_BYTES_MAX ((size_t)4096)

void
document_free(struct document *document)
{
    if (document != NULL) {
        free(document->frame);
        free(document);
    }
}

static int64_t
cpu_us(const struct pool_child *child)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (int64_t)used.tv_sec * 1000000 + used.tv_nsec / 1000;
}

/* documents[0] is the running one from now on. */
static void
start_running(struct pool_child *child)
{
    const struct pool_options *options = &child->pool->options;
    int64_t now_ms = clock_monotonic_ms();
    child->wall_deadline_ms = now_ms + options->wall_ms;
    child->cpu_start_us = cpu_us(child);
    child->cpu_check_ms = now_ms + options->cpu_ms;
}

static void
unwatch(struct pool_child *child)
{
    if (child->watch != NULL) {
        loop_remove(child->pool->loop, child->watch);
        child->watch = NULL;
    }
}

/* Ends the process; what it was doing is settled when its end is reported. */
static void
end(struct pool_child *child, enum outcome outcome, const char *reason)
{
    assert(child->state == POOL_CHILD_GREETING || child->state == POOL_CHILD_READY);
    unwatch(child);
    child->state = POOL_CHILD_ENDING;
    child->end_outcome = outcome;
    child->end_reason = reason;
    /* By descriptor: its number may be another process's by now. It may be gone already. */
    syscall(SYS_pidfd_send_signal, child->pid_fd, SIGKILL, NULL, 0);
}

/* ---- its life ----------------------------------------------------------------------------- */

static void
start_later(struct pool_child *child)
{
    int doublings =
        child->failed_count < RESTART_DOUBLINGS_MAX ? child->failed_count : RESTART_DOUBLINGS_MAX;
    int64_t wait_ms = (int64_t)RESTART_MS << doublings;
    child->failed_count++;
    child->state = POOL_CHILD_EMPTY;
    child->start_ms = clock_monotonic_ms() + (wait_ms < RESTART_MAX_MS ? wait_ms : RESTART_MAX_MS);
}

void
pool_child_start(struct pool_child *child)
{
    assert(child->state == POOL_CHILD_EMPTY);
    if (zygote_spawn(&child->pool->zygote, child->slot) == OK) {
        child->state = POOL_CHILD_STARTING;
    } else {
        start_later(child); /* the loop will notice that the zygote is gone */
    }
}

void
pool_child_refused(struct pool_child *child)
{
    assert(child->state == POOL_CHILD_STARTING);
    start_later(child);
}

void
pool_child_started(struct pool_child *child, const struct zygote_report *report)
{
    assert(child->state == POOL_CHILD_STARTING && child->document_count == 0);
    child->state = POOL_CHILD_GREETING;
    child->pid = report->pid;
    child->fd = report->fd;
    child->pid_fd = report->pid_fd;
    child->assigned = 0;
    child->end_outcome = OUTCOME_COUNT;
    child->end_reason = NULL;
    child->is_retired = false;
    child->wall_deadline_ms = clock_monotonic_ms() + GREETING_MS;
    child->events = LOOP_READ;
    child->watch = loop_add_fd(child->pool->loop, child->fd, LOOP_READ, pool_child_ready, child);
    if (child->watch == NULL) {
        end(child, OUTCOME_COUNT, NULL);
    }
}

/* Blames by how the process ended. */
static void
judge_status(int status, enum outcome *ret_outcome, char ret_reason[REASON_BYTES])
{
    *ret_outcome = OUTCOME_CHILD_CRASHED;
    if (!WIFSIGNALED(status)) {
        snprintf(ret_reason, REASON_BYTES, "the extraction child ended with status %d",
                 WIFEXITED(status) ? WEXITSTATUS(status) : status);
        return;
    }
    int number = WTERMSIG(status);
    const char *name = sigabbrev_np(number);
    if (number == SIGXCPU) {
        *ret_outcome = OUTCOME_CHILD_TIMED_OUT;
    } else if (number == SIGKILL) {
        *ret_outcome = OUTCOME_CHILD_MEMORY; /* not by us: the kernel, out of memory */
    }
    snprintf(ret_reason, REASON_BYTES, "the extraction child was ended by SIG%s",
             name == NULL ? "?" : name);
}

static void
settle_documents(struct pool_child *child, int status)
{
    struct pool *pool = child->pool;
    size_t count = child->document_count;
    child->document_count = 0;
    if (count == 0) {
        return;
    }
    for (size_t i = count - 1; i > 0; i--) {
        pool_requeue(pool, child->documents[i]);
    }
    struct document *running = child->documents[0];
    bool is_read = running->sent == running->frame_size;
    if (!is_read && child->end_outcome == OUTCOME_COUNT && running->requeue_count < REQUEUE_MAX) {
        running->requeue_count++;
        pool_requeue(pool, running); /* what was not read whole was not parsed */
        return;
    }
    enum outcome outcome = child->end_outcome;
    char text[REASON_BYTES];
    const char *reason = child->end_reason;
    if (outcome == OUTCOME_COUNT) {
        judge_status(status, &outcome, text);
        reason = text;
    }
    pool_fail_document(pool, running, outcome, reason);
}

void
pool_child_ended(struct pool_child *child, int status)
{
    if (child->state == POOL_CHILD_GREETING || child->state == POOL_CHILD_READY) {
        pool_child_ready(child, LOOP_READ); /* answers that it gave before its end */
    }
    bool was_ready = child->assigned > 0;
    unwatch(child);
    close(child->fd);
    close(child->pid_fd);
    buffer_release(&child->in);
    child->fd = -1;
    child->pid_fd = -1;
    child->pid = 0;
    child->exit_status = status;
    child->state = POOL_CHILD_EMPTY;
    if (!child->is_retired) {
        child->pool->restarts++;
    }
    if (child->is_retired || was_ready) {
        child->failed_count = 0;
        pool_child_start(child);
    } else {
        start_later(child);
    }
    settle_documents(child, status);
    pool_feed(child->pool);
}

/* ---- its socket --------------------------------------------------------------------------- */

static void
watch_for(struct pool_child *child, int events)
{
    if (child->watch != NULL && child->events != events) {
        if (loop_change(child->pool->loop, child->watch, events) == OK) {
            child->events = events;
        }
    }
}

static void
write_documents(struct pool_child *child)
{
    for (size_t i = 0; i < child->document_count; i++) {
        struct document *document = child->documents[i];
        while (document->sent < document->frame_size) {
            ssize_t size = send(child->fd, document->frame + document->sent,
                                document->frame_size - document->sent, MSG_NOSIGNAL);
            if (size < 0 && errno == EINTR) {
                continue;
            }
            if (size < 0) {
                /* Full: later. Anything else is its end, which reading will find. */
                bool is_full = errno == EAGAIN || errno == EWOULDBLOCK;
                watch_for(child, is_full ? LOOP_READ | LOOP_WRITE : LOOP_READ);
                return;
            }
            document->sent += (size_t)size;
        }
    }
    watch_for(child, LOOP_READ);
}

bool
pool_child_has_room(const struct pool_child *child)
{
    return child->state == POOL_CHILD_READY && child->document_count < CHILD_DOCUMENTS_MAX &&
           child->assigned < child->pool->options.tasks_max;
}

void
pool_child_assign(struct pool_child *child, struct document *document)
{
    assert(pool_child_has_room(child) && document->sent == 0);
    child->documents[child->document_count++] = document;
    child->assigned++;
    if (child->document_count == 1) {
        start_running(child);
    }
    write_documents(child);
}

/* Between documents, when it has served its number. */
static void
retire(struct pool_child *child)
{
    child->is_retired = true;
    end(child, OUTCOME_COUNT, NULL); /* it has nothing to save, and asking may not be enough */
}

static void
take_answer(struct pool_child *child, struct slice header, struct slice body)
{
    struct pool *pool = child->pool;
    struct pool_reply reply;
    if (child->document_count == 0 || child->documents[0]->sent < child->documents[0]->frame_size ||
        pool_answer_check(header, body, pool->options.body_bytes_max, pool->options.wall_ms * 2000,
                          &reply) != OK) {
        end(child, OUTCOME_CHILD_CRASHED, "bad answer from the extraction child");
        return;
    }
    struct document *document = child->documents[0];
    child->document_count--;
    memmove(child->documents, child->documents + 1,
            child->document_count * sizeof child->documents[0]);
    if (child->document_count > 0) {
        start_running(child);
    }
    struct pool_answer answer = {
        .outcome = reply.outcome,
        .pairs = reply.pairs,
        .pair_count = reply.pair_count,
        .decoded_bytes = reply.decoded_bytes,
        .is_truncated = reply.is_truncated,
        .extract_us = reply.extract_us,
        .reason = reply.outcome == OUTCOME_OK ? "" : outcome_text(reply.outcome),
    };
    pool_answer_document(pool, document, &answer);
    if (child->state != POOL_CHILD_READY) {
        return;
    }
    if (reply.outcome == OUTCOME_CHILD_MEMORY) {
        /* A fresh one for what follows; that it had begun is nobody's fault. */
        end(child, OUTCOME_COUNT, NULL);
        for (size_t i = child->document_count; i > 0; i--) {
            pool_requeue(pool, child->documents[i - 1]);
        }
        child->document_count = 0;
    } else if (child->document_count == 0 && child->assigned >= pool->options.tasks_max) {
        retire(child);
    }
}

/* Takes one whole frame off the input. False: there is none yet, or the child is done for. */
static bool
take_frame(struct pool_child *child)
{
    if (child->in.size < CHILD_FRAME_BYTES) {
        return false;
    }
    struct child_frame frame = child_frame_read(child->in.data);
    bool is_greeting = child->state == POOL_CHILD_GREETING;
    if (is_greeting) {
        if (frame.header_bytes != 0 || frame.body_bytes != 0) {
            end(child, OUTCOME_COUNT, NULL);
            return false;
        }
        child->state = POOL_CHILD_READY;
    } else if (frame.header_bytes > ANSWER_HEADER_BYTES_MAX ||
               frame.body_bytes > CHILD_ANSWER_BYTES_MAX) {
        end(child, OUTCOME_CHILD_CRASHED, "bad answer from the extraction child");
        return false;
    }
    size_t size = CHILD_FRAME_BYTES + frame.header_bytes + frame.body_bytes;
    if (child->in.size < size) {
        return false;
    }
    if (!is_greeting) {
        const uint8_t *header = child->in.data + CHILD_FRAME_BYTES;
        take_answer(child, slice_of(header, frame.header_bytes),
                    slice_of(header + frame.header_bytes, frame.body_bytes));
    }
    memmove(child->in.data, child->in.data + size, child->in.size - size);
    child->in.size -= size;
    if (child->in.size == 0 && child->in.capacity > KEPT_BYTES_MAX) {
        buffer_release(&child->in);
    }
    return child->state == POOL_CHILD_READY;
}

/* False: nothing more to read now. */
static bool
read_piece(struct pool_child *child)
{
    size_t before = child->in.size;
    uint8_t *room = buffer_extend(&child->in, READ_BYTES);
    if (room == NULL) {
        end(child, OUTCOME_CHILD_MEMORY, "no memory for the answer of the extraction child");
        return false;
    }
    ssize_t size = recv(child->fd, room, READ_BYTES, 0);
    int cause = errno;
    child->in.size = before + (size > 0 ? (size_t)size : 0);
    if (size > 0) {
        return true;
    }
    if (size == 0 || (cause != EAGAIN && cause != EWOULDBLOCK && cause != EINTR)) {
        end(child, OUTCOME_COUNT, NULL); /* how it ended is the zygote's to say */
    }
    return false;
}

void
pool_child_ready(void *context, int events)
{
    struct pool_child *child = context;
    if ((events & LOOP_WRITE) != 0) {
        write_documents(child);
    }
    if ((events & (LOOP_READ | LOOP_ERROR)) == 0) {
        return;
    }
    bool is_open = child->state == POOL_CHILD_GREETING || child->state == POOL_CHILD_READY;
    while (is_open && read_piece(child)) {
        while (take_frame(child)) {
        }
        is_open = child->state == POOL_CHILD_GREETING || child->state == POOL_CHILD_READY;
    }
    pool_feed(child->pool);
}

/* ---- its limits --------------------------------------------------------------------------- */

int64_t
pool_child_tick(struct pool_child *child, int64_t now_ms)
{
    const struct pool_options *options = &child->pool->options;
    if (child->state == POOL_CHILD_EMPTY) {
        if (now_ms < child->start_ms) {
            return child->start_ms;
        }
        pool_child_start(child);
        return LOOP_NEVER;
    }
    if (child->state == POOL_CHILD_GREETING) {
        if (now_ms >= child->wall_deadline_ms) {
            end(child, OUTCOME_COUNT, NULL);
            return LOOP_NEVER;
        }
        return child->wall_deadline_ms;
    }
    if (child->state != POOL_CHILD_READY || child->document_count == 0) {
        return LOOP_NEVER;
    }
    if (now_ms >= child->wall_deadline_ms) {
        end(child, OUTCOME_CHILD_TIMED_OUT, "extraction took too long by the wall clock");
        return LOOP_NEVER;
    }
    if (now_ms >= child->cpu_check_ms) {
        int64_t used_ms = (cpu_us(child) - child->cpu_start_us) / 1000;
        if (used_ms >= options->cpu_ms) {
            end(child, OUTCOME_CHILD_TIMED_OUT, "extraction used too much processor time");
            return LOOP_NEVER;
        }
        /* One thread: what is left of the budget takes at least that long. */
        child->cpu_check_ms = now_ms + options->cpu_ms - (used_ms > 0 ? used_ms : 0);
    }
    return child->cpu_check_ms < child->wall_deadline_ms ? child->cpu_check_ms
                                                         : child->wall_deadline_ms;
}

void
pool_child_release(struct pool_child *child)
{
    unwatch(child);
    if (child->pid_fd >= 0) {
        syscall(SYS_pidfd_send_signal, child->pid_fd, SIGKILL, NULL, 0);
        close(child->pid_fd);
    }
    if (child->fd >= 0) {
        close(child->fd);
    }
    for (size_t i = 0; i < child->document_count; i++) {
        document_free(child->documents[i]);
    }
    child->document_count = 0;
    child->fd = -1;
    child->pid_fd = -1;
    child->state = POOL_CHILD_EMPTY;
    buffer_release(&child->in);
}
