#include "common/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define BYTES(text) slice_of(text, sizeof(text) - 1)

/* A buffer of 1 MiB, released by the test. */
static struct buffer
buffer_for_test(void)
{
    struct buffer buffer;

    buffer_init(&buffer, 1024 * 1024);
    return buffer;
}

static struct reader
reader_on(struct slice bytes)
{
    struct reader reader;

    reader_init(&reader, bytes);
    return reader;
}

/* ---- writer ---------------------------------------------------------------------------- */

Test(message, integers_take_the_shortest_encoding_and_come_back)
{
    static const struct {
        int64_t value;
        size_t size;
    } cases[] = {
        {0, 1},      {127, 1},    {128, 2},           {255, 2},         {256, 3},
        {65535, 3},  {65536, 5},  {4294967295, 5},    {4294967296, 9},  {INT64_MAX, 9},
        {-1, 1},     {-32, 1},    {-33, 2},           {-128, 2},        {-129, 3},
        {-32768, 3}, {-32769, 5}, {-2147483648LL, 5}, {-2147483649, 9}, {INT64_MIN, 9},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buffer out = buffer_for_test();
        struct reader reader;

        write_int(&out, cases[i].value);
        cr_assert_eq(out.size, cases[i].size, "%lld", (long long)cases[i].value);
        cr_assert_eq(message_scan(buffer_slice(&out)), OK);
        reader = reader_on(buffer_slice(&out));
        cr_assert_eq(read_int(&reader), cases[i].value);
        cr_assert_eq(reader_finish(&reader), OK);
        if (cases[i].value >= 0) {
            reader = reader_on(buffer_slice(&out));
            cr_assert_eq(read_uint(&reader), (uint64_t)cases[i].value);
        }
        buffer_release(&out);
    }
}

Test(message, every_kind_of_value_comes_back)
{
    struct buffer out = buffer_for_test();
    struct reader reader;

    write_array(&out, 10);
    write_nil(&out);
    write_bool(&out, true);
    write_bool(&out, false);
    write_uint(&out, UINT64_MAX);
    write_double(&out, -0.1);
    write_string(&out, "text");
    write_text(&out, BYTES("a\0b"));
    write_binary(&out, BYTES("\xff\xfe"));
    write_map(&out, 1);
    write_string(&out, "key");
    write_array(&out, 0);
    write_raw(&out, BYTES("\x92\x01\x02"));
    cr_assert_eq(buffer_error(&out), OK);
    cr_assert_eq(message_scan(buffer_slice(&out)), OK);

    reader = reader_on(buffer_slice(&out));
    cr_assert_eq(read_array(&reader), 10);
    cr_assert_eq(read_value(&reader).type, VALUE_NIL);
    cr_assert(read_bool(&reader));
    cr_assert_not(read_bool(&reader));
    cr_assert_eq(read_uint(&reader), UINT64_MAX);
    cr_assert_eq(read_double(&reader), -0.1);
    cr_assert(slice_equal(read_string(&reader), slice_string("text")));
    cr_assert(slice_equal(read_string(&reader), BYTES("a\0b")));
    cr_assert(slice_equal(read_binary(&reader), BYTES("\xff\xfe")));
    cr_assert_eq(read_map(&reader), 1);
    cr_assert(slice_equal(read_binary(&reader), slice_string("key")));
    cr_assert_eq(read_array(&reader), 0);
    cr_assert(slice_equal(read_raw(&reader), BYTES("\x92\x01\x02")));
    cr_assert_eq(reader_finish(&reader), OK);
    buffer_release(&out);
}

