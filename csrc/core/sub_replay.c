/* sub_replay.c - the cursor: REPLAYING, LIVE, and both from the outbox.
 *
 * sub_move_cursor gives the client what the ring holds from next_seq on. Where the ring does not
 * hold it, the outbox does (sub_catch_up -> on_caught_up), or a snapshot is due. A client that
 * takes no more stops the cursor; when its socket has drained the client pumps again.
 */
#include "core/sub_private.h"

static void on_caught_up(leat_catch_up_wait *wait, const leat_caught *caught);

static void give(leat_sub *s, leat_event *e)
{
    s->subscriber->ops->event(s->subscriber, e, s->topic->epoch);
    s->next_seq = leat_event_seq(e) + 1;
    leat_metrics_add(sub_core(s)->metrics, LEAT_M_DELIVERIES, 1);
}

/* Gives the client the event at its cursor, unless that stops the cursor. */
static sub_event deliver(leat_sub *s, leat_event *e, sub_news *news)
{
    if (!sub_passes(s, e))
        return SUB_ON_IN_DOUBT;
    leat_event_kind kind = leat_event_kind_of(e);
    if (kind == LEAT_EVENT_RESYNC || kind == LEAT_EVENT_OVERSIZE) {
        s->next_seq = leat_event_seq(e) + 1; /* an older snapshot will not do */
        news->reason = kind == LEAT_EVENT_RESYNC ? LEAT_RESET_REQUESTED : LEAT_RESET_TOO_LARGE;
        return SUB_ON_RESYNC;
    }
    give(s, e);
    return SUB_ON_NOTHING;
}

sub_event sub_move_cursor(leat_sub *s, sub_news *news)
{
    leat_topic *t = s->topic;
    while (s->next_seq <= t->head) {
        if (!s->subscriber->ops->takes_more(s->subscriber))
            return SUB_ON_NOTHING; /* it pumps when it has drained */
        leat_event *e = leat_topic_event(t, s->next_seq);
        if (e == NULL) /* of a hooked topic the outbox holds what the hook has not seen */
            return leat_topic_hooked(t) ? SUB_ON_GONE : SUB_ON_GAP;
        sub_event met = deliver(s, e, news);
        if (met != SUB_ON_NOTHING)
            return met;
    }
    return SUB_ON_HEAD;
}

sub_event sub_catch_up(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_catch_up_wait *wait = &sub_work_of(s)->of.catch_up;
    *wait = (leat_catch_up_wait){.data = s};
    leat_catch_up_join(wait, s->topic, s->next_seq, on_caught_up);
    return SUB_ON_NOTHING;
}

void sub_stop_catching_up(leat_sub *s)
{
    leat_catch_up_leave(&s->work->of.catch_up);
}

static void on_caught_up(leat_catch_up_wait *wait, const leat_caught *caught)
{
    leat_sub *s = wait->data;
    sub_news news = {.caught = caught};
    bool leads_on = caught->n > 0 && !leat_topic_hooked(s->topic); /* new scripts may have a hook */
    sub_happens(s, leads_on ? SUB_ON_CAUGHT_UP : SUB_ON_GONE, &news);
}

sub_event sub_take_caught(leat_sub *s, sub_news *news)
{
    const leat_caught *caught = news->caught;
    for (size_t i = (size_t)(s->next_seq - caught->first_seq); i < caught->n; i++) {
        if (!s->subscriber->ops->takes_more(s->subscriber))
            return SUB_ON_NOTHING;
        sub_event met = deliver(s, caught->events[i], news);
        if (met != SUB_ON_NOTHING)
            return met;
    }
    return SUB_ON_NOTHING;
}

/* A signal overtakes no event: a subscription that is behind misses it, as does one that stands
 * before a revocation that is yet to be decided. */
sub_event sub_give_signal(leat_sub *s, sub_news *news)
{
    const leat_topic *t = s->topic;
    sub_event met = sub_move_cursor(s, news);
    bool current = met == SUB_ON_HEAD && s->next_seq > t->revoked;
    if (current && s->subscriber->ops->takes_more(s->subscriber))
        s->subscriber->ops->event(s->subscriber, news->signal, NULL);
    else
        sub_drop_signal(s, news);
    return met;
}

sub_event sub_drop_signal(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_metrics_add(sub_core(s)->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    return SUB_ON_NOTHING;
}
