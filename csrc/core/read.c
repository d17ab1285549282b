/* read.c - an attempt: begin() -> on_conn -> BEGIN and position are queued, and in the same write
 * the refresh's first query -> on_position, on_refreshed -> the snapshot -> on_composed -> done.
 *
 * The refresh starts before the position has come back: answers come in the order of the questions,
 * so whatever the refresh reads, it reads after the position and in its transaction. A failed
 * position spoils the attempt whatever the refresh says.
 *
 * fail_attempt gives the connection back and, if there is time, tries again; the fallback to the
 * row in hand is such another attempt, without the refresh. Only a failure that may pass is worth
 * another attempt: a mistake in the script's SQL is answered at once.
 */
#include "core/read.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "outbox/history.h"

enum { BACKOFF_MIN_MS = 25, BACKOFF_MAX_MS = 1000, RETRY_AFTER_MS = 1000 };

struct leat_read {
    leat_core *core;
    leat_grant *grant;
    char *topic;
    bool fresh_only;
    uint64_t deadline_ms;
    leat_read_cb cb; /* NULL once called: only the commit goes on */
    void *arg;

    bool stale; /* the refresh was given up */
    unsigned attempts;
    leat_failure last_failure; /* of the attempts so far; without a message */
    leat_pg_waiter waiter;
    leat_pg_conn *conn; /* leased, or NULL */
    leat_pg_query begin;
    leat_pg_query position;
    leat_pg_query commit;
    leat_call call; /* the refresh or the snapshot */
    leat_deadline backoff;
    leat_position at; /* no epoch until it is in; a reference */
    bool composed;    /* the snapshot was made before the position came in... */
    leat_buf json;    /* ...and waits here */
};

static void begin(leat_read *r);
static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_begun(leat_pg_query *q, leat_pg_result *res, int err);
static void on_position(leat_pg_query *q, leat_pg_result *res, int err);
static void on_refreshed(leat_call *call, const leat_verdict *v);
static void on_composed(leat_call *call, const leat_verdict *v);
static void on_committed(leat_pg_query *q, leat_pg_result *res, int err);
static void on_backoff(leat_deadline *d);
static void compose(leat_read *r);
static void deliver(leat_read *r, leat_slice json);

leat_read *leat_read_start(leat_core *core, leat_slice topic, leat_grant *grant, bool fresh_only,
                           uint64_t deadline_ms, leat_read_cb cb, void *arg)
{
    leat_read *r = leat_calloc(1, sizeof(*r));
    r->core = core;
    r->grant = grant;
    r->topic = leat_memdup(topic.at, topic.len);
    r->fresh_only = fresh_only;
    r->deadline_ms = deadline_ms;
    r->cb = cb;
    r->arg = arg;
    r->last_failure.code = LEAT_CODE_DEADLINE_EXCEEDED;
    leat_pg_waiter_init(&r->waiter);
    leat_deadline_init(&r->backoff);
    r->waiter.data = r->begin.data = r->position.data = r->commit.data = r->call.data = r;
    begin(r);
    return r;
}

static void forget_position(leat_read *r)
{
    leat_epoch_unref(r->at.epoch);
    r->at.epoch = NULL;
}

static void free_read(leat_read *r)
{
    leat_buf_close(&r->json);
    free(r->topic);
    free(r);
}

/* Stops whatever runs and gives the connection back, in whatever state it is. */
static void abandon_attempt(leat_read *r)
{
    r->core->script->ops->cancel(&r->call);
    leat_pg_waiter_cancel(&r->waiter);
    leat_deadline_cancel(&r->backoff);
    if (r->conn != NULL) {
        leat_pg_conn_forget(&r->begin);
        leat_pg_conn_forget(&r->position);
        leat_pg_conn_forget(&r->commit);
        leat_pg_pool_release(r->core->pool, r->conn);
        r->conn = NULL;
    }
    forget_position(r);
    r->composed = false;
    leat_buf_close(&r->json);
}

