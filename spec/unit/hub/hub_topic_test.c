/* hub_topic_test.c - whatever the broker does, a topic's events leave contiguous and in order.
 *
 * hub_topic.c with hub_interest.c, hub_pending.c and hub_want.c. The test plays the broker
 * (announcements lost, doubled, reordered, without data), the outbox (it answers what is asked, as
 * of then), the worker (it notes what it is given) and the clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/hub_interest.h"
#include "hub/hub_topic.h"
#include "hub/hub_want.h"
#include "wire/leat_v1.h"

enum { N_EVENTS = 200 };

static struct {
    int64_t given[4 * N_EVENTS];
    size_t n_given;
    leat_event_kind last_kind;
    size_t n_armed;
    size_t n_begins;
    int64_t last_begin;
    int64_t last_revoked;
    uint64_t last_generation;
    bool full; /* too many events are on their way to the worker */
    bool awaits_room;
    bool has_room_by_then; /* the worker has room again before it is asked to tell of it */
    uint64_t now;
    size_t n_resets;
    int last_reset;
    size_t n_signals;
    size_t n_given_before; /* events before the last signal */
} seen;

void hub_worker_tell_armed(hub_worker *w, leat_topic_life topic)
{
    (void)w, (void)topic;
    seen.n_armed++;
}

void hub_worker_tell_begin(hub_worker *w, leat_topic_life topic, const leat_named_position *at)
{
    (void)w, (void)topic;
    seen.n_begins++;
    seen.last_begin = at->seq;
    seen.last_revoked = at->revoked;
}

void hub_worker_tell_reset(hub_worker *w, leat_topic_life topic, int reason)
{
    (void)w, (void)topic;
    seen.n_resets++;
    seen.last_reset = reason;
}

bool hub_worker_give(hub_worker *w, leat_hub_news_kind kind, uint64_t generation, leat_event *e)
{
    (void)w;
    if (seen.full)
        return false;
    seen.last_generation = generation;
    if (kind == LEAT_HUB_EVENT) {
        seen.given[seen.n_given++] = leat_event_seq(e);
        seen.last_kind = leat_event_kind_of(e);
    } else {
        seen.n_signals++;
        seen.n_given_before = seen.n_given;
    }
    return true;
}

bool leat_line_await_room(leat_line *l)
{
    (void)l;
    seen.awaits_room = true;
    return !seen.has_room_by_then;
}

uint64_t leat_loop_now(const leat_loop *l)
{
    (void)l;
    return seen.now;
}

void leat_loop_after(leat_loop *l, leat_deadline *d, uint64_t ms, leat_deadline_cb cb)
{
    (void)l, (void)ms;
    d->cb_ = cb;
}

void leat_deadline_init(leat_deadline *d)
{
    d->cb_ = NULL;
}

void leat_deadline_cancel(leat_deadline *d)
{
    d->cb_ = NULL;
}

bool leat_deadline_armed(const leat_deadline *d)
{
    return d->cb_ != NULL;
}

void leat_sweep_init(leat_sweep *s, leat_sweep_cb cb)
{
    s->cb_ = cb;
}

void leat_sweep_schedule(leat_loop *l, leat_sweep *s)
{
    (void)l, (void)s;
}

void leat_sweep_cancel(leat_sweep *s)
{
    (void)s;
}

typedef struct world {
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_hub hub;
    hub_worker worker;
} world;

