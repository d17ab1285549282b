/* sandbox_co.h - the coroutine library of a sandbox.
 *
 * Ownership  nothing of its own.
 * Threads    the owner's.
 * Units      none.
 * Errors     may raise, so it is called protected.
 *
 * It is the library of Lua 5.4 (manual §6.2) with three differences. Yields of ours pass through
 * resume and wrap. A run that is stopped does not return to the script. The coroutine of a task
 * looks like the main coroutine: a script cannot resume it, close it or yield from it.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_CO_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_CO_H

#include <lua.h>

/* Sets the global coroutine and package.loaded.coroutine. */
void leat_sandbox_co_open(lua_State *L);

#endif