void leat_read_cancel(leat_read *r)
{
    abandon_attempt(r);
    free_read(r);
}

/* Answers without a snapshot. */
static void refuse(leat_read *r, leat_failure failure, bool read_failed)
{
    leat_read_outcome outcome = {.failure = failure, .read_failed = read_failed};
    if (failure.code == LEAT_CODE_UNAVAILABLE && failure.retry_after_ms == 0)
        outcome.failure.retry_after_ms = RETRY_AFTER_MS;
    abandon_attempt(r);
    r->cb(r, &outcome, r->arg);
    free_read(r);
}

static void fail_attempt(leat_read *r, leat_code code, uint32_t retry_after_ms)
{
    uint64_t now = leat_loop_now(r->core->loop);
    r->last_failure = (leat_failure){.code = code, .retry_after_ms = retry_after_ms};
    abandon_attempt(r);
    uint64_t again = now + leat_backoff_ms(BACKOFF_MIN_MS, BACKOFF_MAX_MS, ++r->attempts,
                                           leat_loop_random(r->core->loop));
    bool over = code != LEAT_CODE_UNAVAILABLE || now >= r->deadline_ms || r->fresh_only;
    if (over) {
        /* A read for a fresh row replaces a state that the client keeps meanwhile. */
        bool may_pass = leat_code_is_passing(code) || r->fresh_only;
        refuse(r, r->last_failure, may_pass);
        return;
    }
    leat_loop_at(r->core->loop, &r->backoff, again < r->deadline_ms ? again : r->deadline_ms,
                 on_backoff);
}

static void on_backoff(leat_deadline *d)
{
    leat_read *r = LEAT_CONTAINER_OF(d, leat_read, backoff);
    if (leat_loop_now(r->core->loop) >= r->deadline_ms)
        refuse(r, r->last_failure, true);
    else
        begin(r);
}

static void begin(leat_read *r)
{
    r->waiter.bill = leat_session_bill(r->grant->session, LEAT_PG_CONTROL);
    leat_pg_pool_acquire(r->core->pool, &r->waiter, r->deadline_ms, on_conn);
}

/* Of what Leat itself asks: should a right be missing, an operator can mend it while clients wait.
 */
static leat_code code_of(int err)
{
    return err == LEAT_EDEADLINE ? LEAT_CODE_DEADLINE_EXCEEDED : LEAT_CODE_UNAVAILABLE;
}

static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_read *r = w->data;
    if (err < 0) {
        refuse(r, (leat_failure){.code = code_of(err)}, true);
        return;
    }
    r->conn = conn;
    leat_pg_param topic = leat_slice_of(r->topic);
    err = leat_pg_conn_query(conn, &r->begin, "begin isolation level repeatable read read only",
                             NULL, 0, r->deadline_ms, on_begun);
    if (err == 0)
        err = leat_pg_conn_query(conn, &r->position,
                                 "select epoch, seq, revoked, " LEAT_HISTORY_HIDDEN_SQL
                                 " from leat_internal.position($1)",
                                 &topic, 1, r->deadline_ms, on_position);
    if (err < 0) {
        fail_attempt(r, LEAT_CODE_UNAVAILABLE, 0);
        return;
    }
    if (!r->grant->has_refresh || r->stale) {
        compose(r);
        return;
    }
    uint64_t now = leat_loop_now(r->core->loop);
    uint64_t half = now < r->deadline_ms ? now + (r->deadline_ms - now) / 2 : r->deadline_ms;
    r->call.cb = on_refreshed;
    r->core->script->ops->refresh(r->core->script, &r->call, r->grant, conn, half);
}

static void on_begun(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_read *r = q->data;
    (void)res;
    if (err < 0)
        fail_attempt(r, code_of(err), 0);
}

