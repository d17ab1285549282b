/* http_answer.c - what is sent: whole answers, refusals, and the heads of answers in pieces. */
#include "http/http_answer.h"

#include "http/http_headers.h"
#include "wire/json.h"
#include "wire/sse.h"

void leat_http_answer(leat_http_conn *c, int status, const char *content_type,
                      const char *extra_headers, leat_slice body)
{
    const leat_http_request *r = leat_http_conn_request(c);
    leat_http_conn_drop_body(c);
    /* After 426 the client may already speak the protocol that it wanted. */
    bool keep_alive = status != 426 && leat_http_conn_keeps_alive(c);
    leat_buf out = LEAT_BUF_INIT;
    leat_buf lines = LEAT_BUF_INIT;
    leat_http_headers_write(&lines, c, extra_headers);
    leat_http_write_response(&out, status, content_type, lines.at, body, keep_alive,
                             leat_slice_is(r->method, "HEAD"));
    leat_buf_close(&lines);
    leat_http_conn_end_request(c, &out, keep_alive);
}

/* first: members that come before the others, each with its comma. */
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

/* The operator's socket has no core: its users are no clients. */
static void count_error(leat_http_conn *c, const char *name)
{
    leat_code code;
    const leat_http_side *side = leat_http_conn_side(c);
    if (side->core != NULL && leat_code_parse(&code, name) == 0)
        leat_metrics_add_error(side->metrics, code);
}

void leat_http_answer_refusal(leat_http_conn *c, int status, const char *code, leat_slice message,
                              uint32_t retry_after_ms, const char *extra_headers)
{
    leat_buf body = LEAT_BUF_INIT;
    leat_buf headers = LEAT_BUF_INIT;
    count_error(c, code);
    write_refusal(&body, "", code, message, retry_after_ms);
    leat_buf_text(&headers, "Cache-Control: no-store\r\n");
    if (retry_after_ms > 0)
        leat_buf_printf(&headers, "Retry-After: %u\r\n",
                        (unsigned)((retry_after_ms + UINT64_C(999)) / 1000));
    if (extra_headers != NULL)
        leat_buf_text(&headers, extra_headers);
    leat_buf_char(&headers, '\0');
    leat_http_answer(c, status, "application/json", headers.at, leat_buf_view(&body));
    leat_buf_close(&headers);
    leat_buf_close(&body);
}

void leat_http_answer_sse_head(leat_http_conn *c, leat_buf *out)
{
    leat_buf lines = LEAT_BUF_INIT;
    leat_http_headers_write(&lines, c, NULL);
    leat_sse_write_head(out, leat_slice_of(lines.at));
    leat_buf_close(&lines);
}

void leat_http_answer_refusal_sse(leat_http_conn *c, const char *code, leat_slice message,
                                  uint32_t retry_after_ms)
{
    leat_buf out = LEAT_BUF_INIT;
    if (message.at == NULL)
        message = leat_slice_of("not now, try again");
    count_error(c, code);
    leat_http_answer_sse_head(c, &out);
    leat_buf_printf(&out, "retry: %u\n", (unsigned)retry_after_ms);
    leat_sse_write_prefix(&out, "error", (leat_slice){NULL, 0}, 0);
    write_refusal(&out, "\"op\":\"error\",", code, message, retry_after_ms);
    leat_buf_text(&out, LEAT_SSE_END);
    leat_http_conn_end_request(c, &out, false);
}

void leat_http_answer_absent(leat_http_conn *c)
{
    leat_http_answer_refusal(c, 404, "not_found", leat_slice_of("nothing is here"), 0, NULL);
}

void leat_http_answer_head(leat_http_conn *c, int status, const char *content_type,
                           const char *extra_headers, size_t length)
{
    leat_buf out = LEAT_BUF_INIT;
    leat_buf lines = LEAT_BUF_INIT;
    leat_http_conn_drop_body(c);
    leat_http_headers_write(&lines, c, extra_headers);
    leat_http_write_response(&out, status, content_type, lines.at, (leat_slice){NULL, length},
                             leat_http_conn_keeps_alive(c), true);
    leat_buf_close(&lines);
    leat_http_conn_begin_pieces(c, &out);
}
