#include "pg/pg_pool.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pg_fixture.h"

struct pool_test {
    leat_pg_pool_options options;
    leat_pg_pool *pool;
    int closed;
};

struct caller {
    leat_pg_waiter waiter;
    leat_pg_query query;
    leat_pg_pool *pool;
    struct pool_test *test;
    leat_pg_conn *conn;
    int calls;
    int err;
    int nth; /* in the order in which callers were served */
    int *served;
    int answers;
    int answer_err;
    pg_fixture *f; /* of a reader, which asks sql as soon as it is served */
    char sql[24];
};

static void on_acquired(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    struct caller *c = w->data;
    assert_false(leat_pg_waiter_waiting(w));
    assert_true((conn != NULL) == (err == 0));
    c->calls++;
    c->conn = conn;
    c->err = err;
    if (c->served != NULL)
        c->nth = (*c->served)++;
}

static void on_answer(leat_pg_query *q, leat_pg_result *res, int err)
{
    struct caller *c = q->data;
    (void)res;
    c->answers++;
    c->answer_err = err;
}

static void open_pool(pg_fixture *f, struct pool_test *t, size_t size)
{
    t->closed = 0;
    t->options = (leat_pg_pool_options){
        .pg = f->options,
        .size = size,
        .max_waiters = 4,
        .idle_timeout_ms = 60000,
        .clean_timeout_ms = 3000,
        .max_backoff_ms = 200,
    };
    assert_int_equal(leat_pg_pool_new(&t->pool, f->loop, f->metrics, &t->options), 0);
    assert_false(leat_pg_pool_healthy(t->pool));
}

static void on_closed(void *arg)
{
    ((struct pool_test *)arg)->closed++;
}

static int64_t gauge(pg_fixture *f, leat_metric id)
{
    return leat_metrics_get(f->metrics, id);
}

static void close_pool(pg_fixture *f, struct pool_test *t)
{
    leat_pg_pool_close(t->pool, on_closed, t);
    assert_int_equal(t->closed, 0);
    RUN_UNTIL(f, t->closed == 1);
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 0);
    assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 0);
    assert_int_equal(gauge(f, LEAT_M_POOL_CONNECTING), 0);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 0);
}

static void acquire_for(pg_fixture *f, struct pool_test *t, struct caller *c, uint64_t timeout_ms)
{
    int *served = c->served;
    *c = (struct caller){.pool = t->pool, .served = served};
    leat_pg_waiter_init(&c->waiter);
    c->waiter.data = c;
    c->query.data = c;
    leat_pg_pool_acquire(t->pool, &c->waiter, leat_loop_now(f->loop) + timeout_ms, on_acquired);
    assert_int_equal(c->calls, 0);
    assert_true(leat_pg_waiter_waiting(&c->waiter));
}

static void acquire(pg_fixture *f, struct pool_test *t, struct caller *c)
{
    acquire_for(f, t, c, 5000);
}

static void acquire_now(pg_fixture *f, struct pool_test *t, struct caller *c)
{
    acquire(f, t, c);
    RUN_UNTIL(f, c->calls == 1);
    assert_int_equal(c->err, 0);
}

static void release(struct caller *c)
{
    leat_pg_pool_release(c->pool, c->conn);
    c->conn = NULL;
}

static void query(pg_fixture *f, struct caller *c, const char *sql, uint64_t timeout_ms)
{
    assert_int_equal(leat_pg_conn_query(c->conn, &c->query, sql, NULL, 0,
                                        leat_loop_now(f->loop) + timeout_ms, on_answer),
                     0);
}

static int run(pg_fixture *f, struct caller *c, const char *sql)
{
    c->answers = 0;
    query(f, c, sql, 5000);
    RUN_UNTIL(f, c->answers == 1);
    return c->answer_err;
}

static void it_opens_one_connection_at_once(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    open_pool(f, &t, 3);

    RUN_UNTIL(f, leat_pg_pool_healthy(t.pool));

    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    assert_int_equal(gauge(f, LEAT_M_POOL_CONNECTING), 0);
    close_pool(f, &t);
}

