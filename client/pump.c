#include "client/pump.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli.h"
#include "client/feeder.h"

#define ITEMS_A_TURN 256
#define NAMES_MAX 65536 /* items whose names are kept for a message; a power of two */
#define TOKEN_SHIFT                                                               \
    20 /* tokens start at the wall clock, so that they differ from a former run's \
        */

struct pump {
    struct loop *loop;
    struct loop_watch *socket_watch;
    struct loop_watch *input_watch;
    struct input *input;
    struct thresh_feeder *feeder;
    struct thresh_item item; /* waits for room when has_item */
    bool has_item;
    bool is_ended; /* the input */
    uint64_t first_token;
    uint64_t next_token;
    char **names; /* by token: what an item is called */
    struct pump_counts counts;
};

static void
name_keep(struct pump *pump, uint64_t token, const char *name)
{
    char **place = &pump->names[token & (NAMES_MAX - 1)];
    free(*place);
    *place = strdup(name); /* NULL: the message does without */
}

static void
item_fed(void *context, uint64_t token, enum thresh_status status, const char *task,
         const char *reason)
{
    struct pump *pump = context;
    bool is_ours = token >= pump->first_token && token < pump->next_token;
    char **name = is_ours ? &pump->names[token & (NAMES_MAX - 1)] : NULL;
    (void)task;
    if (status == THRESH_ACCEPTED) {
        pump->counts.accepted++;
    } else if (status == THRESH_KNOWN) {
        /* Of a spool's items, fed before and fed again now, only the latter is counted. */
        pump->counts.known += is_ours;
    } else {
        pump->counts.invalid++;
        cli_say("%s: not accepted: %s", name != NULL && *name != NULL ? *name : "an earlier item",
                reason[0] != '\0' ? reason : "invalid");
    }
    if (name != NULL) {
        free(*name);
        *name = NULL;
    }
}

/* What waits is looked at in pump_work(), which the loop's tick calls. */
static void
woken(void *context, int events)
{
    (void)context;
    (void)events;
}

static void
input_ready(void *context, int events)
{
    struct pump *pump = context;
    (void)events;
    loop_remove(pump->loop, pump->input_watch);
    pump->input_watch = NULL;
}

enum error
pump_open(struct loop *loop, struct input *input, const struct thresh_feeder_options *options,
          struct pump **ret_pump, char **ret_message)
{
    struct pump *pump = calloc(1, sizeof *pump);
    if (pump == NULL) {
        input_destroy(input);
        return ERROR_NO_MEMORY;
    }
    pump->loop = loop;
    pump->input = input;
    pump->first_token = (uint64_t)clock_wall_ms() << TOKEN_SHIFT;
    pump->next_token = pump->first_token;
    pump->names = calloc(NAMES_MAX, sizeof *pump->names);
    enum error error = ERROR_NO_MEMORY;
    if (pump->names == NULL) {
        goto fail;
    }
    error = feeder_open(options, item_fed, pump, &pump->feeder, ret_message);
    if (error != OK) {
        goto fail;
    }
    pump->socket_watch = loop_add_socket(loop, feeder_socket(pump->feeder), woken, pump);
    if (pump->socket_watch == NULL) {
        error = ERROR_NO_MEMORY;
        goto fail;
    }
    *ret_pump = pump;
    return OK;
fail:
    pump_close(pump);
    return error;
}

void
pump_close(struct pump *pump)
{
    if (pump == NULL) {
        return;
    }
    if (pump->socket_watch != NULL) {
        loop_remove(pump->loop, pump->socket_watch);
    }
    if (pump->input_watch != NULL) {
        loop_remove(pump->loop, pump->input_watch);
    }
    thresh_feeder_close(pump->feeder);
    input_destroy(pump->input);
    for (size_t i = 0; pump->names != NULL && i < NAMES_MAX; i++) {
        free(pump->names[i]);
    }
    free(pump->names);
    free(pump);
}

/* Waits for the input's descriptor. One that epoll refuses is a file, which is always ready. */
static void
wait_for_input(struct pump *pump)
{
    if (pump->input_watch == NULL) {
        pump->input_watch =
            loop_add_fd(pump->loop, input_fd(pump->input), LOOP_READ, input_ready, pump);
    }
}

static enum error
next_item(struct pump *pump)
{
    if (pump->has_item) {
        return OK;
    }
    enum error error = input_next(pump->input, &pump->item);
    if (error == OK) {
        pump->has_item = true;
        pump->item.token = pump->next_token++;
    }
    return error;
}

/* OK: one more went to the feeder, or was refused by it. */
static enum error
feed_one(struct pump *pump)
{
    enum error error = next_item(pump);
    if (error != OK) {
        return error;
    }
    error = feeder_add(pump->feeder, &pump->item);
    if (error == OK) {
        name_keep(pump, pump->item.token, pump->item.url);
        pump->counts.fed++;
    } else if (error == ERROR_INVALID || error == ERROR_TOO_LARGE) {
        cli_say("%s: not accepted: %s", pump->item.url, thresh_feeder_message(pump->feeder));
        pump->counts.invalid++;
        error = OK;
    } else {
        return error;
    }
    pump->has_item = false;
    return error;
}

/* Moves items until the feeder is full, the input has none now, or the turn is over. */
static enum error
feed_some(struct pump *pump, bool *ret_is_more)
{
    *ret_is_more = false;
    for (size_t i = 0; i < ITEMS_A_TURN && !pump->is_ended && pump->input_watch == NULL; i++) {
        enum error error = feed_one(pump);
        if (error == OK) {
            *ret_is_more = i + 1 == ITEMS_A_TURN;
            continue;
        }
        if (error == ERROR_EMPTY) {
            pump->is_ended = true;
        } else if (error == ERROR_AGAIN) {
            wait_for_input(pump);
        }
        /* What there is goes out now: nothing more may come for long. */
        if (error != ERROR_FULL) {
            enum error sealed = feeder_seal(pump->feeder);
            if (sealed != OK && sealed != ERROR_FULL) {
                return sealed;
            }
        }
        return error == ERROR_EMPTY || error == ERROR_AGAIN || error == ERROR_FULL ? OK : error;
    }
    return OK;
}

enum error
pump_work(struct pump *pump, int64_t now_ms, int64_t *ret_deadline_ms)
{
    bool is_more = false;
    enum error error = feed_some(pump, &is_more);
    if (error != OK) {
        return error;
    }
    if (pump->is_ended) {
        /* The last batch may have found the window full before. */
        error = feeder_seal(pump->feeder);
        if (error != OK && error != ERROR_FULL) {
            return error;
        }
    }
    error = feeder_work(pump->feeder, now_ms, ret_deadline_ms);
    if (is_more && error == OK) {
        *ret_deadline_ms = now_ms;
    }
    return error;
}

void
pump_stop(struct pump *pump)
{
    pump->is_ended = true;
    pump->has_item = false;
    if (pump->input_watch != NULL) {
        loop_remove(pump->loop, pump->input_watch);
        pump->input_watch = NULL;
    }
}

bool
pump_is_done(const struct pump *pump)
{
    return pump->is_ended && thresh_feeder_unanswered(pump->feeder) == 0;
}

struct pump_counts
pump_counts(const struct pump *pump)
{
    return pump->counts;
}

uint64_t
pump_bad_count(const struct pump *pump)
{
    return input_bad_count(pump->input) + pump->counts.invalid;
}

struct thresh_feeder *
pump_feeder(struct pump *pump)
{
    return pump->feeder;
}

const char *
pump_message(const struct pump *pump)
{
    return thresh_feeder_message(pump->feeder);
}
