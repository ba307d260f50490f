/* host_sums: rows that tell of many hosts, read again in any state of their folding. */
#include "broker/host_sums.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "broker/store_format.h"

#define BATCH_BYTES ((size_t)16 << 20)
#define HOSTS 50
#define ROWS_MAX 4096

struct row {
    bool is_there;
    uint8_t key[9];
    struct buffer value;
};

/* The table as the store would hold it, and what wrote it. */
struct table {
    struct row rows[ROWS_MAX]; /* by number */
    struct store_batch *batch;
    struct hosts hosts;
    struct host_sums sums;
    struct buffer scratch;
    uint32_t ids[HOSTS];
};

static void
open_hosts(struct hosts *hosts)
{
    static const struct hosts_options options = {.connections_max = 1};
    cr_assert_eq(hosts_init(hosts, &options), OK);
}

static struct table *
open_table(void)
{
    struct table *table = calloc(1, sizeof *table);
    table->batch = store_batch_create(BATCH_BYTES);
    open_hosts(&table->hosts);
    buffer_init(&table->scratch, BATCH_BYTES);
    for (int i = 1; i < HOSTS; i++) {
        char name[32];
        snprintf(name, sizeof name, "h%d.example", i);
        cr_assert_eq(hosts_find(&table->hosts, slice_string(name), &table->ids[i]), OK);
    }
    table->ids[0] = HOST_DOCUMENTS;
    return table;
}

static void
close_table(struct table *table)
{
    for (int i = 0; i < ROWS_MAX; i++)
        buffer_release(&table->rows[i].value);
    store_batch_destroy(table->batch);
    hosts_release(&table->hosts);
    host_sums_release(&table->sums);
    buffer_release(&table->scratch);
    free(table);
}

static void
apply(struct table *table)
{
    struct store_row change;
    size_t cursor = 0;
    while (store_batch_next(table->batch, &cursor, &change)) {
        cr_assert(host_sums_is_row(change.key));
        uint64_t number = store_number_decode(change.key.data + 1);
        cr_assert_lt(number, ROWS_MAX);
        struct row *row = &table->rows[number];
        row->is_there = change.kind == STORE_ROW_PUT;
        memcpy(row->key, change.key.data, sizeof row->key);
        buffer_release(&row->value);
        buffer_init(&row->value, BATCH_BYTES);
        buffer_append(&row->value, change.value.data, change.value.size);
    }
    store_batch_clear(table->batch);
}

static int
count_rows(const struct table *table)
{
    int count = 0;
    for (int i = 0; i < ROWS_MAX; i++)
        count += table->rows[i].is_there;
    return count;
}

/* One batch in which some hosts have results. */
static void
work(struct table *table, uint64_t step)
{
    for (uint64_t i = 0; i < 5; i++) {
        uint32_t host = table->ids[(step * 7 + i * i) % HOSTS];
        struct host *row = host_at(&table->hosts, host);
        row->done += step;
        row->failed += i;
        row->bytes += step << 20;
        cr_assert(host_sums_change(&table->sums, &table->hosts, host));
    }
    host_sums_write(&table->sums, &table->hosts, &table->scratch, table->batch);
    apply(table);
}

static void
count_visit(void *context, uint32_t host)
{
    (void)host;
    ++*(int *)context;
}

/* A start from the table: gives the errors that its rows made. */
static int
load(const struct table *table, struct hosts *hosts, struct host_sums *sums)
{
    int failures = 0;
    int visits = 0;
    for (int i = 0; i < ROWS_MAX; i++) {
        const struct row *row = &table->rows[i];
        if (!row->is_there)
            continue;
        enum error error = host_sums_load(sums, hosts, slice_of(row->key, sizeof row->key),
                                          buffer_slice(&row->value), count_visit, &visits);
        cr_assert(error == OK || error == ERROR_CORRUPT);
        failures += error != OK;
    }
    cr_expect_eq((uint64_t)visits, sums->entries);
    return failures;
}

static void
expect_same(struct table *table, struct hosts *hosts)
{
    for (int i = 0; i < HOSTS; i++) {
        const struct host *old = host_at(&table->hosts, table->ids[i]);
        uint32_t id = hosts_lookup(hosts, host_name(&table->hosts, table->ids[i]));
        if (id == HOST_NONE) {
            cr_expect_eq(old->done + old->failed + old->bytes, 0u);
            continue;
        }
        const struct host *row = host_at(hosts, id);
        cr_expect_eq(row->done, old->done, "host %d: %lu", i, row->done);
        cr_expect_eq(row->failed, old->failed);
        cr_expect_eq(row->bytes, old->bytes);
    }
}

