/* hub_repair.c - asks the outbox about topics: those that lack something, and, after a reconnect
 * and every compare_interval_ms, all of them.
 *
 * start_fetch asks in one fetch for the topics that were wanted in a turn (hub_want.h), at most for
 * a batch of them. on_history hands the rows to hub_topic.c, which wants again whatever is still
 * missing. One fetch runs at a time: the next one asks for what is wanted in the meantime.
 *
 * A fetch that fails, or that brings fewer rows than it must, says nothing about any topic. Its
 * topics are wanted again, and it is repeated with back-off. While none is wanted, a probe finds
 * out whether the outbox can be read again.
 */
#include "hub/hub_repair.h"

#include <stdio.h>
#include <string.h>

#include "hub/hub_attend.h"
#include "hub/hub_topic.h"
#include "hub/hub_want.h"

enum {
    BATCH_TOPICS = 256,
    BATCH_BYTES = 8 * 1024 * 1024,
    FETCH_TIMEOUT_MS = 5000, /* no client waits for it, so no client's deadline bounds it */
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
};

/* The position of a topic can be read even if no such topic exists. */
#define PROBE_TOPIC "leat"

static void start_fetch(leat_sweep *s);
static void on_history(leat_history *f, int err, int n_rows, void *arg);
static void on_retry(leat_deadline *d);
static void on_compare(leat_deadline *d);

void hub_repair_init(leat_hub *h)
{
    hub_repair *r = &h->repair;
    hub_want_init(h, start_fetch);
    leat_deadline_init(&r->retry);
    leat_deadline_init(&r->compare);
    leat_backoff_init(&r->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
}

void hub_repair_start(leat_hub *h)
{
    leat_loop_after(h->loop, &h->repair.compare, h->limits->compare_interval_ms, on_compare);
}

void hub_repair_stop(leat_hub *h)
{
    hub_repair *r = &h->repair;
    hub_want_stop(h);
    leat_deadline_cancel(&r->retry);
    leat_deadline_cancel(&r->compare);
    if (r->state == HUB_FETCH_RUNS)
        leat_history_cancel(r->fetch);
    r->state = HUB_FETCH_NONE;
}

static void on_compare(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, repair.compare);
    hub_repair_start(h);
    if (h->phase == HUB_READY)
        hub_want_all(h);
}

static void ask_for_wanted(leat_hub *h, leat_history *f)
{
    hub_topic *t;
    while (leat_history_count(f) < BATCH_TOPICS && (t = hub_want_take(h)) != NULL) {
        if (t->heard == t->at.seq) /* nothing was known to be missing */
            t->lost = true;
        leat_history_ask(f, leat_map_key(&t->entry), t->at.seq);
    }
    if (leat_history_count(f) == 0) /* a probe: where the topic stands, and no event of it */
        leat_history_ask(f, leat_slice_of(PROBE_TOPIC), LEAT_SEQ_MAX);
}

static leat_history_bounds bounds_of(const leat_hub *h, int64_t n_topics)
{
    int64_t events = (int64_t)h->limits->history_events;
    return (leat_history_bounds){
        .events = n_topics > 8 ? (events + 7) / 8 : events,
        .topic_bytes = BATCH_BYTES / n_topics,
        .total_bytes = BATCH_BYTES,
        .event_bytes = (int64_t)h->limits->max_event_bytes,
    };
}

static void start_fetch(leat_sweep *s)
{
    leat_hub *h = LEAT_CONTAINER_OF(s, leat_hub, want.start);
    hub_repair *r = &h->repair;
    bool wanted = h->want.probe || !leat_list_empty(&h->want.next);
    if (h->phase != HUB_READY || r->state != HUB_FETCH_NONE || !wanted)
        return;
    leat_history *f = leat_history_new(h->pool);
    ask_for_wanted(h, f);
    leat_history_bounds bounds = bounds_of(h, (int64_t)leat_history_count(f));
    r->state = HUB_FETCH_RUNS;
    r->fetch = f;
    leat_history_start(f, &bounds, leat_loop_now(h->loop) + FETCH_TIMEOUT_MS, on_history, h);
}

