/* live.c - leat_live_begin takes the socket over; leat_live_give sends each new sample to all;
 * on_gone frees a stream. */
#include "control/live.h"

#include <stdlib.h>
#include <time.h>

#include "base/list.h"
#include "base/mem.h"
#include "http/http_answer.h"
#include "net/sse_peer.h"
#include "wire/sse.h"

struct leat_live {
    const leat_samples *samples;
    const leat_net *net;
    leat_list streams;
    size_t count;
    void (*done)(void *arg);
    void *done_arg;
};

struct stream {
    leat_list link;
    leat_live *home;
    leat_peer *peer;
    int64_t ends_s; /* 0: never */
};

static const leat_peer_label sample_label = {.name = "sample"};

static void on_close(void *owner, int code, leat_slice reason)
{
    (void)owner, (void)code, (void)reason; /* a peer of this kind sends nothing */
}

static void on_slow(void *owner)
{
    struct stream *s = owner;
    leat_peer_close(s->peer, 0, NULL);
}

static void on_gone(void *owner, int err)
{
    struct stream *s = owner;
    leat_live *l = s->home;
    (void)err;
    leat_list_unlink(&s->link);
    leat_peer_free(s->peer);
    free(s);
    leat_metrics_set(l->net->metrics, LEAT_M_CONSOLE_STREAMS, (int64_t)--l->count);
    if (l->count == 0 && l->done != NULL)
        l->done(l->done_arg);
}

static const leat_peer_handler handler = {
    .on_close = on_close, .on_slow = on_slow, .on_gone = on_gone};

leat_live *leat_live_new(const leat_samples *samples, const leat_net *net)
{
    leat_live *l = leat_calloc(1, sizeof(*l));
    l->samples = samples;
    l->net = net;
    leat_list_init(&l->streams);
    return l;
}

static void send_sample(struct stream *s)
{
    leat_buf message = LEAT_BUF_INIT;
    leat_peer_begin(s->peer, &message, &sample_label, 0);
    leat_samples_write_last(s->home->samples, &message);
    leat_peer_send(s->peer, &message);
}

void leat_live_begin(leat_live *l, leat_http_conn *conn, int64_t ends_s)
{
    if (l->count >= LEAT_LIVE_MAX || l->done != NULL) {
        leat_http_answer_refusal(conn, 503, "limit", leat_slice_of("too many pages are open"), 5000,
                                 NULL);
        return;
    }
    leat_buf head = LEAT_BUF_INIT;
    leat_buf rest = LEAT_BUF_INIT;
    leat_http_answer_sse_head(conn, &head);
    struct stream *s = leat_calloc(1, sizeof(*s));
    s->home = l;
    s->ends_s = ends_s;
    leat_conn *socket = leat_http_conn_detach(conn, &rest);
    leat_buf_close(&rest);
    leat_conn_send_owned(socket, &head);
    s->peer = leat_sse_peer_new(socket, 0, l->net, &handler, s);
    leat_list_push(&l->streams, &s->link);
    leat_metrics_set(l->net->metrics, LEAT_M_CONSOLE_STREAMS, (int64_t)++l->count);
    send_sample(s);
}

void leat_live_give(leat_live *l)
{
    int64_t now_s = (int64_t)time(NULL);
    for (leat_list *link = l->streams.next, *next; link != &l->streams; link = next) {
        struct stream *s = LEAT_CONTAINER_OF(link, struct stream, link);
        next = link->next; /* closing only marks */
        if (s->ends_s != 0 && now_s >= s->ends_s)
            leat_peer_close(s->peer, 0, NULL);
        else if (leat_peer_is_open(s->peer))
            send_sample(s);
    }
}

void leat_live_close(leat_live *l, void (*done)(void *arg), void *arg)
{
    l->done = done;
    l->done_arg = arg;
    for (leat_list *link = l->streams.next, *next; link != &l->streams; link = next) {
        next = link->next;
        leat_peer_close(LEAT_CONTAINER_OF(link, struct stream, link)->peer, 0, NULL);
    }
}

bool leat_live_is_empty(const leat_live *l)
{
    return l->count == 0;
}

void leat_live_free(leat_live *l)
{
    free(l);
}
