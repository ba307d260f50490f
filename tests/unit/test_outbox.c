#include <criterion/criterion.h>
#include <string.h>

#include "common/json.h"
#include "worker/credit.h"
#include "worker/lease.h"
#include "worker/outbox.h"

static const struct outbox_limits LIMITS = {
    .batch_max = 4, .window_max = 2, .message_bytes_max = 1000};

static void
add(struct outbox *outbox, uint64_t fence, size_t result_bytes)
{
    struct buffer row;
    struct buffer result;

    buffer_init(&row, 1000);
    buffer_init(&result, 10000);
    write_string(&row, "fence");
    write_uint(&row, fence);
    if (result_bytes > 0) {
        memset(buffer_extend(&result, result_bytes), 0xc0, result_bytes);
    }
    cr_assert_eq(outbox_add_report(outbox, fence, &row, 1, &result), OK);
    cr_assert_eq(row.size + result.size, 0);
}

static void
frame_is(struct slice frame, const char *json)
{
    struct buffer text;

    buffer_init(&text, 10000);
    cr_assert_eq(json_from_message(&text, frame), OK);
    cr_expect_str_eq(buffer_text(&text), json);
    buffer_release(&text);
}

static struct outbox_message *
next(struct outbox *outbox)
{
    struct outbox_message *message = NULL;

    cr_assert_eq(outbox_next(outbox, &message), OK);
    outbox_sent(outbox, message);
    return message;
}

static bool
has_next(struct outbox *outbox)
{
    struct outbox_message *message = NULL;

    return outbox_next(outbox, &message) == OK;
}

struct seen {
    uint64_t fences[16];
    size_t count;
};

static void
over(void *context, uint64_t fence, size_t row)
{
    struct seen *seen = context;

    cr_assert_eq(row, seen->count);
    seen->fences[seen->count++] = fence;
}

Test(outbox, a_message_has_rows_and_bodies)
{
    struct outbox outbox;

    outbox_init(&outbox, &LIMITS);
    add(&outbox, 5, 10);
    add(&outbox, 6, 0);
    add(&outbox, 7, 20);
    struct outbox_message *message = next(&outbox);
    cr_assert_eq(message->frame_count, 4);
    frame_is(message->frames[0], "[1,22,1,{}]");
    frame_is(message->frames[1],
             "[{\"fence\":5,\"result\":0},{\"fence\":6},{\"fence\":7,\"result\":1}]");
    cr_assert_eq(message->frames[2].size, 10);
    cr_assert_eq(message->frames[3].size, 20);
    cr_assert_eq(outbox.bytes, 30);
    cr_assert_not(has_next(&outbox));
    cr_assert_not(outbox_is_empty(&outbox));
    outbox_release(&outbox);
}

Test(outbox, answers_free_and_tell_the_rows_in_order)
{
    struct outbox outbox;
    struct seen seen = {0};

    outbox_init(&outbox, &LIMITS);
    add(&outbox, 5, 10);
    add(&outbox, 6, 10);
    next(&outbox);
    add(&outbox, 7, 10);
    next(&outbox);
    cr_assert(outbox_answered(&outbox, 2, over, &seen));
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.fences[0], 7);
    cr_assert_eq(outbox.bytes, 20);
    cr_assert_not(outbox_answered(&outbox, 2, over, &seen), "a second answer finds nothing");
    cr_assert_not(outbox_answered(&outbox, 9, over, &seen));
    seen.count = 0;
    cr_assert(outbox_answered(&outbox, 1, over, &seen));
    cr_assert_eq(seen.count, 2);
    cr_assert(outbox_is_empty(&outbox));
    cr_assert_eq(outbox.bytes, 0);
    /* The list works on after it has been empty. */
    add(&outbox, 8, 10);
    cr_assert_eq(next(&outbox)->sequence, 3);
    outbox_release(&outbox);
}