static leat_topic_life life(uint64_t generation)
{
    return (leat_topic_life){leat_slice_of("t"), generation};
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&seen, 0, sizeof(seen));
    w->limits.hub_pending_bytes = 1 << 20;
    w->registry = leat_metrics_registry_new();
    w->hub.limits = &w->limits;
    w->hub.metrics = leat_metrics_new(w->registry);
    w->hub.phase = HUB_READY;
    w->limits.max_event_bytes = 100;
    strcpy(w->hub.timeline, "00000001");
    leat_map_init(&w->hub.topics);
    leat_map_init(&w->hub.epochs);
    w->hub.memory = leat_pool_new(1);
    hub_want_init(&w->hub, NULL);
    leat_list_init(&w->worker.lags);
    hub_topic_arm(&w->hub, &w->worker, life(1));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_topic_disarm(&w->hub, &w->worker, life(1));
    assert_int_equal(0, w->hub.topics.count);
    leat_map_close(&w->hub.topics);
    assert_int_equal(0, w->hub.epochs.count);
    leat_map_close(&w->hub.epochs);
    leat_pool_free(w->hub.memory);
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static bool announce(world *w, const char *epoch, int64_t seq, bool with_data)
{
    leat_announcement a = {
        .kind = LEAT_ANNOUNCE_EVENT,
        .topic = leat_slice_of("t"),
        .epoch = leat_slice_of(epoch),
        .seq = seq,
        .data = with_data ? leat_slice_of("{}") : (leat_slice){NULL, 0},
    };
    return hub_topic_announce(&w->hub, &a);
}

static void announce_kind(world *w, leat_announcement_kind kind, int64_t seq)
{
    leat_announcement a = {
        .kind = kind,
        .topic = leat_slice_of("t"),
        .epoch = leat_slice_of("a"),
        .seq = seq,
        .data = leat_slice_of("null"),
        .key = leat_slice_of("k"),
    };
    hub_topic_announce(&w->hub, &a);
}

static void assert_signals(size_t n, size_t n_given_before)
{
    assert_int_equal(n, seen.n_signals);
    assert_int_equal(n_given_before, seen.n_given_before);
}

static void position(world *w, const char *epoch, int64_t seq)
{
    leat_named_position at = {leat_slice_of(epoch), seq, 0};
    hub_topic_position(&w->hub, leat_slice_of("t"), &at);
}

static hub_topic *topic_of(world *w)
{
    return hub_topic_find(&w->hub, leat_slice_of("t"));
}

static bool is_wanted(world *w)
{
    return topic_of(w)->query == HUB_ASKED_NEXT;
}

/* A fetch begins that asks for the topic, as hub_repair.c does it. */
static void ask(world *w)
{
    hub_topic *t = topic_of(w);
    hub_want_next(t);
    assert_ptr_equal(t, hub_want_take(&w->hub));
    t->lost = t->lost || t->heard == t->at.seq;
}

/* The outbox, which holds oldest..head, answers for everything after what was given. */
static void answer(world *w, const char *epoch, int64_t oldest, int64_t head)
{
    hub_topic *t = topic_of(w);
    leat_history_row row = {
        .topic = leat_slice_of("t"),
        .after = t->at.seq,
        .head = {leat_slice_of(epoch), head, LEAT_NEVER_REVOKED},
        .kind = LEAT_EVENT_DATA,
        .data = leat_slice_of("{}"),
    };
    if (!hub_want_is_asked(t))
        ask(w);
    for (int64_t seq = row.after + 1 > oldest ? row.after + 1 : oldest; seq <= head; seq++) {
        row.has_event = true;
        row.seq = seq;
        hub_topic_fetched(t, &row);
    }
    hub_topic_fetched_all(t, &row);
}

static void assert_given(int64_t first, int64_t last)
{
    assert_int_equal(last - first + 1, seen.n_given);
    for (size_t i = 0; i < seen.n_given; i++)
        assert_int_equal(first + (int64_t)i, seen.given[i]);
}

static void test_confirms_at_once_while_the_broker_is_up(void **state)
{
    (void)state;
    assert_int_equal(1, seen.n_armed);
}

static void test_gives_nothing_before_a_position_is_known(void **state)
{
    announce(*state, "a", 5, true);
    assert_int_equal(0, seen.n_given);
    position(*state, "00000001-a", 4);
    assert_given(5, 5);
}

/* Another worker's read may be older. */
static void test_begins_as_far_back_as_was_heard_without_a_hole(void **state)
{
    announce(*state, "a", 2, true);
    announce(*state, "a", 4, true);
    announce(*state, "a", 5, true);
    announce(*state, "a", 6, true);
    position(*state, "00000001-a", 5);
    assert_given(4, 6);
    assert_int_equal(3, seen.last_begin);
    assert_false(is_wanted(*state));
}

