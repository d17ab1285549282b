/* api_check.h - checks of what scripts hand over.
 *
 * Ownership  nothing of its own.
 * Threads    that of the Lua state.
 * Units      none.
 * Errors     a script error that says what to change. [-0, +0, e]
 */
#ifndef LEAT_SCRIPT_API_API_CHECK_H
#define LEAT_SCRIPT_API_API_CHECK_H

#include <lua.h>

/* Raises if the table at index (absolute) has a key that is not in known, which NULL ends. what
 * names the table in the error. A table whose metatable has an __index is replaced by a plain one,
 * so that nothing that is read of it afterwards runs script; before it returns, script may have
 * run. */
void leat_api_check_keys(lua_State *L, int index, const char *const *known, const char *what);

#endif
