#include "client/feeder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/channel.h"
#include "client/feeder_core.h"
#include "client/public_error.h"
#include "client/spool.h"
#include "common/deadline.h"
#include "common/loop.h"

#define ENDPOINT_DEFAULT "tcp://127.0.0.1:5701"
#define TIMEOUT_DEFAULT_MS 10000
#define RECEIVE_TURN_MAX 256 /* messages taken before anything else is done */
#define DISK_RETRY_MS 1000   /* after the spool found the disk full */
#define MESSAGE_BYTES_MAX 1024

struct thresh_feeder {
    struct feeder_core *core;
    struct channel *channel;
    struct spool *spool; /* or NULL */
    thresh_fed_fn *fed;
    void *context;
    int64_t timeout_ms;
    int64_t silent_since_ms; /* when it last lost, or first sought, the broker; -1: connected */
    uint64_t events;         /* statuses told, connections made and lost */
    bool is_working;         /* inside a callback: only adding is allowed */
    enum error error;        /* ended for good */
    char message[MESSAGE_BYTES_MAX];
};

static void
status_told(void *context, uint64_t token, enum thresh_status status, const char *task,
            const char *reason)
{
    struct thresh_feeder *feeder = context;
    feeder->events++;
    if (feeder->fed != NULL) {
        feeder->fed(feeder->context, token, status, task, reason);
    }
}

static char *
sentence(const char *format, const char *subject, const char *why)
{
    char *text = NULL;
    if (asprintf(&text, "%s %s: %s", format, subject, why) < 0) {
        return NULL;
    }
    return text;
}

static enum error
open_core(struct thresh_feeder *feeder, const struct thresh_feeder_options *options,
          char **ret_message)
{
    struct feeder_core_options core = {
        .name = options->name,
        .batch_max = (size_t)(options->batch_max > 0 ? options->batch_max : 0),
        .window_max = (size_t)(options->window_max > 0 ? options->window_max : 0),
        .is_spooled = options->spool != NULL,
    };
    struct spool_identity identity = {.is_new = true};
    enum error error = OK;
    if (options->spool != NULL) {
        error = spool_open(options->spool, &feeder->spool, &identity);
        if (error != OK) {
            *ret_message = sentence("cannot use the spool", options->spool, error_text(error));
            return error;
        }
    }
    if (identity.is_new) {
        error = channel_random(core.client, sizeof core.client);
    } else {
        memcpy(core.client, identity.client, sizeof core.client);
        core.last_sequence = identity.last_sequence;
        core.confirmed = identity.confirmed;
    }
    if (error != OK) {
        return error;
    }
    feeder->core = feeder_core_create(&core, status_told, feeder);
    if (feeder->core == NULL) {
        return ERROR_NO_MEMORY;
    }
    if (feeder->spool != NULL) {
        error = spool_restore(feeder->spool, core.client, feeder->core);
        if (error != OK) {
            *ret_message = sentence("cannot use the spool", options->spool, error_text(error));
        }
    }
    return error;
}

enum error
feeder_open(const struct thresh_feeder_options *options, thresh_fed_fn *fed, void *context,
            struct thresh_feeder **ret_feeder, char **ret_message)
{
    const char *endpoint = options->endpoint != NULL ? options->endpoint : ENDPOINT_DEFAULT;
    struct thresh_feeder *feeder = calloc(1, sizeof *feeder);
    if (feeder == NULL) {
        return ERROR_NO_MEMORY;
    }
    feeder->fed = fed;
    feeder->context = context;
    feeder->timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    feeder->silent_since_ms = clock_monotonic_ms();
    enum error error = open_core(feeder, options, ret_message);
    if (error != OK) {
        goto fail;
    }
    error = channel_open(endpoint, options->key_file, options->broker_key_file, &feeder->channel,
                         ret_message);
    if (error != OK) {
        if (*ret_message == NULL) {
            *ret_message = sentence("cannot connect to", endpoint, error_text(error));
        }
        goto fail;
    }
    *ret_feeder = feeder;
    return OK;
fail:
    thresh_feeder_close(feeder);
    return error;
}

