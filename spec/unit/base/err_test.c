#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_its_own_errors_only(void **state)
{
    (void)state;

    assert_string_equal(leat_err_name(LEAT_EDEADLINE), "deadline passed");
    assert_null(leat_err_name(-1));
    assert_null(leat_err_name(LEAT_E_LAST));
}

static void names_every_leat_error(void **state)
{
    (void)state;

    for (int err = LEAT_ENOMEM; err <= LEAT_EBUDGET; err++)
        assert_non_null(leat_err_name(err));
}

static void parses_every_code_it_names(void **state)
{
    (void)state;

    for (unsigned i = LEAT_CODE_BAD_REQUEST; i < LEAT_CODE_REVOKED; i++) {
        leat_code code = LEAT_CODE_OK;
        assert_int_equal(leat_code_parse(&code, leat_code_name((leat_code)i)), 0);
        assert_int_equal(code, i);
    }
}

static void refuses_what_is_no_error_code(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "ok", "revoked", "Forbidden", "forbidden "};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        leat_code code = LEAT_CODE_LIMIT;
        assert_int_equal(leat_code_parse(&code, wrong[i]), LEAT_EBADMSG);
        assert_int_equal(code, LEAT_CODE_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_its_own_errors_only),
        cmocka_unit_test(names_every_leat_error),
        cmocka_unit_test(parses_every_code_it_names),
        cmocka_unit_test(refuses_what_is_no_error_code),
    };
    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
