/*
 * The reading half of json.h. cJSON builds a tree by recursion and is lenient in places, so the
 * text is checked first: depth, number of elements, UTF-8, control bytes, the grammar of numbers,
 * and NUL in strings, which cJSON would cut the string at.
 */
#include "common/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "common/message.h"
#include "common/utf8.h"

#define EXACT_INTEGER_MAX 9007199254740992.0 /* 2^53: doubles name every integer up to here */

/* ---- before cJSON ---------------------------------------------------------------------- */

struct checker {
    struct slice text;
    size_t at;
    size_t depth;
    size_t elements;
};

static inline int
byte_at(const struct checker *checker, size_t at)
{
    return at < checker->text.size ? checker->text.data[at] : -1;
}

static inline bool
is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* Steps over digits; false when there is none. */
static bool
check_digits(struct checker *checker)
{
    size_t start = checker->at;

    while (is_digit(byte_at(checker, checker->at))) {
        checker->at++;
    }
    return checker->at > start;
}

/* RFC 8259, section 6. */
static bool
check_number(struct checker *checker)
{
    int byte;

    if (byte_at(checker, checker->at) == '-') {
        checker->at++;
    }
    if (byte_at(checker, checker->at) == '0') {
        checker->at++;
    } else if (!check_digits(checker)) {
        return false;
    }
    if (byte_at(checker, checker->at) == '.') {
        checker->at++;
        if (!check_digits(checker)) {
            return false;
        }
    }
    byte = byte_at(checker, checker->at);
    if (byte == 'e' || byte == 'E') {
        checker->at++;
        byte = byte_at(checker, checker->at);
        if (byte == '+' || byte == '-') {
            checker->at++;
        }
        if (!check_digits(checker)) {
            return false;
        }
    }
    byte = byte_at(checker, checker->at);
    return !is_digit(byte) && byte != '.' && byte != '+' && byte != '-';
}

/* From the opening quote to behind the closing one. What escapes mean is left to cJSON. */
static bool
check_string(struct checker *checker)
{
    for (checker->at++; checker->at < checker->text.size; checker->at++) {
        int byte = byte_at(checker, checker->at);

        if (byte == '"') {
            checker->at++;
            return true;
        }
        if (byte < 0x20) {
            return false;
        }
        if (byte == '\\') {
            if (checker->text.size - checker->at >= 6 &&
                memcmp(checker->text.data + checker->at, "\\u0000", 6) == 0) {
                return false;
            }
            checker->at++;
        }
    }
    return false;
}

/* One step outside of strings and numbers. */
static bool
check_mark(struct checker *checker, int byte)
{
    switch (byte) {
    case '[':
    case '{':
        checker->depth++;
        checker->elements++;
        break;
    case ',':
        checker->elements++;
        break;
    case ']':
    case '}':
        if (checker->depth == 0) {
            return false;
        }
        checker->depth--;
        break;
    case '\t':
    case '\n':
    case '\r':
        break;
    default:
        if (byte < ' ') {
            return false;
        }
        break;
    }
    /* The elements bound what cJSON allocates: a node each. */
    if (checker->depth > MESSAGE_DEPTH_MAX || checker->elements > MESSAGE_ELEMENTS_MAX) {
        return false;
    }
    checker->at++;
    return true;
}

static bool
text_is_sane(struct slice text, size_t *ret_offset)
{
    struct checker checker = {.text = text};
    size_t valid = utf8_valid_prefix(text);
    bool is_good = valid == text.size;

    if (!is_good) {
        checker.at = valid;
    }
    while (is_good && checker.at < text.size) {
        int byte = byte_at(&checker, checker.at);

        if (byte == '"') {
            is_good = check_string(&checker);
        } else if (byte == '-' || is_digit(byte)) {
            is_good = check_number(&checker);
        } else {
            is_good = check_mark(&checker, byte);
        }
    }
    if (!is_good) {
        *ret_offset = checker.at < text.size ? checker.at : text.size;
    }
    return is_good;
}

/* ---- the tree -------------------------------------------------------------------------- */

static bool
write_number(struct buffer *out, double number)
{
    if (!isfinite(number)) {
        return false; /* 1e999: no double, and the reader of a message would refuse it */
    }
    if (fabs(number) <= EXACT_INTEGER_MAX && (double)(int64_t)number == number &&
        !(number == 0 && signbit(number))) {
        write_int(out, (int64_t)number);
    } else {
        write_double(out, number);
    }
    return true;
}

/* One node without its children. */
static bool
write_node(struct buffer *out, const cJSON *node)
{
    if (cJSON_IsObject(node)) {
        write_map(out, (size_t)cJSON_GetArraySize(node));
    } else if (cJSON_IsArray(node)) {
        write_array(out, (size_t)cJSON_GetArraySize(node));
    } else if (cJSON_IsString(node)) {
        write_string(out, node->valuestring);
    } else if (cJSON_IsNumber(node)) {
        return write_number(out, node->valuedouble);
    } else if (cJSON_IsBool(node)) {
        write_bool(out, cJSON_IsTrue(node));
    } else {
        write_nil(out);
    }
    return true;
}

static bool
write_tree(struct buffer *out, const cJSON *root)
{
    const cJSON *open[MESSAGE_DEPTH_MAX]; /* text_is_sane() has bounded the depth */
    size_t depth = 0;
    const cJSON *node = root;

    while (node != NULL) {
        if (depth > 0 && cJSON_IsObject(open[depth - 1])) {
            write_string(out, node->string);
        }
        if (!write_node(out, node)) {
            return false;
        }
        if (node->child != NULL) {
            open[depth++] = node;
            node = node->child;
            continue;
        }
        while (node->next == NULL && depth > 0) {
            node = open[--depth];
        }
        node = node->next;
    }
    return true;
}

/* The one value in the text, or NULL with the offset of what is wrong. `text` ends with a NUL,
 * since cJSON has read past ends that were given as a length only (CVE-2023-53154). */
static cJSON *
text_parse(const char *text, size_t size, size_t *ret_offset)
{
    const char *end = text;
    cJSON *root = cJSON_ParseWithLengthOpts(text, size + 1, &end, false);

    if (root != NULL) {
        end += strspn(end, " \t\n\r");
        if (end == text + size) {
            return root;
        }
        cJSON_Delete(root);
    }
    *ret_offset = (size_t)(end - text);
    return NULL;
}

enum error
json_to_message(struct buffer *out, struct slice text, size_t *ret_offset)
{
    struct buffer copy;
    cJSON *root = NULL;
    size_t start = out->size;
    size_t offset = 0;
    enum error error = ERROR_INVALID;

    buffer_init(&copy, text.size);
    if (!text_is_sane(text, &offset)) {
        goto fail;
    }
    buffer_append(&copy, text.data, text.size);
    (void)buffer_text(&copy);
    error = buffer_error(&copy);
    if (error != OK) {
        goto fail;
    }
    error = ERROR_INVALID;
    root = text_parse(buffer_text(&copy), text.size, &offset);
    if (root == NULL) {
        goto fail;
    }
    if (!write_tree(out, root)) {
        goto fail;
    }
    error = buffer_error(out);
    /* What JSON allows and a message does not: repeated names, too many of them. */
    if (error == OK && message_scan(slice_of(out->data + start, out->size - start)) != OK) {
        error = ERROR_INVALID;
    }
fail:
    if (error == ERROR_INVALID) {
        out->size = start;
        if (ret_offset != NULL) {
            *ret_offset = offset;
        }
    }
    cJSON_Delete(root);
    buffer_release(&copy);
    return error;
}
