/*
 * fetch_bench: the fetch stage of a worker beside a bare libcurl multi loop.
 *
 * Both fetch the same pages (20 to 100 KB) from one nginx that the bench starts, over the same 40
 * loopback addresses with the same number of handles, in interleaved rounds. Ours reads bodies
 * into memory, checks headers and addresses and calls back; the bare loop counts bytes. Prints
 * pages/s and CPU of both for each round, and the medians with their ratio.
 *
 *     bench_fetch [--transfers N] [--count N] [--rounds N] [--pages N]
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/loop.h"
#include "worker/fetch.h"

#define HOSTS 40
#define PAGE_BYTES_MIN 20000
#define PAGE_BYTES_MAX 100000
#define ROUNDS_MAX 99
#define PATH_BYTES 512
#define URL_BYTES 128
#define START_TRIES 200
#define TIMEOUT_MS 30000

extern char **environ;

struct plan {
    size_t transfers;
    size_t count; /* pages in one round */
    size_t rounds;
    size_t pages; /* different ones */
    uint16_t port;
};

struct figures {
    double pages_s;
    double cpu_us; /* a page */
};

static void
die(const char *what)
{
    fprintf(stderr, "bench_fetch: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
page_url(const struct plan *plan, size_t index, char *ret_url)
{
    snprintf(ret_url, URL_BYTES, "http://127.0.0.%zu:%u/%zu.html", index % HOSTS + 1, plan->port,
             index % plan->pages);
}

/* ---- the server ------------------------------------------------------------------------ */

static void
write_page(const char *folder, size_t number)
{
    static const char words[] = "the fetch stage of a worker beside a bare loop on the same pages ";
    char path[PATH_BYTES];
    /* Uniform from 20 to 100 KB, the same in each run. */
    size_t size = PAGE_BYTES_MIN + number * 2654435761u % (PAGE_BYTES_MAX - PAGE_BYTES_MIN);

    snprintf(path, sizeof path, "%s/www/%zu.html", folder, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        die(path);
    }
    fprintf(file, "<!DOCTYPE html><title>Page %zu</title><body>", number);
    for (size_t at = 0; at < size; at += sizeof words - 1) {
        fputs(words, file);
    }
    if (fclose(file) != 0) {
        die(path);
    }
}

static void
write_configuration(const char *folder, uint16_t port)
{
    char path[PATH_BYTES];

    snprintf(path, sizeof path, "%s/nginx.conf", folder);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        die(path);
    }
    fprintf(file,
            "daemon off; worker_processes 1; pid %s/nginx.pid; error_log %s/error.log;\n"
            "worker_rlimit_nofile 16000;\n"
            "events { worker_connections 8192; multi_accept on; }\n"
            "http { types { text/html html; } access_log off; sendfile on; tcp_nopush on;\n"
            "keepalive_timeout 60; keepalive_requests 10000000;\n"
            "open_file_cache max=10000 inactive=600s; open_file_cache_valid 600s;\n"
            "client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3;\n"
            "uwsgi_temp_path %s/t4; scgi_temp_path %s/t5;\nserver { root %s/www;\n",
            folder, folder, folder, folder, folder, folder, folder, folder);
    for (int host = 1; host <= HOSTS; host++) {
        fprintf(file, "listen 127.0.0.%d:%u%s;\n", host, port, host == 1 ? " backlog=4096" : "");
    }
    fprintf(file, "} }\n");
    if (fclose(file) != 0) {
        die(path);
    }
}

static bool
can_connect(uint16_t port)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK + HOSTS - 1);
    bool is_there = connect(fd, (struct sockaddr *)&name, sizeof name) == 0;
    close(fd);
    return is_there;
}

static uint16_t
free_port(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    socklen_t size = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&name, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&name, &size) != 0) {
        die("a free port");
    }
    close(fd);
    return ntohs(name.sin_port);
}

