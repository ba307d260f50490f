#include "pool_extractor.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/message.h"
#include "worker/charset.h"
#include "worker/sandbox.h"

struct order {
    const char *word;
    enum outcome (*obey)(struct arena *arena, struct slice rest, struct buffer *out,
                         size_t *ret_pairs);
};

#define ORDER(name)                                                                             \
    static enum outcome obey_##name(                                                            \
        struct arena *arena __attribute__((unused)), struct slice rest __attribute__((unused)), \
        struct buffer *out __attribute__((unused)), size_t *ret_pairs __attribute__((unused)))

ORDER(crash)
{
    raise(SIGSEGV);
    return OUTCOME_OK;
}

ORDER(abort)
{
    abort();
}

ORDER(spin)
{
    volatile bool is_spinning = true;
    while (is_spinning) {
    }
    return OUTCOME_OK;
}

ORDER(block)
{
    static uint32_t word;
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    return OUTCOME_OK;
}

ORDER(eat)
{
    while (arena_alloc(arena, 1024 * 1024) != NULL) {
    }
    return OUTCOME_CHILD_MEMORY;
}

ORDER(leak)
{
    for (;;) {
        char *volatile block = malloc(1024 * 1024); /* volatile: or the optimizer takes it away */
        if (block == NULL) {
            return OUTCOME_CHILD_MEMORY;
        }
        memset(block, 1, 4096);
    }
}

ORDER(open)
{
    return open("/etc/passwd", O_RDONLY) >= 0 ? OUTCOME_OK : OUTCOME_EMPTY;
}

ORDER(socket)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? OUTCOME_OK : OUTCOME_EMPTY;
}

ORDER(exec)
{
    execl("/bin/true", "true", (char *)NULL);
    return OUTCOME_EMPTY;
}

ORDER(kill)
{
    return kill(getppid(), 0) == 0 ? OUTCOME_OK : OUTCOME_EMPTY;
}

ORDER(fork)
{
    return fork() >= 0 ? OUTCOME_OK : OUTCOME_EMPTY;
}

ORDER(exit)
{
    _exit(7);
}

ORDER(charset)
{
    const uint8_t *end = memchr(rest.data, '\n', rest.size);
    size_t size = (size_t)(end - rest.data);
    struct charset_text text;
    struct slice bytes = slice_of(end + 1, rest.size - size - 1);
    if (charset_decode(arena, bytes, slice_of(rest.data, size), false, &text) != OK) {
        return OUTCOME_CHILD_MEMORY;
    }
    write_string(out, "charset");
    write_string(out, text.label);
    write_string(out, "text");
    write_text(out, text.text);
    *ret_pairs = 2;
    return OUTCOME_OK;
}

static void
write_all(const void *data, size_t size)
{
    ssize_t done = write(SANDBOX_FD, data, size);
    (void)done;
}

/* Ways of not answering; each must be taken for a fault. */
ORDER(answer)
{
    char how[32] = "";
    memcpy(how, rest.data, rest.size < sizeof how - 1 ? rest.size : sizeof how - 1);
    *ret_pairs = 1;
    if (strcmp(how, "garbage") == 0) {
        write_all("garbage that is no frame", 24);
    } else if (strcmp(how, "huge") == 0) {
        write_all("\x10\0\0\0\xff\xff\xff\xff", 8);
    } else if (strcmp(how, "empty") == 0) {
        write_all("\0\0\0\0\0\0\0\0", 8);
    } else if (strcmp(how, "forbidden") == 0) {
        write_string(out, "task");
        write_string(out, "not yours");
    } else if (strcmp(how, "outcome") == 0) {
        write_string(out, "outcome");
        write_string(out, "ok");
    } else if (strcmp(how, "twice") == 0) {
        for (*ret_pairs = 0; *ret_pairs < 2; ++*ret_pairs) {
            write_string(out, "title");
            write_string(out, "same");
        }
    } else if (strcmp(how, "type") == 0) {
        write_string(out, "title");
        write_uint(out, 1);
    } else if (strcmp(how, "count") == 0) {
        write_string(out, "title");
        write_string(out, "but two were promised");
        *ret_pairs = 2;
    } else if (strcmp(how, "more") == 0) {
        write_string(out, "title");
        write_string(out, "but one more came");
        write_nil(out);
    } else if (strcmp(how, "length") == 0) {
        write_string(out, "title");
        buffer_append(out, "\xdb\xff\xff\xff\xff", 5);
    } else if (strcmp(how, "foreign") == 0) {
        *ret_pairs = 0;
        return OUTCOME_ROBOTS;
    }
    return OUTCOME_OK;
}

static const struct order orders[] = {
    {"crash", obey_crash},     {"abort", obey_abort},   {"spin", obey_spin},
    {"block", obey_block},     {"eat", obey_eat},       {"leak", obey_leak},
    {"open", obey_open},       {"socket", obey_socket}, {"exec", obey_exec},
    {"kill", obey_kill},       {"fork", obey_fork},     {"exit", obey_exit},
    {"charset", obey_charset}, {"answer", obey_answer},
};

enum outcome
extract_document(struct arena *arena, const struct extract_input *input, struct buffer *out,
                 size_t *ret_pairs)
{
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        size_t size = strlen(orders[i].word);
        if (input->body.size >= size && memcmp(input->body.data, orders[i].word, size) == 0) {
            size_t skip = input->body.size > size ? size + 1 : size;
            return orders[i].obey(arena, slice_of(input->body.data + skip, input->body.size - skip),
                                  out, ret_pairs);
        }
    }
    write_string(out, "text");
    write_text(out, input->body);
    write_string(out, "title");
    write_text(out, input->url);
    write_string(out, "section");
    write_text(out, input->content_type);
    write_string(out, "nofollow");
    write_bool(out, !input->has_links);
    *ret_pairs = 4;
    return OUTCOME_OK;
}
