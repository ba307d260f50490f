#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/keys.h"

#define PATH_BYTES 256
#define TEXT_BYTES 4096

static char directory[PATH_BYTES];
static char file_path[PATH_BYTES + 16];
static char other_path[PATH_BYTES + 16];

/* The pairs printed in zmq_curve(7). */
#define EXAMPLE_PUBLIC "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define EXAMPLE_SECRET "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"
#define EXAMPLE_SERVER_SECRET "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
/* One with a '#', which is a digit of Z85. */
#define HASH_KEY "Y#e@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static void
make_place(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/thresh-keys-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(file_path, sizeof file_path, "%s/file", directory);
    snprintf(other_path, sizeof other_path, "%s/other", directory);
}

static void
remove_place(void)
{
    unlink(file_path);
    unlink(other_path);
    rmdir(directory);
}

TestSuite(keys, .init = make_place, .fini = remove_place);

static void
write_file(const char *path, mode_t mode, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, size), (ssize_t)size);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

static void
read_text(const char *path, char *text)
{
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    ssize_t size = read(fd, text, TEXT_BYTES - 1);
    cr_assert_geq(size, 0);
    text[size] = '\0';
    close(fd);
}

/* Loads file_path, which must fail with a sentence that names it and holds `word`. */
static void
expect_refused(enum error expected, const char *word, const char *secret)
{
    struct keys *keys = NULL;
    char *message = NULL;
    cr_expect_eq(keys_load(file_path, &keys, &message), expected, "%s", word);
    cr_expect_null(keys);
    cr_assert_not_null(message);
    cr_expect_not_null(strstr(message, file_path), "%s", message);
    cr_expect_not_null(strstr(message, word), "no '%s' in: %s", word, message);
    if (secret != NULL) {
        cr_expect_null(strstr(message, secret), "a secret in: %s", message);
    }
    free(message);
}

Test(keys, what_was_written_is_read_again)
{
    struct keys *made = NULL;
    struct keys *read = NULL;
    char *message = NULL;
    struct stat status;
    umask(0);
    cr_assert_eq(keys_generate(&made), OK);
    cr_assert_eq(keys_write_secret(made, file_path, "of a test", &message), OK);
    cr_assert_eq(stat(file_path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0600);
    cr_assert_eq(keys_load(file_path, &read, &message), OK, "%s", message);
    cr_expect_str_eq(keys_public(read), keys_public(made));
    cr_expect_str_eq(keys_secret(read), keys_secret(made));
    cr_expect_str_eq(keys_broker(read), "");
    cr_expect_eq(keys_write_secret(made, file_path, "again", &message), ERROR_EXISTS);
    cr_expect_not_null(strstr(message, file_path));
    free(message);
    keys_destroy(read);
    keys_destroy(made);
}

Test(keys, no_two_pairs_are_alike)
{
    struct keys *one = NULL;
    struct keys *two = NULL;
    cr_assert_eq(keys_generate(&one), OK);
    cr_assert_eq(keys_generate(&two), OK);
    cr_expect_str_neq(keys_secret(one), keys_secret(two));
    cr_expect_str_neq(keys_public(one), keys_public(two));
    keys_destroy(one);
    keys_destroy(two);
    keys_destroy(NULL);
}

Test(keys, a_secret_that_others_may_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0644, 0601, 0666};
    struct keys *keys = NULL;
    char *message = NULL;
    cr_assert_eq(keys_generate(&keys), OK);
    cr_assert_eq(keys_write_secret(keys, file_path, "of a test", &message), OK);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        cr_assert_eq(chmod(file_path, modes[i]), 0);
        expect_refused(ERROR_NOT_ALLOWED, "chmod 600", keys_secret(keys));
    }
    if (geteuid() == 0) {
        cr_assert_eq(chmod(file_path, 0600), 0);
        cr_assert_eq(chown(file_path, 12345, 0), 0);
        expect_refused(ERROR_NOT_ALLOWED, "belongs to user 12345", keys_secret(keys));
    }
    keys_destroy(keys);
}

