#include "pg/pg_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pg_fixture.h"

enum { MAX_WAITERS = 2 };

struct pool {
    leat_pg_pool_options options;
    leat_pg_pool *pool;
    int closed;
};

struct caller {
    leat_pg_job job;
    pg_fixture *f;
    struct pool *pool;
    int calls;
    int err;
    int again; /* so often the callback starts the job anew */
    char text[256];
};

static void open_pool(pg_fixture *f, struct pool *p)
{
    *p = (struct pool){.options = {
                           .pg = f->options,
                           .size = 1,
                           .max_waiters = MAX_WAITERS,
                           .idle_timeout_ms = 60000,
                           .clean_timeout_ms = 3000,
                           .max_backoff_ms = 200,
                       }};
    assert_int_equal(leat_pg_pool_new(&p->pool, f->loop, f->metrics, &p->options), 0);
}

static void on_closed(void *arg)
{
    ((struct pool *)arg)->closed++;
}

static int64_t gauge(pg_fixture *f, leat_metric id)
{
    return leat_metrics_get(f->metrics, id);
}

static void close_pool(pg_fixture *f, struct pool *p)
{
    leat_pg_pool_close(p->pool, on_closed, p);
    RUN_UNTIL(f, p->closed == 1);
    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 0);
    assert_int_equal(gauge(f, LEAT_M_POOL_BUSY), 0);
}

static void open_healthy_pool(pg_fixture *f, struct pool *p)
{
    open_pool(f, p);
    RUN_UNTIL(f, leat_pg_pool_healthy(p->pool));
}

static void start(struct caller *c, const char *sql, uint64_t timeout_ms);

static void on_job(leat_pg_job *j, leat_pg_result *res, int err)
{
    struct caller *c = LEAT_CONTAINER_OF(j, struct caller, job);
    assert_false(leat_pg_job_running(j));
    assert_true((res != NULL) == (err == 0 || err == LEAT_EPG_SERVER));
    c->calls++;
    c->err = err;
    if (err < 0)
        snprintf(c->text, sizeof(c->text), "%s", leat_pg_job_reason(res, err));
    else if (leat_pg_result_rows(res) == 1)
        snprintf(c->text, sizeof(c->text), "%s", leat_pg_result_value(res, 0, 0).at);
    if (c->again-- > 0)
        start(c, "select 'again'", 5000);
}

static void start_with(struct caller *c, const char *sql, const leat_pg_param *params, int n_params,
                       uint64_t timeout_ms)
{
    int calls = c->calls;
    leat_pg_job_start(&c->job, c->pool->pool, sql, params, n_params,
                      leat_loop_now(c->f->loop) + timeout_ms, on_job);
    assert_int_equal(c->calls, calls);
    assert_true(leat_pg_job_running(&c->job));
}

static void start(struct caller *c, const char *sql, uint64_t timeout_ms)
{
    start_with(c, sql, NULL, 0, timeout_ms);
}

static void init(struct caller *c, pg_fixture *f, struct pool *p)
{
    *c = (struct caller){.f = f, .pool = p};
    leat_pg_job_init(&c->job);
}

/* Turns the loop long enough for a callback that should not run. */
static void nothing_follows(pg_fixture *f, const struct caller *c)
{
    pg_fixture_run_for(f, 50);
    assert_int_equal(c->calls, 0);
}

static bool runs_at_the_server(pg_fixture *f)
{
    return pg_fixture_number(f, "select count(*) from pg_stat_activity"
                                " where query like '/* job */%' and state = 'active'") == 1;
}

static void it_queries_and_gives_the_connection_back(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    open_pool(f, &p);
    init(&c, f, &p);
    char text[] = "kept";
    const leat_pg_param params[] = {leat_slice_of(text), {NULL, 0}, {"", 0}};

    start_with(&c, "select $1::text || coalesce($2::text, '-') || $3::text", params, 3, 5000);
    memset(text, 'x', sizeof(text) - 1); /* the job has a copy */
    RUN_UNTIL(f, c.calls == 1);

    assert_int_equal(c.err, 0);
    assert_string_equal(c.text, "kept-");
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    close_pool(f, &p);
}

