#include "worker/pool.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <zlib.h>

#include "common/message.h"
#include "common/sanitizer.h"
#include "pool_extractor.h"

#define MIB ((size_t)1024 * 1024)
#define ANSWERS_MAX 4000
#define GUARD_MS 60000 /* a test that waits longer has failed */

/* The faults of the test are not AddressSanitizer's to report. */
const char *__asan_default_options(void);
const char *
__asan_default_options(void)
{
    return "handle_segv=0:handle_abort=0:allocator_may_return_null=1";
}

struct got {
    uint64_t token;
    enum outcome outcome;
    size_t pair_count;
    size_t decoded_bytes;
    bool is_truncated;
    size_t text_size;
    char text[2048]; /* its start */
    char reason[128];
};

static struct loop *loop;
static struct pool *pool;
static struct got *answers;
static size_t answer_count;
static size_t wanted;
static int64_t guard_ms;
static uint64_t restarts_wanted; /* 0: not waited for */

static const struct pool_options plain = {
    .child_count = 2,
    .memory_bytes = 48 * MIB,
    .cpu_ms = 500,
    .wall_ms = 5000, /* the machine may be busy: a spinning child must come to its 500 ms */
    .tasks_max = 1000,
    .body_bytes_max = 16 * MIB,
    .ratio_max = 100,
};

static void
finished(void *context, const struct pool_answer *answer)
{
    cr_assert_eq(context, &loop);
    cr_assert(answer_count < ANSWERS_MAX);
    struct got *got = &answers[answer_count++];
    *got = (struct got){.token = answer->token,
                        .outcome = answer->outcome,
                        .pair_count = answer->pair_count,
                        .decoded_bytes = answer->decoded_bytes,
                        .is_truncated = answer->is_truncated};
    snprintf(got->reason, sizeof got->reason, "%s", answer->reason);
    struct reader reader;
    reader_init(&reader, answer->pairs);
    for (size_t i = 0; i < answer->pair_count; i++) {
        struct slice name = read_string(&reader);
        if (slice_equal(name, slice_string("text"))) {
            struct slice text = read_string(&reader);
            got->text_size = text.size;
            memcpy(got->text, text.data,
                   text.size < sizeof got->text - 1 ? text.size : sizeof got->text - 1);
        } else {
            read_skip(&reader);
        }
    }
    cr_assert_eq(reader_finish(&reader), OK);
    if (answer_count == wanted) {
        loop_stop(loop);
    }
}

static int64_t
tick(void *context, int64_t now_ms)
{
    (void)context;
    int64_t at_ms = pool_tick(pool, now_ms);
    bool is_restarted = restarts_wanted > 0 && pool_restart_count(pool) >= restarts_wanted;
    if (now_ms >= guard_ms || is_restarted) {
        loop_stop(loop);
        return LOOP_NEVER;
    }
    return at_ms < guard_ms ? at_ms : guard_ms;
}

static void
start(const struct pool_options *options)
{
    answers = calloc(ANSWERS_MAX, sizeof *answers);
    loop = loop_create();
    cr_assert_not_null(loop);
    enum error error = pool_create(options, loop, finished, &loop, &pool);
    if (error == ERROR_NOT_ALLOWED) {
        cr_skip_test("this kernel has no Landlock or no seccomp");
    }
    cr_assert_eq(error, OK, "%s", error_name(error));
    loop_set_tick(loop, tick, NULL);
}

static void
teardown(void)
{
    pool_destroy(pool);
    loop_destroy(loop);
    free(answers);
    pool = NULL;
    loop = NULL;
    answers = NULL;
    answer_count = 0;
}

TestSuite(pool, .fini = teardown, .timeout = 120);

static void
submit_bytes(uint64_t token, struct slice body)
{
    struct pool_document document = {.token = token,
                                     .body = body,
                                     .url = slice_string("http://a.test/"),
                                     .content_type = slice_string("text/plain"),
                                     .content_encoding = slice_string(""),
                                     .has_links = true};
    cr_assert_eq(pool_submit(pool, &document), OK);
}

