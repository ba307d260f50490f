#include "common/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#define SECRET_WORD "secret "

/* Lies in pages of its own, mapped and locked. */
struct keys {
    char public_text[KEY_TEXT_BYTES + 1];
    char secret_text[KEY_TEXT_BYTES + 1];
    char broker_text[KEY_TEXT_BYTES + 1];
    uint8_t file[KEYS_SECRET_FILE_BYTES_MAX]; /* while a secret file is read or written */
};

static char *say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *
say(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    return text;
}

static struct keys *
keys_create(void)
{
    struct keys *keys =
        mmap(NULL, sizeof *keys, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (keys == MAP_FAILED) {
        return NULL;
    }
    /* Each is a second line of defence, and may be refused: RLIMIT_MEMLOCK, older kernels. */
    mlock(keys, sizeof *keys);
    madvise(keys, sizeof *keys, MADV_DONTDUMP);
    madvise(keys, sizeof *keys, MADV_WIPEONFORK);
    return keys;
}

void
keys_destroy(struct keys *keys)
{
    if (keys == NULL) {
        return;
    }
    explicit_bzero(keys, sizeof *keys);
    munmap(keys, sizeof *keys);
}

const char *
keys_public(const struct keys *keys)
{
    return keys->public_text;
}

const char *
keys_secret(const struct keys *keys)
{
    return keys->secret_text;
}

const char *
keys_broker(const struct keys *keys)
{
    return keys->broker_text;
}

enum error
keys_generate(struct keys **ret_keys)
{
    if (!zmq_has("curve")) {
        return ERROR_UNSUPPORTED;
    }
    struct keys *keys = keys_create();
    if (keys == NULL) {
        return ERROR_NO_MEMORY;
    }
    if (zmq_curve_keypair(keys->public_text, keys->secret_text) != 0) {
        keys_destroy(keys);
        return ERROR_UNSUPPORTED;
    }
    *ret_keys = keys;
    return OK;
}

/* ---- reading ------------------------------------------------------------------------------ */

/* Who may have touched or seen a file. */
static enum error
check_owner(const char *path, const struct stat *status, bool is_secret, char **ret_message)
{
    uid_t self = geteuid();
    unsigned mode = (unsigned)status->st_mode & 07777U;
    if (status->st_uid != self && (is_secret || status->st_uid != 0)) {
        *ret_message = say("%s belongs to user %lu, not to the user %lu who reads it; chown it",
                           path, (unsigned long)status->st_uid, (unsigned long)self);
        return ERROR_NOT_ALLOWED;
    }
    if (is_secret && (mode & 077U) != 0) {
        *ret_message =
            say("%s is open to other users (mode %04o) and holds a secret; chmod 600 it, and make "
                "a new key if others have read it",
                path, mode);
        return ERROR_NOT_ALLOWED;
    }
    if (!is_secret && (mode & 022U) != 0) {
        *ret_message = say("%s may be written by other users (mode %04o), and decides who is "
                           "let in; chmod go-w it",
                           path, mode);
        return ERROR_NOT_ALLOWED;
    }
    return OK;
}

/* Opens a regular file and checks what is opened, not what the name stood for before. */
static enum error
open_checked(const char *path, bool is_secret, size_t bytes_max, int *ret_fd, size_t *ret_size,
             char **ret_message)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0) {
        *ret_message = say("cannot read %s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return ERROR_CONFIG;
    }
    enum error error = ERROR_CONFIG;
    if (!S_ISREG(status.st_mode)) {
        *ret_message = say("%s is not a regular file", path);
    } else if ((uintmax_t)status.st_size > bytes_max) {
        *ret_message = say("%s is larger than %zu bytes: not a file of keys", path, bytes_max);
    } else {
        error = check_owner(path, &status, is_secret, ret_message);
    }
    if (error != OK) {
        close(fd);
        return error;
    }
    *ret_fd = fd;
    *ret_size = (size_t)status.st_size;
    return OK;
}

