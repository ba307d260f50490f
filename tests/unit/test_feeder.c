/* libthresh over real sockets, against a small scripted broker on a thread of its own. */
#include "include/thresh.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/message.h"
#include "common/socket.h"

#define WAIT_MS 20000
#define SEQUENCES_MAX 256

/* What it does wrong on purpose. */
struct script {
    size_t drops;         /* that many submits are not answered at all */
    size_t forgets_after; /* after that many answers it has "restarted": hello_first; 0: never */
    size_t busy_items;    /* that many items are refused as busy first */
    size_t results;       /* delivered to a subscriber */
};

struct broker {
    struct script script;
    struct socket_context *context;
    struct socket *router;
    struct loop *loop;
    pthread_t thread;
    char directory[64];
    char endpoint[128];
    bool is_welcomed;
    size_t answered;
    uint64_t first[SEQUENCES_MAX]; /* the answer to each sequence, as one that was stored */
    uint64_t accepted;
    uint64_t acknowledged;
    size_t subscriptions;
};

static void
reply(struct broker *broker, struct slice peer, struct buffer *header, const struct slice *more,
      size_t more_count)
{
    struct slice frames[64] = {buffer_slice(header)};
    cr_assert_lt(more_count, 63);
    if (more_count > 0) {
        memcpy(frames + 1, more, more_count * sizeof *frames);
    }
    cr_assert_eq(socket_send(broker->router, peer, frames, more_count + 1), OK);
    buffer_release(header);
}

static void
say_welcome(struct broker *broker, struct slice peer)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_WELCOME, 0, 2);
    write_string(&header, "store");
    write_string(&header, "00c0ffee");
    write_string(&header, "heartbeat_ms");
    write_uint(&header, 100);
    reply(broker, peer, &header, NULL, 0);
    broker->is_welcomed = true;
}

static void
say_hello_first(struct broker *broker, struct slice peer)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_REFUSED, 0, 1);
    write_string(&header, "code");
    write_string(&header, "hello_first");
    reply(broker, peer, &header, NULL, 0);
}

static void
submit_came(struct broker *broker, struct slice peer, uint64_t sequence, struct slice table)
{
    struct reader reader;
    struct buffer header;
    cr_assert_eq(message_scan(table), OK);
    reader_init(&reader, table);
    size_t count = read_array(&reader);
    cr_assert_lt(sequence, SEQUENCES_MAX);
    if (broker->script.drops > 0) {
        broker->script.drops--;
        return;
    }
    size_t busy = broker->script.busy_items < count ? broker->script.busy_items : count;
    if (broker->first[sequence] == 0) {
        broker->first[sequence] = broker->accepted + 1;
        broker->accepted += count - busy;
    }
    broker->script.busy_items -= busy;
    buffer_init(&header, 10000);
    write_header(&header, MESSAGE_SUBMITTED, sequence, 3);
    write_string(&header, "statuses");
    write_array(&header, count);
    for (size_t i = 0; i < count; i++) {
        write_uint(&header, i < busy ? 3 : 0);
    }
    write_string(&header, "first");
    write_uint(&header, broker->first[sequence]);
    write_string(&header, "retry_ms");
    write_uint(&header, 10);
    reply(broker, peer, &header, NULL, 0);
    broker->answered++;
    if (broker->answered == broker->script.forgets_after) {
        broker->is_welcomed = false;
    }
}

static void
subscribe_came(struct broker *broker, struct slice peer)
{
    struct buffer table;
    buffer_init(&table, 10000);
    broker->subscriptions++;
    size_t count = broker->script.results - (size_t)broker->acknowledged;
    struct slice frames[61];
    cr_assert_lt(count, 60);
    write_array(&table, count);
    for (size_t i = 0; i < count; i++) {
        char task[24];
        snprintf(task, sizeof task, "00c0ffee%010zx", (size_t)broker->acknowledged + i + 1);
        write_array(&table, 2);
        write_uint(&table, broker->acknowledged + i + 1);
        write_string(&table, task);
        frames[1 + i] = slice_of("\x81\xa1\x61\x01", 4);
    }
    frames[0] = buffer_slice(&table);
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_DELIVER, broker->script.results, 0);
    reply(broker, peer, &header, frames, count + 1);
    buffer_release(&table);
}

