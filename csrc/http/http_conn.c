/* A connection's course: on_read gathers bytes in `input`; `advance` feeds them to the parser. At
 * the end of a head the request goes to leat_http_route (begin_request), which decides whether
 * anybody wants a body; a task that does asks for it (leat_http_conn_read_body), and gets on_body
 * when it is whole. Whatever else arrives until the answer waits in `input` (reading goes on, so
 * that a peer who goes away is noticed, until MAX_AHEAD bytes wait). `await_next` makes room
 * for the next request, which is taken only when the answer has left, so that a client that
 * pipelines without reading costs nothing. An answer to a request whose body was not read, or that
 * named an upgrade, is the last one: nobody can say for sure that the bytes that follow are a
 * request.
 *
 * What a connection holds is counted in a pot of the side (count_held): that of the
 * guests, or, from leat_http_conn_let_in to the answer, that of the callers who were let in. */
#include "http/http_conn.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/http_conn_private.h"
#include "http/http_route.h"

/* What is taken from the socket at once: a head fits, and many bytes that nobody asked for do not.
 */
#define READ_BYTES 4096
#define BODY_READ_BYTES 65536
/* What the kernel holds for a peer that does not read. */
#define UNSENT_BYTES 65536
/* Bytes that may wait behind a request that is being answered. */
#define MAX_AHEAD 8192
/* Unsent bytes beyond which the next pipelined request waits. */
#define MAX_UNSENT 65536
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

static void on_read(void *owner, char *bytes, size_t len);
static void on_drain(void *owner);
static void on_close(void *owner, int err);
static void on_sweep(leat_sweep *s);
static void on_request_late(leat_deadline *d);
static void on_flush_check(leat_deadline *d);
static void on_stall_check(leat_deadline *d);
static void advance(leat_http_conn *c);

static const leat_conn_handler handler = {on_read, on_drain, on_close};

static uint64_t now_of(const leat_http_conn *c)
{
    return leat_loop_now(c->side->loop);
}

static void arm(leat_http_conn *c, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_loop_after(c->side->loop, &c->deadline, in_ms, cb);
}

leat_http_conn *leat_http_conn_new(leat_http_side *side, leat_conn *conn,
                                   const leat_http_peer *peer, leat_http_door door)
{
    leat_http_conn *c = leat_calloc(1, sizeof(*c));
    c->side = side;
    c->conn = conn;
    c->peer = *peer;
    c->door = door;
    c->parser = leat_http_parser_new(&side->options->head);
    leat_deadline_init(&c->deadline);
    leat_sweep_init(&c->sweep, on_sweep);
    leat_list_push(&side->conns, &c->link);
    side->n_conns++;
    if (door == LEAT_HTTP_DOOR_METRICS)
        side->n_metrics++;
    leat_conn_set_read_size(conn, READ_BYTES);
    leat_conn_set_unsent_limit(conn, UNSENT_BYTES);
    leat_conn_set_handler(conn, &handler, c);
    arm(c, side->options->header_timeout_ms, on_request_late);
    return c;
}

leat_http_conn *leat_http_conn_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, leat_http_conn, link);
}

/* --- what it holds --- */

/* Bytes that the peer has sent. */
static size_t count_received(const leat_http_conn *c)
{
    return c->input.cap + leat_http_parser_bytes(c->parser);
}

/* What a closing connection still sends is bounded by its last answer, and not counted. */
static void count_held(leat_http_conn *c)
{
    size_t held = 0;
    if (c->state != HTTP_GONE && c->state != HTTP_FINISHING)
        held = count_received(c) + c->ahead + leat_conn_queued(c->conn);
    leat_http_side_count(c->side, c->pot, c->counted, held);
    c->counted = held;
}

static void change_pot(leat_http_conn *c, leat_http_pot pot)
{
    leat_http_side_count(c->side, c->pot, c->counted, 0);
    leat_http_side_count(c->side, pot, 0, c->counted);
    c->pot = pot;
}

static bool over_budget(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, c->counted);
}

bool leat_http_conn_scarce(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, SIZE_MAX);
}

void leat_http_conn_hold(leat_http_conn *c, size_t bytes)
{
    c->ahead = bytes;
    count_held(c);
}

void leat_http_conn_let_in(leat_http_conn *c)
{
    change_pot(c, LEAT_HTTP_POT_CALLERS);
}

