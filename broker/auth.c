#include "broker/auth.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/keys.h"

#define SENDER_COUNT (MESSAGE_SENDER_BROKER + 1)
#define ENTRIES_START 64

struct entry {
    struct key_line line;
    size_t number; /* of the line, for messages */
};

struct table {
    struct entry *entries; /* sorted by key */
    size_t count;
    size_t capacity;
};

struct auth {
    char *path;
    struct table table;
};

/* ---- the tables of what is allowed --------------------------------------------------------- */

static const bool doors[KEY_ROLE_COUNT][ROLE_COUNT] = {
    [KEY_FEEDER] = {[ROLE_FEED] = true},
    [KEY_WORKER] = {[ROLE_WORK] = true},
    [KEY_COLLECTOR] = {[ROLE_COLLECT] = true},
    [KEY_ADMIN] =
        {[ROLE_FEED] = true, [ROLE_WORK] = true, [ROLE_COLLECT] = true, [ROLE_CONTROL] = true},
    [KEY_MONITOR] = {[ROLE_CONTROL] = true},
};

/* By who sends a message according to the protocol's table (common/messages.def). */
static const bool senders[KEY_ROLE_COUNT][SENDER_COUNT] = {
    [KEY_FEEDER] = {[MESSAGE_SENDER_ANY] = true, [MESSAGE_SENDER_FEEDER] = true},
    [KEY_WORKER] = {[MESSAGE_SENDER_ANY] = true, [MESSAGE_SENDER_WORKER] = true},
    [KEY_COLLECTOR] = {[MESSAGE_SENDER_ANY] = true, [MESSAGE_SENDER_COLLECTOR] = true},
    [KEY_ADMIN] = {[MESSAGE_SENDER_ANY] = true,
                   [MESSAGE_SENDER_FEEDER] = true,
                   [MESSAGE_SENDER_WORKER] = true,
                   [MESSAGE_SENDER_COLLECTOR] = true,
                   [MESSAGE_SENDER_CLIENT] = true},
    [KEY_MONITOR] = {[MESSAGE_SENDER_ANY] = true, [MESSAGE_SENDER_CLIENT] = true},
};

/* The control verbs that only ask. */
static const char *const questions[] = {"status", "workers", "hosts", "dead"};

struct answer_row {
    const char *name;
    const char *text;
};

static const struct answer_row answers[] = {
    [AUTH_ALLOWED] = {"allowed", "allowed"},
    [AUTH_UNKNOWN_KEY] = {"unknown_key", "the broker does not know this key (any more)"},
    [AUTH_WRONG_DOOR] = {"wrong_door", "this key's role has no business at this port"},
    [AUTH_WRONG_TYPE] = {"wrong_type", "this key's role may not send this type of message"},
    [AUTH_WRONG_VERB] = {"wrong_verb", "this key's role may only ask, not act"},
};

const char *
auth_answer_name(enum auth_answer answer)
{
    return answers[answer].name;
}

const char *
auth_answer_text(enum auth_answer answer)
{
    return answers[answer].text;
}

/* ---- the list ------------------------------------------------------------------------------ */

static enum error
fail_at(const char *path, size_t number, const char *why, char **ret_message)
{
    if (asprintf(ret_message, "%s, line %zu: %s", path, number, why) < 0) {
        *ret_message = NULL;
    }
    return ERROR_CONFIG;
}

static int
compare(const void *a, const void *b)
{
    const struct entry *one = a;
    const struct entry *two = b;
    return memcmp(one->line.key, two->line.key, KEY_TEXT_BYTES);
}

static enum error
table_add(struct table *table, const struct key_line *line, size_t number)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity > 0 ? table->capacity * 2 : ENTRIES_START;
        struct entry *entries = realloc(table->entries, capacity * sizeof *entries);
        if (entries == NULL) {
            return ERROR_NO_MEMORY;
        }
        table->entries = entries;
        table->capacity = capacity;
    }
    table->entries[table->count++] = (struct entry){.line = *line, .number = number};
    return OK;
}

static enum error
table_sort(struct table *table, const char *path, char **ret_message)
{
    if (table->count > 0) {
        qsort(table->entries, table->count, sizeof *table->entries, compare);
    }
    for (size_t i = 1; i < table->count; i++) {
        const struct entry *one = &table->entries[i - 1];
        const struct entry *two = &table->entries[i];
        if (compare(one, two) == 0) {
            size_t later = one->number > two->number ? one->number : two->number;
            return fail_at(path, later, "this key is there already; a key has one role",
                           ret_message);
        }
    }
    return OK;
}

