#include "common/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/settings_parts.h"

#define SETTINGS_VARIABLE_BYTES_MAX (SETTINGS_NAME_BYTES_MAX + 8) /* with THRESH_ */

static const struct settings_row rows[] = {
#define SETTING(member, flag, kind, text, low, high, choices, who, sentence) \
    [SETTING_##member] = {.setting = SETTING_##member,                       \
                          .name = (flag),                                    \
                          .type = SETTINGS_TYPE_##kind,                      \
                          .default_text = (text),                            \
                          .min = (low),                                      \
                          .max = (high),                                     \
                          .words = (choices),                                \
                          .programs = (who),                                 \
                          .help = (sentence)},
#include "common/settings.def"
#undef SETTING
};

static const size_t offsets[] = {
#define SETTING(member, flag, kind, text, low, high, choices, who, sentence) \
    [SETTING_##member] = offsetof(struct settings, member),
#include "common/settings.def"
#undef SETTING
};

void *
settings_member(struct settings *settings, enum setting setting)
{
    return (char *)settings + offsets[setting];
}

const void *
settings_member_const(const struct settings *settings, enum setting setting)
{
    return (const char *)settings + offsets[setting];
}

const struct settings_row *
settings_row(enum setting setting)
{
    assert((size_t)setting < SETTING_COUNT);
    return &rows[setting];
}

const struct settings_row *
settings_find(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

enum settings_origin
settings_origin(const struct settings *settings, enum setting setting)
{
    return settings->origins[setting];
}

const char *
settings_origin_name(enum settings_origin origin)
{
    static const char *const names[] = {
        [SETTINGS_FROM_DEFAULT] = "default",
        [SETTINGS_FROM_FILE] = "file",
        [SETTINGS_FROM_ENVIRONMENT] = "environment",
        [SETTINGS_FROM_FLAG] = "flag",
    };
    return names[origin];
}

static void
store_value(struct settings *settings, const struct settings_row *row, union settings_value value)
{
    void *member = settings_member(settings, row->setting);
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        *(bool *)member = value.boolean;
        break;
    case SETTINGS_TYPE_COUNT:
    case SETTINGS_TYPE_BYTES:
        *(uint64_t *)member = value.uint;
        break;
    case SETTINGS_TYPE_DURATION:
        *(int64_t *)member = value.integer;
        break;
    case SETTINGS_TYPE_CHOICE:
        *(int *)member = value.choice;
        break;
    case SETTINGS_TYPE_TEXT:
        assert(row->type != SETTINGS_TYPE_TEXT);
        break;
    }
}

void
settings_set_default(struct settings *settings, enum setting setting, const char *text)
{
    const struct settings_row *row = settings_row(setting);
    union settings_value value = {0};
    enum error error = settings_value_parse(row, slice_string(text), &value);
    assert(error == OK);
    if (settings->origins[setting] != SETTINGS_FROM_DEFAULT) {
        return;
    }
    if (row->type == SETTINGS_TYPE_TEXT) {
        *(const char **)settings_member(settings, setting) = text;
    } else {
        store_value(settings, row, value);
    }
}

void
settings_init(struct settings *settings)
{
    *settings = (struct settings){0};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        settings_set_default(settings, (enum setting)i, rows[i].default_text);
    }
}

void
settings_release(struct settings *settings)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        free(settings->owned[i]);
    }
    *settings = (struct settings){0};
}

static enum error
store_text(struct settings *settings, enum setting setting, struct slice text)
{
    char *copy = slice_copy_text(text);
    if (copy == NULL) {
        return ERROR_NO_MEMORY;
    }
    free(settings->owned[setting]);
    settings->owned[setting] = copy;
    *(const char **)settings_member(settings, setting) = copy;
    return OK;
}

enum error
settings_set(struct settings *settings, enum setting setting, struct slice text,
             enum settings_origin origin)
{
    const struct settings_row *row = settings_row(setting);
    union settings_value value = {0};
    enum error error = settings_value_parse(row, text, &value);
    if (error != OK || origin < settings->origins[setting]) {
        return error;
    }
    if (row->type == SETTINGS_TYPE_TEXT) {
        error = store_text(settings, setting, text);
    } else {
        store_value(settings, row, value);
    }
    if (error == OK) {
        settings->origins[setting] = origin;
    }
    return error;
}

void
settings_append_value(const struct settings *settings, enum setting setting, struct buffer *out)
{
    const struct settings_row *row = settings_row(setting);
    const void *member = settings_member_const(settings, setting);
    union settings_value value = {0};
    switch (row->type) {
    case SETTINGS_TYPE_BOOL:
        value.boolean = *(const bool *)member;
        break;
    case SETTINGS_TYPE_COUNT:
    case SETTINGS_TYPE_BYTES:
        value.uint = *(const uint64_t *)member;
        break;
    case SETTINGS_TYPE_DURATION:
        value.integer = *(const int64_t *)member;
        break;
    case SETTINGS_TYPE_CHOICE:
        value.choice = *(const int *)member;
        break;
    case SETTINGS_TYPE_TEXT:
        buffer_append_string(out, *(const char *const *)member);
        return;
    }
    settings_value_append(row, value, out);
}

