/* http_conn.c - what a connection is: its state, who is at the other end, its end.
 *
 * The last state is GONE. The memory stays until the end of that turn (on_end_of_turn), for callers
 * that are still on the stack. */
#include "http/http_conn.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "http/http_conn_private.h"

static void on_close(void *owner, int err);
static void on_open(void *owner);
static void on_end_of_turn(leat_sweep *s);

static const leat_conn_handler handler = {leat_http_conn_on_read, leat_http_conn_on_drain, on_close,
                                          on_open};

uint64_t leat_http_conn_now(const leat_http_conn *c)
{
    return leat_loop_now(c->side->loop);
}

void leat_http_conn_arm(leat_http_conn *c, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_loop_after(c->side->loop, &c->deadline, in_ms, cb);
}

static void await_head(leat_http_conn *c)
{
    leat_http_conn_arm(c, c->side->options->header_timeout_ms, leat_http_conn_on_request_late);
}

leat_http_conn *leat_http_conn_new(leat_http_side *side, leat_conn *conn,
                                   const leat_http_peer *peer, leat_http_door door,
                                   void (*on_request)(leat_http_conn *c))
{
    leat_pool *pool = leat_loop_pool(side->loop);
    leat_http_conn *c = leat_pool_take(pool, sizeof(*c));
    c->side = side;
    c->conn = conn;
    c->peer = *peer;
    c->door = door;
    c->on_request = on_request;
    c->parser = leat_http_parser_new(pool, &side->options->head);
    leat_deadline_init(&c->deadline);
    leat_sweep_init(&c->sweep, on_end_of_turn);
    leat_list_push(&side->conns, &c->link);
    side->n_conns++;
    side->n_awaited++;
    if (door == LEAT_HTTP_DOOR_METRICS)
        side->n_metrics++;
    leat_conn_set_read_size(conn, LEAT_HTTP_CONN_READ_BYTES);
    leat_conn_set_handler(conn, &handler, c);
    if (!leat_conn_opening(conn)) /* TLS has a deadline of its own */
        await_head(c);
    return c;
}

static void on_open(void *owner)
{
    leat_http_conn *c = owner;
    leat_http_parser_set_tls(c->parser, leat_tls_side_facts(c->conn));
    await_head(c);
}

leat_http_conn *leat_http_conn_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, leat_http_conn, link);
}

leat_http_side *leat_http_conn_side(leat_http_conn *c)
{
    return c->side;
}

const leat_http_request *leat_http_conn_request(leat_http_conn *c)
{
    return leat_http_parser_request(c->parser);
}

leat_address_slot *leat_http_conn_address(leat_http_conn *c)
{
    return leat_conn_address(c->conn);
}

const char *leat_http_conn_remote(leat_http_conn *c)
{
    return leat_conn_remote(c->conn);
}

const leat_http_peer *leat_http_conn_peer(const leat_http_conn *c)
{
    return &c->peer;
}

leat_http_door leat_http_conn_door(const leat_http_conn *c)
{
    return c->door;
}

void leat_http_conn_share(leat_http_conn *c)
{
    c->shared = true;
}

bool leat_http_conn_is_shared(const leat_http_conn *c)
{
    return c->shared;
}

void leat_http_conn_set_task(leat_http_conn *c, leat_http_task task)
{
    c->task = task;
}

/* --- states --- */

bool leat_http_conn_reads_head(const leat_http_conn *c)
{
    return c->state == LEAT_HTTP_CONN_IDLE || c->state == LEAT_HTTP_CONN_HEAD;
}

bool leat_http_conn_ended(const leat_http_conn *c)
{
    return c->state == LEAT_HTTP_CONN_FINISHING || c->state == LEAT_HTTP_CONN_GONE;
}

/* A request is there, and its answer is not complete. */
static bool is_busy(leat_http_conn_state state)
{
    return state == LEAT_HTTP_CONN_BUSY || state == LEAT_HTTP_CONN_BODY ||
           state == LEAT_HTTP_CONN_PIECES || state == LEAT_HTTP_CONN_UNSENT;
}

/* An answer has begun, or there will be none. */
static bool is_past_awaiting(leat_http_conn_state state)
{
    return state != LEAT_HTTP_CONN_HEAD && state != LEAT_HTTP_CONN_BUSY &&
           state != LEAT_HTTP_CONN_BODY;
}

static void end_awaiting(leat_http_conn *c, leat_http_conn_standing standing)
{
    c->standing = standing;
    c->side->n_awaited--;
}

