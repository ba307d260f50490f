#include "tests/scenario/script.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
script_fail(struct script *script, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%u: ", script->path, script->line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    script->is_failed = true;
}

const char *
words_take(struct script *script, struct words *words, const char *what)
{
    if (words->next < words->count)
        return words->items[words->next++];
    script_fail(script, "%s is missing at the end of the line", what);
    return NULL;
}

bool
words_has(const struct words *words)
{
    return words->next < words->count;
}

const char *
word_value(const char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

int64_t
word_number(struct script *script, const char *word)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(word, &end, 10);
    if (end == word || *end != '\0' || errno != 0)
        script_fail(script, "'%s' is no number", word);
    return number;
}

/* ---- actors ------------------------------------------------------------------------------- */

struct actor *
script_find(struct script *script, const char *name)
{
    for (size_t i = 0; i < script->actor_count; i++) {
        if (strcmp(script->actors[i]->name, name) == 0)
            return script->actors[i];
    }
    script_fail(script, "nobody is called '%s'", name);
    return NULL;
}

struct actor *
script_actor(struct script *script, const char *name, enum role role)
{
    for (size_t i = 0; i < script->actor_count; i++) {
        if (strcmp(script->actors[i]->name, name) != 0)
            continue;
        if (script->actors[i]->role == role)
            return script->actors[i];
        script_fail(script, "'%s' has another role", name);
        return NULL;
    }
    struct actor *actor = calloc(1, sizeof *actor);
    struct held *leases = calloc(SCRIPT_LEASES_MAX, sizeof *leases);
    if (!actor || !leases || script->actor_count == SCRIPT_ACTORS_MAX ||
        strlen(name) > SCRIPT_NAME_BYTES_MAX) {
        script_fail(script, "no room for another actor, or too long a name");
        free(actor);
        free(leases);
        return NULL;
    }
    snprintf(actor->name, sizeof actor->name, "%s", name);
    snprintf(actor->route, sizeof actor->route, "%s", name);
    actor->role = role;
    actor->leases = leases;
    script->actors[script->actor_count++] = actor;
    return actor;
}

const struct held *
script_lease(struct script *script, const char *reference)
{
    const char *mark = strchr(reference, '#');
    char name[SCRIPT_NAME_BYTES_MAX + 1];
    if (!mark || (size_t)(mark - reference) >= sizeof name) {
        script_fail(script, "'%s' is no lease; w1#2 is the second of w1", reference);
        return NULL;
    }
    memcpy(name, reference, (size_t)(mark - reference));
    name[mark - reference] = '\0';
    const struct actor *actor = script_find(script, name);
    int64_t number = word_number(script, mark + 1);
    if (!actor || script->is_failed)
        return NULL;
    if (number < 1 || (size_t)number > actor->lease_count) {
        script_fail(script, "%s has been given %zu leases so far", name, actor->lease_count);
        return NULL;
    }
    return &actor->leases[number - 1];
}

/* ---- letters ------------------------------------------------------------------------------ */

void
letter_destroy(struct letter *letter)
{
    if (!letter)
        return;
    for (size_t i = 0; i < letter->frame_count; i++)
        free((void *)(uintptr_t)letter->frames[i].data);
    free(letter);
}

static struct letter *
copy_letter(const struct slice *frames, size_t frame_count)
{
    struct letter *letter = calloc(1, sizeof *letter + frame_count * sizeof letter->frames[0]);
    if (!letter)
        abort();
    for (size_t i = 0; i < frame_count; i++) {
        uint8_t *bytes = malloc(frames[i].size + 1);
        if (!bytes)
            abort();
        if (frames[i].size > 0)
            memcpy(bytes, frames[i].data, frames[i].size);
        letter->frames[letter->frame_count++] = slice_of(bytes, frames[i].size);
    }
    return letter;
}

struct letter *
script_letter(struct actor *actor, enum message_type type)
{
    for (struct letter **link = &actor->inbox; *link; link = &(*link)->next) {
        if ((*link)->type == type) {
            struct letter *letter = *link;
            *link = letter->next;
            return letter;
        }
    }
    return NULL;
}

