#include "worker/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_BYTES 4
#define IPV6_BYTES 16
#define ADDRESS_NETWORKS_MAX 256
#define NETWORK_TEXT_BYTES_MAX (INET6_ADDRSTRLEN + 4) /* with "/128" */

/* The bytes of a socket address, most significant first. */
struct address {
    uint8_t bytes[IPV6_BYTES];
    size_t size; /* IPV4_BYTES or IPV6_BYTES; 0 for other families */
    uint16_t port;
};

struct network {
    uint8_t bytes[IPV6_BYTES];
    uint8_t size;
    uint8_t prefix_bits;
};

struct address_list {
    size_t count;
    struct network networks[];
};

/* What the IPv4 registry does not call globally reachable, and two that it does. */
static const struct network refused_ipv4[] = {
    {{0}, IPV4_BYTES, 8},                 /* this network */
    {{10}, IPV4_BYTES, 8},                /* private */
    {{100, 64}, IPV4_BYTES, 10},          /* shared, behind carrier NAT */
    {{127}, IPV4_BYTES, 8},               /* loopback */
    {{168, 63, 129, 16}, IPV4_BYTES, 32}, /* global, yet the host agent of a cloud */
    {{169, 254}, IPV4_BYTES, 16},         /* link-local and cloud metadata */
    {{172, 16}, IPV4_BYTES, 12},          /* private */
    {{192, 0, 0}, IPV4_BYTES, 24},        /* protocol assignments */
    {{192, 0, 2}, IPV4_BYTES, 24},        /* documentation */
    {{192, 88, 99}, IPV4_BYTES, 24},      /* old 6to4 relays: leads to embedded addresses */
    {{192, 168}, IPV4_BYTES, 16},         /* private */
    {{198, 18}, IPV4_BYTES, 15},          /* benchmarking */
    {{198, 51, 100}, IPV4_BYTES, 24},     /* documentation */
    {{203, 0, 113}, IPV4_BYTES, 24},      /* documentation */
    {{224}, IPV4_BYTES, 4},               /* multicast */
    {{240}, IPV4_BYTES, 4},               /* reserved, broadcast */
};

/* Only 2000::/3 is handed out. This leaves out at once: unspecified, loopback, IPv4-compatible,
 * -mapped and -translated, NAT64, discard, segment routing, unique local, link-local, site-local
 * and multicast. */
static const struct network global_ipv6 = {{0x20}, IPV6_BYTES, 3};

static const struct network refused_ipv6[] = {
    {{0x20, 0x01, 0x00}, IPV6_BYTES, 23},       /* Teredo, benchmarking, ORCHID, assignments */
    {{0x20, 0x01, 0x0d, 0xb8}, IPV6_BYTES, 32}, /* documentation */
    {{0x20, 0x02}, IPV6_BYTES, 16},             /* 6to4 */
    {{0x3f, 0xff}, IPV6_BYTES, 20},             /* documentation */
};

/* In ascending order. The Fetch Standard's blocked ports (mail, shells, name service: protocols
 * that a request could talk to), and 445, 6379 and 11211 (file shares, Redis, memcached). */
static const uint16_t refused_ports[] = {
    1,    7,    9,    11,   13,   15,   17,   19,   20,    21,    22,   23,   25,   37,   42,
    43,   53,   69,   77,   79,   87,   95,   101,  102,   103,   104,  109,  110,  111,  113,
    115,  117,  119,  123,  135,  137,  139,  143,  161,   179,   389,  427,  445,  465,  512,
    513,  514,  515,  526,  530,  531,  532,  540,  548,   554,   556,  563,  587,  601,  636,
    989,  990,  993,  995,  1719, 1720, 1723, 2049, 3659,  4045,  4190, 5060, 5061, 6000, 6379,
    6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211,
};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static struct address
address_read(const struct sockaddr *socket_address)
{
    struct address address = {.size = 0};
    if (socket_address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, socket_address, sizeof ipv4);
        memcpy(address.bytes, &ipv4.sin_addr, IPV4_BYTES);
        address.size = IPV4_BYTES;
        address.port = ntohs(ipv4.sin_port);
    } else if (socket_address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, socket_address, sizeof ipv6);
        memcpy(address.bytes, &ipv6.sin6_addr, IPV6_BYTES);
        address.size = IPV6_BYTES;
        address.port = ntohs(ipv6.sin6_port);
    }
    return address;
}

static bool
network_has(const struct network *network, const struct address *address)
{
    if (network->size != address->size) {
        return false;
    }
    size_t whole_bytes = network->prefix_bits / 8;
    unsigned rest_bits = network->prefix_bits % 8;
    if (memcmp(network->bytes, address->bytes, whole_bytes) != 0) {
        return false;
    }
    if (rest_bits == 0) {
        return true;
    }
    unsigned difference = (unsigned)network->bytes[whole_bytes] ^ address->bytes[whole_bytes];
    return (difference >> (8 - rest_bits)) == 0;
}

