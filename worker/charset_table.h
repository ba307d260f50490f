/*
 * charset_table: the encodings of the Encoding Standard, their labels and how each is read.
 *
 * For the charset files only; others ask worker/charset.h.
 *
 * Threads  constant data and pure functions.
 * Source   WHATWG Encoding Standard, sections 4.2 and 5.
 */
#ifndef THRESH_WORKER_CHARSET_TABLE_H
#define THRESH_WORKER_CHARSET_TABLE_H

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

enum charset_kind {
    CHARSET_UTF_8,
    CHARSET_UTF_16BE,
    CHARSET_UTF_16LE,
    CHARSET_SINGLE,      /* table of the upper half */
    CHARSET_ICONV,       /* several bytes a character, by iconv */
    CHARSET_REPLACEMENT, /* what the standard refuses to read: one U+FFFD */
    CHARSET_X_USER_DEFINED,
};

struct charset_encoding {
    const char *name; /* lower case */
    enum charset_kind kind;
    const uint16_t *upper;  /* CHARSET_SINGLE: code points of 0x80 to 0xff, 0: none */
    const char *iconv_name; /* CHARSET_ICONV */
};

enum charset_id {
    ENCODING_UTF_8,
    ENCODING_IBM866,
    ENCODING_ISO_8859_2,
    ENCODING_ISO_8859_3,
    ENCODING_ISO_8859_4,
    ENCODING_ISO_8859_5,
    ENCODING_ISO_8859_6,
    ENCODING_ISO_8859_7,
    ENCODING_ISO_8859_8,
    ENCODING_ISO_8859_8_I,
    ENCODING_ISO_8859_10,
    ENCODING_ISO_8859_13,
    ENCODING_ISO_8859_14,
    ENCODING_ISO_8859_15,
    ENCODING_ISO_8859_16,
    ENCODING_KOI8_R,
    ENCODING_KOI8_U,
    ENCODING_MACINTOSH,
    ENCODING_WINDOWS_874,
    ENCODING_WINDOWS_1250,
    ENCODING_WINDOWS_1251,
    ENCODING_WINDOWS_1252,
    ENCODING_WINDOWS_1253,
    ENCODING_WINDOWS_1254,
    ENCODING_WINDOWS_1255,
    ENCODING_WINDOWS_1256,
    ENCODING_WINDOWS_1257,
    ENCODING_WINDOWS_1258,
    ENCODING_X_MAC_CYRILLIC,
    ENCODING_GBK,
    ENCODING_GB18030,
    ENCODING_BIG5,
    ENCODING_EUC_JP,
    ENCODING_ISO_2022_JP,
    ENCODING_SHIFT_JIS,
    ENCODING_EUC_KR,
    ENCODING_REPLACEMENT,
    ENCODING_UTF_16BE,
    ENCODING_UTF_16LE,
    ENCODING_X_USER_DEFINED,
    ENCODING_COUNT
};

extern const struct charset_encoding charset_encodings[ENCODING_COUNT];

/* The encoding of a label, blanks around it and case ignored, or NULL. */
const struct charset_encoding *charset_find(struct slice label);

/* What the first bytes_max bytes of an HTML document declare, or NULL (HTML standard, 13.2.3.2). */
const struct charset_encoding *charset_prescan(struct slice bytes, size_t bytes_max);

/* How the bytes look as UTF-8. A sequence cut off by the end of the bytes is an error too. */
struct charset_utf8 {
    size_t errors;    /* maximal subparts that would become U+FFFD */
    size_t multibyte; /* good characters of two bytes or more */
    size_t nuls;
};
struct charset_utf8 charset_utf8_check(struct slice bytes);

/*
 * The bytes, read as the encoding, as UTF-8 in the arena; *ret_replaced counts the U+FFFD put in.
 * A byte order mark must be gone already. known: what charset_utf8_check() said of these bytes, or
 * NULL. ERROR_NO_MEMORY: arena full.
 */
MUST_CHECK enum error charset_convert(struct arena *arena, const struct charset_encoding *encoding,
                                      struct slice bytes, const struct charset_utf8 *known,
                                      struct slice *ret_text, size_t *ret_replaced);

/* The upper halves; see charset_single.c. */
extern const uint16_t charset_ibm866[128];
extern const uint16_t charset_iso_8859_2[128];
extern const uint16_t charset_iso_8859_3[128];
extern const uint16_t charset_iso_8859_4[128];
extern const uint16_t charset_iso_8859_5[128];
extern const uint16_t charset_iso_8859_6[128];
extern const uint16_t charset_iso_8859_7[128];
extern const uint16_t charset_iso_8859_8[128];
extern const uint16_t charset_iso_8859_10[128];
extern const uint16_t charset_iso_8859_13[128];
extern const uint16_t charset_iso_8859_14[128];
extern const uint16_t charset_iso_8859_15[128];
extern const uint16_t charset_iso_8859_16[128];
extern const uint16_t charset_koi8_r[128];
extern const uint16_t charset_koi8_u[128];
extern const uint16_t charset_macintosh[128];
extern const uint16_t charset_windows_874[128];
extern const uint16_t charset_windows_1250[128];
extern const uint16_t charset_windows_1251[128];
extern const uint16_t charset_windows_1252[128];
extern const uint16_t charset_windows_1253[128];
extern const uint16_t charset_windows_1254[128];
extern const uint16_t charset_windows_1255[128];
extern const uint16_t charset_windows_1256[128];
extern const uint16_t charset_windows_1257[128];
extern const uint16_t charset_windows_1258[128];
extern const uint16_t charset_x_mac_cyrillic[128];

#endif