/* The broker's way out: every frame is checked as a peer would. */
static enum error
post(void *context, enum role role, struct slice route, const struct slice *frames,
     size_t frame_count)
{
    struct script *script = context;
    struct actor *actor = NULL;
    struct reader reader;
    size_t pairs = 0;
    for (size_t i = 0; i < script->actor_count; i++) {
        if (script->actors[i]->role == role &&
            slice_equal(slice_string(script->actors[i]->route), route))
            actor = script->actors[i];
    }
    if (!actor || actor->is_gone)
        return ERROR_NOT_FOUND;
    if (actor->is_full)
        return ERROR_AGAIN;
    struct letter *letter = copy_letter(frames, frame_count);
    reader_init(&reader, letter->frames[0]);
    if (message_scan(letter->frames[0]) || (frame_count > 1 && message_scan(letter->frames[1])) ||
        read_header(&reader, &letter->type, &letter->sequence, &pairs)) {
        script_fail(script, "the broker sent %s a message that cannot be read", actor->name);
        letter_destroy(letter);
        return OK;
    }
    struct letter **link = &actor->inbox;
    while (*link)
        link = &(*link)->next;
    *link = letter;
    return OK;
}

/* ---- the broker --------------------------------------------------------------------------- */

void
script_start(struct script *script)
{
    struct stage *stage = &script->stage;
    if (!script->is_open) {
        const struct core_port port = {.send = post, .context = script};
        const struct core_time time = {.now_ms = 1000000, .wall_ms = SCRIPT_START_WALL_MS};
        if (stage_init(stage, &script->options, port, time)) {
            script_fail(script, "no memory");
            return;
        }
        script->is_open = true;
    }
    if (stage->core)
        return;
    char *message = NULL;
    enum error error = stage_start(stage, &message);
    if (error)
        script_fail(script, "the broker does not start: %s", message ? message : error_text(error));
    free(message);
    if (!error)
        script_after(script);
}

void
script_after(struct script *script)
{
    struct core_counts counts;
    if (!script->stage.core)
        return;
    if (!script->is_disk_slow)
        stage_settle(&script->stage);
    core_counts(script->stage.core, &counts);
    if (!counts.is_ledger_right)
        script_fail(script, "the ledger does not add up (I11)");
}

void
script_pass(struct script *script, int64_t span_ms)
{
    struct stage *stage = &script->stage;
    int64_t end_ms = stage->time.now_ms + span_ms;
    while (stage->core && !script->is_failed) {
        int64_t next_ms = core_tick(stage->core, stage->time);
        script_after(script);
        if (stage->time.now_ms >= end_ms)
            return;
        if (next_ms <= stage->time.now_ms) {
            script_fail(script, "the core asks to be called in the past");
            return;
        }
        int64_t step_ms = (next_ms < end_ms ? next_ms : end_ms) - stage->time.now_ms;
        stage->time.now_ms += step_ms;
        stage->time.wall_ms += step_ms;
    }
}

void
script_send(struct script *script, struct actor *actor, const struct slice *frames,
            size_t frame_count)
{
    if (script->is_failed)
        return;
    script_start(script);
    if (!script->stage.core)
        return;
    struct letter *letter = copy_letter(frames, frame_count);
    core_receive(script->stage.core, script->stage.time, actor->role, slice_string(actor->route),
                 letter->frames, letter->frame_count);
    letter_destroy(actor->last);
    actor->last = letter;
    script_after(script);
}

void
script_release(struct script *script)
{
    for (size_t i = 0; i < script->actor_count; i++) {
        struct actor *actor = script->actors[i];
        while (actor->inbox) {
            struct letter *letter = actor->inbox;
            actor->inbox = letter->next;
            letter_destroy(letter);
        }
        letter_destroy(actor->last);
        letter_destroy(actor->delivered);
        free(actor->leases);
        free(actor);
    }
    if (script->is_open)
        stage_release(&script->stage);
}
