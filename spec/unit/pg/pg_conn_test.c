#include "pg/pg_conn.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <poll.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "base/mem.h"
#include "pg/pg_conn_private.h"
#include "pg_fixture.h"

enum { MAX_ANSWERS = 64, MAX_TEXT = 64 };

/* What came back, in the order in which it came. */
struct log {
    int count;
    int errs[MAX_ANSWERS];
    char texts[MAX_ANSWERS][MAX_TEXT]; /* the first value, or the SQLSTATE */
    void *data[MAX_ANSWERS];
};

struct conn {
    leat_pg_conn *pg;
    int events;
    int err; /* of the last */
    int cleaned;
    int clean_err;
    struct log log;
};

static struct conn *owner_of(const leat_pg_query *q)
{
    return q->data;
}

static void on_conn(leat_pg_conn *c, int err, void *arg)
{
    (void)c;
    struct conn *conn = arg;
    conn->events++;
    conn->err = err;
}

static void on_result(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct log *log = &owner_of(q)->log;
    assert_false(leat_pg_query_pending(q));
    assert_true(log->count < MAX_ANSWERS);
    assert_true((res != NULL) == (err == 0 || err == LEAT_EPG_SERVER));
    log->errs[log->count] = err;
    log->data[log->count] = q;
    if (err == LEAT_EPG_SERVER)
        snprintf(log->texts[log->count], MAX_TEXT, "%s", leat_pg_result_sqlstate(res));
    else if (err == 0 && leat_pg_result_rows(res) > 0)
        snprintf(log->texts[log->count], MAX_TEXT, "%s", leat_pg_result_value(res, 0, 0).at);
    log->count++;
}

static void open_conn(pg_fixture *f, struct conn *c)
{
    *c = (struct conn){0};
    assert_int_equal(leat_pg_conn_open(&c->pg, f->loop, f->metrics, &f->options, on_conn, c), 0);
    assert_int_equal(c->events, 0);
    RUN_UNTIL(f, c->events == 1);
}

static void open_ready(pg_fixture *f, struct conn *c)
{
    open_conn(f, c);
    if (c->err != 0)
        fail_msg("%s", leat_pg_conn_error(c->pg));
    assert_true(leat_pg_conn_idle(c->pg));
}

static void query_by(pg_fixture *f, struct conn *c, leat_pg_query *q, const char *sql,
                     uint64_t timeout_ms)
{
    q->data = c;
    assert_int_equal(
        leat_pg_conn_query(c->pg, q, sql, NULL, 0, leat_loop_now(f->loop) + timeout_ms, on_result),
        0);
    assert_true(leat_pg_query_pending(q));
}

static void query(pg_fixture *f, struct conn *c, leat_pg_query *q, const char *sql)
{
    query_by(f, c, q, sql, 5000);
}

/* Runs one query to its end and returns its error; its text is the last in the log. */
static int run(pg_fixture *f, struct conn *c, const char *sql)
{
    leat_pg_query q = {0};
    int before = c->log.count;
    query(f, c, &q, sql);
    RUN_UNTIL(f, c->log.count > before);
    return c->log.errs[before];
}

static const char *last_text(const struct conn *c)
{
    return c->log.texts[c->log.count - 1];
}

static void on_cleaned(leat_pg_conn *pg, int err, void *arg)
{
    struct conn *c = arg;
    (void)pg;
    c->cleaned++;
    c->clean_err = err;
}

static void clean(pg_fixture *f, struct conn *c, uint64_t timeout_ms)
{
    c->cleaned = 0;
    leat_pg_conn_clean(c->pg, leat_loop_now(f->loop) + timeout_ms, on_cleaned, c);
    assert_int_equal(c->cleaned, 0);
    RUN_UNTIL(f, c->cleaned == 1);
}

static void it_connects_and_answers(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    assert_string_equal(leat_pg_conn_error(c.pg), "");
    assert_int_equal(pg_fixture_backend_exists(f, leat_pg_conn_backend_pid(c.pg)), 1);

    assert_int_equal(run(f, &c, "select 40 + 2"), 0);

    assert_string_equal(last_text(&c), "42");
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void settings_do_not_depend_on_the_server_s(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);

    assert_int_equal(run(f, &c, "reset all"), 0);
    assert_int_equal(run(f, &c,
                         "select concat_ws(' ', current_setting('client_encoding'), "
                         "timestamp '2001-02-03 04:05:06', '\\x41'::bytea, "
                         "current_setting('application_name'))"),
                     0);

    assert_string_equal(last_text(&c), "UTF8 2001-02-03 04:05:06 \\x41 leat-unit");
    leat_pg_conn_close(c.pg);
}

