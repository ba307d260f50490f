#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/auth.h"
#include "broker/guard.h"

#define PATH_BYTES 256
#define TEXT_BYTES 1024

/* One key a role, and one that is on no list. */
#define FEEDER_KEY "n51U=}.y5S[a4U9lkrz(a2Oh/p.QbZ@kXXiQob+/"
#define WORKER_KEY "Toi7E*8d@dT-OCMr&06@>GM[GrbJ8>hajHVa4@nQ"
#define COLLECTOR_KEY "qVPHZtS1&V:@e#LayRC7x[?{ma^3WK)pIy:Wr<$n"
#define ADMIN_KEY "M0yQy+FebeJWJTI^8@g%.2B?eZ0kU-8v@39{=E{L"
#define MONITOR_KEY "S4CrwShf/:ds)GR}qD!ErGuAl7kevqy!3QEaO}DA"
#define OTHER_KEY "FL?GR}&1JsTi(RvI:}7^<>$1{-gV3x@DTSd6@usw"
#define FULL_LIST                                                                  \
    "# who may connect\n"                                                          \
    "feeder " FEEDER_KEY " f\nworker " WORKER_KEY " w\n\ncollector " COLLECTOR_KEY \
    " c\nadmin " ADMIN_KEY " a\nmonitor " MONITOR_KEY " m\n"

static const char *const keys[] = {FEEDER_KEY, WORKER_KEY, COLLECTOR_KEY, ADMIN_KEY, MONITOR_KEY};

static char directory[PATH_BYTES];
static char path[PATH_BYTES + 16];

static void
make_place(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/thresh-auth-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/authorized", directory);
}

static void
remove_place(void)
{
    unlink(path);
    rmdir(directory);
}

TestSuite(auth, .init = make_place, .fini = remove_place);

static void
write_list(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

static struct auth *
open_list(const char *text)
{
    struct auth *auth = NULL;
    char *message = NULL;
    write_list(text, 0644);
    cr_assert_eq(auth_create(path, &auth, &message), OK, "%s", message);
    return auth;
}

static enum auth_answer
check_type(const struct auth *auth, enum role door, const char *key, enum message_type type,
           const char *verb)
{
    struct buffer header;
    struct auth_message message;
    buffer_init(&header, TEXT_BYTES);
    write_header(&header, type, 7, verb != NULL ? 1 : 0);
    if (verb != NULL) {
        write_string(&header, "verb");
        write_string(&header, verb);
    }
    auth_read(buffer_slice(&header), &message);
    cr_expect(message.is_readable);
    cr_expect_eq(message.type, type);
    cr_expect_eq(message.sequence, 7);
    enum auth_answer answer = auth_check(auth, door, slice_string(key), &message);
    buffer_release(&header);
    return answer;
}

/* Everything that is allowed, by hand; all else must be refused. */
struct right {
    const char *key;
    enum role door;
    const char *types;
};

static const struct right rights[] = {
    {FEEDER_KEY, ROLE_FEED, "HELLO HEARTBEAT GOODBYE SUBMIT "},
    {WORKER_KEY, ROLE_WORK, "HELLO HEARTBEAT GOODBYE CREDIT RESULTS RELEASE "},
    {COLLECTOR_KEY, ROLE_COLLECT, "HELLO HEARTBEAT GOODBYE SUBSCRIBE ACKNOWLEDGE "},
    {MONITOR_KEY, ROLE_CONTROL, "HELLO HEARTBEAT GOODBYE REQUEST "},
};

static bool
is_allowed(const char *key, enum role door, enum message_type type)
{
    char name[64];
    snprintf(name, sizeof name, "%s ", message_type_name(type));
    if (strcmp(key, ADMIN_KEY) == 0) {
        return message_type_sender(type) != MESSAGE_SENDER_BROKER;
    }
    for (size_t i = 0; i < sizeof rights / sizeof rights[0]; i++) {
        if (strcmp(rights[i].key, key) == 0 && rights[i].door == door) {
            return strstr(rights[i].types, name) != NULL;
        }
    }
    return false;
}

Test(auth, each_role_may_send_what_its_row_says_and_nothing_else)
{
    static const enum message_type types[] = {
#define MESSAGE(upper, number, sender, payload, text) MESSAGE_##upper,
#include "common/messages.def"
#undef MESSAGE
    };
    size_t allowed = 0;
    struct auth *auth = open_list(FULL_LIST);
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (unsigned door = 0; door < ROLE_COUNT; door++) {
            for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
                enum auth_answer answer = check_type(auth, (enum role)door, keys[k], types[t],
                                                     types[t] == MESSAGE_REQUEST ? "status" : NULL);
                bool expected = is_allowed(keys[k], (enum role)door, types[t]);
                cr_expect_eq(answer == AUTH_ALLOWED, expected, "%s at %s: %s",
                             auth_find(auth, slice_string(keys[k]))->name,
                             role_name((enum role)door), message_type_name(types[t]));
                allowed += answer == AUTH_ALLOWED ? 1 : 0;
            }
        }
    }
    cr_expect_gt(allowed, 19); /* the four rows, and the admin's */
    auth_destroy(auth);
}

