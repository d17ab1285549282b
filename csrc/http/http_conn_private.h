/* http_conn_private.h - the inside of a connection. Its files are http_conn.c (states, the end),
 * http_conn_hold.c (what it holds), http_conn_read.c (requests) and http_conn_send.c (answers).
 *
 * Ownership  see http_conn.h.
 * Threads    loop thread of the worker.
 * Units      milliseconds; bytes.
 * Errors     see http_conn.h.
 */
#ifndef LEAT_HTTP_HTTP_CONN_PRIVATE_H
#define LEAT_HTTP_HTTP_CONN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/http_peer.h"
#include "http/http_side.h"
#include "http/http_task.h"
#include "loop/loop.h"
#include "net/conn.h"
#include "wire/http.h"

/* One read: a head fits, and many bytes that nobody asked for do not. */
#define LEAT_HTTP_CONN_READ_BYTES 4096

typedef enum leat_http_conn_state {
    LEAT_HTTP_CONN_IDLE,      /* between requests; the deadline is that of an idle connection */
    LEAT_HTTP_CONN_HEAD,      /* in the middle of a head; the deadline is the head's */
    LEAT_HTTP_CONN_BUSY,      /* the head is known, and the answer is being made */
    LEAT_HTTP_CONN_BODY,      /* the task has asked for the body, which is being read */
    LEAT_HTTP_CONN_PIECES,    /* the answer is being sent in pieces */
    LEAT_HTTP_CONN_UNSENT,    /* the task waits for the last piece to leave */
    LEAT_HTTP_CONN_FLUSHING,  /* answered, but the answer has not left */
    LEAT_HTTP_CONN_LEAVING,   /* likewise, and it was the last answer */
    LEAT_HTTP_CONN_FINISHING, /* the last answer has left, or what is left of it is little */
    LEAT_HTTP_CONN_GONE,      /* closed or detached: freed at the end of the turn */
} leat_http_conn_state;

typedef enum leat_http_conn_standing {
    LEAT_HTTP_CONN_AWAITED,     /* the answer to its first request has not begun */
    LEAT_HTTP_CONN_ANSWERED,    /* it has, or there is none */
    LEAT_HTTP_CONN_TURNED_AWAY, /* it is here only to be told 503 */
} leat_http_conn_standing;

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
    leat_http_conn_state state;
    leat_http_conn_standing standing;
    leat_http_pot pot;
    bool parsing; /* leat_http_conn_parse is on the stack */
    bool bounded; /* leat_http_conn_bound_unsent was called */
    bool shared;  /* the answer under way may be read by pages of other origins */
};

/* --- http_conn.c --- */

uint64_t leat_http_conn_now(const leat_http_conn *c);
/* Calls cb when the time has passed. A connection waits for one thing at a time. */
void leat_http_conn_arm(leat_http_conn *c, uint64_t in_ms, leat_deadline_cb cb);
/* True between two requests, and in the middle of a head. */
bool leat_http_conn_reads_head(const leat_http_conn *c);
/* True if it has begun to end in order, or has ended. */
bool leat_http_conn_ended(const leat_http_conn *c);
void leat_http_conn_set_state(leat_http_conn *c, leat_http_conn_state next);
/* Tells the server, if it drains, that no request is under way any more. */
void leat_http_conn_tell_quiet(leat_http_side *side);
void leat_http_conn_cancel_task(leat_http_conn *c);
/* Ends the connection in order, within close_timeout_ms. */
void leat_http_conn_finish(leat_http_conn *c);

/* --- http_conn_hold.c --- */

/* Bytes that the peer has sent, and that are still held. */
size_t leat_http_conn_received(const leat_http_conn *c);
enum { LEAT_HTTP_CONN_LITTLE_UNSENT = 4096 };
/* Counts anew what the connection holds. What is that little of an answer is not counted: it
 * usually leaves at the end of the turn. */
void leat_http_conn_count(leat_http_conn *c);
void leat_http_conn_change_pot(leat_http_conn *c, leat_http_pot pot);
bool leat_http_conn_over_budget(const leat_http_conn *c);

/* --- http_conn_read.c --- */

void leat_http_conn_on_read(void *owner, char *bytes, size_t len);
/* The deadline of a request that is awaited, or arrives. */
void leat_http_conn_on_request_late(leat_deadline *d);
/* Takes as many requests as are whole and can be answered at once. */
void leat_http_conn_parse(leat_http_conn *c);
/* Its pot is full, and it holds more than the little that every connection may: it ends. */
void leat_http_conn_shed(leat_http_conn *c);

/* --- http_conn_send.c --- */

/* Called before the first answer. From then on the kernel holds little of what it has not yet sent:
 * a peer may not cost much memory before it is known. Not called for an upgrade, whose answer is
 * short: that saves a system call. */
void leat_http_conn_bound_unsent(leat_http_conn *c);
void leat_http_conn_on_drain(void *owner);

#endif