static void it_opens_as_many_as_are_waited_for_up_to_its_size(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller c[3] = {0};
    open_pool(f, &t, 2);
    for (int i = 0; i < 3; i++)
        acquire(f, &t, &c[i]);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 3);

    RUN_UNTIL(f, c[0].calls == 1 && c[1].calls == 1);
    pg_fixture_run_for(f, 50);
    assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 2);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 1);
    assert_int_equal(c[2].calls, 0);
    assert_ptr_not_equal(c[0].conn, c[1].conn);

    release(&c[0]);
    assert_int_equal(c[2].calls, 0);
    RUN_UNTIL(f, c[2].calls == 1);
    release(&c[1]);
    release(&c[2]);
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 2);
    close_pool(f, &t);
}

static void waiters_are_served_first_come_first_served(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller holder = {0}, c[4] = {0};
    int served = 0;
    open_pool(f, &t, 1);
    acquire_now(f, &t, &holder);
    for (int i = 0; i < 4; i++) {
        c[i].served = &served;
        acquire(f, &t, &c[i]);
    }
    leat_pg_waiter_cancel(&c[1].waiter);
    leat_pg_waiter_cancel(&c[1].waiter);

    release(&holder);
    for (int i = 0; i < 4; i++) {
        if (i == 1)
            continue;
        RUN_UNTIL(f, c[i].calls == 1);
        release(&c[i]);
    }

    assert_int_equal(c[0].nth, 0);
    assert_int_equal(c[1].calls, 0);
    assert_int_equal(c[2].nth, 1);
    assert_int_equal(c[3].nth, 2);
    close_pool(f, &t);
}

static void a_waiter_s_deadline_holds(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller holder = {0}, late = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &holder);

    acquire_for(f, &t, &late, 50);
    RUN_UNTIL(f, late.calls == 1);

    assert_int_equal(late.err, LEAT_EDEADLINE);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 0);
    release(&holder);
    close_pool(f, &t);
}

static void the_queue_is_bounded(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller holder = {0}, c[5] = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &holder);
    for (int i = 0; i < 4; i++)
        acquire(f, &t, &c[i]);

    acquire(f, &t, &c[4]);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 4);
    RUN_UNTIL(f, c[4].calls == 1);

    assert_int_equal(c[4].err, LEAT_EBUSY);
    assert_int_equal(c[0].calls + c[1].calls + c[2].calls + c[3].calls, 0);
    for (int i = 0; i < 4; i++)
        leat_pg_waiter_cancel(&c[i].waiter);
    release(&holder);
    close_pool(f, &t);
}

static void a_refused_waiter_can_be_cancelled(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller holder = {0}, c[5] = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &holder);
    for (int i = 0; i < 5; i++)
        acquire(f, &t, &c[i]);

    for (int i = 0; i < 5; i++)
        leat_pg_waiter_cancel(&c[i].waiter);
    pg_fixture_run_for(f, 30);

    assert_int_equal(c[4].calls, 0);
    release(&holder);
    close_pool(f, &t);
}

static void what_was_left_running_is_cancelled_before_anyone_gets_it(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    int pid = leat_pg_conn_backend_pid(a.conn);
    query(f, &a, "select pg_sleep(60)", 50);
    RUN_UNTIL(f, a.answers == 1);
    assert_int_equal(a.answer_err, LEAT_EDEADLINE);

    release(&a);
    assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 1);
    acquire_now(f, &t, &b);

    assert_int_equal(leat_pg_conn_backend_pid(b.conn), pid);
    assert_int_equal(gauge(f, LEAT_M_POOL_CANCELS), 1);
    assert_int_equal(run(f, &b, "select 1"), 0);
    release(&b);
    close_pool(f, &t);
}

static void a_pending_query_is_forgotten_at_release(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    assert_int_equal(run(f, &a, "begin"), 0);
    a.answers = 0;
    query(f, &a, "select pg_sleep(60)", 5000);
    uv_run(&f->uv, UV_RUN_NOWAIT);

    release(&a);
    assert_false(leat_pg_query_pending(&a.query));
    acquire_now(f, &t, &b);

    assert_int_equal(a.answers, 0);
    assert_true(leat_pg_conn_idle(b.conn));
    release(&b);
    close_pool(f, &t);
}

