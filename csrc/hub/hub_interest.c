/* hub_interest.c - a worker that is left behind is told nothing of the topic until its line has
 * room. Then it is told where the topic stands (BEGIN). It finds in the outbox what it was not
 * given. Of conflating signals the newest is kept for it (give_kept). */
#include "hub/hub_interest.h"

#include <stdlib.h>

#include "base/mem.h"

hub_interest *hub_interest_new(hub_topic *t, hub_worker *w, uint64_t generation)
{
    hub_interest *i = leat_pool_take(t->hub->memory, sizeof(*i));
    i->worker = w;
    i->generation = generation;
    i->state = HUB_INTEREST_UNARMED;
    i->next = t->interests;
    t->interests = i;
    w->n_interests++;
    return i;
}

static void end_lag(hub_interest *i)
{
    if (i->lag == NULL)
        return;
    leat_list_unlink(&i->lag->link);
    leat_latest_free(i->lag->kept);
    free(i->lag);
    i->lag = NULL;
}

void hub_interest_free(hub_topic *t, hub_interest *i)
{
    hub_interest **at = &t->interests;
    while (*at != i)
        at = &(*at)->next;
    *at = i->next;
    i->worker->n_interests--;
    end_lag(i);
    leat_pool_give(t->hub->memory, i);
}

hub_interest *hub_interest_find(const hub_topic *t, const hub_worker *w, uint64_t generation)
{
    for (hub_interest *i = t->interests; i != NULL; i = i->next)
        if (i->worker == w && i->generation == generation)
            return i;
    return NULL;
}

static leat_topic_life life_of(const hub_topic *t, const hub_interest *i)
{
    return (leat_topic_life){leat_map_key(&t->entry), i->generation};
}

/* Returns false if there is no room, but will be. A signal that does not fit although there is room
 * is larger than half the line: it is dropped. */
static bool give_one_kept(const hub_topic *t, hub_interest *i, leat_event *e)
{
    if (hub_worker_give(i->worker, LEAT_HUB_SIGNAL, i->generation, e))
        return true;
    if (leat_line_await_room(i->worker->line))
        return false;
    leat_metrics_add(t->hub->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    return true;
}

static void fall_behind(hub_topic *t, hub_interest *i)
{
    i->state = HUB_INTEREST_BEHIND;
    if (i->lag == NULL) {
        i->lag = leat_calloc(1, sizeof(*i->lag));
        i->lag->topic = t;
        i->lag->interest = i;
        leat_list_init(&i->lag->link);
    }
    leat_list_unlink(&i->lag->link);
    leat_list_push(&i->worker->lags, &i->lag->link);
}

/* Afterwards the worker is no longer behind, unless its line is full again. */
static void give_kept(hub_topic *t, hub_interest *i)
{
    leat_latest *kept = i->lag == NULL ? NULL : i->lag->kept;
    leat_latest_entry *e;
    while (kept != NULL && (e = leat_latest_after(kept, 0)) != NULL) {
        if (!give_one_kept(t, i, e->event)) {
            fall_behind(t, i);
            return;
        }
        leat_latest_drop(kept, e->number);
    }
    end_lag(i);
}

static void follow(hub_topic *t, hub_interest *i)
{
    i->state = HUB_INTEREST_FOLLOWS;
    const leat_position *at = &t->at;
    leat_named_position named = {leat_epoch_text(at->epoch), at->seq, at->revoked};
    if (at->seq != LEAT_HUB_UNKNOWN)
        hub_worker_tell_begin(i->worker, life_of(t, i), &named);
    give_kept(t, i);
}

void hub_interest_arm(hub_topic *t, hub_interest *i)
{
    LEAT_ASSERT(i->state == HUB_INTEREST_UNARMED);
    hub_worker_tell_armed(i->worker, life_of(t, i));
    follow(t, i);
}

void hub_interest_tell_begin(hub_topic *t)
{
    for (hub_interest *i = t->interests; i != NULL; i = i->next)
        if (i->state != HUB_INTEREST_UNARMED)
            follow(t, i);
}

void hub_interest_tell_reset(hub_topic *t, int reason)
{
    for (hub_interest *i = t->interests; i != NULL; i = i->next)
        hub_worker_tell_reset(i->worker, life_of(t, i), reason);
}

void hub_interest_catch_up(hub_worker *w)
{
    leat_list behind;
    leat_list_move(&behind, &w->lags);
    for (leat_list *l; (l = leat_list_shift(&behind)) != NULL;) {
        hub_lag *lag = LEAT_CONTAINER_OF(l, hub_lag, link);
        follow(lag->topic, lag->interest);
    }
}

/* It has fallen behind just now. */
static void await_room(hub_topic *t, hub_interest *i)
{
    leat_metrics_add(t->hub->metrics, LEAT_M_LEFT_BEHIND, 1);
    if (!leat_line_await_room(i->worker->line))
        hub_interest_catch_up(i->worker);
}

/* The worker is behind, and is given the signal when it is not any more. */
static void keep(const hub_topic *t, hub_interest *i, leat_event *e)
{
    if (i->lag->kept == NULL)
        i->lag->kept = leat_latest_new(&i->worker->kept);
    if (leat_latest_put(i->lag->kept, e) > 0)
        leat_metrics_add(t->hub->metrics, LEAT_M_SIGNALS_CONFLATED, 1);
}

static void give(hub_topic *t, hub_interest *i, leat_event *e, leat_hub_news_kind kind)
{
    bool follows = i->state == HUB_INTEREST_FOLLOWS;
    if (i->state == HUB_INTEREST_UNARMED ||
        (follows && hub_worker_give(i->worker, kind, i->generation, e)))
        return;
    bool conflates = leat_event_key(e).at != NULL;
    bool leaves = follows && (conflates || kind == LEAT_HUB_EVENT);
    if (leaves)
        fall_behind(t, i);
    if (conflates)
        keep(t, i, e);
    if (leaves)
        await_room(t, i);
}

void hub_interest_give(hub_topic *t, leat_event *e, leat_hub_news_kind kind)
{
    for (hub_interest *i = t->interests; i != NULL; i = i->next)
        give(t, i, e, kind);
    leat_event_unref(e);
}