/* Up to size bytes; fewer when the file has shrunk. */
static enum error
read_bytes(int fd, const char *path, uint8_t *bytes, size_t size, size_t *ret_size,
           char **ret_message)
{
    size_t got = 0;
    while (got < size) {
        ssize_t count = read(fd, bytes + got, size - got);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            *ret_message = say("cannot read %s: %s", path, strerror(errno));
            return ERROR_CONFIG;
        }
        if (count == 0) {
            break;
        }
        got += (size_t)count;
    }
    *ret_size = got;
    return OK;
}

enum error
keys_read_list(const char *path, size_t bytes_max, struct buffer *out, char **ret_message)
{
    int fd = -1;
    size_t size = 0;
    enum error error = open_checked(path, false, bytes_max, &fd, &size, ret_message);
    if (error != OK) {
        return error;
    }
    uint8_t *bytes = buffer_extend(out, size);
    error = bytes != NULL || size == 0 ? OK : buffer_error(out);
    if (error == OK) {
        error = read_bytes(fd, path, bytes, size, &out->size, ret_message);
    }
    close(fd);
    return error;
}

enum error
keys_read_public(const char *path, struct key_line *ret_line, char **ret_message)
{
    struct buffer text;
    struct key_line found = {0};
    struct slice line;
    size_t count = 0;
    buffer_init(&text, KEYS_PUBLIC_FILE_BYTES_MAX);
    enum error error = keys_read_list(path, KEYS_PUBLIC_FILE_BYTES_MAX, &text, ret_message);
    struct slice rest = buffer_slice(&text);
    while (error == OK && key_next_line(&rest, &line)) {
        const char *why = "";
        enum error parsed = key_line_parse(line, &found, &why);
        count += parsed == OK ? 1 : 0;
        if (parsed != OK && parsed != ERROR_EMPTY) {
            *ret_message = say("%s is not a public key file: %s", path, why);
            error = parsed == ERROR_INVALID ? ERROR_CONFIG : parsed;
        }
    }
    buffer_release(&text);
    if (error == OK && count != 1) {
        *ret_message = say("%s has %zu keys; a public key file has one", path, count);
        error = ERROR_CONFIG;
    }
    if (error == OK) {
        *ret_line = found;
    }
    return error;
}

/* Takes the secret out of the file's text; says false when there is not just one. */
static bool
find_secret(struct keys *keys, size_t size)
{
    struct slice rest = slice_of(keys->file, size);
    struct slice line;
    size_t count = 0;
    while (key_next_line(&rest, &line)) {
        const size_t word = sizeof SECRET_WORD - 1;
        while (line.size > 0 && strchr(" \t\r", line.data[line.size - 1]) != NULL) {
            line.size--;
        }
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        if (line.size != word + KEY_TEXT_BYTES || memcmp(line.data, SECRET_WORD, word) != 0) {
            return false;
        }
        memcpy(keys->secret_text, line.data + word, KEY_TEXT_BYTES);
        count++;
    }
    return count == 1;
}

/* The pair from what is in keys->file. */
static enum error
parse_secret(struct keys *keys, const char *path, size_t size, char **ret_message)
{
    bool is_secret = find_secret(keys, size) &&
                     key_check(slice_of(keys->secret_text, KEY_TEXT_BYTES)) != ERROR_INVALID &&
                     zmq_curve_public(keys->public_text, keys->secret_text) == 0;
    if (!is_secret) {
        *ret_message = say("%s is not a secret key file, which has one line: secret and 40 "
                           "characters; 'thresh keygen' makes them",
                           path);
        return ERROR_CONFIG;
    }
    if (key_check(slice_of(keys->public_text, KEY_TEXT_BYTES)) != OK) {
        *ret_message = say("%s holds the example key of zmq_curve(7), which everybody has; make "
                           "one of your own with 'thresh keygen'",
                           path);
        return ERROR_NOT_ALLOWED;
    }
    return OK;
}

