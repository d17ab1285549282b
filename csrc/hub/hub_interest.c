/* hub_interest.c - a worker that is left behind is told nothing of the topic until its line has
 * room. Then it is told where the topic stands (BEGIN). It finds in the outbox what it was not
 * given. */
#include "hub/hub_interest.h"

#include <stdlib.h>

#include "base/mem.h"

hub_interest *hub_interest_new(hub_topic *t, hub_worker *w, uint64_t generation)
{
    hub_interest *i = leat_calloc(1, sizeof(*i));
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
    free(i);
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
    return (leat_topic_life){i->topic->entry.key, i->generation};
}

static void follow(hub_interest *i)
{
    i->state = HUB_INTEREST_FOLLOWS;
    if (i->topic->at.seq != LEAT_HUB_UNKNOWN)
        hub_worker_tell_begin(i->worker, life_of(i), &i->topic->at);
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

void hub_interest_give(hub_topic *t, leat_event *e, leat_hub_news_kind kind)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (i->state != HUB_INTEREST_FOLLOWS)
            continue;
        if (!hub_worker_give(i->worker, kind, i->generation, e) && kind == LEAT_HUB_EVENT)
            leave_behind(i);
    }
    leat_event_unref(e);
}
