/*
 * Plain text: paragraphs are divided by empty lines, or, where a text has none, by line ends. The
 * first short line is the title. Lines that are no more than a picture's or video's credit or
 * label, as bad extraction leaves them behind, go.
 */
#include <string.h>

#include "worker/extract_page.h"
#include "worker/extract_result.h"

#define TITLE_WORDS_MAX 30
#define TITLE_BYTES_MAX 300

struct line_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static bool
line_read(struct line_reader *reader, struct slice *ret_line)
{
    if (reader->at >= reader->end) {
        return false;
    }
    const uint8_t *start = reader->at;
    while (reader->at < reader->end && *reader->at != '\n' && *reader->at != '\r') {
        reader->at++;
    }
    *ret_line = slice_of(start, (size_t)(reader->at - start));
    if (reader->at < reader->end) {
        bool is_pair = *reader->at == '\r' && reader->at + 1 < reader->end && reader->at[1] == '\n';
        reader->at += is_pair ? 2 : 1;
    }
    return true;
}

static struct slice
line_trim(struct slice line)
{
    while (line.size > 0 && line.data[0] <= ' ') {
        line = slice_of(line.data + 1, line.size - 1);
    }
    while (line.size > 0 && line.data[line.size - 1] <= ' ') {
        line.size--;
    }
    return line;
}

/* Lines without empty ones between them are one paragraph, broken by the author as written. */
struct paragraph_writer {
    struct buffer text;
    bool is_open; /* a line of this paragraph has been written */
};

static void
line_write(struct paragraph_writer *writer, struct slice line)
{
    if (writer->text.size > 0) {
        buffer_append_string(&writer->text, writer->is_open ? "\n" : "\n\n");
    }
    buffer_append(&writer->text, line.data, line.size);
    writer->is_open = true;
}

static bool
is_title(struct slice line)
{
    uint32_t length = 0;
    uint32_t words = 0;
    text_measure(line, &length, &words);
    if (words > TITLE_WORDS_MAX || line.size > TITLE_BYTES_MAX) {
        return false;
    }
    uint8_t last = line.data[line.size - 1];
    return last != '.' && last != ',' && last != ';';
}

enum outcome
extract_text(struct result *result)
{
    struct line_reader reader = {.at = result->text.data,
                                 .end = result->text.data + result->text.size};
    struct paragraph_writer writer = {0};
    buffer_init(&writer.text, result->text.size + result->text.size / 2 + 16);
    struct slice title = {0};
    struct slice line;
    bool is_first = true;
    while (line_read(&reader, &line)) {
        line = line_trim(line);
        if (line.size == 0) {
            writer.is_open = false;
        } else if (is_first && is_title(line)) {
            title = line;
            is_first = false;
        } else {
            is_first = false;
            if (!phrase_is_credit(line)) {
                line_write(&writer, line);
            }
        }
    }
    enum outcome outcome = OUTCOME_CHILD_MEMORY;
    if (buffer_error(&writer.text) == OK) {
        /* A lone line is the text itself. */
        bool is_lone = writer.text.size == 0;
        result_text(result, "title", title);
        result_content(result, is_lone ? title : buffer_slice(&writer.text), slice_of(NULL, 0),
                       "thresh-text/1");
        outcome = OUTCOME_OK;
    }
    buffer_release(&writer.text);
    return outcome;
}
