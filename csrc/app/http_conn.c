/* A connection's course: on_read gathers bytes in `input`; `advance` feeds them to the parser; a
 * whole request goes to leat_http_route, and whatever arrives until it is answered waits in `input`
 * (reading goes on, so that a peer who goes away is noticed, until MAX_AHEAD bytes wait).
 * `finish_request` makes room for the next one, which is taken only when the answer has left, so
 * that a client that pipelines without reading costs nothing. */
#include "app/http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/http_route.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/json.h"

/* Bytes that may wait behind a request that is being answered. */
#define MAX_AHEAD 65536
/* Unsent bytes beyond which the next pipelined request waits. */
#define MAX_UNSENT 65536
/* Connections over the limit that are told so; further ones are closed without a word. */
#define MAX_REFUSED 64
#define REFUSED_LINGER_MS 1000

enum http_state {
    HTTP_READING,   /* between requests, or in the middle of one */
    HTTP_BUSY,      /* a request is being answered */
    HTTP_STREAMING, /* its body is being sent in pieces */
    HTTP_FLUSHING,  /* answered, but the answer has not left */
    HTTP_FINISHING, /* the last answer is on its way out */
    HTTP_GONE,      /* closed or detached: freed at the end of the turn */
};

struct leat_http_conn {
    leat_http_side *side;
    leat_list link;
    leat_conn *conn;
    leat_http_parser *parser;
    leat_http_task task;
    leat_deadline deadline;
    leat_sweep sweep;
    leat_buf input;
    size_t input_at; /* so far parsed */
    enum http_state state;
    bool advancing;
    bool head_timed; /* the deadline is that of a request that has begun */
    bool awaiting;   /* the task wants on_writable */
    bool refused;
};

static void on_read(void *owner, const char *bytes, size_t len);
static void on_drain(void *owner);
static void on_close(void *owner, int err);
static void on_sweep(leat_sweep *s);
static void on_request_late(leat_deadline *d);
static void on_flush_check(leat_deadline *d);
static void on_stall_check(leat_deadline *d);
static void advance(leat_http_conn *c);
static void finish(leat_http_conn *c, uint64_t in_ms);
static void send_refusal(leat_http_conn *c);

static const leat_conn_handler handler = {on_read, on_drain, on_close};

static uint64_t now_of(const leat_http_conn *c)
{
    return leat_loop_now(c->side->loop);
}

static void arm(leat_http_conn *c, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_deadline_arm(leat_loop_deadlines(c->side->loop), &c->deadline, now_of(c) + in_ms, cb);
}

/* Those that still speak HTTP, and those that were handed on, whoever serves them now. */
static size_t count_connections(const leat_http_side *side)
{
    int64_t handed_on = leat_metrics_get(side->metrics, LEAT_M_CONNECTIONS);
    return side->n_conns - side->n_refused + (handed_on > 0 ? (size_t)handed_on : 0);
}

static leat_http_conn *make(leat_http_side *side, leat_conn *conn)
{
    leat_http_conn *c = leat_calloc(1, sizeof(*c));
    c->side = side;
    c->conn = conn;
    c->parser = leat_http_parser_new(&side->limits);
    leat_deadline_init(&c->deadline);
    leat_sweep_init(&c->sweep, on_sweep);
    leat_list_push(&side->conns, &c->link);
    side->n_conns++;
    leat_conn_set_handler(conn, &handler, c);
    return c;
}

void leat_http_side_accept(leat_http_side *side, uv_os_sock_t socket)
{
    bool full = count_connections(side) >= side->max_connections;
    if (full)
        leat_metrics_add(side->metrics, LEAT_M_CONNECTIONS_REFUSED, 1);
    leat_conn *conn = NULL;
    if (full && side->n_refused >= MAX_REFUSED) {
        close(socket);
        return;
    }
    int err = leat_conn_new(&conn, side->loop, side->metrics, socket);
    if (err < 0) {
        LEAT_LOG_WARN("http", "connection not taken err=%s", uv_err_name(err));
        return;
    }
    leat_http_conn *c = make(side, conn);
    if (full)
        send_refusal(c);
    else
        arm(c, side->config->header_timeout_ms, on_request_late);
}