static void
message_came(struct broker *broker, const struct socket_message *message)
{
    struct reader reader;
    enum message_type type;
    uint64_t sequence;
    size_t pairs;
    struct buffer header;
    reader_init(&reader, message->frames[0]);
    cr_assert_eq(read_header(&reader, &type, &sequence, &pairs), OK);
    if (type == MESSAGE_HELLO) {
        say_welcome(broker, message->peer);
    } else if (!broker->is_welcomed && type != MESSAGE_GOODBYE) {
        say_hello_first(broker, message->peer);
    } else if (type == MESSAGE_SUBMIT) {
        submit_came(broker, message->peer, sequence, message->frames[1]);
    } else if (type == MESSAGE_SUBSCRIBE) {
        subscribe_came(broker, message->peer);
    } else if (type == MESSAGE_ACKNOWLEDGE) {
        broker->acknowledged = sequence;
        buffer_init(&header, 1000);
        write_header(&header, MESSAGE_ACKNOWLEDGED, sequence, 0);
        reply(broker, message->peer, &header, NULL, 0);
    } else if (type == MESSAGE_HEARTBEAT) {
        buffer_init(&header, 1000);
        write_header(&header, MESSAGE_RENEWED, 0, 2);
        write_string(&header, "position");
        write_uint(&header, broker->script.results);
        write_string(&header, "unfinished");
        write_uint(&header, 0);
        reply(broker, message->peer, &header, NULL, 0);
    }
}

static void
router_ready(void *context, int events)
{
    struct broker *broker = context;
    struct socket_message message = {0};
    (void)events;
    while (socket_receive(broker->router, &message) == OK) {
        message_came(broker, &message);
        socket_message_release(&message);
    }
}

static void
stop_asked(void *context)
{
    loop_stop(context);
}

static void *
broker_run(void *context)
{
    struct broker *broker = context;
    struct socket_options options = {.role = SOCKET_ROUTER, .message_bytes_max = 1 << 20};
    broker->router = socket_create(broker->context, &options);
    cr_assert_not_null(broker->router);
    cr_assert_eq(socket_bind(broker->router, broker->endpoint), OK);
    cr_assert_not_null(loop_add_socket(broker->loop, broker->router, router_ready, broker));
    loop_set_wake(broker->loop, stop_asked, broker->loop);
    cr_assert_eq(loop_run(broker->loop), OK);
    loop_destroy(broker->loop);
    socket_close(broker->router, 0);
    return NULL;
}

static void
broker_start(struct broker *broker, struct script script)
{
    *broker = (struct broker){.script = script};
    snprintf(broker->directory, sizeof broker->directory, "thresh-feeder-XXXXXX");
    cr_assert_not_null(mkdtemp(broker->directory));
    snprintf(broker->endpoint, sizeof broker->endpoint, "ipc://%s/feed", broker->directory);
    broker->context = socket_context_create(1);
    broker->loop = loop_create();
    cr_assert_not_null(broker->context);
    cr_assert_not_null(broker->loop);
    cr_assert_eq(pthread_create(&broker->thread, NULL, broker_run, broker), 0);
}

static void
broker_stop(struct broker *broker)
{
    char path[160];
    loop_wake(broker->loop);
    pthread_join(broker->thread, NULL);
    socket_context_destroy(broker->context);
    static const char *const names[] = {"feed", "spool", "spool.lock", "spool.damaged"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", broker->directory, names[i]);
        unlink(path);
    }
    rmdir(broker->directory);
}

struct tally {
    uint64_t accepted;
    uint64_t token_sum;
    char last_task[64];
};

static void
fed(void *context, uint64_t token, enum thresh_status status, const char *task, const char *reason)
{
    struct tally *tally = context;
    (void)reason;
    tally->accepted += status == THRESH_ACCEPTED ? 1 : 0;
    tally->token_sum += token;
    snprintf(tally->last_task, sizeof tally->last_task, "%s", task);
}

static struct thresh_feeder *
open_feeder(const struct broker *broker, const char *spool, struct tally *tally)
{
    struct thresh_feeder *feeder = NULL;
    struct thresh_feeder_options options = {
        .endpoint = broker->endpoint, .spool = spool, .batch_max = 4};
    *tally = (struct tally){0};
    cr_assert_eq(thresh_feeder_open(&options, fed, tally, &feeder), THRESH_OK);
    return feeder;
}

