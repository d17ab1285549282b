/* topic_hook.c - one hook at a time: push -> run_next -> on_hooked -> the ring.
 *
 * Events of other kinds (revocations, skips) pass without the hook, but keep their place. A hook
 * that is slower than the events come lets up to ring_bytes of them wait; then it counts as one
 * that failed for them all.
 */
#include "core/topic_hook.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/deadline.h"
#include "wire/leat_v1.h"

typedef struct hooked_event {
    leat_list link;
    leat_event *event;
} hooked_event;

static void run_next(leat_topic *t);
static void on_hooked(leat_call *call, const leat_verdict *v);

static void give_up(leat_topic *t, int64_t seq)
{
    char topic[160];
    LEAT_LOG_WARN("topic", "event hook too slow, topic resyncs topic=%s seq=%" PRId64,
                  leat_log_quote(topic, sizeof(topic), t->entry.key.at, t->entry.key.len), seq);
    leat_topic_hook_stop(t);
    leat_topic_restart(t, seq, LEAT_RESET_HOOK);
}

void leat_topic_hook_push(leat_topic *t, leat_event *e)
{
    if (t->hooked_bytes_ > 0 &&
        t->hooked_bytes_ + leat_event_bytes(e) > t->core->limits->ring_bytes) {
        int64_t seq = leat_event_seq(e);
        leat_event_unref(e);
        give_up(t, seq);
        return;
    }
    hooked_event *h = leat_calloc(1, sizeof(*h));
    h->event = e;
    bool idle = leat_list_empty(&t->hooked_);
    leat_list_push(&t->hooked_, &h->link);
    t->hooked_bytes_ += leat_event_bytes(e);
    t->hooked_tip_ = leat_event_seq(e);
    if (idle)
        run_next(t);
}

static leat_event *shift(leat_topic *t)
{
    hooked_event *h = LEAT_CONTAINER_OF(leat_list_shift(&t->hooked_), hooked_event, link);
    leat_event *e = h->event;
    free(h);
    t->hooked_bytes_ -= leat_event_bytes(e);
    return e;
}

void leat_topic_hook_stop(leat_topic *t)
{
    if (leat_list_empty(&t->hooked_))
        return;
    t->core->script->ops->cancel(&t->hook_call_);
    while (!leat_list_empty(&t->hooked_))
        leat_event_unref(shift(t));
}

static void run_next(leat_topic *t)
{
    leat_core *core = t->core;
    while (!leat_list_empty(&t->hooked_)) {
        leat_event *e = LEAT_CONTAINER_OF(t->hooked_.next, hooked_event, link)->event;
        if (leat_event_kind_of(e) == LEAT_EVENT_DATA && leat_topic_hooked(t)) {
            uint64_t now = leat_loop_now(core->loop);
            t->hook_call_ = (leat_call){.cb = on_hooked, .data = t};
            core->script->ops->event(
                core->script, &t->hook_call_, t->entry.key, leat_event_seq(e), leat_event_data(e),
                leat_control_deadline(LEAT_DEADLINE_NEVER, now, core->limits->control_timeout_ms));
            return;
        }
        leat_topic_append(t, shift(t));
    }
}

static void on_hooked(leat_call *call, const leat_verdict *v)
{
    leat_topic *t = call->data;
    leat_event *raw = shift(t);
    int64_t seq = leat_event_seq(raw);
    leat_event_unref(raw);
    if (v->code != LEAT_CODE_OK) {
        leat_topic_restart(t, seq, LEAT_RESET_HOOK);
    } else {
        leat_event_kind kind = v->json.at == NULL ? LEAT_EVENT_SKIP : LEAT_EVENT_DATA;
        leat_topic_append(t, leat_v1_event(kind, t->entry.key, seq, v->json));
    }
    run_next(t);
}
