/* collector_core against a scripted broker. */
#include "client/collector_core.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SENT_MAX 16
#define ROWS_MAX 16

struct bench {
    struct collector_core *core;
    enum message_type types[SENT_MAX];
    uint64_t sequences[SENT_MAX];
    size_t sent_count;
    uint64_t positions[ROWS_MAX]; /* of the results given out by the last delivery */
    size_t row_count;
    int64_t deadline_ms;
};

static enum error
bench_send(void *context, const struct slice *frames, size_t frame_count)
{
    struct bench *bench = context;
    struct reader reader;
    size_t pairs;
    cr_assert_eq(frame_count, 1);
    cr_assert_lt(bench->sent_count, SENT_MAX);
    cr_assert_eq(message_scan(frames[0]), OK);
    reader_init(&reader, frames[0]);
    size_t i = bench->sent_count++;
    cr_assert_eq(read_header(&reader, &bench->types[i], &bench->sequences[i], &pairs), OK);
    return OK;
}

static void
tick(struct bench *bench, int64_t now_ms)
{
    struct session_sender sender = {.send = bench_send, .context = bench};
    bench->sent_count = 0;
    cr_assert_eq(collector_core_tick(bench->core, now_ms, &sender, &bench->deadline_ms), OK);
}

static void
receive(struct bench *bench, struct buffer *header, int64_t now_ms)
{
    struct collector_delivery delivery;
    bool is_delivery;
    struct slice frame = buffer_slice(header);
    cr_assert_eq(collector_core_receive(bench->core, &frame, 1, now_ms, &is_delivery, &delivery),
                 OK);
    cr_assert_not(is_delivery);
    buffer_release(header);
}

static void
welcome(struct bench *bench, const char *store, int64_t now_ms)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_WELCOME, 0, 2);
    write_string(&header, "store");
    write_string(&header, store);
    write_string(&header, "heartbeat_ms");
    write_uint(&header, 1000);
    receive(bench, &header, now_ms);
}

static void
bench_open(struct bench *bench)
{
    *bench = (struct bench){0};
    bench->core = collector_core_create(&(struct collector_core_options){.name = "c"});
    cr_assert_not_null(bench->core);
    tick(bench, 0);
    cr_assert_eq(bench->types[0], MESSAGE_HELLO);
    welcome(bench, "aaaaaaaa", 0);
    tick(bench, 0);
    cr_assert_eq(bench->sent_count, 1);
    cr_assert_eq(bench->types[0], MESSAGE_SUBSCRIBE);
}

static void
deliver(struct bench *bench, const uint64_t *positions, size_t count)
{
    struct buffer header;
    struct buffer table;
    struct slice frames[2 + ROWS_MAX];
    struct collector_delivery delivery;
    struct collector_row row;
    bool is_delivery;
    buffer_init(&header, 1000);
    buffer_init(&table, 1000);
    write_header(&header, MESSAGE_DELIVER, positions[count - 1], 0);
    write_array(&table, count);
    for (size_t i = 0; i < count; i++) {
        char task[20];
        snprintf(task, sizeof task, "aaaaaaaa%010llx", (unsigned long long)positions[i]);
        write_array(&table, 2);
        write_uint(&table, positions[i]);
        write_string(&table, task);
        frames[2 + i] = slice_of("\x80", 1);
    }
    frames[0] = buffer_slice(&header);
    frames[1] = buffer_slice(&table);
    cr_assert_eq(collector_core_receive(bench->core, frames, count + 2, 1, &is_delivery, &delivery),
                 OK);
    cr_assert(is_delivery);
    bench->row_count = 0;
    while (collector_core_next(bench->core, &delivery, &row)) {
        bench->positions[bench->row_count++] = row.position;
    }
    buffer_release(&header);
    buffer_release(&table);
}

static void
renew(struct bench *bench, uint64_t position, uint64_t unfinished)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_RENEWED, 0, 2);
    write_string(&header, "position");
    write_uint(&header, position);
    write_string(&header, "unfinished");
    write_uint(&header, unfinished);
    receive(bench, &header, 1);
}

static void
say(struct bench *bench, enum message_type type, uint64_t sequence, const char *code)
{
    struct buffer header;
    buffer_init(&header, 1000);
    write_header(&header, type, sequence, code != NULL ? 1 : 0);
    if (code != NULL) {
        write_string(&header, "code");
        write_string(&header, code);
    }
    receive(bench, &header, 1);
}

Test(collector_core, gives_each_position_once_however_often_it_is_delivered)
{
    struct bench bench;
    bench_open(&bench);
    deliver(&bench, (uint64_t[]){3, 4, 9}, 3);
    cr_assert_eq(bench.row_count, 3);
    deliver(&bench, (uint64_t[]){4, 9, 12}, 3);
    cr_assert_eq(bench.row_count, 1);
    cr_assert_eq(bench.positions[0], 12);
    cr_assert_eq(collector_core_taken(bench.core), 12);
    collector_core_destroy(bench.core);
}