static void
submit(struct thresh_feeder *feeder, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        char url[64];
        snprintf(url, sizeof url, "http://example.com/%llu", (unsigned long long)i);
        struct thresh_item item = {.url = url, .token = i};
        int result;
        while ((result = thresh_feeder_submit(feeder, &item)) == THRESH_ERROR_FULL) {
            cr_assert_eq(thresh_feeder_poll(feeder, WAIT_MS), THRESH_OK);
        }
        cr_assert_eq(result, THRESH_OK);
    }
}

static void
check_all_fed_once(struct script script, uint64_t count)
{
    struct broker broker;
    struct tally tally;
    broker_start(&broker, script);
    struct thresh_feeder *feeder = open_feeder(&broker, NULL, &tally);
    submit(feeder, count);
    int result = thresh_feeder_flush(feeder, WAIT_MS);
    cr_assert_eq(result, THRESH_OK, "%s", thresh_error_text(result));
    cr_assert_eq(tally.accepted, count);
    cr_assert_eq(tally.token_sum, count * (count + 1) / 2);
    cr_assert_eq(thresh_feeder_unanswered(feeder), 0);
    thresh_feeder_close(feeder);
    broker_stop(&broker);
    cr_assert_eq(broker.accepted, count);
}

Test(feeder, feeds_every_item_once)
{
    check_all_fed_once((struct script){0}, 100);
}

Test(feeder, feeds_every_item_once_to_a_broker_that_restarts)
{
    check_all_fed_once((struct script){.forgets_after = 3}, 100);
}

Test(feeder, feeds_every_item_once_to_a_broker_that_was_full)
{
    check_all_fed_once((struct script){.busy_items = 10}, 40);
}

Test(feeder, says_so_when_no_broker_is_there)
{
    struct thresh_feeder *feeder = NULL;
    struct thresh_feeder_options options = {.endpoint = "ipc://there-is-no-such-socket",
                                            .timeout_ms = 50};
    cr_assert_eq(thresh_feeder_open(&options, NULL, NULL, &feeder), THRESH_OK);
    struct thresh_item item = {.url = "http://a/"};
    cr_assert_eq(thresh_feeder_submit(feeder, &item), THRESH_OK);
    cr_assert_eq(thresh_feeder_flush(feeder, WAIT_MS), THRESH_ERROR_UNREACHABLE);
    cr_assert_not_null(strstr(thresh_feeder_message(feeder), "did not answer"));
    thresh_feeder_close(feeder);
}

Test(feeder, refuses_an_endpoint_that_is_none)
{
    struct thresh_feeder *feeder = NULL;
    struct thresh_feeder_options options = {.endpoint = "gopher://example.com"};
    cr_assert_eq(thresh_feeder_open(&options, NULL, NULL, &feeder), THRESH_ERROR_INVALID);
}

Test(feeder, refuses_half_a_pair_of_key_files_and_files_that_are_none)
{
    struct thresh_feeder *feeder = NULL;
    struct thresh_collector *collector = NULL;
    struct thresh_feeder_options options = {.endpoint = "tcp://127.0.0.1:9", .key_file = "k"};
    cr_expect_eq(thresh_feeder_open(&options, NULL, NULL, &feeder), THRESH_ERROR_INVALID);
    struct thresh_collector_options collecting = {.endpoint = "tcp://127.0.0.1:9",
                                                  .broker_key_file = "k"};
    cr_expect_eq(thresh_collector_open(&collecting, &collector), THRESH_ERROR_INVALID);
    collecting.key_file = "/dev/null";
    cr_expect_eq(thresh_collector_open(&collecting, &collector), THRESH_ERROR_INVALID);
}