int
thresh_feeder_open(const struct thresh_feeder_options *options, thresh_fed_fn *fed, void *context,
                   struct thresh_feeder **ret_feeder)
{
    static const struct thresh_feeder_options defaults;
    char *message = NULL;
    enum error error =
        feeder_open(options != NULL ? options : &defaults, fed, context, ret_feeder, &message);
    free(message);
    return public_error(error);
}

struct socket *
feeder_socket(struct thresh_feeder *feeder)
{
    return channel_socket(feeder->channel);
}

static enum error
end(struct thresh_feeder *feeder, enum error error, const char *text)
{
    feeder->error = error;
    snprintf(feeder->message, sizeof feeder->message, "%s", text);
    return error;
}

static enum error
receive_some(struct thresh_feeder *feeder, int64_t now_ms)
{
    for (size_t i = 0; i < RECEIVE_TURN_MAX; i++) {
        struct socket_message message = {0};
        enum error error = channel_receive(feeder->channel, &message);
        if (error == ERROR_AGAIN) {
            return OK;
        }
        if (error == ERROR_PROTOCOL) {
            socket_message_release(&message);
            continue;
        }
        if (error != OK) {
            return end(feeder, error, "cannot receive from the broker");
        }
        uint64_t welcomes = feeder_core_session(feeder->core)->welcome_count;
        feeder->is_working = true;
        /* What is not of this protocol is dropped; a refusal for good is looked at below. */
        ignore_error(
            feeder_core_receive(feeder->core, message.frames, message.frame_count, now_ms));
        feeder->is_working = false;
        socket_message_release(&message);
        feeder->events += feeder_core_session(feeder->core)->welcome_count - welcomes;
        if (feeder_core_error(feeder->core) != OK) {
            return end(feeder, feeder_core_error(feeder->core), feeder_core_message(feeder->core));
        }
    }
    return OK;
}

static void
note_silence(struct thresh_feeder *feeder, int64_t now_ms)
{
    if (feeder_is_connected(feeder)) {
        feeder->silent_since_ms = -1;
    } else if (feeder->silent_since_ms < 0) {
        feeder->silent_since_ms = now_ms;
        feeder->events++;
    }
}

enum error
feeder_work(struct thresh_feeder *feeder, int64_t now_ms, int64_t *ret_deadline_ms)
{
    struct session_sender sender = channel_sender(feeder->channel);
    int64_t deadline_ms = INT64_MAX;
    if (feeder->error != OK) {
        return feeder->error;
    }
    enum error error = receive_some(feeder, now_ms);
    if (error != OK) {
        return error;
    }
    /* The tick may number busy items anew, and these are stored before the second one sends them.
     */
    for (int round = 0; round < 2; round++) {
        if (feeder->spool != NULL) {
            error = spool_write(feeder->spool, feeder->core);
            if (error == ERROR_DISK_FULL) {
                *ret_deadline_ms = now_ms + DISK_RETRY_MS;
                return ERROR_DISK_FULL;
            }
            if (error != OK) {
                return end(feeder, error, "the spool cannot be written");
            }
        }
        error = feeder_core_tick(feeder->core, now_ms, &sender, &deadline_ms);
        if (error != OK) {
            return end(feeder, error, "cannot send to the broker");
        }
        if (feeder->spool == NULL) {
            break;
        }
    }
    note_silence(feeder, now_ms);
    *ret_deadline_ms = deadline_ms;
    return OK;
}

enum error
feeder_seal(struct thresh_feeder *feeder)
{
    return feeder_core_flush(feeder->core);
}

enum error
feeder_add(struct thresh_feeder *feeder, const struct thresh_item *item)
{
    if (feeder->error != OK) {
        return feeder->error;
    }
    enum error error = feeder_core_add(feeder->core, item);
    if (error != OK) {
        snprintf(feeder->message, sizeof feeder->message, "%s", feeder_core_message(feeder->core));
    }
    return error;
}

int
thresh_feeder_submit(struct thresh_feeder *feeder, const struct thresh_item *item)
{
    return public_error(feeder_add(feeder, item));
}

/* Whether the broker has been silent for longer than the caller allows. */
static bool
is_unreachable(struct thresh_feeder *feeder, int64_t now_ms)
{
    if (feeder->silent_since_ms < 0 || now_ms - feeder->silent_since_ms < feeder->timeout_ms) {
        return false;
    }
    snprintf(feeder->message, sizeof feeder->message, "broker %s did not answer in %lld ms",
             channel_endpoint(feeder->channel), (long long)feeder->timeout_ms);
    return true;
}