Test(keys, the_example_keys_of_the_manual_are_refused_by_name)
{
    static const char *const texts[] = {"secret " EXAMPLE_SECRET "\n",
                                        "secret " EXAMPLE_SERVER_SECRET "\n"};
    struct key_line line;
    const char *why = NULL;
    for (size_t i = 0; i < 2; i++) {
        write_file(file_path, 0600, texts[i], strlen(texts[i]));
        expect_refused(ERROR_NOT_ALLOWED, "zmq_curve(7)", texts[i] + 7);
    }
    cr_expect_eq(key_line_parse(slice_string("worker " EXAMPLE_PUBLIC " w"), &line, &why),
                 ERROR_NOT_ALLOWED);
    cr_expect_not_null(strstr(why, "zmq_curve(7)"));
}

struct text_case {
    const char *text;
    size_t size;
};
#define TEXT_CASE(text)       \
    {                         \
        text, sizeof text - 1 \
    }

Test(keys, what_is_not_a_secret_file_is_refused_without_showing_it)
{
    static const struct text_case cases[] = {
        TEXT_CASE(""),
        TEXT_CASE("# only a comment\n"),
        TEXT_CASE("secret short\n"),
        TEXT_CASE("worker " HASH_KEY " w\n"),
        TEXT_CASE("#" HASH_KEY "\n"),
        TEXT_CASE("secret " HASH_KEY "x\n"),
        TEXT_CASE("secret  " HASH_KEY "\n"),
        TEXT_CASE("secret " HASH_KEY "\nsecret " HASH_KEY "\n"),
        TEXT_CASE("secret \"ne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n"),
        TEXT_CASE("secret ne@$w-vo<fVvi]a<NY6T\0ed:M$fCG*[IaLV{hIDD\n"),
        TEXT_CASE("secret #####################################################\n"),
        TEXT_CASE("\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(file_path, 0600, cases[i].text, cases[i].size);
        expect_refused(ERROR_CONFIG, "secret key file", HASH_KEY);
    }
    char *large = malloc(KEYS_SECRET_FILE_BYTES_MAX + 1);
    memset(large, '#', KEYS_SECRET_FILE_BYTES_MAX + 1);
    write_file(file_path, 0600, large, KEYS_SECRET_FILE_BYTES_MAX + 1);
    expect_refused(ERROR_CONFIG, "larger than", NULL);
    free(large);
    unlink(file_path);
    expect_refused(ERROR_CONFIG, "No such file", NULL);
    cr_assert_eq(mkfifo(file_path, 0600), 0);
    expect_refused(ERROR_CONFIG, "not a regular file", NULL);
}

struct line_case {
    const char *text;
    enum error error;
    enum key_role role;
};

Test(keys, lines_of_keys)
{
    static const struct line_case cases[] = {
        {"worker " HASH_KEY " fetch-1", OK, KEY_WORKER},
        {"feeder\t" HASH_KEY "  f.1_@x \r", OK, KEY_FEEDER},
        {"  collector " HASH_KEY " c", OK, KEY_COLLECTOR},
        {"admin " HASH_KEY " a", OK, KEY_ADMIN},
        {"monitor " HASH_KEY " m", OK, KEY_MONITOR},
        {"broker " HASH_KEY " b", OK, KEY_BROKER},
        {"", ERROR_EMPTY, 0},
        {" \t\r", ERROR_EMPTY, 0},
        {"#", ERROR_EMPTY, 0},
        {"#worker " HASH_KEY " fetch-1", ERROR_EMPTY, 0},
        {"# worker " HASH_KEY " fetch-1 and more words", ERROR_EMPTY, 0},
        {"worker " HASH_KEY, ERROR_INVALID, 0},
        {"worker " HASH_KEY " two names", ERROR_INVALID, 0},
        {"Worker " HASH_KEY " w", ERROR_INVALID, 0},
        {"root " HASH_KEY " w", ERROR_INVALID, 0},
        {"worker short w", ERROR_INVALID, 0},
        {"worker " HASH_KEY "0 w", ERROR_INVALID, 0},
        {"worker %%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%% w", ERROR_INVALID, 0},
        {"worker " HASH_KEY " a/b", ERROR_INVALID, 0},
        {"worker " HASH_KEY " \xc3\xa9", ERROR_INVALID, 0},
        {"secret " HASH_KEY " x", ERROR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key_line line = {0};
        const char *why = NULL;
        enum error error = key_line_parse(slice_string(cases[i].text), &line, &why);
        cr_expect_eq(error, cases[i].error, "%s: %s", cases[i].text, error_text(error));
        if (cases[i].error == OK) {
            cr_expect_eq(line.role, cases[i].role, "%s", cases[i].text);
            cr_expect_str_eq(line.key, HASH_KEY);
        } else if (cases[i].error != ERROR_EMPTY) {
            cr_expect_not_null(why);
            cr_expect_null(strstr(why, HASH_KEY), "a key in: %s", why);
        }
    }
}

Test(keys, a_peer_wants_both_its_secret_and_the_brokers_public_key)
{
    struct keys *own = NULL;
    struct keys *keys = NULL;
    char *message = NULL;
    struct key_line line = {.role = KEY_BROKER, .name = "b"};
    cr_assert_eq(keys_generate(&own), OK);
    memcpy(line.key, keys_public(own), sizeof line.key);
    cr_assert_eq(keys_write_secret(own, file_path, "of a test", &message), OK);
    cr_assert_eq(keys_write_public(&line, other_path, &message), OK);
    cr_assert_eq(keys_load_peer(file_path, other_path, &keys, &message), OK, "%s", message);
    cr_expect_str_eq(keys_broker(keys), line.key);
    keys_destroy(keys);
    cr_assert_eq(keys_load_peer("", NULL, &keys, &message), OK);
    cr_expect_null(keys);
    static const char *const halves[][2] = {{file_path, ""}, {NULL, other_path}};
    for (size_t i = 0; i < 2; i++) {
        cr_expect_eq(keys_load_peer(halves[i][0], halves[i][1], &keys, &message), ERROR_CONFIG);
        cr_expect_not_null(strstr(message, "go together"));
        free(message);
    }
    unlink(other_path);
    line.role = KEY_ADMIN;
    cr_assert_eq(keys_write_public(&line, other_path, &message), OK);
    cr_expect_eq(keys_load_peer(file_path, other_path, &keys, &message), ERROR_CONFIG);
    cr_expect_not_null(strstr(message, "role admin"), "%s", message);
    free(message);
    cr_assert_eq(chmod(other_path, 0666), 0);
    cr_expect_eq(keys_load_peer(file_path, other_path, &keys, &message), ERROR_NOT_ALLOWED);
    free(message);
    cr_expect_null(keys);
    keys_destroy(own);
}

Test(keys, a_child_has_no_secret_of_its_parent)
{
    int status = 0;
    struct keys *keys = NULL;
    cr_assert_eq(keys_generate(&keys), OK);
    pid_t child = fork();
    if (child == 0) {
        _exit(keys_secret(keys)[0] == '\0' ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_expect_eq(strlen(keys_secret(keys)), KEY_TEXT_BYTES);
    keys_destroy(keys);
}

Test(keys, a_daemon_with_keys_leaves_no_core_file)
{
    keys_forbid_core();
    cr_expect_eq(prctl(PR_GET_DUMPABLE), 0);
}

Test(keys, a_written_secret_file_says_what_it_is)
{
    char text[TEXT_BYTES];
    struct keys *keys = NULL;
    char *message = NULL;
    cr_assert_eq(keys_generate(&keys), OK);
    cr_assert_eq(keys_write_secret(keys, file_path, "Thresh secret key of x", &message), OK);
    read_text(file_path, text);
    cr_expect_eq(strncmp(text, "# Thresh secret key of x\nsecret ", 32), 0, "%s", text);
    cr_expect_not_null(strstr(text, keys_secret(keys)));
    keys_destroy(keys);
}
