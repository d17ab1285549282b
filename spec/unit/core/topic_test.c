/* topic_test.c - a worker's topic: a ring that is contiguous, ends at head, and loses its old end.
 *
 * The test plays the hub, and notes what the topic asks of its subscriptions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/catch_up.h"
#include "core/share.h"
#include "core/topic.h"
#include "wire/leat_v1.h"

enum { N_SUBS = 3, RING_EVENTS = 4, RING_BYTES = 4096, LINGER_MS = 100 };

static struct {
    size_t n_positions; /* told to the hub */
    size_t n_resyncs;
    size_t n_renumbered;
    size_t n_armed;
    size_t n_signals;
    int last_reason;
    size_t n_pushed;              /* to the hook */
    const leat_run *runs[N_SUBS]; /* what the cursors were offered, one each */
    size_t n_moved;
    bool blocked; /* the cursors' owners take no event */
    bool hooked;  /* the scripts have a hook */
    bool hook_waits;
    bool hook_is_full;
    leat_event *in_hook;
    bool shares_forgotten;
    bool disarmed;
    leat_labelled *counts; /* of the topic's pattern */
} seen;

void leat_hub_link_arm(leat_hub_link *l, leat_topic_life topic)
{
    (void)l, (void)topic;
}

void leat_hub_link_disarm(leat_hub_link *l, leat_topic_life topic)
{
    (void)l, (void)topic;
    seen.disarmed = true;
}

void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at)
{
    (void)l, (void)topic, (void)at;
    seen.n_positions++;
}

/* ---- The owners of cursors. ---- */

static void on_armed(leat_cursor *c)
{
    (void)c;
    seen.n_armed++;
}

static void on_events(leat_cursor *c)
{
    seen.runs[seen.n_moved++ % N_SUBS] = leat_topic_run(c->topic, c->next_seq, NULL);
    while (!seen.blocked && leat_ring_event(&c->topic->ring, c->next_seq) != NULL)
        leat_topic_given(c->topic, c->next_seq++);
}

static void on_signal(leat_cursor *c, leat_event *e)
{
    (void)c, (void)e;
    seen.n_signals++;
}

static void on_resync(leat_cursor *c, int reason)
{
    (void)c;
    seen.n_resyncs++;
    seen.last_reason = reason;
}

static void on_renumbered(leat_cursor *c)
{
    (void)c;
    seen.n_renumbered++;
}

static const leat_cursor_handler cursors = {
    .armed = on_armed,
    .moves = on_events,
    .signal = on_signal,
    .resyncs = on_resync,
    .renumbered = on_renumbered,
};

/* ---- The scripts. ---- */

static leat_labelled *pattern_counts(leat_script *s, leat_slice topic)
{
    (void)s, (void)topic;
    return seen.counts;
}

/* ---- What belongs to a topic: snapshots, the outbox and the hook, which lets all events pass.
 * ----
 */

void leat_shares_init(leat_shares *shares, const leat_ring *ring)
{
    (void)shares, (void)ring;
}

void leat_shares_restart(leat_shares *shares, bool renumbered)
{
    (void)shares, (void)renumbered;
    seen.shares_forgotten = true;
}

void leat_shares_close(leat_shares *shares)
{
    (void)shares;
}

leat_catch_up *leat_catch_up_new(leat_ring *ring)
{
    (void)ring;
    return NULL;
}

void leat_catch_up_free(leat_catch_up *c)
{
    assert_null(c);
}

void leat_hook_init(leat_hook *h, leat_core *core, leat_slice topic,
                    const leat_hook_handler *handler)
{
    (void)core, (void)topic;
    h->handler = handler;
}

bool leat_hook_applies(leat_hook *h)
{
    (void)h;
    return seen.hooked;
}

bool leat_hook_waits(const leat_hook *h, int64_t *last_seq)
{
    (void)h, (void)last_seq;
    return seen.hook_waits;
}

bool leat_hook_push_signal(leat_hook *h, leat_event *signal)
{
    (void)h;
    if (seen.hook_is_full)
        return false;
    seen.in_hook = signal;
    return true;
}

void leat_hook_push(leat_hook *h, leat_event *e)
{
    seen.n_pushed++;
    h->handler->passed(h, e);
}

void leat_hook_scripts_changed(leat_hook *h)
{
    (void)h;
}

void leat_hook_stop(leat_hook *h)
{
    (void)h;
}