static void a_readers_commit_is_not_waited_for(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    leat_pg_conn *conn = a.conn;
    assert_int_equal(run(f, &a, "begin read only"), 0);

    leat_pg_pool_release_reader(t.pool, conn);
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    assert_false(leat_pg_conn_idle(conn)); /* the COMMIT is not yet sent */
    acquire_now(f, &t, &b);

    assert_ptr_equal(conn, b.conn);
    assert_int_equal(run(f, &b, "select 1"), 0);
    assert_true(leat_pg_conn_idle(conn)); /* and not in a's transaction */
    release(&b);
    close_pool(f, &t);
}

static void a_reader_that_failed_is_cleaned(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    assert_int_equal(run(f, &a, "begin read only"), 0);
    assert_int_equal(run(f, &a, "select 1 / 0"), LEAT_EPG_SERVER);

    leat_pg_pool_release_reader(t.pool, a.conn);
    assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 1);
    acquire_now(f, &t, &b);

    assert_true(leat_pg_conn_idle(b.conn));
    release(&b);
    close_pool(f, &t);
}

/* A lock outlives the transaction; RESET undoes settings. */
static void a_reader_that_leaves_something_is_cleaned(void **state)
{
    static const char *const leaves[] = {"select pg_advisory_lock(7)", "reset all"};
    static const char *const nothing_left =
        "select 1 / (count(*) = 0)::int from pg_locks where locktype = 'advisory'"
        " and pid = pg_backend_pid()";
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller c = {0};
    open_pool(f, &t, 1);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        acquire_now(f, &t, &c);
        assert_int_equal(run(f, &c, "begin read only"), 0);
        assert_int_equal(run(f, &c, leaves[i]), 0);
        leat_pg_pool_release_reader(t.pool, c.conn);
        assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 1);
        acquire_now(f, &t, &c);
        assert_int_equal(run(f, &c, nothing_left), 0);
        release(&c);
    }
    close_pool(f, &t);
}

static void begin_and_read(struct caller *c, const char *sql)
{
    leat_pg_conn_send(c->conn, "begin read only");
    assert_int_equal(leat_pg_conn_query(c->conn, &c->query, sql, NULL, 0,
                                        leat_loop_now(c->f->loop) + 5000, on_answer),
                     0);
}

static void on_acquired_to_read(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    struct caller *c = w->data;
    on_acquired(w, conn, err);
    begin_and_read(c, c->sql);
}

/* Each reader asks in the same turn in which the one before it is done, as under load. */
static void readers_without_a_pause_leave_few_statements(void **state)
{
    enum { READERS = 60, MAX_STATEMENTS = 4 };
    static const char *const are_few =
        "select 1 / (count(*) < 30)::int from pg_catalog.pg_prepared_statements";
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller callers[2] = {{.served = NULL}};
    f->options.max_statements = MAX_STATEMENTS;
    open_pool(f, &t, 1);
    acquire_now(f, &t, &callers[0]);
    callers[0].f = f;
    begin_and_read(&callers[0], "select 0");

    for (int i = 1; i <= READERS; i++) {
        struct caller *done = &callers[(i + 1) % 2];
        struct caller *next = &callers[i % 2];
        RUN_UNTIL(f, done->answers == 1);
        *next = (struct caller){.pool = t.pool, .f = f};
        snprintf(next->sql, sizeof(next->sql), "select %d", i);
        leat_pg_waiter_init(&next->waiter);
        next->waiter.data = next->query.data = next;
        leat_pg_pool_acquire(t.pool, &next->waiter, leat_loop_now(f->loop) + 5000,
                             on_acquired_to_read);
        leat_pg_pool_release_reader(t.pool, done->conn);
    }

    struct caller *last = &callers[READERS % 2];
    RUN_UNTIL(f, last->answers == 1);
    assert_int_equal(run(f, last, are_few), 0);
    release(last);
    close_pool(f, &t);
}

