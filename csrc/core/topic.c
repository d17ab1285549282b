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

#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { FAN_OUT_PART = 1024 }; /* cursors told before the loop does other work */

static void fan_out(leat_sweep *s);
static void on_timing(leat_sweep *s);
static void on_next_part(leat_deadline *d);
static void on_linger(leat_deadline *d);
static void on_passed(leat_hook *h, leat_event *e);
static void on_hook_failed(leat_hook *h, int64_t seq);

static const leat_hook_handler hook_handler = {on_passed, on_hook_failed};

static leat_topic *find_topic(leat_core *core, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&core->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, leat_topic, ring.entry);
}

/* The life of a topic that the hub's message is about; NULL if it is over. */
static leat_topic *find_life(leat_core *core, leat_topic_life life)
{
    leat_topic *t = find_topic(core, life.name);
    return t != NULL && t->ring.generation == life.generation ? t : NULL;
}

static leat_cursor *cursor_of(leat_list *link)
{
    return LEAT_CONTAINER_OF(link, leat_cursor, link);
}

static leat_core *core_of(const leat_topic *t)
{
    return t->ring.core;
}

static leat_topic_flow *make_flow(leat_topic *t)
{
    leat_core *core = core_of(t);
    leat_topic_flow *f = leat_pool_take(leat_loop_pool(core->loop), sizeof(*f));
    f->topic = t;
    leat_hook_init(&f->hook, core, leat_topic_name(t), &hook_handler);
    leat_shares_init(&f->shares, &t->ring);
    leat_list_init(&f->unreached);
    leat_sweep_init(&f->fan_out, fan_out);
    leat_sweep_init(&f->timing, on_timing);
    leat_deadline_init(&f->timer);
    t->flow_ = f;
    return f;
}

static leat_topic_flow *flow_of(leat_topic *t)
{
    return t->flow_ != NULL ? t->flow_ : make_flow(t);
}

/* From now on the topic belongs to another pattern. */
static void count_as(leat_topic *t, leat_labelled *counts)
{
    int64_t n = (int64_t)t->n_cursors_;
    leat_labelled_add(t->counts, LEAT_L_TOPICS, -1);
    leat_labelled_add(t->counts, LEAT_L_SUBSCRIPTIONS, -n);
    leat_labelled_add(counts, LEAT_L_TOPICS, 1);
    leat_labelled_add(counts, LEAT_L_SUBSCRIPTIONS, n);
    t->counts = counts;
}

void leat_topic_scripts_changed(leat_topic *t)
{
    leat_script *script = core_of(t)->script;
    if (t->flow_ != NULL)
        leat_hook_scripts_changed(&t->flow_->hook);
    count_as(t, script->ops->pattern_counts(script, leat_topic_name(t)));
}

leat_topic *leat_topic_get(leat_core *core, leat_slice name)
{
    leat_topic *t = find_topic(core, name);
    if (t != NULL)
        return t;
    t = leat_pool_take(leat_loop_pool(core->loop), offsetof(leat_topic, name) + name.len + 1);
    memcpy(t->name, name.at, name.len);
    leat_topic_life life = {{t->name, name.len}, ++core->generations};
    leat_ring_init(&t->ring, core, life);
    leat_map_add(&core->topics, &t->ring.entry, life.name);
    leat_list_init(&t->cursors_);
    leat_metrics_add(core->metrics, LEAT_M_TOPICS, 1);
    count_as(t, core->script->ops->pattern_counts(core->script, leat_topic_name(t)));
    leat_hub_link_arm(core->link, life);
    return t;
}

static void end_runs(leat_topic_flow *f)
{
    leat_runs_free(f->runs);
    f->runs = NULL;
}

static void restart_ring(leat_topic *t, int64_t head, bool another_epoch)
{
    leat_topic_flow *f = t->flow_;
    if (f != NULL) {
        end_runs(f);
        leat_sweep_cancel(&f->timing);
        f->round = (leat_round){0, 0};
        f->given = 0;
    }
    leat_ring_restart(&t->ring, head, another_epoch);
}

static void free_flow(leat_topic *t)
{
    leat_topic_flow *f = t->flow_;
    if (f == NULL)
        return;
    leat_hook_stop(&f->hook);
    leat_shares_close(&f->shares);
    if (f->catch_up != NULL)
        leat_catch_up_free(f->catch_up);
    leat_sweep_cancel(&f->fan_out);
    leat_sweep_cancel(&f->timing);
    leat_deadline_cancel(&f->timer);
    end_runs(f);
    leat_latest_free(f->kept);
    leat_pool_give(leat_loop_pool(core_of(t)->loop), f);
    t->flow_ = NULL;
}

static void free_topic(leat_topic *t)
{
    leat_core *core = core_of(t);
    LEAT_ASSERT(t->n_cursors_ == 0);
    count_as(t, NULL);
    free_flow(t);
    leat_ring_close(&t->ring);
    leat_map_remove(&core->topics, &t->ring.entry);
    leat_metrics_add(core->metrics, LEAT_M_TOPICS, -1);
    leat_pool_give(leat_loop_pool(core->loop), t);
}

