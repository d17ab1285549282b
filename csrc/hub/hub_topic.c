/* hub_topic.c - one topic's events, put in order.
 *
 * The hub hears of a topic's events in three ways: by announcements, by positions that workers have
 * read, and from the outbox. at.seq is the last event that was given to the workers. The next event
 * is given at once, later ones wait in `pending`, and the missing ones are fetched (hub_want.h).
 *
 * A topic is unplaced at first: nothing is given, and all that is announced waits. The first
 * position that a worker has read places the topic, and every worker is told where it begins. It
 * begins before that position if the events there were announced without a hole, because the read
 * of another worker may be older. If that read is even older than the beginning, the worker's
 * subscriptions take the events between from the outbox.
 *
 * A number that is announced a second time shows that the log went back to an earlier state. The
 * topic is disputed then: nothing that was announced is given before the outbox has said what is
 * true.
 *
 * hub_topic_announce, hub_topic_position and hub_topic_fetched_all all end in advance().
 */
#include "hub/hub_topic.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "hub/hub_interest.h"
#include "hub/hub_want.h"

enum {
    LATE_MS = 250,     /* a read may see an event so much earlier than its announcement arrives */
    TIMELINE_PART = 9, /* of an epoch as clients see it: "TTTTTTTT-" */
};

static void advance(hub_topic *t);

hub_topic *hub_topic_find(leat_hub *h, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&h->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, hub_topic, entry);
}

static hub_topic *make_topic(leat_hub *h, leat_slice name)
{
    hub_topic *t = leat_pool_take(h->memory, offsetof(hub_topic, name) + name.len);
    t->hub = h;
    memcpy(t->name, name.at, name.len);
    t->at.seq = LEAT_HUB_UNKNOWN;
    t->at.revoked = LEAT_NEVER_REVOKED;
    leat_map_add(&h->topics, &t->entry, (leat_slice){t->name, name.len});
    return t;
}

static void free_topic(hub_topic *t)
{
    leat_map_remove(&t->hub->topics, &t->entry);
    hub_want_forget(t);
    if (t->waiting != NULL) {
        hub_pending_clear(&t->waiting->pending);
        hub_held_clear(&t->waiting->held);
        free(t->waiting);
    }
    leat_epoch_unref(t->at.epoch);
    leat_pool_give(t->hub->memory, t);
}

void hub_topic_arm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    hub_topic *t = hub_topic_find(h, life.name);
    if (t == NULL)
        t = make_topic(h, life.name);
    hub_interest *i = hub_interest_new(t, w, life.generation);
    if (h->phase == HUB_READY)
        hub_interest_arm(t, i);
}

static void drop_interest(hub_topic *t, hub_interest *i)
{
    hub_interest_free(t, i);
    if (t->interests == NULL)
        free_topic(t);
}

void hub_topic_disarm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    hub_topic *t = hub_topic_find(h, life.name);
    hub_interest *i = t == NULL ? NULL : hub_interest_find(t, w, life.generation);
    if (i != NULL)
        drop_interest(t, i);
}

static void drop_interests_of(hub_topic *t, const hub_worker *w)
{
    for (hub_interest *i = t->interests, *next; i != NULL; i = next) {
        next = i->next;
        if (i->worker == w)
            drop_interest(t, i);
    }
}

void hub_topic_disarm_all(leat_hub *h, const hub_worker *w)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL && w->n_interests > 0;) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        e = leat_map_next(&h->topics, e);
        drop_interests_of(t, w);
    }
}

void hub_topic_confirm_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        for (hub_interest *i = t->interests; i != NULL; i = i->next)
            if (i->state == HUB_INTEREST_UNARMED)
                hub_interest_arm(t, i);
    }
}

/* --- The numbering --- */

static bool is_placed(const hub_topic *t)
{
    return t->standing == HUB_IN_ORDER || t->standing == HUB_DISPUTED;
}

static bool is_disputed(const hub_topic *t)
{
    return t->standing == HUB_DISPUTED || t->standing == HUB_UNPLACED_DISPUTED;
}