Test(message, long_strings_and_containers_come_back_at_each_width)
{
    static const size_t sizes[] = {0, 15, 16, 31, 32, 255, 256, 65535, 65536};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct buffer out = buffer_for_test();
        struct reader reader;
        char *text = malloc(sizes[i] + 1);

        memset(text, 'x', sizes[i] + 1);
        write_text(&out, slice_of(text, sizes[i]));
        write_binary(&out, slice_of(text, sizes[i]));
        write_array(&out, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            write_nil(&out);
        }
        reader = reader_on(buffer_slice(&out));
        cr_assert_eq(read_string(&reader).size, sizes[i]);
        cr_assert_eq(read_binary(&reader).size, sizes[i]);
        cr_assert_eq(read_raw(&reader).size, sizes[i] + (sizes[i] < 16      ? 1u
                                                         : sizes[i] < 65536 ? 3u
                                                                            : 5u));
        cr_assert_eq(reader_finish(&reader), OK);
        free(text);
        buffer_release(&out);
    }
}

Test(message, a_full_buffer_is_reported_once_at_the_end)
{
    struct buffer out;

    buffer_init(&out, 4);
    write_header(&out, MESSAGE_HELLO, 70000, 3);
    write_text(&out, BYTES("\xff"));
    write_text(&out, slice_of("x", (size_t)UINT32_MAX + 1));
    cr_assert_eq(buffer_error(&out), ERROR_TOO_LARGE);
    buffer_clear(&out);
    write_text(&out, BYTES("\xff\xff"));
    cr_assert_eq(buffer_error(&out), ERROR_TOO_LARGE, "the repaired text does not fit");
    buffer_release(&out);
}

Test(message, counts_over_32_bits_are_refused)
{
    struct buffer out = buffer_for_test();

    write_array(&out, (size_t)UINT32_MAX + 1);
    cr_assert_eq(buffer_error(&out), ERROR_TOO_LARGE);
    buffer_clear(&out);
    write_map(&out, (size_t)UINT32_MAX + 1);
    cr_assert_eq(buffer_error(&out), ERROR_TOO_LARGE);
    buffer_clear(&out);
    write_binary(&out, slice_of("", (size_t)UINT32_MAX + 1));
    cr_assert_eq(buffer_error(&out), ERROR_TOO_LARGE);
    cr_assert_eq(out.size, 0);
    buffer_release(&out);
}

Test(message, malformed_utf8_is_replaced_when_text_is_written)
{
    struct buffer out = buffer_for_test();
    struct reader reader;

    write_string(&out, "a\x80z");
    write_text(&out, BYTES("\xe2\x82"));
    reader = reader_on(buffer_slice(&out));
    cr_assert(slice_equal(read_string(&reader), slice_string("a\xef\xbf\xbdz")));
    cr_assert(slice_equal(read_string(&reader), slice_string("\xef\xbf\xbd")));
    cr_assert_eq(reader_finish(&reader), OK);
    buffer_release(&out);
}

/* ---- header frames --------------------------------------------------------------------- */

Test(message, header_comes_back_with_its_pairs)
{
    struct buffer out = buffer_for_test();
    struct reader reader;
    enum message_type type;
    uint64_t sequence;
    size_t pairs;

    write_header(&out, MESSAGE_RESULTS, UINT64_MAX, 1);
    write_string(&out, "items");
    write_nil(&out);
    reader = reader_on(buffer_slice(&out));
    cr_assert_eq(read_header(&reader, &type, &sequence, &pairs), OK);
    cr_assert_eq(type, MESSAGE_RESULTS);
    cr_assert_eq(sequence, UINT64_MAX);
    cr_assert_eq(pairs, 1);
    cr_assert(slice_equal(read_string(&reader), slice_string("items")));
    read_skip(&reader);
    cr_assert_eq(reader_finish(&reader), OK);
    buffer_release(&out);
}

