/* sse_peer.c - each message is a field `event`, a field `id` if it has a position, and the JSON in
 * a field `data` (wire/sse.h). */
#include "net/sse_peer.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "wire/leat_v1.h"
#include "wire/sse.h"

typedef struct sse_peer {
    leat_peer base;
    uint64_t alive_ms; /* 0: ping_interval_ms */
} sse_peer;

static void finish(leat_peer *p, leat_buf *message)
{
    leat_buf_text(message, LEAT_SSE_END);
    leat_conn_send_owned(p->conn, message);
}

static void begin(leat_buf *out, const leat_peer_label *label, size_t room)
{
    leat_buf_reserve(out, room + 2 * LEAT_PEER_USUAL_BYTES);
    leat_sse_write_prefix(out, label->name, label->epoch, label->seq);
}

static void send_event(leat_peer *p, leat_event *e, const leat_epoch *epoch)
{
    if (p->output == LEAT_PEER_SHUT)
        return;
    leat_buf prefix = LEAT_BUF_INIT;
    leat_sse_write_prefix(&prefix, leat_v1_event_name(leat_event_kind_of(e)),
                          leat_epoch_text(epoch), leat_event_seq(e));
    leat_conn_send_owned(p->conn, &prefix);
    leat_conn_send_event(p->conn, e, leat_event_payload(e));
    leat_conn_send_copy(p->conn, leat_slice_of(LEAT_SSE_END));
    leat_peer_sent(p);
}

/* There are no messages of the peer to hold back. */
static void hold(leat_peer *p)
{
    (void)p;
}

static void close_peer(leat_peer *p, int code, const char *reason)
{
    (void)code, (void)reason; /* the last event has said why */
    leat_peer_shut(p);
    if (p->conn != NULL)
        leat_conn_finish(p->conn, leat_loop_now(p->net->loop) + p->net->limits->close_timeout_ms);
}

/* A comment keeps proxies from giving up. */
static uint64_t keep_alive(leat_peer *p, uint64_t now_ms)
{
    const sse_peer *s = LEAT_CONTAINER_OF(p, sse_peer, base);
    uint64_t interval_ms = s->alive_ms > 0 ? s->alive_ms : p->net->limits->ping_interval_ms;
    if (now_ms >= p->heard_ms + interval_ms) {
        p->heard_ms = now_ms;
        leat_conn_send_copy(p->conn, leat_slice_of(":\n\n"));
    }
    return p->heard_ms + interval_ms;
}

static void free_peer(leat_peer *p)
{
    free(LEAT_CONTAINER_OF(p, sse_peer, base));
}

static const leat_peer_ops ops = {
    .begin = begin,
    .finish = finish,
    .send_event = send_event,
    .hold = hold,
    .release = hold,
    .close = close_peer,
    .keep_alive = keep_alive,
    .free = free_peer,
};

static void on_read(void *owner, char *bytes, size_t len)
{
    (void)owner, (void)bytes, (void)len; /* a request has come already, and there is no other */
}

static const leat_conn_handler conn_handler = {on_read, leat_peer_on_drain,
                                               leat_peer_on_conn_closed, NULL};

leat_peer *leat_sse_peer_new(leat_conn *conn, uint64_t alive_ms, const leat_net *net,
                             const leat_peer_handler *handler, void *owner)
{
    sse_peer *s = leat_calloc(1, sizeof(*s));
    leat_peer *p = &s->base;
    p->handler = handler;
    p->owner = owner;
    s->alive_ms = alive_ms;
    leat_peer_init(p, &ops, conn, net, &conn_handler);
    if (alive_ms > 0)
        leat_peer_look_within(p, alive_ms);
    return p;
}
