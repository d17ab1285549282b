/* hub_repair.c - asks the outbox about topics: those with a hole, those that somebody saw further,
 * and, after a reconnect and every compare_interval_ms, all of them.
 *
 * hub_repair_want collects; at the end of the turn start_fetch asks for up to a batch of topics in
 * one query; on_history hands the rows to hub_topic.c, which wants again whatever is still missing.
 * There is one fetch at a time: what is wanted meanwhile makes the next batch.
 */
#include "core/hub_private.h"

#include "base/log.h"

enum {
    BATCH_TOPICS = 256,
    BATCH_BYTES = 8 * 1024 * 1024,
    DOUBT_MS = 50,   /* an announcement that is under way has arrived by then */
    FETCH_MS = 5000, /* no client waits for it, so it is not theirs to bound */
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 2000,
};

static void on_repair(leat_sweep *s);
static void on_history(leat_history *f, int err, int n_rows, void *arg);
static void on_retry(leat_deadline *d);
static void on_doubts(leat_deadline *d);
static void on_compare(leat_deadline *d);

static void arm(leat_hub *h, leat_deadline *d, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_deadline_arm(leat_loop_deadlines(h->loop), d, leat_loop_now(h->loop) + in_ms, cb);
}

void hub_repair_start(leat_hub *h)
{
    leat_list_init(&h->wanting);
    leat_list_init(&h->doubtful);
    leat_deadline_init(&h->retry);
    leat_deadline_init(&h->doubts);
    leat_deadline_init(&h->compare);
    leat_sweep_init(&h->repair, on_repair);
    h->retry_ms = RETRY_MIN_MS;
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

void hub_repair_want(hub_topic *t)
{
    leat_hub *h = t->hub;
#ifdef LEAT_BROKEN_FORGET_ANNOUNCEMENT
    if (t->forgot)
        return;
#endif
    if (t->fetching)
        return; /* its answer decides whether more is wanted */
    leat_list_unlink(&t->repair_link);
    leat_list_push(&h->wanting, &t->repair_link);
    if (h->fetch == NULL && !leat_deadline_armed(&h->retry))
        leat_sweep_schedule(h->loop, &h->repair);
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
    leat_hub *h = LEAT_LIST_ENTRY(d, leat_hub, doubts);
    for (leat_list *l = leat_list_shift(&h->doubtful); l != NULL; l = leat_list_shift(&h->doubtful))
        hub_repair_want(LEAT_LIST_ENTRY(l, hub_topic, repair_link));
}

void hub_repair_compare_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_LIST_ENTRY(e, hub_topic, entry);
        if (t->head == LEAT_HUB_UNKNOWN || t->fetching)
            t->unsure = true; /* the fetch that runs may have looked too early */
        else
            hub_repair_want(t);
    }
}

static void on_compare(leat_deadline *d)
{
    leat_hub *h = LEAT_LIST_ENTRY(d, leat_hub, compare);
    arm(h, &h->compare, h->options.limits->compare_interval_ms, on_compare);
    if (h->up)
        hub_repair_compare_all(h);
}

static void on_repair(leat_sweep *s)
{
    leat_hub *h = LEAT_LIST_ENTRY(s, leat_hub, repair);
    if (h->fetch != NULL || leat_list_empty(&h->wanting))
        return;
    h->fetch = leat_history_new(h->loop, h->pool);
    while (leat_history_count(h->fetch) < BATCH_TOPICS) {
        leat_list *l = leat_list_shift(&h->wanting);
        if (l == NULL)
            break;
        hub_topic *t = LEAT_LIST_ENTRY(l, hub_topic, repair_link);
        if (t->head == LEAT_HUB_UNKNOWN)
            continue;
        t->fetching = true;
        t->blind = t->heard == t->head;
        leat_history_ask(h->fetch, t->entry.key, t->head);
    }
    int64_t n = (int64_t)leat_history_count(h->fetch);
    if (n == 0) {
        leat_history_cancel(h->fetch);
        h->fetch = NULL;
        return;
    }
    int64_t events = (int64_t)h->options.limits->history_events;
    leat_history_start(h->fetch, n > 8 ? (events + 7) / 8 : events, BATCH_BYTES / n,
                       leat_loop_now(h->loop) + FETCH_MS, on_history, h);
}

/* After a failed fetch: everything that it asked for is wanted again, a little later. */
static void want_again(leat_hub *h)
{
    arm(h, &h->retry, h->retry_ms, on_retry);
    h->retry_ms = h->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : h->retry_ms * 2;
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_LIST_ENTRY(e, hub_topic, entry);
        if (!t->fetching)
            continue;
        t->fetching = false;
        hub_repair_want(t);
    }
}

static void on_retry(leat_deadline *d)
{
    leat_hub *h = LEAT_LIST_ENTRY(d, leat_hub, retry);
    leat_sweep_schedule(h->loop, &h->repair);
}

static void on_history(leat_history *f, int err, int n_rows, void *arg)
{
    leat_hub *h = arg;
    h->fetch = NULL;
    if (err < 0) {
        LEAT_LOG_WARN("hub", "repair failed topics=%zu err=%s", leat_history_count(f),
                      leat_err_name(err) == NULL ? "io" : leat_err_name(err));
        want_again(h);
        return;
    }
    h->retry_ms = RETRY_MIN_MS;
    for (int i = 0; i < n_rows; i++) {
        leat_history_row row = leat_history_row_at(f, i);
        hub_topic *t = hub_topic_find(h, row.topic);
        if (t == NULL || !t->fetching)
            continue; /* nobody is interested any more, or a new life of the topic */
        hub_topic_fetched(t, &row);
        bool last =
            i + 1 == n_rows || !leat_slice_equal(leat_history_row_at(f, i + 1).topic, row.topic);
        if (!last)
            continue;
        t->fetching = false;
        hub_topic_settle(t, &row);
    }
    leat_sweep_schedule(h->loop, &h->repair);
}
