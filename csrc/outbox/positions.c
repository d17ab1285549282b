/* positions.c - leat_positions_ask -> on_sweep sends a query for those who wait -> on_rows answers
 * each -> on_sweep.
 *
 * An ask that is cancelled, or that comes to its deadline, leaves its query. A query that all have
 * left is cancelled at the server. */
#include "outbox/positions.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "outbox/history.h"
#include "wire/json.h"

enum {
    MAX_QUERIES = 2,  /* under way; while one of them hangs, the other one goes on */
    MAX_TOPICS = 256, /* of one query */
};

/* Names are qualified, so that the role's search_path means nothing here. */
static const char sql[] = "select p.epoch, p.seq, p.revoked, " LEAT_HISTORY_HIDDEN_SQL
                          "  from pg_catalog.jsonb_array_elements_text($1::pg_catalog.jsonb) with "
                          "ordinality as w(name, n)"
                          " cross join lateral leat_internal.position(w.name) p order by w.n";

enum column { COL_EPOCH, COL_SEQ, COL_REVOKED, COL_HIDDEN };

typedef struct positions_query {
    leat_positions *all;
    leat_pg_job job;
    uint64_t sent_ns;
    bool is_answered;
    size_t n;                            /* rows that are asked for, one for each of `asks` */
    size_t n_left;                       /* asks that are not yet answered */
    leat_position_ask *asks[MAX_TOPICS]; /* NULL: it was answered, cancelled, or too late */
} positions_query;

struct leat_positions {
    leat_pg_pool *pool;
    leat_loop *loop;
    leat_list waiting; /* leat_position_ask */
    size_t n_queries;
    leat_sweep send;
};

static void on_sweep(leat_sweep *s);
static void on_rows(leat_pg_job *job, leat_pg_result *res, int err);

leat_positions *leat_positions_new(leat_pg_pool *pool, leat_loop *loop)
{
    leat_positions *p = leat_calloc(1, sizeof(*p));
    p->pool = pool;
    p->loop = loop;
    leat_list_init(&p->waiting);
    leat_sweep_init(&p->send, on_sweep);
    return p;
}

void leat_positions_free(leat_positions *p)
{
    LEAT_ASSERT(leat_list_empty(&p->waiting) && p->n_queries == 0);
    leat_sweep_cancel(&p->send);
    free(p);
}

void leat_position_ask_init(leat_position_ask *a)
{
    *a = (leat_position_ask){.cb_ = NULL};
    leat_list_init(&a->link_);
    leat_deadline_init(&a->deadline_);
}

static void free_query(positions_query *q)
{
    q->all->n_queries--;
    free(q);
}

/* Takes the ask out of the line, or out of its query. */
static void leave(leat_position_ask *a)
{
    positions_query *q = a->query_;
    leat_deadline_cancel(&a->deadline_);
    leat_list_unlink(&a->link_);
    a->cb_ = NULL;
    a->query_ = NULL;
    if (q == NULL)
        return;
    for (size_t i = 0; i < q->n; i++)
        if (q->asks[i] == a)
            q->asks[i] = NULL;
    if (--q->n_left > 0 || q->is_answered)
        return;
    leat_pg_job_cancel(&q->job);
    leat_sweep_schedule(q->all->loop, &q->all->send);
    free_query(q);
}

void leat_positions_cancel(leat_position_ask *a)
{
    if (a->cb_ != NULL)
        leave(a);
}

static void on_deadline(leat_deadline *d)
{
    leat_position_ask *a = LEAT_CONTAINER_OF(d, leat_position_ask, deadline_);
    leat_position_cb cb = a->cb_;
    int err = leat_pg_pool_healthy(a->all_->pool) ? LEAT_EDEADLINE : LEAT_EPG_LOST;
    leat_position_answer answer = {
        .err = err,
        .no_connection = a->query_ == NULL || !leat_pg_job_had_connection(&a->query_->job),
        .reason = leat_pg_job_reason(NULL, err),
        .sqlstate = "",
    };
    leave(a);
    cb(a, &answer);
}

