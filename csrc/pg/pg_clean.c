/* A connection is clean when nothing runs on it and no transaction is open. go_on looks what is
 * left to do, does one thing and is called again when that is done: cancel what runs (on a thread:
 * on_cancel_done), wait for its result (pg_conn.c calls), roll back, finish.
 *
 * A cancel hits whatever the server runs when it arrives. So nobody gets the connection before the
 * cancel has returned; and one that arrived between two pipelined queries has hit neither, which is
 * why it is repeated while results are still to come.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "pg/pg_conn_private.h"

enum { CANCEL_AGAIN_MS = 100 };

struct cancel {
    PGcancel *handle;
    char error[256]; /* libpq wants a place for it */
};

static void run_cancel(void *job)
{
    struct cancel *cancel = job;
    if (!PQcancel(cancel->handle, cancel->error, sizeof(cancel->error)))
        return; /* best effort: whoever waits for the query's end has a deadline */
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
    if (c->clean.cb != NULL) {
        leat_loop_after(c->loop, &c->clean.again, CANCEL_AGAIN_MS, on_again);
        leat_sweep_schedule(c->loop, &c->sweep); /* go on from there: c may be freed now */
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
    c->clean.cb = NULL;
    leat_deadline_cancel(&c->clean.deadline);
    leat_deadline_cancel(&c->clean.again);
}

void leat_pg_clean_finish(leat_pg_conn *c, int err)
{
    void (*cb)(leat_pg_conn *, int, void *) = c->clean.cb;
    leat_pg_clean_stop(c);
    cb(c, err, c->clean.arg);
}

static void on_clean_deadline(leat_deadline *d)
{
    leat_pg_clean_finish(LEAT_CONTAINER_OF(d, leat_pg_conn, clean.deadline), LEAT_EDEADLINE);
}

void leat_pg_conn_clean(leat_pg_conn *c, uint64_t deadline_ms,
                        void (*cb)(leat_pg_conn *c, int err, void *arg), void *arg)
{
    LEAT_ASSERT(c->clean.cb == NULL && c->state != LEAT_PG_CONN_CLOSED);
    c->clean.cb = cb;
    c->clean.arg = arg;
    c->clean.rolling_back = false;
    leat_loop_at(c->loop, &c->clean.deadline, deadline_ms, on_clean_deadline);
    leat_sweep_schedule(c->loop, &c->sweep);
}

void leat_pg_clean_go_on(leat_pg_conn *c)
{
    if (c->cancel != NULL)
        return;
    if (!leat_list_empty(&c->flight) || !leat_list_empty(&c->queued)) {
        if (!c->clean.rolling_back && !leat_deadline_armed(&c->clean.again))
            leat_pg_clean_start_cancel(c);
        return;
    }
    switch (PQtransactionStatus(c->pg)) {
    case PQTRANS_IDLE:
        leat_pg_clean_finish(c, 0);
        return;
    case PQTRANS_INTRANS:
    case PQTRANS_INERROR:
        if (c->clean.rolling_back)
            break;
        c->clean.rolling_back = true;
        leat_deadline_cancel(&c->clean.again);
        leat_pg_pipeline_send_own(c, "ROLLBACK");
        return;
    default:
        break;
    }
    leat_pg_clean_finish(c, LEAT_EPG_LOST);
}
