#include "fake_job.h"

#include <stdio.h>
#include <string.h>

#include "fake_pg_result.h"

fake_job running_job;

static const char *sqlstate_of_failure;

void leat_pg_job_init(leat_pg_job *j)
{
    memset(j, 0, sizeof(*j));
}

void leat_pg_job_start(leat_pg_job *j, leat_pg_pool *pool, const char *sql,
                       const leat_pg_param *params, int n_params, uint64_t deadline_ms,
                       leat_pg_job_cb cb)
{
    (void)pool, (void)sql;
    running_job.job = j;
    running_job.deadline_ms = deadline_ms;
    running_job.n_started++;
    j->cb_ = cb;
    for (int i = 0; i < n_params && i < FAKE_JOB_PARAMS; i++)
        snprintf(running_job.params[i], sizeof(running_job.params[i]), "%.*s", (int)params[i].len,
                 params[i].at == NULL ? "" : params[i].at);
}

void leat_pg_job_cancel(leat_pg_job *j)
{
    if (running_job.job == j)
        running_job.job = NULL;
}

void leat_pg_job_bill(leat_pg_job *j, leat_pg_bill bill)
{
    j->waiter_.bill = bill;
}

uint64_t leat_pg_job_waited_ns(const leat_pg_job *j)
{
    (void)j;
    return 5;
}

bool leat_pg_job_had_connection(const leat_pg_job *j)
{
    (void)j;
    return !running_job.unconnected;
}

const char *leat_pg_job_reason(const leat_pg_result *res, int err)
{
    (void)err;
    return res == NULL ? "lost" : "refused";
}

const char *leat_pg_result_sqlstate(const leat_pg_result *r)
{
    (void)r;
    return sqlstate_of_failure;
}

static leat_pg_job *end_job(void)
{
    leat_pg_job *j = running_job.job;
    running_job.job = NULL;
    return j;
}

void fake_job_answer(int rows, int columns, const char *const *values)
{
    leat_pg_job *j = end_job();
    j->cb_(j, &(leat_pg_result){.rows = rows, .columns = columns, .values = values}, 0);
}

void fake_job_fail(int err, const char *sqlstate)
{
    leat_pg_job *j = end_job();
    leat_pg_result refusal = {0};
    sqlstate_of_failure = sqlstate;
    j->cb_(j, err == LEAT_EPG_SERVER ? &refusal : NULL, err);
}