static void a_refused_connection_says_why_in_one_line(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    char conninfo[64] = "host=127.0.0.1 port=1 password=swordfish";
    f->options.conninfo = conninfo;

    open_conn(f, &c);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_true(leat_pg_conn_broken(c.pg));
    const char *error = leat_pg_conn_error(c.pg);
    assert_non_null(strstr(error, "127.0.0.1"));
    assert_null(strchr(error, '\n'));
    assert_null(strstr(error, "swordfish"));
    leat_pg_query q = {0};
    assert_int_equal(leat_pg_conn_query(c.pg, &q, "select 1", NULL, 0, 1, on_result),
                     LEAT_EPG_LOST);
    leat_pg_conn_close(c.pg);
}

static void a_malformed_connection_string_is_not_repeated(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    f->options.conninfo = "host=x swordfish";

    open_conn(f, &c);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_null(strstr(leat_pg_conn_error(c.pg), "swordfish"));
    leat_pg_conn_close(c.pg);
}

static void a_name_that_does_not_exist_fails(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    f->options.conninfo = "host=does-not-exist.invalid";

    open_conn(f, &c);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_non_null(strstr(leat_pg_conn_error(c.pg), "does-not-exist.invalid"));
    leat_pg_conn_close(c.pg);
}

static void closing_while_it_looks_a_name_up_leaves_nothing(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c = {0};
    f->options.conninfo = "host=does-not-exist.invalid";
    assert_int_equal(leat_pg_conn_open(&c.pg, f->loop, f->metrics, &f->options, on_conn, &c), 0);
    uv_run(&f->uv, UV_RUN_NOWAIT);

    leat_pg_conn_close(c.pg);
    uv_run(&f->uv, UV_RUN_NOWAIT);

    assert_int_equal(c.events, 0);
}

static void on_connection(uv_stream_t *server, int status)
{
    (void)server;
    (void)status;
}

/* A socket that takes connections and never says a word. */
static int listen_mutely(uv_tcp_t *tcp, uv_loop_t *uv)
{
    struct sockaddr_storage addr;
    int len = sizeof(addr);
    uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&addr);
    assert_int_equal(uv_tcp_init(uv, tcp), 0);
    assert_int_equal(uv_tcp_bind(tcp, (struct sockaddr *)&addr, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)tcp, 8, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(tcp, (struct sockaddr *)&addr, &len), 0);
    return ntohs(((struct sockaddr_in *)&addr)->sin_port);
}

static void a_host_that_never_answers_gives_way_to_the_next(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    static uv_tcp_t mute; /* its closing ends after this function */
    char port[16];
    snprintf(port, sizeof(port), "%d,", listen_mutely(&mute, &f->uv));
    f->options.conninfo = pg_fixture_conninfo(f, "127.0.0.1,", port, PQdb(f->admin));
    f->options.connect_timeout_ms = 150;

    open_ready(f, &c);

    assert_int_equal(run(f, &c, "select 1"), 0);
    leat_pg_conn_close(c.pg);
    uv_close((uv_handle_t *)&mute, NULL);
}

static void a_server_that_never_answers_times_out(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    static uv_tcp_t mute; /* its closing ends after this function */
    char conninfo[64];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%d", listen_mutely(&mute, &f->uv));
    f->options.conninfo = conninfo;
    f->options.connect_timeout_ms = 100;

    open_conn(f, &c);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_non_null(strstr(leat_pg_conn_error(c.pg), "in time"));
    leat_pg_conn_close(c.pg);
    uv_close((uv_handle_t *)&mute, NULL);
}

static void prefer_standby_takes_a_primary_if_there_is_no_other(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    char conninfo[600];
    snprintf(conninfo, sizeof(conninfo), "%s target_session_attrs=prefer-standby",
             pg_fixture_conninfo(f, "", "", PQdb(f->admin)));
    f->options.conninfo = conninfo;

    open_ready(f, &c);

    leat_pg_conn_close(c.pg);
}

