/* http_conn_private.h - what the files of one HTTP connection share: http_conn.c (its course) and
 * http_answer.c (what is sent).
 *
 * Ownership  as http_conn.h says.
 * Threads    loop thread of the worker.
 * Units      milliseconds; bytes.
 * Errors     none.
 */
#ifndef LEAT_HTTP_CONN_PRIVATE_H
#define LEAT_HTTP_CONN_PRIVATE_H

#include "http/http_conn.h"

enum leat_http_state {
    HTTP_READING,   /* between requests, or in the middle of a head */
    HTTP_BUSY,      /* the head is known, and somebody works on the answer */
    HTTP_BODY,      /* the task has asked for the body, which is being read */
    HTTP_STREAMING, /* the answer is being sent in pieces */
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
    size_t ahead;    /* bytes of the answer that the task holds */
    size_t counted;  /* bytes that stand in its pot */
    leat_http_peer peer;
    leat_http_door door;
    enum leat_http_state state;
    leat_http_pot pot;
    bool advancing;
    bool head_timed; /* the deadline is that of a request that has begun */
    bool awaiting;   /* the task wants on_writable */
    bool refused;    /* it is here only to be told 503 */
};

void leat_http_conn_set_state(leat_http_conn *c, enum leat_http_state next);

/* Drops a body that nobody asked for, if all of it has come. Before the answer's head is written.
 */
void leat_http_conn_skip_body(leat_http_conn *c);
/* True if the connection may take another request after this answer. */
bool leat_http_conn_keeps_alive(leat_http_conn *c);
/* The answer is queued: on to the next request, or to the end. */
void leat_http_conn_finish_request(leat_http_conn *c, bool keep_alive);
/* Looks, on the next turn, whether the queued answer has left. */
void leat_http_conn_check_flush(leat_http_conn *c);

#endif
