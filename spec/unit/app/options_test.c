/* options: the command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "app/options.h"

#define MAX_ARGS 8

static int parse(leat_options *out, const char *const *args, leat_buf *error)
{
    char *argv[MAX_ARGS + 1] = {(char *)(uintptr_t) "leat"};
    int argc = 1;
    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    return leat_options_parse(out, argc, argv, error);
}

static void test_both_ways_to_give_a_value(void **state)
{
    (void)state;
    leat_buf error = LEAT_BUF_INIT;
    leat_options o;
    const char *const args[] = {"serve",  "--config", "a.lua", "--listen=127.0.0.1:0",
                                "--app=", NULL};

    assert_int_equal(parse(&o, args, &error), 0);

    assert_int_equal(o.command, LEAT_OPTIONS_SERVE);
    assert_string_equal(o.config, "a.lua");
    assert_string_equal(o.listen, "127.0.0.1:0");
    assert_string_equal(o.app, "");
    assert_null(o.database);
    assert_false(o.help);
}

static void test_commands(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        leat_options_command command;
    } cases[] = {
        {"serve", LEAT_OPTIONS_SERVE},       {"migrate", LEAT_OPTIONS_MIGRATE},
        {"check", LEAT_OPTIONS_CHECK},       {"version", LEAT_OPTIONS_VERSION},
        {"--version", LEAT_OPTIONS_VERSION}, {"help", LEAT_OPTIONS_HELP},
        {"--help", LEAT_OPTIONS_HELP},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_buf error = LEAT_BUF_INIT;
        leat_options o;
        const char *const args[] = {cases[i].name, NULL};
        assert_int_equal(parse(&o, args, &error), 0);
        assert_int_equal(o.command, cases[i].command);
    }
}

static void test_help_of_a_command(void **state)
{
    (void)state;
    leat_buf error = LEAT_BUF_INIT;
    leat_options o;
    const char *const args[] = {"serve", "--help", NULL};
    assert_int_equal(parse(&o, args, &error), 0);
    assert_true(o.help);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {NULL, NULL, NULL, "a command is missing"},
        {"dance", NULL, NULL, "unknown command dance"},
        {"serve", "--port", NULL, "unknown option --port"},
        {"serve", "--listening=1", NULL, "unknown option --listening=1"},
        {"serve", "file.lua", NULL, "unknown option file.lua"},
        {"serve", "--config", NULL, "--config: expected a value"},
        {"migrate", "--listen=x", NULL, "unknown option --listen=x for leat migrate"},
        {"version", "--app=x", NULL, "unknown option --app=x"},
        {"serve", "--grant-server=x", NULL, "unknown option --grant-server=x"},
        {"migrate", "--grant-publisher", NULL, "--grant-publisher: expected a value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        leat_buf error = LEAT_BUF_INIT;
        leat_options o;
        assert_int_equal(parse(&o, cases[i], &error), LEAT_ECONFIG);
        leat_buf_char(&error, '\0');
        assert_non_null(strstr(error.at, cases[i][3]));
        leat_buf_close(&error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_to_give_a_value),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_help_of_a_command),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
