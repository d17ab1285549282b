/* db:one, db:rows, db:exec: values, failures, deadlines, and what becomes of the connections. */
#include "script_fixture.h"

#include <string.h>

static void rows_come_as_tables(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 2);
    script_fixture_load(
        f, "app:method('m', function(ctx) local db = ctx.db\n"
           "  local row = db:one([[select 9007199254740993 as b, null as a, 1.50::numeric as n,\n"
           "    '{\"x\":[]}'::jsonb as j, true as t, 'h\xc3\xa9' as s]])\n"
           "  return { row, row.a == nil, math.type(row.b), row.n,\n"
           "    db:one('select 1 where false') == nil, db:rows('select 1 where false'),\n"
           "    db:rows('select generate_series(1, 3) as i'),\n"
           "    db:exec('select generate_series(1, 3)') } end)");

    script_fixture_expect(f, "m",
                          "[{\"b\":9007199254740993,\"a\":null,\"n\":1.50,\"j\":{\"x\":[]},"
                          "\"t\":true,\"s\":\"h\xc3\xa9\"},true,\"integer\",\"1.50\",true,[],"
                          "[{\"i\":1},{\"i\":2},{\"i\":3}],3]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void parameters_are_bound(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(
        f, "app:method('m', function(ctx) return ctx.db:one([[select $1::bigint as i,\n"
           "  $2::text as s, $3::float8 as f, $4::bool as b, $5::text as n, $6::text as null,\n"
           "  $7::jsonb as j, $8::jsonb as raw, $9::text as empty]], 9007199254740993,\n"
           "  \"'; drop table x\", 0.5, false, nil, leat.null, { a = { 1 } },\n"
           "  leat.json('[1.0]'), '') end)\n"
           "app:method('few', function(ctx) return ctx.db:one('select $1::int + $2::int', 1) end)\n"
           "app:method('odd', function(ctx) return ctx.db:one('select $1', print) end)\n"
           "app:method('zero', function(ctx) return ctx.db:one('select $1', 'a\\0b') end)\n"
           "app:method('sql', function(ctx) return ctx.db:one('select\\0 1') end)");

    script_fixture_expect(f, "m",
                          "{\"i\":9007199254740993,\"s\":\"'; drop table x\",\"f\":0.5,"
                          "\"b\":false,\"n\":null,\"null\":null,\"j\":{\"a\":[1]},"
                          "\"raw\":[1.0],\"empty\":\"\"}");
    script_fixture_expect_code(f, "few", LEAT_CODE_INTERNAL);
    script_fixture_expect_code(f, "odd", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "bad query parameter $1");
    script_fixture_expect_code(f, "zero", LEAT_CODE_INTERNAL);
    script_fixture_expect_code(f, "sql", LEAT_CODE_INTERNAL);
}

static void tasks_read_side_by_side(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 2);
    script_fixture_load(
        f, "app:method('m', function(ctx)\n"
           "  return ctx.db:one('select pg_backend_pid() as p, pg_sleep(0.1)').p end)");
    script_answer *a[4];
    for (int i = 0; i < 4; i++) {
        a[i] = script_answer_new(f);
        script_fixture_ops(f)->method(script_fixture_script(f), &a[i]->call, NULL,
                                      leat_slice_of("m"), leat_slice_of(NULL),
                                      script_fixture_deadline(f));
    }

    SCRIPT_UNTIL(f, a[0]->done && a[1]->done && a[2]->done && a[3]->done);

    assert_string_not_equal(a[0]->json, a[1]->json);
    for (int i = 0; i < 4; i++)
        script_answer_free(a[i]);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_read_that_fails_raises_a_value_with_a_code(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(
        f, "local function try(ctx, ...) local ok, e = pcall(ctx.db.one, ctx.db, ...)\n"
           "  return { ok, e.code, e.sqlstate or '-', tostring(e), type(e.retry_after_ms) } end\n"
           "app:method('syntax', function(ctx) return try(ctx, 'selec 1') end)\n"
           "app:method('kill', function(ctx) return try(ctx,\n"
           "  'select pg_terminate_backend(pg_backend_pid())') end)\n"
           "app:method('raise', function(ctx) ctx.db:exec(\n"
           "  'insert into once values (2), (2)') end)\n"
           "app:method('twice', function(ctx)\n"
           "  ctx.db:exec('create table once (n int unique)')\n"
           "  return try(ctx, 'insert into once values (1), (1)') end)\n"
           "app:method('fine', function(ctx) return ctx.db:one('select 1 as n').n end)");

    script_fixture_expect(f, "syntax",
                          "[false,\"internal\",\"42601\",\"internal: syntax error at or near "
                          "\\\"selec\\\" (SQLSTATE 42601)\",\"nil\"]");
    script_fixture_expect(f, "twice",
                          "[false,\"internal\",\"23505\",\"internal: duplicate key value violates "
                          "unique constraint \\\"once_n_key\\\" (SQLSTATE 23505)\",\"nil\"]");
    script_fixture_expect(f, "kill",
                          "[false,\"unavailable\",\"-\",\"unavailable: the connection to the "
                          "database is lost\",\"number\"]");
    script_fixture_expect(f, "fine", "1");
    script_fixture_expect_code(f, "raise", LEAT_CODE_INTERNAL);
    script_fixture_exec("drop table once");
    script_fixture_expect_logged(f, "script failed handler=method method=raise sqlstate=23505");
    script_fixture_expect_logged(f, "app.lua:");
}

