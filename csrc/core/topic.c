/* topic.c - takes what the hub says about a topic, and fans it out to the topic's cursors.
 *
 * leat_topic_get asks the hub to listen. leat_topic_on_armed lets the cursors' owners read. The
 * first read's position (leat_ring_adopt), or the hub's (leat_topic_on_begin), starts the ring.
 * leat_topic_on_event appends to it, by way of the scripts' hook if there is one (hook.c), and
 * schedules fan_out. At the end of the loop's turn fan_out tells every cursor. A long fan-out goes
 * on in the next turn. If it has several events, their cursors share runs of them (run.h).
 *
 * Signals pass through (leat_topic_on_signal). Of those that conflate, the topic keeps the newest
 * of each key until every cursor has taken it. */
#include "core/topic.h"

#include <stdlib.h>

#include "base/mem.h"

enum { FAN_OUT_PART = 1024 }; /* cursors told before the loop does other work */

static void fan_out(leat_sweep *s);
static void on_next_part(leat_deadline *d);
static void on_linger(leat_deadline *d);
static void on_renumbered(leat_ring *r);
static void on_passed(leat_hook *h, leat_event *e);
static void on_hook_failed(leat_hook *h, int64_t seq);

static const leat_hook_handler hook_handler = {on_passed, on_hook_failed};

static leat_topic *find_topic(leat_core *core, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&core->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_topic, entry);
}

/* The life of a topic that the hub's message is about; NULL if it is over. */
static leat_topic *find_life(leat_core *core, leat_topic_life life)
{
    leat_topic *t = find_topic(core, life.name);
    return t != NULL && t->ring.life.generation == life.generation ? t : NULL;
}

static leat_cursor *cursor_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, leat_cursor, link);
}

static leat_core *core_of(const leat_topic *t)
{
    return t->ring.core;
}

leat_topic *leat_topic_get(leat_core *core, leat_slice name)
{
    leat_topic *t = find_topic(core, name);
    if (t != NULL)
        return t;
    t = leat_calloc(1, sizeof(*t));
    t->name = leat_memdup(name.at, name.len);
    leat_map_add(&core->topics, &t->entry, (leat_slice){t->name, name.len});
    leat_topic_life life = {t->entry.key, ++core->generations};
    leat_ring_init(&t->ring, core, life, on_renumbered);
    leat_hook_init(&t->hook, core, t->entry.key, &hook_handler);
    leat_shares_init(&t->shares, &t->ring);
    leat_list_init(&t->cursors_);
    leat_list_init(&t->unreached_);
    leat_sweep_init(&t->fan_out_, fan_out);
    leat_deadline_init(&t->timer_);
    leat_metrics_add(core->metrics, LEAT_M_TOPICS, 1);
    leat_hub_link_arm(core->link, life);
    return t;
}

static void end_runs(leat_topic *t)
{
    leat_runs_free(t->runs_);
    t->runs_ = NULL;
}

static void restart_ring(leat_topic *t, int64_t head, bool another_epoch)
{
    end_runs(t);
    leat_ring_restart(&t->ring, head, another_epoch);
}

