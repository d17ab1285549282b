/* sub_start.c - from the grant to the first read: ARMING -> STARTING -> (RESUMING).
 *
 * Nothing of the topic is read for the client before the hub has confirmed that it listens (P1), so
 * what commits after the read is heard. A client that brings a position goes on from there without
 * a snapshot, if the ring or the outbox leads on from it. */
#include "core/sub_private.h"

#include <stdlib.h>

static void on_history(leat_history *h, int err, int n_rows, void *arg);

static void attach(leat_sub *s)
{
    leat_topic *t = leat_topic_get(sub_core(s), sub_name(s));
    leat_topic_attach(t, &s->cursor);
    leat_map_move_key(&s->entry, leat_topic_name(t)); /* one copy of the bytes is enough */
    free(s->work->name);
    s->work->name = NULL;
}

sub_event sub_arm(leat_sub *s, sub_news *news)
{
    (void)news;
    if (s->cursor.topic == NULL)
        attach(s);
    return s->cursor.topic->armed ? SUB_ON_ARMED : SUB_ON_NOTHING;
}

uint64_t sub_asked_deadline(const leat_sub *s)
{
    return s->work->asked->deadline_ms;
}

/* What happens next if the ring or the outbox leads on from the client's position. revoked: the
 * topic's last revocation. */
static sub_event resumable(const leat_sub *s, int64_t revoked)
{
    leat_position since = s->work->asked->since;
    since.revoked = revoked;
    return sub_in_doubt(s, &since) ? SUB_ON_IN_DOUBT : SUB_ON_RESUMABLE;
}

sub_event sub_choose_start(leat_sub *s, sub_news *news)
{
    (void)news;
    const leat_position *since = &s->work->asked->since;
    leat_topic *t = s->cursor.topic;
    if (since->epoch != NULL && since->epoch == t->ring.epoch &&
        leat_ring_leads_on(&t->ring, since->seq + 1))
        return resumable(s, t->ring.revoked); /* the ring has it all: nothing is read */
    if (since->epoch == NULL || leat_topic_is_hooked(t))
        return SUB_ON_SNAPSHOT_DUE;
    return SUB_ON_UNCERTAIN;
}

sub_event sub_ask_outbox(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_core *core = sub_core(s);
    sub_work *w = s->work;
    w->of.history = leat_history_new(core->pool);
    leat_history_ask(w->of.history, sub_name(s), w->asked->since.seq);
    /* One row shows whether the outbox leads on. The others are fetched later, for all cursors that
     * need them (catch_up.c). */
    leat_history_bounds bounds = {.events = 1, .topic_bytes = 1, .total_bytes = 1};
    leat_history_start(w->of.history, &bounds, w->asked->deadline_ms, on_history, s);
    return SUB_ON_NOTHING;
}

void sub_stop_asking(leat_sub *s)
{
    if (s->work->of.history != NULL)
        leat_history_cancel(s->work->of.history);
}

/* Returns true if the outbox leads on from the client's position, which is of the same epoch. */
static bool continues(const leat_position *since, const leat_history_row *first)
{
    return first->head.seq >= since->seq &&
           (first->head.seq == since->seq || (first->has_event && first->seq == since->seq + 1));
}

static sub_event event_of(const leat_sub *s, const leat_history_row *first)
{
    const leat_position *since = &s->work->asked->since;
    leat_position at = {since->epoch, first->head.seq, first->head.revoked};
    bool same = leat_slice_equal(first->head.epoch, leat_epoch_text(since->epoch));
    if (!same || !continues(since, first) || !leat_ring_adopt(&s->cursor.topic->ring, &at))
        return SUB_ON_SNAPSHOT_DUE;
    return resumable(s, first->head.revoked);
}

/* If the outbox could not be read, a snapshot is due: the read of it tries again until the
 * deadline. */
static void on_history(leat_history *h, int err, int n_rows, void *arg)
{
    leat_sub *s = arg;
    sub_event event = SUB_ON_SNAPSHOT_DUE;
    s->work->of.history = NULL;
    if (err == 0 && n_rows > 0 && !leat_topic_is_hooked(s->cursor.topic)) {
        leat_history_row first = leat_history_row_at(h, 0);
        event = event_of(s, &first);
    }
    sub_happens_plainly(s, event);
}