static void test_begins_at_the_read_if_what_it_saw_last_was_not_heard(void **state)
{
    announce(*state, "a", 4, true);
    announce(*state, "a", 6, true);
    position(*state, "00000001-a", 5);
    assert_given(6, 6);
    assert_int_equal(5, seen.last_begin);
}

static void test_drops_what_was_heard_of_another_numbering(void **state)
{
    announce(*state, "old", 7, true);
    position(*state, "00000001-new", 0);
    announce(*state, "new", 1, true);
    assert_given(1, 1);
}

/* Which of the two is the older one, the outbox knows: the read may have looked before the topic
 * was deleted, and what was heard is of after it. */
static void test_asks_where_a_read_and_what_was_heard_are_of_two_numberings(void **state)
{
    announce(*state, "new", 1, true);
    position(*state, "00000001-old", 7);
    assert_true(is_wanted(*state));
    answer(*state, "00000001-new", 1, 1);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reset);
}

/* The outbox was faster than the announcement. */
static void test_passes_a_late_announcement_by(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 3, true);
    answer(*state, "00000001-a", 1, 4);
    announce(*state, "a", 4, true);
    announce(*state, "a", 5, true);
    assert_given(1, 5);
    assert_false(is_wanted(*state));
}

/* The read was just now, but the number was heard before it. */
static void test_takes_no_repeated_announcement_for_late(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, true);
    announce(*state, "a", 2, true);
    answer(*state, "00000001-a", 3, 3);
    assert_true(announce(*state, "a", 3, true));
    assert_false(is_wanted(*state));
    assert_false(announce(*state, "a", 2, true));
    announce(*state, "a", 4, true);
    assert_given(1, 3);
    assert_true(is_wanted(*state));
}

/* It was announced before the read, so it cannot have been under way for so long. */
static void test_takes_no_announcement_for_late_for_long(void **state)
{
    position(*state, "00000001-a", 4);
    seen.now += 1000;
    assert_false(announce(*state, "a", 3, true));
    announce(*state, "a", 5, true);
    assert_int_equal(0, seen.n_given);
    assert_true(is_wanted(*state));
}

/* Nothing repeats an announcement, so the log has gone back. */
static void test_gives_nothing_when_a_number_is_announced_twice(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, true);
    announce(*state, "a", 2, true);
    assert_false(announce(*state, "a", 1, true));
    assert_true(is_wanted(*state));
    assert_false(announce(*state, "a", 3, true)); /* nor does it prove what was before it */
    assert_given(1, 2);

    answer(*state, "00000001-a", 1, 3);

    assert_given(1, 3);
    assert_true(announce(*state, "a", 4, true));
    assert_given(1, 4);
}

static void test_starts_over_when_the_log_went_back(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, true);
    announce(*state, "a", 2, true);
    announce(*state, "a", 2, true);
    answer(*state, "00000001-b", 1, 2);
    assert_given(1, 2);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reset);
    position(*state, "00000001-b", 2);
    announce(*state, "b", 3, true);
    assert_given(1, 3);
}

static void test_gives_what_is_too_large_without_its_data(void **state)
{
    world *w = *state;
    w->limits.max_event_bytes = 1;
    position(w, "00000001-a", 0);
    announce(w, "a", 1, true);
    assert_given(1, 1);
    assert_int_equal(LEAT_EVENT_OVERSIZE, seen.last_kind);
}

static void test_holds_back_what_lies_behind_a_hole(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, true);
    announce(*state, "a", 3, true);
    assert_given(1, 1);
    assert_true(is_wanted(*state));
    answer(*state, "00000001-a", 1, 3);
    assert_given(1, 3);
    assert_false(is_wanted(*state));
}

