/* client.c - the connection: connect -> on_connected -> take_head -> frames or events; every now
 * and then on_move does something with it. What a message must be like, at that point of its
 * subscription, is view.c's.
 */
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "message.h"
#include "sdk.h"
#include "server.h"
#include "sse.h"
#include "view.h"

enum {
    MOVE_MS = 90,
    RECONNECT_MS = 60,
    RECEIVE_BUFFER = 8192,
    OP_TEXT = 1,
    OP_CLOSE = 8,
    OP_PING = 9
};

typedef enum phase { DOWN, CONNECTING, UPGRADING, OPEN, GOING } phase;

typedef enum transport {
    SOCKET,        /* WebSocket, at /ws */
    STREAM_SOCKET, /* WebSocket, at a stream route */
    STREAM_SSE,    /* Server-Sent Events */
} transport;

typedef struct client {
    clients *all;
    dice dice;
    transport transport;
    phase phase;
    bool paused;
    bool resting;
    uint64_t resume_ms; /* when a paused one reads on */
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_timer_t timer;
    leat_buf in;
    viewer viewer;
} client;

struct clients {
    torture *torture;
    sdk *sdk; /* NULL: there are none of an SDK */
    client *at;
    unsigned n;
    unsigned handles; /* not yet closed */
    bool closing;
    uv_async_t ordered;
    uv_mutex_t lock;
    unsigned cut_percent;
    unsigned pause_percent;
    unsigned pause_ms;
};

static void on_move(uv_timer_t *timer);
static void on_closed(uv_handle_t *h);
static void connect_client(client *c);

static uint64_t now_ms(const client *c)
{
    return uv_now(&c->all->torture->loop);
}

static void arm(client *c, unsigned in_ms)
{
    uv_timer_start(&c->timer, on_move, in_ms, 0);
}

static void arm_next(client *c)
{
    arm(c, 1 + roll(&c->dice, 2 * MOVE_MS));
}

static void leave(client *c, bool by_reset)
{
    if (c->phase == DOWN || c->phase == GOING)
        return;
    c->phase = GOING;
    c->paused = false;
    viewer_disconnected(&c->viewer);
    if (by_reset)
        torture_count(c->all->torture, COUNT_RSTS);
    if (!by_reset || uv_tcp_close_reset(&c->tcp, on_closed) < 0)
        uv_close((uv_handle_t *)&c->tcp, on_closed);
}

