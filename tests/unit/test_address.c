#include "worker/address.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "common/url.h"
#include "tests/unit/vectors.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

union socket_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};

static union socket_address
address_from(const char *text, uint16_t port)
{
    union socket_address address = {.any = {.sa_family = AF_UNSPEC}};
    if (inet_pton(AF_INET, text, &address.ipv4.sin_addr) == 1) {
        address.ipv4.sin_family = AF_INET;
        address.ipv4.sin_port = htons(port);
    } else {
        cr_assert_eq(inet_pton(AF_INET6, text, &address.ipv6.sin6_addr), 1, "%s", text);
        address.ipv6.sin6_family = AF_INET6;
        address.ipv6.sin6_port = htons(port);
    }
    return address;
}

Test(address, only_global_unicast_passes_by_default)
{
    cJSON *document = vectors_load(SHARED_DATA "/vectors/ssrf/addresses.json");
    if (document == NULL) {
        cr_skip_test("no shared data");
    }
    const cJSON *row;
    size_t count = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(document, "cases"))
    {
        const char *text = vector_text(row, "address");
        bool may_connect = cJSON_IsTrue(cJSON_GetObjectItem(row, "connect"));
        union socket_address address = address_from(text, 443);
        cr_assert_eq(address_is_global(&address.any), may_connect, "%s", text);
        cr_assert_eq(address_is_allowed(NULL, &address.any), may_connect, "%s", text);
        count++;
    }
    cr_assert_eq(count, 184);
    cJSON_Delete(document);
}

static bool
array_has(const cJSON *array, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        if (strcmp(cJSON_GetStringValue(item), text) == 0) {
            return true;
        }
    }
    return false;
}

/* What one look-up answers and what of it may be connected to. */
static bool
answers_can_connect(const cJSON *row, const cJSON *answers, uint16_t port)
{
    const cJSON *only = cJSON_GetObjectItem(row, "only_connect_to");
    const cJSON *answer;
    bool can_connect = false;
    cJSON_ArrayForEach(answer, answers)
    {
        const char *text = cJSON_GetStringValue(answer);
        union socket_address address = address_from(text, port);
        if (address_is_allowed(NULL, &address.any)) {
            cr_assert(only == NULL || array_has(only, text), "%s", text);
            can_connect = true;
        }
    }
    return can_connect;
}

/* The look-ups of a name; a name that the case leaves out is one of this machine's own. */
static bool
name_can_connect(const cJSON *row, const char *name, uint16_t port)
{
    const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(row, "dns"), name);
    const cJSON *lookups =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(row, "dns_answers"), name);
    if (fixed != NULL) {
        return answers_can_connect(row, fixed, port);
    }
    if (lookups == NULL) {
        union socket_address local = address_from("127.0.0.1", port);
        return address_is_allowed(NULL, &local.any);
    }
    bool can_connect = true;
    const cJSON *answers;
    cJSON_ArrayForEach(answers, lookups)
    {
        can_connect = answers_can_connect(row, answers, port) && can_connect;
    }
    return can_connect;
}

/* The fetcher's decision without its sockets. */
static bool
url_can_connect(const cJSON *row, const struct url *url)
{
    char host[URL_HOST_BYTES_MAX + 1];
    uint8_t bytes[16];
    if (url->scheme == URL_FILE) {
        return false; /* the fetcher reads no files */
    }
    bool is_ipv6 = url->host.data[0] == '[';
    size_t size = url->host.size - (is_ipv6 ? 2 : 0);
    memcpy(host, url->host.data + is_ipv6, size);
    host[size] = '\0';
    if (is_ipv6 || inet_pton(AF_INET, host, bytes) == 1) {
        union socket_address address = address_from(host, url->port);
        return address_is_allowed(NULL, &address.any);
    }
    return name_can_connect(row, host, url->port);
}

static bool
case_can_connect(const cJSON *row)
{
    static char copy[VECTOR_TEXT_BYTES_MAX];
    struct url url;
    url_reason reason = NULL;
    if (url_parse(vector_slice(vector_text(row, "url"), copy), &url, &reason) != OK ||
        !url_can_connect(row, &url)) {
        return false;
    }
    const cJSON *hop;
    cJSON_ArrayForEach(hop, cJSON_GetObjectItem(row, "redirect_chain"))
    {
        struct slice location = vector_slice(cJSON_GetStringValue(hop), copy);
        if (url_resolve(&url, location, &url, &reason) != OK || !url_can_connect(row, &url)) {
            return false;
        }
    }
    return true;
}

Test(address, no_spelling_of_a_url_leads_to_a_refused_address)
{
    cJSON *document = vectors_load(SHARED_DATA "/vectors/ssrf/urls.json");
    if (document == NULL) {
        cr_skip_test("no shared data");
    }
    const cJSON *row;
    size_t count = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(document, "cases"))
    {
        bool may_connect = cJSON_IsTrue(cJSON_GetObjectItem(row, "connect"));
        cr_assert_eq(case_can_connect(row), may_connect, "%s: %s", vector_text(row, "id"),
                     vector_text(row, "url"));
        count++;
    }
    cr_assert_eq(count, 207);
    cJSON_Delete(document);
}

