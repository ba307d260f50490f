/* What actors say to the broker: the lines that begin with feed, work, collect or control. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scenario/script.h"

/* One message being put together. */
struct draft {
    struct buffer header;
    struct buffer table;
    bool has_table;
    struct slice bodies[SCRIPT_WORDS_MAX]; /* of words, which outlive it */
    size_t body_count;
};

static void
draft_init(struct draft *draft)
{
    *draft = (struct draft){0};
    buffer_init(&draft->header, SCRIPT_MESSAGE_BYTES_MAX);
    buffer_init(&draft->table, SCRIPT_MESSAGE_BYTES_MAX);
}

static void
draft_send(struct script *script, struct actor *actor, struct draft *draft)
{
    struct slice frames[2 + SCRIPT_WORDS_MAX];
    size_t count = 0;
    frames[count++] = buffer_slice(&draft->header);
    if (draft->has_table)
        frames[count++] = buffer_slice(&draft->table);
    for (size_t i = 0; i < draft->body_count; i++)
        frames[count++] = draft->bodies[i];
    script_send(script, actor, frames, count);
    buffer_release(&draft->header);
    buffer_release(&draft->table);
}

/* Splits "a,b=c,d" at its commas; the first part is returned, the others are words. */
static char *
split_parts(char *word, struct words *ret_parts)
{
    *ret_parts = (struct words){0};
    char *first = strsep(&word, ",");
    char *part = NULL;
    while ((part = strsep(&word, ",")) != NULL && ret_parts->count < SCRIPT_WORDS_MAX)
        ret_parts->items[ret_parts->count++] = part;
    return first;
}

static void
write_text_pair(struct buffer *out, const char *name, const char *value)
{
    write_string(out, name);
    write_text(out, slice_string(value));
}

static void
write_number_pair(struct script *script, struct buffer *out, const char *name, const char *value)
{
    write_string(out, name);
    write_uint(out, (uint64_t)word_number(script, value));
}

/* ---- for every role ----------------------------------------------------------------------- */

static void
say_hello(struct script *script, struct actor *actor, struct words *words)
{
    uint8_t client[CLIENT_ID_BYTES] = {0};
    struct draft draft;
    draft_init(&draft);
    memcpy(client, actor->name, strnlen(actor->name, sizeof client));
    bool is_worker = actor->role == ROLE_WORK;
    const char *confirmed =
        words_has(words) ? word_value(words->items[words->next], "confirmed") : NULL;
    words->next += confirmed != NULL;
    const char *running =
        words_has(words) ? word_value(words->items[words->next], "running") : NULL;
    write_header(&draft.header, MESSAGE_HELLO, 0, is_worker || confirmed ? 5 : 4);
    write_text_pair(&draft.header, "role", role_name(actor->role));
    write_text_pair(&draft.header, "name", actor->name);
    write_string(&draft.header, "client");
    write_binary(&draft.header, slice_of(client, sizeof client));
    write_string(&draft.header, "versions");
    write_array(&draft.header, 1);
    write_uint(&draft.header, PROTOCOL_VERSION);
    if (confirmed)
        write_number_pair(script, &draft.header, "confirmed", confirmed);
    if (is_worker) {
        struct words parts;
        struct buffer list;
        size_t count = 0;
        buffer_init(&list, SCRIPT_MESSAGE_BYTES_MAX);
        char *first =
            running ? split_parts(words->items[words->next++] + strlen("running="), &parts) : NULL;
        for (size_t i = 0; first && i <= parts.count; i++) {
            const struct held *held = script_lease(script, i == 0 ? first : parts.items[i - 1]);
            if (!held)
                break;
            write_array(&list, 2);
            write_uint(&list, held->fence);
            write_string(&list, held->task);
            count++;
        }
        write_string(&draft.header, "running");
        write_array(&draft.header, count);
        buffer_append(&draft.header, list.data, list.size);
        buffer_release(&list);
    }
    draft_send(script, actor, &draft);
}

static void
say_bare(struct script *script, struct actor *actor, enum message_type type)
{
    struct draft draft;
    draft_init(&draft);
    write_header(&draft.header, type, 0, 0);
    draft_send(script, actor, &draft);
}

static void
say_again(struct script *script, struct actor *actor)
{
    struct letter *letter = actor->last;
    if (!letter) {
        script_fail(script, "%s has said nothing yet", actor->name);
        return;
    }
    actor->last = NULL;
    script_send(script, actor, letter->frames, letter->frame_count);
    letter_destroy(letter);
}

