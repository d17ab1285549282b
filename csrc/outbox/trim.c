/* trim.c - one call of leat_internal.trim. */
#include "outbox/trim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 1000 };

/* With the age of the oldest event that leat_internal.trim had not looked at when the call began. A
 * call is bounded, and may find nothing to delete where much is left to look at. And with the
 * number of topics, as the planner estimates it: counting them would take long if there are very
 * many. */
static const char sql[] =
    "select leat_internal.trim(make_interval(secs => $1::float8), $2::bigint, $3::int),"
    " coalesce(date_part('epoch', clock_timestamp() - ("
    "  select min(e.created_at) from leat.event e where e.created_at > coalesce("
    "   (select t.seen from leat_internal.trimming t where t.max_events = $2::bigint), "
    "'-infinity'))), 0),"
    " (select greatest(c.reltuples, 0)::bigint from pg_catalog.pg_class c"
    "  where c.oid = 'leat.topic'::regclass)";

static void on_trimmed(leat_pg_job *job, leat_pg_result *res, int err);

void leat_trim_init(leat_trim *t)
{
    leat_pg_job_init(&t->job_);
}

void leat_trim_cancel(leat_trim *t)
{
    leat_pg_job_cancel(&t->job_);
}

static leat_pg_param number(char text[24], uint64_t n)
{
    return (leat_pg_param){text, (size_t)snprintf(text, 24, "%" PRIu64, n)};
}

void leat_trim_start(leat_trim *t, leat_pg_pool *pool, uint64_t retention_s,
                     uint64_t retention_events, uint64_t deadline_ms, leat_trim_cb cb)
{
    char age[24], count[24], batch[24];
    leat_pg_param params[] = {number(age, retention_s), number(count, retention_events),
                              number(batch, BATCH)};
    t->cb_ = cb;
    leat_pg_job_start(&t->job_, pool, sql, params, 3, deadline_ms, on_trimmed);
}

static void on_trimmed(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_trim *t = LEAT_CONTAINER_OF(job, leat_trim, job_);
    if (err == 0 && leat_pg_result_rows(res) != 1)
        err = LEAT_EBADMSG;
    if (err < 0) {
        t->cb_(t, &(leat_trimmed){0}, err, leat_pg_job_reason(res, err));
        return;
    }
    leat_trimmed done = {
        .events = strtoll(leat_pg_result_value(res, 0, 0).at, NULL, 10),
        .backlog_s = (int64_t)strtod(leat_pg_result_value(res, 0, 1).at, NULL),
        .topics = strtoll(leat_pg_result_value(res, 0, 2).at, NULL, 10),
    };
    done.full = done.events >= BATCH;
    t->cb_(t, &done, 0, "");
}