static enum error
table_parse(struct table *table, const char *path, struct slice text, char **ret_message)
{
    struct slice line;
    for (size_t number = 1; key_next_line(&text, &line); number++) {
        struct key_line found;
        const char *why = "";
        enum error error = key_line_parse(line, &found, &why);
        if (error == ERROR_EMPTY) {
            continue;
        }
        if (error == OK && found.role == KEY_BROKER) {
            return fail_at(path, number, "a broker's own key does not belong here", ret_message);
        }
        if (error == OK && table->count == AUTH_KEYS_MAX) {
            return fail_at(path, number, "more keys than a broker takes (100,000)", ret_message);
        }
        if (error != OK) {
            return fail_at(path, number, why, ret_message);
        }
        error = table_add(table, &found, number);
        if (error != OK) {
            return error;
        }
    }
    return table_sort(table, path, ret_message);
}

enum error
auth_reload(struct auth *auth, char **ret_message)
{
    struct buffer text;
    struct table table = {0};
    buffer_init(&text, AUTH_FILE_BYTES_MAX);
    enum error error = keys_read_list(auth->path, AUTH_FILE_BYTES_MAX, &text, ret_message);
    if (error == OK) {
        error = table_parse(&table, auth->path, buffer_slice(&text), ret_message);
    }
    buffer_release(&text);
    if (error != OK) {
        free(table.entries);
        return error;
    }
    free(auth->table.entries);
    auth->table = table;
    return OK;
}

enum error
auth_create(const char *path, struct auth **ret_auth, char **ret_message)
{
    struct auth *auth = calloc(1, sizeof *auth);
    if (auth == NULL) {
        return ERROR_NO_MEMORY;
    }
    auth->path = strdup(path);
    enum error error = auth->path != NULL ? auth_reload(auth, ret_message) : ERROR_NO_MEMORY;
    if (error != OK) {
        auth_destroy(auth);
        return error;
    }
    *ret_auth = auth;
    return OK;
}

void
auth_destroy(struct auth *auth)
{
    if (auth == NULL) {
        return;
    }
    free(auth->table.entries);
    free(auth->path);
    free(auth);
}

size_t
auth_count(const struct auth *auth)
{
    return auth->table.count;
}

const struct key_line *
auth_find(const struct auth *auth, struct slice key)
{
    struct entry wanted = {0};
    if (key.size != KEY_TEXT_BYTES || auth->table.count == 0) {
        return NULL;
    }
    memcpy(wanted.line.key, key.data, KEY_TEXT_BYTES);
    const struct entry *found = bsearch(&wanted, auth->table.entries, auth->table.count,
                                        sizeof *auth->table.entries, compare);
    return found != NULL ? &found->line : NULL;
}

/* ---- judging ------------------------------------------------------------------------------- */

void
auth_read(struct slice header, struct auth_message *ret_message)
{
    static const char *const names[] = {"verb", "arguments", NULL};
    struct auth_message found = {0};
    struct slice fields[2];
    struct reader reader;
    size_t pairs = 0;
    enum error error = message_scan(header);
    reader_init(&reader, header);
    if (error == OK) {
        error = read_header(&reader, &found.type, &found.sequence, &pairs);
    }
    if (error == OK && found.type == MESSAGE_REQUEST) {
        read_pairs(&reader, pairs, names, fields);
        found.verb = field_string(fields[0], &error);
        found.arguments = fields[1];
        error = error == OK ? reader_finish(&reader) : error;
    }
    found.is_readable = error == OK;
    *ret_message = found.is_readable ? found : (struct auth_message){0};
}

static bool
is_question(struct slice verb)
{
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (slice_equal(verb, slice_string(questions[i]))) {
            return true;
        }
    }
    return false;
}

bool
auth_is_act(const struct auth_message *message)
{
    return message->is_readable && message->type == MESSAGE_REQUEST && !is_question(message->verb);
}

enum auth_answer
auth_check(const struct auth *auth, enum role door, struct slice key,
           const struct auth_message *message)
{
    const struct key_line *line = auth_find(auth, key);
    if (line == NULL) {
        return AUTH_UNKNOWN_KEY;
    }
    assert(line->role < KEY_ROLE_COUNT && door < ROLE_COUNT);
    if (!doors[line->role][door]) {
        return AUTH_WRONG_DOOR;
    }
    if (!message->is_readable) {
        return AUTH_ALLOWED;
    }
    if (!senders[line->role][message_type_sender(message->type)]) {
        return AUTH_WRONG_TYPE;
    }
    return auth_is_act(message) && line->role != KEY_ADMIN ? AUTH_WRONG_VERB : AUTH_ALLOWED;
}
