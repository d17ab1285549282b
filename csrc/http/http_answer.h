/* http_answer.h - the answer to a request: whole, or as a refusal.
 *
 * Ownership  bytes are copied, or taken where said.
 * Threads    loop thread of the worker.
 * Units      milliseconds; bytes.
 * Errors     none.
 *
 * Each of these is the last act upon a request: the connection may go on to the next one, or end.
 */
#ifndef LEAT_HTTP_HTTP_ANSWER_H
#define LEAT_HTTP_HTTP_ANSWER_H

#include <stdint.h>

#include "http/http_conn.h"

/* Answers the request, as _write_response of wire/http.h words it. content_type and extra_headers
 * may be NULL. The body is left out for HEAD. */
void leat_http_answer(leat_http_conn *c, int status, const char *content_type,
                      const char *extra_headers, leat_slice body);

/* The same with {"code":…,"message":…} as the body; message and extra_headers may be absent. With
 * retry_after_ms > 0 there is a Retry-After header, too. */
void leat_http_answer_refusal(leat_http_conn *c, int status, const char *code, leat_slice message,
                              uint32_t retry_after_ms, const char *extra_headers);

/* Appends the head of a stream of events. */
void leat_http_answer_sse_head(leat_http_conn *c, leat_buf *out);

/* Tells an EventSource to come back: 200, the time to wait, an event `error`, the end. */
void leat_http_answer_refusal_sse(leat_http_conn *c, const char *code, leat_slice message,
                                  uint32_t retry_after_ms);

/* 404: nothing is here. */
void leat_http_answer_absent(leat_http_conn *c);

/* Sends the head of an answer whose body of that length follows in pieces
 * (leat_http_conn_send_piece). The request goes on until the body has ended. */
void leat_http_answer_head(leat_http_conn *c, int status, const char *content_type,
                           const char *extra_headers, size_t length);

#endif