typedef struct world {
    uv_loop_t uv;
    leat_loop *loop;
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_core core;
    leat_script script;
    leat_topic *topic;
    leat_cursor cursors[N_SUBS];
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, leat_loop_new(&w->loop, &w->uv));
    w->limits.ring_events = RING_EVENTS;
    w->limits.ring_bytes = RING_BYTES;
    w->limits.topic_linger_ms = LINGER_MS;
    w->registry = leat_metrics_registry_new();
    w->core.loop = w->loop;
    w->core.limits = &w->limits;
    w->core.confirmed = true;
    w->core.metrics = leat_metrics_new(w->registry);
    w->core.cursors = &cursors;
    w->core.renumbered = leat_topic_renumbered;
    static const leat_script_ops ops = {.pattern_counts = pattern_counts};
    w->script.ops = &ops;
    w->core.script = &w->script;
    seen.counts = leat_labelled_pattern(w->core.metrics, leat_slice_of("t"));
    leat_map_init(&w->core.topics);
    leat_map_init(&w->core.epochs);
    w->topic = leat_topic_get(&w->core, leat_slice_of("t"));
    for (int i = 0; i < N_SUBS; i++) {
        leat_topic_attach(w->topic, &w->cursors[i]);
    }
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    for (int i = 0; i < N_SUBS; i++)
        leat_topic_detach(&w->cursors[i]);
    leat_topic_free_all(&w->core);
    assert_int_equal(0, leat_metrics_get(w->core.metrics, LEAT_M_TOPICS));
    assert_int_equal(0, leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES));
    leat_map_close(&w->core.topics);
    assert_int_equal(0, w->core.epochs.count);
    leat_map_close(&w->core.epochs);
    leat_loop_close(w->loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&w->uv));
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static leat_event *make_event(int64_t seq, size_t bytes)
{
    char data[2 * RING_BYTES] = "\"";
    memset(data + 1, 'x', bytes);
    memcpy(data + 1 + bytes, "\"", 2);
    return leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), seq, leat_slice_of(data));
}

static leat_topic_life life(const world *w)
{
    return (leat_topic_life){leat_slice_of("t"), w->topic->ring.generation};
}

static leat_topic_life other_life(const world *w)
{
    return (leat_topic_life){leat_slice_of("t"), w->topic->ring.generation + 1};
}

static void arm(world *w)
{
    leat_topic_on_armed(&w->core, life(w));
}

static void event(world *w, int64_t seq)
{
    leat_topic_on_event(&w->core, w->topic->ring.generation, make_event(seq, 10));
}

static bool position_revoked(world *w, const char *epoch, int64_t seq, int64_t revoked)
{
    leat_position at = {leat_epoch_of(&w->core.epochs, leat_slice_of(epoch)), seq, revoked};
    bool same = leat_ring_adopt(&w->topic->ring, &at);
    leat_epoch_unref(at.epoch);
    return same;
}

static bool position(world *w, const char *epoch, int64_t seq)
{
    return position_revoked(w, epoch, seq, LEAT_NEVER_REVOKED);
}

static void begin(world *w, const char *epoch, int64_t seq, int64_t revoked)
{
    leat_topic_on_begin(&w->core, life(w),
                        &(leat_named_position){leat_slice_of(epoch), seq, revoked});
}

static void turn(world *w)
{
    uv_run(&w->uv, UV_RUN_NOWAIT);
}

/* The ring holds oldest..head and nothing else. */
static void expect_ring(const leat_topic *t, int64_t oldest, int64_t head)
{
    assert_int_equal(head, t->ring.head);
    assert_null(leat_ring_event(&t->ring, oldest - 1));
    assert_null(leat_ring_event(&t->ring, head + 1));
    for (int64_t seq = oldest; seq <= head; seq++)
        assert_int_equal(seq, leat_event_seq(leat_ring_event(&t->ring, seq)));
    assert_false(leat_ring_leads_on(&t->ring, oldest - 1));
    assert_true(leat_ring_leads_on(&t->ring, oldest));
    assert_true(leat_ring_leads_on(&t->ring, head + 1));
    assert_false(leat_ring_leads_on(&t->ring, head + 2));
}

static void begins_where_the_first_read_stood(void **state)
{
    world *w = *state;
    arm(w);
    assert_false(leat_ring_leads_on(&w->topic->ring, 1));

    assert_true(position(w, "e", 7));

    expect_ring(w->topic, 8, 7);
    assert_int_equal(N_SUBS, seen.n_armed);
    assert_int_equal(1, seen.n_positions);
}

