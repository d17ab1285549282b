/* load.c - the clients of scripts/bench: many WebSockets on one libuv loop, and the server's own
 * figures.
 *
 *   load handshakes ADDR PORT PID TOPIC CLIENTS        connect and subscribe, at most 64 at a time
 *   load fanout     ADDR PORT PID CLIENTS EVENTS URL   one topic, EVENTS published through Postgres
 *   load idle       ADDR PORT PID CLIENTS              resident bytes of the server per idle
 * subscriber
 *
 * Each client sends its upgrade and its subscribe, then counts what comes: the first text frame is
 * the snapshot, every further one an event. CPU and memory are the server's, from /proc/PID. One
 * line of key=value is printed.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <uv.h>

enum { AT_ONCE = 64, READ_BYTES = 65536, EVENTS_A_COMMIT = 10 };

typedef struct load load;

typedef struct peer {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    load *load;
    char *request;
    bool upgraded;
    unsigned matched;       /* bytes of CR LF CR LF seen at the end of the response's head */
    unsigned char head[10]; /* of the frame that is being read */
    unsigned head_len;
    uint64_t skip; /* payload bytes still to come */
    uint64_t frames;
} peer;

struct load {
    uv_loop_t loop;
    struct sockaddr_in address;
    int pid;
    const char *topic;
    int n_peers;
    peer *peers;
    int begun;
    int subscribed;
    uint64_t events;
    uint64_t events_wanted;
    char read_buffer[READ_BYTES];
};

static void begin_next(load *l);

static void fail(const char *what, int err)
{
    fprintf(stderr, "load: %s: %s\n", what, uv_strerror(err));
    exit(1);
}

static double cpu_seconds(int pid)
{
    char path[64], line[1024];
    unsigned long user = 0, sys = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fgets(line, sizeof(line), f) == NULL)
        fail("the server is gone", UV_ESRCH);
    fclose(f);
    const char *after_name = strrchr(line, ')');
    sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static long resident_kb(int pid)
{
    char path[64], line[256];
    long kb = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail("the server is gone", UV_ESRCH);
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kb) == 1)
            break;
    fclose(f);
    return kb;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    load *l = ((peer *)handle)->load;
    (void)suggested;
    *buf = uv_buf_init(l->read_buffer, READ_BYTES);
}

static void on_frame(peer *p)
{
    load *l = p->load;
    if (p->frames++ == 0) {
        l->subscribed++;
        begin_next(l);
    } else {
        l->events++;
    }
    bool done = l->subscribed == l->n_peers && l->events >= l->events_wanted;
    if (done)
        uv_stop(&l->loop);
}

static unsigned head_size(const peer *p)
{
    unsigned marker = p->head[1] & 127;
    return p->head_len < 2 || marker < 126 ? 2 : marker == 126 ? 4 : 10;
}

static uint64_t payload_size(const peer *p)
{
    unsigned marker = p->head[1] & 127;
    if (marker < 126)
        return marker;
    uint64_t n = 0;
    for (unsigned i = 2; i < p->head_len; i++)
        n = n << 8 | p->head[i];
    return n;
}

static void read_frames(peer *p, const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        if (p->skip > 0) {
            uint64_t n = (uint64_t)(end - at) < p->skip ? (uint64_t)(end - at) : p->skip;
            p->skip -= n;
            at += n;
        } else {
            p->head[p->head_len++] = *at++;
            if (p->head_len < 2 || p->head_len < head_size(p))
                continue;
            p->skip = payload_size(p);
            p->head_len = 0;
        }
        if (p->skip == 0 && p->head_len == 0 && (p->head[0] & 15) == 1)
            on_frame(p);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    peer *p = (peer *)stream;
    const unsigned char *at = (const unsigned char *)buf->base;
    if (n < 0)
        fail("the server closed a connection", (int)n);
    const unsigned char *end = at + n;
    for (; !p->upgraded && at < end; at++) {
        p->matched = *at == (unsigned char)"\r\n\r\n"[p->matched] ? p->matched + 1 : *at == '\r';
        p->upgraded = p->matched == 4;
    }
    read_frames(p, at, end);
}

static void on_written(uv_write_t *write, int err)
{
    if (err < 0)
        fail("write", err);
    peer *p = (peer *)write->data;
    free(p->request);
    p->request = NULL;
}

