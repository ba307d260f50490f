/*
 * fanout: what the parts of the bench share.
 *
 * Threads  the servers are processes; feeder, workers and collector are threads of the bench.
 */
#ifndef THRESH_BENCH_FANOUT_H
#define THRESH_BENCH_FANOUT_H

#include <sys/types.h>

#define WORKERS_MAX 16

struct plan {
    int rounds;
    long tasks;
    int bytes;        /* of a URL, or of a beanstalkd job */
    int result_bytes; /* 0: small results that nobody collects */
    int window;
    int workers;
    int batch;
    const char *broker;
    const char *scratch;
};

struct figure {
    double rate;    /* tasks a second */
    double cpu_us;  /* of the server, a task */
    double flushed; /* tasks a flush; 0: the server does not say */
};

struct figure run_thresh(const struct plan *plan);
struct figure run_beanstalkd(const struct plan *plan, const char *sync_ms);

/* Prints what failed, with errno, and exits. */
_Noreturn void die(const char *what);
/* Seconds of an unspecified start. */
double now(void);
/* Seconds of processor time that a process with all its living threads has used. */
double cpu_seconds(pid_t process);
void remove_tree(const char *path);

#endif
