/* ws_peer.c - the life of a WebSocket connection: its states, the close handshake, and whether the
 * peer is still there. What it receives and sends is in ws_in.c and ws_out.c.
 *
 * The states are those of the close handshake. Each is entered by set_state, which also does
 * what the state needs. WS_OPEN ends in one of four ways: we close (WS_CLOSING), the peer closes or
 * breaks the protocol (WS_CLOSED_BY_PEER), it does not answer a ping, or the conn ends by itself
 * (WS_GONE).
 */
#include "net/ws_peer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/ws_private.h"

static void on_close_timeout(leat_deadline *d);

static const uint8_t edges[WS_STATES] = {
    [WS_OPEN] = 1 << WS_CLOSING | 1 << WS_CLOSED_BY_PEER | 1 << WS_GONE,
    [WS_CLOSING] = 1 << WS_ENDING | 1 << WS_GONE,
    [WS_CLOSED_BY_PEER] = 1 << WS_ENDING | 1 << WS_GONE,
    [WS_ENDING] = 1 << WS_GONE,
};

static void set_state(ws_peer *w, ws_state next)
{
    leat_peer *p = &w->base;
    LEAT_ASSERT((edges[w->state] & 1u << next) != 0);
    w->state = (uint8_t)next;
    switch (next) {
    case WS_CLOSING:
        leat_peer_shut(p);
        leat_loop_after(p->net->loop, &p->timer, p->net->limits->close_timeout_ms,
                        on_close_timeout);
        w->input = WS_FLOWING; /* for the peer's close frame */
        ws_update_reading(w);
        return;
    case WS_CLOSED_BY_PEER:
        leat_deadline_cancel(&p->timer); /* the owner answers when it has handled its messages */
        return;
    case WS_ENDING:
        leat_peer_shut(p);
        ws_drop_received(w);
        leat_conn_finish(p->conn, leat_loop_now(p->net->loop) + p->net->limits->close_timeout_ms);
        return;
    case WS_GONE:
        ws_drop_received(w);
        ws_release_brake(w);
        return;
    case WS_OPEN:
    case WS_STATES:
        return;
    }
}

static void on_close_timeout(leat_deadline *d)
{
    leat_conn_close(LEAT_CONTAINER_OF(d, leat_peer, timer)->conn);
}

/* --- closing --- */

bool leat_ws_peer_is_open(const leat_peer *p)
{
    ws_state state = (ws_state)((const ws_peer *)p)->state;
    return state == WS_OPEN || state == WS_CLOSED_BY_PEER;
}

/* The owner gets no more messages, whatever the peer still sends. */
static void close_peer(leat_peer *p, int code, const char *reason)
{
    ws_peer *w = ws_of(p);
    if (!leat_ws_peer_is_open(p))
        return;
    ws_send_close(w, code, reason);
    set_state(w, w->state == WS_OPEN ? WS_CLOSING : WS_ENDING);
}

void leat_ws_peer_answer(leat_peer *p, const char *reason)
{
    ws_peer *w = ws_of(p);
    if (w->state == WS_CLOSED_BY_PEER)
        close_peer(p, w->close_code, reason);
}

void ws_end_input(ws_peer *w, int code, leat_slice reason)
{
    w->close_code = (uint16_t)code;
    set_state(w, w->state == WS_OPEN ? WS_CLOSED_BY_PEER : WS_ENDING);
    w->base.handler->on_close(w->base.owner, code, reason);
}

static void shed(leat_peer *p, int code, const char *reason)
{
    if (ws_takes_input(ws_of(p)))
        ws_end_input(ws_of(p), code, leat_slice_of(reason));
}

/* --- is the peer still there --- */

static void ping(ws_peer *w)
{
    ws_send_frame(w, LEAT_FRAME_PING, (leat_slice){NULL, 0});
}

/* While nothing is read, the answer to a ping is not seen. But a ping that cannot be delivered
 * shows that the peer is gone. */
static uint64_t keep_unread_alive(ws_peer *w, uint64_t now_ms)
{
    uint64_t interval_ms = w->base.net->limits->ping_interval_ms;
    if (now_ms >= w->base.heard_ms + interval_ms) {
        w->base.heard_ms = now_ms;
        ping(w);
    }
    return w->base.heard_ms + interval_ms;
}

static uint64_t keep_alive(leat_peer *p, uint64_t now_ms)
{
    ws_peer *w = ws_of(p);
    uint64_t ping_at_ms = p->heard_ms + p->net->limits->ping_interval_ms;
    if (!ws_reads(w))
        return keep_unread_alive(w, now_ms);
    if (w->pinged_after_ms == 0 && now_ms < ping_at_ms)
        return ping_at_ms;
    if (w->pinged_after_ms == 0) {
        w->pinged_after_ms = (uint32_t)(now_ms - p->heard_ms);
        ping(w);
    }
    uint64_t dead_at_ms = p->heard_ms + w->pinged_after_ms + p->net->limits->pong_timeout_ms;
    if (now_ms >= dead_at_ms)
        leat_peer_give_up(p);
    return dead_at_ms;
}

/* --- beginning and end --- */

static void on_gone(leat_peer *p)
{
    set_state(ws_of(p), WS_GONE);
}

static void free_peer(leat_peer *p)
{
    ws_peer *w = ws_of(p);
    ws_drop_received(w);
    ws_settle_received(w);
    leat_pool_give(leat_loop_pool(p->net->loop), w);
}

leat_peer *leat_ws_peer_new(leat_opening *opening, const leat_net *net,
                            const leat_peer_handler *handler, void *owner)
{
    static const leat_peer_ops ops = {
        .begin = ws_begin,
        .finish = ws_finish,
        .send_event = ws_send_event,
        .send_joined = ws_send_joined,
        .hold = ws_hold,
        .release = ws_release,
        .close = close_peer,
        .keep_alive = keep_alive,
        .on_open = ws_on_output_open,
        .received = ws_received_bytes,
        .shed = shed,
        .on_gone = on_gone,
        .free = free_peer,
    };
    static const leat_conn_handler conn_handler = {ws_on_read, leat_peer_on_drain,
                                                   leat_peer_on_conn_closed, NULL};
    ws_peer *w = leat_pool_take(leat_loop_pool(net->loop), sizeof(*w));
    w->base.handler = handler;
    w->base.owner = owner;
    w->window_bits = opening->window_bits;
    leat_peer_init(&w->base, &ops, opening->conn, net, &conn_handler);
    if (opening->rest.len > 0)
        ws_received_of(w)->unread = opening->rest;
    else
        leat_buf_close(&opening->rest);
    opening->rest = LEAT_BUF_INIT;
    ws_update_reading(w);
    return &w->base;
}
