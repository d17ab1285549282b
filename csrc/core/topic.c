/* topic.c - arming, the ring, and the fan-out.
 *
 * leat_topic_get arms with the hub, and leat_topic_on_armed lets the waiting subscriptions read.
 * The first read's position starts the ring, or leat_topic_on_begin does. leat_topic_on_event
 * appends to it (by way of the scripts' hook, if there is one: topic_hook.c) and schedules fan_out,
 * which at the end of the turn moves every cursor as far as its client takes it. A long fan-out
 * goes on in the next turn.
 */
#include "core/topic.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/catch_up.h"
#include "core/share.h"
#include "core/sub.h"
#include "core/topic_hook.h"

enum { FAN_OUT_STRETCH = 1024 }; /* cursors moved before the loop gets a turn */

static void fan_out(leat_sweep *s);
static void on_rest(leat_deadline *d);
static void on_linger(leat_deadline *d);

static leat_topic *find_topic(leat_core *core, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&core->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_topic, entry);
}

static leat_topic *find_life(leat_core *core, leat_topic_life life)
{
    leat_topic *t = find_topic(core, life.name);
    return t != NULL && t->generation == life.generation ? t : NULL;
}

static leat_topic_life life_of(const leat_topic *t)
{
    return (leat_topic_life){t->entry.key, t->generation};
}

leat_topic *leat_topic_get(leat_core *core, leat_slice name)
{
    leat_topic *t = find_topic(core, name);
    if (t != NULL)
        return t;
    t = leat_calloc(1, sizeof(*t));
    t->core = core;
    t->name = leat_memdup(name.at, name.len);
    t->generation = ++core->generations;
    t->head = LEAT_TOPIC_UNKNOWN;
    t->hook_ = -1;
    leat_list_init(&t->subs);
    leat_list_init(&t->pending);
    leat_list_init(&t->shares);
    leat_list_init(&t->hooked_);
    leat_sweep_init(&t->fan_out_, fan_out);
    leat_deadline_init(&t->rest_);
    leat_map_add(&core->topics, &t->entry, (leat_slice){t->name, name.len});
    leat_metrics_add(core->metrics, LEAT_M_TOPICS, 1);
    leat_hub_link_arm(core->link, life_of(t));
    return t;
}

static void clear_ring(leat_topic *t)
{
    leat_metrics_add(t->core->metrics, LEAT_M_RING_BYTES, -(int64_t)t->ring_bytes_);
    for (size_t i = 0; i < t->ring_count_; i++) {
        int64_t seq = t->head - (int64_t)i;
        leat_event_unref(t->ring_[(size_t)seq & (t->ring_cap_ - 1)]);
    }
    free(t->ring_);
    t->ring_ = NULL;
    t->ring_cap_ = t->ring_count_ = t->ring_bytes_ = 0;
}

static void free_topic(leat_topic *t)
{
    LEAT_ASSERT(t->n_subs == 0);
    leat_topic_hook_stop(t);
    leat_share_free_all(t);
    leat_catch_up_free(t);
    leat_sweep_cancel(&t->fan_out_);
    leat_deadline_cancel(&t->rest_);
    clear_ring(t);
    leat_map_remove(&t->core->topics, &t->entry);
    leat_metrics_add(t->core->metrics, LEAT_M_TOPICS, -1);
    leat_epoch_unref(t->epoch);
    leat_epoch_unref(t->last_epoch);
    free(t->name);
    free(t);
}

void leat_topic_free_all(leat_core *core)
{
    for (leat_map_entry *e = leat_map_next(&core->topics, NULL); e != NULL;) {
        leat_map_entry *next = leat_map_next(&core->topics, e);
        free_topic(LEAT_CONTAINER_OF(e, leat_topic, entry));
        e = next;
    }
}

static void arm_rest(leat_topic *t, uint64_t in_ms, leat_deadline_cb cb)
{
    leat_loop *loop = t->core->loop;
    leat_loop_after(loop, &t->rest_, in_ms, cb);
}

void leat_topic_attach(leat_topic *t, leat_list *link)
{
    if (t->n_subs++ == 0)
        leat_deadline_cancel(&t->rest_); /* was lingering */
    leat_list_push(&t->subs, link);
}