static void queries_run_in_order_and_errors_stay_alone(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[5] = {0};
    static const char *sql[5] = {"select 'a'", "select 1/0", "select 'b'", "selec 'typo'",
                                 "select 'c'"};
    for (int i = 0; i < 5; i++)
        query(f, &c, &q[i], sql[i]);
    assert_false(leat_pg_conn_idle(c.pg));

    RUN_UNTIL(f, c.log.count == 5);

    static const char *expected[5] = {"a", "22012", "b", "42601", "c"};
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(c.log.data[i], &q[i]);
        assert_string_equal(c.log.texts[i], expected[i]);
    }
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void an_error_in_a_transaction_fails_the_rest_of_it(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[4] = {0};
    static const char *sql[4] = {"begin", "select 1/0", "select 'b'", "rollback"};
    for (int i = 0; i < 4; i++)
        query(f, &c, &q[i], sql[i]);

    RUN_UNTIL(f, c.log.count == 4);

    assert_int_equal(c.log.errs[0], 0);
    assert_string_equal(c.log.texts[1], "22012");
    assert_string_equal(c.log.texts[2], "25P02");
    assert_int_equal(c.log.errs[3], 0);
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void lead(pg_fixture *f, struct conn *c, leat_pg_query *q, const char *sql)
{
    query(f, c, q, sql);
    leat_pg_conn_lead_on(q);
}

static void queries_that_lead_on_are_answered_in_order(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[4] = {0};

    for (int round = 1; round <= 2; round++) { /* the statements are prepared in the first */
        lead(f, &c, &q[0], "begin");
        lead(f, &c, &q[1], "select 'a'");
        query(f, &c, &q[2], "select 'b'");
        lead(f, &c, &q[3], "commit"); /* nothing follows it */
        RUN_UNTIL(f, c.log.count == 4 * round);
    }

    assert_string_equal(c.log.texts[1], "a");
    assert_string_equal(c.log.texts[2], "b");
    assert_string_equal(c.log.texts[5], "a");
    assert_string_equal(c.log.texts[6], "b");
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(c.log.data[i], &q[i % 4]);
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void what_a_failed_query_leads_on_to_fails_too(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[4] = {0};

    for (int round = 1; round <= 2; round++) {
        lead(f, &c, &q[0], "select 'a'");
        lead(f, &c, &q[1], "select 1/0");
        query(f, &c, &q[2], "select 'b'");
        query(f, &c, &q[3], "select 'c'");
        RUN_UNTIL(f, c.log.count == 4 * round);
    }

    for (int i = 0; i < 8; i += 4) {
        assert_string_equal(c.log.texts[i], "a");
        assert_string_equal(c.log.texts[i + 1], "22012");
        assert_int_equal(c.log.errs[i + 2], LEAT_EPG_SERVER);
        assert_string_equal(c.log.texts[i + 2], "");
        assert_string_equal(c.log.texts[i + 3], "c");
    }
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void on_typed_result(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct conn *c = owner_of(q);
    assert_int_equal(err, 0);
    assert_int_equal(leat_pg_result_rows(res), 1);
    assert_int_equal(leat_pg_result_columns(res), 3);
    assert_string_equal(leat_pg_result_column_name(res, 0), "big");
    assert_int_equal(leat_pg_result_column_type(res, 0), 20);
    assert_true(leat_slice_is(leat_pg_result_value(res, 0, 0), "9007199254740993"));
    assert_false(leat_pg_result_is_null(res, 0, 0));
    assert_true(leat_pg_result_is_null(res, 0, 1));
    assert_null(leat_pg_result_value(res, 0, 1).at);
    assert_true(leat_slice_is(leat_pg_result_value(res, 0, 2), "\xf0\x9f\x8c\x8a"));
    c->log.count++;
}

static void values_come_back_exactly(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q = {.data = &c};
    /* Neither is terminated where it ends. */
    const leat_pg_param params[3] = {
        {"90071992547409931", 16}, {NULL, 0}, {"\xf0\x9f\x8c\x8a!", 4}};
    assert_int_equal(leat_pg_conn_query(c.pg, &q,
                                        "select $1::int8 as big, $2::text as nothing, $3::text",
                                        params, 3, leat_loop_now(f->loop) + 5000, on_typed_result),
                     0);

    RUN_UNTIL(f, c.log.count == 1);

    leat_pg_conn_close(c.pg);
}

static void a_parameter_with_a_zero_byte_is_refused(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q = {.data = &c};
    const leat_pg_param param = {"a\0b", 3};

    assert_int_equal(leat_pg_conn_query(c.pg, &q, "select $1::text", &param, 1,
                                        leat_loop_now(f->loop) + 5000, on_result),
                     LEAT_EBADMSG);

    assert_false(leat_pg_query_pending(&q));
    leat_pg_conn_close(c.pg);
}

static void on_kept_result(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct conn *c = owner_of(q);
    assert_int_equal(err, 0);
    c->log.data[c->log.count++] = leat_pg_result_keep(res);
}

static void a_result_of_five_megabytes_can_be_kept(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q = {.data = &c};
    char *text = leat_calloc(1, 5000000);
    memset(text, 'x', 5000000);
    const leat_pg_param param = {text, 5000000};
    assert_int_equal(leat_pg_conn_query(c.pg, &q, "select $1::text", &param, 1,
                                        leat_loop_now(f->loop) + 5000, on_kept_result),
                     0);
    free(text);

    RUN_UNTIL(f, c.log.count == 1);
    leat_pg_conn_close(c.pg);

    leat_pg_result *res = c.log.data[0];
    assert_int_equal(leat_pg_result_value(res, 0, 0).len, 5000000);
    assert_int_equal(leat_pg_result_value(res, 0, 0).at[4999999], 'x');
    leat_pg_result_free(res);
}

static void a_result_over_the_limit_fails_alone(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    f->options.max_result_bytes = 100000;
    open_ready(f, &c);

    assert_int_equal(run(f, &c, "select repeat('x', 200000)"), LEAT_ETOOLARGE);
    assert_int_equal(run(f, &c, "select repeat('x', 20000)"), 0);

    leat_pg_conn_close(c.pg);
}

static void on_affected(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct conn *c = owner_of(q);
    assert_int_equal(err, 0);
    c->log.errs[c->log.count++] = (int)leat_pg_result_affected(res);
}

static void a_command_says_how_many_rows_it_changed(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q = {.data = &c};
    assert_int_equal(run(f, &c, "create temporary table t (n int)"), 0);
    c.log.count = 0;

    assert_int_equal(leat_pg_conn_query(c.pg, &q, "insert into t select generate_series(1, 7)",
                                        NULL, 0, leat_loop_now(f->loop) + 5000, on_affected),
                     0);
    RUN_UNTIL(f, c.log.count == 1);

    assert_int_equal(c.log.errs[0], 7);
    leat_pg_conn_close(c.pg);
}

static void copy_ends_the_connection_and_nothing_else(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);

    assert_int_equal(run(f, &c, "copy (select 1) to stdout"), LEAT_EPG_LOST);

    assert_true(leat_pg_conn_broken(c.pg));
    assert_non_null(strstr(leat_pg_conn_error(c.pg), "COPY"));
    leat_pg_conn_close(c.pg);
}

static void copy_from_the_client_ends_it_too(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    int pid = leat_pg_conn_backend_pid(c.pg);
    assert_int_equal(run(f, &c, "create temporary table t (n int)"), 0);

    assert_int_equal(run(f, &c, "copy t from stdin"), LEAT_EPG_LOST);

    leat_pg_conn_close(c.pg);
    RUN_UNTIL(f, pg_fixture_backend_exists(f, pid) == 0);
}

static void statements_are_prepared_once_and_the_oldest_go(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    f->options.max_statements = 3;
    open_ready(f, &c);
    static const char *const count = "select count(*) from pg_prepared_statements";
    char sql[32];

    for (int i = 0; i < 10; i++) {
        snprintf(sql, sizeof(sql), "select %d", i % 2);
        assert_int_equal(run(f, &c, sql), 0);
    }
    assert_int_equal(run(f, &c, count), 0);
    assert_string_equal(last_text(&c), "3");

    for (int i = 0; i < 20; i++) {
        snprintf(sql, sizeof(sql), "select %d", i);
        assert_int_equal(run(f, &c, sql), 0);
    }
    assert_int_equal(run(f, &c, count), 0);
    assert_int_equal(run(f, &c, count), 0);
    assert_string_equal(last_text(&c), "3");
    leat_pg_conn_close(c.pg);
}

static void statements_may_be_evicted_while_they_are_in_flight(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    f->options.max_statements = 2;
    open_ready(f, &c);
    leat_pg_query q[40] = {0};
    char sql[32];

    for (int i = 0; i < 40; i++) {
        snprintf(sql, sizeof(sql), "select %d", i % 5);
        query(f, &c, &q[i], sql);
    }
    RUN_UNTIL(f, c.log.count == 40);

    for (int i = 0; i < 40; i++) {
        assert_int_equal(c.log.errs[i], 0);
        assert_int_equal(atoi(c.log.texts[i]), i % 5);
    }
    leat_pg_conn_close(c.pg);
}

static void a_statement_out_of_date_is_prepared_again(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    assert_int_equal(run(f, &c, "create temporary table t as select 1 as a"), 0);
    assert_int_equal(run(f, &c, "select * from t"), 0);

    assert_int_equal(run(f, &c, "alter table t alter a type text using 'changed'"), 0);
    assert_int_equal(run(f, &c, "select * from t"), 0);
    assert_string_equal(last_text(&c), "changed");

    assert_int_equal(run(f, &c, "deallocate all"), 0);
    assert_int_equal(run(f, &c, "select * from t"), 0);
    assert_string_equal(last_text(&c), "changed");
    leat_pg_conn_close(c.pg);
}

static void in_a_transaction_a_statement_out_of_date_fails_once(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    assert_int_equal(run(f, &c, "create temporary table t as select 1 as a"), 0);
    assert_int_equal(run(f, &c, "select * from t"), 0);
    assert_int_equal(run(f, &c, "alter table t alter a type text using 'changed'"), 0);

    assert_int_equal(run(f, &c, "begin"), 0);
    assert_int_equal(run(f, &c, "select * from t"), LEAT_EPG_SERVER);
    assert_string_equal(last_text(&c), "0A000");
    assert_int_equal(run(f, &c, "rollback"), 0);

    assert_int_equal(run(f, &c, "begin"), 0);
    assert_int_equal(run(f, &c, "select * from t"), 0);
    assert_int_equal(run(f, &c, "rollback"), 0);
    leat_pg_conn_close(c.pg);
}

static void a_statement_that_failed_to_prepare_is_tried_anew(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);

    assert_int_equal(run(f, &c, "select * from not_yet"), LEAT_EPG_SERVER);
    assert_string_equal(last_text(&c), "42P01");
    assert_int_equal(run(f, &c, "create temporary table not_yet as select 'now' as a"), 0);
    assert_int_equal(run(f, &c, "select * from not_yet"), 0);

    assert_string_equal(last_text(&c), "now");
    leat_pg_conn_close(c.pg);
}

static void a_deadline_answers_at_once_and_cleaning_cancels(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q = {0};
    query_by(f, &c, &q, "select pg_sleep(60)", 100);
    uint64_t began_ms = leat_loop_now(f->loop);

    RUN_UNTIL(f, c.log.count == 1);
    assert_int_equal(c.log.errs[0], LEAT_EDEADLINE);
    assert_true(leat_loop_now(f->loop) - began_ms < 1000);
    assert_false(leat_pg_conn_idle(c.pg));

    clean(f, &c, 5000);
    assert_int_equal(c.clean_err, 0);
    assert_true(leat_pg_conn_idle(c.pg));
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_POOL_CANCELS), 1);
    assert_int_equal(c.log.count, 1);
    assert_int_equal(run(f, &c, "select 'again'"), 0);
    assert_string_equal(last_text(&c), "again");
    leat_pg_conn_close(c.pg);
}

