/* sub.c - what happens to a subscription: the one place where its state changes.
 *
 * Everything that a subscription meets comes to sub_happens, as an event. The table (sub_table.c)
 * says which state follows, and which act runs on the way. An act, or the entry of a state, may
 * return an event: it happens next. What a state has under way ends when the state is left, by
 * whichever rule.
 *
 *   leat_sub_begin -> AUTHORIZING (sub_right.c) -> ARMING, STARTING, RESUMING (sub_start.c)
 *   -> READING (sub_read.c) -> answered (sub_answer.c) -> REPLAYING, LIVE (sub_replay.c)
 *   -> CLOSED (sub_answer.c)
 *
 * A subscription never meets an event while it deals with another one. Leaving a state may give its
 * database slot to another subscription, which is told from inside that call. */
#include "core/sub.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/admission.h"
#include "core/sub_private.h"
#include "core/sub_table.h"
#include "wire/leat_v1.h"

enum { MAX_EPOCH = 64, BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 2000 };

/* ---- One event. ---- */

sub_work *sub_work_of(leat_sub *s)
{
    if (s->work != NULL)
        return s->work;
    sub_work *w = leat_pool_take(sub_pool(s), sizeof(*w));
    w->sub = s;
    w->seen.history = sub_core(s)->histories; /* a later one sets `renumbered` */
    leat_deadline_init(&w->deadline);
    leat_deadline_init(&w->renewal.wait);
    leat_slot_init(&w->slot);
    s->work = w;
    return w;
}

static void on_deadline(leat_deadline *d)
{
    sub_happens_plainly(LEAT_CONTAINER_OF(d, sub_work, deadline)->sub, SUB_ON_DEADLINE);
}

static void end_stage(sub_asked *a, sub_stage stage)
{
    uint64_t now_ns = uv_hrtime();
    a->spent_ns[stage] += now_ns - a->stage_ns;
    a->stage_ns = now_ns;
}

void sub_has_queued(leat_sub *s, uint64_t ns)
{
    sub_asked *a = s->work->asked;
    if (a == NULL || ns == 0)
        return;
    uint64_t stage_ns = uv_hrtime() - a->stage_ns;
    ns = ns < stage_ns ? ns : stage_ns; /* a shared read may have begun before it was joined */
    a->spent_ns[SUB_STAGE_QUEUE] += ns;
    a->stage_ns += ns;
}

/* Ends what the state has under way. */
static void leave(leat_sub *s, sub_state next)
{
    const sub_trait *from = &sub_traits[s->state];
    const sub_trait *to = &sub_traits[next];
    sub_work *w = s->work;
    if (w == NULL)
        return;
    if (w->asked != NULL && from->stage != to->stage)
        end_stage(w->asked, from->stage);
    if (from->leave != NULL)
        from->leave(s);
    leat_deadline_cancel(&w->deadline);
    if (from->renews && !to->renews)
        sub_renewal_stop(s); /* its slot, too */
    if (from->slot && !to->slot)
        leat_slot_release(&sub_core(s)->slots, &w->slot);
}

static void count(leat_sub *s, sub_state next)
{
    leat_metrics *m = sub_core(s)->metrics;
    leat_metric from = sub_traits[s->state].metric;
    leat_metric to = sub_traits[next].metric;
    if (from == to && next != SUB_CLOSED)
        return;
    leat_metrics_add(m, from, -1);
    if (next != SUB_CLOSED)
        leat_metrics_add(m, to, 1);
}

static sub_event change(leat_sub *s, sub_event event, const sub_rule *rule, sub_news *news)
{
    const sub_trait *from = &sub_traits[s->state];
    const sub_trait *to = &sub_traits[rule->next];
    LEAT_LOG_DEBUG("sub", "%s -> %s", from->name, to->name);
    leave(s, rule->next);
    sub_event met = rule->act == NULL ? SUB_ON_NOTHING : rule->act(s, news);
    if (from->asked && !to->asked)
        sub_release_asked(s);
    count(s, rule->next);
    s->state = (uint8_t)rule->next;
    leat_gate_stop(sub_core(s)->gate, to->name, sub_name(s), sub_event_name(event));
    if (met == SUB_ON_NOTHING && to->enter != NULL)
        met = to->enter(s, news);
    if (met == SUB_ON_NOTHING && to->deadline != NULL)
        leat_loop_at(sub_core(s)->loop, &s->work->deadline, to->deadline(s), on_deadline);
    return met;
}