static void an_uncaught_failure_is_the_answer(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(
        f, "local function lose(db) return db:one('select pg_terminate_backend($1)',\n"
           "  db:one('select pg_backend_pid() as p').p) end\n"
           "app:topic('t', { subscribe = function(ctx) lose(ctx.db) end,\n"
           "  publish = function(ctx) ctx.db:exec('insert into no_such_table values (1)') end })");

    script_answer *a = script_fixture_authorize(f, NULL, "t", NULL);
    script_answer *p = script_fixture_publish(f, NULL, "t", "1");

    assert_int_equal(a->code, LEAT_CODE_UNAVAILABLE);
    assert_true(a->read_failed);
    assert_int_equal(a->retry_after_ms, 1000);
    assert_string_equal(a->message, ""); /* words are added where it is sent */
    assert_null(a->grant);
    assert_int_equal(p->code, LEAT_CODE_INTERNAL);
    assert_true(p->read_failed);
    script_fixture_expect_logged(f, "script failed handler=publish topic=t sqlstate=42P01");
    script_fixture_expect_logged(f, "read failed handler=subscribe topic=t code=unavailable");
    script_answer_free(a);
    script_answer_free(p);
}

static void a_deadline_frees_the_connection_and_stops_the_query(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f, "app:topic('t', { subscribe = function(ctx)\n"
                           "  ctx.db:one('select pg_sleep(60)') end })\n"
                           "app:method('fine', function(ctx)\n"
                           "  return ctx.db:one('select 1 as n').n end)");
    f->deadline_ms = 150;
    uint64_t before_ms = uv_now(&f->uv);

    script_answer *a = script_fixture_authorize(f, NULL, "t", NULL);

    assert_int_equal(a->code, LEAT_CODE_DEADLINE_EXCEEDED);
    assert_true(a->read_failed);
    assert_in_range(uv_now(&f->uv) - before_ms, 150, 1000);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
    assert_int_equal(script_fixture_number("select count(*) from pg_stat_activity where "
                                           "datname = current_database() and "
                                           "query like '%pg_sleep(60)%' and state = 'active' and "
                                           "pid <> pg_backend_pid()"),
                     0);
    f->deadline_ms = 5000;
    script_fixture_expect(f, "fine", "1");
    script_answer_free(a);
}

static void waiting_for_a_connection_counts(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f, "app:method('slow', function(ctx) ctx.db:one('select pg_sleep(0.5)')\n"
                           "  return 1 end)\n"
                           "app:method('quick', function(ctx) return ctx.db:one('select 1') end)");
    script_answer *slow = script_answer_new(f);
    script_fixture_ops(f)->method(script_fixture_script(f), &slow->call, NULL,
                                  leat_slice_of("slow"), leat_slice_of(NULL),
                                  script_fixture_deadline(f));
    SCRIPT_UNTIL(f, leat_metrics_get(f->metrics, LEAT_M_POOL_BUSY) == 1);
    f->deadline_ms = 60;

    script_fixture_expect_code(f, "quick", LEAT_CODE_DEADLINE_EXCEEDED);

    assert_false(slow->done);
    script_answer_wait(slow);
    assert_int_equal(slow->code, LEAT_CODE_OK);
    script_answer_free(slow);
}