static void free_topic(leat_topic *t)
{
    leat_core *core = core_of(t);
    LEAT_ASSERT(t->n_cursors_ == 0);
    leat_hook_stop(&t->hook);
    leat_shares_close(&t->shares);
    if (t->catch_up_ != NULL)
        leat_catch_up_free(t->catch_up_);
    leat_sweep_cancel(&t->fan_out_);
    leat_deadline_cancel(&t->timer_);
    end_runs(t);
    leat_ring_close(&t->ring);
    leat_latest_free(t->kept_);
    leat_map_remove(&core->topics, &t->entry);
    leat_metrics_add(core->metrics, LEAT_M_TOPICS, -1);
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

void leat_topic_attach(leat_topic *t, leat_cursor *c)
{
    if (t->n_cursors_++ == 0)
        leat_deadline_cancel(&t->timer_); /* the topic was to be freed */
    c->topic = t;
    c->signal = t->kept_ == NULL ? 0 : t->kept_->last;
    leat_list_push(&t->cursors_, &c->link);
}

void leat_topic_detach(leat_cursor *c)
{
    leat_topic *t = c->topic;
    leat_list_unlink(&c->link);
    c->topic = NULL;
    if (--t->n_cursors_ > 0)
        return;
    end_runs(t); /* the fan-out, if one goes on, has no next part */
    leat_loop_after(core_of(t)->loop, &t->timer_, core_of(t)->limits->topic_linger_ms, on_linger);
}

static void on_linger(leat_deadline *d)
{
    leat_topic *t = LEAT_CONTAINER_OF(d, leat_topic, timer_);
    leat_hub_link_disarm(core_of(t)->link, t->ring.life);
    free_topic(t);
}

leat_catch_up *leat_topic_catch_up(leat_topic *t)
{
    if (t->catch_up_ == NULL)
        t->catch_up_ = leat_catch_up_new(&t->ring);
    return t->catch_up_;
}

leat_topic_mark leat_topic_mark_now(leat_core *core, leat_slice name)
{
    const leat_topic *t = find_topic(core, name);
    leat_topic_mark mark = {.history = core->histories, .at_ms = leat_loop_now(core->loop)};
    if (t == NULL || t->ring.epoch == NULL)
        return mark;
    mark.numbering = t->ring.numbering;
    mark.seq = t->ring.head > t->ring.seen ? t->ring.head : t->ring.seen;
    return mark;
}

static void on_renumbered(leat_ring *r)
{
    leat_topic *t = LEAT_CONTAINER_OF(r, leat_topic, ring);
    const leat_cursor_handler *owners = r->core->cursors;
    for (leat_list *l = t->cursors_.next; l != &t->cursors_; l = l->next)
        owners->renumbered(cursor_of(l));
    for (leat_list *l = t->unreached_.next; l != &t->unreached_; l = l->next)
        owners->renumbered(cursor_of(l));
}

/* If a fan-out is running already, another round follows it: its part of the events may have been
 * taken before the newest came. */
static void fan_out(leat_sweep *s)
{
    leat_topic *t = LEAT_CONTAINER_OF(s, leat_topic, fan_out_);
    if (!leat_list_empty(&t->unreached_)) {
        t->again_ = true;
        return;
    }
    if (t->n_new_ > 1 && t->n_cursors_ > 1)
        t->runs_ = leat_runs_new(&t->ring);
    t->n_new_ = 0;
    leat_list_move(&t->unreached_, &t->cursors_);
    on_next_part(&t->timer_);
}

static void on_next_part(leat_deadline *d)
{
    leat_topic *t = LEAT_CONTAINER_OF(d, leat_topic, timer_);
    leat_core *core = core_of(t);
    for (int i = 0; i < FAN_OUT_PART; i++) {
        leat_list *link = leat_list_shift(&t->unreached_);
        if (link == NULL)
            break;
        leat_list_push(&t->cursors_, link);
        core->cursors->moves(cursor_of(link));
    }
    if (!leat_list_empty(&t->unreached_)) {
        leat_loop_after(core->loop, &t->timer_, 0, on_next_part);
        return;
    }
    end_runs(t);
    if (t->again_) {
        t->again_ = false;
        leat_sweep_schedule(core->loop, &t->fan_out_);
    }
}

static void append(leat_topic *t, leat_event *e)
{
    leat_ring_append(&t->ring, e);
    leat_busy_count(&t->busy_, leat_loop_now(core_of(t)->loop));
    t->n_new_++;
    if (t->n_cursors_ > 0)
        leat_sweep_schedule(core_of(t)->loop, &t->fan_out_);
}

/* Moves all cursors, reached or not, to the list. */
static void move_cursors(leat_list *all, leat_topic *t)
{
    leat_list_move(all, &t->cursors_);
    for (leat_list *l; (l = leat_list_shift(&t->unreached_)) != NULL;)
        leat_list_push(all, l);
}

/* Empties the ring; the next event is head + 1. Tells every cursor's owner to resync. */
static void restart(leat_topic *t, int64_t head, int reason)
{
    leat_core *core = core_of(t);
    leat_shares_restart(&t->shares, reason == LEAT_RESET_EPOCH);
    restart_ring(t, head, reason == LEAT_RESET_EPOCH);
    if (head == LEAT_RING_UNKNOWN)
        leat_hook_stop(&t->hook);
    leat_list all;
    move_cursors(&all, t);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_list_push(&t->cursors_, l);
        if (reason == LEAT_RESET_EPOCH)
            core->cursors->renumbered(cursor_of(l));
        core->cursors->resyncs(cursor_of(l), reason);
    }
}

/* Takes the reference. */
static void tell_all(leat_topic *t, leat_event *e)
{
    const leat_cursor_handler *owners = core_of(t)->cursors;
    for (leat_list *l = t->cursors_.next; l != &t->cursors_; l = l->next)
        owners->signal(cursor_of(l), e);
    for (leat_list *l = t->unreached_.next; l != &t->unreached_; l = l->next)
        owners->signal(cursor_of(l), e);
    leat_event_unref(e);
}

static void on_passed(leat_hook *h, leat_event *e)
{
    leat_topic *t = LEAT_CONTAINER_OF(h, leat_topic, hook);
    if (leat_event_kind_of(e) == LEAT_EVENT_SIGNAL)
        tell_all(t, e);
    else
        append(t, e);
}

static void on_hook_failed(leat_hook *h, int64_t seq)
{
    restart(LEAT_CONTAINER_OF(h, leat_topic, hook), seq, LEAT_RESET_HOOK);
}

