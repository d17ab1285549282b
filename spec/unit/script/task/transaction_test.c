/* db:transaction, and the connection that refresh and snapshot are given. */
#include "script_fixture.h"

#include <string.h>

static int open_with_table(void **state)
{
    if (script_fixture_open(state) < 0)
        return -1;
    script_fixture *f = *state;
    f->deadline_ms = 3000;
    return 0;
}

static void use(script_fixture *f)
{
    script_fixture_use_pool(f, 2);
    script_fixture_exec("drop table if exists t; create table t (n int unique deferrable)");
}

static void it_commits_and_returns_what_its_function_returns(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f,
        "app:method('m', function(ctx) return { ctx.db:transaction(function(tx)\n"
        "  tx:exec('insert into t values (1)')\n"
        "  return tx:one('select count(*) as n from t').n, 'b', tx:rows('select 1 as x') end) }\n"
        "end)\n"
        "app:method('none', function(ctx)\n"
        "  return select('#', ctx.db:transaction(function() end)) end)");

    script_fixture_expect(f, "m", "[1,\"b\",[{\"x\":1}]]");
    script_fixture_expect(f, "none", "0");
    assert_int_equal(script_fixture_number("select count(*) from t"), 1);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void every_db_of_the_handler_is_in_it(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('m', function(ctx)\n"
                           "  local _, e = pcall(ctx.db.transaction, ctx.db, function()\n"
                           "    ctx.db:exec('insert into t values (1)') error('no', 0) end)\n"
                           "  return { e, ctx.db:one('select count(*) as n from t').n } end)");

    script_fixture_expect(f, "m", "[\"no\",0]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void an_error_or_a_refusal_rolls_back(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('raise', function(ctx)\n"
                           "  ctx.db:transaction(function(tx)\n"
                           "    tx:exec('insert into t values (1)') error('oops') end) end)\n"
                           "app:method('deny', function(ctx)\n"
                           "  return ctx.db:transaction(function(tx)\n"
                           "    tx:exec('insert into t values (1)')\n"
                           "    return leat.deny('limit', 'enough') end) end)\n"
                           "app:method('thrown', function(ctx)\n"
                           "  ctx.db:transaction(function(tx)\n"
                           "    tx:exec('insert into t values (1)')\n"
                           "    error(leat.deny('forbidden')) end) end)");

    script_fixture_expect_code(f, "raise", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "oops");
    script_fixture_expect_code(f, "deny", LEAT_CODE_LIMIT);
    script_fixture_expect_code(f, "thrown", LEAT_CODE_FORBIDDEN);
    assert_int_equal(script_fixture_number("select count(*) from t"), 0);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_failure_that_is_ignored_still_fails_it(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('m', function(ctx)\n"
                           "  local ok, e = pcall(ctx.db.transaction, ctx.db, function(tx)\n"
                           "    tx:exec('insert into t values (1)')\n"
                           "    pcall(tx.exec, tx, 'insert into t values (1)')\n"
                           "    return true end)\n"
                           "  return { ok, e.code, e.sqlstate } end)\n"
                           "app:method('again', function(ctx)\n"
                           "  ctx.db:transaction(function(tx) pcall(tx.exec, tx, 'nonsense')\n"
                           "    return tx:one('select 1') end) end)");

    script_fixture_expect(f, "m", "[false,\"internal\",\"25P02\"]");
    script_fixture_expect_code(f, "again", LEAT_CODE_INTERNAL);
    assert_int_equal(script_fixture_number("select count(*) from t"), 0);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_nested_one_is_a_savepoint(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "app:method('m', function(ctx) return ctx.db:transaction(function(tx)\n"
           "  tx:exec('insert into t values (1)')\n"
           "  local ok, e = pcall(tx.transaction, tx, function(inner)\n"
           "    inner:exec('insert into t values (2)')\n"
           "    inner:exec('insert into t values (1)') end)\n"
           "  tx:transaction(function(inner) inner:exec('insert into t values (3)')\n"
           "    inner:transaction(function(deep) deep:exec('insert into t values (4)') end) end)\n"
           "  return { ok, e.sqlstate, tx:rows('select n from t order by n') } end) end)");

    script_fixture_expect(f, "m", "[false,\"23505\",[{\"n\":1},{\"n\":3},{\"n\":4}]]");
    assert_int_equal(script_fixture_number("select count(*) from t"), 3);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_commit_that_fails_raises(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('m', function(ctx)\n"
                           "  local ok, e = pcall(ctx.db.transaction, ctx.db, function(tx)\n"
                           "    tx:exec('set constraints all deferred')\n"
                           "    tx:exec('insert into t values (1), (1)') return true end)\n"
                           "  return { ok, e.sqlstate, ctx.db:one('select 1 as x').x } end)");

    script_fixture_expect(f, "m", "[false,\"23505\",1]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void its_handle_ends_with_it(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('m', function(ctx) local kept\n"
                           "  ctx.db:transaction(function(tx) kept = tx end)\n"
                           "  return kept:one('select 1') end)");

    script_fixture_expect_code(f, "m", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "this db has ended with its transaction");
}

static void what_is_left_open_is_rolled_back(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f,
                        "app:method('m', function(ctx)\n"
                        "  local co = coroutine.create(function() ctx.db:transaction(function(tx)\n"
                        "    tx:exec('insert into t values (1)') coroutine.yield() end) end)\n"
                        "  return { coroutine.resume(co) } end)\n"
                        "local other\n"
                        "app:method('leave', function(ctx)\n"
                        "  other = coroutine.create(function() ctx.db:transaction(function(tx)\n"
                        "    coroutine.yield() end) end)\n"
                        "  return coroutine.resume(other) end)\n"
                        "app:method('enter', function(ctx)\n"
                        "  local ok, e = coroutine.resume(other)\n"
                        "  return { ok, e:match('handler') , ctx.db:one('select 1 as x').x } end)\n"
                        "app:method('by_hand', function(ctx) ctx.db:exec('begin')\n"
                        "  ctx.db:exec('insert into t values (5)') return 1 end)");

    script_fixture_expect_code(f, "m", LEAT_CODE_INTERNAL);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_fixture_expect_code(f, "leave", LEAT_CODE_INTERNAL);
    script_fixture_expect(f, "enter", "[false,\"handler\",1]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_fixture_expect(f, "by_hand", "1");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    assert_int_equal(script_fixture_number("select count(*) from pg_stat_activity where "
                                           "datname = current_database() and "
                                           "state like 'idle in transaction%'"),
                     0);
    assert_int_equal(script_fixture_number("select count(*) from t where n = 1"), 0);
}

