/*
 * Most bytes of a page are scripts, styles, comments and attributes: the tokenizer jumps from '<'
 * to
 * '<' with memchr and leaves attributes unread until somebody asks for them.
 */
#include "worker/html.h"

#include <assert.h>
#include <string.h>

#include "worker/html_tags_table.h"

struct tag_row {
    const char *name;
    uint8_t name_size;
    uint16_t flags;
};

/* The rows of html_tags.def write their flags without the prefix. */
enum {
    NONE = HTML_NONE,
    VOID = HTML_VOID,
    RAW = HTML_RAW,
    BLOCK = HTML_BLOCK,
    CLOSES_P = HTML_CLOSES_P,
    SPECIAL = HTML_SPECIAL,
    SCOPE = HTML_SCOPE,
    FORMATTING = HTML_FORMATTING,
    HEAD = HTML_HEAD,
    HEADING = HTML_HEADING,
    BREAKOUT = HTML_BREAKOUT,
    TABLE = HTML_TABLE,
};

static const struct tag_row tag_rows[HTML_TAG_COUNT] = {
    [HTML_TAG_OTHER] = {"", 0, 0},
    [HTML_TAG_TEXT] = {"", 0, 0},
#define TAG(upper, name, flags) [HTML_TAG_##upper] = {name, sizeof(name) - 1, flags},
#include "worker/html_tags.def"
#undef TAG
};

static_assert(HTML_TAG_COUNT <= UINT8_MAX, "tag_slots holds bytes");

#define SPACES " \t\n\r\f"

unsigned
html_tag_flags(unsigned tag)
{
    assert(tag < HTML_TAG_COUNT);
    return tag_rows[tag].flags;
}

const char *
html_tag_name(unsigned tag)
{
    assert(tag < HTML_TAG_COUNT);
    return tag_rows[tag].name;
}

static inline bool
is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r' && byte != '\v');
}

/* Bytes that end the name of a tag, and of an attribute: a space, '/', '>', and '=' for the second.
 */
enum name_end {
    NAME_END_TAG = 1,
    NAME_END_ATTRIBUTE = 2,
};

static const uint8_t name_ends[256] = {
    [' '] = 3, ['\t'] = 3, ['\n'] = 3, ['\f'] = 3, ['\r'] = 3, ['/'] = 3, ['>'] = 3, ['='] = 2,
};

static inline uint8_t
lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static inline bool
is_letter(uint8_t byte)
{
    uint8_t folded = (uint8_t)(byte | 0x20);
    return folded >= 'a' && folded <= 'z';
}

bool
html_name_is(struct slice name, const char *lower_name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (lower_name[i] == '\0' || lower(name.data[i]) != (uint8_t)lower_name[i]) {
            return false;
        }
    }
    return lower_name[name.size] == '\0';
}

#define TAG_NAME_BYTES_MAX 14

/* Finds the element of a name, and for one without a row a hash of its name. */
static uint16_t
tag_find(const uint8_t *name, uint32_t size, uint16_t *ret_hash)
{
    if (size <= TAG_NAME_BYTES_MAX) {
        uint64_t key = 0;
        for (uint32_t i = 0; i < size && i < 8; i++) {
            key |= (uint64_t)lower(name[i]) << (8 * i);
        }
        key ^= (uint64_t)size << 56;
        uint8_t tag = tag_slots[(key * TAG_FACTOR) >> (64 - TAG_SLOT_BITS)];
        if (tag_rows[tag].name_size == size &&
            html_name_is(slice_of(name, size), tag_rows[tag].name)) {
            *ret_hash = 0;
            return tag;
        }
    }
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < size; i++) {
        hash = (hash ^ lower(name[i])) * 16777619u;
    }
    *ret_hash = (uint16_t)(hash >> 16);
    return HTML_TAG_OTHER;
}