Test(auth, a_monitor_asks_and_an_admin_acts)
{
    static const char *const questions[] = {"status", "workers", "hosts", "dead"};
    static const char *const acts[] = {"dead_retry", "dead_purge", "pause", "resume",       "drain",
                                       "stop",       "Status",     "",      "some_new_verb"};
    struct auth *auth = open_list(FULL_LIST);
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        cr_expect_eq(check_type(auth, ROLE_CONTROL, MONITOR_KEY, MESSAGE_REQUEST, questions[i]),
                     AUTH_ALLOWED);
        cr_expect_eq(check_type(auth, ROLE_CONTROL, ADMIN_KEY, MESSAGE_REQUEST, questions[i]),
                     AUTH_ALLOWED);
    }
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        cr_expect_eq(check_type(auth, ROLE_CONTROL, MONITOR_KEY, MESSAGE_REQUEST, acts[i]),
                     AUTH_WRONG_VERB, "%s", acts[i]);
        cr_expect_eq(check_type(auth, ROLE_CONTROL, ADMIN_KEY, MESSAGE_REQUEST, acts[i]),
                     AUTH_ALLOWED, "%s", acts[i]);
    }
    cr_expect_eq(check_type(auth, ROLE_CONTROL, MONITOR_KEY, MESSAGE_REQUEST, NULL),
                 AUTH_WRONG_VERB);
    auth_destroy(auth);
}

Test(auth, who_is_not_on_the_list_may_say_nothing)
{
    static const char *const strangers[] = {OTHER_KEY, "", "n51U=", FEEDER_KEY "x", "feeder"};
    struct auth *auth = open_list(FULL_LIST);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        cr_expect_eq(check_type(auth, ROLE_FEED, strangers[i], MESSAGE_HELLO, NULL),
                     AUTH_UNKNOWN_KEY, "%s", strangers[i]);
    }
    auth_destroy(auth);
    auth = open_list("# nobody\n");
    cr_expect_eq(auth_count(auth), 0);
    cr_expect_eq(check_type(auth, ROLE_FEED, FEEDER_KEY, MESSAGE_HELLO, NULL), AUTH_UNKNOWN_KEY);
    auth_destroy(auth);
}

Test(auth, what_cannot_be_read_goes_on_only_from_whom_the_door_is_for)
{
    static const char *const texts[] = {"", "\xc1", "not msgpack", "\x94\x01\xcc\xc8\x00\x80"};
    struct auth *auth = open_list(FULL_LIST);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct auth_message message;
        auth_read(slice_string(texts[i]), &message);
        cr_expect(!message.is_readable, "case %zu", i);
        cr_expect_eq(auth_check(auth, ROLE_FEED, slice_string(FEEDER_KEY), &message), AUTH_ALLOWED);
        cr_expect_eq(auth_check(auth, ROLE_WORK, slice_string(FEEDER_KEY), &message),
                     AUTH_WRONG_DOOR);
        cr_expect_eq(auth_check(auth, ROLE_FEED, slice_string(OTHER_KEY), &message),
                     AUTH_UNKNOWN_KEY);
    }
    auth_destroy(auth);
}

Test(auth, a_reload_counts_whole_or_not_at_all)
{
    static const char *const bad[] = {
        "feeder " FEEDER_KEY " f\nworker short w\n",
        "feeder " FEEDER_KEY " f\nworker " FEEDER_KEY " w\n",
        "broker " OTHER_KEY " b\n",
        "feeder " FEEDER_KEY " f\n<<<<<<< ours\n",
        "worker Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID example\n",
    };
    char *message = NULL;
    struct auth *auth = open_list(FULL_LIST);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_list(bad[i], 0644);
        cr_expect_neq(auth_reload(auth, &message), OK, "%s", bad[i]);
        cr_assert_not_null(message);
        cr_expect_not_null(strstr(message, "line "), "%s", message);
        free(message);
        cr_expect_eq(auth_count(auth), 5);
        cr_expect_eq(check_type(auth, ROLE_WORK, WORKER_KEY, MESSAGE_CREDIT, NULL), AUTH_ALLOWED);
    }
    write_list("feeder " FEEDER_KEY " f\n", 0664);
    cr_expect_eq(auth_reload(auth, &message), ERROR_NOT_ALLOWED);
    cr_expect_not_null(strstr(message, "chmod go-w"), "%s", message);
    free(message);
    unlink(path);
    cr_expect_eq(auth_reload(auth, &message), ERROR_CONFIG);
    free(message);
    cr_expect_eq(auth_count(auth), 5);
    write_list("feeder " FEEDER_KEY " f\nworker " COLLECTOR_KEY " c\n", 0644);
    cr_assert_eq(auth_reload(auth, &message), OK);
    cr_expect_eq(check_type(auth, ROLE_WORK, WORKER_KEY, MESSAGE_CREDIT, NULL), AUTH_UNKNOWN_KEY);
    cr_expect_eq(check_type(auth, ROLE_WORK, COLLECTOR_KEY, MESSAGE_CREDIT, NULL), AUTH_ALLOWED);
    cr_expect_eq(check_type(auth, ROLE_COLLECT, COLLECTOR_KEY, MESSAGE_HELLO, NULL),
                 AUTH_WRONG_DOOR);
    auth_destroy(auth);
}

