/* What a connection sends: whole answers, refusals, and bodies in pieces. */
#include "http/http_conn_private.h"

#include "wire/json.h"
#include "wire/sse.h"

void leat_http_conn_respond(leat_http_conn *c, int status, const char *content_type,
                            const char *extra_headers, leat_slice body)
{
    const leat_http_request *r = leat_http_conn_request(c);
    leat_http_conn_skip_body(c);
    /* After 426 the client may have gone on in the protocol that it wanted. */
    bool keep_alive = status != 426 && leat_http_conn_keeps_alive(c);
    leat_buf out = LEAT_BUF_INIT;
    leat_http_write_response(&out, status, content_type, extra_headers, body, keep_alive,
                             leat_slice_is(r->method, "HEAD"));
    leat_conn_send_owned(c->conn, &out);
    leat_http_conn_finish_request(c, keep_alive);
}

/* first: members that come before all others, with their comma. */
static void write_refusal(leat_buf *body, const char *first, const char *code, leat_slice message,
                          uint32_t retry_after_ms)
{
    leat_buf_printf(body, "{%s\"code\":\"%s\"", first, code);
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
    write_refusal(&body, "", code, message, retry_after_ms);
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

void leat_http_conn_refuse_sse(leat_http_conn *c, const char *code, leat_slice message,
                               uint32_t retry_after_ms)
{
    leat_buf out = LEAT_BUF_INIT;
    if (message.at == NULL)
        message = leat_slice_of("not now, try again");
    leat_sse_write_head(&out);
    leat_buf_printf(&out, "retry: %u\n", (unsigned)retry_after_ms);
    leat_sse_write_prefix(&out, "error", (leat_slice){NULL, 0}, 0);
    write_refusal(&out, "\"op\":\"error\",", code, message, retry_after_ms);
    leat_buf_text(&out, LEAT_SSE_END);
    leat_conn_send_owned(c->conn, &out);
    leat_http_conn_finish_request(c, false);
}

/* --- a body in pieces --- */

void leat_http_conn_stream_begin(leat_http_conn *c, int status, const char *content_type,
                                 const char *extra_headers, size_t length)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_http_conn_skip_body(c);
    /* A head alone, with the length that will follow. */
    leat_http_write_response(&out, status, content_type, extra_headers, (leat_slice){NULL, length},
                             leat_http_conn_keeps_alive(c), true);
    leat_conn_send_owned(c->conn, &out);
    leat_http_conn_set_state(c, HTTP_STREAMING);
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
    leat_http_conn_check_flush(c);
}

void leat_http_conn_stream_send(leat_http_conn *c, leat_buf *bytes)
{
    leat_conn_send_owned(c->conn, bytes);
    leat_http_conn_hold(c, 0);
}

void leat_http_conn_stream_end(leat_http_conn *c)
{
    leat_http_conn_finish_request(c, leat_http_conn_keeps_alive(c));
}

void leat_http_conn_stream_abort(leat_http_conn *c)
{
    c->task = (leat_http_task){0};
    leat_conn_close(c->conn);
}
