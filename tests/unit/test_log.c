#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "common/log.h"
#include "common/loop.h"
#include "common/utf8.h"

#define TEST_TEXT_BYTES_MAX (4 * 1024 * 1024)

static int capture_fd = -1;
static char captured[TEST_TEXT_BYTES_MAX];

static void
capture(enum log_level level, enum log_format format)
{
    capture_fd = memfd_create("log", MFD_CLOEXEC);
    cr_assert(capture_fd >= 0);
    log_configure(level, format, "thresh-test");
    log_to(capture_fd);
}

static const char *
lines(void)
{
    ssize_t size = pread(capture_fd, captured, sizeof captured - 1, 0);
    cr_assert(size >= 0);
    captured[size] = '\0';
    return captured;
}

/* What follows the fixed fields of the only line, without the line break. */
static const char *
fields(void)
{
    char *text = strstr(lines(), "event=e");
    cr_assert_not_null(text, "%s", captured);
    text += strlen("event=e");
    text[strcspn(text, "\n")] = '\0';
    return text[0] == ' ' ? text + 1 : text;
}

Test(log, line_starts_with_time_level_program_and_event)
{
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    log_event(LOG_WARNING, "task_recorded", log_text("task", "t-1"), log_int("attempt", -2),
              log_uint("bytes", UINT64_MAX), log_error("error", ERROR_DISK_FULL));
    const char *text = lines();
    int year = 0;
    int millisecond = 0;
    int end = 0;
    int got = sscanf(text, "ts=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ%n", &year, &millisecond, &end);
    cr_assert_eq(got, 2, "%s", text);
    cr_assert_eq(end, (int)strlen("ts=2026-01-31T09:30:00.123Z"));
    cr_assert_str_eq(text + end, " level=warning program=thresh-test event=task_recorded task=t-1 "
                                 "attempt=-2 bytes=18446744073709551615 "
                                 "error=\"the disk is full\"\n");
}

struct value_case {
    const char *text;
    size_t size;
    const char *expected;
};

#define CASE(text, expected)             \
    {                                    \
        text, sizeof(text) - 1, expected \
    }

static const struct value_case value_cases[] = {
    CASE("plain", "v=plain"),
    CASE("https://a.example/b?c", "v=https://a.example/b?c"),
    CASE("", "v=\"\""),
    CASE("two words", "v=\"two words\""),
    CASE("a=b", "v=\"a=b\""),
    CASE("say \"hi\"", "v=\"say \\\"hi\\\"\""),
    CASE("back\\slash", "v=\"back\\\\slash\""),
    CASE("forged\nts=1 level=error", "v=\"forged\\u000ats=1 level=error\""),
    CASE("nul\0byte", "v=\"nul\\u0000byte\""),
    CASE("\x1b[31mred", "v=\"\\u001b[31mred\""),
    CASE("del\x7f", "v=\"del\\u007f\""),
    CASE("c1\xc2\x9b", "v=\"c1\\u009b\""),
    CASE("gr\xc3\xbc\xc3\x9f"
         "e",
         "v=gr\xc3\xbc\xc3\x9f"
         "e"),
    CASE("\xf0\x9f\x98\x80", "v=\xf0\x9f\x98\x80"),
    CASE("bad\xff!", "v=\"bad\xef\xbf\xbd!\""),
    CASE("cut\xe2\x82", "v=\"cut\xef\xbf\xbd\""),
    CASE("\xc0\x80", "v=\"\xef\xbf\xbd\xef\xbf\xbd\""),
    CASE("\xed\xa0\x80", "v=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""),
};

Test(log, values_are_quoted_and_escaped_where_needed)
{
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
        capture(LOG_INFO, LOG_FORMAT_LOGFMT);
        log_event(LOG_INFO, "e",
                  log_slice("v", slice_of(value_cases[i].text, value_cases[i].size)));
        cr_assert_str_eq(fields(), value_cases[i].expected);
        close(capture_fd);
    }
}

Test(log, json_lines_are_json)
{
    for (size_t i = 0; i < sizeof value_cases / sizeof value_cases[0]; i++) {
        capture(LOG_INFO, LOG_FORMAT_JSON);
        log_event(LOG_INFO, "e", log_int("n", 7),
                  log_slice("v", slice_of(value_cases[i].text, value_cases[i].size)));
        cJSON *json = cJSON_Parse(lines());
        cr_assert_not_null(json, "%s", captured);
        cr_assert_str_eq(cJSON_GetObjectItem(json, "event")->valuestring, "e");
        cr_assert_eq(cJSON_GetObjectItem(json, "n")->valueint, 7);
        if (utf8_valid_prefix(slice_of(value_cases[i].text, value_cases[i].size)) ==
            value_cases[i].size) {
            cr_assert_str_eq(cJSON_GetObjectItem(json, "v")->valuestring, value_cases[i].text);
        }
        cJSON_Delete(json);
        close(capture_fd);
    }
}

Test(log, null_text_is_left_out_and_fields_may_be_none)
{
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    log_event(LOG_INFO, "e", log_text("a", NULL), log_int("b", 1));
    cr_assert_str_eq(fields(), "b=1");
    close(capture_fd);
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    log_event(LOG_INFO, "e");
    cr_assert_str_eq(fields(), "");
}

Test(log, level_decides_and_fields_of_a_silent_line_are_not_evaluated)
{
    capture(LOG_WARNING, LOG_FORMAT_LOGFMT);
    int evaluated = 0;
    log_event(LOG_INFO, "quiet", log_int("n", ++evaluated));
    log_limited(LOG_DEBUG, "quiet", log_int("n", ++evaluated));
    cr_assert_eq(evaluated, 0);
    cr_assert_str_eq(lines(), "");
    log_event(LOG_ERROR, "loud", log_int("n", ++evaluated));
    cr_assert_eq(evaluated, 1);
    cr_assert_not_null(strstr(lines(), "event=loud"));
}