static void on_connected(uv_connect_t *connect, int err)
{
    peer *p = connect->data;
    if (err < 0)
        fail("connect", err);
    char message[256];
    int text = snprintf(message, sizeof(message),
                        "{\"op\":\"subscribe\",\"id\":1,\"topic\":\"%s\"}", p->load->topic);
    p->request = malloc(1024);
    int head = snprintf(p->request, 1024,
                        "GET /ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    /* A client must mask; the key may be anything, so it is zero and the text stays as it is. */
    unsigned char frame[6] = {0x81, (unsigned char)(0x80 | text), 0, 0, 0, 0};
    memcpy(p->request + head, frame, sizeof(frame));
    memcpy(p->request + head + 6, message, (size_t)text);
    uv_buf_t buf = uv_buf_init(p->request, (unsigned)(head + 6 + text));
    p->write.data = p;
    uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
    uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
}

static void begin_next(load *l)
{
    if (l->begun == l->n_peers)
        return;
    peer *p = &l->peers[l->begun++];
    p->load = l;
    p->connect.data = p;
    uv_tcp_init(&l->loop, &p->tcp);
    int err = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&l->address, on_connected);
    if (err < 0)
        fail("connect", err);
}

static void subscribe_all(load *l)
{
    l->peers = calloc((size_t)l->n_peers, sizeof(*l->peers));
    for (int i = 0; i < AT_ONCE && i < l->n_peers; i++)
        begin_next(l);
    uv_run(&l->loop, UV_RUN_DEFAULT);
}

typedef struct publisher {
    uv_thread_t thread;
    const char *url;
    int events;
} publisher;

static void publish_all(void *arg)
{
    publisher *p = arg;
    PGconn *conn = PQconnectdb(p->url);
    char sql[200];
    for (int sent = 0; sent < p->events; sent += EVENTS_A_COMMIT) {
        int n = p->events - sent < EVENTS_A_COMMIT ? p->events - sent : EVENTS_A_COMMIT;
        snprintf(
            sql, sizeof(sql),
            "select leat.publish('bare:1', jsonb_build_object('n', i, 'body', repeat('x', 100)))"
            " from generate_series(1, %d) i",
            n);
        PGresult *r = PQexec(conn, sql);
        if (PQresultStatus(r) != PGRES_TUPLES_OK) {
            fprintf(stderr, "load: %s", PQerrorMessage(conn));
            exit(1);
        }
        PQclear(r);
    }
    PQfinish(conn);
}

static double seconds_since(uint64_t began)
{
    return (double)(uv_hrtime() - began) / 1e9;
}

static void run_handshakes(load *l)
{
    double cpu = cpu_seconds(l->pid);
    uint64_t began = uv_hrtime();
    subscribe_all(l);
    double wall = seconds_since(began);
    cpu = cpu_seconds(l->pid) - cpu;
    printf("handshakes topic=%s clients=%d wall_s=%.2f per_s=%.0f server_cpu_us_each=%.1f\n",
           l->topic, l->n_peers, wall, l->n_peers / wall, cpu * 1e6 / l->n_peers);
}

static void run_fanout(load *l, publisher *p)
{
    subscribe_all(l);
    l->events_wanted = (uint64_t)l->n_peers * (uint64_t)p->events;
    double cpu = cpu_seconds(l->pid);
    uint64_t began = uv_hrtime();
    uv_thread_create(&p->thread, publish_all, p);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    double wall = seconds_since(began);
    uv_thread_join(&p->thread);
    cpu = cpu_seconds(l->pid) - cpu;
    printf("fanout clients=%d events=%d delivered=%" PRIu64
           " wall_s=%.2f per_s=%.0f per_server_cpu_s=%.0f\n",
           l->n_peers, p->events, l->events, wall, (double)l->events / wall,
           (double)l->events / cpu);
}

static void run_idle(load *l)
{
    long before = resident_kb(l->pid);
    subscribe_all(l);
    long after = resident_kb(l->pid);
    printf("idle clients=%d resident_before_kb=%ld resident_after_kb=%ld bytes_each=%.0f\n",
           l->n_peers, before, after, (double)(after - before) * 1024 / l->n_peers);
}

int main(int argc, char **argv)
{
    static load l;
    if (argc < 6) {
        fprintf(stderr, "usage: load handshakes|fanout|idle ADDR PORT PID ...\n");
        return 2;
    }
    uv_loop_init(&l.loop);
    uv_ip4_addr(argv[2], atoi(argv[3]), &l.address);
    l.pid = atoi(argv[4]);
    l.topic = "bare:1";
    if (strcmp(argv[1], "handshakes") == 0 && argc == 7) {
        l.topic = argv[5];
        l.n_peers = atoi(argv[6]);
        run_handshakes(&l);
    } else if (strcmp(argv[1], "fanout") == 0 && argc == 8) {
        publisher p = {.url = argv[7], .events = atoi(argv[6])};
        l.n_peers = atoi(argv[5]);
        run_fanout(&l, &p);
    } else if (strcmp(argv[1], "idle") == 0) {
        l.n_peers = atoi(argv[5]);
        run_idle(&l);
    } else {
        fprintf(stderr, "load: unknown scenario or wrong number of arguments\n");
        return 2;
    }
    return 0;
}