static void
submit(uint64_t token, const char *body)
{
    submit_bytes(token, slice_string(body));
}

/* Runs the loop until count answers are there in all. */
static void
await_answers(size_t count)
{
    wanted = count;
    guard_ms = clock_monotonic_ms() + GUARD_MS;
    if (answer_count < count) {
        cr_assert_eq(loop_run(loop), OK);
    }
    cr_assert_eq(answer_count, count, "%zu answers of %zu", answer_count, count);
}

/* Runs the loop until so many children were replaced. */
static void
await_restarts(uint64_t count)
{
    wanted = SIZE_MAX;
    restarts_wanted = count;
    guard_ms = clock_monotonic_ms() + GUARD_MS;
    cr_assert_eq(loop_run(loop), OK);
    cr_assert_geq(pool_restart_count(pool), count);
    restarts_wanted = 0;
}

static const struct got *
answer_of(uint64_t token)
{
    const struct got *found = NULL;
    for (size_t i = 0; i < answer_count; i++) {
        if (answers[i].token == token) {
            cr_assert_null(found, "two answers for %llu", (unsigned long long)token);
            found = &answers[i];
        }
    }
    cr_assert_not_null(found, "no answer for %llu", (unsigned long long)token);
    return found;
}

static void
expect_echo(uint64_t token, const char *text)
{
    const struct got *got = answer_of(token);
    cr_expect_eq(got->outcome, OUTCOME_OK, "%s: %s", outcome_name(got->outcome), got->reason);
    cr_expect_str_eq(got->text, text);
    cr_expect_str_eq(got->reason, "");
}

/* ---- answers ------------------------------------------------------------------------------ */

Test(pool, answers_every_document_under_its_token)
{
    start(&plain);
    for (uint64_t i = 0; i < 500; i++) {
        char body[32];
        snprintf(body, sizeof body, "document %llu", (unsigned long long)i);
        submit(i, body);
    }
    cr_expect_eq(pool_pending(pool), 500);
    cr_expect_eq(answer_count, 0, "answers come from the loop only");
    await_answers(500);
    for (uint64_t i = 0; i < 500; i++) {
        char body[32];
        snprintf(body, sizeof body, "document %llu", (unsigned long long)i);
        expect_echo(i, body);
    }
    cr_expect_eq(answers[0].pair_count, 4);
    cr_expect_eq(pool_pending(pool), 0);
    cr_expect_eq(pool_restart_count(pool), 0);
}

Test(pool, documents_and_answers_of_megabytes_go_through)
{
    start(&plain);
    uint8_t *body = malloc(9 * MIB);
    memset(body, 'x', 9 * MIB);
    for (uint64_t i = 0; i < 5; i++) {
        submit_bytes(i, slice_of(body, 9 * MIB - (size_t)i));
    }
    free(body);
    await_answers(5);
    for (uint64_t i = 0; i < 5; i++) {
        cr_expect_eq(answer_of(i)->outcome, OUTCOME_OK, "%s", answer_of(i)->reason);
        cr_expect_eq(answer_of(i)->text_size, 9 * MIB - (size_t)i);
    }
}

