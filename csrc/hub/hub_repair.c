/* hub_repair.c - asks the outbox about topics: those with a hole, those that somebody saw further,
 * and, after a reconnect and every compare_interval_ms, all of them.
 *
 * hub_repair_want collects; at the end of the turn on_repair asks for up to a batch of topics in
 * one query; on_history hands the rows to hub_topic.c, which wants again whatever is still missing.
 * There is one fetch at a time: what is wanted meanwhile makes the next batch.
 *
 * A fetch that fails, or that brings fewer rows than it must, says nothing about any topic: the
 * topics stay wanted, and it is repeated with back-off. While none is wanted, a probe finds out
 * whether the outbox can be read again.
 */
#include "hub/hub_private.h"

#include <stdio.h>
#include <string.h>

enum {
    BATCH_TOPICS = 256,
    BATCH_BYTES = 8 * 1024 * 1024,
    DOUBT_MS = 50,   /* an announcement that is under way has arrived by then */
    FETCH_MS = 5000, /* no client waits for it, so it is not theirs to bound */
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
    PROBE_GAP_MS = 1000,
};

/* No topic of that name need be there: where it stands can be read all the same. */
#define PROBE "leat"

static void on_repair(leat_sweep *s);
static void on_history(leat_history *f, int err, int n_rows, void *arg);
static void on_retry(leat_deadline *d);
static void on_doubts(leat_deadline *d);
static void on_compare(leat_deadline *d);

static void arm(leat_hub *h, leat_deadline *d, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_loop_after(h->loop, d, in_ms, cb);
}

void hub_repair_init(leat_hub *h)
{
    leat_list_init(&h->wanting);
    leat_list_init(&h->doubtful);
    leat_deadline_init(&h->retry);
    leat_deadline_init(&h->doubts);
    leat_deadline_init(&h->compare);
    leat_sweep_init(&h->repair, on_repair);
    leat_backoff_init(&h->fetch_backoff, RETRY_MIN_MS, RETRY_MAX_MS);
}

void hub_repair_start(leat_hub *h)
{
    arm(h, &h->compare, h->options.limits->compare_interval_ms, on_compare);
}

void hub_repair_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->retry);
    leat_deadline_cancel(&h->doubts);
    leat_deadline_cancel(&h->compare);
    leat_sweep_cancel(&h->repair);
    if (h->fetch != NULL)
        leat_history_cancel(h->fetch);
    h->fetch = NULL;
}

/* At the end of the turn, unless one runs or the last one has failed just now. */
static void fetch_soon(leat_hub *h)
{
    if (h->fetch == NULL && !leat_deadline_armed(&h->retry))
        leat_sweep_schedule(h->loop, &h->repair);
}

void hub_repair_want(hub_topic *t)
{
    leat_hub *h = t->hub;
    if (t->fetching)
        return; /* its answer decides whether more is wanted */
    leat_list_unlink(&t->repair_link);
    leat_list_push(&h->wanting, &t->repair_link);
    fetch_soon(h);
}

void hub_repair_doubt(hub_topic *t)
{
    leat_hub *h = t->hub;
    if (t->fetching || !leat_list_empty(&t->repair_link))
        return;
    leat_list_push(&h->doubtful, &t->repair_link);
    if (!leat_deadline_armed(&h->doubts))
        arm(h, &h->doubts, DOUBT_MS, on_doubts);
}

static void on_doubts(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, doubts);
    for (leat_list *l = leat_list_shift(&h->doubtful); l != NULL; l = leat_list_shift(&h->doubtful))
        hub_repair_want(LEAT_CONTAINER_OF(l, hub_topic, repair_link));
}

void hub_repair_compare_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        if (t->head == LEAT_HUB_UNKNOWN || t->fetching)
            t->unsure = true; /* the fetch that runs may have looked too early */
        else
            hub_repair_want(t);
    }
}

static void on_compare(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, compare);
    arm(h, &h->compare, h->options.limits->compare_interval_ms, on_compare);
    if (h->phase == HUB_READY)
        hub_repair_compare_all(h);
}

void hub_repair_probe(leat_hub *h)
{
    uint64_t now = leat_loop_now(h->loop);
    bool lately = h->probed_ms != 0 && now - h->probed_ms < PROBE_GAP_MS;
    if (lately && !h->probing)
        return;
    /* One that has failed, or could not begin, is owed however short it is since then: its
     * repetition found the broker down, and nobody else would ask. The back-off bounds it. */
    h->probed_ms = now;
    h->probing = true;
    fetch_soon(h);
}

static void ask_for_wanted(leat_hub *h)
{
    while (leat_history_count(h->fetch) < BATCH_TOPICS) {
        leat_list *l = leat_list_shift(&h->wanting);
        if (l == NULL)
            break;
        hub_topic *t = LEAT_CONTAINER_OF(l, hub_topic, repair_link);
        if (t->head == LEAT_HUB_UNKNOWN)
            continue;
        t->fetching = true;
        t->blind = t->heard == t->head;
        leat_history_ask(h->fetch, t->entry.key, t->head);
    }
}

