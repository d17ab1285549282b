/* hub_problems_test.c - the database is asked now and then for problems of the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "fake_job.h"
#include "hub/hub_problems.h"

static leat_hub hub;
static leat_limits limits;
static leat_metrics_registry *registry;

static int set_up(void **state)
{
    (void)state;
    memset(&hub, 0, sizeof(hub));
    memset(&running_job, 0, sizeof(running_job));
    limits = (leat_limits){.control_timeout_ms = 100, .compare_interval_ms = 1000};
    registry = leat_metrics_registry_new();
    hub.limits = &limits;
    hub.metrics = leat_metrics_new(registry);
    hub.phase = HUB_READY;
    hub_problems_init(&hub);
    hub_problems_start(&hub);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hub_problems_stop(&hub);
    assert_null(running_job.job);
    assert_null(hub.problems.deadline.cb_);
    leat_metrics_registry_free(registry);
    return 0;
}

static int64_t problems(void)
{
    return leat_metrics_get(hub.metrics, LEAT_M_SCHEMA_PROBLEMS);
}

static void waits_until_the_hub_is_ready(void **state)
{
    (void)state;
    hub.phase = HUB_UNCONFIRMED;
    clock_fire(&hub.problems.deadline);
    assert_null(running_job.job);
    hub.phase = HUB_READY;
    clock_fire(&hub.problems.deadline);
    assert_non_null(running_job.job);
}

static void counts_what_there_is(void **state)
{
    (void)state;
    static const char *const two[] = {"error", "a", "b", "error", "c", "d"};
    clock_fire(&hub.problems.deadline);
    fake_job_answer(2, 3, two);
    assert_int_equal(2, problems());
    assert_int_equal(1000, clock_after);
    clock_fire(&hub.problems.deadline);
    fake_job_answer(0, 3, NULL);
    assert_int_equal(0, problems());
}

/* The role may lack the right to ask. */
static void keeps_the_count_where_it_gets_no_answer(void **state)
{
    (void)state;
    static const char *const one[] = {"error", "a", "b"};
    clock_fire(&hub.problems.deadline);
    fake_job_answer(1, 3, one);
    clock_fire(&hub.problems.deadline);
    fake_job_fail(LEAT_EPG_SERVER, "42501");
    assert_int_equal(1, problems());
    assert_non_null(hub.problems.deadline.cb_);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(waits_until_the_hub_is_ready),
        TEST(counts_what_there_is),
        TEST(keeps_the_count_where_it_gets_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
