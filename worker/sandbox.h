/*
 * sandbox: takes from a process everything that parsing does not need.
 *
 * After sandbox_enter() the process has its one socket, /dev/null and memory: no file can be
 * opened, no socket made, no program run, no process or thread started, no signal sent but to
 * itself. A forbidden system call ends it with SIGSYS. There is no way back.
 *
 * Layers   resource limits; no core, no ptrace (PR_SET_DUMPABLE 0); death with the parent;
 *          no new privileges; Landlock with every right handled and no rule; seccomp allow-list.
 * Needs    seccomp with KILL_PROCESS (Linux 4.14) and Landlock (5.13); what the kernel's Landlock
 *          does not know yet (network: 6.7), seccomp denies.
 * Tests    under AddressSanitizer the address space and file size stay unlimited, standard error
 *          stays open and some calls more are allowed, since its reports need them.
 * Threads  for a process with one thread.
 * Source   reliability, section 7, S2 and S3; OpenSSH's sandbox-seccomp-filter.c.
 */
#ifndef THRESH_WORKER_SANDBOX_H
#define THRESH_WORKER_SANDBOX_H

#include "common/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define SANDBOX_FD 3 /* where the process finds its socket; 0 to 2 are /dev/null */

struct sandbox_support {
    int landlock_abi; /* 0: none */
    bool has_seccomp; /* a filter that kills the process */
};

/* What this kernel can do. */
struct sandbox_support sandbox_probe(void);

/* "landlock 7, seccomp", "no landlock, seccomp": for people. Cut off at size. */
void sandbox_describe(const struct sandbox_support *support, char *ret_text, size_t size);

/*
 * Moves fd to SANDBOX_FD, puts /dev/null on 0 to 2, and closes every other descriptor.
 * ERROR_IO: nothing sensible can go on.
 */
MUST_CHECK enum error sandbox_keep_only(int fd);

/*
 * Ends this process when its parent ends. parent: the one expected; ERROR_IO when it is gone
 * already.
 */
MUST_CHECK enum error sandbox_follow_parent(pid_t parent);

/*
 * Enters the sandbox. memory_bytes: address space the process may take beyond what it has.
 * ERROR_NOT_ALLOWED: a layer could not be had, and is_best_effort is false. ERROR_IO: a limit or
 * flag that every kernel has was refused.
 */
MUST_CHECK enum error sandbox_enter(size_t memory_bytes, bool is_best_effort);

#endif
