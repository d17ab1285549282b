/* sub_read.c - snapshots: the first one, and the one that replaces what a client has.
 *
 * READING: the first snapshot is read at once. Every later one is noted as due first (sub_owe_*).
 * CONTINUING then decides whether the handler must run before, or the client must take more before.
 * Then the subscription waits for a slot, and reads (REREADING). While it reads, the cursor stands
 * still. A snapshot at s puts the cursor at s+1, unless there is a revocation up to s that is not
 * yet decided: then the handler runs first (sub_right.c). */
#include "core/sub_private.h"

enum { REREAD_MS = 50 };

static void on_read(leat_share_wait *wait, const leat_read_outcome *o);

static void read_snapshot(leat_sub *s, leat_read_need need, uint64_t deadline_ms)
{
    leat_share_wait *wait = &s->work->of.share;
    leat_share_wait_init(wait);
    wait->data = s;
    leat_share_ask ask = {
        .grant = s->grant,
        .least_seq = s->cursor.next_seq - 1,
        .need = need,
        .deadline_ms = deadline_ms,
    };
    leat_topic *t = s->cursor.topic;
    if (leat_share_is_for_all(&ask))
        leat_share_join(wait, leat_topic_shares(t), &ask, on_read);
    else
        leat_share_alone(wait, &t->ring, &ask, on_read);
}

sub_event sub_read_first(leat_sub *s, sub_news *news)
{
    (void)news;
    read_snapshot(s, LEAT_READ_FIRST, s->work->asked->deadline_ms);
    return SUB_ON_NOTHING;
}

sub_event sub_read_again(leat_sub *s, sub_news *news)
{
    (void)news;
    read_snapshot(s, s->due == SUB_DUE_FRESH ? LEAT_READ_FRESH : LEAT_READ_LATER,
                  sub_in_ms(s, sub_core(s)->limits->control_timeout_ms));
    return SUB_ON_NOTHING;
}

void sub_stop_reading(leat_sub *s)
{
    leat_share_leave(&s->work->of.share);
}

bool sub_is_new_enough(const leat_sub *s, int64_t seq)
{
    return seq + 1 >= s->cursor.next_seq;
}

/* What the outcome of a read means for the subscription, now that its position has been adopted. */
static sub_event event_of(const leat_sub *s, const leat_read_outcome *o, bool same_numbering)
{
    const leat_snapshot *snapshot = &o->snapshot;
    bool replaces_stale = s->due == SUB_DUE_FRESH;
    if (o->failure.code != LEAT_CODE_OK && !o->failure.read_failed)
        return SUB_ON_REFUSED;
    if (o->failure.code != LEAT_CODE_OK)
        return replaces_stale ? SUB_ON_KEPT_STALE : SUB_ON_FAILED;
    if (!same_numbering || !sub_is_new_enough(s, snapshot->position.seq))
        return replaces_stale ? SUB_ON_KEPT_STALE : SUB_ON_OUTDATED;
    if (sub_in_doubt(s, &snapshot->position))
        return SUB_ON_IN_DOUBT;
    bool room = s->subscriber->ops->takes_snapshot(s->subscriber, snapshot->json.len);
    return room ? SUB_ON_SNAPSHOT : SUB_ON_NO_ROOM;
}

static void on_read(leat_share_wait *wait, const leat_read_outcome *o)
{
    leat_sub *s = wait->data;
    sub_news news = {.snapshot = &o->snapshot, .failure = o->failure};
    sub_has_queued(s, o->queued_ns);
    bool same_numbering = o->failure.code == LEAT_CODE_OK &&
                          leat_ring_adopt(&s->cursor.topic->ring, &o->snapshot.position);
    sub_happens(s, event_of(s, o, same_numbering), &news);
}

/* The read is repeated soon: the hub is about to tell the topic of the other numbering. */
uint64_t sub_numbering_deadline(const leat_sub *s)
{
    uint64_t at = sub_in_ms(s, REREAD_MS);
    uint64_t last = s->work->asked->deadline_ms;
    return at < last ? at : last;
}