static pid_t
server_start(const char *folder, struct plan *plan)
{
    char configuration[PATH_BYTES];
    char www[PATH_BYTES];
    pid_t pid = 0;

    snprintf(configuration, sizeof configuration, "%s/nginx.conf", folder);
    snprintf(www, sizeof www, "%s/www", folder);
    if (mkdir(www, 0755) != 0 || chmod(folder, 0755) != 0) {
        die(www);
    }
    for (size_t i = 0; i < plan->pages; i++) {
        write_page(folder, i);
    }
    plan->port = free_port();
    write_configuration(folder, plan->port);
    char *arguments[] = {"nginx", "-p", (char *)folder, "-c", configuration, NULL};
    errno = posix_spawnp(&pid, "nginx", NULL, NULL, arguments, environ);
    if (errno != 0) {
        die("nginx");
    }
    for (int i = 0; !can_connect(plan->port); i++) {
        if (i == START_TRIES || waitpid(pid, NULL, WNOHANG) == pid) {
            fprintf(stderr, "bench_fetch: nginx does not answer\n");
            exit(1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    return pid;
}

static void
server_stop(pid_t pid, const char *folder)
{
    char *arguments[] = {"rm", "-rf", (char *)folder, NULL};
    pid_t remover;

    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    if (posix_spawnp(&remover, "rm", NULL, NULL, arguments, environ) == 0) {
        waitpid(remover, NULL, 0);
    }
}

/* ---- the bare loop --------------------------------------------------------------------- */

struct bare {
    const struct plan *plan;
    CURLM *multi;
    int epoll_fd;
    int64_t timer_at_ms; /* negative: none */
    size_t next;
    size_t done;
    size_t failed;
    uint64_t bytes;
};

static size_t
bare_receive(char *data, size_t size, size_t count, void *context)
{
    struct bare *bare = context;

    (void)data;
    bare->bytes += size * count;
    return size * count;
}

static int
bare_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct bare *bare = context;
    struct epoll_event event = {.data.fd = fd};

    (void)easy;
    (void)known;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(bare->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events |= what & CURL_POLL_IN ? EPOLLIN : 0;
    event.events |= what & CURL_POLL_OUT ? EPOLLOUT : 0;
    if (epoll_ctl(bare->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0) {
        epoll_ctl(bare->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
    return 0;
}

static int
bare_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct bare *bare = context;

    (void)multi;
    bare->timer_at_ms = timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
    return 0;
}

static void
bare_add(struct bare *bare, CURL *easy)
{
    char url[URL_BYTES];

    if (bare->next == bare->plan->count) {
        return;
    }
    page_url(bare->plan, bare->next++, url);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_multi_add_handle(bare->multi, easy);
}

static void
bare_reap(struct bare *bare)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(bare->multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        bare->failed += message->data.result != CURLE_OK || status != 200 ? 1 : 0;
        bare->done++;
        curl_multi_remove_handle(bare->multi, easy);
        bare_add(bare, easy);
    }
}

static void
bare_turn(struct bare *bare)
{
    struct epoll_event events[64];
    int running = 0;
    int64_t now_ms = clock_monotonic_ms();
    int wait_ms = bare->timer_at_ms < 0         ? 1000
                  : bare->timer_at_ms <= now_ms ? 0
                                                : (int)(bare->timer_at_ms - now_ms);
    int count = epoll_wait(bare->epoll_fd, events, 64, wait_ms);

    for (int i = 0; i < count; i++) {
        int bits = 0;
        bits |= events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0;
        bits |= events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
        bits |= events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
        curl_multi_socket_action(bare->multi, events[i].data.fd, bits, &running);
    }
    if (bare->timer_at_ms >= 0 && clock_monotonic_ms() >= bare->timer_at_ms) {
        bare->timer_at_ms = -1;
        curl_multi_socket_action(bare->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    bare_reap(bare);
}

static size_t
run_bare(const struct plan *plan)
{
    struct bare bare = {.plan = plan, .timer_at_ms = -1};
    CURL **handles = calloc(plan->transfers, sizeof(CURL *));

    bare.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bare.multi = curl_multi_init();
    curl_multi_setopt(bare.multi, CURLMOPT_MAXCONNECTS, (long)plan->transfers * 2);
    curl_multi_setopt(bare.multi, CURLMOPT_SOCKETFUNCTION, bare_socket);
    curl_multi_setopt(bare.multi, CURLMOPT_SOCKETDATA, &bare);
    curl_multi_setopt(bare.multi, CURLMOPT_TIMERFUNCTION, bare_timer);
    curl_multi_setopt(bare.multi, CURLMOPT_TIMERDATA, &bare);
    for (size_t i = 0; i < plan->transfers; i++) {
        handles[i] = curl_easy_init();
        curl_easy_setopt(handles[i], CURLOPT_WRITEFUNCTION, bare_receive);
        curl_easy_setopt(handles[i], CURLOPT_WRITEDATA, &bare);
        curl_easy_setopt(handles[i], CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handles[i], CURLOPT_BUFFERSIZE, 65536L);
        curl_easy_setopt(handles[i], CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
        bare_add(&bare, handles[i]);
    }
    while (bare.done < plan->count) {
        bare_turn(&bare);
    }
    for (size_t i = 0; i < plan->transfers; i++) {
        curl_easy_cleanup(handles[i]);
    }
    curl_multi_cleanup(bare.multi);
    close(bare.epoll_fd);
    free(handles);
    return bare.failed;
}

/* ---- ours ------------------------------------------------------------------------------ */

struct ours {
    const struct plan *plan;
    struct loop *loop;
    struct fetch *fetch;
    size_t next;
    size_t done;
    size_t failed;
    uint64_t bytes;
};

static void
ours_finished(void *context, const struct fetch_answer *answer)
{
    struct ours *ours = context;

    ours->failed += answer->outcome != OUTCOME_OK || answer->status != 200 ? 1 : 0;
    ours->bytes += answer->body.size;
    ours->done++;
}

static int64_t
ours_tick(void *context, int64_t now_ms)
{
    struct ours *ours = context;
    struct fetch_transfer *transfer;
    struct url url;
    url_reason reason;
    char text[URL_BYTES];

    fetch_tick(ours->fetch, now_ms);
    while (fetch_count(ours->fetch) < ours->plan->transfers && ours->next < ours->plan->count) {
        page_url(ours->plan, ours->next++, text);
        if (url_parse(slice_string(text), &url, &reason) != OK ||
            fetch_start(ours->fetch, &url, TIMEOUT_MS, ours_finished, ours, &transfer) != OK) {
            ours->failed++;
            ours->done++;
        }
    }
    if (ours->done == ours->plan->count) {
        loop_stop(ours->loop);
    }
    return fetch_next_tick(ours->fetch);
}

static size_t
run_ours(const struct plan *plan)
{
    struct ours ours = {.plan = plan, .loop = loop_create()};
    struct address_list *allow = NULL;
    size_t offset;

    if (address_list_create("127.0.0.0/8", &allow, &offset) != OK) {
        die("the list of networks");
    }
    struct fetch_options options = {
        .transfers_max = plan->transfers,
        .body_bytes_max = 16 << 20,
        .header_bytes_max = 300 << 10,
        .memory_bytes_max = (size_t)512 << 20,
        .connect_ms = 10000,
        .first_byte_ms = 30000,
        .stall_ms = 10000,
        .stall_rate_bytes = 100,
        .user_agent = "Thresh-bench/1",
        .allow = allow,
    };
    if (fetch_create(&options, ours.loop, &ours.fetch) != OK) {
        die("the fetch engine");
    }
    loop_set_tick(ours.loop, ours_tick, &ours);
    if (loop_run(ours.loop) != OK) {
        die("the loop");
    }
    fetch_destroy(ours.fetch);
    loop_destroy(ours.loop);
    address_list_destroy(allow);
    return ours.failed;
}

/* ---- rounds ---------------------------------------------------------------------------- */

static double
cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static struct figures
measure(const struct plan *plan, const char *name, size_t run(const struct plan *plan))
{
    double begin_cpu_us = cpu_us();
    int64_t begin_us = clock_monotonic_us();
    size_t failed = run(plan);
    double took_s = (double)(clock_monotonic_us() - begin_us) / 1e6;
    struct figures figures = {
        .pages_s = (double)plan->count / took_s,
        .cpu_us = (cpu_us() - begin_cpu_us) / (double)plan->count,
    };

    printf("%-5s %8.0f pages/s %6.1f us CPU a page %zu failed\n", name, figures.pages_s,
           figures.cpu_us, failed);
    fflush(stdout);
    if (failed > 0) {
        exit(1);
    }
    return figures;
}

static int
compare(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double
median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static void
run_rounds(const struct plan *plan)
{
    double ours_s[ROUNDS_MAX], bare_s[ROUNDS_MAX], ratios[ROUNDS_MAX];
    double ours_us[ROUNDS_MAX], bare_us[ROUNDS_MAX];

    for (size_t round = 0; round < plan->rounds; round++) {
        struct figures ours = {0}, bare = {0};
        for (size_t turn = 0; turn < 2; turn++) {
            if ((round + turn) % 2 == 0) {
                bare = measure(plan, "bare", run_bare);
            } else {
                ours = measure(plan, "ours", run_ours);
            }
        }
        ours_s[round] = ours.pages_s;
        bare_s[round] = bare.pages_s;
        ours_us[round] = ours.cpu_us;
        bare_us[round] = bare.cpu_us;
        ratios[round] = ours.pages_s / bare.pages_s;
    }
    printf("median of %zu rounds, %zu handles: ours %.0f pages/s (%.1f us), bare %.0f pages/s "
           "(%.1f us), ratio %.2f\n",
           plan->rounds, plan->transfers, median(ours_s, plan->rounds),
           median(ours_us, plan->rounds), median(bare_s, plan->rounds),
           median(bare_us, plan->rounds), median(ratios, plan->rounds));
}

static size_t
number_of(const char *text, size_t most)
{
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || number == 0 || number > most) {
        fprintf(stderr, "bench_fetch: \"%s\" is not a number from 1 to %zu\n", text, most);
        exit(2);
    }
    return number;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        {"transfers", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'c'},
        {"rounds", required_argument, NULL, 'r'},
        {"pages", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    struct plan plan = {.transfers = 128, .count = 20000, .rounds = 5, .pages = 2000};
    char folder[] = "/tmp/thresh-fetch-bench-XXXXXX";
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't':
            plan.transfers = number_of(optarg, 4096);
            break;
        case 'c':
            plan.count = number_of(optarg, 100000000);
            break;
        case 'r':
            plan.rounds = number_of(optarg, ROUNDS_MAX);
            break;
        case 'p':
            plan.pages = number_of(optarg, 100000);
            break;
        default:
            return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (mkdtemp(folder) == NULL) {
        die(folder);
    }
    pid_t server = server_start(folder, &plan);
    run_rounds(&plan);
    server_stop(server, folder);
    return 0;
}
