/*
 * key: a public CURVE key as people pass it on: one line, `ROLE KEY NAME`.
 *
 *     worker Yx5...40 characters of Z85... fetch-1
 *
 * The same line is what `thresh keygen` writes as a public file, what a broker's list of those it
 * lets in is made of, and what its peers know the broker by (role `broker`). A comment begins
 * with #.
 *
 * A key is its own fingerprint: 32 bytes need no digest, and no two are alike.
 *
 * Bounds   KEY_NAME_BYTES_MAX a name: letters, digits and . _ @ -
 * Threads  pure functions.
 * Source   ZeroMQ RFC 32 (Z85), zmq_curve(7).
 */
#ifndef THRESH_COMMON_KEY_H
#define THRESH_COMMON_KEY_H

#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>
#include <stdint.h>

#define KEY_BYTES 32
#define KEY_TEXT_BYTES 40 /* of a key in Z85 */
#define KEY_NAME_BYTES_MAX 64
#define KEY_LINE_BYTES_MAX 256

enum key_role {
    KEY_FEEDER,
    KEY_WORKER,
    KEY_COLLECTOR,
    KEY_ADMIN,   /* everything, on every port */
    KEY_MONITOR, /* questions on the control port */
    KEY_BROKER,
    KEY_ROLE_COUNT
};

struct key_line {
    enum key_role role;
    char key[KEY_TEXT_BYTES + 1];
    char name[KEY_NAME_BYTES_MAX + 1]; /* for people; never what decides */
};

const char *key_role_name(enum key_role role);
bool key_role_parse(struct slice text, enum key_role *ret_role);

bool key_name_is_good(struct slice text);

/* ERROR_INVALID: not a key in Z85; ERROR_NOT_ALLOWED: one of the keys printed in zmq_curve(7),
 * whose secrets everybody has. */
MUST_CHECK enum error key_check(struct slice text);

/* The text of a key's bytes. */
void key_text(const uint8_t bytes[KEY_BYTES], char ret_text[KEY_TEXT_BYTES + 1]);

/*
 * Reads one line, its end taken off. ERROR_EMPTY: blank or a comment; ERROR_INVALID and
 * ERROR_NOT_ALLOWED: *ret_why (a literal, without the key) says what is wrong.
 */
MUST_CHECK enum error key_line_parse(struct slice line, struct key_line *ret_line,
                                     const char **ret_why);

/* Takes the next line, without its end, off the text. False: there is none. */
bool key_next_line(struct slice *text, struct slice *ret_line);

#endif
