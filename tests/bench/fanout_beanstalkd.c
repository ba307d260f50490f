/* beanstalkd doing the same job: put, reserve, delete. */
#include "tests/bench/fanout.h"

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
#include <unistd.h>

#define BEANSTALK_PORT 15791

struct race {
    const struct plan *plan;
    long recorded; /* atomically */
    double ended;
};

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
    struct race *race = argument;
    struct line_reader reader = {.fd = connect_to(BEANSTALK_PORT)};
    char text[128];
    write_all(reader.fd, "reserve-with-timeout 1\r\n", 24);
    while (__atomic_load_n(&race->recorded, __ATOMIC_RELAXED) < race->plan->tasks) {
        unsigned long id = 0;
        unsigned long size = 0;
        char *line = next_line(&reader);
        if (sscanf(line, "RESERVED %lu %lu", &id, &size) == 2) {
            skip_bytes(&reader, size + 2);
            int used = snprintf(text, sizeof text, "delete %lu\r\nreserve-with-timeout 1\r\n", id);
            write_all(reader.fd, text, (size_t)used);
        } else if (strncmp(line, "DELETED", 7) == 0) {
            if (__atomic_add_fetch(&race->recorded, 1, __ATOMIC_RELAXED) >= race->plan->tasks)
                race->ended = now();
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

struct figure
run_beanstalkd(const struct plan *plan, const char *sync_ms)
{
    char folder[256];
    char port[16];
    pthread_t workers[WORKERS_MAX];
    struct race race = {.plan = plan};
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
        pthread_create(&workers[i], NULL, consume, &race);
    produce(plan);
    for (int i = 0; i < plan->workers; i++)
        pthread_join(workers[i], NULL);
    struct figure figure = {
        .rate = (double)plan->tasks / (race.ended - started),
        .cpu_us = (cpu_seconds(server) - cpu) * 1e6 / (double)plan->tasks,
    };
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    remove_tree(folder);
    return figure;
}
