/* sub_start.c - from the grant to the first read: ARMING -> STARTING -> (RESUMING).
 *
 * Nothing of the topic is read for the client before the hub has confirmed that it listens (P1), so
 * what commits after the read is heard. A client that brings a position goes on from there without
 * a snapshot, if the ring or the outbox leads on from it. */
#include "core/sub_private.h"

#include <stdlib.h>

static void on_told(leat_position_ask *a, const leat_position_answer *answer);

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

/* Together with all who come back at the same time. The events are fetched later, for all cursors
 * that need them (catch_up.c). */
sub_event sub_ask_outbox(leat_sub *s, sub_news *news)
{
    (void)news;
    const sub_asked *asked = s->work->asked;
    leat_position_ask *a = &s->work->of.position;
    leat_position_ask_init(a);
    a->data = s;
    leat_positions_ask_after(sub_core(s)->positions, a, sub_name(s), asked->since.seq,
                             asked->deadline_ms, on_told);
    return SUB_ON_NOTHING;
}

void sub_stop_asking(leat_sub *s)
{
    leat_positions_cancel(&s->work->of.position);
}

/* Once the outbox was asked, it decides, even if the ring has come to lead on meanwhile: an answer
 * that does not lead on, or none, may be the first sign of another history. If the outbox could not
 * be read, a snapshot is due: the read of it tries again until the deadline. */
static sub_event event_of(const leat_sub *s, const leat_position_answer *answer)
{
    const leat_position *since = &s->work->asked->since;
    leat_topic *t = s->cursor.topic;
    if (answer->err < 0 || !answer->leads_on || leat_topic_is_hooked(t) ||
        !leat_slice_equal(answer->at.epoch, leat_epoch_text(since->epoch)))
        return SUB_ON_SNAPSHOT_DUE;
    leat_position at = {since->epoch, answer->at.seq, answer->at.revoked};
    bool same = leat_ring_adopt(&t->ring, &at);
    return same ? resumable(s, at.revoked) : SUB_ON_SNAPSHOT_DUE;
}

static void on_told(leat_position_ask *a, const leat_position_answer *answer)
{
    leat_sub *s = a->data;
    sub_has_queued(s, answer->queued_ns);
    sub_happens_plainly(s, event_of(s, answer));
}
