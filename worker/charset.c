#include "worker/charset.h"

#include <assert.h>
#include <iconv.h>
#include <string.h>

#include <uchardet/uchardet.h>

#include "worker/charset_table.h"

#define PRESCAN_BYTES_MAX 1024
#define PRESCAN_LATE_BYTES_MAX ((size_t)64 * 1024) /* where browsers notice it while parsing */
#define DETECT_BYTES_MAX ((size_t)64 * 1024)
#define DOUBT_ERRORS_MAX 4  /* bad places that a declared UTF-8 may have unquestioned */
#define DOUBT_ERROR_SHARE 4 /* past that it needs this many good characters for a bad one */
#define OVERRULE_MULTIBYTE_MIN                                                                \
    4                        /* good UTF-8 characters against a declared single-byte encoding \
                              */
#define SNIFF_BYTES_MAX 1024 /* looked at for UTF-16 without a mark */

static const struct charset_encoding *
mark_encoding(struct slice bytes, size_t *ret_size)
{
    static const struct {
        const char *mark;
        size_t size;
        enum charset_id id;
    } marks[] = {
        {"\xef\xbb\xbf", 3, ENCODING_UTF_8},
        {"\xfe\xff", 2, ENCODING_UTF_16BE},
        {"\xff\xfe", 2, ENCODING_UTF_16LE},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (bytes.size >= marks[i].size && memcmp(bytes.data, marks[i].mark, marks[i].size) == 0) {
            *ret_size = marks[i].size;
            return &charset_encodings[marks[i].id];
        }
    }
    return NULL;
}

/* UTF-16 without a mark: in text of European scripts nearly every other byte is NUL. */
static const struct charset_encoding *
sniff_utf16(struct slice bytes)
{
    size_t size = (bytes.size < SNIFF_BYTES_MAX ? bytes.size : SNIFF_BYTES_MAX) & ~(size_t)1;
    size_t nuls[2] = {0, 0};
    for (size_t i = 0; i < size; i++) {
        nuls[i & 1] += bytes.data[i] == 0;
    }
    size_t pairs = size / 2;
    if (pairs < 4) {
        return NULL;
    }
    if (nuls[1] * 10 >= pairs * 7 && nuls[0] * 10 < pairs) {
        return &charset_encodings[ENCODING_UTF_16LE];
    }
    if (nuls[0] * 10 >= pairs * 7 && nuls[1] * 10 < pairs) {
        return &charset_encodings[ENCODING_UTF_16BE];
    }
    return NULL;
}

/* ISO-2022-JP is pure ASCII to a validator; its shifts give it away. */
static bool
is_iso_2022_jp(struct slice bytes)
{
    const uint8_t *end = bytes.data + bytes.size;
    const uint8_t *at = bytes.data;
    while (at < end && (at = memchr(at, 0x1b, (size_t)(end - at))) != NULL) {
        if (end - at >= 3 && at[1] == '$' && (at[2] == 'B' || at[2] == '@')) {
            return true;
        }
        at++;
    }
    return false;
}

/* What uchardet calls otherwise than the standard does. */
static const struct charset_encoding *
detected_encoding(const char *name)
{
    static const struct {
        const char *theirs;
        enum charset_id id;
    } names[] = {
        {"MAC-CYRILLIC", ENCODING_X_MAC_CYRILLIC},
        {"MAC-CENTRALEUROPE", ENCODING_WINDOWS_1250},
        {"UHC", ENCODING_EUC_KR},
        {"ISO-8859-8", ENCODING_WINDOWS_1255},
        {"ISO-8859-1", ENCODING_WINDOWS_1252},
        {"ISO-8859-11", ENCODING_WINDOWS_874},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i].theirs) == 0) {
            return &charset_encodings[names[i].id];
        }
    }
    return charset_find(slice_string(name));
}

/* The last word: never NULL. */
static const struct charset_encoding *
detect(struct slice bytes)
{
    const struct charset_encoding *encoding = NULL;
    uchardet_t detector = uchardet_new();
    if (detector != NULL) {
        size_t size = bytes.size < DETECT_BYTES_MAX ? bytes.size : DETECT_BYTES_MAX;
        if (uchardet_handle_data(detector, (const char *)bytes.data, size) == 0) {
            uchardet_data_end(detector);
            encoding = detected_encoding(uchardet_get_charset(detector));
        }
        uchardet_delete(detector);
    }
    return encoding == NULL ? &charset_encodings[ENCODING_WINDOWS_1252] : encoding;
}

