#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void callocs_zeroed_memory(void **state)
{
    (void)state;

    char *p = leat_calloc(3, 5);

    for (int i = 0; i < 15; i++)
        assert_int_equal(p[i], 0);
    free(p);
}

static void never_returns_null_for_size_zero(void **state)
{
    (void)state;

    void *none = leat_calloc(0, 8);
    void *some = leat_realloc(NULL, 10);
    some = leat_realloc(some, 0);

    assert_non_null(none);
    assert_non_null(some);
    free(none);
    free(some);
}

static void terminates_its_copies(void **state)
{
    (void)state;

    char *part = leat_memdup("abcdef", 3);
    char *nothing = leat_memdup(NULL, 0);
    char *text = leat_strdup("text");

    assert_string_equal(part, "abc");
    assert_string_equal(nothing, "");
    assert_string_equal(text, "text");
    free(part);
    free(nothing);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callocs_zeroed_memory),
        cmocka_unit_test(never_returns_null_for_size_zero),
        cmocka_unit_test(terminates_its_copies),
    };
    return cmocka_run_group_tests_name("base/mem", tests, NULL, NULL);
}