static void say_farewell(const sub_farewell *last)
{
    if (last->stream != NULL)
        last->stream->ops->stream_ended(last->stream, last->failure.code);
    if (last->done != NULL)
        last->done(last->done_arg, &last->failure);
    free(last->text);
}

void sub_happens(leat_sub *s, sub_event event, sub_news *news)
{
    while (event != SUB_ON_NOTHING) {
        const sub_rule *rule = sub_rule_for((sub_state)s->state, event);
        if (!rule->stays)
            event = change(s, event, rule, news);
        else
            event = rule->act == NULL ? SUB_ON_NOTHING : rule->act(s, news);
    }
    say_farewell(&news->last);
}

void sub_happens_plainly(leat_sub *s, sub_event event)
{
    sub_news news = {0};
    sub_happens(s, event, &news);
}

/* ---- How a subscription begins. ---- */

static char *copy(leat_slice text)
{
    return text.at == NULL ? NULL : leat_memdup(text.at, text.len);
}

/* Returns the position that the client has brought, with a reference to its epoch. It has no epoch
 * if the client brought none, or one that this server cannot have given out. */
static leat_position position_of(leat_core *core, const leat_named_position *since)
{
    leat_position at = {.seq = since->seq, .revoked = LEAT_NEVER_REVOKED};
    bool possible = since->epoch.len <= MAX_EPOCH && since->seq >= 0 && since->seq <= LEAT_SEQ_MAX;
    if (since->epoch.at != NULL && possible)
        at.epoch = leat_epoch_of(&core->epochs, since->epoch);
    return at;
}

static sub_asked *make_asked(leat_core *core, const leat_sub_request *request)
{
    sub_asked *a = leat_pool_take(leat_loop_pool(core->loop), sizeof(*a));
    a->id = copy(request->id);
    a->since = position_of(core, &request->since);
    a->deadline_ms = request->deadline_ms;
    a->started_ns = a->stage_ns = uv_hrtime();
    a->done = request->done;
    a->done_arg = request->done_arg;
    return a;
}

void leat_sub_begin(leat_subscriber *r, const leat_sub_request *request)
{
    leat_sub *s = leat_pool_take(leat_loop_pool(r->core->loop), sizeof(*s));
    s->subscriber = r;
    s->params = copy(request->params);
    s->grant = request->grant;
    s->by_server = request->done != NULL;
    leat_list_init(&s->cursor.link);
    sub_work *w = sub_work_of(s);
    w->name = copy(request->topic);
    w->asked = make_asked(r->core, request);
    w->seen = request->seen;
    leat_map_add(&r->subs, &s->entry, (leat_slice){w->name, request->topic.len});
    leat_metrics_add(r->core->metrics, LEAT_M_SUBS_NEW, 1);
    r->n_inflight++;
    leat_admission_began(r);
    leat_admission_under_way(r->core, r);
    r->params_bytes += request->params.len;
    leat_metrics_add(r->core->metrics, LEAT_M_RECEIVED_BYTES, (int64_t)request->params.len);
    if (s->grant != NULL && s->grant->expires_at > 0)
        r->ops->grant_expires(r, s->grant->expires_at);
    sub_happens_plainly(s, s->grant == NULL ? SUB_ON_SUBSCRIBE : SUB_ON_GRANTED);
}

/* ---- What happens to a subscription from outside. ---- */

static leat_sub *sub_of_entry(leat_map_entry *e)
{
    return LEAT_CONTAINER_OF(e, leat_sub, entry);
}