/* The hub began earlier, for another worker. */
static void begins_where_the_hub_does(void **state)
{
    world *w = *state;
    arm(w);

    begin(w, "e", 4, 2);
    event(w, 5);
    assert_true(position(w, "e", 4));

    expect_ring(w->topic, 5, 5);
    assert_int_equal(2, w->topic->ring.revoked);
    assert_int_equal(0, seen.n_resyncs);
}

/* What lies between is in the outbox. */
static void goes_on_where_the_hub_does(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 1);
    event(w, 2);
    for (int i = 0; i < N_SUBS; i++)
        w->cursors[i].next_seq = 3;

    begin(w, "e", 7, 0);
    event(w, 8);

    expect_ring(w->topic, 8, 8);
    assert_int_equal(0, seen.n_resyncs);
}

static void stays_where_it_is_when_the_hub_begins_behind(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 6);

    begin(w, "e", 4, 0);
    event(w, 5);
    event(w, 6);
    event(w, 7);

    expect_ring(w->topic, 7, 7);
}

static void restarts_where_the_hub_has_another_numbering(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 6);
    uint64_t numbering = w->topic->ring.numbering;

    begin(w, "f", 2, 0);
    event(w, 3);

    expect_ring(w->topic, 3, 3);
    assert_int_equal(N_SUBS, seen.n_resyncs);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reason);
    assert_int_not_equal(numbering, w->topic->ring.numbering);
}

/* What a handler that begins now is sure to see. */
static void knows_how_far_it_is_committed(void **state)
{
    world *w = *state;
    leat_slice name = leat_slice_of("t");
    arm(w);
    assert_int_equal(0, leat_topic_mark_now(&w->core, name).numbering);
    position(w, "e", 6);
    assert_int_equal(6, leat_topic_mark_now(&w->core, name).seq);
    event(w, 7);
    assert_int_equal(7, leat_topic_mark_now(&w->core, name).seq);
    position(w, "e", 9); /* the ring has not come as far */
    leat_topic_mark mark = leat_topic_mark_now(&w->core, name);

    assert_int_equal(9, mark.seq);
    assert_int_equal(w->topic->ring.numbering, mark.numbering);
    assert_int_equal(0, leat_topic_mark_now(&w->core, leat_slice_of("other")).numbering);
}

static void knows_its_last_revocation(void **state)
{
    world *w = *state;
    arm(w);
    position_revoked(w, "e", 6, 2);
    assert_int_equal(2, w->topic->ring.revoked);
    leat_topic_on_event(
        &w->core, w->topic->ring.generation,
        leat_v1_event(LEAT_EVENT_REVOKE, leat_slice_of("t"), 7, leat_slice_of("null")));
    assert_int_equal(7, w->topic->ring.revoked);

    leat_topic_on_reset(&w->core, life(w), LEAT_RESET_EPOCH);
    position(w, "f", 6);

    assert_int_equal(LEAT_NEVER_REVOKED, w->topic->ring.revoked);
}

static void drops_what_comes_before_it_knows_where_it_stands(void **state)
{
    world *w = *state;

    event(w, 5);

    assert_int_equal(LEAT_RING_UNKNOWN, w->topic->ring.head);
}

/* The topic was disarmed and armed again while they were on their way. */
static void drops_events_and_signals_of_another_life(void **state)
{
    world *w = *state;
    leat_slice name = leat_slice_of("t");
    arm(w);
    position(w, "e", 0);

    leat_topic_on_event(&w->core, other_life(w).generation, make_event(1, 10));
    leat_topic_on_signal(&w->core, other_life(w).generation,
                         leat_v1_event(LEAT_EVENT_SIGNAL, name, 0, leat_slice_of("1")));

    expect_ring(w->topic, 1, 0);
    assert_int_equal(0, seen.n_signals);
    leat_topic_on_signal(&w->core, life(w).generation,
                         leat_v1_event(LEAT_EVENT_SIGNAL, name, 0, leat_slice_of("1")));
    assert_int_equal(N_SUBS, seen.n_signals);
}

static void signal_all(world *w)
{
    leat_topic_on_signal(
        &w->core, life(w).generation,
        leat_v1_event(LEAT_EVENT_SIGNAL, leat_slice_of("t"), 0, leat_slice_of("1")));
}

