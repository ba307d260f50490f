/* The msgpack vectors: the shared set where it is there, and our own in tests/fixtures/message.
 * Each case runs on a copy of exactly its size, so that AddressSanitizer sees one byte too many. */
#include "common/message.h"

#include <stdio.h>
#include <time.h>

#include <criterion/criterion.h>

#include "common/json.h"
#include "tests/unit/vectors.h"

#define SHARED_VALID SHARED_DATA "/vectors/msgpack/msgpack-test-suite.json"
#define SHARED_HOSTILE SHARED_DATA "/vectors/msgpack/hostile.json"
#define OWN_VALID FIXTURES "/message/valid.json"
#define OWN_HOSTILE FIXTURES "/message/hostile.json"
#define VERDICT_MS_MAX 10 /* as the vectors' note asks */

/* ---- helpers --------------------------------------------------------------------------- */

/* The bytes of "a1-ff" or "a1ff", in memory of exactly their size; the caller frees it. */
static struct slice
bytes_from_hex(const char *hex)
{
    uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
    size_t size = 0;
    uint8_t *exact;

    while (*hex != '\0') {
        unsigned byte;

        if (*hex == '-') {
            hex++;
            continue;
        }
        cr_assert_eq(sscanf(hex, "%2x", &byte), 1, "%s", hex);
        bytes[size++] = (uint8_t)byte;
        hex += 2;
    }
    exact = malloc(size);
    if (size > 0) {
        memcpy(exact, bytes, size);
    }
    free(bytes);
    return slice_of(exact, size);
}

static struct reader
reader_on(struct slice bytes)
{
    struct reader reader;

    reader_init(&reader, bytes);
    return reader;
}

static int
scan_on_exact_copy(struct slice bytes)
{
    uint8_t *copy = malloc(bytes.size);
    enum error error;

    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    error = message_scan(slice_of(copy, bytes.size));
    free(copy);
    return (int)error;
}

/* Runs everything that reads; what it finds does not matter, only that it stays inside. */
static void
read_everything(struct slice bytes)
{
    static const char *const names[] = {"a", "k", NULL};
    struct slice fields[2];
    struct reader reader = reader_on(bytes);
    struct buffer text;
    enum error error = OK;

    while (read_value(&reader).type != VALUE_NONE) {
    }
    reader = reader_on(bytes);
    read_fields(&reader, names, fields);
    field_uint(fields[0], 0, &error);
    field_string(fields[1], &error);
    buffer_init(&text, 1024 * 1024);
    ignore_error(json_from_message(&text, bytes)); /* many of these bytes are nonsense */
    buffer_release(&text);
}

/* ---- valid values ---------------------------------------------------------------------- */

static void check_value(struct reader *reader, const cJSON *expected);

static void
check_number(struct reader *reader, const cJSON *vector)
{
    const char *big = vector_text(vector, "bignum");
    double number = cJSON_GetNumberValue(cJSON_GetObjectItem(vector, "number"));
    struct value value = read_value(reader);

    if (value.type == VALUE_DOUBLE) {
        cr_assert_eq(value.number, big != NULL ? strtod(big, NULL) : number);
    } else if (value.type == VALUE_UINT && big != NULL) {
        cr_assert_eq(value.uint, strtoull(big, NULL, 10), "%s", big);
    } else if (value.type == VALUE_INT && big != NULL) {
        cr_assert_eq(value.integer, strtoll(big, NULL, 10), "%s", big);
    } else if (value.type == VALUE_UINT) {
        cr_assert_geq(number, 0);
        cr_assert_eq((double)value.uint, number);
    } else {
        cr_assert_eq(value.type, VALUE_INT);
        cr_assert_lt(number, 0);
        cr_assert_eq((double)value.integer, number);
    }
}

static void
check_timestamp(struct reader *reader, const cJSON *expected)
{
    struct value value = read_value(reader);
    int64_t seconds = 0;
    uint32_t nanoseconds = 0;
    uint64_t both = 0;

    cr_assert_eq(value.type, VALUE_EXTENSION);
    cr_assert_eq(value.extension, -1);
    for (size_t i = 0; i < value.bytes.size; i++) {
        if (value.bytes.size == 12 && i < 4) {
            nanoseconds = nanoseconds << 8 | value.bytes.data[i];
        } else {
            both = both << 8 | value.bytes.data[i];
        }
    }
    if (value.bytes.size == 8) {
        nanoseconds = (uint32_t)(both >> 34);
        both &= (UINT64_C(1) << 34) - 1;
    }
    memcpy(&seconds, &both, sizeof(seconds));
    cr_assert_eq((double)seconds, cJSON_GetArrayItem(expected, 0)->valuedouble);
    cr_assert_eq((double)nanoseconds, cJSON_GetArrayItem(expected, 1)->valuedouble);
}

