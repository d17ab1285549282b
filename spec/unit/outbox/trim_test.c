/* trim_test.c - one batch of trimming, and what it says it has done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_job.h"
#include "outbox/trim.h"

static struct {
    int n;
    leat_trimmed done;
    int err;
    char why[16];
} seen;

static void on_trimmed(leat_trim *t, const leat_trimmed *done, int err, const char *why)
{
    (void)t;
    seen.n++;
    seen.done = *done;
    seen.err = err;
    strncpy(seen.why, why, sizeof(seen.why) - 1);
}

static int start(void **state)
{
    static leat_trim trim;
    memset(&seen, 0, sizeof(seen));
    leat_trim_init(&trim);
    leat_trim_start(&trim, NULL, 60, 7, 123, on_trimmed);
    assert_int_equal(0, seen.n);
    *state = &trim;
    return 0;
}

static void asks_within_its_deadline(void **state)
{
    (void)state;
    assert_string_equal("60", running_job.params[0]);
    assert_string_equal("7", running_job.params[1]);
    assert_int_equal(123, running_job.deadline_ms);
    leat_trim_cancel(*state);
    assert_null(running_job.job);
    assert_int_equal(0, seen.n);
}

static void says_what_it_has_deleted(void **state)
{
    (void)state;
    static const char *const values[] = {"3", "17.9", "1000000"};
    fake_job_answer(1, 3, values);
    assert_int_equal(0, seen.err);
    assert_int_equal(3, seen.done.events);
    assert_int_equal(17, seen.done.backlog_s);
    assert_int_equal(1000000, seen.done.topics);
    assert_false(seen.done.full);
}

static void says_that_there_may_be_more(void **state)
{
    (void)state;
    static const char *const values[] = {"1000", "0", "1"};
    fake_job_answer(1, 3, values);
    assert_true(seen.done.full);
}

static void says_why_it_failed(void **state)
{
    (void)state;
    fake_job_fail(LEAT_EPG_SERVER, "42501");
    assert_int_equal(LEAT_EPG_SERVER, seen.err);
    assert_string_equal("refused", seen.why);
    assert_int_equal(0, seen.done.events);
}

static void fails_without_an_answer(void **state)
{
    (void)state;
    fake_job_fail(LEAT_EPG_LOST, "");
    assert_string_equal("lost", seen.why);
}

static void fails_without_a_row(void **state)
{
    (void)state;
    fake_job_answer(0, 3, NULL);
    assert_int_equal(LEAT_EBADMSG, seen.err);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        TEST(asks_within_its_deadline),    TEST(says_what_it_has_deleted),
        TEST(says_that_there_may_be_more), TEST(says_why_it_failed),
        TEST(fails_without_an_answer),     TEST(fails_without_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
