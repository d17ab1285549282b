#include "pg/pg_backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

static void it_doubles_up_to_the_maximum_with_jitter(void **state)
{
    (void)state;
    static const uint64_t expected_ms[] = {50, 100, 200, 400, 800, 1000, 1000};
    leat_pg_backoff b;
    leat_pg_backoff_init(&b, 1000);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++) {
            uint64_t ms = leat_pg_backoff_next(&b);
            assert_in_range(ms, expected_ms[i] / 2, expected_ms[i]);
        }
        leat_pg_backoff_reset(&b);
    }
}

static void two_do_not_wait_in_step(void **state)
{
    (void)state;
    leat_pg_backoff a, b;
    int equal = 0;
    leat_pg_backoff_init(&a, 60000);
    leat_pg_backoff_init(&b, 60000);

    for (int i = 0; i < 30; i++)
        equal += leat_pg_backoff_next(&a) == leat_pg_backoff_next(&b);

    assert_true(equal < 10);
}

struct lines {
    int count;
    char last[256];
};

static void on_line(void *arg, leat_log_level level, const char *line, size_t len)
{
    struct lines *lines = arg;
    assert_int_equal(level, LEAT_LOG_LEVEL_WARN);
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%.*s", (int)len, line);
}

static void warnings_are_counted_rather_than_repeated(void **state)
{
    (void)state;
    struct lines lines = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_DEBUG, on_line, &lines);
    leat_log_bind(log);
    leat_pg_backoff b;
    leat_pg_backoff_init(&b, 1000);

    leat_pg_backoff_warn(&b, 10000, "connect failed", "no such host");
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "connect failed err=\"no such host\" unlogged=0"));
    for (uint64_t now_ms = 10001; now_ms < 10004; now_ms++)
        leat_pg_backoff_warn(&b, now_ms, "connect failed", "no such host");
    assert_int_equal(lines.count, 1);
    leat_pg_backoff_warn(&b, 15000, "connect failed", "no such host");
    assert_int_equal(lines.count, 2);
    assert_non_null(strstr(lines.last, "unlogged=3"));

    leat_log_bind(NULL);
    leat_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_doubles_up_to_the_maximum_with_jitter),
        cmocka_unit_test(two_do_not_wait_in_step),
        cmocka_unit_test(warnings_are_counted_rather_than_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
