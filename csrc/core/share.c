/* share.c - join -> (a snapshot at hand | lead -> on_read) -> serve; or join -> on_own_read.
 *
 * The first waiter leads: the read uses its grant. Waiters that join meanwhile are served by it,
 * too: their cursors start at the snapshot's position, and the ring, filled since before the read
 * began, holds what follows. A waiter that needs a later snapshot than that (it resyncs) waits for
 * the next read. */
#include "core/share.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "core/admission.h"

enum {
    MAX_SHARES = 64, /* keys of one topic that are kept */
};

struct leat_share {
    leat_list link; /* in shares->all_ */
    leat_shares *shares;
    char *key;
    leat_list waiters; /* the first one leads */
    leat_read *read;   /* running, or NULL */
    bool serving;      /* serve_all runs: its waiters are on the list of that function */
    leat_sweep serve;
    leat_position at; /* of the snapshot at hand; a reference. No epoch: there is none */
    leat_buf json;    /* the snapshot */
};

static void on_read(leat_read *r, const leat_read_outcome *outcome, void *arg);
static void on_own_read(leat_read *r, const leat_read_outcome *outcome, void *arg);
static void on_deadline(leat_deadline *d);
static void on_serve(leat_sweep *s);

static void forget(leat_share *s)
{
    leat_epoch_unref(s->at.epoch);
    s->at.epoch = NULL;
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

static leat_core *core_of(const leat_share *s)
{
    return s->shares->ring->core;
}

static leat_share *make_share(leat_shares *shares, leat_slice key)
{
    leat_share *s = leat_calloc(1, sizeof(*s));
    s->shares = shares;
    s->key = leat_memdup(key.at, key.len);
    leat_list_init(&s->waiters);
    leat_list_init(&s->link);
    leat_sweep_init(&s->serve, on_serve);
    return s;
}

/* The share of that key, made if need be, as the most recently used; idle ones beyond the limit go.
 */
static leat_share *use_share(leat_shares *shares, leat_slice key)
{
    leat_share *found = NULL;
    leat_share *idle = NULL; /* the one that has been idle longest */
    size_t n = 0;
    for (leat_list *l = shares->all_.next, *next = l->next; l != &shares->all_;
         l = next, next = l->next) {
        leat_share *s = LEAT_CONTAINER_OF(l, leat_share, link);
        if (leat_slice_is(key, s->key))
            found = s;
        if (idle == NULL && leat_list_empty(&s->waiters) && !s->serving)
            idle = s;
        n++;
    }
    if (found == NULL) {
        found = make_share(shares, key);
        if (n >= MAX_SHARES && idle != NULL)
            free_share(idle);
    }
    leat_list_unlink(&found->link);
    leat_list_push(&shares->all_, &found->link);
    return found;
}

/* Keeps the snapshot. Of the topic's other snapshots it keeps those for which ring_bytes has room,
 * the last used first. */
static void keep(leat_share *s, const leat_read_outcome *o)
{
    size_t room = core_of(s)->limits->ring_bytes;
    s->at = o->snapshot.position;
    leat_epoch_ref(s->at.epoch);
    leat_buf_slice(&s->json, o->snapshot.json);
    room -= s->json.cap < room ? s->json.cap : room;
    for (leat_list *l = s->shares->all_.prev; l != &s->shares->all_; l = l->prev) {
        leat_share *other = LEAT_CONTAINER_OF(l, leat_share, link);
        if (other == s)
            continue;
        if (other->json.cap > room)
            forget(other);
        room -= other->json.cap;
    }
}

static bool at_hand(const leat_share *s)
{
    const leat_ring *ring = s->shares->ring;
    return s->at.epoch != NULL && s->at.epoch == ring->epoch &&
           leat_ring_leads_on(ring, s->at.seq + 1) && s->at.seq >= ring->resynced;
}

static void lead(leat_share *s)
{
    if (s->read != NULL || leat_list_empty(&s->waiters))
        return;
    leat_share_wait *first = LEAT_CONTAINER_OF(s->waiters.next, leat_share_wait, link_);
    leat_read_need need = first->need_ == LEAT_READ_FIRST ? LEAT_READ_SHARED : LEAT_READ_LATER;
    s->read =
        leat_read_start(s->shares->ring, first->grant_, need, first->deadline_ms_, on_read, s);
}

void leat_share_wait_init(leat_share_wait *w)
{
    *w = (leat_share_wait){0};
    leat_list_init(&w->link_);
    leat_deadline_init(&w->deadline_);
}

/* It is served, or leaves. */
static void take_off(leat_share_wait *w)
{
    leat_list_unlink(&w->link_);
    leat_deadline_cancel(&w->deadline_);
    w->share_ = NULL;
}

bool leat_share_is_for_all(const leat_share_ask *ask)
{
    return leat_grant_share(ask->grant).at != NULL && ask->need != LEAT_READ_FRESH;
}

static void fill(leat_share_wait *w, const leat_ring *ring, const leat_share_ask *ask,
                 leat_share_cb cb)
{
    w->grant_ = ask->grant;
    w->need_ = ask->need;
    w->least_seq = ask->least_seq;
    w->deadline_ms_ = ask->deadline_ms;
    w->core_ = ring->core;
    w->cb_ = cb;
}

void leat_share_alone(leat_share_wait *w, const leat_ring *ring, const leat_share_ask *ask,
                      leat_share_cb cb)
{
    fill(w, ring, ask, cb);
    w->own_ = leat_read_start(ring, ask->grant, ask->need, ask->deadline_ms, on_own_read, w);
}

void leat_share_join(leat_share_wait *w, leat_shares *shares, const leat_share_ask *ask,
                     leat_share_cb cb)
{
    leat_loop *loop = shares->ring->core->loop;
    LEAT_ASSERT(leat_share_is_for_all(ask));
    fill(w, shares->ring, ask, cb);
    leat_share *s = use_share(shares, leat_grant_share(ask->grant));
    w->share_ = s;
    leat_list_push(&s->waiters, &w->link_);
    leat_loop_at(loop, &w->deadline_, ask->deadline_ms, on_deadline);
    if (at_hand(s) && s->at.seq >= ask->least_seq)
        leat_sweep_schedule(loop, &s->serve);
    else
        lead(s);
}

void leat_share_leave(leat_share_wait *w)
{
    leat_share *s = w->share_;
    if (w->own_ != NULL)
        leat_read_cancel(w->own_);
    w->own_ = NULL;
    if (s == NULL)
        return;
    bool led = s->read != NULL && s->waiters.next == &w->link_;
    take_off(w);
    if (!led)
        return;
    leat_read_cancel(s->read); /* it borrows the grant of the waiter that leaves */
    s->read = NULL;
    lead(s);
}

static void on_own_read(leat_read *r, const leat_read_outcome *outcome, void *arg)
{
    leat_share_wait *w = arg;
    (void)r;
    w->own_ = NULL;
    w->cb_(w, outcome);
}

static void on_deadline(leat_deadline *d)
{
    leat_share_wait *w = LEAT_CONTAINER_OF(d, leat_share_wait, deadline_);
    leat_read_outcome outcome = {
        .failure = {.code = LEAT_CODE_DEADLINE_EXCEEDED, .read_failed = true},
    };
    if (!leat_pg_pool_healthy(w->core_->pool))
        outcome.failure = (leat_failure){
            .code = LEAT_CODE_UNAVAILABLE,
            .retry_after_ms = leat_admission_retry_ms(w->core_),
            .read_failed = true,
        };
    leat_share_leave(w);
    w->cb_(w, &outcome);
}

/* Positions of different numberings cannot be compared: then every waiter gets the outcome. */
static bool good_for(const leat_share_wait *w, const leat_ring *ring, const leat_read_outcome *o)
{
    return o->snapshot.position.seq >= w->least_seq || o->snapshot.position.epoch != ring->epoch;
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
        leat_share_wait *w = LEAT_CONTAINER_OF(l, leat_share_wait, link_);
        if (!good_for(w, s->shares->ring, outcome)) {
            leat_list_push(&s->waiters, &w->link_);
            left = true;
            continue;
        }
        take_off(w);
        w->cb_(w, outcome);
    }
    s->serving = false;
    if (left)
        lead(s);
}

