/* sandbox.h - a Lua state that a script can neither exhaust nor hold up.
 *
 * Ownership  a sandbox owns its lua_State and its watchdog thread. The extra space of the state
 *            (lua_getextraspace) is the sandbox's.
 * Threads    the owner's; the watchdog thread only sets a debug hook (watchdog.h).
 * Units      milliseconds of computing (processor time of the owner's thread) without a wait;
 *            bytes of memory.
 * Errors     running out of memory is a Lua error (LUA_ERRMEM), and can happen only within a run,
 *            so that the host's own bookkeeping between runs never meets it; so is one block (a
 *            string, a table's part) of more than 1/12 of the memory, since some operations on a
 *            block cannot be interrupted; running out of time
 *            ends the task, pcall or not.
 *
 * Budget: _run_begin before a lua_resume (or lua_pcall on the main state), _run_end after it. If
 * more than budget_ms is computed between, a hook is set that yields out of the coroutine (nested
 * coroutines too: the coroutine library is wrapped) or, where yielding is impossible (a comparator
 * of table.sort, a gsub callback, a metamethod called from C), raises an error that the wrapped
 * pcall, xpcall and coroutine functions pass on. leat_sandbox_expired then tells the caller to
 * throw the coroutine away.
 *
 * Yields of ours: a db call inside a coroutine.wrap of the script's own must reach the task runner,
 * not the script: leat_sandbox_yield marks the yield, and the wrapped coroutine.resume/wrap pass
 * marked yields through to the outermost resume. A script can resume only coroutines that it made
 * itself and that do not wait in this way.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"

typedef struct leat_sandbox leat_sandbox;

/* A state with the safe part of the standard library (sandbox_lib.h says which). LEAT_ENOMEM if the
 * libraries do not fit into memory_bytes, or no thread can be had. */
LEAT_MUST_CHECK int leat_sandbox_new(leat_sandbox **out, size_t memory_bytes, uint64_t budget_ms);
void leat_sandbox_free(leat_sandbox *s); /* NULL is allowed */
lua_State *leat_sandbox_state(leat_sandbox *s);
leat_sandbox *leat_sandbox_of(lua_State *L);       /* from any coroutine of it */
size_t leat_sandbox_memory(const leat_sandbox *s); /* bytes in use */

/* Between runs: collects all garbage if memory was refused in the last run, or comes near the
 * limit. Finalizers run, too, which the collections within a run leave out. */
void leat_sandbox_collect(leat_sandbox *s, uint64_t now_ms);
/* True if the last such collection left less than 1/32 of the limit: scripts hold on to it. */
bool leat_sandbox_exhausted(const leat_sandbox *s);

/* Around each stretch of script; runs do not nest. co: the coroutine about to be resumed. */
void leat_sandbox_run_begin(leat_sandbox *s, lua_State *co);
void leat_sandbox_run_end(leat_sandbox *s);

/* True if the run that has just ended was stopped for its budget: the coroutine is dead whatever
 * lua_resume said. Cleared by the next _run_begin. */
bool leat_sandbox_expired(const leat_sandbox *s);
/* Where it was stopped, "app.lua:12"; "" if nowhere. Cleared likewise. */
const char *leat_sandbox_where(const leat_sandbox *s);

/* lua_resetthread for a task's coroutine, outside of a run: its to-be-closed variables run as a run
 * of their own, with its budget. Returns true if the coroutine can be used again; false if it was
 * stopped for its budget, now or earlier (nothing of it runs then): drop it. */
bool leat_sandbox_reset(leat_sandbox *s, lua_State *co);

/* For C functions that wait: `return leat_sandbox_yield(L, continuation, context)`. Raises "cannot
 * wait here" where yielding is impossible. The value(s) to resume with are pushed on the *task's*
 * coroutine by the runner and arrive in the continuation's L. */
int leat_sandbox_yield(lua_State *L, lua_KFunction k, lua_KContext context);

/* For C functions that loop, and for those that catch errors: returns if the run may go on, else
 * leaves the function (by a yield or an error, as the hook does). */
void leat_sandbox_check(lua_State *L);

/* For C functions that may not be left by a jump: true if leat_sandbox_check would not return.
 * Never true in a state of another maker, whose extra space holds NULL. */
bool leat_sandbox_out_of_time(lua_State *L);

#endif