/* What is already on its way out may still arrive: it is bounded by the close timeout. */
static void end_now(leat_http_conn *c)
{
    bool unsent = c->state != HTTP_GONE && leat_conn_queued(c->conn) > 0;
    if (c->state == HTTP_FLUSHING || (c->state == HTTP_READING && unsent))
        finish(c, c->side->config->limits.close_timeout_ms);
    else if (c->state != HTTP_GONE && c->state != HTTP_FINISHING)
        leat_conn_close(c->conn);
}

void leat_http_side_close(leat_http_side *side)
{
    /* Closing only marks; the list changes in the close callbacks. */
    for (leat_list *link = side->conns.next; link != &side->conns; link = link->next)
        end_now(LEAT_LIST_ENTRY(link, leat_http_conn, link));
}

/* --- the end --- */

static void set_busy(leat_http_conn *c, enum http_state next)
{
    bool was = c->state == HTTP_BUSY || c->state == HTTP_STREAMING;
    bool is = next == HTTP_BUSY || next == HTTP_STREAMING;
    c->state = next;
    if (was && !is)
        c->side->n_busy--;
    else if (!was && is)
        c->side->n_busy++;
}

/* The socket is no longer ours; memory stays until the end of the turn, for those who are still on
 * the stack. */
static void let_go(leat_http_conn *c)
{
    set_busy(c, HTTP_GONE);
    c->conn = NULL;
    c->task = (leat_http_task){0};
    leat_deadline_cancel(&c->deadline);
    leat_sweep_schedule(c->side->loop, &c->sweep);
}

static void on_sweep(leat_sweep *s)
{
    leat_http_conn *c = LEAT_LIST_ENTRY(s, leat_http_conn, sweep);
    leat_http_side *side = c->side;
    leat_list_unlink(&c->link);
    side->n_conns--;
    if (c->refused)
        side->n_refused--;
    leat_http_parser_free(c->parser);
    leat_buf_close(&c->input);
    free(c);
    if (side->draining && side->n_busy == 0 && side->on_quiet != NULL)
        side->on_quiet(side->on_quiet_arg);
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
    leat_conn_read_start(conn);
    return conn;
}

/* Says good-bye in order: what is queued, then the end. */
static void finish(leat_http_conn *c, uint64_t in_ms)
{
    set_busy(c, HTTP_FINISHING);
    leat_deadline_cancel(&c->deadline);
    leat_conn_finish(c->conn, now_of(c) + in_ms);
}

static void send_refusal(leat_http_conn *c)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(
        &out, 503, "application/json", "Retry-After: 1\r\n",
        leat_slice_of("{\"code\":\"limit\",\"message\":\"too many connections\"}"), false, false);
    leat_conn_send_owned(c->conn, &out);
    c->refused = true;
    c->side->n_refused++;
    finish(c, REFUSED_LINGER_MS);
}

/* --- reading --- */

static void on_read(void *owner, const char *bytes, size_t len)
{
    leat_http_conn *c = owner;
    leat_buf_append(&c->input, bytes, len);
    advance(c);
    if (c->state != HTTP_GONE && c->input.len - c->input_at > MAX_AHEAD)
        leat_conn_read_stop(c->conn);
}

static void drop_parsed(leat_http_conn *c)
{
    leat_buf_consume(&c->input, c->input_at);
    c->input_at = 0;
    if (c->input.len == 0)
        leat_buf_close(&c->input); /* an idle connection holds no buffer */
}

