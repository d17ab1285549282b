/* sub_renewal.c - a stale snapshot is replaced, while the cursor moves on.
 *
 * sub_renew -> on_due -> (a slot) -> read_fresh -> on_fresh: a job of three steps, each begun by
 * the end of the one before. Its steps are no states of the subscription, because nothing can
 * happen to the job but that it is stopped, when the cursor stops. The read accepts no fallback to
 * the authorised row. If the cursor has not gone past the snapshot that was read, the client gets
 * that snapshot at once. Otherwise the subscription reads once more, and the cursor stands still
 * meanwhile (FRESH_LATE). */
#include "core/sub_private.h"

#include "base/backoff.h"

enum { RETRY_MS = 1000 };

static void on_due(leat_deadline *d);
static void on_slot(leat_slot *slot);
static void read_fresh(leat_sub *s);
static void on_fresh(leat_read *r, const leat_read_outcome *o, void *arg);

void sub_renew(leat_sub *s)
{
    sub_renewal *r = &sub_work_of(s)->renewal;
    if (r->step != SUB_RENEWAL_NONE)
        return;
    r->step = SUB_RENEWAL_WAITING;
    leat_loop *loop = sub_core(s)->loop;
    leat_loop_after(loop, &r->wait, leat_backoff_ms(RETRY_MS, RETRY_MS, 1, leat_loop_random(loop)),
                    on_due);
}

void sub_renewal_stop(leat_sub *s)
{
    sub_renewal *r = &s->work->renewal;
    leat_deadline_cancel(&r->wait);
    if (r->read != NULL)
        leat_read_cancel(r->read);
    r->read = NULL;
    r->step = SUB_RENEWAL_NONE;
    leat_slot_release(&sub_core(s)->slots, &s->work->slot);
}

static void on_due(leat_deadline *d)
{
    sub_work *w = LEAT_CONTAINER_OF(d, sub_work, renewal.wait);
    leat_core *core = sub_core(w->sub);
    if (!core->script->ops->grant_current(core->script, w->sub->grant)) {
        sub_happens_plainly(w->sub, SUB_ON_OLD_SCRIPTS);
        return;
    }
    w->renewal.step = SUB_RENEWAL_SLOT;
    if (leat_slot_take(&core->slots, &w->slot, true, on_slot))
        read_fresh(w->sub);
}

static void on_slot(leat_slot *slot)
{
    read_fresh(LEAT_CONTAINER_OF(slot, sub_work, slot)->sub);
}

static void read_fresh(leat_sub *s)
{
    leat_core *core = sub_core(s);
    sub_renewal *r = &s->work->renewal;
    r->step = SUB_RENEWAL_READING;
    r->read = leat_read_start(&s->cursor.topic->ring, s->grant, LEAT_READ_FRESH,
                              sub_in_ms(s, core->limits->control_timeout_ms), on_fresh, s);
}

static sub_event event_of(leat_sub *s, const leat_read_outcome *o)
{
    if (o->failure.code != LEAT_CODE_OK)
        return o->failure.read_failed ? SUB_ON_KEPT_STALE : SUB_ON_REFUSED;
    const leat_snapshot *snapshot = &o->snapshot;
    leat_metrics_add(sub_core(s)->metrics, LEAT_M_RESYNCS_STALE, 1);
    if (!leat_ring_adopt(&s->cursor.topic->ring, &snapshot->position) ||
        !sub_is_new_enough(s, snapshot->position.seq) ||
        !s->subscriber->ops->takes_snapshot(s->subscriber, snapshot->json.len))
        return SUB_ON_FRESH_LATE;
    return sub_in_doubt(s, &snapshot->position) ? SUB_ON_FRESH_DOUBTED : SUB_ON_SNAPSHOT;
}

static void on_fresh(leat_read *r, const leat_read_outcome *o, void *arg)
{
    leat_sub *s = arg;
    (void)r;
    sub_news news = {.snapshot = &o->snapshot, .failure = o->failure};
    s->work->renewal.read = NULL;
    sub_renewal_stop(s);
    sub_happens(s, event_of(s, o), &news);
}
