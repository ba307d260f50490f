/* record: what was written is read; what is torn or flipped is refused or stays within bounds. */
#include "broker/record.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "broker/backoff.h"

static const uint64_t numbers[] = {
    0,
    1,
    127,
    128,
    255,
    256,
    16383,
    16384,
    UINT32_MAX,
    1ULL << 56,
    (1ULL << 63) - 1,
    1ULL << 63,
    UINT64_MAX,
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

Test(record, varints_come_back)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        struct buffer out;
        uint64_t value = 1;
        buffer_init(&out, 64);
        write_varint(&out, numbers[i]);
        buffer_append_byte(&out, 0xaa);
        struct slice bytes = buffer_slice(&out);
        cr_assert(read_varint(&bytes, &value));
        cr_expect_eq(value, numbers[i]);
        cr_expect_eq(bytes.size, 1u);
        for (size_t size = 0; size + 1 < out.size; size++) {
            struct slice torn = slice_of(out.data, size);
            cr_expect_not(read_varint(&torn, &value));
        }
        buffer_release(&out);
    }
}

Test(record, varints_beyond_64_bits_are_refused)
{
    static const uint8_t wide[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                      0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    uint64_t value = 3;
    struct slice bytes = slice_of(wide, sizeof wide);
    cr_expect_not(read_varint(&bytes, &value));
    bytes = slice_of(endless, sizeof endless);
    cr_expect_not(read_varint(&bytes, &value));
    cr_expect_eq(value, 3u);
}

static struct task_record
random_task(struct dice *dice, const uint8_t *noise)
{
    bool has_body = dice_below(dice, 2);
    return (struct task_record){
        .priority = (unsigned)dice_below(dice, 10),
        .attempts = (unsigned)dice_below(dice, 256),
        .deaths = (unsigned)dice_below(dice, 256),
        .hops = (unsigned)dice_below(dice, 21),
        .fence = dice_next(dice),
        .has_body = has_body,
        .body_bytes = has_body ? dice_below(dice, 1ULL << 40) : 0,
        .due_at = (int64_t)dice_below(dice, INT64_MAX),
        .wait_ms = (int64_t)dice_below(dice, INT64_MAX),
        .submitted_at = (int64_t)dice_below(dice, INT64_MAX),
        .host = slice_of(noise, dice_below(dice, 254)),
        .history_count = (unsigned)dice_below(dice, HISTORY_MAX + 1),
        .history = slice_of(noise, dice_below(dice, 300)),
        .item = slice_of(noise, dice_below(dice, 300)),
    };
}

static void
same_task(const struct task_record *a, const struct task_record *b)
{
    cr_assert_eq(a->priority, b->priority);
    cr_assert_eq(a->attempts, b->attempts);
    cr_assert_eq(a->deaths, b->deaths);
    cr_assert_eq(a->hops, b->hops);
    cr_assert_eq(a->fence, b->fence);
    cr_assert_eq(a->has_body, b->has_body);
    cr_assert_eq(a->body_bytes, b->body_bytes);
    cr_assert_eq(a->due_at, b->due_at);
    cr_assert_eq(a->submitted_at, b->submitted_at);
    cr_assert_eq(a->wait_ms, b->wait_ms);
    cr_assert_eq(a->submitted_at, b->submitted_at);
    cr_assert_eq(a->history_count, b->history_count);
    cr_assert(slice_equal(a->host, b->host));
    cr_assert(slice_equal(a->history, b->history));
    cr_assert(slice_equal(a->item, b->item));
}

static void
within(struct slice part, const uint8_t *bytes, size_t size)
{
    if (part.size == 0)
        return;
    cr_assert(part.data >= bytes && part.data + part.size <= bytes + size);
}

/* Reads the bytes from a block of their very size, so that a sanitizer sees a step beyond it. */
static enum error
read_tight(const uint8_t *bytes, size_t size, enum error (*read)(struct slice, const uint8_t *))
{
    uint8_t *copy = malloc(size ? size : 1);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    enum error error = read(slice_of(copy, size), copy);
    free(copy);
    return error;
}

static enum error
read_task(struct slice bytes, const uint8_t *copy)
{
    struct task_record record = {0};
    enum error error = task_record_read(bytes, &record);
    if (!error) {
        within(record.host, copy, bytes.size);
        within(record.history, copy, bytes.size);
        within(record.item, copy, bytes.size);
        cr_assert(record.priority < 10 && record.attempts < 256 && record.deaths < 256);
        cr_assert(record.history_count <= HISTORY_MAX && record.due_at >= 0);
    }
    return error;
}

static enum error
read_result(struct slice bytes, const uint8_t *copy)
{
    struct result_record record = {0};
    enum error error = result_record_read(bytes, &record);
    if (!error)
        within(record.blob, copy, bytes.size);
    return error;
}

static enum error
read_dead(struct slice bytes, const uint8_t *copy)
{
    struct dead_record record = {0};
    enum error error = dead_record_read(bytes, &record);
    if (error)
        return error;
    within(record.outcome, copy, bytes.size);
    within(record.task, copy, bytes.size);
    struct task_record task;
    return task_record_read(record.task, &task);
}

static enum error
read_host(struct slice bytes, const uint8_t *copy)
{
    struct host_record record = {0};
    (void)copy;
    return host_record_read(bytes, &record);
}

/* Every truncation and every flip of a bit; strict: each truncation must be refused. */
static void
damage(const struct buffer *whole, bool is_strict,
       enum error (*read)(struct slice, const uint8_t *))
{
    cr_assert_eq(read_tight(whole->data, whole->size, read), OK);
    for (size_t size = 0; size < whole->size; size++) {
        enum error error = read_tight(whole->data, size, read);
        cr_assert(error == ERROR_CORRUPT || (error == OK && !is_strict), "%zu of %zu bytes", size,
                  whole->size);
    }
    for (size_t i = 0; i < whole->size * 8; i++) {
        whole->data[i / 8] ^= (uint8_t)(1u << i % 8);
        enum error error = read_tight(whole->data, whole->size, read);
        cr_assert(error == OK || error == ERROR_CORRUPT);
        whole->data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

Test(record, a_task_comes_back_and_a_damaged_one_stays_within_bounds, .timeout = 120)
{
    struct dice dice = {5};
    uint8_t noise[300];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)dice_next(&dice);
    for (int i = 0; i < 60; i++) {
        struct task_record record = random_task(&dice, noise);
        struct task_record again;
        struct buffer out;
        buffer_init(&out, 4096);
        task_record_write(&out, &record);
        cr_assert_eq(task_record_read(buffer_slice(&out), &again), OK);
        same_task(&record, &again);
        damage(&out, true, read_task);
        buffer_release(&out);
    }
}

Test(record, a_dead_letter_holds_its_task)
{
    struct dice dice = {6};
    uint8_t noise[300] = {1};
    for (int i = 0; i < 20; i++) {
        struct task_record task = random_task(&dice, noise);
        struct task_record again;
        struct dead_record dead;
        struct buffer out;
        buffer_init(&out, 4096);
        dead_record_write(&out, 1700000000000, "timed_out", &task);
        cr_assert_eq(dead_record_read(buffer_slice(&out), &dead), OK);
        cr_expect_eq(dead.died_at, 1700000000000);
        cr_expect(slice_equal(dead.outcome, slice_string("timed_out")));
        cr_assert_eq(task_record_read(dead.task, &again), OK);
        same_task(&task, &again);
        damage(&out, true, read_dead);
        buffer_release(&out);
    }
}

Test(record, a_result_has_its_blob_behind_the_head)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        struct result_record record;
        struct buffer out;
        buffer_init(&out, 100);
        result_record_write_head(&out, numbers[i], 1700000000000);
        size_t head = out.size;
        buffer_append_string(&out, "blob");
        cr_assert_eq(result_record_read(buffer_slice(&out), &record), OK);
        cr_expect_eq(record.sequence, numbers[i]);
        cr_expect_eq(record.recorded_at, 1700000000000);
        cr_expect(slice_equal(record.blob, slice_string("blob")));
        damage(&out, false, read_result);
        for (size_t size = 0; size < head; size++)
            cr_expect_eq(result_record_read(slice_of(out.data, size), &record), ERROR_CORRUPT);
        buffer_release(&out);
    }
}

