#include "worker/extract.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "common/message.h"
#include "worker/charset.h"
#include "worker/extract_result.h"
#include "worker/language.h"

/* Of a language that only the page claims, where its text says nothing. */
#define HINT_CONFIDENCE 0.3

typedef enum outcome extract_fn(struct result *result);

/* Where a new document type goes: a row here and an extract_TYPE.c. */
struct extract_row {
    const char *type;
    bool is_html; /* for the charset: a meta element may name it */
    extract_fn *extract;
};

static const struct extract_row extract_rows[] = {
    {"text/html", true, extract_html},        {"application/xhtml+xml", true, extract_html},
    {"text/plain", false, extract_text},      {"text/markdown", false, extract_text},
    {"text/x-markdown", false, extract_text},
};

void
result_text(struct result *result, const char *name, struct slice text)
{
    if (text.size > 0) {
        write_string(result->out, name);
        write_text(result->out, text);
        result->pairs++;
    }
}

void
result_string(struct result *result, const char *name, const char *text)
{
    result_text(result, name, slice_string(text));
}

/* The primary subtag of what the page claims, "en" of "en-GB". */
static bool
hint_read(struct slice hint, char ret_tag[LANGUAGE_TAG_BYTES])
{
    size_t size = 0;
    while (size < hint.size && hint.data[size] != '-' && hint.data[size] != '_') {
        uint8_t lower = (uint8_t)(hint.data[size] | 0x20);
        if (size == 3 || lower < 'a' || lower > 'z') {
            return false;
        }
        size++;
    }
    if (size < 2) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        ret_tag[i] = (char)(hint.data[i] | 0x20);
    }
    ret_tag[size] = '\0';
    return true;
}

void
result_content(struct result *result, struct slice text, struct slice hint, const char *extractor)
{
    struct language_guess guess = language_detect(text, hint);
    if (guess.tag[0] == '\0' && hint_read(hint, guess.tag)) {
        guess.confidence = HINT_CONFIDENCE;
    }
    if (guess.tag[0] != '\0') {
        result_string(result, "language", guess.tag);
        write_string(result->out, "language_confidence");
        write_double(result->out, guess.confidence);
        result->pairs++;
    }
    uint32_t length = 0;
    uint32_t words = 0;
    text_measure(text, &length, &words);
    write_string(result->out, "text");
    write_text(result->out, text);
    write_string(result->out, "word_count");
    write_uint(result->out, words);
    result->pairs += 2;
    if (text.size > 0) {
        char hash[20];
        snprintf(hash, sizeof hash, "%016llx",
                 (unsigned long long)XXH3_64bits(text.data, text.size));
        result_string(result, "content_hash", hash);
    }
    result_string(result, "extractor", extractor);
}

static const struct extract_row *
row_find(const char *type)
{
    for (size_t i = 0; i < sizeof extract_rows / sizeof extract_rows[0]; i++) {
        if (strcmp(type, extract_rows[i].type) == 0) {
            return &extract_rows[i];
        }
    }
    return NULL;
}

static enum outcome
row_run(const struct extract_row *row, struct result *result)
{
    const struct extract_input *input = result->input;
    struct charset_text text;
    struct slice named = content_type_parameter(input->content_type, "charset");
    if (charset_decode(result->arena, input->body, named, row->is_html, &text) != OK) {
        return OUTCOME_CHILD_MEMORY;
    }
    result_string(result, "charset", text.label);
    result->text = text.text;
    return row->extract(result);
}

enum outcome
extract_document(struct arena *arena, const struct extract_input *input, struct buffer *out,
                 size_t *ret_pairs)
{
    struct result result = {.arena = arena, .input = input, .out = out};
    size_t before = out->size;
    char type[CONTENT_TYPE_BYTES];
    *ret_pairs = 0;
    if (input->body.size == 0) {
        return OUTCOME_EMPTY;
    }
    content_type_find(input->content_type, input->body, type);
    result_string(&result, "content_type", type);
    const struct extract_row *row = row_find(type);
    enum outcome outcome = row == NULL ? OUTCOME_UNSUPPORTED : row_run(row, &result);
    if (outcome == OUTCOME_CHILD_MEMORY || buffer_error(out) != OK) {
        out->size = before;
        out->error = OK;
        return OUTCOME_CHILD_MEMORY;
    }
    *ret_pairs = result.pairs;
    return outcome;
}
