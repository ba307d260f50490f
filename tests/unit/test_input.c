/* What people name, as items. Each test works in a directory of its own. */
#include "client/input.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#include "common/message.h"

#define COMPLAINTS_MAX 32
#define BODY_BYTES_MAX 1000

static char directory[64];
static char former[4096];
static char complaints[COMPLAINTS_MAX][256];
static size_t complaint_count;

static void
report(void *context, const char *where, const char *reason)
{
    (void)context;
    cr_assert_lt(complaint_count, COMPLAINTS_MAX);
    snprintf(complaints[complaint_count++], sizeof complaints[0], "%s: %s", where, reason);
}

static void
setup(void)
{
    snprintf(directory, sizeof directory, "/tmp/thresh-input-XXXXXX");
    cr_assert_not_null(getcwd(former, sizeof former));
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    complaint_count = 0;
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

static void
teardown(void)
{
    cr_assert_eq(chdir(former), 0);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(input, .init = setup, .fini = teardown);

static void
put(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static struct input *
open_input(void)
{
    struct input_options options = {.body_bytes_max = BODY_BYTES_MAX};
    struct input *input = input_create(&options, report, NULL);
    cr_assert_not_null(input);
    return input;
}

static struct thresh_item
next(struct input *input)
{
    struct thresh_item item = {0};
    cr_assert_eq(input_next(input, &item), OK, "%s",
                 complaint_count > 0 ? complaints[complaint_count - 1] : "");
    return item;
}

static void
check_end(struct input *input)
{
    struct thresh_item item;
    cr_assert_eq(input_next(input, &item), ERROR_EMPTY);
    input_destroy(input);
}

Test(input, takes_urls_files_and_lists_in_the_order_given)
{
    put("a b.html", "<p>x");
    put("list.urls", "http://one/\n");
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "https://example.com/"), OK);
    cr_assert_eq(input_add(input, "a b.html"), OK);
    cr_assert_eq(input_add(input, "list.urls"), OK);
    cr_assert_str_eq(next(input).url, "https://example.com/");
    struct thresh_item file = next(input);
    cr_assert_not_null(strstr(file.url, "file:///"));
    cr_assert_str_eq(file.url + strlen(file.url) - 11, "/a%20b.html");
    cr_assert_str_eq(file.content_type, "text/html");
    cr_assert_eq(file.body_size, 4);
    cr_assert_str_eq(next(input).url, "http://one/");
    check_end(input);
}

Test(input, says_what_cannot_be_opened)
{
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "missing.html"), ERROR_NOT_FOUND);
    cr_assert_eq(input_add(input, "ftp://example.com/"), ERROR_INVALID);
    cr_assert_eq(input_add(input, "/dev/null"), ERROR_UNSUPPORTED);
    cr_assert_eq(input_add_list(input, "missing.urls"), ERROR_NOT_FOUND);
    cr_assert_eq(input_add_list(input, "."), ERROR_UNSUPPORTED);
    check_end(input);
}

Test(input, walks_a_directory_in_sorted_order_without_links_and_hidden_names)
{
    mkdir("d", 0755);
    mkdir("d/b", 0755);
    mkdir("d/.hidden", 0755);
    put("d/c.txt", "c");
    put("d/a.md", "a");
    put("d/b/z.json", "{}");
    put("d/.x.txt", "no");
    put("d/.hidden/y.txt", "no");
    cr_assert_eq(symlink("c.txt", "d/link.txt"), 0);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "d/"), OK);
    static const char *const names[] = {"/d/a.md", "/d/b/z.json", "/d/c.txt"};
    static const char *const types[] = {"text/markdown", "application/json", "text/plain"};
    for (size_t i = 0; i < 3; i++) {
        struct thresh_item item = next(input);
        cr_assert_str_eq(item.url + strlen(item.url) - strlen(names[i]), names[i]);
        cr_assert_str_eq(item.content_type, types[i]);
    }
    cr_assert_eq(complaint_count, 0);
    check_end(input);
}