static void cleaning_ends_everything_in_the_pipeline(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[4] = {0};
    query(f, &c, &q[0], "begin");
    for (int i = 1; i < 4; i++)
        query(f, &c, &q[i], i == 2 ? "rollback" : "select pg_sleep(60)");
    RUN_UNTIL(f, c.log.count == 1);
    for (int i = 1; i < 4; i++)
        leat_pg_conn_forget(&q[i]);

    clean(f, &c, 5000);

    assert_int_equal(c.clean_err, 0);
    assert_int_equal(c.log.count, 1);
    assert_true(leat_pg_conn_idle(c.pg));
    leat_pg_conn_close(c.pg);
}

static void cleaning_rolls_an_open_transaction_back(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    static const char *const fail[2] = {"select 1", "select 1/0"};

    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(f, &c, "begin"), 0);
        run(f, &c, fail[i]);
        assert_false(leat_pg_conn_idle(c.pg));
        clean(f, &c, 5000);
        assert_int_equal(c.clean_err, 0);
        assert_true(leat_pg_conn_idle(c.pg));
    }

    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_POOL_CANCELS), 0);
    leat_pg_conn_close(c.pg);
}

static void cleaning_a_stopped_backend_gives_up_in_time(void **state)
{
    pg_fixture *f = pg_fixture_use_signals(state);
    struct conn c;
    open_ready(f, &c);
    int pid = leat_pg_conn_backend_pid(c.pg);
    kill(pid, SIGSTOP);
    leat_pg_query q = {0};
    query_by(f, &c, &q, "select 1", 50);
    RUN_UNTIL(f, c.log.count == 1);
    assert_int_equal(c.log.errs[0], LEAT_EDEADLINE);

    clean(f, &c, 200);
    assert_int_equal(c.clean_err, LEAT_EDEADLINE);
    leat_pg_conn_close(c.pg);
    kill(pid, SIGCONT);

    RUN_UNTIL(f, pg_fixture_backend_exists(f, pid) == 0);
}

