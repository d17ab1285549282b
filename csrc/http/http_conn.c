/* http_conn.c - a connection's course.
 *
 * on_read gathers bytes in `input`; parse_input feeds them to the parser. At the end of a head the
 * request goes to on_request, which decides whether anybody wants its body; a task that does asks
 * for it (leat_http_conn_read_body) and gets on_body when it is whole. What else arrives until the
 * answer waits in `input`. Reading goes on until MAX_WAITING bytes wait, so that a peer that goes
 * away is noticed. leat_http_conn_end_request makes room for the next request, which is taken only
 * when the answer has left, so that a client that pipelines without reading costs nothing. An
 * answer to a request whose body was not read, or that named an upgrade, is the last one: nobody
 * can say for sure that the bytes that follow are a request.
 *
 * What a connection holds is counted in a pot of the side (count_held): that of the guests, or,
 * from leat_http_conn_let_in to the answer, that of the callers who were let in. */
#include "http/http_conn.h"

#include <stdlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "base/mem.h"

/* One read: a head fits, and many bytes that nobody asked for do not. */
#define READ_BYTES 4096
#define BODY_READ_BYTES 65536
/* What the kernel holds for a peer that does not read. */
#define UNSENT_BYTES 65536
/* Bytes that may wait behind a request that is being answered. */
#define MAX_WAITING 8192
/* Unsent bytes beyond which the next pipelined request waits. */
#define MAX_UNSENT 65536
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

enum http_state {
    HTTP_IDLE,      /* between requests; the deadline is that of an idle connection */
    HTTP_HEAD,      /* in the middle of a head; the deadline is the head's */
    HTTP_BUSY,      /* the head is known, and the answer is being made */
    HTTP_BODY,      /* the task has asked for the body, which is being read */
    HTTP_PIECES,    /* the answer is being sent in pieces */
    HTTP_UNSENT,    /* the task waits for the last piece to leave */
    HTTP_FLUSHING,  /* answered, but the answer has not left */
    HTTP_FINISHING, /* the last answer is on its way out */
    HTTP_GONE,      /* closed or detached: freed at the end of the turn */
};

struct leat_http_conn {
    leat_http_side *side;
    leat_list link;
    leat_conn *conn;
    leat_http_parser *parser;
    void (*on_request)(leat_http_conn *c);
    leat_http_task task;
    leat_deadline deadline;
    leat_sweep sweep;
    leat_buf input;
    size_t input_at;   /* so far parsed */
    size_t held_ahead; /* bytes of the answer that the task holds */
    size_t counted;    /* bytes that are counted in its pot */
    leat_http_peer peer;
    leat_http_door door;
    enum http_state state;
    leat_http_pot pot;
    bool parsing;     /* parse_input is on the stack */
    bool turned_away; /* it is here only to be told 503 */
};

static void on_read(void *owner, char *bytes, size_t len);
static void on_drain(void *owner);
static void on_close(void *owner, int err);
static void on_end_of_turn(leat_sweep *s);
static void on_request_late(leat_deadline *d);
static void on_flush_check(leat_deadline *d);
static void on_stall_check(leat_deadline *d);
static void parse_input(leat_http_conn *c);

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
                                   const leat_http_peer *peer, leat_http_door door,
                                   void (*on_request)(leat_http_conn *c))
{
    leat_http_conn *c = leat_calloc(1, sizeof(*c));
    c->side = side;
    c->conn = conn;
    c->peer = *peer;
    c->door = door;
    c->on_request = on_request;
    c->parser = leat_http_parser_new(&side->options->head);
    leat_deadline_init(&c->deadline);
    leat_sweep_init(&c->sweep, on_end_of_turn);
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

/* --- states --- */

static bool is_reading_head(const leat_http_conn *c)
{
    return c->state == HTTP_IDLE || c->state == HTTP_HEAD;
}

static bool is_ended(const leat_http_conn *c)
{
    return c->state == HTTP_FINISHING || c->state == HTTP_GONE;
}

/* A request is there, and its answer is not complete. */
static bool is_busy(enum http_state state)
{
    return state == HTTP_BUSY || state == HTTP_BODY || state == HTTP_PIECES || state == HTTP_UNSENT;
}

static void set_state(leat_http_conn *c, enum http_state next)
{
    if (is_busy(c->state) && !is_busy(next))
        c->side->n_busy--;
    else if (!is_busy(c->state) && is_busy(next))
        c->side->n_busy++;
    c->state = next;
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
    if (!is_ended(c))
        held = count_received(c) + c->held_ahead + leat_conn_queued(c->conn);
    leat_http_side_count(c->side, c->pot, c->counted, held);
    c->counted = held;
}

static void change_pot(leat_http_conn *c, leat_http_pot pot)
{
    leat_http_side_count(c->side, c->pot, c->counted, 0);
    leat_http_side_count(c->side, pot, 0, c->counted);
    c->pot = pot;
}

static bool is_over_budget(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, c->counted);
}

