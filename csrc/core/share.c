/* share.c - join -> (a snapshot at hand | lead -> on_read) -> serve.
 *
 * The first waiter's grant leads the read. Whoever joins meanwhile is served by it, too: its cursor
 * starts at the snapshot's position, and the ring, pinned since before the read began, holds what
 * follows. But if it needs a later snapshot than that read's (it resyncs), the next read is its
 * own.
 */
#include "core/share.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

enum { MAX_SHARES = 64 }; /* keys of one topic that are kept */

struct leat_share {
    leat_list link; /* in topic->shares, least recently used first */
    leat_topic *topic;
    char *key;
    leat_list waiters; /* the first one leads */
    leat_read *read;   /* running, or NULL */
    bool serving;      /* its waiters are on serve_all's list */
    leat_sweep serve;
    char *epoch; /* of the snapshot at hand; NULL: there is none */
    int64_t seq;
    int64_t revoked;
    leat_buf json;
};

static void on_read(leat_read *r, const leat_read_outcome *outcome, void *arg);
static void on_serve(leat_sweep *s);

static void forget(leat_share *s)
{
    free(s->epoch);
    s->epoch = NULL;
    leat_buf_close(&s->json);
}

static void free_share(leat_share *s)
{
    LEAT_ASSERT(leat_list_empty(&s->waiters) && s->read == NULL);
    leat_sweep_cancel(&s->serve);
    leat_list_unlink(&s->link);
    forget(s);
    free(s->key);
    free(s);
}

static leat_share *make_share(leat_topic *t, leat_slice key)
{
    leat_share *s = leat_calloc(1, sizeof(*s));
    s->topic = t;
    s->key = leat_memdup(key.at, key.len);
    leat_list_init(&s->waiters);
    leat_list_init(&s->link);
    leat_sweep_init(&s->serve, on_serve);
    return s;
}

/* The share of that key, made if need be, as the most recently used; idle ones beyond the limit go.
 */
static leat_share *use_share(leat_topic *t, leat_slice key)
{
    leat_share *found = NULL;
    leat_share *idle = NULL; /* for the longest time */
    size_t n = 0;
    for (leat_list *l = t->shares.next, *next = l->next; l != &t->shares;
         l = next, next = l->next) {
        leat_share *s = LEAT_LIST_ENTRY(l, leat_share, link);
        if (leat_slice_is(key, s->key))
            found = s;
        if (idle == NULL && leat_list_empty(&s->waiters) && !s->serving)
            idle = s;
        n++;
    }
    if (found == NULL) {
        found = make_share(t, key);
        if (n >= MAX_SHARES && idle != NULL)
            free_share(idle);
    }
    leat_list_unlink(&found->link);
    leat_list_push(&t->shares, &found->link);
    return found;
}

/* Keeps a snapshot, and of the others those that the topic's ring_bytes still have room for, the
 * last used first. */
static void keep(leat_share *s, const leat_read_outcome *o)
{
    size_t room = s->topic->core->limits->ring_bytes;
    s->epoch = leat_memdup(o->epoch.at, o->epoch.len);
    s->seq = o->seq;
    s->revoked = o->revoked;
    leat_buf_slice(&s->json, o->json);
    room -= s->json.cap < room ? s->json.cap : room;
    for (leat_list *l = s->topic->shares.prev; l != &s->topic->shares; l = l->prev) {
        leat_share *other = LEAT_LIST_ENTRY(l, leat_share, link);
        if (other == s)
            continue;
        if (other->json.cap > room)
            forget(other);
        room -= other->json.cap;
    }
}

static bool at_hand(const leat_share *s)
{
    const leat_topic *t = s->topic;
    return s->epoch != NULL && t->epoch != NULL &&
           leat_slice_equal(leat_slice_of(s->epoch), leat_slice_of(t->epoch)) &&
           leat_topic_holds(t, s->seq + 1) && s->seq >= t->resynced;
}

static void lead(leat_share *s)
{
    if (s->read != NULL || leat_list_empty(&s->waiters))
        return;
    leat_share_wait *first = LEAT_LIST_ENTRY(s->waiters.next, leat_share_wait, link);
    s->read = leat_read_start(s->topic->core, s->topic->entry.key, first->grant, false,
                              first->deadline_ms, on_read, s);
}