static void on_closed(uv_handle_t *h)
{
    client *c = h->data;
    c->phase = DOWN;
    leat_buf_close(&c->in);
    c->all->handles--;
    if (!c->all->closing && !c->resting)
        arm(c, roll(&c->dice, RECONNECT_MS));
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void send_bytes(client *c, leat_buf *bytes)
{
    uv_write_t *w = malloc(sizeof(*w) + bytes->len);
    if (w == NULL)
        torture_die("out of memory");
    memcpy(w + 1, bytes->at, bytes->len);
    uv_buf_t buf = uv_buf_init((char *)(w + 1), (unsigned)bytes->len);
    leat_buf_close(bytes);
    if (uv_write(w, (uv_stream_t *)&c->tcp, &buf, 1, on_written) < 0)
        free(w);
}

static void send_text(client *c, leat_buf *text)
{
    leat_buf out = LEAT_BUF_INIT;
    frame_put(&out, OP_TEXT, leat_buf_view(text));
    leat_buf_close(text);
    send_bytes(c, &out);
}

static void on_close_frame(client *c, leat_slice payload)
{
    torture *t = c->all->torture;
    int code =
        payload.len < 2 ? 1005 : (unsigned char)payload.at[0] << 8 | (unsigned char)payload.at[1];
    if (code == 1001)
        torture_count(t, COUNT_GOING_AWAY);
    else if (code == 4008)
        torture_count(t, COUNT_TOO_SLOW);
    else if (code != 1000 && !(c->transport == STREAM_SOCKET && (code == 1013 || code == 4408)))
        torture_violation(t, "client=%d: closed with code %d %.*s", c->viewer.number, code,
                          payload.len < 2 ? 0 : (int)payload.len - 2, payload.at + 2);
    leave(c, false);
}

static void take_frame(client *c, const frame *f)
{
    leat_buf out = LEAT_BUF_INIT;
    switch (f->op) {
    case OP_TEXT:
        viewer_take(&c->viewer, f->payload);
        break;
    case OP_PING:
        frame_put(&out, OP_PING + 1, f->payload);
        send_bytes(c, &out);
        break;
    case OP_CLOSE:
        on_close_frame(c, f->payload);
        break;
    default:
        torture_violation(c->all->torture, "client=%d: frame with op %d", c->viewer.number, f->op);
    }
}

static void take_frames(client *c)
{
    size_t at = 0;
    while (c->phase == OPEN) {
        frame f;
        long n = frame_cut(&f, (leat_slice){c->in.at + at, c->in.len - at});
        if (n == 0)
            break;
        if (n < 0) {
            torture_violation(c->all->torture, "client=%d: a frame that no server sends",
                              c->viewer.number);
            leave(c, false);
            break;
        }
        at += (size_t)n;
        take_frame(c, &f);
    }
    leat_buf_consume(&c->in, at);
}

static void take_events(client *c)
{
    size_t at = 0;
    while (c->phase == OPEN) {
        sse_event e;
        long n = sse_cut(&e, (leat_slice){c->in.at + at, c->in.len - at});
        if (n == 0)
            break;
        if (n < 0) {
            torture_violation(c->all->torture, "client=%d: no Server-Sent Event: %.200s",
                              c->viewer.number, c->in.at + at);
            leave(c, false);
            break;
        }
        at += (size_t)n;
        if (e.event.at != NULL)
            viewer_take_sse(&c->viewer, &e);
    }
    leat_buf_consume(&c->in, at);
}

static void on_refused(client *c, int status)
{
    if (c->transport != SOCKET)
        viewer_refused_stream(&c->viewer, status);
    else if (status != 503) /* Postgres is away */
        torture_violation(c->all->torture, "client=%d: upgrade answered %d", c->viewer.number,
                          status);
    leave(c, false);
}

static void take_head(client *c)
{
    char *end = c->in.len == 0 ? NULL : memmem(c->in.at, c->in.len, "\r\n\r\n", 4);
    if (end == NULL)
        return;
    int status = c->in.len < 12 ? 0 : atoi(c->in.at + 9);
    if (status != (c->transport == STREAM_SSE ? 200 : 101)) {
        on_refused(c, status);
        return;
    }
    leat_buf_consume(&c->in, (size_t)(end + 4 - c->in.at));
    c->phase = OPEN;
    viewer_connected(&c->viewer);
    torture_count(c->all->torture, COUNT_CONNECTS);
    if (c->transport != SOCKET)
        torture_count(c->all->torture, COUNT_STREAMS);
    if (c->transport == STREAM_SSE)
        torture_count(c->all->torture, COUNT_SSE);
    if (!c->resting)
        arm(c, 1);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    client *c = h->data;
    (void)suggested;
    *buf = uv_buf_init(leat_buf_reserve(&c->in, RECEIVE_BUFFER), RECEIVE_BUFFER);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    client *c = s->data;
    (void)buf;
    if (c->phase == GOING)
        return;
    if (n < 0) {
        leave(c, false);
        return;
    }
    c->in.len += (size_t)n;
    if (c->phase == UPGRADING)
        take_head(c);
    if (c->phase == OPEN && c->transport == STREAM_SSE)
        take_events(c);
    else if (c->phase == OPEN)
        take_frames(c);
}

/* Where a stream route is to go on from. */
static void put_since(const client *c, const view *w, const char *name, const char *between,
                      const char *end, leat_buf *out)
{
    const viewer *v = &c->viewer;
    if (w->since)
        leat_buf_printf(out, "%s%s%s%" PRId64 "%s", name,
                        ledger_epoch_name(v->torture->ledger, v->streamed, w->asked.at.epoch),
                        between, w->asked.at.seq, end);
}

static void put_request(client *c, leat_buf *out)
{
    const view *w = c->transport == SOCKET ? NULL : viewer_open_stream(&c->viewer);
    char path[40] = "ws";
    if (w != NULL) /* plain:1 is at /plain/1 */
        snprintf(path, sizeof(path), "%s", topic_name(c->viewer.streamed));
    char *colon = strchr(path, ':');
    if (colon != NULL)
        *colon = '/';
    leat_buf_printf(out, "GET /%s?token=token-%d", path, c->viewer.user);
    if (c->transport == STREAM_SOCKET)
        put_since(c, w, "&epoch=", "&seq=", "", out);
    leat_buf_text(out, " HTTP/1.1\r\nHost: torture\r\n");
    if (c->transport == STREAM_SSE) {
        leat_buf_text(out, "Accept: text/event-stream\r\n");
        put_since(c, w, "Last-Event-ID: ", ":", "\r\n", out);
    } else {
        leat_buf_text(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Version: 13\r\n"
                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    }
    leat_buf_text(out, "\r\n");
}

static void on_connected(uv_connect_t *connect, int status)
{
    client *c = connect->data;
    if (c->phase != CONNECTING)
        return;
    if (status < 0) {
        leave(c, false);
        return;
    }
    leat_buf out = LEAT_BUF_INIT;
    put_request(c, &out);
    c->phase = UPGRADING;
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    send_bytes(c, &out);
}

/* Its receive buffer is small, so that one that does not read is felt by the server soon. */
static void connect_client(client *c)
{
    torture *t = c->all->torture;
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = RECEIVE_BUFFER;
    if (fd < 0)
        torture_die("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    uv_ip4_addr("127.0.0.1", server_port(t->server), &address);
    uv_tcp_init(&t->loop, &c->tcp);
    uv_tcp_open(&c->tcp, fd);
    c->tcp.data = c->connect.data = c;
    c->all->handles++;
    c->phase = CONNECTING;
    if (uv_tcp_connect(&c->connect, &c->tcp, (struct sockaddr *)&address, on_connected) < 0)
        leave(c, false);
}

static void pause_client(client *c, unsigned for_ms)
{
    if (c->phase != OPEN || c->paused)
        return;
    torture_count(c->all->torture, COUNT_PAUSES);
    c->paused = true;
    c->resume_ms = now_ms(c) + for_ms;
    uv_read_stop((uv_stream_t *)&c->tcp);
    arm(c, for_ms);
}

static void resume_client(client *c)
{
    c->paused = false;
    if (c->phase == OPEN)
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}

static void say_goodbye(client *c)
{
    leat_buf out = LEAT_BUF_INIT;
    frame_put(&out, OP_CLOSE, (leat_slice){"\x03\xe8", 2});
    send_bytes(c, &out);
    viewer_leaving(&c->viewer); /* what is still under way may come */
}

static void move(client *c)
{
    torture *t = c->all->torture;
    leat_buf text = LEAT_BUF_INIT;
    const bool *chosen = t->options.faults;
    unsigned kind = roll(&c->dice, 1000);
    if (kind < 520)
        viewer_subscribe(&c->viewer, &text);
    else if (kind < 900)
        viewer_unsubscribe(&c->viewer, &text);
    else if (kind < 920)
        viewer_authenticate(&c->viewer, &text);
    if (text.len > 0)
        send_text(c, &text);
    if (kind >= 920 && kind < 930)
        say_goodbye(c);
    else if (kind >= 930 && kind < 940 && chosen[FAULT_SLOW])
        pause_client(c, roll_between(&c->dice, 200, 3000));
    else if ((kind >= 940 && kind < 955 && chosen[FAULT_CUT]) ||
             (kind < 520 && chosen[FAULT_CUT] && chance(&c->dice, 3)))
        leave(c, true);
}

/* A stream has one topic, so its client comes and goes instead. */
static void move_stream(client *c)
{
    leat_buf text = LEAT_BUF_INIT;
    const bool *chosen = c->all->torture->options.faults;
    unsigned kind = roll(&c->dice, 1000);
    if (kind < 20 && c->transport == STREAM_SOCKET)
        viewer_unsubscribe(&c->viewer, &text);
    else if (kind < 35 && c->transport == STREAM_SOCKET)
        viewer_authenticate(&c->viewer, &text);
    if (text.len > 0)
        send_text(c, &text);
    if (kind >= 35 && kind < 75)
        leave(c, false);
    else if (kind >= 75 && kind < 90 && chosen[FAULT_SLOW])
        pause_client(c, roll_between(&c->dice, 200, 3000));
    else if (kind >= 90 && kind < 130 && chosen[FAULT_CUT])
        leave(c, true);
}

static void on_move(uv_timer_t *timer)
{
    client *c = timer->data;
    if (c->paused && now_ms(c) >= c->resume_ms)
        resume_client(c);
    if (c->phase == DOWN && !c->resting)
        connect_client(c);
    else if (c->phase == OPEN && !c->resting && !c->paused && c->transport == SOCKET)
        move(c);
    else if (c->phase == OPEN && !c->resting && !c->paused)
        move_stream(c);
    if (!c->resting && !c->paused && c->phase == OPEN)
        arm_next(c);
}

static void on_ordered(uv_async_t *async)
{
    clients *all = async->data;
    uv_mutex_lock(&all->lock);
    unsigned cut = all->cut_percent, hold = all->pause_percent, for_ms = all->pause_ms;
    all->cut_percent = all->pause_percent = 0;
    uv_mutex_unlock(&all->lock);
    sdk_disturb(all->sdk, cut, hold, for_ms);
    for (unsigned i = 0; i < all->n; i++) {
        client *c = &all->at[i];
        if (c->resting)
            continue;
        if (c->phase == OPEN && chance(&c->dice, cut))
            leave(c, true);
        if (chance(&c->dice, hold))
            pause_client(c, for_ms);
    }
}

void clients_cut(clients *all, unsigned percent)
{
    uv_mutex_lock(&all->lock);
    all->cut_percent = percent;
    uv_mutex_unlock(&all->lock);
    uv_async_send(&all->ordered);
}

void clients_pause(clients *all, unsigned percent, unsigned for_ms)
{
    uv_mutex_lock(&all->lock);
    all->pause_percent = percent;
    all->pause_ms = for_ms;
    uv_mutex_unlock(&all->lock);
    uv_async_send(&all->ordered);
}

clients *clients_new(torture *t)
{
    clients *all = calloc(1, sizeof(*all));
    client *at = calloc(t->options.clients, sizeof(*at));
    if (all == NULL || at == NULL)
        torture_die("out of memory");
    all->torture = t;
    all->n = t->options.clients;
    all->at = at;
    uv_mutex_init(&all->lock);
    uv_async_init(&t->loop, &all->ordered, on_ordered);
    all->ordered.data = all;
    for (unsigned i = 0; i < all->n; i++) {
        client *c = &at[i];
        c->all = all;
        c->dice = dice_of(t->options.seed, 5000 + i);
        c->transport = i % 3 != 1 ? SOCKET : i % 2 == 0 ? STREAM_SOCKET : STREAM_SSE;
        viewer_init(&c->viewer, t, (int)i, (int)(i % USERS), &c->dice);
        uv_timer_init(&t->loop, &c->timer);
        c->timer.data = c;
        arm(c, roll(&c->dice, 500));
    }
    all->sdk = sdk_new(t);
    return all;
}

void clients_rest(clients *all)
{
    sdk_rest(all->sdk);
    for (unsigned i = 0; i < all->n; i++) {
        client *c = &all->at[i];
        c->resting = true;
        uv_timer_stop(&c->timer);
        if (c->paused)
            resume_client(c);
    }
}

bool clients_settled(clients *all, bool report)
{
    bool settled = sdk_settled(all->sdk, report);
    for (unsigned i = 0; i < all->n; i++) {
        client *c = &all->at[i];
        if (c->phase == OPEN && !viewer_settled(&c->viewer, report))
            settled = false;
    }
    return settled;
}

unsigned clients_live(const clients *all)
{
    unsigned n = sdk_live(all->sdk);
    for (unsigned i = 0; i < all->n; i++)
        n += all->at[i].phase == OPEN ? viewer_live(&all->at[i].viewer) : 0;
    return n;
}

void clients_close(clients *all)
{
    all->closing = true;
    sdk_close(all->sdk);
    for (unsigned i = 0; i < all->n; i++)
        leave(&all->at[i], i % 2 == 0);
}

bool clients_gone(const clients *all)
{
    return all->handles == 0 && sdk_gone(all->sdk);
}

void clients_free(clients *all)
{
    for (unsigned i = 0; i < all->n; i++)
        uv_close((uv_handle_t *)&all->at[i].timer, NULL);
    uv_close((uv_handle_t *)&all->ordered, NULL);
    uv_run(&all->torture->loop, UV_RUN_NOWAIT);
    sdk_free(all->sdk);
    free(all->at);
    free(all);
}
