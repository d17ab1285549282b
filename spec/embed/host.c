/* host.c - a program that embeds Leat, for spec/integration/embed_spec.lua. It is built with what
 * `cmake --install` has installed, and with nothing else.
 *
 *   host talk            publishes, subscribes, is slow, is revoked; says "ok - ..." of each
 *   host life N          starts and stops two servers N times; looks for what was left behind
 *   host serve           handlers in C, sockets handed over; until its stdin ends
 *   host rule NAME       breaks a rule of leat.h
 *
 * DATABASE_URL and LEAT_HOME are read. */
#include <dirent.h>
#include <leat.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 120000 /* under valgrind, on a busy machine */

static const char app[] =
    "local leat = require 'leat'\n"
    "local app = leat.app()\n"
    "app:topic('room:{id:int}', {\n"
    "  subscribe = function(ctx, args)\n"
    "    if not ctx.user then return leat.deny('unauthenticated') end\n"
    "    if ctx.user.id == 666 then return leat.deny('forbidden', 'not you') end\n"
    "    if args.id >= 1000 and ctx.user.id == 8 then\n"
    "      local n = ctx.db:one('select count(*) as n from leat.event where topic = $1 and kind = "
    "$2',\n"
    "        ctx.topic, 'revoke')\n"
    "      if n.n > 0 then return leat.deny('forbidden') end\n"
    "    end\n"
    "    return leat.subscribe_authorized(ctx, { id = args.id }, {\n"
    "      snapshot = function(db, row) return { room = row.id, user = ctx.user.id, params = "
    "ctx.params } end,\n"
    "    })\n"
    "  end,\n"
    "})\n"
    "app:method('lua', function(ctx, params) return { lua = params } end)\n"
    "return app\n";

/* --- what happened --- */

typedef struct seen {
    int ready;
    int failed;
    int stopped;
    int done;
    int refused;
    int snapshots;
    int resumed;
    int events;
    int skips;
    int signals;
    int closed;
    long long seq;
    int gaps;
    char epoch[128];
    char address[64];
    char text[4096]; /* of the last snapshot or event */
    char code[32];
    char message[512];
} seen;

static long long now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void fail(const char *what, const seen *s)
{
    printf("not ok - %s: code=%s message=%s text=%s\n", what, s->code, s->message, s->text);
    fflush(stdout);
    exit(1);
}

/* Dispatches until *count is at least n. */
static void await(leat_server *server, const seen *s, const int *count, int n, const char *what)
{
    long long end = now_ms() + LIMIT_MS;
    while (*count < n && now_ms() < end)
        leat_dispatch(server, 100);
    if (*count < n)
        fail(what, s);
}

static void check(int good, const char *what, const seen *s)
{
    if (!good)
        fail(what, s);
    printf("ok - %s\n", what);
    fflush(stdout);
}

static void keep_error(seen *s, const leat_error *error)
{
    snprintf(s->code, sizeof(s->code), "%s", error->code);
    snprintf(s->message, sizeof(s->message), "%s", error->message);
}

static void on_ready(void *arg, const char *address, const leat_error *error)
{
    seen *s = arg;
    snprintf(s->address, sizeof(s->address), "%s", address);
    s->ready++;
    if (error != NULL) {
        s->failed++;
        keep_error(s, error);
    }
}

static void on_stopped(void *arg)
{
    ((seen *)arg)->stopped++;
}

static void on_done(void *arg, const leat_error *error)
{
    seen *s = arg;
    s->done++;
    if (error != NULL) {
        s->refused++;
        keep_error(s, error);
    }
}

static void keep(seen *s, leat_at at, const char *data, size_t len)
{
    snprintf(s->epoch, sizeof(s->epoch), "%s", at.epoch);
    snprintf(s->text, sizeof(s->text), "%.*s", (int)len, data);
    if (strlen(data) != len)
        s->gaps++;
    s->seq = at.seq;
}

static void on_snapshot(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len,
                        int is_stale)
{
    seen *s = arg;
    (void)sub;
    (void)is_stale;
    s->snapshots++;
    keep(s, at, data, len);
}

