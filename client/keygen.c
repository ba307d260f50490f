/* thresh keygen: makes a key pair. */
#include "client/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/keys.h"

#define SECRET_SUFFIX ".secret"
#define PUBLIC_SUFFIX ".public"
#define HELP_BYTES_MAX ((size_t)16 * 1024)
#define COMMENT_BYTES_MAX 256

struct keygen {
    struct key_line line;
    char *secret_path;
    char *public_path;
};

/* What the owner of a role does with its keys; %s: the secret's path. */
static const char *const next_steps[KEY_ROLE_COUNT] = {
    [KEY_FEEDER] = "  thresh feed --broker HOST --key %s --broker-key broker.public ...\n",
    [KEY_WORKER] = "  thresh worker --broker HOST --key %s --broker-key broker.public\n",
    [KEY_COLLECTOR] = "  thresh collect --broker HOST --key %s --broker-key broker.public\n",
    [KEY_ADMIN] = "  thresh status --broker HOST --key %s --broker-key broker.public\n",
    [KEY_MONITOR] = "  thresh status --broker HOST --key %s --broker-key broker.public\n",
    [KEY_BROKER] = "  thresh broker --keys %s --authorized FILE --listen-work tcp://0.0.0.0:5702\n",
};

static char *
join(const char *a, const char *b, const char *c)
{
    char *text = NULL;
    return asprintf(&text, "%s%s%s", a, b, c) < 0 ? NULL : text;
}

/* A directory gets NAME.secret and NAME.public; any other path gets the suffixes. */
static int
set_paths(struct keygen *keygen, const char *place)
{
    struct stat status;
    size_t size = strlen(place);
    bool has_slash = place[size - 1] == '/';
    if (has_slash && mkdir(place, 0700) != 0 && errno != EEXIST) {
        return cli_fail(ERROR_CONFIG, "cannot make the directory %s: %s", place, strerror(errno));
    }
    bool is_directory = stat(place, &status) == 0 && S_ISDIR(status.st_mode);
    const char *separator = is_directory ? (has_slash ? "" : "/") : "";
    char *stem = join(place, separator, is_directory ? keygen->line.name : "");
    if (stem != NULL) {
        keygen->secret_path = join(stem, SECRET_SUFFIX, "");
        keygen->public_path = join(stem, PUBLIC_SUFFIX, "");
    }
    free(stem);
    return keygen->secret_path != NULL && keygen->public_path != NULL
               ? CLI_GO_ON
               : cli_fail(ERROR_NO_MEMORY, "out of memory");
}

/* Both files or none. */
static int
write_pair(struct keygen *keygen)
{
    struct keys *keys = NULL;
    char *message = NULL;
    char comment[COMMENT_BYTES_MAX];
    const struct key_line *line = &keygen->line;
    snprintf(comment, sizeof comment, "Thresh secret key of %s %s; keep it to yourself",
             key_role_name(line->role), line->name);
    enum error error = keys_generate(&keys);
    if (error == OK) {
        memcpy(keygen->line.key, keys_public(keys), sizeof keygen->line.key);
        error = keys_write_secret(keys, keygen->secret_path, comment, &message);
    }
    if (error == OK) {
        error = keys_write_public(line, keygen->public_path, &message);
        if (error != OK) {
            unlink(keygen->secret_path); /* made a moment ago, and nobody knows it */
        }
    }
    keys_destroy(keys);
    int code = CLI_GO_ON;
    if (error != OK) {
        code = cli_fail(error, "%s", message != NULL ? message : error_text(error));
    }
    free(message);
    return code;
}

static int
print_steps(const struct keygen *keygen)
{
    struct buffer out;
    const struct key_line *line = &keygen->line;
    buffer_init(&out, HELP_BYTES_MAX);
    buffer_printf(&out, "%s    the secret key: stays on this machine, readable by its owner only\n",
                  keygen->secret_path);
    buffer_printf(&out, "%s    the public key: anybody may have it\n\n", keygen->public_path);
    if (line->role == KEY_BROKER) {
        buffer_append_string(&out, "Start the broker with it, and a file that lists who may "
                                   "connect, a line ROLE KEY NAME each:\n");
    } else {
        buffer_printf(&out,
                      "On the broker, append the public file to the list of who may connect "
                      "(--authorized),\nand have it read again:\n"
                      "  cat %s >> authorized && pkill -HUP thresh-broker\n\nThen:\n",
                      keygen->public_path);
    }
    /* Formats of a table are no literals, so the path is put in by hand. */
    const char *step = next_steps[line->role];
    const char *mark = strstr(step, "%s");
    buffer_printf(&out, "%.*s%s%s", (int)(mark - step), step, keygen->secret_path, mark + 2);
    if (line->role == KEY_BROKER) {
        buffer_printf(&out, "and give %s to its peers, for --broker-key.\n", keygen->public_path);
    }
    int code = cli_print(&out) ? EXIT_CODE_DONE : EXIT_CODE_UNEXPECTED;
    buffer_release(&out);
    return code;
}

static int
read_line(struct keygen *keygen, const char *role, const char *name)
{
    if (!key_role_parse(slice_string(role), &keygen->line.role)) {
        cli_say("there is no role '%s'; the roles are broker, feeder, worker, collector, admin, "
                "monitor",
                role);
        return EXIT_CODE_USAGE;
    }
    const char *chosen = name != NULL ? name : role;
    if (!key_name_is_good(slice_string(chosen))) {
        cli_say("'%s' is not a name; it has 1 to 64 letters, digits or . _ @ -", chosen);
        return EXIT_CODE_USAGE;
    }
    memcpy(keygen->line.name, chosen, strlen(chosen) + 1);
    return CLI_GO_ON;
}

int
verb_keygen(const struct verb *verb, int argc, char **argv)
{
    struct cli cli;
    struct keygen keygen = {0};
    const char *role = "broker";
    const char *name = NULL;
    const struct settings_option extra[] = {
        {"role", 0, "ROLE", "broker (default), feeder, worker, collector, admin or monitor", &role},
        {"name", 0, "NAME", "for people, in lists and logs; default: the role", &name},
        {0},
    };
    int code = cli_begin(&cli, verb, argc, argv, extra);
    if (code == CLI_GO_ON &&
        (cli.arguments.positional_count != 1 || cli.arguments.positional[0][0] == '\0')) {
        cli_say("name one directory or file for the new keys, such as: thresh keygen keys/");
        code = EXIT_CODE_USAGE;
    }
    if (code == CLI_GO_ON) {
        code = read_line(&keygen, role, name);
    }
    if (code == CLI_GO_ON) {
        code = set_paths(&keygen, cli.arguments.positional[0]);
    }
    if (code == CLI_GO_ON) {
        code = write_pair(&keygen);
    }
    if (code == CLI_GO_ON) {
        code = print_steps(&keygen);
    }
    free(keygen.secret_path);
    free(keygen.public_path);
    cli_end(&cli);
    return code;
}