/* The byte behind an attribute that starts at `at`, which is no space, '/' or '>'. */
static const uint8_t *
attribute_read(const uint8_t *at, const uint8_t *end, struct html_attribute *ret_attribute)
{
    const uint8_t *name = at;
    at++; /* a '=' here belongs to the name */
    while (at < end && !(name_ends[*at] & NAME_END_ATTRIBUTE)) {
        at++;
    }
    ret_attribute->name = slice_of(name, (size_t)(at - name));
    ret_attribute->value = slice_of(NULL, 0);
    const uint8_t *after = at;
    while (after < end && is_space(*after)) {
        after++;
    }
    if (after == end || *after != '=') {
        return at;
    }
    after++;
    while (after < end && is_space(*after)) {
        after++;
    }
    if (after == end || *after == '>') {
        return after;
    }
    if (*after == '"' || *after == '\'') {
        const uint8_t *close = memchr(after + 1, *after, (size_t)(end - after - 1));
        if (close == NULL) {
            ret_attribute->value = slice_of(after + 1, (size_t)(end - after - 1));
            return end;
        }
        ret_attribute->value = slice_of(after + 1, (size_t)(close - after - 1));
        return close + 1;
    }
    const uint8_t *value = after;
    while (after < end && !is_space(*after) && *after != '>') {
        after++;
    }
    ret_attribute->value = slice_of(value, (size_t)(after - value));
    return after;
}

static struct slice
value_or_empty(struct slice value)
{
    return value.data == NULL ? slice_of("", 0) : value;
}

struct slice
html_attribute_known(const struct html_document *document, uint32_t node,
                     enum html_attribute_name known)
{
    const struct html_node *element = &document->nodes[node];
    for (uint32_t i = 0; i < element->attribute_count; i++) {
        if (document->attributes[element->first_attribute + i].known == known) {
            return value_or_empty(html_attribute_at(document, element->first_attribute + i).value);
        }
    }
    return slice_of(NULL, 0);
}

struct slice
html_attribute(const struct html_document *document, uint32_t node, const char *name)
{
    struct html_attributes attributes;
    struct html_attribute attribute;
    html_attributes_init(&attributes, document, node);
    while (html_attributes_next(&attributes, &attribute)) {
        if (html_name_is(attribute.name, name)) {
            return value_or_empty(attribute.value);
        }
    }
    return slice_of(NULL, 0);
}

/* Told by length and first letter, then compared. */
static enum html_attribute_name
name_known(struct slice name)
{
    static const char *const names[] = {
        [HTML_ATTRIBUTE_ID] = "id",
        [HTML_ATTRIBUTE_REL] = "rel",
        [HTML_ATTRIBUTE_HREF] = "href",
        [HTML_ATTRIBUTE_ROLE] = "role",
        [HTML_ATTRIBUTE_CLASS] = "class",
        [HTML_ATTRIBUTE_STYLE] = "style",
        [HTML_ATTRIBUTE_HIDDEN] = "hidden",
        [HTML_ATTRIBUTE_ITEMPROP] = "itemprop",
        [HTML_ATTRIBUTE_ARIA_HIDDEN] = "aria-hidden",
    };
    static const uint8_t by_size[] = {
        [2] = HTML_ATTRIBUTE_ID,           [3] = HTML_ATTRIBUTE_REL,
        [4] = HTML_ATTRIBUTE_HREF,         [5] = HTML_ATTRIBUTE_CLASS,
        [6] = HTML_ATTRIBUTE_HIDDEN,       [8] = HTML_ATTRIBUTE_ITEMPROP,
        [11] = HTML_ATTRIBUTE_ARIA_HIDDEN,
    };
    unsigned known = name.size < sizeof by_size ? by_size[name.size] : HTML_ATTRIBUTE_OTHER;
    uint8_t first = lower(name.data[0]);
    /* Two lengths have two names. */
    if (known == HTML_ATTRIBUTE_HREF && first == 'r') {
        known = HTML_ATTRIBUTE_ROLE;
    } else if (known == HTML_ATTRIBUTE_CLASS && first == 's') {
        known = HTML_ATTRIBUTE_STYLE;
    }
    bool is_known = known != HTML_ATTRIBUTE_OTHER && first == (uint8_t)names[known][0] &&
                    html_name_is(name, names[known]);
    return is_known ? (enum html_attribute_name)known : HTML_ATTRIBUTE_OTHER;
}

