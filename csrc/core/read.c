/* read.c - an attempt: begin -> on_conn: BEGIN and the position are asked, and in the same write
 * the refresh's first query -> on_position, on_refreshed -> the snapshot -> on_composed -> succeed.
 *
 * The refresh starts before the position has come back. Answers come in the order of the questions,
 * so whatever the refresh reads, it reads after the position and in its transaction. If the
 * position fails, the attempt fails, whatever the refresh says.
 *
 * Without a refresh, the snapshot begins at once, and a connection is acquired when it wants to
 * read (on_wanted). If it never does, on_composed takes the position of the ring, or asks for it
 * together with other reads (on_told); that needs no transaction.
 *
 * fail_attempt gives the connection back and, if there is time, tries again. The fallback to the
 * authorised row is another attempt, without the refresh. Only a failure that may pass is worth
 * another attempt: a mistake in the script's SQL is answered at once. */
#include "core/read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/log_series.h"
#include "base/mem.h"
#include "core/admission.h"
#include "outbox/history.h"
#include "outbox/positions.h"

enum { BACKOFF_MIN_MS = 25, BACKOFF_MAX_MS = 1000 };

/* What an attempt has under way. The position is asked as soon as there is a connection. */
typedef enum read_state {
    READ_CONNECTING, /* waits for a connection, for `refresh` */
    READ_REFRESHING, /* `refresh` runs */
    READ_COMPOSING,  /* `snapshot` runs. Without a connection, it has not read so far */
    READ_LENDING,    /* `snapshot` wants to read; the connection is waited for */
    READ_COMPOSED,   /* the snapshot is made; the position is not in yet */
    READ_WAITING,    /* for the next attempt */
} read_state;

struct leat_read {
    leat_core *core;
    const leat_ring *ring;
    leat_grant *grant;
    leat_read_need need;
    bool stale; /* the refresh was given up: the row in hand is the authorised one */
    uint64_t deadline_ms;
    leat_read_cb cb;
    void *arg;

    read_state state;
    unsigned attempts;
    leat_failure last_failure; /* of the attempts so far; without a message */
    uint64_t queued_ns;        /* how long its handlers have waited for their turns */
    leat_pg_waiter waiter;
    leat_pg_conn *conn;  /* leased, or NULL */
    bool in_transaction; /* BEGIN was sent on it */
    leat_pg_query begin;
    leat_pg_query position;
    leat_position_ask ask; /* COMPOSED, without a connection */
    leat_call call;        /* the refresh or the snapshot */
    leat_deadline backoff;
    leat_position at; /* no epoch until it is in; a reference */
    leat_buf json;    /* COMPOSED: the snapshot */
};

static void begin(leat_read *r);
static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_begun(leat_pg_query *q, leat_pg_result *res, int err);
static void on_position(leat_pg_query *q, leat_pg_result *res, int err);
static void on_told(leat_position_ask *a, const leat_position_answer *answer);
static void on_refreshed(leat_call *call, const leat_verdict *v);
static void on_wanted(leat_call *call);
static void on_composed(leat_call *call, const leat_verdict *v);
static void on_backoff(leat_deadline *d);
static void compose(leat_read *r);
static void succeed(leat_read *r, leat_slice json);

leat_read *leat_read_start(const leat_ring *ring, leat_grant *grant, leat_read_need need,
                           uint64_t deadline_ms, leat_read_cb cb, void *arg)
{
    leat_read *r = leat_pool_take(leat_loop_pool(ring->core->loop), sizeof(*r));
    r->core = ring->core;
    r->ring = ring;
    r->grant = grant;
    r->need = need;
    r->deadline_ms = deadline_ms;
    r->cb = cb;
    r->arg = arg;
    r->last_failure = (leat_failure){.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true};
    leat_pg_waiter_init(&r->waiter);
    leat_position_ask_init(&r->ask);
    leat_deadline_init(&r->backoff);
    r->ask.data = r->waiter.data = r->begin.data = r->position.data = r->call.data = r;
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
    leat_pool_give(leat_loop_pool(r->core->loop), r);
}

