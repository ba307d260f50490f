/*
 * A reader of JSON-LD as it is found: lists, @graph, comments around it, trailing commas, control
 * characters in strings. It builds nothing: objects on the way down keep what they saw, and give it
 * away when they end and their type is known.
 */
#include "worker/extract_metadata.h"

#include <string.h>

#include "worker/blocks.h"

enum key {
    KEY_NONE,
    KEY_TOP, /* of the outermost value, of @graph and of mainEntity */
    KEY_TYPE,
    KEY_HEADLINE,
    KEY_NAME,
    KEY_PUBLISHED,
    KEY_CREATED,
    KEY_MODIFIED,
    KEY_DESCRIPTION,
    KEY_SECTION,
    KEY_BODY,
    KEY_AUTHOR,
    KEY_PUBLISHER,
    KEY_IMAGE,
    KEY_URL,
    KEY_COUNT
};

struct key_row {
    const char *name;
    enum key key;
};

static const struct key_row key_rows[] = {
    {"@graph", KEY_TOP},
    {"mainEntity", KEY_TOP},
    {"@type", KEY_TYPE},
    {"headline", KEY_HEADLINE},
    {"name", KEY_NAME},
    {"datePublished", KEY_PUBLISHED},
    {"dateCreated", KEY_CREATED},
    {"dateModified", KEY_MODIFIED},
    {"description", KEY_DESCRIPTION},
    {"articleSection", KEY_SECTION},
    {"articleBody", KEY_BODY},
    {"author", KEY_AUTHOR},
    {"creator", KEY_AUTHOR},
    {"publisher", KEY_PUBLISHER},
    {"image", KEY_IMAGE},
    {"url", KEY_URL},
};

#define FRAME_AUTHORS_MAX 8
#define VALUE_BYTES_MAX (1u << 20) /* an articleBody may be long */

struct frame {
    bool is_array;
    enum key entered_by; /* the key whose value this is; lists hand theirs on */
    enum key key;        /* of the member being read */
    struct slice values[KEY_COUNT];
    struct slice authors[FRAME_AUTHORS_MAX];
    size_t author_count;
};

struct jsonld {
    struct metadata *metadata;
    const uint8_t *at;
    const uint8_t *end;
    struct buffer scratch;
    size_t depth;
    struct frame frames[JSONLD_DEPTH_MAX];
};

static enum key
key_find(struct slice name)
{
    for (size_t i = 0; i < sizeof key_rows / sizeof key_rows[0]; i++) {
        size_t size = strlen(key_rows[i].name);
        if (name.size == size && memcmp(name.data, key_rows[i].name, size) == 0) {
            return key_rows[i].key;
        }
    }
    return KEY_NONE;
}

static int
hex_read(const uint8_t *at, const uint8_t *end)
{
    int value = 0;
    if (end - at < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t lower = (uint8_t)(at[i] | 0x20);
        if (at[i] >= '0' && at[i] <= '9') {
            value = value * 16 + at[i] - '0';
        } else if (lower >= 'a' && lower <= 'f') {
            value = value * 16 + lower - 'a' + 10;
        } else {
            return -1;
        }
    }
    return value;
}

