/* storm.c - a program that uses all of leat.h at random, from callbacks and from several threads,
 * and stops in the middle of it; for spec/integration/embed_storm_spec.lua and the sanitizers.
 *
 *   storm SEED ROUNDS      DATABASE_URL and LEAT_HOME are read.
 *
 * Each round is one server: four threads call the functions of leat.h that any thread may call, two
 * clients call methods, publish and vanish, some over sockets that are handed over; a method of the
 * app ends the server's own connections to Postgres. The round ends by leat_stop, by
 * leat_server_free alone, or by both. What every program may rely on is checked: the order of
 * events, one `closed` for each subscription, one answer for each publish, nothing after
 * on_stopped, and no descriptor or thread left. */
#include <arpa/inet.h>
#include <dirent.h>
#include <leat.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SUBS = 12, REQUESTS = 64, CLIENTS = 2, LIMIT_MS = 60000 };

static const char app[] =
    "local leat = require 'leat'\n"
    "local app = leat.app()\n"
    "app:topic('room:{id:int}', {\n"
    "  subscribe = function(ctx, args)\n"
    "    return leat.subscribe_authorized(ctx, { id = args.id }, {\n"
    "      snapshot = function(db, row) return { room = row.id } end,\n"
    "    })\n"
    "  end,\n"
    "})\n"
    "app:method('lua', function(ctx, params) return params end)\n"
    "app:method('kill', function(ctx)\n"
    "  ctx.db:rows([[select pg_terminate_backend(pid) from pg_stat_activity where datname = "
    "current_database()\n"
    "    and application_name like 'leat%' and pid <> pg_backend_pid()]])\n"
    "end)\n"
    "return app\n";

struct round;

struct sub {
    struct round *round;
    leat_subscription *handle; /* NULL: there is none; under the lock */
    long long seq;             /* of the last callback */
};

struct round {
    leat_server *server;
    unsigned seed;
    int own_thread;
    char address[64];
    int listener; /* of the program itself */
    int port;
    atomic_int ready;   /* 1: it serves, 2: it has failed */
    atomic_int stopped; /* calls of on_stopped */
    atomic_int enough;  /* the threads end */
    atomic_int stops_itself;
    atomic_int publishes; /* accepted, with on_done */
    atomic_int dones;
    atomic_int subscribed;
    atomic_int closed;
    atomic_int late; /* callbacks after on_stopped */

    pthread_mutex_t lock;
    struct sub subs[SUBS];
    leat_request *requests[REQUESTS];
};

/* --- dice, time, ends --- */

static unsigned dice(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % n;
}

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static void fail(const struct round *r, const char *what)
{
    printf("not ok - seed %u: %s (publishes %d dones %d subscribed %d closed %d late %d)\n",
           r->seed, what, r->publishes, r->dones, r->subscribed, r->closed, r->late);
    fflush(stdout);
    _exit(1);
}

/* --- what any thread does --- */

static const leat_subscriber_callbacks callbacks;

static void on_done(void *arg, const leat_error *error)
{
    struct round *r = arg;
    (void)error;
    r->dones++;
    r->late += r->stopped > 0;
}

static void on_stopped(void *arg)
{
    struct round *r = arg;
    r->stopped++;
}

static void publish(struct round *r, unsigned *seed, const char *topic)
{
    leat_error error;
    if (leat_publish(r->server, topic, "{\"n\":1}", on_done, r, &error) == 0)
        r->publishes++;
    (void)seed;
}

static void send_signal(struct round *r, unsigned *seed, const char *topic)
{
    const char *key = dice(seed, 2) == 0 ? NULL : "key";
    if (leat_signal(r->server, topic, "1", key, on_done, r, NULL) == 0)
        r->publishes++;
}

static void subscribe(struct round *r, unsigned *seed, const char *topic)
{
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = topic, .user = "{\"id\":7}", .timeout_ms = 5000};
    options.window_bytes = dice(seed, 3) == 0 ? 1 : dice(seed, 2) * 2000;
    struct sub *s = &r->subs[dice(seed, SUBS)];
    pthread_mutex_lock(&r->lock);
    if (s->handle == NULL) {
        s->round = r;
        s->seq = -1;
        s->handle = leat_subscribe(r->server, &options, &callbacks, s, NULL);
        r->subscribed += s->handle != NULL;
    }
    pthread_mutex_unlock(&r->lock);
}