void leat_share_join(leat_share_wait *w, leat_topic *t, leat_grant *grant, int64_t least_seq,
                     uint64_t deadline_ms, leat_share_cb cb)
{
    leat_share *s = use_share(t, grant->share);
    w->share = s;
    w->grant = grant;
    w->least_seq = least_seq;
    w->deadline_ms = deadline_ms;
    w->cb = cb;
    leat_list_push(&s->waiters, &w->link);
    if (at_hand(s) && s->seq >= least_seq)
        leat_sweep_schedule(t->core->loop, &s->serve);
    else
        lead(s);
}

void leat_share_leave(leat_share_wait *w)
{
    leat_share *s = w->share;
    if (s == NULL)
        return;
    bool led = s->read != NULL && s->waiters.next == &w->link;
    leat_list_unlink(&w->link);
    w->share = NULL;
    if (!led)
        return;
    leat_read_cancel(s->read); /* it borrows the grant of the one who leaves */
    s->read = NULL;
    lead(s);
}

/* Numbers of another numbering than the ring's say nothing. */
static bool good_for(const leat_share_wait *w, const leat_topic *t, const leat_read_outcome *o)
{
    return o->seq >= w->least_seq || t->epoch == NULL ||
           !leat_slice_equal(leat_slice_of(t->epoch), o->epoch);
}

/* Every waiter that the outcome is good for gets it; the others, in their order, wait for the next
 * read. A callback may join or leave shares, so the walk is over a list of its own. */
static void serve_all(leat_share *s, const leat_read_outcome *outcome)
{
    leat_list all;
    bool left = false;
    s->serving = true;
    leat_list_move(&all, &s->waiters);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_share_wait *w = LEAT_LIST_ENTRY(l, leat_share_wait, link);
        if (!good_for(w, s->topic, outcome)) {
            leat_list_push(&s->waiters, &w->link);
            left = true;
            continue;
        }
        w->share = NULL;
        w->cb(w, outcome);
    }
    s->serving = false;
    if (left)
        lead(s);
}

static void on_serve(leat_sweep *sweep)
{
    leat_share *s = LEAT_LIST_ENTRY(sweep, leat_share, serve);
    if (!at_hand(s)) {
        lead(s);
        return;
    }
    leat_read_outcome outcome = {
        .code = LEAT_CODE_OK,
        .epoch = leat_slice_of(s->epoch),
        .seq = s->seq,
        .revoked = s->revoked,
        .json = leat_buf_view(&s->json),
    };
    /* The ring may have caught up with the snapshot while a newer one is read. That read borrows
     * the grant of its leader, who may be about to be served. */
    if (s->read != NULL &&
        good_for(LEAT_LIST_ENTRY(s->waiters.next, leat_share_wait, link), s->topic, &outcome)) {
        leat_read_cancel(s->read);
        s->read = NULL;
    }
    serve_all(s, &outcome);
}

static void on_read(leat_read *r, const leat_read_outcome *outcome, void *arg)
{
    leat_share *s = arg;
    (void)r;
    s->read = NULL;
    if (outcome->code != LEAT_CODE_OK) {
        leat_share_wait *first =
            LEAT_LIST_ENTRY(leat_list_shift(&s->waiters), leat_share_wait, link);
        first->share = NULL;
        lead(s);
        first->cb(first, outcome);
        return;
    }
    forget(s);
    if (!outcome->stale)
        keep(s, outcome);
    serve_all(s, outcome);
}

void leat_share_forget_all(leat_topic *t, bool renumbered)
{
    for (leat_list *l = t->shares.next; l != &t->shares; l = l->next) {
        leat_share *s = LEAT_LIST_ENTRY(l, leat_share, link);
        forget(s);
        if (!renumbered || s->read == NULL)
            continue;
        leat_read_cancel(s->read);
        s->read = NULL;
        lead(s);
    }
}

void leat_share_free_all(leat_topic *t)
{
    while (!leat_list_empty(&t->shares))
        free_share(LEAT_LIST_ENTRY(t->shares.next, leat_share, link));
}