void leat_topic_free_all(leat_core *core)
{
    for (leat_map_entry *e = leat_map_next(&core->topics, NULL); e != NULL;) {
        leat_map_entry *next = leat_map_next(&core->topics, e);
        free_topic(LEAT_CONTAINER_OF(e, leat_topic, ring.entry));
        e = next;
    }
}

void leat_topic_attach(leat_topic *t, leat_cursor *c)
{
    leat_topic_flow *f = t->flow_;
    if (t->n_cursors_++ == 0 && f != NULL)
        leat_deadline_cancel(&f->timer); /* the topic was to be freed */
    leat_labelled_add(t->counts, LEAT_L_SUBSCRIPTIONS, 1);
    c->topic = t;
    c->signal = f == NULL || f->kept == NULL ? 0 : f->kept->last;
    leat_list_push(&t->cursors_, &c->link);
}

void leat_topic_detach(leat_cursor *c)
{
    leat_topic *t = c->topic;
    leat_list_unlink(&c->link);
    leat_labelled_add(t->counts, LEAT_L_SUBSCRIPTIONS, -1);
    c->topic = NULL;
    if (--t->n_cursors_ > 0)
        return;
    leat_topic_flow *f = flow_of(t);
    end_runs(f); /* the fan-out, if one goes on, has no next part */
    leat_loop_after(core_of(t)->loop, &f->timer, core_of(t)->limits->topic_linger_ms, on_linger);
}

static void on_linger(leat_deadline *d)
{
    leat_topic *t = LEAT_CONTAINER_OF(d, leat_topic_flow, timer)->topic;
    leat_hub_link_disarm(core_of(t)->link, leat_ring_life(&t->ring));
    free_topic(t);
}

leat_catch_up *leat_topic_catch_up(leat_topic *t)
{
    leat_topic_flow *f = flow_of(t);
    if (f->catch_up == NULL)
        f->catch_up = leat_catch_up_new(&t->ring);
    return f->catch_up;
}

leat_shares *leat_topic_shares(leat_topic *t)
{
    return &flow_of(t)->shares;
}

