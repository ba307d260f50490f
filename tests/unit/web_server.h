/*
 * web_server: a small HTTP server in threads, for tests of what real servers would never send.
 *
 * One thread a connection; the handler writes whatever bytes it likes. The threads end with the
 * test's process.
 */
#ifndef THRESH_TESTS_WEB_SERVER_H
#define THRESH_TESTS_WEB_SERVER_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WEB_REQUEST_BYTES 16384

struct web_server;

/* Answers one request; path is the request's target. False: close the connection. */
typedef bool web_handler(struct web_server *server, int fd, const char *path, const char *request);

struct web_server {
    int fd;
    uint16_t port;
    web_handler *handler;
    void *context;
    int connection_count; /* atomic */
    int request_count;    /* atomic */
};

struct web_connection {
    struct web_server *server;
    int fd;
};

/* Writes all; a peer that has gone away is no failure of the server. False then. */
static inline bool
web_send(int fd, const void *data, size_t size)
{
    const char *at = data;

    while (size > 0) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static inline bool
web_send_text(int fd, const char *text)
{
    return web_send(fd, text, strlen(text));
}

/* A whole answer with a length. */
static inline bool
web_send_page(int fd, const char *status, const char *headers, const char *body)
{
    char head[1024];

    snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
             strlen(body), headers);
    return web_send_text(fd, head) && web_send_text(fd, body);
}

/* Blocks until the peer closes, so that a stall lasts as long as the client lets it. */
static inline void
web_wait_for_close(int fd)
{
    char byte;

    while (recv(fd, &byte, 1, 0) > 0) {
    }
}

/* One request head; false at the end of the connection. */
static inline bool
web_receive(int fd, char *request)
{
    size_t size = 0;

    while (size < WEB_REQUEST_BYTES - 1) {
        if (recv(fd, request + size, 1, 0) != 1) {
            return false;
        }
        request[++size] = '\0';
        if (size >= 4 && strcmp(request + size - 4, "\r\n\r\n") == 0) {
            return true;
        }
    }
    return false;
}

static inline void *
web_connection_run(void *context)
{
    struct web_connection *connection = context;
    char request[WEB_REQUEST_BYTES];
    char path[2048];
    bool is_open = true;

    __atomic_add_fetch(&connection->server->connection_count, 1, __ATOMIC_SEQ_CST);
    while (is_open && web_receive(connection->fd, request)) {
        __atomic_add_fetch(&connection->server->request_count, 1, __ATOMIC_SEQ_CST);
        if (sscanf(request, "GET %2047s HTTP/1.", path) != 1) {
            break;
        }
        is_open = connection->server->handler(connection->server, connection->fd, path, request);
    }
    close(connection->fd);
    free(connection);
    return NULL;
}

static inline void *
web_server_run(void *context)
{
    struct web_server *server = context;
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        struct web_connection *connection = malloc(sizeof *connection);
        pthread_t thread;
        *connection = (struct web_connection){.server = server, .fd = fd};
        if (pthread_create(&thread, NULL, web_connection_run, connection) != 0) {
            abort();
        }
        pthread_detach(thread);
    }
    return NULL;
}

/* Listens on a free port of an IPv4 address of this machine. */
static inline void
web_server_listen(struct web_server *server, const char *address)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;

    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(inet_pton(AF_INET, address, &name.sin_addr), 1);
    cr_assert_eq(bind(server->fd, (struct sockaddr *)&name, sizeof name), 0);
    cr_assert_eq(listen(server->fd, 512), 0);
    cr_assert_eq(getsockname(server->fd, (struct sockaddr *)&name, &size), 0);
    server->port = ntohs(name.sin_port);
}

static inline void
web_server_start(struct web_server *server, web_handler *handler)
{
    pthread_t thread;

    server->handler = handler;
    web_server_listen(server, "127.0.0.1");
    cr_assert_eq(pthread_create(&thread, NULL, web_server_run, server), 0);
    pthread_detach(thread);
}

#endif
