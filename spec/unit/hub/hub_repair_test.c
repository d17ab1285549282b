/* hub_repair_test.c - the outbox is asked for what is wanted; and that it cannot be read is told no
 * longer than it is true.
 *
 * hub_repair.c with hub_want.c, on a loop of their own. The test plays the outbox, one topic, and
 * the broker that comes and goes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/hub_attend.h"
#include "hub/hub_repair.h"
#include "hub/hub_topic.h"
#include "hub/hub_want.h"
#include "real_loop.h"

/* The question that is under way. */
struct leat_history {
    size_t count;
    int64_t after;
    leat_history_cb cb;
    void *arg;
};

enum { MAX_ROWS = 4 };

static leat_history *asked; /* NULL: nothing is asked */
static leat_history_row rows[MAX_ROWS];
static const char *sqlstate_of_failure;
static bool in_trouble;
static int n_unconfirmed, n_checks, n_complete;
static int64_t last_fetched, newest_at;

leat_history *leat_history_new(leat_pg_pool *pool)
{
    (void)pool;
    return leat_calloc(1, sizeof(leat_history));
}

void leat_history_ask(leat_history *h, leat_slice topic, int64_t after)
{
    (void)topic;
    h->after = after;
    h->count++;
}

size_t leat_history_count(const leat_history *h)
{
    return h->count;
}

void leat_history_start(leat_history *h, const leat_history_bounds *bounds, uint64_t deadline_ms,
                        leat_history_cb cb, void *arg)
{
    (void)bounds, (void)deadline_ms;
    h->cb = cb;
    h->arg = arg;
    asked = h;
}

void leat_history_cancel(leat_history *h)
{
    asked = NULL;
    free(h);
}

leat_history_row leat_history_row_at(const leat_history *h, int i)
{
    (void)h;
    return rows[i];
}

const char *leat_history_reason(const leat_history *h)
{
    (void)h;
    return "lost";
}

const char *leat_history_sqlstate(const leat_history *h)
{
    (void)h;
    return sqlstate_of_failure;
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    (void)m, (void)err, (void)sqlstate;
}

void hub_health_set_trouble(hub_health *h, leat_hub_part part, const char *text)
{
    (void)h;
    assert_int_equal(LEAT_HUB_OUTBOX, part);
    in_trouble = text != NULL;
}

void hub_attend_unconfirmed(leat_hub *h)
{
    (void)h;
    n_unconfirmed++;
}

void hub_attend_check(leat_hub *h)
{
    (void)h;
    n_checks++;
}

void hub_anchor_read(hub_anchors *a, leat_slice topic, const leat_named_position *at,
                     int64_t entered_at)
{
    (void)a, (void)at;
    assert_true(leat_slice_is(topic, "t"));
    newest_at = entered_at;
}

hub_topic *hub_topic_find(leat_hub *h, leat_slice name)
{
    leat_map_entry *e = leat_map_get(&h->topics, name);
    return e == NULL ? NULL : LEAT_CONTAINER_OF(e, hub_topic, entry);
}

void hub_topic_fetched(hub_topic *t, const leat_history_row *row)
{
    (void)t;
    last_fetched = row->seq;
}

void hub_topic_fetched_all(hub_topic *t, const leat_history_row *last)
{
    (void)last;
    hub_want_end(t);
    n_complete++;
}

typedef struct world {
    real_loop loop;
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_hub hub;
    hub_topic topic;
} world;