bool leat_http_conn_scarce(const leat_http_conn *c)
{
    return leat_http_side_full(c->side, c->pot, SIZE_MAX);
}

void leat_http_conn_hold(leat_http_conn *c, size_t bytes)
{
    c->held_ahead = bytes;
    count_held(c);
}

void leat_http_conn_let_in(leat_http_conn *c)
{
    change_pot(c, LEAT_HTTP_POT_CALLERS);
}

leat_address_verdict leat_http_conn_identify(leat_http_conn *c)
{
    leat_http_side *side = c->side;
    leat_address_verdict verdict =
        leat_http_peer_identify(&c->peer, c->conn, leat_http_conn_request(c),
                                side->options->trusted, side->addresses, now_of(c));
    leat_ip client = c->peer.ip;
    if (verdict != LEAT_ADDRESS_OK &&
        leat_ip_parse(&client, leat_slice_of(leat_conn_remote(c->conn))) < 0)
        client = c->peer.ip;
    (void)leat_http_side_refuses(side, verdict, &client);
    return verdict;
}

/* --- the end --- */

static void tell_quiet(leat_http_side *side)
{
    if (side->draining && side->n_busy == 0 && side->on_quiet != NULL)
        side->on_quiet(side->on_quiet_arg);
}

/* The socket is no longer ours. The memory stays until the end of the turn, for callers that are
 * still on the stack. */
static void let_go(leat_http_conn *c)
{
    set_state(c, HTTP_GONE);
    count_held(c);
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
    if (c->turned_away)
        side->n_turned_away--;
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

/* Ends the connection in order: what is queued is sent, then the end. What still arrives is read
 * and dropped, so that the peer sees the answer (RFC 9112 §9.6). */
static void finish(leat_http_conn *c, uint64_t in_ms)
{
    set_state(c, HTTP_FINISHING);
    leat_deadline_cancel(&c->deadline);
    leat_buf_close(&c->input);
    c->input_at = 0;
    leat_http_parser_reset(c->parser);
    count_held(c);
    leat_conn_set_read_size(c->conn, 0);
    leat_conn_finish(c->conn, now_of(c) + in_ms);
}

static void finish_soon(leat_http_conn *c)
{
    finish(c, c->side->limits->close_timeout_ms);
}

void leat_http_conn_turn_away(leat_http_conn *c, leat_slice answer, uint64_t linger_ms)
{
    leat_conn_send_copy(c->conn, answer);
    c->turned_away = true;
    c->side->n_turned_away++;
    finish(c, linger_ms);
}

void leat_http_conn_close(leat_http_conn *c)
{
    bool unsent = c->state != HTTP_GONE && leat_conn_queued(c->conn) > 0;
    if (c->state == HTTP_FLUSHING || (is_reading_head(c) && unsent))
        finish_soon(c);
    else if (!is_ended(c))
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

/* Answers what the parser did not take, with a connection that cannot go on. A task that waits for
 * its request's body is cancelled. */
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
    finish_soon(c);
}

/* Its pot is full, and it holds more than the little that every connection may. */
static void shed(leat_http_conn *c)
{
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_SHED, 1);
    if (is_reading_head(c) || c->state == HTTP_BUSY || c->state == HTTP_BODY)
        reject(c, 503);
    else
        leat_conn_close(c->conn); /* in the middle of an answer, another one cannot begin */
}

/* A request took too long to arrive. A connection that said nothing at all is closed without a
 * word. */
static void on_request_late(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    if (leat_http_parser_started(c->parser))
        reject(c, 408);
    else
        finish_soon(c);
}

/* --- reading --- */

static void on_read(void *owner, char *bytes, size_t len)
{
    leat_http_conn *c = owner;
    leat_buf_append(&c->input, bytes, len);
    parse_input(c);
    if (is_ended(c))
        return;
    count_held(c);
    /* An answer that was queued in this turn has yet to leave: on_flush_check looks at it. */
    if (leat_http_side_full(c->side, c->pot, count_received(c)))
        shed(c);
    else if (c->input.len - c->input_at > MAX_WAITING)
        leat_conn_read_stop(c->conn);
}

static void drop_parsed(leat_http_conn *c)
{
    leat_buf_consume(&c->input, c->input_at);
    c->input_at = 0;
    if (c->input.len == 0)
        leat_buf_close(&c->input); /* an idle connection holds no buffer */
}

static int feed_parser(leat_http_conn *c, leat_http_progress *progress)
{
    size_t used = 0;
    int status = leat_http_feed(c->parser, c->input.at + c->input_at, c->input.len - c->input_at,
                                &used, progress);
    c->input_at += used;
    return status;
}

static void begin_request(leat_http_conn *c)
{
    set_state(c, HTTP_BUSY);
    leat_deadline_cancel(&c->deadline);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REQUESTS, 1);
    c->on_request(c);
}

static void hand_over_body(leat_http_conn *c)
{
    set_state(c, HTTP_BUSY);
    leat_deadline_cancel(&c->deadline);
    leat_conn_set_read_size(c->conn, READ_BYTES);
    c->task.on_body(c->task.arg);
}