/* --- the end --- */

static bool is_busy(enum leat_http_state state)
{
    return state == HTTP_BUSY || state == HTTP_BODY || state == HTTP_STREAMING;
}

void leat_http_conn_set_state(leat_http_conn *c, enum leat_http_state next)
{
    if (is_busy(c->state) && !is_busy(next))
        c->side->n_busy--;
    else if (!is_busy(c->state) && is_busy(next))
        c->side->n_busy++;
    c->state = next;
}

static void tell_quiet(leat_http_side *side)
{
    if (side->draining && side->n_busy == 0 && side->on_quiet != NULL)
        side->on_quiet(side->on_quiet_arg);
}

/* The socket is no longer ours; memory stays until the end of the turn, for those who are still on
 * the stack. */
static void let_go(leat_http_conn *c)
{
    leat_http_conn_set_state(c, HTTP_GONE);
    count_held(c);
    c->conn = NULL;
    c->task = (leat_http_task){0};
    leat_deadline_cancel(&c->deadline);
    leat_sweep_schedule(c->side->loop, &c->sweep);
}

static void on_sweep(leat_sweep *s)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(s, leat_http_conn, sweep);
    leat_http_side *side = c->side;
    leat_list_unlink(&c->link);
    side->n_conns--;
    if (c->door == LEAT_HTTP_DOOR_METRICS)
        side->n_metrics--;
    if (c->refused)
        side->n_refused--;
    leat_http_parser_free(c->parser);
    leat_buf_close(&c->input);
    free(c);
    tell_quiet(side);
}

static void cancel_task(leat_http_conn *c)
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
    leat_conn_set_unsent_limit(conn, 0);
    leat_conn_read_start(conn);
    return conn;
}

/* Says good-bye in order: what is queued, then the end; what still arrives is read and dropped, so
 * that the peer sees the answer (RFC 9112 §9.6). */
static void finish(leat_http_conn *c, uint64_t in_ms)
{
    leat_http_conn_set_state(c, HTTP_FINISHING);
    leat_deadline_cancel(&c->deadline);
    leat_buf_close(&c->input);
    c->input_at = 0;
    leat_http_parser_reset(c->parser);
    count_held(c);
    leat_conn_set_read_size(c->conn, 0);
    leat_conn_finish(c->conn, now_of(c) + in_ms);
}

void leat_http_conn_turn_away(leat_http_conn *c, leat_slice answer, uint64_t linger_ms)
{
    leat_conn_send_copy(c->conn, answer);
    c->refused = true;
    c->side->n_refused++;
    finish(c, linger_ms);
}

void leat_http_conn_end(leat_http_conn *c)
{
    bool unsent = c->state != HTTP_GONE && leat_conn_queued(c->conn) > 0;
    if (c->state == HTTP_FLUSHING || (c->state == HTTP_READING && unsent))
        finish(c, c->side->limits->close_timeout_ms);
    else if (c->state != HTTP_GONE && c->state != HTTP_FINISHING)
        leat_conn_close(c->conn);
}

/* --- refusing what cannot be a request --- */

static const char *code_of(int status)
{
    switch (status) {
    case 408:
        return "deadline_exceeded";
    case 413:
    case 414:
    case 431:
        return "too_large";
    case 503:
        return "unavailable";
    default:
        return "bad_request";
    }
}

/* Answers what the parser would not take, with a connection that cannot go on. A task that waits
 * for its request's body is cancelled. */
static void reject(leat_http_conn *c, int status)
{
    cancel_task(c);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REJECTED, 1);
    LEAT_LOG_INFO("http", "rejected status=%d remote=%s", status, leat_conn_remote(c->conn));
    leat_buf body = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    leat_buf_printf(&body, "{\"code\":\"%s\",\"message\":\"%s\"}", code_of(status),
                    leat_http_reason(status));
    leat_http_write_response(&out, status, "application/json",
                             status == 503 ? "Retry-After: 1\r\n" : NULL, leat_buf_view(&body),
                             false, false);
    leat_buf_close(&body);
    leat_conn_send_owned(c->conn, &out);
    finish(c, c->side->limits->close_timeout_ms);
}

/* Its pot is full, and it holds more than the little that everybody may. */
static void shed(leat_http_conn *c)
{
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_SHED, 1);
    if (c->state == HTTP_READING || c->state == HTTP_BUSY || c->state == HTTP_BODY)
        reject(c, 503);
    else
        leat_conn_close(c->conn); /* in the middle of an answer, another one cannot begin */
}

