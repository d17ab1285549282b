/* db:batch: several statements in one round trip, all or nothing. */
#include "script_fixture.h"

#include <string.h>

static void use(script_fixture *f)
{
    script_fixture_use_pool(f, 1);
    script_fixture_exec("drop table if exists t; create table t (n int unique, s text)");
}

static void each_statement_has_its_result(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "app:method('m', function(ctx)\n"
           "  local added, rows, none, asked, named = ctx.db:batch {\n"
           "    { 'insert into t values ($1, $2), ($3, $4)', 1, 'a', 2, leat.null },\n"
           "    { 'select n, s from t order by n' },\n"
           "    { 'select n from t where false' },\n"
           "    { [[select point '(1,2)' as p, 1.50 as x, '{\"k\":[]}'::jsonb as j]] },\n"
           "    { 'update t set s = $2 where n = $1 returning point(n, 0) as s', 2, { b = 1 } },\n"
           "  }\n"
           "  return { added, rows, none, asked, named, ctx.db:rows('select s from t') } end)");

    script_fixture_expect(f, "m",
                          "[2,[{\"n\":1,\"s\":\"a\"},{\"n\":2,\"s\":null}],[],"
                          "[{\"p\":\"(1,2)\",\"x\":1.50,\"j\":{\"k\":[]}}],[{\"s\":\"(2,0)\"}],"
                          "[{\"s\":\"a\"},{\"s\":\"{\\\"b\\\":1}\"}]]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void it_is_one_transaction(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "local function ids(db)\n"
                           "  local a, b = db:batch { { 'select txid_current() as x' },\n"
                           "    { 'select txid_current() as x' } }\n"
                           "  return a[1].x, b[1].x end\n"
                           "app:method('m', function(ctx) local a, b = ids(ctx.db)\n"
                           "  local in_one = ctx.db:transaction(function(tx)\n"
                           "    local first = tx:one('select txid_current() as x').x\n"
                           "    local c, d = ids(tx) return c == first and d == first end)\n"
                           "  return { a == b, a ~= ids(ctx.db), in_one } end)");

    script_fixture_expect(f, "m", "[true,true,true]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_failure_names_its_statement_and_undoes_all(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "local function try(db, ...) local ok, e = pcall(db.batch, db, { ... })\n"
           "  return tostring(e), db:one('select count(*) as n from t').n end\n"
           "app:method('m', function(ctx) local a, b, c = { 'insert into t values (1)' },\n"
           "    { 'select 1 / $1::int', 0 }, { 'insert into t values (2)' }\n"
           "  return { try(ctx.db, a, b, c) } end)\n"
           "app:method('commit', function(ctx)\n"
           "  ctx.db:exec('create table late (n int unique deferrable initially deferred)')\n"
           "  local insert = { 'insert into late values (1)' }\n"
           "  local ok, e = pcall(ctx.db.batch, ctx.db, { insert, insert })\n"
           "  return { tostring(e), ctx.db:one('select count(*) as n from late').n } end)\n"
           "app:method('in', function(ctx) local _, e = pcall(ctx.db.transaction, ctx.db, "
           "function(tx)\n"
           "  tx:exec('insert into t values (3)')\n"
           "  pcall(tx.batch, tx, { { 'select 1' }, { 'selec 1' } }) end)\n"
           "  return e.sqlstate end)\n"
           "app:method('save', function(ctx) return ctx.db:transaction(function(tx)\n"
           "  tx:exec('insert into t values (4)')\n"
           "  pcall(tx.transaction, tx, function()\n"
           "    tx:batch { { 'insert into t values (5)' }, { 'selec 1' } } end)\n"
           "  return tx:rows('select n from t') end) end)");

    script_fixture_expect(f, "m",
                          "[\"internal: statement 2 of the batch: division by zero "
                          "(SQLSTATE 22012)\",0]");
    script_fixture_expect(f, "commit",
                          "[\"internal: statement 2 of the batch: duplicate key value violates "
                          "unique constraint \\\"late_n_key\\\" (SQLSTATE 23505)\",0]");
    script_fixture_expect(f, "in", "\"25P02\"");
    script_fixture_expect(f, "save", "[{\"n\":4}]");
    script_fixture_exec("drop table late");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

/* Each statement is prepared, then its table changes. The batch is repeated as a whole: what it
 * inserts, it inserts once. */
