/* tally_test.c - a tally counts each text by itself, up to its bound, and tells the largest first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/tally.h"

static void counts_each_text_by_itself(void **state)
{
    (void)state;
    leat_tally t;
    leat_tally_init(&t, 10);
    leat_tally_entry *a = leat_tally_find(&t, "select 1");
    leat_tally_add(a, 30, false);
    leat_tally_add(a, 20, true);
    leat_tally_add(leat_tally_find(&t, "select 2"), 10, false);

    assert_ptr_equal(a, leat_tally_find(&t, "select 1"));
    assert_string_equal("select 1", a->text);
    assert_int_equal(2, a->count);
    assert_int_equal(1, a->errors);
    assert_int_equal(50, a->total_ns);
    assert_int_equal(30, a->longest_ns);
    leat_tally_close(&t);
}

static void tells_the_largest_first(void **state)
{
    (void)state;
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    static const uint64_t times[] = {3, 5, 1, 4, 2};
    const leat_tally_entry *first[3];
    leat_tally t;
    leat_tally_init(&t, 10);
    for (int i = 0; i < 5; i++)
        leat_tally_add(leat_tally_find(&t, texts[i]), times[i], false);

    assert_int_equal(3, leat_tally_first(&t, first, 3));
    assert_string_equal("b", first[0]->text);
    assert_string_equal("d", first[1]->text);
    assert_string_equal("a", first[2]->text);
    leat_tally_close(&t);
}

static void counts_together_what_is_beyond_its_bound(void **state)
{
    (void)state;
    const leat_tally_entry *first[5];
    leat_tally t;
    leat_tally_init(&t, 2);
    leat_tally_add(leat_tally_find(&t, "a"), 1, false);
    leat_tally_add(leat_tally_find(&t, "b"), 2, false);
    leat_tally_add(leat_tally_find(&t, "c"), 3, false);
    leat_tally_add(leat_tally_find(&t, "d"), 4, false);
    leat_tally_add(leat_tally_find(&t, "a"), 1, false);

    assert_int_equal(3, leat_tally_first(&t, first, 5));
    assert_string_equal("(others)", first[0]->text);
    assert_int_equal(2, first[0]->count);
    assert_int_equal(7, first[0]->total_ns);
    leat_tally_close(&t);
}

static void looks_at_the_beginning_of_a_long_text(void **state)
{
    (void)state;
    char text[LEAT_TALLY_TEXT + 100];
    leat_tally t;
    leat_tally_init(&t, 2);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    leat_tally_entry *e = leat_tally_find(&t, text);
    text[LEAT_TALLY_TEXT + 1] = 'y';

    assert_int_equal(LEAT_TALLY_TEXT, strlen(e->text));
    assert_ptr_equal(e, leat_tally_find(&t, text));
    leat_tally_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_each_text_by_itself),
        cmocka_unit_test(tells_the_largest_first),
        cmocka_unit_test(counts_together_what_is_beyond_its_bound),
        cmocka_unit_test(looks_at_the_beginning_of_a_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