static void test_fetches_what_was_too_large_to_announce(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, false);
    assert_int_equal(0, seen.n_given);
    assert_true(is_wanted(*state));
    answer(*state, "00000001-a", 1, 1);
    assert_given(1, 1);
    world *w = *state;
    assert_int_equal(0, leat_metrics_get(w->hub.metrics, LEAT_M_GAPS_REPAIRED));
}

static void test_gives_signals_behind_the_events_that_came_before_them(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, false);
    announce_kind(*state, LEAT_ANNOUNCE_REVOKE, 2);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0);
    announce_kind(*state, LEAT_ANNOUNCE_CONFLATING, 0);
    announce(*state, "a", 3, true);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0);
    assert_signals(0, 0);

    answer(*state, "00000001-a", 1, 1);

    assert_given(1, 3);
    assert_signals(3, 3);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0);
    assert_signals(4, 3);
}

static void test_gives_signals_before_the_events_that_came_behind_them(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, false);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0);

    answer(*state, "00000001-a", 1, 3);

    assert_given(1, 3);
    assert_signals(1, 1);
}

static void test_gives_signals_once_a_dispute_is_settled(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, true);
    announce(*state, "a", 1, true);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0);
    assert_signals(0, 0);

    answer(*state, "00000001-a", 1, 1);

    assert_signals(1, 1);
}

/* Whoever resyncs gets the newest of those that conflate, behind the snapshot. */
static void test_gives_signals_behind_a_reset(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, false);
    announce_kind(*state, LEAT_ANNOUNCE_CONFLATING, 0);

    answer(*state, "00000001-a", 5, 9);

    assert_int_equal(1, seen.n_resets);
    assert_signals(1, 0);
}

static void test_keeps_signals_within_its_bytes(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 0);
    w->limits.hub_pending_bytes = 1000;
    announce(w, "a", 1, false);
    for (int i = 0; i < 100; i++)
        announce_kind(w, LEAT_ANNOUNCE_SIGNAL, 0);

    answer(w, "00000001-a", 1, 1);

    assert_in_range(seen.n_signals, 1, 10);
    assert_int_equal(100 - seen.n_signals,
                     leat_metrics_get(w->hub.metrics, LEAT_M_SIGNALS_DROPPED));
}

static void test_drops_signals_that_nobody_awaits_any_more(void **state)
{
    position(*state, "00000001-a", 0);
    announce(*state, "a", 1, false);
    announce_kind(*state, LEAT_ANNOUNCE_SIGNAL, 0); /* tear_down looks for what is left */
    assert_signals(0, 0);
}

static void test_finds_a_lost_last_event(void **state)
{
    position(*state, "00000001-a", 0);
    answer(*state, "00000001-a", 1, 2);
    assert_given(1, 2);
    world *w = *state;
    assert_int_equal(2, leat_metrics_get(w->hub.metrics, LEAT_M_GAPS_REPAIRED));
}

static void test_waits_for_the_announcement_when_a_read_is_ahead(void **state)
{
    position(*state, "00000001-a", 0);
    position(*state, "00000001-a", 3);
    assert_int_equal(HUB_ASKED_SHORTLY, topic_of(*state)->query);
    assert_false(is_wanted(*state));
}

static void test_starts_over_when_history_is_gone(void **state)
{
    position(*state, "00000001-a", 1);
    announce(*state, "a", 9, false);
    answer(*state, "00000001-a", 5, 9);
    assert_int_equal(0, seen.n_given);
    assert_int_equal(1, seen.n_resets);
    assert_int_equal(LEAT_RESET_HISTORY, seen.last_reset);
}

static void test_starts_over_in_another_numbering(void **state)
{
    position(*state, "00000001-a", 5);
    announce(*state, "b", 1, true);
    assert_true(is_wanted(*state));
    answer(*state, "00000001-b", 1, 1);
    assert_int_equal(0, seen.n_given);
    assert_int_equal(1, seen.n_resets);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reset);
    position(*state, "00000001-b", 1);
    announce(*state, "b", 2, true);
    assert_given(2, 2);
}

