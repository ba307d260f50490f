/* url_checks: what the tests of url share. */
#ifndef THRESH_TESTS_UNIT_URL_CHECKS_H
#define THRESH_TESTS_UNIT_URL_CHECKS_H

#include <criterion/criterion.h>
#include <string.h>

#include "common/url.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static inline struct slice
text_slice(const char *text)
{
    return slice_of(text, strlen(text));
}

/* What every canonical URL must be. */
static inline void
check_canonical(const struct url *url)
{
    struct url again;
    url_reason reason = NULL;
    cr_assert_leq(url->size, URL_BYTES_MAX);
    cr_assert_eq(strlen(url->text), url->size);
    for (size_t i = 0; i < url->size; i++) {
        cr_assert(url->text[i] > ' ' && url->text[i] < 0x7f, "%s", url->text);
    }
    const uint8_t *end = (const uint8_t *)url->text + url->size;
    cr_assert_eq(url->path.data[0], '/');
    if (url->query.data != NULL) {
        cr_assert_eq(url->path.data + url->path.size + 1, url->query.data);
        cr_assert_eq(url->query.data + url->query.size, end);
    } else {
        cr_assert_eq(url->path.data + url->path.size, end);
    }
    cr_assert_eq(url->scheme == URL_FILE, url->host.size == 0);
    cr_assert_eq(url->scheme == URL_FILE, url->port == 0);
    cr_assert_eq(url_parse(slice_of(url->text, url->size), &again, &reason), OK, "%s: %s",
                 url->text, reason);
    cr_assert_str_eq(again.text, url->text);
    cr_assert_eq(again.port, url->port);
    cr_assert_eq(again.host.size, url->host.size);
    cr_assert_eq(again.path.size, url->path.size);
}

/* As in a browser: the base counts for references only. */
static inline enum error
parse_against(const char *base_text, struct slice input, struct url *ret_url,
              url_reason *ret_reason)
{
    struct url base;
    if (base_text == NULL || url_parse(text_slice(base_text), &base, ret_reason) != OK) {
        return url_parse(input, ret_url, ret_reason);
    }
    return url_resolve(&base, input, ret_url, ret_reason);
}

#endif
