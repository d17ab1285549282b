/* history.c - leat_history_start runs the query as a job of the pool (pg_job.h) -> on_rows -> cb.
 */
#include "outbox/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/json.h"

/* Names are qualified and types exact, so that the role's search_path means nothing here.
 *
 * The innermost part reads a topic's rows in order, and turns the data into text, once (offset 0
 * keeps the parts apart), but for what is far too large: text is never shorter than a sixth of
 * jsonb's own form, whose size #> '{}' shows without compression. A row's bytes are those of its
 * data, and 0 if the data is too large: then the data goes no further. The sums of the bytes before
 * a row bound the answer: by topic (later rows are not in it) and as a whole (later rows are in it
 * without their data). The first row always passes. leat.topic is named first, in a part that reads
 * nothing, so that it is locked before leat.event: TRUNCATE of it goes on to that one, and would
 * deadlock. */
static const char sql[] =
    "select a.name, a.after, a.epoch, a.head, a.revoked, a.seq, a.kind,"
    "       case when a.fits and a.before operator(pg_catalog.<) $4::pg_catalog.int8"
    "            then a.data end,"
    "       a.at, not a.fits, a.before operator(pg_catalog.>=) $4::pg_catalog.int8,"
    "       " LEAT_HISTORY_HIDDEN_SQL " from ("
    " select w.name, w.after, p.epoch, p.seq as head, p.revoked, e.seq, e.kind, e.data, e.at,"
    "        e.fits, pg_catalog.sum(e.bytes) over (order by w.name, e.seq)"
    "        operator(pg_catalog.-) e.bytes as before"
    "  from (select from leat.topic where false) as locked"
    "  right join pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb)"
    "        as w(name pg_catalog.text, after pg_catalog.int8) on true"
    "  cross join lateral leat_internal.position(w.name) p"
    "  left join lateral ("
    "   select y.seq, y.kind, y.data, y.at, y.fits, y.bytes from ("
    "    select z.*, pg_catalog.sum(z.bytes) over (order by z.seq)"
    "           operator(pg_catalog.-) z.bytes as before"
    "     from (select x.seq, x.kind, x.at,"
    "                  x.size operator(pg_catalog.<=) $5::pg_catalog.int8 as fits,"
    "                  case when x.size operator(pg_catalog.<=) $5::pg_catalog.int8"
    "                       then x.size else 0 end as bytes,"
    "                  case when x.size operator(pg_catalog.<=) $5::pg_catalog.int8"
    "                       then x.data end as data"
    "            from (select t.*, coalesce(pg_catalog.octet_length(t.data)::pg_catalog.int8,"
    "                         $5::pg_catalog.int8 operator(pg_catalog.+) 1) as size"
    "                   from (select v.seq, v.kind,"
    "                                case when pg_catalog.pg_column_size("
    "                                       v.data operator(pg_catalog.#>) '{}'::pg_catalog.text[])"
    "                                     operator(pg_catalog.<=)"
    "                                       ($5::pg_catalog.int8 operator(pg_catalog.*) 6)"
    "                                     then v.data::pg_catalog.text end as data,"
    "                                (pg_catalog.date_part('epoch', v.created_at)"
    "                                 operator(pg_catalog.*) 1000000::pg_catalog.float8)"
    "                                ::pg_catalog.int8 as at"
    "                          from leat.event v"
    "                          where v.topic operator(pg_catalog.=) w.name"
    "                            and v.seq operator(pg_catalog.>) w.after"
    "                            and p.seq operator(pg_catalog.>) w.after"
    "                          order by v.seq limit $2::pg_catalog.int8) t offset 0) x"
    "            offset 0) z) y"
    "   where y.before operator(pg_catalog.<) $3::pg_catalog.int8) e on true) a"
    " order by a.name, a.seq";

enum column {
    COL_NAME,
    COL_AFTER,
    COL_EPOCH,
    COL_HEAD,
    COL_REVOKED,
    COL_SEQ,
    COL_KIND,
    COL_DATA,
    COL_AT,
    COL_OVERSIZE,
    COL_LEFT_OUT,
    COL_HIDDEN,
};

struct leat_history {
    leat_pg_pool *pool;
    leat_buf wanted; /* the JSON of $1 */
    size_t count;
    leat_pg_job job;
    const leat_pg_result *rows; /* within the callback */
    const char *reason;         /* likewise, of a failure */
    const char *sqlstate;
    leat_history_cb cb;
    void *arg;
};

static void on_rows(leat_pg_job *job, leat_pg_result *res, int err);

