/* Bytes of one encoding to UTF-8. Every reader writes U+FFFD where it cannot read, and for NUL. */
#include "worker/charset_table.h"

#include <assert.h>
#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "common/utf8.h"

#define REPLACEMENT 0xfffd
#define REPLACEMENT_BYTES 3
#define UTF8_BYTES_MAX 3 /* of one code point below U+10000 */

/* ---- UTF-8 ------------------------------------------------------------------------------ */

static size_t
nuls_count(struct slice bytes)
{
    /* Nearly every page has none. */
    size_t count = 0;
    const uint8_t *at = bytes.size == 0 ? NULL : memchr(bytes.data, 0, bytes.size);
    for (const uint8_t *end = bytes.data + bytes.size; at != NULL && at < end; at++) {
        count += *at == 0;
    }
    return count;
}

struct charset_utf8
charset_utf8_check(struct slice bytes)
{
    struct charset_utf8 found = {.nuls = nuls_count(bytes)};
    while (bytes.size > 0) {
        size_t multibyte = 0;
        size_t good = utf8_valid_prefix_count(bytes, &multibyte);
        found.multibyte += multibyte;
        bytes = slice_of(bytes.data + good, bytes.size - good);
        size_t bad = utf8_malformed_prefix(bytes);
        found.errors += bad > 0;
        bytes = slice_of(bytes.data + bad, bytes.size - bad);
    }
    return found;
}

static uint8_t *
put(uint8_t *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (uint8_t)code;
    } else if (code < 0x800) {
        *out++ = (uint8_t)(0xc0 | code >> 6);
        *out++ = (uint8_t)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (uint8_t)(0xe0 | code >> 12);
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | code >> 18);
        *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        *out++ = (uint8_t)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Writes a piece without NUL, repaired; returns the end of what it wrote. */
static uint8_t *
repair_piece(uint8_t *out, struct slice piece)
{
    while (piece.size > 0) {
        size_t good = utf8_valid_prefix(piece);
        memcpy(out, piece.data, good);
        out += good;
        piece = slice_of(piece.data + good, piece.size - good);
        size_t bad = utf8_malformed_prefix(piece);
        out = bad > 0 ? put(out, REPLACEMENT) : out;
        piece = slice_of(piece.data + bad, piece.size - bad);
    }
    return out;
}

static enum error
convert_utf8(struct arena *arena, struct slice bytes, const struct charset_utf8 *known,
             struct slice *ret_text, size_t *ret_replaced)
{
    struct charset_utf8 found = known != NULL ? *known : charset_utf8_check(bytes);
    size_t replaced = found.errors + found.nuls;
    if (replaced == 0) {
        *ret_text = bytes;
        *ret_replaced = 0;
        return OK;
    }
    uint8_t *text = arena_alloc(arena, bytes.size + replaced * (REPLACEMENT_BYTES - 1));
    if (text == NULL) {
        return ERROR_NO_MEMORY;
    }
    uint8_t *out = text;
    while (bytes.size > 0) {
        const uint8_t *nul = memchr(bytes.data, 0, bytes.size);
        size_t size = nul == NULL ? bytes.size : (size_t)(nul - bytes.data);
        out = repair_piece(out, slice_of(bytes.data, size));
        if (nul != NULL) {
            out = put(out, REPLACEMENT);
            size++;
        }
        bytes = slice_of(bytes.data + size, bytes.size - size);
    }
    *ret_text = slice_of(text, (size_t)(out - text));
    *ret_replaced = replaced;
    return OK;
}

/* ---- UTF-16, single bytes, and what is not read ------------------------------------------ */

static uint32_t
unit_at(const uint8_t *data, bool is_big)
{
    return is_big ? (uint32_t)data[0] << 8 | data[1] : (uint32_t)data[1] << 8 | data[0];
}

