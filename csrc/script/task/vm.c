/* vm.c - calls into Lua, what they failed with, and how long a leat_lua lives.
 *
 * A handler runs as a coroutine that task.c resumes through leat_vm_call. After a failure the
 * coroutine still stands where it failed: leat_vm_examine reads the error value and the traceback
 * from it, and leat_vm_reset_coroutine clears it. leat_vm_protect runs C functions of ours that
 * need the stack of the main state and may run out of memory.
 */
#include "script/task/vm.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "base/container_of.h"
#include "base/log.h"
#include "script/sandbox/sandbox_run.h"
#include "script/value/refusal.h"

enum {
    DEEP_STACK = 200, /* levels */
    TOP_OF_STACK = 20,
};

/* Lua's own words, and what they mean here. */
#define OUT_OF_MEMORY "not enough memory"
#define MEMORY_LIMIT ": scripts may hold script_memory_bytes, and one value a twelfth of it"

static void gauge_memory(leat_lua *lua)
{
    size_t bytes = leat_sandbox_memory(lua->sandbox);
    leat_metrics_add(lua->core->metrics, LEAT_M_SCRIPT_MEMORY,
                     (int64_t)bytes - (int64_t)lua->gauged_memory);
    lua->gauged_memory = bytes;
}

/* Called after a run: collects the garbage that it left, if memory is short. */
static void collect_garbage(leat_lua *lua)
{
    bool was_exhausted = leat_sandbox_exhausted(lua->sandbox);
    leat_sandbox_collect(lua->sandbox, leat_loop_now(lua->core->loop));
    gauge_memory(lua);
    bool is_exhausted = leat_sandbox_exhausted(lua->sandbox);
    if (is_exhausted && !was_exhausted)
        LEAT_LOG_ERROR("script", "scripts hold nearly all of script_memory_bytes bytes=%zu",
                       lua->gauged_memory);
    else if (was_exhausted && !is_exhausted)
        LEAT_LOG_INFO("script",
                      "scripts no longer hold nearly all of script_memory_bytes bytes=%zu",
                      lua->gauged_memory);
}

bool leat_vm_can_run(const leat_script *s, leat_buf *reason)
{
    const leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, script);
    if (!leat_sandbox_exhausted(lua->sandbox))
        return true;
    leat_buf_printf(reason, "scripts hold %zu bytes, nearly all of script_memory_bytes",
                    leat_sandbox_memory(lua->sandbox));
    return false;
}

leat_vm_outcome leat_vm_call(leat_lua *lua, lua_State *co, int n_args)
{
    int n_results = 0;
    leat_sandbox_run_begin(lua->sandbox, co);
    int status = lua_resume(co, NULL, n_args, &n_results);
    leat_sandbox_run_end(lua->sandbox);
    collect_garbage(lua);
    if (leat_sandbox_run_expired(lua->sandbox))
        return LEAT_VM_BUDGET;
    if (status == LUA_YIELD) {
        lua_pop(co, n_results);
        return LEAT_VM_YIELDED;
    }
    return status == LUA_OK ? LEAT_VM_DONE : LEAT_VM_FAILED;
}

int leat_vm_protect(leat_lua *lua, lua_CFunction fn, void *arg)
{
    lua_State *L = lua->L;
    leat_sandbox_run_begin(lua->sandbox, L);
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK)
        lua_pop(L, 1);
    leat_sandbox_run_end(lua->sandbox);
    return status == LUA_OK ? 0 : LEAT_ENOMEM;
}

struct examination {
    lua_State *co;
    leat_vm_outcome outcome;
    leat_vm_failure *out;
    char where[128]; /* of a budget that ran out */
};

static void take_refusal(const leat_refusal *r, leat_vm_failure *out)
{
    out->code = r->code;
    out->retry_after_ms = r->retry_after_ms;
    out->read_failed = r->read_failed;
    out->refused = !r->read_failed;
    memcpy(out->sqlstate, r->sqlstate, sizeof(out->sqlstate));
    leat_buf_append(&out->message, r->message, r->message_len);
}

/* Pushes the message of the error value, which may be a value of any type. [-0, +1, e] */
static void push_message(lua_State *L, const struct examination *x)
{
    if (x->outcome == LEAT_VM_BUDGET || lua_gettop(x->co) == 0) {
        lua_pushfstring(
            L, "%s%scomputed for longer than script_budget_ms without waiting for anything",
            x->where, x->where[0] != '\0' ? ": " : "");
        return;
    }
    lua_pushvalue(x->co, -1);
    lua_xmove(x->co, L, 1);
    const char *text = luaL_tolstring(L, -1, NULL);
    if (strcmp(text, OUT_OF_MEMORY) == 0)
        lua_pushliteral(L, OUT_OF_MEMORY MEMORY_LIMIT);
}

/* Like luaL_traceback, but of a very deep stack it shows only the top: luaL_traceback would walk
 * such a stack many times. [-0, +1, m] */
