#include "worker/attempt.h"

#include <assert.h>

/* Rows: from; columns: to, in the order of enum attempt_state. */
static const bool MOVES[ATTEMPT_STATE_COUNT][ATTEMPT_STATE_COUNT] = {
    [ATTEMPT_WAITING] = {false, true, true, true},
    [ATTEMPT_FETCHING] = {false, true, true, true},
    [ATTEMPT_EXTRACTING] = {false, false, false, true},
    [ATTEMPT_ENDED] = {false, false, false, false},
};

/* Statuses with a meaning of their own; the rest goes by its hundred. */
enum {
    STATUS_NO_CONTENT = 204,
    STATUS_RESET_CONTENT = 205,
    STATUS_PARTIAL_CONTENT = 206,
    STATUS_NOT_MODIFIED = 304,
    STATUS_TOO_MANY_REQUESTS = 429,
    STATUS_UNAVAILABLE = 503,
};

const char *
attempt_state_name(enum attempt_state state)
{
    static const char *const names[ATTEMPT_STATE_COUNT] = {"waiting", "fetching", "extracting",
                                                           "ended"};

    assert(state < ATTEMPT_STATE_COUNT);
    return names[state];
}

static void
move_to(struct attempt *attempt, enum attempt_state state)
{
    assert(MOVES[attempt->state][state]);
    attempt->state = state;
}

void
attempt_init(struct attempt *attempt, const struct lease *lease, struct arena *arena,
             size_t redirects_max)
{
    assert(redirects_max <= ATTEMPT_REDIRECTS_MAX);
    *attempt = (struct attempt){
        .state = ATTEMPT_WAITING,
        .lease = lease,
        .arena = arena,
        .redirects_max = redirects_max,
        .reason = "",
    };
}

enum attempt_action
attempt_end(struct attempt *attempt, enum outcome outcome, const char *reason)
{
    move_to(attempt, ATTEMPT_ENDED);
    attempt->outcome = outcome;
    attempt->reason = reason == NULL ? "" : reason;
    return ATTEMPT_REPORT;
}

enum attempt_action
attempt_begin(struct attempt *attempt)
{
    url_reason reason = NULL;

    assert(attempt->state == ATTEMPT_WAITING);
    if (attempt->lease->has_body) {
        move_to(attempt, ATTEMPT_EXTRACTING);
        return ATTEMPT_EXTRACT;
    }
    if (url_parse(attempt->lease->url, &attempt->target, &reason) != OK) {
        return attempt_end(attempt, OUTCOME_BAD_URL, reason);
    }
    if (attempt->target.scheme == URL_FILE) {
        return attempt_end(attempt, OUTCOME_BAD_URL, "a file is fed with its bytes, not fetched");
    }
    move_to(attempt, ATTEMPT_FETCHING);
    return ATTEMPT_FETCH;
}

static bool
was_seen(const struct attempt *attempt, struct slice url)
{
    const struct lease *lease = attempt->lease;

    for (size_t i = 0; i < lease->redirect_count; i++) {
        if (slice_equal(lease->redirects[i], url)) {
            return true;
        }
    }
    for (size_t i = 0; i < attempt->left_count; i++) {
        if (slice_equal(attempt->left[i], url)) {
            return true;
        }
    }
    return slice_equal(attempt_url(attempt), url);
}

/* A copy in the arena; data NULL without memory. */
static struct slice
kept_text(const struct attempt *attempt, const struct url *url)
{
    char *copy = arena_copy(attempt->arena, url->text, url->size);

    return slice_of(copy, copy == NULL ? 0 : url->size);
}

static enum attempt_action
follow(struct attempt *attempt, const struct url *next)
{
    struct slice left = kept_text(attempt, &attempt->target);
    url_reason reason = NULL;

    if (left.data == NULL) {
        return attempt_end(attempt, OUTCOME_RELEASED, "no memory left for a redirect");
    }
    /* A struct url points into itself, so it is parsed anew where it stays. */
    if (url_parse(slice_of(next->text, next->size), &attempt->target, &reason) != OK) {
        return attempt_end(attempt, OUTCOME_REDIRECT_BAD, reason);
    }
    attempt->left[attempt->left_count++] = left;
    move_to(attempt, ATTEMPT_FETCHING);
    return ATTEMPT_FETCH;
}