Test(pool, removes_content_encodings_in_the_child)
{
    start(&plain);
    uint8_t packed[256];
    z_stream stream = {0};
    cr_assert_eq(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (z_const Bytef *)(uintptr_t) "packed words";
    stream.avail_in = 12;
    stream.next_out = packed;
    stream.avail_out = sizeof packed;
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    struct pool_document document = {.token = 1,
                                     .body = slice_of(packed, stream.total_out),
                                     .content_encoding = slice_string("gzip")};
    cr_assert_eq(pool_submit(pool, &document), OK);
    document.token = 2;
    document.body.size -= 4;
    cr_assert_eq(pool_submit(pool, &document), OK);
    document.token = 3;
    document.content_encoding = slice_string("br");
    cr_assert_eq(pool_submit(pool, &document), OK);
    await_answers(3);
    expect_echo(1, "packed words");
    cr_expect_eq(answer_of(1)->decoded_bytes, 12);
    cr_expect(!answer_of(1)->is_truncated);
    cr_expect(answer_of(2)->is_truncated);
    cr_expect_eq(answer_of(3)->outcome, OUTCOME_DECODE_FAILED);
    cr_expect_str_neq(answer_of(3)->reason, "");
    cr_expect_eq(pool_restart_count(pool), 0);
}

Test(pool, reads_every_charset_inside_the_sandbox)
{
    static const char *const names[] = {
        "gbk",    "gb18030",      "big5",         "euc-jp",       "iso-2022-jp",  "shift_jis",
        "euc-kr", "windows-1251", "windows-1252", "windows-1255", "windows-1256", "windows-874",
        "koi8-r", "koi8-u",       "iso-8859-2",   "utf-16le",     "utf-16be",     "utf-8",
    };
    start(&plain);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        static char body[65536];
        snprintf(path, sizeof path, "%s/charset/%s.bin", FIXTURES, names[i]);
        int head = snprintf(body, sizeof body, "charset %s\n", names[i]);
        FILE *file = fopen(path, "rb");
        cr_assert_not_null(file, "%s", path);
        size_t size = fread(body + head, 1, sizeof body - (size_t)head, file);
        fclose(file);
        submit_bytes(i, slice_of(body, (size_t)head + size));
    }
    await_answers(sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[512];
        static char text[65536];
        snprintf(path, sizeof path, "%s/charset/%s.txt", FIXTURES, names[i]);
        FILE *file = fopen(path, "rb");
        cr_assert_not_null(file);
        size_t size = fread(text, 1, sizeof text, file);
        fclose(file);
        const struct got *got = answer_of(i);
        cr_expect_eq(got->outcome, OUTCOME_OK, "%s: %s", names[i], got->reason);
        cr_expect_eq(got->text_size, size, "%s", names[i]);
        cr_expect(memcmp(got->text, text, size < 2000 ? size : 2000) == 0, "%s", names[i]);
    }
    cr_expect_eq(pool_restart_count(pool), 0);
}

/* ---- faults ------------------------------------------------------------------------------- */

struct fault {
    const char *body;
    enum outcome outcome;
    const char *reason; /* a part of it */
};

static const struct fault faults[] = {
    {"crash", OUTCOME_CHILD_CRASHED, "SIGSEGV"},
    {"abort", OUTCOME_CHILD_CRASHED, "SIGABRT"},
    {"exit", OUTCOME_CHILD_CRASHED, "status 7"},
    {"spin", OUTCOME_CHILD_TIMED_OUT, "processor"},
    {"block", OUTCOME_CHILD_TIMED_OUT, "wall"},
    {"eat", OUTCOME_CHILD_MEMORY, ""},
#if !IS_SANITIZED
    {"leak", OUTCOME_CHILD_MEMORY, ""},
    {"open", OUTCOME_CHILD_CRASHED, "SIGSYS"},
#endif
    {"socket", OUTCOME_CHILD_CRASHED, "SIGSYS"},
    {"exec", OUTCOME_CHILD_CRASHED, "SIGSYS"},
    {"kill", OUTCOME_CHILD_CRASHED, "SIGSYS"},
    {"fork", OUTCOME_CHILD_CRASHED, "SIGSYS"},
    {"answer garbage", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer huge", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer empty", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer forbidden", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer outcome", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer twice", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer type", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer count", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer more", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer length", OUTCOME_CHILD_CRASHED, "bad answer"},
    {"answer foreign", OUTCOME_CHILD_CRASHED, "bad answer"},
};
#define FAULT_COUNT (sizeof faults / sizeof faults[0])

Test(pool, a_fault_costs_the_document_that_was_read_and_nothing_else)
{
    /* One child, so that every document stands in line with the faulty ones. */
    struct pool_options options = plain;
    options.child_count = 1;
    start(&options);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        submit(i, faults[i].body);
        submit(1000 + i, "a neighbour");
    }
    await_answers(2 * FAULT_COUNT);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        const struct got *got = answer_of(i);
        cr_expect_eq(got->outcome, faults[i].outcome, "%s: %s, %s", faults[i].body,
                     outcome_name(got->outcome), got->reason);
        cr_expect_not_null(strstr(got->reason, faults[i].reason), "%s: %s", faults[i].body,
                           got->reason);
        cr_expect_eq(got->pair_count, 0);
        expect_echo(1000 + i, "a neighbour");
    }
    cr_expect_eq(pool_pending(pool), 0);
    cr_expect_eq(pool_restart_count(pool), FAULT_COUNT);
}