static void push_traceback(lua_State *L, lua_State *co, const char *message)
{
    lua_Debug ar;
    if (!lua_getstack(co, DEEP_STACK, &ar)) {
        luaL_traceback(L, co, message, 0);
        return;
    }
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    luaL_addstring(&text, message);
    luaL_addstring(&text, "\nstack traceback:");
    for (int level = 0; level < TOP_OF_STACK && lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        lua_pushfstring(L, "\n\t%s:%d", ar.short_src, ar.currentline);
        luaL_addvalue(&text);
    }
    lua_pushfstring(L, "\n\t... (more than %d levels)", DEEP_STACK);
    luaL_addvalue(&text);
    luaL_pushresult(&text);
}

/* Runs protected, because the __tostring of an error value may be a function of the script.
 * [-0, +0, e] */
static int examine(lua_State *L)
{
    struct examination *x = lua_touserdata(L, 1);
    if (!lua_checkstack(x->co, 4))
        return luaL_error(L, "no room for the error value");
    const leat_refusal *r = x->outcome == LEAT_VM_FAILED ? leat_refusal_at(x->co, -1) : NULL;
    if (r != NULL)
        take_refusal(r, x->out);
    if (x->out->code != LEAT_CODE_INTERNAL || x->out->refused)
        return 0;
    push_message(L, x);
    const char *message = lua_tostring(L, -1);
    push_traceback(L, x->co, message);
    size_t len = 0;
    const char *trace = lua_tolstring(L, -1, &len);
    leat_buf_append(&x->out->trace, trace, len);
    return 0;
}

/* For when examining failed, because memory is out or because a __tostring raised: needs neither.
 */
static void examine_plainly(struct examination *x)
{
    leat_buf *out = &x->out->trace;
    if (x->outcome == LEAT_VM_BUDGET)
        leat_buf_printf(out, "%s: computed for longer than script_budget_ms", x->where);
    else if (lua_type(x->co, -1) == LUA_TSTRING)
        leat_buf_printf(out, "%s%s", lua_tostring(x->co, -1),
                        strcmp(lua_tostring(x->co, -1), OUT_OF_MEMORY) == 0 ? MEMORY_LIMIT : "");
    else
        leat_buf_text(out, "(an error value without a text)");
}

void leat_vm_examine(leat_lua *lua, lua_State *co, leat_vm_outcome outcome, leat_vm_failure *out)
{
    out->code = LEAT_CODE_INTERNAL;
    struct examination x = {.co = co, .outcome = outcome, .out = out};
    if (outcome == LEAT_VM_BUDGET) /* the next run clears it */
        snprintf(x.where, sizeof(x.where), "%s", leat_sandbox_run_where(lua->sandbox));
    int err = leat_vm_protect(lua, examine, &x);
    if (err < 0 && out->trace.len == 0)
        examine_plainly(&x);
    if (outcome == LEAT_VM_BUDGET)
        leat_metrics_add(lua->core->metrics, LEAT_M_SCRIPT_BUDGET, 1);
    else if (out->code == LEAT_CODE_INTERNAL && !out->refused)
        leat_metrics_add(lua->core->metrics, LEAT_M_SCRIPT_ERRORS, 1);
}

struct new_coroutine {
    lua_State *co;
    int ref;
};

/* [-0, +0, m] */
static int new_coroutine(lua_State *L)
{
    struct new_coroutine *n = lua_touserdata(L, 1);
    lua_State *co = lua_newthread(L);
    n->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    n->co = co;
    return 0;
}

lua_State *leat_vm_new_coroutine(leat_lua *lua, int *ref)
{
    struct new_coroutine n = {NULL, LUA_NOREF};
    if (leat_vm_protect(lua, new_coroutine, &n) < 0)
        return NULL;
    *ref = n.ref;
    return n.co;
}

bool leat_vm_reset_coroutine(leat_lua *lua, lua_State *co)
{
    bool usable = leat_sandbox_run_reset(lua->sandbox, co);
    gauge_memory(lua);
    return usable;
}

void leat_vm_unref(leat_lua *lua, int *ref)
{
    luaL_unref(lua->L, LUA_REGISTRYINDEX, *ref);
    *ref = LUA_NOREF;
}

/* --- life --- */

/* A caller that dropped the last hold may still be using lua->script (the table of functions), so
 * the end comes with the end of the turn. */
static void on_last_drop(leat_sweep *s)
{
    leat_lua *lua = LEAT_CONTAINER_OF(s, leat_lua, last_drop);
    if (lua->holds == 0)
        lua->unheld(lua);
}

void leat_vm_init(leat_lua *lua)
{
    leat_keep_init(&lua->keep);
    leat_sweep_init(&lua->last_drop, on_last_drop);
}

void leat_vm_close(leat_lua *lua)
{
    leat_sweep_cancel(&lua->last_drop);
    leat_keep_close(&lua->keep);
}

void leat_vm_hold(leat_lua *lua)
{
    lua->holds++;
}

void leat_vm_drop(leat_lua *lua)
{
    LEAT_ASSERT(lua->holds > 0);
    if (--lua->holds == 0 && lua->unheld != NULL)
        leat_sweep_schedule(lua->core->loop, &lua->last_drop);
}

void leat_vm_retire(leat_lua *lua, void (*unheld)(leat_lua *lua))
{
    lua->unheld = unheld;
}