static void its_callback_may_start_it_anew(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    open_pool(f, &p);
    init(&c, f, &p);
    c.again = 2;

    start(&c, "select 'first'", 5000);
    RUN_UNTIL(f, c.calls == 3);

    assert_string_equal(c.text, "again");
    close_pool(f, &p);
}

static void a_query_that_the_server_refuses_has_a_reason(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    open_pool(f, &p);
    init(&c, f, &p);

    start(&c, "select 1/0", 5000);
    RUN_UNTIL(f, c.calls == 1);

    assert_int_equal(c.err, LEAT_EPG_SERVER);
    assert_string_equal(c.text, "division by zero");
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    close_pool(f, &p);
}

static void a_query_that_cannot_be_sent_fails(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    open_pool(f, &p);
    init(&c, f, &p);
    const leat_pg_param param = {"a\0b", 3};

    start_with(&c, "select $1::text", &param, 1, 5000);
    RUN_UNTIL(f, c.calls == 1);

    assert_int_equal(c.err, LEAT_EBADMSG);
    assert_int_equal(gauge(f, LEAT_M_POOL_IDLE), 1);
    close_pool(f, &p);
}

static void a_full_queue_is_told_later(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c[MAX_WAITERS + 1];
    open_pool(f, &p); /* nothing is connected yet: all wait */
    for (int i = 0; i <= MAX_WAITERS; i++) {
        init(&c[i], f, &p);
        start(&c[i], "select 1", 5000);
    }

    RUN_UNTIL(f, c[MAX_WAITERS].calls == 1);

    assert_int_equal(c[MAX_WAITERS].err, LEAT_EBUSY);
    for (int i = 0; i < MAX_WAITERS; i++) {
        RUN_UNTIL(f, c[i].calls == 1);
        assert_int_equal(c[i].err, 0);
    }
    close_pool(f, &p);
}

static void its_deadline_holds_while_it_waits(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller holder, late;
    open_healthy_pool(f, &p);
    init(&holder, f, &p);
    init(&late, f, &p);
    start(&holder, "/* job */ select pg_sleep(61)", 60000);

    start(&late, "select 1", 50);
    RUN_UNTIL(f, late.calls == 1);

    assert_int_equal(late.err, LEAT_EDEADLINE);
    leat_pg_job_cancel(&holder.job);
    close_pool(f, &p);
}

static void its_deadline_holds_while_it_queries(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller late, next;
    open_healthy_pool(f, &p);
    init(&late, f, &p);
    init(&next, f, &p);

    start(&late, "/* job */ select pg_sleep(61)", 50);
    RUN_UNTIL(f, late.calls == 1);
    assert_int_equal(late.err, LEAT_EDEADLINE);

    start(&next, "select 'next'", 5000);
    RUN_UNTIL(f, next.calls == 1);
    assert_string_equal(next.text, "next");
    assert_int_equal(gauge(f, LEAT_M_POOL_CANCELS), 1);
    close_pool(f, &p);
}

static void a_server_that_is_away_fails_it_at_its_deadline(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    f->options.conninfo = pg_fixture_conninfo(f, "", "", "leat_unit_of_nobody");
    open_pool(f, &p);
    init(&c, f, &p);

    start(&c, "select 1", 100);
    RUN_UNTIL(f, c.calls == 1);

    assert_int_equal(c.err, LEAT_EPG_LOST);
    close_pool(f, &p);
}

static void a_connection_lost_while_it_queries_fails_it(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller lost, next;
    open_healthy_pool(f, &p);
    init(&lost, f, &p);
    init(&next, f, &p);

    start(&lost, "select pg_terminate_backend(pg_backend_pid()), pg_sleep(61)", 5000);
    RUN_UNTIL(f, lost.calls == 1);
    assert_int_equal(lost.err, LEAT_EPG_LOST);

    start(&next, "select 'next'", 5000);
    RUN_UNTIL(f, next.calls == 1);
    assert_string_equal(next.text, "next");
    close_pool(f, &p);
}

