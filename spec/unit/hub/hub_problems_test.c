/* hub_problems_test.c - the database is asked now and then for problems of the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_clock.h"
#include "fake_job.h"
#include "hub/hub_attend.h"
#include "hub/hub_problems.h"

static leat_hub hub;
static leat_limits limits;
static leat_metrics_registry *registry;
static int n_unconfirmed;

void hub_attend_unconfirmed(leat_hub *h)
{
    (void)h;
    n_unconfirmed++;
}

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
    hub.schema_version = 12;
    n_unconfirmed = 0;
    assert_int_equal(0, hub_health_init(&hub.health));
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
    hub_health_close(&hub.health);
    return 0;
}

static int64_t problems(void)
{
    return leat_metrics_get(hub.metrics, LEAT_M_SCHEMA_PROBLEMS);
}

static void answer_schema(const char *version, const char *oldest_server)
{
    const char *const row[] = {version, oldest_server};
    clock_fire(&hub.problems.deadline);
    fake_job_answer(1, 2, row);
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
    answer_schema("12", "9");
    fake_job_answer(2, 3, two);
    assert_int_equal(2, problems());
    assert_int_equal(1000, clock_after);
    answer_schema("12", "9");
    fake_job_answer(0, 3, NULL);
    assert_int_equal(0, problems());
}

/* The role may lack the right to ask. */
static void keeps_the_count_where_it_gets_no_answer(void **state)
{
    (void)state;
    static const char *const one[] = {"error", "a", "b"};
    answer_schema("12", "9");
    fake_job_answer(1, 3, one);
    clock_fire(&hub.problems.deadline);
    fake_job_fail(LEAT_EPG_SERVER, "42501"); /* nor to ask for the schema's version */
    fake_job_fail(LEAT_EPG_SERVER, "42501");
    assert_int_equal(1, problems());
    assert_non_null(hub.problems.deadline.cb_);
}

static void expect_too_new(bool is_too_new)
{
    leat_buf reason = LEAT_BUF_INIT;
    assert_int_equal(is_too_new, leat_metrics_get(hub.metrics, LEAT_M_SCHEMA_TOO_NEW));
    assert_int_equal(!is_too_new, hub_health_check(&hub.health, LEAT_HUB_SCHEMA, &reason));
    leat_buf_close(&reason);
}

/* A newer schema counts as too new only if it says so. */
static void finds_out_that_the_schema_has_become_too_new(void **state)
{
    (void)state;
    answer_schema("13", "12");
    assert_non_null(running_job.job); /* the question for problems */
    fake_job_answer(0, 3, NULL);
    expect_too_new(false);

    answer_schema("14", "13");
    assert_null(running_job.job);
    assert_int_equal(1, n_unconfirmed);
    expect_too_new(true);
    clock_fire(&hub.problems.deadline); /* attend has not found out yet */
    fake_job_fail(LEAT_EPG_LOST, "");
    expect_too_new(true);

    answer_schema("12", "9");
    fake_job_answer(0, 3, NULL);
    expect_too_new(false);
    assert_int_equal(2, n_unconfirmed);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(waits_until_the_hub_is_ready),
        TEST(counts_what_there_is),
        TEST(keeps_the_count_where_it_gets_no_answer),
        TEST(finds_out_that_the_schema_has_become_too_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
