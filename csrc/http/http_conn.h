/* http_conn.h - one connection that speaks HTTP: requests one at a time, in order, until it closes
 * or another protocol takes it over.
 *
 * Ownership  a connection frees itself at the end of the turn in which its socket closed or was
 *            detached.
 * Threads    loop thread of the worker.
 * Units      milliseconds; bytes.
 * Errors     a malformed, oversized or late request is answered here, and the connection closed.
 *
 * on_request is called once a request, when its head is whole; it answers now or later
 * (http_answer.h). What it starts, it registers with _set_task. If the peer goes away meanwhile, or
 * the body does not come as it should, the task is cancelled, and nothing of the connection may be
 * touched any more.
 *
 * The body of a request stays in the socket until the task asks for it (_read_body). An answer
 * without that ends the connection, unless the whole body is here already.
 */
#ifndef LEAT_HTTP_HTTP_CONN_H
#define LEAT_HTTP_HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "http/http_peer.h"
#include "http/http_side.h"
#include "http/http_task.h"
#include "net/conn.h"
#include "wire/http.h"

/* --- for the server --- */

/* Begins a connection, which reads its first request. */
leat_http_conn *leat_http_conn_new(leat_http_side *side, leat_conn *conn,
                                   const leat_http_peer *peer, leat_http_door door,
                                   void (*on_request)(leat_http_conn *c));
/* Bytes that were read from the socket before the connection got it; they may be a whole request,
 * which is answered. */
void leat_http_conn_feed(leat_http_conn *c, leat_slice bytes);
/* Sends the answer and closes, before anything was read. */
void leat_http_conn_turn_away(leat_http_conn *c, leat_slice answer, uint64_t linger_ms);
/* The connection of a link in side->conns. */
leat_http_conn *leat_http_conn_of(leat_list *link);
/* Closes it: at once, or when the answer that is being sent has left. */
void leat_http_conn_close(leat_http_conn *c);

/* --- for those who answer --- */

leat_http_side *leat_http_conn_side(leat_http_conn *c);
/* The request, until it is answered or the task cancelled. Its body is there from on_body on. */
const leat_http_request *leat_http_conn_request(leat_http_conn *c);
/* The client's address: the peer's, or the one that a trusted proxy names. */
const char *leat_http_conn_remote(leat_http_conn *c);
/* The address that the connection counts for; NULL: none, as with a Unix socket. */
leat_address_slot *leat_http_conn_address(leat_http_conn *c);
const leat_http_peer *leat_http_conn_peer(const leat_http_conn *c);
leat_http_door leat_http_conn_door(const leat_http_conn *c);

/* What is under way for the request. Answering clears it. */
void leat_http_conn_set_task(leat_http_conn *c, leat_http_task task);

/* Counts the connection as that of the client for whom a trusted proxy passes the request on.
 * Returns the verdict, which is counted and logged. */
leat_address_verdict leat_http_conn_identify(leat_http_conn *c);

/* The request's caller is known and let in: what the request holds counts as a caller's from now
 * on, no longer as a guest's. */
void leat_http_conn_let_in(leat_http_conn *c);

/* The answer may be read by pages of other origins, as far as allowed_origins lets them. */
void leat_http_conn_share(leat_http_conn *c);
bool leat_http_conn_is_shared(const leat_http_conn *c);

/* Reads the body of a request that has one (has_body). If the client waits for that (Expect:
 * 100-continue), it is told to go on. The task's on_body is called when the body is whole, not from
 * inside this call. A body that is too large, malformed or late is answered here: the task is
 * cancelled. */
void leat_http_conn_read_body(leat_http_conn *c);

/* Takes the socket over for another protocol. *rest gets the bytes that came behind the request's
 * head, owned. The request stays readable until the end of this turn. */
leat_conn *leat_http_conn_detach(leat_http_conn *c, leat_buf *rest);

/* --- for http_answer.c --- */

/* Drops a body that nobody asked for, if all of it is here. Before the answer's head is written. */
void leat_http_conn_drop_body(leat_http_conn *c);
/* True if the connection may take another request after this answer. */
bool leat_http_conn_keeps_alive(leat_http_conn *c);
/* Sends the whole answer, takes the buffer, and goes on to the next request or to the end. */
void leat_http_conn_end_request(leat_http_conn *c, leat_buf *answer, bool keep_alive);
/* Sends the head of an answer in pieces; takes the buffer. */
void leat_http_conn_begin_pieces(leat_http_conn *c, leat_buf *head);

/* --- a body in pieces, after leat_http_answer_head --- */

/* True if nothing waits to be sent, so that the next piece may be given. */
bool leat_http_conn_writable(leat_http_conn *c);
/* Calls the task's on_writable once that is so; not from inside this call. */
void leat_http_conn_await_writable(leat_http_conn *c);
/* True if the connections hold too much memory, so that pieces should be small. */
bool leat_http_conn_scarce(const leat_http_conn *c);
/* The task holds so many bytes for the next piece, until it is sent. */
void leat_http_conn_hold(leat_http_conn *c, size_t bytes);
void leat_http_conn_send_piece(leat_http_conn *c, leat_buf *bytes);
/* All pieces were sent. */
void leat_http_conn_end_pieces(leat_http_conn *c);
/* The promised length cannot be kept: closes the connection. */
void leat_http_conn_abort(leat_http_conn *c);

#endif