static void
attribute_note(struct html_tokenizer *tokenizer, struct html_token *token,
               const struct html_attribute *attribute)
{
    if (token->attribute_count >= tokenizer->attribute_room) {
        return;
    }
    struct slice name = attribute->name;
    struct slice value = attribute->value;
    tokenizer->attributes[tokenizer->attribute_count + token->attribute_count++] =
        (struct html_attribute_span){
            .name = (uint32_t)(name.data - tokenizer->text),
            .value = value.data == NULL ? 0 : (uint32_t)(value.data - tokenizer->text),
            .value_size = (uint32_t)value.size,
            .name_size = name.size > UINT16_MAX ? UINT16_MAX : (uint16_t)name.size,
            .known = (uint16_t)name_known(name),
        };
}

/* Steps over a comment or declaration at '<'; the position is behind it. */
static void
comment_skip(struct html_tokenizer *tokenizer)
{
    const uint8_t *text = tokenizer->text;
    const uint8_t *end = text + tokenizer->size;
    const uint8_t *at = text + tokenizer->position + 1;
    if (end - at >= 3 && memcmp(at, "!--", 3) == 0) {
        at += 3;
        /* <!--> and <!---> are whole comments */
        if (at < end && *at == '>') {
            tokenizer->position = (uint32_t)(at + 1 - text);
            return;
        }
        /* "-->" or "--!>", and the dashes may be the opening's last one and another. */
        const uint8_t *first = at - 1;
        while (at < end && (at = memchr(at, '>', (size_t)(end - at))) != NULL) {
            const uint8_t *mark = at - (at[-1] == '!' ? 3 : 2);
            at++;
            if (mark >= first && mark[0] == '-' && mark[1] == '-') {
                tokenizer->position = (uint32_t)(at - text);
                return;
            }
        }
        tokenizer->position = tokenizer->size;
        return;
    }
    const uint8_t *close = memchr(at, '>', (size_t)(end - at));
    tokenizer->position = close == NULL ? tokenizer->size : (uint32_t)(close + 1 - text);
}

/* Reads the tag whose name starts at `name`; FINISH when the page ends inside it. */
static struct html_token
tag_read(struct html_tokenizer *tokenizer, uint32_t name, enum html_token_type type)
{
    const uint8_t *text = tokenizer->text;
    const uint8_t *end = text + tokenizer->size;
    const uint8_t *at = text + name;
    while (at < end && !(name_ends[*at] & NAME_END_TAG)) {
        at++;
    }
    struct html_token token = {.type = type, .start = name};
    token.tag = tag_find(text + name, (uint32_t)(at - text) - name, &token.hash);
    struct html_attribute attribute;
    while (at < end && *at != '>') {
        if (is_space(*at) || *at == '/') {
            token.is_self_closing = *at == '/';
            at++;
        } else {
            token.is_self_closing = false;
            at = attribute_read(at, end, &attribute);
            attribute_note(tokenizer, &token, &attribute);
        }
    }
    if (at == end) {
        tokenizer->position = tokenizer->size;
        return (struct html_token){.type = HTML_TOKEN_FINISH};
    }
    token.size = (uint32_t)(at - text) - name;
    tokenizer->position = (uint32_t)(at + 1 - text);
    return token;
}

static bool
is_markup(const struct html_tokenizer *tokenizer, uint32_t position)
{
    if (position + 1 >= tokenizer->size) {
        return false;
    }
    uint8_t next = tokenizer->text[position + 1];
    if (next == '/') {
        return position + 2 < tokenizer->size;
    }
    return is_letter(next) || next == '!' || next == '?';
}

/* The text up to the next markup, which starts at the position when there is none. */
static uint32_t
text_end(const struct html_tokenizer *tokenizer)
{
    uint32_t at = tokenizer->position;
    while (at < tokenizer->size) {
        const uint8_t *mark = memchr(tokenizer->text + at, '<', tokenizer->size - at);
        if (mark == NULL) {
            return tokenizer->size;
        }
        at = (uint32_t)(mark - tokenizer->text);
        if (is_markup(tokenizer, at)) {
            return at;
        }
        at++;
    }
    return tokenizer->size;
}

static bool
section_read(struct html_tokenizer *tokenizer, struct html_token *ret_token)
{
    static const char open[] = "<![CDATA[";
    const size_t open_size = sizeof open - 1;
    uint32_t left = tokenizer->size - tokenizer->position;
    if (!tokenizer->is_foreign || left < open_size ||
        memcmp(tokenizer->text + tokenizer->position, open, open_size) != 0) {
        return false;
    }
    uint32_t start = tokenizer->position + (uint32_t)open_size;
    const uint8_t *close = memmem(tokenizer->text + start, tokenizer->size - start, "]]>", 3);
    uint32_t end = close == NULL ? tokenizer->size : (uint32_t)(close - tokenizer->text);
    tokenizer->position = close == NULL ? tokenizer->size : end + 3;
    *ret_token = (struct html_token){
        .type = HTML_TOKEN_TEXT, .tag = HTML_TAG_TEXT, .start = start, .size = end - start};
    return true;
}