/* Works until something has happened or until_ms. */
static int
work_once(struct thresh_feeder *feeder, int64_t until_ms)
{
    uint64_t events = feeder->events;
    for (;;) {
        int64_t deadline_ms = INT64_MAX;
        int64_t now_ms = clock_monotonic_ms();
        enum error error = feeder_work(feeder, now_ms, &deadline_ms);
        if (error != OK && error != ERROR_DISK_FULL) {
            return public_error(error);
        }
        if (feeder->events != events) {
            return THRESH_OK;
        }
        if (is_unreachable(feeder, now_ms)) {
            return THRESH_ERROR_UNREACHABLE;
        }
        if (now_ms >= until_ms) {
            return error == ERROR_DISK_FULL ? THRESH_ERROR_IO : THRESH_ERROR_TIMEOUT;
        }
        error = channel_wait(feeder->channel, deadline_earlier(deadline_ms, until_ms));
        if (error != OK) {
            return public_error(error);
        }
    }
}

int
thresh_feeder_poll(struct thresh_feeder *feeder, int timeout_ms)
{
    if (feeder->is_working) {
        return THRESH_ERROR_INVALID;
    }
    return work_once(feeder, clock_monotonic_ms() + (timeout_ms > 0 ? timeout_ms : 0));
}

int
thresh_feeder_flush(struct thresh_feeder *feeder, int timeout_ms)
{
    if (feeder->is_working) {
        return THRESH_ERROR_INVALID;
    }
    int64_t until_ms = clock_monotonic_ms() + (timeout_ms > 0 ? timeout_ms : 0);
    while (feeder_core_unanswered(feeder->core) > 0) {
        enum error error = feeder_core_flush(feeder->core);
        if (error != OK && error != ERROR_FULL) {
            return public_error(error);
        }
        int result = work_once(feeder, until_ms);
        if (result != THRESH_OK) {
            return result;
        }
    }
    return THRESH_OK;
}

uint64_t
thresh_feeder_unanswered(const struct thresh_feeder *feeder)
{
    return feeder_core_unanswered(feeder->core);
}

const char *
thresh_feeder_message(const struct thresh_feeder *feeder)
{
    return feeder->message;
}

void
thresh_feeder_close(struct thresh_feeder *feeder)
{
    if (feeder == NULL) {
        return;
    }
    if (feeder->spool != NULL && feeder->core != NULL && feeder->channel != NULL) {
        /* Without it the last answers are asked for again, which is safe. */
        ignore_error(spool_settle(feeder->spool, feeder->core));
    }
    if (feeder->channel != NULL) {
        struct session_sender sender = channel_sender(feeder->channel);
        feeder_core_leave(feeder->core, &sender);
    }
    channel_close(feeder->channel);
    spool_close(feeder->spool);
    feeder_core_destroy(feeder->core);
    free(feeder);
}

const char *
feeder_put_off(const struct thresh_feeder *feeder)
{
    const struct session *session = feeder_core_session(feeder->core);
    if (!feeder_core_is_put_off(feeder->core)) {
        return NULL;
    }
    /* Busy items come without words of the broker's; the last refusal was of something else. */
    bool is_told = strcmp(session->code, "stopping") == 0 || strcmp(session->code, "busy") == 0;
    return is_told && session->reason[0] != '\0' ? session->reason : "it is busy";
}

bool
feeder_is_connected(const struct thresh_feeder *feeder)
{
    return feeder_core_session(feeder->core)->state == SESSION_WELCOMED;
}

bool
feeder_was_connected(const struct thresh_feeder *feeder)
{
    return feeder_core_session(feeder->core)->welcome_count > 0;
}

int64_t
feeder_unfinished(const struct thresh_feeder *feeder)
{
    return feeder_core_unfinished(feeder->core);
}

void
feeder_ask(struct thresh_feeder *feeder)
{
    feeder_core_ask(feeder->core);
}

bool
feeder_is_told(const struct thresh_feeder *feeder)
{
    return feeder_core_is_told(feeder->core);
}