static void dispute(hub_topic *t)
{
    t->standing = is_placed(t) ? HUB_DISPUTED : HUB_UNPLACED_DISPUTED;
}

static void set_epoch(hub_topic *t, leat_slice text)
{
    leat_epoch_unref(t->at.epoch);
    t->at.epoch = text.at == NULL ? NULL : leat_epoch_of(&t->hub->epochs, text);
}

static bool has_epoch(const hub_topic *t, leat_slice text)
{
    return leat_slice_equal(leat_epoch_text(t->at.epoch), text);
}

static hub_waiting *waiting_of(hub_topic *t)
{
    if (t->waiting == NULL) {
        t->waiting = leat_calloc(1, sizeof(*t->waiting));
        hub_held_init(&t->waiting->held);
    }
    return t->waiting;
}

/* Takes the reference. */
static void let_wait(hub_topic *t, leat_event *e)
{
    hub_pending_add(&waiting_of(t)->pending, e, t->hub->limits->hub_pending_bytes);
}

/* Forgets all that is known of the topic, because something was told of another numbering. It is
 * not known which of the two numberings is older, so the outbox is asked once the topic is placed.
 */
static void forget_numbering(hub_topic *t)
{
    if (t->waiting != NULL)
        hub_pending_clear(&t->waiting->pending);
    t->standing = HUB_UNPLACED;
    t->at.seq = LEAT_HUB_UNKNOWN;
    t->at.revoked = LEAT_NEVER_REVOKED;
    t->heard = t->announced = 0;
    t->lost = false;
    set_epoch(t, (leat_slice){NULL, 0});
    hub_want_forget(t);
    hub_want_next(t);
}

/* True if an announced epoch ("E") is the topic's. The topic's epoch is kept as clients see it,
 * with the timeline before it ("TTTTTTTT-E"). */
static bool is_announced_epoch(const hub_topic *t, leat_slice announced)
{
    leat_slice full = leat_epoch_text(t->at.epoch);
    return full.len == announced.len + TIMELINE_PART &&
           memcmp(full.at + TIMELINE_PART, announced.at, announced.len) == 0 &&
           memcmp(full.at, t->hub->timeline, TIMELINE_PART - 1) == 0;
}

static void set_announced_epoch(hub_topic *t, leat_slice announced)
{
    leat_buf full = LEAT_BUF_INIT;
    leat_buf_text(&full, t->hub->timeline);
    leat_buf_char(&full, '-');
    leat_buf_slice(&full, announced);
    set_epoch(t, leat_buf_view(&full));
    leat_buf_close(&full);
}

/* Gives the signals that came behind the event with that seq, or behind an earlier one. */
static void give_held(hub_topic *t, int64_t seq)
{
    leat_event *signal;
    while (t->waiting != NULL && (signal = hub_held_take(&t->waiting->held, seq)) != NULL)
        hub_interest_give(t, signal, LEAT_HUB_SIGNAL);
}

/* The workers keep signals for who gets another snapshot. */
static void reset(hub_topic *t, int reason)
{
    forget_numbering(t);
    hub_interest_tell_reset(t, reason);
    give_held(t, INT64_MAX);
}

void hub_topic_reset_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e))
        reset(LEAT_CONTAINER_OF(e, hub_topic, entry), LEAT_RESET_EPOCH);
}

/* --- Giving --- */

/* The event is the next one. Takes the reference. */
static void give_next(hub_topic *t, leat_event *e)
{
    t->at.seq = leat_event_seq(e);
    if (leat_event_kind_of(e) == LEAT_EVENT_REVOKE)
        t->at.revoked = t->at.seq;
    leat_metrics_add(t->hub->metrics, LEAT_M_EVENTS, 1);
    hub_interest_give(t, e, LEAT_HUB_EVENT);
    give_held(t, t->at.seq);
}

/* Gives the event if it is the next one and the topic is not disputed. Otherwise keeps it. Takes
 * the reference. */
static void give_or_keep(hub_topic *t, leat_event *e)
{
    if (leat_event_seq(e) == t->at.seq + 1 && t->standing == HUB_IN_ORDER)
        give_next(t, e);
    else
        let_wait(t, e);
}

