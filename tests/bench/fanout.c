/*
 * fanout: durable tasks a second through a real broker: submitted and acknowledged after the sync,
 * leased to four workers, their results recorded. Beside it, in the same rounds, beanstalkd doing
 * the same job (put, reserve, delete) with a sync a job and with its default of 50 ms, and the
 * disk's bare fdatasync rate.
 *
 * usage: fanout [--rounds N] [--tasks N] [--bytes N] [--window N] [--workers N]
 *               [--result-bytes N] [--batch N] [--alone] BROKER... SCRATCH
 * Several brokers race in the same rounds, as before and after a change. --result-bytes: results
 * of that size, 16 a message, and a collector that acknowledges them, in place of small ones.
 * --batch: only messages of so many tasks. --alone: without beanstalkd.
 * Prints one line a system and batch size: median (least .. most) tasks a second, server CPU,
 * tasks a flush.
 */
#include "tests/bench/fanout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS_MAX 31
#define CONTESTS_MAX 16
#define BROKERS_MAX 4

_Noreturn void
die(const char *what)
{
    fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
    exit(1);
}

double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The scheduler counts a thread's time in nanoseconds; the ticks of /proc/PID/stat are too coarse
 * for short runs. */
double
cpu_seconds(pid_t process)
{
    char path[64];
    double seconds = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (!threads)
        die(path);
    for (struct dirent *thread; (thread = readdir(threads));) {
        unsigned long long spent_ns = 0;
        long id = strtol(thread->d_name, NULL, 10);
        if (id <= 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%ld/schedstat", (int)process, id);
        FILE *file = fopen(path, "r");
        if (!file || fscanf(file, "%llu", &spent_ns) != 1)
            die(path);
        fclose(file);
        seconds += (double)spent_ns / 1e9;
    }
    closedir(threads);
    return seconds;
}

void
remove_tree(const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", path, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* ---- the disk ----------------------------------------------------------------------------- */

static double
flush_rate(const struct plan *plan)
{
    char path[512];
    char block[4096] = {1};
    int count = 0;
    snprintf(path, sizeof path, "%s/flush", plan->scratch);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        die(path);
    double started = now();
    for (; now() - started < 0.5; count++) {
        if (pwrite(fd, block, sizeof block, (off_t)count * 4096) < 0 || fdatasync(fd) < 0)
            die(path);
    }
    double rate = count / (now() - started);
    close(fd);
    unlink(path);
    return rate;
}

/* ---- rounds ------------------------------------------------------------------------------- */

static int
compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double
median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

struct contest {
    const char *broker; /* NULL: beanstalkd */
    const char *sync_ms;
    int batch;
    int share; /* of the tasks, so that slow ones end */
    double rates[ROUNDS_MAX];
    double cpus[ROUNDS_MAX];
    double flushed[ROUNDS_MAX];
};

struct race_card {
    struct contest contests[CONTESTS_MAX];
    size_t count;
    double flushes[ROUNDS_MAX];
};

static void
run_round(struct race_card *card, const struct plan *plan, int round)
{
    card->flushes[round] = flush_rate(plan);
    for (size_t i = 0; i < card->count; i++) {
        struct contest *contest = &card->contests[i];
        struct plan one = *plan;
        one.batch = contest->batch;
        one.tasks = plan->tasks / contest->share;
        one.broker = contest->broker;
        struct figure figure =
            contest->broker ? run_thresh(&one) : run_beanstalkd(&one, contest->sync_ms);
        contest->rates[round] = figure.rate;
        contest->cpus[round] = figure.cpu_us;
        contest->flushed[round] = figure.flushed;
    }
}

static void
print_contest(struct contest *contest, const struct plan *plan, double slowest)
{
    char name[64];
    double middle = median(contest->rates, plan->rounds);
    if (contest->broker) {
        const char *slash = strrchr(contest->broker, '/');
        snprintf(name, sizeof name, "%s, %d a message", slash ? slash + 1 : contest->broker,
                 contest->batch);
    } else {
        snprintf(name, sizeof name, "beanstalkd -f %s", contest->sync_ms);
    }
    printf("%-30s %8.0f tasks/s (%.0f .. %.0f)  %6.2f us server CPU a task", name, middle,
           contest->rates[0], contest->rates[plan->rounds - 1],
           median(contest->cpus, plan->rounds));
    if (contest->broker)
        printf("  %5.0f tasks a flush", median(contest->flushed, plan->rounds));
    if (slowest > 0)
        printf("  %5.1f x beanstalkd -f 0", middle / slowest);
    printf("\n");
}

static void
print_card(struct race_card *card, const struct plan *plan)
{
    printf("%-30s %8.0f a second (median of %d rounds)\n", "bare fdatasync of 4 KiB",
           median(card->flushes, plan->rounds), plan->rounds);
    struct contest *last = &card->contests[card->count - 1];
    double slowest = last->broker ? 0 : median(last->rates, plan->rounds);
    for (size_t i = 0; i < card->count; i++)
        print_contest(&card->contests[i], plan, slowest);
}

static void
enter(struct race_card *card, const char *broker, const char *sync_ms, int batch, int share)
{
    card->contests[card->count++] =
        (struct contest){.broker = broker, .sync_ms = sync_ms, .batch = batch, .share = share};
}

static void
enter_all(struct race_card *card, const struct plan *plan, char **brokers, int broker_count,
          bool is_alone)
{
    static const struct {
        int batch;
        int share;
    } sizes[] = {{1, 2}, {16, 1}, {256, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int broker = 0; broker < broker_count; broker++) {
            bool is_wanted = plan->batch ? sizes[i].batch == plan->batch
                                         : plan->result_bytes == 0 || sizes[i].batch == 16;
            if (is_wanted)
                enter(card, brokers[broker], NULL, sizes[i].batch, sizes[i].share);
        }
    }
    if (!is_alone && plan->result_bytes == 0) {
        enter(card, NULL, "50", 1, 10);
        enter(card, NULL, "0", 1, 40);
    }
}

static bool
read_options(int argc, char **argv, struct plan *plan, bool *ret_is_alone)
{
    static const struct option options[] = {
        {"rounds", required_argument, NULL, 'r'},
        {"tasks", required_argument, NULL, 't'},
        {"bytes", required_argument, NULL, 'b'},
        {"window", required_argument, NULL, 'w'},
        {"workers", required_argument, NULL, 'k'},
        {"result-bytes", required_argument, NULL, 's'},
        {"batch", required_argument, NULL, 'n'},
        {"alone", no_argument, NULL, 'a'},
        {0},
    };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        long value = optarg ? strtol(optarg, NULL, 10) : 0;
        if (option == 'r')
            plan->rounds = (int)value;
        else if (option == 't')
            plan->tasks = value;
        else if (option == 'b')
            plan->bytes = (int)value;
        else if (option == 'w')
            plan->window = (int)value;
        else if (option == 'k')
            plan->workers = (int)value;
        else if (option == 's')
            plan->result_bytes = (int)value;
        else if (option == 'n')
            plan->batch = (int)value;
        else if (option == 'a')
            *ret_is_alone = true;
        else
            return false;
    }
    int rest = argc - optind;
    return rest >= 2 && rest <= BROKERS_MAX + 1 && plan->rounds >= 1 &&
           plan->rounds <= ROUNDS_MAX && plan->workers >= 1 && plan->workers <= WORKERS_MAX &&
           plan->bytes >= 64 && plan->bytes <= 1000 && plan->tasks >= 1000 && plan->window >= 1 &&
           plan->result_bytes >= 0;
}

int
main(int argc, char **argv)
{
    static struct race_card card;
    struct plan plan = {.rounds = 5, .tasks = 200000, .bytes = 200, .window = 64, .workers = 4};
    bool is_alone = false;
    if (!read_options(argc, argv, &plan, &is_alone)) {
        fprintf(stderr, "usage: fanout [--rounds N] [--tasks N] [--bytes N] [--window N] "
                        "[--workers N] [--result-bytes N] [--batch N] [--alone] BROKER... "
                        "SCRATCH\n");
        return 2;
    }
    plan.scratch = argv[argc - 1];
    signal(SIGPIPE, SIG_IGN);
    enter_all(&card, &plan, argv + optind, argc - optind - 1, is_alone);
    for (int round = 0; round < plan.rounds; round++)
        run_round(&card, &plan, round);
    print_card(&card, &plan);
    return 0;
}