/* Stops all that the attempt has under way, and gives the connection back. The pool cleans it. */
static void abandon_attempt(leat_read *r)
{
    r->core->script->ops->cancel(&r->call);
    leat_pg_waiter_cancel(&r->waiter);
    leat_positions_cancel(&r->ask);
    leat_deadline_cancel(&r->backoff);
    if (r->conn != NULL) {
        leat_pg_conn_forget(&r->begin);
        leat_pg_conn_forget(&r->position);
        leat_pg_pool_release(r->core->pool, r->conn);
        r->conn = NULL;
        r->in_transaction = false;
    }
    forget_position(r);
    leat_buf_close(&r->json);
}

void leat_read_cancel(leat_read *r)
{
    abandon_attempt(r);
    free_read(r);
}

static uint64_t queued_ns(const leat_read *r)
{
    return r->queued_ns + r->waiter.waited_ns;
}

/* Answers without a snapshot. */
static void fail(leat_read *r, leat_failure failure)
{
    leat_read_outcome outcome = {.failure = failure};
    if (failure.code == LEAT_CODE_UNAVAILABLE && failure.retry_after_ms == 0)
        outcome.failure.retry_after_ms = leat_admission_retry_ms(r->core);
    abandon_attempt(r);
    outcome.queued_ns = queued_ns(r);
    r->cb(r, &outcome, r->arg);
    free_read(r);
}

/* Tries again if that may help and there is time. Does not keep the message, which belongs to the
 * verdict. */
static void fail_attempt(leat_read *r, leat_failure failure)
{
    uint64_t now = leat_loop_now(r->core->loop);
    /* If a read for a fresh row fails, the client keeps its stale snapshot: that is no decision. */
    bool no_decision = leat_code_is_passing(failure.code) || r->need == LEAT_READ_FRESH;
    r->last_failure = (leat_failure){
        .code = failure.code,
        .retry_after_ms = failure.retry_after_ms,
        .read_failed = no_decision,
    };
    abandon_attempt(r);
    r->state = READ_WAITING;
    uint64_t again = now + leat_backoff_ms(BACKOFF_MIN_MS, BACKOFF_MAX_MS, ++r->attempts,
                                           leat_loop_random(r->core->loop));
    if (failure.code != LEAT_CODE_UNAVAILABLE || now >= r->deadline_ms ||
        r->need == LEAT_READ_FRESH)
        fail(r, r->last_failure);
    else
        leat_loop_at(r->core->loop, &r->backoff, again < r->deadline_ms ? again : r->deadline_ms,
                     on_backoff);
}

static void on_backoff(leat_deadline *d)
{
    leat_read *r = LEAT_CONTAINER_OF(d, leat_read, backoff);
    if (leat_loop_now(r->core->loop) >= r->deadline_ms)
        fail(r, r->last_failure);
    else
        begin(r);
}

/* A handshake has begun with its handler. It goes on before others begin. */
static leat_pg_kind kind_of(const leat_read *r)
{
    bool goes_on = r->need == LEAT_READ_FIRST || r->need == LEAT_READ_SHARED;
    return goes_on ? LEAT_PG_STARTED : LEAT_PG_CONTROL;
}

static void acquire(leat_read *r)
{
    r->waiter.bill = leat_session_bill(r->grant->session, kind_of(r));
    if (r->waiter.bill.kind != LEAT_PG_STARTED)
        r->waiter.bill.of_crowd = false; /* a crowd is billed for its handshakes only */
    leat_pg_pool_acquire(r->core->pool, &r->waiter, r->deadline_ms, on_conn);
}

static void begin(leat_read *r)
{
    if (!r->grant->has_refresh || r->stale) {
        compose(r);
        return;
    }
    r->state = READ_CONNECTING;
    acquire(r);
}

/* Of a query of Leat's own. Should a right be missing, an operator can mend it while clients wait:
 * so every such failure may pass. */
