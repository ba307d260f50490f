#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/settings_parts.h"

struct unit {
    const char *suffix;
    uint64_t factor;
    bool is_written; /* by settings_value_append(), which takes the first that divides */
};

/* Largest first. */
static const struct unit count_units[] = {
    {"G", 1000000000, true}, {"M", 1000000, true}, {"k", 1000, true},
    {"K", 1000, false},      {"", 1, true},        {NULL, 0, false},
};
static const struct unit bytes_units[] = {
    {"TiB", UINT64_C(1) << 40, true},
    {"T", UINT64_C(1) << 40, false},
    {"TB", UINT64_C(1000000000000), false},
    {"GiB", UINT64_C(1) << 30, true},
    {"G", UINT64_C(1) << 30, false},
    {"GB", UINT64_C(1000000000), false},
    {"MiB", UINT64_C(1) << 20, true},
    {"M", UINT64_C(1) << 20, false},
    {"MB", UINT64_C(1000000), false},
    {"KiB", UINT64_C(1) << 10, true},
    {"K", UINT64_C(1) << 10, false},
    {"k", UINT64_C(1) << 10, false},
    {"kB", UINT64_C(1000), false},
    {"B", 1, false},
    {"", 1, true},
    {NULL, 0, false},
};
static const struct unit duration_units[] = {
    {"d", 86400000, true}, {"h", 3600000, true}, {"m", 60000, true},
    {"s", 1000, true},     {"ms", 1, true},      {NULL, 0, false},
};

static const struct unit *
units_of(enum settings_type type)
{
    switch (type) {
    case SETTINGS_TYPE_COUNT:
        return count_units;
    case SETTINGS_TYPE_BYTES:
        return bytes_units;
    case SETTINGS_TYPE_DURATION:
        return duration_units;
    default:
        return NULL;
    }
}

static bool
slice_is(struct slice text, const char *word)
{
    return slice_equal(text, slice_string(word));
}

/* Digits and a unit. ERROR_TOO_LARGE also when it does not fit into 64 bits. */
static enum error
parse_number(const struct settings_row *row, struct slice text, uint64_t *ret_number)
{
    uint64_t number = 0;
    bool is_over = false;
    size_t digits = 0;
    for (; digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9'; digits++) {
        unsigned digit = (unsigned)(text.data[digits] - '0');
        is_over = __builtin_mul_overflow(number, 10, &number) ||
                  __builtin_add_overflow(number, digit, &number) || is_over;
    }
    if (digits == 0) {
        return ERROR_INVALID;
    }
    struct slice suffix = slice_of(text.data + digits, text.size - digits);
    const struct unit *unit = units_of(row->type);
    while (unit->suffix != NULL && !slice_is(suffix, unit->suffix)) {
        unit++;
    }
    bool is_bare_zero = suffix.size == 0 && number == 0 && !is_over;
    if (unit->suffix == NULL && !is_bare_zero) {
        return ERROR_INVALID;
    }
    uint64_t factor = is_bare_zero ? 1 : unit->factor;
    is_over = __builtin_mul_overflow(number, factor, &number) || is_over;
    if (is_over || number > INT64_MAX || (int64_t)number < row->min || (int64_t)number > row->max) {
        return ERROR_TOO_LARGE;
    }
    *ret_number = number;
    return OK;
}

static enum error
parse_bool(struct slice text, bool *ret_value)
{
    static const char *const words[][2] = {
        {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        for (size_t is_true = 0; is_true < 2; is_true++) {
            if (slice_is(text, words[i][is_true])) {
                *ret_value = is_true == 1;
                return OK;
            }
        }
    }
    return ERROR_INVALID;
}

/* The word at the start of "a|b|c"; *rest moves behind it, to NULL after the last. */
static struct slice
next_word(const char **rest)
{
    const char *word = *rest;
    size_t length = strcspn(word, "|");
    *rest = word[length] == '|' ? word + length + 1 : NULL;
    return slice_of(word, length);
}

static enum error
parse_choice(const struct settings_row *row, struct slice text, int *ret_choice)
{
    const char *rest = row->words;
    for (int i = 0; rest != NULL; i++) {
        if (slice_equal(next_word(&rest), text)) {
            *ret_choice = i;
            return OK;
        }
    }
    return ERROR_INVALID;
}

static enum error
check_text(const struct settings_row *row, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return ERROR_INVALID;
        }
    }
    bool is_within = text.size >= (size_t)row->min && text.size <= (size_t)row->max;
    return is_within ? OK : ERROR_TOO_LARGE;
}

