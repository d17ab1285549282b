/* hub_repair_test.c - that the outbox cannot be read is told no longer than it is true.
 *
 * hub_repair.c alone, on a loop of its own: the test plays the outbox, and the broker that comes
 * and goes. No topic is wanted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "hub/hub_private.h"

/* The question that is under way. */
struct leat_history {
    size_t count;
    leat_history_cb cb;
    void *arg;
};

static leat_history *asked; /* NULL: nothing is asked */
static bool in_trouble;

leat_history *leat_history_new(leat_pg_pool *pool)
{
    (void)pool;
    return leat_calloc(1, sizeof(leat_history));
}

void leat_history_ask(leat_history *h, leat_slice topic, int64_t after)
{
    (void)topic, (void)after;
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
    (void)h, (void)i;
    return (leat_history_row){.topic = leat_slice_of("leat"),
                              .epoch = leat_slice_of("00000001-aaaaaaaa-bbbbbbbbbbbb")};
}

const char *leat_history_reason(const leat_history *h)
{
    (void)h;
    return "lost";
}

const char *leat_history_sqlstate(const leat_history *h)
{
    (void)h;
    return "";
}

void leat_history_count_failure(leat_metrics *m, int err, const char *sqlstate)
{
    (void)m, (void)err, (void)sqlstate;
}

void hub_set_trouble(leat_hub *h, leat_hub_part part, const char *text)
{
    (void)h;
    assert_int_equal(LEAT_HUB_OUTBOX, part);
    in_trouble = text != NULL;
}

void hub_attend_unconfirmed(leat_hub *h)
{
    (void)h;
}

void hub_attend_check(leat_hub *h)
{
    (void)h;
}

void hub_anchor_read(hub_anchors *a, leat_slice topic, leat_slice epoch, int64_t seq, int64_t at)
{
    (void)a, (void)topic, (void)epoch, (void)seq, (void)at;
}

hub_topic *hub_topic_find(leat_hub *h, leat_slice name)
{
    (void)h, (void)name;
    return NULL;
}

void hub_topic_fetched(hub_topic *t, const leat_history_row *row)
{
    (void)t, (void)row;
}

void hub_topic_settle(hub_topic *t, const leat_history_row *last)
{
    (void)t, (void)last;
}

typedef struct world {
    uv_loop_t uv;
    uv_timer_t timer;
    leat_limits limits;
    leat_metrics_registry *registry;
    leat_hub hub;
} world;

static int set_up(void **state)
{
    world *w = leat_calloc(1, sizeof(*w));
    asked = NULL;
    in_trouble = false;
    w->limits.compare_interval_ms = 100000;
    w->registry = leat_metrics_registry_new();
    w->hub.options.limits = &w->limits;
    w->hub.metrics = leat_metrics_new(w->registry);
    w->hub.phase = HUB_READY;
    strcpy(w->hub.timeline, "00000001");
    strcpy(w->hub.history, "aaaaaaaa");
    leat_map_init(&w->hub.topics);
    assert_int_equal(0, uv_loop_init(&w->uv));
    assert_int_equal(0, uv_timer_init(&w->uv, &w->timer));
    assert_int_equal(0, leat_loop_new(&w->hub.loop, &w->uv));
    hub_repair_init(&w->hub);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    hub_repair_stop(&w->hub);
    uv_close((uv_handle_t *)&w->timer, NULL);
    leat_loop_close(w->hub.loop, NULL, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(0, uv_loop_close(&w->uv));
    leat_metrics_registry_free(w->registry);
    leat_map_close(&w->hub.topics);
    free(w);
    return 0;
}

static void answer(int err)
{
    leat_history *h = asked;
    assert_non_null(h);
    asked = NULL;
    h->cb(h, err, err < 0 ? 0 : 1, h->arg);
    free(h);
}

static void on_time(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Until what is due has been done; the first delay after a failure is at most 50 ms. */
static void turn(world *w)
{
    uv_timer_start(&w->timer, on_time, 60, 0);
    uv_run(&w->uv, UV_RUN_DEFAULT);
}

static void asks_again_after_a_failure(void **state)
{
    world *w = *state;
    hub_repair_probe(&w->hub);
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
    hub_repair_probe(&w->hub);
    turn(w);
    answer(0);
    hub_repair_probe(&w->hub);
    turn(w);
    assert_null(asked);
}

/* The connection is lost, and is there again before a second has passed since the last probe. */
static void asks_again_after_a_failure_and_a_lost_broker(void **state)
{
    world *w = *state;
    hub_repair_probe(&w->hub);
    turn(w);
    answer(LEAT_EPG_LOST);
    w->hub.phase = HUB_DOWN;
    turn(w);
    assert_null(asked);

    w->hub.phase = HUB_READY;
    hub_repair_probe(&w->hub);
    turn(w);

    answer(0);
    assert_false(in_trouble);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(asks_again_after_a_failure),
        TEST(asks_at_most_once_a_second_while_all_is_well),
        TEST(asks_again_after_a_failure_and_a_lost_broker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