static leat_failure failure_of(int err)
{
    leat_code code = err == LEAT_EDEADLINE ? LEAT_CODE_DEADLINE_EXCEEDED : LEAT_CODE_UNAVAILABLE;
    return (leat_failure){.code = code, .read_failed = true};
}

static int ask_position(leat_read *r)
{
    leat_slice name = leat_ring_name(r->ring);
    int err = leat_pg_conn_query(r->conn, &r->position,
                                 "select epoch, seq, revoked, " LEAT_HISTORY_HIDDEN_SQL
                                 " from leat_internal.position($1)",
                                 &name, 1, r->deadline_ms, on_position);
    if (err == 0)
        leat_pg_conn_lead_on(&r->position);
    return err;
}

static int begin_transaction(leat_read *r)
{
    r->in_transaction = true;
    int err =
        leat_pg_conn_query(r->conn, &r->begin, "begin isolation level repeatable read read only",
                           NULL, 0, r->deadline_ms, on_begun);
    if (err == 0)
        leat_pg_conn_lead_on(&r->begin);
    return err;
}

static void refresh(leat_read *r)
{
    uint64_t now = leat_loop_now(r->core->loop);
    uint64_t half = now < r->deadline_ms ? now + (r->deadline_ms - now) / 2 : r->deadline_ms;
    r->state = READ_REFRESHING;
    r->call.cb = on_refreshed;
    r->core->script->ops->refresh(r->core->script, &r->call, r->grant, r->conn, half);
}

static void on_conn(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_read *r = w->data;
    if (err < 0) {
        fail(r, failure_of(err));
        return;
    }
    r->conn = conn;
    err = begin_transaction(r);
    if (err == 0)
        err = ask_position(r);
    if (err < 0) {
        fail_attempt(r, (leat_failure){.code = LEAT_CODE_UNAVAILABLE});
    } else if (r->state == READ_CONNECTING) {
        refresh(r);
    } else if (r->state == READ_LENDING) {
        r->state = READ_COMPOSING;
        r->core->script->ops->lend(&r->call, conn);
    }
}

static void on_begun(leat_pg_query *q, leat_pg_result *res, int err)
{
    leat_read *r = q->data;
    (void)res;
    if (err < 0)
        fail_attempt(r, failure_of(err));
}

static void take_position(leat_read *r, const leat_position_answer *told)
{
    if (told->err < 0) {
        char phrase[64];
        snprintf(phrase, sizeof(phrase), "position not read sqlstate=%s", told->sqlstate);
        leat_log_series_warn(&r->core->unread, leat_loop_now(r->core->loop), "read", phrase,
                             told->reason);
        leat_history_count_failure(r->core->metrics, told->err, told->sqlstate);
        leat_hub_link_read_refused(r->core->link, told->sqlstate);
        fail_attempt(r, failure_of(told->err));
        return;
    }
    r->at = (leat_position){
        .epoch = leat_epoch_of(&r->core->epochs, told->at.epoch),
        .seq = told->at.seq,
        .revoked = told->at.revoked,
    };
    leat_gate_stop(r->core->gate, "position", leat_ring_name(r->ring), NULL);
    if (r->state == READ_COMPOSED)
        succeed(r, leat_buf_view(&r->json));
}

static void on_position(leat_pg_query *q, leat_pg_result *res, int err)
{
    if (err == 0 && leat_pg_result_rows(res) != 1)
        err = LEAT_EMISSING;
    if (err == 0 && leat_slice_is(leat_pg_result_value(res, 0, 3), "t"))
        err = LEAT_EHIDDEN;
    leat_position_answer told = {
        .err = err,
        .reason = err == LEAT_EPG_SERVER ? leat_pg_result_message(res) : leat_err_name(err),
        .sqlstate = res == NULL ? "" : leat_pg_result_sqlstate(res),
    };
    if (err == 0)
        told.at = (leat_named_position){
            .epoch = leat_pg_result_value(res, 0, 0),
            .seq = strtoll(leat_pg_result_value(res, 0, 1).at, NULL, 10),
            .revoked = strtoll(leat_pg_result_value(res, 0, 2).at, NULL, 10),
        };
    take_position(q->data, &told);
}

