/* http_conn_read.c - from bytes to requests.
 *
 * leat_http_conn_on_read gathers bytes in `input`; leat_http_conn_parse feeds them to the parser.
 * At the end of a head the request goes to on_request, which decides whether anybody wants its
 * body; a task that does asks for it (leat_http_conn_read_body) and gets on_body when it is whole.
 * What else arrives until the answer waits in `input`. Reading goes on until MAX_WAITING bytes
 * wait, so that a peer that goes away is noticed. What cannot be a request is answered here, and
 * the connection ends. */
#include "base/container_of.h"
#include "base/log.h"
#include "http/http_conn.h"
#include "http/http_conn_private.h"
#include "http/http_headers.h"

#define BODY_READ_BYTES 65536
/* Bytes that may wait behind a request that is being answered. */
#define MAX_WAITING 8192
#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

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
    leat_http_conn_cancel_task(c);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REJECTED, 1);
    LEAT_LOG_INFO("http", "rejected status=%d remote=%s", status, leat_conn_remote(c->conn));
    leat_buf body = LEAT_BUF_INIT;
    leat_buf lines = LEAT_BUF_INIT;
    leat_buf out = LEAT_BUF_INIT;
    leat_http_headers_write(&lines, c, status == 503 ? "Retry-After: 1\r\n" : NULL);
    leat_buf_printf(&body, "{\"code\":\"%s\",\"message\":\"%s\"}", code_of(status),
                    leat_http_reason(status));
    leat_http_write_response(&out, status, "application/json", lines.at, leat_buf_view(&body),
                             false, false);
    leat_buf_close(&lines);
    leat_buf_close(&body);
    leat_http_conn_bound_unsent(c);
    leat_conn_send_owned(c->conn, &out);
    leat_http_conn_finish(c);
}

/* Its pot is full, and it holds more than the little that every connection may. */
void leat_http_conn_shed(leat_http_conn *c)
{
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_SHED, 1);
    if (leat_http_conn_reads_head(c) || c->state == LEAT_HTTP_CONN_BUSY ||
        c->state == LEAT_HTTP_CONN_BODY)
        reject(c, 503);
    else
        leat_conn_close(c->conn); /* in the middle of an answer, another one cannot begin */
}

/* A request took too long to arrive. A connection that said nothing at all is closed without a
 * word. */
void leat_http_conn_on_request_late(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    if (leat_http_parser_started(c->parser))
        reject(c, 408);
    else
        leat_http_conn_finish(c);
}

/* --- reading --- */

static void take(leat_http_conn *c, leat_slice bytes)
{
    if (c->state == LEAT_HTTP_CONN_LEAVING)
        return; /* dropped, as from leat_conn_finish on */
    leat_buf_slice(&c->input, bytes);
    leat_http_conn_parse(c);
    if (leat_http_conn_ended(c))
        return;
    leat_http_conn_count(c);
    /* An answer that was queued in this turn has yet to leave: http_conn_send.c looks at it. */
    if (leat_http_side_full(c->side, c->pot, leat_http_conn_received(c)))
        leat_http_conn_shed(c);
    else if (c->input.len - c->input_at > MAX_WAITING)
        leat_conn_read_stop(c->conn);
}

void leat_http_conn_on_read(void *owner, char *bytes, size_t len)
{
    take(owner, (leat_slice){bytes, len});
}

void leat_http_conn_feed(leat_http_conn *c, leat_slice bytes)
{
    take(c, bytes);
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
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_BUSY);
    leat_deadline_cancel(&c->deadline);
    leat_metrics_add(c->side->metrics, LEAT_M_HTTP_REQUESTS, 1);
    c->on_request(c);
}

static void hand_over_body(leat_http_conn *c)
{
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_BUSY);
    leat_deadline_cancel(&c->deadline);
    leat_conn_set_read_size(c->conn, LEAT_HTTP_CONN_READ_BYTES);
    c->task.on_body(c->task.arg);
}

static bool takes_input(const leat_http_conn *c)
{
    return (leat_http_conn_reads_head(c) || c->state == LEAT_HTTP_CONN_BODY) &&
           c->input_at < c->input.len;
}

static void parse_step(leat_http_conn *c)
{
    leat_http_progress progress = LEAT_HTTP_MORE;
    int status = feed_parser(c, &progress);
    if (status != 0)
        reject(c, status);
    else if (leat_http_conn_reads_head(c) && progress != LEAT_HTTP_MORE)
        begin_request(c);
    else if (c->state == LEAT_HTTP_CONN_BODY && progress == LEAT_HTTP_WHOLE)
        hand_over_body(c);
}

/* Takes as many requests as are whole and can be answered at once. */
void leat_http_conn_parse(leat_http_conn *c)
{
    if (c->parsing)
        return;
    c->parsing = true;
    while (takes_input(c))
        parse_step(c);
    c->parsing = false;
    if (leat_http_conn_ended(c))
        return;
    drop_parsed(c);
    if (c->state == LEAT_HTTP_CONN_IDLE && leat_http_parser_started(c->parser)) {
        leat_http_conn_set_state(c, LEAT_HTTP_CONN_HEAD);
        leat_http_conn_arm(c, c->side->options->header_timeout_ms, leat_http_conn_on_request_late);
    }
}

/* --- the body --- */

static void on_body_turn(leat_deadline *d)
{
    leat_http_conn *c = LEAT_CONTAINER_OF(d, leat_http_conn, deadline);
    leat_http_conn_arm(c, c->side->options->header_timeout_ms, leat_http_conn_on_request_late);
    if (leat_http_conn_request(c)->expects_continue && c->input.len == 0)
        leat_conn_send_copy(c->conn, leat_slice_of(CONTINUE));
    leat_conn_set_read_size(c->conn, BODY_READ_BYTES);
    leat_conn_read_start(c->conn);
    leat_http_conn_parse(c);
}

void leat_http_conn_read_body(leat_http_conn *c)
{
    LEAT_ASSERT(c->state == LEAT_HTTP_CONN_BUSY && !leat_http_parser_whole(c->parser));
    leat_http_conn_set_state(c, LEAT_HTTP_CONN_BODY);
    leat_http_conn_arm(c, 0, on_body_turn);
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
