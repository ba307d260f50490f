/*
 * core_bench: the broker's core and store alone, without sockets, threads and waiting: what a task
 * costs the processor from SUBMIT to the recorded result. Steadier than fanout, and can be run
 * under a profiler that counts instructions.
 *
 * usage: core_bench [TASKS [BATCH]] [SCRATCH]     without SCRATCH the store is in memory
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/core.h"
#include "broker/store.h"
#include "common/buffer.h"
#include "common/message.h"

#define WORKERS 4
#define WINDOW 64
#define HOSTS 1000
#define URL_BYTES 200
#define FRAME_BYTES_MAX ((size_t)64 << 20)
#define STORE_BYTES_MAX ((uint64_t)8 << 30)

struct bench {
    struct core *core;
    struct store *store;
    struct core_time time;
    struct buffer leased[WORKERS]; /* the rows of the TASKS not answered yet, one array each */
    size_t leased_count[WORKERS];
    uint64_t sequences[WORKERS];
    uint64_t submitted;
    uint64_t answered;
    uint64_t recorded; /* reports */
    double core_s;
    double store_s;
};

static void
give_up(const char *what)
{
    fprintf(stderr, "core_bench: %s\n", what);
    exit(1);
}

static double
cpu_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What the broker sends: leases are kept, answers counted. */
static enum error
sent(void *context, enum role role, struct slice route, const struct slice *frames,
     size_t frame_count)
{
    struct bench *bench = context;
    struct reader reader;
    enum message_type type = MESSAGE_HELLO;
    uint64_t sequence = 0;
    size_t pairs = 0;
    reader_init(&reader, frames[0]);
    if (read_header(&reader, &type, &sequence, &pairs) || type == MESSAGE_REFUSED)
        give_up("refused");
    if (type == MESSAGE_SUBMITTED)
        bench->answered++;
    if (type == MESSAGE_TASKS && role == ROLE_WORK && frame_count > 1) {
        size_t worker = (size_t)(route.data[0] - '0');
        buffer_append(&bench->leased[worker], frames[1].data, frames[1].size);
        bench->leased_count[worker]++;
    }
    return OK;
}

static void
receive(struct bench *bench, enum role role, const char *route, const struct slice *frames,
        size_t frame_count)
{
    double start = cpu_s();
    core_receive(bench->core, bench->time, role, slice_string(route), frames, frame_count);
    bench->core_s += cpu_s() - start;
}

static void
greet(struct bench *bench, enum role role, const char *route)
{
    char client[16] = {0};
    struct buffer out;
    buffer_init(&out, FRAME_BYTES_MAX);
    client[0] = route[0];
    write_header(&out, MESSAGE_HELLO, 0, 4);
    write_string(&out, "role");
    write_string(&out, role_name(role));
    write_string(&out, "name");
    write_string(&out, route);
    write_string(&out, "client");
    write_binary(&out, slice_of(client, sizeof client));
    write_string(&out, "versions");
    write_array(&out, 1);
    write_uint(&out, PROTOCOL_VERSION);
    struct slice frame = buffer_slice(&out);
    receive(bench, role, route, &frame, 1);
    buffer_release(&out);
}

static void
give_credit(struct bench *bench, const char *route, uint64_t credit)
{
    struct buffer out;
    buffer_init(&out, FRAME_BYTES_MAX);
    write_header(&out, MESSAGE_CREDIT, 0, 1);
    write_string(&out, "credit");
    write_uint(&out, credit);
    struct slice frame = buffer_slice(&out);
    receive(bench, ROLE_WORK, route, &frame, 1);
    buffer_release(&out);
}

static void
submit(struct bench *bench, size_t batch)
{
    char url[URL_BYTES];
    struct buffer header;
    struct buffer table;
    buffer_init(&header, FRAME_BYTES_MAX);
    buffer_init(&table, FRAME_BYTES_MAX);
    write_header(&header, MESSAGE_SUBMIT, bench->submitted + 1, 1);
    write_string(&header, "confirmed");
    write_uint(&header, bench->answered);
    write_array(&table, batch);
    for (size_t i = 0; i < batch; i++) {
        uint64_t number = bench->submitted * batch + i;
        memset(url, 'x', sizeof url);
        int used = snprintf(url, sizeof url, "http://host-%llu.example/%llu/",
                            (unsigned long long)number % HOSTS, (unsigned long long)number);
        url[used] = 'x';
        write_map(&table, 1);
        write_string(&table, "url");
        write_text(&table, slice_of(url, sizeof url));
    }
    const struct slice frames[] = {buffer_slice(&header), buffer_slice(&table)};
    bench->submitted++;
    receive(bench, ROLE_FEED, "f", frames, 2);
    buffer_release(&header);
    buffer_release(&table);
}