Test(message, bad_headers_are_refused_and_leave_the_outputs_alone)
{
    static const struct {
        struct slice bytes;
        enum error error;
    } cases[] = {
        {{(const uint8_t *)"\x94\x02\x01\x00\x80", 5}, ERROR_VERSION},
        {{(const uint8_t *)"\x95\x02\x01\x00\x80\xc0", 6}, ERROR_VERSION},
        {{(const uint8_t *)"\x91\x00", 2}, ERROR_VERSION},
        {{(const uint8_t *)"\x94\x01\x00\x00\x80", 5}, ERROR_PROTOCOL},         /* no message 0 */
        {{(const uint8_t *)"\x94\x01\x07\x00\x80", 5}, ERROR_PROTOCOL},         /* nor 7 */
        {{(const uint8_t *)"\x94\x01\xcd\x01\x01\x00\x80", 7}, ERROR_PROTOCOL}, /* nor 257 */
        {{(const uint8_t *)"\x93\x01\x01\x00\x80", 5}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x95\x01\x01\x00\x80\xc0", 6}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x94\xff\x01\x00\x80", 5}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x94\x01\x01\xff\x80", 5}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x94\x01\x01\x00\x90", 5}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x94\x01\x01\x00", 4}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x90", 1}, ERROR_PROTOCOL},
        {{(const uint8_t *)"\x80", 1}, ERROR_PROTOCOL},
        {{NULL, 0}, ERROR_PROTOCOL},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct reader reader = reader_on(cases[i].bytes);
        enum message_type type = MESSAGE_GOODBYE;
        uint64_t sequence = 77;
        size_t pairs = 88;

        cr_assert_eq(read_header(&reader, &type, &sequence, &pairs), cases[i].error, "case %zu", i);
        cr_assert_eq(type, MESSAGE_GOODBYE);
        cr_assert_eq(sequence, 77);
        cr_assert_eq(pairs, 88);
        cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL);
    }
}

Test(message, types_have_rows)
{
    enum message_type type = MESSAGE_HELLO;

    cr_assert(message_type_parse(22, &type));
    cr_assert_eq(type, MESSAGE_RESULTS);
    cr_assert_str_eq(message_type_name(type), "RESULTS");
    cr_assert_eq(message_type_sender(type), MESSAGE_SENDER_WORKER);
    cr_assert_eq(message_type_sender(MESSAGE_DELIVER), MESSAGE_SENDER_BROKER);
    cr_assert_not(message_type_parse(0, &type));
    cr_assert_not(message_type_parse(9, &type));
    cr_assert_not(message_type_parse(1000, &type));
    cr_assert_not(message_type_parse(UINT64_MAX, &type));
    cr_assert_str_eq(message_type_name((enum message_type)9), "UNKNOWN");
}

/* ---- reader ---------------------------------------------------------------------------- */

Test(message, a_value_of_another_type_sets_the_sticky_error)
{
    static const char *const values[] = {"\xc0", "\xc2", "\x01", "\xff", "\xa1x", "\xc4\x01x"};
    /* For each value: does read_uint, int, double, bool, string, binary, array, map take it? */
    static const char *const takes[] = {
        "....sb..", "...b....", "uid.....", ".id.....", "....sb..", ".....b..",
    };

    for (size_t i = 0; i < COUNT_OF(values); i++) {
        /* strlen is right: none of the values has a NUL. */
        struct slice bytes = slice_string(values[i]);

        for (size_t k = 0; k < 8; k++) {
            struct reader reader = reader_on(bytes);

            switch (k) {
            case 0:
                (void)read_uint(&reader);
                break;
            case 1:
                (void)read_int(&reader);
                break;
            case 2:
                (void)read_double(&reader);
                break;
            case 3:
                (void)read_bool(&reader);
                break;
            case 4:
                (void)read_string(&reader);
                break;
            case 5:
                (void)read_binary(&reader);
                break;
            case 6:
                cr_assert_eq(read_array(&reader), 0);
                break;
            default:
                cr_assert_eq(read_map(&reader), 0);
                break;
            }
            cr_assert_eq(reader_finish(&reader), takes[i][k] == '.' ? ERROR_PROTOCOL : OK,
                         "value %zu, read %zu", i, k);
            if (takes[i][k] == '.') {
                cr_assert_eq(read_value(&reader).type, VALUE_NONE);
            }
        }
    }
}

Test(message, the_end_is_told_from_an_error)
{
    struct reader reader = reader_on(BYTES("\x01"));

    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "bytes are left over");
    cr_assert_eq(read_uint(&reader), 1);
    cr_assert_eq(read_value(&reader).type, VALUE_NONE);
    cr_assert_eq(reader_finish(&reader), OK);
    read_skip(&reader);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "nothing to skip");
    cr_assert_null(read_raw(&reader).data);
}