/* The next subscription after that one; NULL: the first. Returns NULL after the last. */
static leat_sub *next_sub(const leat_subscriber *r, const leat_sub *s)
{
    leat_map_entry *e = leat_map_next(&r->subs, s == NULL ? NULL : &s->entry);
    return e == NULL ? NULL : sub_of_entry(e);
}

void leat_sub_forget(leat_subscriber *r, void *done_arg)
{
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, s)) {
        sub_asked *a = s->work == NULL ? NULL : s->work->asked;
        if (a != NULL && a->done_arg == done_arg)
            a->done = NULL;
    }
}

leat_sub *leat_sub_find(const leat_subscriber *r, leat_slice topic)
{
    leat_map_entry *e = leat_map_get(&r->subs, topic);
    return e == NULL ? NULL : sub_of_entry(e);
}

void leat_sub_unsubscribe(leat_sub *s)
{
    sub_news news = {.tell = true};
    sub_happens(s, SUB_ON_CLOSE, &news);
}

void leat_sub_close_all(leat_subscriber *r)
{
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, NULL))
        sub_happens_plainly(s, SUB_ON_CLOSE);
}

void leat_sub_move_all(leat_subscriber *r)
{
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, s))
        sub_happens_plainly(s, SUB_ON_MOVE);
}

void leat_sub_reauthorize_all(leat_subscriber *r)
{
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, s))
        sub_happens_plainly(s, SUB_ON_IDENTITY);
}

/* When the subscription's grant expires. Returns 0 if it never does, or if the handler is deciding
 * anyway. */
static int64_t expires_at(const leat_sub *s)
{
    bool deciding = sub_traits[s->state].metric == LEAT_M_SUBS_AUTHORIZING;
    return s->grant == NULL || deciding ? 0 : s->grant->expires_at;
}

void leat_sub_reauthorize_expired(leat_subscriber *r, int64_t now_s)
{
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, s)) {
        int64_t at = expires_at(s);
        if (at > 0 && at <= now_s)
            sub_happens_plainly(s, SUB_ON_IDENTITY);
    }
}

leat_slice leat_sub_params(const leat_sub *s)
{
    return leat_slice_of(s->params);
}

bool leat_sub_renew(leat_sub *s, leat_slice params)
{
    leat_subscriber *r = s->subscriber;
    size_t before = leat_sub_params(s).len;
    if (r->params_bytes - before + params.len > r->core->limits->max_message_bytes)
        return false;
    char *kept = copy(params);
    free(s->params);
    s->params = kept;
    r->params_bytes += params.len - before;
    leat_metrics_add(r->core->metrics, LEAT_M_RECEIVED_BYTES,
                     (int64_t)params.len - (int64_t)before);
    sub_happens_plainly(s, SUB_ON_IDENTITY);
    return true;
}

uint64_t leat_sub_expires_s(const leat_sub *s, int64_t now_s)
{
    int64_t at_s = s == NULL || s->grant == NULL ? 0 : s->grant->expires_at;
    if (at_s <= 0)
        return 0;
    return at_s > now_s ? (uint64_t)(at_s - now_s) : 1;
}

bool leat_sub_is_by_server(const leat_sub *s)
{
    return s != NULL && s->by_server;
}

bool leat_sub_is_asked(const leat_sub *s)
{
    return sub_traits[s->state].asked;
}

static bool refuse(leat_failure *why, leat_code code, const char *sentence)
{
    *why = (leat_failure){.code = code, .message = leat_slice_of(sentence)};
    return false;
}

bool leat_sub_may_look_back(const leat_sub *s, leat_failure *why)
{
    if (s == NULL || sub_traits[s->state].asked)
        return refuse(why, LEAT_CODE_FORBIDDEN, "not subscribed to this topic");
    if (sub_traits[s->state].metric == LEAT_M_SUBS_AUTHORIZING || s->renumbered)
        return refuse(why, LEAT_CODE_UNAVAILABLE, "the right to this topic is looked at again");
    if (leat_topic_is_hooked(s->cursor.topic))
        return refuse(why, LEAT_CODE_NOT_FOUND, "the events of this topic are made when they come");
    return true;
}