static void a_lost_connection_is_replaced(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    int pid = leat_pg_conn_backend_pid(a.conn);
    query(f, &a, "select pg_sleep(60)", 5000);
    uv_run(&f->uv, UV_RUN_NOWAIT);
    pg_fixture_terminate(f, pid);
    RUN_UNTIL(f, a.answers == 1);
    assert_int_equal(a.answer_err, LEAT_EPG_LOST);

    release(&a);
    acquire_now(f, &t, &b);

    assert_int_not_equal(leat_pg_conn_backend_pid(b.conn), pid);
    release(&b);
    close_pool(f, &t);
}

static void an_idle_connection_that_is_lost_is_replaced(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller a = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &a);
    int pid = leat_pg_conn_backend_pid(a.conn);
    release(&a);

    pg_fixture_terminate(f, pid);
    RUN_UNTIL(f, gauge(f, LEAT_M_POOL_IDLE) == 0);
    RUN_UNTIL(f, gauge(f, LEAT_M_POOL_IDLE) == 1);
    acquire_now(f, &t, &a);

    assert_int_not_equal(leat_pg_conn_backend_pid(a.conn), pid);
    release(&a);
    close_pool(f, &t);
}

static void idle_connections_beyond_the_first_are_closed(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller c[3] = {0};
    open_pool(f, &t, 3);
    t.options.idle_timeout_ms = 50;
    for (int i = 0; i < 3; i++)
        acquire(f, &t, &c[i]);
    RUN_UNTIL(f, c[0].calls + c[1].calls + c[2].calls == 3);
    for (int i = 0; i < 3; i++)
        release(&c[i]);
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 3);

    RUN_UNTIL(f, gauge(f, LEAT_M_POOL_IDLE) == 1);
    pg_fixture_run_for(f, 150);

    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    close_pool(f, &t);
}

/* A database of its own, that lets nobody in while it is closed. */
static void make_database(pg_fixture *f)
{
    pg_fixture_exec(f, "drop database if exists leat_unit_pool with (force)");
    pg_fixture_exec(f, "create database leat_unit_pool");
    f->options.conninfo = pg_fixture_conninfo(f, "", "", "leat_unit_pool");
}

static void allow_connections(pg_fixture *f, bool allow)
{
    pg_fixture_exec(f, allow ? "alter database leat_unit_pool allow_connections true"
                             : "alter database leat_unit_pool allow_connections false");
    if (!allow)
        pg_fixture_exec(f, "select pg_terminate_backend(pid) from pg_stat_activity "
                           "where datname = 'leat_unit_pool'");
}

static void it_recovers_by_itself_when_the_server_is_back(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller patient = {0}, hasty = {0};
    make_database(f);
    open_pool(f, &t, 2);
    RUN_UNTIL(f, leat_pg_pool_healthy(t.pool));

    allow_connections(f, false);
    RUN_UNTIL(f, !leat_pg_pool_healthy(t.pool));
    acquire(f, &t, &patient);
    acquire_for(f, &t, &hasty, 100);
    RUN_UNTIL(f, hasty.calls == 1);
    assert_int_equal(hasty.err, LEAT_EPG_LOST);
    assert_int_equal(patient.calls, 0);

    allow_connections(f, true);
    RUN_UNTIL(f, patient.calls == 1);
    assert_int_equal(patient.err, 0);
    assert_true(leat_pg_pool_healthy(t.pool));
    release(&patient);

    allow_connections(f, false);
    RUN_UNTIL(f, !leat_pg_pool_healthy(t.pool));
    allow_connections(f, true);
    RUN_UNTIL(f, leat_pg_pool_healthy(t.pool)); /* though nobody waits */
    close_pool(f, &t);
    pg_fixture_exec(f, "drop database leat_unit_pool with (force)");
}

