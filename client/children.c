#include "client/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"

#define RESTART_MS 50
#define RESTART_MAX_MS 5000
#define QUICK_DEATH_MS 2000
#define LOG_MODE 0600
#define WAIT_STEP_MS 100 /* of children_wait(), beside the signal */
#define EXIT_NOT_STARTED 127

struct child {
    char *name;
    char *log_path;
    char **argv; /* owned, as are its strings */
    pid_t pid;   /* 0: not running */
    bool is_fatal;
    bool is_stopped; /* not to be started again */
    bool has_failed;
    int code;
    int64_t started_ms;
    int64_t start_at_ms;
    int64_t wait_ms;
    unsigned quick_deaths;
};

struct children {
    struct child *list; /* owned */
    size_t count;
    uint64_t restarts;
};

struct children *
children_create(void)
{
    sigset_t ended;
    struct children *children = calloc(1, sizeof *children);
    if (children == NULL) {
        return NULL;
    }
    /* Blocked, so that children_wait() can wait for it. */
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    children->list = calloc(CHILDREN_MAX, sizeof *children->list);
    if (children->list == NULL) {
        free(children);
        return NULL;
    }
    return children;
}

static void
child_release(struct child *child)
{
    for (size_t i = 0; child->argv != NULL && child->argv[i] != NULL; i++) {
        free(child->argv[i]);
    }
    free(child->argv);
    free(child->name);
    free(child->log_path);
}

void
children_destroy(struct children *children)
{
    if (children == NULL) {
        return;
    }
    children_stop(children, "", SIGKILL);
    children_wait(children, "", 0);
    for (size_t i = 0; i < children->count; i++) {
        child_release(&children->list[i]);
    }
    free(children->list);
    free(children);
}

static char **
copy_strings(char *const *strings)
{
    size_t count = 0;
    while (strings[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(strings[i]);
    }
    return copy;
}

enum error
children_add(struct children *children, const char *name, char *const *argv, const char *log_path,
             bool is_fatal)
{
    if (children->count == CHILDREN_MAX) {
        return ERROR_FULL;
    }
    struct child *child = &children->list[children->count];
    *child = (struct child){
        .name = strdup(name),
        .log_path = strdup(log_path),
        .argv = copy_strings(argv),
        .is_fatal = is_fatal,
        .wait_ms = RESTART_MS,
    };
    if (child->name == NULL || child->log_path == NULL || child->argv == NULL) {
        child_release(child);
        return ERROR_NO_MEMORY;
    }
    children->count++;
    return OK;
}

/* In the child, after fork(): only calls that are safe there. */
static _Noreturn void
become(const struct child *child, pid_t parent)
{
    sigset_t none;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(EXIT_NOT_STARTED); /* it died before the line above */
    }
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    int log = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, LOG_MODE);
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (log < 0 || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0) {
        _exit(EXIT_NOT_STARTED);
    }
    execvp(child->argv[0], child->argv);
    static const char text[] = "thresh: the program cannot be started\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written; /* there is nobody else to tell */
    _exit(EXIT_NOT_STARTED);
}

static void
start(struct child *child, int64_t now_ms)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        become(child, parent);
    }
    child->started_ms = now_ms;
    if (pid < 0) {
        child->start_at_ms = now_ms + RESTART_MAX_MS; /* no process to be had now */
        return;
    }
    child->pid = pid;
}

int64_t
children_tick(struct children *children, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->list[i];
        if (child->pid != 0 || child->is_stopped || child->has_failed) {
            continue;
        }
        if (child->start_at_ms <= now_ms) {
            start(child, now_ms);
        }
        if (child->pid == 0 && child->start_at_ms < next_ms) {
            next_ms = child->start_at_ms;
        }
    }
    return next_ms;
}

/* Exits that another start would not change: usage, configuration, full disk, not allowed, no
 * program. */
static bool
is_final(int code)
{
    return code == EXIT_CODE_USAGE || code == EXIT_CODE_CONFIG || code == EXIT_CODE_DISK_FULL ||
           code == EXIT_CODE_NOT_ALLOWED || code == EXIT_NOT_STARTED;
}

static void
child_ended(struct children *children, struct child *child, int status, int64_t now_ms)
{
    child->pid = 0;
    child->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (child->is_stopped) {
        return;
    }
    bool is_quick = now_ms - child->started_ms < QUICK_DEATH_MS;
    child->quick_deaths = is_quick ? child->quick_deaths + 1 : 0;
    if (!is_quick) {
        child->wait_ms = RESTART_MS;
    }
    if (child->is_fatal || is_final(child->code) || child->quick_deaths >= CHILDREN_DEATHS_MAX) {
        child->has_failed = true;
        return;
    }
    children->restarts++;
    child->start_at_ms = now_ms + child->wait_ms;
    child->wait_ms = child->wait_ms * 2 < RESTART_MAX_MS ? child->wait_ms * 2 : RESTART_MAX_MS;
}

void
children_reap(struct children *children, int64_t now_ms)
{
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->list[i];
        int status;
        if (child->pid != 0 && waitpid(child->pid, &status, WNOHANG) == child->pid) {
            child_ended(children, child, status, now_ms);
        }
    }
}

static bool
is_named(const struct child *child, const char *name_start)
{
    return strncmp(child->name, name_start, strlen(name_start)) == 0;
}

void
children_stop(struct children *children, const char *name_start, int signal)
{
    for (size_t i = 0; i < children->count; i++) {
        struct child *child = &children->list[i];
        if (is_named(child, name_start)) {
            child->is_stopped = true;
            if (child->pid != 0) {
                kill(child->pid, signal);
            }
        }
    }
}

size_t
children_alive(const struct children *children, const char *name_start)
{
    size_t alive = 0;
    for (size_t i = 0; i < children->count; i++) {
        const struct child *child = &children->list[i];
        alive += child->pid != 0 && is_named(child, name_start) ? 1 : 0;
    }
    return alive;
}

void
children_wait(struct children *children, const char *name_start, int64_t timeout_ms)
{
    int64_t until_ms = clock_monotonic_ms() + timeout_ms;
    bool is_killed = false;
    for (;;) {
        int64_t now_ms = clock_monotonic_ms();
        children_reap(children, now_ms);
        if (children_alive(children, name_start) == 0) {
            return;
        }
        if (!is_killed && now_ms >= until_ms) {
            children_stop(children, name_start, SIGKILL);
            is_killed = true;
        }
        struct timespec longest = {.tv_nsec = WAIT_STEP_MS * 1000000L};
        sigset_t ended;
        sigemptyset(&ended);
        sigaddset(&ended, SIGCHLD);
        (void)sigtimedwait(&ended, NULL, &longest); /* either way they are looked at again */
    }
}

bool
children_failure(const struct children *children, const char **ret_name, const char **ret_log_path,
                 int *ret_code)
{
    for (size_t i = 0; i < children->count; i++) {
        const struct child *child = &children->list[i];
        if (child->has_failed) {
            *ret_name = child->name;
            *ret_log_path = child->log_path;
            *ret_code = child->code;
            return true;
        }
    }
    return false;
}

uint64_t
children_restarts(const struct children *children)
{
    return children->restarts;
}
