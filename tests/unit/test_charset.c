#include "worker/charset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <criterion/criterion.h>

#include "common/utf8.h"

#define FILE_BYTES_MAX ((size_t)1024 * 1024)
#define ARENA_BYTES_MAX ((size_t)256 * 1024 * 1024)

static struct arena arena;

static void
setup(void)
{
    arena_init(&arena, ARENA_BYTES_MAX);
}

static void
teardown(void)
{
    arena_release(&arena);
}

TestSuite(charset, .init = setup, .fini = teardown);

static struct charset_text
decode(struct slice bytes, const char *header, bool is_html)
{
    struct charset_text text = {0};
    enum error error = charset_decode(&arena, bytes, slice_string(header), is_html, &text);
    cr_assert_eq(error, OK, "%s", error_name(error));
    cr_assert_not_null(text.label);
    cr_expect_str_eq(charset_name(slice_string(text.label)), text.label);
    cr_expect_eq(utf8_valid_prefix(text.text), text.text.size, "valid UTF-8 comes out always");
    cr_expect(text.text.size == 0 || memchr(text.text.data, 0, text.text.size) == NULL);
    return text;
}

static struct charset_text
decode_string(const char *bytes, const char *header)
{
    return decode(slice_string(bytes), header, false);
}

/* The file's bytes in the arena; a size of 0 when there is none. */
static struct slice
read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return slice_of(NULL, 0);
    }
    uint8_t *data = arena_alloc(&arena, FILE_BYTES_MAX);
    size_t size = fread(data, 1, FILE_BYTES_MAX, file);
    fclose(file);
    return slice_of(data, size);
}

static struct slice
fixture(const char *name, const char *kind)
{
    char path[512];
    snprintf(path, sizeof path, "%s/charset/%s.%s", FIXTURES, name, kind);
    struct slice bytes = read_whole(path);
    cr_assert(bytes.size > 0, "%s", path);
    return bytes;
}

static const char *const encodings[] = {
    "ibm866",       "iso-8859-2",   "iso-8859-3",     "iso-8859-4",   "iso-8859-5",
    "iso-8859-6",   "iso-8859-7",   "iso-8859-8",     "iso-8859-8-i", "iso-8859-10",
    "iso-8859-13",  "iso-8859-14",  "iso-8859-15",    "iso-8859-16",  "koi8-r",
    "koi8-u",       "macintosh",    "windows-874",    "windows-1250", "windows-1251",
    "windows-1252", "windows-1253", "windows-1254",   "windows-1255", "windows-1256",
    "windows-1257", "windows-1258", "x-mac-cyrillic", "gbk",          "gb18030",
    "big5",         "euc-jp",       "iso-2022-jp",    "shift_jis",    "euc-kr",
    "utf-16be",     "utf-16le",     "utf-8",
};

Test(charset, reads_every_encoding_of_the_standard_when_it_is_named)
{
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        struct slice expected = fixture(encodings[i], "txt");
        struct charset_text text = decode(fixture(encodings[i], "bin"), encodings[i], false);
        cr_expect_str_eq(text.label, encodings[i]);
        cr_expect_eq(text.replaced, 0, "%s: %zu replaced", encodings[i], text.replaced);
        cr_expect(slice_equal(text.text, expected), "%s reads differently:\n%.80s\n%.80s",
                  encodings[i], (const char *)text.text.data, (const char *)expected.data);
    }
}

Test(charset, finds_undeclared_encodings_by_their_bytes)
{
    static const char *const found[] = {
        "utf-8",  "windows-1251", "koi8-r",      "windows-1252", "gb18030",  "big5",
        "euc-jp", "shift_jis",    "iso-2022-jp", "euc-kr",       "utf-16le",
    };
    for (size_t i = 0; i < sizeof found / sizeof found[0]; i++) {
        struct charset_text text = decode(fixture(found[i], "bin"), "", false);
        cr_expect(slice_equal(text.text, fixture(found[i], "txt")), "%s was read as %s", found[i],
                  text.label);
    }
}

Test(charset, a_byte_order_mark_beats_every_declaration_and_is_dropped)
{
    struct charset_text text = decode_string("\xef\xbb\xbfgr\xc3\xbcn", "windows-1251");
    cr_expect_str_eq(text.label, "utf-8");
    cr_expect(slice_equal(text.text, slice_string("gr\xc3\xbcn")));
    text = decode(slice_of("\xff\xfe"
                           "a\0b\0",
                           6),
                  "utf-8", true);
    cr_expect_str_eq(text.label, "utf-16le");
    cr_expect(slice_equal(text.text, slice_string("ab")));
    text = decode(slice_of("\xfe\xff\0a\0b", 6), "", true);
    cr_expect_str_eq(text.label, "utf-16be");
    text = decode(slice_of("\xef\xbb\xbf", 3), "", true);
    cr_expect_eq(text.text.size, 0, "a mark alone is an empty text");
}

