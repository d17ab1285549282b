/* peer.c - what all kinds of peers have in common: how much may be queued, and the timer.
 *
 *   leat_peer_sent     after each message: from OPEN or LAGS to FULL, if too much is queued
 *   leat_peer_await_prompt   from OPEN to LAGS; on_turn or on_drain leads back
 *   on_turn            the turn after that: back to OPEN, or on to BLOCKED
 *   leat_peer_on_drain the socket has taken all: back to OPEN
 *   on_timer           a sign of life, a dead peer (ops->keep_alive), or one that is too slow
 */
#include "net/peer.h"

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"

/* The next look at a full output. Few peers have one, so it is not part of each. */
typedef struct leat_peer_look {
    leat_deadline turn;
    leat_peer *peer;
} leat_peer_look;

enum { ENVELOPE_BYTES = 64 * 1024 }; /* what surrounds the data of a message, and small messages */

static void on_timer(leat_deadline *d);
static void on_turn(leat_deadline *d);

void leat_peer_init(leat_peer *p, const leat_peer_ops *ops, leat_conn *conn, const leat_net *net,
                    const leat_conn_handler *conn_handler)
{
    leat_loop *loop = net->loop;
    const leat_limits *limits = net->limits;
    p->ops = ops;
    p->conn = conn;
    p->net = net;
    p->heard_ms = leat_loop_now(loop);
    leat_deadline_init(&p->timer);
    leat_conn_set_handler(conn, conn_handler, p);
    uint64_t ping_ms = limits->ping_interval_ms;
    uint64_t slow_ms = limits->slow_client_timeout_ms;
    leat_loop_after(loop, &p->timer, ping_ms < slow_ms ? ping_ms : slow_ms, on_timer);
}

void leat_peer_look_within(leat_peer *p, uint64_t ms)
{
    if (ms < p->net->limits->ping_interval_ms && ms < p->net->limits->slow_client_timeout_ms)
        leat_loop_after(p->net->loop, &p->timer, ms, on_timer);
}

size_t leat_peer_queued(const leat_peer *p)
{
    return p->conn == NULL ? 0 : leat_conn_queued(p->conn);
}

size_t leat_peer_received(const leat_peer *p)
{
    return p->conn == NULL || p->ops->received == NULL ? 0 : p->ops->received(p);
}

const char *leat_peer_remote(const leat_peer *p)
{
    return leat_conn_remote(p->conn);
}

uint64_t leat_peer_use(const leat_peer *p, leat_address_use use)
{
    leat_address_slot *slot = leat_conn_address(p->conn);
    return slot == NULL ? 0 : leat_address_limit_use(slot, use, leat_loop_now(p->net->loop));
}

bool leat_peer_in_crowd(const leat_peer *p, leat_address_use use)
{
    leat_address_slot *slot = leat_conn_address(p->conn);
    return slot != NULL && leat_address_limit_is_crowd(slot, use, leat_loop_now(p->net->loop));
}

/* --- output --- */

static void look_next_turn(leat_peer *p)
{
    if (p->look != NULL)
        return;
    p->look = leat_pool_take(leat_loop_pool(p->net->loop), sizeof(*p->look));
    p->look->peer = p;
    leat_deadline_init(&p->look->turn);
    leat_loop_after(p->net->loop, &p->look->turn, 0, on_turn);
}

static void cancel_look(leat_peer *p)
{
    if (p->look != NULL)
        leat_deadline_cancel(&p->look->turn);
    leat_pool_give(leat_loop_pool(p->net->loop), p->look);
    p->look = NULL;
}

void leat_peer_sent(leat_peer *p)
{
    if (!leat_peer_is_open(p) || leat_conn_queued(p->conn) < p->net->limits->max_send_buffer_bytes)
        return;
    p->output = LEAT_PEER_FULL;
    look_next_turn(p);
}

bool leat_peer_takes(const leat_peer *p, size_t bytes)
{
    const leat_limits *l = p->net->limits;
    return p->output != LEAT_PEER_SHUT &&
           leat_conn_queued(p->conn) + bytes <= l->max_send_buffer_bytes + l->max_snapshot_bytes;
}

/* Queues nothing more. The owner is told in the next turn, because it is the one that is sending
 * now. */
static void overrun(leat_peer *p)
{
    p->output = LEAT_PEER_SHUT;
    leat_loop_after(p->net->loop, &p->timer, 0, on_timer);
}

void leat_peer_send(leat_peer *p, leat_buf *message)
{
    size_t excess = message->len > ENVELOPE_BYTES ? message->len - ENVELOPE_BYTES : 0;
    if (p->output == LEAT_PEER_SHUT) {
        leat_buf_close(message);
    } else if (!leat_peer_takes(p, excess)) {
        leat_buf_close(message);
        overrun(p);
    } else {
        p->ops->finish(p, message);
        leat_peer_sent(p);
    }
}