void leat_topic_detach(leat_topic *t, leat_list *link)
{
    leat_list_unlink(link);
    if (--t->n_subs == 0)
        arm_rest(t, t->core->limits->topic_linger_ms, on_linger);
}

static void on_linger(leat_deadline *d)
{
    leat_topic *t = LEAT_CONTAINER_OF(d, leat_topic, rest_);
    leat_hub_link_disarm(t->core->link, life_of(t));
    free_topic(t);
}

static void renumber(leat_topic *t)
{
    for (leat_list *l = t->subs.next; l != &t->subs; l = l->next)
        leat_sub_renumber(LEAT_CONTAINER_OF(l, leat_sub, topic_link));
    for (leat_list *l = t->pending.next; l != &t->pending; l = l->next)
        leat_sub_renumber(LEAT_CONTAINER_OF(l, leat_sub, topic_link));
}

/* Every position is of the history that its epoch begins with. A handler that began when positions
 * were of another one may have read what is no more. */
static void note_history(leat_core *core, const leat_epoch *epoch)
{
    leat_slice text = leat_epoch_text(epoch);
    size_t len = text.len;
    while (len > 0 && text.at[len - 1] != '-')
        len--;
    leat_slice history = {text.at, len};
    if (len >= sizeof(core->history) || leat_slice_is(history, core->history))
        return;
    if (core->history[0] != '\0')
        core->histories++;
    memcpy(core->history, text.at, len);
    core->history[len] = '\0';
}