void leat_topic_on_armed(leat_core *core, leat_topic_life life)
{
    leat_topic *t = find_life(core, life);
    if (t == NULL || t->armed)
        return;
    t->armed = true;
    leat_list all;
    leat_list_move(&all, &t->cursors_);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_list_push(&t->cursors_, l);
        core->cursors->armed(cursor_of(l));
    }
}

static bool is_hook_busy(const leat_topic *t)
{
    int64_t last_seq;
    return leat_hook_waits(&t->hook, &last_seq);
}

/* The last event that has arrived: in the ring, or on its way through the hook. */
static int64_t last_arrived(const leat_topic *t)
{
    int64_t last_seq;
    return leat_hook_waits(&t->hook, &last_seq) ? last_seq : t->ring.head;
}

void leat_topic_on_begin(leat_core *core, leat_topic_life life, const leat_named_position *told)
{
    leat_topic *t = find_life(core, life);
    if (t == NULL)
        return;
    leat_position at = {leat_epoch_of(&core->epochs, told->epoch), told->seq, told->revoked};
    if (t->ring.epoch != NULL && t->ring.epoch != at.epoch)
        restart(t, LEAT_RING_UNKNOWN, LEAT_RESET_EPOCH);
    leat_ring_note_position(&t->ring, &at);
    leat_epoch_unref(at.epoch);
    if (last_arrived(t) >= at.seq)
        return;
    /* The hub left events out. Cursors that lack them go on from the outbox. */
    leat_hook_stop(&t->hook);
    restart_ring(t, at.seq, false);
    leat_sweep_schedule(core->loop, &t->fan_out_);
}

void leat_topic_on_event(leat_core *core, uint64_t generation, leat_event *e)
{
    leat_topic *t = find_life(core, (leat_topic_life){leat_event_topic(e), generation});
    int64_t seq = leat_event_seq(e);
    /* If a read was faster, the event is not behind the last one that has arrived. */
    if (t == NULL || t->ring.head == LEAT_RING_UNKNOWN || seq <= last_arrived(t)) {
        leat_event_unref(e);
        return;
    }
    LEAT_ASSERT(seq == last_arrived(t) + 1); /* what the hub gives is contiguous */
    leat_ring_note_event(&t->ring, e);
    bool hooked = leat_event_kind_of(e) == LEAT_EVENT_DATA && leat_hook_applies(&t->hook);
    if (hooked || is_hook_busy(t))
        leat_hook_push(&t->hook, e);
    else
        append(t, e);
}

/* A cursor that has not taken the signal that was replaced never will. What every cursor had taken
 * before needs to be kept no longer. */
static void conflate(leat_topic *t, leat_event *e)
{
    leat_core *core = core_of(t);
    if (t->kept_ == NULL)
        t->kept_ = leat_latest_new(&core->kept_signals);
    uint64_t replaced = leat_latest_put(t->kept_, e);
    uint64_t taken = t->kept_->last - 1;
    int64_t n_conflated = 0;
    leat_list all;
    move_cursors(&all, t);
    for (leat_list *l = leat_list_shift(&all); l != NULL; l = leat_list_shift(&all)) {
        leat_cursor *c = cursor_of(l);
        leat_list_push(&t->cursors_, l);
        n_conflated += c->signal < replaced;
        taken = c->signal < taken ? c->signal : taken;
        core->cursors->moves(c);
    }
    leat_latest_drop(t->kept_, taken);
    leat_metrics_add(core->metrics, LEAT_M_SIGNALS_CONFLATED, n_conflated);
}

/* A signal overtakes no event, not even one that is still in the hook. Takes the reference. */
static void spread(leat_topic *t, leat_event *signal)
{
    if (!is_hook_busy(t)) {
        tell_all(t, signal);
    } else if (!leat_hook_push_signal(&t->hook, signal)) {
        leat_event_unref(signal);
        leat_metrics_add(core_of(t)->metrics, LEAT_M_SIGNALS_DROPPED, 1);
    }
}

void leat_topic_on_signal(leat_core *core, uint64_t generation, leat_event *e)
{
    leat_topic *t = find_life(core, (leat_topic_life){leat_event_topic(e), generation});
    if (t == NULL) {
        leat_event_unref(e);
    } else if (leat_event_key(e).at != NULL) {
        conflate(t, e);
        leat_event_unref(e);
    } else {
        spread(t, e);
    }
}

void leat_topic_give_signals(leat_cursor *c, bool (*give)(leat_cursor *c, leat_event *e))
{
    const leat_latest *kept = c->topic->kept_;
    leat_latest_entry *e = leat_latest_after(kept, c->signal);
    while (e != NULL && give(c, e->event)) {
        c->signal = e->number;
        e = leat_latest_next(e);
    }
    if (e == NULL)
        c->signal = kept->last;
}

void leat_topic_on_reset(leat_core *core, leat_topic_life life, int reason)
{
    leat_topic *t = find_life(core, life);
    if (t != NULL)
        restart(t, LEAT_RING_UNKNOWN, reason);
}
