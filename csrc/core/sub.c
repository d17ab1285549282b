/* sub.c - what happens to a subscription: the one place where its state changes.
 *
 * Everything that a subscription meets comes to sub_happens, as an event. The table (sub_table.c)
 * says which state follows, and what is done on the way; a state's entry may meet something at
 * once, which is the next event. What the state had under way ends when it is left, whatever the
 * way out.
 *
 *   leat_sub_new -> AUTHORIZING (sub_right.c) -> ARMING, STARTING, RESUMING (sub_start.c)
 *   -> READING (sub_read.c) -> answered (sub_answer.c) -> REPLAYING, LIVE
 *   (sub_replay.c) -> CLOSED (sub_answer.c)
 *
 * An event of its own never reaches a subscription while another one is being dealt with. Leaving
 * a state may give its database slot to another subscription, which is told from inside that.
 */
#include "core/sub.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/sub_private.h"
#include "wire/leat_v1.h"

enum { MAX_EPOCH = 64, BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 2000 };

leat_slice sub_name(const leat_sub *s)
{
    return s->entry.key;
}

leat_core *sub_core(const leat_sub *s)
{
    return s->subscriber->core;
}

uint64_t sub_in_ms(const leat_sub *s, uint64_t ms)
{
    return leat_loop_now(sub_core(s)->loop) + ms;
}

sub_work *sub_work_of(leat_sub *s)
{
    if (s->work != NULL)
        return s->work;
    sub_work *w = leat_calloc(1, sizeof(*w));
    w->sub = s;
    w->seen.history = sub_core(s)->histories; /* it was settled: another one would renumber it */
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

/* Ends what the state has under way. */
static void leave(leat_sub *s, sub_state next)
{
    const sub_trait *from = &sub_traits[s->state];
    const sub_trait *to = &sub_traits[next];
    sub_work *w = s->work;
    if (w == NULL)
        return;
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

static sub_event change(leat_sub *s, const sub_rule *rule, sub_news *news)
{
    const sub_trait *to = &sub_traits[rule->next];
    LEAT_LOG_DEBUG("sub", "%s -> %s", sub_traits[s->state].name, to->name);
    leave(s, rule->next);
    sub_event met = rule->act == NULL ? SUB_ON_NOTHING : rule->act(s, news);
    count(s, rule->next);
    s->state = (uint8_t)rule->next;
    if (met == SUB_ON_NOTHING && to->enter != NULL)
        met = to->enter(s, news);
    if (met == SUB_ON_NOTHING && to->deadline != NULL)
        leat_loop_at(sub_core(s)->loop, &s->work->deadline, to->deadline(s), on_deadline);
    return met;
}

static void say(const sub_farewell *last)
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
            event = change(s, rule, news);
        else
            event = rule->act == NULL ? SUB_ON_NOTHING : rule->act(s, news);
    }
    say(&news->last);
}

void sub_happens_plainly(leat_sub *s, sub_event event)
{
    sub_news news = {0};
    sub_happens(s, event, &news);
}

static char *copy(leat_slice text)
{
    return text.at == NULL ? NULL : leat_memdup(text.at, text.len);
}

static sub_asked *make_asked(leat_core *core, const leat_sub_request *request)
{
    sub_asked *a = leat_calloc(1, sizeof(*a));
    a->name = copy(request->topic);
    a->id = copy(request->id);
    leat_slice epoch = request->since.epoch;
    bool possible =
        epoch.len <= MAX_EPOCH && request->since.seq >= 0 && request->since.seq <= LEAT_SEQ_MAX;
    if (epoch.at != NULL && possible) /* any other is none of ours: as without */
        a->since.epoch = leat_epoch_of(&core->epochs, epoch);
    a->since.seq = request->since.seq;
    a->since.revoked = LEAT_NEVER_REVOKED;
    a->deadline_ms = request->deadline_ms;
    a->started_ns = uv_hrtime();
    a->done = request->done;
    a->done_arg = request->done_arg;
    return a;
}

void leat_sub_new(leat_subscriber *subscriber, const leat_sub_request *request)
{
    leat_sub *s = leat_calloc(1, sizeof(*s));
    s->subscriber = subscriber;
    s->params = copy(request->params);
    s->grant = request->grant;
    leat_list_init(&s->topic_link);
    sub_work *w = sub_work_of(s);
    w->asked = make_asked(subscriber->core, request);
    w->seen = request->seen;
    leat_map_add(&subscriber->subs, &s->entry, (leat_slice){w->asked->name, request->topic.len});
    leat_metrics_add(subscriber->core->metrics, LEAT_M_SUBS_NEW, 1);
    subscriber->n_inflight++;
    subscriber->params_bytes += request->params.len;
    sub_happens_plainly(s, s->grant == NULL ? SUB_ON_SUBSCRIBE : SUB_ON_GRANTED);
}

void leat_sub_close(leat_sub *s, bool tell)
{
    sub_news news = {.tell = tell};
    sub_happens(s, SUB_ON_CLOSE, &news);
}

void leat_sub_forget(leat_sub *s, void *done_arg)
{
    sub_asked *a = s->work == NULL ? NULL : s->work->asked;
    if (a != NULL && a->done_arg == done_arg)
        a->done = NULL;
}

void leat_sub_pump(leat_sub *s)
{
    sub_happens_plainly(s, SUB_ON_PUMP);
}

void leat_sub_on_armed(leat_sub *s)
{
    sub_happens_plainly(s, SUB_ON_ARMED);
}

void leat_sub_signal(leat_sub *s, leat_event *e)
{
    sub_news news = {.signal = e};
    sub_happens(s, SUB_ON_SIGNAL, &news);
}

void leat_sub_renumber(leat_sub *s)
{
    sub_happens_plainly(s, SUB_ON_RENUMBERED);
}

void leat_sub_resync(leat_sub *s, int reason)
{
    sub_news news = {.reason = reason};
    if (reason == LEAT_RESET_EPOCH)
        leat_sub_renumber(s);
    sub_happens(s, SUB_ON_RESYNC, &news);
}

void leat_sub_reauthorize(leat_sub *s)
{
    sub_happens_plainly(s, SUB_ON_IDENTITY);
}

int64_t leat_sub_expires_at(const leat_sub *s)
{
    bool deciding = sub_traits[s->state].metric == LEAT_M_SUBS_AUTHORIZING;
    return s->grant == NULL || deciding ? 0 : s->grant->expires_at;
}

/* A LIVE subscription at the head is its struct and nothing else, unless what the client has is
 * stale. */
sub_event sub_settle(leat_sub *s, sub_news *news)
{
    (void)news;
    if (s->stale) {
        sub_renew(s);
        return SUB_ON_NOTHING;
    }
    free(s->work);
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