/* After a restart it may be a read, not the hub, that is the first to meet another numbering. */
static void adopt_epoch(leat_topic *t, leat_epoch *epoch)
{
    note_history(t->core, epoch);
    t->epoch = leat_epoch_ref(epoch);
    if (t->last_epoch == epoch)
        return;
    t->numbering = ++t->core->numberings;
    t->told = t->resynced = 0;
    t->revoked = LEAT_NEVER_REVOKED;
    if (t->last_epoch != NULL)
        renumber(t);
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void note(leat_topic *t, int64_t seq, int64_t revoked)
{
    t->revoked = later(t->revoked, revoked);
    t->told = later(t->told, later(seq, revoked));
}

bool leat_topic_adopt_position(leat_topic *t, const leat_position *at)
{
    bool first = t->epoch == NULL;
    note_history(t->core, at->epoch);
    if (first) {
        adopt_epoch(t, at->epoch);
        if (t->head == LEAT_TOPIC_UNKNOWN)
            t->head = at->seq;
    }
    bool same = t->epoch == at->epoch;
    if (same)
        note(t, at->seq, at->revoked);
    if (first || !same || at->seq > t->head)
        leat_hub_link_position(
            t->core->link, life_of(t),
            &(leat_named_position){leat_epoch_text(at->epoch), at->seq, at->revoked});
    return same;
}

leat_topic_mark leat_topic_mark_now(leat_core *core, leat_slice name)
{
    const leat_topic *t = find_topic(core, name);
    uint64_t now = leat_loop_now(core->loop);
    if (t == NULL || t->epoch == NULL)
        return (leat_topic_mark){.history = core->histories, .at_ms = now};
    return (leat_topic_mark){core->histories, t->numbering, later(t->head, t->told), now};
}

leat_event *leat_topic_event(const leat_topic *t, int64_t seq)
{
    if (seq > t->head || seq <= t->head - (int64_t)t->ring_count_)
        return NULL;
    return t->ring_[(size_t)seq & (t->ring_cap_ - 1)];
}

bool leat_topic_holds(const leat_topic *t, int64_t next_seq)
{
    return t->core->confirmed && t->head != LEAT_TOPIC_UNKNOWN &&
           next_seq > t->head - (int64_t)t->ring_count_ && next_seq <= t->head + 1;
}

static void grow_ring(leat_topic *t)
{
    size_t cap = t->ring_cap_ == 0 ? 8 : t->ring_cap_ * 2;
    leat_event **ring = leat_calloc(cap, sizeof(*ring));
    for (size_t i = 0; i < t->ring_count_; i++) {
        size_t seq = (size_t)(t->head - (int64_t)i);
        ring[seq & (cap - 1)] = t->ring_[seq & (t->ring_cap_ - 1)];
    }
    free(t->ring_);
    t->ring_ = ring;
    t->ring_cap_ = cap;
}

static void drop_oldest(leat_topic *t)
{
    int64_t seq = t->head - (int64_t)t->ring_count_ + 1;
    leat_event *e = t->ring_[(size_t)seq & (t->ring_cap_ - 1)];
    t->ring_bytes_ -= leat_event_bytes(e);
    t->ring_count_--;
    leat_metrics_add(t->core->metrics, LEAT_M_RING_BYTES, -(int64_t)leat_event_bytes(e));
    leat_event_unref(e);
}

/* The ring ends at the event before: e, of which it takes a reference, is its next one. */
static void put(leat_topic *t, leat_event *e)
{
    if (t->ring_count_ == t->ring_cap_)
        grow_ring(t);
    t->head++;
    t->ring_[(size_t)t->head & (t->ring_cap_ - 1)] = e;
    t->ring_count_++;
    t->ring_bytes_ += leat_event_bytes(e);
    leat_metrics_add(t->core->metrics, LEAT_M_RING_BYTES, (int64_t)leat_event_bytes(e));
}

static bool asks_for_snapshot(const leat_event *e)
{
    leat_event_kind kind = leat_event_kind_of(e);
    return kind == LEAT_EVENT_RESYNC || kind == LEAT_EVENT_OVERSIZE;
}

void leat_topic_append(leat_topic *t, leat_event *e)
{
    const leat_limits *limits = t->core->limits;
    size_t bytes = leat_event_bytes(e);
    LEAT_ASSERT(leat_event_seq(e) == t->head + 1);
    while (t->ring_count_ > 0 &&
           (t->ring_count_ >= limits->ring_events || t->ring_bytes_ + bytes > limits->ring_bytes))
        drop_oldest(t);
    if (asks_for_snapshot(e))
        t->resynced = t->head + 1;
    if (bytes > limits->ring_bytes) { /* the cursors find it in the outbox */
        t->head++;
        leat_event_unref(e);
    } else {
        put(t, e);
    }
    if (t->n_subs > 0)
        leat_sweep_schedule(t->core->loop, &t->fan_out_);
}

/* Begins a new round, or goes on with the one that is under way: its newest events are in the ring
 * by then, and whoever has had its turn gets another one through the sweep that they scheduled. */
static void fan_out(leat_sweep *s)
{
    leat_topic *t = LEAT_CONTAINER_OF(s, leat_topic, fan_out_);
    if (!leat_list_empty(&t->pending)) {
        t->again_ = true;
        return;
    }
    leat_list_move(&t->pending, &t->subs);
    on_rest(&t->rest_);
}

static void on_rest(leat_deadline *d)
{
    leat_topic *t = LEAT_CONTAINER_OF(d, leat_topic, rest_);
    for (int i = 0; i < FAN_OUT_STRETCH; i++) {
        leat_list *link = leat_list_shift(&t->pending);
        if (link == NULL)
            break;
        leat_list_push(&t->subs, link);
        leat_sub_pump(LEAT_CONTAINER_OF(link, leat_sub, topic_link));
    }
    if (!leat_list_empty(&t->pending)) {
        arm_rest(t, 0, on_rest);
    } else if (t->again_) {
        t->again_ = false;
        leat_sweep_schedule(t->core->loop, &t->fan_out_);
    }
}

void leat_topic_on_armed(leat_core *core, leat_topic_life life)
{
    leat_topic *t = find_life(core, life);
    if (t == NULL || t->armed)
        return;
    t->armed = true;
    leat_list all;
    leat_list_move(&all, &t->subs);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_list_push(&t->subs, l);
        leat_sub_on_armed(LEAT_CONTAINER_OF(l, leat_sub, topic_link));
    }
}

/* The last event that has arrived, be it in the ring or on its way through the hook. */
static int64_t tip(const leat_topic *t)
{
    return leat_list_empty(&t->hooked_) ? t->head : t->hooked_tip_;
}

