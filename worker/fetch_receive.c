/* libcurl's callbacks for what comes in, and for the addresses it wants to reach. */
#include "worker/fetch_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define REFUSE_BYTES 0 /* any count but the one given ends the transfer */

static size_t
refuse(struct fetch_transfer *transfer, enum fetch_refusal refusal, const char *reason)
{
    transfer->refusal = refusal;
    transfer->refusal_reason = reason;
    return REFUSE_BYTES;
}

/* From its first line on, an answer must keep flowing; before that other limits hold. */
static void
answer_begins(struct fetch_transfer *transfer)
{
    const struct fetch_options *options = &transfer->fetch->options;

    transfer->has_answer_begun = true;
    fetch_stop_awaiting(transfer);
    if (options->stall_rate_bytes > 0) {
        curl_easy_setopt(transfer->easy, CURLOPT_LOW_SPEED_LIMIT, (long)options->stall_rate_bytes);
        curl_easy_setopt(transfer->easy, CURLOPT_LOW_SPEED_TIME, (long)(options->stall_ms / 1000));
    }
}

size_t
fetch_receive_header(char *data, size_t size, size_t count, void *context)
{
    struct fetch_transfer *transfer = context;
    const char *reason = "";

    if (!transfer->has_answer_begun) {
        answer_begins(transfer);
    }
    switch (headers_add(&transfer->headers, slice_of(data, size * count), &reason)) {
    case HEADERS_GOOD:
        return size * count;
    case HEADERS_TOO_LARGE:
        return refuse(transfer, FETCH_REFUSED_HEADER_SIZE, reason);
    case HEADERS_BAD:
        break;
    }
    return refuse(transfer, FETCH_REFUSED_HEADER, reason);
}

/* Counts what the body buffer takes, not what is in it. */
static bool
count_memory(struct fetch_transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    fetch->memory_bytes += transfer->body.capacity - transfer->body_counted;
    transfer->body_counted = transfer->body.capacity;
    return fetch->memory_bytes <= fetch->options.memory_bytes_max;
}

size_t
fetch_receive_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch_transfer *transfer = context;

    if (size * count == 0) {
        return 0;
    }
    buffer_append(&transfer->body, data, size * count);
    switch (buffer_error(&transfer->body)) {
    case OK:
        break;
    case ERROR_TOO_LARGE:
        return refuse(transfer, FETCH_REFUSED_BODY_SIZE, "body larger than the limit");
    default:
        return refuse(transfer, FETCH_REFUSED_MEMORY, "out of memory");
    }
    if (!count_memory(transfer)) {
        return refuse(transfer, FETCH_REFUSED_MEMORY, "the worker's memory limit");
    }
    return size * count;
}

/* ---- addresses ------------------------------------------------------------------------- */

curl_socket_t
fetch_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch_transfer *transfer = context;

    if (purpose != CURLSOCKTYPE_IPCXN ||
        !address_is_allowed(transfer->fetch->options.allow, &address->addr)) {
        /* libcurl goes on to the next address of the name. */
        transfer->was_address_refused = true;
        return CURL_SOCKET_BAD;
    }
    transfer->was_address_allowed = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}

/* The numeric address as a socket address; family AF_UNSPEC when it is none. */
static struct sockaddr_storage
address_of(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNSPEC};
    struct sockaddr_in *four = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
    char bare[INET6_ADDRSTRLEN];

    /* A link-local address may carry its zone, "fe80::1%eth0". */
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(text, "%"), text);
    if (inet_pton(AF_INET, bare, &four->sin_addr) == 1) {
        storage.ss_family = AF_INET;
    } else if (inet_pton(AF_INET6, bare, &six->sin6_addr) == 1) {
        storage.ss_family = AF_INET6;
    }
    return storage;
}

int
fetch_before_request(void *context, char *remote, char *local, int remote_port, int local_port)
{
    struct fetch_transfer *transfer = context;
    struct sockaddr_storage address = address_of(remote);

    (void)local;
    (void)remote_port;
    (void)local_port;
    if (address.ss_family == AF_UNSPEC ||
        !address_is_allowed(transfer->fetch->options.allow, (const struct sockaddr *)&address)) {
        transfer->refusal = FETCH_REFUSED_ADDRESS;
        transfer->refusal_reason = "the connection's address may not be reached";
        return CURL_PREREQFUNC_ABORT;
    }
    fetch_await_answer(transfer);
    return CURL_PREREQFUNC_OK;
}
