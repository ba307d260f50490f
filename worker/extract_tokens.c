/*
 * Looks the words of class, id and role attributes up in their table.
 */
#include "worker/extract_page.h"

#include <string.h>
#include <xxhash.h>

#include "worker/extract_tokens_table.h"

#define TOKEN_SLOTS 2048 /* a power of two, at least four times the rows */
#define TOKEN_BYTES_MAX 40

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

static uint32_t
hash_step(uint32_t hash, uint8_t byte)
{
    return (hash ^ byte) * 16777619u;
}

#define HASH_START 2166136261u

static uint32_t
slot_of(uint32_t hash)
{
    return (hash ^ hash >> 15) & (TOKEN_SLOTS - 1);
}

struct token_table *
token_table_create(struct arena *arena)
{
    struct token_table *table = arena_alloc(arena, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof token_rows / sizeof token_rows[0]; i++) {
        uint32_t hash = HASH_START;
        for (const char *at = token_rows[i].name; *at != '\0'; at++) {
            hash = hash_step(hash, (uint8_t)*at);
        }
        uint32_t slot = slot_of(hash);
        while (table->slots[slot] != 0) {
            slot = (slot + 1) & (TOKEN_SLOTS - 1);
        }
        table->slots[slot] = (uint16_t)(i + 1);
    }
    return table;
}

/* The words seen last and the one before, as "before-last". */
struct words {
    char text[2 * TOKEN_BYTES_MAX + 2];
    size_t before_size; /* 0: there is none */
    size_t size;        /* of the last word, behind the one before and its '-' */
    uint32_t before_hash;
    uint32_t hash; /* of the last word alone */
    uint32_t pair_hash;
    uint32_t classes;
    uint32_t cancelled;
};

static const struct token_row *
token_find(const struct token_table *table, uint32_t hash, const char *text, size_t size)
{
    for (uint32_t slot = slot_of(hash); table->slots[slot] != 0;
         slot = (slot + 1) & (TOKEN_SLOTS - 1)) {
        const struct token_row *row = &token_rows[table->slots[slot] - 1];
        if (strncmp(row->name, text, size) == 0 && row->name[size] == '\0') {
            return row;
        }
    }
    return NULL;
}

static void
row_take(struct words *words, const struct token_row *row)
{
    if (row != NULL) {
        words->classes |= row->classes;
        words->cancelled |= row->cancelled;
    }
}

static void
word_finish(const struct token_table *table, struct words *words)
{
    if (words->size == 0) {
        return;
    }
    char *word = words->text + words->before_size + 1;
    row_take(words, token_find(table, words->hash, word, words->size));
    if (words->before_size > 0) {
        words->text[words->before_size] = '-';
        row_take(words, token_find(table, words->pair_hash, words->text,
                                   words->before_size + 1 + words->size));
    }
    memmove(words->text, word, words->size);
    words->before_size = words->size;
    words->before_hash = words->hash;
    words->size = 0;
}

static void
word_add(struct words *words, uint8_t byte)
{
    if (words->size == 0) {
        words->hash = HASH_START;
        words->pair_hash = hash_step(words->before_hash, '-');
    }
    if (words->size < TOKEN_BYTES_MAX) {
        words->text[words->before_size + 1 + words->size++] = (char)byte;
        words->hash = hash_step(words->hash, byte);
        words->pair_hash = hash_step(words->pair_hash, byte);
    }
}

static uint32_t
names_classes(const struct token_table *table, struct slice names)
{
    struct words words = {0};
    bool was_lower = false;
    for (size_t i = 0; i < names.size; i++) {
        uint8_t byte = names.data[i];
        bool is_upper = byte >= 'A' && byte <= 'Z';
        bool is_word = is_upper || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (!is_word) {
            word_finish(table, &words);
            if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
                words.before_size = 0; /* pairs do not reach over two classes */
            }
            was_lower = false;
            continue;
        }
        if (is_upper && was_lower) {
            word_finish(table, &words);
        }
        was_lower = !is_upper;
        word_add(&words, is_upper ? (uint8_t)(byte | 0x20) : byte);
    }
    word_finish(table, &words);
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
