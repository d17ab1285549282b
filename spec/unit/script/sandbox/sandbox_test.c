#include "script/sandbox/sandbox.h"
#include "script/sandbox/sandbox_hold.h"
#include "script/sandbox/sandbox_lib.h"
#include "script/sandbox/sandbox_lock.h"
#include "script/sandbox/sandbox_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "base/buf.h"

enum {
    MEMORY = 32 << 20,
    BUDGET_MS = 40,
    TOO_LONG_MS = 10000, /* of wall clock, on a busy machine, with sanitizers */
};

/* --- a task runner in small: coroutines that may wait --- */

static int on_answer(lua_State *L, int status, lua_KContext below)
{
    (void)status;
    return lua_gettop(L) - (int)below;
}

/* wait(...) -> whatever the runner answers */
static int wait_for_answer(lua_State *L)
{
    return leat_sandbox_run_wait(L, on_answer, lua_gettop(L));
}

/* from_c(f) -> what f returns: called from C, f cannot wait */
static int call_from_c(lua_State *L)
{
    lua_settop(L, 1);
    lua_call(L, 0, 1);
    return 1;
}

static int make(void **state, uint64_t budget_ms)
{
    leat_sandbox *s = NULL;
    assert_int_equal(leat_sandbox_new(&s, MEMORY, budget_ms), 0);
    lua_State *L = leat_sandbox_state(s);
    lua_register(L, "wait", wait_for_answer);
    lua_register(L, "from_c", call_from_c);
    *state = s;
    return 0;
}

static int make_sandbox(void **state)
{
    return make(state, BUDGET_MS);
}

/* For what is not about the budget: nothing is stopped because the machine is busy. */
static int make_patient(void **state)
{
    return make(state, TOO_LONG_MS);
}