static void on_resumed(void *arg, leat_subscription *sub, leat_at at)
{
    seen *s = arg;
    (void)sub;
    s->resumed++;
    s->seq = at.seq;
}

static void on_event(void *arg, leat_subscription *sub, leat_at at, const char *data, size_t len)
{
    seen *s = arg;
    (void)sub;
    if (at.seq != s->seq + 1)
        s->gaps++;
    s->events++;
    keep(s, at, data, len);
}

static void on_skip(void *arg, leat_subscription *sub, leat_at at)
{
    seen *s = arg;
    (void)sub;
    s->skips++;
    s->seq = at.seq;
}

static void on_signal(void *arg, leat_subscription *sub, const char *data, size_t len)
{
    seen *s = arg;
    (void)sub;
    s->signals++;
    snprintf(s->text, sizeof(s->text), "%.*s", (int)len, data);
}

static void on_closed(void *arg, leat_subscription *sub, const leat_error *why)
{
    seen *s = arg;
    (void)sub;
    s->closed++;
    keep_error(s, why);
}

static const leat_subscriber_callbacks callbacks = {
    .size = sizeof(callbacks),
    .snapshot = on_snapshot,
    .resumed = on_resumed,
    .event = on_event,
    .skip = on_skip,
    .signal = on_signal,
    .closed = on_closed,
};

static void on_log(void *arg, int level, const char *line, size_t len)
{
    (void)arg;
    if (level >= 2 || getenv("LEAT_SAY") != NULL)
        fprintf(stderr, "%.*s\n", (int)len, line);
}

/* --- servers --- */

static void set(leat_server *server, const char *key, const char *value)
{
    leat_error error;
    if (leat_set(server, key, value, &error) < 0) {
        fprintf(stderr, "%s: %s\n", key, error.message);
        exit(1);
    }
}

static leat_server *make(void)
{
    leat_server *server = leat_server_new();
    if (getenv("LEAT_HOME") != NULL)
        set(server, "home", getenv("LEAT_HOME"));
    set(server, "database_url", getenv("DATABASE_URL"));
    set(server, "listen", "127.0.0.1:0");
    set(server, "workers", "1");
    set(server, "drain_ms", "200");
    set(server, "app_source", app);
    leat_on_log(server, on_log, NULL);
    return server;
}

static void start(leat_server *server, seen *s)
{
    leat_error error;
    leat_on_ready(server, on_ready, s);
    if (leat_start(server, &error) < 0) {
        keep_error(s, &error);
        fail("start", s);
    }
}

static leat_subscription *subscribe(leat_server *server, const leat_subscribe_options *options,
                                    seen *s)
{
    leat_error error;
    leat_subscription *sub = leat_subscribe(server, options, &callbacks, s, &error);
    if (sub == NULL) {
        keep_error(s, &error);
        fail("leat_subscribe", s);
    }
    return sub;
}

/* --- talk --- */

