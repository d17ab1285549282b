/* server.c - launch: a process whose log goes to a file, in which the port is found; retire:
 * SIGTERM or SIGKILL, and what became of it.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

enum { START_MS = 30000, STOP_MS = 40000, STEP_MS = 20, DRAIN_MS = 800 };

/* Counters that are worth telling, added up over all processes. */
static const char *const counters[] = {
    "leat_events_total",
    "leat_deliveries_total",
    "leat_gaps_repaired_total",
    "leat_listener_reconnects_total",
    "leat_snapshot_reads_total",
    "leat_stale_snapshots_total",
    "leat_slow_clients_closed_total",
    "leat_trimmed_events_total",
    "leat_pg_cancels_total",
    "leat_script_errors_total",
    "leat_resyncs_total{reason=\"stale\"}",
    "leat_resyncs_total{reason=\"history\"}",
    "leat_resyncs_total{reason=\"hook\"}",
    "leat_resyncs_total{reason=\"epoch\"}",
    "leat_resyncs_total{reason=\"requested\"}",
};
enum { N_COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static const char *const gauges[] = {
    "leat_connections ",
    "leat_clients{",
    "leat_topics ",
    "leat_subscriptions{",
    "leat_pg_pool_connections{state=\"busy\"}",
    "leat_pg_pool_connections{state=\"connecting\"}",
    "leat_pg_pool_waiters ",
    "leat_ring_bytes ",
    "leat_send_buffer_bytes ",
};

struct server {
    torture *torture;
    pid_t pid; /* 0: it has died */
    atomic_int port;
    int launched;
    char log[300];
    double counted[N_COUNTERS];
};

static void wait_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static char *read_file(const char *path)
{
    leat_buf text = LEAT_BUF_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    for (;;) {
        ssize_t n = read(fd, leat_buf_reserve(&text, 65536), 65536);
        if (n <= 0)
            break;
        text.len += (size_t)n;
    }
    close(fd);
    leat_buf_char(&text, '\0');
    return leat_buf_detach(&text, NULL);
}

static int find_port(const char *path)
{
    char *text = read_file(path);
    char *colon = text == NULL ? NULL : strrchr(text, ':');
    int port = colon != NULL ? atoi(colon + 1) : 0;
    free(text);
    return port;
}

/* What the sanitizers have to say, and where an assertion failed. */
static void check_log(server *s, const char *path)
{
    static const char *const bad[] = {"Sanitizer", "runtime error:", "assertion", " ERROR "};
    char *text = read_file(path);
    for (size_t i = 0; text != NULL && i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *at = strstr(text, bad[i]);
        if (at == NULL)
            continue;
        while (at > text && at[-1] != '\n')
            at--;
        torture_violation(s->torture, "leat's log (%s) has: %.1500s", path, at);
        break;
    }
    free(text);
}

static void launch(server *s)
{
    const torture_options *o = &s->torture->options;
    char info[600], address[600];
    if (o->faults[FAULT_FAILOVER])
        snprintf(info, sizeof(info),
                 "host='%s,%s' user=postgres dbname=%s target_session_attrs=read-write",
                 o->nodes[0].proxy_dir, o->nodes[1].proxy_dir, o->database);
    else
        snprintf(info, sizeof(info), "host='%s' user=postgres dbname=%s", o->nodes[0].proxy_dir,
                 o->database);
    char *argv[] = {(char *)(uintptr_t)o->leat,
                    "serve",
                    "--database",
                    info,
                    "--app",
                    (char *)(uintptr_t)o->app,
                    "--listen",
                    "127.0.0.1:0",
                    "--address-file",
                    address,
                    NULL};
    snprintf(s->log, sizeof(s->log), "%s/leat-%d.log", o->work, ++s->launched);
    snprintf(address, sizeof(address), "%s/address", o->work);
    unlink(address);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, s->log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int err = posix_spawn(&s->pid, o->leat, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err != 0)
        torture_die("cannot start %s: %s", o->leat, strerror(err));
    for (int waited = 0; waited < START_MS; waited += STEP_MS) {
        int port = find_port(address);
        if (port > 0) {
            atomic_store(&s->port, port);
            return;
        }
        if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
            break;
        wait_ms(STEP_MS);
    }
    torture_die("leat does not start, see %s", s->log);
}

/* The answer to GET path, into text; false if nobody answers. */
static bool fetch(int port, const char *path, leat_buf *text)
{
    char request[120];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: torture\r\nConnection: close\r\n\r\n", path);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    bool ok = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
              send(fd, request, (size_t)len, MSG_NOSIGNAL) == len;
    while (ok) {
        ssize_t n = recv(fd, leat_buf_reserve(text, 16384), 16384, 0);
        if (n <= 0)
            break;
        text->len += (size_t)n;
    }
    close(fd);
    leat_buf_char(text, '\0');
    return ok && strstr(text->at, "\r\n\r\n") != NULL;
}

void server_await_ready(server *s, unsigned ms)
{
    static const char ready[] = "HTTP/1.1 200 ";
    uint64_t until = uv_hrtime() + ms * UINT64_C(1000000);
    bool is_ready = false;
    while (!is_ready && uv_hrtime() < until) {
        leat_buf text = LEAT_BUF_INIT;
        is_ready = fetch(atomic_load(&s->port), "/readyz", &text) &&
                   strncmp(text.at, ready, sizeof(ready) - 1) == 0;
        leat_buf_close(&text);
        wait_ms(STEP_MS);
    }
}

static void add_counters(server *s)
{
    leat_buf text = LEAT_BUF_INIT;
    if (fetch(atomic_load(&s->port), "/metrics", &text)) {
        for (int i = 0; i < N_COUNTERS; i++) {
            char line[120];
            snprintf(line, sizeof(line), "\n%s ", counters[i]);
            char *at = strstr(text.at, line);
            s->counted[i] += at == NULL ? 0 : strtod(at + strlen(line), NULL);
        }
    }
    leat_buf_close(&text);
}

void server_raised(server *s, char *out, size_t size)
{
    leat_buf text = LEAT_BUF_INIT;
    size_t len = 0;
    out[0] = '\0';
    if (!fetch(atomic_load(&s->port), "/metrics", &text)) {
        snprintf(out, size, "/metrics is not answered");
        leat_buf_close(&text);
        return;
    }
    for (char *line = strtok(text.at, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *value = strrchr(line, ' ');
        for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]) && value != NULL; i++)
            if (strncmp(line, gauges[i], strlen(gauges[i])) == 0 && strtod(value, NULL) != 0 &&
                len < size)
                len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "", line);
    }
    leat_buf_close(&text);
}

