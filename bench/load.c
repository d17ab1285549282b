/* load.c - the clients of scripts/bench: many WebSockets on one libuv loop, and the server's own
 * figures.
 *
 *   load handshakes ADDR PORT PID TOPIC CLIENTS        connect and subscribe, at most 64 at a time
 *   load fanout     ADDR PORT PID CLIENTS EVENTS URL   one topic, EVENTS published through Postgres
 *   load idle       ADDR PORT PID CLIENTS              resident bytes of the server per idle
 * subscriber
 *   load crowd      ADDR PORT PID CLIENTS EVENTS URL   one that reads, beside CLIENTS that never do
 *
 * Each client sends its upgrade and its subscribe, then counts what comes: the first text frame is
 * the snapshot, every further one an event. CPU and memory are the server's, from /proc/PID. One
 * line of key=value is printed; of a crowd one a phase: alone, while the crowd's buffers are being
 * filled, when they are full, and alone again. Latency is from before the publishing statement is
 * sent until the event is read.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libpq-fe.h>
#include <uv.h>

enum {
    AT_ONCE = 64,
    READ_BYTES = 65536,
    EVENTS_A_COMMIT = 10,
    TEXT_BYTES = 128,
    /* What the kernel keeps for one of the crowd is to be little. */
    CROWD_RECEIVE_BYTES = 4096,
    CROWD_SEGMENT_BYTES = 1400,
};

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
    char text[TEXT_BYTES]; /* how the frame's payload begins */
    size_t text_len;
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
    bool crowd;          /* all but the first read their snapshot and no more */
    uint64_t *latencies; /* of the first one's events, in nanoseconds; or NULL */
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

static void note_latency(load *l, peer *p)
{
    static const char mark[] = "\"t\":";
    p->text[p->text_len] = '\0';
    const char *at = strstr(p->text, mark);
    if (at == NULL)
        fail("an event without its time", UV_EINVAL);
    l->latencies[l->events] = uv_hrtime() - strtoull(at + sizeof(mark) - 1, NULL, 10);
}

static bool in_crowd(const peer *p)
{
    return p->load->crowd && p != p->load->peers;
}

static void on_frame(peer *p)
{
    load *l = p->load;
    if (p->frames++ == 0) {
        l->subscribed++;
        if (in_crowd(p))
            uv_read_stop((uv_stream_t *)&p->tcp);
        begin_next(l);
    } else if (!in_crowd(p)) {
        if (l->latencies != NULL)
            note_latency(l, p);
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
            size_t room = TEXT_BYTES - 1 - p->text_len;
            size_t kept = n < room ? (size_t)n : room;
            memcpy(p->text + p->text_len, at, kept);
            p->text_len += kept;
            p->skip -= n;
            at += n;
        } else {
            p->head[p->head_len++] = *at++;
            if (p->head_len < 2 || p->head_len < head_size(p))
                continue;
            p->skip = payload_size(p);
            p->head_len = 0;
            p->text_len = 0;
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

static void take_little(peer *p)
{
    int fd = -1;
    int receive = CROWD_RECEIVE_BYTES, segment = CROWD_SEGMENT_BYTES;
    if (uv_fileno((uv_handle_t *)&p->tcp, &fd) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment)) < 0)
        fail("socket options", UV_EINVAL);
}

static void begin_next(load *l)
{
    if (l->begun == l->n_peers)
        return;
    peer *p = &l->peers[l->begun++];
    p->load = l;
    p->connect.data = p;
    uv_tcp_init_ex(&l->loop, &p->tcp, AF_INET);
    if (in_crowd(p))
        take_little(p);
    int err = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&l->address, on_connected);
    if (err < 0)
        fail("connect", err);
}

static void subscribe_more(load *l)
{
    for (int i = 0; i < AT_ONCE; i++)
        begin_next(l);
    uv_run(&l->loop, UV_RUN_DEFAULT);
}

static void subscribe_all(load *l)
{
    l->peers = calloc((size_t)l->n_peers, sizeof(*l->peers));
    subscribe_more(l);
}

typedef struct publisher {
    uv_thread_t thread;
    const char *url;
    int events;
} publisher;

static void run_sql(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    if (PQresultStatus(r) != PGRES_TUPLES_OK) {
        fprintf(stderr, "load: %s", PQerrorMessage(conn));
        exit(1);
    }
    PQclear(r);
}

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
        run_sql(conn, sql);
    }
    PQfinish(conn);
}

/* One event a commit, each with the time at which it set out. */
static void publish_timed(void *arg)
{
    publisher *p = arg;
    PGconn *conn = PQconnectdb(p->url);
    char sql[200];
    for (int sent = 0; sent < p->events; sent++) {
        snprintf(sql, sizeof(sql),
                 "select leat.publish('bare:1', jsonb_build_object('t', %" PRIu64
                 ", 'body', repeat('x', 1000)))",
                 uv_hrtime());
        run_sql(conn, sql);
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

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double us_at(const uint64_t *sorted, int n, int percent)
{
    return (double)sorted[(int64_t)(n - 1) * percent / 100] / 1e3;
}

static void run_phase(load *l, publisher *p, const char *name)
{
    l->events = 0;
    l->events_wanted = (uint64_t)p->events;
    double cpu = cpu_seconds(l->pid);
    uint64_t began = uv_hrtime();
    uv_thread_create(&p->thread, publish_timed, p);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    double wall = seconds_since(began);
    cpu = cpu_seconds(l->pid) - cpu;
    uv_thread_join(&p->thread);
    qsort(l->latencies, (size_t)p->events, sizeof(*l->latencies), compare);
    printf("crowd phase=%s clients=%d events=%d resident_kb=%ld wall_s=%.2f server_cpu_us_each=%.0f"
           " latency_us_p50=%.0f p90=%.0f p99=%.0f max=%.0f\n",
           name, l->n_peers - 1, p->events, resident_kb(l->pid), wall, cpu * 1e6 / p->events,
           us_at(l->latencies, p->events, 50), us_at(l->latencies, p->events, 90),
           us_at(l->latencies, p->events, 99), us_at(l->latencies, p->events, 100));
}

/* The events of one phase are more than a client of the crowd can have unsent. */
static void run_crowd(load *l, publisher *p)
{
    int clients = l->n_peers;
    l->crowd = true;
    l->peers = calloc((size_t)clients + 1, sizeof(*l->peers));
    l->latencies = calloc((size_t)p->events, sizeof(*l->latencies));
    l->n_peers = 1;
    subscribe_more(l);
    run_phase(l, p, "alone");
    l->n_peers += clients;
    l->events_wanted = 0;
    subscribe_more(l);
    run_phase(l, p, "filling");
    run_phase(l, p, "full");
    for (int i = 1; i <= clients; i++)
        uv_close((uv_handle_t *)&l->peers[i].tcp, NULL);
    l->n_peers = l->subscribed = 1;
    run_phase(l, p, "alone_again");
}

int main(int argc, char **argv)
{
    static load l;
    if (argc < 6) {
        fprintf(stderr, "usage: load handshakes|fanout|idle|crowd ADDR PORT PID ...\n");
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
    } else if (strcmp(argv[1], "crowd") == 0 && argc == 8) {
        publisher p = {.url = argv[7], .events = atoi(argv[6])};
        l.n_peers = atoi(argv[5]);
        run_crowd(&l, &p);
    } else if (strcmp(argv[1], "idle") == 0) {
        l.n_peers = atoi(argv[5]);
        run_idle(&l);
    } else {
        fprintf(stderr, "load: unknown scenario or wrong number of arguments\n");
        return 2;
    }
    return 0;
}
