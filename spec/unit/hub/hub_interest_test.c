/* hub_interest_test.c - what each worker is told of a topic, in each state of its interest.
 *
 * The test plays the workers' ends: it notes what is said to them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/hub_interest.h"
#include "wire/leat_v1.h"

static struct {
    char said[64]; /* a letter each: Armed, Begin, Reset, Event, Signal; a conflating one's key */
    int64_t begin_at;
    bool full;
    bool has_room_by_then;
} seen;

static void say(char letter)
{
    seen.said[strlen(seen.said)] = letter;
}

void hub_worker_tell_armed(hub_worker *w, leat_topic_life topic)
{
    (void)w;
    assert_int_equal(7, topic.generation);
    assert_true(leat_slice_is(topic.name, "t"));
    say('A');
}

void hub_worker_tell_begin(hub_worker *w, leat_topic_life topic, const leat_named_position *at)
{
    (void)w, (void)topic;
    seen.begin_at = at->seq;
    say('B');
}

void hub_worker_tell_reset(hub_worker *w, leat_topic_life topic, int reason)
{
    (void)w, (void)topic, (void)reason;
    say('R');
}

bool hub_worker_give(hub_worker *w, leat_hub_news_kind kind, uint64_t generation, leat_event *e)
{
    (void)w, (void)generation;
    if (seen.full)
        return false;
    if (leat_event_key(e).at != NULL)
        say(leat_event_key(e).at[0]);
    else
        say(kind == LEAT_HUB_EVENT ? 'E' : 'S');
    return true;
}

bool leat_line_await_room(leat_line *l)
{
    (void)l;
    return !seen.has_room_by_then;
}

typedef struct world {
    leat_metrics_registry *registry;
    leat_hub hub;
    hub_worker worker;
    hub_interest *interest;
    hub_topic topic;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    memset(&seen, 0, sizeof(seen));
    w->registry = leat_metrics_registry_new();
    w->hub.metrics = leat_metrics_new(w->registry);
    w->hub.memory = leat_pool_new(1);
    w->topic.hub = &w->hub;
    w->topic.entry.key_ = "t";
    w->topic.entry.key_len_ = 1;
    w->topic.at.seq = LEAT_HUB_UNKNOWN;
    leat_list_init(&w->worker.lags);
    leat_latest_store_init(&w->worker.kept, 65536, w->hub.metrics);
    w->interest = hub_interest_new(&w->topic, &w->worker, 7);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_interest_free(&w->topic, w->interest);
    leat_pool_free(w->hub.memory);
    assert_int_equal(0, w->worker.kept.bytes);
    assert_null(w->topic.interests);
    assert_true(leat_list_empty(&w->worker.lags));
    assert_int_equal(0, w->worker.n_interests);
    leat_metrics_registry_free(w->registry);
    free(w);
    return 0;
}

static void give(world *w, leat_hub_news_kind kind)
{
    leat_event *e = leat_v1_event(LEAT_EVENT_DATA, leat_slice_of("t"), 1, leat_slice_of("1"));
    hub_interest_give(&w->topic, e, kind);
}

static void give_conflating(world *w, const char *key)
{
    leat_event *e = leat_v1_conflating(leat_slice_of("t"), leat_slice_of(key), leat_slice_of("1"));
    hub_interest_give(&w->topic, e, LEAT_HUB_SIGNAL);
}

static void is_found_by_worker_and_generation(void **state)
{
    world *w = *state;
    hub_worker other = {0};
    assert_ptr_equal(w->interest, hub_interest_find(&w->topic, &w->worker, 7));
    assert_null(hub_interest_find(&w->topic, &w->worker, 8));
    assert_null(hub_interest_find(&w->topic, &other, 7));
}

static void is_told_only_of_resets_before_it_is_armed(void **state)
{
    world *w = *state;
    give(w, LEAT_HUB_EVENT);
    give(w, LEAT_HUB_SIGNAL);
    hub_interest_tell_begin(&w->topic);
    hub_interest_catch_up(&w->worker);
    hub_interest_tell_reset(&w->topic, LEAT_RESET_EPOCH);
    assert_string_equal("R", seen.said);
}

static void is_told_where_a_placed_topic_stands_as_it_is_armed(void **state)
{
    world *w = *state;
    w->topic.at.seq = 9;
    hub_interest_arm(&w->topic, w->interest);
    give(w, LEAT_HUB_EVENT);
    assert_string_equal("ABE", seen.said);
    assert_int_equal(9, seen.begin_at);
}

