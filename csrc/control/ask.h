/* ask.h - one request on the operator's socket or at the console, and the questions that there are.
 *
 * Ownership  an ask belongs to its HTTP connection's task, and frees itself when it is answered or
 *            cancelled.
 * Threads    the loop of the control socket.
 * Units      milliseconds; bytes.
 * Errors     answered as JSON: {"code":…,"message":…}.
 */
#ifndef LEAT_CONTROL_ASK_H
#define LEAT_CONTROL_ASK_H

#include "control/look.h"
#include "control/recent.h"
#include "control/samples.h"
#include "http/http_conn.h"

typedef struct leat_ask leat_ask;

/* Sets the orders of a leat_ask_kind: their names, and what is said of any other one. */
#define LEAT_ASK_ORDERS(names) .orders = (names), .order_problem = "by: expected one of " names

/* A question by its name. */
typedef struct leat_ask_kind {
    const char *method; /* "GET" or "POST" */
    const char *name;   /* the path without its slash */
    const char *orders; /* names of the values of ?by=, separated by blanks, as in the enum; NULL:
                           it has none (LEAT_ASK_ORDERS) */
    const char *order_problem; /* what is said of another one */
    bool needs_name;           /* ?name= is required */
    bool needs_client;         /* ?client=WORKER-NUMBER is required; only that worker is asked */
    bool needs_body;           /* JSON, which becomes asked.data */
    const leat_question *question; /* NULL: nothing is asked of the workers */
    int only;                      /* the worker that is asked, or LEAT_LOOK_ALL */
    /* The workers have answered. Returns false if it has begun another look, which is answered in
     * its turn. NULL: the answer is written at once. */
    bool (*go_on)(leat_ask *ask);
    /* Appends the members of the answer, each with a comma before it. Returns the status. */
    int (*write)(leat_ask *ask, leat_buf *json);
    /* Logs that it was asked for, if it was asked of a worker: the client has left before its
     * answer, and nobody learns whether it was done. NULL: the question does nothing. */
    void (*log_asked)(const leat_ask *ask);
} leat_ask_kind;

/* What questions are about. */
typedef struct leat_inside {
    leat_engine *engine;
    const leat_config *config;
    leat_lookout *lookout;
    leat_recent *recent;
    const leat_samples *samples; /* NULL: none are kept, as there is no console */
    uint64_t began_ns;
} leat_inside;

struct leat_ask {
    leat_look look; /* first */
    const leat_inside *inside;
    leat_http_conn *conn;
    const char *door; /* "socket" or "console": by which it came, for the log */
    char *by;         /* who asks, for the log */
    const leat_ask_kind *kind;
    leat_asked asked;
    leat_topic_rows names; /* topics: those of the first look */
    size_t total;
    int step;
    int only; /* the worker that is asked, or LEAT_LOOK_ALL */
};

/* Answers the request, now or later. inside and door (a word for the log) are borrowed until then.
 * path: "/NAME" of the question. */
void leat_ask_begin(const leat_inside *inside, leat_http_conn *conn, leat_slice path,
                    const char *door);

/* Appends ,"error":"TEXT" for each worker that could not answer its question. */
void leat_ask_write_failures(const leat_ask *ask, leat_buf *json);

extern const leat_ask_kind leat_ask_topics, leat_ask_topic;
extern const leat_ask_kind leat_ask_clients, leat_ask_client;
extern const leat_ask_kind leat_ask_summary, leat_ask_ready, leat_ask_pool, leat_ask_config,
    leat_ask_script;
extern const leat_ask_kind leat_ask_history;
extern const leat_ask_kind leat_ask_log, leat_ask_log_level;
extern const leat_ask_kind leat_ask_handlers, leat_ask_patterns, leat_ask_statements;
extern const leat_ask_kind leat_ask_watches, leat_ask_postgres;
extern const leat_ask_kind leat_ask_publish, leat_ask_resync, leat_ask_reload, leat_ask_disconnect;

#endif
