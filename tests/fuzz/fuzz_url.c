/* URLs from the web: what is accepted must be plain ASCII and parse again to itself, alone and as a
 * reference. The first line of the input is also taken as the base of the rest. */
#include "common/url.h"

#include <string.h>

#include "tests/fuzz/require.h"

static void
check(const struct url *url)
{
    struct url again;
    url_reason reason = NULL;
    require(url->size <= URL_BYTES_MAX && url->text[url->size] == '\0');
    for (size_t i = 0; i < url->size; i++) {
        require(url->text[i] > ' ' && url->text[i] < 0x7f);
    }
    struct slice text = slice_of(url->text, url->size);
    require(url_parse(text, &again, &reason) == OK);
    require(again.size == url->size && memcmp(again.text, url->text, url->size) == 0);
    require(again.port == url->port && again.host.size == url->host.size);
    require(url_resolve(url, text, &again, &reason) == OK);
    require(again.size == url->size && memcmp(again.text, url->text, url->size) == 0);
    require(url_resolve(url, slice_of("", 0), &again, &reason) == OK);
    require(again.size == url->size && memcmp(again.text, url->text, url->size) == 0);
    struct slice domain = url_registrable_domain(url->host);
    require(domain.size <= url->host.size);
}

static void
check_resolved(struct slice base_text, struct slice reference)
{
    struct url base;
    struct url url;
    url_reason reason = NULL;
    if (url_parse(base_text, &base, &reason) != OK) {
        require(reason != NULL);
        return;
    }
    check(&base);
    if (url_resolve(&base, reference, &url, &reason) == OK) {
        check(&url);
        require(base.scheme == URL_FILE || url.scheme != URL_FILE);
    } else {
        require(reason != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const bases[] = {"http://a.example/b/c?d", "https://[::1]:8443/",
                                        "file:///C:/x/y", "file:///x/y?z"};
    struct slice all = slice_of(data, size);
    check_resolved(all, slice_of("../x?y", 6));
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        check_resolved(slice_of(bases[i], strlen(bases[i])), all);
    }
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    if (line != NULL) {
        size_t base_size = (size_t)(line - data);
        check_resolved(slice_of(data, base_size), slice_of(line + 1, size - base_size - 1));
    }
    return 0;
}
