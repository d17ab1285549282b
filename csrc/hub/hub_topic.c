/* hub_topic.c - one topic's events, put in order.
 *
 * Everything that speaks of a topic is a hint: an announcement, a position that a worker's read has
 * seen, the outbox itself. `head` is the last event given to the workers; what is next is given at
 * once, what lies beyond waits in `pending`, and a hole that pending cannot fill is fetched
 * (hub_repair.c). Before any worker's read has told where the topic stands, nothing is given and
 * everything waits; then every worker is told where the topic begins: as far back as was heard
 * without a hole, for another worker's read may be older. If it is older still, that worker's
 * subscriptions take what lies between from the outbox.
 *
 * A number that is announced a second time shows that the log went back to an earlier state. The
 * topic is then disputed: nothing that is announced is given before the outbox has said what is
 * true.
 *
 * hub_topic_announce, hub_topic_position and hub_topic_fetched all end in advance().
 */
#include "hub/hub_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/leat_v1.h"

enum { LATE_MS = 250 };

static void reset(hub_topic *t, int reason);

hub_topic *hub_topic_find(leat_hub *h, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&h->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, hub_topic, entry);
}

static hub_topic *make_topic(leat_hub *h, leat_slice name)
{
    hub_topic *t = leat_calloc(1, sizeof(*t));
    t->hub = h;
    t->name = leat_memdup(name.at, name.len);
    t->head = LEAT_HUB_UNKNOWN;
    t->revoked = LEAT_NEVER_REVOKED;
    leat_list_init(&t->interests);
    leat_list_init(&t->repair_link);
    leat_map_add(&h->topics, &t->entry, (leat_slice){t->name, name.len});
    return t;
}

static void drop_pending(hub_topic *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        t->pending_bytes -= leat_event_bytes(t->pending[i]);
        leat_event_unref(t->pending[i]);
    }
    t->n_pending -= n;
    memmove(t->pending, t->pending + n, t->n_pending * sizeof(*t->pending));
    if (t->n_pending > 0)
        return;
    free(t->pending);
    t->pending = NULL;
    t->cap_pending = 0;
}

static void free_topic(hub_topic *t)
{
    leat_map_remove(&t->hub->topics, &t->entry);
    leat_list_unlink(&t->repair_link);
    if (t->n_pending > 0)
        drop_pending(t, t->n_pending);
    free(t->epoch);
    free(t->name);
    free(t);
}

static leat_slice name_of(const hub_topic *t)
{
    return t->entry.key;
}

static leat_topic_life life_of(const hub_interest *i)
{
    return (leat_topic_life){name_of(i->topic), i->generation};
}

/* What is given to the worker from now on follows the head. */
static void tell_begin(hub_interest *i)
{
    const hub_topic *t = i->topic;
    leat_named_position at = {leat_slice_of(t->epoch), t->head, t->revoked};
    hub_worker_tell_begin(i->worker, life_of(i), &at);
    i->behind = false;
}

static void confirm(hub_interest *i)
{
    i->armed = true;
    hub_worker_tell_armed(i->worker, life_of(i));
    if (i->topic->head != LEAT_HUB_UNKNOWN)
        tell_begin(i);
}

void hub_topic_arm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    hub_topic *t = hub_topic_find(h, life.name);
    if (t == NULL)
        t = make_topic(h, life.name);
    hub_interest *i = leat_calloc(1, sizeof(*i));
    i->topic = t;
    i->worker = w;
    i->generation = life.generation;
    leat_list_push(&t->interests, &i->topic_link);
    leat_list_push(&w->interests, &i->worker_link);
    if (h->phase == HUB_READY)
        confirm(i);
}

void hub_interest_free(hub_interest *i)
{
    hub_topic *t = i->topic;
    leat_list_unlink(&i->topic_link);
    leat_list_unlink(&i->worker_link);
    free(i);
    if (leat_list_empty(&t->interests))
        free_topic(t);
}

