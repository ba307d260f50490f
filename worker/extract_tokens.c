/*
 * Looks the words of class, id and role attributes up in their table.
 */
#include "worker/extract_page.h"

#include <string.h>
#include <xxhash.h>

#include "common/octets.h"
#include "worker/extract_tokens_table.h"

#define TOKEN_SLOTS 2048 /* a power of two, at least four times the rows */

#define MEMO_SLOTS 512 /* a power of two; a page has a few hundred different attributes */

/* An attribute that was looked up, and what came of it. */
struct token_memo {
    struct slice names;
    uint32_t classes;
};

struct token_table {
    uint16_t slots[TOKEN_SLOTS]; /* row number plus one */
    struct token_memo memos[MEMO_SLOTS];
};

_Static_assert(sizeof token_rows / sizeof token_rows[0] * 4 <= TOKEN_SLOTS, "the table is sparse");

/* What is known of a word without reading it byte by byte. */
struct word {
    const uint8_t *at;
    size_t size; /* 0: there is none */
    uint64_t hash;
};

/* Small letters, where a capital's bit is the only difference; digits have it already. */
#define SMALL UINT64_C(0x2020202020202020)

static uint64_t
word_hash(const uint8_t *at, size_t size)
{
    uint64_t first;
    uint64_t last;
    if (size >= 8) {
        first = octets_load(at);
        last = octets_load(at + size - 8);
    } else if (size >= 4) {
        uint32_t head;
        uint32_t tail;
        memcpy(&head, at, sizeof head);
        memcpy(&tail, at + size - sizeof tail, sizeof tail);
        first = head;
        last = tail;
    } else {
        first = (uint64_t)at[0] << 16 | (uint64_t)at[size / 2] << 8 | at[size - 1];
        last = 0;
    }
    uint64_t hash = (first | SMALL) * UINT64_C(0x9e3779b97f4a7c15) ^
                    ((last | SMALL) + size) * UINT64_C(0xc2b2ae3d27d4eb4f);
    return hash ^ hash >> 29;
}

static uint64_t
pair_hash(uint64_t before, uint64_t last)
{
    return before * UINT64_C(0x165667b19e3779f9) + last;
}

static uint32_t
slot_of(uint64_t hash)
{
    return (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (TOKEN_SLOTS - 1);
}

struct token_table *
token_table_create(struct arena *arena)
{
    struct token_table *table = arena_alloc(arena, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof token_rows / sizeof token_rows[0]; i++) {
        const uint8_t *name = (const uint8_t *)token_rows[i].name;
        size_t size = strlen(token_rows[i].name);
        const uint8_t *dash = memchr(name, '-', size);
        size_t before = dash == NULL ? 0 : (size_t)(dash - name);
        uint64_t hash = dash == NULL ? word_hash(name, size)
                                     : pair_hash(word_hash(name, before),
                                                 word_hash(dash + 1, size - before - 1));
        uint32_t slot = slot_of(hash);
        while (table->slots[slot] != 0) {
            slot = (slot + 1) & (TOKEN_SLOTS - 1);
        }
        table->slots[slot] = (uint16_t)(i + 1);
    }
    return table;
}

struct words {
    struct word before;
    uint32_t classes;
    uint32_t cancelled;
};

/* Does the name start with the word? Rows are small, and words nothing but letters and digits. */
static bool
starts_with(const char *name, const struct word *word)
{
    for (size_t i = 0; i < word->size; i++) {
        if (name[i] == '\0' || (uint8_t)name[i] != (word->at[i] | 0x20)) {
            return false;
        }
    }
    return true;
}

static bool
row_is(const struct token_row *row, const struct word *before, const struct word *last)
{
    const char *name = row->name;
    if (before != NULL) {
        if (!starts_with(name, before) || name[before->size] != '-') {
            return false;
        }
        name += before->size + 1;
    }
    return starts_with(name, last) && name[last->size] == '\0';
}

/* Takes the row of the word, or of the pair when before is not NULL. */
static void
row_take(const struct token_table *table, struct words *words, const struct word *before,
         const struct word *last)
{
    uint64_t hash = before == NULL ? last->hash : pair_hash(before->hash, last->hash);
    for (uint32_t slot = slot_of(hash); table->slots[slot] != 0;
         slot = (slot + 1) & (TOKEN_SLOTS - 1)) {
        const struct token_row *row = &token_rows[table->slots[slot] - 1];
        if (row_is(row, before, last)) {
            words->classes |= row->classes;
            words->cancelled |= row->cancelled;
            return;
        }
    }
}

static void
word_take(const struct token_table *table, struct words *words, const uint8_t *at, size_t size)
{
    struct word word = {.at = at, .size = size, .hash = word_hash(at, size)};
    row_take(table, words, NULL, &word);
    if (words->before.size > 0) {
        row_take(table, words, &words->before, &word);
    }
    words->before = word;
}

enum name_byte {
    NAME_BYTE_BREAK, /* parts words */
    NAME_BYTE_SPACE, /* parts classes: pairs do not reach over it */
    NAME_BYTE_SMALL, /* or a digit */
    NAME_BYTE_CAPITAL,
};

static const uint8_t name_bytes[256] = {
    [' '] = NAME_BYTE_SPACE,           ['\t'] = NAME_BYTE_SPACE,
    ['\n'] = NAME_BYTE_SPACE,          ['\r'] = NAME_BYTE_SPACE,
    ['0' ... '9'] = NAME_BYTE_SMALL,   ['a' ... 'z'] = NAME_BYTE_SMALL,
    ['A' ... 'Z'] = NAME_BYTE_CAPITAL,
};

static uint32_t
names_classes(const struct token_table *table, struct slice names)
{
    struct words words = {0};
    const uint8_t *at = names.data;
    const uint8_t *end = at + names.size;
    while (at < end) {
        unsigned kind = name_bytes[*at];
        if (kind < NAME_BYTE_SMALL) {
            words.before.size = kind == NAME_BYTE_SPACE ? 0 : words.before.size;
            at++;
            continue;
        }
        /* Capitals, then small letters: "Body", "XMLfeed", "body". */
        const uint8_t *start = at;
        while (at < end && name_bytes[*at] == NAME_BYTE_CAPITAL) {
            at++;
        }
        while (at < end && name_bytes[*at] == NAME_BYTE_SMALL) {
            at++;
        }
        word_take(table, &words, start, (size_t)(at - start));
    }
    return words.classes & ~words.cancelled;
}

uint32_t
token_classes(struct token_table *table, struct slice names)
{
    if (names.size == 0) {
        return 0;
    }
    struct token_memo *memo = &table->memos[XXH3_64bits(names.data, names.size) & (MEMO_SLOTS - 1)];
    if (!slice_equal(memo->names, names)) {
        *memo = (struct token_memo){.names = names, .classes = names_classes(table, names)};
    }
    return memo->classes;
}