/* Waits for the end of a process that was told to go. */
static void await_end(server *s, pid_t pid, const char *log)
{
    torture *t = s->torture;
    int status = 0;
    for (int waited = 0; waitpid(pid, &status, WNOHANG) == 0; waited += STEP_MS) {
        if (waited > STOP_MS) {
            torture_violation(t, "leat does not end, %d s after SIGTERM (%s)", STOP_MS / 1000, log);
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return;
        }
        wait_ms(STEP_MS);
    }
    if (WIFSIGNALED(status))
        torture_violation(t, "leat was ended by signal %d (%s)", WTERMSIG(status), log);
    else if (WEXITSTATUS(status) != 0)
        torture_violation(t, "leat's exit code is %d (%s)", WEXITSTATUS(status), log);
    check_log(s, log);
}

server *server_new(torture *t)
{
    server *s = calloc(1, sizeof(*s));
    if (s == NULL)
        torture_die("out of memory");
    s->torture = t;
    char drain[16];
    snprintf(drain, sizeof(drain), "%d", DRAIN_MS);
    setenv("LEAT_DRAIN_MS", drain, 1);
    launch(s);
    return s;
}

int server_port(const server *s)
{
    return atomic_load(&s->port);
}

void server_watch(server *s)
{
    int status;
    if (s->pid == 0 || waitpid(s->pid, &status, WNOHANG) != s->pid)
        return;
    s->pid = 0;
    torture_violation(s->torture, "leat has died by itself, status %d (%s)", status, s->log);
    check_log(s, s->log);
}

void server_reload(server *s)
{
    if (s->pid != 0)
        kill(s->pid, SIGHUP);
}

void server_crash_around(server *s, void (*meanwhile)(torture *t))
{
    char log[300];
    snprintf(log, sizeof(log), "%s", s->log);
    if (s->pid != 0) {
        add_counters(s);
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
        check_log(s, log);
    }
    meanwhile(s->torture);
    launch(s);
}

void server_replace(server *s, bool crash)
{
    pid_t old = s->pid;
    char log[300];
    snprintf(log, sizeof(log), "%s", s->log);
    if (old == 0)
        return;
    add_counters(s);
    if (crash) {
        kill(old, SIGKILL);
        waitpid(old, NULL, 0);
        check_log(s, log);
    }
    launch(s);
    if (crash)
        return;
    kill(old, SIGTERM);
    await_end(s, old, log);
}

void server_stop(server *s)
{
    if (s->pid == 0)
        return;
    add_counters(s);
    kill(s->pid, SIGTERM);
    await_end(s, s->pid, s->log);
    s->pid = 0;
}

void server_report(const server *s)
{
    printf("  servers %d\n", s->launched);
    for (int i = 0; i < N_COUNTERS; i++)
        printf("  %s %.0f\n", counters[i], s->counted[i]);
}

void server_free(server *s)
{
    free(s);
}
