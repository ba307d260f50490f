/*
 * What a document is. In the spirit of the WHATWG MIME Sniffing Standard: a header that names a
 * type is believed, save for the types that servers give to what they do not know.
 */
#include "worker/extract_result.h"

#include <string.h>

#define SNIFF_BYTES_MAX 1445 /* the standard's resource header */

struct signature {
    const char *bytes;
    size_t size;
    const char *type;
};

#define SIGNATURE(bytes, type)         \
    {                                  \
        bytes, sizeof(bytes) - 1, type \
    }

static const struct signature signatures[] = {
    SIGNATURE("%PDF-", "application/pdf"),
    SIGNATURE("%!PS-Adobe-", "application/postscript"),
    SIGNATURE("\xEF\xBB\xBF", "text/plain"),
    SIGNATURE("\xFE\xFF", "text/plain"),
    SIGNATURE("\xFF\xFE", "text/plain"),
    SIGNATURE("GIF87a", "image/gif"),
    SIGNATURE("GIF89a", "image/gif"),
    SIGNATURE("\x89PNG\r\n\x1A\n", "image/png"),
    SIGNATURE("\xFF\xD8\xFF", "image/jpeg"),
    SIGNATURE("BM", "image/bmp"),
    SIGNATURE("\0\0\1\0", "image/x-icon"),
    SIGNATURE("OggS\0", "application/ogg"),
    SIGNATURE("ID3", "audio/mpeg"),
    SIGNATURE("\x1F\x8B\x08", "application/gzip"),
    SIGNATURE("PK\3\4", "application/zip"),
    SIGNATURE("Rar!\x1A\x07", "application/x-rar-compressed"),
    SIGNATURE("7z\xBC\xAF\x27\x1C", "application/x-7z-compressed"),
    SIGNATURE("\x7F"
              "ELF",
              "application/octet-stream"),
    SIGNATURE("wOFF", "font/woff"),
    SIGNATURE("wOF2", "font/woff2"),
    SIGNATURE("\0asm", "application/wasm"),
};

/* After white space; a space or '>' must follow. */
static const char *const html_openings[] = {
    "<!doctype html", "<html", "<head",  "<script", "<iframe", "<h1",   "<div", "<font",
    "<table",         "<a",    "<style", "<title",  "<b",      "<body", "<br",  "<p",
    "<meta",          "<link",
};

static bool
opens_with(struct slice text, const char *opening)
{
    size_t size = strlen(opening);
    return text.size >= size && html_name_is(slice_of(text.data, size), opening);
}

static bool
is_html(struct slice text)
{
    if (opens_with(text, "<!--")) {
        return true;
    }
    for (size_t i = 0; i < sizeof html_openings / sizeof html_openings[0]; i++) {
        size_t size = strlen(html_openings[i]);
        if (opens_with(text, html_openings[i]) &&
            (text.size == size || text.data[size] <= ' ' || text.data[size] == '>')) {
            return true;
        }
    }
    return false;
}

/* Bytes that no text in an ASCII-like encoding has. */
static bool
is_binary(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte <= 0x08 || byte == 0x0B || (byte >= 0x0E && byte <= 0x1A) ||
            (byte >= 0x1C && byte <= 0x1F)) {
            return true;
        }
    }
    return false;
}

static const char *
sniff(struct slice body)
{
    struct slice head =
        slice_of(body.data, body.size < SNIFF_BYTES_MAX ? body.size : SNIFF_BYTES_MAX);
    struct slice text = head;
    if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0) {
        text = slice_of(text.data + 3, text.size - 3);
    }
    while (text.size > 0 &&
           (text.data[0] == ' ' || (text.data[0] >= '\t' && text.data[0] <= '\r'))) {
        text = slice_of(text.data + 1, text.size - 1);
    }
    if (is_html(text)) {
        return "text/html";
    }
    if (opens_with(text, "<?xml")) {
        bool is_xhtml = memmem(text.data, text.size, "<html", 5) != NULL;
        return is_xhtml ? "application/xhtml+xml" : "text/xml";
    }
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        if (head.size >= signatures[i].size &&
            memcmp(head.data, signatures[i].bytes, signatures[i].size) == 0) {
            return signatures[i].type;
        }
    }
    return is_binary(head) ? "application/octet-stream" : "text/plain";
}

static bool
is_type_byte(uint8_t byte)
{
    return byte > ' ' && byte < 0x7F && strchr("()<>@,;:\\\"[]?={}", byte) == NULL;
}

/* "type/subtype" in small letters; false when the header has none. */
static bool
header_read(struct slice header, char ret_type[CONTENT_TYPE_BYTES])
{
    size_t size = 0;
    size_t slashes = 0;
    size_t at = 0;
    while (at < header.size && (header.data[at] == ' ' || header.data[at] == '\t')) {
        at++;
    }
    for (; at < header.size && is_type_byte(header.data[at]); at++) {
        uint8_t byte = header.data[at];
        if (size == CONTENT_TYPE_BYTES - 1) {
            return false;
        }
        slashes += byte == '/';
        ret_type[size++] = (char)(byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte);
    }
    ret_type[size] = '\0';
    return slashes == 1 && size > 2 && ret_type[0] != '/' && ret_type[size - 1] != '/';
}

static bool
is_doubtful(const char *type)
{
    static const char *const types[] = {"unknown/unknown", "application/unknown", "*/*",
                                        "application/octet-stream", "binary/octet-stream"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

void
content_type_find(struct slice header, struct slice body, char ret_type[CONTENT_TYPE_BYTES])
{
    char type[CONTENT_TYPE_BYTES];
    const char *found = type;
    if (!header_read(header, type) || is_doubtful(type)) {
        found = sniff(body);
    } else if (strcmp(type, "text/plain") == 0 &&
               is_binary(slice_of(body.data,
                                  body.size < SNIFF_BYTES_MAX ? body.size : SNIFF_BYTES_MAX))) {
        /* Servers call what they do not know plain text; HTML is not looked for, as there plain
         * text was meant to be shown as such. UTF-16 has NUL bytes and a mark. */
        found = sniff(body);
    }
    memmove(ret_type, found, strlen(found) + 1);
}

struct slice
content_type_parameter(struct slice header, const char *name)
{
    const uint8_t *at = header.data;
    const uint8_t *end = at + header.size;
    while (at < end && (at = memchr(at, ';', (size_t)(end - at))) != NULL) {
        at++;
        while (at < end && (*at == ' ' || *at == '\t')) {
            at++;
        }
        const uint8_t *start = at;
        while (at < end && is_type_byte(*at)) {
            at++;
        }
        if (at == end || *at != '=' || !html_name_is(slice_of(start, (size_t)(at - start)), name)) {
            continue;
        }
        at++;
        if (at < end && *at == '"') {
            at++;
            const uint8_t *close = memchr(at, '"', (size_t)(end - at));
            return slice_of(at, (size_t)((close == NULL ? end : close) - at));
        }
        start = at;
        while (at < end && *at != ';' && *at > ' ') {
            at++;
        }
        return slice_of(start, (size_t)(at - start));
    }
    return slice_of(NULL, 0);
}
