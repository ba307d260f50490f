#include "worker/fetch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/fetch_internal.h"

#define LIBRARY_TEXT_BYTES 256
/* A body buffer larger than this is given back after its transfer. */
#define BODY_KEPT_BYTES ((size_t)256 * 1024)
#define US_A_MS 1000.0

/* ---- transfers ------------------------------------------------------------------------- */

static void
transfer_destroy(struct fetch_transfer *transfer)
{
    if (transfer == NULL) {
        return;
    }
    curl_easy_cleanup(transfer->easy);
    curl_url_cleanup(transfer->url);
    headers_release(&transfer->headers);
    buffer_release(&transfer->body);
    free(transfer);
}

static enum error
transfer_create(struct fetch *fetch, struct fetch_transfer **ret_transfer)
{
    struct fetch_transfer *transfer = calloc(1, sizeof *transfer);
    enum error error = ERROR_NO_MEMORY;

    if (transfer == NULL) {
        return ERROR_NO_MEMORY;
    }
    transfer->fetch = fetch;
    headers_init(&transfer->headers, fetch->options.header_bytes_max);
    buffer_init(&transfer->body, fetch->options.body_bytes_max);
    transfer->easy = curl_easy_init();
    transfer->url = curl_url();
    if (transfer->easy == NULL || transfer->url == NULL) {
        goto fail;
    }
    error = fetch_setup_easy(transfer);
    if (error != OK) {
        goto fail;
    }
    fetch->transfers[fetch->transfer_count++] = transfer;
    *ret_transfer = transfer;
    return OK;
fail:
    transfer_destroy(transfer);
    return error;
}

static enum error
transfer_take(struct fetch *fetch, struct fetch_transfer **ret_transfer)
{
    struct fetch_transfer *idle = fetch->idle;

    if (idle != NULL) {
        fetch->idle = idle->next;
        idle->next = NULL;
        *ret_transfer = idle;
        return OK;
    }
    if (fetch->transfer_count == fetch->options.transfers_max) {
        return ERROR_FULL;
    }
    return transfer_create(fetch, ret_transfer);
}

/* Ready for the next request; what was received is gone. */
static void
transfer_give_back(struct fetch_transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    fetch->memory_bytes -= transfer->body_counted;
    transfer->body_counted = 0;
    if (transfer->body.capacity > BODY_KEPT_BYTES) {
        buffer_release(&transfer->body);
    }
    buffer_clear(&transfer->body);
    headers_clear(&transfer->headers);
    transfer->finished = NULL;
    transfer->context = NULL;
    transfer->refusal = FETCH_NOT_REFUSED;
    transfer->was_address_refused = false;
    transfer->was_address_allowed = false;
    transfer->has_answer_begun = false;
    transfer->error_text[0] = '\0';
    transfer->next = fetch->idle;
    fetch->idle = transfer;
}

void
fetch_await_answer(struct fetch_transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    if (transfer->first_byte_at_ms != 0) {
        return; /* libcurl repeats a request when a kept connection turns out to be dead */
    }
    transfer->first_byte_at_ms = clock_monotonic_ms() + fetch->options.first_byte_ms;
    transfer->next = NULL;
    transfer->previous = fetch->awaiting_last;
    if (fetch->awaiting_last != NULL) {
        fetch->awaiting_last->next = transfer;
    } else {
        fetch->awaiting_first = transfer;
    }
    fetch->awaiting_last = transfer;
}

void
fetch_stop_awaiting(struct fetch_transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    if (transfer->first_byte_at_ms == 0) {
        return;
    }
    transfer->first_byte_at_ms = 0;
    if (transfer->previous != NULL) {
        transfer->previous->next = transfer->next;
    } else {
        fetch->awaiting_first = transfer->next;
    }
    if (transfer->next != NULL) {
        transfer->next->previous = transfer->previous;
    } else {
        fetch->awaiting_last = transfer->previous;
    }
    transfer->next = transfer->previous = NULL;
}

/* ---- the end of a transfer ------------------------------------------------------------- */

/* Milliseconds of one of libcurl's clocks; -1 when that phase did not happen. */
static double
span_ms(CURL *easy, CURLINFO info)
{
    curl_off_t us = 0;

    return curl_easy_getinfo(easy, info, &us) == CURLE_OK && us > 0 ? (double)us / US_A_MS : -1;
}

static struct report_timing
timing_of(CURL *easy)
{
    return (struct report_timing){
        .dns_ms = span_ms(easy, CURLINFO_NAMELOOKUP_TIME_T),
        .connect_ms = span_ms(easy, CURLINFO_CONNECT_TIME_T),
        .tls_ms = span_ms(easy, CURLINFO_APPCONNECT_TIME_T),
        .first_byte_ms = span_ms(easy, CURLINFO_STARTTRANSFER_TIME_T),
        .total_ms = span_ms(easy, CURLINFO_TOTAL_TIME_T),
        .extract_ms = -1,
    };
}

