/* hub_trim.c - on_time -> on_trimmed, and again after a while: soon after a full batch, and while
 * events wait to be looked at (leat_trim_backlog_seconds).
 */
#include "hub/hub_trim.h"

#include <string.h>

#include "base/log.h"

/* After a full batch, the pause is four times as long as the batch took: trimming takes a fifth of
 * a session's time, as long as a batch takes no more than 125 ms. Beyond that it takes more, so
 * that it does not fall behind. */
enum { PAUSE_FACTOR = 4, LEAST_PAUSE_MS = 20, MOST_PAUSE_MS = 500 };

/* Every call looks at the events of the last ten seconds once more. So there is a backlog only if
 * an event that is older than BACKLOG_S was not looked at. */
enum { BACKLOG_MS = 200, BACKLOG_S = 15 };

static void on_time(leat_deadline *d);
static void on_trimmed(leat_trim *t, const leat_trimmed *done, int err, const char *why);

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
    h->trim_began_ms = leat_loop_now(h->loop);
    leat_trim_start(&h->trim, h->pool, limits->retention_s, limits->retention_events,
                    h->trim_began_ms + limits->control_timeout_ms, on_trimmed);
}

static uint64_t pause_of_batch(uint64_t took_ms)
{
    uint64_t ms = PAUSE_FACTOR * took_ms;
    if (ms < LEAST_PAUSE_MS)
        return LEAST_PAUSE_MS;
    return ms < MOST_PAUSE_MS ? ms : MOST_PAUSE_MS;
}

static uint64_t pause_after(const leat_hub *h, const leat_trimmed *done)
{
    uint64_t interval_ms = h->limits->trim_interval_ms;
    if (done->full)
        return pause_of_batch(leat_loop_now(h->loop) - h->trim_began_ms);
    return done->backlog_s > BACKLOG_S && interval_ms > BACKLOG_MS ? BACKLOG_MS : interval_ms;
}

static void on_trimmed(leat_trim *t, const leat_trimmed *done, int err, const char *why)
{
    leat_hub *h = LEAT_CONTAINER_OF(t, leat_hub, trim);
    if (err < 0) {
        char quoted[256];
        LEAT_LOG_WARN("hub", "trimming the outbox failed err=%s",
                      leat_log_quote(quoted, sizeof(quoted), why, strlen(why)));
    } else {
        leat_metrics_set(h->metrics, LEAT_M_TRIM_BACKLOG, done->backlog_s);
        leat_metrics_set(h->metrics, LEAT_M_OUTBOX_TOPICS, done->topics);
    }
    leat_metrics_add(h->metrics, LEAT_M_TRIMMED_EVENTS, done->events);
    trim_after(h, pause_after(h, done));
}