Test(outbox, batches_are_bounded_by_rows_bytes_and_kind)
{
    struct outbox outbox;
    struct seen seen = {0};

    outbox_init(&outbox, &LIMITS);
    for (uint64_t fence = 1; fence <= 5; fence++) {
        add(&outbox, fence, 1);
    }
    cr_assert_eq(next(&outbox)->item_count, 4, "batch_max");
    cr_assert_eq(next(&outbox)->item_count, 1);
    cr_assert(outbox_answered(&outbox, 1, over, &seen));
    seen.count = 0;
    cr_assert(outbox_answered(&outbox, 2, over, &seen));
    add(&outbox, 6, 600);
    add(&outbox, 7, 600);
    cr_assert_eq(next(&outbox)->item_count, 1, "message_bytes_max");
    add(&outbox, 8, 5000);
    cr_assert_eq(outbox_add_release(&outbox, 9, "t9"), OK);
    struct outbox_message *message = next(&outbox);
    cr_assert_eq(message->item_count, 1);
    cr_assert_not(has_next(&outbox), "window_max");
    seen.count = 0;
    cr_assert(outbox_answered(&outbox, 3, over, &seen));
    message = next(&outbox);
    cr_assert_eq(message->type, MESSAGE_RESULTS);
    cr_assert_eq(message->bytes, 5000, "one too large for the limit goes alone");
    seen.count = 0;
    cr_assert(outbox_answered(&outbox, 4, over, &seen));
    message = next(&outbox);
    cr_assert_eq(message->frame_count, 1);
    frame_is(message->frames[0], "[1,24,6,{\"leases\":[[9,\"t9\"]]}]");
    outbox_release(&outbox);
}

Test(outbox, a_resend_is_the_same_message_and_needs_no_window)
{
    struct outbox outbox;

    outbox_init(&outbox, &LIMITS);
    add(&outbox, 1, 10);
    struct outbox_message *first = next(&outbox);
    add(&outbox, 2, 10);
    struct outbox_message *second = next(&outbox);
    add(&outbox, 3, 10);
    outbox_resend(&outbox);
    cr_assert_eq(next(&outbox), first);
    cr_assert_eq(next(&outbox), second);
    cr_assert_not(has_next(&outbox));
    frame_is(first->frames[0], "[1,22,1,{}]");
    frame_is(first->frames[1], "[{\"fence\":1,\"result\":0}]");
    outbox_release(&outbox);
}

Test(outbox, a_lost_report_is_dropped_while_it_is_queued)
{
    struct outbox outbox;

    outbox_init(&outbox, &LIMITS);
    add(&outbox, 1, 10);
    add(&outbox, 2, 10);
    add(&outbox, 3, 10);
    outbox_drop(&outbox, 3);
    outbox_drop(&outbox, 1);
    outbox_drop(&outbox, 99);
    add(&outbox, 4, 10);
    struct outbox_message *message = next(&outbox);
    frame_is(message->frames[1], "[{\"fence\":2,\"result\":0},{\"fence\":4,\"result\":1}]");
    outbox_drop(&outbox, 2);
    cr_assert_eq(message->item_count, 2, "what is in a message stays as it was");
    cr_assert_eq(outbox.bytes, 20);
    outbox_release(&outbox);
}

Test(outbox, a_report_that_could_not_be_written_is_refused)
{
    struct outbox outbox;
    struct buffer row;
    struct buffer result;

    outbox_init(&outbox, &LIMITS);
    buffer_init(&row, 4);
    buffer_init(&result, 4);
    buffer_append_string(&row, "too long for it");
    cr_assert_eq(outbox_add_report(&outbox, 1, &row, 1, &result), ERROR_TOO_LARGE);
    cr_assert(outbox_is_empty(&outbox));
    outbox_release(&outbox);
}

Test(outbox, credit_falls_from_half_full_and_is_none_when_full)
{
    static const struct {
        size_t used;
        size_t credit;
    } rows[] = {{0, 100}, {49, 100}, {50, 100}, {63, 75}, {75, 50}, {99, 25}, {100, 0}, {500, 0}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct credit_gauge gauges[] = {{1, 100}, {rows[i].used, 100}, {0, 10}};
        cr_expect_eq(credit_of(100, gauges, 3), rows[i].credit, "%zu used", rows[i].used);
    }
    struct credit_gauge gauge = {7, 8};
    cr_expect_eq(credit_of(1, &gauge, 1), 1, "never none before it is full");
}

Test(leases, the_table_finds_orders_and_removes)
{
    struct leases leases;
    struct lease held[200] = {0};

    cr_assert_eq(leases_init(&leases, 16), OK);
    for (uint64_t i = 0; i < 200; i++) {
        held[i].fence = i * 64; /* all in one bucket of 64 */
        leases_add(&leases, &held[i]);
    }
    cr_assert_eq(leases.count, 200);
    cr_assert_eq(leases_find(&leases, 64 * 7), &held[7]);
    cr_assert_null(leases_find(&leases, 63));
    leases_remove(&leases, &held[0]);
    leases_remove(&leases, &held[199]);
    leases_remove(&leases, &held[100]);
    cr_assert_null(leases_find(&leases, 6400));
    size_t count = 0;
    for (const struct lease *lease = leases.first; lease != NULL; lease = lease->next) {
        cr_assert(lease->previous == NULL || lease->previous->fence < lease->fence);
        count++;
    }
    cr_assert_eq(count, 197);
    leases_release(&leases);
}
