/* excerpt.c - leat_excerpt_start runs one of two queries, which differ in their order only ->
 * on_rows -> cb. */
#include "outbox/excerpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/container_of.h"
#include "base/mem.h"
#include "outbox/history.h"

/* As the query of history.c: names are qualified, leat.topic is locked first, an event's data is
 * turned into text once, and not at all if it is far too large. There is a row in any case: the
 * position. */
#define EXCERPT(compare, order)                                                                    \
    "select p.epoch, p.seq as head, p.revoked,"                                                    \
    "       p.seq operator(pg_catalog.<=) $2::pg_catalog.int8 or exists ("                         \
    "        select from leat.event f"                                                             \
    "         where f.topic operator(pg_catalog.=) $1::pg_catalog.text"                            \
    "           and f.seq operator(pg_catalog.=) ($2::pg_catalog.int8 operator(pg_catalog.+) 1))," \
    "       e.seq, e.data, " LEAT_HISTORY_HIDDEN_SQL                                               \
    "  from (select from leat.topic where false) as locked"                                        \
    "  right join leat_internal.position($1::pg_catalog.text) p on true"                           \
    "  left join lateral ("                                                                        \
    "   select y.seq, y.data from ("                                                               \
    "    select x.seq, x.data, pg_catalog.sum(x.bytes) over (order by x.seq " order ")"            \
    "           operator(pg_catalog.-) x.bytes as before"                                          \
    "      from (select t.seq, t.data, pg_catalog.octet_length(t.data)::pg_catalog.int8 as bytes"  \
    "              from (select v.seq,"                                                            \
    "                           case when pg_catalog.pg_column_size("                              \
    "                                  v.data operator(pg_catalog.#>) '{}'::pg_catalog.text[])"    \
    "                                operator(pg_catalog.<=)"                                      \
    "                                  ($5::pg_catalog.int8 operator(pg_catalog.*) 6)"             \
    "                                then v.data::pg_catalog.text end as data"                     \
    "                      from leat.event v"                                                      \
    "                     where v.topic operator(pg_catalog.=) $1::pg_catalog.text"                \
    "                       and v.seq operator(pg_catalog." compare ") $2::pg_catalog.int8"        \
    "                       and v.kind operator(pg_catalog.=) 'event'::pg_catalog.text"            \
    "                     order by v.seq " order " limit $3::pg_catalog.int8) t offset 0) x"       \
    "     where x.bytes operator(pg_catalog.<=) $5::pg_catalog.int8) y"                            \
    "   where y.before operator(pg_catalog.<) $4::pg_catalog.int8) e on true"                      \
    " order by e.seq " order

static const char forward_sql[] = EXCERPT(">", "asc");
static const char reverse_sql[] = EXCERPT("<", "desc");

enum column { COL_EPOCH, COL_HEAD, COL_REVOKED, COL_LEADS_ON, COL_SEQ, COL_DATA, COL_HIDDEN };

struct leat_excerpt {
    leat_pg_job job;
    const leat_pg_result *rows; /* within the callback */
    const char *reason;         /* likewise, of a failure */
    const char *sqlstate;
    leat_excerpt_cb cb;
    void *arg;
};

static void on_rows(leat_pg_job *job, leat_pg_result *res, int err);

leat_excerpt *leat_excerpt_start(leat_pg_pool *pool, const leat_excerpt_ask *ask, leat_pg_bill bill,
                                 uint64_t deadline_ms, leat_excerpt_cb cb, void *arg)
{
    enum { NUMBERS = 4 };
    const int64_t numbers[NUMBERS] = {ask->since, ask->events, ask->bytes, ask->event_bytes};
    char text[NUMBERS][24];
    leat_pg_param params[1 + NUMBERS] = {ask->topic};
    leat_excerpt *e = leat_calloc(1, sizeof(*e));
    e->cb = cb;
    e->arg = arg;
    for (size_t i = 0; i < NUMBERS; i++) {
        int len = snprintf(text[i], sizeof(text[i]), "%" PRId64, numbers[i]);
        params[i + 1] = (leat_pg_param){text[i], (size_t)len};
    }
    leat_pg_job_init(&e->job);
    leat_pg_job_bill(&e->job, bill);
    leat_pg_job_start(&e->job, pool, ask->reverse ? reverse_sql : forward_sql, params, 1 + NUMBERS,
                      deadline_ms, on_rows);
    return e;
}

void leat_excerpt_cancel(leat_excerpt *e)
{
    leat_pg_job_cancel(&e->job);
    free(e);
}

static bool is_true(const leat_pg_result *r, int column)
{
    return leat_slice_is(leat_pg_result_value(r, 0, column), "t");
}

static int check_rows(const leat_pg_result *res)
{
    if (leat_pg_result_rows(res) == 0)
        return LEAT_EMISSING;
    return is_true(res, COL_HIDDEN) ? LEAT_EHIDDEN : 0;
}

/* The one row of an answer without events has none. */
static size_t count_events(const leat_pg_result *res)
{
    return leat_pg_result_is_null(res, 0, COL_SEQ) ? 0 : (size_t)leat_pg_result_rows(res);
}

static void on_rows(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_excerpt *e = LEAT_CONTAINER_OF(job, leat_excerpt, job);
    if (err == 0)
        err = check_rows(res);
    e->rows = res;
    e->reason = leat_pg_job_reason(res, err);
    e->sqlstate = err == LEAT_EPG_SERVER ? leat_pg_result_sqlstate(res) : "";
    e->cb(e, err, err < 0 ? 0 : count_events(res), e->arg);
    free(e);
}

static int64_t integer_at(const leat_excerpt *e, size_t row, int column)
{
    return strtoll(leat_pg_result_value(e->rows, (int)row, column).at, NULL, 10);
}

leat_named_position leat_excerpt_head(const leat_excerpt *e)
{
    return (leat_named_position){
        .epoch = leat_pg_result_value(e->rows, 0, COL_EPOCH),
        .seq = integer_at(e, 0, COL_HEAD),
        .revoked = integer_at(e, 0, COL_REVOKED),
    };
}

bool leat_excerpt_leads_on(const leat_excerpt *e)
{
    return is_true(e->rows, COL_LEADS_ON);
}

leat_excerpt_event leat_excerpt_event_at(const leat_excerpt *e, size_t i)
{
    return (leat_excerpt_event){
        .seq = integer_at(e, i, COL_SEQ),
        .data = leat_pg_result_value(e->rows, (int)i, COL_DATA),
    };
}

const char *leat_excerpt_reason(const leat_excerpt *e)
{
    return e->reason;
}

const char *leat_excerpt_sqlstate(const leat_excerpt *e)
{
    return e->sqlstate;
}