/* One RESULTS for one TASKS. */
static void
report(struct bench *bench, size_t worker, struct reader *leased)
{
    static const char *const names[] = {"fence", "task", NULL};
    static const uint8_t result[] = {0x81, 0xa7, 'v', 'e', 'r', 's', 'i', 'o', 'n', 1};
    const char route[] = {(char)('0' + worker), '\0'};
    struct buffer header;
    struct buffer table;
    buffer_init(&header, FRAME_BYTES_MAX);
    buffer_init(&table, FRAME_BYTES_MAX);
    size_t count = read_array(leased);
    write_header(&header, MESSAGE_RESULTS, ++bench->sequences[worker], 0);
    write_array(&table, count);
    for (size_t i = 0; i < count; i++) {
        struct slice fields[2];
        read_fields(leased, names, fields);
        write_map(&table, 4);
        write_string(&table, "fence");
        write_raw(&table, fields[0]);
        write_string(&table, "task");
        write_raw(&table, fields[1]);
        write_string(&table, "outcome");
        write_string(&table, "ok");
        write_string(&table, "result");
        write_uint(&table, 0);
    }
    const struct slice frames[] = {buffer_slice(&header), buffer_slice(&table),
                                   slice_of(result, sizeof result)};
    receive(bench, ROLE_WORK, route, frames, 3);
    bench->recorded += count;
    buffer_release(&header);
    buffer_release(&table);
}

static void
report_all(struct bench *bench)
{
    for (size_t worker = 0; worker < WORKERS; worker++) {
        struct buffer rows = bench->leased[worker];
        size_t count = bench->leased_count[worker];
        struct reader reader;
        buffer_init(&bench->leased[worker], FRAME_BYTES_MAX);
        bench->leased_count[worker] = 0;
        reader_init(&reader, buffer_slice(&rows));
        for (size_t i = 0; i < count; i++)
            report(bench, worker, &reader);
        buffer_release(&rows);
    }
}

/* The loop's and the committer's part of a cycle: seal, commit, and all before is durable. */
static void
turn(struct bench *bench)
{
    static uint64_t applied;
    uint64_t number = 0;
    bench->time.now_ms++;
    bench->time.wall_ms++;
    double start = cpu_s();
    core_tick(bench->core, bench->time);
    const struct store_batch *batch = core_seal(bench->core, bench->time, &number);
    bench->core_s += cpu_s() - start;
    start = cpu_s();
    if (batch ? store_commit(bench->store, batch) : store_settle(bench->store))
        give_up("the store failed");
    bench->store_s += cpu_s() - start;
    start = cpu_s();
    if (applied > 0)
        core_durable(bench->core, bench->time, applied);
    bench->core_s += cpu_s() - start;
    if (batch)
        applied = number;
}

static void
open_all(struct bench *bench, const char *path)
{
    const struct store_options store_options = {.path = path, .bytes_max = STORE_BYTES_MAX};
    const struct core_options options = {
        .name = "bench",
        .host_connections = 64,
        .lease_ms = 3600000,
        .heartbeat_ms = 3600000,
        .takeover_ms = 1000,
        .attempts_max = 5,
        .backoff_ms = 1000,
        .backoff_max_ms = 60000,
        .tasks_max = 10000000,
        .results_max = 1000000000,
        .results_keep_ms = 86400000,
        .batch_max = 1024,
        .message_bytes_max = FRAME_BYTES_MAX,
        .body_bytes_max = FRAME_BYTES_MAX,
        .seed = 1,
    };
    const struct core_port port = {.send = sent, .context = bench};
    char *message = NULL;
    enum error error = path ? store_open_lmdb(&store_options, &bench->store, &message)
                            : store_open_memory(&store_options, &bench->store, &message);
    bench->time = (struct core_time){.now_ms = 1000, .wall_ms = 1700000000000};
    if (!error)
        error = core_create(&options, bench->store, port, bench->time, &bench->core, &message);
    if (error)
        give_up(message ? message : error_text(error));
}

int
main(int argc, char **argv)
{
    static struct bench bench;
    uint64_t tasks = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
    size_t batch = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
    if (tasks == 0 || batch == 0 || batch > 1024 || argc > 4) {
        fprintf(stderr, "usage: core_bench [TASKS [BATCH]] [SCRATCH]\n");
        return 2;
    }
    open_all(&bench, argc > 3 ? argv[3] : NULL);
    for (size_t i = 0; i < WORKERS; i++)
        buffer_init(&bench.leased[i], FRAME_BYTES_MAX);
    greet(&bench, ROLE_FEED, "f");
    for (size_t i = 0; i < WORKERS; i++) {
        const char route[] = {(char)('0' + i), '\0'};
        greet(&bench, ROLE_WORK, route);
        give_credit(&bench, route, WINDOW * batch);
    }
    turn(&bench);
    bench.core_s = bench.store_s = 0;
    while (bench.recorded < tasks) {
        /* About what a cycle of the disk finds: a third of the window. */
        for (size_t i = 0; i < WINDOW / 3 && bench.submitted - bench.answered < WINDOW; i++) {
            if (bench.submitted * batch < tasks)
                submit(&bench, batch);
        }
        report_all(&bench);
        turn(&bench);
    }
    printf("core_bench batch=%zu tasks=%llu core_us_per_task=%.3f store_us_per_task=%.3f\n", batch,
           (unsigned long long)bench.recorded, bench.core_s * 1e6 / (double)bench.recorded,
           bench.store_s * 1e6 / (double)bench.recorded);
    for (size_t i = 0; i < WORKERS; i++)
        buffer_release(&bench.leased[i]);
    core_destroy(bench.core);
    store_close(bench.store);
    return 0;
}
