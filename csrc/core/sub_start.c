/* sub_start.c - from the grant to the first read: ARMING -> STARTING -> (RESUMING).
 *
 * Nothing of the topic that the client will see is read before the hub has confirmed that it
 * listens: what commits after the read is heard then. A client that brings a position goes on from
 * there without a read, if the ring or the outbox lead on from it.
 */
#include "core/sub_private.h"

#include <stdlib.h>

static void on_history(leat_history *h, int err, int n_rows, void *arg);

static void attach(leat_sub *s)
{
    sub_asked *a = s->work->asked;
    s->topic = leat_topic_get(sub_core(s), sub_name(s));
    leat_topic_attach(s->topic, &s->topic_link);
    s->entry.key = s->topic->entry.key; /* the same bytes; one copy of them is enough */
    free(a->name);
    a->name = NULL;
}

sub_event sub_arm(leat_sub *s, sub_news *news)
{
    (void)news;
    if (s->topic == NULL)
        attach(s);
    return s->topic->armed ? SUB_ON_ARMED : SUB_ON_NOTHING;
}

uint64_t sub_asked_deadline(const leat_sub *s)
{
    return s->work->asked->deadline_ms;
}

/* The client can go on from where it is, in a topic whose last revocation is that one. */
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
    if (since->epoch != NULL && since->epoch == s->topic->epoch &&
        leat_topic_holds(s->topic, since->seq + 1))
        return resumable(s, s->topic->revoked); /* the ring has it all: nothing is read */
    if (since->epoch == NULL || leat_topic_hooked(s->topic))
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

/* Whether the outbox can take the client on from where it is, which is of the same epoch. */
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
    if (!same || !continues(since, first) || !leat_topic_adopt_position(s->topic, &at))
        return SUB_ON_SNAPSHOT_DUE;
    return resumable(s, first->head.revoked);
}

/* Where the outbox could not be read, a snapshot is due, too: its read tries again, and knows the
 * time. */
static void on_history(leat_history *h, int err, int n_rows, void *arg)
{
    leat_sub *s = arg;
    sub_event event = SUB_ON_SNAPSHOT_DUE;
    s->work->of.history = NULL;
    if (err == 0 && n_rows > 0 && !leat_topic_hooked(s->topic)) {
        leat_history_row first = leat_history_row_at(h, 0);
        event = event_of(s, &first);
    }
    sub_happens_plainly(s, event);
}