static void gives_signals_behind_what_is_in_the_hook(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    (void)leat_topic_shares(w->topic); /* makes its flow, as an event in the hook would */
    seen.hook_waits = true;
    signal_all(w);
    assert_int_equal(0, seen.n_signals);

    w->topic->flow_->hook.handler->passed(&w->topic->flow_->hook, seen.in_hook);

    assert_int_equal(N_SUBS, seen.n_signals);
    expect_ring(w->topic, 1, 0);
    seen.hook_is_full = true;
    signal_all(w);
    assert_int_equal(N_SUBS, seen.n_signals);
    assert_int_equal(1, leat_metrics_get(w->core.metrics, LEAT_M_SIGNALS_DROPPED));
}

static void drops_its_oldest_beyond_the_count(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);

    for (int64_t seq = 1; seq <= 3 * RING_EVENTS; seq++) {
        event(w, seq);
        expect_ring(w->topic, seq > RING_EVENTS ? seq - RING_EVENTS + 1 : 1, seq);
    }
}

static void drops_its_oldest_beyond_the_bytes(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);

    for (int64_t seq = 1; seq <= 9; seq++)
        leat_topic_on_event(&w->core, w->topic->ring.generation, make_event(seq, RING_BYTES / 3));

    expect_ring(w->topic, 8, 9);
    assert_true(leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES) <= RING_BYTES);
}

static void holds_none_that_is_larger_than_the_ring(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    event(w, 1);

    leat_topic_on_event(&w->core, w->topic->ring.generation, make_event(2, RING_BYTES + 1));

    expect_ring(w->topic, 3, 2);
    assert_int_equal(0, leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES));
    event(w, 3);
    expect_ring(w->topic, 3, 3);
}

static void ignores_what_it_has(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 3);

    event(w, 3);
    event(w, 4);
    event(w, 4);
    event(w, 1);

    expect_ring(w->topic, 4, 4);
    assert_int_equal(0, seen.n_resyncs);
}

static void restarts_behind_an_event_whose_hook_failed(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 3);
    event(w, 4);

    w->topic->flow_->hook.handler->failed(&w->topic->flow_->hook, 5);
    event(w, 6);

    expect_ring(w->topic, 6, 6);
    assert_int_equal(N_SUBS, seen.n_resyncs);
    assert_true(seen.shares_forgotten);
}

static void heeds_only_resets_of_its_own_life(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 3);

    leat_topic_on_reset(&w->core, other_life(w), LEAT_RESET_EPOCH);
    assert_int_equal(0, seen.n_resyncs);
    leat_topic_on_reset(&w->core, life(w), LEAT_RESET_HISTORY);

    assert_int_equal(N_SUBS, seen.n_resyncs);
    assert_int_equal(LEAT_RING_UNKNOWN, w->topic->ring.head);
}

static void refuses_a_position_of_another_numbering(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 3);

    assert_false(position(w, "f", 9));

    expect_ring(w->topic, 4, 3);
    assert_int_equal(2, seen.n_positions); /* the hub is told */
}

static void renumbers_when_a_read_meets_a_new_numbering_after_a_restart(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 500);
    leat_topic_on_reset(&w->core, life(w), LEAT_RESET_HISTORY);

    assert_true(position(w, "f", 2));

    assert_int_equal(N_SUBS, seen.n_renumbered);
    expect_ring(w->topic, 3, 2);
}

static void moves_every_cursor_at_the_end_of_the_turn(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    for (int i = 0; i < N_SUBS; i++)
        w->cursors[i].next_seq = 1;

    event(w, 1);
    event(w, 2);
    assert_int_equal(1, w->cursors[0].next_seq);
    turn(w);

    for (int i = 0; i < N_SUBS; i++)
        assert_int_equal(3, w->cursors[i].next_seq);
}

static void shares_a_run_of_several_events(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    for (int i = 0; i < N_SUBS; i++)
        w->cursors[i].next_seq = 1;

    event(w, 1);
    event(w, 2);
    turn(w);

    assert_int_equal(N_SUBS, seen.n_moved);
    assert_non_null(seen.runs[0]);
    for (int i = 1; i < N_SUBS; i++)
        assert_ptr_equal(seen.runs[0], seen.runs[i]);
    assert_null(w->topic->flow_->runs);
}

static void has_no_run_for_a_single_event(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    for (int64_t seq = 1; seq <= 2; seq++) {
        event(w, seq);
        turn(w);
    }
    for (int i = 0; i < N_SUBS; i++)
        assert_null(seen.runs[i]);
}