Test(collector_core, acknowledges_until_the_broker_has_stored_it)
{
    struct bench bench;
    bench_open(&bench);
    deliver(&bench, (uint64_t[]){1, 2, 3}, 3);
    collector_core_acknowledge(bench.core, 99);
    cr_assert_not(collector_core_is_acknowledged(bench.core));
    tick(&bench, 10);
    cr_assert_eq(bench.types[0], MESSAGE_ACKNOWLEDGE);
    cr_assert_eq(bench.sequences[0], 3, "no further than what was taken");
    tick(&bench, 20);
    cr_assert_eq(bench.sent_count, 0);
    say(&bench, MESSAGE_ACKNOWLEDGED, 3, NULL);
    cr_assert(collector_core_is_acknowledged(bench.core));
    collector_core_destroy(bench.core);
}

Test(collector_core, subscribes_and_acknowledges_again_after_the_broker_restarted)
{
    struct bench bench;
    bench_open(&bench);
    deliver(&bench, (uint64_t[]){1, 2}, 2);
    collector_core_acknowledge(bench.core, 2);
    tick(&bench, 10);
    say(&bench, MESSAGE_REFUSED, 0, "hello_first");
    tick(&bench, 20);
    cr_assert_eq(bench.types[0], MESSAGE_HELLO);
    welcome(&bench, "aaaaaaaa", 30);
    tick(&bench, 30);
    cr_assert_eq(bench.sent_count, 1, "nothing is acknowledged before it was delivered again");
    cr_assert_eq(bench.types[0], MESSAGE_SUBSCRIBE);
    deliver(&bench, (uint64_t[]){1, 2, 3}, 3);
    cr_assert_eq(bench.row_count, 1);
    tick(&bench, 40);
    cr_assert_eq(bench.sent_count, 1);
    cr_assert_eq(bench.types[0], MESSAGE_ACKNOWLEDGE);
    cr_assert_eq(bench.sequences[0], 2);
    collector_core_destroy(bench.core);
}

Test(collector_core, positions_start_anew_with_another_store)
{
    struct bench bench;
    bench_open(&bench);
    deliver(&bench, (uint64_t[]){50}, 1);
    say(&bench, MESSAGE_REFUSED, 0, "hello_first");
    welcome(&bench, "bbbbbbbb", 30);
    tick(&bench, 30);
    deliver(&bench, (uint64_t[]){1}, 1);
    cr_assert_eq(bench.row_count, 1);
    collector_core_destroy(bench.core);
}

Test(collector_core, only_an_answer_to_the_question_counts_as_told)
{
    struct bench bench;
    bench_open(&bench);
    tick(&bench, 1000);
    cr_assert_eq(bench.types[0], MESSAGE_HEARTBEAT);
    collector_core_ask(bench.core);
    tick(&bench, 1000);
    cr_assert_eq(bench.types[0], MESSAGE_HEARTBEAT);
    renew(&bench, 0, 0); /* of the first heartbeat */
    cr_assert_not(collector_core_is_told(bench.core));
    renew(&bench, 7, 2);
    cr_assert(collector_core_is_told(bench.core));
    cr_assert_eq(collector_core_newest(bench.core), 7);
    cr_assert_eq(collector_core_unfinished(bench.core), 2);
    collector_core_destroy(bench.core);
}

Test(collector_core, asks_again_in_a_new_session)
{
    struct bench bench;
    bench_open(&bench);
    collector_core_ask(bench.core);
    tick(&bench, 10);
    say(&bench, MESSAGE_REFUSED, 0, "hello_first");
    tick(&bench, 20);
    welcome(&bench, "aaaaaaaa", 30);
    tick(&bench, 30);
    cr_assert_eq(bench.types[0], MESSAGE_HEARTBEAT);
    renew(&bench, 1, 0);
    cr_assert(collector_core_is_told(bench.core));
    collector_core_destroy(bench.core);
}

Test(collector_core, fails_when_another_process_took_the_name)
{
    struct bench bench;
    struct buffer header;
    struct collector_delivery delivery;
    bool is_delivery;
    bench_open(&bench);
    buffer_init(&header, 1000);
    write_header(&header, MESSAGE_REFUSED, 0, 1);
    write_string(&header, "code");
    write_string(&header, "taken_over");
    struct slice frame = buffer_slice(&header);
    cr_assert_eq(collector_core_receive(bench.core, &frame, 1, 1, &is_delivery, &delivery),
                 ERROR_LOCKED);
    cr_assert_eq(collector_core_error(bench.core), ERROR_LOCKED);
    buffer_release(&header);
    collector_core_destroy(bench.core);
}

struct bad_table {
    const char *what;
    size_t size;
    uint8_t bytes[8];
    size_t body_count;
};