static void unsubscribe(struct round *r, unsigned *seed)
{
    struct sub *s = &r->subs[dice(seed, SUBS)];
    pthread_mutex_lock(&r->lock); /* `closed` waits for it, and then the handle is gone */
    if (s->handle != NULL)
        leat_unsubscribe(s->handle);
    pthread_mutex_unlock(&r->lock);
}

static void answer(leat_request *request, unsigned *seed)
{
    if (dice(seed, 3) == 0)
        leat_refuse(request, dice(seed, 2) == 0 ? "forbidden" : "nonsense", "no \xff");
    else
        leat_answer(request, dice(seed, 2) == 0 ? "{\"a\":\n1}" : NULL);
}

static void answer_one(struct round *r, unsigned *seed)
{
    unsigned i = dice(seed, REQUESTS);
    pthread_mutex_lock(&r->lock);
    leat_request *request = r->requests[i];
    r->requests[i] = NULL;
    pthread_mutex_unlock(&r->lock);
    if (request != NULL)
        answer(request, seed);
}

static void act(struct round *r, unsigned *seed)
{
    char topic[32];
    snprintf(topic, sizeof(topic), "room:%u", dice(seed, 3));
    switch (dice(seed, 16)) {
    case 0:
    case 1:
    case 2:
        publish(r, seed, topic);
        break;
    case 3:
    case 4:
        send_signal(r, seed, topic);
        break;
    case 5:
        if (leat_revoke(r->server, topic, dice(seed, 2) == 0 ? NULL : "7", on_done, r, NULL) == 0)
            r->publishes++;
        break;
    case 6:
        if (leat_resync(r->server, topic, on_done, r, NULL) == 0)
            r->publishes++;
        break;
    case 7:
        if (dice(seed, 8) == 0)
            leat_reload(r->server);
        break;
    case 8:
        free(leat_metrics_text(r->server));
        break;
    case 9:
    case 10:
    case 11:
        subscribe(r, seed, topic);
        break;
    case 12:
    case 13:
        unsubscribe(r, seed);
        break;
    default:
        answer_one(r, seed);
    }
}

/* --- callbacks --- */

static unsigned calls_seed; /* of the thread of the callbacks */

/* Everything that a callback may call. */
static void act_inside(struct round *r, leat_subscription *sub)
{
    r->late += r->stopped > 0;
    switch (dice(&calls_seed, 12)) {
    case 0:
        if (sub != NULL)
            leat_pause(sub);
        break;
    case 1:
    case 2:
        if (sub != NULL)
            leat_resume(sub);
        break;
    case 3:
        act(r, &calls_seed);
        break;
    case 4:
        if (r->stops_itself && dice(&calls_seed, 20) == 0)
            leat_stop(r->server, on_stopped, r);
        break;
    case 5:
        if (sub != NULL && dice(&calls_seed, 10) == 0)
            leat_unsubscribe(sub);
        break;
    default:
        break;
    }
}

static void on_snapshot(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len,
                        int is_stale)
{
    struct sub *s = arg;
    (void)is_stale;
    if (at.seq < s->seq || strlen(data) != len)
        fail(s->round, "a snapshot went back");
    s->seq = at.seq;
    act_inside(s->round, sub);
}

static void on_event(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len)
{
    struct sub *s = arg;
    if (at.seq != s->seq + 1 || strlen(data) != len)
        fail(s->round, "an event is missing");
    s->seq = at.seq;
    act_inside(s->round, sub);
}

static void on_skip(void *arg, leat_subscription *sub, leat_at at)
{
    struct sub *s = arg;
    if (at.seq != s->seq + 1)
        fail(s->round, "a skip is missing");
    s->seq = at.seq;
    act_inside(s->round, sub);
}

static void on_signal(void *arg, leat_subscription *sub, const char *data, size_t len)
{
    struct sub *s = arg;
    if (strlen(data) != len)
        fail(s->round, "a signal is cut");
    act_inside(s->round, sub);
}

static void on_closed(void *arg, leat_subscription *sub, const leat_error *why)
{
    struct sub *s = arg;
    struct round *r = s->round;
    (void)why;
    leat_pause(sub);
    leat_unsubscribe(sub);
    leat_resume(sub);
    act_inside(r, sub);
    pthread_mutex_lock(&r->lock);
    if (s->handle != sub)
        fail(r, "closed twice");
    s->handle = NULL;
    pthread_mutex_unlock(&r->lock);
    r->closed++;
}

static const leat_subscriber_callbacks callbacks = {
    .size = sizeof(callbacks),
    .snapshot = on_snapshot,
    .event = on_event,
    .skip = on_skip,
    .signal = on_signal,
    .closed = on_closed,
};