Test(pool, other_children_go_on_while_one_hangs)
{
    start(&plain);
    submit(1, "block");
    for (uint64_t i = 10; i < 60; i++) {
        submit(i, "busy");
    }
    await_answers(49); /* of 51: all but the hanging one and the one written behind it */
    for (size_t i = 0; i < 49; i++) {
        cr_expect_eq(answers[i].outcome, OUTCOME_OK);
    }
    await_answers(51);
    cr_expect_eq(answer_of(1)->outcome, OUTCOME_CHILD_TIMED_OUT);
}

Test(pool, a_document_within_its_budget_is_left_alone)
{
    struct pool_options options = plain;
    options.child_count = 1;
    options.wall_ms = 60000;
    options.cpu_ms = 50;
    start(&options);
    /* Far more than the budget in all, far less each. */
    char *body = malloc(MIB);
    memset(body, 'y', MIB);
    for (uint64_t i = 0; i < 200; i++) {
        submit_bytes(i, slice_of(body, MIB / 4));
    }
    free(body);
    await_answers(200);
    for (uint64_t i = 0; i < 200; i++) {
        cr_expect_eq(answer_of(i)->outcome, OUTCOME_OK);
    }
    cr_expect_eq(pool_restart_count(pool), 0);
}

Test(pool, children_are_replaced_after_their_number_of_documents)
{
    struct pool_options options = plain;
    options.tasks_max = 10;
    start(&options);
    for (uint64_t i = 0; i < 200; i++) {
        submit(i, "short life");
    }
    await_answers(200);
    for (uint64_t i = 0; i < 200; i++) {
        expect_echo(i, "short life");
    }
    cr_expect_eq(pool_restart_count(pool), 0, "planned ends are no faults");
}

/* A process of that name whose parent is given, or 0: the first four fields of /proc/PID/stat. */
static pid_t
child_process(pid_t parent, const char *name)
{
    pid_t found = 0;
    DIR *directory = opendir("/proc");
    cr_assert_not_null(directory);
    struct dirent *entry;
    while (found == 0 && (entry = readdir(directory)) != NULL) {
        char path[300];
        char comm[32] = "";
        int pid = 0;
        int its_parent = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL) {
            continue;
        }
        if (fscanf(file, "%d (%31[^)]) %*c %d", &pid, comm, &its_parent) == 3 &&
            its_parent == parent && strcmp(comm, name) == 0) {
            found = pid;
        }
        fclose(file);
    }
    closedir(directory);
    return found;
}