static void talk_events(leat_server *server, seen *s)
{
    leat_error error;
    seen sub = {0};
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = "room:1", .user = "{\"id\":7}", .params = "{\"a\":1}"};
    leat_subscription *handle = subscribe(server, &options, &sub);
    await(server, &sub, &sub.snapshots, 1, "a snapshot");
    check(strstr(sub.text, "\"room\":1") != NULL && strstr(sub.text, "\"user\":7") != NULL &&
              strstr(sub.text, "\"a\":1") != NULL,
          "the handler sees the user and the params", &sub);
    leat_publish(server, "room:1", "{\"n\":1}", on_done, s, &error);
    await(server, s, &s->done, 1, "published");
    await(server, &sub, &sub.events, 1, "an event");
    check(strcmp(sub.text, "{\"n\": 1}") == 0 || strcmp(sub.text, "{\"n\":1}") == 0,
          "an event arrives", &sub);
    leat_signal(server, "room:1", "{\"typing\":true}", NULL, NULL, NULL, &error);
    await(server, &sub, &sub.signals, 1, "a signal");
    check(strstr(sub.text, "typing") != NULL, "a signal arrives", &sub);
    /* Once this one has the last signal, the worker has all of them. */
    seen witness = {0};
    leat_subscription *other = subscribe(server, &options, &witness);
    await(server, &witness, &witness.snapshots, 1, "a second snapshot");
    leat_pause(handle);
    for (int i = 0; i < 20; i++) {
        char tick[32];
        snprintf(tick, sizeof(tick), "%d", i);
        int done = s->done;
        leat_signal(server, "room:1", tick, "tick", on_done, s, &error);
        await(server, s, &s->done, done + 1, "signalled");
    }
    while (strcmp(witness.text, "19") != 0)
        await(server, &witness, &witness.signals, witness.signals + 1, "the last signal");
    leat_unsubscribe(other);
    await(server, &witness, &witness.closed, 1, "the second one's end");
    int signals = sub.signals;
    leat_resume(handle);
    while (strcmp(sub.text, "19") != 0)
        await(server, &sub, &sub.signals, sub.signals + 1, "the newest signal");
    check(sub.signals - signals < 5, "a slow program gets the newest signal", &sub);
    int before = sub.snapshots;
    leat_resync(server, "room:1", NULL, NULL, &error);
    await(server, &sub, &sub.snapshots, before + 1, "a fresh snapshot");
    check(1, "a resync brings a snapshot", &sub);
    long long seq = sub.seq;
    leat_unsubscribe(handle);
    await(server, &sub, &sub.closed, 1, "closed");
    check(strcmp(sub.code, "ok") == 0, "unsubscribing closes", &sub);

    seen again = {0};
    options.since_epoch = sub.epoch;
    options.since_seq = seq;
    handle = subscribe(server, &options, &again);
    await(server, &again, &again.resumed, 1, "resumed");
    check(again.snapshots == 0 && again.seq == seq, "a position is resumed", &again);
    leat_unsubscribe(handle);
    await(server, &again, &again.closed, 1, "closed");
}

static void talk_refusals(leat_server *server)
{
    leat_error error;
    seen s = {0};
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = "room:1", .user = "{\"id\":666}"};
    subscribe(server, &options, &s);
    await(server, &s, &s.closed, 1, "closed");
    check(strcmp(s.code, "forbidden") == 0 && strcmp(s.message, "not you") == 0,
          "the handler refuses", &s);
    options.user = NULL;
    subscribe(server, &options, &s);
    await(server, &s, &s.closed, 2, "closed");
    check(strcmp(s.code, "unauthenticated") == 0, "nobody has no user", &s);
    options.topic = "nothing";
    subscribe(server, &options, &s);
    await(server, &s, &s.closed, 3, "closed");
    check(strcmp(s.code, "not_found") == 0, "an unknown topic is not found", &s);
    options.user = "[1]";
    check(leat_subscribe(server, &options, &callbacks, &s, &error) == NULL &&
              strcmp(error.code, "bad_request") == 0,
          "a user must be an object", &s);
    check(leat_publish(server, "room:1", "{", on_done, &s, &error) < 0 &&
              strcmp(error.code, "bad_request") == 0 && s.done == 0,
          "data must be JSON", &s);
}

static void talk_revocation(leat_server *server)
{
    leat_error error;
    seen gone = {0}, stays = {0};
    char topic[32]; /* a new one, in which nobody was revoked */
    snprintf(topic, sizeof(topic), "room:%d", 1000 + (int)getpid());
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = topic, .user = "{\"id\":8}"};
    subscribe(server, &options, &gone);
    options.user = "{\"id\":9}";
    leat_subscription *handle = subscribe(server, &options, &stays);
    await(server, &gone, &gone.snapshots, 1, "a snapshot");
    await(server, &stays, &stays.snapshots, 1, "a snapshot");
    leat_revoke(server, topic, "8", NULL, NULL, &error);
    await(server, &gone, &gone.closed, 1, "closed");
    check(strcmp(gone.code, "revoked") == 0, "a revocation closes", &gone);
    await(server, &stays, &stays.skips, 1, "a skip");
    check(stays.closed == 0, "others stay", &stays);
    leat_unsubscribe(handle);
    await(server, &stays, &stays.closed, 1, "closed");
}

