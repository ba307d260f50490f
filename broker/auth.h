/*
 * auth: who may say what to the broker: a table of public keys, each with a role.
 *
 * The table comes from a file with a line `ROLE KEY NAME` a key (common/key.h). A role opens doors,
 * and through a door it may send what the protocol gives to that kind of peer:
 *
 *     role       doors    may send
 *     feeder     feed     what a feeder sends
 *     worker     work     what a worker sends
 *     collector  collect  what a collector sends
 *     admin      all      everything, every control verb
 *     monitor    control  the verbs that only ask: status, workers, hosts, dead
 *
 * What is not in the table is refused. Decides only; its callers answer and log.
 *
 * Bounds   AUTH_KEYS_MAX keys; AUTH_FILE_BYTES_MAX the file. A look-up takes log2(keys) steps.
 * Threads  one owner, the broker's loop.
 */
#ifndef THRESH_BROKER_AUTH_H
#define THRESH_BROKER_AUTH_H

#include "broker/roster.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/key.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_KEYS_MAX 100000
#define AUTH_FILE_BYTES_MAX ((size_t)16 << 20)

struct auth;

enum auth_answer {
    AUTH_ALLOWED,
    AUTH_UNKNOWN_KEY, /* never listed, or revoked */
    AUTH_WRONG_DOOR,  /* the role has no business at this port */
    AUTH_WRONG_TYPE,
    AUTH_WRONG_VERB,
};

/* What a header says, as far as it can be read. */
struct auth_message {
    bool is_readable; /* else the rest is zero, and the core will refuse it */
    enum message_type type;
    uint64_t sequence;
    struct slice verb;      /* of a REQUEST; points into the header */
    struct slice arguments; /* likewise, msgpack */
};

/* ERROR_CONFIG, ERROR_NOT_ALLOWED (the file's mode or owner), ERROR_NO_MEMORY: *ret_message
 * (malloc'd) says what, with the line. */
MUST_CHECK enum error auth_create(const char *path, struct auth **ret_auth, char **ret_message);
void auth_destroy(struct auth *auth);

/* Reads the file again. All of it counts from now on, or, after an error, nothing of it. */
MUST_CHECK enum error auth_reload(struct auth *auth, char **ret_message);

size_t auth_count(const struct auth *auth);

/* The key's line, or NULL. Valid until auth_reload(). */
const struct key_line *auth_find(const struct auth *auth, struct slice key);

void auth_read(struct slice header, struct auth_message *ret_message);

/* Whether the owner of a key may send a message at a door. A message that cannot be read is
 * allowed to whom the door is for. */
enum auth_answer auth_check(const struct auth *auth, enum role door, struct slice key,
                            const struct auth_message *message);

/* A verb that changes something (one that is not known to only ask). */
bool auth_is_act(const struct auth_message *message);

/* "unknown_key" and so on, for logs; and a sentence for the peer. */
const char *auth_answer_name(enum auth_answer answer);
const char *auth_answer_text(enum auth_answer answer);

#endif