Test(auth, a_long_list_finds_each_of_its_keys)
{
    enum {
        COUNT = 3000
    };
    struct buffer text;
    char key[KEY_TEXT_BYTES + 1];
    uint8_t bytes[KEY_BYTES] = {0};
    buffer_init(&text, AUTH_FILE_BYTES_MAX);
    for (unsigned i = 0; i < COUNT; i++) {
        unsigned mixed = i * 2654435761U;
        memcpy(bytes, &mixed, sizeof mixed);
        key_text(bytes, key);
        buffer_printf(&text, "worker %s w%u\n", key, i);
    }
    struct auth *auth = open_list(buffer_text(&text));
    cr_expect_eq(auth_count(auth), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[16];
        unsigned mixed = i * 2654435761U;
        memcpy(bytes, &mixed, sizeof mixed);
        key_text(bytes, key);
        snprintf(name, sizeof name, "w%u", i);
        const struct key_line *line = auth_find(auth, slice_string(key));
        cr_assert_not_null(line);
        cr_expect_str_eq(line->name, name);
    }
    auth_destroy(auth);
    buffer_release(&text);
}

/* ---- the guard ----------------------------------------------------------------------------- */

static void
expect_code(struct buffer *refusal, const char *code)
{
    static const char *const names[] = {"code", "sequence", NULL};
    struct slice fields[2];
    struct reader reader;
    enum message_type type;
    enum error error = OK;
    uint64_t sequence = 0;
    size_t pairs = 0;
    cr_assert_eq(message_scan(buffer_slice(refusal)), OK);
    reader_init(&reader, buffer_slice(refusal));
    cr_assert_eq(read_header(&reader, &type, &sequence, &pairs), OK);
    cr_expect_eq(type, MESSAGE_REFUSED);
    cr_expect_eq(sequence, 9);
    read_pairs(&reader, pairs, names, fields);
    cr_expect(slice_equal(field_string(fields[0], &error), slice_string(code)));
    cr_expect_eq(field_uint(fields[1], 0, &error), 9);
    cr_expect_eq(error, OK);
}

Test(auth, the_guard_refuses_with_a_word_and_expels_whom_the_door_is_not_for)
{
    static const struct {
        const char *key;
        enum role door;
        enum guard_verdict verdict;
    } cases[] = {
        {FEEDER_KEY, ROLE_FEED, GUARD_PASS},   {FEEDER_KEY, ROLE_WORK, GUARD_EXPEL},
        {OTHER_KEY, ROLE_FEED, GUARD_EXPEL},   {"", ROLE_FEED, GUARD_EXPEL},
        {WORKER_KEY, ROLE_WORK, GUARD_REFUSE}, /* a SUBMIT */
    };
    char secret[PATH_BYTES + 16];
    char *message = NULL;
    struct keys *own = NULL;
    struct guard *guard = NULL;
    struct buffer header;
    struct buffer refusal;
    snprintf(secret, sizeof secret, "%s/broker.secret", directory);
    write_list(FULL_LIST, 0644);
    cr_assert_eq(keys_generate(&own), OK);
    cr_assert_eq(keys_write_secret(own, secret, "of a test", &message), OK);
    cr_assert_eq(guard_open(secret, "", &guard, &message), ERROR_CONFIG);
    cr_expect_not_null(strstr(message, "authorized"));
    free(message);
    cr_assert_eq(guard_open(directory, "", &guard, &message), OK, "%s", message);
    cr_expect_str_eq(keys_public(guard_keys(guard)), keys_public(own));
    buffer_init(&header, TEXT_BYTES);
    write_header(&header, MESSAGE_SUBMIT, 9, 0);
    struct slice frame = buffer_slice(&header);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct socket_message said = {
            .user = slice_string(cases[i].key), .frames = &frame, .frame_count = 1};
        buffer_init(&refusal, TEXT_BYTES);
        cr_expect_eq(guard_judge(guard, cases[i].door, &said, &refusal), cases[i].verdict,
                     "case %zu", i);
        if (cases[i].verdict != GUARD_PASS) {
            expect_code(&refusal, "not_allowed");
        }
        cr_expect_eq(guard_judge(NULL, cases[i].door, &said, &refusal), GUARD_PASS);
        buffer_release(&refusal);
    }
    buffer_release(&header);
    guard_close(guard);
    keys_destroy(own);
    unlink(secret);
}
