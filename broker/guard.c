#include "broker/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"

#define SECRET_NAME "broker.secret"
#define LIST_NAME "authorized"
#define OBJECT_BYTES_MAX 512 /* of an act's arguments in the log */

/* Lines of refusals: how many in this second, and how many were held back since the last. */
struct ration {
    int64_t second;
    unsigned written;
    uint64_t held_back;
};

struct guard {
    struct keys *keys;
    struct auth *auth;
    struct ration strangers;
    struct ration listed;
};

static bool
is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* DIRECTORY/NAME, malloc'd. */
static char *
path_in(const char *directory, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

static enum error
open_paths(struct guard *guard, const char *keys_path, const char *list_path, char **ret_message)
{
    enum error error = keys_load(keys_path, &guard->keys, ret_message);
    if (error == OK) {
        error = auth_create(list_path, &guard->auth, ret_message);
    }
    if (error == OK) {
        log_event(LOG_INFO, "audit", log_text("act", "load_keys"),
                  log_text("key", keys_public(guard->keys)), log_text("list", list_path),
                  log_uint("keys", auth_count(guard->auth)), log_text("answer", "done"));
    }
    return error;
}

enum error
guard_open(const char *keys_path, const char *authorized_path, struct guard **ret_guard,
           char **ret_message)
{
    enum error error = ERROR_NO_MEMORY;
    bool is_place = is_directory(keys_path);
    bool has_list = authorized_path[0] != '\0';
    struct guard *guard = calloc(1, sizeof *guard);
    char *secret = is_place ? path_in(keys_path, SECRET_NAME) : strdup(keys_path);
    char *list = is_place && !has_list ? path_in(keys_path, LIST_NAME) : strdup(authorized_path);
    if (guard == NULL || secret == NULL || list == NULL) {
        goto fail;
    }
    if (!is_place && !has_list) {
        error = ERROR_CONFIG;
        *ret_message = strdup("keys without authorized would let nobody in; name the file that "
                              "lists the keys of feeders, workers and collectors");
        goto fail;
    }
    error = open_paths(guard, secret, list, ret_message);
    if (error == OK) {
        *ret_guard = guard;
        guard = NULL;
    }
fail:
    guard_close(guard);
    free(secret);
    free(list);
    return error;
}

void
guard_close(struct guard *guard)
{
    if (guard == NULL) {
        return;
    }
    keys_destroy(guard->keys);
    auth_destroy(guard->auth);
    free(guard);
}

void
guard_reload(struct guard *guard)
{
    char *message = NULL;
    enum error error = auth_reload(guard->auth, &message);
    if (error == OK) {
        log_event(LOG_INFO, "audit", log_text("act", "reload_keys"),
                  log_uint("keys", auth_count(guard->auth)), log_text("answer", "done"));
    } else {
        log_event(LOG_ERROR, "audit", log_text("act", "reload_keys"),
                  log_text("reason", message != NULL ? message : error_text(error)),
                  log_uint("keys", auth_count(guard->auth)),
                  log_text("answer", "failed_old_list_stays"));
    }
    free(message);
}

/* Whether a line may be written now; then *ret_held_back were not since the last. */
static bool
take_ration(struct ration *ration, uint64_t *ret_held_back)
{
    int64_t second = clock_monotonic_ms() / 1000;
    if (second != ration->second) {
        ration->second = second;
        ration->written = 0;
    }
    if (ration->written == GUARD_REFUSALS_A_SECOND) {
        ration->held_back++;
        return false;
    }
    ration->written++;
    *ret_held_back = ration->held_back;
    ration->held_back = 0;
    return true;
}

/* The field `suppressed`, as log_limited() writes it; left out when it is 0. */
static struct log_field
suppressed_field(uint64_t held_back)
{
    return held_back > 0 ? log_uint("suppressed", held_back) : log_text("suppressed", NULL);
}

const struct keys *
guard_keys(const struct guard *guard)
{
    return guard->keys;
}

bool
guard_knows(struct guard *guard, struct slice key, struct slice door, struct slice address)
{
    if (auth_find(guard->auth, key) != NULL) {
        return true;
    }
    uint64_t held_back = 0;
    if (take_ration(&guard->strangers, &held_back)) {
        log_event(LOG_WARNING, "audit", log_text("act", "connect"), log_slice("door", door),
                  log_slice("key", key), log_slice("address", address),
                  log_text("answer", auth_answer_name(AUTH_UNKNOWN_KEY)),
                  suppressed_field(held_back));
    }
    return false;
}

static void
write_refusal(struct buffer *out, const struct auth_message *message, const char *reason)
{
    write_header(out, MESSAGE_REFUSED, message->sequence, 4);
    write_string(out, "code");
    write_string(out, "not_allowed");
    write_string(out, "reason");
    write_string(out, reason);
    write_string(out, "type");
    write_uint(out, (uint64_t)message->type);
    write_string(out, "sequence");
    write_uint(out, message->sequence);
}

static void
log_refusal(struct guard *guard, enum role door, struct slice key, const struct key_line *line,
            const struct auth_message *message, enum auth_answer answer)
{
    const char *act = message->is_readable ? message_type_name(message->type) : "unreadable";
    uint64_t held_back = 0;
    if (!take_ration(line != NULL ? &guard->listed : &guard->strangers, &held_back)) {
        return;
    }
    log_event(LOG_WARNING, "audit", log_text("act", act), log_text("door", role_name(door)),
              log_slice("key", key), log_text("name", line != NULL ? line->name : NULL),
              log_text("role", line != NULL ? key_role_name(line->role) : NULL),
              log_slice("verb", message->verb), log_text("answer", auth_answer_name(answer)),
              suppressed_field(held_back));
}

static void
log_act(struct slice key, const struct key_line *line, const struct auth_message *message)
{
    struct buffer object;
    buffer_init(&object, OBJECT_BYTES_MAX);
    enum error error = OK;
    if (message->arguments.data != NULL) {
        error = json_from_message(&object, message->arguments);
    }
    bool is_shown = error == OK && buffer_error(&object) == OK;
    log_event(LOG_INFO, "audit", log_slice("act", message->verb),
              log_slice("key", key.size > 0 ? key : slice_string("none")),
              log_text("name", line != NULL ? line->name : NULL),
              log_text("object", is_shown ? buffer_text(&object) : "too long to show"),
              log_text("answer", "passed_on"));
    buffer_release(&object);
}

enum guard_verdict
guard_judge(struct guard *guard, enum role door, const struct socket_message *message,
            struct buffer *refusal)
{
    struct auth_message read = {0};
    const struct key_line *line = NULL;
    enum auth_answer answer = AUTH_ALLOWED;
    if (guard == NULL && door != ROLE_CONTROL) {
        return GUARD_PASS;
    }
    if (message->frame_count > 0) {
        auth_read(message->frames[0], &read);
    }
    if (guard != NULL) {
        line = auth_find(guard->auth, message->user);
        answer = auth_check(guard->auth, door, message->user, &read);
    }
    if (answer == AUTH_ALLOWED) {
        if (auth_is_act(&read)) {
            log_act(message->user, line, &read);
        }
        return GUARD_PASS;
    }
    log_refusal(guard, door, message->user, line, &read, answer);
    write_refusal(refusal, &read, auth_answer_text(answer));
    bool is_gone = answer == AUTH_UNKNOWN_KEY || answer == AUTH_WRONG_DOOR;
    return is_gone ? GUARD_EXPEL : GUARD_REFUSE;
}