static void on_position(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_read *r = q->data;
    if (err == 0 && leat_pg_result_rows(res) != 1)
        err = LEAT_EMISSING;
    if (err == 0 && leat_slice_is(leat_pg_result_value(res, 0, 3), "t"))
        err = LEAT_EHIDDEN;
    if (err < 0) {
        const char *sqlstate = res == NULL ? "" : leat_pg_result_sqlstate(res);
        LEAT_LOG_WARN("read", "position not read sqlstate=%s err=%s", sqlstate, leat_err_name(err));
        leat_history_count_failure(r->core->metrics, err, sqlstate);
        leat_hub_link_read_refused(r->core->link, sqlstate);
        fail_attempt(r, code_of(err), 0);
        return;
    }
    r->at = (leat_position){
        .epoch = leat_epoch_of(&r->core->epochs, leat_pg_result_value(res, 0, 0)),
        .seq = strtoll(leat_pg_result_value(res, 0, 1).at, NULL, 10),
        .revoked = strtoll(leat_pg_result_value(res, 0, 2).at, NULL, 10),
    };
    if (r->composed)
        deliver(r, leat_buf_view(&r->json));
}

/* The refresh could not read: go on with the row in hand, in a transaction of its own. */
static void fall_back(leat_read *r, const leat_verdict *v)
{
    char topic[160];
    LEAT_LOG_WARN("read", "refresh failed, row as authorised topic=%s code=%s",
                  leat_log_quote(topic, sizeof(topic), r->topic, leat_slice_of(r->topic).len),
                  leat_code_name(v->code));
    abandon_attempt(r);
    r->stale = true;
    begin(r);
}

static void on_refreshed(leat_call *call, const leat_verdict *v)
{
    leat_read *r = call->data;
    bool failed = v->read_failed || v->code == LEAT_CODE_DEADLINE_EXCEEDED;
    if (v->code == LEAT_CODE_OK) {
        compose(r);
    } else if (failed && r->fresh_only) {
        fail_attempt(r, v->code, v->retry_after_ms);
    } else if (failed) {
        fall_back(r, v);
    } else {
        refuse(r, leat_verdict_failure(v), false);
    }
}

static void compose(leat_read *r)
{
    leat_metrics_add(r->core->metrics, LEAT_M_SNAPSHOT_READS, 1);
    r->call.cb = on_composed;
    r->core->script->ops->snapshot(r->core->script, &r->call, r->grant, r->conn, r->deadline_ms);
}

/* The answer first, then the commit behind its back: nobody waits for it. */
static void deliver(leat_read *r, leat_slice json)
{
    leat_read_outcome outcome = {
        .failure.code = LEAT_CODE_OK,
        .position = r->at,
        .stale = r->stale,
        .json = json,
    };
    leat_core *core = r->core;
    uint64_t limit = leat_loop_now(core->loop) + core->limits->control_timeout_ms;
    int err = leat_pg_conn_query(r->conn, &r->commit, "commit", NULL, 0, limit, on_committed);
    if (err < 0) {
        leat_pg_pool_release(core->pool, r->conn);
        r->conn = NULL;
    }
    leat_read_cb cb = r->cb;
    r->cb = NULL;
    cb(r, &outcome, r->arg);
    forget_position(r); /* the worker may end while the commit goes on */
    if (err < 0)
        free_read(r);
}

static void on_committed(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_read *r = q->data;
    (void)res;
    (void)err; /* the pool cleans the connection or drops it */
    leat_pg_pool_release(r->core->pool, r->conn);
    free_read(r);
}

static void on_composed(leat_call *call, const leat_verdict *v)
{
    leat_read *r = call->data;
    if (v->code != LEAT_CODE_OK && !v->read_failed) {
        refuse(r, leat_verdict_failure(v), false);
    } else if (v->code != LEAT_CODE_OK) {
        fail_attempt(r, v->code, v->retry_after_ms);
    } else if (r->at.epoch == NULL) {
        /* A snapshot that read nothing was faster than the position: keep it until that is in. */
        r->composed = true;
        leat_buf_slice(&r->json, v->json);
    } else {
        deliver(r, v->json);
    }
}