static bool takes_input(const leat_http_conn *c)
{
    return (is_reading_head(c) || c->state == HTTP_BODY) && c->input_at < c->input.len;
}

static void parse_step(leat_http_conn *c)
{
    leat_http_progress progress = LEAT_HTTP_MORE;
    int status = feed_parser(c, &progress);
    if (status != 0)
        reject(c, status);
    else if (is_reading_head(c) && progress != LEAT_HTTP_MORE)
        begin_request(c);
    else if (c->state == HTTP_BODY && progress == LEAT_HTTP_WHOLE)
        hand_over_body(c);
}

/* Takes as many requests as are whole and can be answered at once. */
static void parse_input(leat_http_conn *c)
{
    if (c->parsing)
        return;
    c->parsing = true;
    while (takes_input(c))
        parse_step(c);
    c->parsing = false;
    if (is_ended(c))
        return;
    drop_parsed(c);
    if (c->state == HTTP_IDLE && leat_http_parser_started(c->parser)) {
        set_state(c, HTTP_HEAD);
        arm(c, c->side->options->header_timeout_ms, on_request_late);
    }
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
    parse_input(c);
}

void leat_http_conn_read_body(leat_http_conn *c)
{
    LEAT_ASSERT(c->state == HTTP_BUSY && !leat_http_parser_whole(c->parser));
    set_state(c, HTTP_BODY);
    arm(c, 0, on_body_turn);
}

/* A body that a client announced with an expectation may never come: what is here then need not be
 * a body. */
void leat_http_conn_drop_body(leat_http_conn *c)
{
    leat_http_progress progress = LEAT_HTTP_MORE;
    if (leat_http_conn_request(c)->expects_continue)
        return;
    while (!leat_http_parser_whole(c->parser) && c->input_at < c->input.len)
        if (feed_parser(c, &progress) != 0)
            return;
}

/* --- after the answer --- */

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

static void await_request(leat_http_conn *c)
{
    set_state(c, HTTP_IDLE);
    leat_conn_read_start(c->conn);
    arm(c, c->side->options->keep_alive_timeout_ms, on_request_late);
    parse_input(c);
}

static void go_on(leat_http_conn *c, bool keep_alive)
{
    leat_http_side *side = c->side;
    c->task = (leat_http_task){0};
    c->held_ahead = 0;
    leat_http_parser_reset(c->parser);
    change_pot(c, LEAT_HTTP_POT_GUESTS);
    count_held(c);
    if (!keep_alive) {
        finish_soon(c);
    } else if (leat_conn_queued(c->conn) > MAX_UNSENT || is_over_budget(c)) {
        set_state(c, HTTP_FLUSHING);
        arm(c, 0, on_flush_check);
    } else {
        await_request(c);
    }
    tell_quiet(side);
}

void leat_http_conn_end_request(leat_http_conn *c, leat_buf *answer, bool keep_alive)
{
    leat_conn_send_owned(c->conn, answer);
    go_on(c, keep_alive);
}

/* --- a body in pieces --- */

void leat_http_conn_begin_pieces(leat_http_conn *c, leat_buf *head)
{
    leat_conn_send_owned(c->conn, head);
    set_state(c, HTTP_PIECES);
}

bool leat_http_conn_writable(leat_http_conn *c)
{
    return leat_conn_queued(c->conn) == 0;
}

/* What was queued in this turn leaves at its end, and then no on_drain follows: so the next turn
 * looks. */
void leat_http_conn_await_writable(leat_http_conn *c)
{
    set_state(c, HTTP_UNSENT);
    arm(c, 0, on_flush_check);
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

static void on_sent(leat_http_conn *c)
{
    leat_deadline_cancel(&c->deadline);
    if (c->state == HTTP_FLUSHING) {
        await_request(c);
    } else if (c->state == HTTP_UNSENT) {
        set_state(c, HTTP_PIECES);
        c->task.on_writable(c->task.arg);
    }
}

static void on_drain(void *owner)
{
    leat_http_conn *c = owner;
    if (c->state == HTTP_FLUSHING || c->state == HTTP_UNSENT)
        on_sent(c);
}

static void on_flush_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    count_held(c);
    if (leat_conn_queued(c->conn) == 0)
        on_sent(c);
    else if (c->state == HTTP_FLUSHING && is_over_budget(c))
        shed(c);
    else
        arm(c, c->side->limits->slow_client_timeout_ms, on_stall_check);
}

static void on_stall_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    uint64_t until_ms = leat_conn_progress_ms(c->conn) + c->side->limits->slow_client_timeout_ms;
    if (now_of(c) < until_ms) {
        arm(c, until_ms - now_of(c), on_stall_check);
        return;
    }
    leat_metrics_add(c->side->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("http", "slow client closed remote=%s", leat_conn_remote(c->conn));
    leat_conn_close(c->conn);
}