struct html_token
html_token_next(struct html_tokenizer *tokenizer)
{
    while (tokenizer->position < tokenizer->size) {
        uint32_t start = tokenizer->position;
        uint32_t end = text_end(tokenizer);
        if (end > start) {
            tokenizer->position = end;
            return (struct html_token){
                .type = HTML_TOKEN_TEXT, .tag = HTML_TAG_TEXT, .start = start, .size = end - start};
        }
        uint8_t next = tokenizer->text[start + 1];
        if (is_letter(next)) {
            return tag_read(tokenizer, start + 1, HTML_TOKEN_START);
        }
        if (next == '/' && is_letter(tokenizer->text[start + 2])) {
            return tag_read(tokenizer, start + 2, HTML_TOKEN_END);
        }
        struct html_token token;
        if (section_read(tokenizer, &token)) {
            return token;
        }
        comment_skip(tokenizer);
    }
    return (struct html_token){.type = HTML_TOKEN_FINISH};
}

/* Is there `name` and then the end of a tag name at `at`? */
static bool
name_at(const uint8_t *at, const uint8_t *end, const char *name, size_t size)
{
    if ((size_t)(end - at) <= size || !html_name_is(slice_of(at, size), name)) {
        return false;
    }
    return is_space(at[size]) || at[size] == '/' || at[size] == '>';
}

/*
 * A script may hold "<!-- <script> ... </script> -->", whose inner end tag does not end it
 * (script data double escaped). Tells whether the end tag at `at` counts, given what lies between
 * the last look and it.
 */
struct escape {
    bool is_commented;
    bool is_doubled;
};

static void
escape_step(struct escape *escape, const uint8_t *from, const uint8_t *at, const uint8_t *end)
{
    if (escape->is_commented && memmem(from, (size_t)(at - from), "-->", 3) != NULL) {
        *escape = (struct escape){0};
    }
    if (end - at >= 4 && memcmp(at, "<!--", 4) == 0) {
        escape->is_commented = true;
    } else if (escape->is_commented && name_at(at + 1, end, "script", 6)) {
        escape->is_doubled = true;
    }
}

struct html_token
html_token_raw(struct html_tokenizer *tokenizer, unsigned tag)
{
    const uint8_t *text = tokenizer->text;
    const uint8_t *end = text + tokenizer->size;
    const uint8_t *start = text + tokenizer->position;
    const uint8_t *at = start;
    const uint8_t *from = start;
    struct escape escape = {0};
    struct html_token token = {
        .type = HTML_TOKEN_TEXT, .tag = HTML_TAG_TEXT, .start = tokenizer->position};
    while (at < end) {
        const uint8_t *mark = memchr(at, '<', (size_t)(end - at));
        if (mark == NULL) {
            break;
        }
        if (tag == HTML_TAG_SCRIPT) {
            escape_step(&escape, from, mark, end);
            from = mark;
        }
        at = mark + 1;
        if (at < end && *at == '/' &&
            name_at(at + 1, end, tag_rows[tag].name, tag_rows[tag].name_size)) {
            if (escape.is_doubled) {
                escape.is_doubled = false;
                continue;
            }
            token.size = (uint32_t)(mark - start);
            tokenizer->position = (uint32_t)(mark - text);
            /* Attributes of an end tag mean nothing, but may hold a '>'. */
            tag_read(tokenizer, tokenizer->position + 2, HTML_TOKEN_END);
            return token;
        }
    }
    return html_token_rest(tokenizer);
}

struct html_token
html_token_rest(struct html_tokenizer *tokenizer)
{
    uint32_t start = tokenizer->position;
    tokenizer->position = tokenizer->size;
    return (struct html_token){.type = HTML_TOKEN_TEXT,
                               .tag = HTML_TAG_TEXT,
                               .start = start,
                               .size = tokenizer->size - start};
}