static void
code_append(struct buffer *out, unsigned code)
{
    if (code < 0x80) {
        buffer_append_byte(out, (uint8_t)code);
    } else if (code < 0x800) {
        buffer_append_byte(out, (uint8_t)(0xC0 | code >> 6));
        buffer_append_byte(out, (uint8_t)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        buffer_append_byte(out, (uint8_t)(0xE0 | code >> 12));
        buffer_append_byte(out, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
        buffer_append_byte(out, (uint8_t)(0x80 | (code & 0x3F)));
    } else {
        buffer_append_byte(out, (uint8_t)(0xF0 | code >> 18));
        buffer_append_byte(out, (uint8_t)(0x80 | (code >> 12 & 0x3F)));
        buffer_append_byte(out, (uint8_t)(0x80 | (code >> 6 & 0x3F)));
        buffer_append_byte(out, (uint8_t)(0x80 | (code & 0x3F)));
    }
}

/* "\u00e9" at the 'u'; a pair of surrogates is one character, half a pair is U+FFFD. */
static void
unicode_read(struct jsonld *json)
{
    int code = hex_read(json->at + 1, json->end);
    if (code < 0) {
        json->at++;
        return;
    }
    json->at += 5;
    if (code >= 0xD800 && code < 0xDC00 && json->end - json->at >= 6 && json->at[0] == '\\' &&
        json->at[1] == 'u') {
        int low = hex_read(json->at + 2, json->end);
        if (low >= 0xDC00 && low < 0xE000) {
            json->at += 6;
            code_append(&json->scratch,
                        0x10000u + (((unsigned)code - 0xD800u) << 10) + ((unsigned)low - 0xDC00u));
            return;
        }
    }
    bool is_bad = code == 0 || (code >= 0xD800 && code < 0xE000);
    code_append(&json->scratch, is_bad ? 0xFFFD : (unsigned)code);
}

/* A string at its opening quote, into the scratch buffer. False: it has no end. */
static bool
string_read(struct jsonld *json)
{
    buffer_clear(&json->scratch);
    json->at++;
    while (json->at < json->end) {
        uint8_t byte = *json->at;
        if (byte == '"') {
            json->at++;
            return true;
        }
        if (byte != '\\') {
            buffer_append_byte(&json->scratch, byte);
            json->at++;
            continue;
        }
        if (++json->at == json->end) {
            return false;
        }
        switch (*json->at) {
        case 'u':
            unicode_read(json);
            continue;
        case 'n':
        case 'r':
        case 't':
        case 'b':
        case 'f':
            buffer_append_byte(&json->scratch, *json->at == 'n' ? '\n' : ' ');
            break;
        default:
            buffer_append_byte(&json->scratch, *json->at);
        }
        json->at++;
    }
    return false;
}

static struct slice
scratch_copy(struct jsonld *json)
{
    struct buffer text;
    buffer_init(&text, VALUE_BYTES_MAX);
    /* Authors of such data often escape for HTML as well. */
    text_append(&text, buffer_slice(&json->scratch), false);
    char *copy = arena_copy(json->metadata->arena, text.data, text.size);
    struct slice slice = copy == NULL ? slice_of(NULL, 0) : slice_of(copy, text.size);
    buffer_release(&text);
    return slice;
}

static struct frame *
current(struct jsonld *json)
{
    return json->depth == 0 ? NULL : &json->frames[json->depth - 1];
}

static void
author_take(struct frame *frame, struct slice name)
{
    if (name.size > 0 && frame->author_count < FRAME_AUTHORS_MAX) {
        frame->authors[frame->author_count++] = name;
    }
}

/* A string that is the value of the frame's member, or one of its list. */
static void
value_take(struct jsonld *json)
{
    struct frame *frame = current(json);
    if (frame == NULL) {
        return;
    }
    enum key key = frame->is_array ? frame->entered_by : frame->key;
    if (key == KEY_NONE || key == KEY_TOP || key >= KEY_COUNT) {
        return;
    }
    /* A list of strings belongs to the object around it. */
    while (frame->is_array && frame > json->frames) {
        frame--;
    }
    if (key == KEY_AUTHOR) {
        author_take(frame, scratch_copy(json));
    } else if (frame->values[key].size == 0) {
        frame->values[key] = scratch_copy(json);
    }
}

static bool
slice_ends(struct slice text, const char *end)
{
    size_t size = strlen(end);
    return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

static bool
is_article_type(struct slice type)
{
    return slice_ends(type, "Article") || slice_ends(type, "BlogPosting") ||
           slice_ends(type, "Report") || slice_ends(type, "DiscussionForumPosting");
}

static bool
is_page_type(struct slice type)
{
    return slice_ends(type, "WebPage") || slice_ends(type, "Product") ||
           slice_ends(type, "QAPage") || slice_ends(type, "Question") ||
           slice_ends(type, "CollectionPage") || slice_ends(type, "ItemList") ||
           slice_ends(type, "Recipe") || slice_ends(type, "Event") ||
           slice_ends(type, "CreativeWork") || slice_ends(type, "VideoObject");
}

/* An object of the document's own level: the page, or what the page is about. */
static void
thing_finish(struct metadata *metadata, const struct frame *frame)
{
    struct slice type = frame->values[KEY_TYPE];
    if (slice_ends(type, "WebSite")) {
        metadata_offer(metadata, METADATA_SITE_NAME, TRUST_JSONLD_OTHER, frame->values[KEY_NAME]);
        return;
    }
    bool is_article = is_article_type(type);
    if (!is_article && !is_page_type(type)) {
        return;
    }
    unsigned trust = is_article ? TRUST_JSONLD_ARTICLE : TRUST_JSONLD_OTHER;
    metadata_offer(metadata, METADATA_TITLE, trust, frame->values[KEY_HEADLINE]);
    metadata_offer(metadata, METADATA_PUBLISHED, trust, frame->values[KEY_PUBLISHED]);
    metadata_offer(metadata, METADATA_PUBLISHED, trust + 1, frame->values[KEY_CREATED]);
    metadata_offer(metadata, METADATA_MODIFIED, trust, frame->values[KEY_MODIFIED]);
    metadata_offer(metadata, METADATA_SECTION, trust, frame->values[KEY_SECTION]);
    metadata_offer(metadata, METADATA_DESCRIPTION, TRUST_JSONLD_OTHER,
                   frame->values[KEY_DESCRIPTION]);
    metadata_offer(metadata, METADATA_IMAGE, TRUST_JSONLD_OTHER, frame->values[KEY_IMAGE]);
    metadata_offer(metadata, METADATA_SITE_NAME, TRUST_JSONLD_OTHER + 1,
                   frame->values[KEY_PUBLISHER]);
    metadata_offer(metadata, METADATA_KIND, slice_ends(type, "WebPage") ? TRUST_RESERVE : trust,
                   type);
    metadata_offer(metadata, METADATA_BODY, trust, frame->values[KEY_BODY]);
    if (slice_ends(type, "Product")) {
        metadata_offer(metadata, METADATA_BODY, TRUST_RESERVE, frame->values[KEY_DESCRIPTION]);
    }
    for (size_t i = 0; i < frame->author_count; i++) {
        metadata_offer_author(metadata, trust, frame->authors[i]);
    }
}

/* The nearest object around the frame that just ended. */
static struct frame *
owner_of(struct jsonld *json)
{
    struct frame *frame = current(json);
    while (frame != NULL && frame->is_array) {
        frame = frame > json->frames ? frame - 1 : NULL;
    }
    return frame;
}

static void
frame_finish(struct jsonld *json)
{
    struct frame done = json->frames[--json->depth];
    if (done.is_array) {
        return;
    }
    struct frame *owner = owner_of(json);
    switch (done.entered_by) {
    case KEY_TOP:
        thing_finish(json->metadata, &done);
        break;
    case KEY_AUTHOR:
        if (owner != NULL) {
            author_take(owner, done.values[KEY_NAME]);
        }
        break;
    case KEY_PUBLISHER:
        if (owner != NULL && owner->values[KEY_PUBLISHER].size == 0) {
            owner->values[KEY_PUBLISHER] = done.values[KEY_NAME];
        }
        break;
    case KEY_IMAGE:
        if (owner != NULL && owner->values[KEY_IMAGE].size == 0) {
            owner->values[KEY_IMAGE] = done.values[KEY_URL];
        }
        break;
    default:
        break;
    }
}

static bool
frame_start(struct jsonld *json, bool is_array)
{
    if (json->depth == JSONLD_DEPTH_MAX) {
        return false;
    }
    const struct frame *outer = current(json);
    enum key entered_by = KEY_TOP;
    if (outer != NULL) {
        entered_by = outer->is_array ? outer->entered_by : outer->key;
        /* What hangs under something that is not of interest is not either. */
        if (entered_by == KEY_TOP && outer->entered_by != KEY_TOP) {
            entered_by = KEY_NONE;
        }
    }
    json->frames[json->depth++] = (struct frame){.is_array = is_array, .entered_by = entered_by};
    return true;
}

/* After a string in an object: is it a member's name? */
static bool
is_name(struct jsonld *json)
{
    while (json->at < json->end && *json->at <= ' ') {
        json->at++;
    }
    if (json->at < json->end && *json->at == ':') {
        json->at++;
        return true;
    }
    return false;
}

static void
string_take(struct jsonld *json)
{
    struct frame *frame = current(json);
    if (frame != NULL && !frame->is_array && frame->key == KEY_NONE) {
        enum key key = key_find(buffer_slice(&json->scratch));
        if (is_name(json)) {
            /* Names that mean nothing here are marked all the same: a value follows. */
            frame->key = key == KEY_NONE ? KEY_COUNT : key;
        }
        return;
    }
    if (frame != NULL && (frame->is_array || frame->key != KEY_COUNT)) {
        value_take(json);
    }
}

void
metadata_read_jsonld(struct metadata *metadata, struct slice text)
{
    struct jsonld *json = arena_alloc(metadata->arena, sizeof *json);
    if (json == NULL) {
        return;
    }
    json->metadata = metadata;
    json->at = text.data;
    json->end = text.data + text.size;
    buffer_init(&json->scratch, text.size + 16);
    while (json->at < json->end) {
        uint8_t byte = *json->at;
        if (byte == '"') {
            if (!string_read(json)) {
                break;
            }
            string_take(json);
            continue;
        }
        json->at++;
        struct frame *frame = current(json);
        if (byte == '{' || byte == '[') {
            if (!frame_start(json, byte == '[')) {
                break;
            }
        } else if ((byte == '}' || byte == ']') && frame != NULL) {
            frame_finish(json);
        } else if (byte == ',' && frame != NULL && !frame->is_array) {
            frame->key = KEY_NONE;
        }
    }
    while (json->depth > 0) {
        frame_finish(json);
    }
    buffer_release(&json->scratch);
}
