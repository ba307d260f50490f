/*
 * keys: the CURVE keys of one end of a wire: its own pair, and for a peer the broker's public key.
 *
 * A secret is in a file of its own, which only its owner may read:
 *
 *     # Thresh secret key of worker fetch-1; keep it to yourself
 *     secret ...40 characters of Z85...
 *
 * In memory it lies in pages of its own that are locked, left out of core files, empty in children
 * and wiped at the end, as far as the system lets us. libzmq keeps a copy with each socket, which
 * keys_forbid_core() keeps out of core files. No message of ours holds a secret.
 *
 * Threads  a struct keys is read-only after it was made.
 * Source   zmq_curve(7), zmq_curve_keypair(3); modes as OpenSSH checks them.
 */
#ifndef THRESH_COMMON_KEYS_H
#define THRESH_COMMON_KEYS_H

#include "common/buffer.h"
#include "common/error.h"
#include "common/key.h"

#include <stddef.h>

#define KEYS_SECRET_FILE_BYTES_MAX ((size_t)2048)
#define KEYS_PUBLIC_FILE_BYTES_MAX ((size_t)2048)

struct keys;

/* A new pair. ERROR_NO_MEMORY; ERROR_UNSUPPORTED: libzmq was built without CURVE. */
MUST_CHECK enum error keys_generate(struct keys **ret_keys);

/*
 * Reads a secret file, and finds its public key. Errors, each with one sentence in *ret_message
 * (malloc'd): ERROR_NOT_ALLOWED: others can read it, it is somebody else's, or it holds the secret
 * printed in zmq_curve(7); ERROR_CONFIG: not there, or not a secret file.
 */
MUST_CHECK enum error keys_load(const char *secret_path, struct keys **ret_keys,
                                char **ret_message);

/* The keys of a peer of a broker, whose public file is broker_path. *ret_keys is NULL when both
 * paths are empty or NULL: a wire without keys. ERROR_CONFIG also when only one is given. */
MUST_CHECK enum error keys_load_peer(const char *secret_path, const char *broker_path,
                                     struct keys **ret_keys, char **ret_message);
void keys_destroy(struct keys *keys);

/* Z85, each KEY_TEXT_BYTES with an end. The secret is for common/socket.c alone. */
const char *keys_public(const struct keys *keys);
const char *keys_secret(const struct keys *keys);
const char *keys_broker(const struct keys *keys); /* "" for a broker's own */

/* Writes a new secret file, mode 0600, durably. ERROR_EXISTS: the path is taken. */
MUST_CHECK enum error keys_write_secret(const struct keys *keys, const char *path,
                                        const char *comment, char **ret_message);

/* Writes a new public file: the line. */
MUST_CHECK enum error keys_write_public(const struct key_line *line, const char *path,
                                        char **ret_message);

/* Reads a public file: one line and comments. */
MUST_CHECK enum error keys_read_public(const char *path, struct key_line *ret_line,
                                       char **ret_message);

/* Reads a file of public keys that decides who is let in: ERROR_NOT_ALLOWED when others than its
 * owner, who is us or root, may write it. */
MUST_CHECK enum error keys_read_list(const char *path, size_t bytes_max, struct buffer *out,
                                     char **ret_message);

/* No core files and no debuggers of other users for this process from now on. For daemons. */
void keys_forbid_core(void);

#endif