static void on_request(void *arg, leat_request *request)
{
    struct round *r = arg;
    size_t len = 0;
    if (leat_request_name(request) == NULL ||
        (leat_request_data(request, &len) != NULL &&
         strlen(leat_request_data(request, NULL)) != len) ||
        leat_request_user(request) != NULL || r->ready == 0)
        fail(r, "a request is wrong");
    act_inside(r, NULL);
    unsigned i = dice(&calls_seed, REQUESTS);
    pthread_mutex_lock(&r->lock);
    leat_request *before = r->requests[i];
    r->requests[i] = dice(&calls_seed, 2) == 0 ? request : NULL;
    int later = r->requests[i] == request;
    pthread_mutex_unlock(&r->lock);
    if (before != NULL)
        answer(before, &calls_seed);
    if (!later)
        answer(request, &calls_seed);
}

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    struct round *r = arg;
    snprintf(r->address, sizeof(r->address), "%s", address);
    if (error != NULL)
        fprintf(stderr, "%s\n", error->message);
    r->ready = error == NULL ? 1 : 2;
}

static void on_log(void *arg, int level, const char *line, size_t len)
{
    (void)arg;
    if (level >= 3)
        fprintf(stderr, "%.*s\n", (int)len, line);
}

/* --- the threads --- */

static void *run_mischief(void *arg)
{
    struct round *r = arg;
    unsigned seed = r->seed * 7 + 1;
    while (!r->enough) {
        act(r, &seed);
        if (dice(&seed, 4) == 0)
            nap(1);
    }
    return NULL;
}

static void *run_acceptor(void *arg)
{
    struct round *r = arg;
    while (!r->enough) {
        char head[4096];
        struct pollfd p = {.fd = r->listener, .events = POLLIN};
        if (poll(&p, 1, 20) != 1)
            continue;
        int fd = accept(r->listener, NULL, NULL);
        ssize_t n = fd < 0 ? 0 : recv(fd, head, sizeof(head), 0);
        if (fd >= 0 && (n <= 0 || leat_hand_over(r->server, fd, head, (size_t)n, NULL) < 0))
            close(fd);
    }
    return NULL;
}

static int connect_to(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void send_text(int fd, const char *text)
{
    char frame[256] = {(char)0x81};
    size_t len = strlen(text);
    frame[1] = (char)(0x80 | len); /* a mask of zeros; texts are short */
    memcpy(frame + 6, text, len);
    if (send(fd, frame, len + 6, MSG_NOSIGNAL) < 0)
        return;
}

static void drain(int fd)
{
    char bytes[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 2) == 1 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static void talk(struct round *r, int fd, unsigned *seed)
{
    static const char *const texts[] = {
        "{\"op\":\"call\",\"id\":1,\"method\":\"c\",\"params\":{\"a\":1}}",
        "{\"op\":\"call\",\"id\":2,\"method\":\"lua\",\"params\":1}",
        "{\"op\":\"publish\",\"id\":3,\"topic\":\"room:1\",\"data\":{}}",
        "{\"op\":\"subscribe\",\"id\":4,\"topic\":\"room:1\"}",
        "{\"op\":\"unsubscribe\",\"id\":5,\"topic\":\"room:1\"}",
        "{\"op\":\"call\",\"id\":6,\"method\":\"kill\"}",
    };
    char answer_head[1024];
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, answer_head, sizeof(answer_head), 0) <= 0)
        return;
    for (unsigned i = 0, n = dice(seed, 30); i < n && !r->enough; i++) {
        unsigned which = dice(seed, 51); /* the last one is rare */
        send_text(fd, texts[which == 50 ? 5 : which % 5]);
        if (dice(seed, 3) == 0)
            drain(fd);
    }
}

static void *run_client(void *arg)
{
    struct round *r = arg;
    static atomic_uint count;
    unsigned seed = r->seed * 31 + atomic_fetch_add(&count, 1);
    int port = atoi(strrchr(r->address, ':') + 1);
    while (!r->enough) {
        int fd = connect_to(dice(&seed, 2) == 0 ? port : r->port);
        if (fd < 0) {
            nap(5);
            continue;
        }
        talk(r, fd, &seed);
        close(fd);
    }
    return NULL;
}

/* --- a round --- */

static void open_listener(struct round *r)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(r->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(r->listener, 16) < 0 || getsockname(r->listener, (struct sockaddr *)&addr, &len) < 0)
        fail(r, "a listener");
    r->port = ntohs(addr.sin_port);
}

