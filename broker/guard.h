/*
 * guard: stands at the broker's doors: its own keys, the list of others', and what is said of them.
 *
 * Every message that comes through a door with keys is judged by the list as it is now, so that a
 * key that was taken off it is refused at once, also in connections that stand (libzmq 4.3.4 cannot
 * cut one peer). Refusals, loads and admins' acts are written to the log as event=audit.
 *
 * Bounds   GUARD_REFUSALS_A_SECOND lines of refusals a second, for keys on the list and for all
 * others apart, so that a flood of strangers hides no misuse; the next line has the number of those
 * held back. Threads  one owner, the broker's loop.
 */
#ifndef THRESH_BROKER_GUARD_H
#define THRESH_BROKER_GUARD_H

#include "broker/auth.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/keys.h"
#include "common/socket.h"

#define GUARD_REFUSALS_A_SECOND 20

struct guard;

enum guard_verdict {
    GUARD_PASS,
    GUARD_REFUSE,
    GUARD_EXPEL, /* refuse, and let go of the peer: its key opens this door no more */
};

/*
 * keys_path is the broker's secret file, or a directory with broker.secret and authorized in it;
 * authorized_path the list ("" for the directory's). Errors are those of keys_load() and
 * auth_create(), with *ret_message.
 */
MUST_CHECK enum error guard_open(const char *keys_path, const char *authorized_path,
                                 struct guard **ret_guard, char **ret_message);
void guard_close(struct guard *guard);

/* Reads the list again, and logs how that went; after an error the old one stays. */
void guard_reload(struct guard *guard);

const struct keys *guard_keys(const struct guard *guard);

/* Whether a key may connect at all: it is on the list. Logs a refusal. */
bool guard_knows(struct guard *guard, struct slice key, struct slice door, struct slice address);

/* Judges a message at a door with keys, or, with guard NULL, at one without: there all pass, and
 * acts are logged. The header of REFUSED is appended to refusal unless it passes. */
enum guard_verdict guard_judge(struct guard *guard, enum role door,
                               const struct socket_message *message, struct buffer *refusal);

#endif