Test(message, a_container_over_the_bytes_left_is_an_error_at_once)
{
    struct reader reader = reader_on(BYTES("\xdd\x00\x00\x00\x03\x01\x02"));

    cr_assert_eq(read_array(&reader), 0);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL);
    reader = reader_on(BYTES("\x82\x01\x02\x03"));
    cr_assert_eq(read_map(&reader), 0);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL);
}

Test(message, scan_bounds_depth_elements_and_keys)
{
    struct buffer out = buffer_for_test();

    write_array(&out, MESSAGE_ELEMENTS_MAX);
    for (size_t i = 0; i < MESSAGE_ELEMENTS_MAX; i++) {
        write_nil(&out);
    }
    cr_assert_eq(message_scan(buffer_slice(&out)), OK);
    buffer_clear(&out);
    write_array(&out, MESSAGE_ELEMENTS_MAX + 1);
    for (size_t i = 0; i <= MESSAGE_ELEMENTS_MAX; i++) {
        write_nil(&out);
    }
    cr_assert_eq(message_scan(buffer_slice(&out)), ERROR_PROTOCOL);

    for (size_t pairs = MESSAGE_KEYS_MAX; pairs <= MESSAGE_KEYS_MAX + 1; pairs++) {
        buffer_clear(&out);
        write_map(&out, pairs);
        for (size_t i = 0; i < pairs; i++) {
            char name[24];

            snprintf(name, sizeof(name), "%zu", i);
            write_string(&out, name);
            write_nil(&out);
        }
        cr_assert_eq(message_scan(buffer_slice(&out)),
                     pairs <= MESSAGE_KEYS_MAX ? OK : ERROR_PROTOCOL);
    }
    for (size_t depth = MESSAGE_DEPTH_MAX; depth <= MESSAGE_DEPTH_MAX + 1; depth++) {
        struct reader reader;
        enum error expected = depth <= MESSAGE_DEPTH_MAX ? OK : ERROR_PROTOCOL;

        buffer_clear(&out);
        for (size_t i = 1; i < depth; i++) {
            write_array(&out, 1);
        }
        write_map(&out, 0);
        cr_assert_eq(message_scan(buffer_slice(&out)), expected);
        reader = reader_on(buffer_slice(&out));
        read_skip(&reader);
        cr_assert_eq(reader_finish(&reader), expected);
    }
    buffer_release(&out);
}

Test(message, scan_sees_repeated_keys_in_their_own_map_only)
{
    static const struct {
        struct slice bytes;
        enum error error;
    } cases[] = {
        /* {"a": {"a": 1}, "b": {"a": 1}} */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x81\xa1"
                           "a\x01\xa1"
                           "b\x81\xa1"
                           "a\x01",
          13},
         OK},
        /* {"a": {"b": 1}, "b": 1}: the keys of a closed map are forgotten */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x81\xa1"
                           "b\x01\xa1"
                           "b\x01",
          10},
         OK},
        /* {"a": {"b": 1}, "a": 1} */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x81\xa1"
                           "b\x01\xa1"
                           "a\x01",
          10},
         ERROR_PROTOCOL},
        /* {"a": 1, "a\0": 1} */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x01\xa2"
                           "a\0\x01",
          8},
         OK},
        /* the same key in two encodings */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x01\xd9\x01"
                           "a\x01",
          8},
         ERROR_PROTOCOL},
        /* {"a": 1, nil: 1}, {b"a": 1} */
        {{(const uint8_t *)"\x82\xa1"
                           "a\x01\xc0\x01",
          6},
         ERROR_PROTOCOL},
        {{(const uint8_t *)"\x81\xc4\x01"
                           "a\x01",
          5},
         ERROR_PROTOCOL},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cr_assert_eq(message_scan(cases[i].bytes), cases[i].error, "case %zu", i);
    }
}

/* ---- fields ---------------------------------------------------------------------------- */

static const char *const names[] = {"url", "kind", "priority", "late", NULL};
enum {
    F_URL,
    F_KIND,
    F_PRIORITY,
    F_LATE,
    F_COUNT
};