bool leat_peer_send_joined(leat_peer *p, leat_event *joined, size_t longest)
{
    if (p->output != LEAT_PEER_OPEN || p->ops->send_joined == NULL)
        return false;
    size_t bytes = leat_conn_queued(p->conn) + leat_event_frame(joined).len;
    return bytes <= p->net->limits->max_send_buffer_bytes &&
           p->ops->send_joined(p, joined, longest);
}

static void open_output(leat_peer *p)
{
    p->output = LEAT_PEER_OPEN;
    if (p->ops->on_open != NULL)
        p->ops->on_open(p);
    if (p->handler->on_writable != NULL)
        p->handler->on_writable(p->owner);
}

void leat_peer_on_drain(void *peer)
{
    leat_peer *p = peer;
    if (p->output != LEAT_PEER_OPEN && p->output != LEAT_PEER_SHUT)
        open_output(p);
}

/* By now the socket has taken what it could of all that was queued in the last turn. */
static void look_at_output(leat_peer *p)
{
    if (leat_conn_queued(p->conn) < p->net->limits->max_send_buffer_bytes)
        open_output(p);
    else if (leat_conn_blocked(p->conn))
        p->output = LEAT_PEER_BLOCKED;
    else
        look_next_turn(p);
}

bool leat_peer_is_prompt(const leat_peer *p)
{
    return leat_peer_is_open(p) && leat_conn_queued(p->conn) < p->net->limits->max_signal_backlog;
}

void leat_peer_await_prompt(leat_peer *p)
{
    if (p->output != LEAT_PEER_OPEN)
        return;
    p->output = LEAT_PEER_LAGS;
    look_next_turn(p);
}

/* By now the socket has taken what it could. If it takes nothing more, on_drain follows. */
static void look_at_lag(leat_peer *p)
{
    if (leat_peer_is_prompt(p))
        open_output(p);
    else if (!leat_conn_blocked(p->conn))
        look_next_turn(p);
}

void leat_peer_be_prompt(leat_peer *p)
{
    if (p->be_prompt || !leat_peer_is_open(p))
        return;
    p->be_prompt = true;
    leat_conn_set_unsent_limit(p->conn, (unsigned)p->net->limits->max_signal_backlog);
}

/* --- time --- */

static void on_turn(leat_deadline *d)
{
    leat_peer *p = LEAT_CONTAINER_OF(d, leat_peer_look, turn)->peer;
    cancel_look(p);
    if (p->output == LEAT_PEER_FULL)
        look_at_output(p);
    else if (p->output == LEAT_PEER_LAGS)
        look_at_lag(p);
}

/* When the peer counts as too slow, if it takes nothing until then. */
static uint64_t slow_at_ms(const leat_peer *p, uint64_t now_ms)
{
    uint64_t since_ms = leat_conn_queued(p->conn) > 0 ? leat_conn_progress_ms(p->conn) : now_ms;
    return p->handler->on_slow == NULL ? LEAT_DEADLINE_NEVER
                                       : since_ms + p->net->limits->slow_client_timeout_ms;
}

static void on_timer(leat_deadline *d)
{
    leat_peer *p = LEAT_CONTAINER_OF(d, leat_peer, timer);
    uint64_t now_ms = leat_loop_now(p->net->loop);
    uint64_t slow_ms = slow_at_ms(p, now_ms);
    bool queued = leat_conn_queued(p->conn) > 0;
    if (p->output == LEAT_PEER_SHUT || (queued && slow_ms <= now_ms)) {
        p->handler->on_slow(p->owner);
        return;
    }
    uint64_t alive_ms = p->ops->keep_alive(p, now_ms);
    uint64_t next_ms = alive_ms < slow_ms ? alive_ms : slow_ms;
    if (p->output != LEAT_PEER_SHUT)
        leat_loop_at(p->net->loop, &p->timer, next_ms, on_timer);
}

/* --- the end --- */

void leat_peer_shut(leat_peer *p)
{
    p->output = LEAT_PEER_SHUT;
    leat_deadline_cancel(&p->timer);
}

void leat_peer_give_up(leat_peer *p)
{
    LEAT_LOG_INFO("client", "closed reason=dead remote=%s", leat_conn_remote(p->conn));
    leat_peer_shut(p);
    leat_conn_close(p->conn);
}

void leat_peer_shed(leat_peer *p, int code, const char *reason)
{
    if (p->conn == NULL)
        return;
    if (leat_conn_queued(p->conn) == 0 && p->ops->shed != NULL) {
        p->ops->shed(p, code, reason);
        return;
    }
    leat_peer_shut(p);
    cancel_look(p);
    leat_conn_close(p->conn);
}

void leat_peer_on_conn_closed(void *peer, int err)
{
    leat_peer *p = peer;
    p->conn = NULL;
    leat_peer_shut(p);
    cancel_look(p);
    if (p->ops->on_gone != NULL)
        p->ops->on_gone(p);
    p->handler->on_gone(p->owner, err);
}
