#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pg/pg_conn.h"
#include "pg_fixture.h"

/* Every statement runs on one connection whose session would, by itself, write other formats. */
struct session {
    pg_fixture *f;
    leat_pg_conn *conn;
    int opened;
    int open_err;
    int answers;
    int err;
    char text[128];
    char conninfo[1024];
};

static void on_conn(leat_pg_conn *c, int err, void *arg)
{
    (void)c;
    struct session *s = arg;
    s->opened++;
    s->open_err = err;
}

static void on_answer(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct session *s = q->data;
    s->answers++;
    s->err = err;
    s->text[0] = '\0';
    if (res != NULL && leat_pg_result_rows(res) > 0)
        snprintf(s->text, sizeof(s->text), "%s", leat_pg_result_value(res, 0, 0).at);
}

static void open_session(struct session *s, void **state)
{
    *s = (struct session){.f = pg_fixture_use(state)};
    snprintf(s->conninfo, sizeof(s->conninfo),
             "%s options='-c bytea_output=escape -c IntervalStyle=iso_8601 -c DateStyle=German"
             " -c jit=on'",
             pg_fixture_conninfo(s->f, "", "", PQdb(s->f->admin)));
    s->f->options.conninfo = s->conninfo;
    assert_int_equal(
        leat_pg_conn_open(&s->conn, s->f->loop, s->f->metrics, &s->f->options, on_conn, s), 0);
    RUN_UNTIL(s->f, s->opened == 1);
    if (s->open_err != 0)
        fail_msg("%s", leat_pg_conn_error(s->conn));
}

static int ask(struct session *s, const char *sql, const leat_pg_param *params, int n_params)
{
    leat_pg_query q = {.data = s};
    int before = s->answers;
    assert_int_equal(leat_pg_conn_query(s->conn, &q, sql, params, n_params,
                                        leat_loop_now(s->f->loop) + 5000, on_answer),
                     0);
    RUN_UNTIL(s->f, s->answers > before);
    return s->err;
}

static void run(struct session *s, const char *sql)
{
    assert_int_equal(ask(s, sql, NULL, 0), 0);
}

static void assert_formats(struct session *s)
{
    run(s, "select concat_ws('|', timestamp '2001-02-03 04:05:06', interval '1 day', "
           "'\\x41'::bytea, current_setting('jit'))");
    assert_string_equal(s->text, "2001-02-03 04:05:06|1 day|\\x41|off");
}

static void the_first_query_finds_them(void **state)
{
    struct session s;
    open_session(&s, state);

    assert_formats(&s);

    leat_pg_conn_close(s.conn);
}

static void they_are_set_again_after_whatever_undoes_them(void **state)
{
    static const char *const undoings[] = {
        "reset all",
        "discard all",
        "reset bytea_output",
        "set intervalstyle = iso_8601",
        "set jit = on",
        "do $$ begin reset all; end $$",
        "select set_config('DateStyle', 'SQL', false)",
        "select set_config('IntervalStyle', 'iso_8601', false)",
    };
    struct session s;
    open_session(&s, state);

    for (size_t i = 0; i < sizeof(undoings) / sizeof(undoings[0]); i++) {
        run(&s, undoings[i]);
        assert_formats(&s);
    }

    leat_pg_conn_close(s.conn);
}

static void a_zone_that_a_function_sets_does_not_stay(void **state)
{
    struct session s;
    open_session(&s, state);

    run(&s, "select set_config('TimeZone', 'Europe/Berlin', false)");
    run(&s, "select current_setting('TimeZone')");
    assert_string_equal(s.text, "UTC");

    leat_pg_conn_close(s.conn);
}

static void a_transaction_cannot_lose_them(void **state)
{
    struct session s;
    open_session(&s, state);

    run(&s, "begin");
    run(&s, "reset all");
    assert_formats(&s);
    run(&s, "rollback");
    assert_formats(&s);

    run(&s, "reset all");
    run(&s, "begin");
    run(&s, "savepoint a");
    run(&s, "reset all");
    run(&s, "rollback to a");
    assert_formats(&s);
    run(&s, "commit");
    assert_formats(&s);

    leat_pg_conn_close(s.conn);
}

static void a_failed_transaction_ends_as_it_should(void **state)
{
    struct session s;
    open_session(&s, state);

    run(&s, "begin");
    run(&s, "reset all");
    assert_int_equal(ask(&s, "select 1 / 0", NULL, 0), LEAT_EPG_SERVER);
    assert_int_equal(ask(&s, "select 1", NULL, 0), LEAT_EPG_SERVER);
    run(&s, "rollback");
    assert_formats(&s);

    leat_pg_conn_close(s.conn);
}

static void without_statements_nothing_is_prepared(void **state)
{
    struct session s;
    pg_fixture_use(state)->options.max_statements = 0;
    open_session(&s, state);
    leat_pg_param params[] = {{"4", 1}, {NULL, 0}, {"two", 3}};

    assert_int_equal(ask(&s, "select concat_ws('|', $1::int + 1, $2::text, $3::text)", params, 3),
                     0);
    assert_string_equal(s.text, "5|two");
    run(&s, "select count(*) from pg_prepared_statements");
    assert_string_equal(s.text, "0");

    leat_pg_conn_close(s.conn);
}

#define PG_TEST(t) cmocka_unit_test_setup_teardown(t, pg_fixture_open, pg_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(the_first_query_finds_them),
        PG_TEST(they_are_set_again_after_whatever_undoes_them),
        PG_TEST(a_zone_that_a_function_sets_does_not_stay),
        PG_TEST(a_transaction_cannot_lose_them),
        PG_TEST(a_failed_transaction_ends_as_it_should),
        PG_TEST(without_statements_nothing_is_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
