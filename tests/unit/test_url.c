#include "common/url.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/url_checks.h"

struct parse_case {
    const char *input;
    const char *canonical; /* NULL: refused */
    const char *reason;
};

static const struct parse_case parse_cases[] = {
    {"HTTP://EXAMPLE.Com:80", "http://example.com/", NULL},
    {"https://example.com:443/a", "https://example.com/a", NULL},
    {"https://example.com:80/a", "https://example.com:80/a", NULL},
    {"http://example.com:/a", "http://example.com/a", NULL},
    {"http://example.com:0080/a", "http://example.com/a", NULL},
    {"http://example.com?", "http://example.com/?", NULL},
    {"http://example.com/a/", "http://example.com/a/", NULL},
    {"http://example.com//a///b", "http://example.com//a///b", NULL},
    {"http://example.com/?b=2&a=1&b=2", "http://example.com/?b=2&a=1&b=2", NULL},
    {"http://example.com/a#b", "http://example.com/a", NULL},
    {"http://example.com/a#", "http://example.com/a", NULL},
    {"  http://example.com/a \n", "http://example.com/a", NULL},
    {"ht\ntp://exa\tmple.com/a\r\nb", "http://example.com/ab", NULL},
    {"http://example.com/a/./b/../c/%2E%2e/d", "http://example.com/a/d", NULL},
    {"http://example.com/../../a", "http://example.com/a", NULL},
    {"http://example.com/%7euser/%41", "http://example.com/~user/A", NULL},
    {"http://example.com/?q=%7e%2b", "http://example.com/?q=~%2B", NULL},
    {"http://example.com/%2%65", "http://example.com/%2%65", NULL},
    {"http://example.com/%%34%31", "http://example.com/%%341", NULL},
    {"http://example.com/100%", "http://example.com/100%", NULL},
    {"http://example.com/a b\"<>", "http://example.com/a%20b%22%3C%3E", NULL},
    {"http://example.com/?a b'\"", "http://example.com/?a%20b%27%22", NULL},
    {"http://example.com/?/a\\..?b", "http://example.com/?/a\\..?b", NULL},
    {"http://example.com/größe?ü", "http://example.com/gr%C3%B6%C3%9Fe?%C3%BC", NULL},
    {"http://example.com/\xff\xfe", "http://example.com/%FF%FE", NULL},
    {"http://example.com/a\\b", "http://example.com/a/b", NULL},
    {"http:/example.com", "http://example.com/", NULL},
    {"http:example.com", "http://example.com/", NULL},
    {"http:\\\\example.com/", "http://example.com/", NULL},
    {"http://bücher.example/", "http://xn--bcher-kva.example/", NULL},
    {"http://BÜCHER.EXAMPLE/", "http://xn--bcher-kva.example/", NULL},
    {"http://i❤.ws/", "http://xn--i-7iq.ws/", NULL},
    {"http://example\u3002com/", "http://example.com/", NULL},
    {"http://example.com./", "http://example.com./", NULL},
    {"http://0x7f.1/", "http://127.0.0.1/", NULL},
    {"http://2130706433/", "http://127.0.0.1/", NULL},
    {"http://0251.0376.0251.0376/", "http://169.254.169.254/", NULL},
    {"http://127.0.0.1./", "http://127.0.0.1/", NULL},
    {"http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/", NULL},
    {"http://[2001:DB8:0:0:0::1]:8080/", "http://[2001:db8::1]:8080/", NULL},
    {"http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", NULL},
    {"http://[1:0:0:2:0:0:0:3]/", "http://[1:0:0:2::3]/", NULL},
    {"file:///etc/hosts", "file:///etc/hosts", NULL},
    {"file://localhost/a/../b", "file:///b", NULL},
    {"file:///C|/a/../..", "file:///C:/", NULL},
    {"file:///%43|/x", "file:///C:/x", NULL},
    {"", NULL, "not an absolute URL"},
    {"/a", NULL, "not an absolute URL"},
    {"example.com/a", NULL, "not an absolute URL"},
    {"ftp://example.com/", NULL, "scheme is not http or https"},
    {"javascript:alert(1)", NULL, "scheme is not http or https"},
    {"http://", NULL, "empty host"},
    {"http:///", NULL, "empty host"},
    {"http://:80/", NULL, "empty host"},
    {"http://user@example.com/", NULL, "user name or password in the URL"},
    {"http://user:word@example.com/", NULL, "user name or password in the URL"},
    {"http://good.example\\@evil.example/", NULL, "backslash in the authority"},
    {"http://ex%61mple.com/", NULL, "percent sign in the authority"},
    {"http://exämple%2ecom/", NULL, "percent sign in the authority"},
    {"http://example.com:0/", NULL, "port is not a number from 1 to 65535"},
    {"http://example.com:65536/", NULL, "port is not a number from 1 to 65535"},
    {"http://example.com:8o/", NULL, "port is not a number from 1 to 65535"},
    {"http://a:80:80/", NULL, "port is not a number from 1 to 65535"},
    {"http://exa mple.com/", NULL, "character not allowed in a host"},
    {"http://exa\x01mple.com/", NULL, "character not allowed in a host"},
    {"http://ex<mple.com/", NULL, "character not allowed in a host"},
    {"http://\xc3.example/", NULL, "host is not a valid international name"},
    {"http://1.2.3.256/", NULL, "host ends in a number but is no IPv4 address"},
    {"http://1.2.3.4.5/", NULL, "host ends in a number but is no IPv4 address"},
    {"http://foo.09/", NULL, "host ends in a number but is no IPv4 address"},
    {"http://4294967296/", NULL, "host ends in a number but is no IPv4 address"},
    {"http://[::1/", NULL, "host is not a valid IPv6 address"},
    {"http://[::1%25eth0]/", NULL, "host is not a valid IPv6 address"},
    {"http://[]/", NULL, "host is not a valid IPv6 address"},
    {"http://[::1]x/", NULL, "host is not a valid IPv6 address"},
    {"file://server/share", NULL, "file URL with a host"},
};

