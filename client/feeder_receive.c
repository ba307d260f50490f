/* The half of feeder_core that takes in what the broker says. */
#include "client/feeder_inner.h"

#include <stdio.h>
#include <string.h>

#include "client/feeder_answer.h"

/* Ends the feeder for good. */
static enum error
give_up(struct feeder_core *core, enum error error, const char *text, const char *reason)
{
    core->error = error;
    snprintf(core->message, sizeof core->message, "%s%s%s", text, reason[0] != '\0' ? ": " : "",
             reason);
    return error;
}

/* Calls fed() for each item that has its end; *ret_keep marks the others. */
static size_t
tell_items(struct feeder_core *core, const struct submit *submit,
           const struct feeder_answer *answer, bool *ret_keep)
{
    uint64_t number = answer->first;
    size_t busy = 0;
    for (size_t i = 0; i < submit->item_count; i++) {
        char task[SESSION_STORE_BYTES_MAX + 24] = "";
        char reason[FEEDER_REASON_BYTES_MAX + 1] = "";
        ret_keep[i] = answer->statuses[i] == ITEM_BUSY;
        if (ret_keep[i]) {
            busy++;
            continue;
        }
        if (answer->statuses[i] == ITEM_ACCEPTED) {
            snprintf(task, sizeof task, "%s%010llx", core->session.limits.store,
                     (unsigned long long)number++);
        } else if (answer->statuses[i] == ITEM_INVALID) {
            size_t size = answer->reasons[i].size < FEEDER_REASON_BYTES_MAX
                              ? answer->reasons[i].size
                              : FEEDER_REASON_BYTES_MAX;
            if (size > 0) {
                memcpy(reason, answer->reasons[i].data, size);
            }
        }
        core->item_count--;
        if (core->fed != NULL) {
            core->fed(core->context, submit->items[i].token,
                      (enum thresh_status)answer->statuses[i], task, reason);
        }
    }
    return busy;
}

static void
forget_submit(struct feeder_core *core, struct submit *submit)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        if (core->submits[i] == submit) {
            memmove(&core->submits[i], &core->submits[i + 1],
                    (core->submit_count - i - 1) * sizeof(struct submit *));
            core->submit_count--;
            break;
        }
    }
    submit_destroy(submit);
}

static enum error
submit_answered(struct feeder_core *core, struct submit *submit, const struct feeder_answer *answer,
                int64_t now_ms)
{
    if (answer->count != submit->item_count) {
        return give_up(core, ERROR_PROTOCOL,
                       "the broker answered a submit with another number of statuses", "");
    }
    bool keep[FEEDER_BATCH_MAX];
    size_t bytes = submit->bytes;
    size_t busy = tell_items(core, submit, answer, keep);
    core->is_put_off = busy > 0;
    if (busy == 0) {
        core->bytes -= bytes;
        forget_submit(core, submit);
        return OK;
    }
    submit_keep(submit, keep);
    core->bytes -= bytes - submit->bytes;
    submit->state = SUBMIT_WAITING;
    submit->due_ms = now_ms + answer->retry_ms;
    return submit_seal(submit) == OK ? OK : give_up(core, ERROR_NO_MEMORY, "out of memory", "");
}

static struct submit *
find_sent(struct feeder_core *core, uint64_t sequence)
{
    for (size_t i = 0; i < core->submit_count; i++) {
        /* READY too: the answer to a copy that was sent before the session was lost. */
        enum submit_state state = core->submits[i]->state;
        if (core->submits[i]->sequence == sequence &&
            (state == SUBMIT_SENT || state == SUBMIT_READY)) {
            return core->submits[i];
        }
    }
    return NULL;
}

static void
session_opened(struct feeder_core *core)
{
    uint64_t submitted = core->session.limits.submitted;
    for (size_t i = 0; i < core->submit_count; i++) {
        if (core->submits[i]->state == SUBMIT_SENT) {
            core->submits[i]->state = SUBMIT_READY;
        }
    }
    /* A spool that is older than what the broker has seen must not use a number twice. */
    if (submitted > core->last_sequence) {
        core->last_sequence = submitted;
    }
}

static void
submit_refused_busy(struct feeder_core *core, const struct session_header *header, int64_t now_ms)
{
    struct submit *submit =
        header->refused_type == MESSAGE_SUBMIT ? find_sent(core, header->refused_sequence) : NULL;
    if (submit != NULL) {
        core->is_put_off = true;
        submit->state = SUBMIT_SENT;
        submit->due_ms = now_ms + header->retry_ms;
    }
}

static enum error
renewed_received(struct feeder_core *core, struct session_header *header)
{
    static const char *const names[] = {"unfinished", NULL};
    struct slice fields[1];
    enum error error = OK;
    read_pairs(&header->pairs, header->pair_count, names, fields);
    uint64_t unfinished = field_uint(fields[0], 0, &error);
    if (error == OK && fields[0].data != NULL && unfinished <= INT64_MAX) {
        core->unfinished = (int64_t)unfinished;
    }
    return error;
}

static enum error
submitted_received(struct feeder_core *core, struct session_header *header, int64_t now_ms)
{
    struct feeder_answer answer = {0};
    enum error error = feeder_answer_read(header, &answer);
    if (error != OK) {
        return error;
    }
    struct submit *submit = find_sent(core, header->sequence);
    return submit != NULL ? submit_answered(core, submit, &answer, now_ms) : OK;
}

enum error
feeder_core_receive(struct feeder_core *core, const struct slice *frames, size_t frame_count,
                    int64_t now_ms)
{
    enum session_event event;
    struct session_header header;
    if (frame_count == 0 || core->error != OK) {
        return core->error != OK ? core->error : ERROR_PROTOCOL;
    }
    enum error error = session_receive(&core->session, frames[0], now_ms, &event, &header);
    if (error != OK) {
        return error;
    }
    switch (event) {
    case SESSION_EVENT_WELCOMED:
        session_opened(core);
        return OK;
    case SESSION_EVENT_BUSY:
        submit_refused_busy(core, &header, now_ms);
        return OK;
    case SESSION_EVENT_FAILED:
        return give_up(core, core->session.error, "the broker refuses this feeder",
                       core->session.reason);
    case SESSION_EVENT_RENEWED:
        return renewed_received(core, &header);
    case SESSION_EVENT_OTHER:
        return header.type == MESSAGE_SUBMITTED ? submitted_received(core, &header, now_ms)
                                                : ERROR_PROTOCOL;
    case SESSION_EVENT_LOST:
        core->is_put_off = strcmp(core->session.code, "stopping") == 0;
        return OK;
    case SESSION_EVENT_NONE:
        break;
    }
    return OK;
}