Test(collector_core, refuses_deliveries_that_are_not_well_formed)
{
    static const struct bad_table cases[] = {
        {"not a table", 1, {0x01}, 0},
        {"fewer bodies than rows", 6, {0x91, 0x92, 0x01, 0xa1, 'a'}, 0},
        {"position 0", 5, {0x91, 0x92, 0x00, 0xa1, 'a'}, 1},
        {"no task", 4, {0x91, 0x92, 0x01, 0xa0}, 1},
        {"one part", 3, {0x91, 0x91, 0x01}, 1},
        {"text for a position", 6, {0x91, 0x92, 0xa1, 'p', 0xa1, 'a'}, 1},
        {"claims more than is there", 5, {0xdd, 0xff, 0xff, 0xff, 0xff}, 1},
    };
    struct bench bench;
    bench_open(&bench);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer header;
        struct collector_delivery delivery;
        bool is_delivery;
        buffer_init(&header, 1000);
        write_header(&header, MESSAGE_DELIVER, 1, 0);
        struct slice frames[3] = {buffer_slice(&header), slice_of(cases[i].bytes, cases[i].size),
                                  slice_of("\x80", 1)};
        cr_assert_eq(collector_core_receive(bench.core, frames, 2 + cases[i].body_count, 1,
                                            &is_delivery, &delivery),
                     ERROR_PROTOCOL, "%s", cases[i].what);
        cr_assert_not(is_delivery);
        buffer_release(&header);
    }
    cr_assert_eq(collector_core_taken(bench.core), 0);
    collector_core_destroy(bench.core);
}

/* A DELIVER of one position, with its place among those of a subscription. */
static void
deliver_numbered(struct bench *bench, uint64_t subscription, uint64_t number, uint64_t position)
{
    struct buffer header;
    struct buffer table;
    struct slice frames[3];
    struct collector_delivery delivery;
    struct collector_row row;
    bool is_delivery = false;
    buffer_init(&header, 1000);
    buffer_init(&table, 1000);
    write_header(&header, MESSAGE_DELIVER, position, 2);
    write_string(&header, "subscription");
    write_uint(&header, subscription);
    write_string(&header, "number");
    write_uint(&header, number);
    write_array(&table, 1);
    write_array(&table, 2);
    write_uint(&table, position);
    write_string(&table, "aaaaaaaa0000000001");
    frames[0] = buffer_slice(&header);
    frames[1] = buffer_slice(&table);
    frames[2] = slice_of("\x80", 1);
    cr_assert_eq(collector_core_receive(bench->core, frames, 3, 1, &is_delivery, &delivery), OK);
    bench->row_count = 0;
    while (is_delivery && collector_core_next(bench->core, &delivery, &row))
        bench->row_count++;
    buffer_release(&header);
    buffer_release(&table);
}

Test(collector_core, a_hole_in_the_numbers_makes_it_subscribe_again)
{
    struct bench bench;
    bench_open(&bench);
    uint64_t first = bench.sequences[0];
    deliver_numbered(&bench, first, 1, 10);
    cr_expect_eq(bench.row_count, 1u);
    deliver_numbered(&bench, first, 1, 10);
    cr_expect_eq(bench.row_count, 0u, "a copy is nothing new");
    deliver_numbered(&bench, first, 3, 12); /* the second was lost with 11 */
    cr_expect_eq(bench.row_count, 0u);
    cr_expect_eq(collector_core_taken(bench.core), 10u);
    tick(&bench, 2);
    cr_assert_eq(bench.sent_count, 1u);
    cr_expect_eq(bench.types[0], MESSAGE_SUBSCRIBE);
    cr_expect_eq(bench.sequences[0], first + 1);
    deliver_numbered(&bench, first, 4, 13);
    cr_expect_eq(bench.row_count, 0u, "of the subscription before");
    deliver_numbered(&bench, first + 1, 1, 11);
    cr_expect_eq(bench.row_count, 1u);
    collector_core_destroy(bench.core);
}

Test(collector_core, an_answer_that_names_a_later_message_makes_it_subscribe_again)
{
    static const struct {
        uint64_t subscription;
        uint64_t number;
        bool is_lost;
    } cases[] = {{1, 1, false}, {1, 2, true}, {0, 0, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench bench;
        struct buffer header;
        bench_open(&bench);
        cr_assert_eq(bench.sequences[0], 1u);
        deliver_numbered(&bench, 1, 1, 10);
        tick(&bench, 1000);
        cr_assert_eq(bench.types[0], MESSAGE_HEARTBEAT);
        buffer_init(&header, 1000);
        write_header(&header, MESSAGE_RENEWED, bench.sequences[0], 3);
        write_string(&header, "position");
        write_uint(&header, 10);
        write_string(&header, "subscription");
        write_uint(&header, cases[i].subscription);
        write_string(&header, "number");
        write_uint(&header, cases[i].number);
        receive(&bench, &header, 1000);
        tick(&bench, 1001);
        cr_expect_eq(bench.sent_count > 0 && bench.types[0] == MESSAGE_SUBSCRIBE, cases[i].is_lost,
                     "case %zu", i);
        collector_core_destroy(bench.core);
    }
}