Test(url, absolute_urls_become_canonical_or_are_refused_with_a_reason)
{
    for (size_t i = 0; i < COUNT_OF(parse_cases); i++) {
        const struct parse_case *row = &parse_cases[i];
        struct url url;
        url_reason reason = "";
        enum error error = url_parse(text_slice(row->input), &url, &reason);
        if (row->canonical == NULL) {
            cr_assert_eq(error, ERROR_INVALID, "%s accepted", row->input);
            cr_assert_str_eq(reason, row->reason, "%s: %s", row->input, reason);
        } else {
            cr_assert_eq(error, OK, "%s refused: %s", row->input, reason);
            cr_assert_str_eq(url.text, row->canonical);
            check_canonical(&url);
        }
    }
}

static const struct {
    const char *base;
    const char *reference;
    const char *resolved; /* NULL: refused, "scheme is not http or https" */
} resolve_cases[] = {
    {"http://a/b/c/d?q", "", "http://a/b/c/d?q"},
    {"http://a/b/c/d?q", "#f", "http://a/b/c/d?q"},
    {"http://a/b/c/d?q", " \t", "http://a/b/c/d?q"},
    {"http://a/b/c/d?q", "?", "http://a/b/c/d?"},
    {"http://a/b/c/d?q", "?y", "http://a/b/c/d?y"},
    {"http://a/b/c/d?q", "g", "http://a/b/c/g"},
    {"http://a/b/c/d?q", "./g/", "http://a/b/c/g/"},
    {"http://a/b/c/d?q", "g?y#s", "http://a/b/c/g?y"},
    {"http://a/b/c/d?q", ".", "http://a/b/c/"},
    {"http://a/b/c/d?q", "..", "http://a/b/"},
    {"http://a/b/c/d?q", "../../../g", "http://a/g"},
    {"http://a/b/c/d?q", "/g", "http://a/g"},
    {"http://a/b/c/d?q", "//g", "http://g/"},
    {"http://a/b/c/d?q", "///g", "http://g/"},
    {"https://a:8443/b", "//g/h", "https://g/h"},
    {"https://a:8443/b", "h", "https://a:8443/h"},
    {"https://a:8443/b", "//a:443", "https://a/"},
    {"http://a/b/c/d?q", "http:g", "http://a/b/c/g"},
    {"http://a/b/c/d?q", "http:/g", "http://a/g"},
    {"http://a/b/c/d?q", "https:g", "https://g/"},
    {"http://a/b/c/d?q", "https://g/x", "https://g/x"},
    {"http://a/b/c/d?q", "a:b/c", NULL},
    {"http://a/b/c/d?q", "./a:b", "http://a/b/c/a:b"},
    {"http://a/b/c/d?q", "größe", "http://a/b/c/gr%C3%B6%C3%9Fe"},
    {"http://a", "b", "http://a/b"},
    {"http://[::1]:81/x", "../y", "http://[::1]:81/y"},
    {"http://a/b", "javascript:void(0)", NULL},
    {"http://a/b", "JavaScript:void(0)#x", NULL},
    {"http://a/b", "mailto:x@example.com", NULL},
    {"http://a/b", "data:text/html,x", NULL},
    {"http://a/b", "tel:+4912345", NULL},
    {"http://a/b", "file:///etc/passwd", NULL},
    {"file:///a/b", "c", "file:///a/c"},
    {"file:///a/b", "file:///etc/hosts", "file:///etc/hosts"},
    {"file:///a/b", "/c?d", "file:///c?d"},
    {"file:///C:/a", "/b", "file:///C:/b"},
    {"file:///a/b", "http://x/", "http://x/"},
};

