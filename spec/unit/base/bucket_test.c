/* bucket_test.c - token buckets, with clocks that jump and numbers that are large. */
#include "base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const leat_rate TEN = {.per_s = 10, .burst = 5};

static int take_all(leat_bucket *b, uint64_t now_ms)
{
    int n = 0;
    while (n < 100 && leat_bucket_take(b, &TEN, 1, now_ms))
        n++;
    return n;
}

static void holds_a_burst_and_refills(void **state)
{
    (void)state;
    leat_bucket b = {0};
    assert_int_equal(5, take_all(&b, 1000));
    assert_int_equal(0, take_all(&b, 1099));
    assert_int_equal(1, take_all(&b, 1100));
    assert_int_equal(3, take_all(&b, 1400));
    assert_int_equal(5, take_all(&b, 100000)); /* never more than a burst */
}

static void tells_how_long_to_wait(void **state)
{
    (void)state;
    leat_bucket b = {0};
    assert_int_equal(0, leat_bucket_wait_ms(&b, &TEN, 1000));
    assert_int_equal(5, take_all(&b, 1000));
    assert_int_equal(100, leat_bucket_wait_ms(&b, &TEN, 1000));
    assert_int_equal(1, leat_bucket_wait_ms(&b, &TEN, 1099));
    assert_int_equal(0, leat_bucket_wait_ms(&b, &TEN, 1100));
    assert_false(leat_bucket_is_full(&b, 1499));
    assert_true(leat_bucket_is_full(&b, 1500));
}

static void owes_what_was_charged_up_to_a_burst(void **state)
{
    (void)state;
    leat_bucket b = {0};
    leat_bucket_charge(&b, &TEN, 5, 1000);
    assert_false(leat_bucket_owes(&b, &TEN, 1000));
    leat_bucket_charge(&b, &TEN, 4, 1000);
    assert_true(leat_bucket_owes(&b, &TEN, 1000));
    assert_false(leat_bucket_owes_many(&b, &TEN, UINT64_MAX, 1000));
    assert_int_equal(500, leat_bucket_wait_ms(&b, &TEN, 1000));
    leat_bucket_charge(&b, &TEN, 1000, 1000);
    assert_true(leat_bucket_owes_many(&b, &TEN, UINT64_MAX, 1000));
    assert_int_equal(600, leat_bucket_wait_ms(&b, &TEN, 1000));
    assert_false(leat_bucket_owes(&b, &TEN, 1500));
    assert_int_equal(0, take_all(&b, 1500));
}

static void refuses_what_never_fits(void **state)
{
    (void)state;
    leat_bucket b = {0};
    assert_false(leat_bucket_take(&b, &TEN, 6, 1000));
    assert_int_equal(5, take_all(&b, 1000));
}

static void is_full_after_a_jump_of_the_clock(void **state)
{
    (void)state;
    leat_bucket b = {0};
    leat_bucket_charge(&b, &TEN, 100, 1000000);
    assert_false(leat_bucket_owes(&b, &TEN, 5));
    assert_int_equal(5, take_all(&b, 5));
    assert_int_equal(5, take_all(&b, UINT64_C(1) << 40));
}

static void is_full_if_the_rate_has_become_another(void **state)
{
    (void)state;
    static const leat_rate slow = {.per_s = 1, .burst = 1000};
    leat_bucket b = {0};
    leat_bucket_charge(&b, &slow, 1000, 1000);
    assert_int_equal(5, take_all(&b, 1000));
}

static void counts_large_numbers(void **state)
{
    (void)state;
    static const leat_rate slowest = {.per_s = 1, .burst = UINT64_MAX};
    static const leat_rate fastest = {.per_s = 1000000000, .burst = UINT64_C(1) << 40};
    uint64_t month_ms = UINT64_C(2592000000);
    leat_bucket b = {0};
    assert_true(leat_bucket_take(&b, &slowest, 1, month_ms));
    leat_bucket_charge(&b, &slowest, UINT64_MAX, month_ms);
    assert_true(leat_bucket_wait_ms(&b, &slowest, month_ms) > 0);
    b = (leat_bucket){0};
    leat_bucket_charge(&b, &fastest, UINT64_C(1) << 33, month_ms);
    assert_false(leat_bucket_owes(&b, &fastest, month_ms));
    assert_false(leat_bucket_is_full(&b, month_ms + 8000));
    assert_true(leat_bucket_is_full(&b, month_ms + 9000));
}

static void without_a_rate_has_no_bound(void **state)
{
    (void)state;
    static const leat_rate none = {0};
    leat_bucket b = {0};
    assert_true(leat_bucket_take(&b, &none, UINT64_MAX, 1));
    leat_bucket_charge(&b, &none, UINT64_MAX, 1);
    assert_false(leat_bucket_owes(&b, &none, 1));
    assert_false(leat_bucket_owes_many(&b, &none, 1, 1));
    assert_int_equal(0, leat_bucket_wait_ms(&b, &none, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_burst_and_refills),
        cmocka_unit_test(tells_how_long_to_wait),
        cmocka_unit_test(owes_what_was_charged_up_to_a_burst),
        cmocka_unit_test(refuses_what_never_fits),
        cmocka_unit_test(is_full_after_a_jump_of_the_clock),
        cmocka_unit_test(is_full_if_the_rate_has_become_another),
        cmocka_unit_test(counts_large_numbers),
        cmocka_unit_test(without_a_rate_has_no_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