void hub_topic_disarm(leat_hub *h, hub_worker *w, leat_topic_life life)
{
    hub_topic *t = hub_topic_find(h, life.name);
    if (t == NULL)
        return;
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (i->worker == w && i->generation == life.generation) {
            hub_interest_free(i);
            return;
        }
    }
}

void hub_topic_confirm_all(leat_hub *h)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e)) {
        hub_topic *t = LEAT_CONTAINER_OF(e, hub_topic, entry);
        for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
            hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
            if (!i->armed)
                confirm(i);
        }
    }
}

void hub_topic_catch_up(hub_worker *w)
{
    for (leat_list *l = w->interests.next; l != &w->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, worker_link);
        if (i->behind && i->topic->head != LEAT_HUB_UNKNOWN)
            tell_begin(i);
        i->behind = false;
    }
}

/* Too much waits for the worker: it is told where the topic goes on when it has room. */
static void leave_behind(hub_interest *i)
{
    leat_metrics_add(i->topic->hub->metrics, LEAT_M_LEFT_BEHIND, 1);
    i->behind = true;
    if (!leat_line_await_room(i->worker->line))
        hub_topic_catch_up(i->worker);
}

/* Gives the event to every interested worker; takes the reference. */
static void give(hub_topic *t, leat_event *e, leat_hub_news_kind kind)
{
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (!i->behind && !hub_worker_give(i->worker, kind, i->generation, e) &&
            kind == LEAT_HUB_EVENT)
            leave_behind(i);
    }
    leat_event_unref(e);
}

static void give_next(hub_topic *t, leat_event *e)
{
    t->head = leat_event_seq(e);
    if (leat_event_kind_of(e) == LEAT_EVENT_REVOKE)
        t->revoked = t->head;
    leat_metrics_add(t->hub->metrics, LEAT_M_EVENTS, 1);
    give(t, e, LEAT_HUB_EVENT);
}

/* Keeps an event that is not yet next, in order. What does not fit is fetched when its turn comes;
 * the latest go first, for the next ones are needed sooner. */
static void keep(hub_topic *t, leat_event *e)
{
    size_t at = t->n_pending;
    int64_t seq = leat_event_seq(e);
    while (at > 0 && leat_event_seq(t->pending[at - 1]) > seq)
        at--;
    bool known = at > 0 && leat_event_seq(t->pending[at - 1]) == seq;
    size_t bytes = leat_event_bytes(e);
    if (known || t->pending_bytes + bytes > t->hub->options.limits->hub_pending_bytes) {
        leat_event_unref(e);
        return;
    }
    if (t->n_pending == t->cap_pending) {
        t->cap_pending = t->cap_pending == 0 ? 8 : t->cap_pending * 2;
        t->pending = leat_realloc(t->pending, t->cap_pending * sizeof(*t->pending));
    }
    memmove(t->pending + at + 1, t->pending + at, (t->n_pending - at) * sizeof(*t->pending));
    t->pending[at] = e;
    t->n_pending++;
    t->pending_bytes += bytes;
}

/* Gives what is next in pending, then asks for what is missing. */
static void advance(hub_topic *t)
{
    if (t->head == LEAT_HUB_UNKNOWN)
        return;
    size_t used = 0;
    for (; used < t->n_pending && !t->disputed; used++) {
        leat_event *e = t->pending[used];
        int64_t seq = leat_event_seq(e);
        if (seq > t->head + 1)
            break;
        if (seq == t->head + 1)
            give_next(t, leat_event_ref(e));
    }
    if (used > 0)
        drop_pending(t, used);
    if (t->heard > t->head || t->disputed)
        hub_repair_want(t);
    else
        t->gap = false;
}

/* Forgets what waits: it belongs to another numbering than what was told last. Whichever of the two
 * is told first may be the older one, so the outbox is asked. */