static enum attempt_action
redirected(struct attempt *attempt, struct slice location)
{
    struct url next;
    url_reason reason = NULL;

    if (location.size == 0) {
        return attempt_end(attempt, OUTCOME_REDIRECT_BAD, "a redirect without a location");
    }
    if (url_resolve(&attempt->target, location, &next, &reason) != OK) {
        return attempt_end(attempt, OUTCOME_REDIRECT_BAD, reason);
    }
    if (next.scheme == URL_FILE) {
        return attempt_end(attempt, OUTCOME_REDIRECT_BAD, "a redirect to another scheme");
    }
    if (was_seen(attempt, slice_of(next.text, next.size))) {
        return attempt_end(attempt, OUTCOME_REDIRECT_LOOP, "a redirect back to an earlier URL");
    }
    if (attempt->lease->hops + attempt->left_count >= attempt->redirects_max) {
        return attempt_end(attempt, OUTCOME_REDIRECT_LOOP, "");
    }
    if (slice_equal(next.host, attempt->target.host)) {
        return follow(attempt, &next);
    }
    attempt->location = kept_text(attempt, &next);
    if (attempt->location.data == NULL) {
        return attempt_end(attempt, OUTCOME_RELEASED, "no memory left for a redirect");
    }
    return attempt_end(attempt, OUTCOME_MOVED, "");
}

static enum attempt_action
succeeded(struct attempt *attempt, const struct attempt_answer *answer)
{
    if (answer->status == STATUS_NO_CONTENT || answer->status == STATUS_RESET_CONTENT ||
        answer->body_bytes == 0) {
        return attempt_end(attempt, OUTCOME_EMPTY, "");
    }
    if (answer->status == STATUS_PARTIAL_CONTENT) {
        /* We never ask for a range. */
        return attempt_end(attempt, OUTCOME_PROTOCOL_ERROR, "a part that was not asked for");
    }
    move_to(attempt, ATTEMPT_EXTRACTING);
    return ATTEMPT_EXTRACT;
}

enum attempt_action
attempt_fetched(struct attempt *attempt, const struct attempt_answer *answer)
{
    assert(attempt->state == ATTEMPT_FETCHING);
    attempt->status = answer->status;
    if (answer->outcome != OUTCOME_OK) {
        return attempt_end(attempt, answer->outcome, answer->reason);
    }
    if (answer->status == STATUS_NOT_MODIFIED) {
        return attempt_end(attempt, OUTCOME_NOT_MODIFIED, "");
    }
    if (answer->status == STATUS_TOO_MANY_REQUESTS || answer->status == STATUS_UNAVAILABLE) {
        return attempt_end(attempt, OUTCOME_RATE_LIMITED, "");
    }
    switch (answer->status / 100) {
    case 2:
        return succeeded(attempt, answer);
    case 3:
        return redirected(attempt, answer->location);
    case 4:
        return attempt_end(attempt, OUTCOME_HTTP_CLIENT_ERROR, "");
    case 5:
        return attempt_end(attempt, OUTCOME_HTTP_SERVER_ERROR, "");
    default:
        return attempt_end(attempt, OUTCOME_PROTOCOL_ERROR, "a status that does not exist");
    }
}

enum attempt_action
attempt_extracted(struct attempt *attempt, enum outcome outcome, const char *reason)
{
    assert(attempt->state == ATTEMPT_EXTRACTING);
    return attempt_end(attempt, outcome, reason);
}

struct slice
attempt_url(const struct attempt *attempt)
{
    if (attempt->lease->has_body || attempt->target.size == 0) {
        return attempt->lease->url;
    }
    return slice_of(attempt->target.text, attempt->target.size);
}
