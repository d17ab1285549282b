/* proxy.c - a pair of pipes for each of leat's connections: on_client -> on_upstream -> bytes both
 * ways.
 *
 * What comes from leat is passed on as it is. What comes from Postgres is cut into messages (type,
 * length, body): 'K' tells the backend's process id, 'A' is an announcement.
 */
#include "proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"

#define DOOR ".s.PGSQL.5432"
#define HIDDEN_DOOR ".hidden"

enum { HEADER = 5, MAX_HELD = 32, HELD_MAX_MS = 700, TICK_MS = 25 };

typedef struct held {
    leat_buf bytes;
    unsigned others; /* that are to pass first */
    uint64_t until_ms;
} held;

typedef struct pair {
    leat_list link;
    proxy *proxy;
    int node; /* that postgres leads to */
    uv_pipe_t leat;
    uv_pipe_t postgres;
    uv_connect_t connect;
    int open; /* handles not yet closed */
    bool closing;
    leat_buf in; /* from Postgres: an incomplete message */
    held held[MAX_HELD];
    int n_held;
    int pid;
    bool listener;
} pair;

struct proxy {
    torture *torture;
    uv_pipe_t doors[NODES];
    int n_doors;
    uv_timer_t tick;
    int open;
    bool closing;
    leat_list pairs;
    uv_mutex_t lock; /* of the pairs' pid and listener, and of the list */
    dice dice;
    atomic_uint drop, twice, hold;
};

typedef struct parcel {
    uv_write_t write;
    char bytes[];
} parcel;

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w->data);
}

static void pass(uv_pipe_t *to, const char *bytes, size_t len)
{
    if (len == 0 || uv_is_closing((uv_handle_t *)to))
        return;
    parcel *p = malloc(sizeof(*p) + len);
    if (p == NULL)
        torture_die("out of memory");
    memcpy(p->bytes, bytes, len);
    p->write.data = p;
    uv_buf_t buf = uv_buf_init(p->bytes, (unsigned)len);
    if (uv_write(&p->write, (uv_stream_t *)to, &buf, 1, on_written) < 0)
        free(p);
}

static void drop_held(pair *c, int i)
{
    leat_buf_close(&c->held[i].bytes);
    c->n_held--;
    memmove(&c->held[i], &c->held[i + 1], (size_t)(c->n_held - i) * sizeof(c->held[0]));
}

static void on_closed(uv_handle_t *h)
{
    pair *c = h->data;
    if (--c->open > 0)
        return;
    while (c->n_held > 0)
        drop_held(c, 0);
    leat_buf_close(&c->in);
    uv_mutex_lock(&c->proxy->lock);
    leat_list_unlink(&c->link);
    uv_mutex_unlock(&c->proxy->lock);
    if (c->proxy->closing && leat_list_empty(&c->proxy->pairs) && c->proxy->open == 0)
        free(c->proxy);
    free(c);
}

static void close_pair(pair *c)
{
    if (c->closing)
        return;
    c->closing = true;
    uv_mutex_lock(&c->proxy->lock);
    c->pid = 0;
    uv_mutex_unlock(&c->proxy->lock);
    uv_close((uv_handle_t *)&c->leat, on_closed);
    uv_close((uv_handle_t *)&c->postgres, on_closed);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
    (void)h;
    buf->base = malloc(suggested);
    buf->len = buf->base == NULL ? 0 : suggested;
}

static void on_leat_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    pair *c = s->data;
    if (n > 0)
        pass(&c->postgres, buf->base, (size_t)n);
    free(buf->base);
    if (n < 0)
        close_pair(c);
}

