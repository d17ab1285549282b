/* hook.c - one hook runs at a time: push -> run_next -> on_hooked -> passed or failed -> run_next.
 *
 * Events of other kinds (revocations, skips) and signals pass without the hook, but keep their
 * place. If the
 * hook is slower than the events come, up to ring_bytes of them wait. Beyond that the hook counts
 * as failed for all of them. */
#include "core/hook.h"

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

static void run_next(leat_hook *h);
static void on_hooked(leat_call *call, const leat_verdict *v);

void leat_hook_init(leat_hook *h, leat_core *core, leat_slice topic,
                    const leat_hook_handler *handler)
{
    *h = (leat_hook){.core = core, .topic = topic, .handler = handler};
    leat_list_init(&h->waiting_);
}

bool leat_hook_applies(leat_hook *h)
{
    leat_script *script = h->core->script;
    if (h->script_ == LEAT_HOOK_UNKNOWN)
        h->script_ =
            script->ops->has_event_hook(script, h->topic) ? LEAT_HOOK_PRESENT : LEAT_HOOK_ABSENT;
    return h->script_ == LEAT_HOOK_PRESENT;
}

void leat_hook_scripts_changed(leat_hook *h)
{
    h->script_ = LEAT_HOOK_UNKNOWN;
}

bool leat_hook_waits(const leat_hook *h, int64_t *last_seq)
{
    *last_seq = h->last_seq_;
    return !leat_list_empty(&h->waiting_);
}

static void give_up(leat_hook *h, int64_t seq)
{
    char topic[160];
    LEAT_LOG_WARN("topic", "event hook too slow, topic resyncs topic=%s seq=%" PRId64,
                  leat_log_quote(topic, sizeof(topic), h->topic.at, h->topic.len), seq);
    leat_hook_stop(h);
    h->handler->failed(h, seq);
}

static bool has_room(const leat_hook *h, const leat_event *e)
{
    return h->bytes_ + leat_event_bytes(e) <= h->core->limits->ring_bytes;
}

static void add(leat_hook *h, leat_event *e)
{
    hooked_event *he = leat_calloc(1, sizeof(*he));
    he->event = e;
    leat_list_push(&h->waiting_, &he->link);
    h->bytes_ += leat_event_bytes(e);
}

void leat_hook_push(leat_hook *h, leat_event *e)
{
    bool idle = leat_list_empty(&h->waiting_);
    int64_t seq = leat_event_seq(e);
    if (!idle && !has_room(h, e)) {
        leat_event_unref(e);
        give_up(h, seq);
        return;
    }
    add(h, e);
    h->last_seq_ = seq;
    if (idle)
        run_next(h);
}

bool leat_hook_push_signal(leat_hook *h, leat_event *signal)
{
    LEAT_ASSERT(!leat_list_empty(&h->waiting_));
    bool room = has_room(h, signal);
    if (room)
        add(h, signal);
    return room;
}

/* Returns the first event that waits, owned. There must be one. */
static leat_event *shift(leat_hook *h)
{
    hooked_event *he = LEAT_CONTAINER_OF(leat_list_take(&h->waiting_), hooked_event, link);
    leat_event *e = he->event;
    free(he);
    h->bytes_ -= leat_event_bytes(e);
    return e;
}

void leat_hook_stop(leat_hook *h)
{
    if (leat_list_empty(&h->waiting_))
        return;
    h->core->script->ops->cancel(&h->call_);
    while (!leat_list_empty(&h->waiting_))
        leat_event_unref(shift(h));
}

static void run(leat_hook *h, const leat_event *e)
{
    leat_core *core = h->core;
    uint64_t deadline_ms = leat_loop_now(core->loop) + core->limits->control_timeout_ms;
    h->call_ = (leat_call){.cb = on_hooked, .data = h};
    core->script->ops->event(core->script, &h->call_, h->topic, leat_event_seq(e),
                             leat_event_data(e), deadline_ms);
}

static void run_next(leat_hook *h)
{
    while (!leat_list_empty(&h->waiting_)) {
        leat_event *e = LEAT_CONTAINER_OF(h->waiting_.next, hooked_event, link)->event;
        if (leat_event_kind_of(e) == LEAT_EVENT_DATA && leat_hook_applies(h)) {
            run(h, e);
            return;
        }
        h->handler->passed(h, shift(h));
    }
}

static void on_hooked(leat_call *call, const leat_verdict *v)
{
    leat_hook *h = call->data;
    leat_event *raw = shift(h);
    int64_t seq = leat_event_seq(raw);
    int64_t at_us = leat_event_at(raw);
    leat_event_unref(raw);
    if (v->failure.code != LEAT_CODE_OK) {
        h->handler->failed(h, seq);
    } else {
        leat_event_kind kind = v->json.at == NULL ? LEAT_EVENT_SKIP : LEAT_EVENT_DATA;
        leat_event *made = leat_v1_event(kind, h->topic, seq, v->json);
        leat_event_set_at(made, at_us);
        h->handler->passed(h, made);
    }
    run_next(h);
}