Test(url, references_resolve_against_their_base)
{
    for (size_t i = 0; i < COUNT_OF(resolve_cases); i++) {
        struct url url;
        url_reason reason = "";
        struct slice reference = text_slice(resolve_cases[i].reference);
        cr_assert_eq(url_parse(text_slice(resolve_cases[i].base), &url, &reason), OK);
        enum error error = url_resolve(&url, reference, &url, &reason);
        if (resolve_cases[i].resolved == NULL) {
            cr_assert_eq(error, ERROR_INVALID, "%s accepted", resolve_cases[i].reference);
            cr_assert_str_eq(reason, "scheme is not http or https");
        } else {
            cr_assert_eq(error, OK, "%s refused: %s", resolve_cases[i].reference, reason);
            cr_assert_str_eq(url.text, resolve_cases[i].resolved);
            check_canonical(&url);
        }
    }
}

Test(url, parts_point_into_the_text)
{
    struct url url;
    url_reason reason = NULL;
    cr_assert_eq(url_parse(text_slice("https://Example.com:8443/a/b?c=d#e"), &url, &reason), OK);
    cr_assert_eq(url.scheme, URL_HTTPS);
    cr_assert_eq(url.port, 8443);
    cr_assert(slice_equal(url.host, text_slice("example.com")));
    cr_assert(slice_equal(url.path, text_slice("/a/b")));
    cr_assert(slice_equal(url.query, text_slice("c=d")));
    cr_assert_eq((const char *)url.host.data, url.text + strlen("https://"));
    cr_assert_eq(url_parse(text_slice("http://[::1]"), &url, &reason), OK);
    cr_assert_eq(url.port, 80);
    cr_assert(slice_equal(url.host, text_slice("[::1]")));
    cr_assert(slice_equal(url.path, text_slice("/")));
    cr_assert_null(url.query.data);
    cr_assert_eq(url_parse(text_slice("http://a/?"), &url, &reason), OK);
    cr_assert_not_null(url.query.data);
    cr_assert_eq(url.query.size, 0);
}

Test(url, a_refusal_leaves_the_output_alone)
{
    struct url url;
    url_reason reason = NULL;
    cr_assert_eq(url_parse(text_slice("http://a/b"), &url, &reason), OK);
    cr_assert_eq(url_parse(text_slice("http://other:99999/"), &url, &reason), ERROR_INVALID);
    cr_assert_eq(url_resolve(&url, text_slice("//x@y/"), &url, &reason), ERROR_INVALID);
    cr_assert_str_eq(url.text, "http://a/b");
}

