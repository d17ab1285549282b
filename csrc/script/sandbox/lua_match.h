/* lua_match.h - string.find, match, gmatch and gsub, as Lua 5.4's manual §6.4.1 has them, that can
 * be stopped.
 *
 * Ownership  nothing outlives a call, except what gmatch's iterator holds.
 * Threads    the Lua state's.
 * Units      bytes; positions count from 1.
 * Errors     raise. Matching counts its steps and now and then calls leat_sandbox_run_check.
 *
 * Two differences from Lua's own, both in patterns that are mistakes: a malformed pattern is
 * refused even if the subject would not have led to the malformed part; and there is no "pattern
 * too complex", because matching does not recurse.
 */
#ifndef LEAT_SCRIPT_SANDBOX_LUA_MATCH_H
#define LEAT_SCRIPT_SANDBOX_LUA_MATCH_H

#include <lua.h>

/* Sets the four functions in the table on top of the stack. */
void leat_lua_match_functions(lua_State *L);

#endif
