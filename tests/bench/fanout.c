/*
 * fanout: durable tasks a second through a real broker: submitted and acknowledged after the sync,
 * leased to four workers, their results recorded. Beside it, in the same rounds, beanstalkd doing
 * the same job (put, reserve, delete) with a sync a job and with its default of 50 ms, and the
 * disk's bare fdatasync rate.
 *
 * usage: fanout [--rounds N] [--tasks N] [--bytes N] [--window N] [--workers N] BROKER SCRATCH
 * Prints one line a system and batch size: median (least .. most) tasks a second, server CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zmq.h>

#include "common/buffer.h"
#include "common/message.h"

#define WORKERS_MAX 16
#define ROUNDS_MAX 31
#define HOSTS 1000
#define FRAME_BYTES_MAX ((size_t)64 << 20)
#define BEANSTALK_PORT 15791

struct plan {
    int rounds;
    long tasks;
    int bytes;
    int window;
    int workers;
    int batch;
    const char *broker;
    const char *scratch;
};

struct figure {
    double rate;   /* tasks a second */
    double cpu_us; /* of the server, a task */
};

static void
die(const char *what)
{
    fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double
cpu_seconds(pid_t pid)
{
    char path[64];
    unsigned long user = 0;
    unsigned long system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                        &system) != 2)
        die(path);
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void
remove_tree(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* ---- a Thresh peer ------------------------------------------------------------------------ */

struct peer {
    void *socket;
    struct buffer out;
    struct buffer table;
};

static void
peer_send(struct peer *peer, bool has_table, struct slice body)
{
    struct slice header = buffer_slice(&peer->out);
    struct slice table = buffer_slice(&peer->table);
    bool has_body = body.size > 0;
    if (zmq_send(peer->socket, header.data, header.size, has_table ? ZMQ_SNDMORE : 0) < 0 ||
        (has_table &&
         zmq_send(peer->socket, table.data, table.size, has_body ? ZMQ_SNDMORE : 0) < 0) ||
        (has_body && zmq_send(peer->socket, body.data, body.size, 0) < 0))
        die("send");
}

/* Receives a message: its type, sequence, and the table frame when it has one. */
static enum message_type
peer_receive(struct peer *peer, uint64_t *ret_sequence, zmq_msg_t *header, zmq_msg_t *table)
{
    enum message_type type = MESSAGE_HELLO;
    struct reader reader;
    size_t pairs = 0;
    zmq_msg_close(header);
    zmq_msg_close(table);
    zmq_msg_init(header);
    zmq_msg_init(table);
    if (zmq_msg_recv(header, peer->socket, 0) < 0)
        die("receive");
    if (zmq_msg_more(header)) {
        zmq_msg_recv(table, peer->socket, 0);
        int more = zmq_msg_more(table);
        while (more) {
            zmq_msg_t rest;
            zmq_msg_init(&rest);
            zmq_msg_recv(&rest, peer->socket, 0);
            more = zmq_msg_more(&rest);
            zmq_msg_close(&rest);
        }
    }
    reader_init(&reader, slice_of(zmq_msg_data(header), zmq_msg_size(header)));
    if (read_header(&reader, &type, ret_sequence, &pairs)) {
        fprintf(stderr, "fanout: a message that cannot be read\n");
        exit(1);
    }
    if (type == MESSAGE_REFUSED) {
        fprintf(stderr, "fanout: refused: %.*s\n", (int)zmq_msg_size(header),
                (const char *)zmq_msg_data(header));
        exit(1);
    }
    return type;
}

static void
peer_open(struct peer *peer, void *context, const char *endpoint, const char *role, unsigned number)
{
    static const char letters[] = "0123456789abcdef";
    char client[16];
    int linger = 0;
    int unlimited = 0;
    memset(client, letters[number % 16], sizeof client);
    client[1] = role[0];
    buffer_init(&peer->out, FRAME_BYTES_MAX);
    buffer_init(&peer->table, FRAME_BYTES_MAX);
    peer->socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(peer->socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(peer->socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    if (zmq_connect(peer->socket, endpoint) < 0)
        die(endpoint);
    write_header(&peer->out, MESSAGE_HELLO, 0, 4);
    write_string(&peer->out, "role");
    write_string(&peer->out, role);
    write_string(&peer->out, "name");
    write_string(&peer->out, "bench");
    write_string(&peer->out, "client");
    write_binary(&peer->out, slice_of(client, sizeof client));
    write_string(&peer->out, "versions");
    write_array(&peer->out, 1);
    write_uint(&peer->out, PROTOCOL_VERSION);
    peer_send(peer, false, slice_of(NULL, 0));
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sequence = 0;
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    while (peer_receive(peer, &sequence, &header, &table) != MESSAGE_WELCOME)
        continue;
    zmq_msg_close(&header);
    zmq_msg_close(&table);
}

static void
peer_close(struct peer *peer)
{
    zmq_close(peer->socket);
    buffer_release(&peer->out);
    buffer_release(&peer->table);
}

struct shared {
    const struct plan *plan;
    void *context;
    char feed[300];
    char work[300];
    long recorded; /* atomically */
    unsigned next_worker;
    double ended;
};

static size_t
count_rows(zmq_msg_t *table)
{
    struct reader reader;
    reader_init(&reader, slice_of(zmq_msg_data(table), zmq_msg_size(table)));
    return read_array(&reader);
}

/* Answers each lease with a small result, at once. */
static void
answer_tasks(struct peer *peer, zmq_msg_t *table, uint64_t sequence)
{
    static const char *const names[] = {"fence", "task", NULL};
    static const uint8_t result[] = {0x81, 0xa7, 'v', 'e', 'r', 's', 'i', 'o', 'n', 1};
    struct reader reader;
    reader_init(&reader, slice_of(zmq_msg_data(table), zmq_msg_size(table)));
    size_t count = read_array(&reader);
    buffer_clear(&peer->out);
    buffer_clear(&peer->table);
    write_header(&peer->out, MESSAGE_RESULTS, sequence, 0);
    write_array(&peer->table, count);
    for (size_t i = 0; i < count; i++) {
        struct slice fields[2];
        read_fields(&reader, names, fields);
        write_map(&peer->table, 4);
        write_string(&peer->table, "fence");
        write_raw(&peer->table, fields[0]);
        write_string(&peer->table, "task");
        write_raw(&peer->table, fields[1]);
        write_string(&peer->table, "outcome");
        write_string(&peer->table, "ok");
        write_string(&peer->table, "result");
        write_uint(&peer->table, 0);
    }
    peer_send(peer, true, slice_of(result, sizeof result));
}

static void *
work(void *argument)
{
    struct shared *shared = argument;
    struct peer peer = {0};
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sequence = 0;
    uint64_t sent = 0;
    long waiting[1024] = {0}; /* rows of the RESULTS under way, by sequence */
    peer_open(&peer, shared->context, shared->work, "work",
              __atomic_fetch_add(&shared->next_worker, 1, __ATOMIC_RELAXED));
    buffer_clear(&peer.out);
    write_header(&peer.out, MESSAGE_CREDIT, 0, 1);
    write_string(&peer.out, "credit");
    write_uint(&peer.out, (uint64_t)(shared->plan->window * shared->plan->batch));
    peer_send(&peer, false, slice_of(NULL, 0));
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    int wait_ms = 100;
    zmq_setsockopt(peer.socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    while (__atomic_load_n(&shared->recorded, __ATOMIC_RELAXED) < shared->plan->tasks) {
        zmq_pollitem_t item = {.socket = peer.socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, wait_ms) <= 0)
            continue;
        enum message_type type = peer_receive(&peer, &sequence, &header, &table);
        if (type == MESSAGE_TASKS) {
            sent++;
            waiting[sent % 1024] = (long)count_rows(&table);
            answer_tasks(&peer, &table, sent);
        } else if (type == MESSAGE_RECORDED) {
            long rows = waiting[sequence % 1024];
            if (__atomic_add_fetch(&shared->recorded, rows, __ATOMIC_RELAXED) >=
                shared->plan->tasks)
                shared->ended = now();
        }
    }
    zmq_msg_close(&header);
    zmq_msg_close(&table);
    peer_close(&peer);
    return NULL;
}

static void
submit(struct peer *peer, const struct plan *plan, uint64_t sequence, uint64_t confirmed,
       long first, long count)
{
    char url[1024];
    memset(url, 'x', sizeof url);
    buffer_clear(&peer->out);
    buffer_clear(&peer->table);
    write_header(&peer->out, MESSAGE_SUBMIT, sequence, 1);
    write_string(&peer->out, "confirmed");
    write_uint(&peer->out, confirmed);
    write_array(&peer->table, (size_t)count);
    for (long i = first; i < first + count; i++) {
        int used = snprintf(url, sizeof url, "http://host-%ld.example/%ld/", i % HOSTS, i);
        url[used] = 'x';
        write_map(&peer->table, 1);
        write_string(&peer->table, "url");
        write_text(&peer->table, slice_of(url, (size_t)plan->bytes));
    }
    peer_send(peer, true, slice_of(NULL, 0));
}

static void
feed(struct shared *shared)
{
    const struct plan *plan = shared->plan;
    struct peer peer = {0};
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sent = 0;
    uint64_t answered = 0;
    uint64_t sequence = 0;
    long fed = 0;
    peer_open(&peer, shared->context, shared->feed, "feed", 0);
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    while (fed < plan->tasks || answered < sent) {
        while (fed < plan->tasks && sent - answered < (uint64_t)plan->window) {
            long count = plan->tasks - fed < plan->batch ? plan->tasks - fed : plan->batch;
            submit(&peer, plan, ++sent, answered, fed, count);
            fed += count;
        }
        if (peer_receive(&peer, &sequence, &header, &table) == MESSAGE_SUBMITTED)
            answered++;
    }
    zmq_msg_close(&header);
    zmq_msg_close(&table);
    peer_close(&peer);
}

static pid_t
start_broker(const struct plan *plan, const char *folder)
{
    char options[5][512];
    snprintf(options[0], sizeof options[0], "--store=%s/store", folder);
    snprintf(options[1], sizeof options[1], "--listen-feed=ipc://%s/f", folder);
    snprintf(options[2], sizeof options[2], "--listen-work=ipc://%s/w", folder);
    snprintf(options[3], sizeof options[3], "--listen-collect=ipc://%s/c", folder);
    snprintf(options[4], sizeof options[4], "--listen-control=ipc://%s/x", folder);
    pid_t pid = fork();
    if (pid == 0) {
        execl(plan->broker, plan->broker, options[0], options[1], options[2], options[3],
              options[4], "--gap=0", "--host-connections=64", "--batch-max=1024",
              "--log-level=error", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static struct figure
run_thresh(const struct plan *plan)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s/thresh", plan->scratch);
    remove_tree(folder);
    if (mkdir(folder, 0700) < 0)
        die(folder);
    struct shared shared = {.plan = plan, .context = zmq_ctx_new()};
    pthread_t workers[WORKERS_MAX];
    snprintf(shared.feed, sizeof shared.feed, "ipc://%s/f", folder);
    snprintf(shared.work, sizeof shared.work, "ipc://%s/w", folder);
    pid_t broker = start_broker(plan, folder);
    for (int i = 0; i < plan->workers; i++)
        pthread_create(&workers[i], NULL, work, &shared);
    /* The first HELLO of the feeder waits for the broker to be up. */
    struct peer probe = {0};
    peer_open(&probe, shared.context, shared.feed, "feed", 15);
    peer_close(&probe);
    double cpu = cpu_seconds(broker);
    double started = now();
    feed(&shared);
    for (int i = 0; i < plan->workers; i++)
        pthread_join(workers[i], NULL);
    struct figure figure = {
        .rate = (double)plan->tasks / (shared.ended - started),
        .cpu_us = (cpu_seconds(broker) - cpu) * 1e6 / (double)plan->tasks,
    };
    kill(broker, SIGTERM);
    waitpid(broker, NULL, 0);
    zmq_ctx_term(shared.context);
    remove_tree(folder);
    return figure;
}

/* ---- beanstalkd --------------------------------------------------------------------------- */

struct line_reader {
    int fd;
    char data[65536];
    size_t start;
    size_t end;
};

static int
connect_to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    for (int tries = 0; tries < 500; tries++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        close(fd);
        usleep(10000);
    }
    die("beanstalkd");
    return -1;
}

static void
fill(struct line_reader *reader)
{
    if (reader->start > 0) {
        memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    ssize_t got = read(reader->fd, reader->data + reader->end, sizeof reader->data - reader->end);
    if (got <= 0)
        die("beanstalkd closed");
    reader->end += (size_t)got;
}

/* The next line, without its end, NUL-terminated; valid until the next call. */
static char *
next_line(struct line_reader *reader)
{
    for (;;) {
        char *line = reader->data + reader->start;
        char *end = memchr(line, '\n', reader->end - reader->start);
        if (end) {
            *end = '\0';
            reader->start = (size_t)(end + 1 - reader->data);
            return line;
        }
        fill(reader);
    }
}

static void
skip_bytes(struct line_reader *reader, size_t size)
{
    while (reader->end - reader->start < size)
        fill(reader);
    reader->start += size;
}

static void
write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(fd, data, size);
        if (put <= 0)
            die("beanstalkd closed");
        data += put;
        size -= (size_t)put;
    }
}

/* Reserves and deletes; the delete and the next reserve go out together. */
static void *
consume(void *argument)
{
    struct shared *shared = argument;
    struct line_reader reader = {.fd = connect_to(BEANSTALK_PORT)};
    char text[128];
    write_all(reader.fd, "reserve-with-timeout 1\r\n", 24);
    while (__atomic_load_n(&shared->recorded, __ATOMIC_RELAXED) < shared->plan->tasks) {
        unsigned long id = 0;
        unsigned long size = 0;
        char *line = next_line(&reader);
        if (sscanf(line, "RESERVED %lu %lu", &id, &size) == 2) {
            skip_bytes(&reader, size + 2);
            int used = snprintf(text, sizeof text, "delete %lu\r\nreserve-with-timeout 1\r\n", id);
            write_all(reader.fd, text, (size_t)used);
        } else if (strncmp(line, "DELETED", 7) == 0) {
            if (__atomic_add_fetch(&shared->recorded, 1, __ATOMIC_RELAXED) >= shared->plan->tasks)
                shared->ended = now();
        } else {
            write_all(reader.fd, "reserve-with-timeout 1\r\n", 24);
        }
    }
    close(reader.fd);
    return NULL;
}

static void
produce(const struct plan *plan)
{
    struct line_reader reader = {.fd = connect_to(BEANSTALK_PORT)};
    char *job = malloc((size_t)plan->bytes + 64);
    long window = (long)plan->window * plan->batch;
    int head = snprintf(job, 64, "put 10 0 60 %d\r\n", plan->bytes);
    memset(job + head, 'x', (size_t)plan->bytes);
    job[head + plan->bytes] = '\r';
    job[head + plan->bytes + 1] = '\n';
    long sent = 0;
    for (long answered = 0; answered < plan->tasks; answered++) {
        for (; sent < plan->tasks && sent - answered < window; sent++)
            write_all(reader.fd, job, (size_t)(head + plan->bytes) + 2);
        if (strncmp(next_line(&reader), "INSERTED", 8) != 0)
            die("put");
    }
    close(reader.fd);
    free(job);
}

static struct figure
run_beanstalkd(const struct plan *plan, const char *sync_ms)
{
    char folder[256];
    char port[16];
    pthread_t workers[WORKERS_MAX];
    struct shared shared = {.plan = plan};
    snprintf(folder, sizeof folder, "%s/beanstalkd", plan->scratch);
    snprintf(port, sizeof port, "%d", BEANSTALK_PORT);
    remove_tree(folder);
    if (mkdir(folder, 0700) < 0)
        die(folder);
    pid_t server = fork();
    if (server == 0) {
        execlp("beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", port, "-b", folder, "-f",
               sync_ms, (char *)NULL);
        _exit(127);
    }
    close(connect_to(BEANSTALK_PORT));
    double cpu = cpu_seconds(server);
    double started = now();
    for (int i = 0; i < plan->workers; i++)
        pthread_create(&workers[i], NULL, consume, &shared);
    produce(plan);
    for (int i = 0; i < plan->workers; i++)
        pthread_join(workers[i], NULL);
    struct figure figure = {
        .rate = (double)plan->tasks / (shared.ended - started),
        .cpu_us = (cpu_seconds(server) - cpu) * 1e6 / (double)plan->tasks,
    };
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    remove_tree(folder);
    return figure;
}

/* ---- the disk ----------------------------------------------------------------------------- */

static double
flush_rate(const struct plan *plan)
{
    char path[512];
    char block[4096] = {1};
    int count = 0;
    snprintf(path, sizeof path, "%s/flush", plan->scratch);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die(path);
    double started = now();
    for (; now() - started < 0.5; count++) {
        if (pwrite(fd, block, sizeof block, (off_t)count * 4096) < 0 || fdatasync(fd) < 0)
            die(path);
    }
    double rate = count / (now() - started);
    close(fd);
    unlink(path);
    return rate;
}

/* ---- rounds ------------------------------------------------------------------------------- */

static int
compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double
median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

struct contest {
    const char *name;
    int batch;
    const char *sync_ms; /* of beanstalkd; NULL: Thresh */
    long share;          /* of the tasks, so that slow ones end */
    double rates[ROUNDS_MAX];
    double cpus[ROUNDS_MAX];
};

int
main(int argc, char **argv)
{
    struct plan plan = {.rounds = 5, .tasks = 200000, .bytes = 200, .window = 64, .workers = 4};
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'},  {"tasks", required_argument, NULL, 't'},
        {"bytes", required_argument, NULL, 'b'},   {"window", required_argument, NULL, 'w'},
        {"workers", required_argument, NULL, 'k'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        long value = optarg ? strtol(optarg, NULL, 10) : 0;
        if (option == 'r')
            plan.rounds = (int)value;
        else if (option == 't')
            plan.tasks = value;
        else if (option == 'b')
            plan.bytes = (int)value;
        else if (option == 'w')
            plan.window = (int)value;
        else if (option == 'k')
            plan.workers = (int)value;
        else
            return 2;
    }
    if (argc - optind != 2 || plan.rounds < 1 || plan.rounds > ROUNDS_MAX || plan.workers < 1 ||
        plan.workers > WORKERS_MAX || plan.bytes < 64 || plan.bytes > 1000 || plan.tasks < 1000) {
        fprintf(stderr, "usage: fanout [--rounds N] [--tasks N] [--bytes N] [--window N] "
                        "[--workers N] BROKER SCRATCH\n");
        return 2;
    }
    plan.broker = argv[optind];
    plan.scratch = argv[optind + 1];
    signal(SIGPIPE, SIG_IGN);
    struct contest contests[] = {
        {.name = "thresh, 1 task a message", .batch = 1, .share = 2},
        {.name = "thresh, 16 tasks a message", .batch = 16, .share = 1},
        {.name = "thresh, 256 tasks a message", .batch = 256, .share = 1},
        {.name = "beanstalkd -f 50 (default)", .batch = 1, .sync_ms = "50", .share = 10},
        {.name = "beanstalkd -f 0", .batch = 1, .sync_ms = "0", .share = 40},
    };
    size_t count = sizeof contests / sizeof contests[0];
    double flushes[ROUNDS_MAX];
    for (int round = 0; round < plan.rounds; round++) {
        flushes[round] = flush_rate(&plan);
        for (size_t i = 0; i < count; i++) {
            struct plan one = plan;
            one.batch = contests[i].batch;
            one.tasks = plan.tasks / contests[i].share;
            struct figure figure =
                contests[i].sync_ms ? run_beanstalkd(&one, contests[i].sync_ms) : run_thresh(&one);
            contests[i].rates[round] = figure.rate;
            contests[i].cpus[round] = figure.cpu_us;
        }
    }
    printf("%-30s %8.0f a second (median of %d rounds)\n", "bare fdatasync of 4 KiB",
           median(flushes, plan.rounds), plan.rounds);
    double slowest = median(contests[count - 1].rates, plan.rounds);
    for (size_t i = 0; i < count; i++) {
        double middle = median(contests[i].rates, plan.rounds);
        printf("%-30s %8.0f tasks/s (%.0f .. %.0f)  %6.2f us server CPU a task  %5.1f x "
               "beanstalkd -f 0\n",
               contests[i].name, middle, contests[i].rates[0], contests[i].rates[plan.rounds - 1],
               median(contests[i].cpus, plan.rounds), middle / slowest);
    }
    return 0;
}
