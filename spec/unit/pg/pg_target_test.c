#include "pg/pg_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TARGETS = 3 };

static const struct {
    const char *conninfo;
    size_t count;
    leat_pg_target at[MAX_TARGETS];
    bool is_name[MAX_TARGETS];
} table[] = {
    {"", 1, {{NULL, NULL, "5432"}}, {false}},
    {"host=db", 1, {{"db", NULL, "5432"}}, {true}},
    {"postgres://db/x", 1, {{"db", NULL, "5432"}}, {true}},
    {"postgres://u:p@10.0.0.1:99/x", 1, {{"10.0.0.1", NULL, "99"}}, {false}},
    {"postgres://[::1]/x", 1, {{"::1", NULL, "5432"}}, {false}},
    {"host=/run/pg", 1, {{"/run/pg", NULL, "5432"}}, {false}},
    {"host=@abstract", 1, {{"@abstract", NULL, "5432"}}, {false}},
    {"host=db hostaddr=10.0.0.1", 1, {{"db", "10.0.0.1", "5432"}}, {false}},
    {"postgres://a:1,b:2,/x",
     3,
     {{"a", NULL, "1"}, {"b", NULL, "2"}, {NULL, NULL, NULL}},
     {true, true, false}},
    {"host=a,b port=7", 2, {{"a", NULL, "7"}, {"b", NULL, "7"}}, {true, true}},
    {"host=a,b hostaddr=10.0.0.1,",
     2,
     {{"a", "10.0.0.1", "5432"}, {"b", NULL, "5432"}},
     {false, true}},
    {"host=a,b port=1,2,3", 1, {{"a,b", NULL, "1,2,3"}}, {false}},
    {"service=s", 1, {{NULL, NULL, NULL}}, {false}},
};

static void assert_text(const char *actual, const char *expected)
{
    if (expected == NULL)
        assert_null(actual);
    else
        assert_string_equal(actual, expected);
}

static void hosts_are_taken_apart(void **state)
{
    (void)state;
    unsetenv("PGHOST");
    unsetenv("PGHOSTADDR");
    unsetenv("PGPORT");
    unsetenv("PGSERVICE");
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        leat_pg_targets t;
        assert_int_equal(leat_pg_targets_parse(&t, table[i].conninfo), 0);
        assert_int_equal(t.count, table[i].count);
        assert_false(t.prefer_standby);
        for (size_t j = 0; j < t.count; j++) {
            const leat_pg_target *expected = &table[i].at[j];
            assert_text(t.at[j].host, expected->host);
            assert_text(t.at[j].hostaddr, expected->hostaddr);
            assert_text(t.at[j].port, expected->port);
            assert_int_equal(leat_pg_target_is_name(&t.at[j]), table[i].is_name[j]);
        }
        leat_pg_targets_close(&t);
    }
}

static void the_environment_fills_what_is_missing(void **state)
{
    (void)state;
    leat_pg_targets t;
    setenv("PGHOST", "envhost", 1);
    setenv("PGPORT", "6543", 1);

    assert_int_equal(leat_pg_targets_parse(&t, "dbname=x"), 0);
    assert_text(t.at[0].host, "envhost");
    assert_text(t.at[0].port, "6543");
    leat_pg_targets_close(&t);
    assert_int_equal(leat_pg_targets_parse(&t, "host=own port=1"), 0);
    assert_text(t.at[0].host, "own");
    assert_text(t.at[0].port, "1");
    leat_pg_targets_close(&t);

    unsetenv("PGHOST");
    unsetenv("PGPORT");
}

static void what_is_malformed_is_refused(void **state)
{
    (void)state;
    leat_pg_targets t;

    assert_int_equal(leat_pg_targets_parse(&t, "host"), LEAT_ECONFIG);
    leat_pg_targets_close(&t);
    assert_int_equal(leat_pg_targets_parse(&t, "postgres://a?nonsense=1"), LEAT_ECONFIG);
    leat_pg_targets_close(&t);
}

static void prefer_standby_is_noticed(void **state)
{
    (void)state;
    leat_pg_targets t;

    assert_int_equal(leat_pg_targets_parse(&t, "target_session_attrs=prefer-standby"), 0);

    assert_true(t.prefer_standby);
    leat_pg_targets_close(&t);
}

static const char *find(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL ? options->val : "";
    return NULL;
}

/* The socket's folder does not exist: the attempt fails at once, but its options can be seen. */
static void the_attempt_gets_one_host_and_no_options_of_ours(void **state)
{
    (void)state;
    leat_pg_targets t;
    assert_int_equal(leat_pg_targets_parse(&t, "host=/nonexistent/a,/nonexistent/b port=1,2 "
                                               "user=u application_name=mine options='-c a=b'"),
                     0);

    PGconn *pg = leat_pg_target_connect(&t, &t.at[1], NULL, "any", "fallback");

    PQconninfoOption *options = PQconninfo(pg);
    assert_string_equal(find(options, "host"), "/nonexistent/b");
    assert_string_equal(find(options, "port"), "2");
    assert_string_equal(find(options, "user"), "u");
    assert_string_equal(find(options, "application_name"), "mine");
    assert_string_equal(find(options, "fallback_application_name"), "fallback");
    assert_string_equal(find(options, "client_encoding"), "UTF8");
    assert_string_equal(find(options, "target_session_attrs"), "any");
    assert_string_equal(find(options, "options"), "-c a=b");
    PQconninfoFree(options);
    PQfinish(pg);
    leat_pg_targets_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_taken_apart),
        cmocka_unit_test(the_environment_fills_what_is_missing),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(prefer_standby_is_noticed),
        cmocka_unit_test(the_attempt_gets_one_host_and_no_options_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
