/* sub_replay.c - REPLAYING and LIVE: the cursor.
 *
 * sub_begin_replay, and every event after it, come to leat_sub_pump: from the ring while the ring
 * holds next_seq, else from the outbox (begin_history -> on_history), else by a resync. A client
 * that takes no more stops the cursor; when its socket has drained the client pumps again.
 */
#include "core/sub_private.h"

enum { HISTORY_BYTES = 1024 * 1024, REFETCH_MS = 200 };

static void begin_history(leat_sub *s);
static void take_history(leat_sub *s, leat_history *h, int n_rows);
static void on_history(leat_history *h, int err, int n_rows, void *arg);

static leat_core *core_of(const leat_sub *s)
{
    return s->client->core;
}

static void give(leat_sub *s, leat_event *e)
{
    client_send_event(s->client, e, s->topic->epoch);
#ifdef LEAT_BROKEN_DELIVER_TWICE
    if (leat_event_seq(e) % 64 == 0) /* for the torture test to find */
        client_send_event(s->client, e, s->topic->epoch);
#endif
    s->next_seq = leat_event_seq(e) + 1;
    leat_metrics_add(core_of(s)->metrics, LEAT_M_DELIVERIES, 1);
}

/* Gives the client the event at its cursor. False if the subscription stops here, to be authorised
 * anew or for a fresh snapshot. */
static bool deliver(leat_sub *s, leat_event *e)
{
    if (!sub_passes(s, e)) {
        sub_stop_reading(s); /* what began under the right that is in doubt ends with it */
        sub_authorize(s);
        return false;
    }
    if (leat_event_kind_of(e) == LEAT_EVENT_RESYNC) {
        s->next_seq = leat_event_seq(e) + 1; /* an older snapshot will not do */
        leat_sub_resync(s, LEAT_RESET_REQUESTED);
        return false;
    }
    give(s, e);
    return true;
}

void sub_begin_replay(leat_sub *s)
{
    sub_begin_replay_with(s, NULL, 0);
}

void sub_begin_replay_with(leat_sub *s, leat_history *h, int n_rows)
{
    sub_work *w = s->work;
    sub_caller caller = {NULL, NULL};
    sub_set_state(s, LEAT_SUB_REPLAYING);
    if (w->asking)
        caller = sub_answered(s, w->resumed ? LEAT_M_HANDSHAKES_RESUMED : LEAT_M_HANDSHAKES_OK);
    take_history(s, h, n_rows);
    leat_sub_pump(s);
    sub_tell(caller);
}

void leat_sub_pump(leat_sub *s)
{
    sub_unpark(s);
    if (s->state != LEAT_SUB_LIVE && s->state != LEAT_SUB_REPLAYING)
        return;
    if (s->work != NULL && (s->work->history != NULL || s->work->refetch))
        return;
    leat_topic *t = s->topic;
    while (s->next_seq <= t->head) {
        if (!client_takes_more(s->client))
            return; /* it pumps when it has drained */
        leat_event *e = leat_topic_event(t, s->next_seq);
        if (e == NULL) {
            begin_history(s);
            return;
        }
        if (!deliver(s, e))
            return;
    }
    if (s->state == LEAT_SUB_REPLAYING)
        sub_set_state(s, LEAT_SUB_LIVE);
    if (s->stale)
        sub_retry_stale(s);
    sub_settle(s);
}

static void begin_history(leat_sub *s)
{
    leat_core *core = core_of(s);
    if (leat_topic_hooked(s->topic)) {
        leat_sub_resync(s, LEAT_RESET_HISTORY); /* the outbox holds what the hook has not seen */
        return;
    }
    sub_work *w = sub_work_of(s);
    w->history = leat_history_new(core->loop, core->pool);
    leat_history_ask(w->history, sub_name(s), s->next_seq - 1);
    leat_history_start(w->history, (int64_t)core->limits->history_events, HISTORY_BYTES,
                       leat_loop_now(core->loop) + core->limits->control_timeout_ms, on_history, s);
}

/* Gives the client what a fetch brought, beginning at next_seq. */
static void take_history(leat_sub *s, leat_history *h, int n_rows)
{
    for (int i = 0; i < n_rows; i++) {
        leat_history_row row = leat_history_row_at(h, i);
        if (!row.has_event || row.seq != s->next_seq || !client_takes_more(s->client))
            return;
        leat_event *e = leat_v1_event(row.kind, sub_name(s), row.seq, row.data);
        bool goes_on = deliver(s, e);
        leat_event_unref(e);
        if (!goes_on)
            return;
    }
}

static void on_refetch(leat_deadline *d)
{
    sub_work *w = LEAT_LIST_ENTRY(d, sub_work, wait);
    w->refetch = false;
    leat_sub_pump(w->sub);
}

static void on_history(leat_history *h, int err, int n_rows, void *arg)
{
    leat_sub *s = arg;
    sub_work *w = s->work;
    leat_loop *loop = core_of(s)->loop;
    w->history = NULL;
    if (err < 0 || n_rows == 0) {
        w->refetch = true;
        leat_deadline_arm(leat_loop_deadlines(loop), &w->wait, leat_loop_now(loop) + REFETCH_MS,
                          on_refetch);
        return;
    }
    leat_history_row first = leat_history_row_at(h, 0);
    bool same = leat_topic_position(s->topic, first.epoch, first.head, first.revoked);
    if (!same || !first.has_event || first.seq != s->next_seq || leat_topic_hooked(s->topic)) {
        leat_sub_resync(s, LEAT_RESET_HISTORY); /* trimmed, another numbering, or new scripts */
        return;
    }
    take_history(s, h, n_rows);
    leat_sub_pump(s);
}

/* It overtakes no event that came before it in the turn, and a revocation that is yet to be decided
 * keeps it out. */
void leat_sub_signal(leat_sub *s, leat_event *e)
{
    if (s->state == LEAT_SUB_LIVE && s->next_seq <= s->topic->head)
        leat_sub_pump(s);
    if (s->state == LEAT_SUB_LIVE && s->next_seq > s->topic->revoked &&
        client_takes_more(s->client))
        client_send_event(s->client, e, NULL);
    else
        leat_metrics_add(core_of(s)->metrics, LEAT_M_SIGNALS_DROPPED, 1);
}
