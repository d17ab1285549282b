/* http_conn.h - one connection that speaks HTTP: requests one at a time, in order, until it closes
 * or is handed on.
 *
 * Ownership  a connection frees itself at the end of the turn in which its socket closed or was
 *            detached.
 * Threads    loop thread of the worker.
 * Units      milliseconds; bytes.
 * Errors     a malformed, oversized or slow request is answered here, and the connection closed.
 *
 * leat_http_route (http_route.h) is called once a request, when its head is whole, and answers it
 * now or later. What it starts, it registers with _set_task; if the peer goes away meanwhile, or
 * the body does not come as it should, the task is cancelled and nothing of the connection may be
 * touched any more.
 *
 * The body of a request stays in the socket until somebody asks for it (_read_body). An answer
 * without that ends the connection, unless the whole body is here already.
 */
#ifndef LEAT_HTTP_CONN_H
#define LEAT_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "http/http_peer.h"
#include "http/http_side.h"
#include "net/conn.h"
#include "wire/http.h"

typedef struct leat_http_conn leat_http_conn;

typedef struct leat_http_task {
    void (*cancel)(void *arg); /* the peer is gone, or the server stops: free what is under way */
    void (*on_writable)(void *arg); /* asked for with _await_writable; may be NULL */
    void (*on_body)(void *arg);     /* asked for with _read_body; may be NULL */
    void *arg;
} leat_http_task;

leat_http_side *leat_http_conn_side(leat_http_conn *c);
/* The request, until it is answered or the task cancelled; its body lives as long, here in C, once
 * on_body was called. */
const leat_http_request *leat_http_conn_request(leat_http_conn *c);
/* The client's address: the peer's, or the one that a trusted proxy names. */
const char *leat_http_conn_remote(leat_http_conn *c);
const leat_http_peer *leat_http_conn_peer(const leat_http_conn *c);
leat_http_door leat_http_conn_door(const leat_http_conn *c);

/* What is under way for the request; cleared by answering. */
void leat_http_conn_set_task(leat_http_conn *c, leat_http_task task);

/* The request's caller is known, and let in: what the request holds no longer counts as a guest's.
 */
void leat_http_conn_let_in(leat_http_conn *c);

/* Reads the body of a request that has one (has_body), telling the client to go on with it if it
 * waits for that (Expect: 100-continue). The task's on_body is called when it is whole, not from
 * inside this call. A body that is too large, malformed or late is answered here: the task is
 * cancelled. */
void leat_http_conn_read_body(leat_http_conn *c);

/* Answers the request, as _write_response of wire/http.h words it. content_type and extra_headers
 * may be NULL. A body is left out for HEAD. These are the last acts upon the request. */
void leat_http_conn_respond(leat_http_conn *c, int status, const char *content_type,
                            const char *extra_headers, leat_slice body);
/* The same with {"code":…,"message":…} as the body; message and extra_headers may be absent. With
 * retry_after_ms > 0 there is a Retry-After header, too. */
void leat_http_conn_refuse(leat_http_conn *c, int status, const char *code, leat_slice message,
                           uint32_t retry_after_ms, const char *extra_headers);

/* Tells an EventSource to come back: 200, the time to wait, an event `error`, the end. */
void leat_http_conn_refuse_sse(leat_http_conn *c, const char *code, leat_slice message,
                               uint32_t retry_after_ms);

/* A body in pieces: the head (with a length that stands), then bytes, then the end. */
void leat_http_conn_stream_begin(leat_http_conn *c, int status, const char *content_type,
                                 const char *extra_headers, size_t length);
/* True if nothing waits to be sent, so that the next piece may be given. */
bool leat_http_conn_writable(leat_http_conn *c);
/* Calls the task's on_writable once that is so; not from inside this call. */
void leat_http_conn_await_writable(leat_http_conn *c);
/* True if memory is scarce, so that pieces should be small. */
bool leat_http_conn_scarce(const leat_http_conn *c);
/* The task holds so many bytes for the next piece, until it is sent. */
void leat_http_conn_hold(leat_http_conn *c, size_t bytes);
void leat_http_conn_stream_send(leat_http_conn *c, leat_buf *bytes);
void leat_http_conn_stream_end(leat_http_conn *c);
/* The promised length cannot be kept: closes the connection. */
void leat_http_conn_stream_abort(leat_http_conn *c);

/* For the side. A new connection, which reads its first request. */
leat_http_conn *leat_http_conn_new(leat_http_side *side, leat_conn *conn,
                                   const leat_http_peer *peer, leat_http_door door);
/* Sends that and closes, before anything was read. */
void leat_http_conn_turn_away(leat_http_conn *c, leat_slice answer, uint64_t linger_ms);
/* The connection whose link on the side's list that is. */
leat_http_conn *leat_http_conn_of(leat_list *link);
/* Closes it, at once but for an answer that is on its way out. */
void leat_http_conn_end(leat_http_conn *c);

/* Takes the socket over for another protocol. *rest gets the bytes that came after the request's
 * head, owned. The request stays readable until the end of this turn. */
leat_conn *leat_http_conn_detach(leat_http_conn *c, leat_buf *rest);

#endif
