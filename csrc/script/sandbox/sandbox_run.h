/* sandbox_run.h - one stretch of script: its budget, its waiting, and how it is stopped.
 *
 * Ownership  nothing of its own: the state of a run is the sandbox's.
 * Threads    the owner's. The watchdog thread only sets leat_sandbox_run_on_budget as a hook.
 * Units      milliseconds of processor time, of the owner's thread, without a wait.
 * Errors     a run that uses up its budget ends; the script's pcall cannot prevent it.
 *
 * Around a lua_resume, or a lua_pcall on the main state, stand _begin and _end. If more than the
 * budget is computed between the two, a hook is set. It yields out of the coroutine, and out of
 * nested ones too, because the coroutine library is wrapped. Where yielding is impossible (in a
 * comparator of table.sort, in a function that gsub calls, in a metamethod called from C) it raises
 * an error which the wrapped pcall, xpcall and coroutine functions pass on.
 *
 * Waiting: a db function called inside a coroutine of the script must yield to the task runner and
 * not to the script. leat_sandbox_run_wait marks such a yield; the wrapped coroutine.resume and
 * coroutine.wrap pass marked yields on to the outermost resume. A script can resume only coroutines
 * that it made itself and that do not wait in this way.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_RUN_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_RUN_H

#include <stdbool.h>

#include <lua.h>

#include "script/sandbox/sandbox_state.h"

/* Runs do not nest. co: the coroutine that is about to be resumed. */
void leat_sandbox_run_begin(leat_sandbox *s, lua_State *co);
void leat_sandbox_run_end(leat_sandbox *s);

/* True if the run that has just ended was stopped for its budget. Its coroutine is then dead,
 * whatever lua_resume returned, and must be dropped. The next _begin clears it. */
bool leat_sandbox_run_expired(const leat_sandbox *s);
/* The place where the run was stopped, "app.lua:12"; "" if it was not. Cleared likewise. */
const char *leat_sandbox_run_where(const leat_sandbox *s);

/* lua_resetthread for the coroutine of a task, called outside of runs. The coroutine's
 * to-be-closed variables are closed in a run of their own, within the budget. Returns true if the
 * coroutine can be used again. Returns false if it was stopped for its budget, now or earlier (then
 * nothing of it runs): drop it. */
bool leat_sandbox_run_reset(leat_sandbox *s, lua_State *co);

/* For C functions that wait: `return leat_sandbox_run_wait(L, continuation, context)`. Raises
 * "cannot wait here" where yielding is impossible. The runner pushes the values to resume with on
 * the coroutine of the task; they arrive in the L of the continuation. */
int leat_sandbox_run_wait(lua_State *L, lua_KFunction k, lua_KContext context);

/* For C functions that loop, and for those that catch errors. Returns if the run may go on;
 * otherwise leaves the function by a yield or an error, as the hook does. */
void leat_sandbox_run_check(lua_State *L);

/* For C functions that may not be left by a jump: true if leat_sandbox_run_check would not return.
 * False in a state that was not made by sandbox.c, whose extra space holds NULL. */
bool leat_sandbox_run_out_of_time(lua_State *L);

/* True if the run has so much on the C stack that nothing may begin which Lua does not count. */
bool leat_sandbox_run_is_deep(const leat_sandbox *s);

/* The hook for leat_watchdog_new. */
void leat_sandbox_run_on_budget(lua_State *L, lua_Debug *ar);

#endif
