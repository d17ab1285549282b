/* http_conn_send.c - the answer's way out.
 *
 * leat_http_conn_end_request makes room for the next request, which is taken only when the answer
 * has left, so that a client that pipelines without reading costs nothing. An answer to a request
 * whose body was not read, or that named an upgrade, is the last one: nobody can say for sure that
 * the bytes that follow are a request. The last answer, too, has as long as its client takes of it
 * (slow_client_timeout_ms), and is counted; only then the connection ends. */
#include "base/container_of.h"
#include "base/log.h"
#include "http/http_conn.h"
#include "http/http_conn_private.h"

/* Unsent bytes beyond which the next pipelined request waits. */
#define MAX_UNSENT 65536
/* The kernel's part of them: as much again. */
#define KERNEL_UNSENT 65536

static void on_flush_check(leat_deadline *d);
static void on_stall_check(leat_deadline *d);

void leat_http_conn_bound_unsent(leat_http_conn *c)
{
    if (!c->bounded)
        leat_conn_set_unsent_limit(c->conn, KERNEL_UNSENT);
    c->bounded = true;
}

/* --- after the answer --- */

/* A proxy may take what follows a request for an upgrade for bytes of the other protocol, whatever
 * the answer was. */
static bool names_upgrade(const leat_http_request *r)
{
    return r->upgrade || leat_http_find(r, "upgrade").at != NULL;
}

/* The next request on a connection that was handed over may be for the program: so there is none.
 */
bool leat_http_conn_keeps_alive(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    return r->keep_alive && c->door != LEAT_HTTP_DOOR_HOST && !c->side->draining &&
           !names_upgrade(r) && leat_http_parser_whole(c->parser);
}

static void await_request(leat_http_conn *c)
{
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_IDLE);
    leat_conn_read_start(c->conn);
    leat_http_conn_arm(c, c->side->options->keep_alive_timeout_ms, leat_http_conn_on_request_late);
    leat_http_conn_parse(c);
}

/* True if the answer has to leave first. A connection that ends has close_timeout_ms for what is
 * left, which is too short for much. */
static bool is_too_much(const leat_http_conn *c, bool keep_alive)
{
    size_t unsent = leat_conn_queued(c->conn);
    return keep_alive ? unsent > MAX_UNSENT || leat_http_conn_over_budget(c)
                      : unsent > LEAT_HTTP_CONN_LITTLE_UNSENT;
}

static void go_on(leat_http_conn *c, bool keep_alive)
{
    leat_http_side *side = c->side;
    c->task = (leat_http_task){0};
    c->held_ahead = 0;
    c->shared = false;
    leat_http_parser_reset(c->parser);
    leat_http_conn_change_pot(c, LEAT_HTTP_POT_GUESTS);
    if (leat_conn_queued(c->conn) > LEAT_HTTP_CONN_LITTLE_UNSENT)
        leat_conn_flush(c->conn); /* what the peer takes at once is not held */
    leat_http_conn_count(c);
    if (is_too_much(c, keep_alive)) {
        leat_http_conn_set_state(c, keep_alive ? LEAT_HTTP_CONN_FLUSHING : LEAT_HTTP_CONN_LEAVING);
        leat_http_conn_arm(c, 0, on_flush_check);
    } else if (keep_alive) {
        await_request(c);
    } else {
        leat_http_conn_finish(c);
    }
    leat_http_conn_tell_quiet(side);
}

void leat_http_conn_end_request(leat_http_conn *c, leat_buf *answer, bool keep_alive)
{
    leat_http_conn_bound_unsent(c);
    leat_conn_send_owned(c->conn, answer);
    go_on(c, keep_alive);
}

/* --- a body in pieces --- */

void leat_http_conn_begin_pieces(leat_http_conn *c, leat_buf *head)
{
    leat_http_conn_bound_unsent(c);
    leat_conn_send_owned(c->conn, head);
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_PIECES);
}

bool leat_http_conn_writable(leat_http_conn *c)
{
    return leat_conn_queued(c->conn) == 0;
}

/* What was queued in this turn leaves at its end, and then no on_drain follows: so the next turn
 * looks. */
void leat_http_conn_await_writable(leat_http_conn *c)
{
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_UNSENT);
    leat_http_conn_arm(c, 0, on_flush_check);
}

void leat_http_conn_send_piece(leat_http_conn *c, leat_buf *bytes)
{
    leat_conn_send_owned(c->conn, bytes);
    leat_http_conn_hold(c, 0);
}

void leat_http_conn_end_pieces(leat_http_conn *c)
{
    go_on(c, leat_http_conn_keeps_alive(c));
}

void leat_http_conn_abort(leat_http_conn *c)
{
    c->task = (leat_http_task){0};
    leat_conn_close(c->conn);
}

/* --- waiting for the peer to take what is queued --- */

/* True if nothing else is done for the connection until all that is queued has left. */
static bool is_held_up(const leat_http_conn *c)
{
    return c->state == LEAT_HTTP_CONN_FLUSHING || c->state == LEAT_HTTP_CONN_LEAVING;
}

static void on_sent(leat_http_conn *c)
{
    leat_deadline_cancel(&c->deadline);
    if (c->state == LEAT_HTTP_CONN_LEAVING) {
        leat_http_conn_finish(c);
    } else if (c->state == LEAT_HTTP_CONN_FLUSHING) {
        await_request(c);
    } else if (c->state == LEAT_HTTP_CONN_UNSENT) {
        leat_http_conn_set_state(c, LEAT_HTTP_CONN_PIECES);
        c->task.on_writable(c->task.arg);
    }
}

void leat_http_conn_on_drain(void *owner)
{
    leat_http_conn *c = owner;
    leat_http_conn_count(c);
    if (is_held_up(c) || c->state == LEAT_HTTP_CONN_UNSENT)
        on_sent(c);
}

static void on_flush_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    leat_http_conn_count(c);
    if (leat_conn_queued(c->conn) == 0)
        on_sent(c);
    else if (is_held_up(c) && leat_http_conn_over_budget(c))
        leat_http_conn_shed(c);
    else
        leat_http_conn_arm(c, c->side->limits->slow_client_timeout_ms, on_stall_check);
}

static void on_stall_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    uint64_t until_ms = leat_conn_progress_ms(c->conn) + c->side->limits->slow_client_timeout_ms;
    leat_http_conn_count(c);
    if (leat_http_conn_now(c) < until_ms) {
        leat_http_conn_arm(c, until_ms - leat_http_conn_now(c), on_stall_check);
        return;
    }
    leat_metrics_add(c->side->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("http", "slow client closed remote=%s", leat_conn_remote(c->conn));
    leat_conn_close(c->conn);
}