static void on_serve(leat_sweep *sweep)
{
    leat_share *s = LEAT_CONTAINER_OF(sweep, leat_share, serve);
    if (!at_hand(s)) {
        lead(s);
        return;
    }
    leat_read_outcome outcome = {
        .snapshot = {.position = s->at, .json = leat_buf_view(&s->json)},
    };
    /* The ring may have caught up with the snapshot while a newer one is read. That read borrows
     * the grant of its leader, which may be about to be served. */
    if (s->read != NULL && good_for(LEAT_CONTAINER_OF(s->waiters.next, leat_share_wait, link_),
                                    s->shares->ring, &outcome)) {
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
    if (outcome->failure.code != LEAT_CODE_OK) {
        leat_share_wait *first = LEAT_CONTAINER_OF(s->waiters.next, leat_share_wait, link_);
        take_off(first);
        lead(s);
        first->cb_(first, outcome);
        return;
    }
    forget(s);
    if (!outcome->snapshot.stale)
        keep(s, outcome);
    serve_all(s, outcome);
}

void leat_shares_init(leat_shares *shares, const leat_ring *ring)
{
    leat_list_init(&shares->all_);
    shares->ring = ring;
}

void leat_shares_restart(leat_shares *shares, bool renumbered)
{
    for (leat_list *l = shares->all_.next; l != &shares->all_; l = l->next) {
        leat_share *s = LEAT_CONTAINER_OF(l, leat_share, link);
        forget(s);
        if (!renumbered || s->read == NULL)
            continue;
        leat_read_cancel(s->read);
        s->read = NULL;
        lead(s);
    }
}

void leat_shares_close(leat_shares *shares)
{
    for (leat_list *link; (link = leat_list_shift(&shares->all_)) != NULL;)
        free_share(LEAT_CONTAINER_OF(link, leat_share, link));
}