static void with_timeout_bounds_what_is_read_through_it(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(
        f, "app:method('m', function(ctx)\n"
           "  local short, long = ctx:with_timeout(50), ctx:with_timeout(3600000)\n"
           "  assert(short.deadline < ctx.deadline and long.deadline == ctx.deadline)\n"
           "  assert(short:with_timeout(1000).deadline == short.deadline)\n"
           "  local ok, e = pcall(short.db.one, short.db, 'select pg_sleep(60)')\n"
           "  return { ok, e.code, tostring(e), ctx.db:one('select 1 as n').n } end)");

    script_fixture_expect(f, "m",
                          "[false,\"deadline_exceeded\",\"deadline_exceeded: the deadline "
                          "passed\",1]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_full_queue_is_unavailable_at_once(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f, "app:method('m', function(ctx) ctx.db:one('select pg_sleep(0.2)')\n"
                           "  return 1 end)");
    script_answer *a[5];
    for (int i = 0; i < 5; i++) {
        a[i] = script_answer_new(f);
        script_fixture_ops(f)->method(script_fixture_script(f), &a[i]->call, NULL,
                                      leat_slice_of("m"), leat_slice_of(NULL),
                                      script_fixture_deadline(f));
    }

    SCRIPT_UNTIL(f, a[0]->done && a[1]->done && a[2]->done && a[3]->done && a[4]->done);

    int refused = 0;
    for (int i = 0; i < 5; i++) {
        if (a[i]->code != LEAT_CODE_OK) {
            assert_int_equal(a[i]->code, LEAT_CODE_UNAVAILABLE);
            assert_int_equal(a[i]->retry_after_ms, 1000);
            refused++;
        }
        script_answer_free(a[i]);
    }
    assert_in_range(refused, 1, 4);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_cancelled_call_leaves_nothing(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f,
                        "local closed = 0\n"
                        "app:method('m', function(ctx)\n"
                        "  local _ <close> = setmetatable({}, { __close = function()\n"
                        "    closed = closed + 1\n"
                        "    pcall(ctx.db.one, ctx.db, 'select 1') end })\n"
                        "  ctx.db:transaction(function() ctx.db:one('select pg_sleep(60)') end)\n"
                        "end)\n"
                        "app:method('closed', function() return closed end)");
    /* In each state: not begun, waiting for the pool, for the query. */
    for (int busy = 0; busy < 3; busy++) {
        script_answer *a = script_answer_new(f);
        script_fixture_ops(f)->method(script_fixture_script(f), &a->call, NULL, leat_slice_of("m"),
                                      leat_slice_of(NULL), script_fixture_deadline(f));
        if (busy == 1)
            SCRIPT_UNTIL(f, leat_metrics_get(f->metrics, LEAT_M_POOL_WAITERS) > 0 ||
                                leat_metrics_get(f->metrics, LEAT_M_POOL_BUSY) > 0);
        if (busy == 2)
            SCRIPT_UNTIL(f, script_fixture_number("select count(*) from pg_stat_activity where "
                                                  "datname = current_database() and "
                                                  "query = 'select pg_sleep(60)' and state = "
                                                  "'active'") == 1);
        script_fixture_ops(f)->cancel(&a->call);
        assert_null(a->call.task_);
        script_fixture_ops(f)->cancel(&a->call);
        SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
        assert_false(a->done);
        script_answer_free(a);
    }
    script_fixture_expect(f, "closed", "2");
}

static void db_calls_wait_through_the_scripts_own_coroutines(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(
        f, "app:method('m', function(ctx)\n"
           "  local numbers = coroutine.wrap(function() for i = 1, 3 do\n"
           "    coroutine.yield(ctx.db:one('select $1::int * 2 as n', i).n) end end)\n"
           "  return { numbers(), numbers(), numbers() } end)\n"
           "app:method('sort', function(ctx)\n"
           "  local ok, e = pcall(table.sort, { 1, 2 }, function() return ctx.db:one('x') end)\n"
           "  return { ok, (e:gsub('^.*: ', '')), ctx.db:one('select 7 as n').n } end)\n"
           "app:method('wrapped', function(ctx)\n"
           "  local ok, e = pcall(string.gsub, 'a', 'a', function()\n"
           "    return coroutine.wrap(function() ctx.db:one('select 1') end)() end)\n"
           "  return { ok, ctx.db:one('select 8 as n').n } end)");

    script_fixture_expect(f, "m", "[2,4,6]");
    script_fixture_expect(f, "sort", "[false,\"cannot wait here\",7]");
    script_fixture_expect(f, "wrapped", "[false,8]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_kept_db_ends_with_its_handler(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f, "local kept\n"
                           "app:method('keep', function(ctx) kept = ctx.db return true end)\n"
                           "app:method('use', function() return kept:one('select 1') end)");

    script_fixture_expect(f, "keep", "true");
    script_fixture_expect_code(f, "use", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "this db has ended with its handler");
}

static void signals_and_resyncs_are_sent(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_exec("create schema leat; create table leat.told (what text);"
                        "create function leat.signal(topic text, data jsonb, key text) returns "
                        "void language sql as $$ insert into leat.told values "
                        "(topic || data || coalesce(key, '')) $$;"
                        "create function leat.resync(topic text) returns void "
                        "language sql as $$ insert into leat.told values (topic) $$");
    script_fixture_load(f, "app:method('m', function(ctx) app:signal('t:1', { typing = {} })\n"
                           "  app:signal('t:2', nil, { conflate = 'k' }) app:resync('t:3')\n"
                           "  return ctx.db:rows('select what from leat.told') end)\n"
                           "app:method('bad', function() app:signal('', 1) end)\n"
                           "app:method('worse', function() app:signal('t', print) end)");

    script_fixture_expect(f, "m",
                          "[{\"what\":\"t:1{\\\"typing\\\": {}}\"},{\"what\":\"t:2nullk\"},"
                          "{\"what\":\"t:3\"}]");
    script_fixture_expect_code(f, "bad", LEAT_CODE_INTERNAL);
    script_fixture_expect_code(f, "worse", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "app:signal: malformed topic");
    script_fixture_exec("drop schema leat cascade");
}

static void a_server_that_cannot_be_reached_is_unavailable(void **state)
{
    script_fixture *f = *state;
    f->pool_options = (leat_pg_pool_options){.pg = {.conninfo = "host=/nonexistent",
                                                    .application_name = "leat-script-unit",
                                                    .connect_timeout_ms = 3000},
                                             .size = 1,
                                             .max_waiters = 2,
                                             .max_backoff_ms = 500};
    assert_int_equal(leat_pg_pool_new(&f->core.pool, f->loop, f->metrics, &f->pool_options), 0);
    script_fixture_load(f, "app:method('m', function(ctx) return ctx.db:one('select 1') end)\n"
                           "app:method('try', function(ctx) local short = ctx:with_timeout(50).db\n"
                           "  local ok, e = pcall(short.one, short, 'x') return { e.code } end)");
    f->deadline_ms = 100;

    script_answer *a = script_fixture_method(f, NULL, "m", NULL);

    assert_int_equal(a->code, LEAT_CODE_UNAVAILABLE);
    assert_int_equal(a->retry_after_ms, 1000);
    assert_true(a->read_failed);
    script_fixture_expect(f, "try", "[\"unavailable\"]");
    script_answer_free(a);
}

static void a_result_that_is_too_large_is_no_answer(void **state)
{
    script_fixture *f = *state;
    script_fixture_use_pool(f, 1);
    script_fixture_load(f, "app:method('m', function(ctx)\n"
                           "  return ctx.db:one([[select repeat('x', 2000000) as x]]).x end)");

    script_fixture_expect_code(f, "m", LEAT_CODE_TOO_LARGE);
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(rows_come_as_tables),
        TEST(parameters_are_bound),
        TEST(tasks_read_side_by_side),
        TEST(a_read_that_fails_raises_a_value_with_a_code),
        TEST(an_uncaught_failure_is_the_answer),
        TEST(a_deadline_frees_the_connection_and_stops_the_query),
        TEST(waiting_for_a_connection_counts),
        TEST(with_timeout_bounds_what_is_read_through_it),
        TEST(a_full_queue_is_unavailable_at_once),
        TEST(a_cancelled_call_leaves_nothing),
        TEST(db_calls_wait_through_the_scripts_own_coroutines),
        TEST(a_kept_db_ends_with_its_handler),
        TEST(signals_and_resyncs_are_sent),
        TEST(a_server_that_cannot_be_reached_is_unavailable),
        TEST(a_result_that_is_too_large_is_no_answer),
    };
    return cmocka_run_group_tests(tests, script_fixture_make_database,
                                  script_fixture_drop_database);
}