/* gap of --gap becomes THRESH_GAP. */
static void
variable_name(const struct settings_row *row, char *ret_name)
{
    static const char prefix[] = "THRESH_";
    size_t length = strlen(row->name);
    assert(length < SETTINGS_NAME_BYTES_MAX);
    memcpy(ret_name, prefix, sizeof prefix);
    for (size_t i = 0; i <= length; i++) {
        char c = row->name[i];
        bool is_lower = c >= 'a' && c <= 'z';
        ret_name[sizeof prefix - 1 + i] = (char)(c == '-' ? '_' : is_lower ? c - 'a' + 'A' : c);
    }
}

enum error
settings_load_environment(struct settings *settings, unsigned programs, char **ret_message)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        char name[SETTINGS_VARIABLE_BYTES_MAX];
        variable_name(&rows[i], name);
        const char *text = (rows[i].programs & programs) != 0 ? getenv(name) : NULL;
        /* An empty variable is how service managers and containers say "not set". */
        if (text == NULL || text[0] == '\0') {
            continue;
        }
        struct slice value = slice_string(text);
        enum error error =
            settings_set(settings, (enum setting)i, value, SETTINGS_FROM_ENVIRONMENT);
        if (error == ERROR_NO_MEMORY) {
            return error;
        }
        if (error != OK) {
            *ret_message = settings_say_wrong(name, &rows[i], error, value);
            return ERROR_CONFIG;
        }
    }
    return OK;
}

/* A host name, an IPv4 address, or an IPv6 address with or without brackets; no port. */
static bool
host_is_good(const char *host, bool *ret_is_bare_ipv6)
{
    static const char name_bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        ".-_";
    static const char ipv6_bytes[] = "abcdefABCDEF0123456789.:";
    size_t length = strlen(host);
    *ret_is_bare_ipv6 = false;
    if (strspn(host, name_bytes) == length) {
        return true;
    }
    if (host[0] == '[') {
        return length > 2 && strspn(host + 1, ipv6_bytes) == length - 2 && host[length - 1] == ']';
    }
    const char *colon = strchr(host, ':');
    *ret_is_bare_ipv6 = true;
    return colon != NULL && strchr(colon + 1, ':') != NULL && strspn(host, ipv6_bytes) == length;
}

enum error
settings_spread_broker(struct settings *settings, char **ret_message)
{
    static const enum setting endpoints[] = {SETTING_broker_feed, SETTING_broker_work,
                                             SETTING_broker_collect, SETTING_broker_control};
    const char *host = settings->broker;
    if (host[0] == '\0') {
        return OK;
    }
    bool is_bare_ipv6;
    if (!host_is_good(host, &is_bare_ipv6)) {
        *ret_message = settings_say("broker wants a host name or address such as 10.0.0.5, not "
                                    "\"%s\"; for endpoints there are broker-feed, broker-work, "
                                    "broker-collect and broker-control",
                                    settings_quote(slice_string(host)).text);
        return settings->origins[SETTING_broker] == SETTINGS_FROM_FLAG ? ERROR_USAGE : ERROR_CONFIG;
    }
    enum settings_origin origin = settings->origins[SETTING_broker];
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct settings_row *row = &rows[endpoints[i]];
        if (settings->origins[row->setting] >= origin) {
            continue; /* said more exactly, by as good a source */
        }
        struct buffer endpoint;
        buffer_init(&endpoint, SETTINGS_VALUE_BYTES_MAX);
        buffer_printf(&endpoint, is_bare_ipv6 ? "tcp://[%s]%s" : "tcp://%s%s", host,
                      strrchr(row->default_text, ':'));
        enum error error = buffer_error(&endpoint);
        if (error == OK) {
            error = settings_set(settings, row->setting, buffer_slice(&endpoint), origin);
        }
        buffer_release(&endpoint);
        if (error == ERROR_NO_MEMORY) {
            return error;
        }
        if (error != OK) {
            *ret_message = settings_say_wrong("broker", row, error, slice_string(host));
            return ERROR_CONFIG;
        }
    }
    return OK;
}

enum error
settings_load(struct settings *settings, unsigned programs, int argc, char *const *argv,
              const struct settings_option *extra, struct settings_arguments *ret_arguments,
              char **ret_message)
{
    struct settings_arguments arguments = {0};
    enum error error =
        settings_parse_arguments(settings, programs, argc, argv, extra, &arguments, ret_message);
    if (error != OK) {
        return error;
    }
    if (!arguments.is_help && !arguments.is_version) {
        if (arguments.config == NULL) {
            const char *path = getenv("THRESH_CONFIG");
            arguments.config = path != NULL && path[0] != '\0' ? path : NULL;
        }
        if (arguments.config != NULL) {
            error = settings_load_file(settings, arguments.config, ret_message);
        }
        if (error == OK) {
            error = settings_load_environment(settings, programs, ret_message);
        }
        if (error == OK) {
            error = settings_spread_broker(settings, ret_message);
        }
    }
    if (error != OK) {
        settings_arguments_release(&arguments);
        return error;
    }
    *ret_arguments = arguments;
    return OK;
}
