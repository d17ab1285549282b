#include "base/log_series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"

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
    leat_log_series s = {0};

    leat_log_series_warn(&s, 10000, "pg", "connect failed", "no such host");
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "pg connect failed err=\"no such host\""));
    assert_null(strstr(lines.last, "unlogged"));
    for (uint64_t now_ms = 10001; now_ms < 10004; now_ms++)
        leat_log_series_warn(&s, now_ms, "pg", "connect failed", "no such host");
    assert_int_equal(lines.count, 1);
    leat_log_series_warn(&s, 15000, "pg", "connect failed", "no such host");
    assert_int_equal(lines.count, 2);
    assert_non_null(strstr(lines.last, "unlogged=3"));

    leat_log_bind(NULL);
    leat_log_free(log);
}

static void another_reason_is_told_at_once(void **state)
{
    (void)state;
    struct lines lines = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_DEBUG, on_line, &lines);
    leat_log_bind(log);
    leat_log_series s = {0};

    leat_log_series_warn(&s, 10000, "pg", "connection lost", "administrator command");
    leat_log_series_warn(&s, 10001, "pg", "connection lost", "administrator command");
    leat_log_series_warn(&s, 10002, "pg", "connect failed", "wrong password");
    assert_int_equal(lines.count, 2);
    assert_non_null(strstr(lines.last, "pg connect failed err=\"wrong password\" unlogged=1"));
    leat_log_series_warn(&s, 10003, "pg", "connect failed", "wrong password");
    assert_int_equal(lines.count, 2);

    leat_log_bind(NULL);
    leat_log_free(log);
}

static void the_connection_is_named(void **state)
{
    (void)state;
    struct lines lines = {0};
    leat_log *log = leat_log_new(LEAT_LOG_LEVEL_DEBUG, on_line, &lines);
    leat_log_bind(log);
    leat_log_series s = {.connection = "leat worker 0"};

    leat_log_series_warn(&s, 10000, "pg", "connect failed", "wrong password");
    assert_non_null(strstr(
        lines.last, "pg connect failed connection=\"leat worker 0\" err=\"wrong password\""));

    leat_log_bind(NULL);
    leat_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warnings_are_counted_rather_than_repeated),
        cmocka_unit_test(another_reason_is_told_at_once),
        cmocka_unit_test(the_connection_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
