/* hub_problems.c - triggers can be disabled while the server runs, or enabled in a way in which
 * they do not always fire (pg_restore --disable-triggers does it). leat_internal.problems() knows
 * of it. What it says is logged when it changes, and counted.
 *
 * The schema can become too new for this server while it runs, too: that is asked first.
 *
 * on_time -> on_schema -> on_problems, and again after compare_interval_ms.
 */
#include "hub/hub_problems.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "hub/hub_attend.h"
#include "hub/hub_schema.h"

enum { NOT_READY_MS = 500, LOGGED_AT_ONCE = 10 };

static const char sql[] = "select p.severity, p.problem, p.remedy from leat_internal.problems() p"
                          " where p.severity operator(pg_catalog.<>) 'note'::pg_catalog.text";

static void on_time(leat_deadline *d);
static void on_schema(leat_pg_job *job, leat_pg_result *res, int err);
static void on_problems(leat_pg_job *job, leat_pg_result *res, int err);

void hub_problems_init(leat_hub *h)
{
    leat_deadline_init(&h->problems.deadline);
    leat_pg_job_init(&h->problems.job);
}

static void ask_after(leat_hub *h, uint64_t ms)
{
    leat_loop_after(h->loop, &h->problems.deadline, ms, on_time);
}

void hub_problems_start(leat_hub *h)
{
    ask_after(h, NOT_READY_MS);
}

void hub_problems_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->problems.deadline);
    leat_pg_job_cancel(&h->problems.job);
    leat_buf_close(&h->problems.logged);
}

static void ask(leat_hub *h, const char *question, leat_pg_job_cb cb)
{
    uint64_t deadline_ms = leat_loop_now(h->loop) + h->limits->control_timeout_ms;
    leat_pg_job_start(&h->problems.job, h->pool, question, NULL, 0, deadline_ms, cb);
}

static void on_time(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, problems.deadline);
    if (h->phase == HUB_READY)
        ask(h, hub_schema_sql, on_schema);
    else
        ask_after(h, NOT_READY_MS);
}

/* If the schema is too new, hub_attend.c goes on asking. */
static void on_schema(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, problems.job);
    if (!hub_schema_take(h, res, err)) {
        ask(h, sql, on_problems);
        return;
    }
    hub_attend_unconfirmed(h);
    ask_after(h, NOT_READY_MS);
}

static void log_problem(const leat_pg_result *res, int row)
{
    char problem[400], remedy[300];
    leat_slice severity = leat_pg_result_value(res, row, 0);
    leat_slice text = leat_pg_result_value(res, row, 1);
    leat_slice help = leat_pg_result_value(res, row, 2);
    LEAT_LOG_WARN("hub", "schema leat has a problem severity=%.*s problem=%s remedy=%s",
                  (int)severity.len, severity.at,
                  leat_log_quote(problem, sizeof(problem), text.at, text.len),
                  leat_log_quote(remedy, sizeof(remedy), help.at, help.len));
}

static leat_buf texts_of(const leat_pg_result *res)
{
    leat_buf texts = LEAT_BUF_INIT;
    for (int i = 0; i < leat_pg_result_rows(res); i++)
        leat_buf_slice(&texts, leat_pg_result_value(res, i, 1));
    return texts;
}

static void log_all(const leat_pg_result *res)
{
    int n = leat_pg_result_rows(res);
    for (int i = 0; i < n && i < LOGGED_AT_ONCE; i++)
        log_problem(res, i);
    if (n == 0)
        LEAT_LOG_INFO("hub", "schema leat has no problems any more");
}

/* A failed query is no problem of the schema: the role may lack the right to ask. */
static void on_problems(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, problems.job);
    if (err == 0) {
        leat_buf texts = texts_of(res);
        if (!leat_slice_equal(leat_buf_view(&texts), leat_buf_view(&h->problems.logged)))
            log_all(res);
        leat_metrics_set(h->metrics, LEAT_M_SCHEMA_PROBLEMS, leat_pg_result_rows(res));
        leat_buf_close(&h->problems.logged);
        h->problems.logged = texts;
    }
    ask_after(h, h->limits->compare_interval_ms);
}
