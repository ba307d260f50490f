/* What must have come of it: the lines that begin with expect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/scenario/script.h"

#define PATH_BYTES_MAX 256

static const char *const submit_statuses[] = {"accepted", "known", "invalid", "busy"};
static const char *const record_statuses[] = {"recorded", "late", "refused"};

/* The actor and its first letter of a type; NULL after a failure. */
static struct letter *
take_letter(struct script *script, struct words *words, enum message_type type,
            struct actor **ret_actor)
{
    const char *name = words_take(script, words, "the actor's name");
    struct actor *actor = name ? script_find(script, name) : NULL;
    if (!actor)
        return NULL;
    struct letter *letter = script_letter(actor, type);
    if (!letter)
        script_fail(script, "%s has got no %s", name, message_type_name(type));
    *ret_actor = actor;
    return letter;
}

/* The raw value of one field of the letter's header; data NULL when it is not there. */
static struct slice
header_field(const struct letter *letter, const char *name)
{
    const char *const names[] = {name, NULL};
    struct slice field = {0};
    struct reader reader;
    enum message_type type;
    uint64_t sequence = 0;
    size_t pairs = 0;
    reader_init(&reader, letter->frames[0]);
    if (read_header(&reader, &type, &sequence, &pairs))
        return field;
    read_pairs(&reader, pairs, names, &field);
    return field;
}

/* ---- values by their path: tasks.dead, dead.0.history.#, ... ------------------------------- */

/* One step of a path into a value: a key of a map, a number of an array. */
static struct slice
step_into(struct slice value, const char *step)
{
    const char *const names[] = {step, NULL};
    struct slice found = {0};
    struct reader reader;
    reader_init(&reader, value);
    if (read_value(&reader).type == VALUE_MAP) {
        reader_init(&reader, value);
        read_fields(&reader, names, &found);
        return found;
    }
    reader_init(&reader, value);
    size_t count = read_array(&reader);
    if (reader.error)
        return found;
    size_t index = (size_t)strtoull(step, NULL, 10);
    for (size_t i = 0; i < count; i++) {
        struct slice item = read_raw(&reader);
        if (i == index)
            return item;
    }
    return found;
}

static void
describe(struct slice value, bool is_counted, struct buffer *out)
{
    struct reader reader;
    reader_init(&reader, value);
    struct value head = value.data ? read_value(&reader) : (struct value){.type = VALUE_NONE};
    if (head.type == VALUE_UINT)
        buffer_printf(out, "%llu", (unsigned long long)head.uint);
    else if (head.type == VALUE_BOOL)
        buffer_append_string(out, head.boolean ? "yes" : "no");
    else if (head.type == VALUE_STRING)
        buffer_append(out, head.bytes.data, head.bytes.size);
    else if ((head.type == VALUE_ARRAY || head.type == VALUE_MAP) && is_counted)
        buffer_printf(out, "%zu", head.count);
    else
        buffer_append_string(out, head.type == VALUE_NONE ? "nothing" : "(something)");
}

/* PATH=VALUE against a map: numbers, yes, no, texts (blanks as _), `nothing`; .# is a count. */
static void
check_path(struct script *script, struct slice value, const char *word)
{
    char path[PATH_BYTES_MAX];
    const char *expected = strrchr(word, '=');
    if (!expected || (size_t)(expected - word) >= sizeof path) {
        script_fail(script, "'%s' is not PATH=VALUE", word);
        return;
    }
    memcpy(path, word, (size_t)(expected - word));
    path[expected - word] = '\0';
    char *rest = path;
    char *step = NULL;
    bool is_counted = false;
    while ((step = strsep(&rest, ".")) != NULL) {
        if (strcmp(step, "#") == 0)
            is_counted = true;
        else
            value = step_into(value, step);
    }
    struct buffer text;
    buffer_init(&text, SCRIPT_MESSAGE_BYTES_MAX);
    describe(value, is_counted, &text);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == ' ')
            text.data[i] = '_';
    }
    if (strcmp(buffer_text(&text), expected + 1) != 0)
        script_fail(script, "expected %s, got %s", word, buffer_text(&text));
    buffer_release(&text);
}

