/* sub_read.c - READING: the snapshot of a new subscription, and the one that replaces what a client
 * has.
 *
 * A new subscription reads at once (or resumes: the position that the client brought, checked
 * against ring or outbox). A resync waits for its turn, and for a client that takes more. While
 * READING the cursor stands still; the snapshot at s puts it at s+1, unless a revocation up to s is
 * yet to be decided: then the handler runs first (sub_right.c), and it is read again.
 *
 * A stale snapshot is followed by reads that accept no fallback, at first without holding the
 * cursor up; only when one of them has succeeded but came too late for it does the next one hold
 * it.
 */
#include "core/sub_private.h"

#include <stdlib.h>

#include "base/log.h"

enum {
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000,
    REREAD_MS = 50,
    STALE_RETRY_MS = 500,
    RETRY_AFTER_MS = 1000,
};

static void on_outcome(leat_sub *s, const leat_read_outcome *o);
static void on_resume(leat_history *h, int err, int n_rows, void *arg);
static void on_retry(leat_deadline *d);
static void on_reread(leat_deadline *d);
static void on_fresh(leat_read *r, const leat_read_outcome *o, void *arg);

static leat_core *core_of(const leat_sub *s)
{
    return s->client->core;
}

static void on_read(leat_read *r, const leat_read_outcome *o, void *arg)
{
    leat_sub *s = arg;
    (void)r;
    s->work->read = NULL;
    on_outcome(s, o);
}

static void on_shared(leat_share_wait *wait, const leat_read_outcome *o)
{
    on_outcome(wait->data, o);
}

static void on_share_deadline(leat_deadline *d)
{
    leat_sub *s = LEAT_LIST_ENTRY(d, sub_work, wait)->sub;
    bool healthy = leat_pg_pool_healthy(core_of(s)->pool);
    leat_share_leave(&s->work->share);
    on_outcome(s, &(leat_read_outcome){
                      .code = healthy ? LEAT_CODE_DEADLINE_EXCEEDED : LEAT_CODE_UNAVAILABLE,
                      .retry_after_ms = healthy ? 0 : RETRY_AFTER_MS,
                      .read_failed = true,
                  });
}

static void read_snapshot(leat_sub *s)
{
    leat_core *core = core_of(s);
    sub_work *w = s->work;
    if (s->grant->share.at == NULL || w->fresh_only) {
        w->read =
            leat_read_start(core, sub_name(s), s->grant, w->fresh_only, w->deadline_ms, on_read, s);
        return;
    }
    leat_deadline_arm(leat_loop_deadlines(core->loop), &w->wait, w->deadline_ms, on_share_deadline);
    leat_share_join(&w->share, s->topic, s->grant, s->next_seq - 1, w->deadline_ms, on_shared);
}

/* From where the client is, in a topic whose last revocation is that one. */
static void resume(leat_sub *s, int64_t revoked)
{
    sub_work *w = s->work;
    if (sub_in_doubt(s, w->since_seq, revoked)) {
        sub_authorize(s);
        return;
    }
    client_send_resumed(s->client, leat_slice_of(w->id), sub_name(s), leat_slice_of(w->since_epoch),
                        w->since_seq);
    s->next_seq = w->since_seq + 1;
    w->resumed = true;
    sub_begin_replay(s);
}

void sub_begin_reading(leat_sub *s)
{
    leat_core *core = core_of(s);
    sub_work *w = s->work;
    leat_topic *t = s->topic;
    bool same_epoch = w->since_epoch != NULL && t->epoch != NULL &&
                      leat_slice_equal(leat_slice_of(t->epoch), leat_slice_of(w->since_epoch));
    sub_set_state(s, LEAT_SUB_READING);
    if (same_epoch && leat_topic_holds(t, w->since_seq + 1)) {
        resume(s, t->revoked); /* the ring has it all: nothing is read */
        return;
    }
    if (w->since_epoch == NULL || leat_topic_hooked(t)) {
        read_snapshot(s);
        return;
    }
    w->history = leat_history_new(core->loop, core->pool);
    leat_history_ask(w->history, sub_name(s), w->since_seq);
    /* One row shows whether the outbox leads on; all of them are fetched for all who need them. */
    leat_history_bounds bounds = {.events = 1, .topic_bytes = 1, .total_bytes = 1};
    leat_history_start(w->history, &bounds, w->deadline_ms, on_resume, s);
}

/* Whether the outbox can take the client on from where it is. */
static bool continues(const sub_work *w, const leat_history_row *first)
{
    return leat_slice_equal(first->epoch, leat_slice_of(w->since_epoch)) &&
           first->head >= w->since_seq &&
           (first->head == w->since_seq || (first->has_event && first->seq == w->since_seq + 1));
}

