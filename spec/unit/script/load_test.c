/* What an app may register, and what a load that goes wrong says. */
#include "script_fixture.h"

#include <string.h>

#define HEAD "local leat = require 'leat'; local app = leat.app() "

static void expect_error(script_fixture *f, const char *text, const char *part)
{
    const char *error = script_fixture_load_error(f, text);
    if (strstr(error, part) == NULL)
        fail_msg("expected: %s\nbut got: %s", part, error);
}

static void a_script_that_fails_says_where(void **state)
{
    script_fixture *f = *state;

    expect_error(f, "return leat +", "app.lua:1: unexpected symbol");
    expect_error(f, "\nerror('no good')", "app.lua:2: no good\nstack traceback:\n");
    expect_error(f, "error(require('leat').deny('forbidden', 'never'))", "forbidden: never");
    expect_error(f, "\x1bLua", "attempt to load a binary chunk");
    expect_error(f, HEAD, "app.lua: must end with 'return app'");
    expect_error(f, HEAD "return {}", "app.lua: must end with 'return app'");
    expect_error(f, HEAD "coroutine.yield() return app", "attempt to yield from outside");
    expect_error(f, HEAD "app:signal('t', 1) return app", "no handler is running");
    expect_error(f, HEAD "app:resync('t') return app", "no handler is running");
}

static void a_script_that_computes_for_ever_is_stopped(void **state)
{
    script_fixture *f = *state;
    f->budget_ms = 20;

    expect_error(f, "while true do pcall(error) end", "app.lua:1: computed for longer than");
}

static void a_load_that_fails_leaves_nothing(void **state)
{
    script_fixture *f = *state;

    script_fixture_load_error(f,
                              HEAD "app:topic('a', { subscribe = print }) app:method('m', print) "
                                   "app:route('GET /', print) app:connect(print) error('x')");

    assert_int_equal(leat_metrics_get(f->metrics, LEAT_M_SCRIPT_MEMORY), 0);
}

static void modules_beside_the_app_can_be_required(void **state)
{
    script_fixture *f = *state;
    script_fixture_write(f, "greeting.lua", "return { text = 'hello' }");
    script_fixture_write(f, "parts.lua",
                         "local app = require 'leat'.app()\n"
                         "app:method('part', function() return 1 end) return true");

    script_fixture_load(f, "require 'parts' local g = require 'greeting'\n"
                           "app:method('greet', function() return g.text end)");

    script_fixture_expect(f, "greet", "\"hello\"");
    script_fixture_expect(f, "part", "1");
}

static void mistakes_in_topics_are_named(void **state)
{
    script_fixture *f = *state;

    expect_error(f, HEAD "app:topic('a:{id', { subscribe = print })", "app:topic 'a:{id':");
    expect_error(f, HEAD "app:topic('a', { subscribe = print, snapshot = print })",
                 "app:topic: unknown key 'snapshot'");
    expect_error(f, HEAD "app:topic('a', {})", "has no subscribe function");
    expect_error(f, HEAD "app:topic('a', { event = print, publish = print })",
                 "has no subscribe function");
    expect_error(f, HEAD "app:topic('a', { subscribe = 3 })", "subscribe must be a function");
    expect_error(f, HEAD "app:topic('a', { publish = print }) app:topic('a', { publish = print })",
                 "registered already");
    expect_error(f,
                 HEAD "app:topic('a:{x:int}', { publish = print }) "
                      "app:topic('a:{y:int}', { publish = print })",
                 "registered already, as 'a:{x:int}'");
    expect_error(f, HEAD "app:connect(print) app:connect(print)", "an app has one connect handler");
    expect_error(f, HEAD "app:connect()", "function expected");
    expect_error(f, HEAD "app:method('m', print) app:method('m', print)", "registered already");
}

static void mistakes_in_routes_are_named(void **state)
{
    script_fixture *f = *state;

    expect_error(f, HEAD "app:route('/x', print)", "must be a method, a space and a path");
    expect_error(f, HEAD "app:route('GET x', print)", "the path must begin with '/'");
    expect_error(f, HEAD "app:route('GET /x', print, { publik = true })", "unknown key 'publik'");
    expect_error(f, HEAD "app:route('GET /x', print, { public = 1 })", "public must be a boolean");
    expect_error(f, HEAD "app:route('GET /x', print) app:stream('/x', 'x')", "registered already");
    expect_error(f, HEAD "app:route('GET /x/{a}', print) app:websocket('/x/{b}', {})",
                 "registered already, as '/x/{a}'");
    expect_error(f, HEAD "app:stream('/x/{id}', 'chat:{no}')", "the path has no hole named 'no'");
    expect_error(f, HEAD "app:stream('/x/{id}', 'chat:{id')", "'{' without '}'");
    expect_error(f, HEAD "app:websocket('/x', { opened = print })", "unknown key 'opened'");
}

static void nothing_is_registered_after_the_load(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:method('late', function()\n"
                           "  return select(2, pcall(app.method, app, 'x', print)) end)");

    script_fixture_expect(
        f, "late", "\"app:method can be called only while the app loads, and not in a handler\"");
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void a_reload_leaves_the_old_one_to_its_users(void **state)
{
    script_fixture *f = *state;
    script_fixture_load(f, "app:topic('t', { subscribe = function(ctx)\n"
                           "  return leat.subscribe_authorized(ctx, { n = 1 }, {\n"
                           "    snapshot = function(db, row) return row end }) end })");
    script_answer *a = script_fixture_authorize(f, NULL, "t", NULL);
    assert_int_equal(a->code, LEAT_CODE_OK);
    leat_grant *grant = a->grant;
    f->n_grants = 0;
    leat_lua *old = f->lua;

    script_fixture_load(f, "app:method('new', function() return true end)");
    bool freed = false;
    leat_lua_retire(old, set_true, &freed);
    assert_false(freed);
    assert_false(script_fixture_ops(f)->grant_current(script_fixture_script(f), grant));
    script_answer *s = script_fixture_snapshot(f, grant, NULL);
    assert_string_equal(s->json, "{\"n\":1}");
    assert_false(freed);
    script_fixture_ops(f)->grant_free(grant);

    assert_false(freed); /* whoever gave it back may still have the old functions in hand */
    SCRIPT_UNTIL(f, freed);
    script_answer_free(a);
    script_answer_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, script_fixture_open, script_fixture_close)
        TEST(a_script_that_fails_says_where),
        TEST(a_script_that_computes_for_ever_is_stopped),
        TEST(a_load_that_fails_leaves_nothing),
        TEST(modules_beside_the_app_can_be_required),
        TEST(mistakes_in_topics_are_named),
        TEST(mistakes_in_routes_are_named),
        TEST(nothing_is_registered_after_the_load),
        TEST(a_reload_leaves_the_old_one_to_its_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