static void test_starts_over_after_a_promotion(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 5);
    strcpy(w->hub.timeline, "00000002");
    answer(w, "00000002-a", 1, 4);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reset);
}

static void test_gives_nothing_of_another_numbering_although_it_continues(void **state)
{
    position(*state, "00000001-a", 5);
    answer(*state, "00000001-b", 1, 7);
    assert_int_equal(0, seen.n_given);
    assert_int_equal(LEAT_RESET_EPOCH, seen.last_reset);
}

/* The first position after a reset may be of a read that began before it, and what was heard since
 * is forgotten. */
static void test_looks_again_after_a_reset(void **state)
{
    position(*state, "00000001-a", 1);
    announce(*state, "a", 9, false);
    answer(*state, "00000001-a", 5, 9);
    position(*state, "00000001-a", 6);
    assert_true(is_wanted(*state));
    answer(*state, "00000001-a", 5, 9);
    assert_given(7, 9);
    assert_false(is_wanted(*state));
}

static void test_looks_again_after_a_fetch_that_may_have_looked_too_early(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 5);
    ask(w);
    announce(w, "b", 1, true);
    answer(w, "00000001-a", 1, 5);
    assert_int_equal(0, seen.n_resets);
    assert_true(is_wanted(*state));
    answer(w, "00000001-b", 1, 1);
    assert_int_equal(1, seen.n_resets);
}

static void test_waits_within_its_bytes(void **state)
{
    world *w = *state;
    w->limits.hub_pending_bytes = 1000;
    position(w, "00000001-a", 0);
    for (int64_t seq = 2; seq <= 100; seq++)
        announce(w, "a", seq, true);
    assert_in_range(topic_of(w)->waiting->pending.bytes, 1, 1000);
    answer(w, "00000001-a", 1, 100);
    assert_given(1, 100);
}

static void test_tells_where_it_begins(void **state)
{
    world *w = *state;
    assert_int_equal(0, seen.n_begins);
    leat_named_position at = {leat_slice_of("00000001-a"), 7, 3};
    hub_topic_position(&w->hub, leat_slice_of("t"), &at);
    assert_int_equal(1, seen.n_begins);
    assert_int_equal(7, seen.last_begin);
    assert_int_equal(3, seen.last_revoked);
}

/* Its own read may be older than what the hub has given since. */
static void test_tells_a_later_worker_where_it_is(void **state)
{
    world *w = *state;
    hub_worker later = {0};
    leat_list_init(&later.lags);
    position(w, "00000001-a", 5);
    leat_announcement a = {
        .kind = LEAT_ANNOUNCE_REVOKE,
        .topic = leat_slice_of("t"),
        .epoch = leat_slice_of("a"),
        .seq = 6,
        .data = leat_slice_of("null"),
    };
    hub_topic_announce(&w->hub, &a);
    announce(w, "a", 7, true);

    hub_topic_arm(&w->hub, &later, life(2));

    assert_int_equal(2, seen.n_begins);
    assert_int_equal(7, seen.last_begin);
    assert_int_equal(6, seen.last_revoked);
    hub_topic_disarm(&w->hub, &later, life(2));
}

static void test_leaves_out_what_a_worker_has_no_room_for(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 0);
    announce(w, "a", 1, true);
    seen.full = true;
    announce(w, "a", 2, true);
    seen.full = false;
    announce(w, "a", 3, true);
    assert_given(1, 1);
    assert_true(seen.awaits_room);
    assert_int_equal(1, leat_metrics_get(w->hub.metrics, LEAT_M_LEFT_BEHIND));

    hub_interest_catch_up(&w->worker);
    announce(w, "a", 4, true);

    assert_int_equal(2, seen.n_begins);
    assert_int_equal(3, seen.last_begin);
    assert_int_equal(4, seen.given[1]);
}

static void test_goes_on_at_once_if_there_is_room_by_then(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 0);
    seen.full = seen.has_room_by_then = true;
    announce(w, "a", 1, true);
    assert_int_equal(0, seen.n_given);
    assert_int_equal(2, seen.n_begins);
    assert_int_equal(1, seen.last_begin);
}

