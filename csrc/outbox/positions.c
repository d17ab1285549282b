/* positions.c - leat_positions_ask[_after] -> on_sweep sends a query for those who wait -> on_rows
 * answers each -> on_sweep.
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
    MAX_QUERIES = 2,  /* under way, of a question; while one hangs, the other one goes on */
    MAX_TOPICS = 256, /* of one query */
};

typedef enum question { POSITION, LEADS_ON, QUESTIONS } question;

/* Names are qualified, so that the role's search_path means nothing here. LEADS_ON names leat.topic
 * first, as history.c does, and for the same reason; its lateral part looks at one row, found by
 * the index. It computes nothing with `after`, which a client has chosen. */
static const char *const sql[QUESTIONS] = {
    [POSITION] = "select p.epoch, p.seq, p.revoked, " LEAT_HISTORY_HIDDEN_SQL
                 "  from pg_catalog.jsonb_array_elements_text($1::pg_catalog.jsonb)"
                 "       with ordinality as w(name, n)"
                 " cross join lateral leat_internal.position(w.name) p order by w.n",
    [LEADS_ON] = "select p.epoch, p.seq, p.revoked, " LEAT_HISTORY_HIDDEN_SQL ","
                 "       coalesce(p.seq operator(pg_catalog.=) w.after"
                 "                or e.seq operator(pg_catalog.-) 1 operator(pg_catalog.=) w.after,"
                 "                false)"
                 "  from (select from leat.topic where false) as locked"
                 "  right join rows from (pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb)"
                 "          as (name pg_catalog.text, after pg_catalog.int8))"
                 "        with ordinality as w(name, after, n) on true"
                 "  cross join lateral leat_internal.position(w.name) p"
                 "  left join lateral (select v.seq from leat.event v"
                 "     where v.topic operator(pg_catalog.=) w.name"
                 "       and v.seq operator(pg_catalog.>) w.after"
                 "       and p.seq operator(pg_catalog.>) w.after"
                 "     order by v.seq limit 1) e on true"
                 " order by w.n",
};

enum column { COL_EPOCH, COL_SEQ, COL_REVOKED, COL_HIDDEN, COL_LEADS_ON };

/* Those who ask the same question. */
typedef struct positions_line {
    leat_positions *all;
    question question;
    leat_list waiting; /* leat_position_ask */
    size_t n_queries;
    leat_sweep send;
} positions_line;

typedef struct positions_query {
    positions_line *line;
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
    positions_line lines[QUESTIONS];
};

static void on_sweep(leat_sweep *s);
static void on_rows(leat_pg_job *job, leat_pg_result *res, int err);

leat_positions *leat_positions_new(leat_pg_pool *pool, leat_loop *loop)
{
    leat_positions *p = leat_calloc(1, sizeof(*p));
    p->pool = pool;
    p->loop = loop;
    for (int i = 0; i < QUESTIONS; i++) {
        positions_line *l = &p->lines[i];
        l->all = p;
        l->question = (question)i;
        leat_list_init(&l->waiting);
        leat_sweep_init(&l->send, on_sweep);
    }
    return p;
}

void leat_positions_free(leat_positions *p)
{
    for (int i = 0; i < QUESTIONS; i++) {
        positions_line *l = &p->lines[i];
        LEAT_ASSERT(leat_list_empty(&l->waiting) && l->n_queries == 0);
        leat_sweep_cancel(&l->send);
    }
    free(p);
}

void leat_position_ask_init(leat_position_ask *a)
{
    *a = (leat_position_ask){.cb_ = NULL};
    leat_list_init(&a->link_);
    leat_deadline_init(&a->deadline_);
}

static void schedule(positions_line *l)
{
    leat_sweep_schedule(l->all->loop, &l->send);
}

static void free_query(positions_query *q)
{
    q->line->n_queries--;
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
    schedule(q->line);
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
    int err = leat_pg_pool_healthy(a->line_->all->pool) ? LEAT_EDEADLINE : LEAT_EPG_LOST;
    leat_position_answer answer = {
        .err = err,
        .no_connection = a->query_ == NULL || !leat_pg_job_had_connection(&a->query_->job),
        .reason = leat_pg_job_reason(NULL, err),
        .sqlstate = "",
    };
    leave(a);
    cb(a, &answer);
}

static void join(positions_line *l, leat_position_ask *a, leat_slice topic, uint64_t deadline_ms,
                 leat_position_cb cb)
{
    LEAT_ASSERT(a->cb_ == NULL);
    a->line_ = l;
    a->topic_ = topic;
    a->deadline_ms_ = deadline_ms;
    a->since_ns_ = uv_hrtime();
    a->cb_ = cb;
    leat_list_push(&l->waiting, &a->link_);
    leat_loop_at(l->all->loop, &a->deadline_, deadline_ms, on_deadline);
    schedule(l);
}

