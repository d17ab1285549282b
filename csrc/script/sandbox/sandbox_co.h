/* sandbox_co.h - the coroutine library of a sandbox.
 *
 * Ownership  nothing of its own.
 * Threads    the owner's.
 * Units      none.
 * Errors     may raise: called protected.
 *
 * As Lua 5.4's manual §6.2 has it, but: yields of ours pass through resume and wrap; a run that is
 * being stopped does not come back to the script; a task's own coroutine is to the script what the
 * main one is to a program: it cannot be resumed, closed or yielded from.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_CO_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_CO_H

#include <lua.h>

/* Sets the global coroutine and package.loaded.coroutine. */
void leat_sandbox_co_open(lua_State *L);

#endif