/* Answers what the parser would not take, with a connection that cannot go on. */
static void reject(leat_http_conn *c, int status)
{
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REJECTED, 1);
    LEAT_LOG_INFO("http", "rejected status=%d remote=%s", status, leat_conn_remote(c->conn));
    leat_buf body = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    bool too_large = status == 413 || status == 414 || status == 431;
    leat_buf_printf(&body, "{\"code\":\"%s\",\"message\":\"%s\"}",
                    status == 408 ? "deadline_exceeded"
                    : too_large   ? "too_large"
                                  : "bad_request",
                    leat_http_reason(status));
    leat_http_write_response(&out, status, "application/json", NULL, leat_buf_view(&body), false,
                             false);
    leat_buf_close(&body);
    leat_conn_send_owned(c->conn, &out);
    finish(c, c->side->config->limits.close_timeout_ms);
}

/* Feeds what has come; true once a request is whole. */
static bool feed(leat_http_conn *c)
{
    size_t used = 0;
    bool done = false;
    int status = leat_http_feed(c->parser, c->input.at + c->input_at, c->input.len - c->input_at,
                                &used, &done);
    c->input_at += used;
    if (status != 0) {
        reject(c, status);
        return false;
    }
    return done;
}

static void begin_request(leat_http_conn *c)
{
    set_busy(c, HTTP_BUSY);
    c->head_timed = false;
    leat_deadline_cancel(&c->deadline);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REQUESTS, 1);
    leat_http_route(c);
}

/* Takes as many requests as are whole and can be answered at once. */
static void advance(leat_http_conn *c)
{
    if (c->advancing)
        return;
    c->advancing = true;
    while (c->state == HTTP_READING && c->input_at < c->input.len && feed(c))
        begin_request(c);
    c->advancing = false;
    if (c->state == HTTP_GONE || c->state == HTTP_FINISHING)
        return;
    drop_parsed(c);
    if (c->state == HTTP_READING && !c->head_timed && leat_http_parser_started(c->parser)) {
        c->head_timed = true;
        arm(c, c->side->config->header_timeout_ms, on_request_late);
    }
}

/* A request took too long to arrive; a connection that said nothing at all is closed without a
 * word. */
static void on_request_late(leat_deadline *d)
{
    leat_http_conn *c = LEAT_LIST_ENTRY(d, leat_http_conn, deadline);
    if (leat_http_parser_started(c->parser))
        reject(c, 408);
    else
        finish(c, c->side->config->limits.close_timeout_ms);
}

/* --- answering --- */

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

void leat_http_conn_set_task(leat_http_conn *c, leat_http_task task)
{
    c->task = task;
}

static bool keeps_alive(leat_http_conn *c)
{
    return leat_http_conn_request(c)->keep_alive && !c->side->draining;
}

static void await_next(leat_http_conn *c)
{
    set_busy(c, HTTP_READING);
    leat_conn_read_start(c->conn);
    arm(c, c->side->config->keep_alive_timeout_ms, on_request_late);
    advance(c);
}

/* The answer is queued: on to the next request, or to the end. */
static void finish_request(leat_http_conn *c, bool keep_alive)
{
    leat_http_side *side = c->side;
    c->task = (leat_http_task){0};
    c->awaiting = false;
    leat_http_parser_reset(c->parser);
    if (!keep_alive) {
        finish(c, side->config->limits.close_timeout_ms);
    } else if (leat_conn_queued(c->conn) > MAX_UNSENT) {
        set_busy(c, HTTP_FLUSHING);
        arm(c, 0, on_flush_check);
    } else {
        await_next(c);
    }
    if (side->draining && side->n_busy == 0 && side->on_quiet != NULL)
        side->on_quiet(side->on_quiet_arg);
}

void leat_http_conn_respond(leat_http_conn *c, int status, const char *content_type,
                            const char *extra_headers, leat_slice body)
{
    const leat_http_request *r = leat_http_conn_request(c);
    bool keep_alive = keeps_alive(c);
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(&out, status, content_type, extra_headers, body, keep_alive,
                             leat_slice_is(r->method, "HEAD"));
    leat_conn_send_owned(c->conn, &out);
    finish_request(c, keep_alive);
}