static void on_repair(leat_sweep *s)
{
    leat_hub *h = LEAT_CONTAINER_OF(s, leat_hub, repair);
    if (h->phase != HUB_READY || h->fetch != NULL || (leat_list_empty(&h->wanting) && !h->probing))
        return;
    h->fetch = leat_history_new(h->pool);
    ask_for_wanted(h);
    if (leat_history_count(h->fetch) == 0 && h->probing)
        leat_history_ask(h->fetch, leat_slice_of(PROBE),
                         LEAT_SEQ_MAX); /* where it stands, if at all */
    int64_t n = (int64_t)leat_history_count(h->fetch);
    if (n == 0) {
        leat_history_cancel(h->fetch);
        h->fetch = NULL;
        return;
    }
    int64_t events = (int64_t)h->options.limits->history_events;
    leat_history_bounds bounds = {
        .events = n > 8 ? (events + 7) / 8 : events,
        .topic_bytes = BATCH_BYTES / n,
        .total_bytes = BATCH_BYTES,
        .event_bytes = (int64_t)h->options.limits->max_event_bytes,
    };
    leat_history_start(h->fetch, &bounds, leat_loop_now(h->loop) + FETCH_MS, on_history, h);
}

/* After a failed fetch: everything that it asked for is wanted again. Returns how much that is. */
static size_t want_again(leat_hub *h)
{
    size_t n = 0;
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        if (!t->fetching)
            continue;
        t->fetching = false;
        hub_repair_want(t);
        n++;
    }
    return n;
}

static void on_retry(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, retry);
    leat_sweep_schedule(h->loop, &h->repair);
}

static void fetch_failed(leat_hub *h, int err, const char *reason, const char *sqlstate)
{
    leat_log_series_warn(&h->fetch_failures, leat_loop_now(h->loop), "hub", "outbox not read",
                         reason);
    leat_history_count_failure(h->metrics, err, sqlstate);
    hub_set_trouble(h, LEAT_HUB_OUTBOX, reason);
    h->probing = true;
    arm(h, &h->retry, leat_backoff_next(&h->fetch_backoff, leat_loop_random(h->loop)), on_retry);
    leat_metrics_set(h->metrics, LEAT_M_TOPICS_UNREADABLE, (int64_t)want_again(h));
    if (strcmp(sqlstate, LEAT_UNCONFIRMED) == 0)
        hub_attend_unconfirmed(h);
}

static void fetch_succeeded(leat_hub *h)
{
    h->probing = false;
    leat_backoff_reset(&h->fetch_backoff);
    hub_set_trouble(h, LEAT_HUB_OUTBOX, NULL);
    leat_metrics_set(h->metrics, LEAT_M_TOPICS_UNREADABLE, 0);
}

/* A topic's rows end where the answer was full: the rest is asked for at once. */
static void end_rows(hub_topic *t, const leat_history_row *last)
{
    t->fetching = false;
    if (last->left_out)
        hub_repair_want(t);
    else
        hub_topic_settle(t, last);
}

/* Somebody else has found the history renewed. */
static bool is_of_other_history(const leat_hub *h, leat_slice epoch)
{
    char known[20];
    int len = snprintf(known, sizeof(known), "%s-%s-", h->timeline, h->history);
    return epoch.len < (size_t)len || memcmp(epoch.at, known, (size_t)len) != 0;
}

static void on_history(leat_history *f, int err, int n_rows, void *arg)
{
    leat_hub *h = arg;
    h->fetch = NULL;
    if (err < 0) {
        fetch_failed(h, err, leat_history_reason(f), leat_history_sqlstate(f));
        return;
    }
    fetch_succeeded(h);
    leat_history_row newest = {0};
    for (int i = 0; i < n_rows; i++) {
        leat_history_row row = leat_history_row_at(f, i);
        newest = row.has_event && row.at >= newest.at ? row : newest;
        hub_topic *t = hub_topic_find(h, row.topic);
        if (t == NULL || !t->fetching)
            continue; /* nobody is interested any more, or a new life of the topic */
        if (!row.left_out)
            hub_topic_fetched(t, &row);
        if (i + 1 == n_rows || !leat_slice_equal(leat_history_row_at(f, i + 1).topic, row.topic))
            end_rows(t, &row);
    }
    if (newest.has_event)
        hub_anchor_read(&h->anchors, newest.topic, newest.epoch, newest.seq, newest.at);
    if (is_of_other_history(h, leat_history_row_at(f, 0).epoch))
        hub_attend_check(h);
    leat_sweep_schedule(h->loop, &h->repair);
}
