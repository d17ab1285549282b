/* hub_want_test.c - every demand in every state of a topic's query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/hub_want.h"
#include "real_loop.h"

typedef struct world {
    real_loop loop;
    leat_hub hub;
    hub_topic topic;
} world;

static int n_starts;

static void on_start(leat_sweep *s)
{
    (void)s;
    n_starts++;
}

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    n_starts = 0;
    real_loop_open(&w->loop);
    w->hub.loop = w->loop.loop;
    hub_want_init(&w->hub, on_start);
    leat_map_init(&w->hub.topics);
    w->topic.hub = &w->hub;
    leat_map_add(&w->hub.topics, &w->topic.entry, leat_slice_of("t"));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_want_forget(&w->topic);
    assert_true(leat_list_empty(&w->hub.want.next));
    assert_true(leat_list_empty(&w->hub.want.shortly));
    hub_want_stop(&w->hub);
    leat_map_remove(&w->hub.topics, &w->topic.entry);
    leat_map_close(&w->hub.topics);
    real_loop_close(&w->loop);
    free(w);
    return 0;
}

/* Brings a placed topic there (HUB_ASKED_WHEN_PLACED: an unplaced one). */
static void reach(world *w, hub_query query)
{
    hub_topic *t = &w->topic;
    hub_want_forget(t);
    t->at.seq = query == HUB_ASKED_WHEN_PLACED ? LEAT_HUB_UNKNOWN : 5;
    if (query == HUB_ASKED_SHORTLY)
        hub_want_shortly(t);
    else if (query != HUB_NOT_ASKED)
        hub_want_next(t);
    if (query == HUB_ASKED || query == HUB_ASKED_TOO_EARLY)
        assert_ptr_equal(t, hub_want_take(&w->hub));
    if (query == HUB_ASKED_TOO_EARLY)
        hub_want_again(t);
    assert_int_equal(query, t->query);
}

static void answers_every_demand_in_every_state(void **state)
{
    static const struct {
        hub_query from, next, again, shortly;
    } table[] = {
        {HUB_NOT_ASKED, HUB_ASKED_NEXT, HUB_ASKED_NEXT, HUB_ASKED_SHORTLY},
        {HUB_ASKED_WHEN_PLACED, HUB_ASKED_WHEN_PLACED, HUB_ASKED_WHEN_PLACED,
         HUB_ASKED_WHEN_PLACED},
        {HUB_ASKED_SHORTLY, HUB_ASKED_NEXT, HUB_ASKED_NEXT, HUB_ASKED_SHORTLY},
        {HUB_ASKED_NEXT, HUB_ASKED_NEXT, HUB_ASKED_NEXT, HUB_ASKED_NEXT},
        {HUB_ASKED, HUB_ASKED, HUB_ASKED_TOO_EARLY, HUB_ASKED},
        {HUB_ASKED_TOO_EARLY, HUB_ASKED_TOO_EARLY, HUB_ASKED_TOO_EARLY, HUB_ASKED_TOO_EARLY},
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        reach(w, table[i].from);
        hub_want_next(&w->topic);
        assert_int_equal(table[i].next, w->topic.query);
        reach(w, table[i].from);
        hub_want_again(&w->topic);
        assert_int_equal(table[i].again, w->topic.query);
        reach(w, table[i].from);
        hub_want_shortly(&w->topic);
        assert_int_equal(table[i].shortly, w->topic.query);
        reach(w, table[i].from);
        hub_want_forget(&w->topic);
        assert_int_equal(HUB_NOT_ASKED, w->topic.query);
    }
}

static void asks_once_a_topic_is_placed(void **state)
{
    world *w = *state;
    reach(w, HUB_ASKED_WHEN_PLACED);
    assert_null(hub_want_take(&w->hub));
    w->topic.at.seq = 0;
    hub_want_next(&w->topic);
    assert_ptr_equal(&w->topic, hub_want_take(&w->hub));
    assert_null(hub_want_take(&w->hub));
}

static void says_at_the_end_whether_it_was_too_early(void **state)
{
    world *w = *state;
    reach(w, HUB_ASKED);
    assert_true(hub_want_is_asked(&w->topic));
    assert_false(hub_want_end(&w->topic));
    reach(w, HUB_ASKED_TOO_EARLY);
    assert_true(hub_want_is_asked(&w->topic));
    assert_true(hub_want_end(&w->topic));
    assert_int_equal(HUB_NOT_ASKED, w->topic.query);
}

static void starts_one_fetch_for_all_of_a_turn(void **state)
{
    world *w = *state;
    reach(w, HUB_ASKED_NEXT);
    hub_want_probe(&w->hub);
    assert_int_equal(0, n_starts);
    real_loop_turn(&w->loop, 1);
    assert_int_equal(1, n_starts);
}

static void asks_after_a_moment_what_no_announcement_has_brought(void **state)
{
    world *w = *state;
    reach(w, HUB_ASKED_SHORTLY);
    real_loop_turn(&w->loop, 1);
    assert_int_equal(HUB_ASKED_SHORTLY, w->topic.query);
    assert_int_equal(0, n_starts);
    real_loop_turn(&w->loop, 100);
    assert_int_equal(HUB_ASKED_NEXT, w->topic.query);
    assert_int_equal(1, n_starts);
}

static void compares_every_topic(void **state)
{
    world *w = *state;
    reach(w, HUB_ASKED);
    hub_want_all(&w->hub);
    assert_int_equal(HUB_ASKED_TOO_EARLY, w->topic.query);
    reach(w, HUB_NOT_ASKED);
    hub_want_all(&w->hub);
    assert_int_equal(HUB_ASKED_NEXT, w->topic.query);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(answers_every_demand_in_every_state),
        TEST(asks_once_a_topic_is_placed),
        TEST(says_at_the_end_whether_it_was_too_early),
        TEST(starts_one_fetch_for_all_of_a_turn),
        TEST(asks_after_a_moment_what_no_announcement_has_brought),
        TEST(compares_every_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
