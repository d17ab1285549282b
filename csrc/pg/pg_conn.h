/* pg_conn.h - one asynchronous connection to Postgres: connect, pipelined queries, cancel.
 *
 * Ownership  the conn belongs to whoever opened it (the pool, the listener, the hub). A query is
 *            embedded in its owner and must stay valid until its callback, or until
 *            leat_pg_conn_forget.
 * Threads    loop thread only. Cancelling at the server and looking up host names block, and run on
 *            threads of their own; nothing ever waits for those.
 * Units      absolute milliseconds on the loop clock.
 * Errors     LEAT_EPG_SERVER (the result says what), LEAT_EPG_LOST, LEAT_EDEADLINE, LEAT_ECLOSED.
 *
 * Every query's callback runs exactly once and never before the call that queued it returned.
 * Queries run in the order given; each is its own sync point, so that an error in one leaves the
 * next alone (within a transaction block Postgres refuses them, which is an answer too). Text of a
 * query is prepared on first use and kept (at most max_statements, least recently used first out).
 *
 * A query whose deadline passed gets LEAT_EDEADLINE at once; the connection is then "dirty": the
 * query is still running at the server. leat_pg_conn_clean says when it is fit for use again.
 */
#ifndef LEAT_PG_PG_CONN_H
#define LEAT_PG_PG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/slice.h"
#include "loop/loop.h"
#include "pg/pg_result.h"

typedef struct leat_pg_conn leat_pg_conn;
typedef struct leat_pg_query leat_pg_query;

/* A parameter: text format, type inferred by the server. at == NULL is NULL. Needs no terminator
 * and may not hold a zero byte (LEAT_EBADMSG). Borrowed until the call returns. */
typedef leat_slice leat_pg_param;

/* res: borrowed, non-NULL if err is 0 or LEAT_EPG_SERVER, else NULL. */
typedef void (*leat_pg_query_cb)(leat_pg_query *q, leat_pg_result *res, int err);

struct leat_pg_query {
    leat_deadline deadline_;
    leat_pg_query_cb cb_;
    void *conn_; /* non-NULL while pending */
    void *slot_;
    uint64_t started_ns_;
    void *data; /* the owner's */
};

typedef struct leat_pg_options {
    const char
        *conninfo; /* URL or key=value, as libpq takes it; multi-host, TLS, passwords included */
    const char *application_name;
    size_t max_statements; /* prepared statements kept a connection; 0: nothing is prepared, which
                              a pooler in transaction mode may need */
    uint64_t connect_timeout_ms;
    size_t max_result_bytes; /* a larger result fails its query with LEAT_ETOOLARGE; 0: no limit */
} leat_pg_options;

/* err 0: ready for queries. Otherwise it failed or broke; the conn must be closed by its owner.
 * Called once on connect, and once more if the connection breaks later while no query is pending or
 * after the pending ones got LEAT_EPG_LOST. */
typedef void (*leat_pg_conn_cb)(leat_pg_conn *c, int err, void *arg);

/* A notification arrived. Strings are borrowed. sender_pid: the server process that sent it, which
 * Postgres itself tells and no client can choose. */
typedef void (*leat_pg_notify_cb)(leat_pg_conn *c, const char *channel, const char *payload,
                                  int sender_pid, void *arg);

/* Begins to connect. options are borrowed for the lifetime of the conn. */
LEAT_MUST_CHECK int leat_pg_conn_open(leat_pg_conn **out, leat_loop *loop, leat_metrics *metrics,
                                      const leat_pg_options *options, leat_pg_conn_cb cb,
                                      void *arg);
void leat_pg_conn_on_notify(leat_pg_conn *c, leat_pg_notify_cb cb, void *arg);

/* Queues a query, to be sent with all others of this turn at its end. q must be all zero before its
 * first use. Returns 0, LEAT_EPG_LOST if the connection is unusable, LEAT_EBADMSG for a parameter
 * with a zero byte, LEAT_ETOOLARGE for more than 65,535 of them: then cb will not run. A deadline
 * of LEAT_DEADLINE_NEVER is a bug (asserted): every wait has one. COPY is not supported and costs
 * the connection. */
LEAT_MUST_CHECK int leat_pg_conn_query(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                                       const leat_pg_param *params, int n_params,
                                       uint64_t deadline_ms, leat_pg_query_cb cb);

/* Likewise a query that is used once and not prepared, whose parameters have these types. guarded:
 * in a transaction; whatever becomes of the query, the transaction goes on as if it had not been
 * sent. */
LEAT_MUST_CHECK int leat_pg_conn_query_typed(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                                             const leat_pg_param *params, const uint32_t *types,
                                             int n_params, bool guarded, uint64_t deadline_ms,
                                             leat_pg_query_cb cb);

/* Queues a statement of whose result nobody is told. */
void leat_pg_conn_send(leat_pg_conn *c, const char *sql);

/* The owner of q is going away: its callback will not run. The server still works on it. */
void leat_pg_conn_forget(leat_pg_query *q);
bool leat_pg_query_pending(const leat_pg_query *q);

/* No query pending or running, not in a transaction, not broken. */
bool leat_pg_conn_idle(const leat_pg_conn *c);
bool leat_pg_conn_broken(const leat_pg_conn *c);

/* Asks the server to cancel what runs (worker thread), drops or waits out what is left, ends an
 * open transaction with ROLLBACK; then cb(0), or cb(error) if that did not succeed by deadline_ms:
 * close it then. Pending queries must have been forgotten or completed. */
void leat_pg_conn_clean(leat_pg_conn *c, uint64_t deadline_ms,
                        void (*cb)(leat_pg_conn *c, int err, void *arg), void *arg);

/* Pending queries complete with LEAT_ECLOSED from inside this call (forgotten ones do not); the
 * connection is closed without waiting for the server. If a query is running at the server, it is
 * cancelled there (best effort, worker thread). Frees c when libuv and the worker thread let go of
 * it. */
void leat_pg_conn_close(leat_pg_conn *c);

/* For log lines: a connection error as libpq words it, one line, without secrets; "" if none. */
const char *leat_pg_conn_error(const leat_pg_conn *c);
/* The process at the server, also behind a pooler. Once it is ready. */
int leat_pg_conn_backend_pid(const leat_pg_conn *c);

#endif