Test(message, fields_are_found_in_any_order_and_unknown_ones_skipped)
{
    struct buffer out = buffer_for_test();
    struct reader reader;
    struct slice fields[F_COUNT];
    enum error error = OK;

    write_map(&out, 5);
    write_string(&out, "priority");
    write_int(&out, -5);
    write_string(&out, "unknown");
    write_raw(&out, BYTES("\x92\x80\xa1x"));
    write_string(&out, "url");
    write_string(&out, "first");
    write_string(&out, "ur");
    write_nil(&out);
    write_string(&out, "url");
    write_string(&out, "last");
    reader = reader_on(buffer_slice(&out));
    read_fields(&reader, names, fields);
    cr_assert_eq(reader_finish(&reader), OK);
    cr_assert(slice_equal(field_string(fields[F_URL], &error), slice_string("last")));
    cr_assert_eq(field_int(fields[F_PRIORITY], 1, &error), -5);
    cr_assert_null(fields[F_KIND].data);
    cr_assert_eq(field_uint(fields[F_LATE], 9, &error), 9);
    cr_assert_eq(error, OK);
    buffer_release(&out);
}

Test(message, a_broken_map_gives_no_fields)
{
    static const struct slice cases[] = {
        {(const uint8_t *)"\x82\xa3url\xa1x\x01\x02", 9},  /* a key that is a number */
        {(const uint8_t *)"\x82\xa3url\xa1x\xa4kind", 12}, /* no value behind the key */
        {(const uint8_t *)"\x82\xa3url\xa1x\xa4kind\xc1", 13},
        {(const uint8_t *)"\x82\xa3url\xa1x\xc1\x01", 9},
        {(const uint8_t *)"\xc0", 1},
        {NULL, 0},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct reader reader = reader_on(cases[i]);
        struct slice fields[F_COUNT];

        read_fields(&reader, names, fields);
        cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "case %zu", i);
        for (size_t k = 0; k < F_COUNT; k++) {
            cr_assert_null(fields[k].data);
        }
    }
}

Test(message, fields_fall_back_when_absent_or_nil_and_report_wrong_types)
{
    struct slice nil = BYTES("\xc0");
    struct slice absent = slice_of(NULL, 0);
    struct slice text = BYTES("\xa1x");
    struct slice number = BYTES("\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00");
    struct slice nan_number = BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00");
    struct slice bytes = BYTES("\xc4\x01x");
    struct slice yes = BYTES("\xc3");
    enum error error = OK;

    cr_assert_eq(field_uint(nil, 3, &error), 3);
    cr_assert_eq(field_int(absent, -3, &error), -3);
    cr_assert(field_bool(nil, true, &error));
    cr_assert(field_bool(yes, false, &error));
    cr_assert_eq(field_double(absent, 0.25, &error), 0.25);
    cr_assert_eq(field_double(number, 0, &error), 0.5);
    cr_assert_null(field_string(nil, &error).data);
    cr_assert_null(field_binary(absent, &error).data);
    cr_assert(slice_equal(field_string(text, &error), slice_string("x")));
    cr_assert(slice_equal(field_binary(text, &error), slice_string("x")));
    cr_assert(slice_equal(field_binary(bytes, &error), slice_string("x")));
    cr_assert_eq(error, OK);

    cr_assert_eq(field_uint(text, 3, &error), 3);
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert_eq(field_uint(number, 3, &error), 3, "a double is no count");
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert_eq(field_int(yes, 3, &error), 3);
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert(field_bool(text, true, &error));
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert_eq(field_double(nan_number, 1, &error), 1);
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert_null(field_string(bytes, &error).data);
    cr_assert_eq(error, ERROR_PROTOCOL);
    error = OK;
    cr_assert_null(field_binary(yes, &error).data);
    cr_assert_eq(error, ERROR_PROTOCOL);
    cr_assert_eq(field_uint(BYTES("\x05"), 3, &error), 5);
    cr_assert_eq(error, ERROR_PROTOCOL, "a good field does not clear the error");
}