static void a_deadline_or_the_budget_ends_it(void **state)
{
    script_fixture *f = *state;
    f->budget_ms = 50;
    use(f);
    script_fixture_load(
        f, "app:method('slow', function(ctx) ctx.db:transaction(function(tx)\n"
           "  tx:exec('insert into t values (1)') tx:one('select pg_sleep(60)') end) end)\n"
           "app:method('busy', function(ctx) ctx.db:transaction(function(tx)\n"
           "  tx:exec('insert into t values (1)')\n"
           "  while true do pcall(function() while true do end end) end end) end)\n"
           "app:method('brief', function(ctx)\n"
           "  local brief = ctx:with_timeout(50).db\n"
           "  local ok, e = pcall(brief.transaction, brief, function(tx)\n"
           "    tx:exec('insert into t values (1)')\n"
           "    pcall(tx.one, tx, 'select pg_sleep(60)')\n"
           "    return tx:one('select 1') end)\n"
           "  return { ok, e.code, ctx.db:one('select 1 as x').x } end)");

    script_fixture_expect(f, "brief", "[false,\"unavailable\",1]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_fixture_expect_code(f, "busy", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "computed for longer than script_budget_ms");
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_BUDGET), 1);
    f->deadline_ms = 150;
    script_fixture_expect_code(f, "slow", LEAT_CODE_DEADLINE_EXCEEDED);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    assert_int_equal(script_fixture_number("select count(*) from t"), 0);
}