static void
transfer_stop(struct fetch_transfer *transfer)
{
    struct fetch *fetch = transfer->fetch;

    assert(!fetch->is_inside && transfer->finished != NULL);
    fetch_stop_awaiting(transfer);
    fetch->is_inside = true;
    curl_multi_remove_handle(fetch->multi, transfer->easy);
    fetch->is_inside = false;
    fetch->active_count--;
}

static void
transfer_finish(struct fetch_transfer *transfer, CURLcode code)
{
    struct fetch_answer answer = {.headers = &transfer->headers, .reason = ""};
    fetch_finished_fn *finished = transfer->finished;
    curl_off_t body_bytes = 0;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &body_bytes);
    answer.status = (int)status;
    answer.body = buffer_slice(&transfer->body);
    answer.bytes_received = transfer->headers.bytes + (uint64_t)body_bytes;
    answer.timing = timing_of(transfer->easy);
    fetch_judge(transfer, code, &answer);
    transfer_stop(transfer);
    finished(transfer->context, &answer);
    transfer_give_back(transfer);
}

void
fetch_finish_done(struct fetch *fetch)
{
    CURLMsg *message;
    int left = 0;

    while ((message = curl_multi_info_read(fetch->multi, &left)) != NULL) {
        struct fetch_transfer *transfer = NULL;
        CURLcode code = message->data.result;

        if (message->msg == CURLMSG_DONE &&
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK) {
            transfer_finish(transfer, code);
        }
    }
}

/* ---- public ---------------------------------------------------------------------------- */

static char *
copied(const char *text)
{
    return strdup(text == NULL ? "" : text);
}

enum error
fetch_create(const struct fetch_options *options, struct loop *loop, struct fetch **ret_fetch)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    struct fetch_transfer *first = NULL;
    enum error error = ERROR_NO_MEMORY;

    if (fetch == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(fetch);
        return ERROR_NO_MEMORY;
    }
    fetch->options = *options;
    fetch->loop = loop;
    fetch->timer_at_ms = LOOP_NEVER;
    fetch->user_agent = copied(options->user_agent);
    fetch->ca_file = copied(options->ca_file);
    fetch->insecure_tls_hosts = copied(options->insecure_tls_hosts);
    fetch->transfers = calloc(options->transfers_max, sizeof(struct fetch_transfer *));
    if (fetch->user_agent == NULL || fetch->ca_file == NULL || fetch->insecure_tls_hosts == NULL ||
        fetch->transfers == NULL) {
        goto fail;
    }
    if (fetch->ca_file[0] != '\0' && access(fetch->ca_file, R_OK) != 0) {
        error = ERROR_CONFIG;
        goto fail;
    }
    error = fetch_setup_multi(fetch);
    if (error != OK) {
        goto fail;
    }
    fetch_watch(fetch);
    /* The first transfer shows now, not at the first page, whether every option is taken. */
    error = transfer_take(fetch, &first);
    if (error != OK) {
        goto fail;
    }
    transfer_give_back(first);
    *ret_fetch = fetch;
    return OK;
fail:
    fetch_destroy(fetch);
    return error;
}

void
fetch_destroy(struct fetch *fetch)
{
    if (fetch == NULL) {
        return;
    }
    assert(!fetch->is_inside);
    for (size_t i = 0; i < fetch->transfer_count; i++) {
        if (fetch->transfers[i]->finished != NULL) {
            transfer_stop(fetch->transfers[i]);
        }
        transfer_destroy(fetch->transfers[i]);
    }
    if (fetch->multi != NULL) {
        curl_multi_cleanup(fetch->multi);
    }
    curl_slist_free_all(fetch->request_headers);
    fetch_unwatch_all(fetch);
    free(fetch->transfers);
    free(fetch->user_agent);
    free(fetch->ca_file);
    free(fetch->insecure_tls_hosts);
    free(fetch);
    curl_global_cleanup();
}

static bool
part_is(CURLU *parts, CURLUPart what, unsigned flags, struct slice expected)
{
    char *part = NULL;
    bool is_same = curl_url_get(parts, what, &part, flags) == CURLUE_OK &&
                   slice_equal(slice_string(part), expected);

    curl_free(part);
    return is_same;
}

/* Gives the URL to libcurl and asks what it made of it: two parsers that disagree about the host
 * are how a filter is led around (reliability document, section 0, point 9). */
static bool
url_is_taken(CURLU *parts, const struct url *url)
{
    char port[sizeof "65535"];

    if (curl_url_set(parts, CURLUPART_URL, url->text, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS) !=
        CURLUE_OK) {
        return false;
    }
    snprintf(port, sizeof port, "%u", (unsigned)url->port);
    return part_is(parts, CURLUPART_HOST, 0, url->host) &&
           part_is(parts, CURLUPART_PORT, CURLU_DEFAULT_PORT, slice_string(port)) &&
           part_is(parts, CURLUPART_SCHEME, 0,
                   slice_string(url->scheme == URL_HTTPS ? "https" : "http"));
}