/* ---- by message --------------------------------------------------------------------------- */

/* Statuses of SUBMITTED and RECORDED: one word each. */
static void
check_statuses(struct script *script, struct words *words, enum message_type type,
               const char *const *names, size_t name_count)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, type, &actor);
    const char *sequence = words_take(script, words, "the message's number");
    if (!letter || !sequence) {
        letter_destroy(letter);
        return;
    }
    if (letter->sequence != (uint64_t)word_number(script, sequence))
        script_fail(script, "the answer is to %llu", (unsigned long long)letter->sequence);
    struct reader reader;
    reader_init(&reader, header_field(letter, "statuses"));
    size_t count = read_array(&reader);
    if (words_has(words) && count != words->count - words->next)
        script_fail(script, "%zu statuses came", count);
    for (size_t i = 0; i < count && words_has(words); i++) {
        uint64_t status = read_uint(&reader);
        const char *word = words->items[words->next++];
        if (status >= name_count || strcmp(names[status], word) != 0)
            script_fail(script, "status %zu is %s", i, status < name_count ? names[status] : "?");
    }
    letter_destroy(letter);
}

static void
expect_submitted(struct script *script, struct words *words)
{
    check_statuses(script, words, MESSAGE_SUBMITTED, submit_statuses, 4);
}

static void
expect_recorded(struct script *script, struct words *words)
{
    check_statuses(script, words, MESSAGE_RECORDED, record_statuses, 3);
}

/* Fences that the broker says are lost: LEASE..., or none. */
static void
check_lost(struct script *script, struct words *words, const struct letter *letter)
{
    struct reader reader;
    struct slice field = header_field(letter, "lost");
    reader_init(&reader, field);
    size_t count = field.data ? read_array(&reader) : 0;
    if (count != words->count - words->next)
        script_fail(script, "%zu leases are lost", count);
    for (size_t i = 0; i < count && words_has(words); i++) {
        uint64_t fence = read_uint(&reader);
        const struct held *held = script_lease(script, words->items[words->next++]);
        if (held && held->fence != fence)
            script_fail(script, "another lease is lost");
    }
}

static void
expect_welcome(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_WELCOME, &actor);
    if (letter && words_has(words) && word_value(words->items[words->next], "submitted")) {
        enum error error = OK;
        int64_t expected =
            word_number(script, word_value(words->items[words->next++], "submitted"));
        uint64_t submitted = field_uint(header_field(letter, "submitted"), UINT64_MAX, &error);
        if (submitted != (uint64_t)expected)
            script_fail(script, "submitted is %llu", (unsigned long long)submitted);
    } else if (letter) {
        check_lost(script, words, letter);
    }
    letter_destroy(letter);
}

static void
expect_renewed(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_RENEWED, &actor);
    if (letter)
        check_lost(script, words, letter);
    letter_destroy(letter);
}

static void
expect_refused(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_REFUSED, &actor);
    const char *code = words_take(script, words, "the code");
    enum error error = OK;
    if (letter && code &&
        !slice_equal(field_string(header_field(letter, "code"), &error), slice_string(code)))
        script_fail(script, "it was refused for another reason");
    letter_destroy(letter);
}