static void is_told_where_the_topic_begins_once_it_is_placed(void **state)
{
    world *w = *state;
    hub_interest_arm(&w->topic, w->interest);
    w->topic.at.seq = 3;
    hub_interest_tell_begin(&w->topic);
    assert_string_equal("AB", seen.said);
}

static void is_left_behind_until_there_is_room(void **state)
{
    world *w = *state;
    w->topic.at.seq = 1;
    hub_interest_arm(&w->topic, w->interest);
    seen.full = true;
    give(w, LEAT_HUB_EVENT);
    seen.full = false;
    give(w, LEAT_HUB_EVENT);
    give(w, LEAT_HUB_SIGNAL);
    assert_string_equal("AB", seen.said);
    assert_int_equal(1, leat_metrics_get(w->hub.metrics, LEAT_M_LEFT_BEHIND));
    hub_interest_catch_up(&w->worker);
    give(w, LEAT_HUB_EVENT);
    assert_string_equal("ABBE", seen.said);
    hub_interest_catch_up(&w->worker); /* it is not behind */
    assert_string_equal("ABBE", seen.said);
}

static void goes_on_at_once_if_there_is_room_by_then(void **state)
{
    world *w = *state;
    w->topic.at.seq = 1;
    hub_interest_arm(&w->topic, w->interest);
    seen.full = seen.has_room_by_then = true;
    give(w, LEAT_HUB_EVENT);
    assert_string_equal("ABB", seen.said);
}

static void is_not_left_behind_for_a_signal(void **state)
{
    world *w = *state;
    w->topic.at.seq = 1;
    hub_interest_arm(&w->topic, w->interest);
    seen.full = true;
    give(w, LEAT_HUB_SIGNAL);
    seen.full = false;
    give(w, LEAT_HUB_EVENT);
    assert_string_equal("ABE", seen.said);
}

static void is_given_the_newest_of_each_key_once_there_is_room(void **state)
{
    world *w = *state;
    w->topic.at.seq = 1;
    give_conflating(w, "u"); /* not armed */
    hub_interest_arm(&w->topic, w->interest);
    give_conflating(w, "x");
    seen.full = true;
    give_conflating(w, "x");
    give_conflating(w, "y");
    give_conflating(w, "x");
    seen.full = false;
    give_conflating(w, "y");
    assert_string_equal("ABx", seen.said);
    assert_int_equal(2, leat_metrics_get(w->hub.metrics, LEAT_M_SIGNALS_CONFLATED));
    assert_int_equal(1, leat_metrics_get(w->hub.metrics, LEAT_M_LEFT_BEHIND));

    hub_interest_catch_up(&w->worker);
    give_conflating(w, "y");

    assert_string_equal("ABxBxyy", seen.said);
}

static void waits_again_if_the_room_is_not_enough(void **state)
{
    world *w = *state;
    hub_interest_arm(&w->topic, w->interest);
    seen.full = true;
    give_conflating(w, "x");
    hub_interest_catch_up(&w->worker);
    assert_string_equal("A", seen.said);
    seen.full = false;
    hub_interest_catch_up(&w->worker);
    assert_string_equal("Ax", seen.said);
}

/* Nothing else is on its way to the worker, so nothing would make room. */
static void loses_a_signal_that_never_fits(void **state)
{
    world *w = *state;
    hub_interest_arm(&w->topic, w->interest);
    seen.full = seen.has_room_by_then = true;
    give_conflating(w, "x");
    assert_string_equal("A", seen.said);
    assert_int_equal(1, leat_metrics_get(w->hub.metrics, LEAT_M_SIGNALS_DROPPED));
    seen.full = false;
    give_conflating(w, "x");
    assert_string_equal("Ax", seen.said);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_found_by_worker_and_generation),
        TEST(is_told_only_of_resets_before_it_is_armed),
        TEST(is_told_where_a_placed_topic_stands_as_it_is_armed),
        TEST(is_told_where_the_topic_begins_once_it_is_placed),
        TEST(is_left_behind_until_there_is_room),
        TEST(goes_on_at_once_if_there_is_room_by_then),
        TEST(is_not_left_behind_for_a_signal),
        TEST(is_given_the_newest_of_each_key_once_there_is_room),
        TEST(waits_again_if_the_room_is_not_enough),
        TEST(loses_a_signal_that_never_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