static void publish_many(leat_server *server, seen *s, int n)
{
    static char data[4096];
    leat_error error;
    int before = s->done;
    snprintf(data, sizeof(data), "{\"pad\":\"%03500d\"}", 0);
    for (int i = 0; i < n; i++) {
        leat_publish(server, "room:3", data, on_done, s, &error);
        await(server, s, &s->done, before + i + 1, "published");
    }
}

static void talk_slow(leat_server *server, seen *s)
{
    seen sub = {0};
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = "room:3", .user = "{\"id\":7}", .window_bytes = 16384};
    leat_subscription *handle = subscribe(server, &options, &sub);
    await(server, &sub, &sub.snapshots, 1, "a snapshot");
    leat_pause(handle);
    publish_many(server, s, 40);
    check(sub.events == 0, "a paused subscription is told nothing", &sub);
    leat_resume(handle);
    await(server, &sub, &sub.events, 40, "40 events");
    check(sub.gaps == 0 && sub.snapshots == 1, "what did not fit comes later, in order", &sub);
    leat_pause(handle);
    publish_many(server, s, 2);
    leat_unsubscribe(handle);
    await(server, &sub, &sub.closed, 1, "closed");
    check(sub.events == 40, "a paused subscription can be closed", &sub);
}

/* A file gives what leat_set does not. */
static void set_file(leat_server *server, seen *s)
{
    char path[] = "/tmp/leat_host_XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (f == NULL)
        fail("mkstemp", s);
    fprintf(f, "return { max_ring_bytes = 1048576, workers = 64 }\n");
    fclose(f);
    leat_set_file(server, path, NULL);
    start(server, s);
    unlink(path);
}

static int talk(void)
{
    seen s = {0};
    leat_server *server = make();
    leat_error error;
    check(strlen(leat_version()) > 0, "it has a version", &s);
    check(leat_set(server, "no_such_key", "1", &error) < 0 && strcmp(error.code, "config") == 0,
          "an unknown key is refused", &s);
    check(leat_publish(server, "room:1", "1", NULL, NULL, &error) < 0 &&
              strcmp(error.code, "stopped") == 0,
          "nothing is published before the start", &s);
    set_file(server, &s);
    await(server, &s, &s.ready, 1, "ready");
    check(s.failed == 0 && s.address[0] != '\0', "it is ready", &s);
    talk_events(server, &s);
    talk_refusals(server);
    talk_revocation(server);
    talk_slow(server, &s);
    char *text = leat_metrics_text(server);
    check(text != NULL && strstr(text, "leat_events_total") != NULL, "it has metrics", &s);
    free(text);
    leat_reload(server);
    seen last = {0};
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = "room:1", .user = "{\"id\":7}"};
    subscribe(server, &options, &last);
    await(server, &last, &last.snapshots, 1, "a snapshot after a reload");
    leat_stop(server, on_stopped, &s);
    await(server, &s, &s.stopped, 1, "stopped");
    check(last.closed == 1 && strcmp(last.code, "unavailable") == 0,
          "stopping closes subscriptions first", &last);
    check(leat_subscribe(server, &options, &callbacks, &last, &error) == NULL &&
              strcmp(error.code, "stopped") == 0,
          "after the end, nothing is subscribed", &s);
    leat_server_free(server);
    return 0;
}

/* --- life --- */

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

static void live_once(int i)
{
    leat_server *servers[2];
    seen s[2] = {0};
    seen sub = {0};
    leat_subscribe_options options = {
        .size = sizeof(options), .topic = "room:1", .user = "{\"id\":7}"};
    for (int k = 0; k < 2; k++) {
        servers[k] = make();
        if (k == 1)
            set(servers[k], "listen", "none");
        start(servers[k], &s[k]);
    }
    if (i % 4 == 3) { /* freed while they start */
        leat_server_free(servers[0]);
        leat_server_free(servers[1]);
        return;
    }
    for (int k = 0; k < 2; k++)
        await(servers[k], &s[k], &s[k].ready, 1, "ready");
    if (s[0].failed + s[1].failed > 0)
        fail("a start", &s[s[0].failed ? 0 : 1]);
    leat_subscribe(servers[1], &options, &callbacks, &sub, NULL);
    if (i % 2 == 0)
        await(servers[1], &sub, &sub.snapshots, 1, "a snapshot");
    leat_publish(servers[0], "room:1", "1", on_done, &s[0], NULL);
    if (i % 4 == 0) {
        leat_stop(servers[0], on_stopped, &s[0]);
        await(servers[0], &s[0], &s[0].stopped, 1, "stopped");
    }
    leat_server_free(servers[0]);
    leat_server_free(servers[1]);
}

