/* hub_watch.c - asks the database now and then whether every change still reaches the log: triggers
 * can be disabled, or enabled in a way in which they do not always fire, while the server runs
 * (pg_restore --disable-triggers does it). leat.problems() knows; what it says is logged when it
 * changes, and counted.
 *
 * on_look -> on_conn -> on_problems, and again after compare_interval_ms.
 */
#include "hub/hub_private.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { FIRST_LOOK_MS = 500, LOGGED_AT_ONCE = 10 };

static const char sql[] = "select p.severity, p.problem, p.remedy from leat.problems() p"
                          " where p.severity operator(pg_catalog.<>) 'note'::pg_catalog.text";

static void on_look(leat_deadline *d);
static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_problems(leat_pg_query *q, leat_pg_result *res, int err);

static void look_in(leat_hub *h, uint64_t ms)
{
    leat_loop_after(h->loop, &h->watch.next, ms, on_look);
}

void hub_watch_init(leat_hub *h)
{
    leat_deadline_init(&h->watch.next);
    leat_pg_waiter_init(&h->watch.waiter);
    h->watch.waiter.data = h;
    h->watch.query.data = h;
}

void hub_watch_start(leat_hub *h)
{
    look_in(h, FIRST_LOOK_MS);
}

void hub_watch_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->watch.next);
    leat_pg_waiter_cancel(&h->watch.waiter);
    if (h->watch.conn != NULL) {
        leat_pg_conn_forget(&h->watch.query);
        leat_pg_pool_release(h->pool, h->watch.conn);
    }
    h->watch.conn = NULL;
    leat_buf_close(&h->watch.known);
}

static uint64_t limit(const leat_hub *h)
{
    return leat_loop_now(h->loop) + h->options.limits->control_timeout_ms;
}

static void end_look(leat_hub *h)
{
    if (h->watch.conn != NULL)
        leat_pg_pool_release(h->pool, h->watch.conn);
    h->watch.conn = NULL;
    look_in(h, h->options.limits->compare_interval_ms);
}

static void on_look(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, watch.next);
    if (h->phase != HUB_READY)
        look_in(h, FIRST_LOOK_MS);
    else if (leat_pg_pool_acquire(h->pool, &h->watch.waiter, limit(h), on_conn) < 0)
        end_look(h);
}

static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_hub *h = w->data;
    h->watch.conn = err < 0 ? NULL : conn;
    if (err == 0)
        err = leat_pg_conn_query(conn, &h->watch.query, sql, NULL, 0, limit(h), on_problems);
    if (err < 0)
        end_look(h);
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
static void on_problems(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_hub *h = q->data;
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
    end_look(h);
}
