#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/utf8.h"

/* Kept free for the mark of a shortened line and what ends it. */
#define LOG_TAIL_BYTES 32
#define LOG_NUMBER_BYTES 32

struct line {
    char bytes[LOG_LINE_BYTES_MAX];
    size_t size;
    enum log_format format;
    bool is_full; /* the field being written does not fit */
};

/* One event name with a rate limit. */
struct limit {
    const char *event;
    int64_t written_ms;
    uint64_t suppressed;
};

static _Atomic enum log_level level_max = LOG_INFO;
static _Atomic enum log_format line_format = LOG_FORMAT_LOGFMT;
static _Atomic(const char *) program_name = "thresh";
static atomic_int output_fd = STDERR_FILENO;
static atomic_uint_fast64_t dropped;

/* Guards the limits, and poll() with the write() that follows it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct limit limits[LOG_LIMITED_EVENTS_MAX];

struct log_field
log_slice(const char *name, struct slice text)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_TEXT, .text = text};
}

struct log_field
log_text(const char *name, const char *text)
{
    return log_slice(name, slice_string(text));
}

struct log_field
log_int(const char *name, int64_t value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_INT, .integer = value};
}

struct log_field
log_uint(const char *name, uint64_t value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_UINT, .uint = value};
}

struct log_field
log_error(const char *name, enum error error)
{
    return log_text(name, error_text(error));
}

void
log_configure(enum log_level level, enum log_format format, const char *program)
{
    level_max = level;
    line_format = format;
    program_name = program;
}

void
log_to(int fd)
{
    output_fd = fd;
}

bool
log_is_on(enum log_level level)
{
    return level <= level_max;
}

uint64_t
log_dropped(void)
{
    return dropped;
}

static const char *
level_word(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARNING:
        return "warning";
    case LOG_INFO:
        return "info";
    case LOG_DEBUG:
        break;
    }
    return "debug";
}

/* ---- one line ---- */

static void
put(struct line *line, const void *bytes, size_t size)
{
    if (line->is_full || size > sizeof line->bytes - LOG_TAIL_BYTES - line->size) {
        line->is_full = true;
        return;
    }
    memcpy(line->bytes + line->size, bytes, size);
    line->size += size;
}

static void
put_string(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* C0, DEL and C1, which a terminal may obey; C1 is 0xc2 and a second byte in UTF-8. */
static size_t
control_size(struct slice text)
{
    uint8_t byte = text.data[0];
    if (byte < 0x20 || byte == 0x7f) {
        return 1;
    }
    return byte == 0xc2 && text.size > 1 && text.data[1] < 0xa0 ? 2 : 0;
}

/* The next character of text as it is written between quotes; gives the bytes it had. */
static size_t
escape_next(struct slice text, char *ret_bytes, size_t *ret_size)
{
    static const char hex[] = "0123456789abcdef";
    if (utf8_valid_prefix(slice_of(text.data, text.size < 4 ? text.size : 4)) == 0) {
        memcpy(ret_bytes, "\xef\xbf\xbd", 3);
        *ret_size = 3;
        return utf8_malformed_prefix(text);
    }
    size_t controls = control_size(text);
    if (controls > 0) {
        uint8_t code = text.data[controls - 1];
        const char escaped[] = {'\\', 'u', '0', '0', hex[code >> 4], hex[code & 15]};
        memcpy(ret_bytes, escaped, sizeof escaped);
        *ret_size = sizeof escaped;
        return controls;
    }
    uint8_t first = text.data[0];
    if (first == '"' || first == '\\') {
        ret_bytes[0] = '\\';
        ret_bytes[1] = (char)first;
        *ret_size = 2;
        return 1;
    }
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    memcpy(ret_bytes, text.data, size);
    *ret_size = size;
    return size;
}

static void
put_quoted(struct line *line, struct slice text)
{
    char escaped[8];
    size_t size = 0;
    size_t written = 0;
    put(line, "\"", 1);
    while (text.size > 0) {
        size_t taken = escape_next(text, escaped, &size);
        if (written + size > LOG_VALUE_BYTES_MAX) {
            put_string(line, "...");
            break;
        }
        put(line, escaped, size);
        written += size;
        text = slice_of(text.data + taken, text.size - taken);
    }
    put(line, "\"", 1);
}

/* May it stand without quotes in logfmt? */
static bool
is_plain(struct slice text)
{
    if (text.size == 0 || text.size > LOG_VALUE_BYTES_MAX || utf8_valid_prefix(text) < text.size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == ' ' || byte == '=' || byte == '"' || byte == '\\' ||
            control_size(slice_of(text.data + i, text.size - i)) > 0) {
            return false;
        }
    }
    return true;
}

static void
put_name(struct line *line, const char *name)
{
    if (line->format == LOG_FORMAT_LOGFMT) {
        if (line->size > 0) {
            put(line, " ", 1);
        }
        put_string(line, name);
        put(line, "=", 1);
        return;
    }
    put_string(line, line->size > 0 ? ",\"" : "{\"");
    put_string(line, name);
    put_string(line, "\":");
}