static bool
is_listed(const char *list, struct slice host)
{
    while (*list != '\0') {
        size_t size = strcspn(list, ",");
        if (size > 0 && slice_equal(slice_of(list, size), host)) {
            return true;
        }
        list += size + (list[size] == ',' ? 1 : 0);
    }
    return false;
}

/* What differs between requests on one handle. */
static bool
prepare(struct fetch_transfer *transfer, const struct url *url, int64_t total_ms)
{
    bool is_insecure = is_listed(transfer->fetch->insecure_tls_hosts, url->host);
    CURLcode code = curl_easy_setopt(transfer->easy, CURLOPT_TIMEOUT_MS, (long)total_ms);

    transfer->total_ms = total_ms;
    if (code == CURLE_OK) {
        code = curl_easy_setopt(transfer->easy, CURLOPT_LOW_SPEED_LIMIT, 0L);
    }
    if (code == CURLE_OK && is_insecure != transfer->is_insecure) {
        transfer->is_insecure = is_insecure;
        code = curl_easy_setopt(transfer->easy, CURLOPT_SSL_VERIFYPEER, is_insecure ? 0L : 1L);
        if (code == CURLE_OK) {
            code = curl_easy_setopt(transfer->easy, CURLOPT_SSL_VERIFYHOST, is_insecure ? 0L : 2L);
        }
    }
    return code == CURLE_OK;
}

enum error
fetch_start(struct fetch *fetch, const struct url *url, int64_t total_ms,
            fetch_finished_fn *finished, void *context, struct fetch_transfer **ret_transfer)
{
    struct fetch_transfer *transfer = NULL;
    enum error error = transfer_take(fetch, &transfer);

    assert(!fetch->is_inside && total_ms > 0);
    if (error != OK) {
        return error;
    }
    if (!url_is_taken(transfer->url, url)) {
        transfer_give_back(transfer);
        return ERROR_INVALID;
    }
    if (!prepare(transfer, url, total_ms)) {
        transfer_give_back(transfer);
        return ERROR_NO_MEMORY;
    }
    fetch->is_inside = true;
    CURLMcode code = curl_multi_add_handle(fetch->multi, transfer->easy);
    fetch->is_inside = false;
    if (code != CURLM_OK) {
        transfer_give_back(transfer);
        return ERROR_NO_MEMORY;
    }
    transfer->finished = finished;
    transfer->context = context;
    fetch->active_count++;
    *ret_transfer = transfer;
    return OK;
}

void
fetch_cancel(struct fetch *fetch, struct fetch_transfer *transfer)
{
    assert(transfer->fetch == fetch);
    transfer_stop(transfer);
    transfer_give_back(transfer);
}

static void
end_silent(struct fetch *fetch, int64_t now_ms)
{
    while (fetch->awaiting_first != NULL && fetch->awaiting_first->first_byte_at_ms <= now_ms) {
        struct fetch_transfer *transfer = fetch->awaiting_first;

        transfer->refusal = FETCH_REFUSED_FIRST_BYTE;
        transfer->refusal_reason = "no answer to the request";
        transfer_finish(transfer, CURLE_OPERATION_TIMEDOUT);
    }
}

int64_t
fetch_tick(struct fetch *fetch, int64_t now_ms)
{
    int running = 0;

    if (now_ms >= fetch->timer_at_ms) {
        fetch->timer_at_ms = LOOP_NEVER;
        fetch->is_inside = true;
        curl_multi_socket_action(fetch->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        fetch->is_inside = false;
        fetch_finish_done(fetch);
    }
    end_silent(fetch, now_ms);
    return fetch_next_tick(fetch);
}

int64_t
fetch_next_tick(const struct fetch *fetch)
{
    int64_t at_ms = fetch->timer_at_ms;

    if (fetch->awaiting_first != NULL && fetch->awaiting_first->first_byte_at_ms < at_ms) {
        at_ms = fetch->awaiting_first->first_byte_at_ms;
    }
    return at_ms;
}

size_t
fetch_count(const struct fetch *fetch)
{
    return fetch->active_count;
}

size_t
fetch_memory_bytes(const struct fetch *fetch)
{
    return fetch->memory_bytes;
}

const char *
fetch_library_text(void)
{
    static char text[LIBRARY_TEXT_BYTES];
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);

    snprintf(text, sizeof text, "libcurl %s %s nghttp2/%s", info->version,
             info->ssl_version == NULL ? "without TLS" : info->ssl_version,
             info->nghttp2_version == NULL ? "none" : info->nghttp2_version);
    return text;
}