/* --- reading --- */

static void on_read(void *owner, char *bytes, size_t len)
{
    leat_http_conn *c = owner;
    leat_buf_append(&c->input, bytes, len);
    advance(c);
    if (c->state == HTTP_GONE || c->state == HTTP_FINISHING)
        return;
    count_held(c);
    /* An answer that was queued in this turn has yet to leave: it is looked at in on_flush_check.
     */
    if (leat_http_side_full(c->side, c->pot, count_received(c)))
        shed(c);
    else if (c->input.len - c->input_at > MAX_AHEAD)
        leat_conn_read_stop(c->conn);
}

static void drop_parsed(leat_http_conn *c)
{
    leat_buf_consume(&c->input, c->input_at);
    c->input_at = 0;
    if (c->input.len == 0)
        leat_buf_close(&c->input); /* an idle connection holds no buffer */
}

static int feed(leat_http_conn *c, leat_http_progress *progress)
{
    size_t used = 0;
    int status = leat_http_feed(c->parser, c->input.at + c->input_at, c->input.len - c->input_at,
                                &used, progress);
    c->input_at += used;
    return status;
}

/* Counts a request that a trusted proxy passes on for its client. False if the client has too many
 * connections: that is answered. */
static bool identify(leat_http_conn *c)
{
    leat_http_side *side = c->side;
    leat_address_verdict verdict =
        leat_http_peer_identify(&c->peer, c->conn, leat_http_conn_request(c),
                                side->options->trusted, side->addresses, now_of(c));
    leat_ip client = c->peer.ip;
    if (verdict != LEAT_ADDRESS_OK &&
        leat_ip_parse(&client, leat_slice_of(leat_conn_remote(c->conn))) < 0)
        client = c->peer.ip;
    if (!leat_http_side_refuses(side, verdict, &client))
        return true;
    leat_http_conn_refuse(c, 429, verdict == LEAT_ADDRESS_TOO_MANY ? "limit" : "rate_limited",
                          leat_slice_of("too many connections from this address"), 1000, NULL);
    return false;
}

static void begin_request(leat_http_conn *c)
{
    leat_http_conn_set_state(c, HTTP_BUSY);
    c->head_timed = false;
    leat_deadline_cancel(&c->deadline);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REQUESTS, 1);
    if (!c->peer.trusted || identify(c))
        leat_http_route(c);
}

static void hand_over_body(leat_http_conn *c)
{
    leat_http_conn_set_state(c, HTTP_BUSY);
    leat_deadline_cancel(&c->deadline);
    leat_conn_set_read_size(c->conn, READ_BYTES);
    c->task.on_body(c->task.arg);
}

static bool takes_input(const leat_http_conn *c)
{
    return (c->state == HTTP_READING || c->state == HTTP_BODY) && c->input_at < c->input.len;
}

static void step(leat_http_conn *c)
{
    leat_http_progress progress = LEAT_HTTP_MORE;
    int status = feed(c, &progress);
    if (status != 0)
        reject(c, status);
    else if (c->state == HTTP_READING && progress != LEAT_HTTP_MORE)
        begin_request(c);
    else if (c->state == HTTP_BODY && progress == LEAT_HTTP_WHOLE)
        hand_over_body(c);
}

/* Takes as many requests as are whole and can be answered at once. */
static void advance(leat_http_conn *c)
{
    if (c->advancing)
        return;
    c->advancing = true;
    while (takes_input(c))
        step(c);
    c->advancing = false;
    if (c->state == HTTP_GONE || c->state == HTTP_FINISHING)
        return;
    drop_parsed(c);
    if (c->state == HTTP_READING && !c->head_timed && leat_http_parser_started(c->parser)) {
        c->head_timed = true;
        arm(c, c->side->options->header_timeout_ms, on_request_late);
    }
}

/* A request took too long to arrive; a connection that said nothing at all is closed without a
 * word. */
static void on_request_late(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    if (leat_http_parser_started(c->parser))
        reject(c, 408);
    else
        finish(c, c->side->limits->close_timeout_ms);
}

/* --- the body --- */