static void
check_extension(struct reader *reader, const cJSON *expected)
{
    struct value value = read_value(reader);
    struct slice bytes = bytes_from_hex(cJSON_GetArrayItem(expected, 1)->valuestring);

    cr_assert_eq(value.type, VALUE_EXTENSION);
    cr_assert_eq(value.extension, cJSON_GetArrayItem(expected, 0)->valueint);
    cr_assert(slice_equal(value.bytes, bytes));
    free((void *)bytes.data);
}

static void
check_string(struct reader *reader, const char *text)
{
    static char copy[VECTOR_TEXT_BYTES_MAX];

    cr_assert(slice_equal(read_string(reader), vector_slice(text, copy)), "%s", text);
}

static void
check_container(struct reader *reader, const cJSON *expected)
{
    bool is_map = cJSON_IsObject(expected);
    size_t count = is_map ? read_map(reader) : read_array(reader);
    const cJSON *child = NULL;

    cr_assert_eq(count, (size_t)cJSON_GetArraySize(expected));
    cJSON_ArrayForEach(child, expected)
    {
        if (is_map) {
            check_string(reader, child->string);
        }
        check_value(reader, child);
    }
}

/* A plain JSON value, as inside of the vectors' arrays and maps. */
static void
check_value(struct reader *reader, const cJSON *expected)
{
    if (cJSON_IsString(expected)) {
        check_string(reader, expected->valuestring);
    } else if (cJSON_IsNumber(expected)) {
        cr_assert_eq(read_double(reader), expected->valuedouble);
    } else if (cJSON_IsBool(expected)) {
        cr_assert_eq(read_bool(reader), (bool)cJSON_IsTrue(expected));
    } else if (cJSON_IsNull(expected)) {
        cr_assert_eq(read_value(reader).type, VALUE_NIL);
    } else {
        check_container(reader, expected);
    }
}

/* One row of the suite: its first member names the kind of value. */
static void
check_vector(struct reader *reader, const cJSON *vector)
{
    const cJSON *expected = vector->child;
    const char *kind = expected->string;

    if (strcmp(kind, "number") == 0 || strcmp(kind, "bignum") == 0) {
        check_number(reader, vector);
    } else if (strcmp(kind, "binary") == 0) {
        struct slice bytes = bytes_from_hex(expected->valuestring);

        cr_assert(slice_equal(read_binary(reader), bytes));
        free((void *)bytes.data);
    } else if (strcmp(kind, "timestamp") == 0) {
        check_timestamp(reader, expected);
    } else if (strcmp(kind, "ext") == 0) {
        check_extension(reader, expected);
    } else {
        check_value(reader, expected);
    }
}

/* No part of a good value is a good value, and no changed byte leads outside. */
static void
damage(struct slice bytes)
{
    static const uint8_t flips[] = {0x01, 0x80, 0xff, 0x40, 0x1f};
    uint8_t *copy = malloc(bytes.size);

    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *part = malloc(size);
        struct slice cut = slice_of(part, size);

        if (size > 0) {
            memcpy(part, bytes.data, size);
        }
        cr_assert_eq(message_scan(cut), ERROR_PROTOCOL, "%zu of %zu bytes", size, bytes.size);
        read_everything(cut);
        free(part);
    }
    for (size_t i = 0; i < bytes.size * sizeof(flips); i++) {
        memcpy(copy, bytes.data, bytes.size);
        copy[i / sizeof(flips)] ^= flips[i % sizeof(flips)];
        ignore_error(message_scan(slice_of(copy, bytes.size))); /* either verdict is right */
        read_everything(slice_of(copy, bytes.size));
    }
    free(copy);
}

static void
run_valid(const char *path, int values_expected, int encodings_expected)
{
    cJSON *suite = vectors_load(path);
    const cJSON *group = NULL;
    int values = 0;
    int encodings = 0;

    if (suite == NULL) {
        cr_skip_test("%s is not there", path);
    }
    cJSON_ArrayForEach(group, suite)
    {
        const cJSON *vector = NULL;

        cJSON_ArrayForEach(vector, group)
        {
            const cJSON *hex = NULL;

            values++;
            cJSON_ArrayForEach(hex, cJSON_GetObjectItem(vector, "msgpack"))
            {
                struct slice bytes = bytes_from_hex(hex->valuestring);
                struct reader reader = reader_on(bytes);

                encodings++;
                cr_assert_eq(message_scan(bytes), OK, "%s", hex->valuestring);
                check_vector(&reader, vector);
                cr_assert_eq(reader_finish(&reader), OK, "%s", hex->valuestring);
                reader = reader_on(bytes);
                cr_assert(slice_equal(read_raw(&reader), bytes));
                damage(bytes);
                free((void *)bytes.data);
            }
        }
    }
    cr_assert_eq(values, values_expected);
    cr_assert_eq(encodings, encodings_expected);
    cJSON_Delete(suite);
}

Test(message_vectors, every_value_of_the_public_suite_is_read_in_every_encoding)
{
    run_valid(SHARED_VALID, 85, 233);
}

Test(message_vectors, every_value_of_our_own_set_is_read_in_every_encoding)
{
    run_valid(OWN_VALID, 31, 50);
}