static void test_says_for_which_life_an_event_is(void **state)
{
    world *w = *state;
    position(w, "00000001-a", 0);
    hub_topic_disarm(&w->hub, &w->worker, life(2)); /* no such life */
    announce(w, "a", 1, true);
    assert_int_equal(1, seen.last_generation);

    hub_topic_arm(&w->hub, &w->worker, life(2));
    hub_topic_disarm(&w->hub, &w->worker, life(1));
    announce(w, "a", 2, true);

    assert_int_equal(2, seen.last_generation);
    assert_given(1, 2);
    hub_topic_arm(&w->hub, &w->worker, life(1));
    hub_topic_disarm(&w->hub, &w->worker, life(2));
}

/* Every broker that can be thought of, some hundred times over. */
static void test_is_exact_whatever_the_broker_does(void **state)
{
    world *w = *state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        unsigned dice = seed;
        tear_down(state);
        set_up(state);
        w = *state;
        int64_t start = rand_r(&dice) % 3;
        int64_t committed = start;
        position(w, "00000001-a", start);
        while (committed < start + N_EVENTS) {
            committed++;
            int64_t heard = committed - rand_r(&dice) % 4;
            if (rand_r(&dice) % 3 > 0 && heard > 0)
                announce(w, "a", heard, rand_r(&dice) % 5 > 0);
            if (rand_r(&dice) % 10 == 0)
                position(w, "00000001-a", committed);
            if (is_wanted(w) && rand_r(&dice) % 4 == 0)
                answer(w, "00000001-a", 1, committed);
        }
        answer(w, "00000001-a", 1, committed);
        assert_given(start + 1, committed);
        assert_int_equal(0, seen.n_resets);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_confirms_at_once_while_the_broker_is_up),
        TEST(test_gives_nothing_before_a_position_is_known),
        TEST(test_begins_as_far_back_as_was_heard_without_a_hole),
        TEST(test_begins_at_the_read_if_what_it_saw_last_was_not_heard),
        TEST(test_drops_what_was_heard_of_another_numbering),
        TEST(test_asks_where_a_read_and_what_was_heard_are_of_two_numberings),
        TEST(test_passes_a_late_announcement_by),
        TEST(test_takes_no_repeated_announcement_for_late),
        TEST(test_takes_no_announcement_for_late_for_long),
        TEST(test_gives_nothing_when_a_number_is_announced_twice),
        TEST(test_starts_over_when_the_log_went_back),
        TEST(test_gives_what_is_too_large_without_its_data),
        TEST(test_holds_back_what_lies_behind_a_hole),
        TEST(test_fetches_what_was_too_large_to_announce),
        TEST(test_gives_signals_behind_the_events_that_came_before_them),
        TEST(test_gives_signals_before_the_events_that_came_behind_them),
        TEST(test_gives_signals_once_a_dispute_is_settled),
        TEST(test_gives_signals_behind_a_reset),
        TEST(test_keeps_signals_within_its_bytes),
        TEST(test_drops_signals_that_nobody_awaits_any_more),
        TEST(test_finds_a_lost_last_event),
        TEST(test_waits_for_the_announcement_when_a_read_is_ahead),
        TEST(test_starts_over_when_history_is_gone),
        TEST(test_starts_over_in_another_numbering),
        TEST(test_starts_over_after_a_promotion),
        TEST(test_gives_nothing_of_another_numbering_although_it_continues),
        TEST(test_looks_again_after_a_reset),
        TEST(test_looks_again_after_a_fetch_that_may_have_looked_too_early),
        TEST(test_waits_within_its_bytes),
        TEST(test_tells_where_it_begins),
        TEST(test_tells_a_later_worker_where_it_is),
        TEST(test_leaves_out_what_a_worker_has_no_room_for),
        TEST(test_goes_on_at_once_if_there_is_room_by_then),
        TEST(test_says_for_which_life_an_event_is),
        TEST(test_is_exact_whatever_the_broker_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