static uint32_t be32(const char *at)
{
    const unsigned char *b = (const unsigned char *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void release(pair *c, uint64_t now, bool another_passed)
{
    for (int i = 0; i < c->n_held;) {
        held *h = &c->held[i];
        if (another_passed && h->others > 0)
            h->others--;
        if (h->others > 0 && now < h->until_ms) {
            i++;
            continue;
        }
        pass(&c->leat, h->bytes.at, h->bytes.len);
        drop_held(c, i);
    }
}

/* Type, length, process id, channel, payload. */
static bool is_fence(const char *message, size_t len)
{
    const char *channel = message + HEADER + 4;
    const char *payload = memchr(channel, '\0', len - HEADER - 4);
    return payload != NULL && strncmp(payload + 1, "fence:", 6) == 0;
}

static void announce(pair *c, const char *message, size_t len)
{
    proxy *p = c->proxy;
    torture *t = p->torture;
    uint64_t now = uv_now(&t->loop);
    unsigned n = roll(&p->dice, 100);
    if (is_fence(message, len)) {
        uv_mutex_lock(&p->lock);
        c->listener = true;
        uv_mutex_unlock(&p->lock);
        pass(&c->leat, message, len);
        return;
    }
    if (n < p->drop) {
        torture_count(t, COUNT_DROPPED);
        return;
    }
    if (n < p->drop + p->hold && c->n_held < MAX_HELD) {
        torture_count(t, COUNT_REORDERED);
        held *h = &c->held[c->n_held++];
        *h = (held){LEAT_BUF_INIT, roll_between(&p->dice, 1, 12),
                    now + roll_between(&p->dice, 20, HELD_MAX_MS)};
        leat_buf_append(&h->bytes, message, len);
        return;
    }
    pass(&c->leat, message, len);
    if (n < p->drop + p->hold + p->twice) {
        torture_count(t, COUNT_DOUBLED);
        pass(&c->leat, message, len);
    }
    release(c, now, true);
}

/* Passes what has come from Postgres on, as far as messages are whole. */
static void cut_messages(pair *c)
{
    size_t at = 0, plain = 0;
    while (c->in.len - at >= HEADER) {
        size_t len = 1 + (size_t)be32(c->in.at + at + 1);
        if (c->in.len - at < len)
            break;
        char type = c->in.at[at];
        if (type == 'K') {
            uv_mutex_lock(&c->proxy->lock);
            c->pid = (int)be32(c->in.at + at + HEADER);
            uv_mutex_unlock(&c->proxy->lock);
        } else if (type == 'A') {
            pass(&c->leat, c->in.at + plain, at - plain);
            announce(c, c->in.at + at, len);
            plain = at + len;
        }
        at += len;
    }
    pass(&c->leat, c->in.at + plain, at - plain);
    leat_buf_consume(&c->in, at);
}

static void on_postgres_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    pair *c = s->data;
    if (n > 0) {
        leat_buf_append(&c->in, buf->base, (size_t)n);
        cut_messages(c);
    }
    free(buf->base);
    if (n < 0)
        close_pair(c);
}

static void on_upstream(uv_connect_t *connect, int status)
{
    pair *c = connect->data;
    if (c->closing)
        return;
    if (status < 0) {
        close_pair(c);
        return;
    }
    uv_read_start((uv_stream_t *)&c->leat, on_alloc, on_leat_read);
    uv_read_start((uv_stream_t *)&c->postgres, on_alloc, on_postgres_read);
}

static void on_client(uv_stream_t *listener, int status)
{
    proxy *p = listener->data;
    if (status < 0)
        return;
    pair *c = calloc(1, sizeof(*c));
    if (c == NULL)
        torture_die("out of memory");
    c->proxy = p;
    c->node = (int)((uv_pipe_t *)listener - p->doors);
    c->open = 2;
    uv_pipe_init(&p->torture->loop, &c->leat, 0);
    uv_pipe_init(&p->torture->loop, &c->postgres, 0);
    c->leat.data = c->postgres.data = c->connect.data = c;
    uv_mutex_lock(&p->lock);
    leat_list_push(&p->pairs, &c->link);
    uv_mutex_unlock(&p->lock);
    if (uv_accept(listener, (uv_stream_t *)&c->leat) < 0) {
        close_pair(c);
        return;
    }
    char path[200];
    snprintf(path, sizeof(path), "%s/" DOOR, p->torture->options.nodes[c->node].socket_dir);
    uv_pipe_connect(&c->connect, &c->postgres, path, on_upstream);
}

static void on_tick(uv_timer_t *tick)
{
    proxy *p = tick->data;
    uint64_t now = uv_now(&p->torture->loop);
    for (leat_list *l = p->pairs.next; l != &p->pairs; l = l->next)
        release(LEAT_CONTAINER_OF(l, pair, link), now, false);
}

typedef char door_path[300];

static void put_path(door_path path, const proxy *p, int which, const char *name)
{
    snprintf(path, sizeof(door_path), "%s/%s", p->torture->options.nodes[which].proxy_dir, name);
}

static void open_door(proxy *p, int which)
{
    uv_pipe_t *door = &p->doors[which];
    door_path path;
    put_path(path, p, which, DOOR);
    mkdir(p->torture->options.nodes[which].proxy_dir, 0700);
    unlink(path);
    uv_pipe_init(&p->torture->loop, door, 0);
    door->data = p;
    int err = uv_pipe_bind(door, path);
    if (err == 0)
        err = uv_listen((uv_stream_t *)door, 256, on_client);
    if (err < 0)
        torture_die("cannot listen on %s: %s", path, uv_strerror(err));
}

void proxy_show_door(proxy *p, int which)
{
    door_path from, to;
    put_path(from, p, which, HIDDEN_DOOR);
    put_path(to, p, which, DOOR);
    rename(from, to);
}

void proxy_hide_door(proxy *p, int which)
{
    door_path from, to;
    put_path(from, p, which, DOOR);
    put_path(to, p, which, HIDDEN_DOOR);
    rename(from, to);
}

proxy *proxy_new(torture *t)
{
    proxy *p = calloc(1, sizeof(*p));
    if (p == NULL)
        torture_die("out of memory");
    p->torture = t;
    p->dice = dice_of(t->options.seed, 2);
    p->n_doors = t->options.faults[FAULT_FAILOVER] ? NODES : 1;
    p->open = 1 + p->n_doors;
    leat_list_init(&p->pairs);
    uv_mutex_init(&p->lock);
    uv_timer_init(&t->loop, &p->tick);
    p->tick.data = p;
    uv_timer_start(&p->tick, on_tick, TICK_MS, TICK_MS);
    for (int i = 0; i < p->n_doors; i++)
        open_door(p, i);
    return p;
}

static void on_part_closed(uv_handle_t *h)
{
    proxy *p = h->data;
    p->open--;
    if (p->open == 0 && leat_list_empty(&p->pairs))
        free(p);
}

void proxy_close(proxy *p)
{
    p->closing = true;
    for (leat_list *l = p->pairs.next; l != &p->pairs; l = l->next)
        close_pair(LEAT_CONTAINER_OF(l, pair, link));
    for (int i = 0; i < p->n_doors; i++)
        uv_close((uv_handle_t *)&p->doors[i], on_part_closed);
    uv_close((uv_handle_t *)&p->tick, on_part_closed);
}

void proxy_mistreat(proxy *p, unsigned drop, unsigned twice, unsigned hold)
{
    p->drop = drop;
    p->twice = twice;
    p->hold = hold;
}

int proxy_pids(proxy *p, int which, bool listener, int *pids, int max)
{
    int n = 0;
    uv_mutex_lock(&p->lock);
    for (leat_list *l = p->pairs.next; l != &p->pairs && n < max; l = l->next) {
        pair *c = LEAT_CONTAINER_OF(l, pair, link);
        if (c->pid != 0 && c->node == which && c->listener == listener)
            pids[n++] = c->pid;
    }
    uv_mutex_unlock(&p->lock);
    return n;
}