Test(pool, a_child_killed_from_outside_is_replaced)
{
    start(&plain);
    submit(1, "before");
    await_answers(1);
    pid_t zygote = child_process(getpid(), "thresh-zygote");
    cr_assert_neq(zygote, 0);
    pid_t child = child_process(zygote, "thresh-extract");
    cr_assert_neq(child, 0);
    cr_assert_eq(kill(child, SIGKILL), 0);
    await_restarts(1);
    for (uint64_t i = 10; i < 30; i++) {
        submit(i, "after");
    }
    await_answers(21);
    for (uint64_t i = 10; i < 30; i++) {
        expect_echo(i, "after");
    }
    cr_expect_eq(pool_restart_count(pool), 1);
}

Test(pool, a_lost_zygote_gives_everything_back)
{
    start(&plain);
    submit(1, "block");
    submit(2, "block");
    submit(3, "waits");
    cr_assert_eq(kill(child_process(getpid(), "thresh-zygote"), SIGKILL), 0);
    submit(4, "waits");
    await_answers(4);
    for (uint64_t i = 1; i <= 4; i++) {
        cr_expect_eq(answer_of(i)->outcome, OUTCOME_CHILD_CRASHED);
        cr_expect_not_null(strstr(answer_of(i)->reason, "gone"));
    }
    struct pool_document document = {.token = 5};
    cr_expect_eq(pool_submit(pool, &document), ERROR_IO);
    cr_expect_eq(pool_pending(pool), 0);
}

/* ---- the rest of the contract ------------------------------------------------------------- */

Test(pool, a_cancelled_document_is_never_answered)
{
    struct pool_options options = plain;
    options.child_count = 1;
    start(&options);
    for (uint64_t i = 0; i < 10; i++) {
        submit(i, "some text");
    }
    pool_cancel(pool, 0); /* runs */
    pool_cancel(pool, 1); /* is written ahead */
    pool_cancel(pool, 5); /* is queued */
    pool_cancel(pool, 9); /* is the last of the queue */
    pool_cancel(pool, 77);
    cr_expect_eq(pool_pending(pool), 6);
    submit(20, "the last");
    await_answers(7);
    expect_echo(20, "the last");
    static const uint64_t kept[] = {2, 3, 4, 6, 7, 8};
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        expect_echo(kept[i], "some text");
    }
    cr_expect_eq(pool_pending(pool), 0);
}

Test(pool, a_cancelled_document_that_hangs_is_still_ended)
{
    struct pool_options options = plain;
    options.child_count = 1;
    start(&options);
    submit(1, "spin");
    pool_cancel(pool, 1);
    submit(2, "after it");
    await_answers(1);
    expect_echo(2, "after it");
    cr_expect_eq(pool_restart_count(pool), 1);
}

Test(pool, refuses_a_body_over_its_limit)
{
    start(&plain);
    uint8_t *body = calloc(1, 16 * MIB + 1);
    struct pool_document document = {.token = 1, .body = slice_of(body, 16 * MIB + 1)};
    cr_expect_eq(pool_submit(pool, &document), ERROR_TOO_LARGE);
    cr_expect_eq(pool_pending(pool), 0);
    free(body);
}

Test(pool, says_what_the_sandbox_is_made_of)
{
    start(&plain);
    cr_expect_not_null(strstr(pool_sandbox_text(pool), "landlock"));
    cr_expect_not_null(strstr(pool_sandbox_text(pool), "seccomp"));
}

Test(pool, is_destroyed_with_work_in_hand)
{
    start(&plain);
    for (uint64_t i = 0; i < 100; i++) {
        submit(i, i % 3 == 0 ? "block" : "text");
    }
    /* teardown does the rest; the sanitizer looks for what is left */
}

Test(pool, leaves_no_process_and_no_descriptor_behind)
{
    int before = open("/dev/null", O_RDONLY);
    close(before);
    start(&plain);
    submit(1, "x");
    await_answers(1);
    pool_destroy(pool);
    pool = NULL;
    loop_destroy(loop);
    loop = NULL;
    int after = open("/dev/null", O_RDONLY);
    close(after);
    cr_expect_eq(before, after);
    cr_expect_eq(child_process(getpid(), "thresh-zygote"), 0);
}