leat_history *leat_history_new(leat_pg_pool *pool)
{
    leat_history *h = leat_calloc(1, sizeof(*h));
    h->pool = pool;
    leat_pg_job_init(&h->job);
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

void leat_history_start(leat_history *h, const leat_history_bounds *bounds, uint64_t deadline_ms,
                        leat_history_cb cb, void *arg)
{
    leat_buf_char(&h->wanted, ']');
    h->cb = cb;
    h->arg = arg;
    const int64_t numbers[] = {bounds->events, bounds->topic_bytes, bounds->total_bytes,
                               bounds->event_bytes};
    char text[sizeof(numbers) / sizeof(numbers[0])][24];
    leat_pg_param params[1 + sizeof(numbers) / sizeof(numbers[0])] = {leat_buf_view(&h->wanted)};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        int len = snprintf(text[i], sizeof(text[i]), "%" PRId64, numbers[i]);
        params[i + 1] = (leat_pg_param){text[i], (size_t)len};
    }
    leat_pg_job_start(&h->job, h->pool, sql, params, sizeof(params) / sizeof(params[0]),
                      deadline_ms, on_rows);
}

static bool is_true(const leat_pg_result *r, int row, int column)
{
    return leat_slice_is(leat_pg_result_value(r, row, column), "t");
}

/* Each topic that was asked for has a row at least. */
static int check_rows(const leat_history *h, const leat_pg_result *res)
{
    int n_rows = leat_pg_result_rows(res);
    size_t topics = 0;
    for (int i = 0; i < n_rows; i++)
        topics += i == 0 || !leat_slice_equal(leat_pg_result_value(res, i, COL_NAME),
                                              leat_pg_result_value(res, i - 1, COL_NAME));
    if (n_rows > 0 && is_true(res, 0, COL_HIDDEN))
        return LEAT_EHIDDEN;
    return topics < h->count ? LEAT_EMISSING : 0;
}

static void free_history(leat_history *h)
{
    leat_buf_close(&h->wanted);
    free(h);
}

static void on_rows(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_history *h = LEAT_CONTAINER_OF(job, leat_history, job);
    if (err == 0)
        err = check_rows(h, res);
    h->rows = res;
    h->reason = leat_pg_job_reason(res, err);
    h->sqlstate = err == LEAT_EPG_SERVER ? leat_pg_result_sqlstate(res) : "";
    h->cb(h, err, err < 0 ? 0 : leat_pg_result_rows(res), h->arg);
    free_history(h);
}

const char *leat_history_reason(const leat_history *h)
{
    return h->reason;
}

const char *leat_history_sqlstate(const leat_history *h)
{
    return h->sqlstate;
}

void leat_history_cancel(leat_history *h)
{
    leat_pg_job_cancel(&h->job);
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
        .head = {leat_pg_result_value(r, i, COL_EPOCH), integer_at(r, i, COL_HEAD),
                 integer_at(r, i, COL_REVOKED)},
        .has_event = !leat_pg_result_is_null(r, i, COL_SEQ),
    };
    if (row.has_event) {
        row.seq = integer_at(r, i, COL_SEQ);
        row.at = integer_at(r, i, COL_AT);
        row.left_out = is_true(r, i, COL_LEFT_OUT);
        row.kind = kind_of(leat_pg_result_value(r, i, COL_KIND));
        row.data = leat_pg_result_value(r, i, COL_DATA);
    }
    if (row.has_event && is_true(r, i, COL_OVERSIZE)) {
        row.kind = LEAT_EVENT_OVERSIZE;
        row.data = leat_slice_of("null");
    }
    return row;
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    leat_metric reason = LEAT_M_FETCH_FAILURES_OTHER;
    if (err == LEAT_EHIDDEN)
        reason = LEAT_M_FETCH_FAILURES_HIDDEN;
    else if (err == LEAT_EMISSING)
        reason = LEAT_M_FETCH_FAILURES_MISSING;
    else if (err == LEAT_EDEADLINE)
        reason = LEAT_M_FETCH_FAILURES_DEADLINE;
    else if (err == LEAT_EPG_LOST || err == LEAT_EBUSY)
        reason = LEAT_M_FETCH_FAILURES_UNAVAILABLE;
    else if (strcmp(sqlstate, LEAT_UNCONFIRMED) == 0)
        reason = LEAT_M_FETCH_FAILURES_UNCONFIRMED;
    else if (strcmp(sqlstate, "42501") == 0)
        reason = LEAT_M_FETCH_FAILURES_DENIED;
    leat_metrics_add(m, reason, 1);
}