sub_event sub_send_snapshot(leat_sub *s, leat_slice id, const leat_snapshot *snapshot)
{
    bool taken = s->subscriber->ops->snapshot(s->subscriber, id, sub_name(s), snapshot);
    s->cursor.next_seq = snapshot->position.seq + 1;
    s->stale = snapshot->stale;
    s->due = SUB_DUE_NOTHING;
    s->work->attempts = 0;
    if (snapshot->stale)
        leat_metrics_add(sub_core(s)->metrics, LEAT_M_STALE_SNAPSHOTS, 1);
    return taken ? SUB_ON_NOTHING : SUB_ON_CLOSE;
}

sub_event sub_give_snapshot(leat_sub *s, sub_news *news)
{
    return sub_send_snapshot(s, (leat_slice){NULL, 0}, news->snapshot);
}

/* A grant of scripts that a reload replaced reads nothing more. So the handler of the new scripts
 * runs first. */
sub_event sub_choose_next(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_script *script = sub_core(s)->script;
    if (s->due == SUB_DUE_NOTHING)
        return SUB_ON_NOTHING_DUE;
    if (s->renumbered || !script->ops->grant_current(script, s->grant))
        return SUB_ON_IN_DOUBT;
    bool room = s->subscriber->ops->takes_more(s->subscriber);
    return room ? SUB_ON_SNAPSHOT_DUE : SUB_ON_FULL;
}

static sub_event owe(leat_sub *s, sub_due due, leat_metric reason)
{
    s->due = (uint8_t)due;
    leat_metrics_add(sub_core(s)->metrics, reason, 1);
    return SUB_ON_NOTHING;
}

sub_event sub_owe_snapshot(leat_sub *s, sub_news *news)
{
    static const leat_metric reasons[] = {
        [LEAT_RESET_HISTORY] = LEAT_M_RESYNCS_HISTORY,
        [LEAT_RESET_EPOCH] = LEAT_M_RESYNCS_EPOCH,
        [LEAT_RESET_HOOK] = LEAT_M_RESYNCS_HOOK,
        [LEAT_RESET_REQUESTED] = LEAT_M_RESYNCS_REQUESTED,
        [LEAT_RESET_TOO_LARGE] = LEAT_M_RESYNCS_TOO_LARGE,
    };
    sub_work_of(s)->attempts = 0;
    return owe(s, SUB_DUE_SNAPSHOT, reasons[news->reason]);
}

/* The events behind the cursor were trimmed, or are of another numbering, or have not passed the
 * hook. */
sub_event sub_owe_lost(leat_sub *s, sub_news *news)
{
    news->reason = LEAT_RESET_HISTORY;
    return sub_owe_snapshot(s, news);
}

sub_event sub_owe_renewed(leat_sub *s, sub_news *news)
{
    (void)news;
    return owe(s, SUB_DUE_SNAPSHOT, LEAT_M_RESYNCS_STALE);
}

sub_event sub_owe_fresh(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = SUB_DUE_FRESH; /* sub_renewal.c counts it when it has read the row */
    return SUB_ON_NOTHING;
}

/* The cursor stands still, and may not go on from where it is. So a snapshot must follow, even if
 * the one that was due was only to replace a stale one and may fail. */
sub_event sub_owe_too(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = SUB_DUE_SNAPSHOT;
    return SUB_ON_NOTHING;
}

/* The client keeps its stale snapshot, and events go on. */
sub_event sub_owe_nothing(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = SUB_DUE_NOTHING;
    return SUB_ON_NOTHING;
}

/* With next_seq 0 every snapshot of the new numbering is new enough, and no event of the old
 * numbering can be the next one. */
sub_event sub_begin_numbering(leat_sub *s, sub_news *news)
{
    (void)news;
    s->cursor.next_seq = 0;
    s->renumbered = true;
    return SUB_ON_NOTHING;
}

/* The read that is under way may bring any position of the new numbering. */
sub_event sub_begin_numbering_of_read(leat_sub *s, sub_news *news)
{
    s->work->of.share.least_seq = 0;
    return sub_begin_numbering(s, news);
}
