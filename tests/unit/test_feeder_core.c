/* feeder_core against a scripted broker: what it sends is kept, what the broker says is handed in.
 */
#include "client/feeder_core.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MAX 64

struct sent {
    enum message_type type;
    uint64_t sequence;
    uint64_t confirmed;
    size_t item_count;
    size_t body_count;
};

struct told {
    uint64_t token;
    enum thresh_status status;
    char task[64];
    char reason[64];
};

struct bench {
    struct feeder_core *core;
    struct sent sent[SENT_MAX];
    size_t sent_count;
    struct told told[SENT_MAX];
    size_t told_count;
    bool is_blocked;
    int64_t deadline_ms;
};

static enum error
bench_send(void *context, const struct slice *frames, size_t frame_count)
{
    struct bench *bench = context;
    static const char *const names[] = {"confirmed", NULL};
    struct slice fields[1];
    struct reader reader;
    size_t pairs;
    enum error error = OK;
    if (bench->is_blocked) {
        return ERROR_AGAIN;
    }
    cr_assert_lt(bench->sent_count, SENT_MAX);
    struct sent *sent = &bench->sent[bench->sent_count++];
    cr_assert_eq(message_scan(frames[0]), OK);
    reader_init(&reader, frames[0]);
    cr_assert_eq(read_header(&reader, &sent->type, &sent->sequence, &pairs), OK);
    read_pairs(&reader, pairs, names, fields);
    sent->confirmed = field_uint(fields[0], 0, &error);
    if (frame_count > 1) {
        cr_assert_eq(message_scan(frames[1]), OK);
        reader_init(&reader, frames[1]);
        sent->item_count = read_array(&reader);
        sent->body_count = frame_count - 2;
    }
    return OK;
}

static void
bench_fed(void *context, uint64_t token, enum thresh_status status, const char *task,
          const char *reason)
{
    struct bench *bench = context;
    cr_assert_lt(bench->told_count, SENT_MAX);
    struct told *told = &bench->told[bench->told_count++];
    told->token = token;
    told->status = status;
    snprintf(told->task, sizeof told->task, "%s", task);
    snprintf(told->reason, sizeof told->reason, "%s", reason);
}

static void
bench_init(struct bench *bench, struct feeder_core_options options)
{
    *bench = (struct bench){0};
    options.name = "test";
    bench->core = feeder_core_create(&options, bench_fed, bench);
    cr_assert_not_null(bench->core);
}

static void
tick(struct bench *bench, int64_t now_ms)
{
    struct session_sender sender = {.send = bench_send, .context = bench};
    bench->sent_count = 0;
    cr_assert_eq(feeder_core_tick(bench->core, now_ms, &sender, &bench->deadline_ms), OK);
}

static enum error
receive(struct bench *bench, struct buffer *header, int64_t now_ms)
{
    cr_assert_eq(buffer_error(header), OK);
    struct slice frame = buffer_slice(header);
    enum error error = feeder_core_receive(bench->core, &frame, 1, now_ms);
    buffer_release(header);
    return error;
}

static void
welcome(struct bench *bench, uint64_t submitted, int64_t now_ms)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_WELCOME, 0, 3);
    write_string(&header, "store");
    write_string(&header, "0a0b0c0d");
    write_string(&header, "heartbeat_ms");
    write_uint(&header, 1000);
    write_string(&header, "submitted");
    write_uint(&header, submitted);
    cr_assert_eq(receive(bench, &header, now_ms), OK);
}

static void
refuse(struct bench *bench, const char *code, uint64_t sequence, int64_t now_ms)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_REFUSED, 0, 5);
    write_string(&header, "code");
    write_string(&header, code);
    write_string(&header, "reason");
    write_string(&header, "because");
    write_string(&header, "type");
    write_uint(&header, MESSAGE_SUBMIT);
    write_string(&header, "sequence");
    write_uint(&header, sequence);
    write_string(&header, "retry_ms");
    write_uint(&header, 700);
    cr_assert_eq(receive(bench, &header, now_ms), OK);
}