static void closing_cancels_what_runs_at_the_server(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    int pid = leat_pg_conn_backend_pid(c.pg);
    leat_pg_query q[2] = {0};
    query(f, &c, &q[0], "select pg_sleep(60)");
    query(f, &c, &q[1], "select 1");
    char running[128];
    snprintf(running, sizeof(running),
             "select count(*) from pg_stat_activity where pid = %d and wait_event = 'PgSleep'",
             pid);
    RUN_UNTIL(f, pg_fixture_number(f, running) == 1);
    leat_pg_conn_forget(&q[1]);

    leat_pg_conn_close(c.pg);

    assert_int_equal(c.log.count, 1);
    assert_int_equal(c.log.errs[0], LEAT_ECLOSED);
    RUN_UNTIL(f, pg_fixture_backend_exists(f, pid) == 0);
}

static void a_forgotten_query_is_not_called_back(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query unsent = {0}, *sent = leat_calloc(1, sizeof(*sent));
    query(f, &c, &unsent, "select 'unsent'");
    leat_pg_conn_forget(&unsent);
    leat_pg_conn_forget(&unsent);
    assert_false(leat_pg_query_pending(&unsent));
    query(f, &c, sent, "select pg_sleep(0.1)"); /* not answered in the turn that sends it */
    uv_run(&f->uv, UV_RUN_NOWAIT);
    leat_pg_conn_forget(sent);
    free(sent);

    assert_int_equal(run(f, &c, "select 'last'"), 0);

    assert_int_equal(c.log.count, 1);
    assert_string_equal(last_text(&c), "last");
    leat_pg_conn_close(c.pg);
}

