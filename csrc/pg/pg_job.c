/* pg_job.c - leat_pg_job_start -> on_acquired -> on_answer -> the callback. finish and
 * leat_pg_job_cancel are the two ways out; both give the connection back.
 */
#include "pg/pg_job.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void leat_pg_job_init(leat_pg_job *j)
{
    *j = (leat_pg_job){.pool_ = NULL};
    leat_pg_waiter_init(&j->waiter_);
}

void leat_pg_job_bill(leat_pg_job *j, leat_pg_bill bill)
{
    j->waiter_.bill = bill;
}

static leat_pg_param *copy_params(const leat_pg_param *params, int n_params)
{
    size_t bytes = 0;
    for (int i = 0; i < n_params; i++)
        bytes += params[i].len;
    leat_pg_param *copies = leat_calloc(1, (size_t)n_params * sizeof(*copies) + bytes + 1);
    char *at = (char *)&copies[n_params];
    for (int i = 0; i < n_params; i++) {
        if (params[i].at == NULL)
            continue;
        copies[i] = (leat_pg_param){at, params[i].len};
        memcpy(at, params[i].at, params[i].len);
        at += params[i].len;
    }
    return copies;
}

/* Gives back all that the job holds. The result stays valid until the callback returns. */
static void end(leat_pg_job *j)
{
    leat_pg_pool *pool = j->pool_;
    leat_pg_conn *conn = j->conn_;
    leat_pg_waiter_cancel(&j->waiter_);
    leat_pg_conn_forget(&j->query_);
    free(j->params_);
    j->params_ = NULL;
    j->pool_ = NULL;
    j->conn_ = NULL;
    if (conn != NULL)
        leat_pg_pool_release(pool, conn);
}

static void finish(leat_pg_job *j, leat_pg_result *res, int err)
{
    end(j);
    j->cb_(j, res, err);
}

static void on_answer(leat_pg_query *q, leat_pg_result *res, int err)
{
    finish(LEAT_CONTAINER_OF(q, leat_pg_job, query_), res, err);
}

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_pg_job *j = LEAT_CONTAINER_OF(w, leat_pg_job, waiter_);
    j->conn_ = conn;
    j->had_conn_ = conn != NULL;
    if (err == 0)
        err = leat_pg_conn_query(conn, &j->query_, j->sql_, j->params_, j->n_params_,
                                 j->deadline_ms_, on_answer);
    if (err < 0)
        finish(j, NULL, err);
}

void leat_pg_job_start(leat_pg_job *j, leat_pg_pool *pool, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_job_cb cb)
{
    LEAT_ASSERT(j->pool_ == NULL);
    j->pool_ = pool;
    j->sql_ = sql;
    j->params_ = copy_params(params, n_params);
    j->n_params_ = n_params;
    j->deadline_ms_ = deadline_ms;
    j->cb_ = cb;
    j->had_conn_ = false;
    leat_pg_pool_acquire(pool, &j->waiter_, deadline_ms, on_acquired);
}

void leat_pg_job_cancel(leat_pg_job *j)
{
    if (j->pool_ != NULL)
        end(j);
}

bool leat_pg_job_running(const leat_pg_job *j)
{
    return j->pool_ != NULL;
}

uint64_t leat_pg_job_waited_ns(const leat_pg_job *j)
{
    return j->waiter_.waited_ns;
}

bool leat_pg_job_had_connection(const leat_pg_job *j)
{
    return j->had_conn_;
}

const char *leat_pg_job_reason(const leat_pg_result *res, int err)
{
    if (err == LEAT_EPG_SERVER)
        return leat_pg_result_message(res);
    if (err == LEAT_EDEADLINE)
        return "no answer in time: Postgres is slow, or a lock is held";
    return leat_err_name(err) == NULL ? "io" : leat_err_name(err);
}