static void a_job_cancelled_after_it_was_refused_is_not_told(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c[MAX_WAITERS + 1];
    open_pool(f, &p);
    for (int i = 0; i <= MAX_WAITERS; i++) {
        init(&c[i], f, &p);
        start(&c[i], "select 1", 5000);
    }

    leat_pg_job_cancel(&c[MAX_WAITERS].job);

    assert_false(leat_pg_job_running(&c[MAX_WAITERS].job));
    RUN_UNTIL(f, c[MAX_WAITERS - 1].calls == 1);
    nothing_follows(f, &c[MAX_WAITERS]);
    close_pool(f, &p);
}

static void a_job_cancelled_while_it_waits_is_not_told(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c;
    open_pool(f, &p);
    init(&c, f, &p);
    start(&c, "select 1", 5000);

    leat_pg_job_cancel(&c.job);
    leat_pg_job_cancel(&c.job);

    assert_int_equal(gauge(f, LEAT_M_POOL_WAITERS), 0);
    nothing_follows(f, &c);
    close_pool(f, &p);
}

static void a_job_cancelled_while_it_queries_is_cancelled_at_the_server(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller c, next;
    open_healthy_pool(f, &p);
    init(&c, f, &p);
    init(&next, f, &p);
    start(&c, "/* job */ select pg_sleep(61)", 60000);
    RUN_UNTIL(f, runs_at_the_server(f));

    leat_pg_job_cancel(&c.job);
    start(&next, "select 'next'", 5000);
    RUN_UNTIL(f, next.calls == 1);

    assert_string_equal(next.text, "next");
    assert_false(runs_at_the_server(f));
    assert_int_equal(c.calls, 0);
    close_pool(f, &p);
}

static void closing_the_pool_ends_those_that_wait_and_waits_for_the_query(void **state)
{
    pg_fixture *f = pg_fixture_use(state);
    struct pool p;
    struct caller querying, waiting, late;
    open_healthy_pool(f, &p);
    init(&querying, f, &p);
    init(&waiting, f, &p);
    init(&late, f, &p);
    start(&querying, "/* job */ select pg_sleep(0.1), 'slow'", 5000);
    RUN_UNTIL(f, runs_at_the_server(f));
    start(&waiting, "select 1", 5000);

    leat_pg_pool_close(p.pool, on_closed, &p);
    start(&late, "select 1", 5000);

    assert_int_equal(waiting.calls, 1);
    assert_int_equal(waiting.err, LEAT_ECLOSED);
    RUN_UNTIL(f, p.closed == 1);
    assert_int_equal(querying.calls, 1);
    assert_int_equal(querying.err, 0);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.err, LEAT_ECLOSED);
}

#define JOB_TEST(name) cmocka_unit_test_setup_teardown(name, pg_fixture_open, pg_fixture_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOB_TEST(it_queries_and_gives_the_connection_back),
        JOB_TEST(its_callback_may_start_it_anew),
        JOB_TEST(a_query_that_the_server_refuses_has_a_reason),
        JOB_TEST(a_query_that_cannot_be_sent_fails),
        JOB_TEST(a_full_queue_is_told_later),
        JOB_TEST(its_deadline_holds_while_it_waits),
        JOB_TEST(its_deadline_holds_while_it_queries),
        JOB_TEST(a_server_that_is_away_fails_it_at_its_deadline),
        JOB_TEST(a_connection_lost_while_it_queries_fails_it),
        JOB_TEST(a_job_cancelled_after_it_was_refused_is_not_told),
        JOB_TEST(a_job_cancelled_while_it_waits_is_not_told),
        JOB_TEST(a_job_cancelled_while_it_queries_is_cancelled_at_the_server),
        JOB_TEST(closing_the_pool_ends_those_that_wait_and_waits_for_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