static bool
networks_have(const struct network *networks, size_t count, const struct address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (network_has(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

bool
address_is_global(const struct sockaddr *socket_address)
{
    struct address address = address_read(socket_address);
    if (address.size == IPV4_BYTES) {
        return !networks_have(refused_ipv4, COUNT_OF(refused_ipv4), &address);
    }
    return network_has(&global_ipv6, &address) &&
           !networks_have(refused_ipv6, COUNT_OF(refused_ipv6), &address);
}

static int
port_compare(const void *left, const void *right)
{
    return (int)*(const uint16_t *)left - (int)*(const uint16_t *)right;
}

bool
address_port_is_allowed(uint16_t port)
{
    return bsearch(&port, refused_ports, COUNT_OF(refused_ports), sizeof port, port_compare) ==
           NULL;
}

/* Bits behind the prefix must be zero: 10.0.0.1/8 is more likely a slip than a wish. */
static bool
network_is_exact(const struct network *network)
{
    for (size_t bit = network->prefix_bits; bit < (size_t)network->size * 8; bit++) {
        if ((network->bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

/* The decimal number after the slash; false when it is none or more than bits_max. */
static bool
prefix_parse(const char *text, unsigned bits_max, uint8_t *ret_bits)
{
    unsigned bits = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 3) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return false;
        }
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    if (bits > bits_max) {
        return false;
    }
    *ret_bits = (uint8_t)bits;
    return true;
}

/* One network, "10.0.0.0/8" or a single address. */
static bool
network_parse(const char *text, size_t length, struct network *ret_network)
{
    char copy[NETWORK_TEXT_BYTES_MAX + 1];
    if (length == 0 || length > NETWORK_TEXT_BYTES_MAX || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    struct network network = {.size = 0};
    if (inet_pton(AF_INET, copy, network.bytes) == 1) {
        network.size = IPV4_BYTES;
    } else if (inet_pton(AF_INET6, copy, network.bytes) == 1) {
        network.size = IPV6_BYTES;
    } else {
        return false;
    }
    network.prefix_bits = (uint8_t)(network.size * 8);
    if (slash != NULL && !prefix_parse(slash + 1, network.prefix_bits, &network.prefix_bits)) {
        return false;
    }
    if (!network_is_exact(&network)) {
        return false;
    }
    *ret_network = network;
    return true;
}

enum error
address_list_create(const char *text, struct address_list **ret_list, size_t *ret_offset)
{
    static const char blanks[] = " \t\r\n";
    if (text == NULL) {
        text = "";
    }
    size_t networks_max = 1;
    for (const char *at = text; *at != '\0'; at++) {
        networks_max += *at == ',';
    }
    if (networks_max > ADDRESS_NETWORKS_MAX) {
        *ret_offset = 0;
        return ERROR_CONFIG;
    }
    struct address_list *list = calloc(1, sizeof *list + networks_max * sizeof list->networks[0]);
    if (list == NULL) {
        return ERROR_NO_MEMORY;
    }
    if (text[strspn(text, blanks)] == '\0') {
        *ret_list = list;
        return OK;
    }
    const char *at = text;
    for (;;) {
        at += strspn(at, blanks);
        const char *end = at + strcspn(at, ",");
        size_t length = (size_t)(end - at);
        while (length > 0 && strchr(blanks, at[length - 1]) != NULL) {
            length--;
        }
        if (!network_parse(at, length, &list->networks[list->count])) {
            goto fail;
        }
        list->count++;
        if (*end == '\0') {
            break;
        }
        at = end + 1;
    }
    *ret_list = list;
    return OK;
fail:
    *ret_offset = (size_t)(at - text);
    address_list_destroy(list);
    return ERROR_CONFIG;
}

void
address_list_destroy(struct address_list *list)
{
    free(list);
}

bool
address_list_has(const struct address_list *list, const struct sockaddr *socket_address)
{
    if (list == NULL) {
        return false;
    }
    struct address address = address_read(socket_address);
    return networks_have(list->networks, list->count, &address);
}

bool
address_is_allowed(const struct address_list *list, const struct sockaddr *socket_address)
{
    if (address_list_has(list, socket_address)) {
        return true;
    }
    return address_is_global(socket_address) &&
           address_port_is_allowed(address_read(socket_address).port);
}

void
address_format(const struct sockaddr *socket_address, char *ret_text, size_t text_bytes)
{
    if (text_bytes == 0) {
        return;
    }
    struct address address = address_read(socket_address);
    int family = address.size == IPV4_BYTES ? AF_INET : AF_INET6;
    if (address.size == 0 ||
        inet_ntop(family, address.bytes, ret_text, (socklen_t)text_bytes) == NULL) {
        ret_text[0] = '\0';
    }
}
