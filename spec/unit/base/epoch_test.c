/* epoch_test.c - one object a name, as long as something speaks of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/epoch.h"

static int set_up(void **state)
{
    static leat_map epochs;
    leat_map_init(&epochs);
    *state = &epochs;
    return 0;
}

static int tear_down(void **state)
{
    leat_map *epochs = *state;
    assert_int_equal(0, epochs->count);
    leat_map_close(epochs);
    return 0;
}

static void is_one_object_a_name(void **state)
{
    char name[] = "1-2";
    leat_epoch *a = leat_epoch_of(*state, leat_slice_of(name));
    name[0] = '9'; /* the name was copied */

    leat_epoch *b = leat_epoch_of(*state, leat_slice_of("1-2"));
    leat_epoch *c = leat_epoch_of(*state, leat_slice_of("9-2"));

    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_true(leat_slice_is(leat_epoch_text(a), "1-2"));
    leat_epoch_unref(a);
    leat_epoch_unref(b);
    leat_epoch_unref(c);
}

static void lasts_as_long_as_its_references(void **state)
{
    leat_map *epochs = *state;
    leat_epoch *e = leat_epoch_of(epochs, leat_slice_of("e"));
    leat_epoch_ref(e);
    leat_epoch_unref(e);
    assert_int_equal(1, epochs->count);
    leat_epoch_unref(e);
    assert_int_equal(0, epochs->count);
}

static void is_absent_where_there_is_none(void **state)
{
    (void)state;
    leat_epoch_unref(NULL);
    assert_null(leat_epoch_text(NULL).at);
}

static void may_be_empty(void **state)
{
    leat_epoch *e = leat_epoch_of(*state, (leat_slice){"", 0});
    assert_int_equal(0, leat_epoch_text(e).len);
    leat_epoch_unref(e);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(is_one_object_a_name),
        TEST(lasts_as_long_as_its_references),
        TEST(is_absent_where_there_is_none),
        TEST(may_be_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