static void write_refusal(leat_buf *body, const char *code, leat_slice message,
                          uint32_t retry_after_ms)
{
    leat_buf_printf(body, "{\"code\":\"%s\"", code);
    size_t before = body->len;
    leat_buf_text(body, ",\"message\":");
    if (message.at == NULL || leat_json_write_string(body, message) < 0)
        body->len = before;
    if (retry_after_ms > 0)
        leat_buf_printf(body, ",\"retry_after_ms\":%u", (unsigned)retry_after_ms);
    leat_buf_char(body, '}');
}

void leat_http_conn_refuse(leat_http_conn *c, int status, const char *code, leat_slice message,
                           uint32_t retry_after_ms, const char *extra_headers)
{
    leat_buf body = LEAT_BUF_INIT;
    leat_buf headers = LEAT_BUF_INIT;
    write_refusal(&body, code, message, retry_after_ms);
    leat_buf_text(&headers, "Cache-Control: no-store\r\n");
    if (retry_after_ms > 0)
        leat_buf_printf(&headers, "Retry-After: %u\r\n",
                        (unsigned)((retry_after_ms + UINT64_C(999)) / 1000));
    if (extra_headers != NULL)
        leat_buf_text(&headers, extra_headers);
    leat_buf_char(&headers, '\0');
    leat_http_conn_respond(c, status, "application/json", headers.at, leat_buf_view(&body));
    leat_buf_close(&headers);
    leat_buf_close(&body);
}

/* --- a body in pieces --- */

void leat_http_conn_stream_begin(leat_http_conn *c, int status, const char *content_type,
                                 const char *extra_headers, size_t length)
{
    leat_buf out = LEAT_BUF_INIT;
    /* A head alone, with the length that will follow. */
    leat_http_write_response(&out, status, content_type, extra_headers, (leat_slice){NULL, length},
                             keeps_alive(c), true);
    leat_conn_send_owned(c->conn, &out);
    set_busy(c, HTTP_STREAMING);
}

bool leat_http_conn_writable(leat_http_conn *c)
{
    return leat_conn_queued(c->conn) == 0;
}

void leat_http_conn_await_writable(leat_http_conn *c)
{
    /* What was queued in this turn leaves at its end, and then no on_drain follows: so look again
     * on the next one. */
    c->awaiting = true;
    arm(c, 0, on_flush_check);
}

void leat_http_conn_stream_send(leat_http_conn *c, leat_buf *bytes)
{
    leat_conn_send_owned(c->conn, bytes);
}

void leat_http_conn_stream_end(leat_http_conn *c)
{
    finish_request(c, keeps_alive(c));
}

void leat_http_conn_stream_abort(leat_http_conn *c)
{
    c->task = (leat_http_task){0};
    leat_conn_close(c->conn);
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
    leat_http_conn *c = LEAT_LIST_ENTRY(d, leat_http_conn, deadline);
    if (leat_conn_queued(c->conn) == 0)
        resume(c);
    else
        arm(c, c->side->config->limits.slow_client_timeout_ms, on_stall_check);
}

static void on_drain(void *owner)
{
    leat_http_conn *c = owner;
    if (waits(c))
        resume(c);
}

static void on_stall_check(leat_deadline *d)
{
    leat_http_conn *c = LEAT_LIST_ENTRY(d, leat_http_conn, deadline);
    uint64_t limit_ms =
        leat_conn_progress_ms(c->conn) + c->side->config->limits.slow_client_timeout_ms;
    if (now_of(c) < limit_ms) {
        arm(c, limit_ms - now_of(c), on_stall_check);
        return;
    }
    leat_metrics_add(c->side->metrics, LEAT_M_SLOW_CLOSED, 1);
    LEAT_LOG_INFO("http", "slow client closed remote=%s", leat_conn_remote(c->conn));
    leat_conn_close(c->conn);
}