/* Notes what a worker was given by one TASKS; its URLs are appended, one a line. */
static void
read_tasks(struct script *script, struct actor *actor, const struct letter *letter,
           struct buffer *urls)
{
    static const char *const names[] = {"fence", "task", "item", NULL};
    static const char *const item_names[] = {"url", NULL};
    struct reader rows;
    reader_init(&rows, letter->frame_count > 1 ? letter->frames[1] : slice_of("", 0));
    for (size_t count = read_array(&rows); count > 0; count--) {
        struct slice fields[3];
        struct slice url = {0};
        struct reader item;
        enum error error = OK;
        read_fields(&rows, names, fields);
        reader_init(&item, fields[2]);
        read_fields(&item, item_names, &url);
        url = field_string(url, &error);
        struct slice task = field_string(fields[1], &error);
        uint64_t fence = field_uint(fields[0], 0, &error);
        if (error || rows.error || actor->lease_count == SCRIPT_LEASES_MAX ||
            task.size >= sizeof actor->leases[0].task) {
            script_fail(script, "TASKS that cannot be read, or too many");
            return;
        }
        struct held *held = &actor->leases[actor->lease_count++];
        held->fence = fence;
        snprintf(held->task, sizeof held->task, "%.*s", (int)task.size, (const char *)task.data);
        snprintf(held->url, sizeof held->url, "%.*s", (int)url.size, (const char *)url.data);
        buffer_printf(urls, "%s\n", held->url);
    }
}

/* NAME URL... in order; or NAME none; or NAME count=N. */
static void
expect_tasks(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the worker's name");
    struct actor *actor = name ? script_find(script, name) : NULL;
    struct buffer came;
    struct buffer wanted;
    if (!actor)
        return;
    buffer_init(&came, SCRIPT_MESSAGE_BYTES_MAX);
    buffer_init(&wanted, SCRIPT_MESSAGE_BYTES_MAX);
    size_t before = actor->lease_count;
    for (struct letter *letter; (letter = script_letter(actor, MESSAGE_TASKS)) != NULL;) {
        read_tasks(script, actor, letter, &came);
        letter_destroy(letter);
    }
    const char *first = words_has(words) ? words->items[words->next] : "";
    if (word_value(first, "count")) {
        words->next++;
        if ((size_t)word_number(script, word_value(first, "count")) != actor->lease_count - before)
            script_fail(script, "%zu tasks came", actor->lease_count - before);
    } else {
        while (words_has(words)) {
            const char *url = words->items[words->next++];
            if (strcmp(url, "none") != 0)
                buffer_printf(&wanted, "%s\n", url);
        }
        if (!slice_equal(buffer_slice(&came), buffer_slice(&wanted)))
            script_fail(script, "these tasks came:\n%s", came.size ? buffer_text(&came) : "none");
    }
    buffer_release(&came);
    buffer_release(&wanted);
}

/* NAME POSITION...: the positions of one DELIVER. */
static void
expect_deliver(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_DELIVER, &actor);
    if (!letter)
        return;
    struct reader rows;
    reader_init(&rows, letter->frames[1]);
    size_t count = read_array(&rows);
    if (count != words->count - words->next || letter->frame_count != 2 + count)
        script_fail(script, "%zu results came", count);
    for (size_t i = 0; i < count && words_has(words); i++) {
        int64_t expected = word_number(script, words->items[words->next++]);
        uint64_t position = read_array(&rows) == 2 ? read_uint(&rows) : 0;
        read_skip(&rows);
        if (position != (uint64_t)expected)
            script_fail(script, "position %llu came", (unsigned long long)position);
    }
    letter_destroy(actor->delivered);
    actor->delivered = letter;
}

/* NAME INDEX PATH=VALUE...: into a result of the newest DELIVER, from 0. */
static void
expect_result(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the collector's name");
    const char *index = words_take(script, words, "the number of the result");
    struct actor *actor = name && index ? script_find(script, name) : NULL;
    if (!actor)
        return;
    size_t frame = 2 + (size_t)word_number(script, index);
    if (!actor->delivered || frame >= actor->delivered->frame_count) {
        script_fail(script, "%s has no such result", name);
        return;
    }
    while (words_has(words))
        check_path(script, actor->delivered->frames[frame], words->items[words->next++]);
}

