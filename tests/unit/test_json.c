#include "common/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/message.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(text) slice_of(text, sizeof(text) - 1)

static struct buffer
buffer_for_test(void)
{
    struct buffer buffer;

    buffer_init(&buffer, 4 * 1024 * 1024);
    return buffer;
}

/* ---- writing --------------------------------------------------------------------------- */

Test(json, messages_become_json)
{
    static const struct {
        struct slice message;
        const char *json;
    } cases[] = {
        {{(const uint8_t *)"\xc0", 1}, "null"},
        {{(const uint8_t *)"\xc3", 1}, "true"},
        {{(const uint8_t *)"\xc2", 1}, "false"},
        {{(const uint8_t *)"\x00", 1}, "0"},
        {{(const uint8_t *)"\xe0", 1}, "-32"},
        {{(const uint8_t *)"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9}, "18446744073709551615"},
        {{(const uint8_t *)"\xd3\x80\x00\x00\x00\x00\x00\x00\x00", 9}, "-9223372036854775808"},
        {{(const uint8_t *)"\xca\x3f\x00\x00\x00", 5}, "0.5"},
        {{(const uint8_t *)"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 9}, "null"},
        {{(const uint8_t *)"\xcb\xff\xf0\x00\x00\x00\x00\x00\x00", 9}, "null"},
        {{(const uint8_t *)"\xa0", 1}, "\"\""},
        {{(const uint8_t *)"\xa2\xff"
                           "a",
          3},
         "\"\xef\xbf\xbd"
         "a\""},
        {{(const uint8_t *)"\xc4\x00", 2}, "\"\""},
        {{(const uint8_t *)"\xc4\x01"
                           "f",
          3},
         "\"Zg==\""},
        {{(const uint8_t *)"\xc4\x02"
                           "fo",
          4},
         "\"Zm8=\""},
        {{(const uint8_t *)"\xc4\x03"
                           "foo",
          5},
         "\"Zm9v\""},
        {{(const uint8_t *)"\xc4\x04\xff\xfe\xfb\xef", 6}, "\"//777w==\""},
        {{(const uint8_t *)"\xd4\x01"
                           "f",
          3},
         "\"Zg==\""},
        {{(const uint8_t *)"\x90", 1}, "[]"},
        {{(const uint8_t *)"\x80", 1}, "{}"},
        {{(const uint8_t *)"\x93\x01\x92\x02\x90\x80", 6}, "[1,[2,[]],{}]"},
        {{(const uint8_t *)"\x82\xa1"
                           "a\x01\xa1"
                           "b\x81\xa1"
                           "c\xc0",
          10},
         "{\"a\":1,\"b\":{\"c\":null}}"},
        {{(const uint8_t *)"\x84\x01\x02\xc3\x03\xc0\x04\xc4\x01"
                           "f\x05",
          11},
         "{\"1\":2,\"true\":3,\"null\":4,\"Zg==\":5}"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = buffer_for_test();

        buffer_append_string(&out, ">");
        cr_assert_eq(json_from_message(&out, cases[i].message), OK, "case %zu", i);
        cr_assert_str_eq(buffer_text(&out) + 1, cases[i].json);
        buffer_release(&out);
    }
}

Test(json, what_is_no_message_appends_nothing)
{
    static const struct slice cases[] = {
        {NULL, 0},
        {(const uint8_t *)"\xc1", 1},
        {(const uint8_t *)"\x01\x02", 2},
        {(const uint8_t *)"\x92\x01", 2},
        {(const uint8_t *)"\x82\xa1"
                          "a\x01\xa1",
         5},
        {(const uint8_t *)"\x81\x90\x01", 3},
        {(const uint8_t *)"\x81\x80\x01", 3},
        {(const uint8_t *)"\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90",
         17},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = buffer_for_test();

        buffer_append_string(&out, "before");
        cr_assert_eq(json_from_message(&out, cases[i]), ERROR_PROTOCOL, "case %zu", i);
        cr_assert_str_eq(buffer_text(&out), "before");
        buffer_release(&out);
    }
}

Test(json, a_full_buffer_is_reported)
{
    struct buffer out;

    buffer_init(&out, 5);
    cr_assert_eq(json_from_message(&out, BYTES("\x93\x01\x02\x03")), ERROR_TOO_LARGE);
    buffer_clear(&out);
    cr_assert_eq(json_from_message(&out, BYTES("\xc4\x04"
                                               "abcd")),
                 ERROR_TOO_LARGE);
    buffer_release(&out);
}

Test(json, pretty_text_has_a_line_for_each_value)
{
    struct buffer out = buffer_for_test();

    cr_assert_eq(json_from_message_pretty(&out,
                                          BYTES("\x83\xa1"
                                                "a\x92\x01\x02\xa1"
                                                "b\x80\xa1"
                                                "c\x90"),
                                          2),
                 OK);
    cr_assert_str_eq(buffer_text(&out), "{\n"
                                        "  \"a\": [\n"
                                        "    1,\n"
                                        "    2\n"
                                        "  ],\n"
                                        "  \"b\": {},\n"
                                        "  \"c\": []\n"
                                        "}");
    buffer_clear(&out);
    cr_assert_eq(json_from_message_pretty(&out, BYTES("\x92\x01\x02"), 0), OK);
    cr_assert_str_eq(buffer_text(&out), "[1,2]");
    buffer_release(&out);
}

Test(json, doubles_are_as_short_as_they_can_be_and_come_back)
{
    static const struct {
        double number;
        const char *json;
    } cases[] = {
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {1e300, "1e+300"},
        {-2.5, "-2.5"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {123456789.125, "123456789.125"},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer message = buffer_for_test();
        struct buffer out = buffer_for_test();

        write_double(&message, cases[i].number);
        cr_assert_eq(json_from_message(&out, buffer_slice(&message)), OK);
        cr_assert_str_eq(buffer_text(&out), cases[i].json);
        cr_assert_eq(strtod(buffer_text(&out), NULL), cases[i].number);
        buffer_release(&message);
        buffer_release(&out);
    }
}

Test(json, strings_are_escaped)
{
    struct buffer out = buffer_for_test();

    json_append_string(&out, BYTES("a\"b\\c\n\r\t\b\f\x01\x1f\x7f/\0\xe2\x82\xac"));
    cr_assert_str_eq(buffer_text(&out),
                     "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f/\\u0000\xe2\x82\xac\"");
    buffer_clear(&out);
    json_append_string(&out, BYTES("x\xe2\x82y\xff\xff"));
    cr_assert_str_eq(buffer_text(&out), "\"x\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\"");
    buffer_release(&out);
}

/* ---- reading --------------------------------------------------------------------------- */

Test(json, texts_become_messages_that_write_the_same_text)
{
    static const char *const texts[] = {
        "null",
        "true",
        "[]",
        "{}",
        "0",
        "-1",
        "9007199254740992",
        "-9007199254740992",
        "9007199254740991",
        "4294967296",
        "0.5",
        "-0",
        "1e+20",
        "\"text\"",
        "\"\"",
        "[1,[2,[3,[]],{}],{\"a\":{\"b\":[null]}}]",
        "{\"a\":1,\"b\":[true,false],\"c\":{\"d\":\"e\"}}",
        "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
        "\"\\\"\\\\\\n\\u0001\xf0\x9f\x98\x80\"",
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct buffer message = buffer_for_test();
        struct buffer out = buffer_for_test();
        size_t offset = 77;

        cr_assert_eq(json_to_message(&message, slice_string(texts[i]), &offset), OK, "%s",
                     texts[i]);
        cr_assert_eq(offset, 77);
        cr_assert_eq(message_scan(buffer_slice(&message)), OK);
        cr_assert_eq(json_from_message(&out, buffer_slice(&message)), OK);
        cr_assert_str_eq(buffer_text(&out), texts[i]);
        buffer_release(&message);
        buffer_release(&out);
    }
}

Test(json, numbers_and_strings_mean_what_they_say)
{
    static const struct {
        const char *text;
        struct slice message;
    } cases[] = {
        {" 1 ", {(const uint8_t *)"\x01", 1}},
        {"1.0", {(const uint8_t *)"\x01", 1}},
        {"1E2", {(const uint8_t *)"\x64", 1}},
        {"9007199254740993.5", {(const uint8_t *)"\xcb\x43\x40\x00\x00\x00\x00\x00\x01", 9}},
        {"18446744073709551615", {(const uint8_t *)"\xcb\x43\xf0\x00\x00\x00\x00\x00\x00", 9}},
        {"-0.0", {(const uint8_t *)"\xcb\x80\x00\x00\x00\x00\x00\x00\x00", 9}},
        {"\"\\u00e9\\ud83d\\ude00\\/\"", {(const uint8_t *)"\xa7\xc3\xa9\xf0\x9f\x98\x80/", 8}},
        {"\t[\n1\r,\n2 ]\n", {(const uint8_t *)"\x92\x01\x02", 3}},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer message = buffer_for_test();

        cr_assert_eq(json_to_message(&message, slice_string(cases[i].text), NULL), OK, "%s",
                     cases[i].text);
        cr_assert(slice_equal(buffer_slice(&message), cases[i].message), "%s", cases[i].text);
        buffer_release(&message);
    }
}

Test(json, what_is_no_json_is_refused_with_its_place)
{
    static const struct {
        struct slice text;
        size_t offset;
    } cases[] = {
        {{(const uint8_t *)"", 0}, 0},
        {{(const uint8_t *)"[1,2", 4}, 4},
        {{(const uint8_t *)"[1,]", 4}, 3},
        {{(const uint8_t *)"[1]]", 4}, 3},
        {{(const uint8_t *)"1 2", 3}, 2},
        {{(const uint8_t *)"01", 2}, 1},
        {{(const uint8_t *)"[1.]", 4}, 3},
        {{(const uint8_t *)"[-]", 3}, 2},
        {{(const uint8_t *)"[1e]", 4}, 3},
        {{(const uint8_t *)"[1.5.5]", 7}, 4},
        {{(const uint8_t *)"nul", 3}, 0},
        {{(const uint8_t *)"{\"a\" 1}", 7}, 5},
        {{(const uint8_t *)"\"abc", 4}, 4},
        {{(const uint8_t *)"\"abc\\", 5}, 5},
        {{(const uint8_t *)"\"a\nb\"", 5}, 2},
        {{(const uint8_t *)"\"a\0b\"", 5}, 2},
        {{(const uint8_t *)"1\0", 2}, 1},
        {{(const uint8_t *)"[1,\x01"
                           "2]",
          6},
         3},
        {{(const uint8_t *)"\"ab\\u0000\"", 10}, 3},
        {{(const uint8_t *)"\"ab\xff\"", 5}, 3},
        {{(const uint8_t *)"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", 34}, 16},
        {{(const uint8_t *)"{\"a\":1,\"a\":2}", 13}, 0},
        {{(const uint8_t *)"{\"1\":1,", 7}, 7}, /* CVE-2023-53154 */
        {{(const uint8_t *)"1e999", 5}, 0},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer message = buffer_for_test();
        size_t size = cases[i].text.size;
        uint8_t *copy = malloc(size);
        size_t offset = 77;

        if (size > 0) {
            memcpy(copy, cases[i].text.data, size);
        }
        write_nil(&message);
        cr_assert_eq(json_to_message(&message, slice_of(copy, size), &offset), ERROR_INVALID,
                     "case %zu", i);
        cr_assert_eq(offset, cases[i].offset, "case %zu: %zu", i, offset);
        cr_assert_eq(message.size, 1, "nothing is appended");
        cr_assert_eq(buffer_error(&message), OK);
        free(copy);
        buffer_release(&message);
    }
}

Test(json, bombs_are_refused_before_the_parser_sees_them)
{
    static char text[3 * 1024 * 1024];
    struct buffer message = buffer_for_test();
    size_t offset = 0;

    memset(text, '[', sizeof(text));
    cr_assert_eq(json_to_message(&message, slice_of(text, sizeof(text)), &offset), ERROR_INVALID);
    cr_assert_eq(offset, MESSAGE_DEPTH_MAX);
    for (size_t i = 1; i + 1 < sizeof(text); i += 2) {
        text[i] = '0';
        text[i + 1] = ',';
    }
    cr_assert_eq(json_to_message(&message, slice_of(text, sizeof(text)), &offset), ERROR_INVALID);
    cr_assert_leq(offset, 2 * MESSAGE_ELEMENTS_MAX + 2);
    buffer_release(&message);
}

Test(json, a_full_buffer_is_reported_when_reading)
{
    struct buffer message;

    buffer_init(&message, 3);
    cr_assert_eq(json_to_message(&message, slice_string("[1,2,3,4]"), NULL), ERROR_TOO_LARGE);
    buffer_release(&message);
}