/* The words that every role has; false: not one of them. */
static bool
say_common(struct script *script, struct actor *actor, const char *verb, struct words *words)
{
    if (strcmp(verb, "hello") == 0) {
        say_hello(script, actor, words);
    } else if (strcmp(verb, "goodbye") == 0) {
        say_bare(script, actor, MESSAGE_GOODBYE);
    } else if (strcmp(verb, "again") == 0) {
        say_again(script, actor);
    } else if (strcmp(verb, "reconnect") == 0) {
        snprintf(actor->route, sizeof actor->route, "%s.%u", actor->name, ++actor->connections);
    } else if (strcmp(verb, "full") == 0) {
        actor->is_full = true;
    } else if (strcmp(verb, "gone") == 0) {
        actor->is_gone = true;
    } else if (strcmp(verb, "back") == 0) {
        actor->is_full = false;
        actor->is_gone = false;
    } else {
        return false;
    }
    return true;
}

/* ---- feeders ------------------------------------------------------------------------------ */

/* URL[,priority=N][,not_before=MS][,key=K][,again][,host=H][,type=T][,meta=TEXT][,body=TEXT] */
static void
write_item(struct script *script, struct draft *draft, char *word)
{
    struct words parts;
    struct buffer pairs;
    size_t count = 1;
    buffer_init(&pairs, SCRIPT_MESSAGE_BYTES_MAX);
    write_text_pair(&pairs, "url", split_parts(word, &parts));
    for (size_t i = 0; i < parts.count; i++, count++) {
        const char *part = parts.items[i];
        const char *value = NULL;
        if ((value = word_value(part, "priority")) != NULL) {
            write_number_pair(script, &pairs, "priority", value);
        } else if ((value = word_value(part, "not_before")) != NULL) {
            write_string(&pairs, "not_before_at");
            write_uint(&pairs, (uint64_t)(script->stage.time.wall_ms + word_number(script, value)));
        } else if ((value = word_value(part, "key")) != NULL) {
            write_text_pair(&pairs, "key", value);
        } else if ((value = word_value(part, "host")) != NULL) {
            write_text_pair(&pairs, "host", value);
        } else if ((value = word_value(part, "type")) != NULL) {
            write_text_pair(&pairs, "content_type", value);
        } else if ((value = word_value(part, "meta")) != NULL) {
            write_string(&pairs, "meta");
            write_map(&pairs, 1);
            write_text_pair(&pairs, "note", value);
        } else if ((value = word_value(part, "body")) != NULL) {
            write_string(&pairs, "body");
            write_uint(&pairs, draft->body_count);
            draft->bodies[draft->body_count++] = slice_string(value);
        } else if (strcmp(part, "again") == 0) {
            write_string(&pairs, "again");
            write_bool(&pairs, true);
        } else {
            script_fail(script, "an item has no '%s'", part);
        }
    }
    write_map(&draft->table, count);
    buffer_append(&draft->table, pairs.data, pairs.size);
    buffer_release(&pairs);
}

/* SEQUENCE [confirmed=N] [count=N URL: that many items, numbered] ITEM... */
static void
submit(struct script *script, struct actor *actor, struct words *words)
{
    const char *sequence = words_take(script, words, "the submit's number");
    struct draft draft;
    if (!sequence)
        return;
    script_start(script);
    draft_init(&draft);
    const char *confirmed =
        words_has(words) ? word_value(words->items[words->next], "confirmed") : NULL;
    words->next += confirmed != NULL;
    write_header(&draft.header, MESSAGE_SUBMIT, (uint64_t)word_number(script, sequence),
                 confirmed ? 1 : 0);
    if (confirmed)
        write_number_pair(script, &draft.header, "confirmed", confirmed);
    const char *many = words_has(words) ? word_value(words->items[words->next], "count") : NULL;
    draft.has_table = true;
    if (many) {
        int64_t count = word_number(script, many);
        words->next++;
        const char *stem = words_take(script, words, "the URL that is numbered");
        write_array(&draft.table, (size_t)count);
        for (int64_t i = 1; stem && i <= count; i++) {
            char url[SCRIPT_LINE_BYTES_MAX + 32];
            snprintf(url, sizeof url, "%s%lld", stem, (long long)i);
            write_map(&draft.table, 1);
            write_text_pair(&draft.table, "url", url);
        }
    } else {
        write_array(&draft.table, words->count - words->next);
        while (words_has(words))
            write_item(script, &draft, words->items[words->next++]);
    }
    draft_send(script, actor, &draft);
}

/* FIRST LAST STEM: submits FIRST to LAST, one item each: STEM with the submit's number. */
static void
submit_many(struct script *script, struct actor *actor, struct words *words)
{
    const char *first = words_take(script, words, "the first number");
    const char *last = words_take(script, words, "the last number");
    const char *stem = words_take(script, words, "the URL that is numbered");
    if (!stem)
        return;
    int64_t end = word_number(script, last);
    for (int64_t i = word_number(script, first); i <= end && !script->is_failed; i++) {
        char number[24];
        char url[SCRIPT_LINE_BYTES_MAX + 32];
        snprintf(number, sizeof number, "%lld", (long long)i);
        snprintf(url, sizeof url, "%s%lld", stem, (long long)i);
        struct words one = {.items = {number, url}, .count = 2};
        submit(script, actor, &one);
    }
}

