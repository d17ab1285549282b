/* lua_match.h - string.find, match, gmatch and gsub of Lua 5.4 (manual §6.4.1), in a form that can
 * be stopped.
 *
 * Ownership  nothing outlives a call, except in the iterator of gmatch.
 * Threads    that of the Lua state.
 * Units      bytes; positions count from 1.
 * Errors     raise. Matching counts its steps and now and then calls leat_sandbox_run_check.
 *
 * They differ from Lua's own functions in two errors. A malformed pattern is refused even if no
 * subject leads to the malformed part. There is no "pattern too complex", because matching does not
 * recurse.
 */
#ifndef LEAT_SCRIPT_SANDBOX_LUA_MATCH_H
#define LEAT_SCRIPT_SANDBOX_LUA_MATCH_H

#include <lua.h>

/* Sets the four functions in the table on top of the stack. */
void leat_lua_match_functions(lua_State *L);

#endif
