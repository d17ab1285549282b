/* history.c - acquire a connection, ask, answer, give the connection back.
 *
 * leat_history_start -> on_acquired -> on_rows -> cb. A pool that refuses at once is answered from
 * a sweep, so that the callback never runs inside the start.
 */
#include "core/history.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/json.h"

/* The sum over the data before a row bounds the answer by bytes, and lets the first row always
 * pass. leat.topic is named first, in a part that reads nothing, so that it is locked before
 * leat.event: TRUNCATE of it goes on to that one, and would deadlock. */
static const char sql[] =
    "select w.name, w.after, p.epoch, p.seq, p.revoked, e.seq, e.kind, e.data"
    " from (select from leat.topic where false) as locked"
    " right join jsonb_to_recordset($1::jsonb) as w(name text, after bigint) on true"
    " cross join lateral leat.position(w.name) p"
    " left join lateral ("
    "  select y.seq, y.kind, y.data from ("
    "   select x.seq, x.kind, x.data,"
    "          sum(octet_length(x.data)) over (order by x.seq) - octet_length(x.data) as before"
    "   from (select v.seq, v.kind, v.data::text from leat.event v"
    "         where v.topic = w.name and v.seq > w.after and p.seq > w.after"
    "         order by v.seq limit $2::bigint) x) y"
    "  where y.before < $3::bigint) e on true"
    " order by w.name, e.seq";

enum column { COL_NAME, COL_AFTER, COL_EPOCH, COL_HEAD, COL_REVOKED, COL_SEQ, COL_KIND, COL_DATA };

struct leat_history {
    leat_loop *loop;
    leat_pg_pool *pool;
    leat_buf wanted; /* the JSON of $1 */
    size_t count;
    int64_t max_events;
    int64_t max_bytes;
    uint64_t deadline_ms;
    leat_pg_waiter waiter;
    leat_pg_conn *conn; /* leased, or NULL */
    leat_pg_query query;
    leat_sweep refusal;
    int refused;                /* what leat_pg_pool_acquire returned */
    const leat_pg_result *rows; /* within the callback */
    leat_history_cb cb;
    void *arg;
};

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err);
static void on_rows(leat_pg_query *q, leat_pg_result *res, int err);
static void on_refusal(leat_sweep *s);
static void finish(leat_history *h, int err, const leat_pg_result *rows);

leat_history *leat_history_new(leat_loop *loop, leat_pg_pool *pool)
{
    leat_history *h = leat_calloc(1, sizeof(*h));
    h->loop = loop;
    h->pool = pool;
    leat_pg_waiter_init(&h->waiter);
    leat_sweep_init(&h->refusal, on_refusal);
    h->waiter.data = h;
    h->query.data = h;
    leat_buf_char(&h->wanted, '[');
    return h;
}

void leat_history_ask(leat_history *h, leat_slice topic, int64_t after)
{
    leat_buf_text(&h->wanted, h->count++ == 0 ? "{\"name\":" : ",{\"name\":");
    int err = leat_json_write_string(&h->wanted, topic);
    LEAT_ASSERT(err == 0); /* topics are checked where they enter */
    leat_buf_text(&h->wanted, ",\"after\":");
    leat_buf_int(&h->wanted, after);
    leat_buf_char(&h->wanted, '}');
}

size_t leat_history_count(const leat_history *h)
{
    return h->count;
}

void leat_history_start(leat_history *h, int64_t max_events, int64_t max_bytes,
                        uint64_t deadline_ms, leat_history_cb cb, void *arg)
{
    leat_buf_char(&h->wanted, ']');
    h->max_events = max_events;
    h->max_bytes = max_bytes;
    h->deadline_ms = deadline_ms;
    h->cb = cb;
    h->arg = arg;
    h->refused = leat_pg_pool_acquire(h->pool, &h->waiter, deadline_ms, on_acquired);
    if (h->refused < 0)
        leat_sweep_schedule(h->loop, &h->refusal);
}

static void on_refusal(leat_sweep *s)
{
    leat_history *h = LEAT_LIST_ENTRY(s, leat_history, refusal);
    finish(h, h->refused, NULL);
}

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    leat_history *h = w->data;
    if (err < 0) {
        finish(h, err, NULL);
        return;
    }
    h->conn = conn;
    leat_buf numbers = LEAT_BUF_INIT;
    leat_buf_int(&numbers, h->max_events);
    size_t split = numbers.len;
    leat_buf_int(&numbers, h->max_bytes);
    leat_pg_param params[] = {
        leat_buf_view(&h->wanted), {numbers.at, split}, {numbers.at + split, numbers.len - split}};
    err = leat_pg_conn_query(conn, &h->query, sql, params, 3, h->deadline_ms, on_rows);
    leat_buf_close(&numbers);
    if (err < 0)
        finish(h, err, NULL);
}

static void on_rows(leat_pg_query *q, leat_pg_result *res, int err)
{
    finish(q->data, err, err == 0 ? res : NULL);
}

static void free_history(leat_history *h)
{
    leat_buf_close(&h->wanted);
    free(h);
}

static void finish(leat_history *h, int err, const leat_pg_result *rows)
{
    if (h->conn != NULL)
        leat_pg_pool_release(h->pool, h->conn);
    h->conn = NULL;
    h->rows = rows;
    h->cb(h, err, rows == NULL ? 0 : leat_pg_result_rows(rows), h->arg);
    free_history(h);
}

void leat_history_cancel(leat_history *h)
{
    leat_sweep_cancel(&h->refusal);
    leat_pg_waiter_cancel(&h->waiter);
    if (h->conn != NULL) {
        leat_pg_conn_forget(&h->query);
        leat_pg_pool_release(h->pool, h->conn);
    }
    free_history(h);
}

static leat_event_kind kind_of(leat_slice name)
{
    if (leat_slice_is(name, "revoke"))
        return LEAT_EVENT_REVOKE;
    return leat_slice_is(name, "resync") ? LEAT_EVENT_RESYNC : LEAT_EVENT_DATA;
}

static int64_t integer_at(const leat_pg_result *r, int row, int column)
{
    return strtoll(leat_pg_result_value(r, row, column).at, NULL, 10);
}

leat_history_row leat_history_row_at(const leat_history *h, int i)
{
    const leat_pg_result *r = h->rows;
    leat_history_row row = {
        .topic = leat_pg_result_value(r, i, COL_NAME),
        .after = integer_at(r, i, COL_AFTER),
        .epoch = leat_pg_result_value(r, i, COL_EPOCH),
        .head = integer_at(r, i, COL_HEAD),
        .revoked = integer_at(r, i, COL_REVOKED),
        .has_event = !leat_pg_result_is_null(r, i, COL_SEQ),
    };
    if (row.has_event) {
        row.seq = integer_at(r, i, COL_SEQ);
        row.kind = kind_of(leat_pg_result_value(r, i, COL_KIND));
        row.data = leat_pg_result_value(r, i, COL_DATA);
    }
    return row;
}