void
send_feed(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the feeder's name");
    const char *verb = words_take(script, words, "what it does");
    struct actor *actor = name && verb ? script_actor(script, name, ROLE_FEED) : NULL;
    if (!actor || say_common(script, actor, verb, words))
        return;
    if (strcmp(verb, "submit") == 0)
        submit(script, actor, words);
    else if (strcmp(verb, "submits") == 0)
        submit_many(script, actor, words);
    else if (strcmp(verb, "beat") == 0)
        say_bare(script, actor, MESSAGE_HEARTBEAT);
    else
        script_fail(script, "a feeder does not '%s'", verb);
}

/* ---- workers ------------------------------------------------------------------------------ */

static void
beat(struct script *script, struct actor *actor, struct words *words)
{
    struct draft draft;
    draft_init(&draft);
    write_header(&draft.header, MESSAGE_HEARTBEAT, 0, 1);
    write_string(&draft.header, "running");
    write_array(&draft.header, words->count - words->next);
    while (words_has(words)) {
        const struct held *held = script_lease(script, words->items[words->next++]);
        write_uint(&draft.header, held ? held->fence : 0);
    }
    draft_send(script, actor, &draft);
}

static void
credit(struct script *script, struct actor *actor, struct words *words)
{
    const char *number = words_take(script, words, "the credit");
    struct draft draft;
    if (!number)
        return;
    draft_init(&draft);
    write_header(&draft.header, MESSAGE_CREDIT, 0, 1);
    write_number_pair(script, &draft.header, "credit", number);
    draft_send(script, actor, &draft);
}

/* The result's map: task, outcome, and text when the scenario gives one. */
static void
write_result(struct draft *draft, const struct held *held, const char *outcome, char *text,
             struct buffer *store)
{
    size_t start = store->size;
    write_map(store, 4);
    write_string(store, "version");
    write_uint(store, 1);
    write_text_pair(store, "task", held->task);
    write_text_pair(store, "outcome", outcome);
    write_text_pair(store, "text", text);
    draft->bodies[draft->body_count++] = slice_of(store->data + start, store->size - start);
}

/* The task that a report names: another one than the lease's, where the script says so. */
static const char *
named_task(const struct held *held, const struct words *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        const char *value = word_value(parts->items[i], "task");
        if (value)
            return value;
    }
    return held->task;
}

/* LEASE=OUTCOME[,status=N][,retry_after=MS][,since=MS][,location=URL][,reason=TEXT][,text=TEXT]
 * and task=ID instead of the lease's own. */
static void
write_report(struct script *script, struct draft *draft, char *word, struct buffer *results)
{
    struct words parts;
    char *reference = split_parts(word, &parts);
    char *outcome = strchr(reference, '=');
    if (!outcome) {
        script_fail(script, "a report is LEASE=OUTCOME");
        return;
    }
    *outcome++ = '\0';
    const struct held *held = script_lease(script, reference);
    if (!held)
        return;
    const char *task = named_task(held, &parts);
    write_map(&draft->table, 3 + parts.count - (task != held->task));
    write_string(&draft->table, "fence");
    write_uint(&draft->table, held->fence);
    write_text_pair(&draft->table, "task", task);
    write_text_pair(&draft->table, "outcome", outcome);
    for (size_t i = 0; i < parts.count; i++) {
        const char *part = parts.items[i];
        const char *value = NULL;
        if ((value = word_value(part, "status")) != NULL) {
            write_number_pair(script, &draft->table, "http_status", value);
        } else if ((value = word_value(part, "retry_after")) != NULL) {
            write_number_pair(script, &draft->table, "retry_after_ms", value);
        } else if ((value = word_value(part, "since")) != NULL) {
            write_number_pair(script, &draft->table, "since_request_ms", value);
        } else if ((value = word_value(part, "location")) != NULL) {
            write_text_pair(&draft->table, "location", value);
        } else if ((value = word_value(part, "reason")) != NULL) {
            write_text_pair(&draft->table, "reason", value);
        } else if (word_value(part, "task") != NULL) {
            continue; /* written above */
        } else if (word_value(part, "text") != NULL) {
            write_string(&draft->table, "result");
            write_uint(&draft->table, draft->body_count);
            write_result(draft, held, outcome, parts.items[i] + strlen("text="), results);
        } else {
            script_fail(script, "a report has no '%s'", part);
        }
    }
}