/* The bytes, and how they look as UTF-8 once somebody has asked. */
struct evidence {
    struct slice bytes;
    struct charset_utf8 utf8;
    bool is_counted;
};

static struct charset_utf8
evidence_utf8(struct evidence *evidence)
{
    if (!evidence->is_counted) {
        evidence->utf8 = charset_utf8_check(evidence->bytes);
        evidence->is_counted = true;
    }
    return evidence->utf8;
}

/* What the document declares is believed unless its bytes speak plainly against it. */
static const struct charset_encoding *
judge_declared(const struct charset_encoding *declared, struct evidence *evidence)
{
    if (declared->kind != CHARSET_UTF_8 && declared->kind != CHARSET_SINGLE) {
        return declared;
    }
    struct charset_utf8 found = evidence_utf8(evidence);
    if (declared->kind == CHARSET_SINGLE) {
        bool is_utf8 = found.errors == 0 && found.multibyte >= OVERRULE_MULTIBYTE_MIN;
        return is_utf8 ? &charset_encodings[ENCODING_UTF_8] : declared;
    }
    bool is_doubted =
        found.errors > DOUBT_ERRORS_MAX && found.errors * DOUBT_ERROR_SHARE > found.multibyte;
    return is_doubted ? detect(evidence->bytes) : declared;
}

static const struct charset_encoding *
judge_undeclared(struct evidence *evidence, bool is_html)
{
    struct slice bytes = evidence->bytes;
    const struct charset_encoding *encoding = sniff_utf16(bytes);
    if (encoding != NULL) {
        return encoding;
    }
    struct charset_utf8 found = evidence_utf8(evidence);
    /* A body cut off inside a character is still UTF-8. */
    if (found.multibyte > 0 &&
        (found.errors == 0 || (found.errors == 1 && found.multibyte >= OVERRULE_MULTIBYTE_MIN))) {
        return &charset_encodings[ENCODING_UTF_8];
    }
    if (is_html) {
        encoding = charset_prescan(bytes, PRESCAN_LATE_BYTES_MAX);
    }
    if (encoding != NULL) {
        return judge_declared(encoding, evidence);
    }
    if (found.errors == 0) {
        return &charset_encodings[is_iso_2022_jp(bytes) ? ENCODING_ISO_2022_JP : ENCODING_UTF_8];
    }
    return detect(bytes);
}

enum error
charset_decode(struct arena *arena, struct slice bytes, struct slice header, bool is_html,
               struct charset_text *ret_text)
{
    size_t mark_size = 0;
    struct evidence evidence = {.bytes = bytes};
    const struct charset_encoding *encoding = mark_encoding(bytes, &mark_size);
    if (encoding == NULL) {
        const struct charset_encoding *declared = charset_find(header);
        if (declared == NULL && is_html) {
            declared = charset_prescan(bytes, PRESCAN_BYTES_MAX);
        }
        encoding = declared == NULL ? judge_undeclared(&evidence, is_html)
                                    : judge_declared(declared, &evidence);
    }
    bytes = slice_of(bytes.data == NULL ? NULL : bytes.data + mark_size, bytes.size - mark_size);

    struct charset_text text = {.label = encoding->name};
    const struct charset_utf8 *known =
        evidence.is_counted && mark_size == 0 ? &evidence.utf8 : NULL;
    enum error error = charset_convert(arena, encoding, bytes, known, &text.text, &text.replaced);
    if (error == ERROR_UNSUPPORTED) {
        /* This system's iconv lacks it: the ASCII in it is still worth reading. */
        encoding = &charset_encodings[ENCODING_UTF_8];
        error = charset_convert(arena, encoding, bytes, known, &text.text, &text.replaced);
    }
    if (error != OK) {
        return error;
    }
    *ret_text = text;
    return OK;
}

int
charset_prepare(void)
{
    static iconv_t kept[ENCODING_COUNT];
    int missing = 0;
    for (size_t i = 0; i < ENCODING_COUNT; i++) {
        if (charset_encodings[i].kind != CHARSET_ICONV || kept[i] != NULL) {
            continue;
        }
        iconv_t handle = iconv_open("UTF-8", charset_encodings[i].iconv_name);
        if (handle == (iconv_t)-1) {
            missing++;
        } else {
            kept[i] = handle;
        }
    }
    return missing;
}
