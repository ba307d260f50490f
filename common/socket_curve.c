#include "common/socket_curve.h"

#include <assert.h>
#include <string.h>

#include <zmq.h>

#include "common/keys.h"

/* zmq.h of 4.3.4 names it in its drafts only; the library takes it all the same. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

static bool
set_text(void *handle, int name, const char *text)
{
    return zmq_setsockopt(handle, name, text, strlen(text)) == 0;
}

static bool
set_integer(void *handle, int name, int value)
{
    return zmq_setsockopt(handle, name, &value, sizeof value) == 0;
}

/* Keys in Z85 are given with their end. */
static bool
set_key(void *handle, int name, const char *key)
{
    return zmq_setsockopt(handle, name, key, KEY_TEXT_BYTES + 1) == 0;
}

bool
socket_curve_set(void *handle, const struct socket_options *options)
{
    const struct keys *keys = options->keys;
    if (options->role == SOCKET_ROUTER) {
        assert(options->zap_domain != NULL && options->zap_domain[0] != '\0');
        return set_text(handle, ZMQ_ZAP_DOMAIN, options->zap_domain) &&
               set_integer(handle, ZMQ_ZAP_ENFORCE_DOMAIN, 1) &&
               set_integer(handle, ZMQ_CURVE_SERVER, 1) &&
               set_key(handle, ZMQ_CURVE_SECRETKEY, keys_secret(keys));
    }
    return set_key(handle, ZMQ_CURVE_SERVERKEY, keys_broker(keys)) &&
           set_key(handle, ZMQ_CURVE_PUBLICKEY, keys_public(keys)) &&
           set_key(handle, ZMQ_CURVE_SECRETKEY, keys_secret(keys));
}

void
socket_curve_user(void *last_frame, char ret_user[KEY_TEXT_BYTES + 1])
{
    const char *user = zmq_msg_gets(last_frame, "User-Id");
    /* Our handler gives keys only; anything else is nobody. */
    if (user == NULL || strlen(user) != KEY_TEXT_BYTES) {
        ret_user[0] = '\0';
        return;
    }
    memcpy(ret_user, user, KEY_TEXT_BYTES + 1);
}