static void
report(struct script *script, struct actor *actor, struct words *words)
{
    const char *sequence = words_take(script, words, "the message's number");
    struct draft draft;
    struct buffer results;
    if (!sequence)
        return;
    draft_init(&draft);
    buffer_init(&results, SCRIPT_MESSAGE_BYTES_MAX);
    /* Room for all of them first: bodies point into it. */
    if (!buffer_extend(&results, SCRIPT_LINE_BYTES_MAX * 4))
        script_fail(script, "no memory");
    results.size = 0;
    write_header(&draft.header, MESSAGE_RESULTS, (uint64_t)word_number(script, sequence), 0);
    draft.has_table = true;
    write_array(&draft.table, words->count - words->next);
    while (words_has(words))
        write_report(script, &draft, words->items[words->next++], &results);
    draft_send(script, actor, &draft);
    buffer_release(&results);
}

static void
give_back(struct script *script, struct actor *actor, struct words *words)
{
    const char *sequence = words_take(script, words, "the message's number");
    struct draft draft;
    if (!sequence)
        return;
    draft_init(&draft);
    write_header(&draft.header, MESSAGE_RELEASE, (uint64_t)word_number(script, sequence), 1);
    write_string(&draft.header, "leases");
    write_array(&draft.header, words->count - words->next);
    while (words_has(words)) {
        const struct held *held = script_lease(script, words->items[words->next++]);
        write_array(&draft.header, 2);
        write_uint(&draft.header, held ? held->fence : 0);
        write_string(&draft.header, held ? held->task : "");
    }
    draft_send(script, actor, &draft);
}

void
send_work(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the worker's name");
    const char *verb = words_take(script, words, "what it does");
    struct actor *actor = name && verb ? script_actor(script, name, ROLE_WORK) : NULL;
    if (!actor || say_common(script, actor, verb, words))
        return;
    if (strcmp(verb, "credit") == 0)
        credit(script, actor, words);
    else if (strcmp(verb, "beat") == 0)
        beat(script, actor, words);
    else if (strcmp(verb, "report") == 0)
        report(script, actor, words);
    else if (strcmp(verb, "release") == 0)
        give_back(script, actor, words);
    else
        script_fail(script, "a worker does not '%s'", verb);
}

/* ---- collectors and control --------------------------------------------------------------- */

/* READER [credit=N] */
static void
subscribe(struct script *script, struct actor *actor, struct words *words)
{
    const char *reader = words_take(script, words, "the reader's name");
    const char *number = words_has(words) ? word_value(words->items[words->next], "credit") : NULL;
    struct draft draft;
    if (!reader)
        return;
    words->next += number != NULL;
    draft_init(&draft);
    write_header(&draft.header, MESSAGE_SUBSCRIBE, 0, 2);
    write_text_pair(&draft.header, "name", reader);
    write_number_pair(script, &draft.header, "credit", number ? number : "100");
    draft_send(script, actor, &draft);
}

void
send_collect(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the collector's name");
    const char *verb = words_take(script, words, "what it does");
    struct actor *actor = name && verb ? script_actor(script, name, ROLE_COLLECT) : NULL;
    if (!actor || say_common(script, actor, verb, words))
        return;
    if (strcmp(verb, "subscribe") == 0) {
        subscribe(script, actor, words);
    } else if (strcmp(verb, "beat") == 0) {
        say_bare(script, actor, MESSAGE_HEARTBEAT);
    } else if (strcmp(verb, "acknowledge") == 0) {
        const char *position = words_take(script, words, "the position");
        struct draft draft;
        if (!position)
            return;
        draft_init(&draft);
        write_header(&draft.header, MESSAGE_ACKNOWLEDGE, (uint64_t)word_number(script, position),
                     0);
        draft_send(script, actor, &draft);
    } else {
        script_fail(script, "a collector does not '%s'", verb);
    }
}

/* VERB [name=value...]; a value that is a number is sent as one, `yes` as true. */
void
send_control(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the client's name");
    const char *verb = words_take(script, words, "what it asks");
    struct actor *actor = name && verb ? script_actor(script, name, ROLE_CONTROL) : NULL;
    struct draft draft;
    if (!actor || say_common(script, actor, verb, words))
        return;
    draft_init(&draft);
    write_header(&draft.header, MESSAGE_REQUEST, 1, 2);
    write_text_pair(&draft.header, "verb", verb);
    write_string(&draft.header, "arguments");
    write_map(&draft.header, words->count - words->next);
    while (words_has(words)) {
        char *word = words->items[words->next++];
        const char *argument = strsep(&word, "=");
        write_string(&draft.header, argument);
        if (!word || strcmp(word, "yes") == 0)
            write_bool(&draft.header, true);
        else if (word[0] >= '0' && word[0] <= '9')
            write_uint(&draft.header, (uint64_t)word_number(script, word));
        else
            write_text(&draft.header, slice_string(word));
    }
    draft_send(script, actor, &draft);
}