bool leat_topic_is_hooked(leat_topic *t)
{
    leat_script *script = core_of(t)->script;
    return t->flow_ != NULL ? leat_hook_applies(&t->flow_->hook)
                            : script->ops->has_event_hook(script, leat_topic_name(t));
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

void leat_topic_renumbered(leat_ring *r)
{
    leat_topic *t = LEAT_CONTAINER_OF(r, leat_topic, ring);
    const leat_cursor_handler *owners = r->core->cursors;
    for (leat_list *l = t->cursors_.next; l != &t->cursors_; l = l->next)
        owners->renumbered(cursor_of(l));
    if (t->flow_ == NULL)
        return;
    for (leat_list *l = t->flow_->unreached.next; l != &t->flow_->unreached; l = l->next)
        owners->renumbered(cursor_of(l));
}

static int64_t wall_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* If a fan-out is running already, another round follows it: its part of the events may have been
 * taken before the newest came. */
static void fan_out(leat_sweep *s)
{
    leat_topic_flow *f = LEAT_CONTAINER_OF(s, leat_topic_flow, fan_out);
    leat_topic *t = f->topic;
    if (!leat_list_empty(&f->unreached)) {
        f->again = true;
        return;
    }
    if (f->n_new > 1 && t->n_cursors_ > 1)
        f->runs = leat_runs_new(&t->ring);
    f->round = (leat_round){t->ring.head - (int64_t)f->n_new, t->ring.head};
    f->n_new = 0;
    leat_list_move(&f->unreached, &t->cursors_);
    on_next_part(&f->timer);
}

/* Every cursor's owner has been told of the round's events. What the owners have queued is written
 * at the end of this turn, by output sweeps that were scheduled before `timing`. An event that no
 * owner took (the sockets are full, or snapshots are being read) is not observed. */
static void time_round(leat_topic_flow *f)
{
    int64_t last = f->given < f->round.last ? f->given : f->round.last;
    if (last <= f->round.after)
        return;
    if (leat_sweep_is_scheduled(&f->timing))
        leat_sweep_cancel(&f->timing); /* a second round of this turn: observed with the first */
    else
        f->timed.after = f->round.after;
    f->timed.last = last;
    leat_sweep_schedule_output(core_of(f->topic)->loop, &f->timing);
}

static void on_timing(leat_sweep *s)
{
    const leat_topic_flow *f = LEAT_CONTAINER_OF(s, leat_topic_flow, timing);
    const leat_topic *t = f->topic;
    leat_metrics *metrics = core_of(t)->metrics;
    int64_t now_us = wall_clock_us();
    for (int64_t seq = f->timed.after + 1; seq <= f->timed.last; seq++) {
        const leat_event *e = leat_ring_event(&t->ring, seq);
        int64_t at_us = e == NULL ? 0 : leat_event_at(e);
        if (at_us == 0)
            continue;
        if (at_us > now_us)
            leat_metrics_add(metrics, LEAT_M_EARLY_EVENTS, 1);
        leat_metrics_observe(metrics, LEAT_H_COMMIT_TO_CLIENT, (double)(now_us - at_us) / 1e6);
    }
}

static void on_next_part(leat_deadline *d)
{
    leat_topic_flow *f = LEAT_CONTAINER_OF(d, leat_topic_flow, timer);
    leat_topic *t = f->topic;
    leat_core *core = core_of(t);
    for (int i = 0; i < FAN_OUT_PART; i++) {
        leat_list *link = leat_list_shift(&f->unreached);
        if (link == NULL)
            break;
        leat_list_push(&t->cursors_, link);
        core->cursors->moves(cursor_of(link));
    }
    if (!leat_list_empty(&f->unreached)) {
        leat_loop_after(core->loop, &f->timer, 0, on_next_part);
        return;
    }
    end_runs(f);
    time_round(f);
    if (f->again) {
        f->again = false;
        leat_sweep_schedule(core->loop, &f->fan_out);
    }
}

static void append(leat_topic *t, leat_event *e)
{
    leat_topic_flow *f = flow_of(t);
    leat_ring_append(&t->ring, e);
    leat_busy_count(&f->busy, leat_loop_now(core_of(t)->loop));
    if (t->n_cursors_ == 0) {
        f->n_new = 0;
        return;
    }
    leat_labelled_add(t->counts, LEAT_L_EVENTS, 1);
    f->n_new++;
    leat_sweep_schedule(core_of(t)->loop, &f->fan_out);
}

/* Moves all cursors, reached or not, to the list. */
static void move_cursors(leat_list *all, leat_topic *t)
{
    leat_list_move(all, &t->cursors_);
    if (t->flow_ == NULL)
        return;
    for (leat_list *l; (l = leat_list_shift(&t->flow_->unreached)) != NULL;)
        leat_list_push(all, l);
}

static void stop_hook(leat_topic *t)
{
    if (t->flow_ != NULL)
        leat_hook_stop(&t->flow_->hook);
}

/* Empties the ring; the next event is head + 1. Tells every cursor's owner to resync. */
static void restart(leat_topic *t, int64_t head, int reason)
{
    leat_core *core = core_of(t);
    if (t->flow_ != NULL)
        leat_shares_restart(&t->flow_->shares, reason == LEAT_RESET_EPOCH);
    restart_ring(t, head, reason == LEAT_RESET_EPOCH);
    if (head == LEAT_RING_UNKNOWN)
        stop_hook(t);
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
    const leat_topic_flow *f = flow_of(t);
    for (leat_list *l = t->cursors_.next; l != &t->cursors_; l = l->next)
        owners->signal(cursor_of(l), e);
    for (leat_list *l = f->unreached.next; l != &f->unreached; l = l->next)
        owners->signal(cursor_of(l), e);
    leat_event_unref(e);
}

static void on_passed(leat_hook *h, leat_event *e)
{
    leat_topic *t = LEAT_CONTAINER_OF(h, leat_topic_flow, hook)->topic;
    if (leat_event_kind_of(e) == LEAT_EVENT_SIGNAL)
        tell_all(t, e);
    else
        append(t, e);
}

static void on_hook_failed(leat_hook *h, int64_t seq)
{
    restart(LEAT_CONTAINER_OF(h, leat_topic_flow, hook)->topic, seq, LEAT_RESET_HOOK);
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
    return t->flow_ != NULL && leat_hook_waits(&t->flow_->hook, &last_seq);
}

/* The last event that has arrived: in the ring, or on its way through the hook. */
static int64_t last_arrived(const leat_topic *t)
{
    int64_t last_seq;
    bool waits = t->flow_ != NULL && leat_hook_waits(&t->flow_->hook, &last_seq);
    return waits ? last_seq : t->ring.head;
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
    stop_hook(t);
    restart_ring(t, at.seq, false);
    leat_sweep_schedule(core->loop, &flow_of(t)->fan_out);
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
    leat_hook *hook = &flow_of(t)->hook;
    bool hooked = leat_event_kind_of(e) == LEAT_EVENT_DATA && leat_hook_applies(hook);
    if (hooked || is_hook_busy(t))
        leat_hook_push(hook, e);
    else
        append(t, e);
}

/* A cursor that has not taken the signal that was replaced never will. What every cursor had taken
 * before needs to be kept no longer. */
static void conflate(leat_topic *t, leat_event *e)
{
    leat_core *core = core_of(t);
    leat_topic_flow *f = flow_of(t);
    if (f->kept == NULL)
        f->kept = leat_latest_new(&core->kept_signals);
    uint64_t replaced = leat_latest_put(f->kept, e);
    uint64_t taken = f->kept->last - 1;
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
    leat_latest_drop(f->kept, taken);
    leat_metrics_add(core->metrics, LEAT_M_SIGNALS_CONFLATED, n_conflated);
}

/* A signal overtakes no event, not even one that is still in the hook. Takes the reference. */
static void spread(leat_topic *t, leat_event *signal)
{
    if (!is_hook_busy(t)) {
        tell_all(t, signal);
    } else if (!leat_hook_push_signal(&t->flow_->hook, signal)) {
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
    const leat_latest *kept = c->topic->flow_->kept;
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
