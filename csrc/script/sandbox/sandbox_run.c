/* sandbox_run.c - the life of a run: leat_sandbox_run_begin starts the watchdog's count. The script
 * computes until it ends, waits (leat_sandbox_run_wait), or the watchdog sets
 * leat_sandbox_run_on_budget as the hook, which stops the run.
 *
 * Stopping is a yield where that is possible, because no pcall catches a yield. Elsewhere it is an
 * error. The hook stays set for every instruction, so code that catches the error meets it again at
 * once, until a function that can yield is reached, or the end of the coroutine.
 */
#include "script/sandbox/sandbox_run.h"

#include <stdio.h>

#include <lauxlib.h>

/* What one stretch between two of Lua's own checks takes besides is half a megabyte at most. The
 * loop's thread has eight (loop_thread.h). */
enum { DEEP_BYTES = 256 * 1024 };

static uintptr_t stack_now(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

void leat_sandbox_run_begin(leat_sandbox *s, lua_State *co)
{
    s->run.stack = stack_now();
    s->run.state = LEAT_SANDBOX_RUN_COMPUTING;
    s->run.memory_before = s->memory;
    s->run.barriers = 0;
    s->run.where[0] = '\0';
    leat_watchdog_begin(s->watchdog, co);
}

void leat_sandbox_run_end(leat_sandbox *s)
{
    leat_watchdog_end(s->watchdog);
}

bool leat_sandbox_run_expired(const leat_sandbox *s)
{
    return s->run.state == LEAT_SANDBOX_RUN_STOPPED;
}

const char *leat_sandbox_run_where(const leat_sandbox *s)
{
    return s->run.where;
}

bool leat_sandbox_run_reset(leat_sandbox *s, lua_State *co)
{
    if ((leat_sandbox_state_flags(co) & LEAT_SANDBOX_CO_STOPPED) != 0)
        return false;
    leat_sandbox_run_begin(s, co);
    lua_resetthread(co);
    lua_settop(co, 0);
    leat_sandbox_run_end(s);
    return s->run.state != LEAT_SANDBOX_RUN_STOPPED;
}

/* The stack grows downwards, or upwards. */
bool leat_sandbox_run_is_deep(const leat_sandbox *s)
{
    uintptr_t now = stack_now();
    uintptr_t used = now < s->run.stack ? s->run.stack - now : now - s->run.stack;
    return used > DEEP_BYTES;
}

/* --- stopping --- */

/* level: of lua_getstack, the function to be blamed. Only the first place counts: the others are
 * those that caught the error. */
static void note_stop(leat_sandbox *s, lua_State *L, int level)
{
    if (L != s->L) /* whose extra space every new coroutine copies */
        leat_sandbox_state_set(L, LEAT_SANDBOX_CO_STOPPED);
    if (s->run.state == LEAT_SANDBOX_RUN_STOPPED)
        return;
    s->run.state = LEAT_SANDBOX_RUN_STOPPED;
    lua_Debug ar;
    if (lua_getstack(L, level, &ar) && lua_getinfo(L, "Sl", &ar) && ar.currentline > 0)
        snprintf(s->run.where, sizeof(s->run.where), "%s:%d", ar.short_src, ar.currentline);
}

static int raise_stop(lua_State *L)
{
    const char *where = leat_sandbox_state_of(L)->run.where;
    return luaL_error(L, "%s%scomputed for longer than script_budget_ms without a wait", where,
                      *where != '\0' ? ": " : "");
}

/* Called by Lua before each instruction. A yield takes effect when the hook has returned. */
void leat_sandbox_run_on_budget(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    leat_sandbox *s = leat_sandbox_state_of(L);
    if (!leat_watchdog_fired(s->watchdog)) {
        lua_sethook(L, NULL, 0,
                    0); /* a coroutine that was born while another run was being stopped */
        return;
    }
    note_stop(s, L, 0);
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else
        raise_stop(L);
}

bool leat_sandbox_run_out_of_time(lua_State *L)
{
    const leat_sandbox *s = leat_sandbox_state_of(L);
    return s != NULL && leat_watchdog_fired(s->watchdog);
}

void leat_sandbox_run_check(lua_State *L)
{
    if (!leat_sandbox_run_out_of_time(L))
        return;
    leat_sandbox *s = leat_sandbox_state_of(L);
    note_stop(s, L, 1);
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else
        raise_stop(L);
}

/* --- waiting --- */

int leat_sandbox_run_wait(lua_State *L, lua_KFunction k, lua_KContext context)
{
    leat_sandbox *s = leat_sandbox_state_of(L);
    if (!lua_isyieldable(L) || s->run.barriers > 0)
        return luaL_error(L, "cannot wait here");
    if (s->run.state != LEAT_SANDBOX_RUN_STOPPED)
        s->run.state = LEAT_SANDBOX_RUN_WAITING;
    return lua_yieldk(L, 0, context, k);
}
