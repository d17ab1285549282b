/* hub_trim.c - keeps the outbox short: every trim_interval_ms, old events go, a batch at a time.
 *
 * on_trim -> on_trimmed; a full batch is followed by the next one soon, and so is any
 * call while events wait to be looked at (leat_trim_backlog_seconds). Of several servers on one
 * database, the one that gets leat_internal.trim's advisory lock works; the others find nothing to
 * do.
 */
#include "hub/hub_private.h"

#include <stdlib.h>

#include "base/log.h"

/* An event of the last ten seconds is looked at once more by every call: behind is what is older
 * than BEHIND_S and was not looked at. */
enum { TRIM_BATCH = 1000, TRIM_SOON_MS = 20, TRIM_BEHIND_MS = 200, BEHIND_S = 15 };

/* With the age of the oldest event that leat_internal.trim had not looked at when the call began. A
 * call is bounded, and may find nothing to delete where much is left to look at. */
static const char trim_sql[] =
    "select leat_internal.trim(make_interval(secs => $1::float8), $2::bigint, $3::int),"
    " coalesce(date_part('epoch', clock_timestamp() - ("
    "  select min(e.created_at) from leat.event e where e.created_at > coalesce("
    "   (select t.seen from leat_internal.trimming t where t.max_events = $2::bigint), "
    "'-infinity'))), 0)";

static void on_trim(leat_deadline *d);
static void on_trimmed(leat_pg_job *job, leat_pg_result *res, int err);

static void arm_trim(leat_hub *h, uint64_t in_ms)
{
    leat_loop_after(h->loop, &h->trim, in_ms, on_trim);
}

void hub_trim_init(leat_hub *h)
{
    leat_deadline_init(&h->trim);
    leat_pg_job_init(&h->trim_job);
}

void hub_trim_start(leat_hub *h)
{
    arm_trim(h, h->options.limits->trim_interval_ms);
}

void hub_trim_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->trim);
    leat_pg_job_cancel(&h->trim_job);
}

static void on_trim(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, trim);
    const leat_limits *limits = h->options.limits;
    if (h->phase != HUB_READY) {
        arm_trim(h, limits->trim_interval_ms);
        return;
    }
    char age[24], count[24], batch[24];
    leat_pg_param params[] = {
        {age, (size_t)snprintf(age, sizeof(age), "%llu", (unsigned long long)limits->retention_s)},
        {count, (size_t)snprintf(count, sizeof(count), "%llu",
                                 (unsigned long long)limits->retention_events)},
        {batch, (size_t)snprintf(batch, sizeof(batch), "%d", TRIM_BATCH)},
    };
    uint64_t deadline_ms = leat_loop_now(h->loop) + limits->control_timeout_ms;
    leat_pg_job_start(&h->trim_job, h->pool, trim_sql, params, 3, deadline_ms, on_trimmed);
}

static void on_trimmed(leat_pg_job *job, leat_pg_result *res, int err)
{
    leat_hub *h = LEAT_CONTAINER_OF(job, leat_hub, trim_job);
    long long trimmed = 0;
    double behind_s = 0;
    if (err == 0 && leat_pg_result_rows(res) == 1) {
        trimmed = strtoll(leat_pg_result_value(res, 0, 0).at, NULL, 10);
        behind_s = strtod(leat_pg_result_value(res, 0, 1).at, NULL);
        leat_metrics_set(h->metrics, LEAT_M_TRIM_BACKLOG, (int64_t)behind_s);
    } else {
        LEAT_LOG_WARN("hub", "trimming the outbox failed sqlstate=%s",
                      res == NULL ? "-" : leat_pg_result_sqlstate(res));
    }
    leat_metrics_add(h->metrics, LEAT_M_TRIMMED_EVENTS, trimmed);
    uint64_t next_ms = h->options.limits->trim_interval_ms;
    if (trimmed >= TRIM_BATCH)
        next_ms = TRIM_SOON_MS;
    else if (behind_s > BEHIND_S && next_ms > TRIM_BEHIND_MS)
        next_ms = TRIM_BEHIND_MS;
    arm_trim(h, next_ms);
}
