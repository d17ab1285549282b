/* careless.c - a program that uses leat.h carelessly, for spec/integration/embed_careless_spec.lua.
 * It says "ok - ..." of each thing.
 *
 *   careless             is refused, each time, and nothing else happens
 *   careless exit        ends with a server that runs
 *
 * DATABASE_URL is read. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <leat.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(int good, const char *what, const leat_error *error)
{
    printf("%s - %s", good ? "ok" : "not ok", what);
    printf(good ? "\n" : ": code=%s message=%s\n", error->code, error->message);
    fflush(stdout);
    if (!good)
        exit(1);
}

static char listens_at[64];
static char why_not[512];

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    int *ready = arg;
    snprintf(listens_at, sizeof(listens_at), "%s", address);
    snprintf(why_not, sizeof(why_not), "%s", error == NULL ? "" : error->message);
    *ready = error == NULL ? 1 : -1;
}

static void await(leat_server *server, const int *ready)
{
    while (*ready == 0)
        leat_dispatch(server, -1);
}

static const char app[] =
    "local leat = require 'leat'\n"
    "local app = leat.app()\n"
    "app:route('GET /hash', function()\n"
    "  return { status = 200, body = leat.crypto.hex(leat.crypto.hash('sha256', '')) }\n"
    "end, { public = true })\n"
    "return app\n";

static leat_server *make(int *ready)
{
    leat_server *server = leat_server_new();
    leat_set(server, "database_url", getenv("DATABASE_URL"), NULL);
    leat_set(server, "listen", "none", NULL);
    leat_set(server, "app_source", app, NULL);
    leat_on_ready(server, on_ready, ready);
    return server;
}

/* --- no thread --- */

static atomic_int threads_left = 1000;

/* Leat's library calls this one, as any other that the program links. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return atomic_fetch_sub(&threads_left, 1) <= 0 ? EAGAIN : real(thread, attr, run, arg);
}

/* A start that gets no thread may be repeated. What it had read is freed, says LeakSanitizer. */
static void start_without_thread(leat_server *server, const int *ready)
{
    leat_error error;
    atomic_store(&threads_left, 0);
    check(leat_start(server, &error) < 0 && strcmp(error.code, "start") == 0,
          "a start without a thread fails", &error);
    atomic_store(&threads_left, 1000);
    check(leat_start(server, &error) == 0, "it may be repeated", &error);
    await(server, ready);
    check(*ready == 1, "the server is ready then", &error);
}

/* Each of its threads is missing once. */
static void start_with_few_threads(void)
{
    leat_error error = {.code = ""};
    int ready = 0;
    int says_why = 1;
    for (int n = 1; ready != 1 && says_why; n++) {
        ready = 0;
        leat_server *server = make(&ready);
        atomic_store(&threads_left, n);
        leat_start(server, NULL);
        await(server, &ready);
        atomic_store(&threads_left, 1000);
        says_why = ready == 1 || strstr(why_not, ": resource temporarily unavailable") != NULL;
        leat_server_free(server);
    }
    snprintf(error.message, sizeof(error.message), "%.400s", why_not);
    check(says_why, "a server that gets too few threads says why", &error);
}

/* --- sockets --- */

static const char head[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

static struct sockaddr_in bind_new(int fd)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    if (bind(fd, (struct sockaddr *)&addr, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        exit(1);
    return addr;
}

/* Returns a socket that is connected; its other end is left open. */
static int connected(int type)
{
    int other = socket(AF_INET, type, 0);
    int fd = socket(AF_INET, type, 0);
    struct sockaddr_in addr = bind_new(other);
    if ((type == SOCK_STREAM && listen(other, 1) < 0) ||
        connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        exit(1);
    return fd;
}

static void refuse_socket(leat_server *server, int fd, const void *bytes, size_t len,
                          const char *what)
{
    leat_error error = {.code = ""};
    int refused = leat_hand_over(server, fd, bytes, len, &error) < 0;
    int is_own = (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
    check(refused && is_own && strcmp(error.code, "bad_request") == 0, what, &error);
}

static void hand_over(leat_server *server)
{
    int tcp = connected(SOCK_STREAM);
    refuse_socket(server, connected(SOCK_DGRAM), head, strlen(head), "a UDP socket is refused");
    refuse_socket(server, tcp, head, (size_t)-1, "the length of a failed read is refused");
    refuse_socket(server, tcp, NULL, 5, "bytes that are not there are refused");
    close(tcp);
}

/* --- messages --- */

static void cut_message(leat_server *server)
{
    char key[1201] = "";
    leat_error error;
    for (int odd = 0; odd < 2; odd++) {
        memset(key, 'x', 2);
        for (int i = odd; i + 1 < 1200; i += 2)
            memcpy(key + i, "\xc3\xa9", 2);
        leat_set(server, key, "1", &error);
        size_t len = strlen(error.message);
        check(len > 460 && memcmp(error.message + len - 2, "\xc3\xa9", 2) == 0,
              "a long message ends with a whole character", &error);
    }
}

/* --- exit --- */

/* The hash is made by OpenSSL. */
static void ask_for_hash(void)
{
    static const char request[] = "GET /hash HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[13] = "";
    leat_error error = {.code = "no 200"};
    addr.sin_port = htons((uint16_t)atoi(strchr(listens_at, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        write(fd, request, strlen(request)) < 0 ||
        recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) < 0)
        perror("ask_for_hash");
    close(fd);
    check(strcmp(answer, "HTTP/1.1 200") == 0, "a server serves until the process has gone",
          &error);
}

/* What was registered first is called last: after the libraries that Leat uses have cleaned up. */
static void end_while_it_runs(void)
{
    int ready = 0;
    atexit(ask_for_hash);
    leat_server *server = make(&ready);
    leat_set(server, "listen", "127.0.0.1:0", NULL);
    leat_start(server, NULL);
    await(server, &ready);
    exit(0);
}

int main(int argc, char **argv)
{
    int ready = 0;
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        end_while_it_runs();
    leat_server *server = make(&ready);
    cut_message(server);
    start_without_thread(server, &ready);
    hand_over(server);
    leat_server_free(server);
    start_with_few_threads();
    return 0;
}