#define EPOCH "00000001-aaaaaaaa-bbbbbbbbbbbb"

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    asked = NULL;
    in_trouble = false;
    n_unconfirmed = n_checks = n_complete = 0;
    last_fetched = newest_at = 0;
    sqlstate_of_failure = "";
    for (int i = 0; i < MAX_ROWS; i++)
        rows[i] = (leat_history_row){.topic = leat_slice_of("leat"),
                                     .head = {.epoch = leat_slice_of(EPOCH)}};
    w->limits.compare_interval_ms = 100000;
    w->registry = leat_metrics_registry_new();
    w->hub.limits = &w->limits;
    w->hub.metrics = leat_metrics_new(w->registry);
    w->hub.phase = HUB_READY;
    strcpy(w->hub.timeline, "00000001");
    strcpy(w->hub.history, "aaaaaaaa");
    leat_map_init(&w->hub.topics);
    real_loop_open(&w->loop);
    w->hub.loop = w->loop.loop;
    hub_repair_init(&w->hub);
    w->topic.hub = &w->hub;
    leat_map_add(&w->hub.topics, &w->topic.entry, leat_slice_of("t"));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_want_forget(&w->topic);
    hub_repair_stop(&w->hub);
    real_loop_close(&w->loop);
    leat_metrics_registry_free(w->registry);
    leat_map_remove(&w->hub.topics, &w->topic.entry);
    leat_map_close(&w->hub.topics);
    free(w);
    return 0;
}

static void answer_rows(int n_rows)
{
    leat_history *h = asked;
    assert_non_null(h);
    asked = NULL;
    h->cb(h, 0, n_rows, h->arg);
    free(h);
}

static void answer(int err)
{
    leat_history *h = asked;
    if (err == 0) {
        answer_rows(1);
        return;
    }
    assert_non_null(h);
    asked = NULL;
    h->cb(h, err, 0, h->arg);
    free(h);
}

static void set_row(int i, int64_t seq, int64_t at)
{
    rows[i].topic = leat_slice_of("t");
    rows[i].has_event = true;
    rows[i].seq = seq;
    rows[i].at = at;
}

/* Until what is due has been done; the first delay after a failure is at most 50 ms. */
static void turn(world *w)
{
    real_loop_turn(&w->loop, 60);
}

static void asks_again_after_a_failure(void **state)
{
    world *w = *state;
    hub_want_probe(&w->hub);
    turn(w);
    answer(LEAT_EPG_LOST);
    assert_true(in_trouble);
    turn(w);
    answer(0);
    assert_false(in_trouble);
    turn(w);
    assert_null(asked);
}

static void asks_at_most_once_a_second_while_all_is_well(void **state)
{
    world *w = *state;
    hub_want_probe(&w->hub);
    turn(w);
    answer(0);
    hub_want_probe(&w->hub);
    turn(w);
    assert_null(asked);
}

/* The connection is lost, and is there again before a second has passed since the last probe. */
static void asks_again_after_a_failure_and_a_lost_broker(void **state)
{
    world *w = *state;
    hub_want_probe(&w->hub);
    turn(w);
    answer(LEAT_EPG_LOST);
    w->hub.phase = HUB_UNCONNECTED;
    turn(w);
    assert_null(asked);

    w->hub.phase = HUB_READY;
    hub_want_probe(&w->hub);
    turn(w);

    answer(0);
    assert_false(in_trouble);
}

static void hands_out_the_rows_of_what_was_wanted(void **state)
{
    world *w = *state;
    w->topic.at.seq = 6;
    hub_want_next(&w->topic);
    turn(w);
    assert_int_equal(HUB_ASKED, w->topic.query);
    assert_int_equal(6, asked->after);
    set_row(0, 7, 100);
    set_row(1, 8, 101);
    answer_rows(2);
    assert_int_equal(8, last_fetched);
    assert_int_equal(1, n_complete);
    assert_int_equal(101, newest_at);
    assert_int_equal(0, n_checks);
    turn(w);
    assert_null(asked);
}

/* Its data is not in the answer. */
static void asks_at_once_for_what_was_left_out(void **state)
{
    world *w = *state;
    hub_want_next(&w->topic);
    turn(w);
    set_row(0, 1, 100);
    set_row(1, 2, 101);
    rows[1].left_out = true;
    answer_rows(2);
    assert_int_equal(1, last_fetched);
    assert_int_equal(0, n_complete);
    turn(w);
    assert_int_equal(HUB_ASKED, w->topic.query);
}