static void losing_the_backend_ends_pending_queries_then_tells_the_owner(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_query q[3] = {0};
    for (int i = 0; i < 3; i++)
        query(f, &c, &q[i], "select pg_sleep(60)");
    uv_run(&f->uv, UV_RUN_NOWAIT);
    assert_int_equal(c.events, 1);

    pg_fixture_terminate(f, leat_pg_conn_backend_pid(c.pg));
    RUN_UNTIL(f, c.events == 2);

    assert_int_equal(c.log.count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(c.log.errs[i], LEAT_EPG_LOST);
    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_true(leat_pg_conn_broken(c.pg));
    assert_non_null(strstr(leat_pg_conn_error(c.pg), "administrator command"));
    leat_pg_conn_close(c.pg);
}

static void losing_an_idle_backend_tells_the_owner(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);

    pg_fixture_terminate(f, leat_pg_conn_backend_pid(c.pg));
    RUN_UNTIL(f, c.events == 2);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    assert_non_null(strstr(leat_pg_conn_error(c.pg), "administrator command"));
    leat_pg_conn_close(c.pg);
}

static void on_result_close(leat_pg_query *q, leat_pg_result *res, int err)
{
    on_result(q, res, err);
    if (owner_of(q)->pg != NULL) {
        leat_pg_conn *pg = owner_of(q)->pg;
        owner_of(q)->pg = NULL;
        leat_pg_conn_close(pg);
    }
}

