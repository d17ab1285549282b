/* sub_replay.c - REPLAYING and LIVE: the cursor.
 *
 * sub_begin_replay, and every event after it, come to leat_sub_pump: from the ring while the ring
 * holds next_seq, else from the outbox (catch_up.c -> on_caught_up), else by a resync. A client
 * that takes no more stops the cursor; when its socket has drained the client pumps again.
 */
#include "core/sub_private.h"

static void catch_up(leat_sub *s);
static void on_caught_up(leat_catch_up_wait *wait, const leat_caught *caught);

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
    LEAT_ASSERT(s->state == LEAT_SUB_LIVE || s->state == LEAT_SUB_REPLAYING);
    if (!sub_passes(s, e)) {
        sub_stop_reading(s); /* what began under the right that is in doubt ends with it */
        sub_authorize(s);
        return false;
    }
    leat_event_kind kind = leat_event_kind_of(e);
    if (kind == LEAT_EVENT_RESYNC || kind == LEAT_EVENT_OVERSIZE) {
        s->next_seq = leat_event_seq(e) + 1; /* an older snapshot will not do */
        leat_sub_resync(s, kind == LEAT_EVENT_RESYNC ? LEAT_RESET_REQUESTED : LEAT_RESET_TOO_LARGE);
        return false;
    }
    give(s, e);
    return true;
}

void sub_begin_replay(leat_sub *s)
{
    sub_work *w = s->work;
    sub_caller caller = {NULL, NULL};
    sub_set_state(s, LEAT_SUB_REPLAYING);
    if (w->asking)
        caller = sub_answered(s, w->resumed ? LEAT_M_HANDSHAKES_RESUMED : LEAT_M_HANDSHAKES_OK);
    leat_sub_pump(s);
    sub_tell(caller);
}

void leat_sub_pump(leat_sub *s)
{
    sub_unpark(s);
    if (s->state != LEAT_SUB_LIVE && s->state != LEAT_SUB_REPLAYING)
        return;
    if (s->work != NULL && s->work->catch_up.topic != NULL)
        return;
    leat_topic *t = s->topic;
    while (s->next_seq <= t->head) {
        if (!client_takes_more(s->client))
            return; /* it pumps when it has drained */
        leat_event *e = leat_topic_event(t, s->next_seq);
        if (e == NULL) {
            catch_up(s);
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

static void catch_up(leat_sub *s)
{
    if (leat_topic_hooked(s->topic))
        leat_sub_resync(s, LEAT_RESET_HISTORY); /* the outbox holds what the hook has not seen */
    else
        leat_catch_up_join(&sub_work_of(s)->catch_up, s->topic, s->next_seq, on_caught_up);
}

static void on_caught_up(leat_catch_up_wait *wait, const leat_caught *caught)
{
    leat_sub *s = wait->data;
    if (caught->n == 0 || leat_topic_hooked(s->topic)) {
        leat_sub_resync(s, LEAT_RESET_HISTORY); /* trimmed, another numbering, or new scripts */
        return;
    }
    for (size_t i = (size_t)(s->next_seq - caught->first_seq); i < caught->n; i++)
        if (!client_takes_more(s->client) || !deliver(s, caught->events[i]))
            break;
    leat_sub_pump(s);
}

/* It overtakes no event that came before it: who is behind misses it, as does who stands before a
 * revocation that is yet to be decided. */
void leat_sub_signal(leat_sub *s, leat_event *e)
{
    const leat_topic *t = s->topic;
    if (s->state == LEAT_SUB_LIVE && s->next_seq <= t->head)
        leat_sub_pump(s);
    bool current = s->next_seq > t->head && s->next_seq > t->revoked;
    if (s->state == LEAT_SUB_LIVE && current && client_takes_more(s->client))
        client_send_event(s->client, e, NULL);
    else
        leat_metrics_add(core_of(s)->metrics, LEAT_M_SIGNALS_DROPPED, 1);
}
