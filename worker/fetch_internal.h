/* fetch_internal: what the fetch*.c files share; for them only. */
#ifndef THRESH_WORKER_FETCH_INTERNAL_H
#define THRESH_WORKER_FETCH_INTERNAL_H

#include "worker/fetch.h"

#include <curl/curl.h>

/* Why one of our callbacks ended the transfer; libcurl itself only says "aborted". */
enum fetch_refusal {
    FETCH_NOT_REFUSED,
    FETCH_REFUSED_ADDRESS,
    FETCH_REFUSED_HEADER,
    FETCH_REFUSED_HEADER_SIZE,
    FETCH_REFUSED_BODY_SIZE,
    FETCH_REFUSED_MEMORY,
    FETCH_REFUSED_FIRST_BYTE,
};

struct fetch_transfer {
    struct fetch *fetch;
    CURL *easy;
    CURLU *url;
    fetch_finished_fn *finished; /* NULL: not under way */
    void *context;
    struct headers headers;
    struct buffer body;
    size_t body_counted; /* how much of it the fetch's memory count holds */
    enum fetch_refusal refusal;
    const char *refusal_reason;
    bool was_address_refused;
    bool was_address_allowed;
    bool has_answer_begun;
    bool is_insecure;
    int64_t total_ms;
    int64_t first_byte_at_ms;    /* 0: not waited for */
    struct fetch_transfer *next; /* in the idle list or the list waiting for a first byte */
    struct fetch_transfer *previous;
    char error_text[CURL_ERROR_SIZE];
};

struct fetch {
    struct fetch_options options;
    char *user_agent;
    char *ca_file;
    char *insecure_tls_hosts;
    struct loop *loop;
    CURLM *multi;
    struct curl_slist *request_headers;
    struct fetch_transfer **transfers; /* all, made as they are first needed */
    size_t transfer_count;
    struct fetch_transfer *idle;
    struct fetch_transfer *awaiting_first; /* oldest first: all wait equally long */
    struct fetch_transfer *awaiting_last;
    struct fetch_socket *sockets; /* all that are watched */
    struct fetch_socket *sockets_idle;
    size_t active_count;
    size_t memory_bytes;
    int64_t timer_at_ms; /* LOOP_NEVER: libcurl waits for no time */
    bool is_inside;      /* a callback of libcurl runs: no call into the multi handle */
};

/* fetch_setup.c: everything that never changes on one easy handle. ERROR_UNSUPPORTED names an
 * option that this libcurl does not take. */
MUST_CHECK enum error fetch_setup_easy(struct fetch_transfer *transfer);
MUST_CHECK enum error fetch_setup_multi(struct fetch *fetch);

/* fetch_receive.c: libcurl's callbacks for what comes in, and for addresses. */
size_t fetch_receive_header(char *data, size_t size, size_t count, void *context);
size_t fetch_receive_body(char *data, size_t size, size_t count, void *context);
curl_socket_t fetch_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address);
int fetch_before_request(void *context, char *remote, char *local, int remote_port, int local_port);

/* fetch_loop.c: libcurl's descriptors and timer. */
void fetch_watch(struct fetch *fetch);
void fetch_unwatch_all(struct fetch *fetch);

/* fetch.c: calls back for every transfer that libcurl has ended. */
void fetch_finish_done(struct fetch *fetch);
/* The wait for the first byte. */
void fetch_await_answer(struct fetch_transfer *transfer);
void fetch_stop_awaiting(struct fetch_transfer *transfer);

/* fetch_code.c: the outcome of a transfer that libcurl ended with this code. */
void fetch_judge(const struct fetch_transfer *transfer, CURLcode code, struct fetch_answer *answer);

#endif