static void
expect_acknowledged(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_ACKNOWLEDGED, &actor);
    const char *position = words_take(script, words, "the position");
    if (letter && position && letter->sequence != (uint64_t)word_number(script, position))
        script_fail(script, "position %llu is stored", (unsigned long long)letter->sequence);
    letter_destroy(letter);
}

static void
expect_reply(struct script *script, struct words *words)
{
    struct actor *actor = NULL;
    struct letter *letter = take_letter(script, words, MESSAGE_REPLY, &actor);
    if (!letter)
        return;
    /* The header is [version, type, sequence, {pairs}]: the map is its fourth. */
    while (words_has(words))
        check_path(script, step_into(letter->frames[0], "3"), words->items[words->next++]);
    letter_destroy(letter);
}

/* NAME [message type in lower case]: nothing (of that type) waits. */
static void
expect_nothing(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "the actor's name");
    struct actor *actor = name ? script_find(script, name) : NULL;
    const char *type = words_has(words) ? words->items[words->next++] : NULL;
    for (const struct letter *letter = actor ? actor->inbox : NULL; letter; letter = letter->next) {
        if (!type || strcasecmp(type, message_type_name(letter->type)) == 0) {
            script_fail(script, "%s has got %s", name, message_type_name(letter->type));
            return;
        }
    }
}

struct count {
    const char *name;
    uint64_t value;
};

static void
expect_counts(struct script *script, struct words *words)
{
    struct core_counts counts = {0};
    script_start(script);
    if (!script->stage.core)
        return;
    core_counts(script->stage.core, &counts);
    const struct count rows[] = {
        {"accepted", counts.accepted},
        {"ready", counts.ready},
        {"delayed", counts.delayed},
        {"leased", counts.leased},
        {"done", counts.done},
        {"dead", counts.dead},
        {"cancelled", counts.cancelled},
        {"set_aside", counts.set_aside},
        {"newest", counts.results_newest},
        {"kept", counts.results_kept},
        {"workers", counts.workers},
        {"idle", core_is_idle(script->stage.core)},
    };
    while (words_has(words)) {
        const char *word = words->items[words->next++];
        const char *value = NULL;
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            value = word_value(word, rows[i].name);
            if (value && (uint64_t)word_number(script, value) != rows[i].value)
                script_fail(script, "%s is %llu", rows[i].name, (unsigned long long)rows[i].value);
            if (value)
                break;
        }
        if (!value)
            script_fail(script, "there is no count '%s'", word);
    }
}

/* deadline MS: the core, ticked now, wants to be called again within that time. */
static void
expect_deadline(struct script *script, struct words *words)
{
    const char *within = words_take(script, words, "the time");
    script_start(script);
    if (!within || !script->stage.core)
        return;
    int64_t wait_ms = core_tick(script->stage.core, script->stage.time) - script->stage.time.now_ms;
    script_after(script);
    if (wait_ms > word_number(script, within))
        script_fail(script, "it wants to be called in %lld ms", (long long)wait_ms);
}

struct expectation {
    const char *name;
    void (*check)(struct script *script, struct words *words);
};

static const struct expectation expectations[] = {
    {"welcome", expect_welcome},   {"renewed", expect_renewed},
    {"refused", expect_refused},   {"submitted", expect_submitted},
    {"recorded", expect_recorded}, {"tasks", expect_tasks},
    {"deliver", expect_deliver},   {"result", expect_result},
    {"reply", expect_reply},       {"acknowledged", expect_acknowledged},
    {"nothing", expect_nothing},   {"counts", expect_counts},
    {"deadline", expect_deadline},
};

void
expect(struct script *script, struct words *words)
{
    const char *name = words_take(script, words, "what is expected");
    for (size_t i = 0; name && i < sizeof expectations / sizeof expectations[0]; i++) {
        if (strcmp(expectations[i].name, name) == 0) {
            expectations[i].check(script, words);
            return;
        }
    }
    if (name)
        script_fail(script, "nothing called '%s' can be expected", name);
}
