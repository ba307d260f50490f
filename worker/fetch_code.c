/* From libcurl's codes to outcomes: the one table. */
#include "worker/fetch_internal.h"

#include <string.h>

struct code_row {
    CURLcode code;
    enum outcome outcome;
    const char *reason; /* "": libcurl's own text */
};

/* What is not here is a mistake of ours or of libcurl and counts as protocol_error, which is tried
 * again. Codes that several causes share are told apart in fetch_judge(). */
static const struct code_row ROWS[] = {
    {CURLE_OK, OUTCOME_OK, ""},
    {CURLE_UNSUPPORTED_PROTOCOL, OUTCOME_PROTOCOL_ERROR, "not HTTP/1 or HTTP/2"}, /* HTTP/0.9 */
    {CURLE_URL_MALFORMAT, OUTCOME_BAD_URL, ""},
    {CURLE_COULDNT_RESOLVE_HOST, OUTCOME_NAME_NOT_FOUND, ""},
    {CURLE_COULDNT_CONNECT, OUTCOME_CONNECT_FAILED, ""},
    {CURLE_INTERFACE_FAILED, OUTCOME_CONNECT_FAILED, ""},
    {CURLE_NO_CONNECTION_AVAILABLE, OUTCOME_CONNECT_FAILED, ""},
    {CURLE_WEIRD_SERVER_REPLY, OUTCOME_PROTOCOL_ERROR, ""},
    {CURLE_HTTP2, OUTCOME_PROTOCOL_ERROR, ""},
    {CURLE_TOO_MANY_REDIRECTS, OUTCOME_PROTOCOL_ERROR, ""},
    {CURLE_BAD_CONTENT_ENCODING, OUTCOME_PROTOCOL_ERROR, ""}, /* a transfer coding: not contents */
    {CURLE_PARTIAL_FILE, OUTCOME_RESET, "the body ended early"},
    {CURLE_GOT_NOTHING, OUTCOME_RESET, ""},
    {CURLE_SEND_ERROR, OUTCOME_RESET, ""},
    {CURLE_RECV_ERROR, OUTCOME_RESET, ""}, /* or protocol_error, see below */
    {CURLE_HTTP2_STREAM, OUTCOME_RESET, ""},
    {CURLE_OUT_OF_MEMORY, OUTCOME_RELEASED, "out of memory"},
    {CURLE_OPERATION_TIMEDOUT, OUTCOME_TIMED_OUT, ""}, /* or stalled, see below */
    {CURLE_FILESIZE_EXCEEDED, OUTCOME_TOO_LARGE, "body larger than the limit"},
    {CURLE_SSL_CONNECT_ERROR, OUTCOME_TLS_FAILED, ""},
    {CURLE_PEER_FAILED_VERIFICATION, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_ENGINE_NOTFOUND, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_ENGINE_SETFAILED, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_ENGINE_INITFAILED, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_CERTPROBLEM, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_CIPHER, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_CACERT_BADFILE, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_CRL_BADFILE, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_ISSUER_ERROR, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_SHUTDOWN_FAILED, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_PINNEDPUBKEYNOTMATCH, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_INVALIDCERTSTATUS, OUTCOME_TLS_FAILED, ""},
    {CURLE_SSL_CLIENTCERT, OUTCOME_TLS_FAILED, ""},
    {CURLE_USE_SSL_FAILED, OUTCOME_TLS_FAILED, ""},
};

static const struct code_row ROW_OTHERWISE = {CURL_LAST, OUTCOME_PROTOCOL_ERROR, ""};

static const struct code_row *
row_of(CURLcode code)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        if (ROWS[i].code == code) {
            return &ROWS[i];
        }
    }
    return &ROW_OTHERWISE;
}

static void
answer_set(struct fetch_answer *answer, enum outcome outcome, const char *reason)
{
    answer->outcome = outcome;
    answer->reason = reason;
}

/* True when one of our own callbacks ended the transfer. */
static bool
judge_refusal(const struct fetch_transfer *transfer, struct fetch_answer *answer)
{
    static const enum outcome outcomes[] = {
        [FETCH_REFUSED_ADDRESS] = OUTCOME_ADDRESS_REFUSED,
        [FETCH_REFUSED_HEADER] = OUTCOME_PROTOCOL_ERROR,
        [FETCH_REFUSED_HEADER_SIZE] = OUTCOME_TOO_LARGE,
        [FETCH_REFUSED_BODY_SIZE] = OUTCOME_TOO_LARGE,
        [FETCH_REFUSED_MEMORY] = OUTCOME_RELEASED,
        [FETCH_REFUSED_FIRST_BYTE] = OUTCOME_TIMED_OUT,
    };

    if (transfer->refusal == FETCH_NOT_REFUSED) {
        return false;
    }
    answer_set(answer, outcomes[transfer->refusal], transfer->refusal_reason);
    return true;
}

/* An answer that began and then fell under the rate, before the whole time was up. */
static bool
is_stalled(const struct fetch_transfer *transfer, const struct fetch_answer *answer)
{
    return transfer->has_answer_begun && answer->timing.total_ms < (double)transfer->total_ms;
}

void
fetch_judge(const struct fetch_transfer *transfer, CURLcode code, struct fetch_answer *answer)
{
    const struct code_row *row = row_of(code);

    answer->is_truncated = code != CURLE_OK && answer->body.size > 0;
    if (code != CURLE_OK && judge_refusal(transfer, answer)) {
        return;
    }
    answer_set(answer, row->outcome, row->reason[0] != '\0' ? row->reason : transfer->error_text);
    switch (code) {
    case CURLE_OK:
        answer->reason = "";
        if (!transfer->headers.is_whole) {
            /* The connection was closed inside the head, which libcurl takes for its end. */
            answer_set(answer, OUTCOME_RESET, "the headers ended early");
        }
        break;
    case CURLE_OUT_OF_MEMORY:
        /* Also what 7.88 says of one header line over its own limit of 100 KiB. */
        if (transfer->has_answer_begun && !transfer->headers.is_whole) {
            answer_set(answer, OUTCOME_TOO_LARGE, "a header line larger than libcurl takes");
        }
        break;
    case CURLE_COULDNT_CONNECT:
        if (transfer->was_address_refused && !transfer->was_address_allowed) {
            answer_set(answer, OUTCOME_ADDRESS_REFUSED, "every address of the host is refused");
        }
        break;
    case CURLE_RECV_ERROR:
        /* 7.88 has one code for a lost connection and for chunks that cannot be read; only its
         * text tells them apart (lib/transfer.c, "%s in chunked-encoding"). */
        if (strstr(transfer->error_text, "chunked-encoding") != NULL) {
            answer->outcome = OUTCOME_PROTOCOL_ERROR;
        }
        break;
    case CURLE_OPERATION_TIMEDOUT:
        if (is_stalled(transfer, answer)) {
            answer->outcome = OUTCOME_STALLED;
        }
        break;
    default:
        break;
    }
    if (answer->outcome != OUTCOME_OK && answer->reason[0] == '\0') {
        answer->reason = curl_easy_strerror(code);
    }
}