static void make_server(struct round *r, unsigned *seed)
{
    leat_error error;
    r->server = leat_server_new();
    int err = leat_set(r->server, "database_url", getenv("DATABASE_URL"), &error) +
              leat_set(r->server, "listen", "127.0.0.1:0", &error) +
              leat_set(r->server, "workers", dice(seed, 2) == 0 ? "1" : "2", &error) +
              leat_set(r->server, "pool_size", "2", &error) +
              leat_set(r->server, "drain_ms", "100", &error) +
              leat_set(r->server, "control_timeout_ms", "2000", &error) +
              leat_set(r->server, "max_host_requests", dice(seed, 2) == 0 ? "4" : "100", &error) +
              leat_set(r->server, "app_source", app, &error) +
              leat_on_method(r->server, "c", on_request, r, &error) +
              leat_on_publish(r->server, "room:{id:int}", on_request, r, &error);
    if (getenv("LEAT_HOME") != NULL)
        err += leat_set(r->server, "home", getenv("LEAT_HOME"), &error);
    if (err < 0)
        fail(r, error.message);
    leat_on_log(r->server, on_log, r);
    leat_on_ready(r->server, on_ready, r);
    r->own_thread = dice(seed, 2) == 0;
    if (r->own_thread)
        leat_use_own_thread(r->server);
}

/* Lets callbacks come for a while; now and then the program does not look. */
static void live_for(struct round *r, unsigned *seed, unsigned ms)
{
    long long end = now_ms() + ms;
    while (now_ms() < end) {
        if (r->own_thread || dice(seed, 30) == 0)
            nap(10 + dice(seed, 40));
        else
            leat_dispatch(r->server, (int)dice(seed, 10));
    }
}

static void await(struct round *r, unsigned *seed, atomic_int *what, const char *name)
{
    long long end = now_ms() + LIMIT_MS;
    while (*what == 0 && now_ms() < end)
        live_for(r, seed, 10);
    if (*what == 0)
        fail(r, name);
}

static void check_end(struct round *r)
{
    if (r->dones != r->publishes)
        fail(r, "a publish has no answer");
    if (r->closed != r->subscribed)
        fail(r, "a subscription has no end");
}

static void storm(struct round *r, unsigned *seed)
{
    pthread_t threads[CLIENTS + 2];
    unsigned ending = dice(seed, 4);
    r->stops_itself = ending == 3;
    for (int i = 0; i < CLIENTS; i++)
        pthread_create(&threads[i], NULL, run_client, r);
    pthread_create(&threads[CLIENTS], NULL, run_mischief, r);
    pthread_create(&threads[CLIENTS + 1], NULL, run_acceptor, r);
    live_for(r, seed, 50 + dice(seed, 300));
    if (ending >= 1) /* 0: freed without a stop */
        leat_stop(r->server, on_stopped, r);
    if (ending >= 2) /* 1: freed while it stops */
        await(r, seed, &r->stopped, "on_stopped");
    r->enough = 1;
    for (int i = 0; i < CLIENTS + 2; i++)
        pthread_join(threads[i], NULL);
    if (ending >= 2)
        live_for(r, seed, 5); /* nothing comes */
}

static void run_round(unsigned number)
{
    struct round *r = calloc(1, sizeof(*r));
    unsigned seed = number;
    r->seed = number;
    calls_seed = number * 3;
    pthread_mutex_init(&r->lock, NULL);
    open_listener(r);
    make_server(r, &seed);
    leat_error error;
    if (leat_start(r->server, &error) < 0)
        fail(r, error.message);
    int is_brief = dice(&seed, 8) == 0; /* freed while it starts */
    if (!is_brief) {
        await(r, &seed, &r->ready, "on_ready");
        if (r->ready == 2)
            fail(r, "the start");
        storm(r, &seed);
    }
    int was_stopped = r->stopped > 0;
    leat_server_free(r->server);
    if (was_stopped)
        check_end(r);
    if (r->late > 0)
        fail(r, "a callback after on_stopped");
    close(r->listener);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static int count_entries(const char *folder)
{
    int n = 0;
    DIR *d = opendir(folder);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    int fds = 0, threads = 0;
    for (unsigned i = 0; i < rounds; i++) {
        run_round(seed + i);
        if (i == 0) { /* libuv has threads of its own from now on */
            fds = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
        }
    }
    printf("rounds %u fds %d -> %d threads %d -> %d\n", rounds, fds, count_entries("/proc/self/fd"),
           threads, count_entries("/proc/self/task"));
    return 0;
}
