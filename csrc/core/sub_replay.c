/* sub_replay.c - the cursor: REPLAYING and LIVE, and their detours through the outbox
 * (REPLAYING_OUTBOX, CATCHING_UP).
 *
 * sub_move_cursor gives the client what the ring holds from next_seq on. If the ring does not hold
 * the next event, the outbox does (sub_catch_up -> on_caught_up), or a snapshot is due. If the
 * client has no room, the cursor stops; MOVE follows when there is room. */
#include "core/sub_private.h"

static void on_caught_up(leat_catch_up_wait *wait, const leat_caught *caught);

static bool takes_more(const leat_sub *s)
{
    return s->subscriber->ops->takes_more(s->subscriber);
}

/* n events up to seq. */
static void count_given(const leat_sub *s, int64_t seq, int64_t n)
{
    leat_topic_given(s->cursor.topic, seq);
    leat_labelled_add(s->cursor.topic->counts, LEAT_L_DELIVERIES, n);
    leat_metrics_add(sub_core(s)->metrics, LEAT_M_DELIVERIES, n);
}

static void give(leat_sub *s, leat_event *e)
{
    leat_ring *ring = &s->cursor.topic->ring;
    s->subscriber->ops->event(s->subscriber, e, ring->epoch);
    if (leat_subscriber_encoder(s->subscriber) != NULL ||
        leat_event_in_form(e, LEAT_FORM_COMPRESSED) != NULL)
        leat_ring_charge_forms(ring, e);
    s->cursor.next_seq = leat_event_seq(e) + 1;
    count_given(s, leat_event_seq(e), 1);
}

/* Gives the client the event at its cursor, unless that stops the cursor. */
static sub_event deliver(leat_sub *s, leat_event *e, sub_news *news)
{
    if (!sub_passes(s, e))
        return SUB_ON_IN_DOUBT;
    leat_event_kind kind = leat_event_kind_of(e);
    if (kind == LEAT_EVENT_RESYNC || kind == LEAT_EVENT_OVERSIZE) {
        s->cursor.next_seq = leat_event_seq(e) + 1; /* an older snapshot will not do */
        news->reason = kind == LEAT_EVENT_RESYNC ? LEAT_RESET_REQUESTED : LEAT_RESET_TOO_LARGE;
        return SUB_ON_RESYNC;
    }
    give(s, e);
    return SUB_ON_NOTHING;
}

/* Gives the client several events at once, in the block that all clients share. Returns false if
 * there is none, or the client takes its events one by one. */
static bool give_run(leat_sub *s)
{
    leat_subscriber *r = s->subscriber;
    const leat_run *run = r->ops->run == NULL ? NULL
                                              : leat_topic_run(s->cursor.topic, s->cursor.next_seq,
                                                               leat_subscriber_encoder(r));
    if (run == NULL || !r->ops->run(r, run))
        return false;
    s->cursor.next_seq = run->last + 1;
    count_given(s, run->last, run->last - run->first + 1);
    return true;
}

sub_event sub_move_cursor(leat_sub *s, sub_news *news)
{
    leat_topic *t = s->cursor.topic;
    while (s->cursor.next_seq <= t->ring.head) {
        if (!takes_more(s))
            return SUB_ON_NOTHING;
        if (give_run(s))
            continue;
        leat_event *e = leat_ring_event(&t->ring, s->cursor.next_seq);
        if (e == NULL) /* what the outbox holds has not passed the hook */
            return leat_topic_is_hooked(t) ? SUB_ON_GONE : SUB_ON_GAP;
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
    leat_catch_up_join(wait, leat_topic_catch_up(s->cursor.topic), s->cursor.next_seq,
                       on_caught_up);
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
    /* New scripts may have a hook. */
    bool leads_on = caught->n > 0 && !leat_topic_is_hooked(s->cursor.topic);
    sub_happens(s, leads_on ? SUB_ON_CAUGHT_UP : SUB_ON_GONE, &news);
}

sub_event sub_take_caught(leat_sub *s, sub_news *news)
{
    const leat_caught *caught = news->caught;
    for (size_t i = (size_t)(s->cursor.next_seq - caught->first_seq); i < caught->n; i++) {
        if (!takes_more(s))
            return SUB_ON_NOTHING;
        sub_event met = deliver(s, caught->events[i], news);
        if (met != SUB_ON_NOTHING)
            return met;
    }
    return SUB_ON_NOTHING;
}

/* False if a revocation is known before which the cursor stands, and which is not yet decided. */
static bool is_current(const leat_sub *s)
{
    return s->cursor.next_seq > s->cursor.topic->ring.revoked;
}

/* A signal overtakes no event. A subscription that is behind the ring's head misses it, and so does
 * one that is not current. */
sub_event sub_give_signal(leat_sub *s, sub_news *news)
{
    leat_subscriber *r = s->subscriber;
    sub_event met = sub_move_cursor(s, news);
    if (met == SUB_ON_HEAD && is_current(s) && takes_more(s))
        r->ops->event(r, news->signal, NULL);
    else
        sub_drop_signal(s, news);
    return met;
}

static bool give_latest(leat_cursor *c, leat_event *e)
{
    leat_subscriber *r = LEAT_CONTAINER_OF(c, leat_sub, cursor)->subscriber;
    if (!r->ops->takes_signal(r)) {
        r->ops->awaits_signal(r);
        return false;
    }
    r->ops->event(r, e, NULL);
    return true;
}

/* A conflating signal waits with its topic until the client takes it, or a newer one replaces it.
 */
void sub_give_latest(leat_sub *s)
{
    if (leat_topic_has_signals(&s->cursor) && is_current(s))
        leat_topic_give_signals(&s->cursor, give_latest);
}

sub_event sub_drop_signal(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_metrics_add(sub_core(s)->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    return SUB_ON_NOTHING;
}
