/* pg_pace_test.c - estimates of a pool that is fast, slow, stalled, or idle. */
#include "pg/pg_pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Serves n, one each `every_ms`, while others wait. Returns the time afterwards. */
static uint64_t serve(leat_pg_pace *p, uint64_t now_ms, int n, uint64_t every_ms)
{
    leat_pg_pace_waits(p, now_ms);
    for (int i = 0; i < n; i++) {
        now_ms += every_ms;
        leat_pg_pace_served(p, now_ms, true);
    }
    return now_ms;
}

static void knows_nothing_at_first(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    assert_int_equal(0, leat_pg_pace_estimate_ms(&p, 1000, 5000));
    leat_pg_pace_waits(&p, 5000);
    assert_int_equal(0, leat_pg_pace_estimate_ms(&p, 1000, 5100));
}

static void estimates_by_what_was_served(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    uint64_t now_ms = serve(&p, 5000, 200, 2);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms), 190, 210);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 1000, now_ms), 1900, 2100);
}

static void learns_that_it_has_become_slower(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    uint64_t now_ms = serve(&p, 5000, 200, 2);
    now_ms = serve(&p, now_ms, 200, 20);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms), 1700, 2100);
}

/* The first connections may take a while: that says nothing about how fast they will be. */
static void is_not_frightened_by_a_slow_start(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    leat_pg_pace_waits(&p, 5000);
    assert_int_equal(1000, leat_pg_pace_estimate_ms(&p, 64, 6000));
    leat_pg_pace_served(&p, 6000, true);
    assert_int_equal(0, leat_pg_pace_estimate_ms(&p, 64, 6001));
    uint64_t now_ms = serve(&p, 6000, 300, 1);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms), 90, 110);
}

static void sees_a_database_that_answers_no_more(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    uint64_t now_ms = serve(&p, 5000, 200, 2);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 10, now_ms + 4000), 4000, 4100);
    assert_int_equal(LEAT_PG_PACE_MAX_MS, leat_pg_pace_estimate_ms(&p, 1000000, now_ms + 4000));
}

/* Idle time says nothing about how fast the pool is. */
static void does_not_count_times_without_waiters(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    uint64_t now_ms = serve(&p, 5000, 200, 2);
    leat_pg_pace_nobody_waits(&p);
    now_ms += 3600000;
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms), 190, 210);
    leat_pg_pace_waits(&p, now_ms);
    leat_pg_pace_served(&p, now_ms + 1, false);
    now_ms += 3600000;
    serve(&p, now_ms, 100, 2);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms + 200), 190, 220);
}

static void takes_a_short_rush_into_account(void **state)
{
    (void)state;
    leat_pg_pace p = {0};
    uint64_t now_ms = serve(&p, 5000, 30, 1);
    leat_pg_pace_served(&p, now_ms + 1, false);
    assert_in_range(leat_pg_pace_estimate_ms(&p, 100, now_ms), 90, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_nothing_at_first),
        cmocka_unit_test(estimates_by_what_was_served),
        cmocka_unit_test(learns_that_it_has_become_slower),
        cmocka_unit_test(is_not_frightened_by_a_slow_start),
        cmocka_unit_test(sees_a_database_that_answers_no_more),
        cmocka_unit_test(does_not_count_times_without_waiters),
        cmocka_unit_test(takes_a_short_rush_into_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
