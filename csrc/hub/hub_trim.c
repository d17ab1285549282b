/* hub_trim.c - on_time -> on_trimmed, and again after a while: soon after a full batch, and while
 * events wait to be looked at (leat_trim_backlog_seconds).
 */
#include "hub/hub_trim.h"

#include "base/log.h"

/* Every call looks at the events of the last ten seconds once more. So there is a backlog only if
 * an event that is older than BACKLOG_S was not looked at. */
enum { FULL_BATCH_MS = 20, BACKLOG_MS = 200, BACKLOG_S = 15 };

static void on_time(leat_deadline *d);
static void on_trimmed(leat_trim *t, const leat_trimmed *done, int err, const char *sqlstate);

void hub_trim_init(leat_hub *h)
{
    leat_deadline_init(&h->trim_deadline);
    leat_trim_init(&h->trim);
}

static void trim_after(leat_hub *h, uint64_t ms)
{
    leat_loop_after(h->loop, &h->trim_deadline, ms, on_time);
}

void hub_trim_start(leat_hub *h)
{
    trim_after(h, h->limits->trim_interval_ms);
}

void hub_trim_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->trim_deadline);
    leat_trim_cancel(&h->trim);
}

static void on_time(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, trim_deadline);
    const leat_limits *limits = h->limits;
    if (h->phase != HUB_READY) {
        trim_after(h, limits->trim_interval_ms);
        return;
    }
    leat_trim_start(&h->trim, h->pool, limits->retention_s, limits->retention_events,
                    leat_loop_now(h->loop) + limits->control_timeout_ms, on_trimmed);
}

static uint64_t pause_after(const leat_hub *h, const leat_trimmed *done)
{
    uint64_t interval_ms = h->limits->trim_interval_ms;
    if (done->full)
        return FULL_BATCH_MS;
    return done->backlog_s > BACKLOG_S && interval_ms > BACKLOG_MS ? BACKLOG_MS : interval_ms;
}

static void on_trimmed(leat_trim *t, const leat_trimmed *done, int err, const char *sqlstate)
{
    leat_hub *h = LEAT_CONTAINER_OF(t, leat_hub, trim);
    if (err < 0) {
        LEAT_LOG_WARN("hub", "trimming the outbox failed sqlstate=%s", sqlstate);
    } else {
        leat_metrics_set(h->metrics, LEAT_M_TRIM_BACKLOG, done->backlog_s);
        leat_metrics_set(h->metrics, LEAT_M_OUTBOX_TOPICS, done->topics);
    }
    leat_metrics_add(h->metrics, LEAT_M_TRIMMED_EVENTS, done->events);
    trim_after(h, pause_after(h, done));
}