enum error
keys_load(const char *secret_path, struct keys **ret_keys, char **ret_message)
{
    int fd = -1;
    size_t size = 0;
    enum error error =
        open_checked(secret_path, true, KEYS_SECRET_FILE_BYTES_MAX, &fd, &size, ret_message);
    if (error != OK) {
        return error;
    }
    struct keys *keys = keys_create();
    error = keys != NULL ? OK : ERROR_NO_MEMORY;
    if (error == OK) {
        error = read_bytes(fd, secret_path, keys->file, size, &size, ret_message);
    }
    close(fd);
    if (error == OK) {
        error = parse_secret(keys, secret_path, size, ret_message);
    }
    if (error != OK) {
        keys_destroy(keys);
        return error;
    }
    explicit_bzero(keys->file, sizeof keys->file);
    *ret_keys = keys;
    return OK;
}

enum error
keys_load_peer(const char *secret_path, const char *broker_path, struct keys **ret_keys,
               char **ret_message)
{
    struct key_line line;
    struct keys *keys = NULL;
    bool has_secret = secret_path != NULL && secret_path[0] != '\0';
    bool has_broker = broker_path != NULL && broker_path[0] != '\0';
    if (has_secret != has_broker) {
        *ret_message = say("key and broker-key go together: the own secret file, and the broker's "
                           "public file");
        return ERROR_CONFIG;
    }
    if (!has_secret) {
        *ret_keys = NULL;
        return OK;
    }
    enum error error = keys_load(secret_path, &keys, ret_message);
    if (error == OK) {
        error = keys_read_public(broker_path, &line, ret_message);
    }
    if (error == OK && line.role != KEY_BROKER) {
        *ret_message =
            say("%s holds a key of the role %s; broker-key wants the broker's public file",
                broker_path, key_role_name(line.role));
        error = ERROR_CONFIG;
    }
    if (error != OK) {
        keys_destroy(keys);
        return error;
    }
    memcpy(keys->broker_text, line.key, sizeof line.key);
    *ret_keys = keys;
    return OK;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* A new file, whole and durable or not there. */
static enum error
write_new(const char *path, mode_t mode, struct slice text, char **ret_message)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        bool is_taken = errno == EEXIST;
        *ret_message =
            is_taken ? say("%s is there already and stays as it is; choose another name", path)
                     : say("cannot make %s: %s", path, strerror(errno));
        return is_taken ? ERROR_EXISTS : ERROR_IO;
    }
    size_t done = 0;
    bool is_good = fchmod(fd, mode) == 0; /* whatever the umask */
    while (is_good && done < text.size) {
        ssize_t count = write(fd, text.data + done, text.size - done);
        is_good = count >= 0 || errno == EINTR;
        done += count > 0 ? (size_t)count : 0;
    }
    is_good = is_good && fsync(fd) == 0;
    if (!is_good) {
        *ret_message = say("cannot write %s: %s", path, strerror(errno));
        unlink(path);
    }
    close(fd);
    return is_good ? OK : ERROR_IO;
}

enum error
keys_write_secret(const struct keys *keys, const char *path, const char *comment,
                  char **ret_message)
{
    struct keys *scratch = keys_create();
    if (scratch == NULL) {
        return ERROR_NO_MEMORY;
    }
    int size = snprintf((char *)scratch->file, sizeof scratch->file, "# %s\n" SECRET_WORD "%s\n",
                        comment, keys->secret_text);
    enum error error = ERROR_TOO_LARGE;
    if (size > 0 && (size_t)size < sizeof scratch->file) {
        error = write_new(path, 0600, slice_of(scratch->file, (size_t)size), ret_message);
    }
    keys_destroy(scratch);
    return error;
}

enum error
keys_write_public(const struct key_line *line, const char *path, char **ret_message)
{
    char text[KEY_LINE_BYTES_MAX];
    int size =
        snprintf(text, sizeof text, "%s %s %s\n", key_role_name(line->role), line->key, line->name);
    return write_new(path, 0644, slice_of(text, (size_t)size), ret_message);
}

void
keys_forbid_core(void)
{
    /* Where it is refused, pages with our copy are still left out (MADV_DONTDUMP). */
    prctl(PR_SET_DUMPABLE, 0);
}
