/* sandbox_co.c - coroutine.resume, and the functions that coroutine.wrap makes, go through drive().
 * It moves the arguments, resumes, and looks why the coroutine returned. If it ended, failed or
 * yielded by itself, finish() returns that to the script. If leat_sandbox_run_wait yielded, drive()
 * yields, too; on_resumed() resumes the inner coroutine when the outermost resume has brought the
 * answer. */
#include "script/sandbox/sandbox_co.h"

#include <string.h>

#include <lauxlib.h>

#include "script/sandbox/sandbox_run.h"

/* How a coroutine was resumed; also the context of the continuation. */
enum kind {
    RESUME, /* the coroutine is argument 1 */
    WRAP,   /* it is upvalue 1 */
};

static lua_State *check_co(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co != NULL, 1, "coroutine");
    return co;
}

/* --- status --- */

static const char *status_name(lua_State *L, lua_State *co)
{
    if (co == L)
        return "running";
    unsigned flags = leat_sandbox_state_flags(co);
    if ((flags & LEAT_SANDBOX_CO_STOPPED) != 0)
        return "dead";
    if ((flags & LEAT_SANDBOX_CO_SCRIPT) == 0 || (flags & LEAT_SANDBOX_CO_WAITING) != 0)
        return "normal";
    int status = lua_status(co);
    if (status == LUA_YIELD)
        return "suspended";
    if (status != LUA_OK)
        return "dead";
    lua_Debug ar;
    if (lua_getstack(co, 0, &ar))
        return "normal"; /* it has resumed another */
    return lua_gettop(co) == 0 ? "dead" : "suspended";
}

/* coroutine.status(co) -> text                                 [-0, +1, arg] */
static int co_status(lua_State *L)
{
    lua_pushstring(L, status_name(L, check_co(L)));
    return 1;
}

/* --- resuming --- */

/* Runs co until it ends, yields or fails. */
static int step(lua_State *L, lua_State *co, int n_args, int *n_results)
{
    leat_sandbox *s = leat_sandbox_state_of(L);
    int barrier = lua_isyieldable(L) ? 0 : 1;
    s->run.barriers += barrier;
    leat_watchdog_switch(s->watchdog, co);
    int status = lua_resume(co, L, n_args, n_results);
    leat_watchdog_switch(s->watchdog, L);
    s->run.barriers -= barrier;
    return status;
}

/* Closes the variables of a coroutine. That may run script, so the watchdog watches it. Lua does
 * not count how deep the C stack is here (lua_resetthread knows no caller), so coroutines that
 * close one another could use it up. */
static int reset(lua_State *L, lua_State *co)
{
    leat_sandbox *s = leat_sandbox_state_of(L);
    if (leat_sandbox_run_is_deep(s))
        return luaL_error(L, "coroutines close one another too deeply");
    leat_watchdog_switch(s->watchdog, co);
    int status = lua_resetthread(co);
    leat_watchdog_switch(s->watchdog, L);
    leat_sandbox_run_check(L);
    return status;
}

/* The error is on top of co. A wrapped function raises it, with the position of its caller if it is
 * a text. */
static int finish_failed(lua_State *L, lua_State *co, enum kind kind, int status)
{
    if (kind == RESUME) {
        lua_pushboolean(L, 0);
        lua_xmove(co, L, 1);
        return 2;
    }
    status = reset(L, co);
    lua_xmove(co, L, 1);
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int finish(lua_State *L, lua_State *co, enum kind kind, int n_results)
{
    if (!lua_checkstack(L, n_results + 1)) {
        lua_pop(co, n_results);
        return luaL_error(L, "too many results to resume");
    }
    if (kind == RESUME)
        lua_pushboolean(L, 1);
    lua_xmove(co, L, n_results);
    return n_results + (kind == RESUME ? 1 : 0);
}

static int on_resumed(lua_State *L, int status, lua_KContext kind);

/* Resumes co with the n_args values on top of L. */
static int drive(lua_State *L, lua_State *co, int n_args, enum kind kind)
{
    if (!lua_checkstack(co, n_args))
        return luaL_error(L, "too many arguments to resume");
    lua_xmove(L, co, n_args);
    int n_results = 0;
    int status = step(L, co, n_args, &n_results);
    leat_sandbox_run_check(L);
    if (status == LUA_YIELD && leat_sandbox_state_of(L)->run.state == LEAT_SANDBOX_RUN_WAITING) {
        leat_sandbox_state_set(co, LEAT_SANDBOX_CO_WAITING);
        return lua_yieldk(L, 0, (lua_KContext)kind, on_resumed);
    }
    if (status != LUA_OK && status != LUA_YIELD)
        return finish_failed(L, co, kind, status);
    return finish(L, co, kind, n_results);
}

/* The values that the runner pushed for the waiting function are above those of the earlier call.
 */
static int on_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    enum kind kind = (enum kind)context;
    int below = kind == RESUME ? 1 : 0;
    lua_State *co = lua_tothread(L, kind == RESUME ? 1 : lua_upvalueindex(1));
    leat_sandbox_state_clear(co, LEAT_SANDBOX_CO_WAITING);
    return drive(L, co, lua_gettop(L) - below, kind);
}