static void a_lost_connection_ends_it(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f,
                        "app:method('m', function(ctx)\n"
                        "  local ok, e = pcall(ctx.db.transaction, ctx.db, function(tx)\n"
                        "    pcall(tx.one, tx, 'select pg_terminate_backend(pg_backend_pid())')\n"
                        "    return pcall(tx.one, tx, 'select 1') end)\n"
                        "  return { ok, e.code, ctx.db:one('select 1 as x').x } end)");

    script_fixture_expect(f, "m", "[false,\"unavailable\",1]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

/* --- a connection that is given --- */

struct lease {
    leat_pg_waiter waiter;
    leat_pg_conn *conn;
    leat_pg_query query;
    bool ran;
};

static void on_leased(leat_pg_waiter *w, leat_pg_conn *conn, int err)
{
    assert_int_equal(err, 0);
    ((struct lease *)w->data)->conn = conn;
}

static void on_ran(leat_pg_query *q, leat_pg_result *res, int err)
{
    (void)res;
    assert_int_equal(err, 0);
    ((struct lease *)q->data)->ran = true;
}

static void run(script_fixture *f, struct lease *l, const char *sql)
{
    l->ran = false;
    l->query.data = l;
    assert_int_equal(
        leat_pg_conn_query(l->conn, &l->query, sql, NULL, 0, script_fixture_deadline(f), on_ran),
        0);
    SCRIPT_UNTIL(f, l->ran);
}

static void lease(script_fixture *f, struct lease *l)
{
    leat_pg_waiter_init(&l->waiter);
    l->waiter.data = l;
    leat_pg_pool_acquire(f->core.pool, &l->waiter, script_fixture_deadline(f), on_leased);
    SCRIPT_UNTIL(f, l->conn != NULL);
    run(f, l, "begin isolation level repeatable read read only");
}

static void refresh_and_snapshot_read_in_one_view(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "local function count(db) return db:one('select count(*) as n from t').n end\n"
           "app:topic('t', { subscribe = function(ctx)\n"
           "  return leat.subscribe_authorized(ctx, { n = -1 }, {\n"
           "    refresh = function(db, row) return { n = count(db) } end,\n"
           "    snapshot = function(db, row) local inner = db:transaction(function(tx)\n"
           "        return count(tx) end)\n"
           "      local ok = pcall(db.transaction, db, function(tx) tx:one('nonsense') end)\n"
           "      return { row.n, inner, count(db), ok } end }) end })");
    script_answer *a = script_fixture_authorize(f, NULL, "t", NULL);
    struct lease l = {.conn = NULL};
    lease(f, &l);

    script_answer *r = script_fixture_refresh(f, a->grant, l.conn);
    script_fixture_exec("insert into t values (1)");
    script_answer *s = script_fixture_snapshot(f, a->grant, l.conn);

    assert_int_equal(r->code, LEAT_CODE_OK);
    assert_string_equal(s->json, "[0,0,0,false]");
    run(f, &l, "commit");
    assert_true(leat_pg_conn_idle(l.conn));
    leat_pg_pool_release(f->core.pool, l.conn);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_answer_free(a);
    script_answer_free(r);
    script_answer_free(s);
}

static void a_read_that_hangs_leaves_the_connection_to_its_owner(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:topic('t', { subscribe = function(ctx)\n"
                           "  return leat.subscribe_authorized(ctx, { n = 1 }, {\n"
                           "    refresh = function(db) return db:one('select pg_sleep(60)') end,\n"
                           "    snapshot = function(db, row) return row end }) end })");
    script_answer *a = script_fixture_authorize(f, NULL, "t", NULL);
    struct lease l = {.conn = NULL};
    lease(f, &l);
    f->deadline_ms = 100;

    script_answer *r = script_fixture_refresh(f, a->grant, l.conn);

    assert_int_equal(r->code, LEAT_CODE_DEADLINE_EXCEEDED);
    assert_true(r->read_failed);
    script_answer *s = script_fixture_snapshot(f, a->grant, NULL);
    assert_string_equal(s->json, "{\"n\":1}");
    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_POOL_BUSY), 1);
    leat_pg_pool_release(f->core.pool, l.conn);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    script_answer_free(a);
    script_answer_free(r);
    script_answer_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, open_with_table, script_fixture_close)
        TEST(it_commits_and_returns_what_its_function_returns),
        TEST(every_db_of_the_handler_is_in_it),
        TEST(an_error_or_a_refusal_rolls_back),
        TEST(a_failure_that_is_ignored_still_fails_it),
        TEST(a_nested_one_is_a_savepoint),
        TEST(a_commit_that_fails_raises),
        TEST(its_handle_ends_with_it),
        TEST(what_is_left_open_is_rolled_back),
        TEST(a_deadline_or_the_budget_ends_it),
        TEST(a_lost_connection_ends_it),
        TEST(refresh_and_snapshot_read_in_one_view),
        TEST(a_read_that_hangs_leaves_the_connection_to_its_owner),
    };
    return cmocka_run_group_tests(tests, script_fixture_make_database,
                                  script_fixture_drop_database);
}
