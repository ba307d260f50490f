#include "worker/pool_zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/sandbox.h"

#define PASSED_FDS 2 /* the child's socket and its pidfd */
#define SIGNAL_MAX 64

/* On the wire between two images of one program: no byte order to mind. */
struct wire_report {
    uint32_t event;
    uint32_t slot;
    int32_t pid;
    int32_t status;
};

/* ---- in the zygote ------------------------------------------------------------------------ */

/* Ctrl-C and a service manager's SIGTERM reach the whole group; the worker then drains, and needs
 * its children for that. They end with their sockets. */
static void
reset_signals(void)
{
    sigset_t mask;
    for (int i = 1; i <= SIGNAL_MAX; i++) {
        signal(i, SIG_DFL);
    }
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

static bool
send_report(const struct wire_report *report, const int fds[PASSED_FDS])
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * PASSED_FDS)];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)report, .iov_len = sizeof *report};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fds != NULL) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * PASSED_FDS);
        memcpy(CMSG_DATA(head), fds, sizeof(int) * PASSED_FDS);
    }
    ssize_t size;
    do {
        size = sendmsg(SANDBOX_FD, &message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof *report;
}

static noreturn void
become_child(int fd, pid_t parent, const struct zygote_options *options)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    prctl(PR_SET_NAME, "thresh-extract");
    if (sandbox_follow_parent(parent) != OK || sandbox_keep_only(fd) != OK) {
        _exit(CHILD_EXIT_BROKEN);
    }
    switch (sandbox_enter(options->child.memory_bytes, options->is_best_effort)) {
    case OK:
        child_run(SANDBOX_FD, &options->child);
    case ERROR_NOT_ALLOWED:
        _exit(CHILD_EXIT_SANDBOX);
    default:
        _exit(CHILD_EXIT_BROKEN);
    }
}

static void
close_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

/* False: nobody listens any more. */
static bool
start_child(uint32_t slot, const struct zygote_options *options)
{
    int pair[2] = {-1, -1};
    int pid_fd = -1;
    pid_t self = getpid();
    pid_t pid = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
        pid = fork();
    }
    if (pid == 0) {
        become_child(pair[1], self, options);
    }
    if (pid > 0) {
        pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    }
    if (pid > 0 && pid_fd < 0) {
        kill(pid, SIGKILL); /* reaped and reported as usual, but under no slot */
    }
    bool is_started = pid > 0 && pid_fd >= 0;
    const struct wire_report report = {
        .event = is_started ? ZYGOTE_STARTED : ZYGOTE_REFUSED, .slot = slot, .pid = pid};
    const int fds[PASSED_FDS] = {pair[0], pid_fd};
    bool is_sent = send_report(&report, is_started ? fds : NULL);
    close_open(pair[0]);
    close_open(pair[1]);
    close_open(pid_fd);
    return is_sent;
}

static bool
reap(int signal_fd)
{
    struct signalfd_siginfo info;
    ssize_t size = read(signal_fd, &info, sizeof info); /* several may be merged into one */
    (void)size;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        const struct wire_report report = {.event = ZYGOTE_ENDED, .pid = pid, .status = status};
        if (!send_report(&report, NULL)) {
            return false;
        }
    }
    return true;
}

static noreturn void
zygote_main(int control, pid_t parent, const struct zygote_options *options)
{
    reset_signals();
    prctl(PR_SET_NAME, "thresh-zygote");
    if (sandbox_follow_parent(parent) != OK || sandbox_keep_only(control) != OK) {
        _exit(CHILD_EXIT_BROKEN);
    }
    child_prepare();
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    int signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    struct pollfd watched[] = {{.fd = SANDBOX_FD, .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR) {
            _exit(CHILD_EXIT_BROKEN);
        }
        /* The dead first, so that a number is reported before it can come again. */
        if (watched[1].revents != 0 && !reap(signal_fd)) {
            _exit(CHILD_EXIT_DONE);
        }
        if (watched[0].revents == 0) {
            continue;
        }
        uint32_t slot;
        ssize_t size = recv(SANDBOX_FD, &slot, sizeof slot, 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size != (ssize_t)sizeof slot || !start_child(slot, options)) {
            _exit(CHILD_EXIT_DONE); /* the worker is gone; the children follow */
        }
    }
}

/* ---- in the worker ------------------------------------------------------------------------ */

enum error
zygote_start(const struct zygote_options *options, struct zygote *ret_zygote)
{
    int pair[2];
    pid_t self = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return ERROR_IO;
    }
    pid_t pid = fork();
    if (pid == 0) {
        zygote_main(pair[1], self, options);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return ERROR_IO;
    }
    *ret_zygote = (struct zygote){.fd = pair[0], .pid = pid};
    return OK;
}

void
zygote_stop(struct zygote *zygote)
{
    if (zygote->pid == 0) {
        return;
    }
    close(zygote->fd);
    kill(zygote->pid, SIGKILL); /* ours until waited for; its children die with it */
    while (waitpid(zygote->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *zygote = (struct zygote){.fd = -1};
}

enum error
zygote_spawn(struct zygote *zygote, uint32_t slot)
{
    ssize_t size;
    do {
        size = send(zygote->fd, &slot, sizeof slot, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size == (ssize_t)sizeof slot ? OK : ERROR_IO;
}

enum error
zygote_receive(struct zygote *zygote, struct zygote_report *ret_report)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * PASSED_FDS)];
    } control = {0};
    struct wire_report wire;
    struct iovec part = {.iov_base = &wire, .iov_len = sizeof wire};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t size;
    do {
        size = recvmsg(zygote->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return ERROR_AGAIN;
    }
    if (size != (ssize_t)sizeof wire) {
        return ERROR_IO;
    }
    struct zygote_report report = {.event = (enum zygote_event)wire.event,
                                   .slot = wire.slot,
                                   .pid = wire.pid,
                                   .status = wire.status,
                                   .fd = -1,
                                   .pid_fd = -1};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (report.event == ZYGOTE_STARTED) {
        int fds[PASSED_FDS];
        if (head == NULL || head->cmsg_len != CMSG_LEN(sizeof fds)) {
            return ERROR_IO; /* no descriptor left here */
        }
        memcpy(fds, CMSG_DATA(head), sizeof fds);
        report.fd = fds[0];
        report.pid_fd = fds[1];
        /* A socket's two ends have flags of their own: the child's stays blocking. */
        if (fcntl(report.fd, F_SETFL, O_NONBLOCK) != 0) {
            close(fds[0]);
            close(fds[1]);
            return ERROR_IO;
        }
    }
    *ret_report = report;
    return OK;
}