Test(input, an_empty_file_is_a_document_and_a_large_one_is_refused_with_a_reason)
{
    char large[BODY_BYTES_MAX + 2];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    put("empty.txt", "");
    put("large.txt", large);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "large.txt"), OK);
    cr_assert_eq(input_add(input, "empty.txt"), OK);
    struct thresh_item item = next(input);
    cr_assert_not_null(item.body);
    cr_assert_eq(item.body_size, 0);
    cr_assert_eq(complaint_count, 1);
    cr_assert_str_eq(complaints[0],
                     "large.txt: larger than 1000 bytes; raise --body-bytes-max to take it");
    cr_assert_eq(input_bad_count(input), 1);
    check_end(input);
}

Test(input, reads_every_key_of_a_json_line)
{
    put("l.jsonl", "{\"url\":\"http://a/\",\"priority\":0,\"not_before_at\":5,\"key\":\"k\","
                   "\"again\":true,\"host\":\"h\",\"meta\":{\"n\":1}}\n"
                   "{\"url\":\"doc\",\"body\":\"text\",\"content_type\":\"text/plain\"}\n"
                   "{\"url\":\"doc2\",\"body_base64\":\"AAEC/w==\"}");
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "l.jsonl"), OK);
    struct thresh_item item = next(input);
    cr_assert_eq(item.priority, 1, "0 to 9 are 1 to 10 in thresh.h");
    cr_assert_eq(item.not_before_ms, 5);
    cr_assert_str_eq(item.key, "k");
    cr_assert_str_eq(item.host, "h");
    cr_assert(item.again);
    cr_assert_eq(item.meta_size, 4);
    cr_assert_eq(memcmp(item.meta, "\x81\xa1n\x01", 4), 0);
    item = next(input);
    cr_assert_str_eq(item.content_type, "text/plain");
    cr_assert_eq(item.body_size, 4);
    item = next(input);
    cr_assert_eq(item.body_size, 4);
    cr_assert_eq(memcmp(item.body, "\x00\x01\x02\xff", 4), 0);
    cr_assert_null(item.key);
    check_end(input);
}

Test(input, a_file_named_in_a_list_is_read_and_named_by_its_path_unless_the_line_says_otherwise)
{
    put("page.html", "<p>");
    put("l.jsonl", "{\"file\":\"page.html\"}\n{\"file\":\"page.html\",\"url\":\"http://n/\"}\n"
                   "{\"file\":\"gone.html\"}\n");
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "l.jsonl"), OK);
    struct thresh_item item = next(input);
    cr_assert_not_null(strstr(item.url, "/page.html"));
    cr_assert_str_eq(item.content_type, "text/html");
    cr_assert_eq(item.body_size, 3);
    cr_assert_str_eq(next(input).url, "http://n/");
    check_end(input);
    cr_assert_eq(complaint_count, 1);
    cr_assert_str_eq(complaints[0], "l.jsonl:3: no such file");
}

struct bad_line {
    const char *line;
    const char *reason;
};

Test(input, a_bad_line_is_reported_with_its_place_and_the_rest_goes_on)
{
    static const struct bad_line cases[] = {
        {"nonsense", "not an http or https URL (and not a JSON object)"},
        {"ftp://a/", "not an http or https URL (and not a JSON object)"},
        {"http://a/\xff", "not UTF-8"},
        {"{\"url\":", "not JSON"},
        {"{}", "no 'url'"},
        {"{\"url\":\"\"}", "no 'url'"},
        {"{\"url\":3}", "'url' is not a plain text"},
        {"{\"url\":\"a\\u0000b\"}", "not JSON"},
        {"{\"url\":\"http://a/\",\"ulr\":1}", "unknown key 'ulr'"},
        {"{\"url\":\"http://a/\",\"priority\":10}", "'priority' is not a number from 0 to 9"},
        {"{\"url\":\"http://a/\",\"again\":1}", "'again' is not true or false"},
        {"{\"url\":\"http://a/\",\"meta\":[]}", "'meta' is not an object"},
        {"{\"url\":\"a\",\"body\":\"x\",\"file\":\"y\"}",
         "only one of 'body', 'body_base64' and 'file' may be there"},
        {"{\"url\":\"a\",\"body_base64\":\"A\"}", "'body_base64' is not base64"},
        {"{\"url\":\"a\",\"body_base64\":\"AA=A\"}", "'body_base64' is not base64"},
    };
    size_t count = sizeof cases / sizeof cases[0];
    FILE *file = fopen("bad.urls", "w");
    cr_assert_not_null(file);
    for (size_t i = 0; i < count; i++) {
        fprintf(file, "%s\n", cases[i].line);
    }
    fprintf(file, "\n  # a comment\n\thttp://good/ \r\n");
    fclose(file);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "bad.urls"), OK);
    cr_assert_str_eq(next(input).url, "http://good/");
    cr_assert_eq(complaint_count, count);
    for (size_t i = 0; i < count; i++) {
        char place[32];
        int size = snprintf(place, sizeof place, "bad.urls:%zu: ", i + 1);
        cr_assert_eq(strncmp(complaints[i], place, (size_t)size), 0, "%s", complaints[i]);
        cr_assert_eq(strncmp(complaints[i] + size, cases[i].reason, strlen(cases[i].reason)), 0,
                     "%s", complaints[i]);
    }
    cr_assert_eq(input_bad_count(input), count);
    check_end(input);
}