static void asks_again_for_the_topics_of_a_fetch_that_failed(void **state)
{
    world *w = *state;
    hub_want_next(&w->topic);
    turn(w);
    answer(LEAT_EPG_LOST);
    assert_int_equal(HUB_ASKED_NEXT, w->topic.query);
    assert_int_equal(1, leat_metrics_get(w->hub.metrics, LEAT_M_TOPICS_UNREADABLE));
    turn(w);
    assert_int_equal(HUB_ASKED, w->topic.query);
    answer(0);
    assert_int_equal(0, leat_metrics_get(w->hub.metrics, LEAT_M_TOPICS_UNREADABLE));
}

/* The topic was reset, and no longer stands where it was asked for. */
static void ignores_rows_of_what_is_not_wanted_any_more(void **state)
{
    world *w = *state;
    hub_want_next(&w->topic);
    turn(w);
    hub_want_forget(&w->topic);
    set_row(0, 1, 100);
    answer_rows(1);
    assert_int_equal(0, last_fetched);
    assert_int_equal(0, n_complete);
}

static void has_the_history_confirmed_where_a_read_tells(void **state)
{
    world *w = *state;
    hub_want_probe(&w->hub);
    turn(w);
    sqlstate_of_failure = LEAT_UNCONFIRMED;
    answer(LEAT_EPG_SERVER);
    assert_int_equal(1, n_unconfirmed);
    turn(w);
    rows[0].head.epoch = leat_slice_of("00000001-cccccccc-bbbbbbbbbbbb");
    answer(0);
    assert_int_equal(1, n_checks);
}

static void fetches_nothing_before_the_hub_is_ready(void **state)
{
    world *w = *state;
    w->hub.phase = HUB_UNCONFIRMED;
    hub_want_next(&w->topic);
    turn(w);
    assert_null(asked);
    assert_int_equal(HUB_ASKED_NEXT, w->topic.query);
}

/* A topic was wanted while the broker was away; no probe is due when it is back. */
static void fetches_what_was_wanted_before_the_hub_was_ready(void **state)
{
    world *w = *state;
    hub_want_probe(&w->hub);
    turn(w);
    answer(0);
    w->hub.phase = HUB_UNCONNECTED;
    hub_want_next(&w->topic);
    turn(w);
    assert_null(asked);

    w->hub.phase = HUB_READY;
    hub_want_probe(&w->hub);
    hub_want_all(&w->hub);
    turn(w);

    assert_int_equal(HUB_ASKED, w->topic.query);
}

/* Nothing that was heard is missing, so what the outbox has is a repair. */
static void counts_what_it_brings_unheard_of_as_lost(void **state)
{
    world *w = *state;
    w->topic.at.seq = 4;
    w->topic.heard = 5;
    hub_want_next(&w->topic);
    turn(w);
    assert_false(w->topic.lost);
    set_row(0, 5, 100);
    answer_rows(1);
    w->topic.at.seq = 5;
    hub_want_next(&w->topic);
    turn(w);
    assert_true(w->topic.lost);
}

static void compares_all_topics_now_and_then(void **state)
{
    world *w = *state;
    w->limits.compare_interval_ms = 1;
    hub_repair_start(&w->hub);
    turn(w);
    assert_true(hub_want_is_asked(&w->topic));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(asks_again_after_a_failure),
        TEST(asks_at_most_once_a_second_while_all_is_well),
        TEST(asks_again_after_a_failure_and_a_lost_broker),
        TEST(hands_out_the_rows_of_what_was_wanted),
        TEST(asks_at_once_for_what_was_left_out),
        TEST(asks_again_for_the_topics_of_a_fetch_that_failed),
        TEST(ignores_rows_of_what_is_not_wanted_any_more),
        TEST(has_the_history_confirmed_where_a_read_tells),
        TEST(fetches_nothing_before_the_hub_is_ready),
        TEST(fetches_what_was_wanted_before_the_hub_was_ready),
        TEST(counts_what_it_brings_unheard_of_as_lost),
        TEST(compares_all_topics_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