static void drops_its_runs_when_the_ring_restarts(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 0);
    event(w, 1);
    event(w, 2);
    /* As in the middle of a long fan-out. */
    w->topic->flow_->runs = leat_runs_new(&w->topic->ring);
    assert_non_null(leat_topic_run(w->topic, 1, NULL));

    leat_topic_on_reset(&w->core, life(w), LEAT_RESET_EPOCH);
    position(w, "f", 0);
    event(w, 1);
    event(w, 2);

    assert_null(leat_topic_run(w->topic, 1, NULL));
}

/* More cursors than one part of a fan-out tells, and all of them go before the next part. */
static void keeps_no_runs_when_all_cursors_go_in_a_long_fan_out(void **state)
{
    enum { MANY = 2000 };
    world *w = *state;
    leat_topic *t = leat_topic_get(&w->core, leat_slice_of("many"));
    leat_topic_life of_many = {leat_slice_of("many"), t->ring.generation};
    leat_cursor *many = leat_calloc(MANY, sizeof(*many));
    for (int i = 0; i < MANY; i++)
        leat_topic_attach(t, &many[i]);
    leat_topic_on_armed(&w->core, of_many);
    leat_topic_on_begin(&w->core, of_many,
                        &(leat_named_position){leat_slice_of("e"), 0, LEAT_NEVER_REVOKED});
    for (int64_t seq = 1; seq <= 2; seq++)
        leat_topic_on_event(&w->core, of_many.generation,
                            leat_v1_event(LEAT_EVENT_DATA, of_many.name, seq, leat_slice_of("1")));
    turn(w);
    assert_in_range(seen.n_moved, 1, MANY - 1);
    assert_non_null(t->flow_->runs);

    for (int i = 0; i < MANY; i++)
        leat_topic_detach(&many[i]);

    assert_null(t->flow_->runs);
    free(many);
}

static void is_small_until_something_happens(void **state)
{
    world *w = *state;
    arm(w);
    position(w, "e", 7);
    assert_in_range(sizeof(leat_topic), 1, 168);
    assert_null(w->topic->flow_);
    assert_null(w->topic->ring.store_);

    event(w, 8);

    assert_non_null(w->topic->flow_);
    assert_int_equal(1, leat_ring_count(&w->topic->ring));
}

static void leaves_after_its_last_subscription_has_lingered(void **state)
{
    world *w = *state;
    leat_cursor one;
    leat_topic_attach(leat_topic_get(&w->core, leat_slice_of("other")), &one);

    leat_topic_detach(&one);
    uint64_t until = leat_loop_now(w->loop) + LINGER_MS;
    leat_deadline_queue_advance(leat_loop_deadlines(w->loop), until - 1);
    assert_false(seen.disarmed);
    leat_deadline_queue_advance(leat_loop_deadlines(w->loop), until);

    assert_true(seen.disarmed);
    assert_int_equal(1, w->core.topics.count);
}

/* ---- How long events took. ---- */

static void event_of_time(world *w, int64_t seq, int64_t seconds_ago)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    leat_event *e = make_event(seq, 10);
    leat_event_set_at(e, ((int64_t)now.tv_sec - seconds_ago) * 1000000);
    leat_topic_on_event(&w->core, w->topic->ring.generation, e);
}

/* At seq 1, and every cursor waits for what follows. */
static void stand_at_one(world *w)
{
    arm(w);
    position(w, "e", 1);
    for (int i = 0; i < N_SUBS; i++)
        w->cursors[i].next_seq = 2;
}

static int64_t n_timed(const world *w)
{
    leat_metrics_counts counts;
    int64_t n = 0;
    leat_metrics_count(w->registry, LEAT_H_COMMIT_TO_CLIENT, &counts);
    for (size_t i = 0; i <= LEAT_METRICS_BOUNDS; i++)
        n += counts.ranges[i];
    return n;
}

static void notes_once_how_long_an_event_took(void **state)
{
    world *w = *state;
    leat_metrics_counts counts;
    stand_at_one(w);

    event_of_time(w, 2, 7);
    event_of_time(w, 3, 3);
    turn(w);
    event_of_time(w, 4, 1);
    turn(w);

    leat_metrics_count(w->registry, LEAT_H_COMMIT_TO_CLIENT, &counts);
    assert_int_equal(3, n_timed(w));
    assert_true(counts.sum_ns >= INT64_C(11000000000) && counts.sum_ns < INT64_C(14000000000));
    assert_int_equal(0, leat_metrics_get(w->core.metrics, LEAT_M_EARLY_EVENTS));
}