Test(charset, the_header_beats_the_meta_element)
{
    struct slice page = slice_string("<meta charset=windows-1251><p>\xe4");
    cr_expect_str_eq(decode(page, "windows-1252", true).label, "windows-1252");
    cr_expect_str_eq(decode(page, "", true).label, "windows-1251");
    cr_expect_str_eq(decode(page, "no-such-charset", true).label, "windows-1251");
    struct slice late = slice_of(arena_alloc(&arena, 3000), 3000);
    memset((uint8_t *)(uintptr_t)late.data, ' ', 2000);
    memcpy((uint8_t *)(uintptr_t)late.data + 2000, page.data, page.size);
    late.size = 2000 + page.size;
    cr_expect_str_eq(decode(late, "", true).label, "windows-1251", "browsers see it too");
    cr_expect_str_neq(decode(page, "", false).label, "windows-1251", "only HTML has meta elements");
}

Test(charset, declarations_that_lie_are_found_out)
{
    struct slice russian = fixture("windows-1251", "bin");
    struct charset_text text = decode(russian, "utf-8", true);
    cr_expect_str_eq(text.label, "windows-1251", "UTF-8 was declared, %s found", text.label);
    cr_expect(slice_equal(text.text, fixture("windows-1251", "txt")));

    text = decode(fixture("utf-8", "bin"), "iso-8859-1", true);
    cr_expect_str_eq(text.label, "utf-8", "latin1 was declared, %s found", text.label);
    cr_expect_eq(text.replaced, 0);
}

Test(charset, a_few_bad_places_do_not_make_utf8_doubtful)
{
    struct charset_text text = decode_string("caf\xc3\xa9 \xff gr\xc3\xbcn \xfe", "utf-8");
    cr_expect_str_eq(text.label, "utf-8");
    cr_expect_eq(text.replaced, 2);
    /* A body cut off inside a character, nothing declared. */
    text = decode_string("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 caf\xc3", "");
    cr_expect_str_eq(text.label, "utf-8");
    cr_expect_eq(text.replaced, 1);
}

struct repair {
    const char *bytes;
    size_t size;
    const char *header;
    const char *text;
    size_t replaced;
};

#define FFFD "\xef\xbf\xbd"

/* One U+FFFD for each maximal subpart, as the standard's decoders do. */
static const struct repair repairs[] = {
    {"a\0b", 3, "utf-8", "a" FFFD "b", 1},
    {"a\0b", 3, "windows-1252", "a" FFFD "b", 1},
    {"a\0b", 3, "shift_jis", "a" FFFD "b", 1},
    {"\xc0\xaf.", 3, "utf-8", FFFD FFFD ".", 2},
    {"\xe2\x82.", 3, "utf-8", FFFD ".", 1},
    {"\xed\xa0\x80.", 4, "utf-8", FFFD FFFD FFFD ".", 3},
    {"\xf4\x90\x80\x80", 4, "utf-8", FFFD FFFD FFFD FFFD, 4},
    {"\xf0\x9f\x98", 3, "utf-8", FFFD, 1},
    {"\xf5.", 2, "utf-8", FFFD ".", 1},
    {"a\0\x3d\xd8", 4, "utf-16le", "a" FFFD, 1},
    {"\x00\xdc"
     "a\0",
     4, "utf-16le", FFFD "a", 1},
    {"a\0b", 3, "utf-16le", "a" FFFD, 1},
    {"\0\0a\0", 4, "utf-16le", FFFD "a", 1},
    {"\x81 ", 2, "shift_jis", FFFD " ", 1},
    {"\xb0", 1, "big5", FFFD, 1},
    {"\xff<p>", 4, "gbk", FFFD "<p>", 1},
    {"\x80", 1, "gbk", "\xe2\x82\xac", 0},
    {"\x81", 1, "windows-1252", "\xc2\x81", 0},
    {"\xca", 1, "windows-1255", "\xd6\xba", 0},
    {"\xd2", 1, "windows-1253", FFFD, 1},
    {"\xae\xbe", 2, "koi8-u", "\xd1\x9e\xd0\x8e", 0},
    {"\x80\xff", 2, "x-user-defined", "\xef\x9e\x80\xef\x9f\xbf", 0},
    {"\x1b$)Cabc", 7, "iso-2022-kr", FFFD, 1},
    {"\xe4", 1, "ISO-8859-1", "\xc3\xa4", 0},
};

Test(charset, replaces_what_cannot_be_read_and_counts_it)
{
    for (size_t i = 0; i < sizeof repairs / sizeof repairs[0]; i++) {
        const struct repair *row = &repairs[i];
        struct charset_text text = decode(slice_of(row->bytes, row->size), row->header, false);
        cr_expect(slice_equal(text.text, slice_string(row->text)), "row %zu gives %.*s", i,
                  (int)text.text.size, (const char *)text.text.data);
        cr_expect_eq(text.replaced, row->replaced, "row %zu: %zu", i, text.replaced);
    }
}