static enum error
convert_utf16(struct arena *arena, struct slice bytes, bool is_big, struct slice *ret_text,
              size_t *ret_replaced)
{
    /* A unit gives three bytes at most; a pair, four; an odd byte at the end, one U+FFFD. */
    uint8_t *text = arena_alloc(arena, (bytes.size / 2 + 1) * UTF8_BYTES_MAX);
    if (text == NULL) {
        return ERROR_NO_MEMORY;
    }
    uint8_t *out = text;
    size_t replaced = 0;
    size_t i = 0;
    while (i + 1 < bytes.size) {
        uint32_t code = unit_at(bytes.data + i, is_big);
        i += 2;
        if (code >= 0xd800 && code < 0xdc00 && i + 1 < bytes.size) {
            uint32_t low = unit_at(bytes.data + i, is_big);
            if (low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            }
        }
        if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
            code = REPLACEMENT;
            replaced++;
        }
        out = put(out, code);
    }
    if (i < bytes.size) {
        out = put(out, REPLACEMENT);
        replaced++;
    }
    *ret_text = slice_of(text, (size_t)(out - text));
    *ret_replaced = replaced;
    return OK;
}

static uint32_t
single_code(const struct charset_encoding *encoding, uint8_t byte)
{
    if (byte < 0x80) {
        return byte;
    }
    if (encoding->kind == CHARSET_X_USER_DEFINED) {
        return 0xf780U + (byte - 0x80U);
    }
    return encoding->upper[byte - 0x80];
}

static enum error
convert_single(struct arena *arena, const struct charset_encoding *encoding, struct slice bytes,
               struct slice *ret_text, size_t *ret_replaced)
{
    size_t wide = 0; /* bytes that are more than one byte of UTF-8 */
    for (size_t i = 0; i < bytes.size; i++) {
        wide += bytes.data[i] >= 0x80 || bytes.data[i] == 0;
    }
    if (wide == 0) {
        *ret_text = bytes;
        *ret_replaced = 0;
        return OK;
    }
    uint8_t *text = arena_alloc(arena, bytes.size + wide * (UTF8_BYTES_MAX - 1));
    if (text == NULL) {
        return ERROR_NO_MEMORY;
    }
    uint8_t *out = text;
    size_t replaced = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint32_t code = single_code(encoding, bytes.data[i]);
        if (code == 0) {
            code = REPLACEMENT;
            replaced++;
        }
        out = put(out, code);
    }
    *ret_text = slice_of(text, (size_t)(out - text));
    *ret_replaced = replaced;
    return OK;
}

/* ---- several bytes a character, by iconv -------------------------------------------------- */

struct transcoding {
    iconv_t handle;
    bool is_gb;
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    size_t replaced;
};

/* False: no room. */
static bool
write_code(struct transcoding *work, uint32_t code)
{
    if (work->out_left < UTF8_BYTES_MAX) {
        return false;
    }
    uint8_t *end = put(work->out, code);
    work->out_left -= (size_t)(end - work->out);
    work->out = end;
    return true;
}

/* Steps over what iconv could not read; the standard takes a bad trail byte with its lead unless
 * it is ASCII, so that no markup is swallowed. */
static bool
skip_bad(struct transcoding *work)
{
    uint8_t lead = work->in[0];
    if (work->is_gb && lead == 0x80) {
        work->in++;
        work->in_left--;
        return write_code(work, 0x20ac); /* the standard's addition: the euro of code page 936 */
    }
    size_t bad = work->in_left > 1 && lead > 0x80 && lead < 0xff && work->in[1] >= 0x80 ? 2 : 1;
    work->in += bad;
    work->in_left -= bad;
    work->replaced++;
    return write_code(work, REPLACEMENT);
}

