#include "base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void doubles_up_to_the_maximum_with_jitter(void **state)
{
    (void)state;
    static const uint64_t expected_ms[] = {50, 100, 200, 400, 800, 1000, 1000};
    leat_random random;
    leat_backoff b;
    leat_random_init(&random);
    leat_backoff_init(&b, 50, 1000);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
            uint64_t ms = leat_backoff_next(&b, &random);
            assert_in_range(ms, expected_ms[i] / 2, expected_ms[i]);
        }
        leat_backoff_reset(&b);
    }
}

static void never_exceeds_a_maximum_below_the_first_delay(void **state)
{
    (void)state;
    leat_random random;
    leat_backoff b;
    leat_random_init(&random);
    leat_backoff_init(&b, 50, 20);
    for (int i = 0; i < 20; i++)
        assert_in_range(leat_backoff_next(&b, &random), 10, 20);
}

static int equal_delays(leat_random *one, leat_random *other)
{
    leat_backoff a, b;
    int equal = 0;
    leat_backoff_init(&a, 50, 60000);
    leat_backoff_init(&b, 50, 60000);
    for (int i = 0; i < 30; i++)
        equal += leat_backoff_next(&a, one) == leat_backoff_next(&b, other);
    return equal;
}

static void two_processes_do_not_wait_in_step(void **state)
{
    (void)state;
    leat_random one, other;
    leat_random_init(&one);
    leat_random_init(&other);
    assert_true(equal_delays(&one, &other) < 10);
}

static void a_seed_gives_the_same_delays_in_each_run(void **state)
{
    (void)state;
    leat_random one, other;
    leat_random_seed(&one, 7);
    leat_random_seed(&other, 7);
    assert_int_equal(equal_delays(&one, &other), 30);
}

static void random_numbers_stay_below_their_bound_and_reach_it(void **state)
{
    (void)state;
    leat_random random;
    int seen[10] = {0};
    leat_random_seed(&random, 1);
    for (int i = 0; i < 10000; i++) {
        uint64_t n = leat_random_below(&random, 10);
        assert_in_range(n, 0, 9);
        seen[n]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(leat_random_below(&random, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_maximum_with_jitter),
        cmocka_unit_test(never_exceeds_a_maximum_below_the_first_delay),
        cmocka_unit_test(two_processes_do_not_wait_in_step),
        cmocka_unit_test(a_seed_gives_the_same_delays_in_each_run),
        cmocka_unit_test(random_numbers_stay_below_their_bound_and_reach_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
