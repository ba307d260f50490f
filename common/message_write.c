/* The writer's half of message.h, and the table of message types. */
#include "common/message.h"

#include <msgpack.h>

#include "common/utf8.h"

static const struct {
    const char *name; /* NULL: no such message */
    enum message_sender sender;
} types[] = {
#define MESSAGE(upper, number, from, payload, text) [number] = {#upper, MESSAGE_SENDER_##from},
#include "common/messages.def"
#undef MESSAGE
};

#define TYPES_COUNT (sizeof(types) / sizeof(types[0]))

bool
message_type_parse(uint64_t number, enum message_type *ret_type)
{
    if (number >= TYPES_COUNT || types[number].name == NULL) {
        return false;
    }
    *ret_type = (enum message_type)number;
    return true;
}

const char *
message_type_name(enum message_type type)
{
    size_t number = (size_t)type;

    return number < TYPES_COUNT && types[number].name != NULL ? types[number].name : "UNKNOWN";
}

enum message_sender
message_type_sender(enum message_type type)
{
    size_t number = (size_t)type;

    return number < TYPES_COUNT ? types[number].sender : MESSAGE_SENDER_ANY;
}

/* msgpack-c calls this with each piece; the buffer keeps the error, so it is always content. */
static int
packed(void *context, const char *bytes, size_t size)
{
    buffer_append(context, bytes, size);
    return 0;
}

static inline msgpack_packer
packer_of(struct buffer *out)
{
    return (msgpack_packer){.data = out, .callback = packed};
}

/* The format counts in 32 bits; msgpack-c would cut a larger count short without a word. */
static bool
is_countable(struct buffer *out, size_t count)
{
    if (count > UINT32_MAX) {
        if (out->error == OK) {
            out->error = ERROR_TOO_LARGE;
        }
        return false;
    }
    return true;
}

void
write_nil(struct buffer *out)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_nil(&packer);
}

void
write_bool(struct buffer *out, bool value)
{
    msgpack_packer packer = packer_of(out);

    if (value) {
        msgpack_pack_true(&packer);
    } else {
        msgpack_pack_false(&packer);
    }
}

void
write_int(struct buffer *out, int64_t value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_int64(&packer, value);
}

void
write_uint(struct buffer *out, uint64_t value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_uint64(&packer, value);
}

void
write_double(struct buffer *out, double value)
{
    msgpack_packer packer = packer_of(out);

    msgpack_pack_double(&packer, value);
}

void
write_string(struct buffer *out, const char *text)
{
    write_text(out, slice_string(text));
}

/* A str whose bad bytes are replaced: the length is known only after the repair. */
static void
write_repaired(struct buffer *out, struct slice text)
{
    struct buffer repaired;

    if (out->error != OK) {
        return;
    }
    buffer_init(&repaired, out->bytes_max);
    utf8_append(&repaired, text);
    if (repaired.error == OK) {
        write_text(out, buffer_slice(&repaired));
    } else {
        out->error = repaired.error;
    }
    buffer_release(&repaired);
}

void
write_text(struct buffer *out, struct slice text)
{
    msgpack_packer packer = packer_of(out);

    if (!is_countable(out, text.size)) {
        return;
    }
    if (utf8_valid_prefix(text) < text.size) {
        write_repaired(out, text);
        return;
    }
    msgpack_pack_str(&packer, text.size);
    buffer_append(out, text.data, text.size);
}

void
write_binary(struct buffer *out, struct slice bytes)
{
    msgpack_packer packer = packer_of(out);

    if (is_countable(out, bytes.size)) {
        msgpack_pack_bin(&packer, bytes.size);
        buffer_append(out, bytes.data, bytes.size);
    }
}

void
write_array(struct buffer *out, size_t count)
{
    msgpack_packer packer = packer_of(out);

    if (is_countable(out, count)) {
        msgpack_pack_array(&packer, count);
    }
}

void
write_map(struct buffer *out, size_t pairs)
{
    msgpack_packer packer = packer_of(out);

    if (is_countable(out, pairs)) {
        msgpack_pack_map(&packer, pairs);
    }
}

void
write_raw(struct buffer *out, struct slice value)
{
    buffer_append(out, value.data, value.size);
}

void
write_header(struct buffer *out, enum message_type type, uint64_t sequence, size_t pairs)
{
    write_array(out, 4);
    write_uint(out, PROTOCOL_VERSION);
    write_uint(out, (uint64_t)type);
    write_uint(out, sequence);
    write_map(out, pairs);
}
