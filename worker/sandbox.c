#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/sanitizer.h"

#define FD_COUNT (SANDBOX_FD + 1)
#define OOM_SCORE "1000" /* the first to go when the machine runs out of memory */

/* ---- Landlock, by its raw calls: Debian 12's headers know ABI 2 only ----------------------- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif
#define LANDLOCK_VERSION_FLAG 1U

struct landlock_rights {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

struct landlock_level {
    int abi; /* the first that knows all of this */
    struct landlock_rights rights;
    size_t size; /* of the struct as that ABI knows it */
};

/* Every right that exists at each level, so that handling all of them forbids all of them. */
static const struct landlock_level landlock_levels[] = {
    {6, {(1U << 16) - 1, 3, 3}, 24}, /* abstract sockets and signals outside */
    {5, {(1U << 16) - 1, 3, 0}, 16}, /* ioctl on devices */
    {4, {(1U << 15) - 1, 3, 0}, 16}, /* bind and connect of TCP */
    {3, {(1U << 15) - 1, 0, 0}, 8},  /* truncate */
    {2, {(1U << 14) - 1, 0, 0}, 8},  /* refer */
    {1, {(1U << 13) - 1, 0, 0}, 8},
};

static int
landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
    return abi < 1 ? 0 : (int)abi;
}

static bool
landlock_enter(void)
{
    int abi = landlock_abi();
    for (size_t i = 0; i < sizeof landlock_levels / sizeof landlock_levels[0]; i++) {
        const struct landlock_level *level = &landlock_levels[i];
        if (abi < level->abi) {
            continue;
        }
        int fd = (int)syscall(SYS_landlock_create_ruleset, &level->rights, level->size, 0);
        if (fd < 0) {
            return false;
        }
        long result = syscall(SYS_landlock_restrict_self, fd, 0);
        close(fd);
        return result == 0;
    }
    return false;
}

/* ---- seccomp ------------------------------------------------------------------------------ */

/* What malloc, iconv, a read and a write need. */
static const int calls_allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(getrandom),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    /* So that abort() ends with SIGABRT and says what it was. */
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
};

/* What AddressSanitizer's own memory and its reports need on top. */
static const int calls_sanitizer[] = {
    SCMP_SYS(sigaltstack), SCMP_SYS(openat),       SCMP_SYS(open),
    SCMP_SYS(close),       SCMP_SYS(readlink),     SCMP_SYS(readlinkat),
    SCMP_SYS(fstat),       SCMP_SYS(newfstatat),   SCMP_SYS(stat),
    SCMP_SYS(lseek),       SCMP_SYS(getuid),       SCMP_SYS(sched_yield),
    SCMP_SYS(prctl),       SCMP_SYS(getrlimit),    SCMP_SYS(prlimit64),
    SCMP_SYS(uname),       SCMP_SYS(sysinfo),      SCMP_SYS(sched_getaffinity),
    SCMP_SYS(ioctl),       SCMP_SYS(nanosleep),    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(dup),         SCMP_SYS(gettimeofday), SCMP_SYS(time),
};

static bool
allow_calls(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* A call that this architecture lacks cannot be made either. */
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        if (result != 0 && result != -EDOM && calls[i] >= 0) {
            return false;
        }
    }
    return true;
}

/* Memory may be mapped and protected, but not made to run; a signal may go to ourselves. */
static bool
allow_with_arguments(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp to_self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, to_self) == 0;
}

static bool
seccomp_enter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (filter == NULL) {
        return false;
    }
    bool is_done =
        allow_calls(filter, calls_allowed, sizeof calls_allowed / sizeof calls_allowed[0]) &&
        (!IS_SANITIZED || allow_calls(filter, calls_sanitizer,
                                      sizeof calls_sanitizer / sizeof calls_sanitizer[0])) &&
        allow_with_arguments(filter) && seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 1) == 0 &&
        seccomp_load(filter) == 0;
    seccomp_release(filter);
    return is_done;
}

/* ---- the whole ---------------------------------------------------------------------------- */

struct sandbox_support
sandbox_probe(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return (struct sandbox_support){
        .landlock_abi = landlock_abi(),
        .has_seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0,
    };
}

void
sandbox_describe(const struct sandbox_support *support, char *ret_text, size_t size)
{
    const char *seccomp = support->has_seccomp ? "seccomp" : "no seccomp";
    if (support->landlock_abi > 0) {
        snprintf(ret_text, size, "landlock %d, %s", support->landlock_abi, seccomp);
    } else {
        snprintf(ret_text, size, "no landlock, %s", seccomp);
    }
}

enum error
sandbox_keep_only(int fd)
{
    /* Out of the way of the numbers that are given next. */
    int kept = fcntl(fd, F_DUPFD, FD_COUNT);
    int opened = open("/dev/null", O_RDWR);
    int null = fcntl(opened, F_DUPFD, FD_COUNT);
    if (kept < 0 || null < 0 || dup2(kept, SANDBOX_FD) < 0) {
        return ERROR_IO;
    }
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++) {
        if (!(IS_SANITIZED && i == STDERR_FILENO) && dup2(null, i) < 0) {
            return ERROR_IO;
        }
    }
    return syscall(SYS_close_range, FD_COUNT, ~0U, 0) == 0 ? OK : ERROR_IO;
}

enum error
sandbox_follow_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return ERROR_IO;
    }
    /* It may have died before the call. */
    return getppid() == parent ? OK : ERROR_IO;
}

static bool
limit(int resource, rlim_t most)
{
    struct rlimit value = {.rlim_cur = most, .rlim_max = most};
    return setrlimit((__rlimit_resource_t)resource, &value) == 0;
}

/* The address space in use: the first figure of /proc/self/statm, in pages. 0: not known. */
static size_t
address_space_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%lu", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool
set_limits(size_t memory_bytes)
{
    bool is_done = limit(RLIMIT_NPROC, 0) && limit(RLIMIT_CORE, 0);
    if (!IS_SANITIZED) {
        is_done = is_done && limit(RLIMIT_FSIZE, 0) &&
                  limit(RLIMIT_AS, (rlim_t)(address_space_bytes() + memory_bytes));
    }
    return is_done && prctl(PR_SET_DUMPABLE, 0) == 0;
}

/* Asks the kernel to take this process rather than the worker. Its refusal costs nothing. */
static void
offer_to_oom_killer(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t size = write(fd, OOM_SCORE, sizeof OOM_SCORE - 1);
        (void)size;
        close(fd);
    }
}

enum error
sandbox_enter(size_t memory_bytes, bool is_best_effort)
{
    offer_to_oom_killer();
    if (!set_limits(memory_bytes) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return ERROR_IO;
    }
    bool has_landlock = landlock_enter();
    /* Landlock needed descriptors of its own; from here on none is to come. */
    if (!IS_SANITIZED && !limit(RLIMIT_NOFILE, FD_COUNT)) {
        return ERROR_IO;
    }
    bool has_seccomp = seccomp_enter();
    return (has_landlock && has_seccomp) || is_best_effort ? OK : ERROR_NOT_ALLOWED;
}
