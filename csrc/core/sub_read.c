/* sub_read.c - snapshots: the first one, and the one that replaces what a client has.
 *
 * READING: the first one is read at once. Every later one is due first (sub_owe_*): CONTINUING
 * decides whether the handler is to run before, or the client to take more; then it waits for a
 * slot and is read (REREADING). While it is read the cursor stands still; the snapshot at s puts it
 * at s+1, unless a revocation up to s is yet to be decided: then the handler runs first
 * (sub_right.c).
 */
#include "core/sub_private.h"

enum { REREAD_MS = 50 };

static void on_read(leat_share_wait *wait, const leat_read_outcome *o);

static void read_snapshot(leat_sub *s, uint64_t deadline_ms)
{
    leat_share_wait *wait = &s->work->of.share;
    leat_share_wait_init(wait);
    wait->data = s;
    leat_share_ask ask = {
        .grant = s->grant,
        .least_seq = s->next_seq - 1,
        .fresh_only = s->due == LEAT_SUB_DUE_FRESH,
        .deadline_ms = deadline_ms,
    };
    leat_share_join(wait, s->topic, &ask, on_read);
}

sub_event sub_read_first(leat_sub *s, sub_news *news)
{
    (void)news;
    read_snapshot(s, s->work->asked->deadline_ms);
    return SUB_ON_NOTHING;
}

sub_event sub_read_again(leat_sub *s, sub_news *news)
{
    (void)news;
    read_snapshot(s, sub_in_ms(s, sub_core(s)->limits->control_timeout_ms));
    return SUB_ON_NOTHING;
}

void sub_stop_reading(leat_sub *s)
{
    leat_share_leave(&s->work->of.share);
}

bool sub_is_new_enough(const leat_sub *s, int64_t seq)
{
    return seq + 1 >= s->next_seq;
}

/* What a read means, once its position has been adopted. */
static sub_event event_of(const leat_sub *s, const leat_read_outcome *o, bool same_numbering)
{
    bool replaces_stale = s->due == LEAT_SUB_DUE_FRESH;
    if (o->failure.code != LEAT_CODE_OK && !o->read_failed)
        return SUB_ON_REFUSED;
    if (o->failure.code != LEAT_CODE_OK)
        return replaces_stale ? SUB_ON_KEPT_STALE : SUB_ON_FAILED;
    if (!same_numbering || !sub_is_new_enough(s, o->position.seq))
        return replaces_stale ? SUB_ON_KEPT_STALE : SUB_ON_OUTDATED;
    if (sub_in_doubt(s, &o->position))
        return SUB_ON_IN_DOUBT;
    return s->subscriber->ops->takes_snapshot(s->subscriber, o->json.len) ? SUB_ON_SNAPSHOT
                                                                          : SUB_ON_NO_ROOM;
}

static void on_read(leat_share_wait *wait, const leat_read_outcome *o)
{
    leat_sub *s = wait->data;
    sub_news news = {.outcome = o, .failure = o->failure};
    bool same_numbering =
        o->failure.code == LEAT_CODE_OK && leat_topic_adopt_position(s->topic, &o->position);
    sub_happens(s, event_of(s, o, same_numbering), &news);
}

/* The hub will tell the topic of the other numbering at any moment. */
uint64_t sub_numbering_deadline(const leat_sub *s)
{
    uint64_t at = sub_in_ms(s, REREAD_MS);
    uint64_t last = s->work->asked->deadline_ms;
    return at < last ? at : last;
}

void sub_send_snapshot(leat_sub *s, leat_slice id, const leat_read_outcome *o)
{
    s->subscriber->ops->snapshot(s->subscriber, id, sub_name(s), &o->position, o->stale, o->json);
    s->next_seq = o->position.seq + 1;
    s->stale = o->stale;
    s->due = LEAT_SUB_DUE_NOTHING;
    s->work->attempts = 0;
    if (o->stale)
        leat_metrics_add(sub_core(s)->metrics, LEAT_M_STALE_SNAPSHOTS, 1);
}

sub_event sub_give_snapshot(leat_sub *s, sub_news *news)
{
    sub_send_snapshot(s, (leat_slice){NULL, 0}, news->outcome);
    return SUB_ON_NOTHING;
}

/* Scripts that were replaced read nothing any more: the new ones decide, and read. */
sub_event sub_choose_next(leat_sub *s, sub_news *news)
{
    (void)news;
    leat_script *script = sub_core(s)->script;
    if (s->due == LEAT_SUB_DUE_NOTHING)
        return SUB_ON_NOTHING_DUE;
    if (s->renumbered || !script->ops->grant_current(script, s->grant))
        return SUB_ON_IN_DOUBT;
    return s->subscriber->ops->takes_more(s->subscriber) ? SUB_ON_SNAPSHOT_DUE : SUB_ON_FULL;
}

static sub_event owe(leat_sub *s, leat_sub_due due, leat_metric reason)
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
    return owe(s, LEAT_SUB_DUE_SNAPSHOT, reasons[news->reason]);
}

/* What follows the cursor was trimmed, or is of another numbering, or has not passed the hook. */
sub_event sub_owe_lost(leat_sub *s, sub_news *news)
{
    news->reason = LEAT_RESET_HISTORY;
    return sub_owe_snapshot(s, news);
}

sub_event sub_owe_renewed(leat_sub *s, sub_news *news)
{
    (void)news;
    return owe(s, LEAT_SUB_DUE_SNAPSHOT, LEAT_M_RESYNCS_STALE);
}

sub_event sub_owe_fresh(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = LEAT_SUB_DUE_FRESH; /* counted when the row could be read */
    return SUB_ON_NOTHING;
}

/* The cursor stands still, and may not go on from there: a snapshot follows in any case. A stale
 * state that was to be replaced does not stand any more. */
sub_event sub_owe_too(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = LEAT_SUB_DUE_SNAPSHOT;
    return SUB_ON_NOTHING;
}

/* The stale state stands, and its events go on. */
sub_event sub_owe_nothing(leat_sub *s, sub_news *news)
{
    (void)news;
    s->due = LEAT_SUB_DUE_NOTHING;
    return SUB_ON_NOTHING;
}

/* No snapshot of the new numbering is behind the cursor, and no event of the old one follows it. */
sub_event sub_begin_numbering(leat_sub *s, sub_news *news)
{
    (void)news;
    s->next_seq = 0;
    s->renumbered = true;
    return SUB_ON_NOTHING;
}

/* A read that it shares may be of any position of the new numbering. */
sub_event sub_begin_numbering_of_read(leat_sub *s, sub_news *news)
{
    s->work->of.share.least_seq = 0;
    return sub_begin_numbering(s, news);
}