/* In kB. */
static int resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return (int)(pages * (sysconf(_SC_PAGESIZE) / 1024));
}

/* A sanitizer, and valgrind, keep freed memory for a while. */
static int memory_tells(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#else
    return getenv("LD_PRELOAD") == NULL || strstr(getenv("LD_PRELOAD"), "vgpreload") == NULL;
#endif
}

/* Memory may still grow in the first rounds, by what the allocator keeps for each thread. */
static int life(int n)
{
    seen s = {0};
    int warm = n / 4 < 4 ? 4 : n / 4;
    int fds = 0, threads = 0, memory = 0;
    for (int i = 0; i < n + warm; i++) {
        if (i == warm) {
            fds = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
            memory = resident();
        }
        live_once(i);
    }
    int grown = resident() - memory;
    snprintf(s.text, sizeof(s.text), "fds %d -> %d, threads %d -> %d", fds,
             count_entries("/proc/self/fd"), threads, count_entries("/proc/self/task"));
    printf("# %d rounds of two servers: %s, memory %d kB %+d kB\n", n, s.text, memory, grown);
    check(count_entries("/proc/self/fd") == fds, "no descriptor is left", &s);
    check(count_entries("/proc/self/task") == threads, "no thread is left", &s);
    check(!memory_tells() || grown < 4096, "memory does not grow", &s);
    return 0;
}

/* --- serve --- */

static leat_server *serving;

static void on_echo(void *arg, leat_request *r)
{
    char answer[512];
    (void)arg;
    const char *data = leat_request_data(r, NULL);
    const char *id = leat_request_user_id(r);
    if (leat_request_user(r) != NULL)
        id = "somebody"; /* the app has no connect handler */
    snprintf(answer, sizeof(answer), "{\"echo\":%s,\n\"user\":\"%s\"}",
             data == NULL ? "null" : data, id == NULL ? "" : id);
    leat_answer(r, answer);
}

static void on_refuse(void *arg, leat_request *r)
{
    (void)arg;
    leat_refuse(r, "forbidden", "not today");
}

static leat_request *late;

static void on_late(void *arg, leat_request *r)
{
    (void)arg;
    if (late != NULL)
        leat_answer(late, "1");
    late = r;
}

static void *answer_elsewhere(void *arg)
{
    leat_answer(arg, "{\"thread\":\"another\"}");
    return NULL;
}

static void on_elsewhere(void *arg, leat_request *r)
{
    pthread_t thread;
    (void)arg;
    pthread_create(&thread, NULL, answer_elsewhere, r);
    pthread_detach(thread);
}

static void on_say(void *arg, leat_request *r)
{
    leat_error error;
    (void)arg;
    if (leat_publish(serving, leat_request_name(r), leat_request_data(r, NULL), NULL, NULL,
                     &error) < 0)
        leat_refuse(r, error.code, error.message);
    else
        leat_answer(r, NULL);
}

/* A listener of the program's own: it reads what there is of a request and hands the socket over.
 */
static int listen_for_program(int *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) < 0)
        exit(1);
    *port = ntohs(addr.sin_port);
    return fd;
}

static void hand_over(int listener)
{
    char head[8192];
    leat_error error;
    int fd = accept(listener, NULL, NULL);
    ssize_t n = fd < 0 ? 0 : read(fd, head, sizeof(head));
    if (n <= 0 || leat_hand_over(serving, fd, head, (size_t)n, &error) < 0)
        close(fd);
}