/* Returns why co cannot be resumed, or NULL if it can. */
static const char *refusal(lua_State *L, lua_State *co)
{
    const char *status = status_name(L, co);
    if (strcmp(status, "suspended") == 0)
        return NULL;
    return lua_pushfstring(L, "cannot resume %s coroutine",
                           strcmp(status, "dead") == 0 ? "dead" : "non-suspended");
}

/* coroutine.resume(co, ...) -> true, ... | false, err             [-n, +m, arg] yields */
static int co_resume(lua_State *L)
{
    lua_State *co = check_co(L);
    if (refusal(L, co) != NULL) {
        lua_pushboolean(L, 0);
        lua_insert(L, -2);
        return 2;
    }
    return drive(L, co, lua_gettop(L) - 1, RESUME);
}

/* f(...) -> ...                                              [-n, +m, any] yields */
static int run_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    const char *why = refusal(L, co);
    if (why != NULL) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return drive(L, co, lua_gettop(L), WRAP);
}

/* --- the rest of the library --- */

/* coroutine.create(f) -> co                                       [-0, +1, arg] */
static int co_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    leat_sandbox_state_set(co, LEAT_SANDBOX_CO_SCRIPT);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

/* coroutine.wrap(f) -> function                                   [-0, +1, arg] */
static int co_wrap(lua_State *L)
{
    co_create(L);
    lua_pushcclosure(L, run_wrapped, 1);
    return 1;
}

/* coroutine.yield(...) -> ...                                   [-n, +m, any] yields */
static int co_yield (lua_State *L)
{
    if ((leat_sandbox_state_flags(L) & LEAT_SANDBOX_CO_SCRIPT) == 0)
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

/* coroutine.isyieldable([co]) -> boolean                          [-0, +1, arg] */
static int co_isyieldable(lua_State *L)
{
    lua_State *co = lua_isnone(L, 1) ? L : check_co(L);
    bool of_script = (leat_sandbox_state_flags(co) & LEAT_SANDBOX_CO_SCRIPT) != 0;
    lua_pushboolean(L, of_script && lua_isyieldable(co));
    return 1;
}

/* coroutine.running() -> co, is_main                              [-0, +2, mem] */
static int co_running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, (leat_sandbox_state_flags(L) & LEAT_SANDBOX_CO_SCRIPT) == 0);
    return 2;
}

/* coroutine.close(co) -> true | false, err                        [-0, +1|+2, arg] */
static int co_close(lua_State *L)
{
    lua_State *co = check_co(L);
    const char *status = status_name(L, co);
    if (strcmp(status, "suspended") != 0 && strcmp(status, "dead") != 0)
        return luaL_error(L, "cannot close a %s coroutine", status);
    bool stopped = (leat_sandbox_state_flags(co) & LEAT_SANDBOX_CO_STOPPED) != 0;
    if (stopped || reset(L, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

static const luaL_Reg functions[] = {
    {"close", co_close},   {"create", co_create},   {"isyieldable", co_isyieldable},
    {"resume", co_resume}, {"running", co_running}, {"status", co_status},
    {"wrap", co_wrap},     {"yield", co_yield },    {NULL, NULL},
};

static int open_coroutine(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}

void leat_sandbox_co_open(lua_State *L)
{
    luaL_requiref(L, "coroutine", open_coroutine, 1);
    lua_pop(L, 1);
}
