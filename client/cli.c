#include "client/cli.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/file.h"
#include "common/spelling.h"

#define MESSAGE_BYTES_MAX 4096
#define PROBE_MS 1000 /* to find out why a broker does not answer */
#define HOST_BYTES_MAX 256
#define SILENT_LISTENER                                                                     \
    "something listens there and does not speak with us: a broker that wants keys (--key, " \
    "--broker-key) or does not know ours, or no broker"

static void
print_message(const char *format, va_list arguments)
{
    char message[MESSAGE_BYTES_MAX];
    vsnprintf(message, sizeof message, format, arguments);
    fprintf(stderr, "thresh: %s\n", message);
}

void
cli_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
}

int
cli_fail(enum error error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    return (int)error_exit_code(error);
}

static int
print_help(const struct verb *verb, const struct settings_option *extra)
{
    struct buffer out;
    buffer_init(&out, SETTINGS_TEXT_BYTES_MAX);
    buffer_printf(&out, "usage: thresh %s %s\n\n%s\n", verb->name, verb->arguments, verb->help);
    buffer_append_string(&out, "\nOptions:\n");
    settings_help(verb->programs, extra, &out);
    bool is_printed = cli_print(&out);
    buffer_release(&out);
    return is_printed ? EXIT_CODE_DONE : EXIT_CODE_UNEXPECTED;
}

int
cli_begin(struct cli *cli, const struct verb *verb, int argc, char **argv,
          const struct settings_option *extra)
{
    char *message = NULL;
    *cli = (struct cli){.verb = verb};
    settings_init(&cli->settings);
    settings_set_default(&cli->settings, SETTING_log_level, "warning");
    enum error error =
        settings_load(&cli->settings, verb->programs, argc, argv, extra, &cli->arguments, &message);
    if (error != OK) {
        int code = cli_fail(error, "%s", message != NULL ? message : error_text(error));
        if (error == ERROR_USAGE) {
            fprintf(stderr, "Try 'thresh %s --help'.\n", verb->name);
        }
        free(message);
        return code;
    }
    if (cli->arguments.is_help) {
        return print_help(verb, extra);
    }
    if (cli->arguments.is_version) {
        return verb_version(verb, 1, argv);
    }
    cli->is_quiet = cli->arguments.verbosity < 0;
    return CLI_GO_ON;
}

void
cli_end(struct cli *cli)
{
    settings_arguments_release(&cli->arguments);
    settings_release(&cli->settings);
}

/* ---- why a broker does not answer ---------------------------------------------------------- */

/* Waits for a connect() that is under way; 0 or an errno. */
static int
finish_connect(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int number = 0;
    socklen_t size = sizeof number;
    if (poll(&waiting, 1, PROBE_MS) <= 0) {
        return ETIMEDOUT;
    }
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) == 0 ? number : errno;
}

static int
try_connect(int family, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int number = connect(fd, address, size) == 0 ? 0 : errno;
    if (number == EINPROGRESS) {
        number = finish_connect(fd);
    }
    close(fd);
    return number;
}

static const char *
probe_tcp(const char *address)
{
    char host[HOST_BYTES_MAX];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host) {
        return "not an address";
    }
    size_t size = (size_t)(colon - address);
    bool is_bracketed = size >= 2 && address[0] == '[' && address[size - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(is_bracketed ? size - 2 : size),
             address + (is_bracketed ? 1 : 0));
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failed = getaddrinfo(host, colon + 1, &hints, &found);
    if (failed != 0) {
        return gai_strerror(failed);
    }
    int number = try_connect(found->ai_family, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (number == 0) {
        return SILENT_LISTENER;
    }
    return number == ECONNREFUSED ? "connection refused" : strerror(number);
}

static const char *
probe_ipc(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        return "the path is too long";
    }
    memcpy(address.sun_path, path, strlen(path));
    int number = try_connect(AF_UNIX, (const struct sockaddr *)&address, sizeof address);
    if (number == 0) {
        return "something listens there, but it does not speak as a broker";
    }
    return number == ECONNREFUSED ? "connection refused" : strerror(number);
}

int
cli_unreachable(const char *endpoint, int64_t timeout_ms)
{
    char text[CLI_TEXT_BYTES];
    const char *why = "it cannot be reached";
    if (strncmp(endpoint, "tcp://", 6) == 0) {
        why = probe_tcp(endpoint + 6);
    } else if (strncmp(endpoint, "ipc://", 6) == 0) {
        why = probe_ipc(endpoint + 6);
    }
    return cli_fail(ERROR_UNREACHABLE,
                    "broker %s did not answer in %s (%s); start it with 'thresh broker' or set "
                    "--broker",
                    endpoint, cli_duration(timeout_ms, text), why);
}

/* ---- words, colours, numbers --------------------------------------------------------------- */

const char *
cli_nearest(const char *word, const char *const *known, size_t count)
{
    const char *nearest = NULL;
    size_t best = spelling_slips_max(word) + 1;
    for (size_t i = 0; i < count; i++) {
        size_t away = spelling_distance(word, known[i]);
        if (away < best && away < strlen(known[i])) {
            best = away;
            nearest = known[i];
        }
    }
    return nearest;
}

static bool
has_colour(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fd) && (no_color == NULL || no_color[0] == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

const char *
cli_bold(int fd)
{
    return has_colour(fd) ? "\033[1m" : "";
}

const char *
cli_dim(int fd)
{
    return has_colour(fd) ? "\033[2m" : "";
}

const char *
cli_plain(int fd)
{
    return has_colour(fd) ? "\033[0m" : "";
}

bool
cli_print(struct buffer *out)
{
    enum error error = buffer_error(out);
    if (error == OK) {
        error = file_write_all(STDOUT_FILENO, buffer_slice(out));
        if (error != OK && errno == EPIPE) {
            return false;
        }
    }
    if (error != OK) {
        cli_say("cannot write to standard output: %s", error_text(error));
    }
    return error == OK;
}

const char *
cli_duration(int64_t ms, char *text)
{
    if (ms < 1000) {
        snprintf(text, CLI_TEXT_BYTES, "%lld ms", (long long)ms);
    } else if (ms < 60000) {
        bool is_whole = ms % 1000 < 50;
        snprintf(text, CLI_TEXT_BYTES, "%.*f s", is_whole ? 0 : 1, (double)ms / 1000);
    } else if (ms < 3600000) {
        snprintf(text, CLI_TEXT_BYTES, "%lld min %lld s", (long long)(ms / 60000),
                 (long long)(ms / 1000 % 60));
    } else {
        snprintf(text, CLI_TEXT_BYTES, "%lld h %lld min", (long long)(ms / 3600000),
                 (long long)(ms / 60000 % 60));
    }
    return text;
}

const char *
cli_bytes(uint64_t bytes, char *text)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1024;
        unit++;
    }
    snprintf(text, CLI_TEXT_BYTES, "%.*f %s", unit > 0 ? 1 : 0, value, units[unit]);
    return text;
}