static void notes_no_time_of_what_nobody_took(void **state)
{
    world *w = *state;
    stand_at_one(w);
    seen.blocked = true;
    event_of_time(w, 2, 100);
    turn(w);
    assert_int_equal(0, n_timed(w));

    seen.blocked = false; /* they take both events in the next fan-out */
    event_of_time(w, 3, 1);
    turn(w);

    assert_int_equal(1, n_timed(w));
}

static void notes_no_time_of_what_came_without_a_cursor(void **state)
{
    world *w = *state;
    stand_at_one(w);
    for (int i = 0; i < N_SUBS; i++)
        leat_topic_detach(&w->cursors[i]);
    event_of_time(w, 2, 100);
    turn(w);
    for (int i = 0; i < N_SUBS; i++)
        leat_topic_attach(w->topic, &w->cursors[i]);

    event_of_time(w, 3, 1);
    turn(w);

    assert_int_equal(1, n_timed(w));
}

static void notes_no_time_of_what_has_none(void **state)
{
    world *w = *state;
    stand_at_one(w);

    event(w, 2);
    turn(w);

    assert_int_equal(0, n_timed(w));
}

/* The clock of Postgres is ahead. */
static void takes_an_event_of_the_future_for_one_of_now(void **state)
{
    world *w = *state;
    leat_metrics_counts counts;
    stand_at_one(w);

    event_of_time(w, 2, -100);
    turn(w);

    leat_metrics_count(w->registry, LEAT_H_COMMIT_TO_CLIENT, &counts);
    assert_int_equal(1, counts.ranges[0]);
    assert_int_equal(0, counts.sum_ns);
    assert_int_equal(1, leat_metrics_get(w->core.metrics, LEAT_M_EARLY_EVENTS));
}

/* ---- Its pattern. ---- */

static void counts_for_its_pattern_and_for_another_one_after_a_reload(void **state)
{
    world *w = *state;
    leat_labelled_sums sums[2];
    stand_at_one(w);
    event(w, 2);
    seen.counts = leat_labelled_pattern(w->core.metrics, leat_slice_of("other"));

    leat_topic_scripts_changed(w->topic);

    assert_int_equal(2, leat_labelled_sum(w->registry, LEAT_LABELLED_PATTERN, sums, 2));
    assert_string_equal("pattern=\"t\"", sums[0].label);
    assert_int_equal(1, sums[0].values[LEAT_L_EVENTS]);
    assert_int_equal(0, sums[0].values[LEAT_L_TOPICS]);
    assert_int_equal(0, sums[0].values[LEAT_L_SUBSCRIPTIONS]);
    assert_int_equal(1, sums[1].values[LEAT_L_TOPICS]);
    assert_int_equal(N_SUBS, sums[1].values[LEAT_L_SUBSCRIPTIONS]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(begins_where_the_first_read_stood),
        TEST(begins_where_the_hub_does),
        TEST(goes_on_where_the_hub_does),
        TEST(stays_where_it_is_when_the_hub_begins_behind),
        TEST(restarts_where_the_hub_has_another_numbering),
        TEST(knows_how_far_it_is_committed),
        TEST(knows_its_last_revocation),
        TEST(drops_what_comes_before_it_knows_where_it_stands),
        TEST(drops_events_and_signals_of_another_life),
        TEST(gives_signals_behind_what_is_in_the_hook),
        TEST(drops_its_oldest_beyond_the_count),
        TEST(drops_its_oldest_beyond_the_bytes),
        TEST(holds_none_that_is_larger_than_the_ring),
        TEST(ignores_what_it_has),
        TEST(restarts_behind_an_event_whose_hook_failed),
        TEST(heeds_only_resets_of_its_own_life),
        TEST(refuses_a_position_of_another_numbering),
        TEST(renumbers_when_a_read_meets_a_new_numbering_after_a_restart),
        TEST(moves_every_cursor_at_the_end_of_the_turn),
        TEST(shares_a_run_of_several_events),
        TEST(has_no_run_for_a_single_event),
        TEST(drops_its_runs_when_the_ring_restarts),
        TEST(keeps_no_runs_when_all_cursors_go_in_a_long_fan_out),
        TEST(is_small_until_something_happens),
        TEST(leaves_after_its_last_subscription_has_lingered),
        TEST(notes_once_how_long_an_event_took),
        TEST(notes_no_time_of_what_nobody_took),
        TEST(notes_no_time_of_what_came_without_a_cursor),
        TEST(notes_no_time_of_what_has_none),
        TEST(takes_an_event_of_the_future_for_one_of_now),
        TEST(counts_for_its_pattern_and_for_another_one_after_a_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