static void a_stopped_backend_is_given_up_and_replaced(void **state)
{
    pg_fixture *f = pg_fixture_use_signals(state);
    struct pool_test t;
    struct caller a = {0}, b = {0};
    open_pool(f, &t, 1);
    t.options.clean_timeout_ms = 100;
    acquire_now(f, &t, &a);
    int pid = leat_pg_conn_backend_pid(a.conn);
    kill(pid, SIGSTOP);
    query(f, &a, "select 1", 50);
    RUN_UNTIL(f, a.answers == 1);
    assert_int_equal(a.answer_err, LEAT_EDEADLINE);

    release(&a);
    acquire_now(f, &t, &b);
    kill(pid, SIGCONT);

    assert_int_not_equal(leat_pg_conn_backend_pid(b.conn), pid);
    release(&b);
    close_pool(f, &t);
    RUN_UNTIL(f, pg_fixture_backend_exists(f, pid) == 0);
}

static void closing_ends_waiters_and_waits_for_leases(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller holder = {0}, waiting = {0}, after = {0};
    open_pool(f, &t, 1);
    acquire_now(f, &t, &holder);
    acquire(f, &t, &waiting);

    leat_pg_pool_close(t.pool, on_closed, &t);
    assert_int_equal(waiting.calls, 1);
    assert_int_equal(waiting.err, LEAT_ECLOSED);
    acquire_for(f, &t, &after, 100);
    pg_fixture_run_for(f, 30);
    assert_int_equal(after.calls, 1);
    assert_int_equal(after.err, LEAT_ECLOSED);
    assert_int_equal(t.closed, 0);
    assert_int_equal(run(f, &holder, "select 1"), 0);

    release(&holder);
    RUN_UNTIL(f, t.closed == 1);
}

static void on_acquired_close(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    struct caller *c = w->data;
    on_acquired(w, conn, err);
    leat_pg_pool_close(c->pool, on_closed, c->test);
    release(c);
}

static void a_caller_may_close_the_pool(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    struct caller c = {0}, other = {0};
    open_pool(f, &t, 1);
    c.pool = t.pool;
    c.test = &t;
    leat_pg_waiter_init(&c.waiter);
    c.waiter.data = &c;
    leat_pg_pool_acquire(t.pool, &c.waiter, leat_loop_now(f->loop) + 5000, on_acquired_close);
    acquire(f, &t, &other);

    RUN_UNTIL(f, t.closed == 1);

    assert_int_equal(other.calls, 1);
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.err, 0);
    assert_int_equal(other.err, LEAT_ECLOSED);
}

static void closing_while_it_connects_leaves_nothing(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool_test t;
    open_pool(f, &t, 2);
    uv_run(&f->uv, UV_RUN_NOWAIT);
    assert_int_equal(gauge(f, LEAT_M_POOL_CONNECTING), 1);

    close_pool(f, &t);
}

#define PG_TEST(t) cmocka_unit_test_setup_teardown(t, pg_fixture_open, pg_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PG_TEST(it_opens_one_connection_at_once),
        PG_TEST(it_opens_as_many_as_are_waited_for_up_to_its_size),
        PG_TEST(waiters_are_served_first_come_first_served),
        PG_TEST(a_waiter_s_deadline_holds),
        PG_TEST(the_queue_is_bounded),
        PG_TEST(a_refused_waiter_can_be_cancelled),
        PG_TEST(what_was_left_running_is_cancelled_before_anyone_gets_it),
        PG_TEST(a_pending_query_is_forgotten_at_release),
        PG_TEST(a_readers_commit_is_not_waited_for),
        PG_TEST(a_reader_that_failed_is_cleaned),
        PG_TEST(a_reader_that_leaves_something_is_cleaned),
        PG_TEST(readers_without_a_pause_leave_few_statements),
        PG_TEST(a_lost_connection_is_replaced),
        PG_TEST(an_idle_connection_that_is_lost_is_replaced),
        PG_TEST(idle_connections_beyond_the_first_are_closed),
        PG_TEST(it_recovers_by_itself_when_the_server_is_back),
        PG_TEST(a_stopped_backend_is_given_up_and_replaced),
        PG_TEST(closing_ends_waiters_and_waits_for_leases),
        PG_TEST(a_caller_may_close_the_pool),
        PG_TEST(closing_while_it_connects_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
