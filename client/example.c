/*
 * Feeds three documents to a broker and prints their results: a whole program with libthresh.
 *
 *     cc example.c $(pkg-config --cflags --libs thresh) -o example
 *     thresh broker & thresh worker &
 *     ./example [FEED-ENDPOINT COLLECT-ENDPOINT]
 */
#include <thresh.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 30000

static void
fed(void *context, uint64_t token, enum thresh_status status, const char *task, const char *reason)
{
    int *accepted = context;
    if (status == THRESH_INVALID) {
        fprintf(stderr, "document %d: %s\n", (int)token, reason);
    } else {
        fprintf(stderr, "document %d is task %s\n", (int)token,
                status == THRESH_ACCEPTED ? task : "(known already)");
    }
    *accepted += status == THRESH_ACCEPTED;
}

static int
feed(const char *endpoint, int *ret_accepted)
{
    static const char *const documents[] = {
        "<title>One</title><p>The first document.</p>",
        "<title>Two</title><p>The second document.</p>",
        "A third one, in plain text.",
    };
    struct thresh_feeder_options options = {.endpoint = endpoint, .name = "example"};
    struct thresh_feeder *feeder;
    int error = thresh_feeder_open(&options, fed, ret_accepted, &feeder);
    if (error != THRESH_OK) {
        fprintf(stderr, "%s\n", thresh_error_text(error));
        return error;
    }
    for (int i = 0; i < 3 && error == THRESH_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "example-%d", i + 1);
        struct thresh_item item = {
            .url = name,
            .body = documents[i],
            .body_size = strlen(documents[i]),
            .content_type = i < 2 ? "text/html" : "text/plain",
            .again = 1,
            .token = (uint64_t)i + 1,
        };
        error = thresh_feeder_submit(feeder, &item);
    }
    if (error == THRESH_OK) {
        error = thresh_feeder_flush(feeder, WAIT_MS);
    }
    if (error != THRESH_OK) {
        fprintf(stderr, "%s: %s\n", thresh_error_text(error), thresh_feeder_message(feeder));
    }
    thresh_feeder_close(feeder);
    return error;
}

static int
collect(const char *endpoint, int count)
{
    struct thresh_collector_options options = {.endpoint = endpoint, .name = "example"};
    struct thresh_collector *collector;
    int error = thresh_collector_open(&options, &collector);
    if (error != THRESH_OK) {
        fprintf(stderr, "%s\n", thresh_error_text(error));
        return error;
    }
    while (count > 0 && error == THRESH_OK) {
        struct thresh_result result;
        error = thresh_collector_next(collector, WAIT_MS, &result);
        if (error != THRESH_OK) {
            break;
        }
        char *json = thresh_result_json(&result);
        puts(json != NULL ? json : "(not a result)");
        free(json);
        /* Printed is safe enough here; a program that keeps results says so after its fsync. */
        error = thresh_collector_acknowledge(collector, result.position);
        count--;
    }
    if (error == THRESH_OK) {
        error = thresh_collector_flush(collector, WAIT_MS);
    }
    if (error != THRESH_OK) {
        fprintf(stderr, "%s: %s\n", thresh_error_text(error), thresh_collector_message(collector));
    }
    thresh_collector_close(collector);
    return error;
}

int
main(int argc, char **argv)
{
    int accepted = 0;
    if (feed(argc > 2 ? argv[1] : NULL, &accepted) != THRESH_OK) {
        return EXIT_FAILURE;
    }
    return collect(argc > 2 ? argv[2] : NULL, accepted) == THRESH_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
