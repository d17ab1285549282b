/* line_test.c - the bytes on their way to a worker are bounded, and somebody tells of room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mail/line.h"

static int set_up(void **state)
{
    leat_line *l = calloc(1, sizeof(*l));
    leat_line_init(l, NULL, NULL, 100);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void takes_as_much_as_it_may(void **state)
{
    leat_line *l = *state;
    assert_true(leat_line_reserve(l, 60));
    assert_true(leat_line_reserve(l, 40));
    assert_false(leat_line_reserve(l, 1));
}

static void takes_one_that_is_larger_than_the_bound(void **state)
{
    leat_line *l = *state;
    assert_true(leat_line_reserve(l, 1000));
    assert_false(leat_line_reserve(l, 1));
    assert_false(leat_line_release(l, 1000));
    assert_true(leat_line_reserve(l, 1));
}

static void counts_nothing_that_it_refuses(void **state)
{
    leat_line *l = *state;
    assert_true(leat_line_reserve(l, 60));
    assert_false(leat_line_reserve(l, 41));
    assert_true(leat_line_reserve(l, 40));
}

static void tells_once_when_half_of_it_is_free(void **state)
{
    leat_line *l = *state;
    for (int i = 0; i < 10; i++)
        assert_true(leat_line_reserve(l, 10));
    assert_true(leat_line_await_room(l));
    for (int i = 0; i < 4; i++)
        assert_false(leat_line_release(l, 10));
    assert_true(leat_line_release(l, 10));
    assert_false(leat_line_release(l, 10));
}

static void tells_nobody_who_does_not_await_it(void **state)
{
    leat_line *l = *state;
    assert_true(leat_line_reserve(l, 100));
    assert_false(leat_line_release(l, 100));
}

/* Between the refusal and leat_line_await_room the worker has taken what was on its way. */
static void says_that_there_is_room_already(void **state)
{
    leat_line *l = *state;
    assert_true(leat_line_reserve(l, 100));
    assert_false(leat_line_reserve(l, 1));
    assert_false(leat_line_release(l, 60));
    assert_false(leat_line_await_room(l));
    assert_false(leat_line_release(l, 40));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(takes_as_much_as_it_may),
        TEST(takes_one_that_is_larger_than_the_bound),
        TEST(counts_nothing_that_it_refuses),
        TEST(tells_once_when_half_of_it_is_free),
        TEST(tells_nobody_who_does_not_await_it),
        TEST(says_that_there_is_room_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
