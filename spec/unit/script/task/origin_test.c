#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "script/task/origin.h"

/* A task whose request had that body. */
static leat_task make_task(const char *body, size_t len)
{
    leat_task t = {.id = 1};
    leat_task_give(&t, LEAT_TASK_BODY, (leat_slice){body, len});
    return t;
}

static bool is_client(const char *body, const char *value)
{
    leat_task t = make_task(body, strlen(body));
    bool found = leat_origin_is_client(&t, leat_slice_of(value));
    leat_buf_close(&t.input.bytes);
    return found;
}

static void a_value_is_told_by_its_bounds(void **state)
{
    (void)state;
    assert_true(is_client("{\"id\":\"x7\"}", "x7"));
    assert_true(is_client("id=x7&n=1", "x7"));
    assert_false(is_client("id=x77&n=1", "x7"));
    assert_true(is_client("x77 x7", "x7"));
    assert_true(is_client("xx7 x7", "x7"));
    assert_true(is_client("[1e300]", "1e+300"));
    assert_false(is_client("[1]", "2"));
}

static uint64_t cpu_ms(void)
{
    return (uint64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

/* The value occurs in the body at each of some hundred thousand places, always as part of a longer
 * word. */
static void a_value_that_recurs_costs_little(void **state)
{
    (void)state;
    enum { BODY = 256 << 10, VALUE = 64 << 10 };
    char *letters = test_malloc(BODY);
    memset(letters, 'a', BODY);
    leat_task t = make_task(letters, BODY);

    uint64_t began_ms = cpu_ms();
    bool found = leat_origin_is_client(&t, (leat_slice){letters, VALUE});
    uint64_t took_ms = cpu_ms() - began_ms;

    assert_false(found);
    assert_in_range(took_ms, 0, 1000);
    leat_buf_close(&t.input.bytes);
    test_free(letters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_told_by_its_bounds),
        cmocka_unit_test(a_value_that_recurs_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