/* Gives the waiting events that are next, then asks for those that are missing. */
static void advance(hub_topic *t)
{
    if (!is_placed(t))
        return;
    leat_event *e;
    while (t->standing == HUB_IN_ORDER && t->waiting != NULL &&
           (e = hub_pending_take(&t->waiting->pending, t->at.seq + 1)) != NULL)
        give_next(t, e);
    if (t->standing == HUB_IN_ORDER) /* a dispute may have ended without another event */
        give_held(t, t->at.seq);
    if (t->heard > t->at.seq || is_disputed(t))
        hub_want_next(t);
    else
        t->lost = false;
}

/* --- Announcements --- */

static leat_event_kind kind_of(leat_announcement_kind kind)
{
    switch (kind) {
    case LEAT_ANNOUNCE_EVENT:
        return LEAT_EVENT_DATA;
    case LEAT_ANNOUNCE_REVOKE:
        return LEAT_EVENT_REVOKE;
    case LEAT_ANNOUNCE_RESYNC:
        return LEAT_EVENT_RESYNC;
    case LEAT_ANNOUNCE_SIGNAL:
    case LEAT_ANNOUNCE_CONFLATING:
    case LEAT_ANNOUNCE_HISTORY:
        break;
    }
    return LEAT_EVENT_SIGNAL;
}

static leat_event *event_of(const hub_topic *t, const leat_announcement *a)
{
    bool oversize = a->kind == LEAT_ANNOUNCE_EVENT && a->data.len > t->hub->limits->max_event_bytes;
    if (a->kind == LEAT_ANNOUNCE_CONFLATING)
        return leat_v1_conflating(a->topic, a->key, a->data);
    leat_event *e =
        oversize ? leat_v1_event(LEAT_EVENT_OVERSIZE, a->topic, a->seq, leat_slice_of("null"))
                 : leat_v1_event(kind_of(a->kind), a->topic, a->seq, a->data);
    leat_event_set_at(e, a->at);
    return e;
}

/* A read, or the outbox, has seen the topic. */
static void note_read(hub_topic *t)
{
    t->read_ms = leat_loop_now(t->hub->loop);
}

/* True if the announcement of an event that was given without one may just be late. A read can see
 * an event before its announcement arrives, but only for a moment. */
static bool may_be_late(const hub_topic *t)
{
    return leat_loop_now(t->hub->loop) - t->read_ms < LATE_MS;
}

/* True if the number was announced before, as far as the hub can tell: a topic's announcements come
 * in order. */
static bool is_repeated(const hub_topic *t, int64_t seq)
{
    return seq <= t->announced || (seq <= t->at.seq && !may_be_late(t));
}

static void note_heard(hub_topic *t, int64_t seq)
{
    if (seq <= t->heard)
        return;
    if (is_placed(t) && seq > t->heard + 1)
        t->lost = true;
    t->heard = seq;
}

/* Gives the announced epoch to the topic, unless the topic is placed. Returns false if the topic is
 * placed and has another epoch: then the outbox is asked which of the two is true. */
static bool adopt_announced_epoch(hub_topic *t, leat_slice epoch)
{
    if (t->at.epoch != NULL && is_announced_epoch(t, epoch))
        return true;
    if (is_placed(t)) {
        hub_want_again(t);
        return false;
    }
    if (t->at.epoch != NULL)
        forget_numbering(t);
    set_announced_epoch(t, epoch);
    return true;
}

/* The announcement is of an event with a seq, in the topic's numbering. Returns false if the topic
 * is disputed. */
static bool take_announced(hub_topic *t, const leat_announcement *a)
{
    if (is_repeated(t, a->seq)) {
        dispute(t);
        hub_want_again(t);
        return false;
    }
    t->announced = a->seq;
    if (a->seq <= t->at.seq)
        return true;
    note_heard(t, a->seq);
    if (a->data.at != NULL)
        give_or_keep(t, event_of(t, a));
    advance(t);
    return !is_disputed(t);
}

