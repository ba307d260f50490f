#include "common/utf8.h"

#include <string.h>

#include <criterion/criterion.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(text) slice_of(text, sizeof(text) - 1)

/* The expected strings are those of the WHATWG decoder: one U+FFFD for each maximal subpart. */
Test(utf8, malformed_sequences_are_replaced)
{
    static const struct {
        const char *text;
        const char *repaired;
    } cases[] = {
        {"plain ASCII of more than eight bytes", "plain ASCII of more than eight bytes"},
        {"stra\xc3\x9f"
         "e",
         "stra\xc3\x9f"
         "e"},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
        {"\xff", "\xef\xbf\xbd"},
        {"a\x80z", "a\xef\xbf\xbdz"},
        {"abcdefgh\xc0\xaf", "abcdefgh\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe2\x82", "\xef\xbf\xbd"},
        {"\xe2\x82"
         "abc",
         "\xef\xbf\xbd"
         "abc"},
        {"\xf0\x9f\x98"
         "\xf0\x9f\x98\x80",
         "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe0\x9f\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out;

        buffer_init(&out, 100);
        utf8_append(&out, slice_string(cases[i].text));
        cr_assert(slice_equal(buffer_slice(&out), slice_string(cases[i].repaired)), "case %zu", i);
        buffer_release(&out);
    }
}

Test(utf8, text_is_judged_alike_at_every_offset_and_length)
{
    char text[32];

    for (size_t size = 1; size <= sizeof(text); size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof(text));
            cr_assert_eq(utf8_valid_prefix(slice_of(text, size)), size);
            text[at] = '\x80';
            cr_assert_eq(utf8_valid_prefix(slice_of(text, size)), at);
            text[at] = '\xc3';
            if (at + 1 < size) {
                text[at + 1] = '\xa9';
                cr_assert_eq(utf8_valid_prefix(slice_of(text, size)), size);
            } else {
                cr_assert_eq(utf8_valid_prefix(slice_of(text, size)), at);
            }
        }
    }
    cr_assert_eq(utf8_malformed_prefix(slice_string("abc")), 0);
    cr_assert_eq(utf8_malformed_prefix(slice_of(NULL, 0)), 0);
    cr_assert_eq(utf8_malformed_prefix(BYTES("\xf0\x9f\x98z")), 3);
}