static void a_callback_may_close_the_connection(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    for (int lost = 0; lost < 2; lost++) {
        struct conn c;
        open_ready(f, &c);
        leat_pg_query q[3] = {0};
        for (int i = 0; i < 3; i++) {
            q[i].data = &c;
            assert_int_equal(leat_pg_conn_query(c.pg, &q[i],
                                                lost ? "select pg_sleep(60)" : "select 1", NULL, 0,
                                                leat_loop_now(f->loop) + 5000, on_result_close),
                             0);
        }
        uv_run(&f->uv, UV_RUN_NOWAIT);
        if (lost)
            pg_fixture_terminate(f, leat_pg_conn_backend_pid(c.pg));

        RUN_UNTIL(f, c.log.count == 3);

        assert_int_equal(c.log.errs[0], lost ? LEAT_EPG_LOST : 0);
        assert_int_equal(c.log.errs[1], LEAT_ECLOSED);
        assert_int_equal(c.log.errs[2], LEAT_ECLOSED);
    }
}

static void on_result_forget(leat_pg_query *q, leat_pg_result *res, int err)
{
    on_result(q, res, err);
    leat_pg_conn_forget_all(owner_of(q)->pg);
    leat_pg_conn_close(owner_of(q)->pg);
}

/* The loss is noticed while the first of them is sent: the others never are. */
static void a_callback_may_forget_what_was_not_yet_sent(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    pg_fixture_terminate(f, leat_pg_conn_backend_pid(c.pg));
    while (PQstatus(c.pg->pg) == CONNECTION_OK)
        PQconsumeInput(c.pg->pg);
    leat_pg_query q[4] = {0};
    for (int i = 0; i < 4; i++) {
        q[i].data = &c;
        assert_int_equal(leat_pg_conn_query(c.pg, &q[i], "select 1", NULL, 0,
                                            leat_loop_now(f->loop) + 5000, on_result_forget),
                         0);
    }

    RUN_UNTIL(f, c.log.count == 1);

    assert_int_equal(c.log.errs[0], LEAT_EPG_LOST);
    for (int i = 1; i < 4; i++)
        assert_false(leat_pg_query_pending(&q[i]));
}

static void on_notify(leat_pg_conn *pg, const char *channel, const char *payload, int sender_pid,
                      void *arg)
{
    assert_int_not_equal(sender_pid, 0);
    struct conn *c = arg;
    (void)pg;
    assert_string_equal(channel, "leat_unit");
    snprintf(c->log.texts[c->log.count++], MAX_TEXT, "%s", payload);
}

static void notifications_arrive_with_and_without_queries(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_conn_on_notify(c.pg, on_notify, &c);
    assert_int_equal(run(f, &c, "listen leat_unit"), 0);
    c.log.count = 0;

    pg_fixture_exec(f, "notify leat_unit, 'idle'");
    RUN_UNTIL(f, c.log.count == 1);
    assert_string_equal(c.log.texts[0], "idle");

    leat_pg_query q[3] = {0};
    query(f, &c, &q[0], "notify leat_unit, 'own'");
    query(f, &c, &q[1], "select 'between'");
    query(f, &c, &q[2], "notify leat_unit, 'own again'");
    RUN_UNTIL(f, c.log.count == 6);
    leat_pg_conn_close(c.pg);
}

static size_t waiting_bytes(const leat_pg_conn *c)
{
    int bytes = 0;
    assert_int_equal(0, ioctl(PQsocket(c->pg), FIONREAD, &bytes));
    return (size_t)bytes;
}