Test(charset, knows_the_labels_of_the_standard)
{
    static const char *const rows[][2] = {
        {"latin1", "windows-1252"},   {"ISO-8859-1", "windows-1252"},
        {" UTF8\n", "utf-8"},         {"gb2312", "gbk"},
        {"ks_c_5601-1987", "euc-kr"}, {"x-sjis", "shift_jis"},
        {"unicode", "utf-16le"},      {"866", "ibm866"},
        {"x-x-big5", "big5"},         {"us-ascii", "windows-1252"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *name = charset_name(slice_string(rows[i][0]));
        cr_assert_not_null(name, "%s", rows[i][0]);
        cr_expect_str_eq(name, rows[i][1]);
    }
    static const char *const unknown[] = {
        "",      " ",     "utf", "utf-88",
        "utf-7", "latin", "x",   "a-label-that-is-longer-than-any-in-the-standard"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        cr_expect_null(charset_name(slice_string(unknown[i])), "%s", unknown[i]);
    }
    cr_expect_null(charset_name(slice_of("utf-8\0", 6)));
}

Test(charset, leaves_good_bytes_where_they_are)
{
    struct slice bytes = slice_string("plain \xc3\xa9");
    cr_expect_eq((const void *)decode(bytes, "utf-8", false).text.data, (const void *)bytes.data);
    bytes = slice_string("plain");
    cr_expect_eq((const void *)decode(bytes, "koi8-r", false).text.data, (const void *)bytes.data);
    cr_expect_eq(decode(slice_of(NULL, 0), "", true).text.size, 0);
}

Test(charset, says_when_the_arena_is_full)
{
    struct arena small;
    static char bytes[100000];
    memset(bytes, 0xe4, sizeof bytes);
    arena_init(&small, 1000);
    struct charset_text text = {.label = "untouched"};
    static const char *const labels[] = {"windows-1251", "gbk", "utf-16le", "utf-8"};
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        cr_expect_eq(charset_decode(&small, slice_of(bytes, sizeof bytes), slice_string(labels[i]),
                                    false, &text),
                     ERROR_NO_MEMORY);
    }
    cr_expect_str_eq(text.label, "untouched");
    arena_release(&small);
}

Test(charset, random_bytes_come_out_as_valid_text_in_every_encoding)
{
    static uint8_t bytes[3000];
    uint32_t state = 7;
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        for (int round = 0; round < 20; round++) {
            for (size_t k = 0; k < sizeof bytes; k++) {
                state = state * 1664525 + 1013904223;
                bytes[k] = (uint8_t)(state >> 24 | (round % 2 == 0 ? 0x80 : 0));
            }
            decode(slice_of(bytes, sizeof bytes - (size_t)round), encodings[i], true);
            arena_clear(&arena);
        }
    }
}

Test(charset, prepares_every_converter)
{
    cr_expect_eq(charset_prepare(), 0);
    cr_expect_eq(charset_prepare(), 0, "a second call opens nothing new");
}

/* ---- html5lib's vectors: "#data", bytes, "#encoding", a label ------------------------------ */

static const char *
find_mark(const char *from, const char *end, const char *mark)
{
    return memmem(from, (size_t)(end - from), mark, strlen(mark));
}

/* Runs one file; returns how many cases agree. */
static size_t
run_vectors(const char *path, size_t *ret_cases)
{
    struct slice file = read_whole(path);
    if (file.size == 0) {
        cr_skip_test("no vectors here");
    }
    const char *at = (const char *)file.data;
    const char *end = at + file.size;
    size_t agreed = 0;
    size_t cases = 0;
    while ((at = find_mark(at, end, "#data\n")) != NULL) {
        at += strlen("#data\n");
        const char *mark = find_mark(at, end, "\n#encoding\n");
        cr_assert_not_null(mark);
        const char *label = mark + strlen("\n#encoding\n");
        const char *line = memchr(label, '\n', (size_t)(end - label));
        size_t label_size = (size_t)((line == NULL ? end : line) - label);
        const char *wanted = charset_name(slice_of(label, label_size));
        struct charset_text text = decode(slice_of(at, (size_t)(mark - at)), "", true);
        cases++;
        /* What nothing declares and ASCII alone fills is windows-1252 to a browser and UTF-8 to us:
         * the same text either way. */
        bool is_default = wanted != NULL && strcmp(wanted, "windows-1252") == 0 &&
                          strcmp(text.label, "utf-8") == 0 && text.replaced == 0;
        bool is_agreed = wanted != NULL && (strcmp(wanted, text.label) == 0 || is_default);
        agreed += is_agreed;
        if (!is_agreed) {
            fprintf(stderr, "wanted %.*s, got %s:\n%.*s\n", (int)label_size, label, text.label,
                    (int)(mark - at < 300 ? mark - at : 300), at);
        }
        at = label;
    }
    *ret_cases = cases;
    return agreed;
}

Test(charset, agrees_with_the_vectors_of_html5lib)
{
    static const char *const files[] = {"tests1.dat", "tests2.dat", "test-yahoo-jp.dat"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/vectors/html/encoding/%s", SHARED_DATA, files[i]);
        size_t cases;
        size_t agreed = run_vectors(path, &cases);
        cr_expect_eq(agreed, cases, "%s: %zu of %zu agree", files[i], agreed, cases);
    }
}
