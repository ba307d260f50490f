#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "common/sanitizer.h"

#define MEMORY_BYTES ((size_t)64 * 1024 * 1024)

enum verdict {
    DID_NOTHING = 0, /* the call came back with a failure, or was not made */
    SUCCEEDED = 1,
    NOT_ENTERED = 2,
};

/* Runs in the sandbox. */
typedef enum verdict attempt_fn(void);

static enum verdict
verdict(long result)
{
    return result < 0 ? DID_NOTHING : SUCCEEDED;
}

static enum verdict
try_nothing(void)
{
    return DID_NOTHING;
}

static enum verdict
try_socket(void)
{
    return verdict(socket(AF_INET, SOCK_STREAM, 0));
}

static enum verdict
try_unix_socket(void)
{
    return verdict(socket(AF_UNIX, SOCK_DGRAM, 0));
}

static enum verdict
try_open(void)
{
    return verdict(open("/etc/passwd", O_RDONLY));
}

static enum verdict
try_create(void)
{
    return verdict(open("/tmp/thresh-sandbox-test", O_CREAT | O_WRONLY, 0600));
}

static enum verdict
try_execve(void)
{
    char *const arguments[] = {(char *)(uintptr_t) "true", NULL};
    return verdict(execve("/bin/true", arguments, arguments + 1));
}

static enum verdict
try_kill_parent(void)
{
    return verdict(kill(getppid(), 0));
}

static enum verdict
try_tgkill_other(void)
{
    return verdict(syscall(SYS_tgkill, 1, 1, 0));
}

static enum verdict
try_fork(void)
{
    return verdict(syscall(SYS_fork));
}

static enum verdict
try_clone(void)
{
    return verdict(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static enum verdict
try_ptrace(void)
{
    return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static enum verdict
try_unlink(void)
{
    return verdict(unlink("/tmp/thresh-sandbox-test"));
}

static enum verdict
try_sendmsg(void)
{
    struct msghdr message = {0};
    return verdict(sendmsg(SANDBOX_FD, &message, 0));
}

static enum verdict
try_process_vm(void)
{
    return verdict(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0));
}

static enum verdict
try_executable_memory(void)
{
    void *memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? DID_NOTHING : SUCCEEDED;
}

static enum verdict
try_make_executable(void)
{
    static char page[8192] __attribute__((aligned(4096)));
    return verdict(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static enum verdict
try_other_descriptors(void)
{
    char byte;
    for (int fd = SANDBOX_FD + 1; fd < 1024; fd++) {
        if (read(fd, &byte, 1) >= 0 || errno != EBADF) {
            return SUCCEEDED;
        }
    }
    return read(STDIN_FILENO, &byte, 1) == 0 ? DID_NOTHING : SUCCEEDED; /* /dev/null */
}

#if !IS_SANITIZED
static enum verdict
try_memory(void)
{
    void *volatile block = malloc(2 * MEMORY_BYTES); /* volatile: or it is optimized away */
    return block == NULL ? DID_NOTHING : SUCCEEDED;
}
#endif

static enum verdict
try_work(void)
{
    char *memory = malloc(MEMORY_BYTES / 4);
    if (memory == NULL) {
        return SUCCEEDED; /* the failure of this row */
    }
    memset(memory, 1, MEMORY_BYTES / 4);
    bool is_written = write(SANDBOX_FD, memory, 100) == 100;
    free(memory);
    return is_written ? DID_NOTHING : SUCCEEDED;
}

struct row {
    const char *name;
    attempt_fn *attempt;
    int signal; /* that ends it; 0: it ends by itself, having done nothing */
};

static const struct row rows[] = {
    {"nothing", try_nothing, 0},
    {"allocate, read and write", try_work, 0},
    {"use a descriptor of before", try_other_descriptors, 0},
#if !IS_SANITIZED
    {"take more memory than allowed", try_memory, 0},
    {"open a file", try_open, SIGSYS},
    {"create a file", try_create, SIGSYS},
#else
    {"open a file", try_open, 0}, /* the call is allowed, Landlock refuses */
    {"create a file", try_create, 0},
#endif
    {"make a socket", try_socket, SIGSYS},
    {"make a Unix socket", try_unix_socket, SIGSYS},
    {"run a program", try_execve, SIGSYS},
    {"signal its parent", try_kill_parent, SIGSYS},
    {"signal another process", try_tgkill_other, SIGSYS},
    {"fork", try_fork, SIGSYS},
    {"clone", try_clone, SIGSYS},
    {"be traced", try_ptrace, SIGSYS},
    {"remove a file", try_unlink, SIGSYS},
    {"pass a descriptor", try_sendmsg, SIGSYS},
    {"read another process", try_process_vm, SIGSYS},
    {"map memory to run", try_executable_memory, SIGSYS},
    {"make memory run", try_make_executable, SIGSYS},
};

/* The status of a process that made the attempt in the sandbox. */
static int
attempt_status(attempt_fn *attempt)
{
    int pair[2];
    int status;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        if (sandbox_follow_parent(self) != OK || sandbox_keep_only(pair[1]) != OK ||
            sandbox_enter(MEMORY_BYTES, false) != OK) {
            _exit(NOT_ENTERED);
        }
        _exit((int)attempt());
    }
    cr_assert(pid > 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    close(pair[0]);
    close(pair[1]);
    return status;
}

static void
skip_without_kernel(void)
{
    struct sandbox_support support = sandbox_probe();
    if (support.landlock_abi == 0 || !support.has_seccomp) {
        cr_skip_test("this kernel has no Landlock or no seccomp");
    }
}

Test(sandbox, lets_a_process_work_and_do_nothing_else)
{
    skip_without_kernel();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = attempt_status(rows[i].attempt);
        if (rows[i].signal == 0) {
            cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == DID_NOTHING, "%s: status %x",
                      rows[i].name, status);
        } else {
            cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == rows[i].signal, "%s: status %x",
                      rows[i].name, status);
        }
    }
}

Test(sandbox, says_what_the_kernel_has)
{
    static const struct {
        struct sandbox_support support;
        const char *text;
    } cases[] = {
        {{7, true}, "landlock 7, seccomp"},
        {{0, true}, "no landlock, seccomp"},
        {{2, false}, "landlock 2, no seccomp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        sandbox_describe(&cases[i].support, text, sizeof text);
        cr_expect_str_eq(text, cases[i].text);
    }
}

Test(sandbox, a_process_whose_parent_is_gone_does_not_start)
{
    cr_expect_eq(sandbox_follow_parent(getpid()), ERROR_IO, "we are not our own parent");
}