Test(address, a_list_allows_its_networks_and_no_more)
{
    static const struct {
        const char *address;
        bool is_listed;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.255.255.255", true},
        {"128.0.0.0", false},
        {"10.1.255.255", true},
        {"10.2.0.0", false},
        {"192.168.7.9", true},
        {"192.168.7.8", false},
        {"::1", true},
        {"::2", false},
        {"fd00:1:2:3::9", true},
        {"fd00:1:2:4::9", false},
        {"172.20.0.0", true},
        {"172.23.255.255", true},
        {"172.24.0.0", false},
        {"172.19.255.255", false},
        {"::ffff:127.0.0.1", false},
        {"::ffff:10.1.0.1", false},
        {"169.254.169.254", false},
    };
    struct address_list *list = NULL;
    size_t offset = 0;
    const char *text =
        "127.0.0.0/8, ::1/128,10.1.0.0/16 ,192.168.7.9,fd00:1:2:3::/64,172.20.0.0/14";
    cr_assert_eq(address_list_create(text, &list, &offset), OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        union socket_address address = address_from(cases[i].address, 80);
        cr_assert_eq(address_list_has(list, &address.any), cases[i].is_listed, "%s",
                     cases[i].address);
    }
    union socket_address local = address_from("127.0.0.1", 22);
    union socket_address global = address_from("93.184.216.34", 22);
    cr_assert(address_is_allowed(list, &local.any), "a listed network has all its ports");
    cr_assert_not(address_is_allowed(list, &global.any));
    address_list_destroy(list);
}

Test(address, the_whole_internet_can_be_listed)
{
    struct address_list *list = NULL;
    size_t offset = 0;
    cr_assert_eq(address_list_create("0.0.0.0/0,::/0", &list, &offset), OK);
    union socket_address ipv4 = address_from("255.255.255.255", 80);
    union socket_address ipv6 = address_from("::ffff:7f00:1", 80);
    cr_assert(address_is_allowed(list, &ipv4.any));
    cr_assert(address_is_allowed(list, &ipv6.any));
    address_list_destroy(list);
}

Test(address, no_text_is_an_empty_list)
{
    static const char *const texts[] = {NULL, "", " \t"};
    union socket_address local = address_from("127.0.0.1", 80);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct address_list *list = NULL;
        size_t offset = 0;
        cr_assert_eq(address_list_create(texts[i], &list, &offset), OK);
        cr_assert_not_null(list);
        cr_assert_not(address_list_has(list, &local.any));
        address_list_destroy(list);
    }
    cr_assert_not(address_list_has(NULL, &local.any));
    address_list_destroy(NULL);
}

Test(address, a_list_that_is_wrong_says_where)
{
    static const struct {
        const char *text;
        size_t offset;
    } cases[] = {
        {"localhost", 0},
        {"127.0.0.0/33", 0},
        {"::1/129", 0},
        {"127.0.0.0/8,", 12},
        {",127.0.0.0/8", 0},
        {"10.0.0.1/8", 0},
        {"127.0.0.0/8, 10.0/8", 13},
        {"127.0.0.0/", 0},
        {"127.0.0.0/-1", 0},
        {"127.0.0.0/8x", 0},
        {"127.0.0.0/0008", 0},
        {"::1/128 ::2/128", 0},
        {"fe80::1%eth0", 0},
        {"10.0.0.0/8/8", 0},
        {"0x7f.1", 0},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct address_list *list = NULL;
        size_t offset = 999;
        cr_assert_eq(address_list_create(cases[i].text, &list, &offset), ERROR_CONFIG, "%s",
                     cases[i].text);
        cr_assert_eq(offset, cases[i].offset, "%s: %zu", cases[i].text, offset);
        cr_assert_null(list);
    }
}

Test(address, a_list_has_a_limit)
{
    char text[257 * 4 + 1] = "";
    struct address_list *list = NULL;
    size_t offset = 0;
    for (size_t i = 0; i < 257; i++) {
        memcpy(text + 4 * i, "::1,", 5);
    }
    text[257 * 4 - 1] = '\0';
    cr_assert_eq(address_list_create(text, &list, &offset), ERROR_CONFIG);
    text[256 * 4 - 1] = '\0';
    cr_assert_eq(address_list_create(text, &list, &offset), OK);
    address_list_destroy(list);
}

Test(address, ports_of_other_protocols_are_refused)
{
    static const uint16_t refused[] = {1, 22, 25, 53, 110, 445, 6000, 6379, 6667, 10080, 11211};
    static const uint16_t allowed[] = {0, 2, 80, 81, 443, 3000, 6001, 8080, 8443, 10081, 65535};
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        cr_assert_not(address_port_is_allowed(refused[i]), "%u", refused[i]);
    }
    for (size_t i = 0; i < COUNT_OF(allowed); i++) {
        cr_assert(address_port_is_allowed(allowed[i]), "%u", allowed[i]);
    }
    /* The table is searched by halves: every row must be found. */
    size_t count = 0;
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        count += !address_port_is_allowed((uint16_t)port);
    }
    cr_assert_eq(count, 85, "%zu", count);
}

Test(address, other_families_are_never_global)
{
    struct sockaddr_storage storage;
    char text[INET6_ADDRSTRLEN] = "x";
    memset(&storage, 0, sizeof storage);
    storage.ss_family = AF_UNIX;
    cr_assert_not(address_is_global((const struct sockaddr *)&storage));
    cr_assert_not(address_is_allowed(NULL, (const struct sockaddr *)&storage));
    address_format((const struct sockaddr *)&storage, text, sizeof text);
    cr_assert_str_eq(text, "");
}

Test(address, addresses_are_written_without_their_port)
{
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char text[INET6_ADDRSTRLEN];
        union socket_address address = address_from(texts[i], 8080);
        address_format(&address.any, text, sizeof text);
        cr_assert_str_eq(text, texts[i]);
    }
    char small[4] = "xyz";
    union socket_address address = address_from("192.0.2.1", 80);
    address_format(&address.any, small, sizeof small);
    cr_assert_str_eq(small, "");
    small[0] = 'x';
    address_format(&address.any, small, 0);
    cr_assert_eq(small[0], 'x');
}
