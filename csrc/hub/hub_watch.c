/* hub_watch.c - asks the database now and then whether every change still reaches the log: triggers
 * can be disabled, or enabled in a way in which they do not always fire, while the server runs
 * (pg_restore --disable-triggers does it). leat_internal.problems() knows; what it says is logged
 * when it changes, and counted.
 *
 * on_look -> on_problems, and again after compare_interval_ms.
 */
#include "hub/hub_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { FIRST_LOOK_MS = 500, LOGGED_AT_ONCE = 10 };

static const char sql[] = "select p.severity, p.problem, p.remedy from leat_internal.problems() p"
                          " where p.severity operator(pg_catalog.<>) 'note'::pg_catalog.text";

static void on_look(leat_deadline *d);
static void on_problems(leat_pg_job *job, leat_pg_result *res, int err);

static void look_in(leat_hub *h, uint64_t ms)
{
    leat_loop_after(h->loop, &h->watch.next, ms, on_look);
}

void hub_watch_init(leat_hub *h)
{
    leat_deadline_init(&h->watch.next);
    leat_pg_job_init(&h->watch.job);
}

void hub_watch_start(leat_hub *h)
{
    look_in(h, FIRST_LOOK_MS);
}

void hub_watch_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->watch.next);
    leat_pg_job_cancel(&h->watch.job);
    leat_buf_close(&h->watch.known);
}

static void on_look(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, watch.next);
    uint64_t deadline_ms = leat_loop_now(h->loop) + h->options.limits->control_timeout_ms;
    if (h->phase != HUB_READY)
        look_in(h, FIRST_LOOK_MS);
    else
        leat_pg_job_start(&h->watch.job, h->pool, sql, NULL, 0, deadline_ms, on_problems);
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

/* Logged when there are others than before; a role may lack the right to ask. */
static void on_problems(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, watch.job);
    int n = err < 0 ? 0 : leat_pg_result_rows(res);
    leat_buf now = LEAT_BUF_INIT;
    for (int i = 0; i < n; i++)
        leat_buf_slice(&now, leat_pg_result_value(res, i, 1));
    bool news = !leat_slice_equal(leat_buf_view(&now), leat_buf_view(&h->watch.known));
    for (int i = 0; news && i < n && i < LOGGED_AT_ONCE; i++)
        log_problem(res, i);
    if (news && n == 0 && err == 0)
        LEAT_LOG_INFO("hub", "schema leat has no problems any more");
    if (err == 0) {
        leat_metrics_set(h->metrics, LEAT_M_SCHEMA_PROBLEMS, n);
        leat_buf_close(&h->watch.known);
        h->watch.known = now;
    }
    look_in(h, h->options.limits->compare_interval_ms);
}
