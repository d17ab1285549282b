/* pg_clean.c - makes a connection fit for another user: no query runs, no transaction is open.
 *
 * leat_pg_clean_go_on takes the next step that is needed, and is called again when that step is
 * done: cancel the running query (on a thread, until on_cancel_done), wait for the results
 * (pg_pipeline.c calls), roll back, discard what the session holds (pg_session.c), finish.
 *
 * A cancel hits the query that the server runs when the cancel arrives. So nobody gets the
 * connection before the cancel has returned. A cancel that arrives between two pipelined queries
 * hits neither; therefore it is repeated while results are still to come.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "pg/pg_conn.h"
#include "pg/pg_conn_private.h"

enum { CANCEL_AGAIN_MS = 100 };

struct cancel {
    PGcancel *handle;
    char error[256]; /* PQcancel needs a buffer for its message */
};

static void run_cancel(void *job)
{
    struct cancel *cancel = job;
    if (!PQcancel(cancel->handle, cancel->error, sizeof(cancel->error)))
        return; /* the wait for the query's end has a deadline */
}

static void free_cancel(void *job)
{
    struct cancel *cancel = job;
    PQfreeCancel(cancel->handle);
    free(cancel);
}

static void on_again(leat_deadline *d)
{
    leat_pg_conn *c = LEAT_CONTAINER_OF(d, leat_pg_conn, clean.again);
    leat_pg_clean_start_cancel(c);
}

static void on_cancel_done(void *arg, void *job, bool returned)
{
    (void)job;
    (void)returned;
    leat_pg_conn *c = arg;
    c->cancel = NULL;
    if (leat_pg_clean_is_on(c)) {
        leat_loop_after(c->loop, &c->clean.again, CANCEL_AGAIN_MS, on_again);
        leat_sweep_schedule(c->loop, &c->sweep); /* the sweep goes on: the next line may free c */
    }
    leat_pg_conn_let_go(c);
}

void leat_pg_clean_start_cancel(leat_pg_conn *c)
{
    static const leat_pg_thread_work work = {run_cancel, free_cancel, on_cancel_done};
    if (c->cancel != NULL)
        return;
    struct cancel *cancel = leat_calloc(1, sizeof(*cancel));
    cancel->handle = PQgetCancel(c->pg);
    if (cancel->handle == NULL ||
        leat_pg_thread_start(&c->cancel, leat_loop_uv(c->loop), &work, cancel, c) < 0) {
        free_cancel(cancel);
        return;
    }
    c->holders++;
    leat_metrics_add(c->metrics, LEAT_M_POOL_CANCELS, 1);
}

void leat_pg_clean_init(leat_pg_conn *c)
{
    leat_deadline_init(&c->clean.deadline);
    leat_deadline_init(&c->clean.again);
}

void leat_pg_clean_stop(leat_pg_conn *c)
{
    c->clean.state = LEAT_PG_CLEAN_OFF;
    leat_deadline_cancel(&c->clean.deadline);
    leat_deadline_cancel(&c->clean.again);
}

bool leat_pg_clean_is_on(const leat_pg_conn *c)
{
    return c->clean.state != LEAT_PG_CLEAN_OFF;
}

void leat_pg_clean_finish(leat_pg_conn *c, int err)
{
    leat_pg_clean_stop(c);
    c->clean.cb(c, err, c->clean.arg);
}

static void on_clean_deadline(leat_deadline *d)
{
    leat_pg_clean_finish(LEAT_CONTAINER_OF(d, leat_pg_conn, clean.deadline), LEAT_EDEADLINE);
}

void leat_pg_conn_clean(leat_pg_conn *c, uint64_t deadline_ms,
                        void (*cb)(leat_pg_conn *c, int err, void *arg), void *arg)
{
    LEAT_ASSERT(!leat_pg_clean_is_on(c) && c->state != LEAT_PG_CONN_CLOSED);
    c->clean.state = LEAT_PG_CLEAN_CANCELING;
    c->clean.cb = cb;
    c->clean.arg = arg;
    leat_loop_at(c->loop, &c->clean.deadline, deadline_ms, on_clean_deadline);
    leat_sweep_schedule(c->loop, &c->sweep);
}

static void discard_state(leat_pg_conn *c)
{
    if (c->clean.state == LEAT_PG_CLEAN_DISCARDING) { /* the server refused it */
        leat_pg_clean_finish(c, LEAT_EPG_LOST);
        return;
    }
    c->clean.state = LEAT_PG_CLEAN_DISCARDING;
    leat_deadline_cancel(&c->clean.again);
    leat_pg_pipeline_send_own(c, "DISCARD ALL");
}

void leat_pg_clean_go_on(leat_pg_conn *c)
{
    if (c->cancel != NULL)
        return;
    if (!leat_list_empty(&c->flight) || !leat_list_empty(&c->queued)) {
        if (c->clean.state == LEAT_PG_CLEAN_CANCELING && !leat_deadline_armed(&c->clean.again))
            leat_pg_clean_start_cancel(c);
        return;
    }
    switch (PQtransactionStatus(c->pg)) {
    case PQTRANS_IDLE:
        if (c->session.left)
            discard_state(c);
        else
            leat_pg_clean_finish(c, 0);
        return;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        if (c->clean.state != LEAT_PG_CLEAN_CANCELING)
            break;
        c->clean.state = LEAT_PG_CLEAN_ROLLING_BACK;
        leat_deadline_cancel(&c->clean.again);
        leat_pg_pipeline_send_own(c, "ROLLBACK");
        return;
    default:
        break;
    }
    leat_pg_clean_finish(c, LEAT_EPG_LOST);
}