static void forget_heard(hub_topic *t)
{
    if (t->n_pending > 0)
        drop_pending(t, t->n_pending);
    t->heard = t->announced = 0;
    t->revoked = LEAT_NEVER_REVOKED;
    t->gap = false;
    t->disputed = false;
    t->read_to = 0;
    t->unsure = true;
    free(t->epoch);
    t->epoch = NULL;
}

/* Whether an epoch as announced ("E") is the one that clients are told ("TTTTTTTT-E"). */
static bool same_numbering(const hub_topic *t, leat_slice announced)
{
    leat_slice full = leat_slice_of(t->epoch);
    return full.len == announced.len + 9 && memcmp(full.at + 9, announced.at, announced.len) == 0 &&
           memcmp(full.at, t->hub->timeline, 8) == 0;
}

static char *full_epoch(const leat_hub *h, leat_slice announced)
{
    leat_buf b = LEAT_BUF_INIT;
    leat_buf_text(&b, h->timeline);
    leat_buf_char(&b, '-');
    leat_buf_slice(&b, announced);
    return leat_buf_detach(&b, NULL);
}

/* Another numbering was spoken of: the outbox knows which of the two is true. A fetch that runs may
 * have looked before it began. */
static void doubt_numbering(hub_topic *t)
{
    if (t->fetching)
        t->unsure = true;
    else
        hub_repair_want(t);
}

/* What could not be asked for when it came up. */
static void settle_doubts(hub_topic *t)
{
    if (t->unsure)
        hub_repair_want(t);
    t->unsure = false;
}

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
    case LEAT_ANNOUNCE_HISTORY:
        break;
    }
    return LEAT_EVENT_SIGNAL;
}

static void note_read(hub_topic *t, int64_t seq)
{
    if (seq > t->read_to)
        t->read_to = seq;
    t->read_ms = leat_loop_now(t->hub->loop);
}

static leat_event *event_of(const hub_topic *t, const leat_announcement *a)
{
    bool oversize =
        a->kind == LEAT_ANNOUNCE_EVENT && a->data.len > t->hub->options.limits->max_event_bytes;
    if (oversize)
        return leat_v1_event(LEAT_EVENT_OVERSIZE, a->topic, a->seq, leat_slice_of("null"));
    return leat_v1_event(kind_of(a->kind), a->topic, a->seq, a->data);
}

/* Of an entry at or below the head. What a read has seen was announced before that read, so it is
 * late for a moment only. */
static bool is_late(const hub_topic *t, int64_t seq)
{
    return seq <= t->read_to && leat_loop_now(t->hub->loop) - t->read_ms < LATE_MS;
}

/* Whether the number was announced before, as far as that shows. */
static bool is_repeated(hub_topic *t, int64_t seq)
{
    bool repeated = seq <= t->announced || (seq <= t->head && !is_late(t, seq));
    t->announced = repeated ? t->announced : seq;
    return repeated;
}

bool hub_topic_announce(leat_hub *h, const leat_announcement *a)
{
    hub_topic *t = hub_topic_find(h, a->topic);
    if (t == NULL)
        return true;
    if (a->kind == LEAT_ANNOUNCE_SIGNAL) {
        give(t, event_of(t, a), LEAT_HUB_SIGNAL);
        return true;
    }
    if (t->epoch != NULL && !same_numbering(t, a->epoch)) {
        if (t->head != LEAT_HUB_UNKNOWN) {
            doubt_numbering(t);
            return true;
        }
        forget_heard(t);
    }
    if (t->epoch == NULL)
        t->epoch = full_epoch(h, a->epoch);
    if (is_repeated(t, a->seq)) {
        t->disputed = true;
        doubt_numbering(t);
        return false;
    }
    if (a->seq <= t->head)
        return true;
    if (a->seq > t->heard) {
        t->gap = t->gap || (t->head != LEAT_HUB_UNKNOWN && a->seq > t->heard + 1);
        t->heard = a->seq;
    }
    if (a->data.at != NULL) {
        leat_event *e = event_of(t, a);
        if (a->seq == t->head + 1 && !t->disputed)
            give_next(t, e);
        else
            keep(t, e);
    }
    advance(t);
    return !t->disputed;
}