static int serve(void)
{
    seen s = {0};
    int port = 0;
    int listener = listen_for_program(&port);
    serving = make();
    set(serving, "max_host_requests", "2");
    set(serving, "control_timeout_ms", "1000");
    leat_error error;
    leat_on_method(serving, "echo", on_echo, NULL, &error);
    leat_on_method(serving, "refuse", on_refuse, NULL, &error);
    leat_on_method(serving, "late", on_late, NULL, &error);
    leat_on_method(serving, "elsewhere", on_elsewhere, NULL, &error);
    check(leat_on_method(serving, "echo", on_echo, NULL, &error) < 0, "a method has one handler",
          &s);
    leat_on_publish(serving, "room:{id:int}", on_say, NULL, &error);
    check(leat_on_publish(serving, "room:{", on_say, NULL, &error) < 0, "patterns are checked", &s);
    start(serving, &s);
    await(serving, &s, &s.ready, 1, "ready");
    printf("address %s own %d\n", s.address, port);
    fflush(stdout);
    for (;;) {
        struct pollfd waits[] = {
            {leat_fd(serving), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}, {listener, POLLIN, 0}};
        poll(waits, 3, -1);
        if (waits[0].revents != 0)
            leat_dispatch(serving, 0);
        if (waits[1].revents != 0)
            break;
        if (waits[2].revents != 0)
            hand_over(listener);
    }
    close(listener);
    leat_server_free(serving); /* with a request that was never answered */
    return 0;
}

/* --- rules --- */

static void *dispatch_elsewhere(void *arg)
{
    leat_dispatch(arg, 0);
    return NULL;
}

static void on_ready_dispatch(void *arg, const char *address, const leat_error *error)
{
    (void)address;
    (void)error;
    leat_dispatch(arg, 0);
}

static void on_ready_free(void *arg, const char *address, const leat_error *error)
{
    (void)address;
    (void)error;
    leat_server_free(arg);
}

static int rule(const char *name)
{
    leat_server *server = make();
    pthread_t thread;
    seen s = {0};
    if (strcmp(name, "nested") == 0)
        leat_on_ready(server, on_ready_dispatch, server);
    if (strcmp(name, "free") == 0)
        leat_on_ready(server, on_ready_free, server);
    if (leat_start(server, NULL) < 0)
        return 1;
    if (strcmp(name, "set") == 0)
        leat_set(server, "listen", "none", NULL);
    if (strcmp(name, "thread") == 0) {
        pthread_create(&thread, NULL, dispatch_elsewhere, server);
        pthread_join(thread, NULL);
    }
    for (;;)
        leat_dispatch(server, 100);
    (void)s;
}

/* --- a thread of Leat's --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int told;

static void tell(void)
{
    pthread_mutex_lock(&lock);
    told++;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_for(int n)
{
    pthread_mutex_lock(&lock);
    while (told < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void on_ready_tell(void *arg, const char *address, const leat_error *error)
{
    (void)arg;
    (void)address;
    if (error == NULL)
        tell();
}

static void on_done_tell(void *arg, const leat_error *error)
{
    (void)arg;
    if (error == NULL)
        tell();
}

static void on_stopped_tell(void *arg)
{
    (void)arg;
    tell();
}

static int own_thread(void)
{
    seen s = {0};
    leat_server *server = make();
    leat_use_own_thread(server);
    leat_on_ready(server, on_ready_tell, NULL);
    leat_start(server, NULL);
    wait_for(1);
    leat_publish(server, "room:1", "1", on_done_tell, NULL, NULL);
    wait_for(2);
    leat_stop(server, on_stopped_tell, NULL);
    wait_for(3);
    leat_server_free(server);
    check(1, "callbacks come on a thread of Leat's", &s);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "talk") == 0)
        return talk();
    if (strcmp(what, "life") == 0 && argc > 2)
        return life(atoi(argv[2]));
    if (strcmp(what, "serve") == 0)
        return serve();
    if (strcmp(what, "own") == 0)
        return own_thread();
    if (strcmp(what, "rule") == 0 && argc > 2)
        return rule(argv[2]);
    return 2;
}
