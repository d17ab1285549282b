/* hub_want.c - all changes of a topic's hub_query are here: not asked -> next or shortly -> taken
 * by a fetch (hub_want_take) -> not asked (hub_want_end). */
#include "hub/hub_want.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    SHORTLY_MS = 50, /* an announcement that is on its way has arrived by then */
    PROBE_GAP_MS = 1000,
};

static void on_shortly(leat_deadline *d);

void hub_want_init(leat_hub *h, leat_sweep_cb start)
{
    leat_list_init(&h->want.next);
    leat_list_init(&h->want.shortly);
    leat_deadline_init(&h->want.deadline);
    leat_sweep_init(&h->want.start, start);
}

void hub_want_stop(leat_hub *h)
{
    leat_deadline_cancel(&h->want.deadline);
    leat_sweep_cancel(&h->want.start);
}

static void put_wish(hub_topic *t, leat_list *list)
{
    if (t->wish == NULL) {
        t->wish = leat_calloc(1, sizeof(*t->wish));
        t->wish->topic = t;
        leat_list_init(&t->wish->link);
    }
    leat_list_unlink(&t->wish->link);
    leat_list_push(list, &t->wish->link);
}

static void drop_wish(hub_topic *t)
{
    if (t->wish != NULL)
        leat_list_unlink(&t->wish->link);
    free(t->wish);
    t->wish = NULL;
}

static hub_topic *first_of(leat_list *list)
{
    return LEAT_CONTAINER_OF(list->next, hub_wish, link)->topic;
}

/* The only function that changes a topic's query. It puts the topic on the list of that query. */
static void set_query(hub_topic *t, hub_query query)
{
    hub_want *want = &t->hub->want;
    t->query = (uint8_t)query;
    if (query == HUB_ASKED_NEXT)
        put_wish(t, &want->next);
    else if (query == HUB_ASKED_SHORTLY)
        put_wish(t, &want->shortly);
    else
        drop_wish(t);
}

static bool is_placed(const hub_topic *t)
{
    return t->at.seq != LEAT_HUB_UNKNOWN;
}

/* A topic can be HUB_ASKED_NEXT although nothing is scheduled: a fetch does not start while the hub
 * is not ready. So it is scheduled again. */
void hub_want_next(hub_topic *t)
{
    switch ((hub_query)t->query) {
    case HUB_NOT_ASKED:
    case HUB_ASKED_WHEN_PLACED:
    case HUB_ASKED_SHORTLY:
        set_query(t, is_placed(t) ? HUB_ASKED_NEXT : HUB_ASKED_WHEN_PLACED);
        leat_sweep_schedule(t->hub->loop, &t->hub->want.start);
        break;
    case HUB_ASKED_NEXT:
        leat_sweep_schedule(t->hub->loop, &t->hub->want.start);
        break;
    case HUB_ASKED:
    case HUB_ASKED_TOO_EARLY:
        break;
    }
}

void hub_want_again(hub_topic *t)
{
    if (t->query == HUB_ASKED)
        set_query(t, HUB_ASKED_TOO_EARLY);
    else
        hub_want_next(t);
}

void hub_want_shortly(hub_topic *t)
{
    leat_hub *h = t->hub;
    if (t->query != HUB_NOT_ASKED)
        return;
    set_query(t, HUB_ASKED_SHORTLY);
    if (!leat_deadline_armed(&h->want.deadline))
        leat_loop_after(h->loop, &h->want.deadline, SHORTLY_MS, on_shortly);
}

static void on_shortly(leat_deadline *d)
{
    leat_hub *h = LEAT_CONTAINER_OF(d, leat_hub, want.deadline);
    while (!leat_list_empty(&h->want.shortly))
        hub_want_next(first_of(&h->want.shortly));
}

void hub_want_forget(hub_topic *t)
{
    set_query(t, HUB_NOT_ASKED);
}

hub_topic *hub_want_take(leat_hub *h)
{
    if (leat_list_empty(&h->want.next))
        return NULL;
    hub_topic *t = first_of(&h->want.next);
    set_query(t, HUB_ASKED);
    return t;
}

bool hub_want_is_asked(const hub_topic *t)
{
    return t->query == HUB_ASKED || t->query == HUB_ASKED_TOO_EARLY;
}

bool hub_want_end(hub_topic *t)
{
    bool too_early = t->query == HUB_ASKED_TOO_EARLY;
    set_query(t, HUB_NOT_ASKED);
    return too_early;
}

void hub_want_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e))
        hub_want_again(LEAT_CONTAINER_OF(e, hub_topic, entry));
}

/* There is at most one probe in PROBE_GAP_MS. But if a probe is still owed, the fetch is scheduled
 * in any case: the probe has failed, or the hub was not ready for it, and nothing else would start
 * it. The back-off of hub_repair.c bounds how often that is. */
void hub_want_probe(leat_hub *h)
{
    hub_want *want = &h->want;
    uint64_t now = leat_loop_now(h->loop);
    bool lately = want->probed_ms != 0 && now - want->probed_ms < PROBE_GAP_MS;
    if (lately && !want->probe)
        return;
    want->probed_ms = now;
    want->probe = true;
    leat_sweep_schedule(h->loop, &want->start);
}