static int free_sandbox(void **state)
{
    leat_sandbox_free(*state);
    return 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A coroutine that is to run the chunk. It stays on the main state's stack. */
static lua_State *start(leat_sandbox *s, const char *chunk)
{
    lua_State *co = lua_newthread(leat_sandbox_state(s));
    if (luaL_loadbufferx(co, chunk, strlen(chunk), "=task", "t") != LUA_OK)
        fail_msg("%s", lua_tostring(co, -1));
    return co;
}

static int run(leat_sandbox *s, lua_State *co, int n_args)
{
    int n_results = 0;
    leat_sandbox_run_begin(s, co);
    int status = lua_resume(co, NULL, n_args, &n_results);
    leat_sandbox_run_end(s);
    return status;
}

/* Runs a chunk that ends and returns one text, or raises one. */
static void assert_returns(leat_sandbox *s, const char *chunk, const char *expected)
{
    lua_State *co = start(s, chunk);
    int status = run(s, co, 0);
    assert_false(leat_sandbox_run_expired(s));
    assert_int_not_equal(status, LUA_YIELD);
    assert_string_equal(luaL_tolstring(co, -1, NULL), expected);
    lua_settop(leat_sandbox_state(s), 0);
}

static void assert_stopped(leat_sandbox *s, const char *chunk)
{
    uint64_t from = now_ms();
    lua_State *co = start(s, chunk);
    run(s, co, 0);
    if (!leat_sandbox_run_expired(s))
        fail_msg("not stopped: %s\n%s", chunk, luaL_tolstring(co, -1, NULL));
    assert_true(now_ms() - from < TOO_LONG_MS);
    assert_false(leat_sandbox_run_reset(s, co));
    lua_settop(leat_sandbox_state(s), 0);
    assert_returns(s, "return 'alive'", "alive");
}

/* --- holds --- */

static void count_drop(void *held)
{
    ++*(int *)held;
}

static int count_finalized(lua_State *L)
{
    ++**(int **)lua_touserdata(L, 1);
    return 0;
}

static int collect_all(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

/* Leaves garbage, and collects it where the C stack is used up: nothing can be called there. */
static int dive(lua_State *L)
{
    int *counts = lua_touserdata(L, 1);
    lua_settop(L, 1);
    void **held = leat_sandbox_hold_push(L, count_drop);
    *held = &counts[0];
    *(int **)lua_newuserdatauv(L, sizeof(int *), 0) = &counts[1];
    lua_newtable(L);
    lua_pushcfunction(L, count_finalized);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    counts[2]++;
    lua_settop(L, 1);
    lua_pushcfunction(L, dive);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

static void what_is_held_is_dropped_where_no_finalizer_runs(void **state)
{
    lua_State *L = leat_sandbox_state(*state);
    int counts[3] = {0, 0, 0}; /* dropped, finalized, made */
    for (int extra = 0; extra < 2; extra++) {
        leat_sandbox_run_begin(*state, L);
        lua_pushcfunction(L, dive);
        lua_pushlightuserdata(L, counts);
        assert_int_equal(lua_pcall(L, 1, 0, 0), LUA_OK);
        lua_pushcfunction(L, collect_all);
        assert_int_equal(lua_pcall(L, 0, 0, 0), LUA_OK);
        leat_sandbox_run_end(*state);
    }
    lua_gc(L, LUA_GCCOLLECT);
    assert_int_equal(counts[0], counts[2]);
    assert_true(counts[1] < counts[2]); /* else a finalizer would do */
}

/* --- the budget --- */

static void stops_loops(void **state)
{
    assert_stopped(*state, "while true do end");
    assert_stopped(*state, "local function f() return f() end f()");
    assert_stopped(*state,
                   "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end})"
                   "while true do pcall(function() return t[1] end) end");
    assert_stopped(*state, "for i = 1, math.huge do local t = {i} end");
    assert_stopped(*state, "for k in function() return 1 end do end");
    assert_stopped(*state, "goto top ::top:: goto top");
}

static void stops_what_catches_errors(void **state)
{
    assert_stopped(*state, "while true do pcall(function() while true do end end) end");
    assert_stopped(*state, "while true do pcall(error) end");
    assert_stopped(*state, "local function f() pcall(f) while true do end end f()");
    assert_stopped(*state, "xpcall(function() while true do end end,"
                           "function() while true do end end)");
    assert_stopped(*state, "xpcall(error, function() while true do end end)");
    assert_stopped(*state, "while true do xpcall(error, function() error('again') end) end");
}

static void stops_coroutines(void **state)
{
    assert_stopped(*state, "coroutine.wrap(function() while true do end end)()");
    assert_stopped(*state, "local co = coroutine.create(function() while true do end end)"
                           "while true do coroutine.resume(co) end");
    assert_stopped(*state,
                   "while true do "
                   "coroutine.resume(coroutine.create(function() while true do end end)) end");
    assert_stopped(*state, "while true do coroutine.wrap(function() coroutine.yield() end)() end");
    assert_stopped(*state,
                   "local function nest(n) return coroutine.wrap(function() "
                   "pcall(function() if n > 0 then nest(n - 1)() end while true do end end) "
                   "while true do end end) end nest(20)() while true do end");
    assert_stopped(*state, "local co = coroutine.create(function()"
                           "  local x <close> = setmetatable({}, {__close = function() "
                           "    while true do end end}) coroutine.yield() end) "
                           "coroutine.resume(co) pcall(coroutine.close, co) while true do end");
}

static void stops_where_yielding_is_impossible(void **state)
{
    assert_stopped(*state,
                   "while true do pcall(table.sort, {3, 2, 1}, function() while true do end "
                   "end) end");
    assert_stopped(*state, "table.sort({3, 2, 1}, function() while true do "
                           "pcall(function() while true do end end) end end)");
    assert_stopped(*state, "table.sort({3, 2, 1}, function() while true do "
                           "xpcall(function() while true do end end, "
                           "function() while true do end end) end end)");
    assert_stopped(*state, "string.gsub('aaa', 'a', function() while true do end end)");
    assert_stopped(*state, "while true do pcall(string.gsub, 'a', 'a', function() "
                           "coroutine.wrap(function() while true do end end)() end) end");
    assert_stopped(*state, "from_c(function() from_c(function() while true do "
                           "pcall(from_c, function() while true do end end) end end) end)");
    assert_stopped(*state, "local t = setmetatable({}, {__tostring = function() while true do end "
                           "end}) while true do pcall(tostring, t) end");
}

static void stops_variables_to_be_closed(void **state)
{
    static const char loop[] = "local function x() return setmetatable({}, {__close = function() "
                               "while true do end end}) end ";
    char chunk[512];
    static const char *const uses[] = {
        "do local a <close> = x() end",
        "local a <close> = x() local b <close> = x() while true do end",
        "pcall(function() local a <close> = x() error('oops') end)",
        "table.sort({3, 2, 1}, function() local a <close> = x() while true do end end)",
        "coroutine.wrap(function() local a <close> = x() error('oops') end)()",
    };
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        snprintf(chunk, sizeof(chunk), "%s%s", loop, uses[i]);
        assert_stopped(*state, chunk);
    }
}

static void stops_patterns_and_long_calls(void **state)
{
    assert_stopped(*state, "(('a'):rep(40)):match(('a?'):rep(40) .. ('a'):rep(40))");
    assert_stopped(*state, "(('a'):rep(1000)):find('.-.-.-.-.-.-b')");
    assert_stopped(*state, "(('a'):rep(100000)):gsub('.-b', '')");
    assert_stopped(*state, "while true do pcall(string.match, ('a'):rep(40), "
                           "('a?'):rep(40) .. ('a'):rep(40)) end");
    assert_stopped(*state, "for s in (('a'):rep(1000)):gmatch('(.-)(.-)(.-)(.-)b') do end");
    assert_stopped(*state, "(('('):rep(1000000)):gsub('%b()', '')");
}

static void resetting_a_failed_coroutine_is_watched(void **state)
{
    leat_sandbox *s = *state;
    lua_State *co = start(s, "local x <close> = setmetatable({}, {__close = function() "
                             "while true do end end}) error('oops')");
    assert_int_equal(run(s, co, 0), LUA_ERRRUN);
    assert_false(leat_sandbox_run_expired(s));

    assert_false(leat_sandbox_run_reset(s, co));

    lua_State *other = start(s, "closed = false local x <close> = setmetatable({}, {__close = "
                                "function() closed = true end}) error('oops')");
    assert_int_equal(run(s, other, 0), LUA_ERRRUN);
    assert_true(leat_sandbox_run_reset(s, other));
    assert_returns(s, "return closed", "true");
}

static void says_where_it_stopped(void **state)
{
    leat_sandbox *s = *state;
    assert_stopped(s, "while true do end");
    lua_State *co = start(s, "local x\nwhile true do\nend");
    run(s, co, 0);
    assert_memory_equal(leat_sandbox_run_where(s), "task:", 5);
    assert_returns(s, "return 'x'", "x");
    assert_string_equal(leat_sandbox_run_where(s), "");
}

static void a_stopped_coroutine_never_runs_again(void **state)
{
    leat_sandbox *s = *state;
    assert_stopped(s, "co = coroutine.create(function() local x <close> = setmetatable({}, "
                      "{__close = function() while true do end end}) while true do end end) "
                      "coroutine.resume(co)");
    assert_returns(s, "return coroutine.status(co)", "dead");
    assert_returns(s, "return select(2, coroutine.resume(co))", "cannot resume dead coroutine");
    assert_returns(s, "return coroutine.close(co)", "true");
}

static void coroutines_outlive_a_run_that_was_stopped(void **state)
{
    leat_sandbox *s = *state;
    assert_stopped(s, "co = coroutine.create(function() for i = 1, 3 do coroutine.yield(i) end end)"
                      "coroutine.resume(co) while true do end");
    assert_returns(s, "return select(2, coroutine.resume(co))", "2");
}

/* Each run computes for less than its budget, all of them for much longer. */
static void counts_each_run_for_itself(void **state)
{
    leat_sandbox *s = *state;
    lua_State *co = start(s, "for i = 1, 30 do local till = os.clock() + 0.005 "
                             "repeat until os.clock() >= till wait() end return 'done'");
    int status = run(s, co, 0);
    while (status == LUA_YIELD)
        status = run(s, co, 0);
    assert_int_equal(status, LUA_OK);
    assert_false(leat_sandbox_run_expired(s));
    assert_string_equal(lua_tostring(co, -1), "done");
}

/* The watchdog goes to sleep after a while without runs; here the host is busy with other things.
 */
static void wakes_after_an_idle_time(void **state)
{
    uint64_t from = now_ms();
    while (now_ms() - from < BUDGET_MS * 4)
        ;
    assert_stopped(*state, "while true do end");
}

static void is_stopped_again_and_again(void **state)
{
    for (int i = 0; i < 20; i++)
        assert_stopped(*state, "local function f(n) if n == 0 then return 0 end "
                               "pcall(math.abs, n) local t = {n} return f(n - 1) + f(n - 1) end "
                               "while true do f(15) pcall(f, 15) end");
}

/* --- memory --- */

static void memory_has_a_limit(void **state)
{
    leat_sandbox *s = *state;
    assert_returns(s, "local ok, err = pcall(string.rep, 'x', 1000000000) return err",
                   "not enough memory");
    assert_returns(s,
                   "local s = 'x' local ok, err = pcall(function() "
                   "while true do s = s .. s end end) s = nil return err",
                   "not enough memory");
    assert_returns(s,
                   "local ok, err = pcall(function() local t = {} "
                   "for i = 1, 10000000 do t[i] = i end end) return err",
                   "not enough memory");
    assert_returns(s, "return ('x'):rep(1000000):len()", "1000000");
    assert_true(leat_sandbox_memory(s) < MEMORY);
}

static void the_limit_does_not_bind_the_host(void **state)
{
    leat_sandbox *s = *state;
    lua_State *L = leat_sandbox_state(s);
    assert_non_null(lua_newuserdatauv(L, (size_t)2 * MEMORY, 0));
    lua_State *co = start(s, "local t = {} for i = 1, 1000 do t[i] = {} end return 'fits'");
    assert_int_equal(run(s, co, 0), LUA_ERRMEM);
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
    assert_returns(s, "return 'fits again'", "fits again");
}

static void libraries_need_memory(void **state)
{
    (void)state;
    leat_sandbox *s = NULL;
    assert_int_equal(leat_sandbox_new(&s, 1000, BUDGET_MS), LEAT_ENOMEM);
}

static void recursion_ends(void **state)
{
    (void)state;
    leat_sandbox *s = NULL; /* with time and memory for so many calls */
    assert_int_equal(leat_sandbox_new(&s, (size_t)16 * MEMORY, TOO_LONG_MS), 0);
    assert_returns(s,
                   "local function f() return 1 + f() end "
                   "return (tostring(select(2, pcall(f))):match('stack overflow'))",
                   "stack overflow");
    assert_returns(s,
                   "local function f() return coroutine.wrap(f)() end "
                   "return (tostring(select(2, pcall(f))):match('C stack overflow'))",
                   "C stack overflow");
    leat_sandbox_free(s);
}

/* --- waiting --- */

static void waits_and_goes_on(void **state)
{
    leat_sandbox *s = *state;
    lua_State *co = start(s, "return 'got ' .. wait('x') .. wait()");
    assert_int_equal(run(s, co, 0), LUA_YIELD);
    lua_pushliteral(co, "a");
    assert_int_equal(run(s, co, 1), LUA_YIELD);
    lua_pushliteral(co, "b");
    assert_int_equal(run(s, co, 1), LUA_OK);
    assert_string_equal(lua_tostring(co, -1), "got ab");
}

/* Answers every wait with its number. */
static void assert_waits(leat_sandbox *s, const char *chunk, int waits, const char *expected)
{
    lua_State *co = start(s, chunk);
    int status = run(s, co, 0);
    for (int i = 1; status == LUA_YIELD; i++, waits--) {
        lua_pushinteger(co, i);
        status = run(s, co, 1);
    }
    assert_int_equal(waits, 0);
    assert_string_equal(luaL_tolstring(co, -1, NULL), expected);
    assert_int_equal(status, LUA_OK);
    lua_settop(leat_sandbox_state(s), 0);
}

static void waits_within_protected_calls(void **state)
{
    assert_waits(*state, "return select(2, pcall(wait))", 1, "1");
    assert_waits(*state, "return select(2, pcall(function() wait() error(wait(), 0) end))", 2, "2");
    assert_waits(*state,
                 "return select(2, xpcall(function() wait() error('e', 0) end, "
                 "function(m) return m .. '!' end))",
                 1, "e!");
    assert_waits(*state, "return setmetatable({}, {__index = function() return wait() end}).x", 1,
                 "1");
}

static void waits_within_coroutines_of_the_script(void **state)
{
    assert_waits(*state, "return coroutine.wrap(function() return wait() end)()", 1, "1");
    assert_waits(*state,
                 "local co = coroutine.wrap(function(a) local b = wait() "
                 "local c = coroutine.yield(a .. b) local d = wait() return c .. d end) "
                 "return co('x') .. co('y')",
                 2, "x1y2");
    assert_waits(*state,
                 "local co = coroutine.create(function() return "
                 "coroutine.wrap(function() return wait() + wait() end)() + wait() end) "
                 "local ok, n = coroutine.resume(co) return ok and n .. coroutine.status(co)",
                 3, "6dead");
    assert_waits(*state,
                 "local co = coroutine.create(function() wait() error('bad', 0) end) "
                 "local ok, err = coroutine.resume(co) return tostring(ok) .. err",
                 1, "falsebad");
    assert_waits(*state,
                 "local gen = coroutine.wrap(function() for i = 1, 3 do "
                 "coroutine.yield(wait() * 10) end end) "
                 "local sum = 0 for n in gen do sum = sum + n end return sum",
                 3, "60");
}

static void cannot_wait_everywhere(void **state)
{
    static const char *const uses[] = {
        "from_c(wait)",
        "from_c(function() coroutine.wrap(wait)() end)",
        "table.sort({1, 2}, wait)",
        "string.gsub('a', 'a', wait)",
        "coroutine.wrap(function() from_c(function() coroutine.wrap(wait)() end) end)()",
    };
    char chunk[256];
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        snprintf(chunk, sizeof(chunk),
                 "return (select(2, pcall(function() %s end)):match('cannot wait here'))", uses[i]);
        assert_returns(*state, chunk, "cannot wait here");
    }
}

static void nobody_else_resumes_what_waits(void **state)
{
    leat_sandbox *s = *state;
    lua_State *task = start(s, "inner = coroutine.create(function() return wait() end) "
                               "outer = coroutine.running() "
                               "return select(2, coroutine.resume(inner))");
    assert_int_equal(run(s, task, 0), LUA_YIELD);

    assert_returns(s, "return coroutine.status(inner)", "normal");
    assert_returns(s, "return select(2, coroutine.resume(inner))",
                   "cannot resume non-suspended coroutine");
    assert_returns(s, "return select(2, coroutine.resume(outer))",
                   "cannot resume non-suspended coroutine");
    assert_returns(s, "return select(2, pcall(coroutine.close, inner))",
                   "cannot close a normal coroutine");
    assert_returns(s, "return select(2, pcall(coroutine.close, outer))",
                   "cannot close a normal coroutine");

    lua_pushliteral(task, "answer");
    assert_int_equal(run(s, task, 1), LUA_OK);
    assert_string_equal(lua_tostring(task, -1), "answer");
}

static void abandons_what_waits(void **state)
{
    leat_sandbox *s = *state;
    lua_State *co = start(s, "local x <close> = setmetatable({}, {__close = function() "
                             "local ok, err = pcall(wait) closed = err end}) "
                             "coroutine.wrap(wait)()");
    assert_int_equal(run(s, co, 0), LUA_YIELD);
    assert_true(leat_sandbox_run_reset(s, co));
    assert_returns(s, "return closed:match('cannot wait here')", "cannot wait here");
}

static void the_coroutine_library_is_complete(void **state)
{
    leat_sandbox *s = *state;
    assert_returns(s,
                   "local co = coroutine.create(function(...) local a, b = coroutine.yield(...) "
                   "return a + b end) "
                   "local t = table.pack(coroutine.resume(co, 1, nil, 3)) "
                   "local u = table.pack(coroutine.resume(co, 4, 5)) "
                   "local v = table.pack(coroutine.resume(co)) "
                   "return t.n .. tostring(t[4]) .. tostring(u[2]) .. tostring(v[1]) .. v[2]",
                   "439falsecannot resume dead coroutine");
    assert_returns(s, "return select(2, pcall(coroutine.wrap(function() error('x', 0) end)))", "x");
    assert_returns(s, "return select(2, pcall(coroutine.wrap(function() error({}) end)))[1]",
                   "nil");
    assert_returns(s, "return (select(2, pcall(coroutine.yield)):match('outside a coroutine'))",
                   "outside a coroutine");
    assert_returns(s,
                   "return tostring(coroutine.isyieldable()) .. "
                   "tostring(coroutine.wrap(coroutine.isyieldable)())",
                   "falsetrue");
    assert_returns(s,
                   "return tostring(select(2, coroutine.running())) .. "
                   "tostring(select(2, coroutine.wrap(coroutine.running)()))",
                   "truefalse");
    assert_returns(s,
                   "local co; co = coroutine.create(function() "
                   "local ok, err = coroutine.resume(co) return coroutine.status(co) .. err end) "
                   "return select(2, coroutine.resume(co))",
                   "runningcannot resume non-suspended coroutine");
    assert_returns(s,
                   "local log = '' local co = coroutine.create(function() "
                   "local x <close> = setmetatable({}, {__close = function() log = 'closed' end}) "
                   "coroutine.yield() end) coroutine.resume(co) "
                   "return tostring(coroutine.close(co)) .. log .. coroutine.status(co)",
                   "truecloseddead");
}

/* --- the collector --- */

static size_t memory_of(lua_State *L)
{
    return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
}

/* [-1, +1]: a list that has the one on the top as its rest. */
static void push_longer_list(lua_State *L)
{
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_rawseti(L, -2, 1);
}

/* What one small allocation frees at most while the collector works through a large heap. */
static size_t largest_step(lua_State *L)
{
    size_t most = 0;
    for (int i = 0; i < 200000; i++) {
        size_t before = memory_of(L);
        lua_createtable(L, 0, 0);
        lua_pop(L, 1);
        size_t after = memory_of(L);
        if (before > after && before - after > most)
            most = before - after;
    }
    return most;
}

static void a_step_of_the_collector_is_short(void **state)
{
    leat_sandbox *s = *state;
    lua_State *L = leat_sandbox_state(s);
    for (int i = 0; i < 2; i++) { /* what lives, then what does not */
        lua_gc(L, LUA_GCCOLLECT);
        lua_pushnil(L);
        for (int j = 1; j <= 100000; j++)
            push_longer_list(L);
    }
    lua_pop(L, 1);

    size_t most = largest_step(L);

    assert_true(most > 0);
    assert_in_range(most, 1, 256 * 1024);
    lua_settop(L, 0);
}

static void allocate(lua_State *L, int times)
{
    for (int i = 0; i < times; i++) {
        lua_createtable(L, 0, 0);
        lua_pop(L, 1);
    }
}

static void a_collection_that_memory_makes_due_goes_by_steps(void **state)
{
    leat_sandbox *s = *state;
    lua_State *L = leat_sandbox_state(s);
    lua_gc(L, LUA_GCSTOP); /* as if the next cycle were far away */
    lua_pushnil(L);
    while (leat_sandbox_memory(s) < MEMORY * 3 / 4)
        push_longer_list(L);
    lua_pop(L, 1);
    size_t full = leat_sandbox_memory(s);

    leat_sandbox_collect(s, 0);
    assert_int_equal(leat_sandbox_memory(s), full);
    allocate(L, 100000);

    assert_true(leat_sandbox_memory(s) < MEMORY / 4);
    assert_false(leat_sandbox_exhausted(s));
}

static void all_is_collected_when_hardly_any_memory_is_left(void **state)
{
    leat_sandbox *s = *state;
    lua_State *L = leat_sandbox_state(s);
    lua_gc(L, LUA_GCSTOP);
    lua_pushnil(L);
    while (leat_sandbox_memory(s) < MEMORY - MEMORY / 32)
        push_longer_list(L);
    lua_pop(L, 1);

    leat_sandbox_collect(s, 0);

    assert_true(leat_sandbox_memory(s) < MEMORY / 4);
    assert_false(leat_sandbox_exhausted(s));
}

static void scripts_that_let_go_are_exhausted_no_longer(void **state)
{
    leat_sandbox *s = *state;
    lua_State *L = leat_sandbox_state(s);
    lua_pushnil(L);
    while (leat_sandbox_memory(s) < MEMORY - MEMORY / 32)
        push_longer_list(L);
    leat_sandbox_collect(s, 0);
    assert_true(leat_sandbox_exhausted(s));

    lua_pop(L, 1);
    lua_gc(L, LUA_GCCOLLECT); /* as the steps of some runs would */
    leat_sandbox_collect(s, 1);

    assert_false(leat_sandbox_exhausted(s));
}

/* --- what there is and what not --- */

static void takes_out_what_is_dangerous(void **state)
{
    assert_returns(
        *state,
        "return tostring(io or debug or dofile or load or loadfile or warn or os.exit or "
        "os.execute or os.remove or os.rename or os.tmpname or os.setlocale or "
        "string.dump or package.loadlib or package.searchers or package.preload or "
        "package.path or package.cpath or package.searchpath)",
        "nil");
    assert_returns(*state,
                   "return type(os.clock() + os.time()) .. type(os.date()) .. "
                   "tostring(os.getenv('LEAT_NO_SUCH_VARIABLE')) .. os.difftime(2, 1)",
                   "numberstringnil1.0");
    assert_returns(*state,
                   "return (select(2, pcall(setmetatable, {}, {__gc = true})):match('__gc.*'))",
                   "__gc cannot be used here; use a to-be-closed variable)");
    assert_returns(*state, "return setmetatable({}, {__index = {x = 'i'}}).x", "i");
    assert_returns(*state, "return type(collectgarbage('count'))", "number");
    assert_returns(*state, "return tostring((pcall(collectgarbage)))", "false");
}

static void calls_that_would_not_end_are_refused(void **state)
{
    assert_returns(*state, "return #string.rep('', math.maxinteger)", "0");
    assert_returns(*state, "return string.rep('ab', 2, '-') .. string.rep('', 3, '-')", "ab-ab--");
    assert_returns(
        *state, "return (select(2, pcall(string.rep, 'x', math.maxinteger)):match('%a+ %a+ %a+'))",
        "resulting string too");
    assert_returns(*state,
                   "return (select(2, pcall(table.move, {}, 1, 1 << 50, 2)):match('too.*'))",
                   "too many elements for one call");
    assert_returns(*state,
                   "local t = setmetatable({}, {__len = function() return 1 << 50 end}) "
                   "return (select(2, pcall(table.insert, t, 1, 0)):match('too.*')) .. "
                   "(select(2, pcall(table.remove, t, 1)):match('too.*')) .. "
                   "(select(2, pcall(table.sort, t)):match('too.*'))",
                   "too many elements for one call"
                   "too many elements for one call"
                   "too many elements for one call");
    assert_returns(*state, /* the length is asked once: another answer would begin a long loop */
                   "local n = -1 local t = setmetatable({}, {__index = rawlen, __newindex = rawget,"
                   " __len = function() n = n + 1 return n << 50 end}) "
                   "table.insert(t, 1, 0) n = -1 return tostring(table.remove(t, 1))",
                   "0");
    assert_returns(*state, "return tostring(pcall(string.format, '%99999d', 1))", "false");
    assert_returns(*state,
                   "local t = {3, 1} table.insert(t, 2) table.insert(t, 1, 0) table.sort(t) "
                   "return table.concat(t, ',') .. table.remove(t) .. table.remove(t, 1) .. "
                   "table.concat(table.move(t, 1, 2, 3), ',')",
                   "0,1,2,330"
                   "1,2,1,2");
}

static void reads_modules(void **state)
{
    leat_sandbox *s = *state;
    char folder[] = "/tmp/leat-sandbox-XXXXXX";
    char path[128];
    char chunk[512];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/greet.lua", folder);
    FILE *f = fopen(path, "w");
    fputs("local name, file = ...\nreturn {text = 'hi from ' .. name, file = file}\n", f);
    fclose(f);

    snprintf(chunk, sizeof(chunk),
             "local m = require 'greet' "
             "assert(m.file == '%s' and require 'greet' == m) return m.text",
             path);
    char templates[160];
    snprintf(templates, sizeof(templates), "%s/?.lua", folder);
    leat_sandbox_lib_require_from(leat_sandbox_state(s), templates);
    assert_returns(s, chunk, "hi from greet");
    f = fopen(path, "w");
    fputs("\033Lua", f);
    fclose(f);
    assert_returns(s,
                   "package.loaded.greet = nil "
                   "return (select(2, pcall(require, 'greet')):match('binary chunk'))",
                   "binary chunk");
    assert_returns(s, "return (select(2, pcall(require, 'no_such')):match('not found'))",
                   "not found");
    assert_returns(s, "return type(require 'string'.format) .. tostring(package.loaded.io)",
                   "functionnil");
    unlink(path);
    rmdir(folder);
}

static void reads_no_c_modules(void **state)
{
    assert_returns(*state, "return (select(2, pcall(require, 'cjson')):match('not found'))",
                   "not found");
}

/* --- what handlers share --- */

static void libraries_look_as_they_are(void **state)
{
    assert_returns(
        *state,
        "local n = 0 for name, f in pairs(string) do assert(string[name] == f) n = n + 1 "
        "end return ('%s'):format(n > 10) .. ('x'):rep(2)",
        "truexx");
    assert_returns(*state,
                   "return tostring(require 'string' == string and package.loaded.math == math)",
                   "true");
}

static void the_load_may_change_what_is_shared(void **state)
{
    assert_returns(*state,
                   "declared = nil function string.twice(s) return s .. s end made = 1 "
                   "return ('x'):twice() .. made",
                   "xx1");
    leat_sandbox_lock(*state);
    assert_returns(*state, "declared = 2 made = made + 1 return declared .. made", "22");
}

static void handlers_may_not_change_what_is_shared(void **state)
{
    static const char *const tampering[] = {
        "forgotten = 1",
        "_G.forgotten = 1",
        "rawset(_G, 'print', 1)",
        "string.rep = 1",
        "rawset(string, 'rep', 1)",
        "setmetatable(_G, nil)",
        "setmetatable(string, {})",
        "package.loaded.x = 1",
        "getmetatable('').__index = 1",
        "table.insert(table, 1)",
        "math[1] = 1",
        "coroutine.wrap = 1",
    };
    leat_sandbox_lock(*state);
    for (size_t i = 0; i < sizeof(tampering) / sizeof(tampering[0]); i++) {
        char chunk[200];
        snprintf(chunk, sizeof(chunk), "return tostring(pcall(function() %s end))", tampering[i]);
        assert_returns(*state, chunk, "false");
    }
    assert_returns(*state,
                   "return (select(2, pcall(function() forgotten = 1 end)):match(\"'forgotten'\"))",
                   "'forgotten'");
    assert_returns(
        *state, "return (select(2, pcall(function() string.rep = 1 end)):match(\"'string.rep'\"))",
        "'string.rep'");
}

static void the_servers_variables_are_hidden(void **state)
{
    setenv("LEAT_DATABASE_URL", "secret", 1);
    setenv("PGPASSWORD", "secret", 1);
    setenv("APP_KEY", "key", 1);
    assert_returns(*state,
                   "return tostring(os.getenv 'LEAT_DATABASE_URL' or os.getenv 'PGPASSWORD') .. "
                   "os.getenv 'APP_KEY'",
                   "nilkey");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_sandbox, free_sandbox)
#define PATIENT(name) cmocka_unit_test_setup_teardown(name, make_patient, free_sandbox)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PATIENT(a_step_of_the_collector_is_short),
        PATIENT(a_collection_that_memory_makes_due_goes_by_steps),
        PATIENT(all_is_collected_when_hardly_any_memory_is_left),
        PATIENT(scripts_that_let_go_are_exhausted_no_longer),
        TEST(stops_loops),
        TEST(stops_what_catches_errors),
        TEST(stops_coroutines),
        TEST(stops_where_yielding_is_impossible),
        TEST(stops_variables_to_be_closed),
        TEST(stops_patterns_and_long_calls),
        TEST(resetting_a_failed_coroutine_is_watched),
        TEST(says_where_it_stopped),
        TEST(a_stopped_coroutine_never_runs_again),
        TEST(coroutines_outlive_a_run_that_was_stopped),
        TEST(counts_each_run_for_itself),
        TEST(wakes_after_an_idle_time),
        TEST(is_stopped_again_and_again),
        PATIENT(what_is_held_is_dropped_where_no_finalizer_runs),
        PATIENT(memory_has_a_limit),
        PATIENT(the_limit_does_not_bind_the_host),
        PATIENT(libraries_need_memory),
        PATIENT(recursion_ends),
        PATIENT(waits_and_goes_on),
        PATIENT(waits_within_protected_calls),
        PATIENT(waits_within_coroutines_of_the_script),
        PATIENT(cannot_wait_everywhere),
        PATIENT(nobody_else_resumes_what_waits),
        PATIENT(abandons_what_waits),
        PATIENT(the_coroutine_library_is_complete),
        PATIENT(takes_out_what_is_dangerous),
        PATIENT(calls_that_would_not_end_are_refused),
        PATIENT(reads_modules),
        PATIENT(reads_no_c_modules),
        PATIENT(libraries_look_as_they_are),
        PATIENT(the_load_may_change_what_is_shared),
        PATIENT(handlers_may_not_change_what_is_shared),
        PATIENT(the_servers_variables_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
