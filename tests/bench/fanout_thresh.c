/* Thresh doing the job: a feeder, workers, and a collector where results have a size. */
#include "tests/bench/fanout.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "common/buffer.h"
#include "common/message.h"

#define HOSTS 1000
#define FRAME_BYTES_MAX ((size_t)64 << 20)
#define ENDPOINT_BYTES 300
#define SENT_MAX 1024 /* RESULTS under way of one worker */
#define RESULTS_CREDIT 4096

/* ---- a peer ------------------------------------------------------------------------------- */

struct peer {
    void *socket;
    struct buffer out;
    struct buffer table;
};

static void
send_frame(struct peer *peer, struct slice frame, bool is_last)
{
    if (zmq_send(peer->socket, frame.data, frame.size, is_last ? 0 : ZMQ_SNDMORE) < 0)
        die("send");
}

/* The header, the table where there is one, and a body so many times. */
static void
peer_send(struct peer *peer, bool has_table, struct slice body, size_t body_count)
{
    send_frame(peer, buffer_slice(&peer->out), !has_table);
    if (has_table)
        send_frame(peer, buffer_slice(&peer->table), body_count == 0);
    for (size_t i = 0; i < body_count; i++)
        send_frame(peer, body, i + 1 == body_count);
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
    peer_send(peer, false, slice_of(NULL, 0), 0);
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

/* ---- the race ----------------------------------------------------------------------------- */

struct race {
    const struct plan *plan;
    void *context;
    char feed[ENDPOINT_BYTES];
    char work[ENDPOINT_BYTES];
    char collect[ENDPOINT_BYTES];
    char control[ENDPOINT_BYTES];
    struct slice result; /* what a worker reports for every task */
    long recorded;       /* atomically */
    unsigned next_worker;
    double ended; /* all results recorded, or collected where they have a size */
};

static size_t
count_rows(zmq_msg_t *table)
{
    struct reader reader;
    reader_init(&reader, slice_of(zmq_msg_data(table), zmq_msg_size(table)));
    return read_array(&reader);
}

/* Answers each lease with a result, at once. Small ones share a frame. */
static void
answer_tasks(const struct race *race, struct peer *peer, zmq_msg_t *table, uint64_t sequence)
{
    static const char *const names[] = {"fence", "task", NULL};
    bool is_shared = race->plan->result_bytes == 0;
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
        write_uint(&peer->table, is_shared ? 0 : i);
    }
    peer_send(peer, true, race->result, is_shared ? 1 : count);
}

static void *
work(void *argument)
{
    struct race *race = argument;
    struct peer peer = {0};
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sequence = 0;
    uint64_t sent = 0;
    long waiting[SENT_MAX] = {0}; /* rows of the RESULTS under way, by sequence */
    peer_open(&peer, race->context, race->work, "work",
              __atomic_fetch_add(&race->next_worker, 1, __ATOMIC_RELAXED));
    buffer_clear(&peer.out);
    write_header(&peer.out, MESSAGE_CREDIT, 0, 1);
    write_string(&peer.out, "credit");
    write_uint(&peer.out, (uint64_t)(race->plan->window * race->plan->batch));
    peer_send(&peer, false, slice_of(NULL, 0), 0);
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    int wait_ms = 100;
    zmq_setsockopt(peer.socket, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
    while (__atomic_load_n(&race->recorded, __ATOMIC_RELAXED) < race->plan->tasks) {
        zmq_pollitem_t item = {.socket = peer.socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, wait_ms) <= 0)
            continue;
        enum message_type type = peer_receive(&peer, &sequence, &header, &table);
        if (type == MESSAGE_TASKS) {
            sent++;
            waiting[sent % SENT_MAX] = (long)count_rows(&table);
            answer_tasks(race, &peer, &table, sent);
        } else if (type == MESSAGE_RECORDED) {
            long rows = waiting[sequence % SENT_MAX];
            long recorded = __atomic_add_fetch(&race->recorded, rows, __ATOMIC_RELAXED);
            if (recorded >= race->plan->tasks && race->plan->result_bytes == 0)
                race->ended = now();
        }
    }
    zmq_msg_close(&header);
    zmq_msg_close(&table);
    peer_close(&peer);
    return NULL;
}

/* Acknowledges what comes, until every task's result is safe. */
static void *
collect(void *argument)
{
    struct race *race = argument;
    struct peer peer = {0};
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sequence = 0;
    peer_open(&peer, race->context, race->collect, "collect", 1);
    buffer_clear(&peer.out);
    write_header(&peer.out, MESSAGE_SUBSCRIBE, 1, 2);
    write_string(&peer.out, "name");
    write_string(&peer.out, "bench");
    write_string(&peer.out, "credit");
    write_uint(&peer.out, RESULTS_CREDIT);
    peer_send(&peer, false, slice_of(NULL, 0), 0);
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    for (;;) {
        enum message_type type = peer_receive(&peer, &sequence, &header, &table);
        if (type == MESSAGE_DELIVER) {
            buffer_clear(&peer.out);
            write_header(&peer.out, MESSAGE_ACKNOWLEDGE, sequence, 0);
            peer_send(&peer, false, slice_of(NULL, 0), 0);
        } else if (type == MESSAGE_ACKNOWLEDGED && sequence >= (uint64_t)race->plan->tasks) {
            break;
        }
    }
    race->ended = now();
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
    peer_send(peer, true, slice_of(NULL, 0), 0);
}