static void on_body_turn(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    arm(c, c->side->options->header_timeout_ms, on_request_late);
    if (leat_http_conn_request(c)->expects_continue && c->input.len == 0)
        leat_conn_send_copy(c->conn, leat_slice_of(CONTINUE));
    leat_conn_set_read_size(c->conn, BODY_READ_BYTES);
    leat_conn_read_start(c->conn);
    advance(c);
}

void leat_http_conn_read_body(leat_http_conn *c)
{
    LEAT_ASSERT(c->state == HTTP_BUSY && !leat_http_parser_whole(c->parser));
    leat_http_conn_set_state(c, HTTP_BODY);
    arm(c, 0, on_body_turn);
}

/* One that a client announced with an expectation may never come: what is here then need not be a
 * body. */
void leat_http_conn_skip_body(leat_http_conn *c)
{
    leat_http_progress progress = LEAT_HTTP_MORE;
    if (leat_http_conn_request(c)->expects_continue)
        return;
    while (!leat_http_parser_whole(c->parser) && c->input_at < c->input.len)
        if (feed(c, &progress) != 0)
            return;
}

/* --- between requests --- */

leat_http_side *leat_http_conn_side(leat_http_conn *c)
{
    return c->side;
}

const leat_http_request *leat_http_conn_request(leat_http_conn *c)
{
    return leat_http_parser_request(c->parser);
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

void leat_http_conn_set_task(leat_http_conn *c, leat_http_task task)
{
    c->task = task;
}

/* A proxy may take what follows a request for an upgrade for bytes of the other protocol, whatever
 * the answer was. */
static bool names_upgrade(const leat_http_request *r)
{
    return r->upgrade || leat_http_find(r, "upgrade").at != NULL;
}

bool leat_http_conn_keeps_alive(leat_http_conn *c)
{
    const leat_http_request *r = leat_http_conn_request(c);
    return r->keep_alive && !c->side->draining && !names_upgrade(r) &&
           leat_http_parser_whole(c->parser);
}

static void await_next(leat_http_conn *c)
{
    leat_http_conn_set_state(c, HTTP_READING);
    leat_conn_read_start(c->conn);
    arm(c, c->side->options->keep_alive_timeout_ms, on_request_late);
    advance(c);
}

void leat_http_conn_finish_request(leat_http_conn *c, bool keep_alive)
{
    leat_http_side *side = c->side;
    c->task = (leat_http_task){0};
    c->awaiting = false;
    c->ahead = 0;
    leat_http_parser_reset(c->parser);
    change_pot(c, LEAT_HTTP_POT_GUESTS);
    count_held(c);
    if (!keep_alive) {
        finish(c, side->limits->close_timeout_ms);
    } else if (leat_conn_queued(c->conn) > MAX_UNSENT || over_budget(c)) {
        leat_http_conn_set_state(c, HTTP_FLUSHING);
        leat_http_conn_check_flush(c);
    } else {
        await_next(c);
    }
    tell_quiet(side);
}

/* --- waiting for the peer to take what is queued --- */

void leat_http_conn_check_flush(leat_http_conn *c)
{
    arm(c, 0, on_flush_check);
}

/* The queue is empty: goes on with what waited for that. */
static void resume(leat_http_conn *c)
{
    leat_deadline_cancel(&c->deadline);
    if (c->state == HTTP_FLUSHING) {
        await_next(c);
    } else if (c->awaiting) {
        c->awaiting = false;
        c->task.on_writable(c->task.arg);
    }
}

static bool waits(const leat_http_conn *c)
{
    return c->state == HTTP_FLUSHING || c->awaiting;
}

static void on_flush_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    count_held(c);
    if (leat_conn_queued(c->conn) == 0)
        resume(c);
    else if (c->state == HTTP_FLUSHING && over_budget(c))
        shed(c);
    else
        arm(c, c->side->limits->slow_client_timeout_ms, on_stall_check);
}

static void on_drain(void *owner)
{
    leat_http_conn *c = owner;
    if (waits(c))
        resume(c);
}

static void on_stall_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    uint64_t limit_ms = leat_conn_progress_ms(c->conn) + c->side->limits->slow_client_timeout_ms;
    if (now_of(c) < limit_ms) {
        arm(c, limit_ms - now_of(c), on_stall_check);
        return;
    }
    leat_metrics_add(c->side->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("http", "slow client closed remote=%s", leat_conn_remote(c->conn));
    leat_conn_close(c->conn);
}
