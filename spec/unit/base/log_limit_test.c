#include "base/log_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const leat_log_limit_options options = {
    .rate = 10, .burst = 5, .bytes_rate = 1000, .bytes_burst = 100000};

static bool admit(leat_log_limit *l, uint64_t kind, const char *phrase, int level, uint64_t now)
{
    leat_log_limit_line line = {kind, phrase, level, kind > 1000, level == 3};
    return leat_log_limit_admit(l, &line, now);
}

static int admitted(leat_log_limit *l, uint64_t kind, int n, uint64_t now)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += admit(l, kind, "malformed request remote=%s", 1, now);
    return count;
}

static void admits_a_burst_and_then_the_rate(void **state)
{
    (void)state;
    leat_log_limit *l = leat_log_limit_new(&options, 1000);

    assert_int_equal(admitted(l, 7, 100, 1000), 5);
    assert_int_equal(admitted(l, 7, 100, 1099), 0);
    assert_int_equal(admitted(l, 7, 100, 1100), 1);
    assert_int_equal(admitted(l, 7, 100, 1400), 3);
    assert_int_equal(admitted(l, 7, 100, UINT64_MAX), 5);

    leat_log_limit_free(l);
}

static void keeps_kinds_apart(void **state)
{
    (void)state;
    leat_log_limit *l = leat_log_limit_new(&options, 0);

    assert_int_equal(admitted(l, 7, 100, 0), 5);
    assert_int_equal(admitted(l, 8, 100, 0), 5);

    leat_log_limit_free(l);
}

static void reports_what_was_left_out(void **state)
{
    (void)state;
    leat_log_limit *l = leat_log_limit_new(&options, 0);
    leat_log_limit_report r;

    admitted(l, 7, 100, 0);
    assert_false(leat_log_limit_take(l, 4999, false, &r));
    assert_true(leat_log_limit_take(l, 5000, false, &r));
    assert_string_equal(r.phrase, "malformed request");
    assert_int_equal(r.level, 1);
    assert_int_equal(r.lines, 95);
    assert_false(leat_log_limit_take(l, 99999, true, &r));

    admitted(l, 7, 100, 5000);
    assert_true(leat_log_limit_take(l, 5000, true, &r));
    assert_int_equal(r.lines, 95);

    leat_log_limit_free(l);
}

static void gives_invented_kinds_one_allowance(void **state)
{
    (void)state;
    leat_log_limit *l = leat_log_limit_new(&options, 0);
    int all = 0;

    for (uint64_t kind = 1001; kind <= 10000; kind++)
        all += admitted(l, kind, 6, 0); /* one more than the burst: none of them rests */

    assert_in_range(all, 5, 65 * 5);
    /* Those with a slot keep it while they have something to report... */
    assert_int_equal(admitted(l, 1001, 100, 0), 0);
    /* ...they take nothing from those that nobody invented... */
    assert_int_equal(admitted(l, 7, 100, 0), 5);
    /* ...and whoever comes later has his own again, once they rest. */
    leat_log_limit_report r;
    while (leat_log_limit_take(l, 10000, true, &r))
        assert_true(r.lines > 0);
    assert_int_equal(admitted(l, 77777, 100, 10000), 5);
    leat_log_limit_free(l);
}

static void bounds_the_bytes_of_all_and_spares_some_for_errors(void **state)
{
    (void)state;
    leat_log_limit *l = leat_log_limit_new(&options, 0);

    assert_true(admit(l, 1, "a", 1, 0));
    leat_log_limit_charge(l, false, 101000);
    assert_false(admit(l, 2, "b", 1, 0));
    assert_true(admit(l, 3, "c", 3, 0));
    assert_false(admit(l, 2, "b", 1, 1000));
    assert_true(admit(l, 2, "b", 1, 1001));

    leat_log_limit_free(l);
}

static void describes_a_kind_by_its_constant_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"connect failed host=%s", "connect failed"},
        {"%s -> %s", "-"},
        {"stopped", "stopped"},
        {"", "-"},
        {"a=%d", "-"},
        {"one two three four five six seven eight nine ten eleven twelve thirteen",
         "one two three four five six seven eight nine ten eleven twelve "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_log_limit *l = leat_log_limit_new(&options, 0);
        leat_log_limit_report r;
        for (int n = 0; n < 6; n++)
            (void)admit(l, 1, cases[i][0], 1, 0);
        assert_true(leat_log_limit_take(l, 0, true, &r));
        assert_memory_equal(r.phrase, cases[i][1],
                            strlen(cases[i][1]) < 63 ? strlen(cases[i][1]) + 1 : 62);
        leat_log_limit_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admits_a_burst_and_then_the_rate),
        cmocka_unit_test(keeps_kinds_apart),
        cmocka_unit_test(reports_what_was_left_out),
        cmocka_unit_test(gives_invented_kinds_one_allowance),
        cmocka_unit_test(bounds_the_bytes_of_all_and_spares_some_for_errors),
        cmocka_unit_test(describes_a_kind_by_its_constant_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
