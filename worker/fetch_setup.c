/* What is set once on a handle and never changed. */
#include "worker/fetch_internal.h"

#include <stdlib.h>

#define RECEIVE_BYTES 65536        /* performance document, 6.2: 64 KiB is enough */
#define DNS_CACHE_S 60             /* reliability document, section 6 */
#define CA_CACHE_S (24L * 60 * 60) /* the parsed bundle; it changes with the system's updates */
#define KEPT_CONNECTION_IDLE_S 60
#define REQUEST_ACCEPT "Accept: text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.8"
/* Decoded in the children: libcurl would take a cut-off gzip body for a whole one. */
#define REQUEST_ACCEPT_ENCODING "Accept-Encoding: gzip, br, zstd"

/* Every code is checked: an option that is not taken would leave a door open in silence. */
#define SET(easy, option, value)                                       \
    do {                                                               \
        if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK) { \
            return ERROR_UNSUPPORTED;                                  \
        }                                                              \
    } while (0)

static enum error
setup_reach(CURL *easy)
{
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_NOPROXY, "*");
    SET(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_DNS_CACHE_TIMEOUT, (long)DNS_CACHE_S);
    SET(easy, CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_IDLE_S);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    return OK;
}

static enum error
setup_http(CURL *easy, const struct fetch *fetch)
{
    SET(easy, CURLOPT_HTTPGET, 1L);
    SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    SET(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* CURLOPT_HTTP_CONTENT_DECODING stays on: 7.88 would leave transfer codings undone as well.
     * Contents are decoded by libcurl only where CURLOPT_ACCEPT_ENCODING asks for it. */
    SET(easy, CURLOPT_PATH_AS_IS, 1L);
    SET(easy, CURLOPT_USERAGENT, fetch->user_agent);
    SET(easy, CURLOPT_HTTPHEADER, fetch->request_headers);
    SET(easy, CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
    SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)fetch->options.body_bytes_max);
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)fetch->options.connect_ms);
    return OK;
}

/* With a CA path beside the file, libcurl 7.88 parses the whole bundle for every connection
 * (performance document, 6.3): 22 ms instead of 0.9. Without one it keeps the parsed bundle. */
static enum error
setup_tls(CURL *easy, const struct fetch *fetch)
{
    SET(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(easy, CURLOPT_CAPATH, NULL);
    SET(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
    if (fetch->ca_file[0] != '\0') {
        SET(easy, CURLOPT_CAINFO, fetch->ca_file);
    }
    return OK;
}

static enum error
setup_callbacks(CURL *easy, struct fetch_transfer *transfer)
{
    SET(easy, CURLOPT_HEADERFUNCTION, fetch_receive_header);
    SET(easy, CURLOPT_HEADERDATA, transfer);
    SET(easy, CURLOPT_WRITEFUNCTION, fetch_receive_body);
    SET(easy, CURLOPT_WRITEDATA, transfer);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, fetch_open_socket);
    SET(easy, CURLOPT_OPENSOCKETDATA, transfer);
    SET(easy, CURLOPT_PREREQFUNCTION, fetch_before_request);
    SET(easy, CURLOPT_PREREQDATA, transfer);
    SET(easy, CURLOPT_ERRORBUFFER, transfer->error_text);
    SET(easy, CURLOPT_PRIVATE, transfer);
    SET(easy, CURLOPT_CURLU, transfer->url);
    return OK;
}

enum error
fetch_setup_easy(struct fetch_transfer *transfer)
{
    enum error error = setup_reach(transfer->easy);

    if (error == OK) {
        error = setup_http(transfer->easy, transfer->fetch);
    }
    if (error == OK) {
        error = setup_tls(transfer->easy, transfer->fetch);
    }
    return error == OK ? setup_callbacks(transfer->easy, transfer) : error;
}

static bool
append_header(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);

    *list = longer != NULL ? longer : *list;
    return longer != NULL;
}

enum error
fetch_setup_multi(struct fetch *fetch)
{
    fetch->multi = curl_multi_init();
    if (fetch->multi == NULL || !append_header(&fetch->request_headers, REQUEST_ACCEPT) ||
        !append_header(&fetch->request_headers, REQUEST_ACCEPT_ENCODING)) {
        return ERROR_NO_MEMORY;
    }
    /* Kept connections: enough that one that is being closed does not push out a good one. */
    if (curl_multi_setopt(fetch->multi, CURLMOPT_MAXCONNECTS,
                          (long)fetch->options.transfers_max * 2) != CURLM_OK ||
        curl_multi_setopt(fetch->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) !=
            CURLM_OK) {
        return ERROR_UNSUPPORTED;
    }
    return OK;
}
