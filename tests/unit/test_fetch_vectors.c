/* The 62 answers of curl's own test suite (SHARED_DATA/vectors/http), replayed. */
#include "fetch_checks.h"
#include "web_server.h"

#include <cjson/cJSON.h>

#define FILE_BYTES_MAX (4 << 20)
#define RESPONSE_BYTES_MAX 65536

/*
 * Where we end otherwise than curl's development version does with the options of that test. Our
 * requests have no options, decode no content and follow no redirect; the child does the first,
 * attempt.c the second.
 */
static const struct {
    const char *id;
    enum outcome outcome;
    const char *why;
} DIFFERENCES[] = {
    {"curl-25", OUTCOME_OK, "a redirect is an answer here; attempt.c counts them"},
    {"curl-274", OUTCOME_OK, "the same"},
    {"curl-152", OUTCOME_OK, "--fail: a status is an answer here"},
    {"curl-349", OUTCOME_OK, "--fail-with-body: the same"},
    {"curl-221", OUTCOME_OK, "broken gzip: the child finds it"},
    {"curl-223", OUTCOME_RESET, "shorter than its Content-Length"},
    {"curl-269", OUTCOME_RESET, "--ignore-content-length: shorter than it says"},
    {"curl-395", OUTCOME_TOO_LARGE, "a Content-Length over every limit"},
    {"curl-770", OUTCOME_PROTOCOL_ERROR, "Content-Length as a list: two different values here"},
    {"curl-2305", OUTCOME_OK, "a gzip bomb: the child stops it"},
    {"curl-1618", OUTCOME_OK, "a brotli bomb: the child stops it"},
    {"curl-293", OUTCOME_OK, "--max-filesize 2: our limit is larger"},
    {"curl-457", OUTCOME_OK, "--max-filesize 143: our limit is larger"},
    {"curl-319", OUTCOME_PROTOCOL_ERROR, "--raw: a transfer coding that nobody knows"},
    {"curl-1546", OUTCOME_OK, "the order of transfer codings; refused by newer libcurl only"},
};

struct bytes {
    uint8_t data[RESPONSE_BYTES_MAX];
    size_t size;
};

static struct bytes response;

static bool
answer_bytes(struct web_server *server, int fd, const char *path, const char *request)
{
    (void)server;
    (void)path;
    (void)request;
    web_send(fd, response.data, response.size);
    /* Closed only when the client has closed: a request on its way here would meet a reset. */
    shutdown(fd, SHUT_WR);
    web_wait_for_close(fd);
    return false;
}

static int
base64_digit(char sign)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = sign == '\0' ? NULL : strchr(digits, sign);

    return found == NULL ? -1 : (int)(found - digits);
}

static void
base64_decode(const char *text, struct bytes *ret_bytes)
{
    unsigned bits = 0;
    int count = 0;

    ret_bytes->size = 0;
    for (; base64_digit(*text) >= 0; text++) {
        bits = bits << 6 | (unsigned)base64_digit(*text);
        count += 6;
        if (count >= 8) {
            count -= 8;
            cr_assert_lt(ret_bytes->size, RESPONSE_BYTES_MAX);
            ret_bytes->data[ret_bytes->size++] = (uint8_t)(bits >> count & 0xff);
        }
    }
}

static cJSON *
read_vectors(void)
{
    FILE *file = fopen(SHARED_DATA "/vectors/http/curl-responses.json", "rb");

    if (file == NULL) {
        return NULL;
    }
    char *text = malloc(FILE_BYTES_MAX);
    size_t size = fread(text, 1, FILE_BYTES_MAX, file);
    fclose(file);
    cJSON *root = cJSON_ParseWithLength(text, size);
    free(text);
    return root;
}

static const char *
text_of(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

/* The outcome that a case must have: OUTCOME_OK, another, or OUTCOME_COUNT for "not OK". */
static enum outcome
expected(const cJSON *row, const char **ret_why)
{
    const char *id = text_of(row, "id");

    *ret_why = "as curl";
    for (size_t i = 0; i < sizeof DIFFERENCES / sizeof *DIFFERENCES; i++) {
        if (strcmp(DIFFERENCES[i].id, id) == 0) {
            *ret_why = DIFFERENCES[i].why;
            return DIFFERENCES[i].outcome;
        }
    }
    return cJSON_GetObjectItem(row, "curl_head_exit")->valueint == 0 ? OUTCOME_OK : OUTCOME_COUNT;
}

Test(fetch_vectors, the_answers_of_curls_own_tests_end_as_they_should)
{
    cJSON *root = read_vectors();
    struct web_server server = {0};
    struct fetch_options options = engine_options();
    struct engine engine;
    char url[64];
    int count = 0;

    if (root == NULL) {
        cr_skip_test("no shared data");
    }
    web_server_start(&server, answer_bytes);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(root, "cases"))
    {
        struct page page;
        const char *why;
        enum outcome outcome = expected(row, &why);
        base64_decode(text_of(row, "response_base64"), &response);
        /* A connection of its own each: kept ones that the server has closed would be tried first.
         */
        engine_start(&engine, &options, "127.0.0.0/8");
        page_fetch(&engine, &page, url);
        engine_stop(&engine);
        bool is_as_expected =
            outcome == OUTCOME_COUNT ? page.outcome != OUTCOME_OK : page.outcome == outcome;
        cr_expect(is_as_expected, "%s, %s: %s (%s), expected %s", text_of(row, "id"),
                  text_of(row, "name"), outcome_name(page.outcome), page.reason, why);
        count++;
        page_release(&page);
    }
    cr_expect_eq(count, 62);
    cJSON_Delete(root);
}