/* statuses: a digit an item. */
static enum error
answer(struct bench *bench, uint64_t sequence, const char *statuses, uint64_t first, int64_t now_ms)
{
    struct buffer header;
    buffer_init(&header, 10000);
    write_header(&header, MESSAGE_SUBMITTED, sequence, 4);
    write_string(&header, "statuses");
    write_array(&header, strlen(statuses));
    for (const char *digit = statuses; *digit != '\0'; digit++) {
        write_uint(&header, (uint64_t)(*digit - '0'));
    }
    write_string(&header, "first");
    write_uint(&header, first);
    write_string(&header, "reasons");
    write_map(&header, 1);
    write_string(&header, "1");
    write_string(&header, "bad host");
    write_string(&header, "retry_ms");
    write_uint(&header, 500);
    return receive(bench, &header, now_ms);
}

static void
add(struct bench *bench, const char *url, uint64_t token)
{
    struct thresh_item item = {.url = url, .token = token};
    cr_assert_eq(feeder_core_add(bench->core, &item), OK, "%s", feeder_core_message(bench->core));
}

Test(feeder_core, says_hello_first_and_submits_only_after_welcome)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 2});
    add(&bench, "http://a/", 1);
    add(&bench, "http://b/", 2);
    tick(&bench, 0);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].type, MESSAGE_HELLO);
    tick(&bench, 1);
    cr_assert_eq(bench.sent_count, 0);
    tick(&bench, 600);
    cr_assert_eq(bench.sent_count, 1, "HELLO is repeated");
    welcome(&bench, 0, 700);
    tick(&bench, 700);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].type, MESSAGE_SUBMIT);
    cr_assert_eq(bench.sent[0].sequence, 1);
    cr_assert_eq(bench.sent[0].item_count, 2);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, tells_each_item_its_status_task_and_reason)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){0});
    for (uint64_t i = 0; i < 4; i++) {
        add(&bench, "http://a/", 10 + i);
    }
    cr_assert_eq(feeder_core_flush(bench.core), OK);
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    tick(&bench, 0);
    cr_assert_eq(feeder_core_unanswered(bench.core), 4);
    cr_assert_eq(answer(&bench, 1, "0210", 255, 5), OK);
    cr_assert_eq(bench.told_count, 4);
    cr_assert_eq(bench.told[0].token, 10);
    cr_assert_str_eq(bench.told[0].task, "0a0b0c0d00000000ff");
    cr_assert_eq(bench.told[1].status, THRESH_INVALID);
    cr_assert_str_eq(bench.told[1].reason, "bad host");
    cr_assert_eq(bench.told[2].status, THRESH_KNOWN);
    cr_assert_str_eq(bench.told[2].task, "");
    cr_assert_str_eq(bench.told[3].task, "0a0b0c0d0000000100");
    cr_assert_eq(feeder_core_unanswered(bench.core), 0);
    cr_assert_eq(answer(&bench, 1, "0210", 255, 6), OK, "a second answer is passed over");
    cr_assert_eq(bench.told_count, 4);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, sends_all_unanswered_again_in_order_after_hello_first)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 1});
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    add(&bench, "http://a/", 1);
    add(&bench, "http://b/", 2);
    add(&bench, "http://c/", 3);
    tick(&bench, 0);
    cr_assert_eq(bench.sent_count, 3);
    cr_assert_eq(answer(&bench, 1, "0", 1, 1), OK);
    refuse(&bench, "hello_first", 2, 2);
    tick(&bench, 2);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].type, MESSAGE_HELLO);
    cr_assert_eq(bench.sent[0].confirmed, 1);
    welcome(&bench, 1, 3);
    tick(&bench, 3);
    cr_assert_eq(bench.sent_count, 2);
    cr_assert_eq(bench.sent[0].sequence, 2);
    cr_assert_eq(bench.sent[0].confirmed, 1);
    cr_assert_eq(bench.sent[1].sequence, 3);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, greets_again_after_three_silent_intervals)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){0});
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    for (int64_t now_ms = 1000; now_ms < 3000; now_ms += 1000) {
        tick(&bench, now_ms);
        cr_assert_eq(bench.sent_count, 1);
        cr_assert_eq(bench.sent[0].type, MESSAGE_HEARTBEAT);
    }
    tick(&bench, 3000);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].type, MESSAGE_HELLO);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, submits_busy_items_again_under_a_new_number_after_the_wait)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 3});
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    add(&bench, "http://a/", 1);
    add(&bench, "http://b/", 2);
    add(&bench, "http://c/", 3);
    tick(&bench, 0);
    cr_assert_eq(answer(&bench, 1, "303", 7, 10), OK);
    cr_assert_eq(bench.told_count, 1);
    cr_assert_eq(bench.told[0].token, 2);
    cr_assert_eq(feeder_core_answered(bench.core), 0, "the busy ones hold their submit");
    tick(&bench, 100);
    cr_assert_eq(bench.sent_count, 0);
    cr_assert_eq(bench.deadline_ms, 510);
    tick(&bench, 510);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].sequence, 2);
    cr_assert_eq(bench.sent[0].item_count, 2);
    cr_assert_eq(bench.sent[0].confirmed, 1);
    cr_assert_eq(answer(&bench, 2, "01", 8, 520), OK);
    cr_assert_eq(bench.told[1].token, 1);
    cr_assert_eq(bench.told[2].token, 3);
    cr_assert_eq(feeder_core_unanswered(bench.core), 0);
    cr_assert_eq(feeder_core_answered(bench.core), 2);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, sends_a_submit_again_when_it_is_refused_as_busy)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 1});
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    add(&bench, "http://a/", 1);
    tick(&bench, 0);
    refuse(&bench, "busy", 1, 10);
    tick(&bench, 600);
    cr_assert_eq(bench.sent_count, 0);
    tick(&bench, 710);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].sequence, 1);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, is_full_when_the_window_is_full)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 2, .window_max = 2});
    for (uint64_t i = 0; i < 6; i++) {
        add(&bench, "http://a/", i);
    }
    struct thresh_item item = {.url = "http://b/"};
    cr_assert_eq(feeder_core_add(bench.core, &item), ERROR_FULL);
    cr_assert_eq(feeder_core_unanswered(bench.core), 6);
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    tick(&bench, 0);
    cr_assert_eq(answer(&bench, 1, "00", 1, 0), OK);
    cr_assert_eq(feeder_core_add(bench.core, &item), OK);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, is_full_when_its_memory_is_full_but_takes_one_item_always)
{
    struct bench bench;
    char body[5000] = {0};
    bench_init(&bench, (struct feeder_core_options){.bytes_max = 1000});
    struct thresh_item item = {.url = "a", .body = body, .body_size = sizeof body};
    cr_assert_eq(feeder_core_add(bench.core, &item), OK);
    cr_assert_eq(feeder_core_add(bench.core, &item), ERROR_FULL);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, waits_where_the_socket_has_no_room)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 1});
    bench.is_blocked = true;
    tick(&bench, 0);
    cr_assert_eq(bench.sent_count, 0);
    cr_assert_eq(bench.deadline_ms, 20);
    bench.is_blocked = false;
    tick(&bench, 20);
    cr_assert_eq(bench.sent_count, 1);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, refuses_wrong_items_with_a_reason)
{
    static const uint8_t not_a_map[] = {0x01};
    char long_key[FEEDER_KEY_BYTES_MAX + 2];
    memset(long_key, 'k', sizeof long_key);
    long_key[sizeof long_key - 1] = '\0';
    const struct thresh_item items[] = {
        {.url = NULL},
        {.url = ""},
        {.url = "http://a/\xff"},
        {.url = "http://a/", .priority = 11},
        {.url = "http://a/", .not_before_ms = -1},
        {.url = "http://a/", .key = long_key},
        {.url = "http://a/", .meta = not_a_map, .meta_size = 1},
    };
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){0});
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        cr_assert_eq(feeder_core_add(bench.core, &items[i]), ERROR_INVALID, "item %zu", i);
        cr_assert_neq(feeder_core_message(bench.core)[0], '\0');
    }
    cr_assert_eq(feeder_core_unanswered(bench.core), 0);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, with_a_spool_sends_nothing_before_it_is_spooled)
{
    struct bench bench;
    struct feeder_submit submit;
    bench_init(&bench,
               (struct feeder_core_options){
                   .batch_max = 1, .is_spooled = true, .last_sequence = 40, .confirmed = 40});
    tick(&bench, 0);
    welcome(&bench, 40, 0);
    add(&bench, "http://a/", 1);
    tick(&bench, 0);
    cr_assert_eq(bench.sent_count, 0);
    cr_assert(feeder_core_unspooled(bench.core, 0, &submit));
    cr_assert_eq(submit.sequence, 41);
    cr_assert_eq(submit.tokens[0], 1);
    feeder_core_spooled(bench.core, 41);
    cr_assert_not(feeder_core_unspooled(bench.core, 0, &submit));
    tick(&bench, 0);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.sent[0].confirmed, 40);
    cr_assert_eq(answer(&bench, 41, "0", 1, 0), OK);
    add(&bench, "http://b/", 2);
    feeder_core_spooled(bench.core, 42);
    tick(&bench, 0);
    cr_assert_eq(bench.sent[0].confirmed, 40, "only what the spool knows may be confirmed");
    feeder_core_confirm(bench.core, 41);
    add(&bench, "http://c/", 3);
    feeder_core_spooled(bench.core, 43);
    tick(&bench, 0);
    cr_assert_eq(bench.sent[0].confirmed, 41);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, a_restored_submit_is_sent_as_it_was_and_its_tokens_come_back)
{
    struct bench first;
    struct bench second;
    struct feeder_submit submit;
    bench_init(&first, (struct feeder_core_options){.batch_max = 2, .is_spooled = true});
    struct thresh_item document = {
        .url = "a.html", .body = "<p>x", .body_size = 4, .content_type = "text/html", .token = 77};
    cr_assert_eq(feeder_core_add(first.core, &document), OK);
    add(&first, "http://b/", 78);
    cr_assert(feeder_core_unspooled(first.core, 0, &submit));

    bench_init(&second, (struct feeder_core_options){.batch_max = 2, .is_spooled = true});
    cr_assert_eq(feeder_core_restore(second.core, &submit), OK);
    cr_assert_eq(feeder_core_restore(second.core, &submit), ERROR_PROTOCOL, "numbers must grow");
    struct feeder_submit again;
    cr_assert(feeder_core_unanswered_submit(second.core, 0, &again));
    cr_assert(slice_equal(submit.bodies[0], again.bodies[0]));
    cr_assert_eq(feeder_core_unanswered(second.core), 2);
    tick(&second, 0);
    welcome(&second, 0, 0);
    tick(&second, 0);
    cr_assert_eq(second.sent[0].body_count, 1);
    cr_assert_eq(answer(&second, 1, "01", 5, 0), OK);
    cr_assert_eq(second.told[0].token, 77);
    cr_assert_eq(second.told[1].token, 78);
    feeder_core_destroy(first.core);
    feeder_core_destroy(second.core);
}

