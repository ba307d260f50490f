/* thresh pause, resume, drain, stop: one word to the broker. */
#include "client/cli.h"

#include "client/control.h"

static enum error
print_nothing(struct slice reply, struct buffer *out)
{
    (void)reply;
    (void)out;
    return OK;
}

int
verb_steer(const struct verb *verb, int argc, char **argv)
{
    return control_show(verb, argc, argv, verb->name, print_nothing);
}
