/* pg_types.h - what a connection is given and what it tells: options, queries, callbacks.
 *
 * Ownership  a query is embedded in its owner and must stay valid until its callback, or until
 *            leat_pg_conn_forget (pg_conn.h).
 * Threads    loop thread only.
 * Units      absolute milliseconds on the loop clock; bytes.
 * Errors     LEAT_EPG_SERVER (the result says what), LEAT_EPG_LOST, LEAT_EDEADLINE,
 *            LEAT_ETOOLARGE, LEAT_ECLOSED.
 */
#ifndef LEAT_PG_PG_TYPES_H
#define LEAT_PG_PG_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/tally.h"
#include "loop/deadline.h"

typedef struct leat_pg_conn leat_pg_conn;
typedef struct leat_pg_query leat_pg_query;
typedef struct leat_pg_result leat_pg_result; /* pg_result.h */

/* A parameter: text format, type inferred by the server. at == NULL is NULL. Needs no terminator
 * and may not hold a zero byte (LEAT_EBADMSG). Borrowed until the call returns. */
typedef leat_slice leat_pg_param;

/* res is borrowed. It is non-NULL if err is 0 or LEAT_EPG_SERVER. */
typedef void (*leat_pg_query_cb)(leat_pg_query *q, leat_pg_result *res, int err);

struct leat_pg_query {
    leat_deadline deadline_;
    leat_pg_query_cb cb_;
    leat_pg_conn *conn_; /* non-NULL while pending */
    void *entry_;        /* of pg_pipeline.c */
    uint64_t started_ns_;
    leat_tally_entry *tally_; /* of its text; NULL: nobody counts */
    void *data;               /* the owner's */
};

typedef struct leat_pg_options {
    /* URL or key=value, as libpq takes it; multi-host, TLS, passwords included */
    const char *conninfo;
    const char *application_name;
    /* Prepared statements that a connection keeps. 0: nothing is prepared; a pooler in transaction
     * mode may need that. */
    size_t max_statements;
    uint64_t connect_timeout_ms;
    leat_tally *statements;  /* where queries are counted; NULL: nowhere. Outlives them */
    size_t max_result_bytes; /* a larger result fails its query with LEAT_ETOOLARGE; 0: no limit */
} leat_pg_options;

/* err 0: the connection is ready for queries. Otherwise connecting failed, or the connection broke,
 * and its owner must close it. Called once on connect. Called once more if the connection breaks
 * later; the pending queries got LEAT_EPG_LOST before. */
typedef void (*leat_pg_conn_cb)(leat_pg_conn *c, int err, void *arg);

/* A notification arrived. Strings are borrowed. sender_pid is the server process that sent it;
 * Postgres itself tells it, so no client can choose it. */
typedef void (*leat_pg_notify_cb)(leat_pg_conn *c, const char *channel, const char *payload,
                                  int sender_pid, void *arg);

#endif