static void
feed(struct race *race)
{
    const struct plan *plan = race->plan;
    struct peer peer = {0};
    zmq_msg_t header;
    zmq_msg_t table;
    uint64_t sent = 0;
    uint64_t answered = 0;
    uint64_t sequence = 0;
    long fed = 0;
    peer_open(&peer, race->context, race->feed, "feed", 0);
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

/* How often the broker has flushed since its start; 0 when it does not say. */
static uint64_t
flush_count(struct race *race)
{
    static const char *const names[] = {"flushes", NULL};
    struct peer peer = {0};
    struct slice field;
    struct reader reader;
    zmq_msg_t header;
    zmq_msg_t table;
    enum message_type type = MESSAGE_HELLO;
    enum error error = OK;
    uint64_t sequence = 0;
    size_t pairs = 0;
    peer_open(&peer, race->context, race->control, "control", 2);
    buffer_clear(&peer.out);
    write_header(&peer.out, MESSAGE_REQUEST, 1, 1);
    write_string(&peer.out, "verb");
    write_string(&peer.out, "status");
    peer_send(&peer, false, slice_of(NULL, 0), 0);
    zmq_msg_init(&header);
    zmq_msg_init(&table);
    while (peer_receive(&peer, &sequence, &header, &table) != MESSAGE_REPLY)
        continue;
    reader_init(&reader, slice_of(zmq_msg_data(&header), zmq_msg_size(&header)));
    if (read_header(&reader, &type, &sequence, &pairs))
        die("status");
    read_pairs(&reader, pairs, names, &field);
    uint64_t count = field_uint(field, 0, &error);
    zmq_msg_close(&header);
    zmq_msg_close(&table);
    peer_close(&peer);
    return count;
}

static void
name_endpoints(struct race *race, const char *folder)
{
    snprintf(race->feed, sizeof race->feed, "ipc://%s/f", folder);
    snprintf(race->work, sizeof race->work, "ipc://%s/w", folder);
    snprintf(race->collect, sizeof race->collect, "ipc://%s/c", folder);
    snprintf(race->control, sizeof race->control, "ipc://%s/x", folder);
}

/* A result of that many bytes, as a worker would report it. The caller releases it. */
static struct buffer
make_result(int bytes)
{
    struct buffer result;
    struct buffer text;
    buffer_init(&result, FRAME_BYTES_MAX);
    buffer_init(&text, FRAME_BYTES_MAX);
    write_map(&result, bytes > 0 ? 2 : 1);
    write_string(&result, "version");
    write_uint(&result, 1);
    if (bytes > 0) {
        while (text.size < (size_t)bytes)
            buffer_append_string(&text, "What a page says, in words of some length. ");
        write_string(&result, "text");
        write_text(&result, buffer_slice(&text));
    }
    buffer_release(&text);
    return result;
}

struct figure
run_thresh(const struct plan *plan)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s/thresh", plan->scratch);
    remove_tree(folder);
    if (mkdir(folder, 0700) < 0)
        die(folder);
    struct buffer result = make_result(plan->result_bytes);
    struct race race = {.plan = plan, .context = zmq_ctx_new(), .result = buffer_slice(&result)};
    pthread_t workers[WORKERS_MAX];
    pthread_t collector;
    name_endpoints(&race, folder);
    pid_t broker = start_broker(plan, folder);
    for (int i = 0; i < plan->workers; i++)
        pthread_create(&workers[i], NULL, work, &race);
    if (plan->result_bytes > 0)
        pthread_create(&collector, NULL, collect, &race);
    uint64_t flushes = flush_count(&race); /* waits for the broker to be up */
    double cpu = cpu_seconds(broker);
    double started = now();
    feed(&race);
    for (int i = 0; i < plan->workers; i++)
        pthread_join(workers[i], NULL);
    if (plan->result_bytes > 0)
        pthread_join(collector, NULL);
    struct figure figure = {
        .rate = (double)plan->tasks / (race.ended - started),
        .cpu_us = (cpu_seconds(broker) - cpu) * 1e6 / (double)plan->tasks,
    };
    uint64_t flushes_after = flush_count(&race);
    if (flushes_after > flushes)
        figure.flushed = (double)plan->tasks / (double)(flushes_after - flushes);
    kill(broker, SIGTERM);
    waitpid(broker, NULL, 0);
    zmq_ctx_term(race.context);
    buffer_release(&result);
    remove_tree(folder);
    return figure;
}