void leat_http_conn_set_state(leat_http_conn *c, leat_http_conn_state next)
{
    if (is_busy(c->state) && !is_busy(next))
        c->side->n_busy--;
    else if (!is_busy(c->state) && is_busy(next))
        c->side->n_busy++;
    if (c->standing == LEAT_HTTP_CONN_AWAITED && is_past_awaiting(next))
        end_awaiting(c, LEAT_HTTP_CONN_ANSWERED);
    c->state = next;
}

/* --- who is at the other end --- */

leat_address_verdict leat_http_conn_identify(leat_http_conn *c)
{
    leat_http_side *side = c->side;
    leat_address_verdict verdict =
        leat_http_peer_identify(&c->peer, c->conn, leat_http_conn_request(c),
                                side->options->trusted, side->addresses, leat_http_conn_now(c));
    leat_ip client = c->peer.ip;
    if (verdict != LEAT_ADDRESS_OK &&
        leat_ip_parse(&client, leat_slice_of(leat_conn_remote(c->conn))) < 0)
        client = c->peer.ip;
    (void)leat_http_side_refuses(side, verdict, &client);
    return verdict;
}

/* --- the end --- */

void leat_http_conn_tell_quiet(leat_http_side *side)
{
    if (side->draining && side->n_busy == 0 && side->on_quiet != NULL)
        side->on_quiet(side->on_quiet_arg);
}

/* The socket is no longer ours. The memory stays until the end of the turn, for callers that are
 * still on the stack. */
static void let_go(leat_http_conn *c)
{
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_GONE);
    leat_http_conn_count(c);
    c->conn = NULL;
    c->task = (leat_http_task){0};
    leat_deadline_cancel(&c->deadline);
    leat_sweep_schedule(c->side->loop, &c->sweep);
}

static void on_end_of_turn(leat_sweep *s)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(s, leat_http_conn, sweep);
    leat_http_side *side = c->side;
    leat_list_unlink(&c->link);
    side->n_conns--;
    if (c->door == LEAT_HTTP_DOOR_METRICS)
        side->n_metrics--;
    if (c->standing == LEAT_HTTP_CONN_TURNED_AWAY)
        side->n_turned_away--;
    leat_http_parser_free(c->parser);
    leat_buf_close(&c->input);
    leat_pool_give(leat_loop_pool(side->loop), c);
    leat_http_conn_tell_quiet(side);
}

void leat_http_conn_cancel_task(leat_http_conn *c)
{
    leat_http_task task = c->task;
    c->task = (leat_http_task){0};
    if (task.cancel != NULL)
        task.cancel(task.arg);
}

static void on_close(void *owner, int err)
{
    (void)err;
    leat_http_conn *c = owner;
    leat_http_task task = c->task;
    let_go(c);
    if (task.cancel != NULL)
        task.cancel(task.arg);
}

leat_conn *leat_http_conn_detach(leat_http_conn *c, leat_buf *rest)
{
    leat_conn *conn = c->conn;
    *rest = LEAT_BUF_INIT;
    if (c->input.len > c->input_at)
        leat_buf_append(rest, c->input.at + c->input_at, c->input.len - c->input_at);
    let_go(c);
    leat_conn_set_read_size(conn, 0);
    if (c->bounded)
        leat_conn_set_unsent_limit(conn, 0);
    leat_conn_read_start(conn);
    return conn;
}

/* Ends the connection in order: what is queued is sent, then the end. What still arrives is read
 * and dropped, so that the peer sees the answer (RFC 9112 §9.6). */
static void finish(leat_http_conn *c, uint64_t in_ms)
{
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_FINISHING);
    leat_deadline_cancel(&c->deadline);
    leat_buf_close(&c->input);
    c->input_at = 0;
    leat_http_parser_reset(c->parser);
    leat_http_conn_count(c);
    leat_conn_set_read_size(c->conn, 0);
    leat_conn_finish(c->conn, leat_http_conn_now(c) + in_ms);
}

void leat_http_conn_finish(leat_http_conn *c)
{
    finish(c, c->side->limits->close_timeout_ms);
}

void leat_http_conn_turn_away(leat_http_conn *c, leat_slice answer, uint64_t linger_ms)
{
    leat_http_conn_bound_unsent(c);
    leat_conn_send_copy(c->conn, answer);
    end_awaiting(c, LEAT_HTTP_CONN_TURNED_AWAY);
    c->side->n_turned_away++;
    finish(c, linger_ms);
}

void leat_http_conn_close(leat_http_conn *c)
{
    bool unsent = c->state != LEAT_HTTP_CONN_GONE && leat_conn_queued(c->conn) > 0;
    if (c->state == LEAT_HTTP_CONN_FLUSHING || c->state == LEAT_HTTP_CONN_LEAVING ||
        (leat_http_conn_reads_head(c) && unsent))
        leat_http_conn_finish(c);
    else if (!leat_http_conn_ended(c))
        leat_conn_close(c->conn);
}
