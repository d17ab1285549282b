/* ring_test.c - what a worker knows of a topic: its position, and the events that end at the head.
 *
 * The test plays the hub, and notes what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/ring.h"
#include "wire/leat_v1.h"

enum { RING_EVENTS = 3, RING_BYTES = 4096 };

static struct {
    int n_positions; /* told to the hub */
    int n_renumbered;
} seen;

void leat_hub_link_position(leat_hub_link *l, leat_topic_life topic, const leat_named_position *at)
{
    (void)l, (void)topic, (void)at;
    seen.n_positions++;
}

static void on_renumbered(leat_ring *r)
{
    (void)r;
    seen.n_renumbered++;
}

typedef struct world {
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_core core;
    leat_ring ring;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    seen.n_positions = seen.n_renumbered = 0;
    w->limits.ring_events = RING_EVENTS;
    w->limits.ring_bytes = RING_BYTES;
    w->registry = leat_metrics_registry_new();
    w->core.limits = &w->limits;
    w->core.metrics = leat_metrics_new(w->registry);
    w->core.confirmed = true;
    w->core.renumbered = on_renumbered;
    leat_map_init(&w->core.epochs);
    leat_ring_init(&w->ring, &w->core, (leat_topic_life){leat_slice_of("t"), 1});
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    leat_ring_close(&w->ring);
    assert_int_equal(0, leat_metrics_get(w->core.metrics, LEAT_M_RING_BYTES));
    assert_int_equal(0, w->core.epochs.count);
    leat_map_close(&w->core.epochs);
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static bool adopt(world *w, const char *epoch, int64_t seq, int64_t revoked)
{
    leat_position at = {leat_epoch_of(&w->core.epochs, leat_slice_of(epoch)), seq, revoked};
    bool same = leat_ring_adopt(&w->ring, &at);
    leat_epoch_unref(at.epoch);
    return same;
}

static void append(world *w, leat_event_kind kind)
{
    leat_slice data = leat_slice_of("1");
    leat_ring_append(&w->ring, leat_v1_event(kind, leat_slice_of("t"), w->ring.head + 1, data));
}

static void begins_at_the_first_position(void **state)
{
    world *w = *state;
    assert_false(leat_ring_leads_on(&w->ring, 8));

    assert_true(adopt(w, "h-e", 7, LEAT_NEVER_REVOKED));

    assert_int_equal(7, w->ring.head);
    assert_true(leat_ring_leads_on(&w->ring, 8));
    assert_false(leat_ring_leads_on(&w->ring, 7));
    assert_int_equal(1, seen.n_positions);
    assert_int_equal(0, seen.n_renumbered);
}

static void drops_the_oldest_event_first(void **state)
{
    world *w = *state;
    adopt(w, "h-e", 0, LEAT_NEVER_REVOKED);
    for (int i = 0; i < RING_EVENTS + 2; i++)
        append(w, LEAT_EVENT_DATA);

    assert_null(leat_ring_event(&w->ring, 2));
    assert_int_equal(3, leat_event_seq(leat_ring_event(&w->ring, 3)));
    assert_int_equal(5, leat_event_seq(leat_ring_event(&w->ring, 5)));
    assert_null(leat_ring_event(&w->ring, 6));
}

static void leads_nowhere_while_the_history_is_unconfirmed(void **state)
{
    world *w = *state;
    adopt(w, "h-e", 7, LEAT_NEVER_REVOKED);
    w->core.confirmed = false;
    assert_false(leat_ring_leads_on(&w->ring, 8));
}

static void tells_the_hub_only_what_it_may_not_know(void **state)
{
    world *w = *state;
    adopt(w, "h-e", 7, LEAT_NEVER_REVOKED);
    adopt(w, "h-e", 7, LEAT_NEVER_REVOKED);
    assert_int_equal(1, seen.n_positions);
    adopt(w, "h-e", 9, LEAT_NEVER_REVOKED); /* ahead of the ring */
    assert_false(adopt(w, "h-f", 1, LEAT_NEVER_REVOKED));
    assert_int_equal(3, seen.n_positions);
    assert_int_equal(7, w->ring.head);
}

static void remembers_the_last_revocation_and_resync(void **state)
{
    world *w = *state;
    adopt(w, "h-e", 7, 5);
    assert_int_equal(5, w->ring.revoked);
    append(w, LEAT_EVENT_RESYNC);
    assert_int_equal(8, w->ring.resynced);
    assert_int_equal(7, w->ring.seen);
    leat_ring_note_event(&w->ring, leat_ring_event(&w->ring, 8));
    assert_int_equal(8, w->ring.seen);
}

static void is_renumbered_by_another_epoch_after_a_restart(void **state)
{
    world *w = *state;
    adopt(w, "h-e", 7, 5);
    uint64_t numbering = w->ring.numbering;
    leat_ring_restart(&w->ring, LEAT_RING_UNKNOWN, false);
    adopt(w, "h-e", 8, 5);
    assert_int_equal(0, seen.n_renumbered);
    assert_int_equal(numbering, w->ring.numbering);

    leat_ring_restart(&w->ring, LEAT_RING_UNKNOWN, false);
    adopt(w, "i-e", 2, LEAT_NEVER_REVOKED);

    assert_int_equal(1, seen.n_renumbered);
    assert_int_not_equal(numbering, w->ring.numbering);
    assert_int_equal(LEAT_NEVER_REVOKED, w->ring.revoked);
    assert_int_equal(1, w->core.histories); /* the first one is not counted */
}

static size_t count(const leat_ring *r)
{
    return leat_ring_count(r);
}

/* All rings together: what is silent longest goes first. */
static void makes_room_for_others_when_it_is_silent(void **state)
{
    world *w = *state;
    leat_ring other;
    adopt(w, "e", 0, LEAT_NEVER_REVOKED);
    leat_list_init(&w->core.rings);
    leat_ring_init(&other, &w->core, (leat_topic_life){leat_slice_of("o"), 2});
    other.head = 0;
    w->core.max_ring_bytes = 1;
    append(w, LEAT_EVENT_DATA);
    assert_int_equal(1, count(&w->ring)); /* the newest event stays */
    size_t one = w->core.ring_bytes;
    w->core.max_ring_bytes = 3 * one;
    append(w, LEAT_EVENT_DATA);
    append(w, LEAT_EVENT_DATA);
    assert_int_equal(3, count(&w->ring));

    for (int64_t seq = 1; seq <= 3; seq++) {
        leat_ring_append(
            &other, leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), seq, leat_slice_of("1")));
        assert_int_equal(3 - seq, count(&w->ring));
        assert_int_equal(seq, count(&other));
    }
    assert_int_equal(3, leat_metrics_get(w->core.metrics, LEAT_M_RING_EVICTED));
    assert_null(leat_ring_event(&w->ring, 3));
    assert_false(leat_ring_leads_on(&w->ring, 3));
    assert_true(leat_ring_leads_on(&w->ring, 4));
    append(w, LEAT_EVENT_DATA);
    assert_int_equal(1, count(&w->ring));
    assert_int_equal(2, count(&other));
    leat_ring_close(&other);
    assert_int_equal(one, w->core.ring_bytes);
}