enum error
settings_value_parse(const struct settings_row *row, struct slice text,
                     union settings_value *ret_value)
{
    uint64_t number = 0;
    enum error error = OK;
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        return parse_bool(text, &ret_value->boolean);
    case SETTINGS_TYPE_CHOICE:
        return parse_choice(row, text, &ret_value->choice);
    case SETTINGS_TYPE_TEXT:
        return check_text(row, text);
    case SETTINGS_TYPE_COUNT:
    case SETTINGS_TYPE_BYTES:
        return parse_number(row, text, &ret_value->uint);
    case SETTINGS_TYPE_DURATION:
        error = parse_number(row, text, &number);
        if (error == OK) {
            ret_value->integer = (int64_t)number;
        }
        return error;
    }
    return ERROR_BUG;
}

static void
append_number(const struct unit *unit, uint64_t number, struct buffer *out)
{
    if (number == 0) {
        buffer_append_string(out, "0");
        return;
    }
    while (!unit->is_written || number % unit->factor != 0) {
        unit++;
        assert(unit->suffix != NULL); /* the last one written has the factor 1 */
    }
    buffer_printf(out, "%" PRIu64 "%s", number / unit->factor, unit->suffix);
}

void
settings_value_append(const struct settings_row *row, union settings_value value,
                      struct buffer *out)
{
    const char *rest = row->words;
    struct slice word;
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        buffer_append_string(out, value.boolean ? "true" : "false");
        break;
    case SETTINGS_TYPE_COUNT:
    case SETTINGS_TYPE_BYTES:
        append_number(units_of(row->type), value.uint, out);
        break;
    case SETTINGS_TYPE_DURATION:
        append_number(duration_units, (uint64_t)value.integer, out);
        break;
    case SETTINGS_TYPE_CHOICE:
        word = next_word(&rest);
        for (int i = 0; i < value.choice; i++) {
            assert(rest != NULL);
            word = next_word(&rest);
        }
        buffer_append(out, word.data, word.size);
        break;
    case SETTINGS_TYPE_TEXT:
        assert(row->type != SETTINGS_TYPE_TEXT);
        break;
    }
}

static void
append_words(const struct settings_row *row, struct buffer *out)
{
    const char *rest = row->words;
    struct slice word = next_word(&rest);
    buffer_append(out, word.data, word.size);
    while (rest != NULL) {
        word = next_word(&rest);
        buffer_append_string(out, rest != NULL ? ", " : " or ");
        buffer_append(out, word.data, word.size);
    }
}

static void
append_range(const struct settings_row *row, struct buffer *out)
{
    buffer_append_string(out, " from ");
    append_number(units_of(row->type), (uint64_t)row->min, out);
    buffer_append_string(out, " to ");
    append_number(units_of(row->type), (uint64_t)row->max, out);
}

void
settings_append_expected(const struct settings_row *row, enum error why, struct buffer *out)
{
    bool is_range = why == ERROR_TOO_LARGE;
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        buffer_append_string(out, "true or false");
        return;
    case SETTINGS_TYPE_CHOICE:
        append_words(row, out);
        return;
    case SETTINGS_TYPE_TEXT:
        if (is_range) {
            buffer_printf(out, "%" PRId64 " to %" PRId64 " bytes of text", row->min, row->max);
        } else {
            buffer_append_string(out, "text without control characters");
        }
        return;
    case SETTINGS_TYPE_COUNT:
        buffer_append_string(out, is_range ? "a number" : "a number such as 100 or 5k");
        break;
    case SETTINGS_TYPE_BYTES:
        buffer_append_string(out, is_range ? "a size" : "a size such as 64k or 16MiB");
        break;
    case SETTINGS_TYPE_DURATION:
        buffer_append_string(out, is_range ? "a duration" : "a duration such as 500ms or 1s");
        break;
    }
    if (is_range) {
        append_range(row, out);
    }
}
