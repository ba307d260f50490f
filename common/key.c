#include "common/key.h"

#include <assert.h>
#include <string.h>

#include <zmq.h>

#define WORDS_MAX 3

static const char *const role_names[KEY_ROLE_COUNT] = {
    [KEY_FEEDER] = "feeder", [KEY_WORKER] = "worker",   [KEY_COLLECTOR] = "collector",
    [KEY_ADMIN] = "admin",   [KEY_MONITOR] = "monitor", [KEY_BROKER] = "broker",
};

/* The public halves of the pairs in zmq_curve(7); their secrets are printed beside them. */
static const char *const example_keys[] = {
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
};

const char *
key_role_name(enum key_role role)
{
    assert(role < KEY_ROLE_COUNT);
    return role_names[role];
}

bool
key_role_parse(struct slice text, enum key_role *ret_role)
{
    for (unsigned i = 0; i < KEY_ROLE_COUNT; i++) {
        if (slice_equal(text, slice_string(role_names[i]))) {
            *ret_role = (enum key_role)i;
            return true;
        }
    }
    return false;
}

bool
key_name_is_good(struct slice text)
{
    if (text.size == 0 || text.size > KEY_NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '@' || c == '-';
        if (!is_letter && !is_other) {
            return false;
        }
    }
    return true;
}

enum error
key_check(struct slice text)
{
    char copy[KEY_TEXT_BYTES + 1];
    uint8_t bytes[KEY_BYTES];
    if (text.size != KEY_TEXT_BYTES) {
        return ERROR_INVALID;
    }
    memcpy(copy, text.data, KEY_TEXT_BYTES);
    copy[KEY_TEXT_BYTES] = '\0';
    /* A byte of 0 would end the text early. */
    bool is_key = strlen(copy) == KEY_TEXT_BYTES && zmq_z85_decode(bytes, copy) != NULL;
    explicit_bzero(copy, sizeof copy); /* it may be a secret one */
    explicit_bzero(bytes, sizeof bytes);
    if (!is_key) {
        return ERROR_INVALID;
    }
    for (size_t i = 0; i < sizeof example_keys / sizeof example_keys[0]; i++) {
        if (slice_equal(text, slice_string(example_keys[i]))) {
            return ERROR_NOT_ALLOWED;
        }
    }
    return OK;
}

void
key_text(const uint8_t bytes[KEY_BYTES], char ret_text[KEY_TEXT_BYTES + 1])
{
    const char *text = zmq_z85_encode(ret_text, bytes, KEY_BYTES);
    assert(text != NULL); /* it fails only on sizes that four does not divide */
}

bool
key_next_line(struct slice *text, struct slice *ret_line)
{
    if (text->size == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end != NULL ? (size_t)(end - text->data) : text->size;
    size_t taken = end != NULL ? size + 1 : size;
    *ret_line = slice_of(text->data, size);
    *text = slice_of(text->data + taken, text->size - taken);
    return true;
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r';
}

/* The words of the line; one more than WORDS_MAX when there are too many. */
static size_t
split(struct slice line, struct slice words[WORDS_MAX])
{
    size_t count = 0;
    size_t i = 0;
    while (i < line.size) {
        size_t start = i;
        while (i < line.size && !is_blank(line.data[i])) {
            i++;
        }
        if (i > start) {
            if (count == WORDS_MAX) {
                return WORDS_MAX + 1;
            }
            words[count++] = slice_of(line.data + start, i - start);
        } else {
            i++;
        }
    }
    return count;
}

enum error
key_line_parse(struct slice line, struct key_line *ret_line, const char **ret_why)
{
    struct slice words[WORDS_MAX];
    struct key_line found = {0};
    size_t count = split(line, words);
    if (count == 0 || words[0].data[0] == '#') {
        return ERROR_EMPTY;
    }
    if (count != WORDS_MAX) {
        *ret_why = "a line is ROLE KEY NAME";
        return ERROR_INVALID;
    }
    if (!key_role_parse(words[0], &found.role)) {
        *ret_why = "the role is one of feeder, worker, collector, admin, monitor, broker";
        return ERROR_INVALID;
    }
    enum error error = key_check(words[1]);
    if (error != OK) {
        *ret_why = error == ERROR_NOT_ALLOWED
                       ? "this is the example key of zmq_curve(7), whose secret everybody has"
                       : "the key is not one: 40 characters of Z85";
        return error;
    }
    if (!key_name_is_good(words[2])) {
        *ret_why = "a name has 1 to 64 letters, digits or . _ @ -";
        return ERROR_INVALID;
    }
    memcpy(found.key, words[1].data, KEY_TEXT_BYTES);
    memcpy(found.name, words[2].data, words[2].size);
    *ret_line = found;
    return OK;
}