/* libpq reads 16 kB at once. */
static void many_notifications_are_read_in_one_turn(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    leat_pg_conn_on_notify(c.pg, on_notify, &c);
    assert_int_equal(run(f, &c, "listen leat_unit"), 0);
    c.log.count = 0;
    enum { N = 20, SIZE = 4000 };
    pg_fixture_exec(f, "select pg_notify('leat_unit', i || repeat('x', 4000))"
                       " from generate_series(1, 20) i");
    uint64_t end_ns = uv_hrtime() + UINT64_C(10000000000);
    while (waiting_bytes(c.pg) < N * SIZE && uv_hrtime() < end_ns)
        (void)poll(NULL, 0, 1);

    uv_run(&f->uv, UV_RUN_NOWAIT);

    assert_int_equal(N, c.log.count);
    leat_pg_conn_close(c.pg);
}

/* More than socket buffers hold, in both directions at once. */
static void large_pipelines_do_not_jam(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct conn c;
    open_ready(f, &c);
    enum { N = 40, SIZE = 300000 };
    leat_pg_query q[N] = {0};
    char *text = leat_calloc(1, SIZE);
    memset(text, 'y', SIZE);
    const leat_pg_param param = {text, SIZE};
    for (int i = 0; i < N; i++) {
        q[i].data = &c;
        assert_int_equal(leat_pg_conn_query(c.pg, &q[i], "select left($1, 3) || repeat($1, 2)",
                                            &param, 1, leat_loop_now(f->loop) + 30000, on_result),
                         0);
    }
    free(text);

    RUN_UNTIL(f, c.log.count == N);

    for (int i = 0; i < N; i++)
        assert_int_equal(c.log.errs[i], 0);
    leat_pg_conn_close(c.pg);
}

#define PG_TEST(t) cmocka_unit_test_setup_teardown(t, pg_fixture_open, pg_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(it_connects_and_answers),
        PG_TEST(settings_do_not_depend_on_the_server_s),
        PG_TEST(a_refused_connection_says_why_in_one_line),
        PG_TEST(a_malformed_connection_string_is_not_repeated),
        PG_TEST(a_name_that_does_not_exist_fails),
        PG_TEST(closing_while_it_looks_a_name_up_leaves_nothing),
        PG_TEST(a_host_that_never_answers_gives_way_to_the_next),
        PG_TEST(a_server_that_never_answers_times_out),
        PG_TEST(prefer_standby_takes_a_primary_if_there_is_no_other),
        PG_TEST(queries_run_in_order_and_errors_stay_alone),
        PG_TEST(an_error_in_a_transaction_fails_the_rest_of_it),
        PG_TEST(queries_that_lead_on_are_answered_in_order),
        PG_TEST(what_a_failed_query_leads_on_to_fails_too),
        PG_TEST(values_come_back_exactly),
        PG_TEST(a_parameter_with_a_zero_byte_is_refused),
        PG_TEST(a_result_of_five_megabytes_can_be_kept),
        PG_TEST(a_result_over_the_limit_fails_alone),
        PG_TEST(a_command_says_how_many_rows_it_changed),
        PG_TEST(copy_ends_the_connection_and_nothing_else),
        PG_TEST(copy_from_the_client_ends_it_too),
        PG_TEST(statements_are_prepared_once_and_the_oldest_go),
        PG_TEST(statements_may_be_evicted_while_they_are_in_flight),
        PG_TEST(a_statement_out_of_date_is_prepared_again),
        PG_TEST(in_a_transaction_a_statement_out_of_date_fails_once),
        PG_TEST(a_statement_that_failed_to_prepare_is_tried_anew),
        PG_TEST(a_deadline_answers_at_once_and_cleaning_cancels),
        PG_TEST(cleaning_ends_everything_in_the_pipeline),
        PG_TEST(cleaning_rolls_an_open_transaction_back),
        PG_TEST(cleaning_a_stopped_backend_gives_up_in_time),
        PG_TEST(closing_cancels_what_runs_at_the_server),
        PG_TEST(a_forgotten_query_is_not_called_back),
        PG_TEST(losing_the_backend_ends_pending_queries_then_tells_the_owner),
        PG_TEST(losing_an_idle_backend_tells_the_owner),
        PG_TEST(a_callback_may_close_the_connection),
        PG_TEST(a_callback_may_forget_what_was_not_yet_sent),
        PG_TEST(notifications_arrive_with_and_without_queries),
        PG_TEST(many_notifications_are_read_in_one_turn),
        PG_TEST(large_pipelines_do_not_jam),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