static void on_resume(leat_history *h, int err, int n_rows, void *arg)
{
    leat_sub *s = arg;
    s->work->history = NULL;
    if (err == 0 && n_rows > 0 && !leat_topic_hooked(s->topic)) {
        leat_history_row first = leat_history_row_at(h, 0);
        if (continues(s->work, &first) &&
            leat_topic_position(s->topic, first.epoch, first.head, first.revoked)) {
            resume(s, first.revoked);
            return;
        }
    }
    read_snapshot(
        s); /* also where the outbox could not be read: it tries again, and knows the time */
}

void sub_stop_reading(leat_sub *s)
{
    sub_work *w = s->work;
    if (w == NULL)
        return;
    if (w->read != NULL)
        leat_read_cancel(w->read);
    if (w->history != NULL)
        leat_history_cancel(w->history);
    w->read = NULL;
    w->history = NULL;
    leat_share_leave(&w->share);
    leat_catch_up_leave(&w->catch_up);
    leat_deadline_cancel(&w->wait);
    w->parked = false;
    sub_end_turn(s);
}

static uint64_t in_ms(leat_sub *s, uint64_t ms)
{
    return leat_loop_now(core_of(s)->loop) + ms;
}

void sub_retry_later(leat_sub *s, leat_deadline_cb cb)
{
    sub_work *w = s->work;
    uint64_t ms = BACKOFF_MIN_MS;
    for (unsigned i = 0; i < w->attempts && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    w->attempts++;
    leat_deadline_arm(leat_loop_deadlines(core_of(s)->loop), &w->wait,
                      in_ms(s, ms / 2 + (uint64_t)random() % (ms / 2 + 1)), cb);
}

static void on_retry(leat_deadline *d)
{
    sub_begin_resync(LEAT_LIST_ENTRY(d, sub_work, wait)->sub);
}

/* A read for an older state of affairs: another numbering has begun, or the cursor is already
 * further. */
static bool usable(leat_sub *s, const leat_read_outcome *o)
{
    return leat_topic_position(s->topic, o->epoch, o->seq, o->revoked) && o->seq + 1 >= s->next_seq;
}

/* The snapshot's turn comes once more, after the handler's. */
static void authorize_first(leat_sub *s)
{
    s->work->resync = !s->work->asking;
    sub_authorize(s);
}

static void give_snapshot(leat_sub *s, const leat_read_outcome *o)
{
    sub_work *w = s->work;
    client_send_snapshot(s->client, leat_slice_of(w->asking ? w->id : NULL), sub_name(s), o->epoch,
                         o->seq, o->stale, o->json);
    s->next_seq = o->seq + 1;
#ifdef LEAT_BROKEN_READ_BEFORE_ARM
    /* For the torture test to find: as if the cursor were only armed now, after the read; what the
     * ring got meanwhile is lost. */
    if (s->topic->head > o->seq)
        s->next_seq = s->topic->head + 1;
#endif
    s->stale = o->stale;
    w->fresh_only = false;
    w->attempts = 0;
    if (o->stale)
        leat_metrics_add(core_of(s)->metrics, LEAT_M_STALE_SNAPSHOTS, 1);
    sub_begin_replay(s);
}

/* Another numbering has begun, of which the hub will tell the topic at any moment. */
static void read_soon(leat_sub *s)
{
    uint64_t at = in_ms(s, REREAD_MS);
    uint64_t last = s->work->deadline_ms;
    leat_deadline_arm(leat_loop_deadlines(core_of(s)->loop), &s->work->wait, at < last ? at : last,
                      on_reread);
}

static void on_reread(leat_deadline *d)
{
    read_snapshot(LEAT_LIST_ENTRY(d, sub_work, wait)->sub);
}

/* A snapshot for which there is no room is dropped: a resync reads another one later, a subscribe
 * is refused. */
static void refuse_snapshot(leat_sub *s)
{
    if (s->work->asking)
        sub_end(s, LEAT_CODE_UNAVAILABLE,
                leat_slice_of("too much is waiting to be sent on this connection"), RETRY_AFTER_MS);
    else
        sub_begin_resync(s);
}

static void on_outcome(leat_sub *s, const leat_read_outcome *o)
{
    sub_work *w = s->work;
    sub_stop_reading(s); /* gives the turn back */
    if (o->code == LEAT_CODE_OK && usable(s, o)) {
        if (sub_in_doubt(s, o->seq, o->revoked))
            authorize_first(s);
        else if (client_takes_snapshot(s->client, o->json.len))
            give_snapshot(s, o);
        else
            refuse_snapshot(s);
    } else if (o->code != LEAT_CODE_OK && (w->asking || !o->read_failed)) {
        sub_end(s, o->code, o->message, o->retry_after_ms);
    } else if (w->asking) {
        read_soon(s);
    } else if (w->fresh_only) {
        w->fresh_only = false;
        sub_begin_replay(s); /* the stale state stands, and its events go on */
    } else {
        sub_retry_later(s, on_retry);
    }
}

static void read_now(leat_sub *s)
{
    s->work->deadline_ms = in_ms(s, core_of(s)->limits->control_timeout_ms);
    read_snapshot(s);
}

void sub_begin_resync(leat_sub *s)
{
    leat_core *core = core_of(s);
    sub_work *w = sub_work_of(s);
    bool current = core->script->ops->grant_current(core->script, s->grant);
    if (w->renumbered || !current) { /* replaced scripts: the new ones decide, and read */
        authorize_first(s);
        return;
    }
    if (s->state != LEAT_SUB_READING)
        sub_set_state(s, LEAT_SUB_READING);
    if (client_takes_more(s->client)) {
        sub_take_turn(s, read_now);
    } else {
        w->parked = true;
        sub_end_turn(s);
    }
}

void sub_unpark(leat_sub *s)
{
    if (s->work == NULL || !s->work->parked)
        return;
    s->work->parked = false;
    sub_begin_resync(s);
}

static void count_resync(leat_sub *s, int reason)
{
    static const leat_metric metrics[] = {
        [LEAT_RESET_HISTORY] = LEAT_M_RESYNCS_HISTORY,
        [LEAT_RESET_EPOCH] = LEAT_M_RESYNCS_EPOCH,
        [LEAT_RESET_HOOK] = LEAT_M_RESYNCS_HOOK,
        [LEAT_RESET_REQUESTED] = LEAT_M_RESYNCS_REQUESTED,
        [LEAT_RESET_TOO_LARGE] = LEAT_M_RESYNCS_TOO_LARGE,
    };
    leat_metrics_add(core_of(s)->metrics, metrics[reason], 1);
}

void leat_sub_renumber(leat_sub *s)
{
    sub_work *w = sub_work_of(s);
    s->next_seq = 0;
    w->renumbered = true;
    w->share.least_seq = 0; /* if it waits: any will do */
}

void leat_sub_resync(leat_sub *s, int reason)
{
    if (reason == LEAT_RESET_EPOCH)
        leat_sub_renumber(s);
    if (s->state == LEAT_SUB_AUTHORIZING && s->topic != NULL && !s->work->asking)
        s->work->resync = true;
    if (s->state != LEAT_SUB_LIVE && s->state != LEAT_SUB_REPLAYING)
        return; /* it reads anyway */
    count_resync(s, reason);
    sub_work *w = sub_work_of(s);
    sub_stop_reading(s);
    w->attempts = 0;
    sub_begin_resync(s);
}

static void read_fresh(leat_sub *s)
{
    leat_core *core = core_of(s);
    s->work->read = leat_read_start(core, sub_name(s), s->grant, true,
                                    in_ms(s, core->limits->control_timeout_ms), on_fresh, s);
}

static void on_stale_retry(leat_deadline *d)
{
    leat_sub *s = LEAT_LIST_ENTRY(d, sub_work, wait)->sub;
    leat_core *core = core_of(s);
    if (!core->script->ops->grant_current(core->script, s->grant)) {
        leat_metrics_add(core->metrics, LEAT_M_RESYNCS_STALE, 1);
        sub_stop_reading(s);
        sub_begin_resync(s);
        return;
    }
    sub_take_turn(s, read_fresh);
}

void sub_retry_stale(leat_sub *s)
{
    sub_work *w = sub_work_of(s);
    if (w->read == NULL && w->go == NULL && !leat_deadline_armed(&w->wait))
        leat_deadline_arm(leat_loop_deadlines(core_of(s)->loop), &w->wait,
                          in_ms(s, STALE_RETRY_MS + (uint64_t)random() % STALE_RETRY_MS),
                          on_stale_retry);
}

/* The row can be read again. The cursor was not held up: if it went past what was read, read again,
 * holding it. */
static void on_fresh(leat_read *r, const leat_read_outcome *o, void *arg)
{
    leat_sub *s = arg;
    (void)r;
    s->work->read = NULL;
    sub_stop_reading(s); /* events that are being fetched are in the snapshot, or follow it */
    if (o->code != LEAT_CODE_OK && !o->read_failed) {
        sub_end(s, o->code, o->message, o->retry_after_ms);
        return;
    }
    if (o->code != LEAT_CODE_OK) {
        leat_sub_pump(s);
        return;
    }
    leat_metrics_add(core_of(s)->metrics, LEAT_M_RESYNCS_STALE, 1);
    sub_set_state(s, LEAT_SUB_READING);
    bool fits = usable(s, o) && client_takes_snapshot(s->client, o->json.len);
    if (fits && !sub_in_doubt(s, o->seq, o->revoked)) {
        give_snapshot(s, o);
        return;
    }
    s->work->fresh_only = true;
    if (fits)
        authorize_first(s);
    else
        sub_begin_resync(s);
}