/* Reads size bytes, which hold no NUL. False: no room. */
static bool
transcode_piece(struct transcoding *work, size_t size)
{
    size_t behind = work->in_left - size;
    work->in_left = size;
    while (work->in_left > 0) {
        char *in = (char *)(uintptr_t)work->in; /* iconv's prototype lacks the const it keeps */
        char *out = (char *)work->out;
        size_t result = iconv(work->handle, &in, &work->in_left, &out, &work->out_left);
        int cause = errno;
        work->in = (const uint8_t *)in;
        work->out = (uint8_t *)out;
        if (result != (size_t)-1) {
            break;
        }
        if (cause == E2BIG) {
            return false;
        }
        if (cause == EINVAL) { /* cut off in the middle of a character */
            work->in += work->in_left;
            work->in_left = 0;
            work->replaced++;
            if (!write_code(work, REPLACEMENT)) {
                return false;
            }
        } else if (!skip_bad(work)) {
            return false;
        }
    }
    work->in_left += behind;
    return true;
}

static bool
transcode(struct transcoding *work)
{
    while (work->in_left > 0) {
        const uint8_t *nul = memchr(work->in, 0, work->in_left);
        size_t size = nul == NULL ? work->in_left : (size_t)(nul - work->in);
        if (!transcode_piece(work, size)) {
            return false;
        }
        if (nul != NULL) {
            work->in++;
            work->in_left--;
            work->replaced++;
            if (!write_code(work, REPLACEMENT)) {
                return false;
            }
        }
    }
    char *out = (char *)work->out; /* what a stateful decoder still holds back */
    bool is_done = iconv(work->handle, NULL, NULL, &out, &work->out_left) != (size_t)-1;
    work->out = (uint8_t *)out;
    return is_done;
}

static enum error
convert_iconv(struct arena *arena, const struct charset_encoding *encoding, struct slice bytes,
              struct slice *ret_text, size_t *ret_replaced)
{
    iconv_t handle = iconv_open("UTF-8", encoding->iconv_name);
    if (handle == (iconv_t)-1) {
        return ERROR_UNSUPPORTED;
    }
    enum error error = ERROR_NO_MEMORY;
    /* Two bytes of CJK become three; half-width kana and rubbish become three each, and only a
     * page full of those needs the second round. */
    const size_t rooms[] = {bytes.size + bytes.size / 2 + 64, bytes.size * UTF8_BYTES_MAX + 64};
    for (size_t round = 0; round < 2; round++) {
        uint8_t *text = arena_alloc(arena, rooms[round]);
        if (text == NULL) {
            break;
        }
        struct transcoding work = {
            .handle = handle,
            .is_gb = encoding == &charset_encodings[ENCODING_GBK] ||
                     encoding == &charset_encodings[ENCODING_GB18030],
            .in = bytes.data,
            .in_left = bytes.size,
            .out = text,
            .out_left = rooms[round],
        };
        iconv(handle, NULL, NULL, NULL, NULL);
        if (transcode(&work)) {
            *ret_text = slice_of(text, (size_t)(work.out - text));
            *ret_replaced = work.replaced;
            error = OK;
            break;
        }
    }
    iconv_close(handle);
    return error;
}

enum error
charset_convert(struct arena *arena, const struct charset_encoding *encoding, struct slice bytes,
                const struct charset_utf8 *known, struct slice *ret_text, size_t *ret_replaced)
{
    switch (encoding->kind) {
    case CHARSET_UTF_8:
        return convert_utf8(arena, bytes, known, ret_text, ret_replaced);
    case CHARSET_UTF_16BE:
    case CHARSET_UTF_16LE:
        return convert_utf16(arena, bytes, encoding->kind == CHARSET_UTF_16BE, ret_text,
                             ret_replaced);
    case CHARSET_SINGLE:
    case CHARSET_X_USER_DEFINED:
        return convert_single(arena, encoding, bytes, ret_text, ret_replaced);
    case CHARSET_ICONV:
        return convert_iconv(arena, encoding, bytes, ret_text, ret_replaced);
    case CHARSET_REPLACEMENT:
        *ret_text = bytes.size == 0 ? bytes : slice_of("\xef\xbf\xbd", REPLACEMENT_BYTES);
        *ret_replaced = bytes.size > 0;
        return OK;
    }
    assert(false && "every kind has its reader");
    return ERROR_BUG;
}