static void
put_text(struct line *line, struct slice text)
{
    if (line->format == LOG_FORMAT_LOGFMT && is_plain(text)) {
        put(line, text.data, text.size);
        return;
    }
    put_quoted(line, text);
}

static void
put_field(struct line *line, const struct log_field *field)
{
    if (field->type == LOG_FIELD_TEXT && field->text.data == NULL) {
        return;
    }
    put_name(line, field->name);
    if (field->type == LOG_FIELD_TEXT) {
        put_text(line, field->text);
        return;
    }
    char number[LOG_NUMBER_BYTES];
    int size = field->type == LOG_FIELD_INT
                   ? snprintf(number, sizeof number, "%" PRId64, field->integer)
                   : snprintf(number, sizeof number, "%" PRIu64, field->uint);
    put(line, number, (size_t)size);
}

static void
put_time(struct line *line, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char text[LOG_NUMBER_BYTES * 2];
    if (gmtime_r(&seconds, &parts) == NULL) {
        return;
    }
    size_t size = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    int rest = snprintf(text + size, sizeof text - size, ".%03dZ", (int)(wall_ms % 1000));
    put_name(line, "ts");
    put_text(line, slice_of(text, size + (size_t)rest));
}

static void
make_line(struct line *line, enum log_level level, const char *event,
          const struct log_field *fields, uint64_t suppressed)
{
    line->size = 0;
    line->format = line_format;
    line->is_full = false;
    put_time(line, clock_wall_ms());
    const struct log_field head[] = {log_text("level", level_word(level)),
                                     log_text("program", program_name), log_text("event", event)};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        put_field(line, &head[i]);
    }
    bool is_truncated = false;
    const struct log_field held_back = log_uint("suppressed", suppressed);
    bool is_last = false;
    for (const struct log_field *field = fields; !is_last; field++) {
        is_last = field->type == LOG_FIELD_END;
        size_t before = line->size;
        if (!is_last) {
            put_field(line, field);
        } else if (suppressed > 0) {
            put_field(line, &held_back);
        }
        if (line->is_full) { /* as if it had not been there */
            line->size = before;
            line->is_full = false;
            is_truncated = true;
        }
    }
    bool is_json = line->format == LOG_FORMAT_JSON;
    const char *tail = is_json ? (is_truncated ? ",\"truncated\":true}\n" : "}\n")
                               : (is_truncated ? " truncated=true\n" : "\n");
    memcpy(line->bytes + line->size, tail, strlen(tail)); /* LOG_TAIL_BYTES are kept for it */
    line->size += strlen(tail);
}

/* ---- writing ---- */

/* The descriptor is shared with other programs, so it is asked and not made non-blocking. */
static void
write_line(const struct line *line)
{
    struct pollfd asked = {.fd = output_fd, .events = POLLOUT};
    if (poll(&asked, 1, 0) != 1 || (asked.revents & ~POLLOUT) != 0) {
        dropped++;
        return;
    }
    ssize_t written;
    do {
        written = write(asked.fd, line->bytes, line->size);
    } while (written < 0 && errno == EINTR);
    if (written != (ssize_t)line->size) {
        dropped++;
    }
}

static void
write_event(enum log_level level, const char *event, const struct log_field *fields,
            uint64_t suppressed)
{
    struct line line;
    int number = errno; /* logging in the middle of error handling must not change it */
    make_line(&line, level, event, fields, suppressed);
    pthread_mutex_lock(&lock);
    write_line(&line);
    pthread_mutex_unlock(&lock);
    errno = number;
}

void
log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    if (log_is_on(level)) {
        write_event(level, event, fields, 0);
    }
}

/* The row of the event; a new one takes the place of the one silent for longest. */
static struct limit *
find_limit(const char *event, int64_t now_ms)
{
    struct limit *oldest = &limits[0];
    for (size_t i = 0; i < LOG_LIMITED_EVENTS_MAX; i++) {
        struct limit *row = &limits[i];
        if (row->event == NULL) {
            oldest = row;
            break;
        }
        if (strcmp(row->event, event) == 0) {
            return row;
        }
        if (row->written_ms < oldest->written_ms) {
            oldest = row;
        }
    }
    *oldest = (struct limit){.event = event, .written_ms = now_ms - LOG_LIMITED_INTERVAL_MS};
    return oldest;
}

void
log_write_limited(enum log_level level, const char *event, const struct log_field *fields)
{
    if (!log_is_on(level)) {
        return;
    }
    int64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&lock);
    struct limit *row = find_limit(event, now_ms);
    bool is_due = now_ms - row->written_ms >= LOG_LIMITED_INTERVAL_MS;
    uint64_t suppressed = row->suppressed;
    row->suppressed = is_due ? 0 : suppressed + 1;
    row->written_ms = is_due ? now_ms : row->written_ms;
    pthread_mutex_unlock(&lock);
    if (is_due) {
        write_event(level, event, fields, suppressed);
    }
}