/* "http://a/" and count times the piece, and behind it the tail. */
static struct slice
long_text(char *text, size_t text_bytes, const char *piece, size_t count, const char *tail)
{
    size_t size = (size_t)snprintf(text, text_bytes, "http://a/");
    for (size_t i = 0; i < count; i++) {
        cr_assert_lt(size + strlen(piece), text_bytes);
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    cr_assert_lt(size + strlen(tail), text_bytes);
    memcpy(text + size, tail, strlen(tail));
    return slice_of(text, size + strlen(tail));
}

Test(url, the_limit_counts_canonical_bytes)
{
    static char text[65536];
    struct url url;
    url_reason reason = NULL;
    const size_t rest = URL_BYTES_MAX - strlen("http://a/");
    cr_assert_eq(url_parse(long_text(text, sizeof text, "x", rest, ""), &url, &reason), OK);
    cr_assert_eq(url.size, URL_BYTES_MAX);
    check_canonical(&url);
    cr_assert_eq(url_parse(long_text(text, sizeof text, "x", rest + 1, ""), &url, &reason),
                 ERROR_INVALID);
    cr_assert_str_eq(reason, "longer than 2048 bytes");
    cr_assert_eq(url_parse(long_text(text, sizeof text, "%41", rest, ""), &url, &reason), OK);
    cr_assert_eq(url.size, URL_BYTES_MAX);
    cr_assert_eq(url_parse(long_text(text, sizeof text, "é", rest / 6 + 1, ""), &url, &reason),
                 ERROR_INVALID);
    cr_assert_eq(url_parse(long_text(text, sizeof text, "a/../", 1600, ""), &url, &reason), OK);
    cr_assert_str_eq(url.text, "http://a/");
    cr_assert_eq(url_parse(long_text(text, sizeof text, "a/../", 2000, ""), &url, &reason),
                 ERROR_INVALID);
    cr_assert_eq(url_parse(long_text(text, sizeof text, "#xxx", 10000, ""), &url, &reason), OK);
    cr_assert_eq(url_parse(long_text(text, sizeof text, "\t\n", 20000, "b"), &url, &reason), OK);
    cr_assert_str_eq(url.text, "http://a/b");
}

Test(url, a_long_reference_is_refused_by_what_is_wrong_with_it)
{
    static char text[65536];
    struct url url;
    url_reason reason = NULL;
    cr_assert_eq(url_parse(text_slice("http://a/"), &url, &reason), OK);
    memset(text, 'A', sizeof text);
    memcpy(text, "data:image/png;base64,", strlen("data:image/png;base64,"));
    cr_assert_eq(url_resolve(&url, slice_of(text, sizeof text), &url, &reason), ERROR_INVALID);
    cr_assert_str_eq(reason, "scheme is not http or https");
    memset(text, 'A', strlen("data:image/png;base64,"));
    cr_assert_eq(url_resolve(&url, slice_of(text, sizeof text), &url, &reason), ERROR_INVALID);
    cr_assert_str_eq(reason, "longer than 2048 bytes");
    memcpy(text, "http://", strlen("http://"));
    cr_assert_eq(url_parse(slice_of(text, 7 + URL_HOST_BYTES_MAX), &url, &reason), OK);
    cr_assert_eq(url_parse(slice_of(text, 8 + URL_HOST_BYTES_MAX), &url, &reason), ERROR_INVALID);
    cr_assert_str_eq(reason, "host is longer than 253 bytes");
    cr_assert_eq(url_parse(slice_of(text, URL_INPUT_BYTES_MAX), &url, &reason), ERROR_INVALID);
    cr_assert_str_eq(reason, "host is longer than 253 bytes");
}

Test(url, a_nul_byte_never_shortens_what_is_judged)
{
    struct url url;
    url_reason reason = NULL;
    const char in_host[] = "http://127.0.0.1\0.example.com/";
    const char in_name[] = "http://b\xc3\xbc\0cher.example/";
    const char in_path[] = "http://a/b\0c";
    const char in_address[] = "http://[::1\0]/";
    cr_assert_eq(url_parse(slice_of(in_host, sizeof in_host - 1), &url, &reason), ERROR_INVALID);
    cr_assert_eq(url_parse(slice_of(in_name, sizeof in_name - 1), &url, &reason), ERROR_INVALID);
    cr_assert_eq(url_parse(slice_of(in_address, sizeof in_address - 1), &url, &reason),
                 ERROR_INVALID);
    cr_assert_eq(url_parse(slice_of(in_path, sizeof in_path - 1), &url, &reason), OK);
    cr_assert_str_eq(url.text, "http://a/b%00c");
}

static bool
fingerprints_equal(struct fingerprint a, struct fingerprint b)
{
    return a.high == b.high && a.low == b.low;
}

Test(url, fingerprints_keep_domain_and_text_apart)
{
    struct fingerprint plain = fingerprint_of(text_slice(""), text_slice("http://a/"));
    cr_assert(
        fingerprints_equal(plain, fingerprint_of(slice_of(NULL, 0), text_slice("http://a/"))));
    cr_assert_not(
        fingerprints_equal(plain, fingerprint_of(text_slice("k"), text_slice("http://a/"))));
    cr_assert_not(fingerprints_equal(fingerprint_of(text_slice("ab"), text_slice("c")),
                                     fingerprint_of(text_slice("a"), text_slice("bc"))));
    /* Stored on disk: XXH3-128 of eight bytes of length, "k" and "http://a/", as the one-shot call
     * gives it.
     */
    struct fingerprint known = fingerprint_of(text_slice("k"), text_slice("http://a/"));
    cr_assert_eq(known.high, 0x5e56088bcaa9de6fu);
    cr_assert_eq(known.low, 0xae5d4dd853d85a3cu);
}

Test(url, registrable_domains_follow_the_public_suffix_list)
{
    static const struct {
        const char *host;
        const char *domain;
    } cases[] = {
        {"example.com", "example.com"},
        {"www.a.example.com", "example.com"},
        {"www.example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        {"com", "com"},
        {"a.example.com.", "example.com"},
        {"user.github.io", "user.github.io"},
        {"www.xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"127.0.0.1", "127.0.0.1"},
        {"[2001:db8::1]", "[2001:db8::1]"},
        {"localhost", "localhost"},
        {"", ""},
        {".", "."},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct slice host = text_slice(cases[i].host);
        struct slice domain = url_registrable_domain(host);
        cr_assert(slice_equal(domain, text_slice(cases[i].domain)), "%s gives %.*s", cases[i].host,
                  (int)domain.size, (const char *)domain.data);
        cr_assert(domain.data >= host.data && domain.data <= host.data + host.size);
    }
}