/* After a failed fetch: all that it asked for is wanted again. Returns how many topics that is. */
static size_t want_asked_again(leat_hub *h)
{
    size_t n = 0;
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        if (!hub_want_is_asked(t))
            continue;
        hub_want_end(t);
        hub_want_next(t);
        n++;
    }
    return n;
}

static void on_retry(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, repair.retry);
    h->repair.state = HUB_FETCH_NONE;
    leat_sweep_schedule(h->loop, &h->want.start);
}

static void fetch_failed(leat_hub *h, int err, const char *reason, const char *sqlstate)
{
    hub_repair *r = &h->repair;
    uint64_t retry_ms = leat_backoff_next(&r->backoff, leat_loop_random(h->loop));
    leat_log_series_warn(&r->failures, leat_loop_now(h->loop), "hub", "outbox not read", reason);
    leat_history_count_failure(h->metrics, err, sqlstate);
    hub_health_set_trouble(&h->health, LEAT_HUB_OUTBOX, reason);
    r->state = HUB_FETCH_WAITS;
    leat_loop_after(h->loop, &r->retry, retry_ms, on_retry);
    h->want.probe = true;
    leat_metrics_set(h->metrics, LEAT_M_TOPICS_UNREADABLE, (int64_t)want_asked_again(h));
    if (strcmp(sqlstate, LEAT_UNCONFIRMED) == 0)
        hub_attend_unconfirmed(h);
}

static void fetch_succeeded(leat_hub *h)
{
    h->repair.state = HUB_FETCH_NONE;
    h->want.probe = false;
    leat_backoff_reset(&h->repair.backoff);
    hub_health_set_trouble(&h->health, LEAT_HUB_OUTBOX, NULL);
    leat_metrics_set(h->metrics, LEAT_M_TOPICS_UNREADABLE, 0);
    leat_sweep_schedule(h->loop, &h->want.start);
}

/* If the answer was full, the topic's rows end early: the rest is asked for at once. */
static void end_rows(hub_topic *t, const leat_history_row *last)
{
    if (last->left_out) {
        hub_want_end(t);
        hub_want_next(t);
    } else {
        hub_topic_fetched_all(t, last);
    }
}

static void take_row(leat_hub *h, const leat_history_row *row, bool is_last)
{
    hub_topic *t = hub_topic_find(h, row->topic);
    if (t == NULL || !hub_want_is_asked(t))
        return; /* a probe; or the topic was disarmed, or reset, since it was asked for */
    if (!row->left_out)
        hub_topic_fetched(t, row);
    if (is_last)
        end_rows(t, row);
}

/* True if another server has found the history renewed. */
static bool is_of_other_history(const leat_hub *h, leat_slice epoch)
{
    char known[20];
    int len = snprintf(known, sizeof(known), "%s-%s-", h->timeline, h->history);
    return epoch.len < (size_t)len || memcmp(epoch.at, known, (size_t)len) != 0;
}

/* The newest entry that was read becomes an anchor. */
static void keep_newest(leat_hub *h, const leat_history_row *newest)
{
    leat_named_position at = newest->head;
    at.seq = newest->seq;
    if (newest->has_event)
        hub_anchor_read(&h->anchors, newest->topic, &at, newest->at);
}

static void on_history(leat_history *f, int err, int n_rows, void *arg)
{
    leat_hub *h = arg;
    if (err < 0) {
        fetch_failed(h, err, leat_history_reason(f), leat_history_sqlstate(f));
        return;
    }
    fetch_succeeded(h);
    leat_history_row newest = {0};
    for (int i = 0; i < n_rows; i++) {
        leat_history_row row = leat_history_row_at(f, i);
        newest = row.has_event && row.at >= newest.at ? row : newest;
        bool is_last =
            i + 1 == n_rows || !leat_slice_equal(leat_history_row_at(f, i + 1).topic, row.topic);
        take_row(h, &row, is_last);
    }
    keep_newest(h, &newest);
    if (is_of_other_history(h, leat_history_row_at(f, 0).head.epoch))
        hub_attend_check(h);
}
