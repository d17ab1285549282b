/* pg_conn.h - one asynchronous connection to Postgres: connect, pipelined queries, cancel.
 *
 * Ownership  the connection belongs to its opener (the pool or the listener). Queries: pg_types.h.
 * Threads    loop thread only. Cancelling at the server and looking up host names block, so they
 *            run on threads of their own; the loop never waits for those.
 * Units      absolute milliseconds on the loop clock.
 * Errors     LEAT_EPG_SERVER (the result says what), LEAT_EPG_LOST, LEAT_EDEADLINE, LEAT_ECLOSED.
 *
 * Every query's callback runs exactly once, and never before the call that queued the query
 * returns. Queries run in the order given. Each has its own sync point, unless it leads on to the
 * next, so that an error in one does not touch the next (within a failed transaction block Postgres
 * refuses the next ones, which is an answer too). The text of a query is prepared on its first use;
 * at most max_statements are kept, and the least recently used one goes first.
 *
 * A query whose deadline passed gets LEAT_EDEADLINE at once. The server may still work on it:
 * leat_pg_conn_clean tells when the connection can be used again.
 */
#ifndef LEAT_PG_PG_CONN_H
#define LEAT_PG_PG_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/metrics.h"
#include "loop/loop.h"
#include "pg/pg_result.h"
#include "pg/pg_types.h"

/* Begins to connect. options are borrowed for the lifetime of the conn. */
LEAT_MUST_CHECK int leat_pg_conn_open(leat_pg_conn **out, leat_loop *loop, leat_metrics *metrics,
                                      const leat_pg_options *options, leat_pg_conn_cb cb,
                                      void *arg);
void leat_pg_conn_on_notify(leat_pg_conn *c, leat_pg_notify_cb cb, void *arg);

/* Queues a query. All queries of a turn are sent together at its end. q must be all zero before its
 * first use. Returns 0; or, and then cb will not run, LEAT_EPG_LOST if the connection is unusable,
 * LEAT_EBADMSG for a parameter with a zero byte, LEAT_ETOOLARGE for more than 65,535 parameters.
 * Every wait has a deadline: LEAT_DEADLINE_NEVER is asserted against. COPY is not supported: the
 * connection is lost then. */
LEAT_MUST_CHECK int leat_pg_conn_query(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                                       const leat_pg_param *params, int n_params,
                                       uint64_t deadline_ms, leat_pg_query_cb cb);

/* The same for a text that will not come again: it is not prepared, and takes no place among the
 * prepared statements. counted_as: the text under which its time is counted. */
LEAT_MUST_CHECK int leat_pg_conn_query_once(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                                            const char *counted_as, const leat_pg_param *params,
                                            int n_params, uint64_t deadline_ms,
                                            leat_pg_query_cb cb);

/* The query that was just queued leads on to the next one of this turn: if it fails, that one
 * fails, too, and gets LEAT_EPG_SERVER without a reason. They leave in one system call. */
void leat_pg_conn_lead_on(leat_pg_query *q);

/* The same for a query that is not prepared; its parameters have the given types. guarded: a
 * savepoint surrounds the query, so that the transaction goes on even if the query fails. */
LEAT_MUST_CHECK int leat_pg_conn_query_typed(leat_pg_conn *c, leat_pg_query *q, const char *sql,
                                             const leat_pg_param *params, const uint32_t *types,
                                             int n_params, bool guarded, uint64_t deadline_ms,
                                             leat_pg_query_cb cb);

/* Queues a statement whose result is dropped. */
void leat_pg_conn_send(leat_pg_conn *c, const char *sql);
/* The same, and it leads on to the next query of this turn: both are one transaction, unless one is
 * open. */
void leat_pg_conn_send_leading(leat_pg_conn *c, const char *sql);

/* What the last transaction that published reports of its positions (wire/written.h), "" if
 * nothing: complete once its COMMIT, or its only statement, has been answered. A rollback and a
 * failure drop it. Borrowed until the next answer. */
leat_slice leat_pg_conn_report(const leat_pg_conn *c);
void leat_pg_conn_drop_report(leat_pg_conn *c);
/* True if the session does not report by itself: behind a pooler it may be another one each time.
 * Then each transaction has to begin with LEAT_PG_REPORT_SQL. */
bool leat_pg_conn_must_ask_report(const leat_pg_conn *c);
#define LEAT_PG_REPORT_SQL "select pg_catalog.set_config('leat.report', 'on', true)"

/* The query's callback will not run. The server may still work on it. */
void leat_pg_conn_forget(leat_pg_query *q);
bool leat_pg_query_pending(const leat_pg_query *q);

/* No query pending or running, not in a transaction, not broken. */
bool leat_pg_conn_idle(const leat_pg_conn *c);
bool leat_pg_conn_broken(const leat_pg_conn *c);

/* Queues a COMMIT whose answer nobody awaits, and returns true, if the connection is fit for
 * another user once that is done: a transaction is open and has not failed, no query is pending or
 * running, nothing of the session is to be mended, and few statements are to be deallocated. */
bool leat_pg_conn_commit_unanswered(leat_pg_conn *c);

/* Makes the connection fit for another user: cancels the running query at the server (on a thread),
 * waits for its end, and rolls back an open transaction. cb gets 0, or an error if that did not
 * succeed by deadline_ms; the owner must close the connection then. All queries must have completed
 * or been forgotten. */
void leat_pg_conn_clean(leat_pg_conn *c, uint64_t deadline_ms,
                        void (*cb)(leat_pg_conn *c, int err, void *arg), void *arg);

/* Closes the connection without waiting for the server. Pending queries complete with LEAT_ECLOSED
 * from inside this call, forgotten ones do not. A query that runs at the server is cancelled there,
 * on a thread, as far as that succeeds. c is freed when libuv and that thread are done with it. */
void leat_pg_conn_close(leat_pg_conn *c);

/* For log lines: the connection's error in libpq's words, one line, without secrets; "" if none. */
const char *leat_pg_conn_error(const leat_pg_conn *c);
/* The process at the server, also behind a pooler. Valid once the connection is ready. */
int leat_pg_conn_backend_pid(const leat_pg_conn *c);

#endif