Test(feeder, a_spool_brings_unanswered_items_over_a_restart_of_the_feeder)
{
    struct broker broker;
    struct tally tally;
    char spool[128];
    /* The first life's submits are lost: eight items in two messages. */
    broker_start(&broker, (struct script){.drops = 2});
    snprintf(spool, sizeof spool, "%s/spool", broker.directory);
    struct thresh_feeder *feeder = open_feeder(&broker, spool, &tally);
    submit(feeder, 8);
    while (broker.script.drops > 0) {
        int result = thresh_feeder_poll(feeder, 10);
        cr_assert(result == THRESH_OK || result == THRESH_ERROR_TIMEOUT);
    }
    thresh_feeder_close(feeder);
    cr_assert_eq(tally.accepted, 0);

    feeder = open_feeder(&broker, spool, &tally);
    cr_assert_eq(thresh_feeder_unanswered(feeder), 8);
    cr_assert_eq(thresh_feeder_flush(feeder, WAIT_MS), THRESH_OK);
    cr_assert_eq(tally.accepted, 8);
    cr_assert_eq(tally.token_sum, 36);
    submit(feeder, 4);
    cr_assert_eq(thresh_feeder_flush(feeder, WAIT_MS), THRESH_OK);
    thresh_feeder_close(feeder);

    feeder = open_feeder(&broker, spool, &tally);
    cr_assert_eq(thresh_feeder_unanswered(feeder), 0, "what was answered stays answered");
    thresh_feeder_close(feeder);
    broker_stop(&broker);
    cr_assert_eq(broker.accepted, 12);
}

Test(feeder, a_torn_spool_loses_no_whole_record)
{
    struct broker broker;
    struct tally tally;
    char spool[128];
    struct stat status;
    broker_start(&broker, (struct script){.drops = 100});
    snprintf(spool, sizeof spool, "%s/spool", broker.directory);
    struct thresh_feeder *feeder = open_feeder(&broker, spool, &tally);
    submit(feeder, 12);
    while (broker.script.drops > 97) {
        int result = thresh_feeder_poll(feeder, 10);
        cr_assert(result == THRESH_OK || result == THRESH_ERROR_TIMEOUT);
    }
    thresh_feeder_close(feeder);
    cr_assert_eq(stat(spool, &status), 0);
    cr_assert_eq(truncate(spool, status.st_size - 3), 0);
    feeder = open_feeder(&broker, spool, &tally);
    cr_assert_eq(thresh_feeder_unanswered(feeder), 12, "only the state record was torn");
    thresh_feeder_close(feeder);
    cr_assert_eq(truncate(spool, 20), 0);
    struct thresh_feeder_options options = {.endpoint = broker.endpoint, .spool = spool};
    cr_assert_eq(thresh_feeder_open(&options, NULL, NULL, &feeder), THRESH_ERROR_IO,
                 "a spool without a head is not written over");
    broker_stop(&broker);
}

Test(feeder, a_spool_belongs_to_one_feeder_at_a_time)
{
    struct broker broker;
    struct tally tally;
    char spool[128];
    broker_start(&broker, (struct script){0});
    snprintf(spool, sizeof spool, "%s/spool", broker.directory);
    struct thresh_feeder *feeder = open_feeder(&broker, spool, &tally);
    struct thresh_feeder *second = NULL;
    struct thresh_feeder_options options = {.endpoint = broker.endpoint, .spool = spool};
    cr_assert_eq(thresh_feeder_open(&options, NULL, NULL, &second), THRESH_ERROR_IO);
    thresh_feeder_close(feeder);
    broker_stop(&broker);
}

Test(feeder, a_collector_reads_in_order_and_acknowledges)
{
    struct broker broker;
    struct thresh_collector *collector = NULL;
    struct thresh_result result;
    broker_start(&broker, (struct script){.results = 20});
    struct thresh_collector_options options = {.endpoint = broker.endpoint, .name = "c"};
    cr_assert_eq(thresh_collector_open(&options, &collector), THRESH_OK);
    for (uint64_t i = 1; i <= 20; i++) {
        cr_assert_eq(thresh_collector_next(collector, WAIT_MS, &result), THRESH_OK);
        cr_assert_eq(result.position, i);
        cr_assert_eq(strlen(result.task), 18);
        char *json = thresh_result_json(&result);
        cr_assert_str_eq(json, "{\"a\":1}");
        free(json);
    }
    cr_assert_eq(thresh_collector_acknowledge(collector, 12), THRESH_OK);
    cr_assert_eq(thresh_collector_flush(collector, WAIT_MS), THRESH_OK);
    thresh_collector_close(collector);

    cr_assert_eq(thresh_collector_open(&options, &collector), THRESH_OK);
    cr_assert_eq(thresh_collector_next(collector, WAIT_MS, &result), THRESH_OK);
    cr_assert_eq(result.position, 13, "what was not acknowledged comes again");
    thresh_collector_close(collector);
    broker_stop(&broker);
    cr_assert_eq(broker.acknowledged, 12);
}