static void on_told(leat_position_ask *a, const leat_position_answer *answer)
{
    leat_read *r = a->data;
    r->queued_ns += answer->queued_ns;
    if (answer->no_connection)
        fail(r, failure_of(answer->err));
    else
        take_position(r, answer);
}

/* The refresh could not read: go on with the row in hand, in a transaction of its own. */
static void fall_back(leat_read *r, const leat_verdict *v)
{
    char topic[160];
    leat_slice name = leat_ring_name(r->ring);
    LEAT_LOG_WARN("read", "refresh failed, row as authorised topic=%s code=%s",
                  leat_log_quote(topic, sizeof(topic), name.at, name.len),
                  leat_code_name(v->failure.code));
    abandon_attempt(r);
    r->stale = true;
    begin(r);
}

static void on_refreshed(leat_call *call, const leat_verdict *v)
{
    leat_read *r = call->data;
    leat_code code = v->failure.code;
    bool failed = v->failure.read_failed || code == LEAT_CODE_DEADLINE_EXCEEDED;
    r->queued_ns += v->queued_ns;
    if (code == LEAT_CODE_OK) {
        compose(r);
    } else if (failed && r->need == LEAT_READ_FRESH) {
        fail_attempt(r, v->failure);
    } else if (failed) {
        fall_back(r, v);
    } else {
        fail(r, v->failure);
    }
}

static void compose(leat_read *r)
{
    leat_metrics_add(r->core->metrics, LEAT_M_SNAPSHOT_READS, 1);
    r->state = READ_COMPOSING;
    r->call.cb = on_composed;
    r->call.wants_conn = on_wanted;
    r->core->script->ops->snapshot(r->core->script, &r->call, r->grant, r->conn, r->deadline_ms);
}

static void on_wanted(leat_call *call)
{
    leat_read *r = call->data;
    r->state = READ_LENDING;
    acquire(r);
}

/* The transaction has only read: nobody waits for the answer to its commit. */
static void give_back(leat_read *r)
{
    if (r->in_transaction)
        leat_pg_pool_release_reader(r->core->pool, r->conn);
    else if (r->conn != NULL)
        leat_pg_pool_release(r->core->pool, r->conn);
    r->conn = NULL;
}

static void succeed(leat_read *r, leat_slice json)
{
    leat_read_outcome outcome = {
        .snapshot = {.position = r->at, .stale = r->stale, .json = json},
        .queued_ns = queued_ns(r),
    };
    give_back(r);
    r->cb(r, &outcome, r->arg);
    forget_position(r);
    free_read(r);
}

/* Returns false if the snapshot has read something, or needs a position that is read. */
static bool take_position_of_ring(leat_read *r)
{
    const leat_ring *ring = r->ring;
    if (r->conn != NULL || r->need != LEAT_READ_FIRST || ring->epoch == NULL ||
        !leat_ring_leads_on(ring, ring->head + 1))
        return false;
    r->at = (leat_position){leat_epoch_ref(ring->epoch), ring->head, ring->revoked};
    return true;
}

static void on_composed(leat_call *call, const leat_verdict *v)
{
    leat_read *r = call->data;
    r->queued_ns += v->queued_ns;
    leat_gate_stop(r->core->gate, "composed", leat_ring_name(r->ring),
                   leat_code_name(v->failure.code));
    if (v->failure.code != LEAT_CODE_OK && !v->failure.read_failed) {
        fail(r, v->failure);
    } else if (v->failure.code != LEAT_CODE_OK) {
        fail_attempt(r, v->failure);
    } else if (r->at.epoch != NULL || take_position_of_ring(r)) {
        succeed(r, v->json);
    } else {
        leat_buf_slice(&r->json, v->json); /* belongs to the verdict */
        r->state = READ_COMPOSED;
        if (r->conn == NULL)
            leat_positions_ask(r->core->positions, &r->ask, leat_ring_name(r->ring), r->deadline_ms,
                               on_told);
    }
}