/* The seq behind which everything up to seq is pending. */
static int64_t behind_pending(const hub_topic *t, int64_t seq)
{
    size_t n = t->n_pending;
    while (n > 0 && leat_event_seq(t->pending[n - 1]) > seq)
        n--;
    for (; n > 0 && leat_event_seq(t->pending[n - 1]) == seq; n--)
        seq--;
    return seq;
}

static void begin(hub_topic *t, const leat_named_position *at)
{
    if (t->epoch != NULL && !leat_slice_equal(leat_slice_of(t->epoch), at->epoch))
        forget_heard(t);
    if (t->epoch == NULL)
        t->epoch = leat_memdup(at->epoch.at, at->epoch.len);
    t->head = behind_pending(t, at->seq);
    note_read(t, at->seq);
    t->heard = t->heard > at->seq ? t->heard : at->seq;
    t->revoked = at->revoked;
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        if (i->armed)
            tell_begin(i);
    }
    advance(t);
    settle_doubts(t);
}

void hub_topic_position(leat_hub *h, leat_slice name, const leat_named_position *at)
{
    hub_topic *t = hub_topic_find(h, name);
    if (t == NULL)
        return;
    if (t->head == LEAT_HUB_UNKNOWN) {
        begin(t, at);
        return;
    }
    if (!leat_slice_equal(leat_slice_of(t->epoch), at->epoch)) {
        doubt_numbering(t);
    } else if (at->seq > t->heard) {
        hub_repair_doubt(t); /* its announcement is most likely on its way */
    }
}

void hub_topic_fetched(hub_topic *t, const leat_history_row *row)
{
    if (t->head == LEAT_HUB_UNKNOWN || !row->has_event || row->seq <= t->head ||
        !leat_slice_equal(leat_slice_of(t->epoch), row->epoch))
        return; /* of another numbering: hub_topic_settle sees to it */
    leat_event *e = leat_v1_event(row->kind, name_of(t), row->seq, row->data);
    if (row->seq != t->head + 1) {
        keep(t, e);
        return;
    }
    if (t->gap || t->blind) /* not only too large to announce */
        leat_metrics_add(t->hub->metrics, LEAT_M_GAPS_REPAIRED, 1);
    give_next(t, e);
}

void hub_topic_settle(hub_topic *t, const leat_history_row *last)
{
    if (t->head == LEAT_HUB_UNKNOWN)
        return; /* reset while the fetch ran */
    if (!leat_slice_equal(leat_slice_of(t->epoch), last->epoch) || last->head < last->after) {
        reset(t, LEAT_RESET_EPOCH);
        return;
    }
    if (last->head > t->head && (!last->has_event || last->seq > t->head)) {
        reset(t, LEAT_RESET_HISTORY); /* trimmed: the outbox cannot fill the hole */
        return;
    }
    if (last->head > t->heard)
        t->heard = last->head;
    note_read(t, last->head);
    t->disputed = t->disputed && t->unsure; /* it came up while the fetch ran */
    advance(t);
    settle_doubts(t);
}

void hub_topic_reset_all(leat_hub *h, int reason)
{
    for (leat_map_entry *e = leat_map_next(&h->topics, NULL); e != NULL;
         e = leat_map_next(&h->topics, e))
        reset(LEAT_CONTAINER_OF(e, hub_topic, entry), reason);
}

static void reset(hub_topic *t, int reason)
{
    forget_heard(t);
    leat_list_unlink(&t->repair_link);
    t->fetching = false; /* a fetch that runs was asked from a position that is no more */
    t->head = LEAT_HUB_UNKNOWN;
    for (leat_list *l = t->interests.next; l != &t->interests; l = l->next) {
        hub_interest *i = LEAT_CONTAINER_OF(l, hub_interest, topic_link);
        hub_worker_tell_reset(i->worker, life_of(i), reason);
    }
}