/* The event leaves nothing of the topic: there is nothing to be taken from it later. */
static void holds_nothing_after_an_event_that_is_too_large(void **state)
{
    world *w = *state;
    char large[RING_BYTES];
    leat_ring other;
    adopt(w, "e", 0, LEAT_NEVER_REVOKED);
    leat_list_init(&w->core.rings);
    leat_ring_init(&other, &w->core, (leat_topic_life){leat_slice_of("o"), 2});
    other.head = 0;
    w->core.max_ring_bytes = 64 * RING_BYTES;
    append(w, LEAT_EVENT_DATA);
    memset(large, '1', sizeof(large));
    leat_ring_append(&w->ring, leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), 2,
                                             (leat_slice){large, sizeof(large)}));
    assert_int_equal(0, count(&w->ring));
    assert_int_equal(2, w->ring.head);
    assert_int_equal(0, w->core.ring_bytes);

    w->core.max_ring_bytes = 1;
    leat_ring_append(&other,
                     leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("o"), 1, leat_slice_of("1")));
    assert_int_equal(0, count(&w->ring));
    assert_int_equal(1, count(&other));
    leat_ring_close(&other);
    append(w, LEAT_EVENT_DATA);
    assert_int_equal(1, count(&w->ring));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(begins_at_the_first_position),
        TEST(drops_the_oldest_event_first),
        TEST(leads_nowhere_while_the_history_is_unconfirmed),
        TEST(tells_the_hub_only_what_it_may_not_know),
        TEST(remembers_the_last_revocation_and_resync),
        TEST(is_renumbered_by_another_epoch_after_a_restart),
        TEST(makes_room_for_others_when_it_is_silent),
        TEST(holds_nothing_after_an_event_that_is_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
