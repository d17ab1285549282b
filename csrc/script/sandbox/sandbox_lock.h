/* sandbox_lock.h - what all handlers share cannot be changed by one of them.
 *
 * Ownership  nothing of its own.
 * Threads    the owner's.
 * Units      none.
 * Errors     all but leat_sandbox_lock may raise, so they are called protected.
 *
 * While the application loads, it may make globals and add to the libraries. Afterwards a handler
 * can assign only those globals that were assigned during the load, and no field of a library:
 * other assignments raise an error that names the global or the field. So a forgotten `local` is
 * found at once, and no handler sees what another one did to `string`.
 */
#ifndef LEAT_SCRIPT_SANDBOX_SANDBOX_LOCK_H
#define LEAT_SCRIPT_SANDBOX_SANDBOX_LOCK_H

#include <lua.h>

#include "script/sandbox/sandbox_state.h"

/* Guards the globals, and the metatable of texts. To be called once all libraries are there.
 * [-0, +0, m] */
void leat_sandbox_lock_open(lua_State *L);

/* Replaces the library on top of the stack by a table that shows it, and guards it. [-1, +1, m] */
void leat_sandbox_lock_guard(lua_State *L, const char *name);

/* The same for a library that was opened by that name, in the globals and for require.
 * [-0, +0, m] */
void leat_sandbox_lock_library(lua_State *L, const char *name);

/* Pops a value, and makes it a global that is found as Lua's own are: a handler cannot assign it.
 * After leat_sandbox_lock_open. [-1, +0, m] */
void leat_sandbox_lock_global(lua_State *L, const char *name);

/* The load is over. */
void leat_sandbox_lock(leat_sandbox *s);

#endif