/* The events up to the cursor have been given, or are in a snapshot that was given. What comes
 * after it may be shown, too, unless there is a revocation among it: the cursor is to come there
 * first. */
bool leat_sub_history_end(const leat_sub *s, const leat_named_position *head, int64_t *end,
                          leat_failure *why)
{
    if (!leat_sub_may_look_back(s, why))
        return false;
    if (!leat_slice_equal(head->epoch, leat_epoch_text(s->cursor.topic->ring.epoch)))
        return refuse(why, LEAT_CODE_UNAVAILABLE, "the topic's numbering has changed");
    int64_t passed = s->cursor.next_seq - 1;
    *end = head->revoked <= passed ? head->seq : passed;
    return true;
}

int64_t leat_sub_next_expiry(const leat_subscriber *r)
{
    int64_t first = 0;
    for (leat_sub *s = next_sub(r, NULL); s != NULL; s = next_sub(r, s)) {
        int64_t at = expires_at(s);
        if (at > 0 && (first == 0 || at < first))
            first = at;
    }
    return first;
}

/* ---- What its topic tells it. ---- */

static leat_sub *sub_of(leat_cursor *c)
{
    return LEAT_CONTAINER_OF(c, leat_sub, cursor);
}

static void on_armed(leat_cursor *c)
{
    sub_happens_plainly(sub_of(c), SUB_ON_ARMED);
}

static void on_events(leat_cursor *c)
{
    sub_happens_plainly(sub_of(c), SUB_ON_MOVE);
}

static void on_signal(leat_cursor *c, leat_event *e)
{
    sub_news news = {.signal = e};
    sub_happens(sub_of(c), SUB_ON_SIGNAL, &news);
}

static void on_resync(leat_cursor *c, int reason)
{
    sub_news news = {.reason = reason};
    sub_happens(sub_of(c), SUB_ON_RESYNC, &news);
}

static void on_renumbered(leat_cursor *c)
{
    sub_happens_plainly(sub_of(c), SUB_ON_RENUMBERED);
}

const leat_cursor_handler leat_sub_cursors = {
    .armed = on_armed,
    .moves = on_events,
    .signal = on_signal,
    .resyncs = on_resync,
    .renumbered = on_renumbered,
};

/* ---- Acts that belong to several states. ---- */

static void note_replayed(leat_sub *s)
{
    sub_work *w = s->work;
    if (w->answered_ns > 0)
        leat_metrics_observe(sub_core(s)->metrics, LEAT_H_STAGE_REPLAY,
                             (double)(uv_hrtime() - w->answered_ns) / 1e9);
    w->answered_ns = 0;
}

/* A LIVE subscription at the head keeps its struct and nothing else, unless the client's snapshot
 * is stale. */
sub_event sub_settle(leat_sub *s, sub_news *news)
{
    (void)news;
    if (s->work != NULL)
        note_replayed(s);
    sub_give_latest(s);
    if (s->stale) {
        sub_renew(s);
        return SUB_ON_NOTHING;
    }
    leat_pool_give(sub_pool(s), s->work);
    s->work = NULL;
    return SUB_ON_NOTHING;
}

static void on_slot(leat_slot *slot)
{
    sub_happens_plainly(LEAT_CONTAINER_OF(slot, sub_work, slot)->sub, SUB_ON_SLOT);
}

sub_event sub_wait_for_slot(leat_sub *s, sub_news *news)
{
    (void)news;
    sub_work *w = sub_work_of(s);
    bool taken = leat_slot_take(&sub_core(s)->slots, &w->slot, w->attempts > 0, on_slot);
    return taken ? SUB_ON_SLOT : SUB_ON_NOTHING;
}

sub_event sub_count_attempt(leat_sub *s, sub_news *news)
{
    (void)news;
    s->work->attempts++;
    return SUB_ON_NOTHING;
}

uint64_t sub_retry_deadline(const leat_sub *s)
{
    return sub_in_ms(s, leat_backoff_ms(BACKOFF_MIN_MS, BACKOFF_MAX_MS, s->work->attempts,
                                        leat_loop_random(sub_core(s)->loop)));
}
