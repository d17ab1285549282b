/* hub_interest.c - a worker that is left behind is told nothing of the topic until its line has
 * room. Then it is told where the topic stands (BEGIN). It finds in the outbox what it was not
 * given. Of conflating signals the newest is kept for it (give_kept). */
#include "hub/hub_interest.h"

#include "base/mem.h"

hub_interest *hub_interest_new(hub_topic *t, hub_worker *w, uint64_t generation)
{
    hub_interest *i = leat_pool_take(t->hub->memory, sizeof(*i));
    i->topic = t;
    i->worker = w;
    i->generation = generation;
    leat_list_push(&t->interests, &i->topic_link);
    leat_list_push(&w->interests, &i->worker_link);
    return i;
}

void hub_interest_free(hub_interest *i)
{
    leat_list_unlink(&i->topic_link);
    leat_list_unlink(&i->worker_link);
    leat_latest_free(i->kept);
    leat_pool_give(i->topic->hub->memory, i);
}

hub_interest *hub_interest_find(const hub_topic *t, const hub_worker *w, uint64_t generation)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (i->worker == w && i->generation == generation)
            return i;
    }
    return NULL;
}

static leat_topic_life life_of(const hub_interest *i)
{
    return (leat_topic_life){leat_map_key(&i->topic->entry), i->generation};
}

/* Returns false if there is no room, but will be. A signal that does not fit although there is room
 * is larger than half the line: it is dropped. */
static bool give_one_kept(hub_interest *i, leat_event *e)
{
    if (hub_worker_give(i->worker, LEAT_HUB_SIGNAL, i->generation, e))
        return true;
    if (leat_line_await_room(i->worker->line))
        return false;
    leat_metrics_add(i->topic->hub->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    return true;
}

static void give_kept(hub_interest *i)
{
    leat_latest_entry *e;
    while (i->kept != NULL && (e = leat_latest_after(i->kept, 0)) != NULL) {
        if (!give_one_kept(i, e->event)) {
            i->state = HUB_INTEREST_BEHIND;
            return;
        }
        leat_latest_drop(i->kept, e->number);
    }
}

static void follow(hub_interest *i)
{
    i->state = HUB_INTEREST_FOLLOWS;
    const leat_position *at = &i->topic->at;
    leat_named_position named = {leat_epoch_text(at->epoch), at->seq, at->revoked};
    if (at->seq != LEAT_HUB_UNKNOWN)
        hub_worker_tell_begin(i->worker, life_of(i), &named);
    give_kept(i);
}

void hub_interest_arm(hub_interest *i)
{
    LEAT_ASSERT(i->state == HUB_INTEREST_UNARMED);
    hub_worker_tell_armed(i->worker, life_of(i));
    follow(i);
}

void hub_interest_tell_begin(hub_topic *t)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (i->state != HUB_INTEREST_UNARMED)
            follow(i);
    }
}

void hub_interest_tell_reset(hub_topic *t, int reason)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        hub_worker_tell_reset(i->worker, life_of(i), reason);
    }
}

void hub_interest_catch_up(hub_worker *w)
{
    for (leat_list *l = w->interests.next; l != &w->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, worker_link);
        if (i->state == HUB_INTEREST_BEHIND)
            follow(i);
    }
}

static void leave_behind(hub_interest *i)
{
    leat_metrics_add(i->topic->hub->metrics, LEAT_M_LEFT_BEHIND, 1);
    i->state = HUB_INTEREST_BEHIND;
    if (!leat_line_await_room(i->worker->line))
        hub_interest_catch_up(i->worker);
}

static void keep(hub_interest *i, leat_event *e)
{
    if (i->kept == NULL)
        i->kept = leat_latest_new(&i->worker->kept);
    if (leat_latest_put(i->kept, e) > 0)
        leat_metrics_add(i->topic->hub->metrics, LEAT_M_SIGNALS_CONFLATED, 1);
}

static void give(hub_interest *i, leat_event *e, leat_hub_news_kind kind)
{
    bool follows = i->state == HUB_INTEREST_FOLLOWS;
    if (i->state == HUB_INTEREST_UNARMED ||
        (follows && hub_worker_give(i->worker, kind, i->generation, e)))
        return;
    bool conflates = leat_event_key(e).at != NULL;
    if (conflates)
        keep(i, e);
    if (follows && (conflates || kind == LEAT_HUB_EVENT))
        leave_behind(i);
}

void hub_interest_give(hub_topic *t, leat_event *e, leat_hub_news_kind kind)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next)
        give(LEAT_CONTAINER_OF(l, hub_interest, topic_link), e, kind);
    leat_event_unref(e);
}