Test(feeder_core, never_uses_a_number_that_the_broker_has_seen)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 1});
    tick(&bench, 0);
    welcome(&bench, 90, 0);
    add(&bench, "http://a/", 1);
    tick(&bench, 0);
    cr_assert_eq(bench.sent[0].sequence, 91);
    feeder_core_destroy(bench.core);
}

Test(feeder_core, fails_for_good_when_the_broker_refuses_the_version)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){0});
    tick(&bench, 0);
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_REFUSED, 0, 2);
    write_string(&header, "code");
    write_string(&header, "version");
    write_string(&header, "reason");
    write_string(&header, "too old");
    cr_assert_eq(receive(&bench, &header, 0), ERROR_VERSION);
    cr_assert_eq(feeder_core_error(bench.core), ERROR_VERSION);
    cr_assert_not_null(strstr(feeder_core_message(bench.core), "too old"));
    feeder_core_destroy(bench.core);
}

Test(feeder_core, hostile_bytes_change_nothing)
{
    struct bench bench;
    bench_init(&bench, (struct feeder_core_options){.batch_max = 1});
    tick(&bench, 0);
    welcome(&bench, 0, 0);
    add(&bench, "http://a/", 1);
    tick(&bench, 0);
    unsigned seed = 7;
    for (size_t round = 0; round < 20000; round++) {
        uint8_t bytes[40] = {0x94, 0x01, 11, 0x01, 0x84};
        size_t size = (size_t)rand_r(&seed) % sizeof bytes;
        for (size_t i = round % 5; i < size; i++) {
            bytes[i] = (uint8_t)rand_r(&seed);
        }
        struct slice frame = slice_of(bytes, size);
        if (feeder_core_receive(bench.core, &frame, 1, 0) == OK) {
            continue;
        }
        cr_assert_eq(feeder_core_error(bench.core), OK);
    }
    cr_assert_eq(bench.told_count, 0);
    feeder_core_destroy(bench.core);
}