/* A signal overtakes no event that the hub has heard of, and comes past no revocation. */
static void announce_signal(hub_topic *t, leat_event *signal)
{
    if (!is_placed(t) || (t->standing == HUB_IN_ORDER && t->heard <= t->at.seq)) {
        hub_interest_give(t, signal, LEAT_HUB_SIGNAL);
        return;
    }
    size_t n =
        hub_held_add(&waiting_of(t)->held, signal, t->heard, t->hub->limits->hub_pending_bytes);
    leat_metrics_add(t->hub->metrics, LEAT_M_SIGNALS_DROPPED, (int64_t)n);
}

bool hub_topic_announce(leat_hub *h, const leat_announcement *a)
{
    hub_topic *t = hub_topic_find(h, a->topic);
    if (t == NULL)
        return true;
    if (a->kind == LEAT_ANNOUNCE_SIGNAL || a->kind == LEAT_ANNOUNCE_CONFLATING) {
        announce_signal(t, event_of(t, a));
        return true;
    }
    return !adopt_announced_epoch(t, a->epoch) || take_announced(t, a);
}

/* --- Positions --- */

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void place(hub_topic *t, const leat_named_position *at)
{
    if (t->at.epoch != NULL && !has_epoch(t, at->epoch))
        forget_numbering(t);
    if (t->at.epoch == NULL)
        set_epoch(t, at->epoch);
    t->standing = is_disputed(t) ? HUB_DISPUTED : HUB_IN_ORDER;
    t->at.seq =
        t->waiting == NULL ? at->seq : hub_pending_reaches_back(&t->waiting->pending, at->seq);
    t->at.revoked = at->revoked;
    t->heard = later(t->heard, at->seq);
    note_read(t);
    hub_interest_tell_begin(t);
    advance(t);
    if (t->query == HUB_ASKED_WHEN_PLACED)
        hub_want_next(t);
}

void hub_topic_position(leat_hub *h, leat_slice name, const leat_named_position *at)
{
    hub_topic *t = hub_topic_find(h, name);
    if (t == NULL)
        return;
    if (!is_placed(t))
        place(t, at);
    else if (!has_epoch(t, at->epoch))
        hub_want_again(t); /* the outbox knows which of the two is true */
    else if (at->seq > t->heard)
        hub_want_shortly(t); /* its announcement is most likely on its way */
}

/* --- The outbox --- */

void hub_topic_fetched(hub_topic *t, const leat_history_row *row)
{
    if (!row->has_event || row->seq <= t->at.seq || !has_epoch(t, row->head.epoch))
        return; /* of another numbering: hub_topic_fetched_all sees to it */
    leat_event *e = leat_v1_event(row->kind, leat_map_key(&t->entry), row->seq, row->data);
    leat_event_set_at(e, row->at);
    if (row->seq != t->at.seq + 1) {
        let_wait(t, e);
        return;
    }
    if (t->lost)
        leat_metrics_add(t->hub->metrics, LEAT_M_GAPS_REPAIRED, 1);
    give_next(t, e);
}

static bool is_of_other_numbering(const hub_topic *t, const leat_history_row *last)
{
    return !has_epoch(t, last->head.epoch) || last->head.seq < last->after;
}

/* True if the outbox no longer has the event that is next. */
static bool is_trimmed(const hub_topic *t, const leat_history_row *last)
{
    return last->head.seq > t->at.seq && (!last->has_event || last->seq > t->at.seq);
}

void hub_topic_fetched_all(hub_topic *t, const leat_history_row *last)
{
    bool too_early = hub_want_end(t);
    if (is_of_other_numbering(t, last)) {
        reset(t, LEAT_RESET_EPOCH);
        return;
    }
    if (is_trimmed(t, last)) {
        reset(t, LEAT_RESET_HISTORY);
        return;
    }
    t->heard = later(t->heard, last->head.seq);
    note_read(t);
    if (!too_early) /* otherwise the dispute came up while the fetch ran */
        t->standing = HUB_IN_ORDER;
    advance(t);
    if (too_early)
        hub_want_next(t);
}