void leat_positions_ask(leat_positions *p, leat_position_ask *a, leat_slice topic,
                        uint64_t deadline_ms, leat_position_cb cb)
{
    join(&p->lines[POSITION], a, topic, deadline_ms, cb);
}

void leat_positions_ask_after(leat_positions *p, leat_position_ask *a, leat_slice topic,
                              int64_t after, uint64_t deadline_ms, leat_position_cb cb)
{
    a->after_ = after;
    join(&p->lines[LEADS_ON], a, topic, deadline_ms, cb);
}

static void write_topic(leat_buf *wanted, leat_slice topic)
{
    int err = leat_json_write_string(wanted, topic);
    LEAT_ASSERT(err == 0); /* topics are checked where they enter */
}

static void write_ask(leat_buf *wanted, const leat_position_ask *a)
{
    if (a->line_->question == POSITION) {
        write_topic(wanted, a->topic_);
        return;
    }
    leat_buf_text(wanted, "{\"name\":");
    write_topic(wanted, a->topic_);
    leat_buf_text(wanted, ",\"after\":");
    leat_buf_int(wanted, a->after_);
    leat_buf_char(wanted, '}');
}

/* Moves asks that wait into the query, and writes what they ask. Returns the latest of their
 * deadlines. */
static uint64_t gather(positions_query *q, leat_buf *wanted)
{
    uint64_t deadline_ms = 0;
    leat_list *link;
    while (q->n < MAX_TOPICS && (link = leat_list_shift(&q->line->waiting)) != NULL) {
        leat_position_ask *a = LEAT_CONTAINER_OF(link, leat_position_ask, link_);
        leat_buf_char(wanted, q->n == 0 ? '[' : ',');
        write_ask(wanted, a);
        a->query_ = q;
        q->asks[q->n++] = a;
        if (a->deadline_ms_ > deadline_ms)
            deadline_ms = a->deadline_ms_;
    }
    leat_buf_char(wanted, ']');
    return deadline_ms;
}

/* The query is billed as started work: its clients have begun their handshakes, so it goes before
 * handshakes that have not begun. */
static void send_query(positions_line *l)
{
    leat_buf wanted = LEAT_BUF_INIT;
    positions_query *q = leat_calloc(1, sizeof(*q));
    q->line = l;
    l->n_queries++;
    uint64_t deadline_ms = gather(q, &wanted);
    q->n_left = q->n;
    q->sent_ns = uv_hrtime();
    leat_pg_param param = leat_buf_view(&wanted);
    leat_pg_job_init(&q->job);
    leat_pg_job_bill(&q->job, (leat_pg_bill){.kind = LEAT_PG_STARTED});
    leat_pg_job_start(&q->job, l->all->pool, sql[l->question], &param, 1, deadline_ms, on_rows);
    leat_buf_close(&wanted);
}

static void on_sweep(leat_sweep *s)
{
    positions_line *l = LEAT_CONTAINER_OF(s, positions_line, send);
    while (l->n_queries < MAX_QUERIES && !leat_list_empty(&l->waiting))
        send_query(l);
}

static int check_rows(const positions_query *q, const leat_pg_result *res)
{
    int n_rows = leat_pg_result_rows(res);
    if (n_rows > 0 && leat_slice_is(leat_pg_result_value(res, 0, COL_HIDDEN), "t"))
        return LEAT_EHIDDEN;
    return (size_t)n_rows == q->n ? 0 : LEAT_EMISSING;
}

static void take_row(leat_position_answer *answer, question asked, const leat_pg_result *res,
                     int row)
{
    answer->at = (leat_named_position){
        .epoch = leat_pg_result_value(res, row, COL_EPOCH),
        .seq = strtoll(leat_pg_result_value(res, row, COL_SEQ).at, NULL, 10),
        .revoked = strtoll(leat_pg_result_value(res, row, COL_REVOKED).at, NULL, 10),
    };
    answer->leads_on =
        asked == LEADS_ON && leat_slice_is(leat_pg_result_value(res, row, COL_LEADS_ON), "t");
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
    schedule(q->line);
    for (size_t i = 0; i < q->n; i++) {
        leat_position_ask *a = q->asks[i];
        if (a == NULL)
            continue;
        leat_position_cb cb = a->cb_;
        if (err == 0)
            take_row(&answer, q->line->question, res, (int)i);
        answer.queued_ns = q->sent_ns - a->since_ns_ + waited_ns;
        leave(a);
        cb(a, &answer);
    }
    free_query(q);
}
