/* catch_up.c - join -> fetch -> on_fetched -> serve; the waiters that it did not serve come next.
 */
#include "core/catch_up.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mem.h"
#include "outbox/history.h"
#include "wire/leat_v1.h"

enum {
    FETCH_BYTES = 1024 * 1024,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    STRETCH = 1024, /* cursors served before the loop goes on with other work */
    NO_ANSWER = -1, /* instead of a row's `after`: every cursor stands beyond it */
};

struct leat_catch_up {
    leat_ring *ring;
    leat_list waiters; /* leat_catch_up_wait, the one that has waited longest first */
    leat_history *fetch;
    leat_deadline retry;
    leat_backoff backoff;
};

static void fetch(leat_catch_up *c);
static void on_fetched(leat_history *h, int err, int n_rows, void *arg);
static void on_fetch_again(leat_deadline *d);

leat_catch_up *leat_catch_up_new(leat_ring *ring)
{
    leat_catch_up *c = leat_calloc(1, sizeof(*c));
    c->ring = ring;
    leat_backoff_init(&c->backoff, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    leat_list_init(&c->waiters);
    leat_deadline_init(&c->retry);
    return c;
}

void leat_catch_up_free(leat_catch_up *c)
{
    LEAT_ASSERT(leat_list_empty(&c->waiters) && c->fetch == NULL);
    free(c);
}

void leat_catch_up_join(leat_catch_up_wait *w, leat_catch_up *c, int64_t next_seq,
                        leat_catch_up_cb cb)
{
    w->of = c;
    w->next_seq = next_seq;
    w->cb = cb;
    leat_list_push(&c->waiters, &w->link);
    if (c->fetch == NULL && !leat_deadline_armed(&c->retry))
        fetch(c);
}

static void stop(leat_catch_up *c)
{
    leat_deadline_cancel(&c->retry);
    if (c->fetch != NULL)
        leat_history_cancel(c->fetch);
    c->fetch = NULL;
}

void leat_catch_up_leave(leat_catch_up_wait *w)
{
    leat_catch_up *c = w->of;
    if (c == NULL)
        return;
    leat_list_unlink(&w->link);
    w->of = NULL;
    if (leat_list_empty(&c->waiters))
        stop(c);
}

static void fetch(leat_catch_up *c)
{
    leat_core *core = c->ring->core;
    const leat_limits *limits = core->limits;
    leat_catch_up_wait *first = LEAT_CONTAINER_OF(c->waiters.next, leat_catch_up_wait, link);
    c->fetch = leat_history_new(core->pool);
    leat_history_ask(c->fetch, leat_ring_name(c->ring), first->next_seq - 1);
    leat_history_bounds bounds = {
        .events = (int64_t)limits->history_events,
        .topic_bytes = FETCH_BYTES,
        .total_bytes = FETCH_BYTES,
        .event_bytes = (int64_t)limits->max_event_bytes,
    };
    leat_history_start(c->fetch, &bounds, leat_loop_now(core->loop) + limits->control_timeout_ms,
                       on_fetched, c);
}

static void fetch_later(leat_catch_up *c, const leat_history *failed, int err)
{
    const char *sqlstate = leat_history_sqlstate(failed);
    leat_core *core = c->ring->core;
    leat_slice name = leat_ring_name(c->ring);
    leat_history_count_failure(core->metrics, err, sqlstate);
    leat_hub_link_read_refused(core->link, sqlstate);
    char topic[160], reason[300];
    LEAT_LOG_WARN("topic", "fetch failed topic=%s err=%s",
                  leat_log_quote(topic, sizeof(topic), name.at, name.len),
                  leat_log_quote(reason, sizeof(reason), leat_history_reason(failed),
                                 strlen(leat_history_reason(failed))));
    leat_loop_after(core->loop, &c->retry,
                    leat_backoff_next(&c->backoff, leat_loop_random(core->loop)), on_fetch_again);
}

static void on_fetch_again(leat_deadline *d)
{
    fetch(LEAT_CONTAINER_OF(d, leat_catch_up, retry));
}

/* Returns true if a fetch of the events after the seq `after` has no answer for the waiter: its
 * cursor stands at or before `after`, or beyond the last event that came. */
static bool waits_on(const leat_catch_up_wait *w, int64_t after, const leat_caught *caught)
{
    return w->next_seq <= after ||
           (caught->n > 0 && w->next_seq >= caught->first_seq + (int64_t)caught->n);
}

/* First the waiters that are served are set apart, then they are called: a callback may join or
 * leave. A waiter that joins again stands behind those that stay. */
static void serve(leat_catch_up *c, int64_t after, const leat_caught *caught)
{
    static const leat_caught nothing = {0};
    leat_list all, served;
    int n = 0;
    leat_list_init(&served);
    leat_list_move(&all, &c->waiters);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        bool left = waits_on(LEAT_CONTAINER_OF(l, leat_catch_up_wait, link), after, caught);
        leat_list_push(left || n++ >= STRETCH ? &c->waiters : &served, l);
    }
    for (leat_list *l = leat_list_shift(&served); l != NULL; l = leat_list_shift(&served)) {
        leat_catch_up_wait *w = LEAT_CONTAINER_OF(l, leat_catch_up_wait, link);
        w->of = NULL;
        w->cb(w, w->next_seq >= caught->first_seq ? caught : &nothing);
    }
}

/* Rows are contiguous, but for what was trimmed before the first. */
static leat_caught encode(const leat_ring *ring, const leat_history *h, int n_rows)
{
    leat_caught caught = {0};
    if (n_rows == 0 || !leat_history_row_at(h, 0).has_event)
        return caught;
    caught.events = leat_calloc((size_t)n_rows, sizeof(leat_event *));
    caught.first_seq = leat_history_row_at(h, 0).seq;
    for (int i = 0; i < n_rows; i++) {
        leat_history_row row = leat_history_row_at(h, i);
        caught.events[caught.n++] =
            leat_v1_event(row.kind, leat_ring_name(ring), row.seq, row.data);
    }
    return caught;
}

static bool adopt_position(leat_ring *ring, const leat_history_row *row)
{
    leat_epoch *epoch = leat_epoch_of(&ring->core->epochs, row->head.epoch);
    leat_position at = {epoch, row->head.seq, row->head.revoked};
    bool same = leat_ring_adopt(ring, &at);
    leat_epoch_unref(epoch);
    return same;
}

static void on_fetched(leat_history *h, int err, int n_rows, void *arg)
{
    leat_catch_up *c = arg;
    c->fetch = NULL;
    if (err < 0 && err != LEAT_ETOOLARGE) {
        fetch_later(c, h, err);
        return;
    }
    leat_backoff_reset(&c->backoff);
    leat_history_row first = {.after = NO_ANSWER};
    if (n_rows > 0)
        first = leat_history_row_at(h, 0);
    bool same = n_rows > 0 && adopt_position(c->ring, &first);
    leat_caught caught = encode(c->ring, h, same ? n_rows : 0);
    serve(c, same ? first.after : NO_ANSWER, &caught);
    for (size_t i = 0; i < caught.n; i++)
        leat_event_unref(caught.events[i]);
    free(caught.events);
    if (!leat_list_empty(&c->waiters) && c->fetch == NULL)
        fetch(c);
}