Test(input, reads_gzip_lists_of_several_members)
{
    for (int member = 0; member < 2; member++) {
        gzFile file = gzopen("l.urls.gz", "ab");
        cr_assert_not_null(file);
        for (int i = 0; i < 5000; i++) {
            gzprintf(file, "http://host/%d/%d\n", member, i);
        }
        gzclose(file);
    }
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "l.urls.gz"), OK);
    for (int member = 0; member < 2; member++) {
        for (int i = 0; i < 5000; i++) {
            char url[64];
            snprintf(url, sizeof url, "http://host/%d/%d", member, i);
            cr_assert_str_eq(next(input).url, url);
        }
    }
    check_end(input);
}

Test(input, damaged_gzip_is_reported_after_what_could_be_read)
{
    gzFile file = gzopen("l.urls.gz", "wb");
    gzprintf(file, "http://host/\n");
    gzclose(file);
    struct stat status;
    cr_assert_eq(stat("l.urls.gz", &status), 0);
    int fd = open("l.urls.gz", O_RDWR);
    cr_assert_eq(pwrite(fd, "\xff\xff\xff\xff", 4, status.st_size - 8), 4);
    close(fd);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "l.urls.gz"), OK);
    cr_assert_str_eq(next(input).url, "http://host/");
    check_end(input);
    cr_assert_eq(complaint_count, 1);
    cr_assert_str_eq(complaints[0], "l.urls.gz: damaged gzip data");
}

Test(input, standard_input_that_has_nothing_yet_does_not_hold_the_caller_up)
{
    int ends[2];
    struct thresh_item item;
    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(dup2(ends[0], STDIN_FILENO), 0);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "-"), OK);
    cr_assert_eq(input_next(input, &item), ERROR_AGAIN);
    cr_assert_geq(input_fd(input), 0);
    cr_assert_eq(write(ends[1], "http://a/\nhttp://b", 18), 18);
    cr_assert_str_eq(next(input).url, "http://a/");
    cr_assert_eq(input_next(input, &item), ERROR_AGAIN);
    cr_assert_eq(write(ends[1], "/", 1), 1);
    close(ends[1]);
    cr_assert_str_eq(next(input).url, "http://b/", "the last line needs no end");
    check_end(input);
    close(ends[0]);
}

Test(input, a_line_past_the_limit_is_passed_over)
{
    FILE *file = fopen("long.urls", "w");
    cr_assert_not_null(file);
    fputs("http://host/", file);
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    for (size_t i = 0; i < INPUT_LINE_BYTES_MAX / sizeof block + 2; i++) {
        cr_assert_eq(fwrite(block, 1, sizeof block, file), sizeof block);
    }
    fputs("\nhttp://next/\n", file);
    fclose(file);
    struct input *input = open_input();
    cr_assert_eq(input_add(input, "long.urls"), OK);
    cr_assert_str_eq(next(input).url, "http://next/");
    check_end(input);
    cr_assert_eq(complaint_count, 1);
    cr_assert_str_eq(complaints[0], "long.urls:1: a line longer than 32 MiB");
}
