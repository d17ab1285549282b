/* hub_trim_test.c - how soon one batch of trimming follows another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "hub/hub_trim.h"

static leat_trim_cb running;

void leat_trim_init(leat_trim *t)
{
    (void)t;
}

void leat_trim_start(leat_trim *t, leat_pg_pool *pool, uint64_t retention_s,
                     uint64_t retention_events, uint64_t deadline_ms, leat_trim_cb cb)
{
    (void)t, (void)pool;
    assert_int_equal(60, retention_s);
    assert_int_equal(7, retention_events);
    assert_int_equal(clock_now + 100, deadline_ms);
    running = cb;
}

void leat_trim_cancel(leat_trim *t)
{
    (void)t;
    running = NULL;
}

static leat_hub hub;
static leat_limits limits;
static leat_metrics_registry *registry;

static int set_up(void **state)
{
    (void)state;
    memset(&hub, 0, sizeof(hub));
    running = NULL;
    limits = (leat_limits){.control_timeout_ms = 100,
                           .trim_interval_ms = 5000,
                           .retention_s = 60,
                           .retention_events = 7};
    registry = leat_metrics_registry_new();
    hub.limits = &limits;
    hub.metrics = leat_metrics_new(registry);
    hub.phase = HUB_READY;
    hub_trim_init(&hub);
    hub_trim_start(&hub);
    assert_int_equal(5000, clock_after);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_trim_stop(&hub);
    assert_null(hub.trim_deadline.cb_);
    leat_metrics_registry_free(registry);
    return 0;
}

static void answer(leat_trimmed done, int err)
{
    leat_trim_cb cb = running;
    running = NULL;
    cb(&hub.trim, &done, err, "lost");
}

static void trims_nothing_before_the_hub_is_ready(void **state)
{
    (void)state;
    hub.phase = HUB_UNCONFIRMED;
    clock_fire(&hub.trim_deadline);
    assert_null(running);
    assert_int_equal(5000, clock_after);
}

static void counts_what_it_has_deleted(void **state)
{
    (void)state;
    clock_fire(&hub.trim_deadline);
    answer((leat_trimmed){.events = 12, .backlog_s = 3, .topics = 9}, 0);
    assert_int_equal(12, leat_metrics_get(hub.metrics, LEAT_M_TRIMMED_EVENTS));
    assert_int_equal(3, leat_metrics_get(hub.metrics, LEAT_M_TRIM_BACKLOG));
    assert_int_equal(9, leat_metrics_get(hub.metrics, LEAT_M_OUTBOX_TOPICS));
    assert_int_equal(5000, clock_after);
}

static void goes_on_soon_after_a_full_batch(void **state)
{
    (void)state;
    clock_fire(&hub.trim_deadline);
    answer((leat_trimmed){.events = 1000, .full = true}, 0);
    assert_int_equal(20, clock_after);
}

/* A busy database: the batches take longer, and so do the pauses. */
static void takes_a_fifth_of_the_time(void **state)
{
    (void)state;
    static const uint64_t pauses[][2] = {{5, 20}, {30, 120}, {90, 360}, {1000, 500}};
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        clock_fire(&hub.trim_deadline);
        clock_now += pauses[i][0];
        answer((leat_trimmed){.events = 1000, .full = true}, 0);
        assert_int_equal(pauses[i][1], clock_after);
    }
}

static void goes_on_soon_while_events_wait_to_be_looked_at(void **state)
{
    (void)state;
    clock_fire(&hub.trim_deadline);
    answer((leat_trimmed){.backlog_s = 16}, 0);
    assert_int_equal(200, clock_after);
}

static void tries_again_after_the_interval(void **state)
{
    (void)state;
    clock_fire(&hub.trim_deadline);
    answer((leat_trimmed){0}, LEAT_EPG_LOST);
    assert_int_equal(5000, clock_after);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(trims_nothing_before_the_hub_is_ready),
        TEST(counts_what_it_has_deleted),
        TEST(goes_on_soon_after_a_full_batch),
        TEST(takes_a_fifth_of_the_time),
        TEST(goes_on_soon_while_events_wait_to_be_looked_at),
        TEST(tries_again_after_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
