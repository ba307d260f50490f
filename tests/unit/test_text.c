#include "worker/text.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *raw;
    const char *text;
} append_cases[] = {
    {"", ""},
    {"   \n\t ", ""},
    {"one", "one"},
    {" one  two\n\tthree ", "one two three"},
    {"eight by eight bytes of plain words", "eight by eight bytes of plain words"},
    {"a pair  of spaces in the  middle of eight", "a pair of spaces in the middle of eight"},
    {"12345678 9", "12345678 9"},
    {"1234567 89", "1234567 89"},
    {"1234567  89", "1234567 89"},
    {"12345678  9", "12345678 9"},
    {"ends in a space ", "ends in a space"},
    {"control\x01marks\x7f"
     "fall out",
     "controlmarksfall out"},
    {"a&nbsp;b", "a b"},
    {"a &nbsp; b&#32;&#32;c", "a b c"},
    {"&nbsp;first", "first"},
    {"last&nbsp;", "last"},
    {"soft\xc2\xadhyphen", "softhyphen"},
    {"no\xc2\xa0"
     "break",
     "no break"},
    {"it\xe2\x80\x99s \xe2\x80\x8bzero", "it\xe2\x80\x99s zero"},
    {"AT&T &amp; &unknown; R&D", "AT&T & &unknown; R&D"},
    {"\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb2\xd0\xbe  \xd0\xb4\xd0\xb2\xd0\xb0",
     "\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb2\xd0\xbe \xd0\xb4\xd0\xb2\xd0\xb0"},
    {"cut \xe2\x80", "cut \xe2\x80"},
};

Test(text, white_space_is_collapsed_and_references_are_read)
{
    for (size_t i = 0; i < sizeof append_cases / sizeof append_cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, 200);
        buffer_append_string(&out, "before ");
        text_append(&out, slice_string(append_cases[i].raw), false);
        cr_expect_str_eq(buffer_text(&out) + strlen("before "), append_cases[i].text, "case %zu",
                         i);
        buffer_release(&out);
    }
}

Test(text, pieces_of_a_block_share_their_white_space)
{
    static const struct {
        const char *pieces[4];
        const char *text;
    } cases[] = {
        {{"T", "he", NULL}, "The"},
        {{"one ", " two", NULL}, "one two"},
        {{"one", " ", "two", NULL}, "one two"},
        {{" ", "&nbsp;", "one ", NULL}, "one"},
        {{"a longer piece ", "a longer piece", " ", NULL}, "a longer piece a longer piece"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        bool has_space = false;
        buffer_init(&out, 200);
        for (size_t j = 0; cases[i].pieces[j] != NULL; j++) {
            text_collapse(&out, 0, &has_space, slice_string(cases[i].pieces[j]), false);
        }
        cr_expect_str_eq(buffer_text(&out), cases[i].text, "case %zu", i);
        buffer_release(&out);
    }
}

/* Every text of two kinds of bytes, with one of another kind at each place, against counting by
 * hand. */
Test(text, words_and_characters_are_counted_at_every_place)
{
    static const char *const others[] = {"", "\xc3\xa9", "\xe6\x97\xa5", "\t", "\x7f"};
    for (unsigned bits = 0; bits < 1u << 11; bits++) {
        for (size_t other = 0; other < sizeof others / sizeof others[0]; other++) {
            char raw[32];
            size_t size = 0;
            uint32_t length = 0;
            uint32_t words = 0;
            uint32_t dense = 0;
            bool is_word = false;
            for (unsigned i = 0; i < 11; i++) {
                if (i == bits % 11) {
                    memcpy(raw + size, others[other], strlen(others[other]));
                    size += strlen(others[other]);
                    bool is_dense = other == 2;
                    length += is_dense ? 2 : other != 0;
                    dense += is_dense;
                    words += (other == 1 || other == 4) && !is_word;
                    is_word = other == 0 ? is_word : other == 1 || other == 4;
                }
                bool is_space = bits >> i & 1;
                raw[size++] = is_space ? ' ' : 'x';
                words += !is_space && !is_word;
                is_word = !is_space;
                length++;
            }
            uint32_t found_length = 0;
            uint32_t found_words = 0;
            text_measure(slice_of(raw, size), &found_length, &found_words);
            cr_assert_eq(found_length, length, "bits %x, other %zu", bits, other);
            cr_assert_eq(found_words, words + (dense + 1) / 2, "bits %x, other %zu", bits, other);
        }
    }
}
