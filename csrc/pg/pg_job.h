/* pg_job.h - one query on a pooled connection: acquire, query, release.
 *
 * Ownership  a job is embedded in its owner, who must keep it valid until its callback or until
 *            leat_pg_job_cancel. The job copies the parameters and borrows the SQL text until
 *            then. The callback borrows the result.
 * Threads    the pool's loop thread.
 * Units      absolute milliseconds on the loop clock.
 * Errors     as the pool's and the connection's (LEAT_EBUSY, LEAT_EDEADLINE, LEAT_EPG_LOST,
 *            LEAT_EPG_SERVER, LEAT_EBADMSG, LEAT_ETOOLARGE, LEAT_ECLOSED), all to the callback.
 *
 * One deadline holds for waiting and for the query together. What needs several queries in one
 * transaction acquires its connection itself (pg_pool.h).
 */
#ifndef LEAT_PG_PG_JOB_H
#define LEAT_PG_PG_JOB_H

#include "pg/pg_pool.h"

typedef struct leat_pg_job leat_pg_job;

/* res is non-NULL if err is 0 or LEAT_EPG_SERVER. The connection was given back already, so the
 * callback may start the job anew, or free it. */
typedef void (*leat_pg_job_cb)(leat_pg_job *j, leat_pg_result *res, int err);

struct leat_pg_job {
    leat_pg_waiter waiter_; /* its bill is Leat's own (a control read of no client), unless
                               leat_pg_job_bill says otherwise */
    leat_pg_query query_;
    leat_pg_pool *pool_; /* non-NULL while the job runs */
    leat_pg_conn *conn_; /* leased, or NULL */
    bool had_conn_;      /* since it was started */
    const char *sql_;
    leat_pg_param *params_; /* with their bytes behind them, in one allocation */
    int n_params_;
    uint64_t deadline_ms_;
    leat_pg_job_cb cb_;
};

void leat_pg_job_init(leat_pg_job *j);
/* On whose account it runs; before it starts. */
void leat_pg_job_bill(leat_pg_job *j, leat_pg_bill bill);

/* Runs sql with the parameters. cb runs exactly once, and never from inside this call. */
void leat_pg_job_start(leat_pg_job *j, leat_pg_pool *pool, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_job_cb cb);

/* The callback will not run; a query that runs at the server is cancelled there. Harmless if the
 * job does not run. */
void leat_pg_job_cancel(leat_pg_job *j);
bool leat_pg_job_running(const leat_pg_job *j);

/* How long the job has waited for a connection; and whether it got one. */
uint64_t leat_pg_job_waited_ns(const leat_pg_job *j);
bool leat_pg_job_had_connection(const leat_pg_job *j);

/* Why a job failed, for log lines: the server's message, or the error's name. Borrowed as res. */
const char *leat_pg_job_reason(const leat_pg_result *res, int err);

#endif
