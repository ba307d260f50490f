/* Bytes of any encoding: what comes out is valid UTF-8 without NUL, whatever was declared. The
 * first byte chooses the declaration, the second whether it is HTML. */
#include "worker/charset.h"

#include <string.h>

#include "common/utf8.h"
#include "tests/fuzz/require.h"
#include "worker/language.h"

#define ARENA_BYTES_MAX ((size_t)64 * 1024 * 1024)

static const char *const labels[] = {
    "",       "utf-8",       "windows-1252", "windows-1255", "koi8-u",         "iso-8859-8-i",
    "gbk",    "gb18030",     "big5",         "euc-jp",       "euc-kr",         "shift_jis",
    "utf-16", "iso-2022-jp", "replacement",  "utf-16be",     "x-user-defined",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    if (size < 2) {
        return 0;
    }
    if (arena.bytes_max == 0) {
        arena_init(&arena, ARENA_BYTES_MAX);
    }
    const char *label = labels[data[0] % (sizeof labels / sizeof labels[0])];
    struct slice bytes = slice_of(data + 2, size - 2);
    struct charset_text text;
    require(charset_decode(&arena, bytes, slice_string(label), (data[1] & 1) != 0, &text) == OK);
    require(utf8_valid_prefix(text.text) == text.text.size);
    require(text.text.size == 0 || memchr(text.text.data, 0, text.text.size) == NULL);
    require(text.text.size <= bytes.size * 3);
    require(charset_name(slice_string(text.label)) == text.label);
    struct language_guess guess = language_detect(text.text, slice_of(data, 2));
    require(guess.confidence >= 0 && guess.confidence <= 1);
    arena_clear(&arena);
    return 0;
}
