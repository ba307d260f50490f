#include "client/base64.h"

#define NOT_A_DIGIT (-1)

static int
digit_of(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A';
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return byte - '0' + 52;
    }
    if (byte == '+' || byte == '-') {
        return 62;
    }
    return byte == '/' || byte == '_' ? 63 : NOT_A_DIGIT;
}

enum error
base64_decode(struct buffer *out, struct slice text)
{
    uint32_t bits = 0;
    unsigned count = 0; /* of digits in the present group of four */
    size_t padding = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
            continue;
        }
        if (byte == '=') {
            padding++;
            continue;
        }
        int digit = digit_of(byte);
        if (digit == NOT_A_DIGIT || padding > 0) {
            return ERROR_INVALID;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (++count == 4) {
            buffer_append_byte(out, (uint8_t)(bits >> 16));
            buffer_append_byte(out, (uint8_t)(bits >> 8));
            buffer_append_byte(out, (uint8_t)bits);
            count = 0;
        }
    }
    if (count == 1 || padding > 2 || (padding > 0 && count + padding != 4)) {
        return ERROR_INVALID;
    }
    if (count >= 2) {
        buffer_append_byte(out, (uint8_t)(bits >> (count == 2 ? 4 : 10)));
    }
    if (count == 3) {
        buffer_append_byte(out, (uint8_t)(bits >> 2));
    }
    return OK;
}