void leat_positions_ask(leat_positions *p, leat_position_ask *a, leat_slice topic,
                        uint64_t deadline_ms, leat_position_cb cb)
{
    LEAT_ASSERT(a->cb_ == NULL);
    a->all_ = p;
    a->topic_ = topic;
    a->deadline_ms_ = deadline_ms;
    a->since_ns_ = uv_hrtime();
    a->cb_ = cb;
    leat_list_push(&p->waiting, &a->link_);
    leat_loop_at(p->loop, &a->deadline_, deadline_ms, on_deadline);
    leat_sweep_schedule(p->loop, &p->send);
}

/* Moves asks that wait into the query, and writes their topics. Returns the latest of their
 * deadlines. */
static uint64_t gather(leat_positions *p, positions_query *q, leat_buf *names)
{
    uint64_t deadline_ms = 0;
    leat_list *link;
    while (q->n < MAX_TOPICS && (link = leat_list_shift(&p->waiting)) != NULL) {
        leat_position_ask *a = LEAT_CONTAINER_OF(link, leat_position_ask, link_);
        leat_buf_char(names, q->n == 0 ? '[' : ',');
        int err = leat_json_write_string(names, a->topic_);
        LEAT_ASSERT(err == 0); /* topics are checked where they enter */
        a->query_ = q;
        q->asks[q->n++] = a;
        if (a->deadline_ms_ > deadline_ms)
            deadline_ms = a->deadline_ms_;
    }
    leat_buf_char(names, ']');
    return deadline_ms;
}

/* The query is billed as started work: its clients have begun their handshakes, so it goes before
 * handshakes that have not begun. */
static void send_query(leat_positions *p)
{
    leat_buf names = LEAT_BUF_INIT;
    positions_query *q = leat_calloc(1, sizeof(*q));
    q->all = p;
    p->n_queries++;
    uint64_t deadline_ms = gather(p, q, &names);
    q->n_left = q->n;
    q->sent_ns = uv_hrtime();
    leat_pg_param param = leat_buf_view(&names);
    leat_pg_job_init(&q->job);
    leat_pg_job_bill(&q->job, (leat_pg_bill){.kind = LEAT_PG_STARTED});
    leat_pg_job_start(&q->job, p->pool, sql, &param, 1, deadline_ms, on_rows);
    leat_buf_close(&names);
}

static void on_sweep(leat_sweep *s)
{
    leat_positions *p = LEAT_CONTAINER_OF(s, leat_positions, send);
    while (p->n_queries < MAX_QUERIES && !leat_list_empty(&p->waiting))
        send_query(p);
}

static int check_rows(const positions_query *q, const leat_pg_result *res)
{
    int n_rows = leat_pg_result_rows(res);
    if (n_rows > 0 && leat_slice_is(leat_pg_result_value(res, 0, COL_HIDDEN), "t"))
        return LEAT_EHIDDEN;
    return (size_t)n_rows == q->n ? 0 : LEAT_EMISSING;
}

static leat_named_position position_at(const leat_pg_result *res, int row)
{
    return (leat_named_position){
        .epoch = leat_pg_result_value(res, row, COL_EPOCH),
        .seq = strtoll(leat_pg_result_value(res, row, COL_SEQ).at, NULL, 10),
        .revoked = strtoll(leat_pg_result_value(res, row, COL_REVOKED).at, NULL, 10),
    };
}

/* A callback may cancel other asks of this query, and may ask anew. */
static void on_rows(leat_pg_job *job, leat_pg_result *res, int err)
{
    positions_query *q = LEAT_CONTAINER_OF(job, positions_query, job);
    uint64_t waited_ns = leat_pg_job_waited_ns(job);
    if (err == 0)
        err = check_rows(q, res);
    leat_position_answer answer = {
        .err = err,
        .no_connection = !leat_pg_job_had_connection(job),
        .reason = err < 0 ? leat_pg_job_reason(res, err) : "",
        .sqlstate = err == LEAT_EPG_SERVER ? leat_pg_result_sqlstate(res) : "",
    };
    q->is_answered = true;
    leat_sweep_schedule(q->all->loop, &q->all->send);
    for (size_t i = 0; i < q->n; i++) {
        leat_position_ask *a = q->asks[i];
        if (a == NULL)
            continue;
        leat_position_cb cb = a->cb_;
        if (err == 0)
            answer.at = position_at(res, (int)i);
        answer.queued_ns = q->sent_ns - a->since_ns_ + waited_ns;
        leave(a);
        cb(a, &answer);
    }
    free_query(q);
}