static void a_statement_that_is_out_of_date_is_not_noticed(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "local batch = { { 'insert into t select count(*) + $1::int, $2 from t', 1, 'x' },\n"
           "  { 'select * from t order by n' }, { 'select 1 as one' }, { 'select * from u' } }\n"
           "local function run(db) local _, t, one, u = db:batch(batch) return { t, one, u } end\n"
           "app:method('alone', function(ctx) return run(ctx.db) end)\n"
           "app:method('within', function(ctx) return ctx.db:transaction(run) end)");
    script_fixture_exec("create table u (a int)");

    static const char *const methods[] = {"alone", "within"};
    for (int i = 0; i < 2; i++) {
        script_fixture_exec("truncate t; "
                            "alter table t drop if exists m; alter table u drop if exists b");
        script_fixture_expect(f, methods[i], "[[{\"n\":1,\"s\":\"x\"}],[{\"one\":1}],[]]");
        script_fixture_exec("alter table t add m int; alter table u add b int");
        script_fixture_exec("truncate t; insert into u values (1, 2)");
        script_answer *a = script_fixture_method(f, NULL, methods[i], NULL);
        assert_non_null(
            strstr(a->json, "\"s\":\"x\",\"m\":null}],[{\"one\":1}],[{\"a\":1,\"b\":2}]"));
        assert_int_equal(script_fixture_number("select count(*) from t"), 1);
        script_answer_free(a);
        script_fixture_exec("truncate u");
    }
    script_fixture_exec("drop table u");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void a_value_that_the_client_sent_is_its_fault(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "app:method('m', function(ctx, p) ctx.db:batch { { 'select $1::text', p.s },\n"
           "  { 'select $1::int', p.n }, { 'select $1::int', 'x' } } end)");

    script_answer *mine = script_fixture_method(f, NULL, "m", "{\"s\":\"abc\",\"n\":1}");
    script_answer *theirs = script_fixture_method(f, NULL, "m", "{\"s\":\"abc\",\"n\":\"y\"}");

    assert_int_equal(mine->code, LEAT_CODE_INTERNAL);
    assert_int_equal(theirs->code, LEAT_CODE_BAD_REQUEST);
    script_answer_free(mine);
    script_answer_free(theirs);
    script_fixture_expect_logged(f, "statement 3 of the batch");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void its_deadline_is_that_of_all(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f, "app:method('m', function(ctx) local db = ctx:with_timeout(100).db\n"
                           "  local ok, e = pcall(db.batch, db, { { 'insert into t values (1)' },\n"
                           "    { 'select pg_sleep(60)' }, { 'insert into t values (2)' } })\n"
                           "  return { e.code, ctx.db:one('select count(*) as n from t').n } end)");

    script_fixture_expect(f, "m", "[\"deadline_exceeded\",0]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

/* The fixture's results may have a megabyte. */
static void its_results_are_bounded_together(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(f,
                        "local function try(db, n) local many = {}\n"
                        "  for i = 1, n do many[i] = { [[select repeat('x', 400000)]] } end\n"
                        "  local ok, e = pcall(db.batch, db, many) return ok or tostring(e) end\n"
                        "app:method('m', function(ctx)\n"
                        "  return { try(ctx.db, 2), try(ctx.db, 4), try(ctx.db, 2) } end)");

    script_fixture_expect(
        f, "m", "[true,\"too_large: statement 3 of the batch: the result is too large\",true]");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

/* A COMMIT has no place in a batch. If there is one, nothing behind it repeats what it has ended.
 */
static void what_is_committed_is_not_repeated(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f,
        "app:method('m', function(ctx) local ok, e = pcall(ctx.db.batch, ctx.db, {\n"
        "    { 'insert into t values (null, $1)', 'x' }, { 'commit' }, { 'select * from u' } })\n"
        "  return { ok or e.code, ctx.db:one('select count(*) as n from t').n } end)");
    script_fixture_exec("create table u (a int)");

    script_fixture_expect(f, "m", "[true,1]");
    script_fixture_exec("alter table u add b int");
    script_fixture_expect(f, "m", "[\"unavailable\",2]");
    script_fixture_expect(f, "m", "[true,3]");
    script_fixture_exec("drop table u");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

static void mistakes_say_where_they_are(void **state)
{
    script_fixture *f = *state;
    use(f);
    script_fixture_load(
        f, "local function try(ctx, ...) local ok, e = pcall(ctx.db.batch, ctx.db, ...)\n"
           "  return tostring(e) end\n"
           "app:method('m', function(ctx) return { try(ctx, { 'select 1' }),\n"
           "  try(ctx, { { 'select 1' }, {} }), try(ctx, { { 'select 1' }, { print } }),\n"
           "  try(ctx, { { 'select\\0 1' } }), try(ctx, { { 'select 1' }, { 'x', 1, print } }),\n"
           "  ctx.db:one('select 1 as n').n } end)\n"
           "app:method('count', function(ctx) local many = {}\n"
           "  local none = try(ctx, {})\n"
           "  for i = 1, 100 do many[i] = { 'select $1::int as n', i } end\n"
           "  local last = select(100, ctx.db:batch(many))[1].n\n"
           "  many[101] = many[1]\n"
           "  return { none:match('a batch.*[^)]'), last, try(ctx, many):match('a batch.*[^)]')\n"
           "  } end)\n"
           "app:method('long', function(ctx) local text = 'select 1' .. (' '):rep(600000)\n"
           "  return { try(ctx, { { text } }):match('array'), try(ctx, { { text }, { text } }) } "
           "end)\n"
           "app:method('list', function(ctx) return ctx.db:batch('select 1') end)");

    script_fixture_expect(f, "m",
                          "[\"statement 1 of the batch is no { sql, ... }\","
                          "\"statement 2 of the batch is no { sql, ... }\","
                          "\"statement 2 of the batch is no { sql, ... }\","
                          "\"statement 1 of the batch contains a zero byte\","
                          "\"statement 2 of the batch: bad query parameter $2: a function cannot "
                          "be a parameter\",1]");
    script_fixture_expect(f, "count",
                          "[\"a batch has 1 to 100 statements\",100,"
                          "\"a batch has 1 to 100 statements\"]");
    script_fixture_expect(f, "long",
                          "[\"array\",\"the statements of the batch are longer than 1048576 "
                          "bytes\"]");
    script_fixture_expect_code(f, "list", LEAT_CODE_INTERNAL);
    script_fixture_expect_logged(f, "table expected, got string");
    SCRIPT_UNTIL(f, script_fixture_pool_is_quiet(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(each_statement_has_its_result),
        TEST(it_is_one_transaction),
        TEST(a_failure_names_its_statement_and_undoes_all),
        TEST(a_statement_that_is_out_of_date_is_not_noticed),
        TEST(a_value_that_the_client_sent_is_its_fault),
        TEST(its_deadline_is_that_of_all),
        TEST(its_results_are_bounded_together),
        TEST(what_is_committed_is_not_repeated),
        TEST(mistakes_say_where_they_are),
    };
    return cmocka_run_group_tests(tests, script_fixture_make_database,
                                  script_fixture_drop_database);
}
