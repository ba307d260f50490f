/*
 * extract_json: extracts pages and prints one JSON object a line.
 *
 * Standard input has a line for each page: id, URL (may be empty) and path, divided by tabs.
 * Output:
 * {"id", "articleBody", "title", "authors", "published", "language"}. tests/bench/score.py drives
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/json.h"
#include "common/message.h"
#include "worker/extract.h"

#define FILE_BYTES_MAX (64u << 20)
#define ARENA_BYTES_MAX (1024u << 20)

struct name_row {
    const char *name;
    const char *printed;
};

static const struct name_row name_rows[] = {
    {"text", "articleBody"},    {"title", "title"},         {"authors", "authors"},
    {"published", "published"}, {"language", "language"},   {"description", "description"},
    {"site_name", "site_name"}, {"canonical", "canonical"},
};

static const char *
printed_name(struct slice name)
{
    for (size_t i = 0; i < sizeof name_rows / sizeof name_rows[0]; i++) {
        if (slice_equal(name, slice_string(name_rows[i].name))) {
            return name_rows[i].printed;
        }
    }
    return NULL;
}

static bool
file_read(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    char part[65536];
    size_t size;
    while ((size = fread(part, 1, sizeof part, file)) > 0) {
        buffer_append(out, part, size);
    }
    fclose(file);
    return buffer_error(out) == OK;
}

static bool
page_print(const char *id, struct slice pairs, size_t count)
{
    struct reader reader;
    struct buffer line;
    buffer_init(&line, FILE_BYTES_MAX * 2);
    buffer_append_string(&line, "{\"id\":");
    json_append_string(&line, slice_string(id));
    reader_init(&reader, pairs);
    for (size_t i = 0; i < count; i++) {
        const char *name = printed_name(read_string(&reader));
        struct slice value = read_raw(&reader);
        if (name != NULL) {
            buffer_printf(&line, ",\"%s\":", name);
            if (json_from_message(&line, value) != OK) {
                buffer_release(&line);
                return false;
            }
        }
    }
    buffer_append_string(&line, "}\n");
    bool is_good = reader_finish(&reader) == OK && buffer_error(&line) == OK &&
                   fwrite(line.data, 1, line.size, stdout) == line.size;
    buffer_release(&line);
    return is_good;
}

static bool
page_run(struct arena *arena, const char *id, const char *url, const char *path)
{
    struct buffer body;
    struct buffer out;
    buffer_init(&body, FILE_BYTES_MAX);
    buffer_init(&out, FILE_BYTES_MAX);
    bool is_good = file_read(path, &body);
    if (is_good) {
        struct extract_input input = {.body = buffer_slice(&body),
                                      .url = slice_string(url),
                                      .content_type = slice_string("text/html"),
                                      .has_links = true};
        size_t pairs = 0;
        enum outcome outcome = extract_document(arena, &input, &out, &pairs);
        if (outcome != OUTCOME_OK) {
            fprintf(stderr, "extract_json: %s: %s\n", path, outcome_text(outcome));
        }
        is_good = page_print(id, buffer_slice(&out), pairs);
    } else {
        fprintf(stderr, "extract_json: %s: cannot be read\n", path);
    }
    buffer_release(&body);
    buffer_release(&out);
    arena_clear(arena);
    return is_good;
}

int
main(void)
{
    struct arena arena;
    arena_init(&arena, ARENA_BYTES_MAX);
    char line[8192];
    int code = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *url = strchr(line, '\t');
        char *path = url == NULL ? NULL : strchr(url + 1, '\t');
        if (path == NULL) {
            fprintf(stderr, "extract_json: a line needs id, URL and path, divided by tabs\n");
            code = 2;
            break;
        }
        *url++ = '\0';
        *path++ = '\0';
        code = page_run(&arena, line, url, path) ? code : 1;
    }
    arena_release(&arena);
    return code;
}