Test(log, long_values_are_cut_and_long_lines_end_whole)
{
    static char filler[LOG_VALUE_BYTES_MAX * 2];
    memset(filler, '\n', sizeof filler); /* six bytes each when escaped */
    for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        capture(LOG_INFO, (enum log_format)format);
        struct slice text = slice_of(filler, sizeof filler);
        log_event(LOG_INFO, "e", log_slice("a", text), log_slice("b", text), log_slice("c", text),
                  log_slice("d", text), log_int("f", 12));
        size_t size = strlen(lines());
        cr_assert(size <= LOG_LINE_BYTES_MAX, "%zu bytes", size);
        cr_assert_eq(strchr(captured, '\n'), captured + size - 1);
        cr_assert_not_null(strstr(captured, "...\""));
        cr_assert_not_null(strstr(captured, "truncated"), "%s", captured);
        cr_assert_not_null(strstr(captured, format == LOG_FORMAT_JSON ? "\"f\":12" : "f=12"));
        if (format == LOG_FORMAT_JSON) {
            cJSON *json = cJSON_Parse(captured);
            cr_assert_not_null(json, "%s", captured);
            cr_assert_null(cJSON_GetObjectItem(json, "d"));
            cJSON_Delete(json);
        }
        close(capture_fd);
    }
}

Test(log, repeated_events_are_held_back_and_counted)
{
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    int64_t start_ms = clock_monotonic_ms();
    for (int i = 0; i < 100; i++) {
        log_limited(LOG_INFO, "again", log_int("i", i));
        log_limited(LOG_INFO, "other");
    }
    if (clock_monotonic_ms() - start_ms >= LOG_LIMITED_INTERVAL_MS) {
        cr_skip_test("the machine stood still for a second");
    }
    const char *first = strstr(lines(), "event=again i=0\n");
    cr_assert_not_null(first);
    cr_assert_null(strstr(first + 1, "event=again"));
    /* The log has the only clock, so the time is waited for by asking until it lets one through. */
    const char *second = NULL;
    int more = 0;
    while (second == NULL) {
        log_limited(LOG_INFO, "again", log_int("i", 100 + more));
        more++;
        second = strstr(lines() + (first - captured) + 1, "event=again");
    }
    uint64_t suppressed = 0;
    cr_assert_eq(sscanf(strstr(second, "suppressed="), "suppressed=%lu", &suppressed), 1);
    cr_assert_eq(suppressed, 99 + (uint64_t)more - 1);
}

Test(log, more_limited_events_than_rows_still_come_through)
{
    static char names[LOG_LIMITED_EVENTS_MAX * 2][24];
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    for (int i = 0; i < LOG_LIMITED_EVENTS_MAX * 2; i++) {
        snprintf(names[i], sizeof names[i], "event_%d", i);
        log_limited(LOG_INFO, names[i]);
    }
    int count = 0;
    for (const char *text = lines(); (text = strchr(text, '\n')) != NULL; text++) {
        count++;
    }
    cr_assert_eq(count, LOG_LIMITED_EVENTS_MAX * 2);
}

Test(log, full_pipe_and_lost_reader_drop_lines_and_count_them)
{
    signal(SIGPIPE, SIG_DFL);
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    log_configure(LOG_INFO, LOG_FORMAT_LOGFMT, "thresh-test");
    log_to(pipes[1]);
    static char filler[LOG_VALUE_BYTES_MAX];
    memset(filler, 'x', sizeof filler - 1);
    uint64_t before = log_dropped();
    int written = 0;
    while (log_dropped() == before) {
        errno = 4711;
        log_event(LOG_INFO, "e", log_text("v", filler));
        cr_assert_eq(errno, 4711);
        written++;
    }
    cr_assert(written > 10 && written < 1000, "%d lines into a pipe of 64 KiB", written);
    close(pipes[0]);
    log_event(LOG_INFO, "e"); /* would kill the process if it were written */
    cr_assert_eq(log_dropped(), before + 2);
    close(pipes[1]);
    log_event(LOG_INFO, "e");
    cr_assert_eq(log_dropped(), before + 3);
}

#define TEST_THREADS 4
#define TEST_LINES 500

static void *
log_many(void *context)
{
    for (int i = 0; i < TEST_LINES; i++) {
        log_event(LOG_INFO, "threaded", log_int("thread", *(int *)context), log_int("i", i));
    }
    return NULL;
}

Test(log, lines_of_several_threads_stay_whole)
{
    capture(LOG_INFO, LOG_FORMAT_LOGFMT);
    pthread_t threads[TEST_THREADS];
    int numbers[TEST_THREADS];
    for (int i = 0; i < TEST_THREADS; i++) {
        numbers[i] = i;
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
    }
    for (int i = 0; i < TEST_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    int next[TEST_THREADS] = {0};
    const char *line = lines();
    while (*line != '\0') {
        int thread = -1;
        int i = -1;
        const char *found = strstr(line, "event=threaded");
        cr_assert_not_null(found);
        cr_assert_eq(sscanf(found, "event=threaded thread=%d i=%d\nts=", &thread, &i), 2);
        cr_assert(thread >= 0 && thread < TEST_THREADS);
        cr_assert_eq(i, next[thread]++);
        line = strchr(line, '\n') + 1;
    }
    for (int i = 0; i < TEST_THREADS; i++) {
        cr_assert_eq(next[i], TEST_LINES);
    }
}