static void take_numbering(leat_topic *t, leat_epoch *epoch)
{
    if (t->epoch != NULL && t->epoch != epoch)
        leat_topic_restart(t, LEAT_TOPIC_UNKNOWN, LEAT_RESET_EPOCH);
    if (t->epoch == NULL)
        adopt_epoch(t, epoch);
}

void leat_topic_on_begin(leat_core *core, leat_topic_life life, const leat_named_position *at)
{
    leat_topic *t = find_life(core, life);
    if (t == NULL)
        return;
    leat_epoch *begun = leat_epoch_of(&core->epochs, at->epoch);
    take_numbering(t, begun);
    leat_epoch_unref(begun);
    note(t, at->seq, at->revoked);
    if (t->head != LEAT_TOPIC_UNKNOWN && tip(t) >= at->seq)
        return;
    /* Cursors that are behind go on from the outbox. */
    leat_topic_hook_stop(t);
    clear_ring(t);
    t->head = at->seq;
    leat_sweep_schedule(core->loop, &t->fan_out_);
}

void leat_topic_on_event(leat_core *core, uint64_t generation, leat_event *e)
{
    leat_topic *t = find_life(core, (leat_topic_life){leat_event_topic(e), generation});
    int64_t seq = leat_event_seq(e);
    /* A read may have been faster: then the event is at or below the tip. */
    if (t == NULL || t->head == LEAT_TOPIC_UNKNOWN || seq <= tip(t)) {
        leat_event_unref(e);
        return;
    }
    LEAT_ASSERT(seq == tip(t) + 1); /* what the hub gives is contiguous */
    note(t, seq, leat_event_kind_of(e) == LEAT_EVENT_REVOKE ? seq : LEAT_NEVER_REVOKED);
    bool hook = leat_event_kind_of(e) == LEAT_EVENT_DATA && leat_topic_hooked(t);
    if (hook || !leat_list_empty(&t->hooked_))
        leat_topic_hook_push(t, e);
    else
        leat_topic_append(t, e);
}

void leat_topic_on_signal(leat_core *core, uint64_t generation, leat_event *e)
{
    leat_topic *t = find_life(core, (leat_topic_life){leat_event_topic(e), generation});
    if (t != NULL) {
        for (leat_list *l = t->subs.next; l != &t->subs; l = l->next)
            leat_sub_signal(LEAT_CONTAINER_OF(l, leat_sub, topic_link), e);
        for (leat_list *l = t->pending.next; l != &t->pending; l = l->next)
            leat_sub_signal(LEAT_CONTAINER_OF(l, leat_sub, topic_link), e);
    }
    leat_event_unref(e);
}

void leat_topic_restart(leat_topic *t, int64_t head, int reason)
{
    leat_share_forget_all(t, reason == LEAT_RESET_EPOCH);
    clear_ring(t);
    t->head = head;
    if (head == LEAT_TOPIC_UNKNOWN)
        leat_topic_hook_stop(t);
    if (head == LEAT_TOPIC_UNKNOWN && t->epoch != NULL) {
        leat_epoch_unref(t->last_epoch);
        t->last_epoch = t->epoch;
        t->epoch = NULL;
    }
    if (reason == LEAT_RESET_EPOCH) { /* every subscription is renumbered below */
        leat_epoch_unref(t->last_epoch);
        t->last_epoch = NULL;
    }
    leat_list all;
    leat_list_move(&all, &t->subs);
    while (!leat_list_empty(&t->pending))
        leat_list_push(&all, leat_list_shift(&t->pending));
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_list_push(&t->subs, l);
        leat_sub_resync(LEAT_CONTAINER_OF(l, leat_sub, topic_link), reason);
    }
}

void leat_topic_on_reset(leat_core *core, leat_topic_life life, int reason)
{
    leat_topic *t = find_life(core, life);
    if (t != NULL)
        leat_topic_restart(t, LEAT_TOPIC_UNKNOWN, reason);
}

bool leat_topic_hooked(leat_topic *t)
{
    leat_script *script = t->core->script;
    if (t->hook_ < 0)
        t->hook_ = script->ops->has_event_hook(script, t->entry.key);
    return t->hook_ != 0;
}

void leat_topic_scripts_changed(leat_topic *t)
{
    t->hook_ = -1;
}