/* ---- hostile values -------------------------------------------------------------------- */

/* How deep the containers are that the bytes begin with: arrays of one, or maps of one key "k". */
static size_t
leading_depth(struct slice bytes)
{
    size_t depth = 0;
    size_t at = 0;

    while (at < bytes.size && (bytes.data[at] == 0x91 || bytes.data[at] == 0x81)) {
        at += bytes.data[at] == 0x91 ? 1 : 3;
        depth++;
    }
    return depth;
}

static void
check_reject(struct slice bytes, const char *id)
{
    cr_assert_eq(message_scan(bytes), ERROR_PROTOCOL, "%s", id);
}

static void
check_depth(struct slice bytes, const char *id)
{
    enum error expected = leading_depth(bytes) <= MESSAGE_DEPTH_MAX ? OK : ERROR_PROTOCOL;

    cr_assert_eq(message_scan(bytes), expected, "%s", id);
}

/* Refused as a message; as JSON, for people, the bad bytes are replaced. */
static void
check_bad_text(struct slice bytes, const char *id)
{
    struct buffer text;

    check_reject(bytes, id);
    buffer_init(&text, 1024);
    cr_assert_eq(json_from_message(&text, bytes), OK);
    cr_assert_not_null(strstr(buffer_text(&text), "\xef\xbf\xbd"), "%s", id);
    buffer_release(&text);
}

static void
check_no_number(struct slice bytes, const char *id)
{
    struct reader reader = reader_on(bytes);
    enum error error = OK;

    read_double(&reader);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "%s", id);
    field_double(bytes, 0, &error);
    cr_assert_eq(error, ERROR_PROTOCOL, "%s", id);
}

static void
check_no_unsigned(struct slice bytes, const char *id)
{
    struct reader reader = reader_on(bytes);
    enum error error = OK;

    read_uint(&reader);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "%s", id);
    cr_assert_eq(field_uint(bytes, 7, &error), 7, "%s", id);
    cr_assert_eq(error, ERROR_PROTOCOL, "%s", id);
}

static void
check_no_wrap(struct slice bytes, const char *id)
{
    struct reader reader = reader_on(bytes);

    cr_assert_eq(read_uint(&reader), UINT64_MAX, "%s", id);
    cr_assert_eq(reader_finish(&reader), OK, "%s", id);
    reader = reader_on(bytes);
    read_int(&reader);
    cr_assert_eq(reader_finish(&reader), ERROR_PROTOCOL, "%s", id);
}

static void
check_length_kept(struct slice bytes, const char *id)
{
    struct reader reader = reader_on(bytes);

    cr_assert_eq(message_scan(bytes), OK, "%s", id);
    cr_assert_eq(read_string(&reader).size, bytes.size - 1, "%s", id);
}

static const struct {
    const char *must;
    void (*check)(struct slice bytes, const char *id);
} verdicts[] = {
    {"reject", check_reject},
    {"accept-if-within-depth-limit-else-reject", check_depth},
    {"reject-where-one-object-is-expected", check_reject},
    {"reject-or-replace-never-pass-on-as-text", check_bad_text},
    {"reject-where-a-number-is-expected", check_no_number},
    {"reject-where-unsigned-is-expected", check_no_unsigned},
    {"no-wrap", check_no_wrap},
    {"length-kept-no-truncation", check_length_kept},
};

static double
cpu_ms(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void
run_hostile(const char *path, int cases_expected)
{
    cJSON *suite = vectors_load(path);
    const cJSON *vector = NULL;
    int cases = 0;

    if (suite == NULL) {
        cr_skip_test("%s is not there", path);
    }
    cJSON_ArrayForEach(vector, cJSON_GetObjectItem(suite, "cases"))
    {
        const char *id = vector_text(vector, "id");
        const char *must = vector_text(vector, "must");
        struct slice bytes = bytes_from_hex(vector_text(vector, "hex"));
        size_t row = 0;
        double start_ms = cpu_ms();

        cr_assert_eq(scan_on_exact_copy(bytes), (int)message_scan(bytes));
        cr_assert_lt(cpu_ms() - start_ms, VERDICT_MS_MAX, "%s", id);
        while (row < sizeof(verdicts) / sizeof(verdicts[0]) &&
               strcmp(verdicts[row].must, must) != 0) {
            row++;
        }
        cr_assert_lt(row, sizeof(verdicts) / sizeof(verdicts[0]), "unknown verdict %s", must);
        verdicts[row].check(bytes, id);
        read_everything(bytes);
        free((void *)bytes.data);
        cases++;
    }
    cr_assert_eq(cases, cases_expected);
    cJSON_Delete(suite);
}

Test(message_vectors, every_shared_hostile_case_gets_its_verdict)
{
    run_hostile(SHARED_HOSTILE, 49);
}

Test(message_vectors, every_hostile_case_of_our_own_gets_its_verdict)
{
    run_hostile(OWN_HOSTILE, 36);
}