Test(record, a_host_comes_back)
{
    static const struct host_record hosts[] = {
        {0, 0, 0, -1, 0, 0, 0},
        {1700000000000, 5000, 3, 0, 1, 2, 3},
        {INT64_MAX, INT64_MAX, UINT32_MAX, 86400000, UINT64_MAX, UINT64_MAX, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct host_record again;
        struct buffer out;
        buffer_init(&out, 100);
        host_record_write(&out, &hosts[i]);
        cr_assert_eq(host_record_read(buffer_slice(&out), &again), OK);
        cr_expect_eq(again.blocked_until_at, hosts[i].blocked_until_at);
        cr_expect_eq(again.blocked_ms, hosts[i].blocked_ms);
        cr_expect_eq(again.failures, hosts[i].failures);
        cr_expect_eq(again.gap_ms, hosts[i].gap_ms);
        cr_expect_eq(again.done, hosts[i].done);
        cr_expect_eq(again.failed, hosts[i].failed);
        cr_expect_eq(again.bytes, hosts[i].bytes);
        damage(&out, true, read_host);
        buffer_release(&out);
    }
}

struct refused {
    const char *text;
    size_t size; /* 0: to the end of the string */
};

Test(record, task_ids_come_back_and_others_are_refused)
{
    static const uint64_t sequences[] = {0, 1, 255, 1ULL << 39, (1ULL << 40) - 1};
    static const struct refused cases[] = {
        {"", 0},
        {"0badc0de000000001", 0},
        {"0badc0de00000000012", 0},
        {"0badc0df0000000001", 0},
        {"0BADC0DE0000000001", 0},
        {"0badc0de000000000g", 0},
        {"0badc0de 000000001", 0},
        {"0badc0de00000\0000001", 18},
    };
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        char text[TASK_ID_BYTES + 1];
        uint64_t sequence = 9;
        task_id_format(0x0badc0de, sequences[i], text);
        cr_expect_eq(strlen(text), (size_t)TASK_ID_BYTES);
        cr_expect(task_id_parse(0x0badc0de, slice_string(text), &sequence));
        cr_expect_eq(sequence, sequences[i]);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t sequence = 9;
        size_t size = cases[i].size ? cases[i].size : strlen(cases[i].text);
        cr_expect_not(task_id_parse(0x0badc0de, slice_of(cases[i].text, size), &sequence), "%zu",
                      i);
        cr_expect_eq(sequence, 9u);
    }
}
