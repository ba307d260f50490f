/* Sinks: each task's result once in the file, whatever was cut or repeated. */
#include "client/sink.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/task_set.h"
#include "common/message.h"

#define TASK_TEXT_BYTES 24

static char path[64];

static void
setup(void)
{
    snprintf(path, sizeof path, "/tmp/thresh-sink-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void
teardown(void)
{
    unlink(path);
}

TestSuite(sink, .init = setup, .fini = teardown);

static const struct sink_kind *const kinds[] = {&sink_jsonl, &sink_msgpack};

static struct sink *
open_sink(const struct sink_kind *kind)
{
    struct sink *sink = NULL;
    uint64_t offset = 0;
    cr_assert_eq(sink_open(kind, path, &sink, &offset), OK);
    return sink;
}

static bool
write_result(struct sink *sink, unsigned number)
{
    struct buffer map;
    char task[TASK_TEXT_BYTES];
    bool is_new = false;
    snprintf(task, sizeof task, "0a0b0c0d%010x", number);
    buffer_init(&map, 1000);
    write_map(&map, 3);
    write_string(&map, "version");
    write_uint(&map, 1);
    write_string(&map, "task");
    write_string(&map, task);
    write_string(&map, "text");
    write_string(&map, "a line\nwith \"quotes\"");
    cr_assert_eq(sink_write(sink, slice_string(task), buffer_slice(&map), &is_new), OK);
    buffer_release(&map);
    return is_new;
}

static void
count_result(void *context, struct slice task, struct slice map)
{
    size_t *count = context;
    cr_assert_eq(task.size, 18);
    cr_assert_eq(message_scan(map), OK);
    (*count)++;
}

static size_t
count_results(const struct sink_kind *kind)
{
    size_t count = 0;
    cr_assert_eq(sink_read(kind, path, count_result, &count), OK);
    return count;
}

Test(sink, writes_each_task_once_over_a_restart)
{
    for (size_t k = 0; k < 2; k++) {
        cr_assert_eq(truncate(path, 0), 0);
        struct sink *sink = open_sink(kinds[k]);
        for (unsigned i = 0; i < 100; i++) {
            cr_assert(write_result(sink, i));
        }
        cr_assert_not(write_result(sink, 7));
        cr_assert_eq(sink_flush(sink), OK);
        sink_close(sink);
        sink = open_sink(kinds[k]);
        cr_assert_eq(sink_found(sink), 100);
        cr_assert_not(write_result(sink, 99));
        cr_assert(write_result(sink, 100));
        cr_assert_eq(sink_written(sink), 1);
        sink_close(sink);
        cr_assert_eq(count_results(kinds[k]), 101, "%s", kinds[k]->name);
    }
}

Test(sink, a_file_cut_anywhere_ends_with_a_whole_result_and_takes_the_rest_again)
{
    for (size_t k = 0; k < 2; k++) {
        cr_assert_eq(truncate(path, 0), 0);
        struct sink *sink = open_sink(kinds[k]);
        for (unsigned i = 0; i < 3; i++) {
            write_result(sink, i);
        }
        sink_close(sink);
        struct stat status;
        cr_assert_eq(stat(path, &status), 0);
        for (off_t size = status.st_size; size >= 0; size--) {
            cr_assert_eq(truncate(path, size), 0);
            sink = open_sink(kinds[k]);
            size_t found = (size_t)sink_found(sink);
            cr_assert_eq(found, (size_t)(size / (status.st_size / 3)));
            for (unsigned i = 0; i < 3; i++) {
                cr_assert_eq(write_result(sink, i), i >= found);
            }
            sink_close(sink);
            cr_assert_eq(count_results(kinds[k]), 3);
        }
    }
}

Test(sink, refuses_a_file_that_holds_something_else)
{
    struct sink *sink = NULL;
    uint64_t offset = 0;
    FILE *file = fopen(path, "w");
    fputs("{\"task\":\"x\"}\nDear diary\n", file);
    fclose(file);
    cr_assert_eq(sink_open(&sink_jsonl, path, &sink, &offset), ERROR_CORRUPT);
    cr_assert_eq(offset, 13);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_size, 24, "and leaves it as it is");
}

Test(sink, finds_tasks_wherever_they_stand_in_a_line)
{
    FILE *file = fopen(path, "w");
    fputs("{\"text\":\"\\\"task\\\":\\\"no\\\"\",\"task\":\"one\"}\n\n", file);
    fputs("{\"version\":1,\"task\":\"two\"}\n{\"other\":1}\n", file);
    fclose(file);
    struct sink *sink = open_sink(&sink_jsonl);
    cr_assert_eq(sink_found(sink), 2);
    bool is_new = true;
    cr_assert_eq(sink_write(sink, slice_string("one"), slice_of("\x80", 1), &is_new), OK);
    cr_assert_not(is_new);
    sink_close(sink);
}

Test(sink, belongs_to_one_writer_at_a_time)
{
    struct sink *second = NULL;
    uint64_t offset = 0;
    struct sink *sink = open_sink(&sink_jsonl);
    cr_assert_eq(sink_open(&sink_jsonl, path, &second, &offset), ERROR_LOCKED);
    sink_close(sink);
}

Test(sink, a_write_that_fails_leaves_whole_results_only)
{
    struct sink *sink = open_sink(&sink_msgpack);
    write_result(sink, 1);
    cr_assert_eq(sink_flush(sink), OK);
    struct stat status;
    cr_assert_eq(stat(path, &status), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {(rlim_t)status.st_size + 10, (rlim_t)status.st_size + 10};
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_result(sink, 2);
    cr_assert_eq(sink_flush(sink), ERROR_TOO_LARGE);
    cr_assert_eq(sink_flush(sink), ERROR_IO, "and takes nothing more");
    sink_close(sink);
    cr_assert_eq(count_results(&sink_msgpack), 1);
}

Test(sink, what_is_no_result_is_refused)
{
    bool is_new;
    struct sink *sink = open_sink(&sink_jsonl);
    cr_assert_eq(sink_write(sink, slice_string("t"), slice_of("\xc1", 1), &is_new), ERROR_PROTOCOL);
    sink_close(sink);
}

Test(sink, the_kind_comes_from_the_name_or_the_suffix)
{
    cr_assert_eq(sink_kind_find("auto", "a.jsonl"), &sink_jsonl);
    cr_assert_eq(sink_kind_find("auto", "a.MSGPACK"), &sink_msgpack);
    cr_assert_eq(sink_kind_find("auto", "-"), &sink_jsonl);
    cr_assert_eq(sink_kind_find("msgpack", "a.jsonl"), &sink_msgpack);
    cr_assert_null(sink_kind_find("xml", "a"));
}

Test(sink, a_task_set_remembers_what_was_added)
{
    struct task_set set = {0};
    char task[TASK_TEXT_BYTES];
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(task, sizeof task, "%018x", i);
        cr_assert_not(task_set_has(&set, slice_string(task)));
        cr_assert_eq(task_set_add(&set, slice_string(task)), OK);
    }
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(task, sizeof task, "%018x", i);
        cr_assert(task_set_has(&set, slice_string(task)));
        cr_assert_eq(task_set_add(&set, slice_string(task)), ERROR_EXISTS);
    }
    cr_assert_eq(set.count, 20000);
    task_set_release(&set);
}