Test(host_sums, a_start_finds_the_sums_of_every_batch)
{
    struct table *table = open_table();
    for (uint64_t step = 1; step <= 20; step++) {
        struct hosts hosts;
        struct host_sums sums = {0};
        work(table, step);
        cr_expect_eq(count_rows(table), (int)step, "one row a batch");
        open_hosts(&hosts);
        cr_expect_eq(load(table, &hosts, &sums), 0);
        expect_same(table, &hosts);
        cr_expect_eq(sums.first, 0u);
        cr_expect_eq(sums.next, step);
        hosts_release(&hosts);
        host_sums_release(&sums);
    }
    host_sums_write(&table->sums, &table->hosts, &table->scratch, table->batch);
    cr_expect(store_batch_is_empty(table->batch), "nothing has changed");
    close_table(table);
}

Test(host_sums, folding_takes_all_rows_and_begins_again)
{
    struct table *table = open_table();
    uint64_t step = 0;
    for (int fold = 0; fold < 3; fold++) {
        while (!host_sums_is_full(&table->sums))
            work(table, ++step);
        cr_expect_eq(count_rows(table), HOST_SUMS_ROWS_MAX);
        host_sums_folded(&table->sums, &table->hosts, table->batch);
        apply(table);
        cr_expect_eq(count_rows(table), 0);
        cr_expect_not(host_sums_is_full(&table->sums));
        cr_expect_eq(table->sums.logged.count, 0u);
    }
    work(table, ++step);
    cr_expect_eq(count_rows(table), 1);
    cr_expect(table->rows[step - 1].is_there, "numbers go on");
    close_table(table);
}

Test(host_sums, rows_read_at_the_start_are_folded_too)
{
    struct table *table = open_table();
    struct hosts hosts;
    struct host_sums sums = {0};
    uint64_t step = 0;
    while (!host_sums_is_full(&table->sums))
        work(table, ++step);
    host_sums_folded(&table->sums, &table->hosts, table->batch);
    apply(table);
    for (int i = 0; i < 600; i++) /* their numbers pass 1,024 */
        work(table, ++step);
    open_hosts(&hosts);
    cr_expect_eq(load(table, &hosts, &sums), 0);
    cr_expect_eq(sums.first, HOST_SUMS_ROWS_MAX);
    cr_expect_eq(sums.next, HOST_SUMS_ROWS_MAX + 600);
    cr_expect_gt(sums.logged.count, 0u);
    for (uint32_t i = 0; i < sums.logged.count; i++)
        cr_expect(host_at(&hosts, sums.logged.hosts[i])->is_logged);
    host_sums_folded(&sums, &hosts, table->batch);
    apply(table);
    cr_expect_eq(count_rows(table), 0);
    hosts_release(&hosts);
    host_sums_release(&sums);
    close_table(table);
}

Test(host_sums, what_cannot_be_read_stays_for_a_person)
{
    static const char *const broken[] = {"", "\xff", "\x01", "\x01h\x01\x01", "\x01h\x80\x80"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct table *table = open_table();
        struct hosts hosts;
        struct host_sums sums = {0};
        for (uint64_t step = 1; step <= 10; step++)
            work(table, step);
        buffer_clear(&table->rows[4].value);
        buffer_append_string(&table->rows[4].value, broken[i]);
        open_hosts(&hosts);
        cr_expect_eq(load(table, &hosts, &sums), 1, "case %zu", i);
        cr_expect_eq(sums.next, 10u);
        host_sums_folded(&sums, &hosts, table->batch);
        apply(table);
        cr_expect(table->rows[4].is_there);
        cr_expect_not(table->rows[5].is_there || table->rows[9].is_there);
        hosts_release(&hosts);
        host_sums_release(&sums);
        close_table(table);
    }
}

Test(host_sums, the_larger_sum_is_the_newer)
{
    struct host row = {.done = 5, .failed = 1, .bytes = 100};
    host_sums_raise(&row, 4, 2, 100);
    cr_expect_eq(row.done, 5u);
    cr_expect_eq(row.failed, 2u);
    cr_expect_eq(row.bytes, 100u);
    cr_expect_not(host_sums_is_row(slice_string(".a.example")));
    cr_expect_not(host_sums_is_row(slice_string("+")));
    cr_expect_not(host_sums_is_row(slice_of("", 0)));
}
